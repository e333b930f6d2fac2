"""The memory of a device: both adapters keep the same, and the file keeps it to itself."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from quicchat.client.events import Sent
from quicchat.client.memory import PLENTY, Change, Cursor, Entry, Held, Memory, PlainMemory, Salt, Token
from quicchat.client.memory_sqlite import SqliteMemory, open_file, open_memory
from quicchat.client.scribe import Scribe
from quicchat.errors import Code, Refused, UsageError
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.search import wanted

T = TypeVar("T")
ROOM = "general"


def play(scenario: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, 20))


def event(seq: int, *, room: str = ROOM, epoch: int = 1, text: str = "") -> Message:
    return Message(
        room=room,
        epoch=epoch,
        seq=seq,
        cid=seq.to_bytes(16, "big"),
        sender="bob",
        kind=Kind.TEXT,
        ts=seq,
        text=text or str(seq),
    )


def entry(order: int, state: Sent = Sent.QUEUED, **more: Any) -> Entry:
    post = Post(room=ROOM, cid=order.to_bytes(16, "big"), text=f"message {order}", mentions=("bob",))
    return Entry(order=order, post=post, room=ROOM, state=state, **more)


def modes(folder: Path) -> set[int]:
    """Who may do what with the files of a folder."""
    return {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


@pytest.fixture(params=["plain", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "memory.db" if request.param == "sqlite" else None


def opened(place: Path | None) -> Memory:
    return PlainMemory() if place is None else open_file(place, keeps=PLENTY)


async def again(memory: Memory, place: Path | None) -> Memory:
    """The same memory as the next run of the program finds it."""
    if place is None:
        return memory
    await memory.close()
    return open_file(place)


def test_what_was_kept_is_there_the_next_time(place: Path | None) -> None:
    """R4.17, Z7: cursors, outbox, token, receipts and events survive the program."""

    async def scenario() -> None:
        memory = opened(place)
        assert (await memory.load()).entries == []
        cursors = {ROOM: Cursor(epoch=2, seq=9, given=7, read=5), "@a,b": Cursor(seq=1, given=1)}
        token = Token(b"t" * 32, 1234, Salt(b"salt", 4096))
        stored = entry(1, Sent.READ, seq=9, epoch=2)
        entries = [stored, entry(2, whole=b"x" * 100_000), entry(3, Sent.FAILED, reason="no")]
        receipts = [(ROOM, "bob", 9, 8, 77)]
        await memory.keep(Change(entries=entries, cursors=cursors, token=token, receipts=receipts))
        await memory.keep(Change(ignored={"mallory": True, "bob": True}))
        await memory.keep(Change(events=[Held(event(8, epoch=2)), Held(event(9, epoch=2), "the whole of it")]))
        memory = await again(memory, place)
        kept = await memory.load()
        assert kept.cursors == cursors
        assert list(kept.entries) == entries
        assert kept.token == token
        assert list(kept.receipts) == receipts
        assert kept.ignored == {"mallory", "bob"}
        assert list(kept.waiting) == [Held(event(8, epoch=2)), Held(event(9, epoch=2), "the whole of it")]
        await memory.keep(Change(spent=True, gone=[stored.cid], cursors={ROOM: Cursor(epoch=2, seq=9, given=9)}))
        await memory.keep(Change(ignored={"bob": False}))
        memory = await again(memory, place)
        kept = await memory.load()
        assert (kept.token, kept.waiting, kept.ignored) == (None, [], frozenset({"mallory"}))
        assert [each.order for each in kept.entries] == [2, 3]
        await memory.close()

    play(scenario())


def test_what_was_under_way_is_queued_again(place: Path | None) -> None:
    """Protocol §5, sent -> queued: a program that died knows nothing of what it had sent; the order stays."""

    async def scenario() -> None:
        memory = opened(place)
        for order, state in ((3, Sent.SENT), (1, Sent.SENT), (2, Sent.DRAFT)):
            await memory.keep(Change(entries=[entry(order, state)]))
        memory = await again(memory, place)
        assert [(each.order, each.state) for each in (await memory.load()).entries] == [
            (1, Sent.QUEUED),
            (2, Sent.QUEUED),
            (3, Sent.QUEUED),
        ]
        await memory.close()

    play(scenario())


def test_a_room_that_was_replaced_is_forgotten_first(place: Path | None) -> None:
    """[6.3-5]: in one change the old log goes, and the new one comes; other rooms stay."""

    async def scenario() -> None:
        memory = opened(place)
        held = [Held(event(seq)) for seq in range(1, 6)]
        await memory.keep(Change(events=[*held, Held(event(1, room="other"))], cursors={ROOM: Cursor(seq=5)}))
        fresh = Held(event(1, epoch=2))
        await memory.keep(Change(dropped=[ROOM], events=[fresh], cursors={ROOM: Cursor(epoch=2, seq=1)}))
        assert list(await memory.page(ROOM)) == [fresh]
        assert len(await memory.page("other")) == 1
        assert (await memory.load()).cursors[ROOM] == Cursor(epoch=2, seq=1)
        await memory.close()

    play(scenario())


def test_pages_of_what_is_held(place: Path | None) -> None:
    """R4.17: the last events, and those before a place, ascending."""

    async def scenario() -> None:
        memory = opened(place)
        await memory.keep(Change(events=[Held(event(seq)) for seq in range(1, 31)]))
        assert [each.event.seq for each in await memory.page(ROOM, limit=3)] == [28, 29, 30]
        assert [each.event.seq for each in await memory.page(ROOM, before=10, limit=4)] == [6, 7, 8, 9]
        assert list(await memory.page("nowhere")) == []
        await memory.close()

    play(scenario())


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Hostile A8, [6.12-6]: tokens and messages of one user lie in files that nobody else may read."""

    async def scenario() -> None:
        memory = open_memory(tmp_path, "chat.example:55667", "alice")
        await memory.keep(Change(token=Token(b"t" * 32, 1)))
        assert modes(tmp_path / "memory") == {0o600}
        assert stat.S_IMODE((tmp_path / "memory").stat().st_mode) == 0o700
        await memory.close()

    play(scenario())


def test_each_user_and_server_has_a_file_of_its_own(tmp_path: Path) -> None:
    """R4.17: what alice said to one server is not in the memory of another, whatever their names are."""

    async def scenario() -> None:
        places = ["a:1", "a_1", "A:1", "[::1]:1", "../../x:1", "x" * 300 + ":1"]
        for index, name in enumerate(places):
            memory = open_memory(tmp_path, name, "alice")
            await memory.keep(Change(token=Token(bytes([index] * 32), index)))
            await memory.close()
        bob = open_memory(tmp_path, "a:1", "bob")
        assert (await bob.load()).token is None
        await bob.close()
        for index, name in enumerate(places):
            memory = open_memory(tmp_path, name, "alice")
            assert (await memory.load()).token == Token(bytes([index] * 32), index)
            await memory.close()

    play(scenario())
    assert {each.parent for each in tmp_path.rglob("*.db")} == {tmp_path / "memory"}


def test_another_file_is_refused(tmp_path: Path) -> None:
    """Hostile D7: a database of something else, or of a newer program, is left as it is."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(UsageError, match="another program"):
        open_file(path)


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """R4.17: what a person can mend is said in one line."""
    (tmp_path / "memory").write_text("in the way")
    with pytest.raises(UsageError) as caught:
        open_memory(tmp_path, "a:1", "alice")
    assert "\n" not in str(caught.value)


def test_many_changes_share_a_transaction(tmp_path: Path) -> None:
    """R4.17: a thousand messages at once are durable in far fewer commits than there are messages."""

    async def scenario() -> None:
        memory = open_file(tmp_path / "memory.db")
        commits = 0

        def trace(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        memory._writer._connection.set_trace_callback(trace)
        await asyncio.gather(*(memory.keep(Change(entries=[entry(order)])) for order in range(1, 1001)))
        assert 0 < commits <= 100
        memory._writer._connection.set_trace_callback(None)
        assert [each.order for each in (await memory.load()).entries] == list(range(1, 1001))
        await memory.close()

    play(scenario())


def test_a_memory_that_is_closed_refuses(tmp_path: Path) -> None:
    """Hostile D5: what cannot be kept is said to be so."""

    async def scenario() -> None:
        memory: SqliteMemory = open_file(tmp_path / "memory.db")
        await memory.close()
        with pytest.raises(Refused) as caught:
            await memory.keep(Change(entries=[entry(1)]))
        assert caught.value.code is Code.STORE_UNAVAILABLE

    play(scenario())


def test_a_memory_does_not_grow_for_ever(place: Path | None) -> None:
    """Issue item 5: of each room the last events are kept, and whatever the application has not had."""

    async def scenario() -> None:
        memory = opened(place)
        scribe = Scribe(memory, await memory.load(), lambda _: None)
        for seq in range(1, 2 * PLENTY + 1):
            scribe.hold(Held(event(seq)))
            scribe.given(event(seq if seq < 100 else 100 if seq <= PLENTY + 150 else seq))
            if seq == PLENTY + 150:
                await scribe.written()
                found = [each.event.seq for each in await memory.page(ROOM, limit=3 * PLENTY)]
                assert found == list(range(101, PLENTY + 151))
        await scribe.flush()
        found = [each.event.seq for each in await memory.page(ROOM, limit=3 * PLENTY)]
        assert found == list(range(PLENTY + 1, 2 * PLENTY + 1))
        await memory.keep(Change(events=[Held(event(1, room="quiet"))], cursors={"quiet": Cursor(seq=1, given=1)}))
        assert [each.event.seq for each in await memory.page("quiet")] == [1]
        await memory.close()

    play(scenario())


def test_a_room_of_which_only_is_known_how_far_it_was_read(place: Path | None) -> None:
    """[6.12-1]: what comes first there is all that waits; what was before counts as given, and can be looked up."""

    async def scenario() -> None:
        memory = opened(place)
        scribe = Scribe(memory, await memory.load(), lambda _: None)
        scribe.read(ROOM, 90)
        scribe.hold(Held(event(101)))
        assert scribe.cursors[ROOM] == Cursor(seq=101, given=100, read=90, first=101)
        scribe.hold_past(ROOM, 1, [Held(event(seq)) for seq in range(91, 101)], 0)
        await scribe.flush()
        assert [each.event.seq for each in await memory.page(ROOM)] == list(range(91, 102))
        assert [each.event.seq for each in (await memory.load()).waiting] == [101]
        await memory.close()

    play(scenario())


def test_what_is_passed_over_gives_out_nothing_before_it(place: Path | None) -> None:
    """P4, [6.4-12]: what an ignored user says is not given out; what stands before it still is, after a crash too."""

    async def scenario() -> None:
        memory = opened(place)
        scribe = Scribe(memory, await memory.load(), lambda _: None)
        for seq in range(1, 8):
            scribe.hold(Held(event(seq)))
            if seq in (3, 4, 6):
                scribe.passed(event(seq))
        await scribe.flush()
        assert (await memory.load()).cursors[ROOM].given == 0
        for told, given in ((1, 1), (2, 4), (5, 6), (7, 7)):
            scribe.given(event(told))
            assert scribe.cursors[ROOM].given == given
        scribe.hold(Held(event(8)))
        scribe.passed(event(8))
        assert scribe.cursors[ROOM].given == 8
        await scribe.flush()
        assert (await memory.load()).waiting == []
        await memory.close()

    play(scenario())


def test_what_is_forgotten_is_not_in_the_file(tmp_path: Path) -> None:
    """[6.12-5]: after `forget` no byte of what was said, chosen or proved is there; what is to be sent is."""

    async def scenario() -> None:
        path = tmp_path / "memory.db"
        for remembered in (PlainMemory(), open_file(path)):
            memory: Memory = remembered
            events = [Held(event(seq, text=f"secret{seq}"), "a whole secret") for seq in range(1, 200)]
            await memory.keep(Change(events=events, cursors={ROOM: Cursor(seq=199, given=199)}))
            await memory.keep(Change(entries=[entry(1), entry(2, Sent.STORED, reason="secret")], ignored={"eve": True}))
            await memory.keep(Change(token=Token(b"secret" * 5, 1), preferences={"draft:general": "secret"}))
            assert len(await memory.search(wanted("secret1*"))) == 0
            assert len(await memory.search(wanted("whole"), limit=1000)) == 199
            await memory.forget()
            kept = await memory.load()
            assert (kept.cursors, kept.preferences) == ({}, {})
            assert kept.token is None
            assert kept.ignored == {"eve"}
            assert [each.order for each in kept.entries] == [1]
            assert await memory.page(ROOM) == await memory.search(wanted("whole")) == []
            await memory.close()

    play(scenario())
    for file in tmp_path.iterdir():
        assert b"secret" not in file.read_bytes()
    assert modes(tmp_path) == {0o600}
