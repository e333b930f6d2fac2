"""Files and long texts of encrypted conversations, from client to client over a real server."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from quicchat.client.files.api import LOCKED
from quicchat.client.files.archive import ArchiveSource
from quicchat.client.files.phase import Phase
from quicchat.client.files.sources import BytesSource, PathSource
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.files.unpack import unpack
from quicchat.client.seal import Seal
from quicchat.errors import Code, Refused
from quicchat.transport.memory.link import MemoryLink
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import DIRECTORY, Kind, Post
from tests.client.depot import reached, within
from tests.client.e2ee.talks import DIRECT, ROOM, Talker, den, engine, seal_of, talking, three
from tests.client.test_files_down import content
from tests.server.house import play, world

NAME = "holiday in Tromsø.jpg"
CAPTION = "canary: the aurora"
DATA = content(300_001)


class Wire:
    """Every byte that any client or server sends, in order by stream; and in datagrams."""

    def __init__(self) -> None:
        self.streams: dict[tuple[int, int], bytearray] = defaultdict(bytearray)

    def all(self) -> list[bytes]:
        return [bytes(each) for each in self.streams.values()]

    def holds(self, canary: bytes) -> bool:
        return any(canary in each for each in self.all())


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    here = Wire()
    send, datagram = MemoryLink.send, MemoryLink.datagram

    def sent(link: MemoryLink, sid: int, data: bytes, *, fin: bool = False) -> None:
        here.streams[id(link), sid] += data
        send(link, sid, data, fin=fin)

    def cast(link: MemoryLink, data: bytes, *, bulk: bool = False) -> bool:
        here.streams[id(link), -1] += data
        return datagram(link, data, bulk=bulk)

    monkeypatch.setattr(MemoryLink, "send", sent)
    monkeypatch.setattr(MemoryLink, "datagram", cast)
    return here


def untold(wire: Wire, data: bytes) -> None:
    """Nothing of a file went over the wire in clear."""
    for canary in (NAME.encode(), b"Troms", CAPTION.encode(), b"aurora", b"image/jpeg", b"300 kB"):
        assert not wire.holds(canary), canary
    everything = b"\0".join(wire.all())
    assert not any(data[at : at + 24] in everything for at in range(0, len(data) - 24, 997))


async def file_of(talker: Talker) -> Wanted:
    """The file that somebody was told of last."""
    await talker.ears.until(lambda: any(each.kind is Kind.FILE for each in talker.messages))
    event = [each for each in talker.messages if each.kind is Kind.FILE][-1]
    assert seal_of(event) in (Seal.PINNED, Seal.OWN)
    ((file, size, kind, name, modified),) = event.attachments or ()
    return Wanted(file, name, size, kind, modified)


async def fetched(talker: Talker, wanted: Wanted, into: Path, **how: object) -> bytes:
    transfer = talker.chat.files.get(wanted, FolderTarget(into), **how)  # type: ignore[arg-type]
    await transfer.finished()
    assert transfer.done == transfer.size == wanted.size
    assert transfer.path is not None
    return transfer.path.read_bytes()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_file_for_one(tmp_path: Path, wire: Wire, mode: Mode) -> None:
    """R0.9, [15.8-2], issue 6: bytes, name, type and caption are nowhere on the wire, and all of it is at the other."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            sources = [BytesSource(NAME, DATA, modified=1_600_000_000_000)]
            transfer = await alice.chat.files.send("bob", sources, direct=True, caption=CAPTION)
            await transfer.finished()
            wanted = await file_of(bob)
            assert (wanted.name, wanted.size, wanted.media_type) == (NAME, len(DATA), "image/jpeg")
            assert (wanted.modified, bob.texts) == (1_600_000_000_000, [f"{CAPTION}\n{NAME}, 300 kB"])
            assert await fetched(bob, wanted, tmp_path, mode=mode) == DATA
            assert list(within(tmp_path)) == [NAME]
            assert (await file_of(alice)).file == wanted.file
            for each in (alice, bob):
                (listed,) = await each.chat.files.listed(DIRECT)
                assert (listed.name, listed.size, listed.wanted.file) == (NAME, len(DATA), wanted.file)
        untold(wire, DATA)

    play(scenario)


def test_the_test_sees_what_is_sent_in_plain(wire: Wire) -> None:
    """Issue 6: the same in a room that is not encrypted is seen by what looks for it."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            transfer = await alice.chat.files.send("general", [BytesSource(NAME, DATA)], caption=CAPTION)
            await transfer.finished()
        assert wire.holds(NAME.encode())
        assert wire.holds(b"image/jpeg")
        assert wire.holds(CAPTION.encode())
        assert wire.holds(DATA[997:1_021])

    play(scenario)


def test_files_of_a_room(tmp_path: Path, wire: Wire) -> None:
    """[15.8-7], issue 6: all who are in list and fetch it by its name; who came later sees that something is there."""

    async def scenario() -> None:
        async with three() as (_, alice, bob, carol):
            await den(alice, bob)
            transfer = await alice.chat.files.send(ROOM, [BytesSource(NAME, DATA), BytesSource("empty", b"")])
            await transfer.finished()
            await bob.ears.until(lambda: any(each.kind is Kind.FILE for each in bob.messages))
            listed = await bob.chat.files.listed(ROOM)
            assert sorted((each.name, each.size) for each in listed) == [("empty", 0), (NAME, len(DATA))]
            for each in listed:
                data = await fetched(bob, each.wanted, tmp_path)
                assert data == (DATA if each.name == NAME else b"")
            await carol.chat.join(ROOM)
            late = await carol.chat.files.listed(ROOM)
            assert [(each.name, each.sealed) for each in late] == [(LOCKED, True)] * 2
            with pytest.raises(Refused) as caught:
                await carol.chat.files.get(late[0].wanted, FolderTarget(tmp_path)).finished()
            assert caught.value.code is Code.FORBIDDEN
        untold(wire, DATA)

    play(scenario)


def test_a_directory(tmp_path: Path, wire: Wire) -> None:
    """R2.28, [14.8-1], issue 6: it goes as any other file, and the names in it are no less sealed than its own."""

    async def scenario() -> None:
        folder = tmp_path / "Tromsø"
        (folder / "aurora").mkdir(parents=True)
        (folder / "aurora" / "one.jpg").write_bytes(DATA)
        (folder / "two.txt").write_text(CAPTION)
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            transfer = await alice.chat.files.send("bob", [ArchiveSource(folder)], direct=True)
            await transfer.finished()
            wanted = await file_of(bob)
            assert (wanted.name, wanted.media_type) == ("Tromsø.tar", DIRECTORY)
            into = tmp_path / "into"
            await fetched(bob, wanted, into)
            unpacked = unpack(into / "Tromsø.tar", wanted.name)
            assert unpacked.files == 2
            assert (into / "Tromsø" / "aurora" / "one.jpg").read_bytes() == DATA
            assert (into / "Tromsø" / "two.txt").read_text() == CAPTION
        untold(wire, DATA)
        assert not wire.holds(b"one.jpg")

    play(scenario)


def test_an_upload_goes_on_in_the_next_run(tmp_path: Path, wire: Wire) -> None:
    """[14.7-2], [14.7-6], [15.8-2]: one message, one parcel, whatever happens to the program in between."""

    async def scenario() -> None:
        (tmp_path / NAME).write_bytes(data := content(3_000_000))
        async with world(bandwidth=1_000_000) as here, talking(here, "bob") as bob:
            async with talking(here, "alice") as alice:
                sources = [PathSource(tmp_path / NAME)]
                transfer = await alice.chat.files.send("bob", sources, direct=True, caption=CAPTION)
                await reached(lambda: transfer.done >= 600_000)
                memory = alice.memory
            assert not transfer.over or transfer.state is not Phase.DONE
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                (transfer,) = alice.chat.files.transfers
                await transfer.finished()
                assert transfer.resumed >= 600_000
                wanted = await file_of(bob)
                assert await fetched(bob, wanted, tmp_path / "into") == data
                assert len([each for each in bob.messages if each.kind is Kind.FILE]) == 1
        untold(wire, data)

    play(scenario)


def test_it_is_fetched_while_it_is_sent(tmp_path: Path) -> None:
    """[14.3-10], issue 6: what is verified of a parcel is given to readers at once, and opened when all of it came."""

    async def scenario() -> None:
        async with (
            world(bandwidth=1_000_000) as here,
            talking(here, "alice") as alice,
            talking(here, "bob") as bob,
        ):
            transfer = await alice.chat.files.send("bob", [BytesSource(NAME, data := content(2_000_000))], direct=True)
            wanted = await file_of(bob)
            assert not transfer.over
            fetch = asyncio.ensure_future(fetched(bob, wanted, tmp_path))
            await transfer.finished()
            assert await fetch == data

    play(scenario)


def long(words: str) -> str:
    return "".join(f"{number}: {words}\n" for number in range(3_000))


def test_long_texts(wire: Wire) -> None:
    """R0.3, [15.8-8], issue 6: neither the whole nor its beginning is on the wire; it comes whole, now and later."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", text := long("the canary sings"))
            await bob.hears(text)
            await alice.hears(text)
            assert [each.attachments for each in (*bob.messages, *alice.messages)] == [None, None]
            assert await bob.chat.files.listed(DIRECT) == []
            assert await alice.chat.files.listed(DIRECT) == []
            await den(alice, bob)
            await alice.chat.post(ROOM, short := long("a second bird"))
            await bob.hears(short)
            assert (await bob.chat.past(ROOM))[-1].text == short
            assert engine(bob).standing(DIRECT).state == "encrypted"
        assert not wire.holds(b"canary")
        assert not wire.holds(b"bird")

    play(scenario)


def test_a_long_text_outlives_the_program(wire: Wire) -> None:
    """P1, P2, [15.8-8]: a program that ends while the whole goes up says it once, in the next run."""

    async def scenario() -> None:
        text = long("the canary sings")
        async with world(bandwidth=50_000) as here, talking(here, "bob") as bob:
            async with talking(here, "alice") as alice:
                await alice.chat.tell("bob", "first")
                await bob.hears("first")
                cid = await alice.chat.queue(Post(user="bob", cid=b"!" * 16, text=text))
                await asyncio.sleep(0.8)
                memory = alice.memory
                (waiting,) = (await memory.load()).entries[-1:]
                assert waiting.sealed is not None
            assert bob.texts == ["first"]
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                await bob.hears(text)
                assert bob.texts == ["first", text]
                assert bob.messages[-1].cid == cid
                await alice.hears(text)
                assert (await memory.load()).entries[-1].sealed == waiting.sealed
        assert not wire.holds(b"canary")

    play(scenario)


def test_a_file_for_somebody_without_keys(tmp_path: Path, wire: Wire) -> None:
    """Issue 6: where the other has no keys it goes in plain, as his messages do, and he can read it."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            bob = await here.enter("bob")
            transfer = await alice.chat.files.send("bob", [BytesSource(NAME, DATA)], direct=True)
            await transfer.finished()
            (listed,) = await bob.files.listed(DIRECT)
            assert (listed.name, listed.size) == (NAME, len(DATA))
            got = bob.files.get(listed.wanted, FolderTarget(tmp_path))
            await got.finished()
            assert within(tmp_path) == {NAME: DATA}
        assert wire.holds(DATA[997:1_021])

    play(scenario)


def test_who_has_no_keys_sends_nothing_into_an_encrypted_room(wire: Wire) -> None:
    """Issue 6: never a silent fall-back: what cannot be sealed is held or refused; nothing leaves in clear."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice:
            await den(alice)
            bob = await here.enter("bob")
            await bob.join(ROOM)
            transfer = await bob.files.send(ROOM, [BytesSource(NAME, DATA)], caption=CAPTION)
            await asyncio.sleep(30)
            assert transfer.state is not Phase.DONE
        untold(wire, DATA)

    play(scenario)
