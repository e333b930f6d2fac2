"""Cases of chapter 2 for clients: frames, CBOR, fields and extensions. (spec 02-framing)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform import cbor, honest
from quicchat.tools.conform.book import BODY, TYPE, VERSION, body, book, frame, varint, write
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.host import OTHER, ROOM, embedded
from quicchat.tools.conform.stage import Stage

_PING: Final = book().kinds["PING"].number
_FRAME: Final = book().limits["frame"]


def _envelope(*, type: object = _PING, body: object = cbor.Raw(b"\xa1\x01\x07"), **more: object) -> bytes:
    """A PING of version 2, but for what is given."""
    return cbor.dump({VERSION: 2, TYPE: type, BODY: body} | {int(key[1:]): each for key, each in more.items()})


def _deep(levels: int) -> cbor.Raw:
    return cbor.Raw(b"\x81" * levels + b"\x00")


def _wide(pairs: int) -> dict[int, int]:
    return {1: 7} | {2 * key + 33: 0 for key in range(pairs - 1)}


_BROKEN: Final[dict[str, bytes]] = {
    "no-cbor": b"\xff\xff",
    "cut-short": _envelope()[:-1],
    "reserved-information": b"\x1c",
    "a-number": b"\x07",
    "an-array": b"\x80",
    "null": b"\xf6",
    "bytes-behind-it": _envelope() + b"\x00",
    "a-key-twice": b"\xa4\x00\x02\x01\x03\x05\xa1\x01\x07\x05\xa1\x01\x08",
    "a-text-for-a-key": b"\xa4\x00\x02\x01\x03\x05\xa1\x01\x07\x61a\x00",
    "a-negative-key": b"\xa4\x00\x02\x01\x03\x05\xa1\x01\x07\x20\x00",
    "indefinite-map": b"\xbf\x00\x02\x01\x03\x05\xa1\x01\x07\xff",
    "indefinite-text": _envelope(body={1: 7, 33: cbor.Raw(b"\x7f\x61a\xff")}),
    "a-tag": _envelope(body={1: 7, 33: cbor.Raw(b"\xc1\x00")}),
    "a-float": _envelope(body={1: 7, 33: 1.5}),
    "undefined": _envelope(body={1: 7, 33: cbor.Raw(b"\xf7")}),
    "too-deep": _envelope(body={1: 7, 33: _deep(16)}),
    "much-too-deep": _envelope(body={1: 7, 33: _deep(5000)}),
    "too-many-pairs": _envelope(body=_wide(65)),
    "no-utf-8": _envelope(body={1: 7, 33: cbor.Raw(b"\x62\xc3\x28")}),
    "a-lone-surrogate": _envelope(body={1: 7, 33: cbor.Raw(b"\x63\xed\xa0\x80")}),
    "an-array-that-is-only-announced": _envelope(body={1: 7, 33: cbor.Raw(b"\x9b" + b"\x7f" * 8)}),
    "a-text-that-is-only-announced": _envelope(body={1: 7, 33: cbor.Raw(b"\x7b" + b"\x7f" * 8)}),
}


def _fatal(sentence: str, name: str, data: bytes, *codes: str, fin: bool = False) -> None:
    @client(sentence, name)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        host.say_bytes(data, fin=fin)
        await host.fatal(*codes)


for _name, _data in _BROKEN.items():
    _fatal("2.2-1", _name, frame(_data), "DECODE")
_fatal("2.1-3", "a-frame-beyond-the-limit", varint(_FRAME + 1), "FRAME_TOO_LARGE")
_fatal("2.1-3", "a-frame-of-many-gigabytes", varint((1 << 62) - 1), "FRAME_TOO_LARGE")
_fatal("2.1-4", "a-length-of-0", b"\x00", "DECODE")
_fatal("2.1-6", "an-end-within-a-frame", frame(_envelope())[:-2], "DECODE", fin=True)
_fatal("2.3-1", "another-version", frame(cbor.dump({VERSION: 1, TYPE: _PING, BODY: {1: 7}})), "VERSION")
_fatal("2.3-2", "no-version", frame(cbor.dump({TYPE: _PING, BODY: {1: 7}})), "SCHEMA")
_fatal("2.3-2", "version-0", frame(cbor.dump({VERSION: 0, TYPE: _PING, BODY: {1: 7}})), "SCHEMA")
_fatal("2.3-2", "no-type", frame(cbor.dump({VERSION: 2, BODY: {1: 7}})), "SCHEMA")
_fatal("2.3-2", "no-body", frame(cbor.dump({VERSION: 2, TYPE: _PING})), "SCHEMA")
_fatal("2.3-2", "a-text-for-a-type", frame(_envelope(type="PING")), "SCHEMA")
_fatal("2.3-2", "an-array-for-a-body", frame(_envelope(body=[7])), "SCHEMA")
_fatal("2.3-2", "an-unknown-key", frame(_envelope(_9=1)), "SCHEMA")
_fatal("2.3-2", "a-text-for-an-id", frame(_envelope(_2="7")), "SCHEMA")
_fatal("2.4-3", "null-for-a-value", frame(_envelope(type=4, body={1: 7, 2: None})), "SCHEMA")
_fatal("2.5-5", "a-key-that-is-not-defined", frame(_envelope(body={1: 7, 31: 0})), "SCHEMA")
_fatal("2.5-6", "a-float-under-an-extension-key", frame(_envelope(body={1: 7, 35: [[1.5]]})), "DECODE")

#: One of everything that a server says by itself, right.
_RIGHT: Final[dict[str, dict[str, Any]]] = {
    "PING": {"nonce": 7},
    "ERROR": {"code": 0x501, "text": "As the case wants it."},
    "ROOM_STATE": {"room": ROOM, "epoch": 1, "first": 1, "head": 0},
    "ROOM_HEAD": {"room": ROOM, "epoch": 1, "head": 0},
    "INVITE": {"room": "garden", "user": OTHER},
    "MSG": {"room": ROOM, "epoch": 1, "seq": 1, "cid": bytes(16), "sender": OTHER, "kind": 1, "ts": 0},
    "RECEIPT_EVENT": {"room": ROOM},
    "PRESENCE": {"user": OTHER, "show": 1},
    "PRESENCE_SNAPSHOT": {"users": []},
    "KEY_CHANGED": {"user": OTHER, "serial": 1},
}
#: A value of another kind, by the kind of a field.
_OTHER: Final[dict[str, object]] = {"uint": "7", "text": 7, "bytes": "seven", "choice": 200, "array": 7, "bool": 1}


def _field(name: str, key: str, wrong: str, value: object) -> None:
    @client("2.4-1", f"{name}.{key}-{wrong}", since=2)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        fields = {**_RIGHT[name], key: value}
        host.say_bytes(frame(write(name, fields, version=2)))
        await host.fatal("SCHEMA")


for _name, _fields in _RIGHT.items():
    _first = next(iter(_fields))
    _is = book().kinds[_name].field(_first).type["kind"]
    _field(_name, _first, "missing", None)
    _field(_name, _first, "of-another-kind", _OTHER[_is])
_field("MSG", "cid", "too-short", bytes(15))
_field("MSG", "sender", "against-the-pattern", "Mallory!")
_field("MSG", "text", "too-long", "x" * 32_769)
_field("MSG", "mentions", "too-many", ["a"] * 65)
_field("ROOM_HEAD", "head", "too-large", (1 << 53) + 1)
_field("PRESENCE", "show", "no-choice", 99)
_field("PRESENCE_SNAPSHOT", "users", "rows-too-short", [["a", True]])


@client("2.4-1", "page-with-a-broken-event", since=2)
async def broken_page(stage: Stage) -> None:
    """An event in a page is one, wherever it stands."""
    for number in range(3):
        stage.house.event(f"broken {number}")
    bodies = [embedded(each) for each in stage.house.logs[ROOM]]
    bodies[1] = cbor.dump(body("MSG", {**stage.house.logs[ROOM][1], "sender": 7}))
    stage.house.welcome = {"heads": [[ROOM, 1, 3, 0]]}
    host = await stage.guest(HISTORY=lambda host, heard: honest.page(host, heard, [], events=bodies))
    await host.fatal("SCHEMA")


# What is legal, if unusual


@client("2.1-2", "byte-by-byte")
async def byte_by_byte(stage: Stage) -> None:
    host = await stage.ready()
    event = stage.house.event("one-byte-after-the-other")
    for each in frame(write("MSG", event, version=host.version)):
        host.line.say(host.control, bytes([each]))
        host.line.flush()
    await host.barrier()
    await stage.shows("one-byte-after-the-other")


@client("2.1-2", "long-forms-of-a-length")
async def long_lengths(stage: Stage) -> None:
    host = await stage.ready()
    for width in (2, 4, 8):
        host.say_bytes(frame(write("PING", {"nonce": width}, version=host.version), width=width))
        await host.hear("PONG", lambda each, width=width: bool(each["nonce"] == width))  # type: ignore[misc]  # the default binds it now


@client("2.1-3", "a-frame-of-exactly-the-limit", since=2)
async def largest(stage: Stage) -> None:
    host = await stage.ready()
    event = body("MSG", stage.house.event("largest"))
    data = b""
    for size in range(_FRAME, _FRAME - 100, -1):
        outer = {VERSION: 2, TYPE: book().kinds["MSG"].number, BODY: {**event, 33: bytes(size)}}
        data = cbor.dump(outer)
        if len(data) == _FRAME:
            break
    assert len(data) == _FRAME
    host.say_bytes(frame(data))
    await host.barrier()
    await stage.shows("largest")


@client("2.2-3", "other-orders-and-forms")
async def long_forms(stage: Stage) -> None:
    host = await stage.ready()
    version = cbor.head(cbor.UINT, host.version, width=8)
    data = b"\xa3\x05\xa1\x18\x01\x1b" + bytes(7) + b"\x09\x01\x03\x18\x00" + version
    host.say_bytes(frame(data))
    await host.hear("PONG", lambda each: bool(each["nonce"] == 9))


@client("2.2-3", "an-ext-that-nobody-knows")
async def ext(stage: Stage) -> None:
    host = await stage.ready()
    data = {VERSION: host.version, TYPE: _PING, BODY: {1: 5}, 4: 12, 6: {1: b"a", 2: b"b"}}
    host.say_bytes(frame(cbor.dump(data)))
    await host.hear("PONG", lambda each: bool(each["nonce"] == 5))


@client("2.5-1", "odd-types-that-nobody-knows")
async def odd(stage: Stage) -> None:
    host = await stage.ready()
    for number in (129, 201, 65_535):
        host.say_bytes(frame(cbor.dump({VERSION: host.version, TYPE: number, BODY: {1: "x", 2: [b"y"]}})))
    await host.barrier()
    if host.said("ERROR"):
        await host.refused()


@client("2.5-2", "even-types-that-nobody-knows")
async def even(stage: Stage) -> None:
    host = await stage.ready()
    host.say_bytes(frame(cbor.dump({VERSION: host.version, TYPE: 200, BODY: {}})))
    await host.refused("UNSUPPORTED")


@client("2.5-2", "core-types-that-nobody-knows")
async def core(stage: Stage) -> None:
    host = await stage.ready()
    host.say_bytes(frame(cbor.dump({VERSION: host.version, TYPE: 127, BODY: {}})))
    await host.refused("UNSUPPORTED")


@client("2.5-2", "even-types-before-the-login")
async def even_early(stage: Stage) -> None:
    data = frame(cbor.dump({VERSION: max(book().versions), TYPE: 200, BODY: {}}))
    host = await stage.guest(AUTH_START=lambda host, heard: host.say_bytes(data))
    await host.fatal("STATE")


@client("2.5-3", "odd-keys-that-nobody-knows")
async def odd_keys(stage: Stage) -> None:
    host = await stage.ready()
    event = {**body("MSG", stage.house.event("with-something-more")), 33: [1, {2: b"x"}], 65_535: "y"}
    outer = {VERSION: host.version, TYPE: book().kinds["MSG"].number, BODY: event}
    host.say_bytes(frame(cbor.dump(outer)))
    await host.barrier()
    await stage.shows("with-something-more")


@client("2.5-4", "even-keys-that-nobody-knows")
async def even_keys(stage: Stage) -> None:
    host = await stage.ready()
    event = {**body("MSG", stage.house.event("not-to-be-understood")), 34: 1}
    host.say_bytes(frame(cbor.dump({VERSION: host.version, TYPE: book().kinds["MSG"].number, BODY: event})))
    await host.refused("UNSUPPORTED")
    stage.hides("not-to-be-understood")
