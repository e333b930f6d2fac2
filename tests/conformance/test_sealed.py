"""Sealed messages at the server, from the outside: split, forwarded, refused, and never opened."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import Resume, Resumed
from quicchat.wire.chapters.messages import (
    Kind,
    Message,
    Post,
    Posted,
    PostMany,
)
from quicchat.wire.chapters.rooms import ENCRYPTED, INVITE_ONLY, Create, Join, SetRoom
from quicchat.wire.chapters.session import Error, Ok
from quicchat.wire.sealed import Scheme, Sealed, packed, unpacked
from tests.conformance.house import House, somebody
from tests.conformance.inside import done, next_event, state
from tests.conformance.peer import calling, entered
from tests.conformance.sealing import NEUTRAL, Key, entries, history, keying, publish, sealed, vault
from tests.conformance.talk import post, said


def files(media_type: str = NEUTRAL, name: str = "", modified: int = 0) -> tuple[tuple[bytes, int, str, str, int], ...]:
    return ((bytes(32), 9, media_type, name, modified),)


def open_body(**fields: object) -> bytes:
    facts = {"scheme": Scheme.OPENPGP, "ciphertext": b"x", **fields}
    return packed(Sealed(**facts))  # type: ignore[arg-type]


#: What says something beside what is sealed, or is sealed and cannot be, or has entries where none can stand.
MISFITS: dict[str, Post] = {
    "text": replace(sealed(), text="plain"),
    "topic": replace(sealed(), topic="plain"),
    "no topic": replace(sealed(), topic=""),
    "reply": replace(sealed(), reply=1),
    "mentions": replace(sealed(), mentions=("bob",)),
    "no mentions": replace(sealed(), mentions=()),
    "media type": replace(sealed(), attachments=files(media_type="image/png")),
    "name": replace(sealed(), attachments=files(name="plan.txt")),
    "modified": replace(sealed(), attachments=files(modified=1)),
    "second name": replace(sealed(), attachments=files() + files(name="plan.txt")),
    "retract": replace(sealed(), kind=Kind.RETRACT, refs=(1,)),
    "pin": replace(sealed(), kind=Kind.PIN, refs=(1,)),
    "edit of two": replace(sealed(), kind=Kind.EDIT, refs=(1, 2)),
    "no body": replace(sealed(), sealed=b"\xff"),
    "not a map": replace(sealed(), sealed=b"\x01"),
    "behind it": replace(sealed(), sealed=open_body() + b"\x00"),
    "unknown scheme": replace(sealed(), sealed=open_body().replace(b"\x01\x01", b"\x01\x09", 1)),
    "must understand": replace(sealed(), sealed=b"\xa3\x01\x01\x04\x41x\x18\x20\x01"),
    "entries in a text": replace(sealed(), sealed=open_body(entries={1: b"x"})),
    "empty entries in a text": replace(sealed(), sealed=open_body(entries={})),
    "plain key": post("plain", kind=Kind.KEY),
    "nothing": post("", kind=Kind.KEY),
    "key without entries": replace(keying([Key()]), sealed=open_body()),
    "key with empty entries": keying({}),
    "key about something": replace(keying([Key()]), refs=(1,)),
    "key about nothing": replace(keying([Key()]), refs=()),
    "key with a file": replace(keying([Key()]), attachments=files()),
}


@pytest.mark.parametrize("flaw", MISFITS)
def test_what_is_sealed_stands_alone(house: House, flaw: str) -> None:
    """[15.5-1], [15.5-2], [6.1-1]: SCHEMA, not fatal, and nothing is stored."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = await vault(alice)
            assert await alice.refused(replace(MISFITS[flaw], room=room)) == Code.SCHEMA
            assert len(await history(alice, room)) == 1

    house.run(scenario())


def test_each_device_is_sent_its_own_entry(house: House) -> None:
    """[15.5-4], [15.5-5], [6.5-2]: pushed, and fetched on either stream; the sender's other device too; others none."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = await vault(alice, bob, carol)
            own, phone, tablet = Key(), await publish(bob, Key()), Key()
            await publish(alice, own)
            async with entered(house.place, user=bob.user) as second, entered(house.place, user=alice.user) as other:
                await publish(second, tablet, phone, serial=2)
                desk = await publish(other, Key(), own, serial=2)
                event = keying([phone, tablet, desk], room=room, extra={33: b"kept"})
                place = (await said(alice, event)).seq
                bare = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=b"session key"))
                for peer, key in ((bob, phone), (second, tablet), (other, desk), (carol, None), (alice, None)):
                    expected = None if key is None else {key.handle: key.certificate}
                    messages = (await history(peer, room))[place - 1 : place]
                    if peer is not alice:
                        messages.append(await next_event(peer, room))
                    for message in messages:
                        assert entries(message) == expected
                        assert replace(unpacked(Sealed, message.sealed or b""), entries=None) == unpacked(Sealed, bare)
                        assert (message.kind, message.text, message.extra) == (Kind.KEY, "", {33: b"kept"})
                words = sealed(b"words", room=room, kind=Kind.TEXT, expires=7, sent=5)
                await said(alice, words)
                for peer in (bob, second, other, carol):
                    heard = await next_event(peer, room)
                    assert (heard.sealed, heard.text, heard.expires) == (words.sealed, "", 7)

    house.run(scenario())


def test_who_comes_back_is_sent_his_entry(house: House) -> None:
    """[15.5-4], [4.3-10]: what RESUMED sends of a gap, too, has the entry of the device, and no other."""

    async def scenario() -> None:
        device = os.urandom(16)
        async with entered(house.place) as alice:
            async with calling(house.place, device=device) as bob:
                user = somebody()
                token = (await bob.enter(user)).token or b""
                room = await vault(alice, bob)
                keys = [await publish(bob, Key())]
                await said(alice, keying(keys, room=room))
                await next_event(bob, room)
            async with entered(house.place, user=user) as second:
                keys.append(await publish(second, Key(), keys[0], serial=2))
            await said(alice, keying(keys, room=room))
            async with calling(house.place, device=device) as bob:
                await bob.negotiate()
                answer = await bob.ask(Resume(token=token, have=((room, 1, 3),), outstanding=()))
                assert isinstance(answer, Resumed), answer
                assert entries(await next_event(bob, room)) == {keys[0].handle: keys[0].certificate}

    house.run(scenario())


def test_handles_of_nobody_there_are_refused(house: House) -> None:
    """[15.5-3]: KEYS_STALE in a room and between two; of strangers, of who waits, of who has dropped out."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = await vault(alice, bob)
            phone, stranger, waiting = await publish(bob, Key()), await publish(carol, Key()), Key()
            async with entered(house.place, user=bob.user) as second:
                assert await second.ask(waiting.pdu()) == Ok()
                ways: list[dict[str, Any]] = [{"room": room}, {"user": bob.user}]
                for where in ways:
                    for keys in ([Key()], [phone, stranger], [phone, waiting]):
                        assert await alice.refused(keying(keys, **where)) == Code.KEYS_STALE
                    await said(alice, keying([phone], **where))
                await publish(second, waiting, serial=2)
                assert await alice.refused(keying([phone, waiting], room=room)) == Code.KEYS_STALE
                await said(alice, keying([waiting], room=room))
            assert [each.kind for each in await history(bob, room)] == [Kind.JOIN, Kind.JOIN, Kind.KEY, Kind.KEY]
            many = PostMany(
                posts=tuple(
                    codec.encode_body(each, version=2)
                    for each in (keying([phone], room=room), sealed(room=room), keying([waiting], room=room))
                )
            )
            alice.heard.clear()
            assert await alice.ask(many) == Ok()
            assert [each.code for each in alice.all(Error) if each.detail] == [Code.KEYS_STALE]
            assert len(alice.all(Posted)) == 2

    house.run(scenario())


def test_another_body_is_another_message(house: House) -> None:
    """[15.5-6], [6.1-4]: the same again is `dup`; another body, other entries, or in plain CID_CONFLICT."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = await vault(alice, bob)
            phone = await publish(bob, Key())
            words, key = sealed(room=room), keying([phone], room=room)
            for dup in (None, True):
                for each in (words, key):
                    assert (await said(alice, each)).dup is dup
            for other in (
                replace(words, sealed=sealed(b"other").sealed),
                replace(words, sealed=None, text="plain"),
                replace(key, sealed=keying({phone.handle: b"other"}).sealed),
                replace(key, sealed=keying([phone], b"other").sealed),
            ):
                assert await alice.refused(other) == Code.CID_CONFLICT

    house.run(scenario())


def test_nothing_plain_in_an_encrypted_room(house: House) -> None:
    """[15.5-7], [5.10-4]: SEALED_ONLY; RETRACT and PIN pass; between two both are taken."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = await vault(alice, bob)
            place = (await said(alice, sealed(room=room))).seq
            for kind, about in ((None, None), (Kind.EMOTE, None), (Kind.EDIT, (place,)), (Kind.REACT, (place,))):
                assert await alice.refused(post("x", room=room, kind=kind, refs=about)) == Code.SEALED_ONLY
            for pdu in (
                sealed(room=room, kind=Kind.EDIT, refs=(place,)),
                sealed(room=room, kind=Kind.REACT, refs=(place,)),
                post("pin", room=room, kind=Kind.PIN, refs=(place,)),
                post("", room=room, kind=Kind.RETRACT, refs=(place,)),
            ):
                await said(alice, pdu)
            for pdu in (post("plain", user=bob.user), sealed(user=bob.user)):
                await said(alice, pdu)

    house.run(scenario())


def test_encrypted_once_is_encrypted_for_good(house: House) -> None:
    """[5.10-4], [5.10-5]: bit 2 is told, can be set later and never cleared; not of `general`, nor by members."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            await state(alice, Create(room=(room := somebody())))
            assert not (await state(bob, Join(room=room))).policy
            await said(bob, post("plain", room=room))
            assert await bob.refused(SetRoom(room=room, policy=ENCRYPTED)) == Code.FORBIDDEN
            await done(alice, SetRoom(room=room, topic="ours", policy=ENCRYPTED))
            for peer in (alice, bob):
                told = await peer.hear(Message, lambda event: event.kind is Kind.TOPIC)
                assert (told.room, told.text, told.policy) == (room, "ours", ENCRYPTED)
            assert await bob.refused(post("plain", room=room)) == Code.SEALED_ONLY
            for policy in (0, INVITE_ONLY):
                assert await alice.refused(SetRoom(room=room, policy=policy)) == Code.FORBIDDEN
            await done(alice, SetRoom(room=room, policy=ENCRYPTED | INVITE_ONLY), SetRoom(room=room, topic="x"))
            assert (await state(bob, Join(room=room))).policy == ENCRYPTED | INVITE_ONLY
            made = await state(alice, Join(room=somebody(), create=True, policy=ENCRYPTED))
            assert made.policy == ENCRYPTED
            assert await alice.refused(SetRoom(room="general", policy=ENCRYPTED)) == Code.FORBIDDEN

    house.run(scenario())


def test_what_is_taken_back_is_gone(house: House) -> None:
    """[15.5-8], [6.11-4]: a sealed message and its corrections; nothing can be about a KEY event."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = await vault(alice, bob)
            phone = await publish(bob, Key())
            place = (await said(alice, sealed(b"secret", room=room))).seq
            await said(alice, sealed(b"secret", room=room, kind=Kind.EDIT, refs=(place,)))
            key = (await said(alice, keying([phone], room=room))).seq
            for kind in (Kind.RETRACT, Kind.PIN):
                about = post("" if kind is Kind.RETRACT else "x", room=room, kind=kind, refs=(key,))
                assert await alice.refused(about) == Code.FORBIDDEN
            for kind in (Kind.EDIT, Kind.REACT):
                assert await alice.refused(sealed(room=room, kind=kind, refs=(key,))) == Code.FORBIDDEN
            assert await bob.refused(sealed(room=room, kind=Kind.EDIT, refs=(place,))) == Code.FORBIDDEN
            await said(alice, post("", room=room, kind=Kind.RETRACT, refs=(place,)))
            left = [each.sealed for each in await history(bob, room) if each.kind in (Kind.TEXT, Kind.EDIT)]
            assert left == [None, None]
            assert await alice.refused(post("x", room=room, kind=Kind.PIN, refs=(place,))) == Code.NO_SUCH_MESSAGE

    house.run(scenario())
