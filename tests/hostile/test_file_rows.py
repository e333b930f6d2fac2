"""Rows X: files that are none, that are too large, and names that lead elsewhere."""

from __future__ import annotations

import os
import resource
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from quicchat.errors import Code
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import frame, write
from quicchat.wire import leaves
from quicchat.wire.chapters.files import FileList, ListFiles, Mode, Offer
from quicchat.wire.chapters.messages import Posted
from tests.conformance.files import CHUNK, begin, fetch, finish, get, offer, refused_get, some, upload
from tests.conformance.peer import Peer
from tests.conformance.talk import post
from tests.conformance.test_uploads import DATA, failed, wrong
from tests.e2e.test_full_disk import FILM, FULL, fill
from tests.e2e.test_shared_folder import guest, settled
from tests.hostile.arena import Arena
from tests.processes import CHEAP


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A server that shares a folder with much in it that nobody should get, and has little room for files."""
    root = tmp_path_factory.mktemp("shared")
    folder, secret = root / "share", root / "share_secret"
    folder.mkdir()
    secret.mkdir()
    (secret / "key.txt").write_bytes(b"secret")
    (folder / "open.txt").write_bytes(some(20_000))
    (folder / ".hidden").write_bytes(b"secret")
    (folder / "link.txt").symlink_to(secret / "key.txt")
    (folder / "folder").symlink_to(secret)
    os.mkfifo(folder / "pipe")
    with Arena(root / "data", *CHEAP, "--share", str(folder), "--quota", "20M", "--quota-files", "10") as found:
        yield found


def with_guests(
    arena: Arena, scenario: Callable[..., Awaitable[None]], count: int = 1
) -> Callable[[Bench], Awaitable[None]]:
    """Play it with so many who are logged in."""

    async def attack(bench: Bench) -> None:
        async with guest(arena.server) as one, guest(arena.server) as other:
            await scenario(*(one, other)[:count])

    return attack


NAMES = ("../share_secret/key.txt", "/etc/passwd", "..\\key.txt", "a\0b", "%2e%2e/key.txt", "x" * 300, ".hidden", "")


@pytest.mark.parametrize("name", NAMES)
def test_x1_names_that_lead_elsewhere(shared: Arena, name: str) -> None:
    """X1: no name of the protocol holds them: fatal with SCHEMA, and nothing is opened."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        sid = talk.open(3)
        fields = {"name": name, "mode": 1, "handle": 1, "credit": 1 << 20, "leaves": False}
        talk.say_bytes(frame(write("FILE_GET", fields, version=2, id=1)), sid=sid)
        await talk.fatal("SCHEMA")

    shared.play(attack, users=1)


def test_x2_links_and_pipes(shared: Arena) -> None:
    """X2, X1: what is no file of the folder is neither listed nor served, and a pipe holds nobody up."""

    async def scenario(peer: Peer) -> None:
        listed = await peer.ask(ListFiles())
        assert isinstance(listed, FileList)
        assert {each[0] for each in listed.files} == {"open.txt"}
        for name in ("link.txt", "pipe", "folder", "key.txt", "no-such.txt"):
            assert await refused_get(peer, name=name) == Code.NO_SUCH_FILE
        await settled(peer, "open.txt")
        assert (await fetch(peer, name="open.txt")).data == some(20_000)

    shared.play(with_guests(shared, scenario), users=2)


def test_x3_a_file_that_is_replaced(shared: Arena) -> None:
    """X3: what is served under an id is the file of that id, or nothing."""
    path = shared.server.data.parent / "share" / "open.txt"

    async def scenario(peer: Peer) -> None:
        _, before, _ = await settled(peer, "open.txt")
        fresh = path.with_suffix(".new")
        fresh.write_bytes(some(20_000, 7))
        fresh.replace(path)
        sid = begin(peer, get(file=before))
        await peer.until(lambda: sid in peer.finished or sid in peer.given_up or None)
        assert some(20_000, 7) not in bytes(peer.carried.get(sid, b""))
        while (await settled(peer, "open.txt"))[1] == before:
            await peer.barrier()
        assert (await fetch(peer, name="open.txt")).data == some(20_000, 7)
        path.write_bytes(some(20_000))

    shared.play(with_guests(shared, scenario), users=2)


def test_x4_x5_bytes_that_are_not_the_file(shared: Arena) -> None:
    """X4, X5: too many, too few, others: each costs its stream, with a code, and nothing of it is to be seen."""

    async def scenario(peer: Peer, other: Peer) -> None:
        await offer(peer, DATA)
        for code, what in wrong():
            assert await failed(peer, *what) == code
        assert await refused_get(other, file=leaves.of(DATA, CHUNK)[0]) == Code.NO_SUCH_FILE
        assert not (await offer(peer, DATA)).whole
        assert (await upload(peer, DATA)).missing is None

    shared.play(with_guests(shared, scenario, 2), users=2)


def test_x6_quotas(shared: Arena) -> None:
    """X6: beyond the bytes or the number of files a user may have, nothing is asked for."""

    async def scenario(peer: Peer) -> None:
        huge = leaves.of(b"", CHUNK)[0][::-1]
        assert await peer.refused(Offer(size=30_000_000, chunk=CHUNK, file=huge)) == Code.QUOTA
        codes = []
        for seed in range(12):
            data = some(5_000, 100 + seed)
            answer = await peer.ask(Offer(size=len(data), chunk=CHUNK, file=leaves.of(data, CHUNK)[0]))
            codes.append(getattr(answer, "code", None))
        assert codes[0] is None
        assert set(codes[1:]) <= {None, Code.LIMIT, Code.QUOTA}
        assert codes[-1] in (Code.LIMIT, Code.QUOTA)

    shared.play(with_guests(shared, scenario), users=2)


def test_x7_datagrams_of_a_file(shared: Arena) -> None:
    """X7: a client that asks for a file in datagrams and repeats, for parts that are none, gets what there is."""

    async def scenario(peer: Peer) -> None:
        await settled(peer, "open.txt")
        found = await finish(peer, begin(peer, get(name="open.txt", mode=Mode.FAST, handle=9, rate=1 << 30)))
        assert found.end.carried <= 20_000
        assert await refused_get(peer, name="open.txt", ranges=((1 << 39, CHUNK),), handle=10) == Code.RANGE

    shared.play(with_guests(shared, scenario), users=2)


def test_x10_d3_the_disk_is_full(tmp_path: Path) -> None:
    """X10, D3: the upload is given up with STORE_UNAVAILABLE; the pair and everybody else talk on."""
    with Arena(tmp_path / "data", *CHEAP) as arena:

        async def scenario(peer: Peer) -> None:
            await offer(peer, FILM, chunk=65_536)
            resource.prlimit(arena.server.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
            assert await fill(peer, 0) == Code.STORE_UNAVAILABLE
            resource.prlimit(arena.server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            assert isinstance(await peer.ask(post("after all", room="general")), Posted)

        arena.play(with_guests(arena, scenario), users=8, told="blobs cannot be used")
