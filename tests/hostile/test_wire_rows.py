"""Rows W: bytes that are no PDUs, or none that may be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, book, frame, varint, write
from quicchat.tools.conform.cbor import ARRAY, BYTES, MAP, TAG, TEXT, Raw, dump, head
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Deviation
from tests.hostile.arena import Arena

#: PING of version 2, but for its body.
PING = {VERSION: 2, TYPE: 3}
NONCE = 7


def ping(nonce: object) -> bytes:
    """A PING whose nonce is whatever is given."""
    return dump({**PING, BODY: {1: nonce}})


def body(*pairs: bytes) -> bytes:
    """A PING with these pairs as its body."""
    return dump({**PING, BODY: Raw(head(MAP, len(pairs)) + b"".join(pairs))})


def nested(major: int, depth: int) -> bytes:
    """An item in so many others."""
    step = {ARRAY: head(ARRAY, 1), MAP: head(MAP, 1) + b"\x01", TAG: head(TAG, 2)}[major]
    return step * depth + b"\x01"


#: Row, what it is, the bytes with their length, the code.
BROKEN: list[tuple[str, str, bytes, str]] = [
    ("W1", "a byte too many is announced", varint(65_537), "FRAME_TOO_LARGE"),
    ("W2", "four gigabytes are announced", varint(2**32 - 1), "FRAME_TOO_LARGE"),
    ("W2", "all that can be announced", varint(2**62 - 1), "FRAME_TOO_LARGE"),
    ("W3", "nothing is announced", varint(0), "DECODE"),
]
ITEMS: list[tuple[str, str, bytes, str]] = [
    ("W6", "two breaks", b"\xff\xff", "DECODE"),
    ("W6", "a truncated item", ping(NONCE)[:-1], "DECODE"),
    ("W6", "reserved additional information", b"\x1c", "DECODE"),
    ("W7", "an integer", dump(7), "DECODE"),
    ("W7", "a text", dump("PING"), "DECODE"),
    ("W7", "an array", dump([2, 3]), "DECODE"),
    ("W7", "null", dump(None), "DECODE"),
    ("W8", "a byte behind the item", ping(NONCE) + b"\x00", "DECODE"),
    ("W9", "a key twice", body(b"\x01\x07", b"\x01\x07"), "DECODE"),
    ("W9", "a key twice, in two widths", body(b"\x01\x07", b"\x18\x01\x07"), "DECODE"),
    ("W9", "the key 1 and the key 1.0", body(b"\x01\x07", dump(1.0) + b"\x07"), "DECODE"),
    ("W9", "the key 1 and the key true", body(b"\x01\x07", b"\xf5\x07"), "DECODE"),
    ("W10", "an indefinite map", b"\xbf\x00\x02\x01\x03\x05\xa1\x01\x07\xff", "DECODE"),
    ("W10", "an indefinite text", ping(Raw(b"\x7f\x61a\xff")), "DECODE"),
    *(
        ("W12", f"{depth} of major type {major} in each other", ping(Raw(nested(major, depth))), "DECODE")
        for major in (ARRAY, MAP, TAG)
        for depth in (17, 400, 30_000)
    ),
    ("W13", "an array of 2^63-1", ping(Raw(head(ARRAY, 2**63 - 1, width=8))), "DECODE"),
    ("W13", "bytes of 2^64-1", ping(Raw(head(BYTES, 2**64 - 1, width=8))), "DECODE"),
    ("W13", "a map of 2^63", ping(Raw(head(MAP, 2**63, width=8))), "DECODE"),
    *(
        ("W14", f"tag {tag}", ping(Raw(head(TAG, tag) + head(BYTES, 1) + b"\x07")), "DECODE")
        for tag in (0, 2, 25, 28, 29, 35, 256, 258, 55_799, 4711)
    ),
    ("W15", "an array in itself", ping(Raw(head(TAG, 28) + head(ARRAY, 1) + head(TAG, 29) + b"\x00")), "DECODE"),
    (
        "W15",
        "a text that is told ten thousand times",
        ping(Raw(head(TAG, 256) + head(ARRAY, 10_000) + b"\x6aabcdefghij" + (head(TAG, 25) + b"\x00") * 9_999)),
        "DECODE",
    ),
    ("W17", "an array as a key", body(head(ARRAY, 1) + b"\x01\x07"), "DECODE"),
    ("W17", "a map as a key", body(head(MAP, 0) + b"\x07"), "DECODE"),
    ("W17", "a text as a key", body(b"\x61a\x07"), "DECODE"),
    ("W17", "65 keys", body(*(dump(33 + 2 * key) + b"\x00" for key in range(65))), "DECODE"),
    *(
        ("W18", f"the text {data.hex()}", ping(Raw(head(TEXT, len(data)) + data)), "DECODE")
        for data in (b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\xcc")
    ),
    ("W19", "NaN", ping(Raw(b"\xf9\x7e\x00")), "SCHEMA"),
    ("W19", "undefined", ping(Raw(b"\xf7")), "SCHEMA"),
    ("W19", "simple(255)", ping(Raw(b"\xf8\xff")), "SCHEMA"),
    ("W19", "a float", ping(7.0), "SCHEMA"),
    ("W21", "version 0", dump({VERSION: 0, TYPE: 3, BODY: {1: 7}}), "SCHEMA"),
    ("W21", "version 256", dump({VERSION: 256, TYPE: 3, BODY: {1: 7}}), "SCHEMA"),
    ("W21", "version -1", dump({VERSION: -1, TYPE: 3, BODY: {1: 7}}), "SCHEMA"),
    ("W21", "a version in words", dump({VERSION: "2", TYPE: 3, BODY: {1: 7}}), "SCHEMA"),
    ("W21", "no version", dump({TYPE: 3, BODY: {1: 7}}), "SCHEMA"),
]  # fmt: skip
LONG = write("ECHO", {"data": "\N{GRINNING FACE}" * 16_000}, version=2)
CASES = [
    *BROKEN,
    *((row, name, frame(data), code) for row, name, data, code in ITEMS),
    ("W25", "16,000 letters of four bytes", frame(LONG), "SCHEMA"),
]
#: One of each row is played by `make test`, the others with `make hostile`.
_FIRST = {row: name for row, name, _, _ in reversed(CASES)}
#: The others go through the same few lines of the receiver as one of these.
_CHOSEN = {"W1", "W6", "W12", "W14", "W19"}


MARKED = [
    pytest.param(
        *(data, code),
        id=f"{row} {name}",
        marks=[pytest.mark.choice] if _FIRST[row] == name and row in _CHOSEN else [],
    )
    for row, name, data, code in CASES
]


@pytest.mark.parametrize(("data", "code"), MARKED)
def test_w_broken_bytes(arena: Arena, data: bytes, code: str) -> None:
    """W1, W2, W3, W6, W7, W8, W9, W10, W12, W13, W14, W15, W17, W18, W19, W21, W25: fatal, with the code of the row.

    Before the login and after it, four at once.
    """

    async def attack(bench: Bench) -> None:
        async def one(talk: Talk) -> None:
            talk.say_bytes(data)
            await talk.fatal(code)

        # What a stranger may send is less than a frame (P7), which is told first.
        most = book().limits["before_login"]
        strangers = [await bench.negotiated() for _ in range(3 if len(data) < most else 0)]
        await asyncio.gather(*map(one, [*strangers, await bench.ready()]))

    arena.play(attack, strangers=3, users=1)


def wrong_values() -> Iterator[tuple[str, bytes]]:
    """Each field of each PDU that a client says on control: an array where it is none, a map where it is one."""
    for kind in book().sent_by("client"):
        if "control" not in kind.on:
            continue
        for field in kind.fields:
            wrong: object = {1: 1} if field.type["kind"] in ("array", "tuple") else [1]
            others = {each.name: None for each in kind.fields}
            yield f"{kind.name} {field.name}", write(kind.name, {**others, field.name: wrong}, version=2)


WRONG = list(wrong_values())


@pytest.mark.parametrize("share", [pytest.param(16, id="every sixteenth", marks=pytest.mark.choice), 1])
def test_w20_wrong_values(arena: Arena, share: int) -> None:
    """W20: a value of a wrong type in any field, before the login, is fatal with SCHEMA."""

    async def attack(bench: Bench) -> None:
        for name, data in WRONG[::share]:
            talk = await bench.negotiated()
            talk.say_bytes(frame(data))
            try:
                await talk.fatal("SCHEMA")
            except Deviation as error:
                error.add_note(name)
                raise

    assert len(WRONG) > 100
    arena.play(attack, strangers=len(WRONG[::share]))


def test_w5_an_end_in_mid_pdu(arena: Arena) -> None:
    """W5: on another stream it is given up with DECODE, on control it is fatal."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        sid = talk.open(2)
        talk.say_bytes(frame(ping(NONCE))[:-2], sid=sid, fin=True)
        assert await talk.until(lambda: talk.given_up.get(sid), "RESET_STREAM") == book().codes["DECODE"]
        await talk.barrier()
        talk.say_bytes(frame(ping(NONCE))[:-2], fin=True)
        await talk.ear.quietly(lambda: talk.line.closed, 5)
        assert talk.line.closed is not None
        assert talk.line.closed.code == book().codes["DECODE"]

    arena.play(attack, users=1)


def test_w11_other_forms(arena: Arena) -> None:
    """W11: longer integers and other orders are served."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        long = Raw(head(MAP, 1) + b"\x18\x01\x1b" + NONCE.to_bytes(8, "big"))
        talk.say_bytes(frame(dump({**PING, BODY: long}), width=4))
        await talk.hear("PONG", lambda pong: bool(pong["nonce"] == NONCE))
        talk.say_bytes(frame(head(MAP, 3) + b"\x05\xa1\x01\x08\x01\x03\x00\x02"))
        await talk.hear("PONG", lambda pong: bool(pong["nonce"] == 8))

    arena.play(attack, users=1)


def test_w22_an_unknown_type(arena: Arena) -> None:
    """W22: the even one is refused with UNSUPPORTED, the odd one ignored."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready()
        for number in range(200, 230):
            talk.say_bytes(frame(dump({VERSION: 2, TYPE: number, 2: number, BODY: {1: 7}})))
        await talk.barrier()
        refused = talk.all("ERROR")
        assert [each.pdu.re for each in refused] == list(range(200, 230, 2))
        assert {book().code(each["code"]) for each in refused} == {"UNSUPPORTED"}

    arena.play(attack, users=1)


@pytest.mark.choice
def test_w23_an_unknown_key(arena: Arena) -> None:
    """W23: the odd one is kept and passed on, the even one refused with UNSUPPORTED."""

    async def attack(bench: Bench) -> None:
        one, other = await bench.ready(0), await bench.ready(1)
        room = await bench.room(one, other)
        fields = {1: room, 3: os.urandom(16), 5: "kept", 33: b"kept"}
        one.say_bytes(frame(dump({VERSION: 2, TYPE: 48, 2: 9001, BODY: fields})))
        found = await other.hear("MSG", lambda each: bool(each["text"] == "kept"))
        assert found.pdu.body[33] == b"kept"
        one.say_bytes(frame(dump({VERSION: 2, TYPE: 48, 2: 9002, BODY: {**fields, 34: 1}})))
        one.check_refusal(await one.answer(9002), "UNSUPPORTED")

    arena.play(attack, users=2)


def test_w4_bytes_that_trickle(arena: Arena) -> None:
    """W4: one byte a second is served where the PDU is whole in ten seconds, and fatal with LIMIT where it is not."""

    async def attack(bench: Bench) -> None:
        async def trickle(talk: Talk, data: bytes) -> None:
            for at in range(len(data)):
                talk.say_bytes(data[at : at + 1])
                await asyncio.sleep(0.95)

        served, late = [await bench.ready(who) for who in range(2)]
        short, long = frame(ping(NONCE)), frame(write("ECHO", {"data": "x" * 30}, version=2))
        assert len(short) <= 10
        await asyncio.gather(trickle(served, short), trickle(late, long[:12]))
        await served.hear("PONG", lambda pong: bool(pong["nonce"] == NONCE))
        await late.fatal("LIMIT")

    arena.play(attack, users=2)
