"""Whether the fields of a PDU are what the book says that they are. (spec 02-framing)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from quicchat.tools.conform.book import Kind

FIRST_EXTENSION: Final = 32
_DETERMINED: Final[Mapping[str, type]] = {"bytes": bytes, "text": str, "array": list, "tuple": list, "map": dict}


def faults(kind: Kind, body: Mapping[int, Any], version: int) -> Iterator[tuple[str, str]]:
    """The sentences that a body breaks in a version, each with what is wrong."""
    known = {each.key: each for each in kind.fields}
    for key, value in body.items():
        field = known.get(key)
        if field is not None and field.since > version:
            yield "1.2-1", f"{kind.name}.{field.name} is of version {field.since}, and version {version} is spoken"
        elif field is not None and (wrong := mismatch(field.type, value)):
            yield "2.4-2", f"{kind.name}.{field.name} {wrong}"
        elif field is None and key < FIRST_EXTENSION:
            yield "2.4-2", f"{kind.name} has no key {key}"
        elif field is None and key % 2 == 0:
            yield "2.5-4", f"{kind.name} has the even key {key}, which nobody has to understand"
    for field in kind.fields:
        if not field.optional and field.since <= version and field.key not in body:
            yield "2.4-2", f"{kind.name} lacks {field.name}"


def mismatch(wanted: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a value; empty where nothing is."""
    match wanted["kind"]:
        case "uint":
            right = type(value) is int and wanted["least"] <= value <= wanted["most"]
            return "" if right else f"is no integer from {wanted['least']} to {wanted['most']}"
        case "bool":
            return "" if type(value) is bool else "is no boolean"
        case "choice":
            return "" if type(value) is int and value in wanted["of"].values() else "is none of its choices"
        case kind if type(value) is not _DETERMINED[kind]:
            return f"is no {kind}"
        case "text" | "bytes":
            return _string(wanted, value)
    return _several(wanted, value)


def _string(wanted: Mapping[str, Any], value: Any) -> str:
    size = len(value.encode() if isinstance(value, str) else value)
    if not wanted["least"] <= size <= wanted["most"]:
        return f"has {size} bytes, not {wanted['least']} to {wanted['most']}"
    pattern = wanted.get("pattern")
    return "" if pattern is None or re.fullmatch(pattern, value) else "does not match its pattern"


def _several(wanted: Mapping[str, Any], value: Any) -> str:
    parts: Iterable[tuple[Any, Any]]
    if wanted["kind"] == "tuple":
        if len(value) != len(wanted["of"]):
            return f"has {len(value)} parts, not {len(wanted['of'])}"
        parts = zip(wanted["of"], value, strict=True)
    else:
        if len(value) > wanted["most"]:
            return f"has more than {wanted['most']} items"
        items = value.values() if wanted["kind"] == "map" else value
        parts = ((wanted["of"], each) for each in items)
    return next((f"holds something that {wrong}" for type_, each in parts if (wrong := mismatch(type_, each))), "")
