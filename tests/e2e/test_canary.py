"""What the server has of a sealed conversation: neither words nor names, on its disk, in its memory, or on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from quicchat.client.e2ee.provider import is_installed
from quicchat.client.seal import Opened, Seal
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.chapters.rooms import ENCRYPTED
from tests.e2e.parcels import announced, fetch, got, send
from tests.processes import CHEAP, ServerProcess
from tests.visitors import Visitor, visit

pytestmark = pytest.mark.socket

assert is_installed(), "these tests need the extra pgp"

#: Each is long enough to be nothing by chance, and stands nowhere in this program's own memory of the server.
WORDS = {
    "said": "canary-quetzal-said-7c1d",
    "edited": "canary-quetzal-edit-91aa",
    "reaction": "canary-quetzal-heart",
    "told": "canary-quetzal-told-55e0",
    "caption": "canary-quetzal-caption",
    "file": "canary-quetzal-file-name.txt",
    "content": "canary-quetzal-content ",
    "long": "canary-quetzal-long ",
    "plain": "canary-plain-is-found",
}
SECRET = [word.strip().encode() for name, word in WORDS.items() if name != "plain"]


def memory_of(pid: int) -> Iterator[bytes]:
    """All that a process has in its memory and may write to."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None or "[v" in line:
                continue
            start, end = (int(each, 16) for each in found.groups())
            memory.seek(start)
            try:
                yield memory.read(end - start)
            except OSError:  # part of it is not there
                continue


def found_in(pieces: Iterator[bytes], words: list[bytes]) -> set[bytes]:
    """Which of the words stand somewhere, as UTF-8 or as UTF-16."""
    found: set[bytes] = set()
    for piece in pieces:
        found |= {word for word in words if word in piece or word.decode().encode("utf-16-le") in piece}
    return found


def files_below(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        yield str(path).encode()
        if path.is_file():
            yield path.read_bytes()


async def opened(visitor: Visitor, text: str) -> Opened:
    """Wait until something was said, sealed and trusted."""
    await visitor.hears(text)
    (event,) = [each for each in visitor.ears.of(Opened) if each.text == text]
    assert event.seal is Seal.PINNED, event
    return event


async def keyed(visitor: Visitor) -> None:
    """Wait until somebody has keys."""
    await visitor.ears.until(lambda: visitor.chat.keys.ready)


async def talk(server: ServerProcess, home: Path) -> None:
    """Everything that two people say: in a room and directly, edited, reacted to, as a file, at length."""
    async with (
        visit(server, "alice", home / "alice", remembers=True, metered=False) as alice,
        visit(server, "bob", home / "bob", remembers=True, metered=False) as bob,
    ):
        for each in (alice, bob):
            await keyed(each)
        await alice.chat.create("den", policy=ENCRYPTED)
        await bob.chat.join("den")
        await alice.chat.post("general", WORDS["plain"])
        said = await alice.chat.post("den", WORDS["said"])
        await opened(bob, WORDS["said"])
        await alice.chat.edit("den", said.seq, WORDS["edited"])
        await opened(bob, WORDS["edited"])
        await bob.chat.react("den", said.seq, WORDS["reaction"])
        await opened(alice, WORDS["reaction"])
        await alice.chat.tell("bob", WORDS["told"])
        await opened(bob, WORDS["told"])
        await alice.chat.post("den", WORDS["long"] * 4_000)
        await opened(bob, WORDS["long"] * 4_000)
        data = WORDS["content"].encode() * 20_000
        transfer = await send(alice, "den", home / WORDS["file"], data)
        await transfer.finished()
        again = fetch(bob, await announced(bob, WORDS["file"]), home / "into")
        await again.finished()
        assert got(again) == data
        assert not [each for each in bob.ears.of(Opened) if each.kind is Kind.TEXT and not each.seal.opened]
        # Before anybody leaves: what the server has now is the most that it ever has.
        assert found_in(memory_of(server.pid), SECRET) == set()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="looks into memory by way of /proc")
def test_nothing_at_the_server(tmp_path: Path) -> None:
    """R0.9, [15.1-1]: no word, no file name and nothing of a file is in its memory, its files or its log."""
    (tmp_path / "home").mkdir()
    with ServerProcess(tmp_path / "server", *CHEAP, "--log-level", "debug") as server:
        asyncio.run(talk(server, tmp_path / "home"))
        # What is in plain is found in the same way: the eyes are open.
        assert found_in(memory_of(server.pid), [WORDS["plain"].encode()])
    assert found_in(files_below(tmp_path / "server"), SECRET) == set()
    assert found_in(files_below(tmp_path / "server"), [WORDS["plain"].encode()])
