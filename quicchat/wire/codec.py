"""The codec: PDUs to strict CBOR and back, with every limit of the registry checked both ways. (spec 02-framing)

The profile (RFC 8949, narrowed): definite lengths, no tags, no floats, no duplicate keys, unsigned integer
keys, at most 64 pairs to a map, depth at most 16, nothing behind the item, valid UTF-8. The encoder writes
keys ascending, so equal PDUs are equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeVar

import cbor2

from quicchat.errors import Code, LocalProtocolError, RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire import cbor
from quicchat.wire.cbor import MAX_PAIRS, UINT64, head, plain
from quicchat.wire.registry import FIRST_EXTENSION_KEY, LAST_CORE_TYPE, REGISTRY, VERSIONS, Pdu, Registry
from quicchat.wire.types import Bytes, Uint, UintMap

MAX_DEPTH: Final = 16
MAX_DATAGRAM: Final = 1100

# Envelope keys.
VERSION, TYPE, ID, RE, TS, BODY, EXT = range(7)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A PDU that this end does not know: a type from an extension, or one with a key that must be understood."""

    number: int
    ignorable: bool
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A PDU with what travels around it. `id` names a request, `re` the request it answers, `ts` is Unix ms."""

    pdu: Pdu | Unknown
    version: int
    id: int | None = None
    re: int | None = None
    ts: int | None = None
    ext: Mapping[int, bytes] | None = None


B = TypeVar("B", bound=Pdu)

_UINT: Final = Uint()
_VERSION: Final = Uint(255, 1)
_EXTENSIONS: Final = UintMap(Bytes(UINT64))
_VERSION_HEAD, _TYPE_HEAD, _ID_HEAD, _RE_HEAD, _TS_HEAD, _BODY_HEAD, _EXT_HEAD = (head(cbor.UINT, n) for n in range(7))
_ABSENT: Final[Any] = object()
_new: Final[Any] = object.__new__

#: Fills one slot of a frozen value past its `__init__`, which would take as long as parsing the bytes.
_Put = Callable[[Any, Any], None]
#: One field to write: its name, its key in CBOR, how to pack it, whether it is optional.
_Write = tuple[str, bytes, Callable[[Any], bytes], bool]
#: One field to read: its key, its name, how to fill and how to load it, whether it is optional.
_Read = tuple[int, str, _Put, Callable[[Any], Any], bool]


def _put(cls: type, name: str) -> _Put:
    setter: _Put = getattr(cls, name).__set__
    return setter


_PUT_PDU: Final = _put(Envelope, "pdu")
_ENVELOPE: Final[tuple[_Read, ...]] = (
    (VERSION, "version", _put(Envelope, "version"), _VERSION.load, False),
    (ID, "id", _put(Envelope, "id"), _UINT.load, True),
    (RE, "re", _put(Envelope, "re"), _UINT.load, True),
    (TS, "ts", _put(Envelope, "ts"), _UINT.load, True),
    (EXT, "ext", _put(Envelope, "ext"), _EXTENSIONS.load, True),
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the codec needs of one PDU in one version, worked out once."""

    name: str
    number: int
    version: int
    exists: bool
    opening: bytes
    writes: tuple[_Write, ...]
    reads: tuple[_Read, ...]
    newer: tuple[_Put, ...]
    put_extra: _Put
    keys: frozenset[int]


_PLANS: Final[dict[tuple[type[Pdu], int], _Plan]] = {}


def _plan(cls: type[Pdu], version: int) -> _Plan:
    spec = cls.SPEC
    fields = [field for field in spec.fields if field.since <= version]
    plan = _Plan(
        name=spec.name,
        number=spec.number,
        version=version,
        exists=spec.since <= version,
        opening=_VERSION_HEAD + _VERSION.pack(version) + _TYPE_HEAD + _UINT.pack(spec.number),
        writes=tuple((each.name, head(cbor.UINT, each.key), each.type.pack, each.optional) for each in fields),
        reads=tuple((each.key, each.name, _put(cls, each.name), each.type.load, each.optional) for each in fields),
        newer=tuple(_put(cls, each.name) for each in spec.fields if each.since > version),
        put_extra=_put(cls, "extra"),
        keys=frozenset(each.key for each in fields),
    )
    # Before negotiation the peer chooses the version: only ours are worth keeping.
    if version in VERSIONS:
        _PLANS[cls, version] = plan
    return plan


def encode(
    pdu: Pdu,
    *,
    version: int,
    id: int | None = None,
    re: int | None = None,
    ts: int | None = None,
    ext: Mapping[int, bytes] | None = None,
) -> bytes:
    """One CBOR map. Fields newer than `version` are left out.

    Raises LocalProtocolError(SCHEMA) for a value beyond its limit, (UNSUPPORTED) for a PDU newer than `version`.
    """
    try:
        plan = _PLANS.get((type(pdu), version)) or _plan(type(pdu), version)
        parts = [plan.opening]
        if id is not None:
            parts.append(_ID_HEAD + _UINT.pack(id))
        if re is not None:
            parts.append(_RE_HEAD + _UINT.pack(re))
        if ts is not None:
            parts.append(_TS_HEAD + _UINT.pack(ts))
        parts.append(_BODY_HEAD + _pack(pdu, plan))
        if ext:
            parts.append(_EXT_HEAD + _EXTENSIONS.pack(ext))
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(Code.SCHEMA, f"envelope of {pdu.SPEC.name}: {error}") from error
    # The opening holds two pairs.
    return head(cbor.MAP, len(parts) + 1) + b"".join(parts)


def encode_body(pdu: Pdu, *, version: int) -> bytes:
    """The body map alone: what is stored, signed, hashed and embedded. Raises as `encode`."""
    return _pack(pdu, _PLANS.get((type(pdu), version)) or _plan(type(pdu), version))


def _pack(pdu: Pdu, plan: _Plan) -> bytes:
    if not plan.exists:
        raise LocalProtocolError(Code.UNSUPPORTED, f"{plan.name} does not exist in version {plan.version}")
    try:
        # No type packs a None, so a required field that is missing raises here too.
        pairs = [
            key + pack(value)
            for name, key, pack, optional in plan.writes
            if (value := getattr(pdu, name)) is not None or not optional
        ]
    except (ValueError, TypeError) as error:
        culprit = next(write[0] for write in plan.writes if not _packs(pdu, write))
        raise LocalProtocolError(Code.SCHEMA, f"{plan.name}.{culprit}: {error}") from error
    if pdu.extra:
        pairs += _pack_extra(pdu.extra, plan)
        # Of encoded unsigned integers, the smaller number is the smaller byte string.
        pairs.sort()
    if len(pairs) > MAX_PAIRS:
        raise LocalProtocolError(Code.SCHEMA, f"{plan.name}: {len(pairs)} pairs in the body")
    return head(cbor.MAP, len(pairs)) + b"".join(pairs)


def _packs(pdu: Pdu, write: _Write) -> bool:
    name, _, pack, optional = write
    value = getattr(pdu, name)
    try:
        return (value is None and optional) or bool(pack(value))
    except (ValueError, TypeError):
        return False


def _pack_extra(extra: Mapping[int, object], plan: _Plan) -> list[bytes]:
    pairs = []
    for key, value in extra.items():
        if type(key) is not int or not FIRST_EXTENSION_KEY < key <= UINT64 or key % 2 == 0 or key in plan.keys:
            raise LocalProtocolError(Code.SCHEMA, f"{plan.name}: {key!r} is no key that may be ignored")
        if not plain(value, MAX_DEPTH - 2):
            raise LocalProtocolError(Code.SCHEMA, f"{plan.name}: key {key} holds what the profile excludes")
        pairs.append(head(cbor.UINT, key) + cbor2.dumps(value))
    return pairs


def decode(data: bytes, *, version: int | None = None, registry: Registry = REGISTRY) -> Envelope:
    """The one PDU in `data`, checked against profile, schema and the negotiated `version` (None: not yet known).

    Raises RemoteProtocolError, and nothing else, with DECODE, SCHEMA or VERSION.
    """
    outer = parse(data)
    envelope: Envelope = _new(Envelope)
    known = _fill(envelope, "envelope", _ENVELOPE, outer)
    found = envelope.version
    if version is not None and found != version:
        raise RemoteProtocolError(Code.VERSION, f"version {found} where {version} was negotiated")
    number, body = outer.get(TYPE), outer.get(BODY)
    if type(number) is not int or not 0 <= number < 2**32:
        raise RemoteProtocolError(Code.SCHEMA, "the type is not an integer of 32 bits")
    if type(body) is not dict:
        raise RemoteProtocolError(Code.SCHEMA, "the body is not a map")
    if known + 2 < len(outer):
        raise RemoteProtocolError(Code.SCHEMA, f"an envelope has no key {max(outer)}")
    cls = registry.get(number)
    if cls is None or cls.SPEC.since > found:
        ignorable = number > LAST_CORE_TYPE and number % 2 == 1
        _PUT_PDU(envelope, Unknown(number, ignorable, f"type 0x{number:x}"))
    else:
        _PUT_PDU(envelope, _load(cls, body, found))
    return envelope


def decode_body(cls: type[B], data: bytes, *, version: int) -> B:
    """A body that stands alone (`encode_body`). Raises RemoteProtocolError as `decode`."""
    pdu = _load(cls, parse(data), version)
    if isinstance(pdu, Unknown):
        raise RemoteProtocolError(Code.SCHEMA, f"{pdu.what} must be understood")
    return pdu


def parse(data: bytes) -> dict[int, Any]:
    """Well-formed bytes to one map with unsigned integer keys. Raises RemoteProtocolError(DECODE)."""
    stream = io.BytesIO(data)
    try:
        item = cbor2.CBORDecoder(
            stream,
            tag_hook=_refuse_tag,
            object_hook=_check_map,
            semantic_decoders=_NO_TAGS,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        ).decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise RemoteProtocolError(Code.DECODE, f"not well-formed: {error.__cause__ or error}") from error
    if stream.tell() != len(data):
        raise RemoteProtocolError(Code.DECODE, f"{len(data) - stream.tell()} bytes behind the item")
    if type(item) is not dict:
        raise RemoteProtocolError(Code.DECODE, "the item is not a map")
    return item


def _load(cls: type[B], body: dict[int, Any], version: int) -> B | Unknown:
    plan = _PLANS.get((cls, version)) or _plan(cls, version)
    pdu: B = _new(cls)
    known = _fill(pdu, plan.name, plan.reads, body)
    for put in plan.newer:
        put(pdu, None)
    extra = _extra(body, plan) if known < len(body) else None
    if isinstance(extra, Unknown):
        return extra
    plan.put_extra(pdu, extra)
    return pdu


def _fill(target: Envelope | Pdu, name: str, reads: Iterable[_Read], items: dict[int, Any]) -> int:
    """Fill the slots of `target` with the checked items, and return how many of the items those were."""
    known = 0
    for key, field, put, load, optional in reads:
        value = items.get(key, _ABSENT)
        if value is not _ABSENT:
            try:
                put(target, load(value))
            except ValueError as error:
                raise RemoteProtocolError(Code.SCHEMA, f"{name}.{field}: {error}") from error
            known += 1
        elif optional:
            put(target, None)
        else:
            raise RemoteProtocolError(Code.SCHEMA, f"{name}.{field} is missing")
    return known


def _extra(body: dict[int, Any], plan: _Plan) -> dict[int, Any] | Unknown:
    extra = {key: value for key, value in body.items() if key not in plan.keys}
    for key, value in extra.items():
        if key < FIRST_EXTENSION_KEY:
            raise RemoteProtocolError(Code.SCHEMA, f"{plan.name} has no key {key} in version {plan.version}")
        if key % 2 == 0:
            return Unknown(plan.number, False, f"key {key} of {plan.name}")
        if not plain(value, MAX_DEPTH - 2):
            raise RemoteProtocolError(Code.DECODE, f"{plan.name}: key {key} holds what the profile excludes")
    return extra


def _check_map(item: Mapping[Any, Any], immutable: bool) -> Mapping[Any, Any]:
    """Keys and size of every map, however deep. A map inside a key is immutable, and the key refused by its own map."""
    if len(item) > MAX_PAIRS:
        raise ValueError(f"{len(item)} pairs in a map")
    for key in item:
        if type(key) is not int or key < 0:
            raise ValueError("a key is not an unsigned integer")
    return item


def _refuse_tag(*_: Any) -> NoReturn:
    raise ValueError("tags are not part of the profile")


#: cbor2 decodes some tags by itself, one of them by compiling a regular expression: all of them refuse here.
_NO_TAGS: Final = dict.fromkeys(
    (0, 1, 2, 3, 4, 5, 24, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)
