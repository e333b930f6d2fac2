"""Every field of every PDU at its limits and beyond, through a live connection."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, LocalProtocolError
from quicchat.tools.specgen import instances, vectors
from quicchat.wire import codec
from quicchat.wire.registry import REGISTRY, VERSIONS, Field, Pdu, Registry
from tests.conformance.checks import check_bodies, check_samples


def fields(registry: Registry = REGISTRY) -> list[tuple[type[Pdu], Field]]:
    return [(cls, field) for cls in registry for field in cls.SPEC.fields]


def name(value: object) -> str:
    return value.name if isinstance(value, Field) else value.SPEC.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(("cls", "field"), fields(), ids=name)
def test_a_field_takes_what_its_type_allows(cls: type[Pdu], field: Field) -> None:
    """W20, [2.4-1]: every sample, up to the limit, survives the wire in every version that has the field."""
    check_samples(cls, field)


@pytest.mark.parametrize("cls", list(REGISTRY), ids=name)
def test_a_broken_body_ends_the_connection(cls: type[Pdu]) -> None:
    """W20, [2.4-1], [2.4-3], [2.5-9], [1.2-2]: fields missing, mistyped, beyond limits or too new: fatal SCHEMA."""
    check_bodies(cls)


@pytest.mark.parametrize(("cls", "field"), fields(), ids=name)
def test_a_value_beyond_its_limit_is_not_sent(cls: type[Pdu], field: Field) -> None:
    """W20, [2.4-2]: the sender refuses too, for every wrong value that Python can hold; nothing is encoded."""
    tried = 0
    good = instances.minimal(cls)
    for label, wire in vectors.wrong(field):
        value = tuple(wire) if isinstance(wire, list) else wire
        if value is None or label.startswith(("item", "value", "short", "long")):
            continue
        tried += 1
        with pytest.raises(LocalProtocolError) as caught:
            codec.encode(instances.with_field(good, field, value), version=VERSIONS[-1])
        assert caught.value.code is Code.SCHEMA, label
    assert tried
