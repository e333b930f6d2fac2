"""Room streams: which rooms of one session are pushed on a stream of their own. (spec 03-session)"""

from __future__ import annotations

from quicchat.wire.names import Room


class RoomStreams:
    """Streams by room and rooms by stream."""

    __slots__ = ("_places", "_rooms", "by_room")

    def __init__(self) -> None:
        self.by_room: dict[Room, int] = {}
        self._rooms: dict[int, Room] = {}
        self._places: dict[int, int] = {}

    def open(self, sid: int, room: Room, place: int) -> int | None:
        """From now on, behind that place, a room is pushed here; the stream on which it was before, if any."""
        before = self.leave(room)
        self.by_room[room], self._rooms[sid], self._places[sid] = sid, room, place
        return before

    def close(self, sid: int) -> tuple[Room, int] | None:
        """A stream is over: its room, and the place behind which it was pushed there."""
        room = self._rooms.pop(sid, None)
        if room is None:
            return None
        del self.by_room[room]
        return room, self._places.pop(sid)

    def leave(self, room: Room) -> int | None:
        """A room is pushed on no stream of its own any more; the one that it had."""
        sid = self.by_room.get(room)
        if sid is not None:
            self.close(sid)
        return sid
