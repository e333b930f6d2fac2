"""The vocabulary for programs: all that the tables say, as JSON. (spec README)"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from quicchat.errors import MEANINGS, Code
from quicchat.tools.matrix import Rule
from quicchat.tools.specgen import tables
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import FIRST_EXTENSION_KEY, LAST_CORE_TYPE, RECORDS, REGISTRY, VERSIONS, Pdu, Registry, Role
from quicchat.wire.states import State
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Type, Uint, UintMap

ALPN: Final = "quicchat"
_KINDS: Final = ("negotiated", "own", "fixed")


def book(rules: Iterable[Rule], registry: Registry = REGISTRY, machine: Machine[State] = CONNECTION) -> str:
    """One JSON object; `spec/README.md` says what its members mean."""
    found = {
        "protocol": "quicchat",
        "alpn": ALPN,
        "versions": list(VERSIONS),
        "last-core-type": LAST_CORE_TYPE,
        "first-extension-key": FIRST_EXTENSION_KEY,
        "envelope": {"version": 0, "type": 1, "id": 2, "re": 3, "ts": 4, "body": 5, "ext": 6},
        "limits": [_bound(kind, bound) for kind, of in zip(_KINDS, tables.bounds(), strict=True) for bound in of],
        "codes": [
            {"code": int(code), "name": code.name, "text": meaning.text}
            | {"fatal": meaning.fatal, "temporary": meaning.temporary, "reconnect": meaning.reconnect}
            for code, meaning in ((code, MEANINGS[code]) for code in Code)
        ],
        "pdus": [_pdu(cls) for cls in registry],
        "records": [{"name": cls.SPEC.name, "section": cls.SPEC.section, "fields": _fields(cls)} for cls in RECORDS],
        "states": [state.name for state in machine.states],
        "initial": machine.initial.name,
        "final": machine.final.name,
        "rows": [
            [row.state.name, row.by.value, row.letter.pdu.SPEC.name, row.letter.outcome, row.to.name]
            for row in machine.rows
        ],
        "sentences": [
            {"id": rule.id, "chapter": rule.chapter, "strength": rule.strength, "text": rule.text} for rule in rules
        ],
    }
    return "{\n" + ",\n".join(f"{_text(name)}: {_lines(value)}" for name, value in found.items()) + "\n}\n"


def _lines(value: object) -> str:
    """An item of a list to a line, so that a change shows as one."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict | list):
        return _text(value)
    return "[\n " + ",\n ".join(_text(each) for each in value) + "\n]"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bound(kind: str, bound: tables.Bound) -> dict[str, Any]:
    found = {"name": bound.name, "kind": kind, "value": bound.value, "unit": bound.unit, "about": bound.meaning}
    return found if bound.key is None else {**found, "key": bound.key, "least": bound.least}


def _pdu(cls: type[Pdu]) -> dict[str, Any]:
    spec = cls.SPEC
    return {
        "type": spec.number,
        "name": spec.name,
        "by": sorted(role.value for role in Role if role in spec.by),
        "on": [(via.name or "").lower() for via in spec.via],
        "section": spec.section,
        "since": spec.since,
        "answer": tables.answer(spec) or None,
        "outcomes": list(spec.outcomes),
        "replay-safe": spec.replay_safe,
        "about": " ".join(spec.doc.split()),
        "fields": _fields(cls),
    }


def _fields(cls: type[Pdu]) -> list[dict[str, Any]]:
    return [
        {
            "key": field.key,
            "name": field.name,
            "is": of(field.type),
            "optional": field.optional,
            "since": max(field.since, cls.SPEC.since),
            "about": field.doc,
        }
        for field in cls.SPEC.fields
    ]


def of(type: Type) -> dict[str, Any]:
    """A type and its limits. Raises TypeError for one that is new here."""
    match type:
        case Uint(most, least):
            return {"kind": "uint", "least": least, "most": most}
        case Bool():
            return {"kind": "bool"}
        case Text():
            sized = {"kind": "text", "least": type.least, "most": type.most}
            return sized if type.pattern is None else {**sized, "pattern": type.pattern, "example": type.example}
        case Bytes(most, least):
            return {"kind": "bytes", "least": least, "most": most}
        case Choice():
            return {"kind": "choice", "of": {member.name: int(member) for member in type.of}}
        case Array():
            return {"kind": "array", "of": of(type.of), "most": type.most}
        case Tuple():
            return {"kind": "tuple", "of": [of(item) for item in type.of]}
        case UintMap():
            return {"kind": "map", "of": of(type.of), "most": type.most}
    raise TypeError(f"{type!r} has no form in JSON")
