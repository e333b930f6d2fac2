"""Mutants of sections 5.9 and 5.10: ranks, putting out, topic, policy and key."""

from __future__ import annotations

from quicchat.server import model
from quicchat.server.adapters.store_memory import rooms as memory
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.rooms import MemoryRooms
from quicchat.server.router import Router
from quicchat.server.services.rooms import RoomService
from tests.mutants.source import faulty

faulty(
    "5.2-9/stale",
    "ROOM_STATE tells a member the rank that he had when he came.",
    *(MemoryRooms, "info"),
    ("rank=found.rank(user)", "rank=found.rank(user) if found.rank(user) is Rank.OWNER else Rank.MEMBER"),
)
faulty(
    "5.9-1/anybody-sets-the-topic",
    "Members set the topic.",
    *(MemoryRooms, "change"),
    ("Rank.OWNER if inner else Rank.MODERATOR", "Rank.OWNER if inner else Rank.MEMBER"),
    kills="5.9-1/who-ranks-too-low",
)
faulty(
    "5.9-1/anybody-puts-out",
    "Members put out whoever ranks below them, and visitors are put out by members.",
    *(MemoryRooms, "kick"),
    ("standing < Rank.MODERATOR or ", ""),
    ("self._check_touched(found, user, by, standing)", "self._check_touched(found, user, by, standing + 1)"),
    kills="5.9-1/who-ranks-too-low",
)
faulty(
    "5.9-1/equals-too",
    "Who ranks as high as somebody may put him out and rank him.",
    *(MemoryRooms, "_check_touched"),
    ("found.rank(user) >= standing", "found.rank(user) > standing"),
    ("user == by or ", ""),
    kills="5.9-1/who-ranks-too-low",
)
faulty(
    "5.9-1/moderators-make-moderators",
    "Moderators give any rank that is not above their own.",
    *(MemoryRooms, "set_rank"),
    ("rank <= Rank.MEMBER", "rank <= Rank.MODERATOR"),
    kills="5.9-1/who-ranks-too-low",
)
faulty(
    "5.9-1/owners-alone",
    "Only owners put out, rank and set the topic.",
    *(MemoryRooms, "_governed"),
    (
        "OPERATOR if operator else found.rank(by)",
        "OPERATOR if operator else min(found.rank(by), Rank.MEMBER if found.rank(by) < Rank.OWNER else Rank.OWNER)",
    ),
    kills="5.9-1/what-moderators-may",
)
faulty(
    "5.9-1/tells-who-is-not-in",
    "Who is not in a room is told FORBIDDEN where it exists.",
    *(MemoryRooms, "_governed"),
    (
        "raise Refused(Code.NO_SUCH_ROOM)",
        "raise Refused(Code.NO_SUCH_ROOM if found is None or found.ended else Code.FORBIDDEN)",
    ),
    kills="5.9-1/who-is-not-in",
)
faulty(
    "5.9-1/every-room-has-ranks",
    "Who ranks a member of direct messages or announcements is told that there is no such room.",
    *(model, "is_governed"),
    ('room != ANNOUNCEMENTS and not room.startswith("@")', "True"),
    kills="5.9-1/rooms-without-ranks",
)
faulty(
    "5.9-2/by-nobody",
    "It is not told who put somebody out.",
    *(MemoryRooms, "kick"),
    ("expulsion(by, user, reason), by)", "expulsion(by, user, reason))"),
)
faulty(
    "5.9-2/not-told-to-him",
    "Who is put out is not told.",
    *(Router, "_deliver"),
    (
        "if listener.id == effect.but:",
        "if listener.id == effect.but or (event and event.by and self._users[listener] == event.sender):",
    ),
)
faulty(
    "5.9-2/by-himself",
    "The LEAVE of who is put out is that of who did it.",
    *(MemoryRooms, "_depart"),
    ("Kind.LEAVE, room, user", "Kind.LEAVE, room, by or user"),
)
faulty(
    "5.9-3/without-a-role",
    "A ban is told by a LEAVE alone.",
    *(MemoryRooms, "kick"),
    ("events.append(self._ranked(room, by, user, Rank.OUTCAST, cid, at))", "pass"),
    kills="5.9-3/banned 5.9-3/rank-0-is-a-ban",
)
faulty(
    "5.9-3/the-other-way-round",
    "A ban is told by the LEAVE first.",
    *(MemoryRooms, "kick"),
    (
        "    if ban and",
        "    if inside:\n"
        "        events.append(self._depart(room, user, cid, at, expulsion(by, user, reason), by))\n"
        "    if ban and",
    ),
    ("        events.append(self._ranked", "        inside = False\n        events.append(self._ranked"),
    kills="5.9-3/banned 5.9-3/rank-0-is-a-ban",
)
faulty(
    "5.9-3/rank-0-stays",
    "Who is given rank 0 stays in the room.",
    *(RoomService, "rank"),
    ("pdu.rank is Rank.OUTCAST", "False"),
    kills="5.9-3/rank-0-is-a-ban",
)
faulty(
    "5.9-3/not-kept",
    "A ban only puts out.",
    *(MemoryRooms, "kick"),
    ("found.ranks[user] = Rank.OUTCAST", "pass"),
    kills="5.9-3/banned 5.9-3/rank-0-is-a-ban",
)
faulty(
    "5.9-3/the-invitation-stays",
    "An invitation outlives a ban.",
    *(MemoryRooms, "kick"),
    ("found.invited.pop(user, None)", "pass"),
    kills="5.9-3/a-ban-voids-an-invitation",
)
faulty(
    "5.9-4/of-nobody",
    "A ROLE event does not name who is ranked.",
    *(MemoryRooms, "_ranked"),
    ("mentions=(user,), ", ""),
)
faulty(
    "5.9-4/recorded-again",
    "A rank that somebody has is recorded again.",
    *(MemoryRooms, "set_rank"),
    ("if found.rank(user) is rank:\n        return None", ""),
)
faulty(
    "5.9-5/visitors-speak",
    "Visitors may post.",
    *(MemoryLog, "append"),
    ("found.rank(sender) < Rank.MEMBER", "found.rank(sender) < Rank.VISITOR"),
)
faulty(
    "5.9-5/another-code",
    "Visitors who post are told that they are not in the room.",
    *(MemoryLog, "append"),
    ("not operator:\n        raise Refused(Code.FORBIDDEN)", "not operator:\n        raise Refused(Code.NOT_MEMBER)"),
)
faulty(
    "5.9-6/forgotten",
    "Who leaves loses his rank.",
    *(MemoryRooms, "leave"),
    ("return self._depart(", "state.rooms[room].ranks.pop(user, None)\n    return self._depart("),
)
faulty(
    "5.9-7/put-out-of-general",
    "The operator of no server is needed to put somebody out of general.",
    *(MemoryRooms, "kick"),
    ("standing < Rank.MODERATOR or is_standing(room)", "standing < Rank.MODERATOR and not is_standing(room)"),
    ("self._check_touched(found, user, by, standing)", "self._check_touched(found, user, by, OPERATOR)"),
)
faulty(
    "5.9-7/another-code",
    "Who puts somebody out of general is told that he is not in it.",
    *(MemoryRooms, "kick"),
    (
        "is_standing(room):\n        raise Refused(Code.FORBIDDEN)",
        "is_standing(room):\n        raise Refused(Code.NO_SUCH_USER)",
    ),
)
faulty(
    "5.10-1/not-recorded",
    "A topic is set, and in no log.",
    *(MemoryRooms, "change"),
    ("told = state.record(Kind.TOPIC, room, by, cid, at, found.topic, **facts)", ""),
)
faulty(
    "5.10-1/recorded-again",
    "A topic that is there already is recorded again.",
    *(MemoryRooms, "change"),
    ("topic not in (None, found.topic)", "topic is not None"),
)
faulty(
    "5.10-2/moderators-too",
    "Moderators set policy and key.",
    *(MemoryRooms, "change"),
    ("Rank.OWNER if inner else Rank.MODERATOR", "Rank.MODERATOR"),
)
faulty(
    "5.10-2/policy-lost",
    "A policy is acknowledged and not kept.",
    *(MemoryRooms, "change"),
    ("found.policy = policy", "pass"),
)
faulty(
    "5.10-2/general-too",
    "Whoever is in general may hide it or give it a key.",
    *(MemoryRooms, "change"),
    (
        "standing < (Rank.OWNER if inner else Rank.MODERATOR) or (inner and is_standing(room))",
        "standing < (Rank.OWNER if inner else Rank.MODERATOR) and not is_standing(room)",
    ),
    (
        "if policy is not None:\n        found.policy = policy",
        "if policy is not None and not is_standing(room):\n        found.policy = policy",
    ),
    (
        "if secret is not None:\n        found.secret",
        "if secret is not None and not is_standing(room):\n        found.secret",
    ),
)
faulty(
    "5.10-3/ok-first",
    "A topic or rank is acknowledged before it is told.",
    *(RoomService, "rank"),
    ("[_told(stored), Reply(Ok())] if", "[Reply(Ok()), _told(stored)] if"),
)
faulty(
    "5.10-3/not-to-who-asks",
    "Who sets a topic is not told of it.",
    *(RoomService, "change"),
    ("[_told(stored), Reply(Ok())]", "[_told(stored, but=actor.session), Reply(Ok())]"),
)
faulty(
    "5.10-3/out-after-ok",
    "Who is put out is told after the OK.",
    *(RoomService, "_put_out"),
    ("[*map(_told, events), Reply(Ok())]", "[Reply(Ok()), *map(_told, events)]"),
)
faulty(
    "5.10-4/not-for-good",
    "A room may be encrypted no more.",
    *(memory, "check_policy"),
    ("before & ENCRYPTED and not after & ENCRYPTED", "False"),
)
faulty(
    "5.10-5/not-recorded",
    "That a room is encrypted now is in no log.",
    *(memory, "encrypts"),
    ("after is not None and bool(after & ~before & ENCRYPTED)", "False"),
)
faulty(
    "5.10-5/without-the-policy",
    "The event that encrypts a room does not say so.",
    *(MemoryRooms, "change"),
    ('{"policy": policy} if encrypted else {}', "{}"),
)
