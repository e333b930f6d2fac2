"""Names of files on this machine: what somebody else calls his file never says where it goes. (spec 14-files)"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: What a file is called whose name says nothing.
NAMELESS: Final = "file"
#: Bytes of a name, so that ` (99).part.map` still fits behind it.
_LONGEST: Final = 200
#: Bytes of an ending that stays where the rest of a name is cut.
_ENDING: Final = 20
#: Separators and drives, what Windows does not take, what ends a line, and what turns the direction of writing.
_FORBIDDEN: Final = re.compile(
    '[/\\\\:<>"|?*\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]'
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#: Devices, for Windows, whatever ending they have.
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\s*\..*)?", re.IGNORECASE)


def safe(name: str) -> str:
    """The name under which a file may be kept in a directory here, on every platform; nothing else decides where."""
    name = _SURROGATES.sub("_", unicodedata.normalize("NFC", _SURROGATES.sub("_", name)))
    name = _FORBIDDEN.sub("_", name)
    # Hidden here and climbing out there; and Windows drops what a name ends with.
    name = re.sub(r"^[\s.]*\.", lambda found: "_" * len(found[0]), name.strip()).rstrip(" .")
    if not name.strip("_ "):
        return NAMELESS
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    return _cut(name)


def numbered(name: str, number: int) -> str:
    """`photo.jpg`, `photo (1).jpg`, `photo (2).jpg`: what it is called where the name is taken."""
    if number == 0:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem} ({number}).{ending}" if dot and stem else f"{name} ({number})"


def offered(name: str) -> str:
    """What a file of ours is called for others: as here, but for what the protocol lets nobody say."""
    name = safe(name)
    return f"_{name[1:]}" if name.startswith("%") else name


def _cut(name: str) -> str:
    """At most so many bytes, with the ending where it is one."""
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > _ENDING:
        stem, ending = name, ""
    tail = f".{ending}" if ending else ""
    room = _LONGEST - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + tail
