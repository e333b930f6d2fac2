"""Mutants of chapter 2: frames, CBOR, the envelope, extensions."""

from __future__ import annotations

from typing import Any

import cbor2

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol import judgement
from quicchat.wire import codec, frame
from quicchat.wire.codec import Unknown
from tests.mutants.mutant import edit, mutant, swap


def parsing(**wishes: Any) -> None:
    """Have the decoder of CBOR look less closely."""

    def make(decoder: Any) -> Any:
        return lambda stream, **given: decoder(stream, **{**given, **wishes})

    swap(codec, "cbor2", lambda module: _Loose(module, make(module.CBORDecoder)))


class _Loose:
    """cbor2 with another decoder."""

    def __init__(self, module: Any, decoder: Any) -> None:
        self.CBORDecoder = decoder
        self.CBORError = module.CBORError
        self.dumps = module.dumps


@mutant("2.2-1/duplicate-keys", "2.2-1/W9-*", "2.5-6/W9-*")
def duplicates() -> None:
    """Of a key that comes twice the last value counts."""
    parsing(allow_duplicate_keys=True)


@mutant("2.2-1/indefinite", "2.2-1/W10-*", "2.5-6/W10-*")
def indefinite() -> None:
    """Indefinite lengths are taken."""
    parsing(allow_indefinite=True)


@mutant("2.2-1/deep", "2.2-1/one-level-too-deep")
def deep() -> None:
    """Arrays and maps nest ten times as deep."""
    parsing(max_depth=160)
    edit(codec._extra, ("MAX_DEPTH - 2", "160"))


@mutant("2.2-1/tags", "2.5-6/W14-*")
def tags() -> None:
    """Tags are taken off what they are put on."""
    parsing(
        tag_hook=lambda tag, *_: tag.value,
        semantic_decoders=dict.fromkeys(codec._NO_TAGS, lambda value, *_: value),
    )


@mutant("2.2-1/bytes-behind", "2.2-1/W8-*")
def bytes_behind() -> None:
    """What stands behind the item is ignored."""
    swap(
        codec,
        "parse",
        lambda parse: lambda data: parse(data[: len(cbor2.dumps(_first(data)))]) if _first(data) else parse(data),
    )


def _first(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError):
        return None


@mutant("2.3-2/any-envelope-key", "2.3-2/unknown-key-*")
def envelope_key() -> None:
    """Keys that an envelope has not are ignored."""
    swap(codec, "parse", lambda parse: lambda data: _of_an_envelope(parse(data)))


def _of_an_envelope(item: dict[int, Any]) -> dict[int, Any]:
    """Without the keys that an envelope has not, if it is one."""
    return {key: value for key, value in item.items() if key < 7 or codec.BODY not in item}


@mutant("2.3-1/any-version", "2.3-1/S8-*", "2.3-1/lower-version-was-chosen", "2.3-1/on-a-query-stream", "3.1-11/*")
def any_version() -> None:
    """A PDU of another version than the one that was negotiated is served."""
    from quicchat.protocol import connection

    swap(connection, "codec", lambda module: _AnyVersion(module))


class _AnyVersion:
    """The codec, but for what it is told of the negotiation."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def decode(self, data: bytes, *, version: int | None = None) -> Any:
        return self._module.decode(data)


@mutant("2.5-1/unknown-odd-types-refused")
def odd_types() -> None:
    """A PDU of an unknown odd type is refused."""

    def make(judge: Any) -> Any:
        def found(pdu: Any, **rest: Any) -> Any:
            if isinstance(pdu, Unknown) and pdu.ignorable:
                return judgement.Misplaced(Code.UNSUPPORTED, pdu.what)
            return judge(pdu, **rest)

        return found

    swap(judgement, "judge", make)


@mutant("2.5-2/unknown-even-types-ignored")
def even_types() -> None:
    """A PDU of an unknown even type is ignored."""

    def make(judge: Any) -> Any:
        return lambda pdu, **rest: judgement.Ignored() if isinstance(pdu, Unknown) else judge(pdu, **rest)

    swap(judgement, "judge", make)


@mutant("2.5-5/keys-below-32-ignored")
def low_keys() -> None:
    """Keys below 32 that the version does not define are ignored."""

    def make(extra: Any) -> Any:
        return lambda body, plan: extra({k: v for k, v in body.items() if k in plan.keys or k >= 32}, plan)

    swap(codec, "_extra", make)


@mutant("2.5-4/even-keys-ignored")
def even_keys() -> None:
    """Even extension keys are ignored."""

    def make(extra: Any) -> Any:
        return lambda body, plan: extra({k: v for k, v in body.items() if k < 32 or k % 2}, plan)

    swap(codec, "_extra", make)


@mutant("2.5-3/odd-keys-refused", "2.5-3/W23-odd-keys-are-ignored", "2.5-3/W23-odd-keys-in-*", "2.5-3/*-relayed")
def odd_keys() -> None:
    """Odd extension keys are refused."""

    def make(extra: Any) -> Any:
        def found(body: Any, plan: Any) -> Any:
            if any(key >= 32 for key in body):
                raise RemoteProtocolError(Code.SCHEMA, "an extension")
            return extra(body, plan)

        return found

    swap(codec, "_extra", make)


@mutant("2.5-3/odd-keys-lost", "2.5-3/*-relayed")
def lost_keys() -> None:
    """Odd extension keys are not passed on."""
    swap(codec, "_extra", lambda extra: lambda body, plan: _or_nothing(extra(body, plan)))


def _or_nothing(found: Any) -> Any:
    return found if isinstance(found, Unknown) else None


@mutant("2.1-3/no-limit", "2.1-3/W*", "2.1-3/in-*", "2.1-3/limit-and-1-*", "2.1-3/before-*", "2.1-3/on-*")
def no_limit() -> None:
    """Frames may be as long as they like."""

    def make(cut: Any) -> Any:
        def found(self: frame.FrameReader, at: int) -> tuple[int, int]:
            self.limit = 1 << 62
            cut_at: tuple[int, int] = cut(self, at)
            return cut_at

        return found

    swap(frame.FrameReader, "_frame", make)
