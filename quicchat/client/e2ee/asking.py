"""Who has a list of devices: all that a client without keys asks about those of others. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quicchat.client.e2ee.pins import Pins
from quicchat.client.requests import Requests
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.keys import GetKeys, KeyList

if TYPE_CHECKING:
    from quicchat.client.e2ee.lists import Row


class Lists:
    """Who has a list, as far as can be told without reading it: as the server says on this connection, or was known."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self._serials: dict[str, int] = {}
        #: How often a list has changed, of those that were asked for.
        self._changes: dict[str, int] = {}

    async def has(self, user: str, requests: Requests) -> bool:
        """Whether somebody has one. Raises Refused, LinkLost, LocalProtocolError."""
        if self._pins.has_keys(user):
            # As was seen when there were keys here.
            return True
        while user not in self._serials:
            before = self._changes.setdefault(user, 0)
            rows = (await requests.ask(GetKeys(users=(user,)), KeyList)).users
            check_answer(rows, (user,))
            if self._changes.get(user) == before:
                self._serials[user] = rows[0][1]
        return self._serials[user] > 0

    def heard(self, user: str) -> None:
        """His list has changed."""
        self._serials.pop(user, None)
        if user in self._changes:
            self._changes[user] += 1

    def lost(self) -> None:
        """Nobody tells us any more of changes."""
        self._serials.clear()
        self._changes.clear()


def check_answer(rows: Sequence[Row], users: Sequence[str]) -> None:
    """An answer is about the first of those who were asked for. Raises Refused."""
    if not rows or [row[0] for row in rows] != list(users[: len(rows)]):
        raise Refused(Code.SCHEMA, "KEY_GET_R does not answer KEY_GET.")
