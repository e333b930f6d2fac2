"""What every store promises of uploads: who may offer what and how much of it, and when it is forgotten."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.server.model import ABANDONED, Quota, Upload
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import GENERAL, Room, User
from tests.server.stores import (
    ALICE,
    BOB,
    CAROL,
    FILE,
    HALL,
    OTHER,
    SIZE,
    THIRD,
    Store,
    forgotten,
    make,
    name,
    offer,
    rank,
    reads,
    refusal,
    run,
    sign_up,
    upload,
)

DIRECT = Room("@alice,bob")
EMPTY, _ = leaves.of(b"")


def test_an_upload_is_begun_gone_on_with_and_whole(store: Store) -> None:
    """[14.3-1]: the same answer again for who comes back; NO_SUCH_FILE for what was never offered."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        never = Upload(file=FILE, size=SIZE, chunk=4_096, whole=False, place=1)
        assert await refusal(store.files.received(ALICE, never, at=1)) is Code.NO_SUCH_FILE
        assert await refusal(store.files.uploading(ALICE, FILE)) is Code.NO_SUCH_FILE
        begun = await offer(store, ALICE, FILE)
        assert begun == Upload(file=FILE, size=SIZE, chunk=4_096, whole=False, place=1)
        assert await offer(store, ALICE, FILE) == begun == await store.files.uploading(ALICE, FILE)
        done = Upload(file=FILE, size=SIZE, chunk=4_096, whole=True, place=1)
        for _ in range(2):
            await store.files.received(ALICE, begun, at=1)
            assert await store.files.uploading(ALICE, FILE) == done
        assert await offer(store, ALICE, FILE) == done

    run(scenario())


def test_who_may_offer_where(store: Store) -> None:
    """[14.3-2]: as who may post there, told before a byte is sent; a stranger is told NO_SUCH_USER."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB, CAROL)
        await make(store, HALL, ALICE, BOB)
        await rank(store, BOB, Rank.VISITOR)
        for user, room, code in (
            (ALICE, HALL, None),
            (BOB, HALL, Code.FORBIDDEN),
            (CAROL, HALL, Code.NOT_MEMBER),
            (CAROL, Room("none"), Code.NOT_MEMBER),
            (CAROL, DIRECT, Code.NOT_MEMBER),
            (ALICE, DIRECT, None),
            (ALICE, Room("@alice,nobody"), Code.NO_SUCH_USER),
            (User("nobody"), None, Code.NO_SUCH_USER),
            (CAROL, None, None),
        ):
            assert await refusal(offer(store, user, FILE, room=room)) is code, (user, room)
        assert await refusal(offer(store, BOB, FILE, room=HALL, operator=True)) is None

    run(scenario())


def test_an_offer_of_what_one_may_read(store: Store) -> None:
    """[14.3-3]: it is whole, and what he had begun is that from now on."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        whole = await upload(store, ALICE)
        begun = await offer(store, BOB, FILE)
        assert not begun.whole
        await name(store, GENERAL, BOB, FILE)
        await name(store, GENERAL, ALICE, FILE)
        assert await offer(store, BOB, FILE, at=50) == whole == await store.files.uploading(BOB, FILE)
        assert await forgotten(store, 50) == [begun.place]
        listed = await store.files.listed(GENERAL, ALICE, before=None, limit=9)
        assert [(each.seq, each.standing) for each in listed] == [(4, Standing.WHOLE), (3, Standing.WHOLE)]

    run(scenario())


def test_what_cannot_be_meant(store: Store) -> None:
    """[14.3-1]: another size of one's own or a readable file DIGEST, also for nothing; too many chunks LIMIT."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        await offer(store, ALICE, FILE)
        for size, chunk in ((SIZE + 1, 4_096), (SIZE, 8_192)):
            assert await refusal(offer(store, ALICE, FILE, size, chunk=chunk)) is Code.DIGEST
        assert await refusal(offer(store, BOB, FILE, SIZE + 1)) is None
        assert await refusal(offer(store, ALICE, OTHER, 0)) is Code.DIGEST
        whole = 4_096 * leaves.MOST
        plenty = Quota(size=2 * whole, files=9, uploads=9)
        assert await refusal(offer(store, ALICE, OTHER, whole + 1, quota=plenty)) is Code.LIMIT
        assert await refusal(offer(store, ALICE, OTHER, whole, quota=plenty)) is None
        nothing, same = [await offer(store, user, EMPTY, 0, chunk=leaves.CHUNK) for user in (ALICE, BOB)]
        assert nothing == same
        assert nothing.whole

    run(scenario())


def test_quotas_are_per_user(store: Store) -> None:
    """[14.3-6] X6: bytes and files in all QUOTA, uploads at once LIMIT; what is given up counts no more."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        quota = Quota(size=100, files=3, uploads=2)
        assert await refusal(offer(store, ALICE, FILE, 101, quota=quota)) is Code.QUOTA
        await offer(store, ALICE, FILE, 50, quota=quota)
        await offer(store, ALICE, OTHER, 50, quota=quota)
        await offer(store, ALICE, OTHER, 50, quota=quota)
        assert await refusal(offer(store, ALICE, THIRD, 1, quota=quota)) is Code.QUOTA
        await store.files.cancel(ALICE, OTHER)
        await offer(store, ALICE, OTHER, 49, quota=quota)
        assert await refusal(offer(store, ALICE, THIRD, 1, quota=quota)) is Code.LIMIT
        await store.files.received(ALICE, await store.files.uploading(ALICE, FILE), at=1)
        await offer(store, ALICE, THIRD, 1, quota=quota)
        assert await refusal(offer(store, ALICE, EMPTY, 0, chunk=leaves.CHUNK, quota=quota)) is Code.QUOTA
        await offer(store, BOB, FILE, 100, quota=quota)
        assert await forgotten(store, 2) == [1, 2, 3, 4, 5]
        await offer(store, ALICE, FILE, 100, quota=quota)

    run(scenario())


def test_what_is_given_up(store: Store) -> None:
    """[14.3-7]: events that name it come to nothing, its bytes may go; NO_SUCH_FILE for another's, and once whole."""

    async def scenario() -> None:
        await sign_up(store, ALICE, BOB)
        begun = await offer(store, ALICE, FILE)
        await name(store, GENERAL, ALICE, FILE)
        await name(store, GENERAL, BOB, FILE)
        assert await reads(store, BOB) == begun
        assert await refusal(store.files.cancel(BOB, FILE)) is Code.NO_SUCH_FILE
        assert await store.files.cancel(ALICE, FILE) == begun
        assert await reads(store, ALICE) is await reads(store, BOB) is None
        assert list(await store.files.listed(GENERAL, BOB, before=None, limit=9)) == []
        assert await refusal(store.files.received(ALICE, begun, at=1)) is Code.NO_SUCH_FILE
        await offer(store, ALICE, FILE)
        assert await refusal(store.files.received(ALICE, begun, at=1)) is Code.NO_SUCH_FILE
        assert not (await store.files.uploading(ALICE, FILE)).whole
        again = await upload(store, ALICE)
        assert again.place != begun.place
        assert await refusal(store.files.cancel(ALICE, FILE)) is Code.NO_SUCH_FILE
        assert await forgotten(store, 0) == [begun.place]
        assert await forgotten(store, 0) == []

    run(scenario())


def test_what_nobody_names_is_forgotten(store: Store) -> None:
    """[14.3-8]: a day after it was offered last; what an event names stays; an upload that nobody goes on with goes
    some days later, though one names it; a few at a time."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await upload(store, ALICE, FILE, at=10)
        await upload(store, ALICE, OTHER, at=10)
        await offer(store, ALICE, THIRD, at=10)
        await name(store, GENERAL, ALICE, OTHER, THIRD)
        assert await forgotten(store, 10) == []
        await offer(store, ALICE, FILE, at=20)
        assert await forgotten(store, 20) == []
        (kept,) = await store.files.unused(before=21, limit=9)
        assert (kept.file, kept.place) == (FILE, 1)
        assert list(await store.files.unused(before=21, limit=9)) == [kept]
        assert await reads(store, ALICE, FILE) is None
        assert await forgotten(store, 0) == [1]
        await offer(store, ALICE, FILE, at=20)
        assert await forgotten(store, ABANDONED + 10) == [4]
        assert await forgotten(store, ABANDONED + 11) == [3]
        assert await reads(store, ALICE, OTHER)
        for number in range(5):
            await offer(store, ALICE, bytes([9, number]).ljust(32), at=30)
        assert [len(await forgotten(store, 31, limit=2)) for _ in range(4)] == [2, 2, 1, 0]

    run(scenario())


def test_after_close_files_are_refused(store: Store) -> None:
    """Ports: Refused(STORE_UNAVAILABLE) once the store is closed."""

    async def scenario() -> None:
        await sign_up(store, ALICE)
        await store.close()
        for asked in (
            offer(store, ALICE, FILE),
            store.files.uploading(ALICE, FILE),
            store.files.received(ALICE, Upload(file=FILE, size=SIZE, chunk=4_096, whole=False, place=1), at=1),
            store.files.cancel(ALICE, FILE),
            store.files.readable(ALICE, FILE),
            store.files.listed(GENERAL, ALICE, before=None, limit=1),
            store.files.unused(before=1, limit=1),
            store.files.removed([1]),
        ):
            assert await refusal(asked) is Code.STORE_UNAVAILABLE

    run(scenario())
