"""Frames: a QUIC varint length and that many bytes, cut from a stream however its bytes arrive. (spec 02-framing)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from quicchat.errors import Code, RemoteProtocolError
from quicchat.values import dataclass

#: What every end accepts (protocol limit) and what none may go beyond, whatever is negotiated.
DEFAULT_LIMIT: Final = 65_536
HARD_LIMIT: Final = 1_048_576


def varint(value: int) -> bytes:
    """The shortest QUIC variable-length integer (RFC 9000 section 16); `value` is below 2**62."""
    if value < 0x40:
        return bytes((value,))
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2, "big")
    if value < 0x4000_0000:
        return (value | 0x8000_0000).to_bytes(4, "big")
    return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def wrap(payload: bytes) -> bytes:
    """One frame: length and payload."""
    return varint(len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of a stream that are in no frame."""

    data: bytes


class FrameReader:
    """Cuts the bytes of one stream into frames; any split of the same bytes gives the same frames.

    Whoever takes a frame that announces raw bytes sets `raw` to their number before he takes the next item.
    """

    __slots__ = ("_buffer", "limit", "raw")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        #: Raw bytes that are still to come, before the next frame.
        self.raw = 0
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not yet whole."""
        return len(self._buffer)

    def discard(self) -> None:
        """Forget what is held, and the rest of what is being fed: nothing of it can be wrong any more."""
        self._buffer.clear()

    def feed(self, data: bytes) -> Iterator[bytes | Raw]:
        """The payloads of the frames completed by `data`, and raw bytes as they are, in order.

        Raises RemoteProtocolError(FRAME_TOO_LARGE) as soon as a length beyond the limit is read, before any of
        its body is awaited, and (DECODE) for a frame of length 0; both end the stream.
        """
        buffer = self._buffer
        if self.raw >= len(data) and not buffer:
            self.raw -= len(data)
            if data:
                yield Raw(data)
            return
        buffer += data
        at = 0
        try:
            while at < len(buffer):
                start, end = self._raw(at) if self.raw else self._frame(at)
                if not end:
                    break
                is_raw, at = bool(self.raw), end
                piece = bytes(buffer[start:end])
                if is_raw:
                    self.raw -= len(piece)
                yield Raw(piece) if is_raw else piece
        finally:
            del buffer[:at]

    def _raw(self, at: int) -> tuple[int, int]:
        """Where the raw bytes at a place begin and end."""
        return at, min(at + self.raw, len(self._buffer))

    def _frame(self, at: int) -> tuple[int, int]:
        """Where the payload of the frame at a place begins and ends; 0 for the end while it is not whole."""
        buffer = self._buffer
        prefix = 1 << (buffer[at] >> 6)
        if len(buffer) - at < prefix:
            return at, 0
        length = int.from_bytes(buffer[at : at + prefix], "big") & ((1 << (8 * prefix - 2)) - 1)
        if length > self.limit:
            raise RemoteProtocolError(Code.FRAME_TOO_LARGE, f"a frame of {length} bytes; the limit is {self.limit}")
        if length == 0:
            raise RemoteProtocolError(Code.DECODE, "a frame of length 0")
        end = at + prefix + length
        return at + prefix, end if end <= len(buffer) else 0
