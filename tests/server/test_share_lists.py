"""FILE_LIST: what the server shares, page by page, as it is asked for on the wire."""

from __future__ import annotations

import pytest

from quicchat.errors import Code
from quicchat.server.adapters.blobs_memory import MemoryBlobs
from quicchat.server.adapters.clock import ManualClock
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.effects import Reply
from quicchat.server.model import Actor, Policy, SessionId
from quicchat.server.services.files import FileService
from quicchat.wire import codec, leaves
from quicchat.wire.chapters.files import FileList, ListFiles, Standing
from quicchat.wire.names import GENERAL
from quicchat.wire.registry import VERSIONS
from tests.server.stores import ALICE, PHONE, refusal, run

ASKER = Actor(session=SessionId(1), address="192.0.2.1:1", version=2, device=PHONE, binding=bytes(64), user=ALICE)


def service(share: MemoryShare) -> FileService:
    return FileService(MemoryStore().files, MemoryBlobs(), share, ManualClock(), Policy())


async def page(files: FileService, **asked: object) -> FileList:
    """A page, over the wire and back."""
    (effect,) = await files.list(ASKER, ListFiles(**asked))  # type: ignore[arg-type]
    assert isinstance(effect, Reply)
    answer = codec.decode(codec.encode(effect.pdu, version=VERSIONS[-1]), version=VERSIONS[-1]).pdu
    assert isinstance(answer, FileList)
    return answer


@pytest.mark.parametrize(("limit", "pages"), [(None, [100, 100, 51]), (100, [100, 100, 51]), (1, [1] * 251)])
def test_every_page(limit: int | None, pages: list[int]) -> None:
    """[14.2-2]: each file once, in order, and the last page says that it is."""
    names = sorted(f"{number:03} {'ä' * 125}" for number in range(251))

    async def scenario() -> None:
        files, found, sizes, after = service(MemoryShare(dict.fromkeys(names, b"x"))), list[str](), list[int](), None
        while True:
            answer = await page(files, after=after, limit=limit)
            found += [row[0] for row in answer.files]
            sizes.append(len(answer.files))
            after = answer.next
            if after is None:
                break
        assert (found, sizes) == (names, pages)

    run(scenario())


def test_a_row_and_none() -> None:
    """[14.2-1]: name, bytes, time, type, id, standing; nobody sent it, and it stands in no log."""

    async def scenario() -> None:
        answer = await page(service(MemoryShare({"a b": b"data"}, modified=1_700_000_000_123)))
        file = leaves.of(b"data")[0]
        row = ("a b", 4, 1_700_000_000_123, "application/octet-stream", file, Standing.WHOLE, "", 0)
        assert answer == FileList(files=(row,))
        assert await page(service(MemoryShare())) == FileList(files=())

    run(scenario())


def test_after_what_was_never_a_page() -> None:
    """[14.2-8]: bytes that no list ended with are refused, whatever is listed."""

    async def scenario() -> None:
        files = service(MemoryShare({"a": b""}))
        assert await refusal(page(files, after=b"\xff")) is Code.SCHEMA
        assert await refusal(page(files, room=GENERAL, after=b"x")) is Code.SCHEMA

    run(scenario())
