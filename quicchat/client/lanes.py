"""A stream of its own for each active room: what one of them loses holds up no other. (spec 06-messages)"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from quicchat.client.requests import Requests
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.session import Purpose, StreamOpen

#: Room streams of a client, unless the server allows fewer.
LANES: Final = 16
#: Seconds after its last event in which a room is active.
ACTIVE: Final = 60.0


class Lanes:
    """Which rooms have a stream on this connection: those used last. All others are heard on control."""

    def __init__(self, requests: Requests, *, most: int = LANES) -> None:
        self._requests = requests
        self._most = most
        self._lanes: OrderedDict[str, int] = OrderedDict()
        self._heard: dict[str, float] = {}

    def get(self, room: str) -> int | None:
        """The stream of a room, None for control."""
        return self._lanes.get(room)

    def active(self, room: str, now: float, have: int) -> None:
        """Something happened in a room, of which `have` is held; the second time within a minute it gets a stream."""
        before = self._heard.pop(room, None)
        self._heard[room] = now
        if len(self._heard) > 4 * LANES:
            del self._heard[next(iter(self._heard))]
        if room in self._lanes:
            self._lanes.move_to_end(room)
        elif before is not None and now - before < ACTIVE:
            self._open(room, have)

    def rest(self, now: float) -> None:
        """Close the streams of rooms in which nothing has happened lately."""
        for room in [room for room in self._lanes if now - self._heard.get(room, 0.0) >= ACTIVE]:
            self._close(room)

    def leave(self, room: str) -> None:
        """A room is ours no more."""
        self._heard.pop(room, None)
        self._close(room)

    def ended(self, sid: int) -> None:
        """The server closed a stream; its room goes on on control."""
        for room in [room for room, each in self._lanes.items() if each == sid]:
            del self._lanes[room]
            self._requests.driver.finish(sid)

    def _open(self, room: str, have: int) -> None:
        most = min(self._most, self._requests.connection.limits.room_streams)
        if self._requests.version < 2 or most < 1:
            return
        while len(self._lanes) >= most:
            self._close(next(iter(self._lanes)))
        opening = StreamOpen(kind=Purpose.ROOM, room=room, have=have)
        try:
            self._lanes[room] = self._requests.open_stream(opening)
        except (Refused, LinkLost, LocalProtocolError):
            # There is no stream to be had at the moment: control carries it, as before.
            return

    def _close(self, room: str) -> None:
        sid = self._lanes.pop(room, None)
        if sid is not None:
            self._requests.driver.finish(sid)
