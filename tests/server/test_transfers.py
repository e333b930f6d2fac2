"""Transfers of one session: how much of a file waits where, what it does not hold up, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from quicchat.errors import Code
from quicchat.protocol.events import Bytes, Closed, Datagram, Reset, Stopped, Writable
from quicchat.protocol.limits import Limits
from quicchat.server.downloads import AHEAD, UNREAD, UNREAD_IN_ALL
from quicchat.server.effects import Receive, Reply, Serve, Uploaded
from quicchat.wire.chapters.files import FileAck, FileEnd, FileHeader, GetFile, Mode, Part
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.session import Bye, Error, Ok, Ping, Pong, Purpose, StreamOpen
from tests.server.floor import Floor, Guest, floor, idle, message, post, tell
from tests.transport.driving import play

SIZE = 8 * UNREAD
ASIDE = StreamOpen(kind=Purpose.FILE)


class Tape:
    """A file of zeros that says what became of it; a sink that takes anything."""

    def __init__(self, size: int = SIZE, chunk: int = 262_144) -> None:
        self.file, self.size, self.chunk = bytes(32), size, chunk
        self.name: str | None = None
        self.modified: int | None = None
        self.closed = 0
        self.read_to = 0
        self.stuck = False

    async def leaves(self, offset: int = 0, size: int | None = None) -> bytes:
        return bytes(size or 0)

    async def read(self, offset: int, size: int) -> bytes:
        if self.stuck:
            await asyncio.Event().wait()
        self.read_to = max(self.read_to, offset + size)
        return bytes(size)

    async def put_leaves(self, leaves: bytes) -> None:
        await self.read(0, 0)

    async def put(self, index: int, data: bytes) -> None:
        await self.read(index * self.chunk, len(data))

    def close(self) -> None:
        self.closed += 1


class Hose:
    """The link of a guest, which holds what it is given until it is told that so much has left, or arrived."""

    def __init__(self, guest: Guest) -> None:
        self.link = guest.link
        self._send = guest.link.send
        self._offer = guest.link.datagram
        guest.link.send = self.send  # type: ignore[method-assign]
        guest.link.datagram = self.datagram  # type: ignore[method-assign]

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        link = self.link
        self._send(sid, data, fin=fin)
        link.waiting[sid] = link.waiting.get(sid, 0) + len(data)
        link.of_streams[sid] = link.of_streams.get(sid, 0) + len(data)
        link.unread += len(data)

    def datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        self.link.waiting[None] = self.link.waiting.get(None, 0) + len(data)
        return self._offer(data, bulk=bulk)

    async def leave(self, sid: int) -> None:
        """What waits is sent for the first time."""
        self.link.waiting[sid] = 0
        self.link.on_events([Writable(sid)])
        await idle()

    async def arrive(self, sid: int) -> None:
        """The peer has acknowledged all."""
        self.link.unread -= self.link.of_streams.pop(sid, 0)
        self.link.waiting[sid] = 0
        await idle(0.2)

    def came(self, sid: int) -> int:
        """Bytes that were sent on a stream."""
        return sum(len(each.data) for each in self.link.done if isinstance(each, Bytes) and each.sid == sid)


def get(handle: int, **more: Any) -> GetFile:
    return GetFile(**{"mode": Mode.RELIABLE, "handle": handle, "credit": 1 << 40, "leaves": False, **more})


def serves(here: Floor, tape: Tape) -> None:
    here.script.answers[GetFile] = lambda _, pdu: [Serve(pdu, tape)]  # type: ignore[arg-type]


def takes(here: Floor, tape: Tape) -> None:
    here.script.answers[FileHeader] = lambda _, pdu: [Receive(pdu, tape)]  # type: ignore[arg-type]
    here.script.answers[Uploaded] = lambda _, pdu: [Reply(FileEnd(status=0, carried=pdu.carried))]  # type: ignore[attr-defined]


async def ask(guest: Guest, sid: int, pdu: GetFile | FileHeader) -> None:
    guest.hear(ASIDE, sid=sid)
    guest.hear(pdu, sid=sid, id=1)
    await idle()


def scene(scenario: Callable[[Floor, Tape], Coroutine[Any, Any, None]], **conditions: Any) -> None:
    async def play_it() -> None:
        async with floor(**conditions) as here:
            tape = Tape()
            serves(here, tape)
            await scenario(here, tape)

    play(play_it)


def test_little_waits_ahead_of_the_chat() -> None:
    """P7, [14.5-4]: never more than 64 KiB of a stream unsent, and no more of the file in memory than a chunk."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        hose = Hose(guest)
        await ask(guest, 4, get(1))
        for _ in range(3):
            assert hose.link.waiting[4] <= AHEAD + 200
            assert hose.link.waiting[4] > AHEAD - 200
            assert tape.read_to - hose.came(4) <= tape.chunk
            await hose.leave(4)
        hose.link.waiting[4] = AHEAD // 2 + 1
        before = hose.came(4)
        hose.link.on_events([Writable(None)])
        await idle()
        assert hose.came(4) == before

    scene(scenario)


def test_a_client_that_acknowledges_nothing_costs_a_mebibyte() -> None:
    """Q6, P7, [14.5-3]: 1 MiB of a stream and 4 MiB of all; then nothing, until he acknowledges."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        hose = Hose(guest)
        for number in range(6):
            await ask(guest, 4 * number + 4, get(number))
        for _ in range(200):
            for number in range(6):
                await hose.leave(4 * number + 4)
        sent = [hose.came(4 * number + 4) for number in range(6)]
        assert max(sent) <= UNREAD + 500
        assert UNREAD_IN_ALL - 6 * AHEAD <= sum(sent) <= UNREAD_IN_ALL + 6 * 500
        assert not guest.refusals()
        guest.hear(Ping(nonce=1))
        assert guest.said(Pong)
        most = sent.index(max(sent)) * 4 + 4
        await hose.arrive(most)
        assert hose.came(most) > max(sent)

    scene(scenario)


def test_files_do_not_make_a_client_slow() -> None:
    """[8.4-3]: what he leaves unread of files is no reason to push him less, or to close."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        hose = Hose(guest)
        for number in range(4):
            await ask(guest, 4 * number + 4, get(number))
        for _ in range(100):
            for number in range(4):
                await hose.leave(4 * number + 4)
        assert hose.link.unread > 3 * UNREAD
        assert guest.session._driver.backlog() < 10_000
        tell(here, message(1))
        await idle()
        assert [each.seq for each in guest.said(Message)] == [1]  # type: ignore[attr-defined]
        hose.link.unread += 5 * UNREAD
        guest.session._driver.touch()
        await idle()
        assert [each.code for each in guest.said(Error)] == [Code.SLOW_CONSUMER]  # type: ignore[attr-defined]

    scene(scenario)


def test_a_transfer_holds_up_no_request() -> None:
    """[8.1-1], [8.5-1]: it counts as running only until it has begun."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        for number in range(5):
            await ask(guest, 4 * number + 4, get(number, credit=0))
        guest.hear(post(1), id=77)
        await idle()
        assert (Ok(), 77) in guest.answers()
        assert len(guest.said(FileHeader)) == 5

    scene(scenario, limits=Limits(pipeline=1))


def test_whatever_ends_it_gives_back_what_it_holds() -> None:
    """Q5, [14.4-5]: the stream, the session, a handler that comes too late, a reader that waits for a chunk."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        await ask(guest, 4, get(1, credit=0))
        guest.link.on_events([Stopped(4, 0)])
        await idle()
        assert tape.closed == 1
        tape.stuck = True
        await ask(guest, 8, get(1))
        guest.link.on_events([Stopped(8, 0)])
        await idle()
        assert tape.closed == 2
        gate = here.script.hold(GetFile)
        await ask(guest, 12, get(1))
        guest.link.on_events([Stopped(12, 0)])
        await idle()
        gate.set()
        await idle()
        assert tape.closed == 3
        del here.script.gates[GetFile]
        await ask(guest, 16, get(1, credit=0))
        gate = here.script.hold(GetFile)
        await ask(guest, 20, get(2))
        guest.leave()
        await idle()
        assert tape.closed == 4
        gate.set()
        await idle()
        assert tape.closed == 5

    scene(scenario)


def test_an_upload_that_is_cut_gives_back_what_it_holds() -> None:
    """X5, [14.4-11]: and the seal is not asked for."""

    async def scenario(here: Floor, tape: Tape) -> None:
        takes(here, tape)
        guest = await here.enter()
        header = FileHeader(file=tape.file, size=SIZE, chunk=tape.chunk, range=(0, SIZE), part=Part.DATA)
        for sid, stuck in ((4, False), (8, True)):
            tape.stuck = stuck
            await ask(guest, sid, header)
            guest.link.on_events([Bytes(sid, bytes(300_000))])
            await idle()
            guest.link.on_events([Stopped(sid, 0)])
            await idle()
        assert tape.closed == 2
        assert here.script.got(Uploaded) == []
        await ask(guest, 12, FileHeader(file=tape.file, size=SIZE, chunk=tape.chunk, range=(0, 0), part=Part.DATA))
        guest.link.on_events([Bytes(12, b"", True)])
        await idle()
        assert here.script.got(Uploaded) == [Uploaded(tape.file, 0)]
        assert (FileEnd(status=0, carried=0), 1) in guest.answers()
        assert Bytes(12, b"", True) in guest.link.done

    scene(scenario)


def test_parts_without_bytes_do_not_pile_up() -> None:
    """P7, [14.5-2]: a flood of empty parts, while the disk is busy, is LIMIT for the stream."""

    async def scenario(here: Floor, tape: Tape) -> None:
        takes(here, tape)
        guest = await here.enter()
        tape.stuck = True
        leaves = FileHeader(file=tape.file, size=SIZE, chunk=tape.chunk, range=(0, 32 * 32), part=Part.LEAVES)
        empty = FileHeader(file=tape.file, size=SIZE, chunk=tape.chunk, range=(0, 0), part=Part.DATA)
        await ask(guest, 4, leaves)
        guest.link.on_events([Bytes(4, bytes(1_024))])
        await idle()
        for _ in range(2_000):
            guest.hear(empty, sid=4)
        await idle()
        assert any(getattr(each, "code", None) == Code.LIMIT for each in guest.link.done)
        assert tape.closed == 1

    scene(scenario)


def test_pieces_wait_for_room_too() -> None:
    """[14.6-2]: no more than 64 KiB in datagrams wait, and FILE_END comes after the last has left."""

    async def scenario(here: Floor, tape: Tape) -> None:
        tape.size = 100_000
        guest = await here.enter()
        link = Hose(guest).link
        await ask(guest, 4, get(1, mode=Mode.FAST))
        sent = 0
        for _ in range(2):
            pieces = [each for each in link.done if isinstance(each, Datagram)]
            assert all(each.bulk for each in pieces)
            assert len(pieces) > sent
            assert link.waiting[None] <= AHEAD + 64 * 80
            assert guest.said(FileEnd) == []
            sent = len(pieces)
            link.waiting[None] = 0
            link.on_events([Writable(None)])
            await idle()
        assert sent == 98
        assert guest.said(FileEnd) == [FileEnd(status=0, carried=100_000)]

    scene(scenario)


def test_the_link_is_watched_once_for_each_lane() -> None:
    """[14.5-4]: room for datagrams is none on a stream: a download that waits there does not ask again."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        Hose(guest)
        await ask(guest, 4, get(1))
        before = list(guest.link.watched)
        assert before[-1][0] == 4
        for _ in range(5):
            guest.link.on_events([Writable(None)])
            await idle()
        assert guest.link.watched == before

    scene(scenario)


def test_a_download_that_nobody_takes_is_given_up() -> None:
    """[14.5-8]: LIMIT after ten minutes without credit, or without room; what moves now and then goes on."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        hose = Hose(guest)
        await ask(guest, 4, get(1, credit=0))
        await ask(guest, 8, get(2, credit=10))
        await ask(guest, 12, get(3))
        await ask(guest, 16, get(4, mode=Mode.FAST, credit=1_000))
        for minute in range(1, 15):
            await idle(60)
            guest.hear(Ping(nonce=minute), FileAck(handle=2, credit=10 + minute))
        given_up = [each for each in hose.link.done if isinstance(each, Reset)]
        assert given_up == [Reset(sid, Code.LIMIT) for sid in (4, 12, 16)]
        assert tape.closed == 3
        await idle(601 - 60)
        guest.hear(Ping(nonce=1))
        assert tape.closed == 3

    scene(scenario, limits=Limits(silence=1e6))


def test_what_begins_when_its_client_has_left() -> None:
    """[3.5-2]: a download whose handler was at work when BYE came is not begun; the session ends."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        gate = here.script.hold(GetFile)
        await ask(guest, 4, get(1, credit=0))
        guest.hear(Bye())
        await idle()
        gate.set()
        await idle(2)
        assert tape.closed == 1
        assert any(isinstance(each, Closed) for each in guest.link.done)

    scene(scenario)


def test_the_end_of_one_fast_download_waits_for_no_other() -> None:
    """[14.6-2]: FILE_END comes when the last of its own pieces has left, however many of others follow them."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guest = await here.enter()
        link = Hose(guest).link
        for sid, size in ((4, 8 << 20), (8, 20_480)):
            await ask(guest, sid, get(sid, mode=Mode.FAST, ranges=((0, size),)))
        for _ in range(20):
            # As much leaves as makes room for others: there is always something that waits.
            link.waiting[None] = 30_000
            link.on_events([Writable(None)])
            await idle()
        assert link.waiting[None] > 0
        assert guest.said(FileEnd, sid=8) == [FileEnd(status=0, carried=20_480)]
        assert guest.said(FileEnd, sid=4) == []

    scene(scenario)
