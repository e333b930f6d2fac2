"""Keys that one device of a user lends another on the same machine: read while the lender runs, never written."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.lending import ELSEWHERE, inherit, lend, secrets_in
from quicchat.client.memory import Change, PlainMemory
from quicchat.client.memory_sqlite import SqliteMemory, open_file
from quicchat.errors import UsageError

IDENTITY = (Drawer.IDENTITY, ONLY)
PINNED = (Drawer.PERSON, b"bob")
SESSION = (Drawer.SESSION, b"one")


async def kept(path: Path, **secrets: bytes | None) -> SqliteMemory:
    """A memory in use, with these of the lender's keys."""
    memory = open_file(path)
    places = {"identity": IDENTITY, "bob": PINNED, "session": SESSION, "code": (Drawer.BACKUP, ONLY)}
    places["device"] = (Drawer.DEVICE, ONLY)
    await memory.keep(Change(secrets={places[name]: value for name, value in secrets.items()}))
    return memory


def test_keys_are_lent_by_a_client_that_runs(tmp_path: Path) -> None:
    """[15.9-30]: identity, trust and sessions; not the device key, nor the code: the lender keeps the backup."""

    async def scenario() -> None:
        main = await kept(tmp_path / "a.db", identity=b"I", bob=b"B", session=b"S", device=b"D", code=b"C")
        errand = PlainMemory()
        await lend(errand, tmp_path / "a.db")
        lent = {IDENTITY: b"I", PINNED: b"B", SESSION: b"S", (Drawer.BACKUP, ELSEWHERE): b""}
        assert (await errand.load()).secrets == lent
        await main.close()

    asyncio.run(scenario())


def test_what_the_user_decided_in_his_client_counts(tmp_path: Path) -> None:
    """[15.9-30]: trust and identity are the lender's each time; a session that is here already stays as it is."""

    async def scenario() -> None:
        main = await kept(tmp_path / "a.db", identity=b"I", bob=b"verified", session=b"S")
        errand = PlainMemory()
        await errand.keep(Change(secrets={IDENTITY: b"old", PINNED: b"seen", SESSION: b"seen much"}))
        await lend(errand, tmp_path / "a.db")
        found = (await errand.load()).secrets
        assert (found[IDENTITY], found[PINNED], found[SESSION]) == (b"I", b"verified", b"seen much")
        await main.keep(Change(secrets={IDENTITY: None}))
        await lend(errand, tmp_path / "a.db")
        assert IDENTITY not in (await errand.load()).secrets
        await main.close()

    asyncio.run(scenario())


def test_where_there_is_nothing_nothing_is_lent(tmp_path: Path) -> None:
    """[15.9-30], [15.6-32]: no client of this user here, one of before there were keys, or one that is not let in."""

    async def scenario() -> None:
        errand = PlainMemory()
        await errand.keep(Change(secrets={IDENTITY: b"own"}))
        await lend(errand, tmp_path / "none.db")
        sqlite3.connect(tmp_path / "old.db").execute("CREATE TABLE cursor (room TEXT)").connection.close()
        await lend(errand, tmp_path / "old.db")
        main = await kept(tmp_path / "a.db", bob=b"B", session=b"S")
        await lend(errand, tmp_path / "a.db")
        assert (await errand.load()).secrets == {IDENTITY: b"own"}
        # But what is encrypted there is so for everything that the user runs here.
        await main.keep(Change(secrets={(Drawer.ENCRYPTED, b"den"): bytes(8)}))
        await lend(errand, tmp_path / "a.db")
        assert (await errand.load()).secrets == {IDENTITY: b"own", (Drawer.ENCRYPTED, b"den"): bytes(8)}
        await main.close()

    asyncio.run(scenario())


def test_a_client_inherits_what_an_errand_has_made(tmp_path: Path) -> None:
    """[15.9-30]: whoever was first made identity and code; the client goes by them from then on."""

    async def scenario() -> None:
        first = await kept(tmp_path / "e0.db", identity=b"I", bob=b"B", session=b"S", device=b"D", code=b"C")
        lent = open_file(tmp_path / "e1.db")
        await lent.keep(Change(secrets={IDENTITY: b"lent", (Drawer.BACKUP, ELSEWHERE): b""}))
        main = await kept(tmp_path / "a.db", device=b"own", bob=b"mine")
        others = [tmp_path / "none.db", tmp_path / "e1.db", tmp_path / "e0.db"]
        for _ in range(2):
            await inherit(main, tmp_path / "a.db", others)
            assert secrets_in(tmp_path / "a.db") == {
                IDENTITY: b"I",
                PINNED: b"mine",
                SESSION: b"S",
                (Drawer.BACKUP, ONLY): b"C",
                (Drawer.DEVICE, ONLY): b"own",
            }
            await first.keep(Change(secrets={IDENTITY: b"another"}))
        for each in (first, lent, main):
            await each.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_memory_is_told_in_one_line(tmp_path: Path) -> None:
    """P8: nothing is changed in it."""
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match="cannot be read"):
        secrets_in(path)
    assert path.read_bytes() == b"no database at all" * 100
