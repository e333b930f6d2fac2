"""Who is here, and what time it is: what lives only as long as the process. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quicchat.server.model import Actor, SessionId, Standing
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import User


class Roster(Protocol):
    """Who is here now: soft state, in memory, that counts only while this process lives."""

    def claim(self, user: User, actor: Actor, *, alone: bool) -> Sequence[Actor]:
        """Take a place for a session that is being logged in, until it arrives or its claim is released.

        Returns the user's sessions of the same device, here or being logged in, which this one replaces. Raises
        Refused(ALREADY_LOGGED_IN) where `alone` is demanded and another device has a place.
        """

    def release(self, session: SessionId) -> None:
        """A session that was being logged in will not arrive; others are passed over."""

    def claims(self, user: User) -> Sequence[Actor]:
        """All of the user's sessions, those that are only being logged in too."""

    def arrive(self, actor: Actor, *, at: int) -> None:
        """A session of a user began; he is online, unless he said something else with another one."""

    def depart(self, session: SessionId) -> None:
        """A session ended; unknown ones are passed over."""

    def sessions(self, user: User) -> Sequence[Actor]:
        """The user's sessions, oldest first."""

    def hold(self, session: SessionId, on: bool, *, at: int) -> bool:
        """The session counts as absent, or does so no longer; returns whether that is news."""

    def present(self, user: User) -> bool:
        """Whether a message finds him: he has a session that is not held. The built-in user is always there."""

    def set(self, user: User, show: Show, status: str | None, *, at: int) -> None:
        """What the user says of himself; forgotten with his last session."""

    def standing(self, user: User) -> Standing:
        """How the user appears to others; offline while he is not `present`."""


class Clock(Protocol):
    """Time of day and waiting; nothing in the core reads a clock of its own."""

    def now(self) -> int:
        """Unix time in ms."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def random(self, size: int) -> bytes:
        """Unpredictable bytes."""
