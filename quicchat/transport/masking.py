"""What may be kept of PDUs: shapes, never contents. (spec 11-security)

Texts become placeholders of the same length, byte strings others of the same length, equal where they were equal.
What rooms and users are called stays, for without it nothing could be played again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

import cbor2

from quicchat.errors import RemoteProtocolError
from quicchat.wire import codec
from quicchat.wire.codec import BODY, TYPE
from quicchat.wire.registry import REGISTRY, Pdu

#: Fields whose texts stay.
_KEPT: Final = frozenset({"room", "user", "sender", "mechanism"})
#: Stands for each of the bytes that are no PDU: nothing begins with it either.
_NOTHING: Final = b"\xff"


class Mask:
    """Masks the PDUs of one flight; nobody can find out afterwards what was masked how."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)

    def payload(self, data: bytes) -> tuple[bytes, str]:
        """A payload with its contents masked, and what people are told of it."""
        try:
            item = codec.parse(data)
        except RemoteProtocolError:
            return _NOTHING * len(data), f"{len(data)} bytes that are no PDU"
        number, body = item.get(TYPE), item.get(BODY)
        cls = REGISTRY.get(number) if isinstance(number, int) else None
        masked = {key: self._masked(value) for key, value in item.items() if key != BODY}
        told = cls.SPEC.name if cls is not None else f"type {number}" if isinstance(number, int) else "?"
        if isinstance(body, Mapping):
            masked[BODY] = {key: self._field(cls, key, value) for key, value in body.items()}
            told += " " + _told(cls, masked[BODY])
        elif BODY in item:
            masked[BODY] = self._masked(body)
        return cbor2.dumps(dict(sorted(masked.items()))), told

    def _field(self, cls: type[Pdu] | None, key: int, value: Any) -> Any:
        known = cls.SPEC.by_key.get(key) if cls is not None else None
        if known is not None and known.name in _KEPT and isinstance(value, str):
            return value
        return self._masked(value)

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return "x" * len(value.encode())
            case bytes():
                return hashlib.shake_128(self._salt + value).digest(len(value))
            case Mapping():
                return {key: self._masked(each) for key, each in value.items()}
            case list() | tuple():
                return [self._masked(each) for each in value]
        return value


def _told(cls: type[Pdu] | None, body: Mapping[int, Any]) -> str:
    """The fields of a body by name, long ones by length."""
    words = []
    for key, value in body.items():
        known = cls.SPEC.by_key.get(key) if cls is not None else None
        words.append(f"{known.name if known is not None else key}: {_short(value)}")
    return "{" + ", ".join(words) + "}"


def _short(value: Any) -> str:
    match value:
        case str() if not value.strip("x"):
            return f"({len(value)} bytes of text)"
        case str() if not value.isprintable():
            # Whoever breaks the protocol may call a room what he likes: it is to stay one line of the script.
            return ascii(value)
        case bytes():
            return f"({len(value)} bytes)"
        case Mapping() | list() if len(value) > 8:
            return f"({len(value)} items)"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_short(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_short, value)) + "]"
    return str(value)
