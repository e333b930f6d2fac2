"""A server process and its shared folder, from the command line to the last byte. (hostile X1-X3)"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileEnd, FileHeader, FileList, GetFile, ListFiles, Mode, Part, Standing
from quicchat.wire.chapters.session import Error, Purpose
from tests.conformance.house import Place, somebody
from tests.conformance.peer import Peer, calling
from tests.processes import CHEAP, ServerProcess

PHOTO = os.urandom(700_000)


@asynccontextmanager
async def guest(server: ServerProcess) -> AsyncIterator[Peer]:
    """Somebody who is logged in, and may do anything."""
    place = Place(call=lambda: dial("127.0.0.1", server.port, trust=Trust(server.ca_pem)))
    async with calling(place) as peer:
        await peer.enter(somebody())
        yield peer
    for over in place.hung_up:
        await over()


async def listed(peer: Peer) -> dict[str, tuple[int, bytes, Standing]]:
    """What the server shares: bytes, id and standing by name."""
    answer = await peer.ask(ListFiles())
    assert isinstance(answer, FileList)
    assert answer.next is None
    return {name: (size, file, standing) for name, size, _, _, file, standing, *_ in answer.files}


async def settled(peer: Peer, name: str) -> tuple[int, bytes, Standing]:
    """A file as it is listed, once it is quiet and known."""
    async with asyncio.timeout(20):
        while True:
            found = (await listed(peer)).get(name)
            if found is not None and found[1]:
                return found
            await asyncio.to_thread(time.sleep, 0.05)


async def fetched(peer: Peer, handle: int, *, name: str | None = None, file: bytes | None = None) -> bytes | Error:
    """A file, its leaves before it; or why not."""
    sid = peer.open(Purpose.FILE)
    get = GetFile(name=name, file=file, mode=Mode.RELIABLE, handle=handle, credit=1 << 30, leaves=True)
    first = await peer.ask(get, sid=sid)
    if isinstance(first, Error):
        return first
    assert isinstance(first, FileHeader)
    assert first.part is Part.LEAVES
    await peer.until(lambda: sid in peer.finished or None)
    assert peer.all(FileEnd)[-1].status == 0
    carried = bytes(peer.carried[sid])
    cut, data = carried[: first.range[1]], carried[first.range[1] :]
    assert leaves.of(data) == (first.file, cut)
    return data


@pytest.mark.parametrize("by", ["default", "flag", "environment"])
def test_a_folder_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """R2.5 R2.6 R2.7: made at the start, wherever it is; what is dropped in is listed, and served byte for byte."""
    data, named = tmp_path / "data", tmp_path / "with blanks" / "Bücher"
    if by == "environment":
        monkeypatch.setenv("SERVER_SHARED_FILES", str(named))
    folder = data / "SharedFiles" if by == "default" else named

    async def scenario() -> None:
        async with guest(server) as peer:
            assert await listed(peer) == {}
            (folder / "holiday photo udp").write_bytes(PHOTO)
            size, file, standing = (await listed(peer))["holiday photo udp"]
            assert (size, file, standing) == (len(PHOTO), b"", Standing.CHANGING)
            refused = await fetched(peer, 1, name="holiday photo udp")
            assert isinstance(refused, Error)
            assert (refused.code, refused.retry_after) == (Code.OVERLOADED, 2_000)
            found = await settled(peer, "holiday photo udp")
            assert found == (len(PHOTO), leaves.of(PHOTO)[0], Standing.WHOLE)
            assert await fetched(peer, 2, name="holiday photo udp") == PHOTO
            assert await fetched(peer, 3, file=found[1]) == PHOTO

    flags = ("--share", str(named)) if by == "flag" else ()
    with ServerProcess(data, *CHEAP, *flags) as server:
        assert folder.is_dir()
        asyncio.run(asyncio.wait_for(scenario(), 50))
    assert (data / "shared.db").stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_served(tmp_path: Path) -> None:
    """X1 X2 Z2: no name and no link leads out of the folder, and a hostile name costs a connection, not the server."""
    folder, secret = tmp_path / "SharedFiles", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"nobody is to see this")
    (folder / "good").write_bytes(b"good")
    (folder / "link").symlink_to(secret)
    (folder / "down").symlink_to(tmp_path)
    os.link(secret, folder / "hard")
    os.mkfifo(folder / "pipe")

    async def scenario() -> None:
        async with guest(server) as peer:
            await settled(peer, "good")
            assert list(await listed(peer)) == ["good"]
            for handle, name in enumerate(("link", "down", "hard", "pipe", "nothing", "secret")):
                answer = await fetched(peer, handle, name=name)
                assert isinstance(answer, Error)
                assert answer.code == Code.NO_SUCH_FILE
            answer = await fetched(peer, 50, file=leaves.of(secret.read_bytes())[0])
            assert isinstance(answer, Error)
            assert answer.code == Code.NO_SUCH_FILE
            assert await fetched(peer, 51, name="good") == b"good"

    with ServerProcess(tmp_path / "data", *CHEAP, "--share", str(folder)) as server:
        asyncio.run(asyncio.wait_for(scenario(), 50))
