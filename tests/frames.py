"""The frames of a stream that carries nothing else. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Iterator

from quicchat.wire.frame import HARD_LIMIT, FrameReader


def frames(data: bytes, reader: FrameReader | None = None) -> Iterator[bytes]:
    """The payloads of the frames in `data`, after whatever the reader has taken before."""
    for item in (reader or FrameReader(HARD_LIMIT)).feed(data):
        assert isinstance(item, bytes), "raw bytes"
        yield item
