"""Opening a database: what is made, what is brought up to date, and what is refused in one clear line."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from quicchat.errors import UsageError
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.sqlite import database
from quicchat.wire.names import GENERAL
from tests.server.stores import ALICE, post, run, say, sign_up, upload, whole_log

NOBODY = 65_534


def filled(path: Path, messages: int = 0) -> None:
    """A store with one account and some messages."""

    async def scenario() -> None:
        store = open_store(path)
        await sign_up(store, ALICE)
        for _ in range(messages):
            await say(store, GENERAL, ALICE, "x" * 2_000)
        await store.close()

    run(scenario())


def refused(path: Path) -> str:
    """The line with which a file is refused; it names the file, and the file is left as it was."""
    before = (path.read_bytes(), path.stat().st_mode) if path.is_file() else None
    with pytest.raises(UsageError) as caught:
        open_store(path)
    if before is not None:
        assert (path.read_bytes(), path.stat().st_mode) == before
    line = str(caught.value)
    assert caught.value.exit_code == 3
    assert str(path) in line
    assert "\n" not in line
    return line


def told(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What a database answers to the last of these statements."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements[:-1]:
            connection.execute(statement)
        return connection.execute(statements[-1]).fetchall()


def test_a_new_file_gets_the_present_schema(tmp_path: Path) -> None:
    """D6: the version of the schema and whose file it is are written with it; opening it again changes nothing."""
    path = tmp_path / "a store \u00fc.db"
    filled(path)
    assert told(path, "PRAGMA user_version") == [(len(database.migrations("quicchat.server.adapters.store_sqlite")),)]
    assert told(path, "PRAGMA application_id") == [(database.SERVER_FILE,)]
    assert told(path, "PRAGMA journal_mode") == [("wal",)]
    before = path.read_bytes()
    run(open_store(path).close())
    assert path.read_bytes() == before


def test_durability_is_the_full_one(tmp_path: Path) -> None:
    """D2: FULL, so that a power cut loses nothing acked; and references are checked."""
    scripts = database.migrations("quicchat.server.adapters.store_sqlite")
    writer, (reader,) = database.open_database(tmp_path / "s.db", scripts, readers=1)
    with closing(writer), closing(reader):
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert writer.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert writer.execute("PRAGMA busy_timeout").fetchone() == (5_000,)
        assert writer.execute("PRAGMA fullfsync").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM event")


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """A13, R0.8: the database and what lies beside it have mode 0600, also where it was made with another."""
    path = tmp_path / "store.db"
    for _ in range(2):
        opened = open_store(path)
        run(sign_up(opened, ALICE) if not path.stat().st_size else opened.accounts.is_empty())
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
        run(opened.close())
        path.chmod(0o644)


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    """D6: nothing can be lost in it."""
    path = tmp_path / "store.db"
    path.touch(0o600)
    filled(path)
    assert told(path, "SELECT name FROM account") == [("alice",)]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """D6: a database newer than the program is not touched, and the line says what to do."""
    path = tmp_path / "store.db"
    filled(path)
    told(path, "PRAGMA user_version = 99")
    assert "newer quicchat (schema 99" in refused(path)
    assert "update quicchat" in refused(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"#!/bin/sh\n" * 500, "not a database"),
        (b"x", "not a database"),
        (bytes(8_192), "not a database"),
    ],
    ids=["text", "one-byte", "zeros"],
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    """D6: another file of the user's is not overwritten."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    path.chmod(0o644)
    assert expected in refused(path)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """D6: a database of another program gets none of our tables, whether it names itself or not."""
    for number, statement in enumerate(
        ("CREATE TABLE cookies (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1")
    ):
        path = tmp_path / f"{number}.db"
        told(path, statement)
        path.chmod(0o644)
        assert "belongs to another program" in refused(path)


def _flip(data: bytearray) -> None:
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200


def _truncate(data: bytearray) -> None:
    del data[len(data) // 2 // 4096 * 4096 :]


def _break_schema(data: bytearray) -> None:
    start = data.index(b"CREATE TABLE account")
    data[start : start + 6] = b"CREATX"


@pytest.mark.parametrize("harm", [_flip, _truncate, _break_schema], ids=["flipped", "truncated", "schema"])
def test_a_damaged_database_is_refused(tmp_path: Path, harm: Callable[[bytearray], None]) -> None:
    """D6: damage is noticed at the start and not in mid-flight; the line says what to do."""
    path = tmp_path / "store.db"
    filled(path, 40)
    data = bytearray(path.read_bytes())
    harm(data)
    path.write_bytes(data)
    line = refused(path)
    assert "is damaged (" in line
    assert "restore a backup" in line


def test_a_directory_or_a_missing_one_is_refused(tmp_path: Path) -> None:
    """D6: the path itself may be wrong."""
    assert "is a directory" in refused(tmp_path)
    assert "No such file or directory" in refused(tmp_path / "missing" / "store.db")
    (tmp_path / "file").touch()
    assert "cannot be opened" in refused(tmp_path / "file" / "store.db")


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody to whom the permissions of files apply; root is nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_without_permission_is_refused(tmp_path: Path) -> None:
    """D6: unreadable and unwritable directories, for a new file and for one that is there."""
    path = tmp_path / "store.db"
    filled(path)
    before = path.read_bytes()
    for mode in (0o000, 0o555):
        tmp_path.chmod(mode)
        try:
            with without_rights():
                for name in ("new.db", "store.db"):
                    with pytest.raises(UsageError, match=r"cannot be opened .*: check the directory") as caught:
                        open_store(tmp_path / name)
                    assert caught.value.exit_code == 3
        finally:
            tmp_path.chmod(0o700)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]


def test_a_locked_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: one that another program keeps locked."""
    monkeypatch.setattr(database, "BUSY_MS", 50)
    path = tmp_path / "store.db"
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program" in refused(path)


def test_a_disk_without_shared_memory_is_refused(tmp_path: Path) -> None:
    """D2: where there is no write-ahead log, such as on a network disk, the store does not pretend."""

    class OnNetworkDisk(sqlite3.Connection):
        def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
            return super().execute(sql.replace("= WAL", "= DELETE"), parameters)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=r"store\.db lies on a disk without shared memory"):
        open_store(tmp_path / "store.db", factory=OnNetworkDisk)


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a Python built with an SQLite that lacks what we use says so, and not in mid-flight."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    assert "needs SQLite 3.38.0" in refused(tmp_path / "store.db")


def test_an_older_schema_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: each migration runs once, in order, in one transaction with its number; nothing is lost."""
    path = tmp_path / "store.db"
    filled(path, 3)
    first = database.migrations("quicchat.server.adapters.store_sqlite")
    later = [
        "CREATE TABLE more (x TEXT) STRICT;\n-- a comment; with a semicolon\nINSERT INTO more VALUES ('a;b');\n",
        "ALTER TABLE more ADD COLUMN y TEXT;\nUPDATE more SET y = x;\n",
    ]
    monkeypatch.setattr("quicchat.server.adapters.store_sqlite.migrations", lambda _: first + later)
    for _ in range(2):
        filled_again = open_store(path)
        assert len(run(whole_log(filled_again, GENERAL, ALICE))) == 4
        run(filled_again.close())
    assert told(path, "SELECT * FROM more") == [("a;b", "a;b")]
    assert told(path, "PRAGMA user_version") == [(len(first) + 2,)]


def test_a_store_with_long_bodies_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: what was put aside as a body, and never was in a release, is gone; all else is there."""
    path = tmp_path / "store.db"
    scripts = database.migrations("quicchat.server.adapters.store_sqlite")
    with monkeypatch.context() as patch:
        patch.setattr("quicchat.server.adapters.store_sqlite.migrations", lambda _: scripts[:6])
        filled(path, 3)
    put = "INSERT INTO body (id, user, digest, size, held, at) VALUES (1, 'alice', zeroblob(32), 2, 2, 1)"
    told(path, put, "INSERT INTO piece VALUES (1, 0, x'0102')")
    opened = open_store(path)
    assert len(run(whole_log(opened, GENERAL, ALICE))) == 4
    assert run(upload(opened, ALICE)).whole
    run(opened.close())
    assert told(path, "SELECT name FROM sqlite_schema WHERE name IN ('body', 'piece')") == []


@pytest.mark.parametrize("broken", ["INSERT INTO nowhere VALUES (1);\n", "CREATE TABLE other (\n);\n"])
def test_a_migration_happens_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """D6: when a step of a migration fails, the database stays at the version before it, and usable."""
    path = tmp_path / "store.db"
    filled(path)
    first = database.migrations("quicchat.server.adapters.store_sqlite")
    with monkeypatch.context() as patch:
        later = ["CREATE TABLE good (x);\n", "CREATE TABLE bad (x);\nDROP TABLE event;\n" + broken]
        patch.setattr("quicchat.server.adapters.store_sqlite.migrations", lambda _: first + later)
        with pytest.raises(UsageError) as caught:
            open_store(path)
        assert str(path) in str(caught.value)
    assert told(path, "PRAGMA user_version") == [(len(first) + 1,)]
    assert told(path, "SELECT name FROM sqlite_schema WHERE name IN ('good', 'bad', 'event')") == [
        ("event",),
        ("good",),
    ]


def test_a_first_start_that_fails_can_be_repeated(tmp_path: Path) -> None:
    """D6: whichever statement of the first start fails, it is refused in one line, and the next start succeeds."""
    number, struck = 0, True
    while struck:
        number += 1
        left = [number]

        class Faulty(sqlite3.Connection):
            def execute(self, sql: str, parameters: object = (), /, left: list[int] = left) -> sqlite3.Cursor:
                left[0] -= 1
                if left[0] == 0:
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, parameters)  # type: ignore[arg-type]

        path = tmp_path / f"{number}.db"
        failed: list[str] = []
        try:
            run(open_store(path, factory=Faulty).close())
        except UsageError as error:
            failed.append(str(error))
        struck = left[0] <= 0
        assert [f"{path} cannot be opened (disk I/O error)" in line for line in failed] == [True] * struck
        filled(path)
        assert told(path, "SELECT count(*) FROM event") == [(1,)]
    assert number > 20


def test_two_stores_may_share_a_file(tmp_path: Path) -> None:
    """C3: two that write the same room take turns, and never the same place."""

    async def scenario() -> None:
        one, other = (open_store(tmp_path / "store.db") for _ in range(2))
        await sign_up(one, ALICE)
        seqs = []
        for number in range(10):
            store = (one, other)[number % 2]
            stored = await store.log.append(GENERAL, ALICE, b"d" * 16, post(), at=1)  # type: ignore[arg-type]
            seqs.append(stored.message.seq)
        assert seqs == list(range(2, 12))
        await one.close()
        await other.close()

    run(scenario())
