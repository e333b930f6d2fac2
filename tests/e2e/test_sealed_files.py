"""Sealed files between real processes: what the server keeps tells nothing of them, and yet they come whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.e2ee.parcels import sealed_size
from quicchat.client.events import Progress, Sent
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.rooms import ENCRYPTED
from tests.e2e.parcels import MIB, announced, blobs, content, fetch, got, send
from tests.netem import netem
from tests.processes import CHEAP, ServerProcess
from tests.visitors import Errand, Visitor, visit

pytestmark = pytest.mark.socket

NAME = "canary in Tromsø.pdf"


def kept(server: ServerProcess) -> bytes:
    """All that a server has on its disk, its log included."""
    return b"\0".join(path.read_bytes() for path in sorted(server.data.rglob("*")) if path.is_file())


async def ready(visitor: Visitor) -> None:
    """Wait until a client has keys that others may use."""
    async with asyncio.timeout(30):
        await visitor.chat._session.provider.ready()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("mode", list(Mode))
def test_the_disk_of_the_server_tells_nothing(tmp_path: Path, mode: Mode) -> None:
    """R0.9, [15.8-2], issue 6: no byte of a file or a long text, no name, no type: not in blobs, database or log."""
    data = content(8 * MIB)
    text = "the canary sings\n" * 5_000

    async def scenario(server: ServerProcess) -> None:
        async with (
            visit(server, "alice", tmp_path / "alice", remembers=True) as alice,
            visit(server, "bob", tmp_path / "bob", remembers=True) as bob,
        ):
            await ready(alice)
            await ready(bob)
            await alice.chat.create("den", policy=ENCRYPTED)
            await bob.chat.join("den")
            up = await send(alice, "den", tmp_path / NAME, data)
            wanted = await announced(bob, NAME)
            down = fetch(bob, wanted, tmp_path / "into", mode=mode, streams=3)
            await up.finished()
            await down.finished()
            assert got(down) == data
            assert (down.size, down.done) == (len(data), len(data))
            assert len(blobs(server, sealed_size(len(data)))) == 1
            await alice.chat.post("den", text)
            await bob.hears(text)

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))
        disk = kept(server)
        for canary in (b"canary", "Tromsø".encode(), b"application/pdf", b"8.4 MB"):
            assert canary not in disk, canary
        assert sealed_size(len(data)) < len(disk)
        assert not any(data[at : at + 24] in disk for at in range(0, len(data), 400_009))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_server_is_killed_in_between(tmp_path: Path) -> None:
    """[14.7-2], [15.8-2], P1: an upload and a download go on where they were, the message is said once."""
    data = content(24 * MIB)

    async def scenario(server: ServerProcess) -> None:
        async with (
            visit(server, "alice", tmp_path / "alice", remembers=True) as alice,
            visit(server, "bob", tmp_path / "bob", remembers=True) as bob,
        ):
            await ready(alice)
            await ready(bob)
            up = await send(alice, "bob", tmp_path / NAME, data, direct=True)
            wanted = await announced(bob, NAME)
            down = fetch(bob, wanted, tmp_path / "into")
            async with asyncio.timeout(60):
                while not (up.done > 4 * MIB and down.done):  # noqa: ASYNC110 - a transfer tells by events, of which these are many
                    await asyncio.sleep(0.01)
            assert not up.over
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await up.finished()
            await down.finished()
            assert got(down) == data
            said = [each for each in bob.ears.of(Message) if each.attachments]
            assert len(said) == 1
            assert [each.state for each in alice.ears.of(Progress)].count(Sent.STORED) >= 1

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_clients_are_killed_in_between(tmp_path: Path) -> None:
    """[14.7-2], [15.8-2], [15.8-6], P1: kill -9 of who sends, then of who fetches; the parcel is the same."""
    data = content(8 * MIB)
    (tmp_path / NAME).write_bytes(data)

    async def scenario(server: ServerProcess) -> None:
        with netem(("127.0.0.1", server.port), rate=4 * MIB) as line:

            def errand(user: str, do: str, **more: Any) -> Errand:
                what = {"room": "den", "remembers": True, "sign_up": False, "address": line.address, **more}
                return Errand(server, user, tmp_path / user, do, **what)

            async with visit(server, "bob", tmp_path / "bob", remembers=True) as bob:
                await ready(bob)
                await bob.chat.create("den", policy=ENCRYPTED)
                async with visit(server, "alice", tmp_path / "alice", remembers=True) as alice:
                    await ready(alice)
                    await alice.chat.join("den")
                async with errand("alice", "send", path=str(tmp_path / NAME)) as run:
                    last = await run.says("moved", lambda line: line["done"] >= 3 * MIB)
                    await run.kill()
                async with errand("alice", "resume") as run:
                    done = await run.says("done")
                assert done["resumed"] >= last["done"]
                assert done["size"] == done["done"] == len(data)
                assert done["twice"] == []
                await announced(bob, NAME)
                assert len(await bob.chat.files.listed("den")) == 1
            into = tmp_path / "into"
            async with errand("bob", "get", name=NAME, into=str(into)) as run:
                last = await run.says("moved", lambda line: line["done"] >= 3 * MIB)
                await run.kill()
            assert sorted(path.name for path in into.iterdir()) == [f"{NAME}.part", f"{NAME}.part.map"]
            assert data[: 64 * 1024] not in (into / f"{NAME}.part").read_bytes()
            async with errand("bob", "get", name=NAME, into=str(into)) as run:
                done = await run.says("done")
            # What the map on the disk did not know yet is little.
            assert done["resumed"] >= last["done"] - 8 * 2**18
            assert [path.name for path in into.iterdir()] == [NAME]
            assert (into / NAME).read_bytes() == data

    with ServerProcess(tmp_path / "server", *CHEAP) as server:
        asyncio.run(scenario(server))
