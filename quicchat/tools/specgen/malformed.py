"""Bytes that no peer may send, with the code each must be answered with; no registry knows them. (spec 02-framing)

The ids are those of the rows from which the cases came.
"""

from __future__ import annotations

from collections.abc import Iterator

import cbor2

from quicchat.errors import Code
from quicchat.values import dataclass
from quicchat.wire import codec, frame
from quicchat.wire.chapters.session import Ping
from quicchat.wire.types import MAX_PAIRS


@dataclass(frozen=True, slots=True)
class Bad:
    """A payload, or with `is_stream` the bytes of a stream, and what a receiver makes of it."""

    name: str
    data: bytes
    code: Code
    is_stream: bool = False

    @property
    def stream(self) -> bytes:
        """The bytes as a stream carries them."""
        return self.data if self.is_stream else frame.wrap(self.data)


def malformed(version: int = 2) -> list[Bad]:
    """All of them, for a connection that speaks `version`; each is broken whatever the state is."""
    return [*_frames(), *_items(), *_containers(version), *_texts(version), *_values(version), *_envelopes(version)]


def lenient(version: int = 2) -> list[tuple[str, bytes]]:
    """Payloads that are not as our encoder writes them, and yet are accepted (W11)."""
    head = bytes((0, version, 1, 3))
    return [
        ("W11 non-shortest integer", b"\xa3\x00\x19\x00" + bytes((version,)) + b"\x01\x03\x05\xa1\x01\x07"),
        ("W11 keys out of order", b"\xa3\x05\xa1\x01\x07" + head),
    ]


def _frames() -> Iterator[Bad]:
    yield Bad("W1 length beyond the limit", frame.varint(frame.DEFAULT_LIMIT + 1), Code.FRAME_TOO_LARGE, True)
    yield Bad("W2 length 2^32-1", frame.varint(2**32 - 1), Code.FRAME_TOO_LARGE, True)
    yield Bad("W2 length 2^62-1", frame.varint(2**62 - 1), Code.FRAME_TOO_LARGE, True)
    yield Bad("W3 length 0", b"\x00", Code.DECODE, True)
    yield Bad("W3 length 0 in two bytes", b"\x40\x00", Code.DECODE, True)


def _items() -> Iterator[Bad]:
    good = codec.encode(Ping(nonce=7), version=2)
    for name, data in (
        ("W6 break without a beginning", b"\xff\xff"),
        ("W6 truncated item", good[:-1]),
        ("W6 reserved additional information 28", b"\x1c"),
        ("W6 reserved within a map", b"\xa1\x00\x1c"),
        ("W6 simple value 24 in two bytes", b"\xa1\x00\xf8\x18"),
        ("W7 integer", b"\x01"),
        ("W7 text", b"\x61x"),
        ("W7 array", b"\x80"),
        ("W7 null", b"\xf6"),
        ("W7 bytes", b"\x41x"),
        ("W8 trailing byte", good + b"\x00"),
        ("W8 two items", good + good),
        ("W13 array of 2^63-1", b"\x9b\x7f" + b"\xff" * 7),
        ("W13 bytes of 2^64-1", b"\x5b" + b"\xff" * 8),
        ("W13 map of 2^64-1", b"\xbb" + b"\xff" * 8),
        ("W12 17 arrays", b"\x81" * 17 + b"\x00"),
        ("W12 400 arrays", b"\x81" * 400 + b"\x00"),
        ("W12 400 maps", b"\xa1\x00" * 400 + b"\x00"),
        ("W12 17 tags", b"\xc1" * 17 + b"\x00"),
        ("W12 60,000 arrays", b"\x81" * 60_000 + b"\x00"),
        ("W12 30,000 maps", b"\xa1\x00" * 30_000 + b"\x00"),
    ):
        yield Bad(name, data, Code.DECODE)


def _containers(version: int) -> Iterator[Bad]:
    """What the CBOR profile excludes, where an extension could otherwise hold it: body key 33."""
    for name, data in (
        ("W9 key twice", b"\x01\xa2\x01\x07\x01\x08"),
        ("W9 key 1 and 1.0", b"\x01\xa2\x01\x07\xf9\x3c\x00\x08"),
        ("W9 key 1 and true", b"\x01\xa2\x01\x07\xf5\x08"),
        ("W10 indefinite map", b"\x01\xbf\x01\x07\xff"),
        ("W17 array as key", b"\x01\xa2\x01\x07\x81\x01\x02"),
        ("W17 map as key", b"\x01\xa2\x01\x07\xa0\x02"),
        ("W17 negative key", b"\x01\xa2\x01\x07\x20\x02"),
        ("W17 text key", b"\x01\xa2\x01\x07\x61x\x02"),
    ):
        yield Bad(name, b"\xa3\x00" + bytes((version,)) + b"\x01\x03\x05" + data[1:], Code.DECODE)
    for name, value in (
        ("W10 indefinite text", b"\x7f\x61x\xff"),
        ("W10 indefinite bytes", b"\x5f\x41x\xff"),
        ("W10 indefinite array", b"\x9f\x01\xff"),
        ("W15 cycle of shared references", b"\xd8\x1c\x81\xd8\x1d\x00"),
        ("W15 string references", b"\xd9\x01\x00\x82\x43abc\xd8\x19\x00"),
        ("W17 65 pairs", cbor2.dumps(dict.fromkeys(range(MAX_PAIRS + 1), 0))),
        ("W19 float in an extension", b"\xf9\x3c\x00"),
        ("W19 undefined in an extension", b"\xf7"),
        *((f"W14 tag {tag}", cbor2.dumps(cbor2.CBORTag(tag, b"x"))) for tag in (1, 2, 3, 24, 30, 37, 258)),
        *((f"W14 tag {tag}", cbor2.dumps(cbor2.CBORTag(tag, 1))) for tag in (55799, 12345)),
        ("W14 tag 0", b"\xc0\x74" + b"2013-03-21T20:04:00Z"),
        ("W14 tag 25", b"\xd8\x19\x00"),
        ("W14 tag 28", b"\xd8\x1c\x01"),
        ("W14 tag 29", b"\xd8\x1d\x00"),
        ("W14 tag 35", b"\xd8\x23\x64(a+)"),
        ("W14 tag 256", b"\xd9\x01\x00\x80"),
    ):
        yield Bad(name, _ping(version, b"\x18\x21" + value, pairs=2), Code.DECODE)


def _texts(version: int) -> Iterator[Bad]:
    for name, text in (
        ("W18 byte ff", b"a\xff"),
        ("W18 lone surrogate", b"\xed\xa0\x80"),
        ("W18 overlong form", b"\xc0\x80"),
        ("W18 cut character", b"\xe2\x82"),
    ):
        value = bytes((0x60 + len(text),)) + text
        yield Bad(name, _ping(version, b"\x18\x21" + value, pairs=2), Code.DECODE)


def _values(version: int) -> Iterator[Bad]:
    for name, value in (
        ("W19 NaN for an integer", b"\xf9\x7e\x00"),
        ("W19 float for an integer", b"\xf9\x3c\x00"),
        ("W19 undefined for an integer", b"\xf7"),
        ("W19 simple(255) for an integer", b"\xf8\xff"),
    ):
        yield Bad(name, b"\xa3\x00" + bytes((version,)) + b"\x01\x03\x05\xa1\x01" + value, Code.SCHEMA)
    for name, value in (
        ("W14 tag 2 for an integer", b"\xc2\x41\x07"),
        ("W14 tag 55799 before an integer", b"\xd9\xd9\xf7\x07"),
        ("W10 indefinite bytes for an integer", b"\x5f\x41x\xff"),
        ("W10 indefinite text for an integer", b"\x7f\x61x\xff"),
    ):
        yield Bad(name, b"\xa3\x00" + bytes((version,)) + b"\x01\x03\x05\xa1\x01" + value, Code.DECODE)
    for name, value, code in (
        ("W10 indefinite text for a text", b"\x7f\x61x\xff", Code.DECODE),
        ("W14 tagged text for a text", b"\xd8\x20\x61x", Code.DECODE),
        ("W19 float for a text", b"\xfb" + bytes(8), Code.SCHEMA),
    ):
        yield Bad(name, b"\xa3\x00" + bytes((version,)) + b"\x01\x0b\x05\xa1\x01" + value, code)
    for name, value, code in (
        ("W10 indefinite array for an array", b"\x9f\x01\xff", Code.DECODE),
        ("W14 tag within an array", b"\x81\xc1\x01", Code.DECODE),
        ("W19 float within an array", b"\x81\xf9\x3c\x00", Code.SCHEMA),
        ("W19 undefined within an array", b"\x81\xf7", Code.SCHEMA),
    ):
        yield Bad(name, b"\xa3\x00" + bytes((version,)) + b"\x01\x01\x05\xa1\x01" + value, code)
    for name, value, code in (
        ("W14 tag in the envelope", b"\xc1\x07", Code.DECODE),
        ("W19 float in the envelope", b"\xf9\x3c\x00", Code.SCHEMA),
    ):
        head = b"\xa4\x00" + bytes((version,)) + b"\x01\x03\x02"
        yield Bad(name, head + value + b"\x05\xa1\x01\x07", code)
    yield Bad("W23 key below 32 that is none", _ping(version, b"\x18\x1f\x00", pairs=2), Code.SCHEMA)
    long = {1: "\U0001f642" * 16_000}
    yield Bad("W25 16,000 characters of 4 bytes", cbor2.dumps({0: version, 1: 0x0B, 5: long}), Code.SCHEMA)


def _envelopes(version: int) -> Iterator[Bad]:
    ping = {1: 3, 5: {1: 7}}
    for name, outer in (
        ("W21 version 0", {0: 0, **ping}),
        ("W21 version 256", {0: 256, **ping}),
        ("W21 version -1", {0: -1, **ping}),
        ("W21 version as text", {0: "2", **ping}),
        ("W21 no version", ping),
        ("no type", {0: version, 5: {1: 7}}),
        ("type as text", {0: version, 1: "3", 5: {1: 7}}),
        ("type beyond 32 bits", {0: version, 1: 2**32, 5: {1: 7}}),
        ("no body", {0: version, 1: 3}),
        ("body as array", {0: version, 1: 3, 5: [7]}),
        ("body null", {0: version, 1: 3, 5: None}),
        ("id negative", {0: version, 1: 3, 2: -1, 5: {1: 7}}),
        ("re as text", {0: version, 1: 3, 3: "1", 5: {1: 7}}),
        ("ts as bool", {0: version, 1: 3, 4: True, 5: {1: 7}}),
        ("ext with a number", {0: version, 1: 3, 5: {1: 7}, 6: {1: 1}}),
        ("unknown envelope key", {0: version, 1: 3, 5: {1: 7}, 7: 0}),
        ("empty map", {}),
    ):
        yield Bad(name, cbor2.dumps(outer), Code.SCHEMA)


def _ping(version: int, pair: bytes, *, pairs: int) -> bytes:
    """A PING whose body holds one more pair."""
    return b"\xa3\x00" + bytes((version,)) + b"\x01\x03\x05" + bytes((0xA0 + pairs,)) + b"\x01\x07" + pair
