"""Rooms: making, entering, leaving and listing them; who is in. (spec 05-rooms)"""

from __future__ import annotations

from enum import IntEnum

from quicchat.wire.fields import COUNT, EPOCH, LINE, ROOM, SEQ, SHORT, USER
from quicchat.wire.registry import BOTH, CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Choice, Tuple, Uint

_ASKED = Via.CONTROL | Via.QUERY
#: Bits of a room's policy: it ends with its last member; who enters needs an invitation.
EPHEMERAL = 1
INVITE_ONLY = 2
#: What is said there is sealed from end to end; once set it stays.
ENCRYPTED = 4


class Rank(IntEnum):
    """What somebody may do in a room, whether he is in or not; MEMBER unless somebody said otherwise."""

    OUTCAST = 0
    VISITOR = 1
    MEMBER = 2
    MODERATOR = 3
    OWNER = 4


@pdu(0x20, "ROOM_CREATE", by=CLIENT, via=Via.CONTROL, section="5.1", since=2)
class Create(Pdu):
    """Makes a room and enters it; answered by ROOM_STATE."""

    room: str = key(1, ROOM, "the new room's name")
    topic: str | None = key(2, LINE, "what it is about", default=None)
    policy: int | None = key(
        3,
        Uint(0xFFFF),
        "bit 0: ends when the last member leaves; bit 1: by invitation only; bit 2: encrypted",
        default=None,
    )


@pdu(0x21, "ROOM_JOIN", by=CLIENT, via=Via.CONTROL, section="5.2", since=2)
class Join(Pdu):
    """Enters a room; answered by ROOM_STATE."""

    room: str = key(1, ROOM, "which room")
    create: bool | None = key(2, Bool(), "make it where it does not exist", default=None)
    secret: str | None = key(3, SHORT, "of a room that asks for one", default=None)
    policy: int | None = key(4, Uint(0xFFFF), "of the room that `create` makes", default=None)
    member: bool | None = key(5, Bool(), "only for who is in already: nobody enters", default=None)


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
    unread: int | None = key(8, COUNT, "events after that, as 6.4-6 counts", default=None)
    mentions: int | None = key(9, COUNT, "of which name the user", default=None)
    members: int | None = key(10, COUNT, "how many are in", default=None)
    policy: int | None = key(11, Uint(0xFFFF), "as in ROOM_CREATE", default=None)
    rank: Rank | None = key(12, Choice(Rank), "the user's own", default=None)


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
    members: tuple[tuple[str, bool, Rank], ...] = key(
        2, Array(Tuple((USER, Bool(), Choice(Rank))), 200), "[user, whether online, 0 outcast .. 4 owner]"
    )
    more: bool = key(3, Bool(), "whether another page follows")


@pdu(0x28, "ROOM_SET", by=CLIENT, via=Via.CONTROL, section="5.10", since=2)
class SetRoom(Pdu):
    """Changes a room, for moderators; what is absent stays; answered by OK."""

    room: str = key(1, ROOM, "which room")
    topic: str | None = key(2, LINE, "what it is about; recorded as an event", default=None)
    policy: int | None = key(3, Uint(0xFFFF), "as in ROOM_CREATE; for owners", default=None)
    secret: str | None = key(4, SHORT, "to be told in ROOM_JOIN, empty for none; for owners", default=None)


@pdu(0x29, "INVITE", by=BOTH, via=Via.CONTROL, section="5.8", since=2)
class Invite(Pdu):
    """From a client: lets somebody in; answered by OK. From the server: somebody let this user in."""

    room: str = key(1, ROOM, "which room")
    user: str = key(2, USER, "who is invited; from the server: who invites")


@pdu(0x2A, "KICK", by=CLIENT, via=Via.CONTROL, section="5.9", since=2)
class Kick(Pdu):
    """Puts somebody out of a room, and with `ban` for good; recorded; answered by OK."""

    room: str = key(1, ROOM, "which room")
    user: str = key(2, USER, "whom")
    reason: str | None = key(3, LINE, "for everybody to read", default=None)
    ban: bool | None = key(4, Bool(), "he becomes an outcast, in or not", default=None)


@pdu(0x2B, "ROLE", by=CLIENT, via=Via.CONTROL, section="5.9", since=2)
class SetRank(Pdu):
    """Changes what somebody may do in a room; recorded; answered by OK."""

    room: str = key(1, ROOM, "which room")
    user: str = key(2, USER, "whom")
    rank: Rank = key(3, Choice(Rank), "0 outcast, 1 visitor (muted), 2 member, 3 moderator, 4 owner")


@pdu(0x2C, "ROOM_HEAD", by=SERVER, via=Via.CONTROL | Via.ROOM, section="5.6", since=2)
class RoomHead(Pdu):
    """The log has grown to `head`, and the server did not push what lies between: fetch it."""

    room: str = key(1, ROOM, "which room")
    epoch: int = key(2, EPOCH, "of its log")
    head: int = key(3, SEQ, "the last place taken")


ROWS: Rows = tuple(
    stay(
        (State.READY,),
        *(Create, Join, Leave, ListRooms, RoomList, RoomState, ListMembers, MemberList),
        *(SetRoom, Invite, Kick, SetRank, RoomHead),
    )
)
