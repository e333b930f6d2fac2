"""PDUs for tests, made from the registry: examples at every limit, Hypothesis strategies, and bytes gone wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cbor2
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from quicchat.wire import machines
from quicchat.wire.cbor import UINT64
from quicchat.wire.codec import BODY, TYPE, VERSION
from quicchat.wire.registry import FIRST_EXTENSION_KEY, LAST_CORE_TYPE, REGISTRY, VERSIONS, Field, Pdu
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Type, Uint, UintMap

#: Sizes that strategies go up to; what lies beyond is reached by the samples of the type.
SOME = 40

#: The modules that filled the registry, and with what.
CHAPTERS = machines.CHAPTERS
ALL = tuple(REGISTRY)
#: Every PDU with every version in which it exists, for `pytest.mark.parametrize`.
IN_VERSIONS = tuple((cls, version) for cls in ALL for version in VERSIONS if cls.SPEC.since <= version)


def name_of(value: object) -> str:
    """A readable test id for the parameters above."""
    return value.SPEC.name if isinstance(value, type) and issubclass(value, Pdu) else str(value)


def of_version(cls: type[Pdu], version: int) -> list[Field]:
    """The fields that exist in a version."""
    return [field for field in cls.SPEC.fields if field.since <= version]


# Examples: finite, the same in every run


def least(cls: type[Pdu], version: int) -> Pdu:
    """Only what is required, each field as small as its first sample."""
    return cls(**{f.name: next(f.type.samples()) for f in of_version(cls, version) if not f.optional})


def most(cls: type[Pdu], version: int) -> Pdu:
    """Every field, each as its first sample."""
    return cls(**{field.name: next(field.type.samples()) for field in of_version(cls, version)})


def examples(cls: type[Pdu], version: int) -> Iterator[Pdu]:
    """The least, the most, and one for every sample of every field."""
    yield least(cls, version)
    yield most(cls, version)
    base = {field.name: next(field.type.samples()) for field in of_version(cls, version)}
    for field in of_version(cls, version):
        for sample in field.type.samples():
            yield cls(**{**base, field.name: sample})


def body_of(pdu: Pdu, version: int) -> dict[int, Any]:
    """The body as wire values, by the types' `dump`: made without the codec."""
    present = [field for field in of_version(type(pdu), version) if getattr(pdu, field.name) is not None]
    return {field.key: field.type.dump(getattr(pdu, field.name)) for field in present}


def raw(number: int, body: object, *, version: object = VERSIONS[-1], **more: object) -> bytes:
    """An envelope around whatever is given, right or wrong; further keys as `k6=…`."""
    envelope = {VERSION: version, TYPE: number, BODY: body, **{int(key[1:]): value for key, value in more.items()}}
    return cbor2.dumps(envelope)


# Strategies: endless, derived from the same types


def values(of: Type) -> SearchStrategy[Any]:
    """Legal Python values of a field type."""
    samples = st.sampled_from(list(of.samples()))
    match of:
        case Uint(most, least):
            return st.integers(least, most) | samples
        case Bool() | Choice():
            return samples
        case Text(_, _, None):
            return st.text(st.characters(codec="utf-8"), min_size=of.least, max_size=min(of.most // 4, SOME)) | samples
        case Text(_, _, pattern):
            return st.from_regex(pattern or "", fullmatch=True)
        case Bytes(most, least):
            return st.binary(min_size=least, max_size=min(most, max(least, SOME))) | samples
        case Array(item, most):
            return st.lists(values(item), max_size=min(most, 5)).map(tuple) | samples
        case Tuple(items):
            return st.tuples(*map(values, items)) | samples
        case UintMap(item, most):
            return st.dictionaries(st.integers(0, UINT64), values(item), max_size=min(most, 5)) | samples
    raise TypeError(f"no strategy for {of}")


def plain_values() -> SearchStrategy[Any]:
    """What the CBOR profile allows as the value of a key from an extension."""
    leaves = st.none() | st.booleans() | st.integers(-UINT64 - 1, UINT64) | st.text(max_size=9) | st.binary(max_size=9)
    keys = st.integers(0, UINT64)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
    )


def extras() -> SearchStrategy[dict[int, Any] | None]:
    """Odd keys that a relay keeps; often none."""
    odd = st.integers(FIRST_EXTENSION_KEY // 2, UINT64 // 2).map(lambda half: half * 2 + 1)
    return st.none() | st.dictionaries(odd, plain_values(), min_size=1, max_size=3)


def pdus(cls: type[Pdu], version: int = VERSIONS[-1]) -> SearchStrategy[Pdu]:
    """Legal PDUs of one class, as a version can carry them."""
    fields = {
        field.name: st.none() | values(field.type) if field.optional else values(field.type)
        for field in of_version(cls, version)
    }
    return st.builds(cls, **fields, extra=extras())


def any_pdu(version: int = VERSIONS[-1]) -> SearchStrategy[Pdu]:
    """Legal PDUs of any class that exists in a version."""
    return st.sampled_from([cls for cls in ALL if cls.SPEC.since <= version]).flatmap(lambda cls: pdus(cls, version))


def splits(data: bytes) -> SearchStrategy[list[bytes]]:
    """The same bytes in pieces, empty ones among them."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in itertools.pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=12).map(cut)


def mutations(data: bytes) -> SearchStrategy[bytes]:
    """The same bytes with one to three of them changed, doubled, lost or added, or the end cut off."""
    place = st.integers(0, max(0, len(data) - 1))
    change: SearchStrategy[Callable[[bytes], bytes]] = st.one_of(
        st.builds(lambda at, byte: lambda old: old[:at] + bytes((byte,)) + old[at + 1 :], place, st.integers(0, 255)),
        st.builds(
            lambda at, bit: lambda old: old[:at] + bytes(b ^ 1 << bit for b in old[at : at + 1]) + old[at + 1 :],
            place,
            st.integers(0, 7),
        ),
        st.builds(lambda at: lambda old: old[:at] + old[at + 1 :], place),
        st.builds(lambda at: lambda old: old[:at] + old[at : at + 4] + old[at:], place),
        st.builds(lambda at, more: lambda old: old[:at] + more + old[at:], place, st.binary(min_size=1, max_size=4)),
        st.builds(lambda at: lambda old: old[:at], place),
    )
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: _apply(data, changes))


def _apply(data: bytes, changes: Iterable[Callable[[bytes], bytes]]) -> bytes:
    for change in changes:
        data = change(data)
    return data


#: Types that no PDU has: one that must be understood and one that may be ignored.
UNKNOWN_EVEN, UNKNOWN_ODD = (
    next(number for number in range(start, 2**16, 2) if number > LAST_CORE_TYPE and REGISTRY.get(number) is None)
    for start in (200, 201)
)
