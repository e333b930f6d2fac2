"""What each command does at a server, in a simulated world."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quicchat.errors import Code, Refused
from quicchat.ui import commands
from quicchat.ui.commands import COMMANDS
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import (
    Echoed,
    Gone,
    Help,
    Here,
    Members,
    Outcome,
    Past,
    People,
    Quit,
    Rooms,
    Rtt,
    Sent,
    Shown,
)
from quicchat.ui.words import Call
from quicchat.wire.chapters.messages import Kind, Message, Recipient
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL
from tests.server.house import heard, play, texts, world
from tests.ui.stage import desk_of


async def do(desk: Desk, line: str) -> Any:
    found = desk.words.parse(line)
    assert isinstance(found, Call), found
    return await commands.run(desk, found)


async def denied(desk: Desk, line: str) -> Code:
    with pytest.raises(Refused) as caught:
        await do(desk, line)
    return caught.value.code


def test_text_goes_to_the_current_room() -> None:
    """R2.24: general at first, the room one joined last, and general again after leaving it."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            await bob.create("r1", topic="a topic")
            said = [await do(desk, "one")]
            outcome: Outcome = await do(desk, "/join r1")
            assert outcome == Here("r1", "a topic", 2)
            said.append(await do(desk, "two"))
            assert await do(desk, "/join general") == Here(GENERAL)
            said.append(await do(desk, "three"))
            assert await do(desk, "/join r1") == Here("r1", "a topic")
            assert await do(desk, "/leave") == Gone("r1", GENERAL)
            said.append(await do(desk, "four"))
            assert [each.posted.room for each in said] == [GENERAL, "r1", GENERAL, GENERAL]
            assert await texts(bob, "r1") == ["alice joined", "two", "alice left"]

    play(scenario)


def test_rooms_and_groups() -> None:
    """R0.1, R2.14, R2.17-R2.19, R2.22: created, joined, left by both forms; a group ends with its last member."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = desk_of(await here.enter("alice"), "mystic"), desk_of(await here.enter("bob"), "mystic")
            assert await do(alice, "/create r1 about things") == Here("r1", "about things", 1)
            assert await do(alice, "mystic create group g1") == Here("g1", "", 1)
            assert await denied(bob, "mystic create group g1") is Code.ROOM_EXISTS
            assert await do(bob, "mystic join group g1") == Here("g1", "", 2)
            assert await do(bob, "mystic join group g2") == Here("g2", "", 1)
            rows = (
                ("g1", 2, "", True),
                ("g2", 1, "", True),
                ("general", 2, "", True),
                ("r1", 1, "about things", False),
            )
            listed: Rooms = await do(bob, "mystic groups")
            assert sorted(listed.rows) == sorted(rows)
            assert listed.here == "g2"
            assert await do(bob, "mystic leave group") == Gone("g2", GENERAL)
            assert await do(bob, "mystic leave group g1") == Gone("g1", GENERAL)
            assert [row[0] for row in (await do(bob, "/rooms")).rows] == ["g1", "general", "r1"]
            assert await denied(bob, "/join nowhere") is Code.NO_SUCH_ROOM
            members: Members = await do(alice, "/members")
            assert (members.room, [row[:2] for row in members.rows]) == ("g1", [("alice", True)])

    play(scenario)


def test_a_direct_message_has_three_outcomes() -> None:
    """R1.14, R2.15: delivered, stored for somebody who is offline, or no such user."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            desk = desk_of(alice, "classic")
            here_now: Sent = await do(desk, "DM bob hi there")
            assert (here_now.user, here_now.posted.recipient) == ("bob", Recipient.ONLINE)
            assert await texts(bob, "@alice,bob") == ["hi there"]
            assert [event for event in await heard(carol) if isinstance(event, Message) and event.room[0] == "@"] == []
            await carol.close()
            await asyncio.sleep(1)
            away: Sent = await do(desk, "send carol hello")
            assert away.posted.recipient is Recipient.OFFLINE
            assert await denied(desk, "send nobody hello") is Code.NO_SUCH_USER

    play(scenario)


def test_broadcast_reaches_everybody_and_not_its_sender() -> None:
    """R2.16, R4.8: an announcement is a message in the room of all; the sender gets the ack only."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            sent: Sent = await do(desk_of(alice, "classic"), "send_all yoyoyo everyone")
            assert sent.posted.room == ANNOUNCEMENTS
            assert await texts(bob, ANNOUNCEMENTS) == ["yoyoyo everyone"]

    play(scenario)


def test_pm_is_public_in_classic_but_betrays_nobody() -> None:
    """R1.15: PM speaks to the room; `PM bob ...`, which is private elsewhere, is refused and not sent."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            for chat in (alice, bob):
                await heard(chat)
            desk = desk_of(alice, "classic")
            assert await denied(desk, "PM bob the password is hunter2") is Code.FORBIDDEN
            assert await denied(desk, "PM BOB the password is hunter2") is Code.FORBIDDEN
            await do(desk, "PM hello all")
            assert await texts(bob, GENERAL) == ["hello all"]

    play(scenario)


def test_smaller_commands() -> None:
    """R3.1, R3.10, R2.13, R0.14: echo, ping, users, history, offline and online, help, me, quit."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            assert await do(desk, "/echo  a  b") == Echoed("a  b")
            rtt: Rtt = await do(desk, "/ping")
            assert rtt.seconds == pytest.approx(0.010)
            await do(desk, "/me waves")
            await heard(alice)
            desk.received = {(GENERAL, 1, 3): 77}
            past: Past = await do(desk, "/history 2")
            assert [(each.message.kind, each.message.text) for each in past.events][-1] == (Kind.EMOTE, "waves")
            assert len(past.events) == 2
            assert all(each.received == (77 if each.message.seq == 3 else None) for each in past.events)
            await do(desk, "/msg bob psst")
            assert (await do(desk, "/history @bob")).room == "@alice,bob"
            users: People = await do(desk, "/users")
            assert {name for name, person in users.people.items() if person.show is Show.ONLINE} == {"alice", "bob"}
            assert await do(desk, "/offline") == Shown(Show.OFFLINE)
            shows = [event.show for event in await heard(bob) if isinstance(event, Presence) and event.user == "alice"]
            assert shows == [Show.OFFLINE]
            assert await do(desk, "/back") == Shown(Show.ONLINE)
            assert await do(desk, "/quit good night") == Quit("good night")
            assert await do(desk, "/qqq") == Quit("quit")

    play(scenario)


def test_help_lists_every_command() -> None:
    """R1.12, R2.11: help lists all that the style has, or explains one."""

    async def scenario() -> None:
        async with world() as here:
            desk = desk_of(await here.enter("alice"), "mystic")
            shown: Help = await do(desk, "mystic help")
            assert {each.name for each in shown.commands} == {each.name for each in COMMANDS} - {"public"}
            assert [each.name for each in (await do(desk, "/help /join")).commands] == ["join"]
            assert await denied(desk, "/help nothing") is Code.UNSUPPORTED

    play(scenario)


def test_version_1_has_fewer_commands_and_says_so() -> None:
    """W-1 side of issue item 2: a version-1 connection speaks, and what it cannot do is refused here, not sent."""

    async def scenario() -> None:
        async with world() as here:
            old = desk_of(await here.enter("old", versions=(1,)))
            assert (await do(old, "hello")).posted.room == GENERAL
            assert await do(old, "/echo x") == Echoed("x")
            for line in ("/rooms", "/join r1", "/create r1", "/members", "/history", "/me waves", "/dereg", "/group g"):
                assert await denied(old, line) is Code.UNSUPPORTED
            assert old.chat.lost is None

    play(scenario)
