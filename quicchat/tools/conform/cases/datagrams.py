"""Cases of chapter 3: the time of a login, and datagrams. (spec 03-session)"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Final

from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, annotated, book, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import dump
from quicchat.tools.conform.chat import cid
from quicchat.tools.conform.ear import DATAGRAM
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check
from quicchat.tools.conform.ways import newcomer

STREAMS: Final = book().limits["streams"]
BEFORE_LOGIN: Final = book().limits["streams_before_login"]
HELD: Final = book().limits["before_login"]
LARGEST: Final = book().limits["datagram"]


# 3.8 The time of a login


@case("3.8-4", "nothing-is-missed-at-a-login", "login", "other", "rooms", since=2)
async def nothing_missed(bench: Bench) -> None:
    """What is said while somebody logs in is told in AUTH_OK, pushed, or announced by ROOM_HEAD."""
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    bob.line.close(0x100)
    account = await bench.target.account(1)
    again = await bench.negotiated()
    numbers = range(900, 960)
    waiting = iter(numbers)

    def say(many: int) -> None:
        for number in islice(waiting, many):
            alice.say("MSG_SEND", id=number, room=room, cid=cid(), text=str(number))
        alice.line.flush()

    async def go_on() -> None:
        for _ in range(40):
            say(1)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        group.create_task(go_on())
        welcome = await again.log_in(account.user, account.password)
        say(20)
    last = max([(await alice.answer(number))["seq"] for number in numbers])
    head = next((row[2] for row in welcome["heads"] or () if row[0] == room), 0)

    def whole() -> bool | None:
        told = max((each["head"] for each in again.all("ROOM_HEAD") if each["room"] == room), default=0)
        came = {each["seq"] for each in again.all("MSG") if each["room"] == room}
        return told >= last or came >= {*range(head + 1, last + 1)} or None

    await again.until(whole, f"messages {head + 1} to {last} of the room")


# 3.9 Datagrams


async def _typing(bench: Bench) -> tuple[Talk, Talk, str]:
    alice, bob = await newcomer(bench), await bench.ready(1)
    room = await bench.room(bob, alice)
    return alice, bob, room


@case("3.9-1", "never-answered", "login", "datagrams", since=2)
async def never_answered(bench: Bench) -> None:
    """Neither where it is right nor where it is refused."""
    talk = await bench.ready()
    for number, room in enumerate(("general", bench.target.name("none")), 900):
        talk.whisper_bytes(write("TYPING", {"room": room, "ttl": 1, "counter": 1}, version=talk.version, id=number))
    talk.whisper_bytes(write("TICK", {"counter": 1}, version=talk.version, id=905))
    for _ in range(2):
        await talk.barrier()
    came = [each for each in talk.heard if each.pdu.re in range(900, 906) or each.pdu.name == "ERROR"]
    check(not came, f"a datagram was answered by {annotated(came[0].pdu.data)}" if came else "")


@case("3.9-1", "on-no-stream", "login", "datagrams", since=2)
async def on_no_stream(bench: Bench) -> None:
    talk = await bench.ready()
    found = await talk.ask("TYPING", room="general", ttl=1, counter=1)
    talk.check_refusal(found, "STREAM_MISUSE")
    await talk.barrier()


@case("3.9-1", "longest", "login", "other", "signup", "rooms", "datagrams", since=2)
async def longest(bench: Bench) -> None:
    """One of exactly the limit is passed on; one of a byte more is not."""
    alice, bob, room = await _typing(bench)
    for counter, size, ttl in ((1, LARGEST + 1, 2_222), (2, LARGEST, 1_111)):
        _whisper(alice, {"room": room, "ttl": ttl, "counter": counter}, size)
        if size <= LARGEST:
            await bob.hear("TYPING", lambda each: bool(each["room"] == room and each["ttl"] == 1_111))
        await alice.barrier()
    came = [each for each in bob.all("TYPING") if each["room"] == room]
    check(not came, "a datagram that was too long was passed on")


def _whisper(talk: Talk, fields: dict[str, Any], size: int) -> None:
    kind = book().kinds["TYPING"]
    body: dict[int, Any] = {kind.field(name).key: value for name, value in fields.items()}
    outer = {VERSION: talk.version, TYPE: kind.number}
    filling = size - len(dump({**outer, BODY: {**body, 33: bytes(300)}})) + 300
    data = dump({**outer, BODY: {**body, 33: bytes(filling)}})
    assert len(data) == size
    talk.line.whisper(data)


@case("3.9-1", "in-datagrams-only", "login", "other", "signup", "rooms", "datagrams", since=2)
async def in_datagrams(bench: Bench) -> None:
    alice, bob, room = await _typing(bench)
    alice.whisper("TYPING", room=room, ttl=5_000, counter=3)
    found = await bob.hear("TYPING", lambda each: bool(each["room"] == room))
    check(found.sid == DATAGRAM, "TYPING came on a stream")
    check(len(found.pdu.data) <= LARGEST, f"a datagram of {len(found.pdu.data)} bytes came")


@case("3.9-2", "none-in-version-1", "login", "other", "rooms", "datagrams", since=2)
async def none_for_version_1(bench: Bench) -> None:
    """Two of one user are there: what is passed on to the one is not sent to the other."""
    witness, new = await bench.ready(0), await bench.ready(1)
    room = await bench.room(new, witness)
    old = await bench.ready(0, 1)
    new.whisper("TYPING", room=room, ttl=5_000, counter=1)
    await witness.hear("TYPING", lambda each: bool(each["room"] == room))
    for talk in (new, old, new, old):
        await talk.barrier()
    check(not [each for each in old.heard if each.sid == DATAGRAM], "a client of version 1 was sent a datagram")


@case("3.9-3", "before-the-login", "login", "other", "signup", "rooms", "datagrams", since=2)
async def before_the_login(bench: Bench) -> None:
    """It has no sender yet; what the same connection says later is passed on."""
    alice, watcher, room = await _typing(bench)
    talk = await bench.negotiated()
    talk.whisper("TYPING", room=room, ttl=4_321, counter=1)
    for each in (talk, watcher, talk, watcher):
        await each.barrier()
    await talk.log_in(alice.user, PASSWORD)
    for each in (talk, watcher):
        await each.barrier()
    talk.whisper("TYPING", room=room, ttl=1_234, counter=2)
    await watcher.hear("TYPING", lambda each: bool(each["room"] == room and each["ttl"] == 1_234))
    came = [each for each in watcher.all("TYPING") if each["ttl"] == 4_321]
    check(not came, "a datagram was passed on that came before the login")
