"""Files over bad lines: packets lost and spoilt, addresses that change, and a line that the chat has to share."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.files.phase import Phase
from quicchat.errors import Refused
from quicchat.wire.chapters.files import PIECE, Mode
from tests.e2e.clients import ROOT, environment
from tests.e2e.parcels import MIB, announced, content, fetch, got, send, shared, sharing
from tests.netem import Netem, netem
from tests.processes import CHEAP, ServerProcess
from tests.visitors import Visitor, pulse, visit

pytestmark = pytest.mark.socket

DATA = content(3 * MIB + 700, 1)
#: Where a lost packet costs a slow line so much time.
SMALL = content(MIB + 700, 2)
PIECES = -(-len(SMALL) // PIECE)


@asynccontextmanager
async def far(server: ServerProcess, home: Path, **line: Any) -> AsyncIterator[tuple[Visitor, Netem]]:
    """Alice, at the other end of a line."""
    with netem(("127.0.0.1", server.port), **line) as between:
        async with visit(server, "alice", home, address=between.address) as alice:
            yield alice, between


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("mode", [Mode.RELIABLE, Mode.FAST])
def test_lost_packets(tmp_path: Path, mode: Mode, loss: float) -> None:
    """R2.26, R2.36, X7: both modes end with the right digest; what a repair fetches is what was missing."""

    async def scenario(server: ServerProcess) -> None:
        async with far(server, tmp_path / "alice", latency=0.005) as (alice, line):
            line.loss = loss
            transfer = fetch(alice, shared("data.bin"), tmp_path / "into", mode=mode)
            await transfer.finished()
            ledger = alice.ledger
            assert got(transfer) == SMALL
            assert line.lost == 0 or loss
            # Of the few large packets one in a hundred may be none.
            assert line.lost > 0 or loss < 0.05
            if mode is Mode.RELIABLE:
                assert ledger.down.raw == len(SMALL)
                assert ledger.pieces == 0
            else:
                assert transfer.pieces == PIECES
                assert transfer.missing == 0
                # Lost are about as many as the line loses, up to 16 in a packet; those and no others come on a stream.
                assert transfer.lost <= 16 * line.lost + PIECES * 0.02
                assert transfer.lost > 0 or loss < 0.05
                assert ledger.down.raw <= transfer.lost * PIECE
                assert ledger.pieces == PIECES - transfer.lost
                print(f"{PIECES - transfer.lost} of {PIECES}, {transfer.lost} missing; {transfer.legs}")

    with sharing(tmp_path, **{"data.bin": SMALL}) as server:
        asyncio.run(scenario(server))


def test_fast_without_repair(tmp_path: Path) -> None:
    """R2.36: it says how many of how many pieces are missing, and pretends nothing; wanted again, only those come."""

    async def scenario(server: ServerProcess) -> None:
        async with far(server, tmp_path / "alice", latency=0.005) as (alice, line):
            line.loss = 0.05
            transfer = fetch(alice, shared("data.bin"), tmp_path / "into", mode=Mode.FAST, repair=False)
            with pytest.raises(Refused):
                await transfer.finished()
            assert transfer.missing == transfer.lost > 0
            assert f"{PIECES - transfer.missing} of {PIECES}" in transfer.words
            assert f"{transfer.missing} are missing" in transfer.words
            assert alice.ledger.down.raw == 0
            assert not (tmp_path / "into" / "data.bin").exists()
            line.loss = 0.0
            again = fetch(alice, shared("data.bin"), tmp_path / "into")
            await again.finished()
            assert got(again) == SMALL

    with sharing(tmp_path, **{"data.bin": SMALL}) as server:
        asyncio.run(scenario(server))


def test_both_rates_are_printed(tmp_path: Path) -> None:
    """R2.36, R2.39: the command line says what came in datagrams, what was missing, and how fast either was."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "password").write_text("pass1\n")
    (home / "password").chmod(0o600)

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), latency=0.005, loss=0.05) as line:
            host, port = line.address
            words = ["get", "data.bin", "--fast", "--json", "-s", host, "-p", str(port), "-u", "user1"]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(ROOT / "echo.py"), *words, "--password-file", str(home / "password")),
                cwd=home,
                env=environment(home),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            assert process.returncode == 0
        told = [json.loads(each) for each in out.splitlines()]
        print(told[-1])
        assert (home / "data.bin").read_bytes() == SMALL
        assert told[-1]["lost"] > 0
        assert told[-1]["missing"] == 0
        assert told[-1]["pieces"] == PIECES
        assert min(told[-1]["rates"]["fast"], told[-1]["rates"]["reliable"]) > 0

    with sharing(tmp_path, "--demo", "--iterations", "4096", **{"data.bin": SMALL}) as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))


def test_spoilt_packets(tmp_path: Path) -> None:
    """R0.7: one bit is wrong in 2 % of the packets; everything arrives intact, and nobody sees anything undecodable."""

    async def scenario(server: ServerProcess) -> None:
        async with far(server, tmp_path / "alice", latency=0.002, flip=0.02) as (alice, line):
            for mode in (Mode.RELIABLE, Mode.FAST):
                transfer = fetch(alice, shared("data.bin"), tmp_path / mode.name, mode=mode)
                await transfer.finished()
                assert got(transfer) == DATA
            upload = await send(alice, "general", tmp_path / "up.bin", DATA)
            await upload.finished()
            assert line.spoilt > 0
            assert len(alice.ledger.links) == 1
            assert alice.ledger.up.twice == []

    with sharing(tmp_path, **{"data.bin": DATA}) as server:
        asyncio.run(scenario(server))


async def moving(visitor: Visitor, line: Netem, came: Any) -> None:
    """A NAT forgets, the client moves, and a NAT forgets again, each after a quarter of the file."""
    quarter = len(DATA) // 4
    await visitor.ledger.until(lambda: came() > quarter)
    line.rebind()
    await visitor.ledger.until(lambda: came() > 2 * quarter)
    await visitor.chat.migrate()
    await visitor.ledger.until(lambda: came() > 3 * quarter)
    line.rebind()


def test_addresses_change_in_mid_download(tmp_path: Path) -> None:
    """Q19, R0.13: twice by a NAT, once by the client; the same connection goes on and no byte comes twice."""

    async def scenario(server: ServerProcess) -> None:
        async with far(server, tmp_path / "alice", latency=0.001, rate=4 * MIB) as (alice, line):
            transfer = fetch(alice, shared("data.bin"), tmp_path / "into")
            await moving(alice, line, lambda: alice.ledger.down.raw)
            assert transfer.state is Phase.TRANSFERRING
            await transfer.finished()
            assert got(transfer) == DATA
            assert alice.ledger.down.raw == len(DATA)
            assert len(alice.ledger.links) == 1

    with sharing(tmp_path, **{"data.bin": DATA}) as server:
        asyncio.run(scenario(server))


def test_addresses_change_in_mid_upload(tmp_path: Path) -> None:
    """Q19: session and upload go on, and no byte is sent twice."""

    async def scenario(server: ServerProcess) -> None:
        async with (
            far(server, tmp_path / "alice", latency=0.001, rate=4 * MIB) as (alice, line),
            visit(server, "bob", tmp_path / "bob") as bob,
        ):
            upload = await send(alice, "general", tmp_path / "up.bin", DATA)
            await moving(alice, line, lambda: upload.done)
            await upload.finished()
            assert alice.ledger.up.raw == len(DATA)
            assert len(alice.ledger.links) == 1
            transfer = fetch(bob, await announced(bob, "up.bin"), tmp_path / "into")
            await transfer.finished()
            assert got(transfer) == DATA

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))


#: 10 Mbit/s there and back in 60 ms, and what the line keeps at most (`netem`).
RATE, ONE_WAY, QUEUE = 1_250_000, 0.03, 0.5


@pytest.mark.parametrize("mode", [Mode.RELIABLE, Mode.FAST])
def test_chat_on_a_slow_line_beside_a_file(tmp_path: Path, mode: Mode) -> None:
    """R0.4: a round trip beside the file takes one without, and the bottleneck's queue; nothing waits for the file."""

    async def scenario(server: ServerProcess) -> None:
        async with far(server, tmp_path / "alice", latency=ONE_WAY, rate=RATE) as (alice, _):
            transfer = fetch(alice, shared("data.bin"), tmp_path / "into", mode=mode)
            trips: list[float] = []
            async for seconds in pulse(alice.chat):
                trips.append(seconds)
                if transfer.over:
                    break
            await transfer.finished()
            assert got(transfer) == DATA
            trips.sort()
            print(f"p50 {trips[len(trips) // 2] * 1000:.0f} ms, most {trips[-1] * 1000:.0f} ms of {len(trips)}")
            assert len(trips) > 5
            # A busy machine may add something of its own; without an order among streams it were seconds.
            assert trips[-1] < QUEUE + 2 * ONE_WAY + 0.3

    with sharing(tmp_path, **{"data.bin": DATA}) as server:
        asyncio.run(scenario(server))
