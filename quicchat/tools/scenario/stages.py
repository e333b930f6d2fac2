"""Where scripts are played: in memory and virtual time, or over QUIC, with processes if need be. (spec 12-operation)"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quicchat.config import ClientConfig, ServerConfig
from quicchat.errors import UsageError
from quicchat.tools.scenario.inside import Inside
from quicchat.tools.scenario.play import Player
from quicchat.tools.scenario.script import Change
from quicchat.tools.scenario.servers import MemoryServer, ProcessServer
from quicchat.tools.scenario.stranger import Caller, Ear, Stranger
from quicchat.values import dataclass


@dataclass(frozen=True, slots=True)
class Home:
    """Where a play keeps its files, and how flags are read there: no setting of the person's own plays with."""

    path: Path
    _client: Callable[[list[str], Mapping[str, str]], ClientConfig]
    _server: Callable[[list[str], Mapping[str, str]], ServerConfig]

    def client(self, words: list[str]) -> ClientConfig:
        """Raises UsageError."""
        return self._client(words, self.environment)

    def server(self, words: list[str]) -> ServerConfig:
        """Raises UsageError."""
        return self._server(words, self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """That of a process which plays with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QUICCHAT_")}
        return {**kept, "QUICCHAT_HOME": str(self.path)}


class Memory:
    """Everything in this loop, on a simulated network."""

    #: Virtual: longer than anything that is put off to be sent together.
    quiet = 2.0

    def __init__(self, home: Home) -> None:
        self._home = home
        self._server = MemoryServer(home.server)

    async def serve(self, flags: Sequence[str]) -> None:
        await self._server.serve(flags)

    async def turn(self, change: Change) -> None:
        await self._server.turn(change)

    def player(self, actor: str, user: str, flags: Sequence[str]) -> Player:
        config = self._home.client(["--data", str(self._home.path / actor), "-u", user, *flags])
        return Inside(user, config, self._server.meeting(actor))

    def stranger(self, actor: str, way: str, version: int | None) -> Stranger:
        if way in ("listens", "is in"):
            return Ear(version, is_in=way == "is in")
        return Caller(self._server.network.dial(), actor if way == "logs in" else None, version)

    async def close(self) -> None:
        await self._server.close()


class Quic:
    """Over QUIC, with a server process, or with `target` (`host:port`), which stays as it is."""

    #: Real seconds: longer than a receipt is put off.
    quiet = 0.4

    def __init__(self, home: Home, target: str | None, *, processes: bool) -> None:
        self._home = home
        self._processes = processes
        self._target = None if target is None else _address(target)
        self._server = ProcessServer(home.path, home.environment)

    async def serve(self, flags: Sequence[str]) -> None:
        if self._target is None:
            await self._server.serve(flags)

    async def turn(self, change: Change) -> None:
        if self._target is not None:
            raise UsageError(f"this script needs a server of its own: it {change}")
        await self._server.turn(change)

    def player(self, actor: str, user: str, flags: Sequence[str]) -> Player:
        host, port = self._target or ("127.0.0.1", self._server.port)
        data = self._home.path / actor
        words = ["-s", host, "-p", str(port), "-u", user, "--data", str(data), *flags]
        if self._target is None:
            words += ["--ca", str(self._server.ca)]
        config = self._home.client(words)
        if not self._processes:
            return Inside(user, config, {})
        # Not everywhere are there terminals of this kind.
        from quicchat.tools.scenario.terminal import Terminal

        return Terminal(user, words, data, self._home.environment)

    def stranger(self, actor: str, way: str, version: int | None) -> Stranger:
        raise UsageError("who speaks in bytes does so in memory only: play this without --quic, --processes, --target")

    async def close(self) -> None:
        await self._server.close()


def _address(target: str) -> tuple[str, int]:
    host, colon, port = target.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise UsageError(f"{target!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
