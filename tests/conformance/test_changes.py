"""Events about others, and many messages at once; from the outside."""

from __future__ import annotations

import os
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.wire import codec, leaves
from quicchat.wire.chapters.messages import (
    WHOLE,
    Found,
    History,
    HistoryPage,
    Kind,
    Message,
    Post,
    Posted,
    PostMany,
    Search,
    Window,
)
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Error, Ok, Purpose
from tests.conformance.files import CHUNK, fetch, offer, refused_get, upload
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.peer import Peer, calling, entered
from tests.conformance.talk import page, post, said


def about(kind: Kind, *refs: int, text: str = "x", **to: Any) -> Post:
    """An event about others."""
    return post("" if kind is Kind.RETRACT else text, kind=kind, refs=refs, **to)


def body(pdu: Post) -> bytes:
    return codec.encode_body(pdu, version=2)


async def event(peer: Peer, kind: Kind) -> Message:
    """The next event of a kind."""
    return await peer.hear(Message, lambda message: message.kind is kind)


def test_an_answer_names_what_is_there(house: House) -> None:
    """P5, [6.1-8]: NO_SUCH_MESSAGE for a place that is not taken; pipelined behind it, it is."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            for reply in (0, 1, 2**53):
                assert await alice.refused(post(user=bob.user, reply=reply)) == Code.NO_SUCH_MESSAGE
            alice.say(post(user=bob.user))
            assert (await said(alice, post(user=bob.user, reply=1))).seq == 2

    house.run(scenario())


def outcomes_of(peer: Peer, sid: int) -> list[tuple[bytes, object]]:
    """What came of each of many messages, in the order of the answers, which all came before the last OK."""
    answers = [each.pdu for each in peer.heard if each.sid == sid]
    assert isinstance(answers[-1], Ok)
    told: list[tuple[bytes, object]] = []
    for each in answers:
        if isinstance(each, Posted):
            told.append((each.cid, (each.seq, each.dup)))
        elif isinstance(each, Error):
            told.append((each.detail or b"", each.code))
    return told


def test_many_messages_at_once(house: House) -> None:
    """R0.10, P3, [6.1-9]: each is answered in its order, then the whole; what is refused keeps no other back."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            twice = post("twice", room=room)
            posts = [
                post("one", room=room),
                post("nowhere", room=somebody()),
                twice,
                post("", room=room),
                twice,
                post("x", room=room, kind=Kind.JOIN),
                about(Kind.EDIT, 3, text="first", room=room),
                post("quietly", user=bob.user),
            ]
            sid = alice.open(Purpose.ROOM, room)
            assert await alice.ask(PostMany(posts=tuple(map(body, posts))), sid=sid) == Ok()
            assert [each.sid for each in alice.heard if isinstance(each.pdu, Ok)] == [sid]
            parts = [each.envelope for each in alice.heard if each.sid == sid and not isinstance(each.pdu, Ok)]
            assert {each.re for each in parts} == {None}
            outcomes = [
                (3, None),
                Code.NOT_MEMBER,
                (4, None),
                Code.SCHEMA,
                (4, True),
                Code.FORBIDDEN,
                (5, None),
                (1, None),
            ]
            assert outcomes_of(alice, sid) == [
                (each.cid, outcome) for each, outcome in zip(posts, outcomes, strict=True)
            ]
            heard = [await event(bob, kind) for kind in (Kind.TEXT, Kind.TEXT, Kind.EDIT, Kind.TEXT)]
            assert [each.text for each in heard] == ["one", "twice", "first", "quietly"]

    house.run(scenario())


def test_what_cannot_be_decoded_refuses_the_whole(house: House) -> None:
    """W1, [6.1-10]: SCHEMA, and nothing of it is stored."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            good = body(post("good", room=room))
            for bad in (b"\xa0", b"\xff", good + b"\0", b"x", good[:-1]):
                assert await alice.refused(PostMany(posts=(good, bad))) == Code.SCHEMA
            assert await page(alice, room, Window.AFTER, 0) == [1]

    house.run(scenario())


def test_such_an_event_names_one_other(house: House) -> None:
    """[6.11-1]: SCHEMA for none and for two, NO_SUCH_MESSAGE for what is not there or was taken back."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            to: dict[str, Any] = {"user": bob.user}
            for kind in (Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN):
                assert await alice.refused(about(kind, 1, **to)) == Code.NO_SUCH_MESSAGE
            seq = (await said(alice, post(**to))).seq
            await said(alice, about(Kind.RETRACT, seq, **to))
            for kind in (Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN):
                for refs in ((), (1, 1)):
                    assert await alice.refused(about(kind, *refs, **to)) == Code.SCHEMA
                assert await alice.refused(post("x", kind=kind, **to)) == Code.SCHEMA
                for ref in (0, seq, 99):
                    assert await alice.refused(about(kind, ref, **to)) == Code.NO_SUCH_MESSAGE

    house.run(scenario())


def test_only_ones_own_words_are_changed(house: House) -> None:
    """Z4, [6.11-2], [6.11-3]: FORBIDDEN for another's message and for what the server recorded; all hear the rest."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            direct = (await said(alice, post("first", user=bob.user))).room
            for where in (room, direct):
                to: dict[str, Any] = {"room": where}
                seq = (await said(alice, post("helo", **to))).seq
                for kind in (Kind.EDIT, Kind.RETRACT):
                    assert await bob.refused(about(kind, seq, **to)) == Code.FORBIDDEN
                correction = await said(alice, about(Kind.EDIT, seq, text="hello", **to))
                told = await event(bob, Kind.EDIT)
                assert (told.seq, told.refs, told.text) == (correction.seq, (seq,), "hello")
                assert await alice.refused(about(Kind.EDIT, correction.seq, **to)) == Code.FORBIDDEN
                back = await said(alice, about(Kind.RETRACT, seq, **to))
                assert (await event(bob, Kind.RETRACT)).refs == (seq,)
                assert await alice.refused(about(Kind.RETRACT, back.seq, **to)) == Code.NO_SUCH_MESSAGE
            joined = 1
            for kind in (Kind.EDIT, Kind.RETRACT):
                assert await alice.refused(about(kind, joined, room=room)) == Code.FORBIDDEN

    house.run(scenario())


def test_what_was_taken_back_is_told_to_nobody(house: House) -> None:
    """Z2, [6.11-4]: not in history, not in a search, not as a file, not to a retry; its place stays."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            whole = b"a long secret"
            file = leaves.of(whole, CHUNK)[0]
            await offer(alice, whole)
            assert (await upload(alice, whole)).missing is None
            attached = ((file, len(whole), WHOLE, "secret.txt", 0),)
            said_first = post("secret", user=bob.user, mentions=(bob.user,), attachments=attached, extra={33: "secret"})
            posted = await said(alice, said_first)
            assert (await fetch(bob, file=file)).data == whole
            await said(alice, about(Kind.EDIT, posted.seq, text="secret too", user=bob.user))
            found = await bob.ask(Search(words="secret"))
            assert isinstance(found, Found)
            assert len(found.events) == 2
            await said(alice, about(Kind.RETRACT, posted.seq, user=bob.user))
            answer = await bob.ask(History(room=posted.room, window=Window.LATEST))
            assert isinstance(answer, HistoryPage)
            assert b"secret" not in b"".join(answer.events)
            events = [codec.decode_body(Message, each, version=2) for each in answer.events]
            assert [(each.seq, each.kind, each.text) for each in events] == [
                (1, Kind.TEXT, ""),
                (2, Kind.EDIT, ""),
                (3, Kind.RETRACT, ""),
            ]
            assert (events[0].mentions, events[0].attachments, events[0].extra) == (None, None, None)
            assert (await bob.ask(Search(words="secret"))) == Found(events=())
            assert await refused_get(bob, file=file, handle=2) == Code.NO_SUCH_FILE
            again = await said(alice, said_first)
            assert (again.seq, again.dup) == (posted.seq, True)

    house.run(scenario())


def test_reactions_are_short_and_can_be_taken_back(house: House) -> None:
    """[6.11-5], [6.11-7]: 1 to 64 bytes of text and nothing else, from anybody who is in."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            to: dict[str, Any] = {"user": bob.user}
            seq = (await said(alice, post(**to))).seq
            for text in ("", "x" * 65, "\u20ac" * 22):
                assert await bob.refused(about(Kind.REACT, seq, text=text, user=alice.user)) == Code.SCHEMA
            reaction = await said(bob, about(Kind.REACT, seq, text="\u20ac" * 21, user=alice.user))
            assert (await event(alice, Kind.REACT)).text == "\u20ac" * 21
            await said(bob, about(Kind.RETRACT, reaction.seq, user=alice.user))
            for kind in (Kind.RETRACT, Kind.REACT, Kind.PIN):
                for more in ({"mentions": (bob.user,)}, {"attachments": ((bytes(32), 1, "x", "", 0),)}):
                    assert await alice.refused(about(kind, seq, **to, **more)) == Code.SCHEMA

    house.run(scenario())


def test_who_may_pin(house: House) -> None:
    """Z4, [6.11-6]: both parties of a direct message; in a room FORBIDDEN for those who do not moderate it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            seq = (await said(alice, post(room=room))).seq
            assert await bob.refused(about(Kind.PIN, seq, room=room)) == Code.FORBIDDEN
            seq = (await said(alice, post(user=bob.user))).seq
            await said(bob, about(Kind.PIN, seq, user=alice.user))
            assert (await event(alice, Kind.PIN)).refs == (seq,)

    house.run(scenario())


@pytest.mark.parametrize("live", [True, False])
def test_version_1_is_told_in_words(live: bool) -> None:
    """R3.6, [6.6-3]: what happened to which message, as a notice, when it happens and when it is read aloud later."""

    async def scenario() -> None:
        async with simulated(MemoryStore()) as place, entered(place) as alice:
            user, device = somebody(), os.urandom(16)
            async with calling(place, device=device) as old:
                await old.enter(user, 1)
                if not live:
                    old.link.close(0x100, "")
                seq = (await said(alice, post("helo", user=user))).seq
                for pdu in (
                    about(Kind.EDIT, seq, text="hello", user=user),
                    about(Kind.REACT, seq, text="+1", user=user),
                    about(Kind.PIN, seq, user=user),
                    about(Kind.RETRACT, seq, user=user),
                ):
                    await said(alice, pdu)
                async with calling(place, device=device) as later:
                    peer = old
                    if not live:
                        await later.enter(user, 1, sign_up=False)
                        peer = later

                    def direct() -> list[Message]:
                        return [each for each in peer.all(Message) if each.room.startswith("@")]

                    await peer.until(lambda: len(direct()) == 5 or None)
                    name = alice.user
                    first = (Kind.TEXT, "helo") if live else (Kind.NOTICE, f"{name} took back #1")
                    second = f"{name} corrected #1: hello" if live else f"{name} took back #2"
                    assert [(each.kind, each.text) for each in direct()] == [
                        first,
                        (Kind.NOTICE, second),
                        (Kind.NOTICE, f"{name} reacted to #1: +1"),
                        (Kind.NOTICE, f"{name} pinned #1"),
                        (Kind.NOTICE, f"{name} took back #1"),
                    ]

    play(scenario())
