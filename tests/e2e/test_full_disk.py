"""A server whose disk is full in the middle of an upload: that one stops, and nothing else does. (hostile D3, X10)"""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

from quicchat.errors import Code
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileAck, Mode, Part
from quicchat.wire.chapters.messages import Posted
from quicchat.wire.chapters.session import Purpose
from tests.conformance.files import answered, fetch, given_up, header, naming, offer, upload
from tests.conformance.peer import Peer
from tests.conformance.talk import post
from tests.e2e.test_shared_folder import guest
from tests.processes import CHEAP, ServerProcess

CHUNK = 65_536
#: Raw bytes before the first FILE_ACK, at least.
FIRST = 16_384
FILM = os.urandom(8 * 1_048_576)
#: Enough for the database and its log, but not for the film.
FULL = 4 * 1_048_576


def limit(server: ServerProcess, size: int) -> None:
    """No file of the server grows beyond this: to whoever writes, the disk is full."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def fill(peer: Peer, start: int) -> int:
    """Upload from there on, as the server takes it; the code with which it ended, or 0."""
    sid, sent, at = peer.open(Purpose.FILE), 0, start
    if not start:
        digests = leaves.of(FILM, CHUNK)[1]
        peer.say(header(FILM, Part.LEAVES, (0, len(digests)), chunk=CHUNK), sid=sid, id=9)
        peer.raw(digests, sid=sid)
        sent = len(digests)
    rest = header(FILM, Part.DATA, (start, len(FILM) - start), chunk=CHUNK)
    peer.say(rest, sid=sid, id=9 if start else None)

    def room() -> int | None:
        """How much may be sent now; nothing any more where the stream was given up."""
        credit = [each.pdu.credit for each in peer.heard if each.sid == sid and isinstance(each.pdu, FileAck)]
        return 0 if sid in peer.given_up else max([FIRST, *credit]) - sent or None

    while at < len(FILM):
        size = await peer.until(room)
        if not size:
            return await given_up(peer, sid)
        peer.raw(FILM[at : at + size], sid=sid)
        at, sent = at + size, sent + size
    peer.raw(b"", sid=sid, fin=True)
    assert (await answered(peer, sid)).missing is None
    return 0


def test_x10_the_disk_is_full(tmp_path: Path) -> None:
    """X10 D3: the upload is refused, chat and downloads go on; with space again it goes on where it stopped."""
    file = leaves.of(FILM, CHUNK)[0]

    async def scenario() -> None:
        async with guest(server) as alice, guest(server) as bob:
            small = b"small and whole"
            await offer(alice, small)
            await upload(alice, small)
            await offer(alice, FILM, chunk=CHUNK)
            named = await alice.ask(naming(FILM, chunk=CHUNK, room="general"))
            assert isinstance(named, Posted)
            limit(server, FULL)
            assert await fill(alice, 0) == Code.STORE_UNAVAILABLE
            for text in ("one", "two"):
                assert isinstance(await alice.ask(post(text, room="general")), Posted)
            assert (await fetch(alice, file=leaves.of(small, 4_096)[0])).raw == small
            limit(server, resource.RLIM_INFINITY)
            grant = await offer(alice, FILM, chunk=CHUNK)
            assert grant.have == ((0, FULL),)
            assert await fill(alice, FULL) == 0
            assert (await offer(alice, FILM, chunk=CHUNK)).whole
            got = await fetch(bob, file=file, handle=2, with_leaves=True, mode=Mode.RELIABLE)
            assert (got.leaves, got.data) == (leaves.of(FILM, CHUNK)[1], FILM)

    with ServerProcess(tmp_path, *CHEAP) as server:
        asyncio.run(asyncio.wait_for(scenario(), 50))
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
