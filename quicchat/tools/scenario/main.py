"""`quicchat scenario`: plays scripts of conversations, or records one. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from quicchat.config import ClientConfig, ServerConfig
from quicchat.errors import UsageError
from quicchat.tools.scenario.play import Deviation, Play, Stage
from quicchat.tools.scenario.recorder import Recorder
from quicchat.tools.scenario.script import Script, read
from quicchat.tools.scenario.stages import Home, Memory, Quic
from quicchat.transport import virtual

#: Flags and an environment, as the command line reads them.
ClientConfigured = Callable[[list[str], Mapping[str, str]], ClientConfig]
ServerConfigured = Callable[[list[str], Mapping[str, str]], ServerConfig]
#: The exit code where a conversation went another way.
_DEVIATED: Final = 1


def play(
    files: Sequence[str],
    client: ClientConfigured,
    server: ServerConfigured,
    *,
    quic: bool = False,
    processes: bool = False,
    target: str | None = None,
) -> int:
    """Play scripts, one after the other; 0 when all went as they say, 1 otherwise. Raises UsageError."""
    deviated = False
    for script in [_read(name) for name in files]:
        try:
            with tempfile.TemporaryDirectory(prefix="quicchat-scenario-") as name:
                home = Home(Path(name), client, server)
                if quic:
                    asyncio.run(_played(script, partial(Quic, home, target, processes=processes)))
                else:
                    virtual.run(_played(script, partial(Memory, home)))
        except Deviation as deviation:
            deviated = True
            print(deviation)
        else:
            print(f"{script.name}: as it is written")
    return _DEVIATED if deviated else 0


async def _played(script: Script, stage: Callable[[], Stage]) -> None:
    await Play(script, stage()).run()


def record(name: str, config: ClientConfig) -> int:
    """Talk as the plain client does, and write a script of it; the client's exit code. Raises UsageError."""
    from quicchat.ui.main import run
    from quicchat.ui.plain import plain

    with Recorder(Path(name), config) as recorder:
        return run(config, lines=recorder.lines, face=lambda: plain(config, recorder.lines, recorder.sheet))


def _read(name: str) -> Script:
    try:
        return read(name, Path(name).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8") from None
