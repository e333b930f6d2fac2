"""What programs and people read of the vocabulary: `quicchat.json` by its schema, and the session in bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from quicchat.tools.conform import book, cbor
from quicchat.tools.specgen import registries, walkthrough
from quicchat.tools.specgen.tables import chosen
from quicchat.wire.registry import RECORDS, REGISTRY

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "spec/quicchat.schema.json").read_text("utf-8"))
BOOK = json.loads((ROOT / "spec/quicchat.json").read_text("utf-8"))
_KNOWN = {"$schema", "$defs", "title", "description", "type"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def faults(item: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What JSON Schema 2020-12 finds wrong, for the key words that the schema uses; any other is an error of ours."""
    if "type" in schema and not _is(item, schema["type"]):
        return [f"{at}: no {schema['type']}"]
    found: list[str] = []
    for word, value in schema.items():
        if word not in _KNOWN:
            found += _WORDS[word](item, value, schema, at)
    return found


def _is(item: Any, name: str) -> bool:
    if name == "integer":
        return isinstance(item, int) and not isinstance(item, bool)
    return isinstance(item, _TYPES[name])


def _members(item: Any, value: Any, schema: dict[str, Any], at: str) -> list[str]:
    if not isinstance(item, dict):
        return []
    rest = {key: each for key, each in item.items() if key not in schema.get("properties", {})}
    if value is False:
        return [f"{at}.{key}: not known" for key in rest]
    return [fault for key, each in rest.items() for fault in faults(each, value, f"{at}.{key}")]


def _items(item: Any, value: Any, schema: dict[str, Any], at: str) -> list[str]:
    if not isinstance(item, list):
        return []
    schemas = value if isinstance(value, list) else [value] * len(item)
    pairs = list(zip(item, schemas, strict=False))
    return [fault for place, (each, of) in enumerate(pairs) for fault in faults(each, of, f"{at}[{place}]")]


_WORDS: dict[str, Any] = {
    "const": lambda item, value, _, at: [] if item == value else [f"{at}: not {value}"],
    "enum": lambda item, values, _, at: [] if item in values else [f"{at}: none of {values}"],
    "minimum": lambda item, least, _, at: [] if item >= least else [f"{at}: below {least}"],
    "maximum": lambda item, most, _, at: [] if item <= most else [f"{at}: above {most}"],
    "minLength": lambda item, least, _, at: [] if len(item) >= least else [f"{at}: too short"],
    "minItems": lambda item, least, _, at: [] if len(item) >= least else [f"{at}: too few"],
    "maxItems": lambda item, most, _, at: [] if len(item) <= most else [f"{at}: too many"],
    "pattern": lambda item, pattern, _, at: [] if re.search(pattern, item) else [f"{at}: not {pattern}"],
    "required": lambda item, names, _, at: [f"{at}: no {name}" for name in names if name not in item],
    "properties": lambda item, of, _, at: [
        fault for key in of if key in item for fault in faults(item[key], of[key], f"{at}.{key}")
    ],
    "additionalProperties": _members,
    "items": _items,
    "prefixItems": _items,
    "$ref": lambda item, name, _, at: faults(item, SCHEMA["$defs"][name.rpartition("/")[2]], at),
    "oneOf": lambda item, of, _, at: (
        [] if sum(not faults(item, each, at) for each in of) == 1 else [f"{at}: not one of"]
    ),
}


def test_the_book_keeps_to_its_schema() -> None:
    """Issue 7, item 1: every member is described, and is as described."""
    assert faults(BOOK, SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda it: it.pop("alpn"), "$: no alpn"),
        (lambda it: it.update(more=1), "$.more: not known"),
        (lambda it: it["pdus"][0]["fields"][0]["is"].update(kind="float"), "$.pdus[0].fields[0].is: not one of"),
        (lambda it: it["rows"][3].pop(), "$.rows[3]: too few"),
        (lambda it: it["codes"][2].update(fatal=1), "$.codes[2].fatal: no boolean"),
        (lambda it: it["sentences"][0].update(id="1.2"), "$.sentences[0].id: not "),
        (lambda it: it["limits"][0].update(value=-1), "$.limits[0].value: below 0"),
    ],
)
def test_the_schema_can_say_no(change: Any, fault: str) -> None:
    """Issue 7, item 1: for what is missing, unknown, of another type, or out of range."""
    item = json.loads(json.dumps(BOOK))
    change(item)
    assert any(each.startswith(fault) for each in faults(item, SCHEMA))


def blocks() -> list[tuple[str, str, bytes]]:
    """Of each PDU in the walkthrough: its name, the stream that it is on, and the bytes of the left column."""
    found = []
    parts = re.finditer(
        r"\*\*([A-Z_]+)\*\*, [^,]+, (\w+) stream:\n\n```hexdump\n(.*?)```", walkthrough.walkthrough(), re.DOTALL
    )
    for part in parts:
        column = "".join(line.partition("#")[0] for line in part[3].splitlines())
        found.append((part[1], part[2], bytes.fromhex(column)))
    return found


def test_the_session_in_bytes_is_one() -> None:
    """Issue 7, item 1: read by the kit's own codec, each frame is whole, is the PDU that it says, and travels there."""
    told = blocks()
    assert len(told) > 20
    kinds = book.read(BOOK).kinds
    for name, stream, data in told:
        payload, size = book.unframed(data) or (b"", 0)
        assert size == len(data)
        pdu = book.parse(payload)
        assert pdu.name == name
        assert stream in kinds[name].on
        assert pdu.version == (1 if name.startswith("VERSION_RE") else 2)
        assert {field.key for field in kinds[name].fields if not field.optional} <= set(pdu.body)
        assert cbor.dump(cbor.load(payload)) == payload
    asked = [name for name, _, data in told if book.parse((book.unframed(data) or (b"",))[0]).id is not None]
    assert asked == ["AUTH_START", "AUTH_RESPONSE", "ROOM_JOIN", "MSG_SEND", "HISTORY", "FILE_GET"]


def test_the_session_in_bytes_has_the_login_of_the_vectors() -> None:
    """[3.1-10], [4.3-1]: the same bytes, so that its arithmetic can be followed there."""
    login = json.loads((ROOT / "spec/vectors/login.json").read_text("utf-8"))
    by_name = {name: data for name, _, data in blocks()}
    assert by_name["VERSION_REQUEST"].hex().endswith(login["version_request"])
    assert by_name["VERSION_RESPONSE"].hex().endswith(login["version_response"])
    for name in ("auth_start", "auth_challenge", "auth_response", "auth_ok"):
        assert login[name].encode() in by_name[name.upper()]


def test_the_registries_name_every_value() -> None:
    """Issue 7, item 1: whoever reads a number in a table finds its name; each free type is free."""
    text = registries.registries()
    for cls in (*REGISTRY, *RECORDS):
        for field in cls.SPEC.fields:
            for of in chosen(field.type):
                section = text[text.index(f"## {of.__name__}\n") :].split("\n## ")[0]
                assert f"`{field.name}` of {cls.SPEC.name}" in section
                assert all(f"| {int(member)} | {member.name} |" in section for member in of)
    free = text[text.index("## Types that are free") :].split("\n## ")[0]
    taken = {cls.SPEC.number for cls in REGISTRY}
    spans = [
        tuple(int(end, 16) for end in each.split(" to ")) for each in re.findall(r"0x\w\w(?: to 0x\w\w)?", free)[1:]
    ]
    named = {number for span in spans for number in range(span[0], span[-1] + 1)}
    assert named == set(range(128)) - taken


def test_what_versions_brought() -> None:
    """[1.2-1]: every PDU and field of a later version stands in the list of changes, and none of the first."""
    text = registries.versions()
    for cls in REGISTRY:
        assert (f"| {cls.SPEC.name} | {' and '.join(sorted(role.value for role in cls.SPEC.by))} |" in text) is (
            cls.SPEC.since > 1
        )
        for field in cls.SPEC.fields:
            row = f"| {cls.SPEC.name} | {field.key} | {field.name} |"
            assert (row in text) is (field.since > cls.SPEC.since)
