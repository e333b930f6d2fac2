"""Cases of chapter 1: versions, the control stream, datagrams, closing. (spec 01-overview)"""

from __future__ import annotations

import os
from typing import Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import VERSION, annotated, book, frame, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import dump
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.instances import minimal
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import WrongCode, check
from quicchat.tools.conform.ways import QUERY, enter, over

LARGEST: Final = book().limits["datagram"]


def _newer(each: Heard, version: int) -> str:
    """What of a PDU a version does not know; empty where there is nothing."""
    kind = book().kinds.get(each.pdu.name)
    if kind is None:
        return ""
    names = [field.name for field in kind.fields if field.key in each.pdu.body and field.since > version]
    if kind.since > version:
        return f"{kind.name} came, which version {version} does not know"
    return f"{kind.name} came with {', '.join(names)}, which version {version} does not know" if names else ""


@case("1.2-1", "nothing-newer-is-sent", "login", "other", since=2)
async def nothing_newer(bench: Bench) -> None:
    """Whatever happens around a client of version 1: messages of version 2, typing, presence, a PING."""
    old, new = await bench.ready(0, 1), await bench.ready(1)
    await post(new, "hello", user=old.user, topic="greetings", mentions=[old.user], sent=1)
    seq = (await post(new, "hallo", user=old.user))["seq"]
    await new.ask("MSG_SEND", cid=cid(), user=old.user, kind=8, refs=[seq], text="+1")
    await new.ask("PRESENCE_SET", show=2)
    await new.ask("PRESENCE_SET", show=1)
    new.say("RECEIPT", room=_direct(old.user, new.user), delivered=seq, read=seq)
    new.whisper("TYPING", room="general", ttl=5000, counter=1)
    await old.hear("MSG", lambda each: each["text"] == "hallo")
    await post(old, "hi", user=new.user)
    await new.barrier()
    await old.barrier()
    await old.barrier()
    for each in old.heard:
        newer = _newer(each, 1)
        check(not newer, newer)


def _direct(one: str, other: str) -> str:
    return "@" + ",".join(sorted((one, other)))


@case("1.2-2", "newer-types-are-unknown", "login")
async def newer_types(bench: Bench) -> None:
    """What the body holds does not matter."""
    talk = await bench.ready(0, 1)
    newer = [kind for kind in book().kinds.values() if kind.since > 1]
    for number, kind in enumerate(newer, 1000):
        talk.say_bytes(frame(write(kind.name, minimal(kind, 2) if number % 2 else {}, version=1, id=number)))
        talk.check_refusal(await talk.answer(number), "UNSUPPORTED")
    await talk.barrier()


@case("1.2-2", "newer-types-before-login")
async def newer_types_early(bench: Bench) -> None:
    talk = await bench.negotiated(1)
    talk.say("ROOM_LIST", id=9)
    await talk.fatal("STATE")


@case("1.2-2", "newer-fields-do-not-exist", "login")
async def newer_fields(bench: Bench) -> None:
    talk = await bench.ready(0, 1)
    talk.say("MSG_SEND", id=9, room="general", cid=cid(), text="x", topic="t")
    await talk.fatal("SCHEMA")


@case("1.2-3", "version-1-is-served", "login", "other", since=2)
async def version_1(bench: Bench) -> None:
    """Login, snapshot, ECHO, and words in both directions."""
    old, new = await bench.ready(0, 1), await bench.ready(1)
    await old.hear("PRESENCE_SNAPSHOT")
    check((await old.done("ECHO", data="x"))["data"] == "x", "ECHO came back with other data")
    word = f"old {os.urandom(4).hex()}"
    await post(old, word, user=new.user)
    await new.hear("MSG", lambda each: each["text"] == word)
    await post(new, word + "!", user=old.user)
    await old.hear("MSG", lambda each: each["text"] == word + "!")


# 1.3 QUIC


@case("1.3-1", "control-on-another-stream", "login")
async def another_number(bench: Bench) -> None:
    """The first PDU tells that a stream is control, not its number."""
    talk = await bench.dial()
    talk.control = talk.line.open()
    await talk.negotiate()
    await enter(bench, talk)
    await talk.done("ECHO", data="x")


@case("1.3-1", "control-begins-last", "login", since=2)
async def control_begins_last(bench: Bench) -> None:
    """A stream with a lower number may be another one, and come first."""
    talk = await bench.dial()
    query, talk.control = talk.control, talk.line.open()
    talk.version = bench.target.version
    talk.say("STREAM_OPEN", sid=query, kind=QUERY)
    talk.say("ROOM_LIST", sid=query, id=900, limit=1)
    talk.line.flush()
    await talk.negotiate()
    await enter(bench, talk)
    found = await talk.answer(900)
    check(found.sid == query and found.pdu.name == "ROOM_LIST_R", f"{annotated(found.pdu.data)} came for ROOM_LIST")


def _useless(talk: Talk) -> dict[str, bytes]:
    """Datagrams that are malformed, too long or misplaced."""
    good = write("PING", {"nonce": 7}, version=talk.version)
    return {
        "empty": b"",
        "no-cbor": b"\xff\xff",
        "no-map": b"\x80",
        "byte-behind": good + b"\0",
        "with-a-length": frame(good),
        "another-version": dump({VERSION: 77, 1: 3, 5: {1: 7}}),
        "no-envelope": dump({1: 3}),
        "too-long": bytes(LARGEST + 1),
        "ping": write("PING", {"nonce": 7}, version=talk.version, id=70),
        "echo": write("ECHO", {"data": "datagram"}, version=talk.version, id=71),
        "bye": write("BYE", {}, version=talk.version),
        "fatal-error": write("ERROR", {"code": 0x100, "fatal": True}, version=talk.version),
        "message": write("MSG_SEND", {"user": "echo", "cid": cid(), "text": "x"}, version=talk.version, id=72),
        "unknown-even-type": dump({VERSION: talk.version, 1: 200, 2: 73, 5: {}}),
    }


async def _dropped(talk: Talk) -> None:
    for data in _useless(talk).values():
        talk.whisper_bytes(data)
    for _ in range(2):
        await talk.barrier()
    numbers = range(70, 80)
    came = [each for each in talk.heard if each.pdu.name in ("ERROR", "ECHO", "BYE") or each.pdu.re in numbers]
    check(not came, f"a datagram was answered by {annotated(came[0].pdu.data)}" if came else "")


@case("1.3-2", "Q17-dropped-before-login", "datagrams")
async def dropped_early(bench: Bench) -> None:
    await _dropped(await bench.negotiated())


@case("1.3-2", "Q17-dropped-before-negotiation", "datagrams")
async def dropped_first(bench: Bench) -> None:
    talk = await bench.dial()
    for data in _useless(talk).values():
        talk.whisper_bytes(data)
    talk.line.flush()
    await talk.negotiate()
    await talk.barrier()


@case("1.3-2", "Q17-dropped-in-ready", "login", "datagrams")
async def dropped(bench: Bench) -> None:
    talk = await bench.ready()
    await _dropped(talk)
    await talk.done("ECHO", data="x")


@case("1.3-3", "application-error-code")
async def application_code(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say_bytes(b"\0")
    closed = await over(talk)
    if not closed.by_application or closed.code not in book().codes.values():
        raise WrongCode(f"closed with {talk.ear.end()}, which is no code of chapter 9")
