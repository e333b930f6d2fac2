"""Uploads: offered, said once, sent, and gone on with, whatever becomes of connection and program."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from quicchat.client.files.phase import Phase
from quicchat.client.files.sources import BytesSource, PathSource, Source
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.memory import Change, PlainMemory
from quicchat.errors import Code, Refused, UsageError
from quicchat.transport.memory import Network
from quicchat.wire import leaves
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.files import FileList, Standing
from quicchat.wire.chapters.messages import Kind, Post, Posted
from quicchat.wire.chapters.session import Error
from quicchat.wire.registry import Pdu
from tests.client.counter import Counter, served
from tests.client.depot import Depot, reached
from tests.client.lives import living
from tests.client.test_files_down import content
from tests.server.house import play, world


class SlowMemory(PlainMemory):
    """On a disk that takes its time."""

    async def keep(self, change: Change) -> None:
        await asyncio.sleep(0.01)
        await super().keep(change)


def serving() -> tuple[Counter, Depot]:
    counter = Counter(Network(latency=0.005))
    counter.depot = here = Depot()
    counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
    counter.answers = {Post: acked}
    return counter, here


def acked(pdu: Pdu) -> list[Pdu]:
    assert isinstance(pdu, Post)
    return [Posted(cid=pdu.cid, room="general", seq=1, ts=1, epoch=1)]


def posts(counter: Counter) -> list[Post]:
    return [each for each in counter.of(Post) if isinstance(each, Post)]


def file(directory: Path, name: str, data: bytes) -> PathSource:
    (directory / name).write_bytes(data)
    return PathSource(directory / name)


def test_files_are_sent_and_named_in_one_message(tmp_path: Path) -> None:
    """R2.26, issue 4, items 2 and 5: two files, one message with what others need to fetch and to show them."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            data = content(150_000)
            sources: list[Source] = [file(tmp_path, "my photo.jpg", data), BytesSource("../notes.txt", b"hello")]
            transfer = await alice.files.send("general", sources, caption="look")
            await transfer.finished()
            assert (transfer.state, transfer.done, transfer.size) == (Phase.DONE, 150_005, 150_005)
            (post,) = posts(counter)
            assert (post.kind, post.room) == (Kind.FILE, "general")
            assert post.text == "look\nmy photo.jpg, 150 kB\n___notes.txt, 5 B"
            one, two = post.attachments or ()
            assert one[:4] == (leaves.of(data, 4_096)[0], 150_000, "image/jpeg", "my photo.jpg")
            assert one[4] == (tmp_path / "my photo.jpg").stat().st_mtime_ns // 1_000_000
            assert two[1:] == (5, "text/plain", "___notes.txt", 0)
            assert bytes(here.blobs[one[0]].data) == data
            assert bytes(here.blobs[two[0]].data) == b"hello"
            assert set(here.stored.values()) == {1}

    play(scenario)


def test_the_message_goes_out_before_the_bytes(tmp_path: Path) -> None:
    """Issue 4, item 8: others may begin to fetch as soon as the upload is granted."""

    async def scenario() -> None:
        counter, here = serving()
        here.upload_credit = 8_192
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("general", [BytesSource("f", content(400_000))])
            await reached(lambda: bool(posts(counter)))
            assert transfer.done < 100_000
            await transfer.finished()

    play(scenario)


def test_an_upload_outlives_its_connection() -> None:
    """Q19, [14.7-2]: what the server has verified is not sent again, and the message is said once."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            here.upload_credit = 32_768
            here.cut_after = 100_000
            data = content(400_000)
            transfer = await alice.files.send("general", [BytesSource("f", data)])
            states = set()
            while not transfer.over:
                states.add(transfer.state)
                await asyncio.sleep(0.001)
            assert Phase.PAUSED in states
            assert set(here.stored.values()) == {1}
            assert len(here.stored) == 98
            assert len({post.cid for post in posts(counter)}) == 1
            assert transfer.state is Phase.DONE

    play(scenario)


def test_an_upload_outlives_its_program(tmp_path: Path) -> None:
    """Issue 4, item 3, [14.7-2], [14.7-6]: the next run goes on with it by itself, and the message is the same."""

    async def scenario() -> None:
        counter, here = serving()
        memory = PlainMemory()
        here.upload_credit = 8_192
        async with served(counter, memory=memory) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("general", [file(tmp_path, "f", content(400_000))])
            await reached(lambda: transfer.done >= 100_000)
        assert len((await memory.load()).uploads) == 1
        async with served(counter, memory=memory) as alice:
            (transfer,) = alice.files.transfers
            await transfer.finished()
            assert transfer.resumed >= 100_000
            assert set(here.stored.values()) == {1}
            assert len(here.stored) == 98
            assert len({post.cid for post in posts(counter)}) == 1
        assert not (await memory.load()).uploads

    play(scenario)


def test_a_source_that_changes_is_not_sent(tmp_path: Path) -> None:
    """X3, [14.7-6]: what was offered is what is sent, or it fails, in words."""

    async def scenario() -> None:
        counter, here = serving()
        here.upload_credit = 8_192
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("general", [file(tmp_path, "f", content(400_000))])
            await reached(lambda: transfer.done >= 50_000)
            (tmp_path / "f").write_bytes(b"other")
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.text == "f changed while it was read."
            assert transfer.state is Phase.FAILED
            await asyncio.sleep(0.1)
            assert not (await alice.memory.load()).uploads

    play(scenario)


def test_a_server_that_finds_it_damaged_is_sent_it_once_more() -> None:
    """X5: the file is hashed again; if it still is what was offered it is sent again, and no third time."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            here.upload_errors = [Code.DIGEST]
            transfer = await alice.files.send("general", [BytesSource("f", content(100_000))])
            await transfer.finished()
            here.upload_errors = [Code.DIGEST, Code.DIGEST]
            transfer = await alice.files.send("general", [BytesSource("g", content(100_000)[::-1])])
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.DIGEST

    play(scenario)


def test_an_offer_that_is_refused_says_nothing() -> None:
    """X6: a quota, or a room that is not ours: no message, no bytes, and why; what is only for now is tried again."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            here.errors = [Error.about(Code.QUOTA, "")]
            transfer = await alice.files.send("general", [BytesSource("f", content(100_000))])
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.QUOTA
            assert not posts(counter)
            assert not here.stored
            here.errors = [Error.about(Code.LIMIT, ""), Error.about(Code.STORE_UNAVAILABLE, "")]
            transfer = await alice.files.send("general", [BytesSource("f", content(100_000))])
            await transfer.finished()
            assert len(posts(counter)) == 1

    play(scenario)


def test_giving_up_takes_the_message_back() -> None:
    """Issue 4, item 3: the server is told, and the message that named the file is taken back."""

    async def scenario() -> None:
        counter, here = serving()
        here.upload_credit = 8_192
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("bob", [BytesSource("f", content(400_000))], direct=True)
            await reached(lambda: transfer.done >= 50_000)
            transfer.pause()
            await asyncio.sleep(1)
            stored = len(here.stored)
            await asyncio.sleep(5)
            assert len(here.stored) == stored
            transfer.resume()
            await asyncio.sleep(0.1)
            assert len(here.stored) > stored
            transfer.cancel()
            await asyncio.sleep(1)
            said, back = posts(counter)
            assert (said.user, said.kind) == ("bob", Kind.FILE)
            assert (back.kind, back.refs) == (Kind.RETRACT, (1,))
            assert here.cancelled == [(said.attachments or ())[0][0]]

    play(scenario)


def test_who_leaves_at_once_has_given_up_all_the_same(tmp_path: Path) -> None:
    """Issue 4, item 3: what failed is not tried again by the next run, and what was cancelled is taken back first."""

    async def scenario() -> None:
        counter, here = serving()
        memory = SlowMemory()
        here.upload_credit = 8_192
        async with served(counter, memory=memory) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("general", [file(tmp_path, "f", content(400_000))])
            await reached(lambda: transfer.done >= 50_000)
            transfer.cancel()
            await asyncio.sleep(0.001)
        said, back = posts(counter)
        assert (back.kind, back.refs) == (Kind.RETRACT, (1,))
        assert here.cancelled == [(said.attachments or ())[0][0]]
        async with served(counter, memory=memory) as alice:
            here.errors = [Error.about(Code.QUOTA, "")]
            transfer = await alice.files.send("general", [file(tmp_path, "g", content(400_000))])
            with pytest.raises(Refused):
                await transfer.finished()
            await asyncio.sleep(0.001)
        assert not (await memory.load()).uploads

    play(scenario)


def test_chat_goes_before_the_bytes_of_an_upload() -> None:
    """Issue 4, item 6: at most 64 KiB of a file wait in the link ahead of what is said."""

    async def scenario() -> None:
        counter, _ = serving()
        counter.network.bandwidth = 250_000
        async with served(counter) as alice:
            most = 0
            transfer = await alice.files.send("general", [BytesSource("f", content(2_000_000))])
            while transfer.done < 1_000_000:
                await asyncio.sleep(0.01)
                most = max(most, *(alice.link.unsent(sid) for sid in range(0, 200, 4)))
            assert 0 < most <= 65_536
            await transfer.finished()

    play(scenario)


def test_what_is_no_file_is_not_sent(tmp_path: Path) -> None:
    """X2: directories, pipes and what is not there: one line, at once."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(UsageError):
            PathSource(tmp_path / name)


def test_a_server_of_version_1_has_no_files(tmp_path: Path) -> None:
    """R0.15, issue 1: it is said, and nothing is tried."""

    async def scenario() -> None:
        async with world(versions=(1,)) as here, living(here, "alice") as alice:
            for transfer in (
                await alice.files.send("general", [BytesSource("f", b"f")]),
                alice.files.get(Wanted(bytes(32), "f"), FolderTarget(tmp_path)),
            ):
                with pytest.raises(Refused) as caught:
                    await transfer.finished()
                assert caught.value.code is Code.UNSUPPORTED
            with pytest.raises(Refused):
                await alice.files.listed()

    play(scenario)


def test_lists_come_page_by_page() -> None:
    """R2.25: name, size, and what `get` needs, over all pages."""

    async def scenario() -> None:
        counter, here = serving()
        rows = tuple((f"f{n}", n, 5, "text/plain", bytes(32) if n else b"", Standing.WHOLE, "", 0) for n in range(3))
        here.listed = [FileList(files=rows[:2], next=b"x"), FileList(files=rows[2:])]
        async with served(counter) as alice:
            listed = await alice.files.listed()
            assert [each.name for each in listed] == ["f0", "f1", "f2"]
            assert listed[0].wanted == Wanted(None, "f0", 0, "text/plain", 5, True)
            assert listed[1].wanted == Wanted(bytes(32), "f1", 1, "text/plain", 5, True)

    play(scenario)
