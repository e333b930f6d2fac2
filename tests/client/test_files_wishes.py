"""What a user wishes of a transfer at any time, and what becomes of the connection meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from quicchat.client.files.phase import Phase
from quicchat.client.files.sources import BytesSource
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.client.memory import PlainMemory
from quicchat.errors import LinkLost
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import Kind, Post
from tests.client.counter import served
from tests.client.depot import Depot, reached, within
from tests.client.test_files_down import content, depot
from tests.client.test_files_up import file, posts, serving
from tests.server.house import play

DATA = content(150_000)
#: [what happens, how long after the one before, in ms]
WISHES = st.lists(st.tuples(st.sampled_from(["pause", "resume", "cut"]), st.integers(0, 60)), max_size=12)
#: Whether its size was said, so that it comes with its leaves.
SAID = st.sampled_from([None, len(DATA)])
LAST = st.sampled_from(["resume", "cancel", "close"])


async def wish(transfer: Transfer, here: Depot, wishes: list[tuple[str, int]]) -> None:
    for what, after in wishes:
        await asyncio.sleep(after / 1000)
        match what:
            case "pause":
                transfer.pause()
            case "resume":
                transfer.resume()
            case _:
                here.cut_after = here.sent + 1


@given(wishes=WISHES, last=LAST, mode=st.sampled_from(Mode), lost=st.sampled_from([0, 7]), size=SAID)
def test_a_download_is_whole_or_not_there(
    wishes: list[tuple[str, int]], last: str, mode: Mode, lost: int, size: int | None
) -> None:
    """[14.7-1], [14.7-2]: however it is stopped, let go on, cut off, given up: no byte is wrong, nothing stays."""

    async def scenario(folder: Path) -> None:
        async with depot() as (alice, here, _):
            if lost:
                here.loses = lambda index: index % lost == 0
            wanted = Wanted(here.share(DATA), "f", size)
            transfer = alice.files.get(wanted, FolderTarget(folder), mode=mode)
            await wish(transfer, here, wishes)
            if last == "cancel":
                transfer.cancel()
            elif last == "resume":
                transfer.resume()
                await transfer.finished()
            if last != "close":
                await asyncio.sleep(30)
                requests = await alice.files._online()
                assert requests.files.unread == 0
        if last == "close" and not transfer.over:
            assert isinstance(transfer.failure, LinkLost)
            async with depot() as (alice, here, _):
                again = alice.files.get(Wanted(here.share(DATA), "f"), FolderTarget(folder))
                await again.finished()
        gone = last == "cancel" and transfer.state is Phase.CANCELLED
        assert within(folder) == ({} if gone else {"f": DATA})

    with TemporaryDirectory() as folder:
        play(lambda: scenario(Path(folder)))


def test_an_upload_of_an_earlier_run_is_taken_back(tmp_path: Path) -> None:
    """[14.7-6]: given up before anything of it goes on, when nobody knows whether its message arrived."""

    async def scenario() -> None:
        counter, here = serving()
        memory, here.upload_credit = PlainMemory(), 16_384
        answers, counter.answers = counter.answers, {Post: lambda _: []}
        async with served(counter, memory=memory) as alice:
            alice.files.chunk = 4_096
            await alice.files.send("general", [file(tmp_path, "f", DATA)])
            await reached(lambda: bool(posts(counter)))
        counter.answers = answers
        async with served(counter, memory=memory) as alice:
            alice.files.transfers[0].cancel()
            await asyncio.sleep(30)
        kinds = {post.cid: post.kind for post in posts(counter)}
        assert (len(kinds), set(kinds.values())) == (2, {Kind.FILE, Kind.RETRACT})

    play(scenario)


@example(wishes=[("cut", 0), ("pause", 21)], last="cancel")
@given(wishes=WISHES, last=st.sampled_from(["resume", "cancel"]))
def test_an_upload_is_said_once_or_taken_back(wishes: list[tuple[str, int]], last: str) -> None:
    """[14.7-2], [14.7-6]: whenever it is stopped, let go on, cut off and given up, one message tells of it, or none."""

    async def scenario() -> None:
        counter, here = serving()
        here.upload_credit = 16_384
        async with served(counter) as alice:
            alice.files.chunk = 4_096
            transfer = await alice.files.send("general", [BytesSource("f", DATA)])
            await wish(transfer, here, wishes)
            if last == "cancel":
                transfer.cancel()
                await asyncio.sleep(30)
            else:
                transfer.resume()
                await transfer.finished()
            if transfer.state is Phase.CANCELLED:
                kinds = {post.cid: post.kind for post in posts(counter)}
                assert (len(kinds), set(kinds.values())) in ((0, set()), (2, {Kind.FILE, Kind.RETRACT}))
            else:
                assert len({post.cid for post in posts(counter)}) == 1
                (blob,) = here.blobs.values()
                assert bytes(blob.data) == DATA
                assert set(here.stored.values()) == {1}

    play(scenario)
