"""Cases of chapter 2: the envelope, requests and their answers. (spec 02-framing)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, EXT, ID, RE, TS, TYPE, VERSION, annotated, book, frame
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.malformed import PING, ping
from quicchat.tools.conform.cbor import Raw, dump
from quicchat.tools.conform.chat import cid
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check
from quicchat.tools.conform.ways import QUERY

#: Types that nobody knows: reserved for the protocol, or even; and odd ones, which may be passed over.
UNKNOWN: Final = (10, 126, 128, 200, 2**29, 2**32 - 2)
IGNORABLE: Final = (129, 201, 2**29 - 1, 2**32 - 1)
#: What extensions may hold.
KEPT: Final = {33: {1: [True, None, "x", b"y", -5]}, 2**64 - 1: 0}


async def alive(talk: Talk, many: int = 1) -> None:
    """So many PINGs are answered, and nothing else is said."""
    for _ in range(many):
        await talk.barrier()


# 2.3 The envelope


def _other_versions(state: str) -> None:
    for version in (1, 2, 3, 255):

        @case("2.3-1", f"S8-version-{version}-in-{state}", *(("login",) if state == "ready" else ()))
        async def run(bench: Bench, version: int = version) -> None:
            talk = await (bench.ready() if state == "ready" else bench.negotiated())
            other = version if version != talk.version else 4
            talk.say_bytes(frame(ping(other)))
            await talk.fatal("VERSION")


for _state in ("authenticating", "ready"):
    _other_versions(_state)


@case("2.3-1", "lower-version-was-chosen")
async def lower_version(bench: Bench) -> None:
    """What the server could speak does not matter."""
    talk = await bench.negotiated(1)
    talk.say_bytes(frame(ping(2)))
    await talk.fatal("VERSION")


@case("2.3-1", "on-a-query-stream", "login", since=2)
async def other_version_elsewhere(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say("STREAM_OPEN", sid=talk.open(), version=3, kind=QUERY)
    await talk.fatal("VERSION")


@case("2.3-1", "all-that-the-server-says", "login")
async def own_version(bench: Bench) -> None:
    talk = await bench.ready()
    await talk.done("ECHO", data="x")
    await talk.barrier()
    wrong = [each for each in talk.heard if each.pdu.version != talk.version]
    check(not wrong, f"{annotated(wrong[0].pdu.data)} came where {talk.version} was chosen" if wrong else "")


@case("2.3-1", "lower-version-all-that-the-server-says", "login")
async def own_lower_version(bench: Bench) -> None:
    talk = await bench.ready(0, 1)
    await talk.done("ECHO", data="x")
    await talk.barrier()
    wrong = [each for each in talk.heard if each.pdu.version != 1]
    check(not wrong, f"{annotated(wrong[0].pdu.data)} came where 1 was chosen" if wrong else "")


_LEGAL: Final[dict[str, dict[int, Any]]] = {
    "ts": {TS: 1_700_000_000_000},
    "ts-0": {TS: 0},
    "re-of-nothing": {RE: 99},
    "ext-unknown": {EXT: {1: b"", 998: b"x" * 40, 2**64 - 1: b"y"}},
    "ext-empty": {EXT: {}},
    "id-0": {ID: 0},
    "id-2-to-64": {ID: 2**64 - 1},
}


def _legal_envelope(name: str, more: dict[int, Any]) -> None:
    @case("2.3-2", f"legal-{name}")
    async def run(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(frame(dump({VERSION: talk.version, TYPE: PING, BODY: {1: 7}, **more})))
        found = await talk.hear("PONG")
        check(found["nonce"] == 7 and found.pdu.re == more.get(ID), f"{annotated(found.pdu.data)} answers it")


for _name, _more in _LEGAL.items():
    _legal_envelope(_name, _more)


@case("2.3-3", "R1.6-hundred-at-once", "login")
async def hundred(bench: Bench) -> None:
    talk = await bench.ready()
    for number in range(500, 600):
        talk.say("ECHO", id=number, data=str(number))
    for number in range(500, 600):
        found = await talk.answer(number)
        check(found.pdu.name == "ECHO" and found["data"] == str(number), f"no ECHO answered {number}")
    await talk.barrier()
    _once(talk, range(500, 600))


def _once(talk: Talk, numbers: range) -> None:
    came = [each.pdu.re for each in talk.heard if each.pdu.re in numbers]
    check(sorted(came, key=str) == sorted(numbers, key=str), f"{len(came)} answers to {len(numbers)} requests")


@case("2.3-3", "several-kinds-at-once", "login", "rooms", since=2)
async def several_kinds(bench: Bench) -> None:
    """Each gets the answer that the tables name, or ERROR."""
    talk = await bench.ready()
    room = await bench.room(talk)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("ECHO", {"data": "x"}),
        ("MEMBERS", {"room": room}),
        ("MSG_SEND", {"room": room, "text": "x"}),
        ("HISTORY", {"room": room, "window": 4}),
        ("TARGETS", {}),
        ("ROOM_LIST", {"limit": 1}),
        ("ROOM_JOIN", {"room": bench.target.name("none")}),
        ("MSG_SEND", {"user": bench.target.name("none"), "text": "x"}),
        ("SEARCH", {"words": "x", "room": room}),
        ("RECEIPTS", {"room": room}),
    ]
    numbers = range(1000, 1100)
    for number in numbers:
        name, fields = asked[number % len(asked)]
        talk.say(name, id=number, **(fields | ({"cid": cid()} if name == "MSG_SEND" else {})))
    for number in numbers:
        found = await talk.answer(number)
        name = asked[number % len(asked)][0]
        wanted = (book().kinds[name].answer, "ERROR")
        check(found.pdu.name in wanted, f"{name} was answered by {annotated(found.pdu.data)}")
        check(found.pdu.name != "ERROR" or not found["fatal"], f"{name} ended the connection")
    await talk.barrier()
    _once(talk, numbers)


@case("2.3-3", "without-an-id", "login")
async def without_id(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say("ECHO", data="a")
    found = await talk.hear("ECHO")
    check(found.pdu.re is None and found["data"] == "a", f"it was answered by {annotated(found.pdu.data)}")


@case("2.3-3", "refused-without-an-id", "login")
async def refused_without_id(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say("MSG_SEND", cid=cid(), text="x", user=bench.target.name("none"))
    found = await talk.hear("ERROR")
    check(found.pdu.re is None, f"it was answered by {annotated(found.pdu.data)}")
    talk.check_refusal(found, "NO_SUCH_USER")


@case("2.3-3", "on-its-stream", "login", "rooms", since=2)
async def on_its_stream(bench: Bench) -> None:
    """Answer and refusal alike."""
    talk = await bench.ready()
    sid = talk.open(QUERY)
    await talk.done("ROOM_LIST", sid=sid, limit=1)
    found = await talk.ask("MEMBERS", sid=sid, room=bench.target.name("none"))
    talk.check_refusal(found, "NO_SUCH_ROOM", "NOT_MEMBER")


def _same_id(name: str, number: int) -> None:
    @case("2.3-3", f"id-{name}", "login")
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        talk.say("ECHO", id=number, data="a")
        check((await talk.answer(number)).pdu.name == "ECHO", f"the id {number} did not come back")


for _name, _number in (("0", 0), ("2-to-32", 2**32), ("2-to-53-and-1", 2**53 + 1), ("2-to-64", 2**64 - 1)):
    _same_id(_name, _number)


@case("2.3-4", "messages-in-their-order", "login", "rooms", since=2)
async def in_order(bench: Bench) -> None:
    """What was begun first is stored first."""
    talk = await bench.ready()
    room = await bench.room(talk)
    for number in range(700, 750):
        talk.say("MSG_SEND", id=number, room=room, cid=cid(), text=str(number))
    places = [(await talk.answer(number))["seq"] for number in range(700, 750)]
    check(places == sorted(places), f"messages sent in order were stored at {places}")


@case("2.3-6", "receipt-with-an-id", "login", "rooms", since=2)
async def receipt_with_id(bench: Bench) -> None:
    """OK, or nothing."""
    talk = await bench.ready()
    room = await bench.room(talk)
    talk.say("RECEIPT", id=77, room=room, delivered=1)
    await alive(talk, 2)
    found = talk.ear.find(lambda each: each.pdu.re == 77)
    check(found is None or found.pdu.name == "OK", "a RECEIPT was answered by something else than OK")


@case("2.3-6", "ok-with-an-id", "login")
async def ok_with_id(bench: Bench) -> None:
    """An OK that answers nothing hurts nobody."""
    talk = await bench.ready()
    talk.say("OK", id=78)
    await alive(talk, 2)
    found = talk.ear.find(lambda each: each.pdu.re == 78)
    check(found is None or found.pdu.name == "OK", "an OK was answered by something else than OK")


@case("2.4-3", "null-for-a-missing-value", "login")
async def null_value(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say("BYE", reason=Raw(b"\xf6"))
    await talk.fatal("SCHEMA")
