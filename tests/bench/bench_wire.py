"""Measures the codec and the automaton: microseconds to encode and decode each PDU, and for a step of the machine.

    python -m tests.bench.bench_wire [--only MSG]

Targets: 4 us to check and encode a MSG with a text of 100 bytes, 0.3 us a step. cbor2's plain `loads` and `dumps`
of the same bytes stand beside ours: that is what strictness and the schema cost, and what a typed encoder saves.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable, Iterator
from functools import partial

import cbor2

from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.chapters.session import Error, Ping
from quicchat.wire.codec import decode, encode
from quicchat.wire.frame import FrameReader, wrap
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State
from tests.bench.table import Row
from tests.strategies import ALL, most

TS = 1_763_711_111_111
TEXT = "a" * 100
MSG = Message(room="general", epoch=1, seq=1234, cid=b"x" * 16, sender="alice", kind=Kind.TEXT, ts=TS, text=TEXT)
SEND = Post(room="general", cid=b"x" * 16, text=TEXT, sent=TS)


def microseconds(work: Callable[[], object], number: int = 5_000) -> float:
    """The fastest of five rounds, per call: what the work costs when nothing disturbs it."""
    return min(timeit.repeat(work, number=number, repeat=5)) / number * 1e6


def rows() -> Iterator[Row]:
    """The figures that have a target, and what they stand on."""
    for name, pdu in (("MSG", MSG), ("MSG_SEND", SEND), ("PING", Ping(nonce=1))):
        data = encode(pdu, version=2)
        item = cbor2.loads(data)
        yield Row(f"encode {name}", microseconds(partial(encode, pdu, version=2)), "us", f"{len(data)} bytes")
        yield Row(f"cbor2.dumps of {name}", microseconds(partial(cbor2.dumps, item)), "us")
        yield Row(f"decode {name}", microseconds(partial(decode, data, version=2)), "us")
        yield Row(f"cbor2.loads of {name}", microseconds(partial(cbor2.loads, data)), "us")
    letter, error = Letter.of(MSG), Error(code=1, fatal=True)
    ready, server = State.READY, Role.SERVER
    yield Row("machine.step", microseconds(partial(CONNECTION.step, ready, server, letter)), "us")
    yield Row("machine.after", microseconds(partial(CONNECTION.after, ready, server, MSG)), "us")
    yield Row("machine.after, with outcome", microseconds(partial(CONNECTION.after, ready, server, error)), "us")
    reader, framed = FrameReader(), wrap(encode(MSG, version=2))
    yield Row("frame of a MSG", microseconds(partial(_cut, reader, framed)), "us")
    yield Row("8 frames at once", microseconds(partial(_cut, reader, framed * 8)), "us")


def _cut(reader: FrameReader, data: bytes) -> None:
    for _ in reader.feed(data):
        pass


def of_each(only: str | None) -> Iterator[tuple[str, int, float, float]]:
    """Name, bytes, encode and decode of every PDU with all its fields."""
    for cls in ALL:
        if only in (None, cls.SPEC.name):
            pdu: Pdu = most(cls, 2)
            data = encode(pdu, version=2)
            yield (
                cls.SPEC.name,
                len(data),
                microseconds(partial(encode, pdu, version=2), 1_000),
                microseconds(partial(decode, data, version=2), 1_000),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one PDU, by its name")
    only = parser.parse_args().only
    if only is None:
        for row in rows():
            print(f"{row.name:28}{row.value:8.2f} {row.unit}  {row.note}")
        print()
    print(f"{'all fields':28}{'bytes':>8}{'encode':>9}{'decode':>9}")
    for name, size, encoding, decoding in of_each(only):
        print(f"{name:28}{size:8}{encoding:9.2f}{decoding:9.2f}", flush=True)


if __name__ == "__main__":
    main()
