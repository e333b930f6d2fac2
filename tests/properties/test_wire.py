"""What holds for every PDU, every sequence of bytes and every conversation, not only for those we thought of."""

from __future__ import annotations

from collections import deque
from typing import Any

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, RemoteProtocolError
from quicchat.wire.cbor import UINT64, plain
from quicchat.wire.codec import Envelope, Unknown, decode, decode_body, encode, encode_body, parse
from quicchat.wire.frame import DEFAULT_LIMIT, FrameReader, varint, wrap
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import VERSIONS, Pdu, Role
from quicchat.wire.states import State
from tests.frames import frames
from tests.strategies import any_pdu, body_of, mutations, of_version, splits

versions = st.sampled_from(VERSIONS)
uints = st.integers(0, UINT64)
of_any_version = versions.flatmap(lambda version: st.tuples(any_pdu(version), st.just(version)))
#: What may come out of the codec when it refuses.
REFUSALS = {Code.DECODE, Code.SCHEMA, Code.VERSION}


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """A PDU with all that may travel around it."""
    pdu, version = draw(of_any_version)
    maybe = st.none() | uints
    ext = draw(st.none() | st.dictionaries(uints, st.binary(max_size=9), min_size=1, max_size=3))
    return Envelope(pdu=pdu, version=version, id=draw(maybe), re=draw(maybe), ts=draw(maybe), ext=ext)


def encoded(envelope: Envelope) -> bytes:
    assert isinstance(envelope.pdu, Pdu)
    around = {"id": envelope.id, "re": envelope.re, "ts": envelope.ts}
    return encode(envelope.pdu, version=envelope.version, **around, ext=envelope.ext)


def taken(data: bytes) -> Envelope | None:
    """What the codec makes of bytes, or None where it refuses as it may."""
    refusal = None
    try:
        return decode(data)
    except RemoteProtocolError as error:
        refusal = error
    assert refusal.code in REFUSALS
    return None


@given(envelopes())
def test_what_is_sent_is_what_arrives(envelope: Envelope) -> None:
    """R0.16, W23: every legal PDU in every envelope, with keys from extensions, comes back equal."""
    data = encoded(envelope)
    assert decode(data) == decode(data, version=envelope.version) == envelope
    assert encoded(decode(data)) == data


@given(of_any_version)
def test_an_independent_encoder_agrees(drawn: tuple[Pdu, int]) -> None:
    """spec 02-framing: deterministic CBOR, keys ascending, to the byte."""
    pdu, version = drawn
    body: dict[int, Any] = {**body_of(pdu, version), **(pdu.extra or {})}
    expected = cbor2.dumps({key: body[key] for key in sorted(body)})
    assert encode_body(pdu, version=version) == expected
    assert decode_body(type(pdu), expected, version=version) == pdu


@given(any_pdu(2))
def test_version_1_gets_what_it_knows(pdu: Pdu) -> None:
    """spec 03-session, since=: the same PDU for an older peer is the one without the newer fields."""
    if pdu.SPEC.since > 1:
        return
    known = {field.name: getattr(pdu, field.name) for field in of_version(type(pdu), 1)}
    newer = {field.name: None for field in pdu.SPEC.fields if field.since > 1}
    assert decode(encode(pdu, version=1), version=1).pdu == type(pdu)(**known, **newer, extra=pdu.extra)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_read(data: bytes) -> None:
    """R0.12: decode raises RemoteProtocolError and nothing else."""
    taken(data)


@given(of_any_version.flatmap(lambda drawn: mutations(encode(drawn[0], version=drawn[1], id=1))))
def test_mutated_pdus_are_refused_or_read(data: bytes) -> None:
    """R0.12, Q26: bytes gone wrong raise nothing else either, and what is still read can be relayed."""
    envelope = taken(data)
    if envelope is not None and isinstance(envelope.pdu, Pdu):
        assert decode(encoded(envelope)) == envelope


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text() | st.binary()
    | st.just(cbor2.undefined) | st.just(cbor2.CBORSimpleValue(99)),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-5, 2**65) | st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
))  # fmt: skip
def test_the_profile_is_one(value: object) -> None:
    """W19, W23: what a relay may send under an unknown key is just what another one may read there."""
    ping = bytes.fromhex("a3 00 02 01 03 05 a2 01 01 18 21")
    envelope = taken(ping + cbor2.dumps(value))
    assert (envelope is not None) == plain(value, 14)
    if envelope is not None and isinstance(envelope.pdu, Pdu):
        assert envelope.pdu.extra == {33: value}


@given(st.dictionaries(st.integers(0, 6), st.integers() | st.text() | st.none() | st.lists(st.integers()), max_size=7))
def test_any_map_is_refused_or_read(outer: dict[int, Any]) -> None:
    """W21: an envelope of any keys with any values."""
    taken(cbor2.dumps(outer))


@given(versions, st.sampled_from([0x01, 0x05, 0x30, 0x32, 0x44, 0x52]), st.dictionaries(
    st.integers(0, 40), st.integers() | st.text() | st.binary() | st.lists(st.integers() | st.text()), max_size=9
))  # fmt: skip
def test_any_body_is_refused_or_read(version: int, number: int, body: dict[int, Any]) -> None:
    """W20: a body of any keys with any values."""
    envelope = taken(cbor2.dumps({0: version, 1: number, 5: body}))
    if envelope is not None:
        assert isinstance(envelope.pdu, Pdu | Unknown)


# Frames


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Payloads, and the stream of their frames cut into pieces."""
    payloads = draw(st.lists(st.binary(min_size=1, max_size=90), max_size=8))
    return payloads, draw(splits(b"".join(map(wrap, payloads))))


@given(streams())
def test_any_split_gives_the_same_frames(drawn: tuple[list[bytes], list[bytes]]) -> None:
    """R0.3: however the bytes of a stream arrive, the frames are the same, in the same order."""
    payloads, pieces = drawn
    reader = FrameReader()
    assert [payload for piece in pieces for payload in frames(piece, reader)] == payloads
    assert reader.pending == 0


@given(st.lists(st.binary(max_size=60), max_size=12), st.sampled_from([8, 63, 64, DEFAULT_LIMIT]))
def test_arbitrary_streams_are_cut_or_refused(pieces: list[bytes], limit: int) -> None:
    """W1, W2, W3: no bytes raise anything else, make a frame beyond the limit, or are held in vain."""
    reader = FrameReader(limit)
    refusal: RemoteProtocolError | None = None
    for piece in pieces:
        try:
            found = list(frames(piece, reader))
        except RemoteProtocolError as error:
            refusal = error
            break
        assert all(0 < len(frame) <= limit for frame in found)
        assert reader.pending <= limit + 8
    assert refusal is None or refusal.code in (Code.FRAME_TOO_LARGE, Code.DECODE)


@given(st.integers(0, 2**62 - 1))
def test_varint_reads_back(value: int) -> None:
    """RFC 9000 section 16: the two highest bits tell how many bytes follow; the shortest form is used."""
    data = varint(value)
    assert len(data) == 1 << (data[0] >> 6)
    assert int.from_bytes(data, "big") & ((1 << (8 * len(data) - 2)) - 1) == value
    assert len(data) == next(size for size in (1, 2, 4, 8) if value < 1 << (8 * size - 2))


@given(any_pdu())
def test_each_step_of_reading_stands_alone(pdu: Pdu) -> None:
    """R0.12: frame, well-formedness and schema are pure functions, one after the other."""
    (payload,) = frames(wrap(encode(pdu, version=2)))
    outer = parse(payload)
    assert outer[1] == pdu.SPEC.number
    assert decode_body(type(pdu), cbor2.dumps(outer[5]), version=2) == decode(payload).pdu == pdu


# The automaton


@given(st.lists(st.tuples(st.sampled_from(["client says", "server says", "client hears", "server hears"]),
                          st.integers(0, 10_000)), max_size=60))  # fmt: skip
def test_two_ends_never_part(turns: list[tuple[str, int]]) -> None:
    """spec 10-states: whatever is said, whenever it arrives, none of it is illegal, and both end in one state."""
    at = dict.fromkeys(Role, State.START)
    on_its_way: dict[Role, deque[Letter]] = {role: deque() for role in Role}

    def hear(role: Role) -> None:
        if on_its_way[role]:
            to = CONNECTION.step(at[role], role.peer, on_its_way[role].popleft())
            assert to is not None
            at[role] = to

    for turn, number in turns:
        role, deed = Role(turn.partition(" ")[0]), turn.partition(" ")[2]
        if deed == "hears":
            hear(role)
        elif words := list(CONNECTION.legal(at[role], role)):
            # Ends of the conversation are rare, so that most conversations have a middle.
            words = [word for word in words if word.outcome != "fatal" or number % 50 == 0] or words
            word = words[number % len(words)]
            to = CONNECTION.step(at[role], role, word)
            assert to is not None
            at[role] = to
            on_its_way[role.peer].append(word)
    while any(on_its_way.values()):
        for role in Role:
            hear(role)
    assert at[Role.CLIENT] is at[Role.SERVER]
