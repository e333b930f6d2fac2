"""The wire vocabulary: a PDU is a frozen dataclass under `@pdu`, and all else comes from it. (spec 02-framing)

    @pdu(0x22, "ROOM_LEAVE", by=CLIENT, via=CONTROL, section="5.3", since=2)
    class Leave(Pdu):
        room: Room = key(1, ROOM, "the room to leave")

From such a class come the codec and its limits, the CDDL, the tables and diagrams of the spec, the golden
vectors, the fuzz strategies and the conformance cases. Nothing about a PDU is written down twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from enum import Enum, Flag, auto
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform

from quicchat.values import dataclass
from quicchat.wire.types import Type

VERSIONS: Final = (1, 2)
#: Types above this one and body keys from FIRST_EXTENSION_KEY up: odd may be ignored, even must be understood.
LAST_CORE_TYPE: Final = 127
FIRST_EXTENSION_KEY: Final = 32


class Role(Enum):
    """The two ends of a connection."""

    CLIENT = "client"
    SERVER = "server"

    # Compared by identity: Enum's own hash is a Python call on every look-up.
    __hash__ = object.__hash__

    @property
    def peer(self) -> Role:
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class Via(Flag):
    """Where a PDU may travel."""

    CONTROL = auto()
    ROOM = auto()
    QUERY = auto()
    FILE = auto()
    DATAGRAM = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One body field: its integer key, its type and limit, and the version that brought it."""

    name: str
    key: int
    type: Type
    doc: str
    since: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Spec:
    """What the registry knows of one PDU."""

    number: int
    name: str
    by: frozenset[Role]
    via: Via
    section: str
    since: int
    outcomes: tuple[str, ...]
    replay_safe: bool
    doc: str
    fields: tuple[Field, ...]
    by_key: Mapping[int, Field]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdu:
    """Root of all PDUs. `extra` holds the unknown odd body keys that came with it, for whoever relays it."""

    SPEC: ClassVar[Spec]
    extra: Mapping[int, object] | None = None


P = TypeVar("P", bound=type[Pdu])


_REQUIRED: Final[Any] = object()


def key(number: int, type: Type, doc: str, *, since: int = 1, default: Any = _REQUIRED) -> Any:
    """A body field under integer key `number`; one with `default=None` is optional, and None when absent."""
    required = default is _REQUIRED
    if not required and default is not None:
        raise ValueError(f"key {number}: the codec takes None for absent, so no other default can be told from it")
    facts = {"key": number, "type": type, "doc": doc, "since": since, "optional": not required}
    return field(metadata=facts) if required else field(default=default, metadata=facts)


class Registry:
    """The PDUs of a vocabulary by number, in numeric order."""

    def __init__(self) -> None:
        self._by_number: dict[int, type[Pdu]] = {}

    def add(self, cls: type[Pdu]) -> None:
        """Raises ValueError for a number or name that is taken."""
        spec = cls.SPEC
        for other in self:
            if spec.number == other.SPEC.number or spec.name == other.SPEC.name:
                raise ValueError(f"{spec.name} 0x{spec.number:02x} clashes with {other.SPEC.name}")
        self._by_number[spec.number] = cls

    def remove(self, cls: type[Pdu]) -> None:
        """Take a PDU out again: for tests that add one of their own."""
        del self._by_number[cls.SPEC.number]

    def get(self, number: int) -> type[Pdu] | None:
        return self._by_number.get(number)

    def __iter__(self) -> Iterator[type[Pdu]]:
        return iter([self._by_number[number] for number in sorted(self._by_number)])

    def sent_by(self, role: Role) -> list[type[Pdu]]:
        """The PDUs that `role` may send, in numeric order."""
        return [cls for cls in self if role in cls.SPEC.by]


REGISTRY: Final = Registry()

CLIENT: Final = frozenset({Role.CLIENT})
SERVER: Final = frozenset({Role.SERVER})
BOTH: Final = CLIENT | SERVER


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key,))
def pdu(
    number: int,
    name: str,
    *,
    by: frozenset[Role],
    via: Via,
    section: str,
    since: int = 1,
    outcome: tuple[str, ...] = (),
    replay_safe: bool = False,
) -> Callable[[P], P]:
    """Make a class a PDU and enter it into the registry.

    A PDU with `outcome` moves the automaton in more than one way: its class then has a property `outcome`
    that gives one of these words.
    """

    def enter(cls: P) -> P:
        made = _made(cls, Spec(number, name, by, via, section, since, outcome, replay_safe, "", (), {}))
        REGISTRY.add(made)
        return made

    return enter


#: The records of the vocabulary, in the order of their definition: maps that travel as byte strings inside PDUs.
RECORDS: Final[list[type[Pdu]]] = []


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key,))
def record(name: str, *, section: str) -> Callable[[P], P]:
    """Make a class a record: with fields like a PDU's, for `codec.encode_body`, but with no number of its own.

    One without a section never leaves the device, and does not belong to the vocabulary.
    """

    def enter(cls: P) -> P:
        made = _made(cls, Spec(0, name, frozenset(), Via(0), section, 2, (), False, "", (), {}))
        if section:
            RECORDS.append(made)
        return made

    return enter


def _made(cls: P, bare: Spec) -> P:
    """The class with its fields, as a value."""
    made: P = dataclass(frozen=True, slots=True, kw_only=True)(cls)  # type: ignore[assignment]  # it is the class it was
    fields = tuple(
        Field(name=item.name, **item.metadata) for item in dataclasses.fields(made) if "key" in item.metadata
    )
    fields = tuple(sorted(fields, key=lambda each: each.key))
    by_key = {each.key: each for each in fields}
    if len(by_key) != len(fields):
        raise ValueError(f"{bare.name}: a body key is used twice")
    if bool(bare.outcomes) != hasattr(made, "outcome"):
        raise ValueError(f"{bare.name}: outcome words and the property `outcome` go together")
    if hasattr(made, "__post_init__"):
        raise ValueError(f"{bare.name}: the codec does not run __post_init__; what it checks belongs in a field type")
    made.SPEC = dataclasses.replace(bare, doc=(cls.__doc__ or "").strip(), fields=fields, by_key=by_key)
    return made
