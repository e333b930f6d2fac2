"""What every store promises about tokens, devices and gaps: the docstrings of quicchat.server.ports."""

from __future__ import annotations

import asyncio

from quicchat.errors import Code
from quicchat.server.gaps import Gap, judged, lost
from quicchat.server.model import TOKEN_SLACK, Installation
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LAPTOP,
    PHONE,
    TABLET,
    Store,
    cid,
    credentials,
    head_of,
    make,
    refusal,
    run,
    say,
    sign_up,
)

FIRST, SECOND, THIRD = (bytes([number] * 32) for number in (1, 2, 3))


async def admit(store: Store, user: User, device: Device, token: bytes, *, expires: int = 1000, at: int = 1) -> None:
    await store.accounts.admit(user, device, "x", token=token, expires=expires, at=at)


async def bears(store: Store, token: bytes, device: Device, at: int = 1) -> bool:
    """Whether a token is good."""
    code = await refusal(store.accounts.bearer(token, device, at=at))
    assert code in (None, Code.TOKEN_EXPIRED)
    return code is None


async def gap(store: Store, room: Room, user: User, device: Device, held: tuple[int, int] | None = None) -> Gap:
    have = {} if held is None else {room: held}
    gaps = await store.accounts.gaps(user, device, have=have, outstanding=[])
    (found,) = [each for each in gaps.rooms if each.room == room]
    return found


def test_a_token_is_one_devices_and_for_a_while(store: Store) -> None:
    """D7, Accounts.bearer: unknown, of another device, and past its time by more than a minute: all the same."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await admit(store, ALICE, PHONE, FIRST, expires=1000)
        await admit(store, BOB, PHONE, SECOND, expires=1000)
        assert await store.accounts.bearer(FIRST, PHONE, at=1) == ALICE
        assert await store.accounts.bearer(SECOND, PHONE, at=1) == BOB
        assert not await bears(store, FIRST, LAPTOP)
        assert not await bears(store, THIRD, PHONE)
        assert await bears(store, FIRST, PHONE, 999 + TOKEN_SLACK)
        assert not await bears(store, FIRST, PHONE, 1000 + TOKEN_SLACK)

    run(scenario())


def test_a_token_is_used_once(store: Store) -> None:
    """A8, Accounts.rotate: of several who use one at once a single one succeeds; it returns what `admit` does."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await admit(store, ALICE, PHONE, FIRST)
        heads = await store.accounts.admit(ALICE, PHONE, "phone", at=2)
        asks = [
            store.accounts.rotate(FIRST, bytes([number] * 32), PHONE, "", expires=2000, at=5) for number in (7, 8, 9)
        ]
        found = await asyncio.gather(*asks, return_exceptions=True)
        assert [each for each in found if not isinstance(each, Exception)] == [heads]
        assert [number for number in (7, 8, 9) if await bears(store, bytes([number] * 32), PHONE)] == [7]
        assert not await bears(store, FIRST, PHONE)
        assert list(await store.accounts.devices(ALICE, limit=9)) == [
            Installation(device=PHONE, name="phone", seen=5, expires=2000)
        ]
        for token, device, at in ((FIRST, PHONE, 5), (bytes([7] * 32), LAPTOP, 5), (bytes([7] * 32), PHONE, 99_999)):
            rotated = store.accounts.rotate(token, SECOND, device, "", expires=9, at=at)
            assert await refusal(rotated) is Code.TOKEN_EXPIRED

    run(scenario())


def test_a_login_replaces_the_devices_token(store: Store) -> None:
    """Accounts.admit: one token to a device; a login without one (version 1) leaves it as it is."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await admit(store, ALICE, PHONE, FIRST)
        await admit(store, ALICE, LAPTOP, SECOND)
        await admit(store, ALICE, PHONE, THIRD)
        await store.accounts.admit(ALICE, PHONE, "x", at=1)
        held = [await bears(store, token, device) for token, device in ((FIRST, PHONE), (SECOND, LAPTOP))]
        assert held == [False, True]
        assert await bears(store, THIRD, PHONE)

    run(scenario())


def test_a_new_password_ends_all_tokens_but_one(store: Store) -> None:
    """A8, Accounts.set_credentials: with the right key in force only; nothing changes otherwise."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for user, device, token in ((ALICE, PHONE, FIRST), (ALICE, LAPTOP, SECOND), (BOB, PHONE, THIRD)):
            await admit(store, user, device, token)
        wrong = store.accounts.set_credentials(ALICE, credentials(2), current=credentials(3).stored_key, keep=PHONE)
        assert await refusal(wrong) is Code.AUTH_FAILED
        assert await store.accounts.credentials(ALICE) == credentials(1)
        assert await bears(store, SECOND, LAPTOP)
        await store.accounts.set_credentials(ALICE, credentials(2), current=credentials(1).stored_key, keep=PHONE)
        assert await store.accounts.credentials(ALICE) == credentials(2)
        assert [await bears(store, FIRST, PHONE), await bears(store, SECOND, LAPTOP)] == [True, False]
        await store.accounts.set_credentials(ALICE, credentials(3))
        assert not await bears(store, FIRST, PHONE)
        assert await bears(store, THIRD, PHONE)

    run(scenario())


def test_a_proof_of_yesterday_admits_nobody(store: Store) -> None:
    """A8, Accounts.admit: who proved a password that was replaced meanwhile gets neither session nor token."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.accounts.set_credentials(ALICE, credentials(2))
        for mark, expected in ((1, Code.AUTH_FAILED), (2, None)):
            proven = credentials(mark).stored_key
            asked = store.accounts.admit(ALICE, PHONE, "x", token=FIRST, expires=9, proven=proven, at=1)
            assert await refusal(asked) is expected
            assert await bears(store, FIRST, PHONE) is (expected is None)

    run(scenario())


def test_a_device_can_be_revoked(store: Store) -> None:
    """A8, Accounts.revoke: its token ends, its cursors stay; unknown ones are passed over."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await admit(store, ALICE, PHONE, FIRST)
        await admit(store, BOB, PHONE, SECOND)
        await store.log.receipt(GENERAL, ALICE, PHONE, delivered=1, read=None, at=1)
        for user, device in ((ALICE, LAPTOP), (CAROL, PHONE), (ALICE, PHONE), (ALICE, PHONE)):
            await store.accounts.revoke(user, device)
        assert [await bears(store, FIRST, PHONE), await bears(store, SECOND, PHONE)] == [False, True]
        assert (await head_of(store, ALICE, PHONE, GENERAL)).delivered == 1

    run(scenario())


def test_when_somebody_was_last_here(store: Store) -> None:
    """R4.4, Accounts.seen, Rooms.neighbours: of any device, never back, told to those who share a small room."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        assert await store.rooms.neighbours(ALICE) == {ALICE: 0, BOB: 0, CAROL: 0}
        await admit(store, BOB, PHONE, FIRST, at=5)
        await admit(store, BOB, LAPTOP, SECOND, at=7)
        await store.accounts.seen(BOB, PHONE, at=20)
        await store.accounts.seen(BOB, LAPTOP, at=6)
        await store.accounts.seen(BOB, TABLET, at=99)
        await store.accounts.seen(User("nobody"), PHONE, at=99)
        assert await store.rooms.neighbours(ALICE) == {ALICE: 0, BOB: 20, CAROL: 0}
        assert [(each.device, each.seen) for each in await store.accounts.devices(BOB, limit=9)] == [
            (PHONE, 20),
            (LAPTOP, 7),
        ]
        assert [each.device for each in await store.accounts.devices(BOB, limit=1)] == [PHONE]
        await store.accounts.rotate(SECOND, THIRD, LAPTOP, "", expires=99, at=30)
        assert (await store.rooms.neighbours(CAROL))[BOB] == 30

    run(scenario())


def test_what_a_device_missed(store: Store) -> None:
    """P4, [4.3-6]: from what it holds, else from what was delivered to it; all rooms of the user, and no others."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        for _ in range(3):
            await say(store, HALL, BOB)
        await store.accounts.admit(ALICE, PHONE, "x", at=1)
        await store.log.receipt(HALL, ALICE, PHONE, delivered=2, read=None, at=1)
        assert await gap(store, HALL, ALICE, PHONE) == Gap(room=HALL, epoch=1, head=5, place=2, verdict=Verdict.OK)
        assert (await gap(store, HALL, ALICE, PHONE, (1, 4))).place == 4
        assert (await gap(store, HALL, ALICE, PHONE, (1, 0))).place == 0
        assert (await gap(store, HALL, BOB, LAPTOP)).place == 1
        gaps = await store.accounts.gaps(ALICE, PHONE, have={}, outstanding=[])
        assert [each.room for each in gaps.rooms] == [ANNOUNCEMENTS, GENERAL, HALL]

    run(scenario())


def test_a_log_that_is_another_one_is_begun_anew(store: Store) -> None:
    """[4.3-7]: another epoch, and a place that the log never reached."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await make(store, HALL, ALICE, policy=EPHEMERAL)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await make(store, HALL, ALICE)
        for held in ((1, 2), (1, 1), (2, 2), (3, 0)):
            assert await gap(store, HALL, ALICE, PHONE, held) == Gap(
                room=HALL, epoch=2, head=1, place=0, verdict=Verdict.RESET
            )
        assert (await gap(store, HALL, ALICE, PHONE, (2, 1))).verdict is Verdict.OK

    run(scenario())


def test_of_what_is_not_ones_own_nothing_is_told(store: Store) -> None:
    """Z1, Z2, [4.3-8]: one answer for a room left, never entered, of others, and that does not exist."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, BOB, ALICE)
        await say(store, Room("@bob,carol"), BOB)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        have = {HALL: (1, 2), Room("@bob,carol"): (7, 1), Room("nowhere"): (3, 2**53)}
        gaps = await store.accounts.gaps(ALICE, PHONE, have=have, outstanding=[])
        assert list(gaps.rooms[2:]) == [
            Gap(room=room, epoch=epoch, head=0, place=0, verdict=Verdict.GONE) for room, (epoch, _) in have.items()
        ]

    run(scenario())


def test_which_messages_are_stored_already(store: Store) -> None:
    """P2, [4.3-9]: the places of one's own cids, in the order asked; never those of another."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        mine = [await say(store, GENERAL, ALICE) for _ in range(3)]
        other = await say(store, GENERAL, BOB)
        asked = [mine[2].cid, cid(), other.cid, mine[0].cid]
        gaps = await store.accounts.gaps(ALICE, PHONE, have={}, outstanding=asked)
        assert gaps.known == ((mine[2].cid, mine[2].seq), (mine[0].cid, mine[0].seq))
        assert (await store.accounts.gaps(ALICE, PHONE, have={}, outstanding=[cid() for _ in range(256)])).known == ()

    run(scenario())


def test_a_log_that_was_cut_goes_on_behind_the_cut() -> None:
    """[4.3-7]: `judged`, where the beginning of a log is no longer kept, whatever the device holds."""

    def verdict(held: tuple[int, int] | None, delivered: int = 0) -> tuple[int, Verdict]:
        found = judged(HALL, epoch=2, first=10, head=20, since=3, delivered=delivered, held=held)
        return found.place, found.verdict

    assert verdict((2, 4)) == verdict(None, 8) == (9, Verdict.TRUNCATED)
    assert verdict((2, 9)) == verdict(None, 9) == (9, Verdict.OK)
    assert verdict((1, 12)) == (9, Verdict.RESET)
    assert judged(HALL, epoch=1, first=1, head=0, since=0, delivered=0, held=(1, 0)).place == 0
    assert lost(HALL, 4) == Gap(room=HALL, epoch=4, head=0, place=0, verdict=Verdict.GONE)
