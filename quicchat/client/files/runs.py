"""Runs: what of a file is still to be fetched, and how streams share it; pure. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from quicchat.wire.chapters.files import RANGES, Range

#: First and end, the end not included.
Run = tuple[int, int]
#: Bytes asked for at once, at most, and where that is all that is left for a stream.
_LARGE: Final = 67_108_864
_SMALL: Final = 4_194_304


def unmarked(marks: bytes | bytearray, first: int = 0, end: int | None = None) -> Iterator[Run]:
    """The stretches of zeros."""
    end = len(marks) if end is None else end
    at = marks.find(0, first, end)
    while at >= 0:
        stop = marks.find(1, at, end)
        stop = end if stop < 0 else stop
        yield at, stop
        at = marks.find(0, stop, end)


def ranges(runs: Iterable[Run], unit: int, size: int) -> tuple[Range, ...]:
    """Runs of units (chunks, pieces) as [first byte, bytes] of a file."""
    return tuple((first * unit, min(end * unit, size) - first * unit) for first, end in runs)


class Work:
    """What several streams fetch together; what one gives back comes first again.

    `unit` is bytes to each of what the runs count.
    """

    def __init__(self, runs: Iterable[Run], unit: int, streams: int) -> None:
        self._runs = sorted(runs)
        self._unit = unit
        self._streams = streams
        self._share = -(-self.left // streams)

    @property
    def left(self) -> int:
        """Units that nobody has taken."""
        return sum(end - first for first, end in self._runs)

    def take(self) -> list[Run]:
        """Some for one stream: in order, and less towards the end, so that all end together."""
        most = self._most()
        taken: list[Run] = []
        while self._runs and most and len(taken) < RANGES:
            first, end = self._runs[0]
            stop = min(end, first + most)
            taken.append((first, stop))
            most -= stop - first
            self._runs[:1] = [(stop, end)] if stop < end else []
        return taken

    def _most(self) -> int:
        """Half of an equal share, so that all end together; but of little all of it: each time costs a round trip."""
        half = -(-self.left // (2 * self._streams))
        return max(1, min(max(half, min(self._share, _SMALL // self._unit)), _LARGE // self._unit))

    def back(self, runs: Sequence[Run]) -> None:
        """These were not fetched."""
        self._runs = sorted((*runs, *self._runs))
