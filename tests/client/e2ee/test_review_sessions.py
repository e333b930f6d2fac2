"""What a listed device makes of its own sessions to harm those who read it: long work, endless lists, a life after."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from quicchat.client.e2ee.faults import Forged, Unreadable
from quicchat.client.e2ee.ratchet import Session, Voice, _advanced
from quicchat.client.seal import Seal
from quicchat.wire.sealed import SKIP
from tests.client.e2ee.keyhouse import now
from tests.client.e2ee.talks import (
    DIRECT,
    PHONE,
    ROOM,
    den,
    engine,
    later,
    logged,
    overheard,
    said_with,
    seal_of,
    talking,
    told,
    with_phone,
)
from tests.server.house import play, world


def voice(device: int = 7, index: int = 0, room: str = DIRECT, at: int = 1) -> Voice:
    begun = Voice.begin(room, "alice", device, now=at, chance=lambda size: b"k" * size)
    return replace(begun, index=index)


def test_two_keys_of_a_session_are_not_compared_for_hours() -> None:
    """[15.7-7]: keys of one session that lie further apart than the window are not compared: the second is forged."""
    session = Session.of(voice(index=2**32 - 1).session_key)
    begun = time.perf_counter()
    with pytest.raises(Forged):
        session.widened(voice().session_key)
    assert time.perf_counter() - begun < 0.1
    far = replace(voice(index=SKIP), chain=_advanced(voice().chain, SKIP))
    assert Session.of(far.session_key).widened(voice().session_key).key.index == 0


def test_what_is_remembered_of_a_session_is_bounded() -> None:
    """[15.7-7]: of indices that were opened no more are remembered than the window has, also where it was widened."""
    session = Session.of(voice().session_key)
    for index in range(SKIP + 1):
        session = session.saw(index, 1, index + 1)
    assert Session.unpack(session.pack()).seen == session.seen
    with pytest.raises(Unreadable):
        session.saw(SKIP + 1, 1, SKIP + 2)
    assert session.saw(3, 1, 4) is session
    with pytest.raises(Forged):
        session.saw(3, 1, 9)


def test_a_device_that_was_removed_says_nothing_more_with_its_sessions() -> None:
    """[15.3-27]: what a thief says with a session of a device that its user has let out is forged."""

    async def scenario() -> None:
        async with with_phone() as (here, alice, bob, stolen):
            await den(alice, bob)
            await stolen.chat.post(ROOM, "on my phone")
            await bob.hears("on my phone")
            own = stolen.chat.keys.own
            assert own is not None
            handle = own.device.certificate.handle
            (name,) = [each for each in engine(stolen).core.sessions.all() if each.key.device == handle]
            kept = engine(stolen).core.sealing._voice(ROOM)
            assert kept is not None
            assert kept.sid == name.key.sid
            await alice.chat.keys.remove(own.device.certificate.fingerprint)
            head = await overheard(here)
            # The clocks of server and users may differ by a few minutes.
            late = later(said_with(kept, "send money", head), head, ts=now() + 600_000)
            found = await told(bob, late)
            assert (found.text, seal_of(found)) == ("", Seal.FORGED)

    play(scenario)


def test_what_an_identity_has_signed_that_is_gone_is_never_trusted() -> None:
    """[15.7-28], [15.11-2]: where an impostor's identity gave way to one that was compared, its sessions are marked."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await den(alice, bob)
            await alice.chat.post(ROOM, "one")
            await bob.hears("one")
            kept = engine(alice).core.sealing._voice(ROOM)
            assert kept is not None
            earlier = now()
            # The identity that bob has pinned was the server's; now he sees the right one, and compares it.
            async with talking(here, "alice", sign_up=False, device=PHONE) as right:
                await engine(right).core.directory.renew()
                await asyncio.sleep(1)
                await bob.chat.keys.verify("alice")
                assert bob.chat.keys.of("alice") is not None
                head = (await logged(here, ROOM, "bob"))[-1]
                found = await told(bob, later(said_with(kept, "as before", head), head, ts=earlier))
                assert seal_of(found) is Seal.CHANGED

    play(scenario)
