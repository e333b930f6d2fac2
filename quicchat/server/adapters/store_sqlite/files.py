"""What is known of files, in SQLite. (spec 14-files)"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_sqlite.attachments import CHOSEN, NAMED
from quicchat.server.adapters.store_sqlite.members import check_direct, is_account, place
from quicchat.server.adapters.store_sqlite.ranks import check_voice
from quicchat.server.model import ABANDONED, Quota, Shared, Upload
from quicchat.server.rules import check_cut
from quicchat.sqlite.reader import Reader
from quicchat.sqlite.writer import Writer
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.messages import WHOLE
from quicchat.wire.names import Room, User

_OWN: Final = """
    SELECT blob.file, blob.size, blob.chunk, blob.whole, blob.place FROM upload JOIN blob ON blob.place = upload.place
    WHERE upload.user = ? AND upload.file = ?"""
_LISTED: Final = """
    SELECT attachment.seq, attachment.name, attachment.modified, attachment.media_type,
        blob.size, blob.file, blob.whole, event.sender
    FROM attachment CROSS JOIN blob ON blob.place = attachment.place
    CROSS JOIN event ON event.room = attachment.room AND event.epoch = attachment.epoch AND event.seq = attachment.seq
    WHERE attachment.room = ? AND attachment.epoch = ? AND attachment.seq < ? AND attachment.media_type <> ?
    ORDER BY attachment.seq DESC, attachment.number"""
_UNUSED: Final = f"blob.at < ? AND (NOT EXISTS ({NAMED}) OR blob.whole = 0 AND blob.at < ?)"
_KEPT: Final = """
    SELECT count(*), coalesce(sum(blob.size), 0), coalesce(sum(blob.whole = 0), 0)
    FROM upload JOIN blob ON blob.place = upload.place WHERE upload.user = ?"""


class _Offer(NamedTuple):
    user: User
    file: bytes
    size: int
    chunk: int
    room: Room | None
    operator: bool
    quota: Quota
    at: int


class SqliteFiles:
    """The port `Files`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def offer(
        self,
        user: User,
        file: bytes,
        size: int,
        chunk: int,
        *,
        room: Room | None,
        operator: bool = False,
        quota: Quota,
        at: int,
    ) -> Upload:
        offer = _Offer(user, file, size, chunk, room, operator, quota, at)
        return await self._writer.do(lambda connection: _offer(connection, offer))

    async def uploading(self, user: User, file: bytes) -> Upload:
        return await self._reader.ask(lambda connection: _own(connection, user, file))

    async def received(self, user: User, upload: Upload, *, at: int) -> None:
        await self._writer.do(lambda connection: _received(connection, user, upload, at))

    async def cancel(self, user: User, file: bytes) -> Upload:
        return await self._writer.do(lambda connection: _cancel(connection, user, file))

    async def readable(self, user: User, file: bytes) -> Upload:
        return await self._reader.ask(lambda connection: _readable(connection, user, file))

    async def listed(self, room: Room, user: User, *, before: int | None, limit: int) -> Sequence[Shared]:
        return await self._reader.ask(lambda connection: _listed(connection, room, user, before, limit))

    async def unused(self, *, before: int, limit: int) -> Sequence[Upload]:
        # Looked for outside the transaction: all files are looked at, and nobody else shall wait for that.
        places = await self._reader.ask(lambda connection: _find_unused(connection, before, limit))
        if places:
            await self._writer.do(lambda connection: _forget_unused(connection, places, before))
        return await self._reader.ask(lambda connection: _garbage(connection, limit))

    async def removed(self, places: Sequence[int]) -> None:
        await self._writer.do(lambda connection: _removed(connection, places))


def _upload(row: tuple[bytes, int, int, int, int]) -> Upload:
    file, size, chunk, whole, number = row
    return Upload(file=file, size=size, chunk=chunk, whole=bool(whole), place=number)


def _own(connection: sqlite3.Connection, user: User, file: bytes) -> Upload:
    row = connection.execute(_OWN, (user, file)).fetchone()
    if row is None:
        raise Refused(Code.NO_SUCH_FILE)
    return _upload(row)


def _best(connection: sqlite3.Connection, user: User, file: bytes) -> Upload | None:
    row = connection.execute(CHOSEN, {"user": user, "file": file, "size": None}).fetchone()
    return None if row is None else _upload(row)


def _readable(connection: sqlite3.Connection, user: User, file: bytes) -> Upload:
    best = _best(connection, user, file)
    if best is None:
        raise Refused(Code.NO_SUCH_FILE)
    return best


def _offer(connection: sqlite3.Connection, offer: _Offer) -> Upload:
    user, file, size, chunk, room, operator, quota, at = offer
    if not is_account(connection, user):
        raise Refused(Code.NO_SUCH_USER)
    if room is not None:
        _check_place(connection, room, user, operator)
    row = connection.execute(_OWN, (user, file)).fetchone()
    best = _best(connection, user, file)
    if best is not None and (best.whole or row is not None):
        if (best.size, best.chunk) != (size, chunk):
            raise Refused(Code.DIGEST)
        if row is not None and row[-1] != best.place:
            _merge(connection, row[-1], best.place)
        _touch(connection, best.place, at)
        return best
    check_cut(file, size, chunk)
    _check_quota(connection, user, size, quota)
    number = _whole_place(connection, file) if size == 0 else None
    if number is None:
        made = connection.execute(
            "INSERT INTO blob (file, size, chunk, whole, at) VALUES (?, ?, ?, ?, ?)", (file, size, chunk, size == 0, at)
        )
        assert made.lastrowid is not None
        number = made.lastrowid
    _touch(connection, number, at)
    connection.execute("INSERT INTO upload (user, file, place) VALUES (?, ?, ?)", (user, file, number))
    return _own(connection, user, file)


def _check_place(connection: sqlite3.Connection, room: Room, user: User, operator: bool) -> None:
    """Raises Refused unless the user might post in this room."""
    found = place(connection, room, user)
    if found is None:
        check_direct(connection, room, user)
    elif not operator:
        check_voice(connection, found[0], user)


def _check_quota(connection: sqlite3.Connection, user: User, size: int, quota: Quota) -> None:
    ((files, held, coming),) = connection.execute(_KEPT, (user,))
    if files >= quota.files or held + size > quota.size:
        raise Refused(Code.QUOTA)
    if size and coming >= quota.uploads:
        raise Refused(Code.LIMIT, "Too many uploads are unfinished.")


def _received(connection: sqlite3.Connection, user: User, upload: Upload, at: int) -> None:
    own = _own(connection, user, upload.file)
    if not own.whole and own.place != upload.place:
        raise Refused(Code.NO_SUCH_FILE)
    same = _whole_place(connection, upload.file)
    if same is None:
        connection.execute("UPDATE blob SET whole = 1 WHERE place = ?", (own.place,))
    elif same != own.place:
        _merge(connection, own.place, same)
    _touch(connection, own.place if same is None else same, at)


def _cancel(connection: sqlite3.Connection, user: User, file: bytes) -> Upload:
    own = _own(connection, user, file)
    if own.whole:
        raise Refused(Code.NO_SUCH_FILE)
    _drop(connection, own.place)
    return own


def _whole_place(connection: sqlite3.Connection, file: bytes) -> int | None:
    """Where all of this content is."""
    row = connection.execute("SELECT place FROM blob WHERE file = ? AND whole = 1", (file,)).fetchone()
    return None if row is None else row[0]


def _touch(connection: sqlite3.Connection, number: int, at: int) -> None:
    connection.execute("UPDATE blob SET at = max(at, ?) WHERE place = ?", (at, number))


def _merge(connection: sqlite3.Connection, old: int, new: int) -> None:
    """An upload turned out to be what is here already."""
    connection.execute("UPDATE attachment SET place = ? WHERE place = ?", (new, old))
    connection.execute("UPDATE upload SET place = ? WHERE place = ?", (new, old))
    _drop(connection, old)


def _drop(connection: sqlite3.Connection, number: int) -> None:
    """Forget a file, and who names and who uploaded it."""
    connection.execute(
        "INSERT INTO garbage (place, file, size, chunk, whole)"
        " SELECT place, file, size, chunk, whole FROM blob WHERE place = ?",
        (number,),
    )
    for table in ("attachment", "upload", "blob"):
        connection.execute(f"DELETE FROM {table} WHERE place = ?", (number,))


def _listed(connection: sqlite3.Connection, room: Room, user: User, before: int | None, limit: int) -> list[Shared]:
    found = place(connection, room, user)
    if found is None:
        raise Refused(Code.NO_SUCH_ROOM)
    end = found[2] + 1 if before is None else before
    rows = connection.execute(_LISTED, (*found[:2], end, WHOLE))
    page: list[Shared] = []
    for seq, some in groupby(rows, key=lambda row: row[0]):
        named = [
            Shared(
                name=name,
                size=size,
                modified=modified,
                media_type=media_type,
                file=file,
                standing=Standing.WHOLE if whole else Standing.COMING,
                sender=User(sender),
                seq=seq,
            )
            for _, name, modified, media_type, size, file, whole, sender in some
        ]
        if page and len(page) + len(named) > limit:
            break
        page += named
    return page


def _find_unused(connection: sqlite3.Connection, before: int, limit: int) -> list[int]:
    rows = connection.execute(
        f"SELECT place FROM blob WHERE {_UNUSED} ORDER BY at, place LIMIT ?",
        (before, before - ABANDONED, limit - len(_garbage(connection, limit))),
    )
    return [number for (number,) in rows]


def _forget_unused(connection: sqlite3.Connection, places: Sequence[int], before: int) -> None:
    for number in places:
        unused = connection.execute(
            f"SELECT 1 FROM blob WHERE place = ? AND {_UNUSED}", (number, before, before - ABANDONED)
        ).fetchone()
        if unused is not None:
            _drop(connection, number)


def _garbage(connection: sqlite3.Connection, limit: int) -> list[Upload]:
    rows = connection.execute("SELECT file, size, chunk, whole, place FROM garbage ORDER BY place LIMIT ?", (limit,))
    return [_upload(row) for row in rows]


def _removed(connection: sqlite3.Connection, places: Sequence[int]) -> None:
    for number in places:
        connection.execute("DELETE FROM garbage WHERE place = ?", (number,))
