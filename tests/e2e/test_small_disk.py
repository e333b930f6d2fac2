"""A server whose database and files are on one small disk: what is uploaded leaves room for what is said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quicchat.client.files.phase import Phase
from quicchat.errors import MEANINGS, Code
from tests.e2e.parcels import MIB, announced, content, fetch, got, send
from tests.processes import CHEAP, ServerProcess, small_disk
from tests.visitors import visit

pytestmark = pytest.mark.socket

DISK = 40 * MIB


def test_the_disk_is_full_in_mid_upload(tmp_path: Path) -> None:
    """[14.3-12], D3, X10: that upload stands still and says why, every message is stored; space comes back."""
    data, small = content(2 * DISK), content(3 * MIB, 1)

    async def scenario(server: ServerProcess) -> None:
        async with (
            visit(server, "alice", tmp_path / "alice") as alice,
            visit(server, "bob", tmp_path / "bob") as bob,
        ):
            upload = await send(alice, "general", tmp_path / "too large.bin", data)
            said = 0
            while upload.words != MEANINGS[Code.STORE_UNAVAILABLE].text:
                said += 1
                await bob.chat.post("general", f"line {said}")
            assert 0 < upload.done < len(data)
            async with asyncio.timeout(20):
                for number in range(said, said + 200):
                    await bob.chat.post("general", f"line {number + 1}")
                    await alice.chat.post("general", f"and {number + 1}")
                await bob.hears(f"and {said + 200}")
            # It tries again meanwhile, and it ends as before.
            assert upload.state is not Phase.DONE
            assert len(alice.ledger.links) == len(bob.ledger.links) == 1
            upload.cancel()
            async with asyncio.timeout(20):
                await (await send(alice, "general", tmp_path / "small.bin", small)).finished()
            transfer = fetch(bob, await announced(bob, "small.bin"), tmp_path / "into")
            await transfer.finished()
            assert got(transfer) == small

    home = tmp_path / "server"
    with ServerProcess(home, *CHEAP, within=small_disk(home, DISK)) as server:
        asyncio.run(scenario(server))
