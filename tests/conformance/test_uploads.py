"""Files that clients upload: chunk by chunk, each verified, resumed, named by messages and read by others."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.server.model import FIRST_CREDIT, Quota
from quicchat.wire import leaves
from quicchat.wire.chapters.files import (
    CancelOffer,
    FileAck,
    FileHeader,
    FileList,
    ListFiles,
    Offer,
    Part,
    Standing,
)
from quicchat.wire.chapters.messages import WHOLE, Kind, Message, Posted
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Error, Ok, Ping, Purpose
from tests.conformance.files import (
    CHUNK,
    answered,
    begin,
    fetch,
    get,
    given_up,
    header,
    idle,
    naming,
    offer,
    put,
    refused_get,
    some,
    upload,
)
from tests.conformance.house import RUN, House, play, simulated, somebody
from tests.conformance.peer import Peer, entered
from tests.conformance.talk import post, said

#: Different in every run, for servers that have heard of earlier ones.
DATA = some(10 * CHUNK + 100, int(RUN, 16))


def test_a_file_goes_from_one_to_the_other(house: House) -> None:
    """[14.3-4], [14.4-8], [14.5-7]: offered, uploaded, named, listed, fetched; FILE_ACK tells what was verified."""

    async def scenario() -> None:
        place = house.place
        async with entered(place) as alice, entered(place) as bob, entered(place) as eve:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            grant = await offer(alice, DATA, room=room)
            assert (grant.have, grant.credit, grant.whole) == ((), FIRST_CREDIT, False)
            sid = alice.open(Purpose.FILE)
            put(alice, sid, DATA)
            end = await answered(alice, sid)
            assert (end.status, end.carried, end.missing) == (0, len(DATA), None)
            acks = [each.pdu for each in alice.heard if each.sid == sid and isinstance(each.pdu, FileAck)]
            verified = [span for ack in acks for span in ack.verified or ()]
            assert sum(size for _, size in verified) == len(DATA)
            assert [ack.credit for ack in acks] == sorted(ack.credit for ack in acks)
            assert acks[-1].credit >= len(DATA) + 32 * 11
            posted = await said(alice, naming(DATA, room=room))
            told = await bob.hear(Message, lambda message: message.kind is Kind.FILE)
            ((file, size, *_),) = told.attachments or ()
            got = await fetch(bob, file=file, with_leaves=True)
            assert (got.data, size) == (DATA, len(DATA))
            assert leaves.root(size, CHUNK, got.leaves) == file
            listed = await bob.ask(ListFiles(room=room))
            assert isinstance(listed, FileList)
            expected = ("a b.pdf", len(DATA), 1_700_000_000_000, "application/pdf", file, Standing.WHOLE)
            assert listed.files == ((*expected, alice.user, posted.seq),)
            assert await refused_get(eve, file=file) == Code.NO_SUCH_FILE
            assert await eve.refused(ListFiles(room=room)) == Code.NO_SUCH_ROOM
            assert (await offer(bob, DATA)).whole

    house.run(scenario())


def test_a_list_of_many_files_comes_in_pages() -> None:
    """[14.2-8], [14.2-9]: newest first, all files of an event together, until there is no next page."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            await offer(alice, b"")
            row = (leaves.of(b"", CHUNK)[0], 0, "text/plain", "empty", 0)
            for count in (3, 16, 1, 7, 16):
                await said(alice, post("files", room=room, kind=Kind.FILE, attachments=(row,) * count))
            places: list[int] = []
            after: bytes | None = None
            while True:
                page = await alice.ask(ListFiles(room=room, limit=10, after=after))
                assert isinstance(page, FileList)
                places += [each[-1] for each in page.files]
                if (after := page.next) is None:
                    break
            assert places == [6] * 16 + [5] * 7 + [4] + [3] * 16 + [2] * 3
            assert await alice.refused(ListFiles(room=room, after=b"x")) == Code.SCHEMA
            assert await alice.refused(ListFiles(after=b"\xff")) == Code.SCHEMA

    play(scenario())


def test_an_upload_goes_on_where_it_stopped() -> None:
    """[14.3-1], [14.3-9]: `have` says what is here, also on another connection; then only the rest is sent."""

    async def scenario() -> None:
        async with simulated() as place, entered(place, device=bytes(16)) as alice:
            await offer(alice, DATA)
            sid = alice.open(Purpose.FILE)
            put(alice, sid, DATA, (0, 3 * CHUNK), (5 * CHUNK, CHUNK), fin=False)
            await idle(alice)
            alice.reset(sid)
            await idle(alice)
            have = ((0, 3 * CHUNK), (5 * CHUNK, CHUNK))
            assert (await offer(alice, DATA)).have == have
            end = await upload(alice, DATA, (3 * CHUNK, CHUNK), with_leaves=False)
            assert (end.carried, end.missing) == (CHUNK, ((4 * CHUNK, CHUNK), (6 * CHUNK, 4 * CHUNK + 100)))
            async with entered(place, user=alice.user) as again, entered(place) as eve:
                assert (await offer(eve, DATA)).have == ()
                assert (await offer(again, DATA)).have == ((0, 4 * CHUNK), (5 * CHUNK, CHUNK))
                two = [again.open(Purpose.FILE) for _ in range(2)]
                put(again, two[0], DATA, (4 * CHUNK, CHUNK), with_leaves=False)
                put(again, two[1], DATA, (6 * CHUNK, 4 * CHUNK + 100), with_leaves=False)
                assert [(await answered(again, sid)).carried for sid in two] == [CHUNK, 4 * CHUNK + 100]
                assert (await offer(again, DATA)).whole
                assert (await fetch(again, file=leaves.of(DATA, CHUNK)[0])).data == DATA
                assert not (await offer(eve, DATA)).whole
                assert (await upload(eve, DATA)).missing is None

    play(scenario())


def test_a_known_id_opens_nothing() -> None:
    """Z2, [14.3-3]: who offers what another has uploaded reads it only after he has sent all of it himself."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as eve:
            file, digests = leaves.of(DATA, CHUNK)
            await offer(alice, DATA)
            assert (await upload(alice, DATA)).missing is None
            assert await refused_get(eve, file=file) == Code.NO_SUCH_FILE
            grant = await offer(eve, DATA)
            assert (grant.have, grant.whole) == ((), False)
            await said(eve, naming(DATA, user=eve.user))
            sid = begin(eve, get(file=file, handle=1))
            other = eve.open(Purpose.FILE)
            eve.say(header(DATA, Part.LEAVES, (0, len(digests))), sid=other, id=9)
            eve.raw(digests, sid=other, fin=True)
            assert (await answered(eve, other)).missing == ((0, len(DATA)),)
            await idle(eve)
            assert eve.carried.get(sid, b"") == b""
            assert not (await offer(eve, DATA)).whole

    play(scenario())


async def failed(peer: Peer, *what: FileHeader | bytes) -> int:
    """Say parts of a file that are none; the code with which the stream is given up."""
    sid = peer.open(Purpose.FILE)
    for number, each in enumerate(what):
        if isinstance(each, bytes):
            peer.raw(each, sid=sid)
        else:
            peer.say(each, sid=sid, id=None if number else 9)
    peer.raw(b"", sid=sid, fin=True)
    return await given_up(peer, sid)


def wrong() -> list[tuple[Code, tuple[FileHeader | bytes, ...]]]:
    """Everything that is not the file, and what each is."""
    digests = leaves.of(DATA, CHUNK)[1]
    right = header(DATA, Part.LEAVES, (0, len(digests))), digests
    one, two = header(DATA, Part.DATA, (0, CHUNK)), header(DATA, Part.DATA, (CHUNK, CHUNK))
    whole = header(DATA, Part.DATA, (0, len(DATA)))
    odd, half = header(DATA, Part.DATA, (1, CHUNK)), header(DATA, Part.DATA, (0, CHUNK // 2))
    return [
        (Code.DIGEST, (right[0], bytes(len(digests)))),
        (Code.DIGEST, (one, DATA[:CHUNK])),  # no leaves are here yet
        (Code.DIGEST, (*right, one, DATA[1 : CHUNK + 1])),
        (Code.DIGEST, (*right, two, DATA[:CHUNK])),
        (Code.DIGEST, (*right, whole, DATA[:-1])),
        (Code.FRAME_TOO_LARGE, (*right, whole, DATA + b"\x00")),
        (Code.FRAME_TOO_LARGE, (*right, whole, DATA + b"\x7f")),
        (Code.RANGE, (*right, odd, DATA[1 : CHUNK + 1])),
        (Code.RANGE, (*right, half, DATA[: CHUNK // 2])),
        (Code.RANGE, (header(DATA, Part.DATA, (10 * CHUNK, 101)), bytes(101))),
        (Code.RANGE, (header(DATA, Part.LEAVES, (0, 32)), bytes(32))),
        (Code.STREAM_MISUSE, (header(DATA, Part.PIECES, (0, CHUNK)),)),
        (Code.STREAM_MISUSE, (*right, header(DATA[1:], Part.DATA, (0, CHUNK)), DATA[1 : CHUNK + 1])),
    ]


def test_bytes_that_are_not_the_file() -> None:
    """X4, X5, [14.4-10], [14.4-11], [2.6-3], [2.6-4]: that stream ends, with a code for each; the rest goes on."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            await offer(alice, DATA)
            for code, what in wrong():
                assert await failed(alice, *what) == code, what[0]
            assert (await offer(alice, DATA)).have == ()
            assert (await upload(alice, DATA)).missing is None
            assert (await offer(alice, DATA)).whole
            assert (await upload(alice, DATA, (0, 0), with_leaves=False)).carried == 0

    play(scenario())


def test_what_was_not_offered_is_refused() -> None:
    """[14.4-8], [14.4-9]: ERROR for the first FILE_HEADER; what is under way behind it is dropped."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            await offer(bob, DATA)
            for data, chunk, code in ((DATA, CHUNK, Code.NO_SUCH_FILE), (DATA + b"x", CHUNK, Code.NO_SUCH_FILE)):
                sid = alice.open(Purpose.FILE)
                put(alice, sid, data, chunk=chunk)
                await alice.until(lambda sid=sid: sid in alice.finished or None)  # type: ignore[misc]
                (heard,) = [each for each in alice.heard if each.sid == sid]
                assert isinstance(heard.pdu, Error)
                assert (heard.pdu.code, heard.envelope.re) == (code, 9)
            file = leaves.of(DATA, CHUNK)[0]
            sid = bob.open(Purpose.FILE)
            bob.say(header(DATA, Part.DATA, (0, CHUNK), chunk=8_192), sid=sid, id=9)
            bob.say(Ping(nonce=1))
            await bob.until(lambda: any(each.sid == sid for each in bob.heard) or None)
            assert [each.pdu.code for each in bob.heard if isinstance(each.pdu, Error)] == [Code.NO_SUCH_FILE]
            assert await alice.refused(CancelOffer(file=file)) == Code.NO_SUCH_FILE
            assert await alice.refused(Offer(size=1, chunk=CHUNK, file=file, room="x", user="y")) == Code.SCHEMA

    play(scenario())


def test_a_cancelled_upload_is_forgotten() -> None:
    """[14.3-7]: its bytes go, the stream that brings more is given up, and who waits for it is told."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            await offer(alice, DATA, user=bob.user)
            await said(alice, naming(DATA, user=bob.user))
            file = leaves.of(DATA, CHUNK)[0]
            reading = begin(bob, get(file=file))
            sid = alice.open(Purpose.FILE)
            put(alice, sid, DATA, (0, CHUNK), fin=False)
            await idle(alice)
            assert bob.carried[reading] == DATA[:CHUNK]
            assert await alice.ask(CancelOffer(file=file)) == Ok()
            assert await given_up(bob, reading) == Code.NO_SUCH_FILE
            alice.say(header(DATA, Part.DATA, (CHUNK, CHUNK)), sid=sid)
            alice.raw(DATA[CHUNK : 2 * CHUNK], sid=sid)
            assert await given_up(alice, sid) == Code.NO_SUCH_FILE
            assert await refused_get(bob, file=file) == Code.NO_SUCH_FILE
            assert (await offer(alice, DATA)).have == ()

    play(scenario())


def test_quotas_are_told_before_the_first_byte() -> None:
    """X6, [14.3-6]: QUOTA for too much, LIMIT for too many at once."""

    async def scenario() -> None:
        quota = Quota(size=100_000, files=100, uploads=2)
        async with simulated(quota=quota) as place, entered(place) as alice:
            file = leaves.of(b"", CHUNK)[0]
            assert await alice.refused(Offer(size=100_001, chunk=CHUNK, file=file[::-1])) == Code.QUOTA
            for seed in (1, 2):
                await offer(alice, some(5_000, seed))
            assert await alice.refused(Offer(size=5_000, chunk=CHUNK, file=file[::-1])) == Code.LIMIT
            assert (await upload(alice, some(5_000, 1))).missing is None
            await offer(alice, some(5_000, 3))

    play(scenario())


def test_posted_before_it_is_uploaded() -> None:
    """[6.10-4], [6.10-7]: what was granted may be named, a whole text once it is here; nothing else."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            assert await alice.refused(naming(DATA, user=alice.user)) == Code.NO_SUCH_FILE
            await offer(alice, DATA)
            assert isinstance(await alice.ask(naming(DATA, user=alice.user)), Posted)
            whole = ((leaves.of(DATA, CHUNK)[0], len(DATA), WHOLE, "", 0),)
            assert await alice.refused(post("long", user=alice.user, attachments=whole)) == Code.NO_SUCH_FILE
            assert (await upload(alice, DATA)).missing is None
            assert isinstance(await alice.ask(post("long", user=alice.user, attachments=whole)), Posted)

    play(scenario())
