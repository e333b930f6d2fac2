"""The book at a server: what a person says and hears, as he sees it, over a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from quicchat.client.state import State
from quicchat.ui.book import Book
from quicchat.wire.names import GENERAL
from tests.server.house import World
from tests.ui.stage import Scene, Session, Start


def watched(session: Session) -> tuple[Book, list[str]]:
    """A book that is told all that the face of a session is told, and the marks of our last message over time."""
    front = session.front
    book, marks = Book(outbox=lambda: front._chat.outbox), [""]
    face: Any = front._face
    tell: Callable[[object, State], None] = face.tell

    def both(item: object, state: State) -> None:
        tell(item, state)
        book.tell(item, state)
        own = [row for row in book.page(GENERAL).rows if row.own]
        if own and own[-1].mark != marks[-1]:
            marks.append(own[-1].mark)
        session.sheet.printed.set()

    face.tell = both
    return book, marks


async def until(session: Session, done: Callable[[], bool]) -> None:
    """Wait until the book says so, for a minute of virtual time."""
    async with asyncio.timeout(60):
        while not done():
            session.sheet.printed.clear()
            await session.sheet.printed.wait()


def said(book: Book) -> list[tuple[str, str]]:
    return [(row.sender, row.text) for row in book.page(GENERAL).rows if row.said]


def test_what_one_says_is_seen_on_its_way(scene: Scene) -> None:
    """Issue 5, item 1: `.` while it waits, `>` under way, `v` stored, `V` read; and it is there once."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start()
        book, marks = watched(session)
        session.go()
        await session.until("you are alice", err=True)
        session.keys.type("hello")
        await until(session, lambda: marks[-1] == "v")
        bob.mark_read(GENERAL)
        await until(session, lambda: marks[-1] == "V")
        assert "".join(marks).removeprefix(".") == ">vV"
        assert said(book) == [("alice", "hello")]
        seq = book.page(GENERAL).rows[-1].seq
        assert seq is not None
        session.keys.type(f"/edit #{seq} hello all", f"/react #{seq} +1")
        await until(session, lambda: bool(book.page(GENERAL).rows[-1].reactions))
        await bob.react(GENERAL, seq, "+1")
        await bob.post(GENERAL, "hi", reply=seq)
        await until(session, lambda: len(said(book)) == 2)
        mine, answer = book.page(GENERAL).rows[-2:]
        assert (mine.text, mine.edited, mine.reactions) == ("hello all", True, (("+1", 2, True),))
        assert answer.reply == (seq, "alice", "hello all")
        session.keys.type(f"/retract #{seq}")
        await until(session, lambda: book.page(GENERAL).rows[-2].retracted)
        session.keys.end()
        assert await session.ended() == 0

    scene(scenario)


def test_what_is_said_without_a_connection_waits_on_the_screen(scene: Scene) -> None:
    """Issue 5, item 8: while the server is lost it stays there with its mark, takes its place later, and once."""

    async def scenario(here: World, start: Start) -> None:
        session = start()
        book, marks = watched(session)
        session.go()
        await session.until("you are alice", err=True)
        here.network.partition()
        session.keys.type("are you there")
        await session.until("connection lost", err=True)
        await until(session, lambda: said(book) == [("alice", "are you there")])
        assert marks[-1] == "."
        here.network.heal()
        await until(session, lambda: marks[-1] == "v")
        await session.until("connected again", err=True)
        assert said(book) == [("alice", "are you there")]
        assert book.page(GENERAL).rows[-1].seq is not None
        session.keys.end()
        assert await session.ended() == 0

    scene(scenario)
