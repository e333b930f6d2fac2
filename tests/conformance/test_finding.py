"""What can be found again by its words; from the outside."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    Found,
    Kind,
    Message,
    Search,
)
from quicchat.wire.chapters.rooms import Create, Join, Leave
from tests.conformance.house import House, serving, somebody
from tests.conformance.peer import Peer, entered
from tests.conformance.talk import post, said


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
