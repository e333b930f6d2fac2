"""What every store promises of files: who may name, read and list them."""

from __future__ import annotations

from typing import Any

from quicchat.errors import Code
from quicchat.server.model import UNNAMED
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.messages import WHOLE, Kind
from quicchat.wire.chapters.rooms import EPHEMERAL
from quicchat.wire.names import GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    FILE,
    HALL,
    OTHER,
    PHONE,
    SIZE,
    THIRD,
    Store,
    cid,
    forgotten,
    make,
    name,
    naming,
    offer,
    post,
    reads,
    refusal,
    run,
    sign_up,
    upload,
)

DIRECT = Room("@alice,bob")
EMPTY, _ = leaves.of(b"")


def test_a_known_digest_opens_nothing(store: Store) -> None:
    """[14.3-3] Z2: who offers what another has, or is about to have, reads none of it, and neither do those he names
    it to, until he has brought all of it himself."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        early = await offer(store, CAROL, FILE)
        await make(store, HALL, CAROL, BOB)
        await name(store, HALL, CAROL, FILE)
        alices = await upload(store, ALICE)
        assert alices.place != early.place
        assert await offer(store, CAROL, FILE) == early
        assert await reads(store, BOB) == await reads(store, CAROL) == early
        mallory = await offer(store, BOB, OTHER)
        assert await reads(store, ALICE, OTHER) is None
        await upload(store, ALICE, OTHER)
        assert await store.files.uploading(BOB, OTHER) == mallory
        await store.files.received(CAROL, early, at=2)
        assert await reads(store, BOB) == await reads(store, CAROL) == alices
        assert await forgotten(store, 0) == [early.place]

    run(scenario())


def test_who_may_read(store: Store) -> None:
    """[14.3-4] [6.10-5] Z2: the uploader and who is in a room whose log names it; to others it is not there."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        mine = await upload(store, ALICE)
        assert await reads(store, ALICE) == mine
        assert await reads(store, BOB) is None
        await name(store, HALL, ALICE, FILE)
        assert await reads(store, BOB) == mine
        assert await reads(store, CAROL) is None
        await store.rooms.leave(HALL, BOB, cid=cid(), at=1)
        assert await reads(store, BOB) is None
        await name(store, DIRECT, ALICE, FILE)
        assert await reads(store, BOB) == mine

    run(scenario())


def test_what_may_be_named(store: Store) -> None:
    """[6.10-4] [6.10-7]: what the sender uploads or may read, of that size; all of a text must be here. Else
    NO_SUCH_FILE, and nothing is stored."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        begun = await offer(store, ALICE, FILE)

        async def say(user: User, *files: bytes, **fields: Any) -> Code | None:
            return await refusal(store.log.append(GENERAL, user, PHONE, naming(*files, **fields), at=1))

        assert await say(ALICE, OTHER) is Code.NO_SUCH_FILE
        assert await say(BOB, FILE) is Code.NO_SUCH_FILE
        assert await say(ALICE, FILE, size=SIZE + 1) is Code.NO_SUCH_FILE
        assert await say(ALICE, FILE, OTHER) is Code.NO_SUCH_FILE
        assert await say(ALICE, FILE, media_type=WHOLE) is Code.NO_SUCH_FILE
        assert (await store.rooms.info(GENERAL, ALICE)).head == 2
        assert await say(ALICE, FILE) is None
        await store.files.received(ALICE, begun, at=1)
        assert await say(ALICE, FILE, media_type=WHOLE) is None
        assert await say(BOB, FILE) is None
        outcomes = await store.log.append_many(
            BOB, PHONE, [(GENERAL, naming(FILE)), (GENERAL, naming(OTHER)), (DIRECT, naming(FILE))], at=1
        )
        assert [getattr(each, "code", None) for each in outcomes] == [None, Code.NO_SUCH_FILE, None]
        said = naming(FILE)
        assert [(await store.log.append(GENERAL, BOB, PHONE, said, at=1)).dup for _ in range(2)] == [False, True]

    run(scenario())


def test_forwarding_hands_on(store: Store) -> None:
    """[14.3-4]: who reads a file in one room may name it in another, and there it stays when the first goes."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, BOB, CAROL)
        await upload(store, ALICE)
        first = await name(store, DIRECT, ALICE, FILE)
        await name(store, HALL, BOB, FILE)
        assert await reads(store, CAROL)
        await store.log.append(DIRECT, ALICE, PHONE, post("", kind=Kind.RETRACT, refs=(first.seq,)), at=1)
        assert await reads(store, CAROL)
        assert await forgotten(store, UNNAMED) == []

    run(scenario())


def test_what_is_taken_back_names_nothing(store: Store) -> None:
    """[14.3-5]: RETRACT takes back what the message named, and what its corrections did."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        for file in (FILE, OTHER, THIRD):
            await upload(store, ALICE, file)
        said = await name(store, GENERAL, ALICE, FILE)
        await name(store, GENERAL, ALICE, OTHER, kind=Kind.EDIT, refs=(said.seq,))
        await name(store, GENERAL, ALICE, THIRD)
        assert [bool(await reads(store, BOB, file)) for file in (FILE, OTHER, THIRD)] == [True] * 3
        await store.log.append(GENERAL, ALICE, PHONE, post("", kind=Kind.RETRACT, refs=(said.seq,)), at=1)
        assert [bool(await reads(store, BOB, file)) for file in (FILE, OTHER, THIRD)] == [False, False, True]
        assert await forgotten(store, 2) == [1, 2]
        assert await reads(store, ALICE, FILE) is None

    run(scenario())


def test_a_room_that_ends_takes_its_files_along(store: Store) -> None:
    """[14.3-5] R2.22: the next room of the name shows none of them."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, policy=EPHEMERAL)
        await upload(store, ALICE)
        await name(store, HALL, ALICE, FILE)
        await store.rooms.leave(HALL, ALICE, cid=cid(), at=1)
        await make(store, HALL, BOB, ALICE)
        assert await reads(store, BOB) is None
        assert list(await store.files.listed(HALL, BOB, before=None, limit=9)) == []
        assert await forgotten(store, 2) == [1]

    run(scenario())


def test_files_of_a_room_are_listed(store: Store) -> None:
    """[14.3-11] R2.25: newest first, an event's files together, what continues a text left out; members only."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        for file in (FILE, OTHER):
            await upload(store, ALICE, file)
        await offer(store, ALICE, THIRD)
        await name(store, HALL, ALICE, FILE)
        await name(store, HALL, ALICE, FILE, media_type=WHOLE)
        await name(store, HALL, ALICE, THIRD, OTHER, FILE)
        await name(store, HALL, BOB, OTHER)
        pages = [
            [(each.seq, each.file) for each in await store.files.listed(HALL, BOB, before=before, limit=limit)]
            for before, limit in ((None, 9), (None, 3), (None, 4), (6, 2), (5, 2), (3, 2))
        ]
        some = [(5, THIRD), (5, OTHER), (5, FILE)]
        assert pages == [
            [(6, OTHER), *some, (3, FILE)],
            [(6, OTHER)],
            [(6, OTHER), *some],
            some,
            [(3, FILE)],
            [],
        ]
        first = (await store.files.listed(HALL, BOB, before=6, limit=9))[0]
        assert (first.name, first.size, first.modified, first.media_type) == ("3.txt", SIZE, 5, "text/plain")
        assert (first.standing, first.sender, first.seq) == (Standing.COMING, ALICE, 5)
        for room, user in ((HALL, CAROL), (Room("none"), ALICE)):
            assert await refusal(store.files.listed(room, user, before=None, limit=9)) is Code.NO_SUCH_ROOM

    run(scenario())
