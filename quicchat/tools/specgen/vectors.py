"""Golden vectors: the bytes of every PDU beside its fields, and bytes that must be refused. (spec README)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import cbor2

from quicchat.client.e2ee import numbers
from quicchat.errors import Code
from quicchat.tools.specgen import instances, login, notation, sealing, tables
from quicchat.tools.specgen.malformed import Bad, lenient, malformed
from quicchat.wire import codec, frame, leaves
from quicchat.wire.machine import Letter
from quicchat.wire.machines import Chapter
from quicchat.wire.registry import REGISTRY, VERSIONS, Field, Pdu, Registry
from quicchat.wire.types import MAX_PAIRS

_ABOUT: Final = "Generated from the code; do not edit. How to read this: spec/README.md."
#: Longer ones are left to the conformance suite, which makes them anew.
_LONGEST: Final = 300
#: One wrong kind of value stands for all of them here.
_TELLING: Final = frozenset(
    ("missing", "null", "array", "map", "above", "below", "unknown", "pattern", "short", "long", "1")
)


def chapter(of: Chapter, registry: Registry = REGISTRY) -> str:
    """The vectors of one chapter's PDUs, as JSON."""
    pdus = tables.pdus_of(of, registry)
    return _json(
        chapter=tables.short_name(of),
        valid=[_valid(name, pdu, version) for cls in pdus for name, pdu, version in good(cls)],
        invalid=[
            _invalid(f"{cls.SPEC.name} {name}", data, version, code)
            for cls in pdus
            for name, data, version, code in bad(cls)
            if len(data) <= _LONGEST and name.rpartition(" ")[2] in _TELLING
        ],
    )


def framing() -> str:
    """Frames and CBOR: what the profile excludes, and what it accepts though we would not write it."""
    lengths = (1, 63, 64, 16_383, 16_384, frame.DEFAULT_LIMIT)
    return _json(
        chapter="framing",
        lengths=[{"length": length, "hex": frame.varint(length).hex()} for length in lengths],
        valid=[{"name": name, "hex": data.hex(), **_shown(data)} for name, data in lenient()],
        invalid=[_of_bad(bad) for bad in malformed() if len(bad.data) <= _LONGEST],
    )


def scram() -> str:
    """One login, every message of it."""
    return _json(chapter="login", **login.example())


def sealed() -> str:
    """What one device says with a sender key, and what opens it."""
    return _json(chapter="sealed", **sealing.example())


def safety() -> str:
    """Numbers that two users compare."""
    marks = [bytes(range(at, at + 20)) for at in (0, 100)]
    pairs = [("alice", marks[0], "bob", marks[1]), ("bob", marks[0], "alice", marks[1])]
    pairs += [("alice", marks[0], "bob", marks[0]), ("alice", marks[0], "alice", marks[0])]
    return _json(chapter="safety", valid=[_safety(*pair) for pair in pairs])


def parcels() -> str:
    """Parcels of an empty file, a short one, and one of two chunks."""
    return _json(chapter="parcels", valid=sealing.parcels())


def files() -> str:
    """Ids of a few files: around the ends of a chunk, and of the same bytes cut in another way."""
    sizes = [(0, 4_096), (1, 4_096), (4_095, 4_096), (4_096, 4_096), (4_097, 4_096), (12_288, 4_096), (12_288, 8_192)]
    sizes += [(0, leaves.CHUNK), (leaves.CHUNK, leaves.CHUNK), (leaves.CHUNK + 1, leaves.CHUNK)]
    return _json(chapter="leaves", valid=[_file(size, chunk) for size, chunk in sizes])


def good(cls: type[Pdu]) -> Iterator[tuple[str, Pdu, int]]:
    """Instances of a PDU, each with a name and the version in which it is written."""
    spec = cls.SPEC
    yield "minimal", instances.minimal(cls), spec.since
    for version in VERSIONS:
        if version >= spec.since:
            yield "full", instances.full(cls, version), version
    for letter in Letter.all_of(cls):
        if letter.outcome:
            yield letter.outcome, instances.spelling(letter), spec.since


def bad(cls: type[Pdu]) -> Iterator[tuple[str, bytes, int, Code]]:
    """Payloads with one field missing, of the wrong type, beyond its limit, or newer than their version."""
    spec = cls.SPEC
    body = notation.body(instances.minimal(cls), VERSIONS[-1])
    for field in spec.fields:
        if not field.optional:
            rest = {key: value for key, value in body.items() if key != field.key}
            yield f"{field.name} missing", _payload(cls, rest, VERSIONS[-1]), VERSIONS[-1], Code.SCHEMA
        for name, value in wrong(field):
            code = Code.DECODE if _overfull(value) else Code.SCHEMA
            yield f"{field.name} {name}", _payload(cls, {**body, field.key: value}, VERSIONS[-1]), VERSIONS[-1], code
        if field.since > spec.since:
            old = notation.body(instances.minimal(cls), spec.since)
            value = field.type.dump(instances.small(field.type))
            newer = _payload(cls, {**old, field.key: value}, spec.since)
            yield f"{field.name} in version {spec.since}", newer, spec.since, Code.SCHEMA


def wrong(field: Field) -> Iterator[tuple[str, Any]]:
    """Wire values that a field must refuse, each with its name."""
    return iter(field.type.wrong())


def _payload(cls: type[Pdu], body: dict[int, Any], version: int) -> bytes:
    return cbor2.dumps({codec.VERSION: version, codec.TYPE: cls.SPEC.number, codec.BODY: body})


def _overfull(value: Any) -> bool:
    """Whether a map in it has more pairs than the CBOR profile allows: then no field is ever looked at."""
    if isinstance(value, dict):
        return len(value) > MAX_PAIRS or any(map(_overfull, value.values()))
    return isinstance(value, list) and any(map(_overfull, value))


def _safety(user: str, mark: bytes, other: str, other_mark: bytes) -> dict[str, Any]:
    digits = numbers.safety_number((user, mark), (other, other_mark))
    users = {"user": user, "fingerprint": mark.hex(), "other": other, "other_fingerprint": other_mark.hex()}
    return {"name": f"{user} {mark.hex()[:8]}, {other} {other_mark.hex()[:8]}", **users, "digits": digits}


def _file(size: int, chunk: int) -> dict[str, Any]:
    file, found = leaves.of(bytes(at % 251 for at in range(size)), chunk)
    cut = [found[at : at + leaves.LEAF].hex() for at in range(0, len(found), leaves.LEAF)]
    return {"name": f"{size} bytes by {chunk}", "size": size, "chunk": chunk, "leaves": cut, "file": file.hex()}


def _valid(name: str, pdu: Pdu, version: int) -> dict[str, Any]:
    spec = pdu.SPEC
    body = notation.body(pdu, version)
    data = codec.encode(pdu, version=version, id=1)
    fields = {field.name: notation.plain_json(body[field.key]) for field in spec.fields if field.key in body}
    outer = {codec.VERSION: version, codec.TYPE: spec.number, codec.ID: 1, codec.BODY: body}
    return {
        "name": f"{spec.name} {name}",
        "pdu": spec.name,
        "version": version,
        "id": 1,
        "fields": fields,
        "hex": data.hex(),
        "diagnostic": notation.diagnostic(outer),
    }


def _invalid(name: str, data: bytes, version: int, code: Code) -> dict[str, Any]:
    return {"name": name, "version": version, "hex": data.hex(), "code": code.name, **_shown(data)}


def _shown(data: bytes) -> dict[str, str]:
    """In diagnostic notation, where that gives these bytes again: it cannot tell the forms of one item apart."""
    try:
        item = cbor2.loads(data)
        return {"diagnostic": notation.diagnostic(item)} if cbor2.dumps(item) == data else {}
    except (cbor2.CBORError, TypeError, ValueError):
        return {}


def _of_bad(bad: Bad) -> dict[str, Any]:
    key = "stream" if bad.is_stream else "hex"
    shown = {} if bad.is_stream else _shown(bad.data)
    return {"name": bad.name, "version": VERSIONS[-1], key: bad.data.hex(), "code": bad.code.name, **shown}


def _json(**content: Any) -> str:
    """One line for each vector, so that a change shows as one."""
    parts = []
    for key, value in {"about": _ABOUT, **content}.items():
        if isinstance(value, list):
            lines = ",\n".join(f"  {_dump(each)}" for each in value)
            parts.append(f" {_dump(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {_dump(key)}: {_dump(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
