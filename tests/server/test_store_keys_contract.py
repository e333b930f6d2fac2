"""What every store promises of device lists, keys of devices and backups."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.server.model import (
    KEYS_SIZE,
    PRESENCE_ROOM,
    WAITING_EACH,
    WAITING_LIFE,
    Backup,
    Published,
    UserKeys,
)
from quicchat.wire.chapters.rooms import ENCRYPTED
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from tests.server.sealing import key_of, listing, lists, signed
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LAPTOP,
    PHONE,
    PLENTY,
    TABLET,
    Store,
    changes,
    credentials,
    make,
    refusal,
    run,
    say,
    sign_up,
)


async def told(store: Store, user: User = ALICE, held: int = 0) -> UserKeys:
    (found,) = await store.keys.of([(user, held)], budget=PLENTY)
    return found


async def waiting(store: Store, user: User = ALICE, at: int = 1) -> list[int]:
    """The numbers of the keys that wait."""
    return [each.fingerprint[0] for each in await store.keys.waiting(user, at=at)]


async def here(store: Store, *devices: Device, at: int = 1) -> None:
    """Devices of ALICE log in."""
    for device in devices:
        await store.accounts.admit(ALICE, device, "x", token=device * 2, expires=99, at=at)


def test_a_list_is_kept_as_it_came(store: Store) -> None:
    """[15.2-1], [15.3-2], Keys.publish: list, signature, identity, and the certificates in the order of the list."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await here(store, PHONE, LAPTOP)
        publish = store.keys.publish
        assert await publish(ALICE, key_of(LAPTOP, 2), None, at=1) == Published(news=True, listed=False, serial=0)
        assert await publish(ALICE, key_of(PHONE, 1), signed(7, 2, 1, 9), at=1) == Published(
            news=True, listed=True, serial=7
        )
        assert await told(store) == UserKeys(
            user=ALICE,
            serial=7,
            identity=b"identity",
            devices=listing(7, 2, 1, 9),
            signature=b"signed 7",
            certificates=(bytes([2]) * 40, bytes([1]) * 40),
        )
        assert await waiting(store) == []
        assert await told(store, held=7) == UserKeys(user=ALICE, serial=7)
        assert (await told(store, held=8)).serial == 7
        # What is published again is no news; a longer certificate of the same key is.
        assert await publish(ALICE, key_of(PHONE, 1), None, at=2) == Published(news=False, listed=True, serial=7)
        assert await publish(ALICE, key_of(PHONE, 1, size=50), None, at=2) == Published(
            news=True, listed=True, serial=7
        )
        assert (await told(store)).certificates == (bytes([2]) * 40, bytes([1]) * 50)

    run(scenario())


def test_only_a_higher_serial_takes_the_place_of_a_list(store: Store) -> None:
    """[15.2-3], Keys.publish: KEYS_STALE for the same and for lower ones, and nothing is kept; but the same again."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await here(store, PHONE, LAPTOP)
        await lists(store, ALICE, {PHONE: 1}, serial=5)
        for other in (signed(5, 1, 2), signed(4, 1), signed(5, 1, identity=b"other")):
            assert await refusal(store.keys.publish(ALICE, key_of(LAPTOP, 2), other, at=1)) is Code.KEYS_STALE
        assert await waiting(store) == []
        assert (await told(store)).devices == listing(5, 1)
        again = await store.keys.publish(ALICE, key_of(PHONE, 1), signed(5, 1), at=1)
        assert again == Published(news=False, listed=True, serial=5)
        await store.keys.publish(ALICE, key_of(LAPTOP, 2), signed(6, 1, 2, identity=b"other"), at=1)
        assert ((await told(store)).identity, len((await told(store)).certificates)) == (b"other", 2)

    run(scenario())


def test_who_drops_out_of_the_list_is_forgotten(store: Store) -> None:
    """[15.2-4], Keys.publish: his certificate is told no more; who waited goes on waiting, and who publishes waits."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await here(store, PHONE, LAPTOP, TABLET)
        await lists(store, ALICE, {PHONE: 1, LAPTOP: 2})
        await store.keys.publish(ALICE, key_of(TABLET, 3), None, at=1)
        assert await waiting(store) == [3]
        await store.keys.publish(ALICE, key_of(PHONE, 1), signed(2, 1), at=2)
        assert (await told(store)).certificates == (bytes([1]) * 40,)
        assert await waiting(store) == [3]
        await store.keys.publish(ALICE, key_of(LAPTOP, 2), None, at=3)
        assert await waiting(store) == [2, 3]
        # A list without the device that brings it: that one waits.
        assert not (await store.keys.publish(ALICE, key_of(PHONE, 1), signed(3, 2, 3), at=4)).listed
        assert (await told(store)).certificates == (bytes([2]) * 40, bytes([3]) * 40)
        assert await waiting(store) == [1]

    run(scenario())


def test_a_device_has_one_key(store: Store) -> None:
    """[15.2-1], [15.2-6], Keys.publish: a new one takes its place; the same key of another device moves; FORBIDDEN
    with another certificate."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await here(store, PHONE, LAPTOP)
        await lists(store, ALICE, {PHONE: 1})
        await store.keys.publish(ALICE, key_of(PHONE, 2), None, at=1)
        assert (await told(store)).certificates == ()
        assert await waiting(store) == [2]
        other = key_of(LAPTOP, 2, size=41)
        assert await refusal(store.keys.publish(ALICE, other, None, at=1)) is Code.FORBIDDEN
        moved = await store.keys.publish(ALICE, key_of(LAPTOP, 2), None, at=1)
        assert moved == Published(news=True, listed=False, serial=1)
        (found,) = await store.keys.waiting(ALICE, at=1)
        assert found == key_of(LAPTOP, 2)
        # Another user's key of that fingerprint is his own affair.
        await store.keys.publish(BOB, key_of(PHONE, 2, size=41), None, at=1)
        assert await refusal(store.keys.publish(CAROL, key_of(PHONE), None, at=1)) is Code.NO_SUCH_USER

    run(scenario())


def test_of_those_who_wait_the_oldest_goes(store: Store) -> None:
    """[15.2-5], [15.3-4], Keys.waiting: at most so many, the last first."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        devices = [Device(bytes([number]) * 16) for number in range(WAITING_EACH + 3)]
        await here(store, *devices)
        for number, device in enumerate(devices):
            await store.keys.publish(ALICE, key_of(device, 1 + number), None, at=100 + number)
        assert await waiting(store) == list(range(len(devices), 3, -1))
        # One that comes first by the clock is not driven out by coming.
        await store.keys.publish(ALICE, key_of(devices[0], 1), None, at=1)
        assert await waiting(store) == [*range(len(devices), 4, -1), 1]

    run(scenario())


def test_nobody_waits_for_ever(store: Store) -> None:
    """[15.2-5], Keys.waiting, Accounts.revoke, set_credentials: who is not seen, or whose token is ended,
    waits no more; who is listed stays."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await here(store, PHONE, LAPTOP)
        await here(store, TABLET, at=50)
        await lists(store, ALICE, {PHONE: 1})
        for device, mark in ((LAPTOP, 2), (TABLET, 3)):
            await store.keys.publish(ALICE, key_of(device, mark), None, at=mark)
        assert await waiting(store, at=WAITING_LIFE) == [3, 2]
        assert await waiting(store, at=WAITING_LIFE + 1) == [3]
        assert await waiting(store, at=WAITING_LIFE + 50) == []
        for device in (PHONE, LAPTOP):
            await store.accounts.revoke(ALICE, device)
        assert await waiting(store) == [3]
        await store.accounts.set_credentials(ALICE, credentials(2), keep=TABLET)
        assert await waiting(store) == [3]
        await store.accounts.set_credentials(ALICE, credentials(2), keep=PHONE)
        assert await waiting(store) == []
        assert len((await told(store)).certificates) == 1
        # Devices that never logged in, or whose request was on its way when its token ended.
        for device, mark in ((Device(bytes(16)), 4), (TABLET, 5)):
            await store.keys.publish(ALICE, key_of(device, mark), None, at=1)
        assert await waiting(store) == []
        await here(store, TABLET)
        assert await waiting(store) == [5]

    run(scenario())


def test_pages_of_keys(store: Store) -> None:
    """[15.3-1], [15.3-3], P7, Keys.of: as many as fit, but one; who is unknown is as one without keys."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        for user in (ALICE, CAROL):
            await store.keys.publish(user, key_of(PHONE, 1, size=1_000), signed(1, 1), at=1)
        asked = [(ALICE, 0), (BOB, 0), (CAROL, 0), (User("nobody"), 3)]

        async def names(budget: int) -> list[tuple[User, int]]:
            return [(each.user, each.serial) for each in await store.keys.of(asked, budget=budget)]

        assert await names(PLENTY) == [(ALICE, 1), (BOB, 0), (CAROL, 1), (User("nobody"), 0)]
        assert await names(1) == [(ALICE, 1)]
        size = (await told(store)).size
        assert 1_000 < size < 1_300
        assert await names(size + UserKeys(user=BOB).size) == [(ALICE, 1), (BOB, 0)]
        assert list(await store.keys.of([], budget=1)) == []

    run(scenario())


def test_what_is_told_of_one_user_has_an_end(store: Store) -> None:
    """[15.2-7], P7, Keys.publish: LIMIT for a list, or a certificate, that makes it longer than a frame."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        devices = [Device(bytes([number]) * 16) for number in range(5)]
        await here(store, *devices)
        for number, device in enumerate(devices, start=1):
            await store.keys.publish(ALICE, key_of(device, number, size=11_000), None, at=1)
        last = key_of(devices[0], 1, size=11_000)
        assert await refusal(store.keys.publish(ALICE, last, signed(1, 1, 2, 3, 4, 5), at=1)) is Code.LIMIT
        assert len(await waiting(store)) == 5
        await store.keys.publish(ALICE, last, signed(1, 1, 2, 3, 4), at=1)
        assert 44_000 < (await told(store)).size <= KEYS_SIZE
        longer = key_of(devices[0], 1, size=16_384)
        assert await refusal(store.keys.publish(ALICE, longer, None, at=1)) is Code.LIMIT
        assert (await told(store)).certificates[0] == last.certificate

    run(scenario())


def test_whom_keys_concern(store: Store) -> None:
    """[15.4-1], Keys.concerned: direct messages, encrypted rooms of any size, and others that are small."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        await make(store, Room("vault"), BOB, policy=ENCRYPTED)
        await say(store, Room("@alice,bob"), BOB)
        everywhere = frozenset({GENERAL, ANNOUNCEMENTS, HALL, Room("@alice,bob")})
        assert await store.keys.concerned(ALICE) == everywhere
        assert await store.keys.concerned(BOB) == everywhere | {Room("vault")}
        assert await store.keys.concerned(CAROL) == frozenset()
        many = [User(f"user{number}") for number in range(PRESENCE_ROOM)]
        await sign_up(store, *many)
        for user in many:
            await store.rooms.join(HALL, user, cid=b"c" * 16, at=1)
        assert await store.keys.concerned(ALICE) == frozenset({Room("@alice,bob")})
        assert await changes(store, ALICE, policy=ENCRYPTED) is None
        assert await store.keys.concerned(ALICE) == frozenset({Room("@alice,bob"), HALL})

    run(scenario())


def test_parts_of_a_backup(store: Store) -> None:
    """[15.9-1], Keys.back_up, restore: by number; part 0 of a higher generation takes the place of all."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        keep, restore = store.keys.back_up, store.keys.restore
        assert await restore(ALICE, 0) == Backup()
        assert await restore(BOB, 0) == Backup()
        assert await refusal(keep(ALICE, 3, 1, b"early", most=99)) is Code.SCHEMA
        for part, data in ((0, b"zero"), (1, b"one"), (2, b"two"), (1, b"uno")):
            await keep(ALICE, 3, part, data, most=99)
        assert [await restore(ALICE, part) for part in (0, 1, 2, 3)] == [
            Backup(generation=3, count=3, data=data) for data in (b"zero", b"uno", b"two", b"")
        ]
        assert await refusal(keep(ALICE, 3, 4, b"gap", most=99)) is Code.SCHEMA
        assert await refusal(keep(ALICE, 2, 0, b"old", most=99)) is Code.KEYS_STALE
        assert await refusal(keep(ALICE, 4, 1, b"gap", most=99)) is Code.SCHEMA
        assert (await restore(ALICE, 0)).count == 3
        await keep(ALICE, 4, 0, b"anew", most=99)
        assert [await restore(ALICE, part) for part in (0, 1)] == [
            Backup(generation=4, count=1, data=data) for data in (b"anew", b"")
        ]
        assert await refusal(keep(BOB, 1, 0, b"x", most=99)) is Code.NO_SUCH_USER

    run(scenario())


def test_a_backup_has_an_end(store: Store) -> None:
    """[15.9-1], P7, Keys.back_up: QUOTA beyond so many bytes in all, and what is there stays."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        keep = store.keys.back_up
        await keep(ALICE, 1, 0, bytes(60), most=100)
        assert await refusal(keep(ALICE, 1, 1, bytes(41), most=100)) is Code.QUOTA
        await keep(ALICE, 1, 1, bytes(40), most=100)
        assert await refusal(keep(ALICE, 1, 0, bytes(61), most=100)) is Code.QUOTA
        assert await refusal(keep(ALICE, 2, 0, bytes(101), most=100)) is Code.QUOTA
        assert await store.keys.restore(ALICE, 0) == Backup(generation=1, count=2, data=bytes(60))
        await keep(ALICE, 2, 0, bytes(100), most=100)

    run(scenario())
