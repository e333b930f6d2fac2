"""The tables of the specification: PDUs and their fields, error codes, limits, states. (spec README)"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final

from quicchat.errors import MEANINGS, Code
from quicchat.protocol import closing, conduct
from quicchat.protocol.limits import Limits
from quicchat.server import downloads, feed, model, requests, transfers, uploads
from quicchat.server.services import accounts
from quicchat.values import dataclass
from quicchat.wire import codec, frame
from quicchat.wire.chapters.session import Limit
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CONNECTION, Chapter
from quicchat.wire.registry import RECORDS, REGISTRY, Field, Pdu, Registry, Role, Spec
from quicchat.wire.states import State
from quicchat.wire.types import MAX_PAIRS, Array, Choice, Tuple, Type, UintMap

NOTICE: Final = "<!-- Generated from the code; do not edit. -->\n"
_ANSWERED: Final = re.compile(r"answered (?:at once )?by ([A-Z_]+)")

#: What each limit of `Limits` is for, and its unit.
_LIMITS: Final = {
    "frame": ("bytes", "one frame, without its length"),
    "text": ("bytes", "the text of one message"),
    "room_streams": ("streams", "room streams open at a time"),
    "pipeline": ("requests", "requests served at a time; more wait"),
    "page": ("events", "one page of a log"),
    "ping": ("s", "between two PINGs"),
    "pong": ("s", "from PING to a sign of life"),
    "silence": ("s", "without a sign of life from the peer"),
    "negotiation": ("s", "from the start to VERSION_RESPONSE"),
    "login": ("s", "from VERSION_RESPONSE to AUTH_OK"),
    "partial": ("s", "from the first byte of a frame to its last, and from the start of a stream to its first frame"),
    "linger": ("s", "from a fatal ERROR to the close, while it is not acknowledged"),
    "before_login": ("bytes", "on all streams together, client to server, before AUTH_OK"),
    "streams_before_login": ("streams", "open at a time before AUTH_OK"),
    "streams": ("streams", "open at a time"),
    "misuses": ("PDUs", "refused with STATE, UNSUPPORTED or STREAM_MISUSE on one connection"),
}

#: Limits that no end can change: name, value, unit, what for.
_FIXED: Final = (
    ("frame (hard)", frame.HARD_LIMIT, "bytes", "one frame, whatever was agreed"),
    ("datagram", codec.MAX_DATAGRAM, "bytes", "one datagram"),
    ("flood", conduct.FLOOD, "datagrams", "dropped within one second"),
    ("drain", int(closing.DRAIN), "s", "from BYE or GOAWAY to the close"),
    ("depth", codec.MAX_DEPTH, "levels", "nested arrays and maps in one PDU, the outermost map included"),
    ("pairs", MAX_PAIRS, "pairs", "in one map"),
    ("ephemera", feed.BUDGET // 4, "bytes", "unacknowledged by a client, beyond which ephemera are dropped"),
    ("budget", feed.BUDGET, "bytes", "unacknowledged by a client, beyond which messages are not pushed"),
    ("held", requests.HELD, "bytes", "of requests of one client that are served or wait"),
    ("presence", model.PRESENCE_ROOM, "members", "of a room whose members hear of each other's presence"),
    ("rooms", model.ROOMS_EACH, "rooms", "that one user may be a member of"),
    ("transfers", transfers.MOST, "transfers", "of one session at a time"),
    ("transfers of a user", transfers.EACH, "transfers", "of all sessions of one user at a time"),
    ("chunks", transfers.CHUNKS, "bytes", "of one chunk of each upload of a session together"),
    ("credit", model.FIRST_CREDIT, "bytes", "that a stream of an upload may carry before its first FILE_ACK"),
    ("window", uploads.WINDOW, "bytes", "that a stream of an upload may carry beyond what was taken of it"),
    ("lent", uploads.LENT, "bytes", "of all windows of a session together, beyond the first credit of each"),
    ("stall", int(uploads.STALL), "s", "without a byte on a stream of an upload"),
    ("ahead", downloads.AHEAD, "bytes", "of a file that wait to be sent, on a stream or in datagrams"),
    ("pause", int(downloads.PAUSE), "s", "in which the client of a download lets nothing more come"),
    ("unread", downloads.UNREAD, "bytes", "of a file unacknowledged by a client, on one stream"),
    ("unread in all", downloads.UNREAD_IN_ALL, "bytes", "of files unacknowledged by a client, on all streams"),
    ("tries", accounts.TRIES, "proofs", "that may fail on one connection"),
)


def answer(spec: Spec) -> str:
    """The name of the PDU that answers this one, as its docstring says; empty where nothing does."""
    found = _ANSWERED.search(" ".join(spec.doc.split()))
    return found[1] if found else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def chapter(of: Chapter, registry: Registry = REGISTRY) -> str:
    """One chapter: its PDUs, then the fields of each. Raises ValueError for an answer that does not exist."""
    pdus = pdus_of(of, registry)
    names = {cls.SPEC.name for cls in registry}
    for cls in pdus:
        if answer(cls.SPEC) and answer(cls.SPEC) not in names:
            raise ValueError(f"{cls.SPEC.name} is answered by {answer(cls.SPEC)}, which is no PDU")
    sections = [_section(cls.SPEC) for cls in pdus]
    return "\n".join([NOTICE, f"# PDUs of the chapter `{short_name(of)}`\n", _pdus(pdus), *sections])


def pdus_of(of: Chapter, registry: Registry = REGISTRY) -> list[type[Pdu]]:
    """The PDUs that a chapter defines, in numeric order."""
    return [cls for cls in registry if cls.__module__ == of.__name__]


def short_name(of: Chapter) -> str:
    """`rooms` for `quicchat.wire.chapters.rooms`."""
    return of.__name__.rpartition(".")[2]


def records() -> str:
    """The maps that travel as byte strings."""
    sections = [f"## {cls.SPEC.name}\n\n{_about(cls.SPEC)}" for cls in RECORDS]
    return "\n".join([NOTICE, "# Records: maps that travel as byte strings\n", *sections])


def all_pdus(registry: Registry = REGISTRY) -> str:
    """All PDUs by number."""
    return "\n".join([NOTICE, "# All PDUs\n", _pdus(list(registry))])


def errors() -> str:
    """All error codes and what each tells the peer."""

    def yes(value: bool) -> str:
        return "yes" if value else ""

    rows = [
        (
            f"0x{int(code):x}",
            code.name,
            yes(meaning.fatal),
            yes(meaning.temporary),
            yes(meaning.reconnect),
            meaning.text,
        )
        for code, meaning in ((code, MEANINGS[code]) for code in Code)
    ]
    head = ("code", "name", "fatal", "temporary", "reconnecting helps", "text")
    return "\n".join([NOTICE, "# Error codes\n", table(head, rows)])


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit; `key` and `least` of those that are negotiated, whose values are what travels."""

    name: str
    value: int
    unit: str
    meaning: str
    key: int | None = None
    least: int | None = None


def bounds() -> tuple[list[Bound], list[Bound], list[Bound]]:
    """The limits: negotiated ones, those of each end, and those that are part of the protocol."""
    defaults, least = Limits(), Limits().agree({int(limit): 0 for limit in Limit})
    negotiated, own = [], []
    for field in dataclasses.fields(Limits):
        unit, meaning = _LIMITS[field.name]
        value = getattr(defaults, field.name)
        if field.name.upper() in Limit.__members__:
            scale = 1000 if unit == "s" else 1
            values = [int(each * scale) for each in (value, getattr(least, field.name))]
            key = int(Limit[field.name.upper()])
            shown = "ms" if unit == "s" else unit
            negotiated.append(Bound(field.name, values[0], shown, meaning, key, values[1]))
        else:
            own.append(Bound(field.name, int(value), unit, meaning))
    return negotiated, own, [Bound(*each) for each in _FIXED]


def limits() -> str:
    """The three kinds of limits, a table each."""
    negotiated, own, fixed = bounds()
    return "\n".join(
        [
            NOTICE,
            "# Limits\n",
            "## Negotiated: keys of the `limits` maps\n",
            table(
                ("key", "limit", "default", "least", "unit", "of what"),
                [(f"{one.key}", one.name, f"{one.value}", f"{one.least}", one.unit, one.meaning) for one in negotiated],
            ),
            "## Of each end\n",
            table(("limit", "default", "unit", "of what"), _rows(own)),
            "## Fixed\n",
            table(("limit", "value", "unit", "of what"), _rows(fixed)),
        ]
    )


def _rows(bounds: Iterable[Bound]) -> list[tuple[str, str, str, str]]:
    return [(one.name, str(one.value), one.unit, one.meaning) for one in bounds]


def states(machine: Machine[State] = CONNECTION) -> str:
    """The automaton as a table: where a PDU leads, by who sends it."""
    rows = [
        (state.name, role.value, ", ".join(letters), to.name)
        for state in machine.states
        for role in Role
        for to, letters in _by_target(machine, state, role)
    ]
    return "\n".join([NOTICE, "# States of a connection\n", table(("state", "sent by", "PDU", "next state"), rows)])


def _by_target(machine: Machine[State], state: State, role: Role) -> Iterator[tuple[State, list[str]]]:
    for to in machine.states:
        letters = [str(row.letter) for row in machine.rows if (row.state, row.by, row.to) == (state, role, to)]
        if letters:
            yield to, letters


def _pdus(pdus: Iterable[type[Pdu]]) -> str:
    rows = [
        (
            f"0x{spec.number:02x}",
            spec.name,
            " and ".join(sorted(role.value for role in spec.by)),
            ", ".join((via.name or "").lower() for via in spec.via),
            str(spec.since),
            answer(spec),
            "yes" if spec.replay_safe else "",
            spec.section,
        )
        for spec in (cls.SPEC for cls in pdus)
    ]
    return table(("type", "PDU", "sent by", "on", "since", "answered by", "replay-safe", "section"), rows)


def chosen(type: Type) -> Iterator[type[IntEnum]]:
    """The sets of values in a type, those of its items included."""
    match type:
        case Choice(of):
            yield of
        case Array(of, _) | UintMap(of, _):
            yield from chosen(of)
        case Tuple(of):
            for item in of:
                yield from chosen(item)


def link(field: Field) -> str:
    """Where the names of a field's values stand; empty for a field that takes others."""
    return "".join(
        f" ([{of.__name__}](registries.md#{of.__name__.lower()}))" for of in dict.fromkeys(chosen(field.type))
    )


def _section(spec: Spec) -> str:
    return f"## {spec.name} (0x{spec.number:02x})\n\n{_about(spec)}"


def _about(spec: Spec) -> str:
    rows = [
        (
            str(field.key),
            field.name,
            f"`{field.type.cddl()}`",
            "optional" if field.optional else "",
            str(max(field.since, spec.since)),
            field.doc + link(field),
        )
        for field in spec.fields
    ]
    body = table(("key", "field", "type", "", "since", "meaning"), rows) if rows else "The body is empty.\n"
    return f"{' '.join(spec.doc.split())}\n\n{body}"
