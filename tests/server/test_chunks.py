"""Chunks: which are here, told briefly however many pieces they lie in."""

from __future__ import annotations

import time

import pytest

from quicchat.server.chunks import PATIENCE, Chunks
from quicchat.wire.chapters.files import RANGES, Range
from tests.server.stores import run

CHUNK = 4_096
MANY = 262_144


def ranges(here: str, *, tail: int = CHUNK, missing: bool = False) -> tuple[Range, ...]:
    """What is told of a file whose last chunk has `tail` bytes."""

    async def scenario() -> tuple[Range, ...]:
        chunks = Chunks((len(here) - 1) * CHUNK + tail, CHUNK, PATIENCE)
        chunks.add(*(index for index, each in enumerate(here) if each == "#"))
        return tuple((start // CHUNK, size) for start, size in chunks.ranges(missing=missing))

    return run(scenario())


@pytest.mark.parametrize(
    ("here", "there", "missing"),
    [
        ("####", ((0, 4 * CHUNK),), ()),
        ("....", (), ((0, 4 * CHUNK),)),
        ("#..#", ((0, CHUNK), (3, CHUNK)), ((1, 2 * CHUNK),)),
        (".##.", ((1, 2 * CHUNK),), ((0, CHUNK), (3, CHUNK))),
    ],
)
def test_ranges_are_as_few_as_may_be(here: str, there: tuple[Range, ...], missing: tuple[Range, ...]) -> None:
    """[14.4-8]: what lies side by side is one, and the last chunk is as long as what is left."""
    assert ranges(here) == there
    assert ranges(here, missing=True) == missing
    assert ranges("#.#", tail=7) == ((0, CHUNK), (2, 7))
    assert ranges("#..", tail=7, missing=True) == ((1, CHUNK + 7),)


def test_a_file_in_many_pieces_holds_up_nobody() -> None:
    """P7: every other of 262,144 chunks is here: what is told of it are the first pieces, in less than 20 ms."""

    async def scenario() -> None:
        chunks = Chunks(MANY * CHUNK, CHUNK, PATIENCE)
        took = []
        here: tuple[Range, ...] = ()
        missing: tuple[Range, ...] = ()
        for _ in range(3):
            began = time.perf_counter()
            chunks.found(bytes((1, 0)) * (MANY // 2))
            here, missing = chunks.ranges(), chunks.ranges(missing=True)
            took.append(time.perf_counter() - began)
        assert here == tuple((2 * index * CHUNK, CHUNK) for index in range(RANGES))
        assert missing == tuple((2 * index * CHUNK + CHUNK, CHUNK) for index in range(RANGES))
        assert min(took) < 0.02

    run(scenario())
