"""kill -9 of either side amid a transfer: it goes on, and nothing that was verified comes again (counted)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from quicchat.wire.chapters.files import GetFile, Grant, Range
from quicchat.wire.leaves import CHUNK
from quicchat.wire.registry import Pdu
from tests.e2e.parcels import KILLS, MIB, content, fetch, got, listed, send, shared, sharing
from tests.netem import netem
from tests.processes import CHEAP, ServerProcess
from tests.visitors import Errand, visit

pytestmark = [pytest.mark.socket, pytest.mark.slow, pytest.mark.timeout(60 + 30 * KILLS)]

EACH = 2 * MIB
DATA = content(KILLS * EACH + 333, 3)
#: So that there is a middle to be killed in.
RATE = 6 * MIB


def points(chance: random.Random) -> list[int]:
    """How many bytes are through when the power cord is pulled, each time; in between it goes on for a while."""
    return [number * EACH + chance.randrange(CHUNK // 2, EACH - 2 * CHUNK) for number in range(KILLS)]


async def restarted(server: ServerProcess) -> None:
    server.kill()
    await asyncio.to_thread(server.start)


def test_the_server_is_killed_amid_a_download(tmp_path: Path) -> None:
    """Issue 4: at random points; each time it goes on, and no chunk that was whole is asked for again."""

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), rate=RATE) as line:
            async with visit(server, "alice", tmp_path / "alice", address=line.address) as alice:
                down = alice.ledger.down
                asked_again: list[int] = []

                def look(pdu: Pdu) -> None:
                    if isinstance(pdu, GetFile):
                        asked_again.extend(index for _, index in down.whole if wants(pdu.ranges, index))

                alice.ledger.on_pdu = look
                transfer = fetch(alice, shared("data.bin"), tmp_path / "into")
                for point in points(random.Random(4)):
                    await alice.ledger.until(lambda point=point: transfer.done >= point)  # type: ignore[misc]
                    await restarted(server)
                await transfer.finished()
                assert got(transfer) == DATA
                assert len(alice.ledger.links) > KILLS
                assert asked_again == []
                assert down.twice == []
                # Of each stream that was cut off, a part of one chunk.
                assert down.raw - len(DATA) < KILLS * 2 * CHUNK

    with sharing(tmp_path, **{"data.bin": DATA}) as server:
        asyncio.run(scenario(server))


def wants(ranges: tuple[Range, ...] | None, index: int) -> bool:
    """Whether a chunk is among what is asked for."""
    begin, end = index * CHUNK, min((index + 1) * CHUNK, len(DATA))
    return ranges is None or any(at < end and begin < at + size for at, size in ranges)


def test_the_server_is_killed_amid_an_upload(tmp_path: Path) -> None:
    """Issue 4: it finds out what it has, the client sends only the rest, and the one message is there once."""

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), rate=RATE) as line:
            async with visit(server, "alice", tmp_path / "alice", address=line.address) as alice:
                upload = await send(alice, "general", tmp_path / "data.bin", DATA)
                for point in points(random.Random(5)):
                    await alice.ledger.until(lambda point=point: upload.done >= point)  # type: ignore[misc]
                    verified = upload.done
                    grants = len(alice.ledger.grants)
                    await restarted(server)
                    await alice.ledger.until(lambda grants=grants: len(alice.ledger.grants) > grants)  # type: ignore[misc]
                    # What it had acknowledged it still has: nothing of it was only in memory.
                    assert held(alice.ledger.grants[-1]) >= verified
                await upload.finished()
                assert alice.ledger.needless == []
                async with visit(server, "bob", tmp_path / "bob") as bob:
                    transfer = fetch(bob, await listed(bob, "general"), tmp_path / "into")
                    await transfer.finished()
                    assert got(transfer) == DATA

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))


def held(grant: Grant) -> int:
    return sum(size for _, size in grant.have)


def test_the_client_is_killed_amid_a_download(tmp_path: Path) -> None:
    """Issue 4: the next run finds what is verified here, asks for nothing of it, and fetches exactly the rest."""

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), rate=RATE) as line:

            def errand(**more: Any) -> Errand:
                home, into = tmp_path / "home", str(tmp_path / "into")
                what = {"name": "data.bin", "into": into, "address": line.address, **more}
                return Errand(server, "alice", home, "get", **what)

            reached = 0
            for number, point in enumerate(points(random.Random(6))):
                async with errand(sign_up=number == 0) as run:
                    begun = await run.says("moved", lambda line: line["state"] == "transferring")
                    # What the map on the disk does not know yet is little.
                    assert begun["resumed"] >= reached - 8 * CHUNK
                    last = await run.says("moved", lambda line, point=point: line["done"] >= point)  # type: ignore[misc]
                    await run.kill()
                    reached = last["done"]
                    assert asked(run) <= len(DATA) - begun["resumed"]
            async with errand(sign_up=False) as run:
                done = await run.says("done")
                assert done["resumed"] >= reached - 8 * CHUNK
                assert done["raw"] == asked(run) == len(DATA) - done["resumed"]
                assert done["twice"] == []
            assert (tmp_path / "into" / "data.bin").read_bytes() == DATA
            assert [path.name for path in (tmp_path / "into").iterdir()] == ["data.bin"]

    with sharing(tmp_path, **{"data.bin": DATA}) as server:
        asyncio.run(scenario(server))


def asked(run: Errand) -> int:
    """Bytes that a run asked for."""
    return sum(
        size
        for line in run.lines
        if line["at"] == "asked"
        for _, size in ([(0, len(DATA))] if line["ranges"] is None else line["ranges"])
    )


def test_the_client_is_killed_amid_an_upload(tmp_path: Path) -> None:
    """Issue 4: the next run takes it up by itself, sends nothing that the server has, and there is one message."""
    (tmp_path / "data.bin").write_bytes(DATA)

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), rate=RATE) as line:

            def errand(do: str, **more: Any) -> Errand:
                what = {"room": "general", "path": str(tmp_path / "data.bin"), "address": line.address, **more}
                return Errand(server, "alice", tmp_path / "home", do, remembers=True, **what)

            do = "send"
            for point in points(random.Random(7)):
                async with errand(do, sign_up=do == "send") as run:
                    await run.says("moved", lambda line, point=point: line["done"] >= point)  # type: ignore[misc]
                    await run.kill()
                do = "resume"
            async with errand(do, sign_up=False) as run:
                done = await run.says("done")
                assert done["needless"] == []
                assert done["raw"] == len(DATA) - done["resumed"]
            async with visit(server, "bob", tmp_path / "bob") as bob:
                transfer = fetch(bob, await listed(bob, "general"), tmp_path / "into")
                await transfer.finished()
                assert got(transfer) == DATA

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))
