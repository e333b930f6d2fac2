"""What every store promises of sealed messages: entries apart, nothing plain in an encrypted room, nobody's news."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.model import Word
from quicchat.wire.chapters.messages import Kind, Post, Window
from quicchat.wire.chapters.rooms import ENCRYPTED, EPHEMERAL, INVITE_ONLY, Rank
from quicchat.wire.names import GENERAL, Room, User
from quicchat.wire.sealed import Scheme, Sealed, packed
from tests.server.sealing import (
    body,
    entries_of,
    given,
    key_of,
    key_post,
    keys_for,
    lists,
    sealed_post,
    signed,
)
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
    cid,
    make,
    post,
    rank,
    refusal,
    run,
    say,
    sign_up,
    whole_log,
)

DIRECT = Room("@alice,bob")


async def furnish(store: Store) -> None:
    """ALICE with one device, BOB with two and CAROL, whose key has BOB's second handle; all but her in the HALL."""
    await sign_up(store, ALICE, BOB, CAROL)
    await make(store, HALL, ALICE, BOB, policy=ENCRYPTED)
    await lists(store, ALICE, {PHONE: 1})
    await lists(store, BOB, {PHONE: 2, LAPTOP: 3})
    await store.keys.publish(CAROL, key_of(PHONE, 3), signed(1, 3), at=1)


async def append(store: Store, said: Post, *, room: Room = HALL, sender: User = ALICE) -> Code | None:
    return await refusal(store.log.append(room, sender, PHONE, said, at=1))


def test_each_device_is_given_its_own_entry(store: Store) -> None:
    """[15.5-4], Log.append, page: the event has no entry, and each device finds its own in it."""

    async def scenario() -> None:
        await furnish(store)
        said = key_post(2, 3)
        stored = await store.log.append(HALL, ALICE, PHONE, said, at=1)
        assert stored.entries == {
            (BOB, PHONE): (2**64 - 2, b"packet 2"),
            (BOB, LAPTOP): (2**64 - 3, b"packet 3"),
        }
        bare = packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=b"session key"))
        assert stored.message.sealed == bare
        assert (await whole_log(store, HALL, BOB))[-1] == stored.message
        for user, device, entries in (
            (BOB, PHONE, {2: b"packet 2"}),
            (BOB, LAPTOP, {3: b"packet 3"}),
            (BOB, TABLET, {}),
            (BOB, None, {}),
            (ALICE, PHONE, {}),
        ):
            assert await given(store, HALL, user, device) == [entries]
        for window, anchor in ((Window.LATEST, 0), (Window.BEFORE, 4), (Window.AROUND, 3)):
            page = await store.log.page(HALL, BOB, window=window, anchor=anchor, limit=1, budget=1, device=PHONE)
            assert b"packet 2" in page.events[0]
            assert b"packet 3" not in page.events[0]
        # What was given stays given, whatever becomes of the list; who comes later finds nothing.
        await store.keys.publish(BOB, key_of(PHONE, 2), signed(2, 2), at=1)
        await store.rooms.join(HALL, CAROL, cid=cid(), at=1)
        assert await given(store, HALL, BOB, LAPTOP) == [{3: b"packet 3"}]
        assert await given(store, HALL, CAROL, PHONE) == [{}]

    run(scenario())


def test_unknown_keys_of_a_sealed_body_stay(store: Store) -> None:
    """[2.5-3], [15.5-4]: what a KEY event has that this server does not know is passed on with the entry."""

    async def scenario() -> None:
        await furnish(store)
        entries = {2**64 - 2: b"packet 2"}
        sealed = Sealed(scheme=Scheme.OPENPGP, ciphertext=b"x", entries=entries, extra={33: b"newer"})
        await store.log.append(HALL, ALICE, PHONE, key_post(sealed=packed(sealed), extra={35: 1}), at=1)
        page = await store.log.page(HALL, BOB, window=Window.LATEST, anchor=0, limit=1, budget=1, device=PHONE)
        assert b"newer" in page.events[0]
        event = (await whole_log(store, HALL, BOB))[-1]
        assert event.extra == {35: 1}
        assert packed(replace(sealed, entries=None)) == event.sealed

    run(scenario())


def test_entries_for_strangers_are_stale(store: Store) -> None:
    """[15.5-3], Log.append: KEYS_STALE for handles of nobody, of non-members, of who waits; and nothing is stored."""

    async def scenario() -> None:
        await furnish(store)
        await store.keys.publish(BOB, key_of(TABLET, 4), None, at=1)
        before = await whole_log(store, HALL, ALICE)
        for marks in ((9,), (2, 9), (4,), (1, 2, 3, 4)):
            assert await append(store, key_post(*marks)) is Code.KEYS_STALE
        assert await append(store, key_post(3), room=Room("@alice,carol")) is None
        assert await append(store, key_post(2), room=Room("@alice,carol")) is Code.KEYS_STALE
        assert await append(store, key_post(3), room=DIRECT) is None
        assert await append(store, key_post(1), room=DIRECT, sender=BOB) is None
        assert await whole_log(store, HALL, ALICE) == before
        await store.rooms.join(HALL, CAROL, cid=cid(), at=1)
        stored = await store.log.append(HALL, ALICE, PHONE, key_post(3), at=1)
        assert sorted(stored.entries) == [(BOB, LAPTOP), (CAROL, PHONE)]
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert await append(store, key_post(2)) is Code.KEYS_STALE
        await store.keys.publish(CAROL, key_of(PHONE, 3), signed(2), at=1)
        assert await append(store, key_post(3)) is Code.KEYS_STALE

    run(scenario())


def test_a_refused_key_opens_no_conversation(store: Store) -> None:
    """[15.5-3], [5.7-1]: a direct message room does not come into being with what is refused."""

    async def scenario() -> None:
        await furnish(store)
        assert await append(store, key_post(9), room=DIRECT) is Code.KEYS_STALE
        assert await refusal(store.rooms.info(DIRECT, ALICE)) is Code.NO_SUCH_ROOM
        assert await append(store, key_post(2), room=DIRECT) is None
        assert await given(store, DIRECT, BOB, PHONE) == [{2: b"packet 2"}]

    run(scenario())


def test_a_retry_is_known_by_what_is_sealed(store: Store) -> None:
    """P2, [15.5-6], Log.append: the same again is `dup`; CID_CONFLICT with another body, other entries, or in plain."""

    async def scenario() -> None:
        await furnish(store)
        said, keys = sealed_post(), key_post(2, 3)
        for again in (False, True):
            for each in (said, keys):
                assert (await store.log.append(HALL, ALICE, PHONE, each, at=1)).dup is again
        for other in (
            replace(said, sealed=body(b"other")),
            Post(cid=said.cid, text="plain"),
            Post(cid=said.cid, text=""),
            replace(keys, sealed=keys_for(2)),
            replace(keys, sealed=keys_for(2, 3, text=b"other")),
            replace(said, cid=keys.cid),
        ):
            assert await append(store, other) is Code.CID_CONFLICT
        # A retry is one, whatever has become of the list since.
        await store.keys.publish(BOB, key_of(PHONE, 2), signed(2, 2), at=1)
        retry = await store.log.append(HALL, ALICE, PHONE, keys, at=1)
        assert (retry.dup, dict(retry.entries)) == (True, {})
        outcomes = await store.log.append_many(ALICE, PHONE, [(HALL, said), (HALL, key_post(3)), (HALL, keys)], at=1)
        assert [getattr(each, "code", "stored") for each in outcomes] == ["stored", Code.KEYS_STALE, "stored"]

    run(scenario())


def test_nothing_plain_is_said_in_an_encrypted_room(store: Store) -> None:
    """[15.5-7], Log.append: SEALED_ONLY for what is said, corrected and reacted with; RETRACT and PIN have no words."""

    async def scenario() -> None:
        await furnish(store)
        place = (await store.log.append(HALL, ALICE, PHONE, sealed_post(), at=1)).message.seq
        about: dict[str, Any] = {"refs": (place,)}
        for said in (
            post("plain"),
            post("plain", kind=Kind.NOTICE),
            post("plain", kind=Kind.EDIT, **about),
            post("+", kind=Kind.REACT, **about),
        ):
            assert await append(store, said) is Code.SEALED_ONLY
        many = [(HALL, post("plain")), (GENERAL, post("plain")), (HALL, sealed_post())]
        outcomes = await store.log.append_many(ALICE, PHONE, many, at=1)
        assert [getattr(each, "code", None) for each in outcomes] == [Code.SEALED_ONLY, None, None]
        for said in (
            sealed_post(kind=Kind.EDIT, **about),
            sealed_post(kind=Kind.REACT, **about),
            post("pin", kind=Kind.PIN, **about),
            post("", kind=Kind.RETRACT, **about),
        ):
            assert await append(store, said) is None
        assert [each.text for each in await whole_log(store, HALL, ALICE)][2:] == ["", "", "", "", "pin", ""]
        assert await append(store, post("plain"), room=DIRECT) is None
        assert await append(store, sealed_post(), room=DIRECT) is None

    run(scenario())


def test_what_is_sealed_can_be_taken_back(store: Store) -> None:
    """[15.5-8], [6.11-4]: nothing of it is left, nor of its corrections; a retry is still one."""

    async def scenario() -> None:
        await furnish(store)
        said = sealed_post(b"secret")
        place = (await store.log.append(HALL, ALICE, PHONE, said, at=1)).message.seq
        assert await append(store, sealed_post(kind=Kind.EDIT, refs=(place,)), sender=BOB) is Code.FORBIDDEN
        for kind in (Kind.EDIT, Kind.EDIT, Kind.REACT):
            assert await append(store, sealed_post(b"again", kind=kind, refs=(place,))) is None
        assert await append(store, post("", kind=Kind.RETRACT, refs=(place,)), sender=BOB) is Code.FORBIDDEN
        assert await append(store, post("", kind=Kind.RETRACT, refs=(place,))) is None
        events = await whole_log(store, HALL, ALICE)
        assert [each.sealed for each in events[place - 1 : place + 3]] == [None, None, None, body(b"again")]
        for kind in (Kind.EDIT, Kind.REACT, Kind.PIN, Kind.RETRACT):
            again = sealed_post(kind=kind, refs=(place,))
            assert await append(store, again) is Code.NO_SUCH_MESSAGE
        assert (await store.log.append(HALL, ALICE, PHONE, said, at=1)).dup

    run(scenario())


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN])
def test_nothing_is_about_a_key(store: Store, kind: Kind) -> None:
    """[15.5-8], Log.append: FORBIDDEN, so that nobody takes back what opens messages."""

    async def scenario() -> None:
        await furnish(store)
        place = (await store.log.append(HALL, ALICE, PHONE, key_post(2), at=1)).message.seq
        assert await append(store, sealed_post(kind=kind, refs=(place,))) is Code.FORBIDDEN
        assert await given(store, HALL, BOB, PHONE) == [{2: b"packet 2"}]

    run(scenario())


def test_keys_are_nobodys_news(store: Store) -> None:
    """[15.5-9], [5.2-4], [6.4-6], Log.targets, receipt, Rooms.info: not unread, and read with what is before."""

    async def scenario() -> None:
        await furnish(store)

        async def unread(user: User = BOB) -> tuple[int, int]:
            info = await store.rooms.info(HALL, user)
            (target,) = [each for each in await store.log.targets(user, after=None, limit=9) if each.room == HALL]
            assert (target.read, target.unread) == (info.read, info.unread)
            return info.read, info.unread

        assert await unread() == (2, 0)
        await append(store, key_post(2, 3))
        assert await unread() == (3, 0)
        await append(store, sealed_post())
        await append(store, key_post(2, 3))
        await append(store, key_post(1), sender=BOB)
        await append(store, sealed_post())
        assert await unread() == (3, 2)
        moved = await store.log.receipt(HALL, BOB, PHONE, delivered=4, read=4, at=1)
        assert moved is not None
        assert moved.own is not None
        assert (moved.own.read, moved.own.unread) == (6, 1)
        assert await unread() == (6, 1)
        await store.log.receipt(HALL, ALICE, PHONE, delivered=None, read=2, at=1)
        assert await unread(ALICE) == (7, 0)
        await append(store, key_post(1), sender=BOB)
        await append(store, sealed_post(), sender=BOB)
        assert await unread(ALICE) == (8, 1)

    run(scenario())


def test_what_is_sealed_is_not_found(store: Store) -> None:
    """[6.8-1], Log.search: sealed messages and KEY events have no words; a plain one between them is found."""

    async def scenario() -> None:
        await furnish(store)
        for said in (key_post(2), sealed_post(b"session"), post("session")):
            assert await append(store, said, room=DIRECT) is None
        words = (Word(parts=("session",)),)
        for user in (ALICE, BOB):
            found = await store.log.search(user, words, room=None, after=None, limit=9, budget=PLENTY)
            assert len(found.events) == 1

    run(scenario())


def test_an_encrypted_room_stays_so(store: Store) -> None:
    """[5.10-4], [5.10-5], Rooms.change: bit 2 can be set, once, and not cleared; not in `general`; other bits go on."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        await say(store, HALL, ALICE)
        assert await changes(store, BOB, policy=ENCRYPTED) is Code.FORBIDDEN
        for policy, code in (
            (INVITE_ONLY, None),
            (ENCRYPTED | INVITE_ONLY, None),
            (INVITE_ONLY, Code.FORBIDDEN),
            (0, Code.FORBIDDEN),
            (ENCRYPTED | EPHEMERAL, None),
        ):
            assert await changes(store, ALICE, policy=policy) is code
        assert (await store.rooms.info(HALL, BOB)).policy == ENCRYPTED | EPHEMERAL
        told = [(each.text, each.policy) for each in await whole_log(store, HALL, BOB) if each.kind is Kind.TOPIC]
        assert told == [("", ENCRYPTED | INVITE_ONLY)]
        assert await append(store, post("plain")) is Code.SEALED_ONLY
        assert await changes(store, ALICE, room=GENERAL, operator=True, policy=ENCRYPTED) is Code.FORBIDDEN
        assert await changes(store, ALICE, topic="new") is None
        assert await changes(store, ALICE, topic="new", policy=ENCRYPTED | EPHEMERAL) is None
        assert (await whole_log(store, HALL, BOB))[-1].policy is None
        # A room that ended is made anew as its maker wants it.
        for user in (ALICE, BOB):
            await store.rooms.leave(HALL, user, cid=cid(), at=1)
        await make(store, HALL, BOB)
        assert await append(store, post("plain"), sender=BOB) is None

    run(scenario())


def test_who_is_muted_gives_no_keys(store: Store) -> None:
    """[5.9-5], Log.append: a visitor's KEY event is refused FORBIDDEN like all that he says."""

    async def scenario() -> None:
        await furnish(store)
        await rank(store, BOB, Rank.VISITOR)
        assert await append(store, key_post(1), sender=BOB) is Code.FORBIDDEN
        assert await append(store, key_post(2)) is None
        assert [entries_of(each) for each in await whole_log(store, HALL, BOB) if each.kind is Kind.KEY] == [{}]

    run(scenario())
