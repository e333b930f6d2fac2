"""Playing a script: deed by deed, and after each step everybody must have been shown just that. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol

from quicchat.errors import QuicchatError, describe
from quicchat.tools.scenario.compare import Times, compare, difference
from quicchat.tools.scenario.script import (
    Appear,
    Change,
    Closed,
    Deed,
    Enter,
    Exit,
    Give,
    Part,
    Script,
    Serve,
    Step,
    Turn,
    Type,
    Wait,
    filled,
)
from quicchat.tools.scenario.stranger import Stranger

#: Seconds that anything may take that has to happen.
_PATIENCE: Final = 20.0
_GLANCE: Final = 0.02


class Deviation(QuicchatError):
    """It did not go as the script says; the text tells where, what was missing and what was too much."""


class Player(Protocol):
    """One actor's client."""

    @property
    def shown(self) -> list[str]:
        """All lines so far."""

    async def enter(self) -> None:
        """Start; return when something was shown, or when it has ended."""

    def type(self, text: str) -> None:
        """Type a line."""

    def end(self) -> None:
        """Nothing more will be typed."""

    async def kill(self) -> None:
        """Die without a word."""

    async def exit_code(self) -> int:
        """Wait for the end."""

    async def leave(self) -> None:
        """The play is over: go, if still there."""


class Stage(Protocol):
    """Where a script is played. `quiet` are the seconds after which nothing more comes of a deed."""

    quiet: float

    async def serve(self, flags: Sequence[str]) -> None:
        """Open the server."""

    async def turn(self, change: Change) -> None:
        """Start the same server again, stop it, kill it."""

    def stranger(self, actor: str, way: str, version: int | None) -> Stranger:
        """Who speaks in bytes. Raises UsageError where there is no place for him."""

    def player(self, actor: str, user: str, flags: Sequence[str]) -> Player:
        """A client to come; the same actor finds again what he left on his disk. Raises UsageError."""

    async def close(self) -> None:
        """Clear everything away."""


class Play:
    """One script on one stage."""

    def __init__(self, script: Script, stage: Stage) -> None:
        self._script = script
        self._stage = stage
        self._players: dict[str, Player] = {}
        self._strangers: dict[str, Stranger] = {}
        #: How many lines of each actor belong to earlier steps.
        self._seen: dict[str, int] = {}
        self._times: Times = {}

    async def run(self) -> None:
        """Play to the end. Raises Deviation, and UsageError for flags that make no sense."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stage.close)
            for step in self._script.steps:
                for deed in step.deeds:
                    await self._do(deed)
                    if not isinstance(deed, Give):
                        await self._settle()
                await self._check(step)
            for player in self._players.values():
                stack.push_async_callback(player.leave)

    async def _do(self, deed: Deed) -> None:
        try:
            async with asyncio.timeout(_PATIENCE + (deed.seconds if isinstance(deed, Wait) else 0)):
                await self._carry_out(deed)
        except TimeoutError:
            raise Deviation(f"{self._script.name}:{deed.line}: nothing came of it") from None

    async def _carry_out(self, deed: Deed) -> None:
        match deed:
            case Serve(flags=flags):
                await self._stage.serve(flags)
            case Turn(change=change):
                await self._stage.turn(change)
            case Enter(actor=actor, user=user, flags=flags):
                await self._enter(actor, self._stage.player(actor, user, flags))
            case Type(actor=actor, text=text):
                self._players[actor].type(filled(text))
            case Part(actor=actor, killed=False):
                self._players[actor].end()
            case Part(actor=actor):
                await self._players[actor].kill()
            case Exit(actor=actor, code=code):
                if (found := await self._players[actor].exit_code()) != code:
                    raise Deviation(f"{self._script.name}:{deed.line}: {actor} exits {found}, not {code}")
            case Wait(seconds=seconds):
                await asyncio.sleep(seconds)
            case Appear(actor=actor, way=way, version=version):
                self._strangers[actor] = self._stage.stranger(actor, way, version)
                await self._strangers[actor].begin()
            case Give() | Closed():
                await self._in_bytes(deed)

    async def _in_bytes(self, deed: Give | Closed) -> None:
        stranger = self._strangers.get(deed.actor)
        if stranger is None:
            raise Deviation(f"{self._script.name}:{deed.line}: {deed.actor} does not speak in bytes")
        match deed:
            case Give(event=event, said=True):
                stranger.say(event)
            case Give(event=event):
                await stranger.give(event)
            case Closed(code=code):
                for _ in range(round(_PATIENCE / 2 / _GLANCE)):
                    if stranger.code is not None:
                        break
                    await asyncio.sleep(_GLANCE)
                if stranger.code != code:
                    found = "not closed" if stranger.code is None else f"closed with {describe(stranger.code)}"
                    where = f"{self._script.name}:{deed.line}"
                    raise Deviation(f"{where}: {deed.actor} is {found}, not closed with {code.name}")

    async def _enter(self, actor: str, player: Player) -> None:
        before = self._players.get(actor)
        if before is not None:
            await before.leave()
            # What the one before was shown and nobody has looked at yet is still to be compared.
            player.shown[:0] = before.shown[self._seen[actor] :]
        self._players[actor] = player
        self._seen[actor] = 0
        await player.enter()

    async def _settle(self) -> None:
        """Wait until nobody is shown anything any more."""
        loop = asyncio.get_running_loop()
        count, since = self._count(), loop.time()
        end = since + _PATIENCE
        while loop.time() < min(since + self._stage.quiet, end):
            await asyncio.sleep(min(_GLANCE, self._stage.quiet))
            if (now := self._count()) != count:
                count, since = now, loop.time()

    async def _check(self, step: Step) -> None:
        """Compare what was shown with what had to be; what is still missing may be on its way."""
        end = asyncio.get_running_loop().time() + _PATIENCE
        while (times := self._compared(step)) is None and asyncio.get_running_loop().time() < end:
            before = self._count()
            await asyncio.sleep(self._stage.quiet)
            if self._count() == before and not self._is_short(step):
                break
        if times is None or (times := self._compared(step)) is None:
            raise Deviation("\n".join(self._report(step)))
        self._times = times
        self._seen = {actor: len(player.shown) for actor, player in self._players.items()}

    def _compared(self, step: Step) -> Times | None:
        times: Times | None = self._times
        for actor in self._players:
            if times is not None:
                times = compare(step.of(actor), self._new(actor), times)
        return times

    def _is_short(self, step: Step) -> bool:
        """Whether somebody was shown fewer lines than he must be."""
        return any(len(self._new(actor)) < len(step.of(actor)) for actor in self._players)

    def _report(self, step: Step) -> list[str]:
        lines = []
        for actor in self._players:
            expected, shown = step.of(actor), self._new(actor)
            if compare(expected, shown, self._times) is None:
                line = expected[0].line if expected else step.deeds[-1].line
                lines.append(f"{self._script.name}:{line}: {actor} was shown something else (- missing, + too much):")
                lines += difference(expected, shown, self._times)
        return lines or [f"{self._script.name}:{step.deeds[0].line}: the times do not fit together"]

    def _new(self, actor: str) -> list[str]:
        return self._players[actor].shown[self._seen[actor] :]

    def _count(self) -> int:
        return sum(len(player.shown) for player in self._players.values())
