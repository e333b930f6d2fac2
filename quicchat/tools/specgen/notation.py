"""Values written down: CBOR's diagnostic notation for people, JSON for programs. (spec README)"""

from __future__ import annotations

import json
import math
from typing import Any

from quicchat.wire.registry import Pdu

#: Beyond this, JSON numbers lose digits in many languages.
_EXACT = 2**53


def diagnostic(value: Any) -> str:
    """A wire value as RFC 8949 section 8 writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
        case int() | float():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return f"h'{value.hex()}'"
        case list():
            return f"[{', '.join(map(diagnostic, value))}]"
        case dict():
            return f"{{{', '.join(f'{diagnostic(key)}: {diagnostic(each)}' for key, each in value.items())}}}"
    raise TypeError(f"{value!r} is no wire value")


def plain_json(value: Any) -> Any:
    """A wire value in JSON: bytes become `{"hex": …}`, big integers `{"uint": …}`, maps `{"map": [pair, …]}`."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case int() if not isinstance(value, bool) and value > _EXACT:
            return {"uint": str(value)}
        case list():
            return [plain_json(each) for each in value]
        case dict():
            return {"map": [[plain_json(key), plain_json(each)] for key, each in value.items()]}
    return value


def body(pdu: Pdu, version: int) -> dict[int, Any]:
    """The body of a PDU as wire values by key; what a version does not know is left out."""
    return {
        field.key: field.type.dump(value)
        for field in pdu.SPEC.fields
        if field.since <= version and (value := getattr(pdu, field.name)) is not None
    }
