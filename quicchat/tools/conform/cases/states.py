"""Every state and every PDU as cases, made from the rows of the book. (spec 10-states)"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from quicchat.tools.conform import instances, scram
from quicchat.tools.conform.bench import RESUME, Bench
from quicchat.tools.conform.book import Book, Kind, book, write
from quicchat.tools.conform.case import Case, Run
from quicchat.tools.conform.crowd import Part, Place, crowds
from quicchat.tools.conform.ear import DATAGRAM
from quicchat.tools.conform.quic import LEAN
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, Unimplemented, WrongCode
from quicchat.values import dataclass

#: Where a request that is not allowed is refused; before, it ends the connection (10.1-2).
FORGIVING: Final = ("READY", "DRAINING")
#: What no server can send to whoever has neither a token nor a password, and what it does not send of its own accord.
_NEVER: Final = ("RESUMED", "AUTH_OK", "GOAWAY", "BYE")
#: States that only version 2 has.
_RESUMPTION: Final = ("EARLY", "RESUMING")
#: Codes that say that there is no place for a PDU.
_MISPLACED: Final = ("STATE", "UNSUPPORTED", "STREAM_MISUSE")
#: How long the close of an end may take that need not close, in seconds.
_LEAVE: Final = 1.0
_LOGIN: Final = frozenset({"login"})


@dataclass(frozen=True, slots=True)
class Cell:
    """The client says one letter in one state; `to` is None where there is no row for it."""

    state: str
    kind: Kind
    outcome: str | None
    to: str | None

    @property
    def letter(self) -> str:
        return self.kind.name if self.outcome is None else f"{self.kind.name}[{self.outcome}]"

    @property
    def is_ours(self) -> bool:
        """Whether a client ever sends this."""
        return "client" in self.kind.by

    @property
    def is_last(self) -> bool:
        """Whether the connection ends by it, though it is legal."""
        return self.to in ("DRAINING", "CLOSED") and self.state != self.to

    @property
    def since(self) -> int:
        return max(self.kind.since, 2 if self.state in _RESUMPTION else 1)

    @property
    def verb(self) -> str:
        """What a server does about it."""
        # A client leads into these only by a last word, and nobody listens to what comes after one (3.5-1, 10.1-4).
        if self.state in ("DRAINING", "CLOSED"):
            return "ignored"
        # It may overtake the stream that negotiates (3.7-2).
        if self.to is not None or (self.state == "START" and self.kind.name == "STREAM_OPEN"):
            return "accepted"
        return "refused" if self.is_ours and self.state in FORGIVING else "fatal"

    @property
    def sentence(self) -> str:
        match self.verb:
            case "ignored":
                return "3.5-1" if self.state == "DRAINING" else "10.1-4"
            case "accepted":
                return "10.1-1" if self.to is not None else "3.7-2"
        return "10.1-2" if self.is_ours else "10.1-3"

    @property
    def name(self) -> str:
        return f"{self.state}.{self.letter}.{self.verb}"


def cells(of: Book) -> Iterator[Cell]:
    """Every state times every letter."""
    rows = {(row.state, row.pdu, row.outcome): row.to for row in of.rows if row.by == "client"}
    for state in of.states:
        for kind in of.kinds.values():
            for outcome in kind.outcomes or (None,):
                yield Cell(state, kind, outcome, rows.get((state, kind.name, outcome)))


def cases(of: Book | None = None) -> list[Case]:
    """A case for each cell, and for each PDU that version 1 does not know."""
    of = of or book()
    found = list(cells(of))
    made = [Case(cell.sentence, cell.name, run, cell.since, needs(cell)) for cell in found if (run := single(of, cell))]
    for state, place in PLACES.items():
        shared = [cell for cell in found if cell.state == state and is_shared(cell)]
        made += crowds(place, [part(cell) for cell in shared])
    newer = [kind for kind in of.kinds.values() if kind.since > 1]
    return made + crowds(VERSION_1, [unknown(kind) for kind in newer])


def needs(cell: Cell) -> frozenset[str]:
    """The features without which a cell cannot be played."""
    return _LOGIN if cell.state in FORGIVING else frozenset()


def is_shared(cell: Cell) -> bool:
    """Whether the connection goes on after it, or was over before."""
    return cell.verb in ("ignored", "refused") or (
        cell.state == "READY" and cell.verb == "accepted" and not cell.is_last
    )


def single(of: Book, cell: Cell) -> Run | None:
    """How a cell is played that has a connection of its own."""
    if is_shared(cell):
        return None
    if cell.verb == "fatal":
        later = [state for state in becoming(of, cell.state) if legal(of, state, cell)]
        return partial(_fatal, cell=cell, is_strict=not later)
    if cell.state == "START" and cell.kind.name == "STREAM_OPEN":
        return _overtaking
    return partial(_last if cell.is_last else _accepted, cell=cell)


def becoming(of: Book, state: str) -> set[str]:
    """Where a server may have gone from here by itself before it hears the next word, however fast that comes."""
    found = {state}
    while more := {
        row.to
        for row in of.rows
        if row.by == "server" and row.state in found and row.to not in found and row.to != "CLOSED"
        if row.pdu not in _NEVER
    }:
        found |= more
    return found - {state}


def legal(of: Book, state: str, cell: Cell) -> bool:
    return any(
        (row.state, row.by, row.pdu, row.outcome) == (state, "client", cell.kind.name, cell.outcome) for row in of.rows
    )


# Saying


@dataclass(frozen=True, slots=True)
class Said:
    """A PDU that was said: the stream, and its request id."""

    cell: Cell
    sid: int
    number: int


def say(bench: Bench, talk: Talk, cell: Cell) -> Said:
    """Say a letter, where it belongs if it has a place here, on control otherwise."""
    kind, number = cell.kind, talk.next_id()
    at_home = cell.state in FORGIVING and cell.to is not None
    version = bench.target.version if cell.state == "START" and kind.name != "VERSION_REQUEST" else talk.version
    fields = spelled(bench, talk, cell, version)
    if at_home and "datagram" in kind.on:
        talk.whisper_bytes(write(kind.name, fields, version=version))
        return Said(cell, DATAGRAM, number)
    sid = _stream(talk, kind) if at_home else talk.control
    talk.put(kind.name, fields, sid=sid, id=number, version=version)
    return Said(cell, sid, number)


def _stream(talk: Talk, kind: Kind) -> int:
    if "control" in kind.on:
        return talk.control
    if kind.name == "STREAM_OPEN":
        return talk.open()
    return talk.open(2 if "query" in kind.on else 3)


def spelled(bench: Bench, talk: Talk, cell: Cell, version: int) -> dict[str, Any]:
    """The fields of a letter, such that a server can make sense of it and nothing lasts."""
    fields = instances.minimal(cell.kind, version)
    name = bench.target.name()
    match cell.letter:
        case "VERSION_REQUEST":
            return {**fields, "versions": [bench.target.version], "device": talk.device}
        case "VERSION_RESPONSE[accepted]":
            return {**fields, "version": version, "versions": [version]}
        case "ERROR[fatal]":
            return {**fields, "fatal": True}
        case "AUTH_START":
            return {**fields, "mechanism": "SCRAM-SHA-256", "user": name, "data": scram.first(name, os.urandom(18))}
        case "RESUME":
            return {**fields, **RESUME}
    texts = {"room": name, "user": name}
    return {**fields, **{each: text for each, text in texts.items() if each in fields}}


# Judging


async def _fatal(bench: Bench, *, cell: Cell, is_strict: bool) -> None:
    bench.wishes = LEAN
    talk = await bench.at(cell.state)
    say(bench, talk, cell)
    if cell.state == "START":
        await ended(talk, "STATE")
    elif is_strict:
        await talk.fatal("STATE")
    else:
        await _fatal_or_later(talk)


async def ended(talk: Talk, *codes: str) -> None:
    """The connection ends with one of these codes; where there is no control stream, no ERROR is due (3.3-1)."""
    await talk.closing()
    closed = talk.line.closed
    if closed is None:
        raise Failed("an ERROR that is fatal came, but no close")
    if not closed.by_application or book().code(closed.code) not in codes:
        raise WrongCode(f"closed with {talk.ear.end()}, not with {' or '.join(codes)}")


async def _fatal_or_later(talk: Talk) -> None:
    """Fatal, unless the server has gone on to where this is legal, which nobody can keep it from."""
    try:
        await talk.closing()
    except Failed:
        return
    await ended(talk, "STATE", "NO_ERROR")


async def _accepted(bench: Bench, *, cell: Cell) -> None:
    bench.wishes = LEAN
    talk = await bench.at(cell.state)
    said = say(bench, talk, cell)
    if cell.kind.answer is None:
        await talk.barrier()
    await _judge_accepted(talk, said)


async def _last(bench: Bench, *, cell: Cell) -> None:
    bench.wishes = LEAN
    talk = await bench.at(cell.state)
    say(bench, talk, cell)
    if cell.kind.name == "BYE":
        await ended(talk, "NO_ERROR")
        return
    # Who was told of the end need not say anything, not even a close.
    await talk.ear.quietly(lambda: talk.line.closed, _LEAVE)
    if talk.all("ERROR"):
        raise Failed("an ERROR that is fatal was answered with an ERROR")


async def _overtaking(bench: Bench) -> None:
    talk = await bench.dial()
    sid = talk.line.open()
    talk.say("STREAM_OPEN", sid=sid, version=bench.target.version, kind=2)
    await talk.negotiate()
    await talk.barrier()
    if sid in talk.given_up:
        raise Failed("a stream was given up because it was opened before the negotiation")


async def _judge_accepted(talk: Talk, said: Said) -> None:
    wanted = said.cell.kind.answer

    def look() -> object | None:
        return talk.ear.find(lambda each: each.pdu.re == said.number) or talk.given_up.get(said.sid)

    if wanted is not None:
        await talk.until(look, f"an answer to {said.cell.letter}")
    if book().code(talk.given_up.get(said.sid)) in _MISPLACED:
        raise Failed(f"{said.cell.letter} has its place here, and its stream was given up")
    found = talk.ear.find(lambda each: each.pdu.re == said.number)
    if found is None:
        return
    if found.pdu.name == "ERROR" and (found["fatal"] or book().code(found["code"]) in _MISPLACED):
        raise Failed(f"{said.cell.letter} has its place here, and was refused with {book().code(found['code'])}")
    if wanted is not None and found.pdu.name not in (wanted, "ERROR"):
        raise Failed(f"{said.cell.letter} was answered by {found.pdu.name}, not by {wanted}")


async def _judge_refused(talk: Talk, said: Said) -> None:
    talk.check_refusal(await talk.answer(said.number), "STATE")


async def _judge_ignored(talk: Talk, said: Said) -> None:
    found = talk.ear.find(lambda each: each.pdu.re == said.number)
    if found is not None:
        raise Failed(f"{said.cell.letter} came after the last word, and was answered by {found.pdu.name}")
    closed = talk.line.closed
    if said.cell.state == "DRAINING" and closed is not None and book().code(closed.code) != "NO_ERROR":
        raise Failed(f"after BYE and {said.cell.letter} the close was {talk.ear.end()}")


def part(cell: Cell) -> Part:
    """A cell that shares its connection."""
    judges = {"refused": _judge_refused, "accepted": _judge_accepted, "ignored": _judge_ignored}
    return Part(cell.sentence, cell.name, cell.since, partial(_say_part, cell=cell), judges[cell.verb])


def _say_part(bench: Bench, talk: Talk, *, cell: Cell) -> Said:
    return say(bench, talk, cell)


async def _gone(bench: Bench) -> Talk:
    talk = await bench.negotiated()
    talk.say("ERROR", code=book().codes["NO_ERROR"], fatal=True)
    return talk


async def _left(talk: Talk) -> None:
    await talk.ear.quietly(lambda: talk.line.closed, _LEAVE)


#: Where cells meet; what is said in the last two goes out with the last word.
PLACES: Final = {
    "READY": Place(lambda bench: bench.at("READY"), Talk.barrier, _LOGIN),
    "DRAINING": Place(lambda bench: bench.at("DRAINING"), Talk.closing, _LOGIN),
    "CLOSED": Place(_gone, _left, frozenset()),
}


# What version 1 does not know


def unknown(kind: Kind) -> Part:
    """A PDU of a later version is one of unknown type."""

    def said(bench: Bench, talk: Talk) -> int:
        number = talk.next_id()
        talk.put(kind.name, instances.minimal(kind, kind.since), id=number, version=1)
        return number

    async def judge(talk: Talk, number: int) -> None:
        talk.check_refusal(await talk.answer(number), "UNSUPPORTED")

    return Part("1.2-2", f"READY.{kind.name}.in-version-1", kind.since, said, judge)


async def _classic(bench: Bench) -> Talk:
    if 1 not in bench.target.versions:
        raise Unimplemented("version 1 is not spoken")
    return await bench.ready(0, 1)


VERSION_1: Final = Place(_classic, Talk.barrier, _LOGIN)
