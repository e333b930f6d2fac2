"""What is for one device alone reaches that device and no other, and the change of keys everybody."""

from __future__ import annotations

from quicchat.server.effects import Deliver, InRooms
from quicchat.server.feed import BUDGET, Feed
from quicchat.server.journal import Journal
from quicchat.server.router import Router
from quicchat.server.rules import addressed, in_version_1
from quicchat.wire import codec, frame
from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import Device, User
from quicchat.wire.sealed import Scheme, Sealed, packed
from tests.server.sealing import entries_of
from tests.server.stores import LAPTOP
from tests.server.test_router import ALICE, BOB, EVE, PHONE, R1, Ear

Entries = dict[tuple[User, Device], tuple[int, bytes]]


def key_event(entries: Entries) -> Deliver:
    """As `Messages` tells it."""
    body = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=b"session key"))
    event = Message(room=R1, epoch=1, seq=1, cid=bytes(16), sender=EVE, kind=Kind.KEY, ts=0, text="", sealed=body)
    return Deliver(event, InRooms(frozenset({R1})), older=in_version_1(event), own=addressed(event, entries))


def entered(router: Router, number: int, user: User, device: Device, *, version: int = 2) -> Ear:
    ear = Ear(number, version, device)
    router.add(ear)
    router.admit(ear, user, [R1])
    return ear


def heard(ear: Ear) -> list[dict[int, bytes]]:
    """The entries of what was pushed, which is what was written."""
    for pdu, data in zip(ear.heard, ear.frames, strict=True):
        assert frame.wrap(codec.encode(pdu, version=2)) == data
    return [entries_of(each) for each in ear.heard if isinstance(each, Message)]


def test_each_device_hears_its_own_and_the_others_the_common_one() -> None:
    """[15.5-4], [6.6-3]: by user and device; a device id that two users share is two devices; version 1 has none."""
    router = Router()
    phone, laptop = entered(router, 1, ALICE, PHONE), entered(router, 2, ALICE, LAPTOP)
    namesake, twice = entered(router, 3, BOB, PHONE), entered(router, 4, ALICE, PHONE)
    bare, other, old = (entered(router, number, EVE, LAPTOP, version=1 + (number < 7)) for number in (5, 6, 7))
    router.deliver(key_event({(ALICE, PHONE): (2**64 - 1, b"a"), (ALICE, LAPTOP): (2**64 - 2, b"b")}))
    assert [heard(each) for each in (phone, laptop, twice)] == [[{1: b"a"}], [{2: b"b"}], [{1: b"a"}]]
    assert heard(namesake) == heard(bare) == [{}]
    # Encoded once for all who have no entry.
    assert namesake.frames[0] is bare.frames[0] is other.frames[0]
    assert old.heard == []


def test_a_login_that_an_event_overtook_finds_its_entry() -> None:
    """[3.8-4], [15.5-4]: the journal keeps what is for each device."""
    router = Router()
    mark = router.mark()
    router.deliver(key_event({(ALICE, PHONE): (2**64 - 1, b"a")}))
    for device, expected in ((PHONE, {1: b"a"}), (LAPTOP, {})):
        ear = Ear(1, 2, device)
        router.add(ear)
        assert router.admit(ear, ALICE, [R1], since=mark)
        assert heard(ear) == [expected]
        router.remove(ear)


def test_entries_count_in_the_journal() -> None:
    """P7, [8.1-1]: what is kept for many devices has a size."""
    entries: Entries = {(ALICE, Device(bytes([number]) * 16)): (number, bytes(500)) for number in range(50)}
    kept = Journal(size=100_000)
    for _ in range(10):
        kept.add(key_event(entries))
    held = kept.since(kept.mark() - 1)
    assert held is not None
    assert kept.since(kept.mark() - 4) is None


def test_a_slow_client_hears_of_changed_keys() -> None:
    """[15.4-3]: other news that is not of a log is dropped for him."""
    feed = Feed(lambda: BUDGET + 1)
    assert feed.admits(KeysChanged(user=BOB, serial=3), 2)
    assert not feed.admits(Presence(user=BOB, show=Show.ONLINE, since=1), 2)
