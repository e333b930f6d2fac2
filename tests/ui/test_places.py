"""Commands about a message that nobody named: the last one that fits; and whose conversation a name stands for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.errors import Code, Refused
from quicchat.ui.face import Typed
from quicchat.ui.outcomes import Done, Here, Past, Sent
from quicchat.ui.recent import Recent
from quicchat.ui.words import Call
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import GENERAL
from tests.server.house import World, heard, play, texts, world
from tests.ui.items import message
from tests.ui.stage import Scene, Start, desk_of
from tests.ui.test_commands import denied, do
from tests.ui.test_commands_more import events


async def last_refs(chat: Chat, kind: Kind) -> Any:
    return (await events(chat, kind))[-1].refs


def test_the_last_message_that_fits() -> None:
    """[12.6-1]: /edit and /retract take one's own last message, /react and /reply that of another, /pin any."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            await do(desk, "/create r1")
            await bob.join("r1")
            first: Sent = await do(desk, "first")
            second: Sent = await do(desk, "secnd")
            theirs = await bob.post("r1", "theirs")
            assert (await do(desk, "/edit second")).chosen == (second.posted.seq, "alice")
            assert (await do(desk, "/react +1")).chosen == (theirs.seq, "bob")
            answer: Sent = await do(desk, "/reply yes")
            assert answer.answers == (theirs.seq, "bob")
            assert (await do(desk, "/pin")).chosen == (answer.posted.seq, "alice")
            for each in (answer, second, first):
                assert (await do(desk, "/retract")).chosen == (each.posted.seq, "alice")
            assert await denied(desk, "/retract") is Code.NO_SUCH_MESSAGE
            found = [each for each in await heard(bob) if isinstance(each, Message) and each.room == "r1"]
            assert [each.refs for each in found if each.kind is Kind.EDIT] == [(second.posted.seq,)]
            assert [each.reply for each in found if each.text == "yes" or each.seq == answer.posted.seq] == [theirs.seq]
            typed: Done = await do(desk, f"/react #{theirs.seq} -1")
            assert typed.chosen is None

    play(scenario)


def test_what_was_said_before_one_came() -> None:
    """[12.6-1]: a new program knows one's last words from the log, without what was taken back, and not others'."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            kept, gone = await alice.post(GENERAL, "kept"), await alice.post(GENERAL, "gone")
            await alice.retract(GENERAL, gone.seq)
            await bob.post(GENERAL, "theirs")
            assert (await do(desk_of(alice), "/edit kept on")).chosen == (kept.seq, "alice")
            assert await denied(desk_of(alice, room="@alice,bob"), "/reply hello?") is Code.NO_SUCH_ROOM

    play(scenario)


def test_a_call_that_is_tried_again_means_the_same_message() -> None:
    """P2: over a second connection `/react +1` is not about what was said meanwhile."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            first = await bob.post(GENERAL, "first")
            call = desk.words.parse("/react +1")
            assert isinstance(call, Call)
            assert await desk.meant(call, GENERAL, own=False) == (first.seq, "bob")
            desk.recent.said(GENERAL, (await bob.post(GENERAL, "second")).seq, "bob")
            assert await desk.meant(call, GENERAL, own=False) == (first.seq, "bob")

    play(scenario)


def test_the_message_before_it_may_still_be_on_its_way(scene: Scene) -> None:
    """[12.6-1], P2: `helo` and `/edit hello` typed at once: the correction waits until it is known what it is about."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        session.keys.type("/create r1", "one", "two", "helo", "/edit hello", "/retract", "/retract")
        session.keys.end()
        assert await session.ended() == 0
        notes = [line for line in session.sheet.err if line.startswith("-- #")]
        assert notes == ["-- #4 is corrected", "-- #4 is taken back", "-- #3 is taken back"]
        assert bob.lost is None

    scene(scenario)


def test_the_room_is_that_in_which_it_was_typed() -> None:
    """Priority 2: whoever moves on while the log is asked corrects nothing in the room where he is then."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            said, _ = await alice.post(GENERAL, "helo"), await alice.create("r1")
            desk = desk_of(alice)
            task = asyncio.get_running_loop().create_task(do(desk, "/edit hello"))
            await asyncio.sleep(0)
            desk.room = "r1"
            assert (await task).facts == {"seq": str(said.seq), "room": GENERAL}

    play(scenario)


def test_a_line_goes_where_it_was_typed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.6-6]: whoever went on before it was carried out is not followed by it; who typed /join before it is."""

    async def scenario(here: World, start: Start) -> None:
        bob, session = await here.enter("bob"), start()
        lines: asyncio.Queue[Typed | None] = asyncio.Queue()
        monkeypatch.setattr(session.front._face, "next", lines.get)
        session.go()
        await session.until("you are alice", err=True)
        desk = session.front._desk
        assert desk is not None
        lines.put_nowait(Typed("/create r1", GENERAL))
        await session.until("r1", err=True)
        await bob.join("r1")
        session.cut(here)
        for line in ("/topic of r1", "for r1", "/me too", "/leave"):
            lines.put_nowait(Typed(line, "r1"))
        await asyncio.sleep(0)
        desk.room = GENERAL
        lines.put_nowait(Typed("/create r2", GENERAL))
        lines.put_nowait(Typed("for r2", GENERAL))
        lines.put_nowait(Typed("for r1, but too late", "r1"))
        lines.put_nowait(None)
        assert await session.ended() == 0
        assert desk.room == "r2"
        assert (await texts(bob, "r1"))[-3:] == ["for r1", "too", "alice left"]
        assert bob.state.rooms["r1"].topic == "of r1"
        assert desk.recent.last("r2", "alice", own=True) == (2, "alice")
        assert not [each for each in await bob.history(GENERAL) if each.kind in SAID]

    scene(scenario)


def test_only_so_much_is_remembered() -> None:
    """[12.6-1]: the newest places are kept; one's own reactions are no messages."""
    recent = Recent()
    for seq in range(1, 300):
        recent.heard(message("x", seq=seq, sender="bob" if seq % 2 else "alice"))
    recent.heard(message("+1", seq=300, kind=Kind.REACT, refs=(299,), sender="alice"))
    recent.heard(message("", seq=301, sender="alice"))
    assert recent.last(GENERAL, "alice", own=True) == (298, "alice")
    assert recent.last(GENERAL, "alice", own=False) == (299, "bob")
    recent.gone(GENERAL, range(100, 300))
    assert recent.last(GENERAL, "alice", own=None) is None


def test_a_name_stands_for_a_conversation() -> None:
    """[12.6-2]: `/history bob` is the conversation with bob, unless a room that one is in is called bob."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await asyncio.sleep(1)
            desk = desk_of(alice)
            await do(desk, "/msg bob psst")
            past: Past = await do(desk, "/history bob")
            assert (past.room, [each.message.text for each in past.events]) == ("@alice,bob", ["psst"])
            assert (await do(desk, "/history @bob 1")).room == "@alice,bob"
            await bob.create("bob")
            await do(desk, "/join bob")
            assert (await do(desk, "/history bob")).room == "bob"
            assert await denied(desk, "/history nowhere") is Code.NO_SUCH_ROOM

    play(scenario)


def test_one_may_turn_to_one_user() -> None:
    """[12.6-5]: /query bob, and what is typed goes to him alone, also before anything was said; /leave turns back."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            assert await do(desk, "/query @Bob") == Here("@alice,bob")
            said: Sent = await do(desk, "psst")
            assert (said.user, said.posted.room) == ("bob", "@alice,bob")
            await do(desk, "/me whispers")
            assert (await do(desk, "/edit whispers more")).facts["room"] == "@alice,bob"
            assert await do(desk, "/leave") == Here(GENERAL)
            await do(desk, "to all")
            assert await texts(bob, "@alice,bob") == ["psst", "whispers", "whispers more"]
            await do(desk, "/query alice")
            assert (await do(desk, "note to myself")).posted.room == "@alice,alice"
            await do(desk, "/query nobody")
            assert await denied(desk, "hello?") is Code.NO_SUCH_USER

    play(scenario)


def test_a_rank_is_checked_here_where_it_is_known() -> None:
    """Issue 3, item 11: who only is a member is told so at once; a new rank counts as soon as it is given."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            owner, member = desk_of(alice), desk_of(bob)
            await do(owner, "/create r1")
            for chat in (bob, carol):
                await chat.join("r1")
            member.room = "r1"
            with pytest.raises(Refused) as caught:
                await do(member, "/kick carol")
            assert caught.value.text == "/kick is for moderators; in r1 you are a member."
            await do(owner, "/role bob moderator")
            await heard(bob)
            assert bob.state.rooms["r1"].rank is Rank.MODERATOR
            assert (await do(member, "/kick carol too loud")).command == "kick"
            with pytest.raises(Refused, match="for owners; in r1 you are a moderator"):
                await do(member, "/key sesame")
            member.room = GENERAL
            assert await denied(member, "/kick carol") is Code.FORBIDDEN

    play(scenario)
