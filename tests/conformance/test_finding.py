"""What can be found again: words, and long bodies piece by piece; from the outside."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    LONGEST,
    PIECE,
    WHOLE,
    BodyPiece,
    Found,
    GetBody,
    Kind,
    Message,
    Post,
    PutBody,
    Search,
    Window,
)
from quicchat.wire.chapters.rooms import Create, Join, Leave
from quicchat.wire.chapters.session import Error, Ok, Purpose
from tests.conformance.house import House, play, serving, simulated, somebody
from tests.conformance.peer import Peer, entered
from tests.conformance.talk import page, post, said, text


async def found(peer: Peer, words: str, **where: Any) -> list[str | None]:
    """The texts that a search finds, page by page."""
    texts: list[str | None] = []
    after: bytes | None = None
    while True:
        answer = await peer.ask(Search(words=words, after=after, **where))
        assert isinstance(answer, Found), answer
        texts += [codec.decode_body(Message, each, version=2).text for each in answer.events]
        if (after := answer.next) is None:
            return texts


def test_words_are_found(house: House) -> None:
    """[6.8-1], [6.8-2], [6.8-4]: all of them, with any case and accent, in one's own rooms alone; newest first."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room, mark = somebody(), "m" + somebody().replace("-", "x")  # none of the words below begins like it
            await alice.ask(Create(room=room))
            for words in (f"Green Tea {mark}", f"r\u00e9sum\u00e9 {mark}", f"tea time {mark}"):
                await said(alice, post(words, room=room))
            await said(alice, post(f"teapot {mark}", room=room, kind=Kind.EDIT, refs=(2,)))
            await said(alice, post(f"tea {mark}", user=bob.user))
            for asked, texts in (
                (f"TEA {mark}", [f"tea {mark}", f"tea time {mark}", f"Green Tea {mark}"]),
                (f"tea* {mark}", [f"tea {mark}", f"teapot {mark}", f"tea time {mark}", f"Green Tea {mark}"]),
                (f"resume {mark}", [f"r\u00e9sum\u00e9 {mark}"]),
                (f"time green {mark}", []),
                (f'text:tea OR "{mark}', []),
                (f'"time" -{mark}', [f"tea time {mark}"]),
            ):
                # What two rooms took within one millisecond may stand in either order.
                assert sorted(map(str, await found(alice, asked))) == sorted(texts)
            assert await found(alice, f"tea* {mark}", limit=1) == await found(alice, f"tea* {mark}")
            assert await found(alice, f"tea* {mark}", room=room, limit=2) == [
                f"teapot {mark}",
                f"tea time {mark}",
                f"Green Tea {mark}",
            ]
            assert await found(bob, f"tea* {mark}") == [f"tea {mark}"]
            await bob.ask(Join(room=room))
            assert len(await found(bob, f"tea* {mark}")) == 4
            await bob.ask(Leave(room=room))
            assert await found(bob, f"tea* {mark}") == [f"tea {mark}"]

    house.run(scenario())


def test_what_cannot_be_searched_for(house: House) -> None:
    """Z1, [6.8-3]: NO_SUCH_ROOM for rooms of others; SCHEMA without a word and for a page that nobody gave."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            for each in (room, somebody()):
                assert await bob.refused(Search(words="x", room=each)) == Code.NO_SUCH_ROOM
            for words in ("*", "!? *", '"', " "):
                assert await bob.refused(Search(words=words)) == Code.SCHEMA
            assert await bob.refused(Search(words="x", after=b"y")) == Code.SCHEMA

    house.run(scenario())


@pytest.mark.socket
def test_a_store_that_cannot_search(tmp_path: Path) -> None:
    """[6.8-3]: UNSUPPORTED; everything else works, what is taken back too."""

    class Plain(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if "fts5" in sql and "CREATE" in sql:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(sql.replace("'fts5'", "'none'"), parameters)

    async def scenario() -> None:
        store = open_store(tmp_path / "store.db", factory=Plain)
        async with serving(store) as place:
            async with entered(place) as alice:
                seq = (await said(alice, post("tea", room="general"))).seq
                assert await alice.refused(Search(words="tea")) == Code.UNSUPPORTED
                await said(alice, post("", room="general", kind=Kind.RETRACT, refs=(seq,)))
            for over in place.hung_up:
                await over()

    asyncio.run(scenario())


async def put(peer: Peer, sid: int, whole: bytes, *, step: int = PIECE, digest: bytes | None = None) -> list[int]:
    """Put a body aside; returns the codes of the pieces that were refused."""
    digest = digest or hashlib.sha256(whole).digest()
    codes = []
    for offset in range(0, len(whole), step):
        piece = PutBody(digest=digest, size=len(whole), offset=offset, data=whole[offset : offset + step])
        answer = await peer.ask(piece, sid=sid)
        if isinstance(answer, Error):
            codes.append(answer.code)
    return codes


def naming(whole: bytes, **to: Any) -> Post:
    """A message whose whole text is a body."""
    attached = ((hashlib.sha256(whole).digest(), len(whole), WHOLE),)
    return post(whole[:1_024].decode(), attachments=attached, **to)


@pytest.mark.parametrize("size", [1, 1_024, 1_025, 1_026, 64 * 1_024, LONGEST])
def test_a_text_of_any_size(house: House, size: int) -> None:
    """R0.3, [6.10-1], [6.10-4]: put aside, named, and fetched by the other side, byte for byte."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            whole = (b"0123456789abcde" * (size // 15 + 1))[:size]
            assert await put(alice, alice.open(Purpose.QUERY), whole) == []
            await said(alice, naming(whole, user=bob.user))
            told = await text(bob)
            ((digest, told_size, media),) = told.attachments or ()
            assert (told_size, media) == (size, WHOLE)
            held = b""
            while len(held) < size:
                get = GetBody(room=told.room, seq=told.seq, digest=digest, offset=len(held))
                piece = await bob.ask(get)
                assert isinstance(piece, BodyPiece)
                assert (piece.size, piece.offset, piece.digest) == (size, len(held), digest)
                held += piece.data
            assert held == whole
            assert held.startswith((told.text or "").encode())

    house.run(scenario())


def test_pieces_that_do_not_fit(house: House) -> None:
    """R0.7, [6.10-1], [6.10-2]: RANGE out of order, DIGEST where the whole is another; then it is put anew."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            sid = alice.open(Purpose.QUERY)
            whole = b"0123456789" * 500
            assert await put(alice, sid, whole, step=512) == [Code.RANGE] * 10
            assert await put(alice, sid, whole, digest=bytes(32)) == [Code.DIGEST]
            assert await put(alice, sid, whole[:-1] + b"x", digest=hashlib.sha256(whole).digest()) == [Code.DIGEST]
            late = PutBody(digest=hashlib.sha256(whole).digest(), size=5_000, offset=2_048, data=whole[2_048:])
            assert await alice.refused(late, sid=sid) == Code.RANGE
            for _ in range(2):
                assert await put(alice, sid, whole, step=2_048) == []
            await said(alice, naming(whole, room="general"))

    house.run(scenario())


def test_only_what_was_put_aside_is_attached(house: House) -> None:
    """Z2, [6.10-4], [6.10-5]: one's own, whole, once; and fetched by members, from the event that names it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            whole = b"0123456789" * 500
            room = somebody()
            await alice.ask(Create(room=room))
            named = naming(whole, room=room)
            assert await alice.refused(named) == Code.NO_SUCH_FILE
            assert await put(alice, alice.open(Purpose.QUERY), whole) == []
            assert await bob.refused(naming(whole, user=alice.user)) == Code.NO_SUCH_FILE
            posted = await said(alice, named)
            assert (await said(alice, named)).dup
            assert await alice.refused(naming(whole, room=room)) == Code.NO_SUCH_FILE
            assert await page(alice, room, Window.AFTER, 0) == [1, 2]
            digest = hashlib.sha256(whole).digest()
            get = GetBody(room=room, seq=posted.seq, digest=digest, offset=0)
            assert await carol.refused(get) == Code.NO_SUCH_ROOM
            assert isinstance(await alice.ask(get), BodyPiece)
            for other, code in (
                (GetBody(room=room, seq=1, digest=digest, offset=0), Code.NO_SUCH_FILE),
                (GetBody(room=room, seq=2, digest=bytes(32), offset=0), Code.NO_SUCH_FILE),
                (GetBody(room=room, seq=2, digest=digest, offset=5_001), Code.RANGE),
            ):
                assert await alice.refused(other) == code

    house.run(scenario())


def test_nobody_puts_aside_without_end() -> None:
    """P7, [6.10-3]: QUOTA beyond 4 MiB that no message names; another user has his own."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            sid, other = alice.open(Purpose.QUERY), bob.open(Purpose.QUERY)
            wholes = [bytes([number]) * LONGEST for number in range(4)]
            for whole in wholes:
                assert await put(alice, sid, whole) == []
            assert await put(alice, sid, b"x") == [Code.QUOTA]
            assert await put(bob, other, b"x") == []
            await said(alice, naming(wholes[0], user=bob.user))
            assert await put(alice, sid, b"x") == []
            assert await alice.ask(PutBody(digest=bytes(32), size=1, offset=0, data=b"x"), sid=sid) != Ok()

    play(scenario())
