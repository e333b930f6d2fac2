"""Field types that several chapters share, named once. (spec 02-framing)"""

from __future__ import annotations

from typing import Final

from quicchat.wire.names import FILE_PATTERN, ROOM_PATTERN, USER_PATTERN
from quicchat.wire.types import Array, Bytes, Text, Uint

USER: Final = Text(32, 1, USER_PATTERN, example="alice")
ROOM: Final = Text(72, 1, ROOM_PATTERN, example="general")
CID: Final = Bytes(16, 16)
DEVICE: Final = Bytes(16, 16)
#: Places in a room's log count from 1; 0 means before the first.
SEQ: Final = Uint(2**53)
EPOCH: Final = Uint(2**32 - 1, 1)
MILLISECONDS: Final = Uint(2**53)
SHORT: Final = Text(64)
LINE: Final = Text(512)
BODY: Final = Text(32_768)
USERS: Final = Array(USER, 64)
COUNT: Final = Uint(2**32 - 1)
#: A file's name, and that of something attached, which needs none.
FILE_NAME: Final = Text(255, 1, FILE_PATTERN, example="minutes.txt")
ATTACHED_NAME: Final = Text(255, 0, f"({FILE_PATTERN})?", example="photo.jpg")
#: A file's id (wire/leaves.py), and how many bytes it may have or a part of it.
FILE: Final = Bytes(32, 32)
FILE_SIZE: Final = Uint(2**40)
