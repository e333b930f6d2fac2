"""Cases of chapter 13: what a server must bear on the level of QUIC, and what it must not take. (spec 13-transport)"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book, frame, varint, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import post
from quicchat.tools.conform.quic import Line, Unreachable, Wishes, dial
from quicchat.tools.conform.verdict import Failed, Informational, WrongCode, check

#: TLS alert no_application_protocol as QUIC has it.
NO_ALPN: Final = 0x178
KIB: Final = 1024


# 13.1 Negotiation


async def _refused_alpn(bench: Bench, *alpn: str) -> None:
    try:
        line = await bench.target.dial(Wishes(alpn=alpn))
    except Unreachable as error:
        if error.closed is None:
            raise Failed("it does not answer at all, where the close would tell why") from error
        if error.here:
            # It went on with the handshake, and aioquic at this end found that nothing was chosen.
            raise Failed(f"a handshake with the ALPN {', '.join(alpn) or 'none'} was not refused") from error
        if error.closed.code != NO_ALPN:
            raise WrongCode(f"closed with {error.closed.code:#x}, not with {NO_ALPN:#x}") from error
        return
    line.close(0x100)
    raise Failed(f"a handshake with the ALPN {', '.join(alpn) or 'none'} was completed")


@case("13.1-1", "another-alpn")
async def another_alpn(bench: Bench) -> None:
    await _refused_alpn(bench, "parrot")


@case("13.1-1", "no-alpn")
async def no_alpn(bench: Bench) -> None:
    await _refused_alpn(bench)


@case("13.1-1", "among-others")
async def among_others(bench: Bench) -> None:
    talk = await bench.dial(Wishes(alpn=("parrot", book().alpn)))
    await talk.negotiate()


# 13.2 Windows and streams


def _stream_frame(sid: int, offset: int, data: bytes) -> bytes:
    return b"\x0e" + varint(sid) + varint(offset) + varint(len(data)) + data


def _edge(line: Line, sid: int) -> int:
    """How far the server lets us write on a stream."""
    stream = line.quic._streams[sid]
    return stream.max_stream_data_remote


@case("13.2-1", "holes-widen-no-window", "login")
async def holes(bench: Bench) -> None:
    """A hole at the beginning, and a byte at the very edge, again and again (Q1)."""
    talk = await bench.ready()
    sid = talk.line.open()
    first = _edge(talk.line, sid)
    for _ in range(6):
        talk.line.intrude(_stream_frame(sid, _edge(talk.line, sid) - 1, b"x"))
        await talk.barrier()
    check(
        _edge(talk.line, sid) <= first,
        f"with nothing delivered the window of a stream grew from {first} to {_edge(talk.line, sid)} bytes",
    )


@case("13.2-2", "many-gaps", "login")
async def many_gaps(bench: Bench) -> None:
    """Thousands of bytes with a hole before each (Q2)."""
    talk = await bench.ready()
    sid = talk.line.open()
    for packet in range(8):
        offsets = range(packet * 360 + 1, packet * 360 + 360, 2)
        talk.line.intrude(b"".join(_stream_frame(sid, offset, b"x") for offset in offsets))
        await asyncio.sleep(0)
    await talk.ear.quietly(lambda: talk.line.closed, 2.0)
    check(talk.line.closed, "1,440 gaps on one stream, and the connection goes on")


@case("13.2-2", "some-gaps", "login")
async def some_gaps(bench: Bench) -> None:
    """What a network may do: the pieces of one PDU, first each second one, then the last first."""
    talk = await bench.ready()
    data = frame(write("PING", {"nonce": 77}, version=talk.version))
    offset = talk.line.quic._streams[talk.control].sender._buffer_stop
    pieces = list(enumerate(data))
    for at, byte in (*pieces[1::2], *reversed(pieces[::2])):
        talk.line.intrude(_stream_frame(talk.control, offset + at, bytes([byte])))
    # Our own end knows nothing of these bytes; the next ones begin behind them.
    sender = talk.line.quic._streams[talk.control].sender
    talk.line.quic._remote_max_data_used += len(data)
    await talk.hear("PONG", lambda each: bool(each["nonce"] == 77))
    check(sender._buffer_stop == offset, "the kit itself went on")


@case("13.2-3", "limits-before-login")
async def before_login(bench: Bench) -> None:
    talk = await bench.negotiated()
    quic = talk.line.quic
    most, streams = quic._remote_max_data - quic._remote_max_data_used, book().limits["streams_before_login"]
    check(most <= 64 * KIB, f"a stranger may send {most} bytes")
    for kind, limit in (
        ("bidirectional", quic._remote_max_streams_bidi),
        ("unidirectional", quic._remote_max_streams_uni),
    ):
        # Streams that have ended may have made room for others; none has yet.
        check(limit <= streams, f"a stranger may open {limit} {kind} streams")


@case("13.2-3", "more-after-login", "login")
async def after_login(bench: Bench) -> None:
    """Who has logged in has room for more than a stranger; how much is for the server to say."""
    talk = await bench.ready()
    limit = talk.line.quic._remote_max_streams_bidi
    raise Informational(f"{limit} bidirectional streams, a window of {talk.line.quic._remote_max_data} bytes")


# 13.3 Handshakes


@case("13.3-1", "unfinished-handshake", slow=True)
async def unfinished(bench: Bench) -> None:
    """The client's part of the handshake comes seven seconds late (Q11)."""
    sent: list[bytes] = []
    is_late = asyncio.Event()

    def tap(data: bytes) -> bool:
        sent.append(data)
        return len(sent) > 1 and not is_late.is_set()

    target = bench.target
    line = await dial(target.host, target.port, Wishes(tap=tap, idle=60.0), early=True)
    talk = bench.enter(line)
    talk.say("VERSION_REQUEST", version=1, versions=[1], device=talk.device)
    await talk.ear.quietly(lambda: line.is_established or None, 5.0)
    check(line.is_established, "the server did not do its part of the handshake")
    await asyncio.sleep(7.0)
    is_late.set()
    for packet in sent[1:]:
        line.resend(packet)
    # A server that still knew of us would answer by now.
    await talk.ear.quietly(lambda: talk.heard or None, 1.0)
    check(not talk.heard, "a handshake that was finished after 7 s still counted")
    await (await bench.negotiated()).barrier()


@case("13.3-2", "many-unfinished-handshakes", alone=True)
async def retry(bench: Bench) -> None:
    """A hundred first packets, and nothing after them (Q9): the next client has to prove its address."""
    target = bench.target
    lines: list[Line] = []
    sent: dict[int, int] = {}

    def silent(number: int) -> Any:
        def tap(data: bytes) -> bool:
            sent[number] = sent.get(number, 0) + 1
            return sent[number] > 1

        return tap

    try:
        for number in range(100):
            lines.append(await dial(target.host, target.port, Wishes(tap=silent(number)), early=True))
            await asyncio.sleep(0)
        talk = await bench.negotiated()
        check(
            talk.line.quic._retry_count or talk.line.quic._retry_source_connection_id is not None,
            "with 100 unfinished handshakes a new client was let in without a Retry",
        )
        await talk.barrier()
    finally:
        for line in lines:
            line.drop()


# 13.4 Datagrams, 13.5 Paths


@case("13.4-1", "no-datagram-offered", "other", "rooms", "datagrams", since=2)
async def no_datagrams(bench: Bench) -> None:
    """To a client that offers to take none nothing is sent in datagrams."""
    alice = await bench.ready(0)
    account = await bench.target.account(1)
    bob = await bench.dial(Wishes(datagrams=False))
    await bob.negotiate()
    await bob.log_in(account.user, account.password)
    room = await bench.room(alice, bob)
    for counter in range(1, 4):
        alice.whisper("TYPING", room=room, counter=counter, ttl=5)
    await alice.barrier()
    await post(alice, room=room)
    await bob.hear("MSG", lambda each: bool(each["room"] == room))
    await bob.barrier()


@case("1.3-2", "flood-of-datagrams", "datagrams", "login")
async def flood(bench: Bench) -> None:
    """A few hundred malformed ones are dropped (Q17)."""
    talk = await bench.ready()
    for _ in range(book().limits["flood"] // 5):
        talk.whisper_bytes(b"\xff\xff")
    await talk.barrier()


@case("1.3-2", "too-many-datagrams", "datagrams", "login")
async def too_many(bench: Bench) -> None:
    """Beyond `flood` within a second they end the connection."""
    talk = await bench.ready()
    for _ in range(10):
        for _ in range(book().limits["flood"] // 5):
            talk.line.whisper(b"\xff\xff")
        talk.line.flush()
        await asyncio.sleep(0)
    await talk.fatal("RATE_LIMITED")


@case("13.5-2", "another-port", "login")
async def rebound(bench: Bench) -> None:
    """A router between the two gives the client another port, in the middle of a PDU (Q19)."""
    talk = await bench.ready()
    data = frame(write("PING", {"nonce": 5}, version=talk.version))
    talk.say_bytes(data[:2])
    talk.line.flush()
    talk.line.move()
    talk.say_bytes(data[2:])
    await talk.hear("PONG", lambda each: bool(each["nonce"] == 5))
    await talk.barrier()


@case("13.5-2", "another-address", "login")
async def moved(bench: Bench) -> None:
    """The client itself goes on from elsewhere, with a connection id that is new, as 13.5-3 wants it."""
    talk = await bench.ready()
    for _ in range(2):
        talk.line.move()
        talk.line.quic.change_connection_id()
        await talk.barrier()


@case("13.5-2", "many-ports", "login")
async def storm(bench: Bench) -> None:
    """Again and again (Q20): the session stays."""
    talk = await bench.ready()
    for _ in range(20):
        talk.line.move()
        await talk.barrier()


@case("3.3-4", "stop-sending-on-all", "login", since=2)
async def stopped(bench: Bench) -> None:
    """A client that wants none of the answers that it asked for (Q5) harms nobody."""
    talk = await bench.ready()
    for _ in range(24):
        sid = talk.open(2)
        talk.say("ROOM_LIST", sid=sid, id=talk.next_id())
        talk.line.stop(sid, 0x100)
    await talk.barrier()
    found = await talk.ask("ROOM_LIST", sid=talk.open(2))
    check(found.pdu.name in ("ROOM_LIST_R", "ERROR"), f"{found.pdu.name} came for ROOM_LIST")


@case("3.2-4", "death-without-a-word", "other", "presence", since=2, slow=True)
async def silent_death(bench: Bench) -> None:
    """A client whose close is lost (Q25) is known to be gone after `silence`, and some seconds for whatever else."""
    alice = await bench.ready(0)
    bob = await bench.ready(1)
    await bench.room(alice, bob)
    await alice.barrier()
    bob.line.drop()
    silence, waited = book().limits["silence"], 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not any(each["user"] == bob.user and each["show"] == 0 for each in alice.all("PRESENCE")):
        # Alice herself must not fall silent meanwhile.
        await asyncio.sleep(1.0)
        await alice.barrier()
        waited = round(loop.time() - began)
        if waited > silence + 10:
            raise Failed(f"nobody was told within {waited} s that a client died")
