"""Scenarios on real terminals: each actor is a client process, and what counts is what stands on his screen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from quicchat.__main__ import client_config, server_config
from quicchat.errors import UsageError
from quicchat.tools.scenario.play import Play
from quicchat.tools.scenario.script import Change, read
from quicchat.tools.scenario.servers import ProcessServer
from quicchat.tools.scenario.stages import Home
from quicchat.tools.scenario.stranger import Stranger
from quicchat.ui.paper import PROMPT
from tests.e2e.clients import ROOT, Terminal

SCENARIOS = ROOT / "spec" / "scenarios"
#: No line of the scripts is longer; what a terminal breaks would be two lines.
_COLUMNS = 500


class Window:
    """A `Player` at a terminal: he is shown what his screen shows, but for the lines that he typed."""

    def __init__(self, home: Path, flags: Sequence[str], user: str, ui: str) -> None:
        self._home = home
        self._flags = flags
        self._user = user
        self._ui = ui
        self._terminal: Terminal
        self._read = -1
        self._lines: list[str] = []

    @property
    def shown(self) -> list[str]:
        written = len(self._terminal.raw)
        if written != self._read:
            self._read = written
            self._lines = [line for line in self._terminal.everything if line and not line.startswith(PROMPT.strip())]
        return self._lines

    async def enter(self) -> None:
        self._home.mkdir()
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(f"password of {self._user}\n")
        self._terminal = Terminal(
            self._home,
            *self._flags,
            columns=_COLUMNS,
            ui=self._ui,
            QUICCHAT_PASSWORD_FILE=str(password),
        )
        await asyncio.to_thread(self._terminal.sees, PROMPT.strip())

    def type(self, text: str) -> None:
        self._terminal.type(text)
        self._terminal.press("Enter")

    def end(self) -> None:
        self._terminal.press("Ctrl+d")

    async def kill(self) -> None:
        self._terminal.process.kill()
        await asyncio.to_thread(self._terminal.exit_code)

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self._terminal.exit_code)

    async def leave(self) -> None:
        await asyncio.to_thread(self._terminal.__exit__)


class Windows:
    """A `Stage`: a server process, and a terminal for each actor."""

    #: Real seconds: longer than a receipt is put off.
    quiet = 0.4

    def __init__(self, path: Path, ui: str) -> None:
        self._home = Home(path, client_config, server_config)
        self._ui = ui
        self._server = ProcessServer(path, self._home.environment)

    async def serve(self, flags: Sequence[str]) -> None:
        await self._server.serve(flags)

    async def turn(self, change: Change) -> None:
        await self._server.turn(change)

    def player(self, actor: str, user: str, flags: Sequence[str]) -> Window:
        at = ("-s", "127.0.0.1", "-p", str(self._server.port), "--ca", str(self._server.ca))
        return Window(self._home.path / actor, (*at, "-u", user, *flags), user, self._ui)

    def stranger(self, actor: str, way: str, version: int | None) -> Stranger:
        raise UsageError("nobody speaks in bytes on a terminal")

    async def close(self) -> None:
        await self._server.close()


def play(name: str, ui: str, path: Path) -> None:
    """Play a script of `spec/scenarios` with this face. Raises Deviation."""
    script = read(name, (SCENARIOS / f"{name}.chat").read_text())
    asyncio.run(Play(script, Windows(path, ui)).run())
