"""Cases of chapter 2: bytes that no peer may send; W names a row among the hostile inputs. (spec 02-framing)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, EXT, ID, RE, TS, TYPE, VERSION, book, frame, varint
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import ARRAY, BYTES, MAP, TEXT, Raw, dump, head
from quicchat.tools.conform.ways import LONGEST, agreed
from quicchat.values import dataclass

PING: Final = book().kinds["PING"].number
ECHO: Final = book().kinds["ECHO"].number
#: What fits before the login, beside the negotiation and what the judgement needs (4.2-7).
SMALL: Final = book().limits["before_login"] - 1_000
DEPTH: Final = book().limits["depth"]
PAIRS: Final = book().limits["pairs"]


@dataclass(frozen=True, slots=True)
class Bad:
    """What a version makes of it is a PDU without its length, or with `is_stream` the bytes of a stream."""

    sentence: str
    name: str
    code: str
    make: Callable[[int], bytes]
    is_stream: bool = False

    @property
    def is_small(self) -> bool:
        return len(self.make(1)) < SMALL

    def bytes(self, version: int) -> bytes:
        data = self.make(version)
        return data if self.is_stream else frame(data)


def ping(version: int, *pairs: bytes, nonce: bytes = b"\x07") -> bytes:
    """A PING whose body holds these pairs beside its nonce."""
    inside = head(MAP, 1 + len(pairs)) + b"\x01" + nonce + b"".join(pairs)
    return dump({VERSION: version, TYPE: PING, BODY: Raw(inside)})


def extended(version: int, value: bytes, key: int = 33) -> bytes:
    """A PING with an extension."""
    return ping(version, dump(key) + value)


def nested(levels: int) -> bytes:
    """So many arrays, one in the other."""
    return b"\x81" * (levels - 1) + b"\x80"


def _always(data: bytes) -> Callable[[int], bytes]:
    return lambda version: data


def _frames() -> Iterator[Bad]:
    for name, length in (("W1-limit-and-1", LONGEST + 1), ("W2-2-to-32", 2**32 - 1), ("W2-2-to-62", 2**62 - 1)):
        yield Bad("2.1-3", name, "FRAME_TOO_LARGE", _always(varint(length)), is_stream=True)
    yield Bad("2.1-3", "in-eight-bytes", "FRAME_TOO_LARGE", _always(varint(LONGEST + 1, width=8)), is_stream=True)
    for width in (1, 2, 4, 8):
        yield Bad("2.1-4", f"W3-length-0-in-{width}", "DECODE", _always(varint(0, width=width)), is_stream=True)


def _announced() -> Iterator[Bad]:
    """What is only announced costs nothing."""
    for name, data in (
        ("W13-array-of-2-to-63", head(ARRAY, 2**63 - 1)),
        ("W13-bytes-of-2-to-64", head(BYTES, 2**64 - 1)),
        ("W13-text-of-2-to-64", head(TEXT, 2**64 - 1)),
        ("W13-map-of-2-to-64", head(MAP, 2**64 - 1)),
        ("W13-map-of-2-to-32", head(MAP, 2**32 - 1)),
        ("W12-arrays-one-too-deep", nested(DEPTH + 1)),
        ("W12-400-arrays", nested(400)),
        ("W12-400-maps", b"\xa1\x00" * 400 + b"\x00"),
        ("W12-tags-17", b"\xc1" * 17 + b"\x00"),
        ("W12-15000-arrays", nested(15_000)),
        ("W12-60000-arrays", nested(60_000)),
        ("W12-30000-maps", b"\xa1\x00" * 30_000 + b"\x00"),
        ("W12-60000-tags", b"\xc1" * 60_000 + b"\x00"),
    ):
        yield Bad("2.2-2", name, "DECODE", _always(data))
    yield Bad("2.2-2", "array-of-2-to-32-inside", "DECODE", lambda version: extended(version, head(ARRAY, 2**32)))
    yield Bad("2.2-2", "bytes-of-2-to-40-inside", "DECODE", lambda version: extended(version, head(BYTES, 2**40)))
    # The outermost map and the body are two levels themselves.
    yield Bad("2.2-1", "one-level-too-deep", "DECODE", lambda version: extended(version, nested(DEPTH - 1)))


def _items() -> Iterator[Bad]:
    for name, data in (
        ("W6-break-alone", b"\xff\xff"),
        ("W6-reserved-28", b"\x1c"),
        ("W6-reserved-in-a-map", b"\xa1\x00\x1c"),
        ("W6-simple-24-in-two-bytes", b"\xa1\x00\xf8\x18"),
        ("W6-no-item", b"\xa1"),
        ("W7-integer", b"\x01"),
        ("W7-negative", b"\x20"),
        ("W7-bytes", b"\x41x"),
        ("W7-text", b"\x61x"),
        ("W7-array", b"\x80"),
        ("W7-null", b"\xf6"),
        ("W7-true", b"\xf5"),
        ("W10-indefinite-envelope", b"\xbf\xff"),
        ("W14-tagged-envelope", b"\xd9\xd9\xf7\xa0"),
    ):
        yield Bad("2.2-1", name, "DECODE", _always(data))
    yield Bad("2.2-1", "W6-cut-by-one", "DECODE", lambda version: ping(version)[:-1])
    yield Bad("2.2-1", "W8-a-byte-behind", "DECODE", lambda version: ping(version) + b"\x00")
    yield Bad("2.2-1", "W8-two-items", "DECODE", lambda version: ping(version) * 2)


#: Bodies of a PING that are no maps of the profile.
_BODIES: Final[Mapping[str, bytes]] = {
    "W9-key-twice": b"\xa2\x01\x07\x01\x08",
    "W9-key-twice-alike": b"\xa2\x01\x07\x01\x07",
    "W9-key-twice-in-two-forms": b"\xa2\x01\x07\x18\x01\x08",
    "W9-key-1-and-1.0": b"\xa2\x01\x07\xf9\x3c\x00\x08",
    "W9-key-1-and-true": b"\xa2\x01\x07\xf5\x08",
    "W10-indefinite-body": b"\xbf\x01\x07\xff",
    "W17-array-as-key": b"\xa2\x01\x07\x81\x01\x02",
    "W17-map-as-key": b"\xa2\x01\x07\xa0\x02",
    "W17-negative-key": b"\xa2\x01\x07\x20\x02",
    "W17-text-key": b"\xa2\x01\x07\x61x\x02",
    "W17-bytes-key": b"\xa2\x01\x07\x41x\x02",
    "W17-null-key": b"\xa2\x01\x07\xf6\x02",
    "W17-bignum-key": b"\xa2\x01\x07\xc2\x49\x01" + bytes(8) + b"\x02",
    "W17-65-pairs-of-a-body": head(MAP, PAIRS + 1)
    + b"\x01\x07"
    + b"".join(dump(33 + 2 * n) + b"\x00" for n in range(PAIRS)),
}
#: Values that the profile excludes, wherever they stand.
_EXCLUDED: Final[Mapping[str, bytes]] = {
    "W10-indefinite-text": b"\x7f\x61x\xff",
    "W10-indefinite-bytes": b"\x5f\x41x\xff",
    "W10-indefinite-array": b"\x9f\x01\xff",
    "W10-indefinite-map": b"\xbf\x01\x07\xff",
    "W6-reserved-28": b"\x1c",
    "W6-reserved-29-text": b"\x7d",
    "W6-reserved-30-array": b"\x9e",
    "W6-integer-cut": b"\x1a\x00\x00",
    "W6-text-cut": b"\x65abc",
    "W15-shared-cycle": b"\xd8\x1c\x81\xd8\x1d\x00",
    "W15-string-references": b"\xd9\x01\x00\x82\x43abc\xd8\x19\x00",
    "W17-65-pairs": dump(dict.fromkeys(range(PAIRS + 1), 0)),
    "W17-text-key": b"\xa1\x61x\x00",
    "W9-key-twice": b"\xa2\x01\x00\x01\x00",
    "W18-byte-ff": b"\x62a\xff",
    "W18-lone-surrogate": b"\x63\xed\xa0\x80",
    "W18-overlong": b"\x62\xc0\x80",
    "W18-cut-character": b"\x62\xe2\x82",
    "W18-beyond-unicode": b"\x64\xf4\x90\x80\x80",
    "W19-float-16": b"\xf9\x3c\x00",
    "W19-float-32": b"\xfa\x3f\x80\x00\x00",
    "W19-float-64": b"\xfb\x3f\xf0" + bytes(6),
    "W19-nan": b"\xf9\x7e\x00",
    "W19-undefined": b"\xf7",
    "W19-simple-0": b"\xe0",
    "W19-simple-19": b"\xf3",
    "W19-simple-32": b"\xf8\x20",
    "W19-simple-255": b"\xf8\xff",
    "W14-tag-0": b"\xc0\x74" + b"2013-03-21T20:04:00Z",
    "W14-tag-35": b"\xd8\x23\x64(a+)",
    "W14-tag-256": b"\xd9\x01\x00\x80",
    **{f"W14-tag-{tag}": head(6, tag) + b"\x41x" for tag in (2, 3, 24)},
    **{f"W14-tag-{tag}": head(6, tag) + b"\x01" for tag in (1, 25, 28, 29, 258, 12345, 55799, 2**64 - 1)},
}


def _containers() -> Iterator[Bad]:
    def within(inside: bytes) -> Callable[[int], bytes]:
        return lambda version: dump({VERSION: version, TYPE: PING, BODY: Raw(inside)})

    def extension(value: bytes) -> Callable[[int], bytes]:
        return lambda version: extended(version, value)

    for name, inside in _BODIES.items():
        yield Bad("2.2-1", name, "DECODE", within(inside))
    for name, value in _EXCLUDED.items():
        yield Bad("2.5-6", name, "DECODE", extension(value))
    for name in ("W9-key-twice", "W10-indefinite-array", "W14-tag-2", "W18-byte-ff"):
        yield Bad("2.5-6", f"{name}-deep-inside", "DECODE", extension(dump([{1: [Raw(_EXCLUDED[name])]}])))
    yield Bad(
        "2.2-1",
        "W9-envelope-key-twice",
        "DECODE",
        lambda version: b"\xa4\x00" + dump(version) + b"\x01\x03\x01\x03\x05\xa1\x01\x07",
    )
    yield Bad(
        "2.2-1",
        "envelope-with-a-text-key",
        "DECODE",
        lambda version: b"\xa4\x00" + dump(version) + b"\x01\x03\x05\xa1\x01\x07\x61x\x00",
    )


def _values() -> Iterator[Bad]:
    def nonce(value: bytes) -> Callable[[int], bytes]:
        return lambda version: ping(version, nonce=value)

    for name in ("W19-float-16", "W19-nan", "W19-undefined", "W19-simple-255", "W19-float-64"):
        yield Bad("2.2-1", f"{name}-where-an-integer-is-due", "SCHEMA", nonce(_EXCLUDED[name]))
    for key in (0, 30, 31):
        yield Bad("2.5-5", f"W23-key-{key}", "SCHEMA", lambda version, key=key: ping(version, dump(key) + b"\x00"))  # type: ignore[misc]  # the default binds it now
    long = "\U0001f642" * (LONGEST // 4 - 400)
    yield Bad("2.4-1", "W25-limits-count-bytes", "SCHEMA", lambda version: dump(echo(version, long)))


def echo(version: int, text: str) -> dict[int, Any]:
    """The envelope of an ECHO."""
    return {VERSION: version, TYPE: ECHO, BODY: {1: text}}


#: Envelopes of a PING: what is added to a good one, None for what is left out.
_ENVELOPES: Final[Mapping[str, Mapping[int, Any]]] = {
    "W21-version-0": {VERSION: 0},
    "W21-version-256": {VERSION: 256},
    "W21-version-negative": {VERSION: -1},
    "W21-version-text": {VERSION: "2"},
    "W21-no-version": {VERSION: None},
    "no-type": {TYPE: None},
    "type-text": {TYPE: "3"},
    "type-negative": {TYPE: -3},
    "type-beyond-32-bits": {TYPE: 2**32},
    "no-body": {BODY: None},
    "body-array": {BODY: [7]},
    "body-null": {BODY: Raw(b"\xf6")},
    "body-bytes": {BODY: b"\xa1\x01\x07"},
    "id-negative": {ID: -1},
    "id-text": {ID: "1"},
    "id-null": {ID: Raw(b"\xf6")},
    "re-text": {RE: "1"},
    "re-negative": {RE: -1},
    "ts-bool": {TS: True},
    "ts-negative": {TS: -1},
    "ext-number-inside": {EXT: {1: 1}},
    "ext-text-inside": {EXT: {1: "x"}},
    "ext-array": {EXT: [b"x"]},
    "unknown-key-7": {7: 0},
    "unknown-key-33": {33: 0},
    "empty": {VERSION: None, TYPE: None, BODY: None},
}


def _envelopes() -> Iterator[Bad]:
    def outer(change: Mapping[int, Any]) -> Callable[[int], bytes]:
        return lambda version: dump(
            {
                key: value
                for key, value in {VERSION: version, TYPE: PING, BODY: {1: 7}, **change}.items()
                if value is not None
            }
        )

    for name, change in _ENVELOPES.items():
        yield Bad("2.3-2", name, "SCHEMA", outer(change))


def malformed() -> list[Bad]:
    """All of them; each is broken in every state."""
    return [*_frames(), *_items(), *_announced(), *_containers(), *_values(), *_envelopes()]


def _enter(bad: Bad) -> None:
    @case(bad.sentence, bad.name, *(() if bad.is_small else ("login",)))
    async def run(bench: Bench) -> None:
        talk = await agreed(bench, who=None if bad.is_small else 0)
        talk.say_bytes(bad.bytes(talk.version))
        await talk.fatal(bad.code)


for each in malformed():
    _enter(each)
