"""Mutants of sections 5.1 to 5.3: rooms that people make, enter and leave."""

from __future__ import annotations

from quicchat.server.adapters.store_memory import rooms as memory
from quicchat.server.adapters.store_memory import state
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.rooms import MemoryRooms
from quicchat.server.adapters.store_memory.state import Place, State
from quicchat.server.router import Router
from quicchat.server.services import rooms
from quicchat.server.services.rooms import RoomService
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

# Making

faulty(
    "5.1-1/enters-instead",
    "Who makes a room that exists enters it.",
    *(MemoryRooms, "create"),
    ("raise Refused(Code.ROOM_EXISTS)", "return await self.join(room, by, cid=cid, at=at)"),
)
faulty(
    "5.1-2/topic-lost",
    "The topic of a new room is lost.",
    *(RoomService, "create"),
    ('pdu.topic or ""', '""'),
)
faulty(
    "5.1-2/without-an-event",
    "That somebody made a room is in no log.",
    *(MemoryRooms, "create"),
    (
        "state.enter(room, by, cid, at)",
        "state.enter(room, by, cid, at)\n    state.rooms[room].log.clear()\n    state.rooms[room].senders.clear()",
    ),
)
faulty(
    "5.1-3/entered-and-left",
    "Standing rooms and direct messages are entered like others.",
    *(rooms, "_made_by_people"),
    ('model.is_standing(room) or room.startswith("@")', "False"),
)
faulty(
    "5.1-3/left-for-good",
    "Direct messages are left like a room.",
    *(MemoryRooms, "leave"),
    ("if not is_governed(room)", "if False"),
)
faulty(
    "5.1-3/another-code",
    "Who leaves a standing room is told that he is not in it.",
    *(MemoryRooms, "leave"),
    (
        "if is_standing(room):\n        raise Refused(Code.FORBIDDEN)",
        "if is_standing(room):\n        raise Refused(Code.NOT_MEMBER)",
    ),
)
faulty(
    "5.1-4/nobody-owns",
    "Who makes a room is a member like others.",
    *(MemoryRooms, "create"),
    ("ranks={by: Rank.OWNER}", "ranks={}"),
)

# Entering

faulty(
    "5.2-1/made-by-entering",
    "Who enters a room that is not there makes it, asked or not.",
    *(MemoryRooms, "join"),
    ("if make is not None:", "make = make or 0\n        if True:"),
)
faulty(
    "5.2-1/policy-lost",
    "The policy of a room that is made by entering is lost.",
    *(MemoryRooms, "join"),
    ("policy=make", "policy=0"),
)
faulty(
    "5.2-1/another-code",
    "Who enters a room that is not there is told that he is not in it.",
    *(MemoryRooms, "join"),
    (
        "exclusive, cid=cid, at=at)\n        raise Refused(Code.NO_SUCH_ROOM)",
        "exclusive, cid=cid, at=at)\n        raise Refused(Code.NOT_MEMBER)",
    ),
)
faulty(
    "5.2-2/not-told",
    "Nobody is told of a JOIN.",
    *(RoomService, "_entered"),
    ("if entered.stored is None", "if True"),
)
faulty(
    "5.2-2/told-again",
    "A member that enters again is recorded again.",
    *(MemoryRooms, "join"),
    ("stored=None)", "stored=state.record(Kind.JOIN, room, user, cid, at, ''))"),
)
faulty(
    "5.2-3/his-own-join",
    "Who comes in is sent his own JOIN.",
    *(RoomService, "_entered"),
    (", but=actor.session)]", ")]"),
)
faulty(
    "5.2-3/all-is-unread",
    "All that was said before somebody came in is unread for him.",
    *(State, "enter"),
    ("Seat(len(found.log), len(found.log) + 1)", "Seat(len(found.log), 0)"),
)
faulty(
    "5.2-3/not-from-before",
    "Who comes in may not read what was said before.",
    *(MemoryLog, "page"),
    (
        "in islice(places, limit):",
        "in islice(places, limit):\n        if place <= found.seats[user].since:\n            continue",
    ),
)
faulty(
    "5.2-4/since-he-came",
    "What was read is counted as unread.",
    *(Place, "unread_by"),
    ("self.read_by(user) + 1", "self.seats[user].since + 2"),
)


@mutant("5.2-5/as-many-as-he-likes")
def as_many() -> None:
    """A user may be in as many rooms as he likes."""
    swap(state, "ROOMS_EACH", lambda each: 100 * each)


faulty(
    "5.2-6/open-to-outcasts",
    "Who was banned may enter.",
    *(MemoryRooms, "join"),
    ("standing == Rank.OUTCAST", "False"),
)
faulty(
    "5.2-6/another-code",
    "Who was banned is told FORBIDDEN.",
    *(MemoryRooms, "join"),
    ("Code.BANNED", "Code.FORBIDDEN"),
)
faulty(
    "5.2-6/for-ever",
    "A ban cannot be lifted.",
    *(MemoryRooms, "set_rank"),
    ("if found.rank(user) is rank", "if found.rank(user) in (rank, Rank.OUTCAST)"),
)
faulty(
    "5.2-7/any-key",
    "Any key opens a room that has one.",
    *(MemoryRooms, "join"),
    (
        "found.secret is not None and not hmac.compare_digest(found.secret, told)",
        "found.secret is not None and not secret",
    ),
    kills="5.2-7/a-room-with-a-key",
)
faulty(
    "5.2-7/no-key",
    "A key is taken where it is right, and not asked for.",
    *(MemoryRooms, "join"),
    ("if found.secret is not None", "if secret and found.secret is not None"),
    kills="5.2-7/a-room-with-a-key",
)
faulty(
    "5.2-7/the-invited-too",
    "Who is invited needs the key all the same.",
    *(MemoryRooms, "join"),
    (" and user not in found.invited", " and not (user in found.invited and found.policy & INVITE_ONLY)"),
    kills="5.2-7/a-room-with-a-key",
)
faulty(
    "5.2-7/moderators-too",
    "Moderators who come back need key and invitation.",
    *(MemoryRooms, "join"),
    ("standing < Rank.MODERATOR", "standing < Rank.OWNER"),
    kills="5.2-7/moderators-need-no-key",
)
faulty(
    "5.2-8/open-to-all",
    "Anybody may enter a room for the invited.",
    *(MemoryRooms, "join"),
    ("found.policy & INVITE_ONLY", "False"),
)
faulty(
    "5.2-8/seen-by-all",
    "Who is not invited is told that there is a room.",
    *(MemoryRooms, "join"),
    (
        "INVITE_ONLY:\n            raise Refused(Code.NO_SUCH_ROOM)",
        "INVITE_ONLY:\n            raise Refused(Code.NO_SUCH_ROOM, 'You are not invited.')",
    ),
)
faulty(
    "5.2-10/enters",
    "Who only asks enters.",
    *(RoomService, "join"),
    ("member=bool(pdu.member)", "member=False"),
)
faulty(
    "5.2-10/makes",
    "Who only asks makes the room where he says so.",
    *(RoomService, "join"),
    ("member=bool(pdu.member)", "member=bool(pdu.member) and not pdu.create"),
)

# Leaving

faulty(
    "5.3-1/told-apart",
    "Who leaves a room that does not exist is told so.",
    *(MemoryRooms, "leave"),
    ("raise Refused(Code.NOT_MEMBER)", "raise Refused(Code.NOT_MEMBER if room in state.rooms else Code.NO_SUCH_ROOM)"),
)
faulty(
    "5.3-1/nothing-to-say",
    "Who leaves a room that he is not in is answered with OK.",
    *(MemoryRooms, "leave"),
    ("raise Refused(Code.NOT_MEMBER)", "return None"),
)
faulty(
    "5.3-2/not-told",
    "Nobody is told of a LEAVE.",
    *(RoomService, "leave"),
    ("[Reply(Ok()), _told(stored, but=actor.session)]", "[Reply(Ok())]"),
)
faulty(
    "5.3-2/goes-on-hearing",
    "Who has left goes on hearing.",
    *(Router, "_deliver"),
    ("event.kind is Kind.LEAVE:", "event.kind is Kind.LEAVE and False:"),
)
faulty(
    "5.3-2/goes-on-reading",
    "Who has left may read on.",
    *(MemoryLog, "page"),
    ("self._state.room_of(room, user)", "self._state.rooms.get(room)"),
    ("found is None:", "found is None or (user not in found.seats and user not in found.senders):"),
)
faulty(
    "5.3-3/never-ends",
    "A room that vanishes stays when the last one has left.",
    *(memory, "_end_if_empty"),
    ("room.ended = True", ""),
    kills="5.3-3/a-room-that-ends",
)
faulty(
    "5.3-3/one-epoch",
    "A room that is made anew has the epoch of the one before.",
    *(MemoryRooms, "create"),
    ("before.epoch + 1", "before.epoch"),
    kills="5.3-3/a-room-that-ends",
)
faulty(
    "5.3-3/ends-at-once",
    "A room ends as soon as its owner leaves.",
    *(memory, "_end_if_empty"),
    ("not room.seats", "True"),
    kills="5.3-3/a-room-that-ends",
)
faulty(
    "5.3-3/always-ends",
    "Any room ends when the last one has left.",
    *(memory, "_end_if_empty"),
    (" and room.policy & EPHEMERAL", ""),
    kills="5.3-3/a-room-that-stays",
)
