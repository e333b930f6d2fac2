"""What a hostile server, or a hostile member, makes of sealed messages, and what is given out of that: nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.e2ee.ratchet import Voice
from quicchat.client.seal import Seal
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.rooms import ENCRYPTED
from quicchat.wire.sealed import Scheme, Sealed, SessionKey, packed, unpacked
from tests.client.e2ee.talks import (
    DIRECT,
    ROOM,
    Talker,
    den,
    engine,
    genuine,
    later,
    overheard,
    said_with,
    seal_of,
    talking,
    told,
)
from tests.server.house import play, world

OTHER = "cellar"


def changed(event: Message, **what: object) -> bytes:
    """The sealed body with something else in it."""
    return packed(replace(unpacked(Sealed, event.sealed or b""), **what))  # type: ignore[arg-type]


def flipped(data: bytes | None, at: int) -> bytes:
    raw = bytearray(data or b"")
    raw[at] ^= 1
    return bytes(raw)


ALTERED: dict[str, Callable[[Message], Message]] = {
    "ciphertext": lambda it: replace(
        it, sealed=changed(it, ciphertext=flipped(unpacked(Sealed, it.sealed or b"").ciphertext, 20))
    ),
    "index": lambda it: replace(it, sealed=changed(it, index=5)),
    "signature": lambda it: replace(
        it, sealed=changed(it, signature=flipped(unpacked(Sealed, it.sealed or b"").signature, 3))
    ),
    "cid": lambda it: replace(it, cid=b"another message!"),
    "kind": lambda it: replace(it, kind=Kind.EDIT, refs=(1,)),
    "refs": lambda it: replace(it, refs=(1,)),
    "files": lambda it: replace(it, attachments=((bytes(32), 1, "application/octet-stream", "", 0),)),
    "bytes": lambda it: replace(it, sealed=b"nonsense"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_forged(what: str) -> None:
    """[15.7-4], [15.6-3], attacks "altered ciphertext", "altered index": nothing of it is given out."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            head = await genuine(here, alice, bob)
            # It came as another message, which bob has not had.
            bob.chat._session.provider.replaced(ROOM)
            found = await told(bob, ALTERED[what](later(head, head)))
            assert (found.text, found.attachments, seal_of(found)) == ("", None, Seal.FORGED)
            found = await told(bob, later(head, found))
            assert (found.text, seal_of(found)) == ("genuine", Seal.PINNED)

    play(scenario)


def test_what_is_repeated_is_forged() -> None:
    """[15.7-5], attack "replay": the same message at another place is given out as forged, without its words."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "pay carol")
            await bob.hears("pay carol")
            genuine = await overheard(here)
            found = await told(bob, later(genuine, genuine))
            assert (found.text, seal_of(found)) == ("", Seal.FORGED)
            assert bob.texts == ["pay carol", ""]

    play(scenario)


def test_what_is_moved_to_another_conversation_is_forged() -> None:
    """[15.7-4], attacks "move to another room", "re-address by the server": it opens where it was said, only there."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.create(OTHER, policy=ENCRYPTED)
            await bob.chat.join(OTHER)
            await alice.chat.post(ROOM, "no")
            await alice.chat.post(OTHER, "shall we?")
            await alice.chat.tell("bob", "hello")
            await bob.hears("no", "shall we?", "hello")
            moved = await overheard(here)
            for room in (OTHER, DIRECT):
                found = await told(bob, later(moved, await overheard(here, room)))
                assert (found.text, seal_of(found)) == ("", Seal.FORGED)

    play(scenario)


def key_event(voice: SessionKey, signer: Secret, bob: Talker, head: Message, sender: str = "alice") -> Message:
    """A KEY event that gives bob a session."""
    own = engine(bob).core.directory.own
    assert own is not None
    packet, entries = openpgp.encrypt(packed(voice), [own.device.certificate], signer)
    body = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=packet, entries=entries))
    cid = packet[-16:]
    return later(head, head, kind=Kind.KEY, sender=sender, cid=cid, text="", sealed=body)


@pytest.mark.parametrize("who", ["an unlisted device", "another member", "another member in his own name"])
def test_a_key_that_is_not_by_a_listed_device_opens_nothing(who: str) -> None:
    """[15.7-24], attack "injected device": a session counts only where a device that its sender lists has signed it."""

    async def scenario() -> None:
        async with (
            world() as here,
            talking(here, "alice") as alice,
            talking(here, "bob") as bob,
            talking(here, "mallory") as mallory,
        ):
            await den(alice, bob, mallory)
            await alice.chat.post(ROOM, "genuine")
            await bob.hears("genuine")
            await mallory.chat.post(ROOM, "hm")
            await bob.hears("hm")
            own = engine(mallory).core.directory.own
            assert own is not None
            signer = Secret.make("alice", 1_800_000_000_000) if who == "an unlisted device" else own.device
            voice = Voice.begin("den", "alice", signer.certificate.handle, now=1, chance=lambda size: b"x" * size)
            sender = "mallory" if who.endswith("name") else "alice"
            key = await told(bob, key_event(voice.session_key, signer, bob, await overheard(here), sender))
            assert seal_of(key) is Seal.FORGED
            found = await told(bob, said_with(voice, "send me the password", key))
            assert found.text == ""
            assert seal_of(found) is Seal.WAITING

    play(scenario)


def test_a_key_for_one_conversation_is_none_for_another() -> None:
    """[15.7-24]: the conversation stands in what is signed; a KEY event that the server moves opens nothing there."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.tell("bob", "hello")
            await alice.chat.post(ROOM, "genuine")
            await bob.hears("genuine", "hello")
            key = next(each for each in bob.ears.of(Message) if each.kind is Kind.KEY and each.room == DIRECT)
            found = await told(bob, later(key, await overheard(here)))
            assert seal_of(found) is Seal.FORGED

    play(scenario)


def test_plain_words_in_an_encrypted_conversation_say_that_they_are() -> None:
    """[15.6-26]: what comes in plain where everything is sealed is given out as such; a RETRACT has no words."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            head = await genuine(here, alice, bob)
            found = await told(bob, later(head, head, text="meet me at six", sealed=None))
            assert (found.text, seal_of(found)) == ("meet me at six", Seal.PLAIN)

    play(scenario)
