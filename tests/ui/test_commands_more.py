"""The commands of issue 3 at a server, in a simulated world: what they do, and who may not."""

from __future__ import annotations

import asyncio
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.client.traces import Trace
from quicchat.errors import Code
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Devices, Done, Found, Here, Past, Quit, Receipts, Sent, Shown, Status, Unread
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Presence, Show, Typing
from quicchat.wire.chapters.rooms import Invite, Rank
from quicchat.wire.names import GENERAL
from tests.server.house import happened, heard, play, world
from tests.ui.stage import desk_of
from tests.ui.test_commands import denied, do


async def events(chat: Chat, kind: Kind) -> list[Message]:
    return [each for each in await heard(chat) if isinstance(each, Message) and each.kind is kind]


async def told(chat: Chat, kind: type[Any]) -> list[Any]:
    return [each for each in await happened(chat) if isinstance(each, kind)]


def test_what_was_said_is_corrected_taken_back_answered_and_pinned() -> None:
    """Issue 3, item 11: edit, retract, react, reply, pin, code: each an event that names the place it is about."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            await do(desk, "/create r1")
            await bob.join("r1")
            said: Sent = await do(desk, "helo")
            seq = said.posted.seq
            assert await do(desk, f"/edit #{seq} hello") == Done("edit", {"seq": str(seq), "room": "r1"})
            assert (await do(desk, f"/react {seq} +1")).command == "react"
            reply: Sent = await do(desk, f"/reply #{seq} @bob and you, @nobody?")
            await do(desk, f"/pin #{seq}")
            await do(desk, "/code x = 1")
            await do(desk, f"/delete #{reply.posted.seq}")
            found = [each for each in await heard(bob) if isinstance(each, Message) and each.room == "r1"]
            rows = [(each.kind, each.refs, each.reply) for each in found if each.sender == "alice"]
            assert rows == [
                (Kind.TEXT, None, None),
                (Kind.EDIT, (seq,), None),
                (Kind.REACT, (seq,), None),
                (Kind.TEXT, None, seq),
                (Kind.PIN, (seq,), None),
                (Kind.CODE, None, None),
                (Kind.RETRACT, (reply.posted.seq,), None),
            ]
            assert found[-4].mentions == ("bob",)
            assert await denied(desk_of(bob, room="r1"), f"/edit #{seq} hacked") is Code.FORBIDDEN

    play(scenario)


def test_the_way_of_a_message() -> None:
    """[12.18-3]: /trace takes messages as other commands do, and without a place the last one of anybody."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk, other = desk_of(alice), desk_of(bob)
            said: Sent = await do(desk, "hello")
            by_place, last = await do(desk, f"/trace #{said.posted.seq}"), await do(desk, "/trace")
            assert isinstance(by_place, Trace)
            assert by_place == last
            assert by_place.own
            await heard(bob)
            assert not (await do(other, "/trace")).own
            assert await denied(desk, "/trace #999") is Code.NO_SUCH_MESSAGE
            await alice.close()
            # What is known here is told without a connection.
            assert (await do(desk, f"/trace {said.posted.seq}")).seq == said.posted.seq

    play(scenario)


def test_history_search_and_what_is_unread() -> None:
    """Issue 3, items 2 and 3: windows of the past, words found, unread counted, and told to be read."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            for word in ("one moon", "two", "three moons", "four"):
                await do(desk, word)
            last: Past = await do(desk, "/history 1")
            (four,) = last.events
            before: Past = await do(desk, f"/history 2 before #{four.message.seq}")
            assert [each.message.text for each in before.events] == ["two", "three moons"]
            after: Past = await do(desk, f"/history after #{four.message.seq - 1}")
            assert [each.message.text for each in after.events] == ["four"]
            found: Found = await do(desk, "/search moon*")
            assert [each.message.text for each in found.events] == ["three moons", "one moon"]
            await asyncio.sleep(2)
            unread: Unread = await do(desk_of(bob), "/unread")
            assert (GENERAL, 4, 0) in unread.rows
            receipts: Receipts = await do(desk, "/receipts")
            assert [row[:2] for row in receipts.rows if row[0] == "bob"] == [("bob", four.message.seq)]
            assert await do(desk_of(bob), "/read") == Done("read", {"room": GENERAL})
            await asyncio.sleep(2)
            assert (await do(desk_of(bob), "/unread")).rows == []
            reached = [each for each in await told(alice, Progress) if each.by == "bob"]
            assert {each.state for each in reached} == {Reach.DELIVERED, Reach.READ}

    play(scenario)


def test_a_room_is_ruled() -> None:
    """Issue 3, item 11, R0.2: topic, key, invitation, kick, ban, mute and ranks, and who may not."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            owner, member = desk_of(alice), desk_of(bob)
            await do(owner, "/create r1")
            await do(owner, "/key sesame")
            assert await denied(member, "/join r1") is Code.FORBIDDEN
            assert (await do(member, "/join r1 sesame")).room == "r1"
            assert await denied(member, "/kick alice") is Code.FORBIDDEN
            await do(owner, "/topic cats and dogs")
            assert await do(owner, "/topic") == Here("r1", "cats and dogs")
            await do(owner, "/invite carol")
            (invitation,) = await told(carol, Invite)
            assert (invitation.room, invitation.user) == ("r1", "alice")
            assert await do(owner, "/key") == Done("nokey", {"room": "r1"})
            await do(owner, "/mute bob")
            assert await denied(member, "hello?") is Code.FORBIDDEN
            await do(owner, "/unmute bob")
            await do(member, "hello!")
            await do(owner, "/role bob moderator")
            assert (await do(member, "/members")).rows[1] == ("bob", True, Rank.MODERATOR)
            await do(owner, "/role bob member")
            await do(owner, "/kick bob too loud")
            (kick,) = await events(alice, Kind.LEAVE)
            assert (kick.sender, kick.by, kick.text) == ("bob", "alice", "bob was put out by alice: too loud")
            assert await denied(member, "still here?") is Code.NOT_MEMBER
            await do(owner, "/ban bob")
            member.room = GENERAL
            assert await denied(member, "/join r1") is Code.BANNED
            await do(owner, "/unban bob")
            assert (await do(member, "/join r1")).room == "r1"

    play(scenario)


def test_presence_in_words_of_ones_own() -> None:
    """Issue 3, item 7: away with a status, busy, back, offline; and that somebody types."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice)
            await heard(bob)
            assert await do(desk, "/away at lunch") == Shown(Show.AWAY)
            assert alice.state.people["alice"].show is Show.AWAY
            for line in ("/busy", "/back", "/offline"):
                await do(desk, line)
            rows = [(each.show, each.status) for each in await told(bob, Presence)]
            assert rows == [(Show.AWAY, "at lunch"), (Show.BUSY, None), (Show.ONLINE, None), (Show.OFFLINE, None)]
            await do(desk, "/back")
            await do(desk, "/typing")
            await do(desk, "/typing off")
            typed = await told(bob, Typing)
            assert (typed[0].user, typed[0].room, typed[-1].ttl) == ("alice", GENERAL, 0)
            assert typed[0].ttl > 0

    play(scenario)


def test_dereg_and_reg() -> None:
    """R4.9, R4.10: nothing is delivered in between, and everything afterwards."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            desk = desk_of(alice, "classic")
            await heard(alice)
            assert await do(desk, "dereg") == Done("dereg")
            await bob.tell("alice", "one")
            await bob.post(GENERAL, "two")
            assert [each.text for each in await told(alice, Message)] == []
            assert await do(desk, "reg") == Done("reg")
            assert sorted(each.text for each in await told(alice, Message)) == ["one", "two"]

    play(scenario)


def test_sessions_and_passwords() -> None:
    """Issue 3, item 6, R0.8: sessions are listed and ended; the password is changed; to log out ends the token."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice", device=b"1" * 16)
            other = await here.enter("alice", sign_up=False, device=b"2" * 16)
            desk = desk_of(alice)
            listed: Devices = await do(desk, "/sessions")
            assert [(row[1][:1], row[5]) for row in listed.rows] == [(b"1", True), (b"2", False)]
            (theirs,) = [row[0] for row in listed.rows if not row[5]]
            assert await do(desk, f"/revoke {theirs}") == Done("revoke", {"session": str(theirs)})
            await asyncio.sleep(1)
            assert other.lost is not None
            assert await denied_password(desk, "secret", "new one", "new two") is Code.SCHEMA
            # [12.13-2]: nothing is asked of the server for one that is too short.
            assert await denied_password(desk, "secret", "seven77", "seven77") is Code.SCHEMA
            assert await denied_password(desk, "wrong", "long enough", "long enough") is Code.AUTH_FAILED
            status: Status = await do(desk, "/status")
            assert (status.user, status.version, status.outbox) == ("alice", 2, 0)
            assert await do(desk, "/logout") == Quit("logout")
            await asyncio.sleep(1)
            assert alice.lost is not None

    play(scenario)


async def denied_password(desk: Desk, *words: str) -> Code:
    """Type a password, and see it refused."""
    asks = desk.words.parse("/password")
    for word in words:
        asks = desk.words.answered(asks, word)  # type: ignore[arg-type]
    desk.words.parse = lambda line: asks  # type: ignore[method-assign]
    try:
        return await denied(desk, "/password")
    finally:
        del desk.words.parse
