"""Cases of chapter 3: negotiation. (spec 03-session)"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from quicchat.tools.conform.bench import RESUME, Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, book, frame, varint
from quicchat.tools.conform.book import body as by_keys
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import dump, head
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.quic import Wishes
from quicchat.tools.conform.verdict import Failed, NonStrict, check
from quicchat.tools.conform.ways import (
    FRAME,
    GENERAL,
    LONGEST,
    PAGE,
    PIPELINE,
    QUERY,
    ROOM,
    ROOM_STREAMS,
    agreed,
    enter,
    shut,
)

#: Until somebody of whom nothing is heard is given up.
SILENCE: Final = float(book().limits["silence"])
NEGOTIATION: Final = float(book().limits["negotiation"])
MISUSES: Final = book().limits["misuses"]
DRAIN: Final = float(book().limits["drain"])


# 3.1 Negotiation


def _first(name: str) -> None:
    @case("3.1-1", f"S3-{name}-first")
    async def run(bench: Bench) -> None:
        fields: dict[str, dict[str, Any]] = {
            "PING": {"nonce": 1},
            "ECHO": {"data": "x"},
            "BYE": {},
            "AUTH_START": {"mechanism": "SCRAM-SHA-256", "user": "nobody", "data": b"p=quicchat,,n=nobody,r=abc"},
            "MSG_SEND": {"room": GENERAL, "cid": cid(), "text": "x"},
            "RESUME": RESUME,
        }
        talk = await bench.dial()
        talk.say(name, version=bench.target.version, id=7, **fields[name])
        await shut(talk, *(("STATE",) if bench.target.version >= book().kinds[name].since else ("STATE", "VERSION")))


for _each in ("PING", "ECHO", "BYE", "AUTH_START", "MSG_SEND", "RESUME"):
    _first(_each)


@case("3.1-1", "resume-behind-the-request", "login", since=2)
async def resume_behind(bench: Bench) -> None:
    """Its refusal leads to the login as usual."""
    talk = await bench.dial()
    request = talk.say("VERSION_REQUEST", version=1, versions=sorted(book().versions, reverse=True), device=talk.device)
    talk.say("RESUME", id=7, version=2, **RESUME)
    response = await talk.hear("VERSION_RESPONSE")
    talk.version = response["version"]
    talk.transcript = hashlib.sha256(request + response.pdu.data).digest()
    talk.check_refusal(await talk.answer(7), "TOKEN_EXPIRED")
    await enter(bench, talk)


@case("3.1-1", "something-else-behind-the-request")
async def else_behind(bench: Bench) -> None:
    talk = await bench.dial()
    talk.say("VERSION_REQUEST", version=1, versions=[1], device=talk.device)
    talk.say(
        "SIGNUP", id=7, version=2, user="x", salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32)
    )
    await talk.fatal("STATE", "VERSION")


@case("3.1-2", "highest-common-version")
async def highest(bench: Bench) -> None:
    talk = await bench.dial()
    found = await talk.negotiate(*book().versions, 77)
    if found["version"] != bench.target.version:
        raise Failed(f"of {[*book().versions, 77]} it chose {found['version']}, and speaks {bench.target.versions}")
    await talk.barrier()


_OFFERS: Final[dict[str, list[int]]] = {
    "only-1": [1],
    "only-2": [2],
    "S7-unknown-first": [77, 2, 1],
    "ascending": [1, 2],
    "doubled": [1, 1, 2, 2],
    "with-0": [0, 1],
    "with-255": [255, 1],
    "most": [*range(100, 131), 1],
}


def _offer(name: str, offered: list[int]) -> None:
    @case("3.1-2", f"offer-{name}", since=max({1, 2} & {*offered}))
    async def run(bench: Bench) -> None:
        talk = await bench.dial()
        found = await talk.negotiate(*offered)
        wanted = max({*offered} & {*bench.target.versions})
        check(found["version"] == wanted, f"of {offered} it chose {found['version']}, not {wanted}")
        await talk.barrier()


for _name, _offered in _OFFERS.items():
    _offer(_name, _offered)


@case("3.1-3", "answer-in-version-1")
async def answer_in_1(bench: Bench) -> None:
    talk = await bench.dial()
    found = await talk.negotiate()
    check(found.pdu.version == 1, f"VERSION_RESPONSE is in an envelope of version {found.pdu.version}")


@case("3.1-3", "refusal-in-version-1")
async def refusal_in_1(bench: Bench) -> None:
    talk = await bench.dial()
    found = await talk.negotiate(99)
    check(found.pdu.version == 1, f"VERSION_RESPONSE is in an envelope of version {found.pdu.version}")


def _without(name: str, offered: list[int]) -> None:
    @case("3.1-4", name)
    async def run(bench: Bench) -> None:
        talk = await bench.dial()
        talk.say("VERSION_REQUEST", version=1, versions=offered, device=talk.device)
        found = await talk.hear("VERSION_RESPONSE")
        check(found["version"] == 0, f"of {offered} it chose {found['version']}")
        check({*found["versions"]} == {*bench.target.versions}, f"it lists {found['versions']}")
        await shut(talk, "NO_COMMON_VERSION")


for _name, _offered in {"S6-no-common-version": [99], "empty-list": [], "only-0": [0]}.items():
    _without(_name, _offered)


@case("3.1-6", "S4-second-request-before-login")
async def second_request(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say("VERSION_REQUEST", versions=[1], device=talk.device)
    await talk.fatal("STATE")


@case("3.1-6", "S4-second-request-at-once")
async def second_at_once(bench: Bench) -> None:
    """Behind the first, before its answer came."""
    talk = await bench.dial()
    for _ in range(2):
        talk.say("VERSION_REQUEST", version=1, versions=[1], device=talk.device)
    await talk.fatal("STATE")


@case("3.1-6", "S4-second-request-in-ready", "login")
async def second_in_ready(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say("VERSION_REQUEST", id=9, versions=[1], device=talk.device)
    talk.check_refusal(await talk.answer(9), "STATE")
    await talk.done("ECHO", data="x")


@case("3.1-7", "nothing-is-said", slow=True)
async def nothing_said(bench: Bench) -> None:
    talk = await bench.dial(Wishes(idle=90))
    await shut(talk, "NEGOTIATION_TIMEOUT", patience=NEGOTIATION + 5)


@case("3.1-7", "another-stream-only", slow=True)
async def another_only(bench: Bench) -> None:
    talk = await bench.dial(Wishes(idle=90))
    talk.say("STREAM_OPEN", sid=talk.line.open(), version=2, kind=QUERY)
    await shut(talk, "NEGOTIATION_TIMEOUT", patience=NEGOTIATION + 5)


@case("8.1-2", "smaller-page", "login", "rooms", since=2)
async def smaller_page(bench: Bench) -> None:
    """What a client works well with (3.1-8)."""
    talk = await agreed(bench, who=0, limits={PAGE: 3})
    room = await bench.room(talk)
    for number in range(5):
        await post(talk, str(number), room=room)
    for fields in ({}, {"limit": 200}):
        page = await talk.done("HISTORY", room=room, window=4, **fields)
        if len(page["events"]) > 3:
            raise NonStrict(f"a page holds {len(page['events'])} events where 3 were agreed")


@case("3.1-8", "fewer-room-streams", "login", "rooms", since=2)
async def fewer_room_streams(bench: Bench) -> None:
    talk = await agreed(bench, who=0, limits={ROOM_STREAMS: 1})
    one, other = await bench.room(talk), await bench.room(talk)
    talk.open(ROOM, room=one)
    await talk.gave_up(talk.open(ROOM, room=other), "LIMIT")


@case("3.1-8", "less-than-the-least", "login", "rooms", since=2)
async def less_than_least(bench: Bench) -> None:
    """One request at a time and one event to a page is the least, and a frame as long as ever."""
    talk = await bench.dial()
    await talk.negotiate(limits={FRAME: 1, PIPELINE: 0, PAGE: 0})
    await enter(bench, talk)
    room = await bench.room(talk)
    await post(talk, "x" * 20_000, room=room)
    page = await talk.done("HISTORY", room=room, window=4)
    check(page["events"], "a page holds nothing where its limit was 0")
    for number in range(500, 520):
        talk.say("ECHO", id=number, data="x")
    for number in range(500, 520):
        check((await talk.answer(number)).pdu.name == "ECHO", "an ECHO was not served")


@case("3.1-8", "more-than-the-servers", "login")
async def more_than_own(bench: Bench) -> None:
    """A limit counts that only one end has raised: the smaller one."""
    talk = await bench.dial()
    found = await talk.negotiate(limits={FRAME: 2**40})
    agreed_on = min(max((found["limits"] or {}).get(FRAME, LONGEST), LONGEST), book().limits["frame (hard)"])
    await enter(bench, talk)
    talk.say_bytes(varint(agreed_on + 1))
    await talk.fatal("FRAME_TOO_LARGE")


@case("3.1-10", "S7-of-the-bytes-as-they-were", "login")
async def transcript(bench: Bench) -> None:
    """In whatever form the request was written, the login is bound to those bytes."""
    talk = await bench.dial()
    inside = by_keys("VERSION_REQUEST", {"versions": sorted(bench.target.versions), "device": talk.device})
    pairs = b"".join(dump(key) + dump(value) for key, value in sorted(inside.items(), reverse=True))
    body = head(5, len(inside) + 1, width=2) + b"\x19\x01\x01" + dump("x") + pairs
    number = head(0, book().kinds["VERSION_REQUEST"].number, width=4)
    request = head(5, 3, width=1) + dump(BODY) + body + dump(TYPE) + number + dump(VERSION) + head(0, 1, width=1)
    talk.say_bytes(frame(request))
    response = await talk.hear("VERSION_RESPONSE")
    talk.version = response["version"]
    talk.transcript = hashlib.sha256(request + response.pdu.data).digest()
    await enter(bench, talk)


@case("3.1-11", "early-resume-and-version-1")
async def early_resume(bench: Bench) -> None:
    talk = await bench.dial()
    talk.say("VERSION_REQUEST", version=1, versions=[1], device=talk.device)
    talk.say("RESUME", id=7, version=2, **RESUME)
    await talk.fatal("VERSION")
