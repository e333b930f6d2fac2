"""Conversations with one, who writes, and what the lists of a room tell. (spec 07-presence)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from quicchat.client.api import Chat
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.registry import Pdu
from tests.ui.tui.showing import perform, theatre


async def next_of(chat: Chat, kind: type[Pdu]) -> Pdu:
    """The next event of a kind."""
    async with asyncio.timeout(15):
        async for event in chat:
            if isinstance(event, kind):
                return event
    raise AssertionError("it ended")


def test_a_conversation_with_one(tmp_path: Path) -> None:
    """Ctrl-K leads to a person; plain text, replies, edits and history go to him alone."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            bob = await here.enter("bob")
            alice = await sit().go()
            await alice.shows("• bob")
            await alice.press("ctrl+k", *"bob", "enter")
            await alice.until(lambda: alice.picture[0].startswith(" @bob"))
            assert not alice.sees("no such room")
            assert alice.sees("2 of 2 here")
            await alice.type("only for you")
            message = await next_of(bob, Message)
            assert isinstance(message, Message)
            while message.text != "only for you":
                message = await next_of(bob, Message)
                assert isinstance(message, Message)
            assert message.room == "@alice,bob"
            await bob.post(message.room, "thanks", reply=message.seq)
            await alice.shows("thanks")
            await alice.type(f"/edit #{message.seq} for you alone")
            await alice.shows("for you alone (edited)")
            await alice.type(f"/reply #{message.seq} more")
            await alice.until(lambda: any("  more" in row for row in alice.picture))
            await alice.type("/history 10")
            await alice.shows("History")
            await alice.press("escape")
            await alice.hides("Esc closes")

    perform(scenario)


def test_who_writes(tmp_path: Path) -> None:
    """[12.15-9]: keys are told as TYPING until the line is sent, but not commands; who writes is shown."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            bob = await here.enter("bob")
            alice = await sit().go()
            bob.typing("general")
            await alice.shows("bob writes\u2026")
            bob.typing("general", False)
            await alice.hides("bob writes\u2026")
            await alice.press(*"/hel")
            await alice.press(*["backspace"] * 4)
            await alice.press(*"some")
            begins = await next_of(bob, Typing)
            assert isinstance(begins, Typing)
            assert (begins.user, begins.ttl > 0) == ("alice", True)
            await alice.press("enter")
            ends = await next_of(bob, Typing)
            assert isinstance(ends, Typing)
            assert ends.ttl == 0

    perform(scenario)


def test_members_come_and_go(tmp_path: Path) -> None:
    """The list of members follows the room, with ranks and with who is there."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            bob = await here.enter("bob")
            alice = await sit(size=(120, 30)).go()
            await alice.type("/create lab")
            await alice.shows("1 of 1 here")
            assert any(row.rstrip().endswith("owner") and "• alice" in row for row in alice.picture)
            await bob.join("lab")
            await alice.shows("2 of 2 here")
            await bob.close()
            await alice.shows("1 of 2 here")

    perform(scenario)
