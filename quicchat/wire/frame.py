"""Frames: a QUIC varint length and that many bytes, cut from a stream however its bytes arrive. (spec 02-framing)"""

from __future__ import annotations

from typing import Final

from quicchat.errors import Code, RemoteProtocolError

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


class FrameReader:
    """Cuts the bytes of one stream into frames; any split of the same bytes gives the same frames."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not yet whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`, in order.

        Raises RemoteProtocolError(FRAME_TOO_LARGE) as soon as a length beyond the limit is read, before any of
        its body is awaited, and (DECODE) for a frame of length 0. Payloads before the bad one are lost with it:
        both errors end the stream.
        """
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        at = 0
        while at < len(buffer):
            prefix = 1 << (buffer[at] >> 6)
            if len(buffer) - at < prefix:
                break
            length = int.from_bytes(buffer[at : at + prefix], "big") & ((1 << (8 * prefix - 2)) - 1)
            if length > self.limit:
                raise RemoteProtocolError(Code.FRAME_TOO_LARGE, f"a frame of {length} bytes; the limit is {self.limit}")
            if length == 0:
                raise RemoteProtocolError(Code.DECODE, "a frame of length 0")
            end = at + prefix + length
            if end > len(buffer):
                break
            frames.append(bytes(buffer[at + prefix : end]))
            at = end
        del buffer[:at]
        return frames
