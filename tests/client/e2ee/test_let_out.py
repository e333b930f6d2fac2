"""What a device goes on saying after its user has let it out, with a session that everybody has, or a new one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quicchat.client.chance import HERE
from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.ratchet import Voice
from quicchat.client.e2ee.records import Known, devices_of
from quicchat.client.seal import Seal
from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.sealed import Scheme, Sealed, packed
from tests.client.e2ee.talks import (
    DIRECT,
    Talker,
    engine,
    inject,
    later,
    logged,
    said_with,
    seal_of,
    told,
    with_phone,
)
from tests.server.house import play

HOUR = 3_600_000


def voice_of(thief: Talker) -> Voice:
    found = engine(thief)._keyring.read(Voice, Drawer.VOICE, DIRECT.encode())
    assert found is not None
    return found


@pytest.mark.parametrize("new_session", [False, True])
def test_what_a_device_that_was_let_out_says_is_forged(new_session: bool) -> None:
    """[15.3-27], attack "stolen device": what is stored after it was let out does not count, whatever it signs."""

    async def scenario() -> None:
        async with with_phone() as (here, alice, bob, phone):
            await phone.chat.tell("bob", "mine")
            await bob.hears("mine")
            own, reader = phone.chat.keys.own, bob.chat.keys.own
            assert own is not None
            assert reader is not None
            voice = voice_of(phone)
            await alice.chat.keys.remove(own.device.certificate.fingerprint)
            await alice.chat.tell("bob", "it was stolen")
            await bob.hears("it was stolen")
            known = engine(bob)._keyring.read(Known, Drawer.PERSON, b"alice")
            assert known is not None
            until = next(each.until for each in devices_of(known) if each.handle == own.device.certificate.handle)
            assert until
            head = (await logged(here, DIRECT, "bob"))[-1]
            if new_session:
                voice = replace(voice, sid=b"a new session...", chain=bytes(32), index=0)
                packet, entries = openpgp.encrypt(packed(voice.session_key), [reader.device.certificate], own.device)
                body = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=packet, entries=entries))
                facts = {"kind": Kind.KEY, "sender": "alice", "cid": packet[-16:], "text": "", "sealed": body}
                key = await told(bob, later(head, head, **facts, ts=until + HOUR))
                assert seal_of(key) is Seal.FORGED
                head = key
            late = await told(bob, replace(said_with(voice, "send money", head), ts=until + HOUR))
            assert late.text == ""
            assert seal_of(late) is (Seal.WAITING if new_session else Seal.FORGED)
            if not new_session:
                # Nobody but the server knows when it was stored, and the device could have said it in time.
                early = await told(bob, replace(said_with(voice, "send money", later(head, late)), ts=until - 1))
                assert (early.text, seal_of(early)) == ("send money", Seal.PINNED)
            expected = ["mine", "it was stolen"] + ([] if new_session else ["send money"])
            assert [text for text in bob.texts if text] == expected

    play(scenario)


def test_a_list_that_has_just_changed_is_asked_for_first() -> None:
    """[15.3-28]: what comes right behind KEY_CHANGED is judged by the list that this speaks of."""

    async def scenario() -> None:
        async with with_phone() as (here, alice, bob, phone):
            await phone.chat.tell("bob", "mine")
            await bob.hears("mine")
            voice, own = voice_of(phone), phone.chat.keys.own
            assert own is not None
            head = (await logged(here, DIRECT, "bob"))[-1]
            await alice.chat.keys.remove(own.device.certificate.fingerprint)
            inject(bob, KeysChanged(user="alice", serial=9))
            late = replace(said_with(voice, "send money", head), ts=int(HERE.wall() * 1000) + HOUR)
            found = await told(bob, late)
            assert (found.text, seal_of(found)) == ("", Seal.FORGED)

    play(scenario)
