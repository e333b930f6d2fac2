"""Rows Q9 to Q26: handshakes, addresses, datagrams, and packets of any frames."""

from __future__ import annotations

import asyncio
import os
import random
from typing import cast

import pytest
from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import SessionTicket

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.quic import Unreachable, Wishes, dial
from quicchat.tools.conform.talk import Talk
from quicchat.wire.frame import varint
from tests.hostile.arena import FLOOR, Arena
from tests.hostile.quic import elsewhere, heard, over, say_frames, sockets
from tests.transport.test_fuzz import SEEDS, mutated
from tests.transport.test_strangers import hello


def test_q9_q10_floods_of_first_packets(arena: Arena) -> None:
    """Q9, Q10, Q11: hellos and garbage of 300 addresses: at most 3 bytes for each, and honest ones get in."""

    async def attack(bench: Bench) -> None:
        chance = random.Random(1)
        with sockets(bench.target.port, 300) as flood:
            sent = []
            for number, udp in enumerate(flood):
                data = b"\xc3\0\0\0\1\x08" + chance.randbytes(1_193) if number % 2 else hello()[1]
                udp.send(data)
                sent.append(len(data))
                await asyncio.sleep(0)
            await bench.ready()
            await asyncio.sleep(0.1)
            assert all(heard(udp) <= 3 * size for udp, size in zip(flood, sent, strict=True))

    # Up to 64 handshakes of a millisecond or two may lie before a PING that comes with them.
    arena.play(attack, strangers=64, lag=250)


def test_q11_handshakes_that_are_never_finished(arena: Arena) -> None:
    """Q11: they are gone after five seconds: forty more, round after round, cost no more than the first."""

    async def attack(bench: Bench) -> None:
        for _ in range(6):
            with sockets(bench.target.port, 40) as flood:
                for udp in flood:
                    udp.send(hello()[1])
                    await asyncio.sleep(0.001)
                await asyncio.sleep(5.5)

    arena.play(attack, strangers=64, lag=250)


@pytest.mark.parametrize("alpn", [("http/0.9",), ("quicchat2", "hq")])
def test_q12_another_protocol(arena: Arena, alpn: tuple[str, ...]) -> None:
    """Q12: an ALPN that is not spoken is refused with no_application_protocol (0x178)."""

    async def attack(bench: Bench) -> None:
        with pytest.raises(Unreachable, match="0x178"):
            await bench.target.dial(Wishes(alpn=alpn))

    arena.play(attack, strangers=1)


@pytest.mark.choice
def test_q17_datagrams(arena: Arena) -> None:
    """Q17: before the login, malformed or too large they are dropped; a thousand in a second are RATE_LIMITED."""

    async def attack(bench: Bench) -> None:
        stranger, talk = await bench.negotiated(), await bench.ready()
        for each in (stranger, talk):
            for data in (b"\xff\xff", b"", b"x" * 1_150, bytes(1_000)):
                each.whisper_bytes(data)
            await each.barrier()
        for number in range(1_100):
            talk.line.whisper(b"\xff%d" % number)
            if number % 100 == 99:
                await asyncio.sleep(0.005)
        await talk.fatal("RATE_LIMITED")

    arena.play(attack, strangers=1, users=1)


@pytest.mark.choice
def test_q19_the_address_changes(arena: Arena) -> None:
    """Q19: a client that comes from another port, again and again in mid-request, goes on where it was."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for number in range(5):
            with elsewhere(talk.line, bench.target.port):
                answer = await talk.done("ECHO", data=f"{number} " + "x" * 30_000)
                assert answer["data"].startswith(f"{number} ")

    arena.play(attack, users=1)


def test_q20_a_storm_of_ports(arena: Arena) -> None:
    """Q20: packets of one connection from 300 ports leave nothing behind, and it lives."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        honest = talk.line._send
        with sockets(bench.target.port, 300) as storm:
            for udp in storm:
                talk.line._send = lambda data, address, udp=udp: udp.send(data)  # type: ignore[misc]
                say_frames(talk.line, b"\x01")
                await asyncio.sleep(0.001)
        talk.line._send = honest
        await talk.barrier()

    arena.play(attack, users=1)


_ENDS = {QuicErrorCode.CONNECTION_ID_LIMIT_ERROR, QuicErrorCode.PROTOCOL_VIOLATION}
#: Row, what it is, the packets, and how it may end: None where it need not, nothing where the client cannot hear it.
FLOODS = [
    (
        "Q21",
        "new connection ids that retire the older",
        [
            b"\x18" + varint(at) + varint(at) + b"\x08" + at.to_bytes(8, "big") + bytes(16)
            for at in range(8, 2_000)
        ],
        set(),
    ),
    (
        "Q21",
        "too many connection ids",
        [b"".join(b"\x18" + varint(at) + b"\x00\x08" + at.to_bytes(8, "big") + bytes(16) for at in range(8, 40))],
        {QuicErrorCode.CONNECTION_ID_LIMIT_ERROR},
    ),
    ("Q21", "retirements of all ids", [b"\x19" + varint(at) for at in range(1, 500)], _ENDS),
    ("Q21", "challenges", [b"\x1a" + at.to_bytes(8, "big") for at in range(2_000)], {None}),
    ("Q21", "CRYPTO far away", [b"\x06" + varint(100_000) + b"\x01x"], {QuicErrorCode.CRYPTO_BUFFER_EXCEEDED}),
    ("Q22", "an unknown frame", [b"\x40\x7f"], {QuicErrorCode.FRAME_ENCODING_ERROR, QuicErrorCode.PROTOCOL_VIOLATION}),
    ("Q22", "a frame of the other end", [b"\x1e"], {QuicErrorCode.PROTOCOL_VIOLATION}),
    ("Q22", "a cut frame", [b"\x06\x00\x40\x64ab"], {QuicErrorCode.FRAME_ENCODING_ERROR}),
]  # fmt: skip


@pytest.mark.parametrize(("packets", "ends"), [pytest.param(*rest, id=f"{row} {name}") for row, name, *rest in FLOODS])
def test_q21_q22_frames(arena: Arena, packets: list[bytes], ends: set[int | None]) -> None:
    """Q21, Q22: floods of frames that cost their receiver something, and frames that are none: a transport error."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for at in range(0, len(packets), 20):
            say_frames(talk.line, *packets[at : at + 20])
            await asyncio.sleep(0.002)
            if talk.line.closed is not None:
                break
        if not ends:
            return
        if None in ends and talk.line.closed is None:
            await talk.barrier()
            return
        code, of_quic = await over(talk.line)
        assert of_quic
        assert code in ends, hex(code)

    arena.play(attack, users=1)


@pytest.mark.parametrize("runs", [pytest.param(25, marks=pytest.mark.choice), 600])
def test_q26_mutated_frames(arena: Arena, runs: int) -> None:
    """Q26: packets of mutated frames, properly encrypted, in connections of strangers: the server serves on."""

    async def attack(bench: Bench) -> None:
        for seed in range(runs):
            chance = random.Random(seed)
            line = await bench.target.dial()
            line.say(line.open(), b"hello")
            for _ in range(12):
                frames = b"".join(chance.choice(SEEDS) for _ in range(chance.randint(1, 6)))
                say_frames(line, mutated(chance, frames))
            await asyncio.sleep(0)
            line.drop()
        await bench.ready()

    # Nobody ends these connections, so the look for garbage goes through all of them; nothing else takes so long.
    arena.play(attack, strangers=runs, lag=FLOOR if runs < 100 else 2 * FLOOR)


@pytest.mark.choice
def test_q13_early_data_again(arena: Arena) -> None:
    """Q13: a first flight with MSG_SEND and RESUME, captured and sent again, changes nothing: no row, and the live
    session goes on.
    """

    async def attack(bench: Bench) -> None:
        tickets: list[object] = []
        talk = await bench.dial(Wishes(tickets=tickets.append))
        account = await bench.target.account(0)
        await talk.negotiate()
        await talk.log_in(account.user, account.password)
        other = await bench.ready(1)
        room = await bench.room(talk, other)
        await talk.until(lambda: tickets or None, "a ticket")
        ticket = tickets[-1]
        flight: list[bytes] = []
        line = await dial("127.0.0.1", bench.target.port, Wishes(ticket=cast(SessionTicket, ticket)), early=True)
        send = line._send
        line._send = lambda data, address: (flight.append(data), send(data, address))[1]  # type: ignore[func-returns-value]
        again = Talk(line, device=talk.device, certificate=bench.target.certificate)
        again.version = 2
        again.say("VERSION_REQUEST", version=1, versions=[2], device=talk.device)
        again.say("RESUME", id=900, token=talk.token, have=[], outstanding=[])
        line.flush()
        await again.answer(900)
        await again.done("MSG_SEND", room=room, cid=os.urandom(16), text="once")
        with sockets(bench.target.port, 3) as thieves:
            for udp in thieves:
                for data in flight:
                    udp.send(data)
            await asyncio.sleep(0.1)
        await again.barrier()
        page = await other.done("HISTORY", room=room, window=4, limit=200)
        assert sum(b"once" in event for event in page["events"]) == 1
        line.close(0x100)
        line.drop()

    arena.play(attack, users=3)
