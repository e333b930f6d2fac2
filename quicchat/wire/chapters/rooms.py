"""Rooms: making, entering, leaving and listing them; who is in. (spec 05-rooms)"""

from __future__ import annotations

from quicchat.wire.fields import COUNT, EPOCH, LINE, ROOM, SEQ, SHORT, USER
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Tuple, Uint

_ASKED = Via.CONTROL | Via.QUERY
#: Bits of a room's policy.
EPHEMERAL = 1


@pdu(0x20, "ROOM_CREATE", by=CLIENT, via=Via.CONTROL, section="5.1", since=2)
class Create(Pdu):
    """Makes a room and enters it; answered by ROOM_STATE."""

    room: str = key(1, ROOM, "the new room's name")
    topic: str | None = key(2, LINE, "what it is about", default=None)
    policy: int | None = key(3, Uint(0xFFFF), "bit 0: ends when the last member leaves", default=None)


@pdu(0x21, "ROOM_JOIN", by=CLIENT, via=Via.CONTROL, section="5.2", since=2)
class Join(Pdu):
    """Enters a room; answered by ROOM_STATE."""

    room: str = key(1, ROOM, "which room")
    create: bool | None = key(2, Bool(), "make it where it does not exist", default=None)
    secret: str | None = key(3, SHORT, "of a room that asks for one", default=None)
    policy: int | None = key(4, Uint(0xFFFF), "of the room that `create` makes", default=None)


@pdu(0x22, "ROOM_LEAVE", by=CLIENT, via=Via.CONTROL, section="5.3", since=2)
class Leave(Pdu):
    """Leaves a room; answered by OK."""

    room: str = key(1, ROOM, "which room")


@pdu(0x23, "ROOM_LIST", by=CLIENT, via=_ASKED, section="5.4", since=2)
class ListRooms(Pdu):
    """Asks for the rooms one can see, in the order of their names; answered by ROOM_LIST_R."""

    after: str | None = key(1, ROOM, "the last name of the page before", default=None)
    limit: int | None = key(2, Uint(200, 1), "rooms to a page", default=None)


@pdu(0x24, "ROOM_LIST_R", by=SERVER, via=_ASKED, section="5.4", since=2)
class RoomList(Pdu):
    """A page of rooms."""

    rooms: tuple[tuple[str, int, str, bool], ...] = key(
        1, Array(Tuple((ROOM, COUNT, LINE, Bool())), 200), "[room, members, topic, whether you are in]"
    )
    more: bool = key(2, Bool(), "whether another page follows")


@pdu(0x25, "ROOM_STATE", by=SERVER, via=Via.CONTROL | Via.ROOM, section="5.2", since=2)
class RoomState(Pdu):
    """A room as its new member finds it."""

    room: str = key(1, ROOM, "which room")
    topic: str | None = key(3, LINE, "what it is about", default=None)
    epoch: int = key(4, EPOCH, "of its log")
    first: int = key(5, SEQ, "the first place still kept")
    head: int = key(6, SEQ, "the last place taken")
    read: int | None = key(7, SEQ, "how far the user has read", default=None)
    unread: int | None = key(8, COUNT, "messages after that", default=None)
    mentions: int | None = key(9, COUNT, "of which name the user", default=None)
    members: int | None = key(10, COUNT, "how many are in", default=None)
    policy: int | None = key(11, Uint(0xFFFF), "as in ROOM_CREATE", default=None)


@pdu(0x26, "MEMBERS", by=CLIENT, via=_ASKED, section="5.5", since=2)
class ListMembers(Pdu):
    """Asks who is in a room, in the order of the names; answered by MEMBERS_R."""

    room: str = key(1, ROOM, "which room")
    after: str | None = key(2, USER, "the last name of the page before", default=None)
    limit: int | None = key(3, Uint(200, 1), "members to a page", default=None)


@pdu(0x27, "MEMBERS_R", by=SERVER, via=_ASKED, section="5.5", since=2)
class MemberList(Pdu):
    """A page of members."""

    room: str = key(1, ROOM, "which room")
    members: tuple[tuple[str, bool], ...] = key(2, Array(Tuple((USER, Bool())), 200), "[user, whether online]")
    more: bool = key(3, Bool(), "whether another page follows")


@pdu(0x2C, "ROOM_HEAD", by=SERVER, via=Via.CONTROL | Via.ROOM, section="5.6", since=2)
class RoomHead(Pdu):
    """The log has grown to `head`, and the server did not push what lies between: fetch it."""

    room: str = key(1, ROOM, "which room")
    epoch: int = key(2, EPOCH, "of its log")
    head: int = key(3, SEQ, "the last place taken")


ROWS: Rows = tuple(
    stay((State.READY,), Create, Join, Leave, ListRooms, RoomList, RoomState, ListMembers, MemberList, RoomHead)
)
