"""The codec: every PDU there and back, both versions, unknown types and keys, and what it refuses to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest

from quicchat.errors import Code, LocalProtocolError, RemoteProtocolError
from quicchat.wire import codec
from quicchat.wire.cbor import UINT64
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted
from quicchat.wire.chapters.session import Error, Goaway, Limit, Ok, Ping, VersionRequest
from quicchat.wire.codec import Envelope, Unknown, decode, decode_body, encode, encode_body, parse
from quicchat.wire.registry import CLIENT, FIRST_EXTENSION_KEY, REGISTRY, VERSIONS, Field, Pdu, Registry, Via, key, pdu
from quicchat.wire.types import Bool, Uint
from tests.strategies import ALL, IN_VERSIONS, UNKNOWN_EVEN, UNKNOWN_ODD, body_of, examples, least, most, name_of, raw

by_version = pytest.mark.parametrize(("cls", "version"), IN_VERSIONS, ids=name_of)
by_class = pytest.mark.parametrize("cls", ALL, ids=name_of)


@pytest.fixture
def planted() -> Iterator[Callable[..., Pdu]]:
    """A PDU whose later version requires a field that the first one did not have."""

    @pdu(0x7001, "PLANTED", by=CLIENT, via=Via.CONTROL, section="0", since=1)
    class Planted(Pdu):
        """For these tests."""

        old: int = key(1, Uint(), "always there")
        new: bool = key(2, Bool(), "required since version 2", since=2)
        late: int | None = key(FIRST_EXTENSION_KEY + 3, Uint(), "an extension that became known", default=None)

    yield Planted
    REGISTRY.remove(Planted)


def newer_fields(cls: type[Pdu]) -> list[Field]:
    """The fields that came with version 2."""
    return [field for field in cls.SPEC.fields if field.since > 1]


# There and back


@by_version
def test_every_example_survives(cls: type[Pdu], version: int) -> None:
    """R0.16, spec 02-framing: what one end sends is what the other end gets, at every limit of every field."""
    for example in examples(cls, version):
        data = encode(example, version=version, id=7, re=UINT64, ts=0, ext={UINT64: b"x", 0: b""})
        envelope = decode(data, version=version)
        assert envelope == Envelope(pdu=example, version=version, id=7, re=UINT64, ts=0, ext={0: b"", UINT64: b"x"})
        assert type(envelope.pdu) is cls


@by_version
def test_the_bytes_are_those_of_an_independent_encoder(cls: type[Pdu], version: int) -> None:
    """spec 02-framing: deterministic CBOR, keys ascending: cbor2 gives the same bytes for the same values."""
    for example in examples(cls, version):
        body = body_of(example, version)
        assert list(body) == sorted(body)
        assert encode(example, version=version) == cbor2.dumps({0: version, 1: cls.SPEC.number, 5: body})
        assert encode_body(example, version=version) == cbor2.dumps(body)


def test_the_envelope_has_its_pairs_in_order() -> None:
    """spec 02-framing: version, type, id, re, ts, body, ext under the keys 0 to 6."""
    data = encode(Ping(nonce=5), version=2, id=1, re=2, ts=3, ext={9: b"z", 4: b"a"})
    assert data == bytes.fromhex("a7 0002 0103 0201 0302 0403 05a10105 06a20441610941 7a")
    assert encode(Ping(nonce=5), version=2, ext={}) == bytes.fromhex("a3 0002 0103 05a10105")


@by_version
def test_a_body_stands_alone(cls: type[Pdu], version: int) -> None:
    """spec 02-framing: what is stored, hashed and embedded is the body's bytes."""
    for example in (least(cls, version), most(cls, version)):
        body = encode_body(example, version=version)
        assert decode_body(cls, body, version=version) == example
        assert body in encode(example, version=version)


def test_errors_and_limits_may_be_named() -> None:
    """spec 09-errors: whoever writes Code.STATE or Limit.FRAME sends their numbers."""
    refusal = Error.about(Code.STATE, retry_after=5)
    assert decode(encode(refusal, version=1)).pdu == Error(code=0x106, text=refusal.text, retry_after=5)
    hello = VersionRequest(versions=(1,), device=bytes(16), limits={Limit.FRAME: 9, Limit.TEXT: 8})
    assert decode(encode(hello, version=1)).pdu == hello


def test_the_text_of_an_error_is_cut_between_characters() -> None:
    """W25: a text that somebody else chose never makes our own ERROR illegal."""
    refusal = Error.about(Code.SCHEMA, "€" * 512, fatal=True)
    assert refusal.text == "€" * (512 // 3)
    assert decode(encode(refusal, version=2)).pdu == refusal


# What is not sent


@by_version
def test_a_wrong_value_is_not_sent(cls: type[Pdu], version: int) -> None:
    """W20, "send = check, then encode": a value beyond its limit, or a missing one, leaves nothing to send."""
    good = most(cls, version)
    for field in cls.SPEC.fields:
        if field.since > version:
            continue
        wrong = {"missing": None} if not field.optional else {}
        wrong |= {
            name: value for name, value in field.type.wrong() if name in ("text", "float", "bool", "above", "below")
        }
        for name, value in wrong.items():
            values = {each.name: getattr(good, each.name) for each in cls.SPEC.fields}
            # An array is a list on the wire and a tuple here: then the type is wrong too, and that is as well.
            with pytest.raises(LocalProtocolError, match=rf"{cls.SPEC.name}\.{field.name}") as caught:
                encode(cls(**{**values, field.name: value}), version=version)
            assert caught.value.code is Code.SCHEMA, name


def test_what_is_wrong_is_named() -> None:
    """W20: the text of the error names the field, not one that is absent by right."""
    with pytest.raises(LocalProtocolError, match=r"MSG_SEND\.cid: not a byte string of 16"):
        encode(Post(cid=b"short", text="hi", reply=-1), version=2)


@pytest.mark.parametrize(
    "envelope",
    [
        {"id": -1},
        {"id": UINT64 + 1},
        {"re": "1"},
        {"ts": 1.0},
        {"ts": True},
        {"ext": {-1: b""}},
        {"ext": {1: "x"}},
        {"ext": {"a": b""}},
        {"ext": dict.fromkeys(range(65), b"")},
        {"version": 0},
        {"version": 256},
        {"version": "2"},
    ],
    ids=str,
)
def test_a_wrong_envelope_is_not_sent(envelope: dict[str, Any]) -> None:
    """W21: neither a version, an id nor an extension that the peer would have to refuse."""
    with pytest.raises(LocalProtocolError, match="PING") as caught:
        encode(Ping(nonce=1), **{"version": 2, **envelope})
    assert caught.value.code is Code.SCHEMA


@pytest.mark.parametrize(
    "extra",
    [{1: 0}, {31: 0}, {34: 0}, {32: 0}, {-1: 0}, {UINT64 + 2: 0}, {"a": 0}, {33: 1.0}, {33: (1,)}, {35: 0}],
    ids=str,
)
def test_an_extra_key_that_may_not_be_ignored_is_not_sent(
    planted: Callable[..., Pdu], extra: dict[int, object]
) -> None:
    """W23: only odd keys from 33 up are the relay's to add, none that the PDU has, and within the profile."""
    with pytest.raises(LocalProtocolError, match="PLANTED") as caught:
        encode(planted(old=1, new=True, extra=extra), version=2)
    assert caught.value.code is Code.SCHEMA


def test_a_body_has_no_more_pairs_than_the_peer_takes() -> None:
    """W17: 64 pairs to a map, extra ones included."""
    extra = dict.fromkeys(range(33, 33 + 2 * 63, 2), 0)
    full = Ping(nonce=1, extra=extra)
    assert decode(encode(full, version=1)).pdu == full
    with pytest.raises(LocalProtocolError, match="65 pairs"):
        encode(Ping(nonce=1, extra={**extra, 999: 0}), version=1)


# Versions


def test_every_pdu_of_version_2_is_unknown_in_version_1() -> None:
    """spec 03-session, since=: a server never sends a version-2 PDU on a version-1 connection, nor takes one."""
    newer = [cls for cls in ALL if cls.SPEC.since > 1]
    assert Goaway in newer
    for cls in newer:
        with pytest.raises(LocalProtocolError, match=f"{cls.SPEC.name} does not exist in version 1") as caught:
            encode(least(cls, 2), version=1)
        assert caught.value.code is Code.UNSUPPORTED
        with pytest.raises(LocalProtocolError, match="does not exist"):
            encode_body(least(cls, 2), version=1)
        unknown = decode(raw(cls.SPEC.number, body_of(least(cls, 2), 2), version=1), version=1).pdu
        assert unknown == Unknown(cls.SPEC.number, False, f"type 0x{cls.SPEC.number:x}")


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls.SPEC.since == 1 and newer_fields(cls)], ids=name_of)
def test_fields_of_version_2_are_left_out_in_version_1(cls: type[Pdu]) -> None:
    """spec 03-session, since=: neither sent nor taken on a version-1 connection; there the key is an error."""
    newer = newer_fields(cls)
    full = most(cls, 2)
    assert decode(encode(full, version=1), version=1).pdu == most(cls, 1)
    for field in newer:
        body = {**body_of(most(cls, 1), 1), field.key: field.type.dump(next(field.type.samples()))}
        assert decode(raw(cls.SPEC.number, body, version=2), version=2).version == 2
        with pytest.raises(RemoteProtocolError, match=f"no key {field.key} in version 1") as caught:
            decode(raw(cls.SPEC.number, body, version=1), version=1)
        assert caught.value.code is Code.SCHEMA


def test_some_fields_are_of_version_2() -> None:
    """spec 06-messages: the rule above is not true for want of cases."""
    assert {field.name for field in newer_fields(Post)} >= {"kind", "topic", "reply", "mentions"}
    assert [field.name for field in newer_fields(Posted)] == ["epoch"]


def test_a_field_that_a_later_version_requires(planted: Callable[..., Pdu]) -> None:
    """spec 03-session, since=: required from its version on, absent before, and both ways round."""
    old, new = planted(old=1, new=None), planted(old=1, new=True)
    assert decode(encode(old, version=1), version=1).pdu == old
    assert decode(encode(new, version=1), version=1).pdu == old
    assert decode(encode(new, version=2), version=2).pdu == new
    with pytest.raises(LocalProtocolError, match="new"):
        encode(old, version=2)
    with pytest.raises(RemoteProtocolError, match="new is missing"):
        decode(raw(0x7001, {1: 1}), version=2)


def test_another_version_than_the_negotiated_one() -> None:
    """S8, R3.13: fatal VERSION; before negotiation any version of the range will do."""
    data = encode(Ping(nonce=1), version=1)
    with pytest.raises(RemoteProtocolError, match="version 1 where 2 was negotiated") as caught:
        decode(data, version=2)
    assert caught.value.code is Code.VERSION
    assert decode(data).version == 1
    for version in (3, 99, 255):
        assert decode(encode(Ping(nonce=1), version=version)) == Envelope(pdu=Ping(nonce=1), version=version)


# The unknown


@pytest.mark.parametrize(
    ("number", "ignorable"),
    [
        (UNKNOWN_EVEN, False),
        (UNKNOWN_ODD, True),
        (0x7F, False),
        (0x7E, False),
        (0, False),
        (128, False),
        (129, True),
        (2**32 - 1, True),
        (2**32 - 2, False),
    ],
)
def test_an_unknown_type(number: int, ignorable: bool) -> None:
    """W22: above 127 odd may be ignored, even must be understood; the numbers below are the core's."""
    envelope = decode(raw(number, {1: [1.5], 2: None}, k2=9), version=2)
    assert envelope == Envelope(pdu=Unknown(number, ignorable, f"type 0x{number:x}"), version=2, id=9)


def test_a_vocabulary_of_ones_own() -> None:
    """spec 02-framing: the registry says what is known; an empty one knows nothing."""
    assert isinstance(decode(encode(Ping(nonce=1), version=2), registry=Registry()).pdu, Unknown)


@by_version
def test_an_unknown_even_key_must_be_understood(cls: type[Pdu], version: int) -> None:
    """W23: refused UNSUPPORTED, the connection goes on."""
    body = body_of(least(cls, version), version)
    for number in (FIRST_EXTENSION_KEY, 34, 2**64 - 2):
        found = decode(raw(cls.SPEC.number, {**body, number: 0}, version=version), version=version).pdu
        assert found == Unknown(cls.SPEC.number, False, f"key {number} of {cls.SPEC.name}")
        with pytest.raises(RemoteProtocolError, match="must be understood"):
            decode_body(cls, cbor2.dumps({**body, number: 0}), version=version)


@by_version
def test_an_unknown_odd_key_is_kept(cls: type[Pdu], version: int) -> None:
    """W23: ignored, and kept by relays through decoding and encoding, to the byte."""
    extra = {33: 1, 35: "x", 301: [{2: None, 1: b"y"}, -5], UINT64: {}}
    body = {**body_of(least(cls, version), version), **extra}
    data = raw(cls.SPEC.number, body, version=version)
    envelope = decode(data, version=version)
    assert isinstance(envelope.pdu, cls)
    assert envelope.pdu.extra == extra
    assert encode(envelope.pdu, version=version) == data
    assert encode_body(decode_body(cls, cbor2.dumps(body), version=version), version=version) == cbor2.dumps(body)


def test_extra_keys_stand_in_order_among_known_ones(planted: Callable[..., Pdu]) -> None:
    """spec 02-framing: keys ascending, also where a known key lies between unknown ones."""
    data = raw(0x7001, {1: 5, 2: True, 33: 0, 35: 7, 37: 0})
    found = decode(data, version=2).pdu
    assert found == planted(old=5, new=True, late=7, extra={33: 0, 37: 0})
    assert isinstance(found, Pdu)
    assert encode(found, version=2) == data
    scrambled = planted(old=5, new=True, late=7, extra={37: 0, 33: 0})
    assert encode(scrambled, version=2) == data


@by_version
def test_an_unknown_key_below_32_is_an_error(cls: type[Pdu], version: int) -> None:
    """W20: the keys below 32 belong to the core, where nothing may be ignored."""
    free = next(number for number in range(32) if number not in cls.SPEC.by_key)
    body = {**body_of(least(cls, version), version), free: 0}
    with pytest.raises(RemoteProtocolError, match=f"{cls.SPEC.name} has no key {free}") as caught:
        decode(raw(cls.SPEC.number, body, version=version), version=version)
    assert caught.value.code is Code.SCHEMA


def test_a_peer_that_tries_every_version_leaves_nothing_behind() -> None:
    """P7: before negotiation the version is the peer's to choose; what the codec works out for it is not kept."""
    for version in range(1, 256):
        for cls in ALL:
            if cls.SPEC.since <= version:
                decode(raw(cls.SPEC.number, body_of(least(cls, version), version), version=version))
    assert {version for _, version in codec._PLANS} == set(VERSIONS)


def test_an_unknown_envelope_key_is_an_error() -> None:
    """W21: the envelope is extended by `ext`, and by nothing else."""
    with pytest.raises(RemoteProtocolError, match="no key 7") as caught:
        decode(raw(Ping.SPEC.number, {1: 1}, k7=0), version=2)
    assert caught.value.code is Code.SCHEMA


# What a decoded PDU is


@by_class
def test_a_decoded_pdu_is_like_any_other(cls: type[Pdu]) -> None:
    """design §2.1: a frozen value; that the codec fills it past its constructor shows nowhere."""
    made = most(cls, cls.SPEC.since)
    found = decode(encode(made, version=cls.SPEC.since)).pdu
    assert isinstance(found, Pdu)
    assert repr(found) == repr(made)
    assert found.extra is None
    for field in cls.SPEC.fields:
        getattr(found, field.name)
        with pytest.raises(AttributeError):
            setattr(found, field.name, None)
    assert not hasattr(found, "__dict__")


def test_ok_has_nothing_to_say() -> None:
    """spec 03-session 3.4: a PDU without fields is an empty map."""
    assert encode_body(Ok(), version=1) == b"\xa0"
    assert decode_body(Ok, b"\xa0", version=1) == Ok()


def test_parse_gives_the_map() -> None:
    """R0.12: well-formedness, schema and automaton are judged apart, each by itself."""
    message = Message(room="general", seq=1, cid=bytes(16), sender="alice", kind=Kind.TEXT, ts=5, text="hi")
    assert parse(encode_body(message, version=1)) == {1: "general", 3: 1, 4: bytes(16), 5: "alice", 7: 1, 8: 5, 9: "hi"}
