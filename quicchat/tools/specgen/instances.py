"""Instances of PDUs, made from the samples of their types: for examples, vectors and conformance. (spec README)"""

from __future__ import annotations

from typing import Any

from quicchat.wire.machine import Letter
from quicchat.wire.registry import Field, Pdu
from quicchat.wire.types import Array, Text, Tuple, Type, UintMap

#: Encoded bytes of one field of an example.
_SMALL = 96


def minimal(cls: type[Pdu]) -> Pdu:
    """The required fields alone, each as short as it may be."""
    return _make(cls, {field.name: next(field.type.samples()) for field in cls.SPEC.fields if not field.optional})


def full(cls: type[Pdu], version: int) -> Pdu:
    """Every field of a version, each telling, yet short enough to read."""
    return _make(cls, {field.name: small(field.type) for field in cls.SPEC.fields if field.since <= version})


def spelling(letter: Letter) -> Pdu:
    """An instance whose outcome is that of the letter. Raises ValueError where no single field makes it so."""
    plain = minimal(letter.pdu)
    if Letter.of(plain) == letter:
        return plain
    for field in letter.pdu.SPEC.fields:
        for sample in field.type.samples():
            pdu = with_field(plain, field, sample)
            if Letter.of(pdu) == letter:
                return pdu
    raise ValueError(f"no sample spells {letter}")


def with_field(pdu: Pdu, field: Field, value: Any) -> Pdu:
    """The same PDU, but for one field."""
    values = {each.name: getattr(pdu, each.name) for each in pdu.SPEC.fields}
    return _make(type(pdu), values | {field.name: value})


def small(type: Type) -> Any:
    """The most telling sample that is short: of a text one that is not plain ASCII, of numbers the largest."""
    match type:
        case Array(of, most):
            return (small(of),) if most else ()
        case Tuple(of):
            return tuple(small(each) for each in of)
        case UintMap(of):
            return {1: small(of)}
        case Text():
            fitting = [text for text in type.samples() if len(type.pack(text)) <= _SMALL]
            return next((text for text in fitting if not text.isascii()), fitting[-1])
    samples = list(type.samples())
    return next((each for each in reversed(samples) if len(type.pack(each)) <= _SMALL), samples[0])


def _make(cls: type[Pdu], values: dict[str, Any]) -> Pdu:
    return cls(**values)
