"""What of a keyring a backup holds: rows that go in, and come back where they tell more. (spec 15-keys)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from quicchat.client.e2ee.faults import Forged
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.ratchet import Session
from quicchat.client.e2ee.sessions import name_of
from quicchat.errors import RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire import sealed
from quicchat.wire.chapters.keys import PART
from quicchat.wire.sealed import BackupPart, FileKey, SessionKey

VERSION: Final = 1
#: Bytes that encrypting adds to a part, at most, and what is not rows in it.
_AROUND: Final = 512
#: Rows of one sort in a part.
_ROWS: Final = 1_024
#: Rows that are worked on before everything else has its turn.
_AT_ONCE: Final = 16
_FILE_NAME: Final = 32


@dataclass(frozen=True, slots=True)
class Row:
    """A session, by its name in the keyring and the first index that it opens; or a file, by its id, and 0."""

    name: bytes
    index: int
    data: bytes
    opener: SessionKey | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes in a part."""
        return len(self.data) + 3


async def rows_in(part: BackupPart) -> list[Row]:
    """The rows of a part; what is no row is passed over."""
    found: list[Row] = []
    for at, data in enumerate((*part.sessions, *(part.files or ()))):
        if at % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if at >= len(part.sessions):
            if (file := _file(data)) is not None:
                found.append(Row(file.file, 0, data))
        elif (opener := _session(data)) is not None:
            found.append(Row(name_of(opener), opener.index, data, opener))
    return found


def part_of(account: str, now: int, rows: Iterable[Row]) -> BackupPart:
    """A part with these rows, made at `now` (Unix ms)."""
    rows = list(rows)
    files = tuple(each.data for each in rows if len(each.name) == _FILE_NAME)
    sessions = tuple(each.data for each in rows if len(each.name) != _FILE_NAME)
    return BackupPart(version=VERSION, account=account, time=now, sessions=sessions, files=files or None)


def filled(rows: Iterable[Row], begun: Sequence[Row] = ()) -> Iterator[list[Row]]:
    """Rows by the parts that hold them; the first one goes on with what was `begun`."""
    part, size = list(begun), sum(each.size for each in begun)
    is_new = False
    for row in rows:
        if size + row.size > PART - _AROUND or len(part) >= _ROWS:
            if is_new:
                yield part
            part, size = [], 0
        part.append(row)
        size += row.size
        is_new = True
    if is_new:
        yield part


def has_room(rows: Sequence[Row]) -> bool:
    """Whether another row fits."""
    return sum(each.size for each in rows) + 512 <= PART - _AROUND and len(rows) < _ROWS


#: Keeps the key of a session where it opens more than what is here; whether it did. Raises Forged.
Add = Callable[[SessionKey], bool]


class Chest:
    """The rows of a keyring. What it has worked out of a session it need not work out again until that changes.

    `add` is that of whoever has sessions of this keyring in his hands.
    """

    def __init__(self, keyring: Keyring, add: Add | None = None) -> None:
        self._keyring = keyring
        self._add = add or self._widen
        self._indexes: dict[bytes, tuple[bytes, int]] = {}

    async def missing(self, kept: Mapping[bytes, int]) -> AsyncIterator[Row]:
        """Rows that are not `kept` anywhere, or open less there: [name: first index]."""
        turn = 0
        for drawer in (Drawer.SESSION, Drawer.FILE):
            for name, value in self._keyring.all(drawer):
                if kept.get(name) == 0 or self._index(name, value) >= kept.get(name, 2**32):
                    continue
                turn += 1
                if turn % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                if (row := _row(drawer, name, value)) is not None:
                    yield row

    def take(self, rows: Sequence[Row]) -> frozenset[str]:
        """Keep what opens more than is known here; conversations of which more can be read now."""
        gained: set[str] = set()
        for row in rows:
            if len(row.name) == _FILE_NAME:
                if self._keyring.get(Drawer.FILE, row.name) is None:
                    self._keyring.put(Drawer.FILE, row.name, row.data)
            elif (opener := row.opener) is not None and self._added(opener):
                gained.add(opener.conversation)
        return frozenset(gained)

    def _added(self, opener: SessionKey) -> bool:
        try:
            return self._add(opener)
        except (Forged, RemoteProtocolError):
            return False

    def _widen(self, opener: SessionKey) -> bool:
        name = name_of(opener)
        value = self._keyring.get(Drawer.SESSION, name)
        before = Session.unpack(value) if value is not None else None
        session = before.widened(opener) if before is not None else Session.of(opener)
        if session is before:
            return False
        self._keyring.put(Drawer.SESSION, name, session.pack())
        return True

    def _index(self, name: bytes, value: bytes) -> int:
        """The first index that a session opens; of a file, 0."""
        if len(name) == _FILE_NAME:
            return 0
        known = self._indexes.get(name)
        if known is None or known[0] is not value:
            try:
                known = value, Session.unpack(value).key.index
            except RemoteProtocolError:
                known = value, 2**32
            self._indexes[name] = known
        return known[1]


async def slices(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    """A few rows at a time, so that everything else has its turn between them."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
        await asyncio.sleep(0)


def _row(drawer: Drawer, name: bytes, value: bytes) -> Row | None:
    if drawer is Drawer.FILE:
        return Row(name, 0, value) if _file(value) is not None else None
    try:
        opener = Session.unpack(value).key
    except RemoteProtocolError:
        return None
    return Row(name, opener.index, sealed.packed(opener), opener)


def _session(data: bytes) -> SessionKey | None:
    try:
        return sealed.unpacked(SessionKey, data)
    except RemoteProtocolError:
        return None


def _file(data: bytes) -> FileKey | None:
    try:
        return sealed.unpacked(FileKey, data)
    except RemoteProtocolError:
        return None
