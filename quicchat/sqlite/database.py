"""Opens the database file, or says in one line why it cannot be used and what to do. (ARCHITECTURE)"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from quicchat.errors import UsageError

#: "Quic", "QuiC" and "QuiF": tell our files, a server's, a client's and a shared folder's, from those of others.
SERVER_FILE: Final = 0x51756963
CLIENT_FILE: Final = 0x51756943
INDEX_FILE: Final = 0x51756946
EXIT_CODE: Final = 3
#: Larger files are not searched for damage at every start: reading a gigabyte takes seconds.
CHECKED_BYTES: Final = 256 * 1024 * 1024
#: STRICT tables and the JSON functions.
LEAST_SQLITE: Final = (3, 38, 0)
#: How long another program may hold the file locked before we give up.
BUSY_MS: Final = 5_000
WRITER_CACHE_KIB: Final = 16 * 1024
WAL_PAGES: Final = 4_000
_OWNER_ONLY: Final = 0o600
#: The least size of a page; SQLite takes a file of a few bytes for an empty database, and would overwrite it.
_SMALLEST: Final = 512


class Unreadable(UsageError):
    """The file is of no use to this program: damaged, no database at all, or of a newer one."""


def migrations(package: str) -> list[str]:
    """The scripts in a package's `migrations` that lead from an empty file to the present schema, in order."""
    files = [file for file in resources.files(package).joinpath("migrations").iterdir() if file.name[:4].isdigit()]
    return [file.read_text("utf-8") for file in sorted(files, key=lambda file: file.name)]


def open_database(
    path: Path,
    scripts: Sequence[str],
    *,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
    readers: int = 0,
    application: int = SERVER_FILE,
) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
    """The connection that writes and those that only read; the file is made where there is none, checked, and
    brought to the present schema.

    Raises UsageError where the file cannot be used, Unreadable where it never will be; nothing in it is changed then.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise UsageError(
            f"{path} needs SQLite {least}, this Python has {sqlite3.sqlite_version}: use another", EXIT_CODE
        )
    with contextlib.ExitStack() as opened:
        try:
            _make(path)
            writer = opened.enter_context(contextlib.closing(_connect(path, factory)))
            _prepare(writer, path, scripts, application)
            reading = [opened.enter_context(contextlib.closing(_connect(path, factory))) for _ in range(readers)]
            for reader in reading:
                reader.execute("PRAGMA query_only = ON")
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        except sqlite3.Error as error:
            raise _explained(path, error) from error
        opened.pop_all()
        return writer, reading


def _connect(path: Path, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    """A connection in autocommit mode that any one thread at a time may use."""
    return sqlite3.connect(
        path,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
        cached_statements=256,  # the INSERT of every batch size has its own
    )


def _prepare(connection: sqlite3.Connection, path: Path, scripts: Sequence[str], own: int) -> None:
    _check(connection, path, len(scripts), own)
    _close_to_others(path)
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise UsageError(f"{path} lies on a disk without shared memory: name a file on a local one", EXIT_CODE)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # on macOS, plain fsync leaves it to the disk
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    _migrate(connection, scripts, own)


def _make(path: Path) -> None:
    # An existing file is not opened here: closing it would drop the locks that other connections of this process hold.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
    except FileExistsError:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise UsageError(f"{path} is a directory: name a file in it", EXIT_CODE) from None
        if 0 < found.st_size < _SMALLEST:
            raise _foreign(path) from None


def _close_to_others(path: Path) -> None:
    # Only now, when it is known to be ours. New -wal and -shm files get the mode of the database from SQLite.
    for each in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(each.stat().st_mode) != _OWNER_ONLY:
                each.chmod(_OWNER_ONLY)


def _check(connection: sqlite3.Connection, path: Path, known: int, own: int) -> None:
    application, version = (_number(connection, f"PRAGMA {name}") for name in ("application_id", "user_version"))
    tables = _number(connection, "SELECT count(*) FROM sqlite_schema")
    if application != own and (application or version or tables):
        raise UsageError(f"{path} belongs to another program: name another file", EXIT_CODE)
    if version > known:
        raise Unreadable(
            f"{path} was written by a newer quicchat (schema {version}, this one knows {known}): "
            "update quicchat, or name another file",
            EXIT_CODE,
        )
    if path.stat().st_size <= CHECKED_BYTES:
        ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise _damaged(path, verdict)


def _migrate(connection: sqlite3.Connection, scripts: Sequence[str], own: int) -> None:
    # For what must be unpredictable; SQLite's own randomblob() does not promise that.
    connection.create_function("urandom", 1, os.urandom)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _number(connection, "PRAGMA user_version")
            if version < len(scripts):
                for statement in _statements(scripts[version]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {own}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if version >= len(scripts):
            return


def _statements(script: str) -> Iterator[str]:
    # Not executescript(): it commits before it begins, and a migration is one transaction.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _explained(path: Path, error: sqlite3.Error) -> UsageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return _foreign(path)
    if code == sqlite3.SQLITE_CORRUPT:
        return _damaged(path, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(f"{path} is locked by another program: stop that one first", EXIT_CODE)
    if code == sqlite3.SQLITE_FULL:
        return UsageError(f"{path} cannot grow ({error}): make room on its disk", EXIT_CODE)
    return _unusable(path, str(error))


def _foreign(path: Path) -> Unreadable:
    return Unreadable(f"{path} is not a database: name another file, or move this one away", EXIT_CODE)


def _damaged(path: Path, detail: str) -> Unreadable:
    line = " ".join(detail.split())[:120]
    return Unreadable(f"{path} is damaged ({line}): restore a backup, or move it away to start afresh", EXIT_CODE)


def _unusable(path: Path, reason: str) -> UsageError:
    return UsageError(f"{path} cannot be opened ({reason}): check the directory and its permissions", EXIT_CODE)
