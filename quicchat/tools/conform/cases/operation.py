"""Cases that need the process: what outlasts a crash, a full disk, a wrong clock, an end. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.book import Pdu, book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import cid, page, post
from quicchat.tools.conform.control import Controller
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.features import examine
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, NonStrict, Unclean, Unimplemented, WrongCode, check, same

MIB: Final = 1 << 20
#: Messages that are said at once.
AHEAD: Final = 16
#: How far the time of day is moved, in seconds.
HOUR: Final = 3600


def _control(bench: Bench) -> Controller:
    assert bench.target.control is not None
    return bench.target.control


async def _log(talk: Talk, room: str) -> list[Pdu]:
    """The whole log of a room, page by page."""
    found: list[Pdu] = []
    while more := await page(talk, room, anchor=found[-1]["seq"] if found else 0):
        found += more
    return found


class _Flood:
    """Says things without an end, some of them ahead, and notes where each is that was acknowledged."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.asked: set[bytes] = set()
        self.acked: dict[bytes, int] = {}
        self.enough = asyncio.Event()
        self._goal = 0

    def more(self, count: int) -> None:
        """Have `enough` set when so many more are acknowledged."""
        self.enough.clear()
        self._goal = len(self.acked) + count

    async def write(self, talk: Talk) -> None:
        """Go on until the connection is gone."""

        def answered() -> bool | None:
            return len(talk.all("MSG_ACK")) > AHEAD // 2 or None

        while talk.line.closed is None:
            for _ in range(AHEAD):
                talk.say("MSG_SEND", id=talk.next_id(), room=self.room, cid=(each := cid()), text="x" * 200)
                self.asked.add(each)
            talk.line.flush()
            await talk.ear.quietly(answered, 0.5)
            for ack in talk.all("MSG_ACK"):
                self.acked[ack["cid"]] = ack["seq"]
                talk.heard.remove(ack)
            if len(self.acked) >= self._goal:
                self.enough.set()


@case("6.2-1", "kill-in-mid-stream", "control", "rooms", since=2)
async def killed(bench: Bench) -> None:
    """P1, P2, P3: killed three times while two write; what was acknowledged is there, where it was said to be."""
    control = _control(bench)
    first = await bench.ready(0)
    flood = _Flood(await bench.room(first))
    for _ in range(3):
        writers = [first, await bench.ready(0)]
        flood.more(100)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(flood.write(each)) for each in writers]
            async with asyncio.timeout(10):
                await flood.enough.wait()
            await control.kill()
            for task in tasks:
                task.cancel()
        for each in writers:
            each.line.drop()
        await control.start()
        first = await bench.ready(0)
    acked, log = flood.acked, await _log(first, flood.room)
    same([each["seq"] for each in log], list(range(1, len(log) + 1)), "the places of the log")
    places = {each["cid"]: each["seq"] for each in log}
    check(len(places) == len(log), "one cid is in the log twice")
    lost = [each for each in acked if each not in places]
    check(not lost, f"of {len(acked)} acknowledged messages {len(lost)} are lost")
    moved = [each for each, seq in acked.items() if places[each] != seq]
    check(not moved, f"{len(moved)} acknowledged messages are at another place than MSG_ACK said")
    bench.notes.append(f"{len(acked)} were acknowledged, {len(log)} are in the log")


@case("6.1-4", "resent-after-a-kill", "control", "rooms", since=2)
async def resent(bench: Bench) -> None:
    """A client that does not know whether its message was stored says it again: it is in the log once."""
    talk = await bench.ready(0)
    room = await bench.room(talk)
    fields: dict[str, Any] = {"room": room, "cid": cid(), "text": "once"}
    first = await talk.done("MSG_SEND", **fields)
    await _control(bench).kill()
    talk.line.drop()
    await _control(bench).start()
    again = await bench.ready(0)
    second = await again.done("MSG_SEND", **fields)
    same((second["seq"], second["dup"]), (first["seq"], True), "seq and dup of the second MSG_ACK")
    same([each["cid"] for each in await _log(again, room)].count(fields["cid"]), 1, "how often the cid is in the log")


@case("4.3-3", "token-after-a-restart", "control", "rooms", since=2)
async def token(bench: Bench) -> None:
    """Who was there before comes back by the token of AUTH_OK, after a crash too, and misses nothing."""
    control = _control(bench)
    for end in (control.kill, control.stop):
        talk = await bench.ready(0)
        room = await bench.room(talk)
        ack = await post(talk, room=room)
        check(talk.token, "AUTH_OK gave no token")
        await end()
        talk.line.drop()
        await control.start()
        back = await bench.negotiated(device=talk.device)
        found = await back.done("RESUME", token=talk.token, have=[], outstanding=[ack["cid"]])
        same(found["known"], [[ack["cid"], ack["seq"]]], "`known` of RESUMED")
        back.line.close(0x100)


@case("3.5-5", "end-with-a-word", "control", since=2)
async def goaway(bench: Bench) -> None:
    """SIGTERM: GOAWAY with DRAINING, what is under way is finished, and a close with DRAINING, within `drain`."""
    control, drain = _control(bench), book().limits["drain"]
    talk = await bench.ready(0)
    idle = await bench.negotiated()
    await idle.barrier()
    number = talk.next_id()
    talk.say("ECHO", id=number, data="under way")
    talk.line.flush()
    await talk.answer(number)
    control.signal(signal.SIGTERM)
    try:
        found = await talk.hear("GOAWAY")
        if found["code"] != book().codes["DRAINING"]:
            raise WrongCode(f"GOAWAY says {book().code(found['code'])}, not DRAINING")
        await talk.ear.quietly(lambda: talk.line.closed, drain + 1.0)
        closed = talk.line.closed
        code = await control.gone()
    except TimeoutError:
        raise Failed("the process goes on long after SIGTERM") from None
    finally:
        await control.kill()
        await control.start()
    if closed is None:
        raise Unclean(f"GOAWAY came, but no close within {drain} s")
    if closed.code != book().codes["DRAINING"] or not closed.by_application:
        raise Unclean(f"after GOAWAY the close was {talk.ear.end()}")
    bench.notes.append(f"exit code {code}")


@case("3.5-5", "end-with-a-word-in-version-1", "control")
async def goodbye(bench: Bench) -> None:
    """In version 1 there is no GOAWAY, but BYE."""
    control = _control(bench)
    talk = await bench.ready(0, 1)
    await talk.barrier()
    control.signal(signal.SIGTERM)
    try:
        await talk.hear("BYE")
        await talk.ear.quietly(lambda: talk.line.closed, book().limits["drain"] + 1.0)
    finally:
        await control.stop()
        await control.start()
    if talk.line.closed is None or talk.line.closed.code != book().codes["DRAINING"]:
        raise Unclean(f"after BYE the close was {talk.ear.end() if talk.line.closed else 'missing'}")


@case("6.2-1", "stored-before-an-orderly-end", "control", "rooms", since=2)
async def orderly(bench: Bench) -> None:
    """What was acknowledged before, and after, SIGTERM is there when the server is back."""
    control = _control(bench)
    talk = await bench.ready(0)
    room = await bench.room(talk)
    acks = [await post(talk, room=room) for _ in range(5)]
    asked = [cid() for _ in range(50)]
    for each in asked:
        talk.say("MSG_SEND", id=talk.next_id(), room=room, cid=each, text="late")
    talk.line.flush()
    await control.stop()
    acked = {each["cid"]: each["seq"] for each in (*acks, *talk.all("MSG_ACK"))}
    talk.line.drop()
    await control.start()
    log = {each["cid"]: each["seq"] for each in await _log(await bench.ready(0), room)}
    same({each: log.get(each) for each in acked}, acked, "the places of what was acknowledged")


@contextlib.asynccontextmanager
async def _on_small_disk(bench: Bench, size: int) -> AsyncIterator[tuple[Bench, Controller]]:
    """A server of its own with so small a disk, and a bench at it; what is said there is reported here."""
    control = _control(bench).beside("disk")
    other = Bench(Target(control.host, control.port, features=frozenset()))
    other.talks = bench.talks
    await control.start(disk=size)
    try:
        await examine(other.target)
        if "signup" not in other.target.features:
            raise Unimplemented("a fresh server lets nobody sign up")
        yield other, control
    finally:
        other.hang_up()
        await control.kill()


@case("6.2-5", "full-disk", "control", "rooms", since=2)
async def full(bench: Bench) -> None:
    """D3: what cannot be stored is refused, who only reads goes on, and so does everybody when there is room again."""
    async with _on_small_disk(bench, 48 * MIB) as (there, control):
        talk = await there.ready(0)
        room = await there.room(talk)
        acked = {(ack := await post(talk, room=room))["cid"]: ack["seq"] for _ in range(3)}
        filler = control.fill()
        refusal = None
        for _ in range(400):
            found = await talk.ask("MSG_SEND", room=room, cid=cid(), text="x" * 30_000)
            if found.pdu.name == "ERROR":
                refusal = found
                break
            acked[found["cid"]] = found["seq"]
        if refusal is None:
            raise Unimplemented("its disk is full, and it goes on storing: it does so elsewhere")
        talk.check_refusal(refusal, "STORE_UNAVAILABLE")
        await talk.barrier()
        reader = await there.negotiated()
        await reader.barrier()
        same([each["cid"] for each in await _log(talk, room)][-1], list(acked)[-1], "the last message that can be read")
        filler.unlink()
        again = await _when_there_is_room(talk, room)
        acked[again["cid"]] = again["seq"]
        log = {each["cid"]: each["seq"] for each in await _log(talk, room)}
        same({each: log.get(each) for each in acked}, acked, "the places of what was acknowledged")


async def _when_there_is_room(talk: Talk, room: str) -> Heard:
    """A message that is stored in the end, though a server may take its time to notice."""
    for _ in range(100):
        found = await talk.ask("MSG_SEND", room=room, cid=cid(), text="again")
        if found.pdu.name == "MSG_ACK":
            return found
        await asyncio.sleep(0.05)
    raise Failed("there is room on the disk again, and still nothing is stored")


@case("6.3-6", "another-time-of-day", "control", "rooms", since=2)
async def clock(bench: Bench) -> None:
    """D7: the clock is put forward an hour, then back: places follow the order of storing, whatever `ts` says."""
    control = _control(bench)
    talk = await bench.ready(0)
    room = await bench.room(talk)
    acks = [await post(talk, room=room)]
    try:
        for hours in (1, -1):
            await control.stop()
            talk.line.drop()
            await control.start(clock=hours * HOUR)
            talk = await bench.ready(0)
            acks.append(await post(talk, room=room))
    finally:
        await control.kill()
        await control.start()
    times = [each["ts"] for each in acks]
    if not times[0] < times[1] or not times[2] < times[1]:
        raise Unimplemented("the clock of this program cannot be moved from outside")
    talk = await bench.ready(0)
    acks.append(await post(talk, room=room))
    places = [each["seq"] for each in acks]
    same(places, list(range(places[0], places[0] + 4)), "the places of four messages")
    log = [each["cid"] for each in await _log(talk, room)]
    same(log[-4:], [each["cid"] for each in acks], "the order of the log")


@case("4.3-3", "token-and-another-time-of-day", "control", since=2)
async def token_and_clock(bench: Bench) -> None:
    """A clock that is an hour fast is no reason to forget who was there."""
    control = _control(bench)
    talk = await bench.ready(0)
    try:
        await control.stop()
        talk.line.drop()
        await control.start(clock=HOUR)
        back = await bench.negotiated(device=talk.device)
        found = await back.ask("RESUME", token=talk.token, have=[], outstanding=[])
    finally:
        await control.kill()
        await control.start()
    if found.pdu.name != "RESUMED":
        raise NonStrict(f"a token was refused after an hour: {book().code(found['code'])}")
