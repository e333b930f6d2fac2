"""Mutants of sections 5.4 to 5.8: lists of rooms and members, direct messages, invitations."""

from __future__ import annotations

from quicchat.server.adapters.store_memory import rooms as memory
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.rooms import MemoryRooms
from quicchat.server.adapters.store_memory.state import State
from quicchat.server.services.rooms import RoomService
from tests.mutants.source import faulty

faulty(
    "5.4-1/as-they-came",
    "Rooms are listed in the order in which they were made.",
    *(MemoryRooms, "listed"),
    ("sorted(self._state.rooms.items())", "self._state.rooms.items()"),
)
faulty(
    "5.4-1/with-the-last",
    "A page of rooms begins with the one that it is to follow.",
    *(MemoryRooms, "listed"),
    ("name > (after", "name >= (after"),
    kills="5.4-1/rooms-in-order",
)
faulty(
    "5.4-1/no-more",
    "It is never said that there are more rooms.",
    *(RoomService, "listed"),
    ("more=len(found) > len(rows)", "more=False"),
    kills="5.4-1/rooms-in-order",
)
faulty(
    "5.4-1/nobody-is-in",
    "It is not said which rooms one is in.",
    *(MemoryRooms, "listed"),
    ("joined=user in room.seats", "joined=False"),
    kills="5.4-1/rooms-in-order",
)
faulty(
    "5.4-1/direct-messages-too",
    "Direct messages and announcements stand in the list of rooms.",
    *(MemoryRooms, "listed"),
    ("is_governed(name) and ", ""),
    kills="5.4-1/what-is-not-listed",
)
faulty(
    "5.4-2/hidden-from-nobody",
    "Hidden rooms are listed to strangers.",
    *(memory, "_shows"),
    ("not room.policy & INVITE_ONLY", "True"),
)
faulty(
    "5.4-2/hidden-from-the-invited",
    "Hidden rooms are not listed to who is invited.",
    *(memory, "_shows"),
    ("user in room.invited", "False"),
)
faulty(
    "5.5-1/as-they-came",
    "Members are listed in the order in which they came.",
    *(MemoryRooms, "members"),
    ("sorted(found.seats)", "found.seats"),
    kills="5.5-1/members-in-order",
)
faulty(
    "5.5-1/always-more",
    "It is always said that there are more members.",
    *(RoomService, "members"),
    ("more=len(found) > limit", "more=True"),
    kills="5.5-1/members-in-order",
)
faulty(
    "5.5-1/for-anybody",
    "Anybody may ask who is in a room.",
    *(MemoryRooms, "members"),
    ("self._seen(room, user)", "self._state.rooms.get(room) or self._seen(room, user)"),
    kills="5.5-1/members-are-for-members",
)
faulty(
    "5.5-2/all-are-equal",
    "The ranks of members are not told.",
    *(MemoryRooms, "members"),
    ("name: found.rank(name)", "name: Rank.MEMBER"),
)
faulty(
    "5.7-1/any-order",
    "Direct messages have two rooms, by who began.",
    *(State, "_unopened"),
    ("names != sorted(names) or ", ""),
)
faulty(
    "5.7-1/read-by-all",
    "A third one may read the direct messages of two.",
    *(MemoryLog, "page"),
    (
        "self._state.room_of(room, user)",
        "self._state.rooms.get(room) if room[0] == '@' else self._state.room_of(room, user)",
    ),
)

# Invitations

faulty(
    "5.8-1/of-nobody",
    "Somebody who does not exist may be invited.",
    *(MemoryRooms, "invite"),
    ("user not in self._state.accounts", "False"),
)
faulty(
    "5.8-1/by-members",
    "Members invite to rooms for the invited.",
    *(MemoryRooms, "invite"),
    ("Rank.MODERATOR if found.policy & INVITE_ONLY else Rank.MEMBER", "Rank.MEMBER"),
)
faulty(
    "5.8-1/by-moderators",
    "Members invite nobody, be a room hidden or not.",
    *(MemoryRooms, "invite"),
    ("Rank.MODERATOR if found.policy & INVITE_ONLY else Rank.MEMBER", "Rank.MODERATOR"),
)
faulty(
    "5.8-1/outcasts-too",
    "Who was banned may be invited.",
    *(MemoryRooms, "invite"),
    ("found.rank(user) == Rank.OUTCAST", "False"),
)
faulty(
    "5.8-2/not-told",
    "Nobody is told that he is invited before he logs in again.",
    *(RoomService, "invite"),
    (", Deliver(Invite(room=room, user=actor.name), OfUsers(frozenset({user})))", ""),
)
faulty(
    "5.8-2/not-kept",
    "Invitations are told once, and to nobody who comes later.",
    *(RoomService, "arrived"),
    ("actor.version == 1", "True"),
)
faulty(
    "5.8-2/never-used-up",
    "An invitation that was used is told again.",
    *(MemoryRooms, "join"),
    ("found.invited.pop(user, None)", ""),
)
faulty(
    "5.8-3/told-again",
    "An invitation that is there already is told again.",
    *(MemoryRooms, "invite"),
    (" or user in found.invited", ""),
)
faulty(
    "5.8-3/members-too",
    "A member is told that he is invited.",
    *(MemoryRooms, "invite"),
    ("user in found.seats or ", ""),
)
faulty(
    "5.8-4/not-declined",
    "An invitation that was declined is there.",
    *(MemoryRooms, "leave"),
    ("invited.pop(user, None)", "invited.get(user)"),
)
faulty(
    "5.8-4/not-possible",
    "Only members leave a room, whoever else is invited.",
    *(MemoryRooms, "leave"),
    ("room in state.rooms and", "False and"),
)
