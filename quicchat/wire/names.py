"""Names and identifiers: who and where, how they are written, and what a room's name tells. (spec 05-rooms)"""

from __future__ import annotations

from typing import Final, NewType

User = NewType("User", str)
Room = NewType("Room", str)
Device = NewType("Device", bytes)

#: Accounts and rooms that people make: lower-case ASCII, so that no two names look alike.
USER_PATTERN: Final = "[a-z0-9_-]{1,32}"
ROOM_NAME_PATTERN: Final = "[a-z0-9_-]{1,64}"
#: Any room: one that people make, a direct message (`@a,b`, names ascending), or the announcements.
ROOM_PATTERN: Final = rf"{ROOM_NAME_PATTERN}|@{USER_PATTERN},{USER_PATTERN}|\*"

#: A file: no directory, nothing hidden, nothing that some program may decode to one.
FILE_PATTERN: Final = r"[^./\\%\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*"

GENERAL: Final = Room("general")
ANNOUNCEMENTS: Final = Room("*")
#: The built-in user who sends back whatever he is sent (R3.1).
PARROT: Final = User("echo")


def direct(one: User, other: User) -> Room:
    """The room of a direct message between two users; the same whoever asks."""
    first, second = sorted((one, other))
    return Room(f"@{first},{second}")


def parties(room: Room) -> frozenset[User] | None:
    """The two users of a direct-message room, or None for every other room."""
    if not room.startswith("@"):
        return None
    return frozenset(User(name) for name in room[1:].split(","))
