"""Rows Q1 to Q8: streams, windows and acknowledgements."""

from __future__ import annotations

import asyncio
import os

import pytest
from aioquic.quic.packet import QuicErrorCode

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.quic import Wishes
from quicchat.tools.conform.talk import Talk
from quicchat.wire.frame import varint
from tests.hostile.arena import Arena
from tests.hostile.quic import over, say_frames, shut, stop_widening, until_over
from tests.transport.pair import stream_frame

#: The window of a new stream; it widens with what is delivered.
NARROW = 65_536


@pytest.mark.choice
def test_q1_holes_at_the_edge_of_the_window(arena: Arena) -> None:
    """Q1: 14 single bytes at the edge, from four strangers and from one who is logged in, cost nothing."""

    async def attack(bench: Bench) -> None:
        talks = [await bench.dial() for _ in range(4)] + [await bench.ready()]
        for number in range(14):
            for talk in talks:
                say_frames(talk.line, stream_frame(4, NARROW - 1 - number, b"x"))
            await asyncio.sleep(0.01)
        await talks[-1].barrier()

    arena.play(attack, strangers=4, users=1)


def test_q1_a_hole_that_stays(arena: Arena) -> None:
    """Q1: after ten seconds its stream is given up with LIMIT, and nothing else."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        sid = talk.open()
        say_frames(talk.line, stream_frame(sid, 40_000, b"x"))
        talk.line.quic._streams[sid].sender.highest_offset = 40_001
        code = await talk.until(lambda: talk.stopped.get(sid), "STOP_SENDING", patience=14)
        assert book().code(code) == "LIMIT"
        await talk.barrier()

    arena.play(attack, users=1)


@pytest.mark.choice
def test_q2_fragments(arena: Arena) -> None:
    """Q2: 30,000 fragments of one byte: closed with INTERNAL_ERROR after a few packets, of streams and of CRYPTO."""

    async def attack(bench: Bench) -> None:
        for kind in ("stream", "crypto"):
            offsets = iter(range(1, 60_001, 2))
            packets = []
            while frames := b"".join(
                stream_frame(4, at, b"x") if kind == "stream" else b"\x06" + varint(at) + b"\x01x"
                for at, _ in zip(offsets, range(150), strict=False)
            ):
                packets.append(frames)
            talk = await bench.dial()
            assert await until_over(talk.line, *packets) == (QuicErrorCode.INTERNAL_ERROR, True)

    arena.play(attack, strangers=2)


@pytest.mark.choice
def test_q3_streams_beyond_the_limit(arena: Arena) -> None:
    """Q3: sixteen before the login, 96 after it; one more is STREAM_LIMIT_ERROR."""

    async def attack(bench: Bench) -> None:
        for talk, most in ((await bench.dial(), 16), (await bench.ready(), 96)):
            say_frames(talk.line, *(stream_frame(4 * number, 0, b"\x20") for number in range(1, most)))
            await asyncio.sleep(0.05)
            assert talk.line.closed is None
            say_frames(talk.line, stream_frame(4 * most, 0, b"\x20"))
            assert await over(talk.line) == (QuicErrorCode.STREAM_LIMIT_ERROR, True)

    arena.play(attack, strangers=1, users=1)


def test_q3_streams_with_one_byte(arena: Arena) -> None:
    """Q3: each is given up with LIMIT after ten seconds."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        opened = [talk.open() for _ in range(64)]
        for sid in opened:
            talk.line.say(sid, b"\x20")
        for sid in opened:
            assert await talk.until(lambda sid=sid: talk.stopped.get(sid), "STOP_SENDING", patience=14)  # type: ignore[misc]
        assert {book().code(talk.stopped[sid]) for sid in opened} == {"LIMIT"}
        await talk.barrier()

    arena.play(attack, users=1)


@pytest.mark.choice
def test_q5_answers_that_nobody_wants(arena: Arena) -> None:
    """Q5: STOP_SENDING on every stream, before its answer comes, three hundred times: nothing is left of them."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for _ in range(10):
            opened = [talk.open(2) for _ in range(30)]
            for number, sid in enumerate(opened):
                talk.say("ROOM_LIST", sid=sid, id=number)
                talk.line.stop(sid, 0x100)
                talk.line.reset(sid, 0x100)
            for sid in opened:
                await talk.until(lambda sid=sid: talk.given_up.get(sid), "RESET_STREAM")  # type: ignore[misc]
            await talk.barrier()

    arena.play(attack, users=1)


async def flood(talk: Talk, room: str, mebibytes: int) -> int:
    """Somebody says much; the place of the last of it."""
    last = 0
    for _ in range(mebibytes * 32):
        last = (await talk.done("MSG_SEND", room=room, cid=os.urandom(16), text="x" * 32_000))["seq"]
    return last


def test_q6_a_client_that_acknowledges_nothing(arena: Arena) -> None:
    """Q6: it is no longer pushed to at one mebibyte, and fetches the rest when it hears again."""

    async def attack(bench: Bench) -> None:
        deaf, talk = await bench.ready(0), await bench.ready(1)
        room = await bench.room(talk, deaf)
        await deaf.barrier()
        hear_again = shut(deaf.line)
        last = await flood(talk, room, 2)
        hear_again()
        # The longer nothing was acknowledged, the rarer the server tries (RFC 9002 section 6.2.1).
        head = await deaf.hear("ROOM_HEAD", lambda each: bool(each["room"] == room), patience=45)
        assert head["head"] == last
        seqs = [each["seq"] for each in deaf.all("MSG") if each["room"] == room]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert len(seqs) < 2 * 32
        page = await deaf.done("HISTORY", room=room, window=2, anchor=last - 1, limit=1)
        assert len(page["events"]) == 1

    # What was said lies in the log, whose cache is SQLite's: 2 MiB for each of its connections.
    arena.play(attack, users=2 + 8)


@pytest.mark.parametrize("window", [0, 4_000])
def test_q7_a_client_with_hardly_a_window(arena: Arena, window: int) -> None:
    """Q7: as one that does not acknowledge; the window is what it was told at the handshake, and never wider."""

    async def attack(bench: Bench) -> None:
        narrow = await bench.dial(Wishes(window=window))
        stop_widening(narrow.line)
        if not window:
            narrow.say("VERSION_REQUEST", version=1, versions=[2], device=narrow.device)
            await asyncio.sleep(0.2)
            assert narrow.heard == []
            return
        talk, account = await bench.ready(1), await bench.target.account(0)
        await narrow.negotiate()
        await narrow.log_in(account.user, account.password)
        room = await bench.room(talk)
        narrow.say("ROOM_JOIN", room=room)
        await flood(talk, room, 2)

    arena.play(attack, strangers=1, users=2 + 8)


@pytest.mark.choice
def test_q8_an_acknowledgement_of_the_future(arena: Arena) -> None:
    """Q8: packets that were never sent are acknowledged: that connection ends, or goes on as before."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        say_frames(talk.line, *(b"\x02" + varint(10**6 + at) + b"\x00\x00\x00" for at in range(20)))
        talk.say("ECHO", data="x" * 30_000)
        await asyncio.sleep(0.1)

    arena.play(attack, users=1)
