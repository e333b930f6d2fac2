"""What every store promises of what can be searched, and of long bodies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_sqlite import open_store, search
from quicchat.server.model import ASIDE, ASIDE_TIME, Finds
from quicchat.server.rules import wanted
from quicchat.wire.chapters.messages import PIECE, WHOLE, Kind, Message
from quicchat.wire.codec import decode_body
from quicchat.wire.names import GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    PHONE,
    PLENTY,
    Store,
    cid,
    make,
    post,
    refusal,
    run,
    say,
    sign_up,
)

DIRECT = Room("@alice,bob")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "store.db")
    yield opened
    run(opened.close())


async def find(store: Store, user: User, words: str, room: Room | None = None, **bounds: Any) -> Finds:
    asked = {"after": None, "limit": 99, "budget": PLENTY, **bounds}
    return await store.log.search(user, wanted(words), room=room, **asked)


def read(found: Finds) -> list[str | None]:
    return [decode_body(Message, body, version=2).text for body in found.events]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("tea", ["green tea!", "Tea time"]),
        ("TEA tIMe", ["Tea time"]),
        ("te*", ["ten o'clock", "green tea!", "Tea time"]),
        ("tea ti*", ["Tea time"]),
        ("o'clock", ["ten o'clock"]),
        ("clock'o", []),
        ("cafe", ["Caf\u00e9 cre\u0300me"]),
        ("cr\u00e8me", ["Caf\u00e9 cre\u0300me"]),
        ("a_file.txt", ["see a_file.txt"]),
        ("tea coffee", []),
        ('"tea" OR NOT', []),
        ("text:tea*", []),
        ("te", []),
        ("-tea", ["green tea!", "Tea time"]),
        ('tea"', ["green tea!", "Tea time"]),
        ("tea\0*", ["green tea!", "Tea time"]),
        ("place : r2e1", []),
        ("r2e1", []),
        ("mouse", ["mouse"]),
        ("joined", []),
    ],
)
def test_what_is_found(store: Store, words: str, texts: list[str]) -> None:
    """Log.search: all words, whole unless they end in *, newest first; no word has another meaning than its letters."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        for text in ("Tea time", "green tea!", "ten o'clock", "Caf\u00e9 cre\u0300me", "see a_file.txt", "cat"):
            await say(store, GENERAL, ALICE, text)
        await store.log.append(GENERAL, ALICE, PHONE, post("mouse", kind=Kind.EDIT, refs=(7,)), at=1)
        await store.log.append(GENERAL, ALICE, PHONE, post("tea", kind=Kind.REACT, refs=(7,)), at=1)
        assert read(await find(store, ALICE, words)) == texts

    run(scenario())


def test_only_ones_own_rooms_are_searched(store: Store) -> None:
    """Z1, Z2: NO_SUCH_ROOM for another's; nothing of rooms that one has left or is not in, or of an ended one."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=1)
        for room in (GENERAL, HALL, DIRECT):
            await say(store, room, ALICE, f"tea in {room}")
        assert len(read(await find(store, ALICE, "tea"))) == 3
        assert set(read(await find(store, BOB, "tea"))) == {"tea in general", "tea in @alice,bob"}
        assert await refusal(find(store, BOB, "tea", HALL)) is Code.NO_SUCH_ROOM
        assert read(await find(store, ALICE, "tea", HALL)) == ["tea in hall"]
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await make(store, HALL, ALICE)
        assert read(await find(store, ALICE, "tea", HALL)) == []
        assert read(await find(store, User("nobody"), "tea")) == []

    run(scenario())


def test_finds_come_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7, D7: newest first in every room, without a double or a gap, also where the clock was set back; the index
    takes more than one slice, and goes on where it was."""
    monkeypatch.setattr(search, "SLICE", 7)

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for number in range(40):
            await store.log.append(GENERAL, ALICE, PHONE, post(f"tea {number}"), at=(50 - number) * 1000)
        await store.log.append(DIRECT, BOB, PHONE, post("tea for two"), at=60_000)
        texts: list[str | None] = []
        after = None
        pages = 0
        while after is not None or not pages:
            found = await find(store, ALICE, "tea", after=after, limit=6)
            texts += read(found)
            after, pages = found.next, pages + 1
            if pages == 2:
                await store.log.append(GENERAL, ALICE, PHONE, post("tea later"), at=90_000)
        assert texts == ["tea for two", *(f"tea {number}" for number in reversed(range(40)))]
        assert pages == 7
        assert len(read(await find(store, ALICE, "tea", budget=1))) == 1
        assert await refusal(find(store, ALICE, "tea", after=b"?")) is Code.SCHEMA
        assert read(await find(store, ALICE, "later")) == ["tea later"]

    run(scenario())


def put(store: Store, user: User, whole: bytes, offset: int, length: int = PIECE, *, at: int = 1) -> Any:
    piece = whole[offset : offset + length]
    return store.log.put_body(user, hashlib.sha256(whole).digest(), len(whole), offset, piece, at=at)


def naming(whole: bytes, size: int | None = None) -> Any:
    digest = hashlib.sha256(whole).digest()
    return post("beginning", attachments=((digest, len(whole) if size is None else size, WHOLE),))


@pytest.mark.parametrize("size", [1, 1_024, 1_025, 1_026, 64 * 1_024, 1_024 * 1_024])
def test_bodies_of_any_size(store: Store, size: int) -> None:
    """R0.3: put aside in pieces, also twice, named by a message, and read back byte for byte by any member."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        whole = (b"0123456789abcde" * (size // 15 + 1))[:size]
        digest = hashlib.sha256(whole).digest()
        for offset in range(0, size, PIECE):
            for _ in range(2):
                await put(store, ALICE, whole, offset)
        seq = (await store.log.append(DIRECT, ALICE, PHONE, naming(whole), at=1)).message.seq
        held = b""
        while len(held) < size:
            piece = await store.log.body(DIRECT, BOB, seq, digest, len(held), limit=40_000)
            assert piece.size == size
            held += piece.data
        assert held == whole
        assert (await store.log.body(DIRECT, BOB, seq, digest, size, limit=9)).data == b""
        assert await refusal(store.log.body(DIRECT, BOB, seq, digest, size + 1, limit=9)) is Code.RANGE
        for other in (seq + 1, 2**53):
            assert await refusal(store.log.body(DIRECT, BOB, other, digest, 0, limit=9)) is Code.NO_SUCH_FILE
        assert await refusal(store.log.body(DIRECT, BOB, seq, bytes(32), 0, limit=9)) is Code.NO_SUCH_FILE
        assert await refusal(store.log.body(DIRECT, CAROL, seq, digest, 0, limit=9)) is Code.NO_SUCH_ROOM

    run(scenario())


def test_pieces_come_in_order(store: Store) -> None:
    """Log.put_body: the next one or one that is held; RANGE for others, beyond the end, of another size, too small."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        whole = bytes(range(256)) * 20
        assert await refusal(put(store, ALICE, whole, 2_048, 2_048)) is Code.RANGE
        assert await refusal(put(store, ALICE, whole, 0, 1_023)) is Code.RANGE
        await put(store, ALICE, whole, 0, 2_048)
        for offset, length in ((1_024, 2_048), (4_096, 1_024)):
            assert await refusal(put(store, ALICE, whole, offset, length)) is Code.RANGE
        digest = hashlib.sha256(whole).digest()
        assert await refusal(store.log.put_body(ALICE, digest, 5_121, 2_048, bytes(2_048), at=1)) is Code.RANGE
        assert await refusal(store.log.put_body(ALICE, digest, 5_120, 2_048, bytes(4_096), at=1)) is Code.RANGE
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, naming(whole), at=1)) is Code.NO_SUCH_FILE
        await put(store, ALICE, whole, 2_048)
        assert (await store.log.append(GENERAL, ALICE, PHONE, naming(whole), at=1)).message.seq == 2

    run(scenario())


def test_a_wrong_digest_is_found_out(store: Store) -> None:
    """R0.7: DIGEST when the last piece is there, and all pieces are forgotten; put again, they are right."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        whole = bytes(range(256)) * 20
        digest = hashlib.sha256(whole).digest()
        await store.log.put_body(ALICE, digest, len(whole), 0, bytes(2_048), at=1)
        assert await refusal(put(store, ALICE, whole, 2_048)) is Code.DIGEST
        assert await refusal(put(store, ALICE, whole, 2_048)) is Code.RANGE
        assert await refusal(store.log.put_body(ALICE, digest, 1, 0, b"x", at=1)) is Code.DIGEST
        await put(store, ALICE, whole, 0)
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, naming(whole, 5_119), at=1)) is Code.NO_SUCH_FILE
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, naming(whole), at=1)) is None

    run(scenario())


def test_a_body_belongs_to_who_put_it_aside_and_to_one_message(store: Store) -> None:
    """Z2: NO_SUCH_FILE for another's, and for one that a message has taken; a retry of that message is a double."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await put(store, ALICE, b"whole", 0)
        assert await refusal(store.log.append(GENERAL, BOB, PHONE, naming(b"whole"), at=1)) is Code.NO_SUCH_FILE
        said = naming(b"whole")
        assert not (await store.log.append(GENERAL, ALICE, PHONE, said, at=1)).dup
        assert (await store.log.append(GENERAL, ALICE, PHONE, said, at=1)).dup
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, naming(b"whole"), at=1)) is Code.NO_SUCH_FILE
        await put(store, ALICE, b"whole", 0)
        assert await refusal(store.log.append(GENERAL, ALICE, PHONE, naming(b"whole"), at=1)) is None

    run(scenario())


def test_nobody_puts_aside_without_end(store: Store) -> None:
    """P7, QUOTA: 4 MiB a user, small bodies counted as larger ones; named or a day old they do not count."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        wholes = [bytes([number]) * 1_048_576 for number in range(4)]
        for whole in wholes:
            await put(store, ALICE, whole, 0)
        assert await refusal(put(store, ALICE, b"x", 0)) is Code.QUOTA
        await put(store, BOB, b"x", 0)
        await put(store, ALICE, wholes[0], PIECE, at=2)
        old = ASIDE_TIME + 2
        await put(store, ALICE, b"x", 0, at=old)
        await put(store, ALICE, wholes[0], 2 * PIECE, at=old)
        assert await refusal(put(store, ALICE, wholes[1], PIECE, at=old)) is Code.RANGE
        bodies = [number.to_bytes(4) for number in range(1_000)]
        outcomes = [await refusal(put(store, ALICE, each, 0, at=old)) for each in bodies]
        assert outcomes.count(None) == (ASIDE - 1_048_576 - 4_096) // 4_096
        assert set(outcomes) == {None, Code.QUOTA}
        await store.log.append(GENERAL, ALICE, PHONE, naming(bodies[0]), at=old)
        assert await refusal(put(store, ALICE, b"more", 0, at=old)) is None

    run(scenario())


def test_after_close_these_are_refused_too(store: Store) -> None:
    """Ports: Refused(STORE_UNAVAILABLE) once the store is closed."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.close()
        for asked in (
            store.log.append_many(ALICE, PHONE, [(GENERAL, post())], at=1),
            store.log.progress(GENERAL, ALICE),
            store.log.holding(GENERAL, 1),
            store.log.targets(ALICE, after=None, limit=1),
            find(store, ALICE, "tea"),
            put(store, ALICE, b"x", 0),
            store.log.body(GENERAL, ALICE, 1, bytes(32), 0, limit=1),
        ):
            assert await refusal(asked) is Code.STORE_UNAVAILABLE

    run(scenario())
