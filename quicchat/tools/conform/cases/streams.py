"""Cases of chapter 3: what a stream is for, how many there may be, how it ends. (spec 03-session)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, Kind, annotated, book, frame, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import dump
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.instances import minimal
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, check
from quicchat.tools.conform.ways import FILE, QUERY, ROOM, enter

STREAMS: Final = book().limits["streams"]
BEFORE_LOGIN: Final = book().limits["streams_before_login"]
HELD: Final = book().limits["before_login"]
LARGEST: Final = book().limits["datagram"]


# 3.7 What a stream is for


def _beginning(name: str, fields: dict[str, Any]) -> None:
    @case("3.7-1", f"S14-begins-with-{name}", "login", since=2)
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        sid = talk.open()
        talk.say(name, sid=sid, id=9, **fields)
        await talk.gave_up(sid, "UNSUPPORTED")
        check(talk.ear.find(lambda each: each.pdu.re == 9) is None, "what a stream began with was answered")


_BEGINNINGS: Final[dict[str, dict[str, Any]]] = {
    "ECHO": {"data": "x"},
    "PING": {"nonce": 7},
    "MSG_SEND": {"user": "echo", "cid": bytes(16), "text": "x"},
    "HISTORY": {"room": "general", "window": 4},
    "BYE": {},
}
for _name, _fields in _BEGINNINGS.items():
    _beginning(_name, _fields)


@case("3.7-1", "S4-begins-with-VERSION_REQUEST", "login", since=2)
async def begins_anew(bench: Bench) -> None:
    """Given up, or refused as what it is: a second VERSION_REQUEST (3.1-6)."""
    talk = await bench.ready()
    sid = talk.open()
    talk.say("VERSION_REQUEST", sid=sid, id=9, versions=[1], device=talk.device)
    found = await talk.until(lambda: talk.ear.find(lambda each: each.sid == sid) or talk.given_up.get(sid), "an answer")
    if isinstance(found, Heard):
        talk.check_refusal(found, "STATE")
        await talk.barrier()
    else:
        await talk.gave_up(sid, "UNSUPPORTED")


@case("3.7-1", "S14-begins-with-an-unknown-type", "login", since=2)
async def begins_unknown(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open()
    talk.say_bytes(frame(dump({VERSION: talk.version, TYPE: 200, BODY: {}})), sid=sid)
    await talk.gave_up(sid, "UNSUPPORTED")


@case("3.7-1", "unknown-kind-of-stream", "login", since=2)
async def unknown_kind(bench: Bench) -> None:
    """A value that the field has not (2.4-1)."""
    talk = await bench.ready()
    talk.open(9)
    await talk.fatal("SCHEMA")


@case("3.7-1", "others-live-on", "login", since=2)
async def others_live_on(bench: Bench) -> None:
    talk = await bench.ready()
    good = talk.open(QUERY)
    bad = talk.open()
    talk.say("ECHO", sid=bad, data="x")
    await talk.gave_up(bad, "UNSUPPORTED")
    await talk.done("ROOM_LIST", sid=good, limit=1)


@case("3.7-1", "version-1-has-none", "login")
async def none_in_version_1(bench: Bench) -> None:
    """There is no STREAM_OPEN, so no stream can begin with it."""
    talk = await bench.ready(0, 1)
    sid = talk.line.open()
    talk.say_bytes(frame(write("STREAM_OPEN", {"kind": QUERY}, version=1)), sid=sid)
    await talk.gave_up(sid, "UNSUPPORTED")


@case("3.7-2", "held-until-ready", "login", since=2)
async def held(bench: Bench) -> None:
    """Handled in order then, and not before."""
    talk = await bench.negotiated()
    sid = talk.open(QUERY)
    for number in range(900, 905):
        talk.say("ROOM_LIST", sid=sid, id=number, limit=1)
    await talk.barrier()
    check(talk.ear.find(lambda each: each.sid == sid) is None, "a request was answered before the login")
    await enter(bench, talk)
    for number in range(900, 905):
        found = await talk.answer(number)
        check(found.sid == sid and found.pdu.name == "ROOM_LIST_R", f"{annotated(found.pdu.data)} came for ROOM_LIST")


@case("3.7-2", "held-with-its-end", "login", since=2)
async def held_with_end(bench: Bench) -> None:
    talk = await bench.negotiated()
    sid = talk.open(QUERY)
    talk.say_bytes(frame(write("ROOM_LIST", {"limit": 1}, version=talk.version, id=900)), sid=sid, fin=True)
    await enter(bench, talk)
    await talk.answer(900)
    await talk.until(lambda: sid in talk.ended or None, f"the end of stream {sid}")


@case("3.7-2", "misuse-is-judged-later", "login", since=2)
async def judged_later(bench: Bench) -> None:
    """What does not belong there is refused when READY is reached."""
    talk = await bench.negotiated()
    sid = talk.open(QUERY)
    talk.say("ECHO", sid=sid, id=900, data="x")
    await enter(bench, talk)
    found = await talk.answer(900)
    check(found.sid == sid, "the refusal came on another stream")
    talk.check_refusal(found, "STREAM_MISUSE")


@case("3.7-2", "within-its-limit", since=2)
async def held_too_much(bench: Bench) -> None:
    """More bytes than a client may say before it has logged in (4.2-7)."""
    talk = await bench.negotiated()
    sid = talk.open(QUERY)
    for _ in range(HELD // 1_000 + 1):
        data = {VERSION: talk.version, TYPE: book().kinds["ROOM_LIST"].number, BODY: {33: bytes(1_000)}}
        talk.say_bytes(frame(dump(data)), sid=sid)
    # A PING on another stream could overtake it.
    await talk.over("LIMIT")


def _opening(talk: Talk, kind: int, room: str) -> int:
    return talk.open(kind, room=room) if kind == ROOM else talk.open(kind)


_KINDS: Final = {"query": QUERY, "room": ROOM, "file": FILE}


def misplaced(on: str) -> list[Kind]:
    """What a client may say in READY, but not on such a stream."""
    ready = {row.pdu for row in book().rows if (row.state, row.by, row.outcome) == ("READY", "client", None)}
    return [kind for kind in book().sent_by("client") if kind.name in ready and on not in kind.on]


def _misplaced(on: str) -> None:
    @case("3.7-3", f"not-on-{on}", "login", "rooms", since=2)
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        room = await bench.room(talk)
        sid = talk.control if on == "control" else _opening(talk, _KINDS[on], room)
        for number, kind in enumerate(misplaced(on), 900):
            data = write(kind.name, minimal(kind, talk.version), version=talk.version, id=number)
            talk.say_bytes(frame(data), sid=sid)
            found = await talk.answer(number)
            check(found.sid == sid, f"{kind.name} was answered on another stream")
            talk.check_refusal(found, "STREAM_MISUSE")
        await talk.barrier()


for _name in ("control", *_KINDS):
    _misplaced(_name)


def _twice(on: str) -> None:
    @case("3.7-3", f"second-opening-on-{on}", "login", "rooms", since=2)
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        room = await bench.room(talk)
        sid = _opening(talk, _KINDS[on], room)
        talk.say("STREAM_OPEN", sid=sid, id=900, kind=QUERY)
        found = await talk.answer(900)
        check(found.sid == sid, "the refusal came on another stream")
        talk.check_refusal(found, "STREAM_MISUSE")
        if on == "query":
            await talk.done("ROOM_LIST", sid=sid, limit=1)
        await talk.barrier()


for _name in _KINDS:
    _twice(_name)


async def _refused_streams(talk: Talk, sids: list[int]) -> int:
    """How many of these were given up, or wait for QUIC to allow them. Raises Failed for another code."""
    await talk.barrier()
    for sid in sids:
        if book().code(talk.given_up.get(sid, book().codes["LIMIT"])) != "LIMIT":
            raise Failed(f"stream {sid} was given up with {book().code(talk.given_up[sid])}")
    waiting = [stream for stream in talk.line.quic._streams_blocked_bidi if stream.stream_id in sids]
    return len(waiting) + sum(sid in talk.given_up for sid in sids)


@case("3.7-4", "Q3-streams-before-login")
async def streams_before_login(bench: Bench) -> None:
    """Whether QUIC keeps them away or the server gives them up (13.2-3)."""
    talk = await bench.negotiated()
    sids = [talk.line.open() for _ in range(BEFORE_LOGIN + 8)]
    for sid in sids:
        talk.say_bytes(b"\x10", sid=sid)
    refused = await _refused_streams(talk, sids)
    check(refused >= 8, f"{len(sids) - refused} streams are open before the login, where {BEFORE_LOGIN} may be")


@case("3.7-4", "Q3-streams", "login", since=2)
async def streams(bench: Bench) -> None:
    """Those that are open live on."""
    talk = await bench.ready()
    sids = [talk.open(QUERY) for _ in range(2 * STREAMS)]
    refused = await _refused_streams(talk, sids)
    check(refused >= STREAMS, f"{len(sids) - refused} streams are open, where {STREAMS} may be")
    await talk.done("ROOM_LIST", sid=sids[0], limit=1)


@case("3.7-4", "streams-come-free", "login", since=2)
async def streams_come_free(bench: Bench) -> None:
    """More than the limit, in groups one after the other."""
    talk = await bench.ready()
    group = STREAMS // 3
    for first in range(1000, 1000 + 4 * group, group):
        for number in range(first, first + group):
            talk.say_bytes(frame(_list(talk, number)), sid=talk.open(QUERY), fin=True)
        for number in range(first, first + group):
            check((await talk.answer(number)).pdu.name == "ROOM_LIST_R", "a query stream was not served")


@case("3.7-5", "ends-after-its-answers", "login", since=2)
async def ends(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open(QUERY)
    for number in range(900, 910):
        talk.say("ROOM_LIST", sid=sid, id=number, limit=1)
    talk.say_bytes(frame(_list(talk, 910)), sid=sid, fin=True)
    await talk.until(lambda: sid in talk.ended or None, f"the end of stream {sid}")
    came = [each.pdu.re for each in talk.heard if each.sid == sid]
    check(sorted(came, key=str) == list(range(900, 911)), f"{len(came)} of 11 requests were answered before the end")
    await talk.barrier()


def _list(talk: Talk, number: int) -> bytes:
    return write("ROOM_LIST", {"limit": 1}, version=talk.version, id=number)


@case("3.7-5", "without-a-request", "login", since=2)
async def ends_unasked(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open()
    talk.say_bytes(frame(write("STREAM_OPEN", {"kind": QUERY}, version=talk.version)), sid=sid, fin=True)
    await talk.until(lambda: sid in talk.ended or None, f"the end of stream {sid}")
    await talk.barrier()
