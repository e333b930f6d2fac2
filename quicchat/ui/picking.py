"""Which file a person means: by its name, by the place of the message that names it, or by both. (spec 12-operation)

photo.jpg    #12    shared/photo.jpg    garden/#12    @bob/photo.jpg    "a udp"    a udp fast
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from quicchat.client.files.archive import SUFFIX
from quicchat.errors import Code, Refused
from quicchat.ui.desk import Desk
from quicchat.ui.figures import size_of
from quicchat.ui.slots import room_name, user_name
from quicchat.ui.visible import visible
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import DIRECTORY
from quicchat.wire.names import Room, User, parties

if TYPE_CHECKING:
    from quicchat.client.files.api import Listed

#: How the folder of the server is called where a room could stand.
SHARED: Final = "shared"
#: How the modes are called; the first ones come from the founding texts.
MODES: Final = {"tcp": Mode.RELIABLE, "udp": Mode.FAST, "reliable": Mode.RELIABLE, "fast": Mode.FAST}

_SEQ: Final = re.compile("#([1-9][0-9]{0,15})")
_QUOTED: Final = re.compile(r'"([^"]+)"(?:\s+(\w+))?')


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found, and in which room; None where the server shares it."""

    room: str | None
    file: Listed

    def typed(self, user: str) -> str:
        """How `user` types it so that it is no other one."""
        if self.room is None:
            return f"{SHARED}/{self.file.name}"
        return f"{place_of(self.room, user)}/#{self.file.seq}"


def place_of(room: str, user: str) -> str:
    """A room as `user` types it."""
    both = parties(Room(room))
    if both is None:
        return room
    # One may send files to oneself.
    return f"@{next(iter(both - {User(user)}), user)}"


def typed_name(name: str, media_type: str = "") -> str:
    """A file's name as it is to be typed: in quotes where it could be taken for something else; empty if it cannot."""
    if media_type == DIRECTORY:
        name = name.removesuffix(SUFFIX)
    if not name or visible(name) != name or '"' in name or name != name.strip():
        return ""
    last = name.rsplit(None, 1)[-1].lower()
    if "/" in name or name.startswith(("#", "@")) or (" " in name and last in MODES):
        return f'"{name}"'
    return name


async def pick(desk: Desk, typed: str) -> tuple[list[Found], Mode | None]:
    """The files that are meant, and how they are to come if that was said. Raises Refused where it is not clear.

    The longest name that exists wins, so a file called `a udp` can be had.
    """
    rooms, what, is_placed = _placed(desk, typed)
    rows = await _rows(desk, rooms)
    readings = _readings(what)
    for name, mode, is_quoted in readings:
        if not is_quoted and (seq := _SEQ.fullmatch(name)) is not None:
            here = [each for each in rows if each.room is not None and each.file.seq == int(seq[1])]
            if here:
                return here, mode
    if not is_placed:
        rows += await _rows(desk, _announced(desk, [name for name, *_ in readings], rooms))
    for name, mode, _ in readings:
        if same := [each for each in rows if _is_called(each.file, name)]:
            return [_only(desk, same)], mode
    name = readings[0][0]
    near = get_close_matches(name, [each.file.name for each in rows], 1)
    hint = f"did you mean {near[0]}?" if near else "the list of files tells what there is"
    raise Refused(Code.NO_SUCH_FILE, f"There is no file {name} here; {hint}")


def _placed(desk: Desk, typed: str) -> tuple[list[str | None], str, bool]:
    """Where to look, for what, and whether the place was said. Names have no slash."""
    place, slash, what = typed.strip().removesuffix("/").partition("/")
    if typed.startswith('"') or not slash:
        return [*([desk.room] if desk.room else []), None], typed.strip().removesuffix("/"), False
    return [room_of(desk, place)], what.strip(), True


def room_of(desk: Desk, place: str) -> str | None:
    """The room that a word names; None for what the server shares. Raises Refused."""
    if place.lower() == SHARED:
        return None
    try:
        return desk.log(f"@{user_name(place)}" if place.startswith("@") else room_name(place))
    except ValueError as error:
        raise Refused(Code.SCHEMA, str(error)) from None


async def _rows(desk: Desk, rooms: Sequence[str | None]) -> list[Found]:
    return [Found(room, file) for room in rooms for file in await desk.chat.files.listed(room)]


def _readings(what: str) -> list[tuple[str, Mode | None, bool]]:
    """What was typed as [name, mode, whether the name was in quotes], the longest name first."""
    if (quoted := _QUOTED.fullmatch(what)) is not None and (quoted[2] or "tcp").lower() in MODES:
        return [(quoted[1], MODES.get((quoted[2] or "").lower()), True)]
    name, _, last = what.rpartition(" ")
    shorter = [(name.strip(), MODES[last.lower()], False)] if name.strip() and last.lower() in MODES else []
    return [(what, None, False), *shorter]


def _announced(desk: Desk, names: Sequence[str], known: Sequence[str | None]) -> Sequence[str | None]:
    """The other rooms in which such a file was announced since we came."""
    known_as = [*names, *(name.rstrip("/") + SUFFIX for name in names)]
    rooms = {room for name in known_as for room in desk.announced.get(name, ())}
    return sorted(room for room in rooms if room not in known)


def _is_called(file: Listed, name: str) -> bool:
    """A directory is called by its own name, too, and not only by that of its archive."""
    return file.name == name or (file.media_type == DIRECTORY and file.name == name.rstrip("/") + SUFFIX)


def _only(desk: Desk, found: Sequence[Found]) -> Found:
    """The one that is meant. Several with the same content are one, and of one sender the newest. Raises Refused."""
    contents = {each.file.file or each.typed("") for each in found}
    if len(contents) == 1 or len({(each.room, each.file.sender) for each in found}) == 1:
        return found[0]
    user = desk.chat.state.user
    ways = (
        f"/get {each.typed(user)} ({size_of(each.file.size)}" + (f", {each.file.sender})" if each.file.sender else ")")
        for each in found
    )
    raise Refused(Code.SCHEMA, f"{len(found)} files are called {found[0].file.name}: {'; '.join(ways)}")
