"""Every field of every PDU that a client sends, with what it must not hold and with what it may. (spec 02-framing)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from quicchat.tools.conform import instances
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import Book, Kind, annotated, book, write
from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases.states import ended
from quicchat.tools.conform.cbor import Raw
from quicchat.tools.conform.crowd import Part, Place, crowds
from quicchat.tools.conform.quic import LEAN
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed
from quicchat.values import dataclass

#: Bytes of a field with which a PDU is sure to fit what may come before the login.
_SMALL: Final = 12_000
_LOGIN: Final = frozenset({"login"})
#: The version that brought streams beside control.
_STREAMS: Final = 2
#: To `book.write` a None is a field that is left out.
_NULL: Final = Raw(b"\xf6")
#: What only asks, and so is tried where it belongs. Everything else is said where it has no place, so that nothing
#: comes of it: form is judged before place (2.4-4).
_ASKS: Final = frozenset(
    (
        *("PING", "PONG", "ECHO", "SESSIONS", "ROOM_LIST", "MEMBERS", "RECEIPTS", "HISTORY", "SEARCH", "TARGETS"),
        *("FILE_LIST", "KEY_GET", "KEY_RESTORE"),
    )
)


@dataclass(frozen=True, slots=True)
class Body:
    """A PDU with one field that is of interest; `fields` are all of it. `since` is the version that it is said in.

    One that is `spare` tries what others try of the same field, too.
    """

    kind: Kind
    name: str
    sentence: str
    fields: Mapping[str, Any]
    since: int
    spare: bool = False

    @property
    def is_datagram(self) -> bool:
        return self.kind.on == {"datagram"}

    @property
    def is_small(self) -> bool:
        return instances.size(list(self.fields.values())) < _SMALL


def wrong(of: Book) -> Iterator[Body]:
    """Bodies that everybody must refuse: a field missing, of another kind, beyond a limit, or too new."""
    latest = max(of.versions)
    for kind in of.sent_by("client"):
        good = instances.minimal(kind, latest)
        for field in kind.fields:
            since = max(kind.since, field.since)
            if not field.optional:
                yield Body(kind, f"{kind.name}.{field.name}.missing", "2.4-1", {**good, field.name: None}, since)
            # The fields of a PDU take turns, so that together they meet every kind that is wrong.
            worth = instances.thinned(field.type, kind.number + field.key)
            for name, value in instances.wrong(field.type):
                sentence = "2.4-3" if value is None and field.optional else "2.4-1"
                bad = {**good, field.name: _NULL if value is None else value}
                yield Body(kind, f"{kind.name}.{field.name}.{name}", sentence, bad, since, spare=name not in worth)


def newer(of: Book) -> Iterator[Body]:
    """Fields in a version that has not got them."""
    for kind in of.sent_by("client"):
        for field in kind.fields:
            for version in range(kind.since, field.since):
                fields = {**instances.minimal(kind, version), field.name: instances.telling(field.type)}
                yield Body(kind, f"{kind.name}.{field.name}.in-version-{version}", "1.2-2", fields, version)


def right(of: Book) -> Iterator[Body]:
    """Bodies that nobody may refuse for their form: each field at its limits, and all fields at once."""
    latest = max(of.versions)
    for kind in of.sent_by("client"):
        good = instances.minimal(kind, latest)
        yield Body(kind, f"{kind.name}.minimal.accepted", "2.4-1", good, kind.since)
        if kind.name != "ERROR":
            yield Body(kind, f"{kind.name}.full.accepted", "2.4-1", instances.full(kind, latest), kind.since)
        for field in kind.fields:
            since = max(kind.since, field.since)
            for name, value in instances.legal(field.type):
                # What ends the connection is said elsewhere (10.1-1).
                if (kind.name, field.name, value) != ("ERROR", "fatal", True):
                    fields = {**good, field.name: value}
                    yield Body(kind, f"{kind.name}.{field.name}.{name}.accepted", "2.4-1", fields, since)


def cases(of: Book | None = None) -> list[Case]:
    """A case for each body."""
    of = of or book()
    bad, good = list(wrong(of)), list(right(of))
    first = [body for body in good if body.kind.name == "VERSION_REQUEST"]
    made = [alone(body) for body in bad if not body.is_datagram]
    made += [_case(body, partial(_refused_early, body=body, version=body.since)) for body in newer(of)]
    made += [_case(body, partial(_negotiated, body=body)) for body in first]
    made += crowds(READY, [dropped(body) for body in bad if body.is_datagram])
    return made + crowds(READY, [accepted(body) for body in good if body not in first])


def alone(body: Body) -> Case:
    """One that ends its connection."""
    if body.kind.name == "VERSION_REQUEST":
        return _case(body, partial(_refused_first, body=body))
    if body.is_small:
        return _case(body, partial(_refused_early, body=body))
    return _case(body, partial(_refused_late, body=body), needs=_LOGIN)


def _case(body: Body, run: Any, needs: frozenset[str] = frozenset()) -> Case:
    return Case(body.sentence, body.name, run, body.since, needs, thorough=body.spare)


def code(body: Body) -> str:
    """What is wrong with it: a map of too many pairs is no map of the profile (2.2), whatever it stands for."""
    pairs = book().limits["pairs"]
    return "DECODE" if any(isinstance(each, dict) and len(each) > pairs for each in body.fields.values()) else "SCHEMA"


def spoken(of: Kind, fields: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Of these fields those that the version has: a server that speaks only that one is to be asked nothing else."""
    known = {field.name for field in instances.fields(of, version)}
    return {name: value for name, value in fields.items() if name in known}


# How they are played


async def _refused_first(bench: Bench, *, body: Body) -> None:
    talk = await bench.dial(LEAN)
    good = {"versions": [bench.target.version], "device": talk.device}
    talk.put("VERSION_REQUEST", {**good, **_changed(body)}, version=1)
    await ended(talk, code(body))


async def _refused_early(bench: Bench, *, body: Body, version: int = 0) -> None:
    """Right behind VERSION_REQUEST, since form is judged before place."""
    talk = await bench.dial(LEAN)
    talk.version = version or bench.target.version
    talk.say("VERSION_REQUEST", version=1, versions=[talk.version], device=talk.device)
    fields = body.fields if version else spoken(body.kind, body.fields, talk.version)
    talk.put(body.kind.name, fields, id=talk.next_id())
    await talk.fatal(code(body))


async def _refused_late(bench: Bench, *, body: Body) -> None:
    """In READY, for what is too large to come before."""
    talk = await bench.ready()
    talk.put(body.kind.name, spoken(body.kind, body.fields, talk.version), id=talk.next_id())
    await talk.fatal(code(body))


async def _negotiated(bench: Bench, *, body: Body) -> None:
    talk = await bench.dial(LEAN)
    good = {"versions": [bench.target.version], "device": talk.device}
    talk.put("VERSION_REQUEST", {**good, **_changed(body)}, version=1)
    await talk.hear("VERSION_RESPONSE")


def _changed(body: Body) -> dict[str, Any]:
    """What differs from the smallest body."""
    least = instances.minimal(body.kind, body.since)
    return {name: value for name, value in body.fields.items() if name not in least or value != least[name]}


def dropped(body: Body) -> Part:
    """A datagram that is malformed is dropped without an answer (1.3-2)."""

    def say(bench: Bench, talk: Talk) -> None:
        talk.whisper_bytes(write(body.kind.name, body.fields, version=talk.version))

    async def judge(talk: Talk, said: None) -> None:
        if talk.line.closed is not None:
            raise Failed(f"the connection was closed ({talk.ear.end()}) for a datagram")
        if talk.all("ERROR"):
            raise Failed("a datagram was answered with ERROR")

    return Part("1.3-2", f"{body.name}.dropped", body.since, say, judge)


def accepted(body: Body) -> Part:
    """Anything may come of it, but no word about its form."""
    kind = body.kind

    def say(bench: Bench, talk: Talk) -> int:
        number = talk.next_id()
        fields = spoken(kind, body.fields, talk.version)
        if body.is_datagram:
            talk.whisper_bytes(write(kind.name, fields, version=talk.version))
        else:
            talk.put(kind.name, fields, sid=_place(talk, kind), id=number)
        return number

    async def judge(talk: Talk, number: int) -> None:
        if body.is_datagram or (is_at_home(kind) and kind.answer is None):
            # All there is to see is that the connection goes on.
            return
        found = await talk.answer(number)
        # Where fields make no sense together, one that is served may be refused with SCHEMA (9.1).
        formal = ("DECODE",) if is_at_home(kind) else ("DECODE", "SCHEMA")
        if found.pdu.name == "ERROR" and book().code(found["code"]) in formal:
            raise Failed(f"it was refused: {annotated(found.pdu.data)}")

    # Version 1 has no other stream to be wrong on.
    since = body.since if is_at_home(kind) or "control" not in kind.on else max(body.since, _STREAMS)
    return Part(body.sentence, body.name, since, say, judge)


def is_at_home(kind: Kind) -> bool:
    """Whether it is said where it belongs."""
    return kind.name in _ASKS or not _elsewhere(kind)


def _elsewhere(kind: Kind) -> list[str]:
    """Streams on which it does not belong."""
    return [stream for stream in ("control", "query", "file") if stream not in kind.on]


def _place(talk: Talk, kind: Kind) -> int:
    """The stream on which this is harmless: what changes anything goes where it does not belong (3.7-3)."""
    if is_at_home(kind) or _elsewhere(kind)[0] == "control":
        return talk.control
    return talk.open(2 if _elsewhere(kind)[0] == "query" else 3)


async def _served(talk: Talk) -> None:
    """Datagrams are not ordered with control; those from before the first answer are in by the second."""
    await talk.barrier()
    await talk.barrier()


READY: Final = Place(lambda bench: bench.ready(), _served, _LOGIN)
