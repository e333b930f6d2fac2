"""Cases of chapter 7: who is there, who is writing. (spec 07-presence)"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book, choices
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.classic import classic, leave
from quicchat.tools.conform.cases.rooms import ROOMS, three
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, NonStrict, Unimplemented, check, same

SHOW: Final = choices("PRESENCE", "show")
SOCIAL = ("signup", "rooms", "presence")


async def shown(talk: Talk, user: str, show: str, **fields: str) -> Heard:
    """The PRESENCE of somebody."""

    def fits(each: Heard) -> bool:
        return (each["user"], each["show"]) == (user, SHOW[show]) and all(
            each[name] == value for name, value in fields.items()
        )

    return await talk.hear("PRESENCE", fits)


def seen(talk: Talk, user: str) -> list[int]:
    """All PRESENCE of somebody that came and were not taken."""
    return [each["show"] for each in talk.all("PRESENCE") if each["user"] == user]


@case("7.1-1", "what-somebody-says-of-himself", *ROOMS, "presence", since=2)
async def says(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    await bench.room(one, other)
    status = bench.target.name("busy")
    await one.done("PRESENCE_SET", show=SHOW["BUSY"], status=status)
    await shown(other, one.user, "BUSY", status=status)
    other.heard.clear()
    await one.done("PRESENCE_SET", show=SHOW["ONLINE"])
    await shown(other, one.user, "ONLINE")


@case("7.1-1", "forgotten-with-the-last-session", *SOCIAL, since=2)
async def forgotten(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    await bench.room(watcher, one)
    await one.done("PRESENCE_SET", show=SHOW["AWAY"], status="out")
    await shown(watcher, one.user, "AWAY", status="out")
    await leave(one)
    await shown(watcher, one.user, "OFFLINE")
    # That he came at first was told, too.
    watcher.heard.clear()
    await bench.again(one)
    same((await shown(watcher, one.user, "ONLINE"))["status"] or "", "", "the status of who came back")


@case("7.1-2", "holding", *SOCIAL, since=2)
async def holding(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    room = await bench.room(watcher, one)
    await one.done("PRESENCE_SET", show=SHOW["OFFLINE"], hold=True)
    await shown(watcher, one.user, "OFFLINE")
    ack = await chat.post(watcher, user=one.user)
    same(ack["recipient"], 0, "recipient of a message to somebody who holds")
    await chat.post(watcher, room=room)
    await one.barrier()
    same([each["room"] for each in one.all("MSG") if each["room"] in (room, ack["room"])], [], "what was sent to him")
    watcher.heard.clear()
    await one.done("PRESENCE_SET", show=SHOW["ONLINE"], hold=False)
    await shown(watcher, one.user, "ONLINE")
    for name, head in ((room, 3), (ack["room"], 1)):
        found = await one.hear("ROOM_HEAD", lambda each, name=name: bool(each["room"] == name))  # type: ignore[misc]  # the default binds it now
        same(found["head"], head, "the head of a room in which something was left out")
    await chat.told(one, await chat.post(watcher, room=room))


@case("7.2-1", "coming-and-going", *SOCIAL, since=2)
async def coming(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    await bench.room(watcher, one)
    second = await bench.again(one)
    await leave(one)
    await chat.settled(second, watcher)
    same([each for each in seen(watcher, one.user) if each == SHOW["OFFLINE"]], [], "while there is another session")
    second.say("BYE", reason="supper")
    told = await shown(watcher, one.user, "OFFLINE")
    check(told["reason"], "the reason was not told")
    watcher.heard.clear()
    again = await bench.again(one)
    await shown(watcher, one.user, "ONLINE")
    await again.barrier()
    same(seen(again, one.user), [], "what a session is told of itself")


@case("7.2-1", "who-went-before", *SOCIAL, since=2)
async def went_before(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    await bench.room(watcher, one)
    await one.done("PRESENCE_SET", show=SHOW["OFFLINE"])
    await shown(watcher, one.user, "OFFLINE")
    await leave(one)
    await watcher.barrier()
    check(SHOW["OFFLINE"] not in seen(watcher, one.user), "somebody who was told to be offline is told to go")


@case("7.2-1", "those-who-share-no-room", "signup", "presence", since=2)
async def no_room(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.newcomer()
    ack = await chat.post(one, user=other.user)
    await chat.told(other, ack)
    snapshot = await other.hear("PRESENCE_SNAPSHOT")
    if any(row[0] == one.user for row in snapshot["users"]):
        raise Unimplemented("`general` is small enough for all to hear of each other")
    await one.done("PRESENCE_SET", show=SHOW["BUSY"])
    await chat.settled(one, other)
    same(seen(other, one.user), [], "what is told to who shares direct messages only")


@case("7.2-3", "without-a-word", *SOCIAL, since=2, slow=True)
async def vanished(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    await bench.room(watcher, one)
    one.line.drop()
    deadline = book().limits["silence"] + 15
    for _ in range(deadline // 5):
        with contextlib.suppress(Failed):
            await shown(watcher, one.user, "OFFLINE")
            return
        await watcher.barrier()
    raise Failed(f"nobody was told within {deadline} s that a client vanished")


@case("7.3-1", "a-snapshot", *ROOMS, "presence")
async def snapshot(bench: Bench) -> None:
    if bench.target.version > 1:
        await bench.room(await bench.friend(0), await bench.friend(1))
    await bench.friend(1)
    talk = await bench.ready(0)
    rows = {row[0]: row[1] for row in (await talk.hear("PRESENCE_SNAPSHOT"))["users"]}
    same(rows.get(talk.user), True, "whether the user himself is online")
    if bench.target.version > 1 and len(rows) < 512:
        other = (await bench.target.account(1)).user
        same(rows.get(other), True, "whether somebody is online who shares a room")


@case("7.3-1", "those-who-are-away", *SOCIAL, since=2)
async def away(bench: Bench) -> None:
    watcher, one = await bench.newcomer(), await bench.newcomer()
    await bench.room(watcher, one)
    await leave(one)
    found = await (await bench.again(watcher)).hear("PRESENCE_SNAPSHOT")
    rows = {row[0]: (row[1], standing) for row, standing in zip(found["users"], found["standings"], strict=True)}
    check({one.user, watcher.user} <= rows.keys(), "the snapshot lacks somebody who is away, or the user himself")
    online, (show, since) = rows[one.user]
    same((online, show), (False, SHOW["OFFLINE"]), "how somebody stands who is away")
    check(since > 0, "it is not said when he was last seen")
    same(rows[watcher.user][0], True, "whether the user himself is online")


@case("7.3-2", "none-for-version-1", *SOCIAL, since=2)
async def none_for_1(bench: Bench) -> None:
    old, one = await classic(bench), await bench.newcomer()
    await bench.room(one, await bench.again(old))
    await old.hear("PRESENCE_SNAPSHOT", lambda each: each["standings"] is None)
    await one.done("PRESENCE_SET", show=SHOW["BUSY"])
    await chat.settled(one, old)
    same(old.all("PRESENCE"), [], "PRESENCE that a client of version 1 was sent")


@case("7.3-3", "how-available-everybody-is", "login", "presence", since=2)
async def standings(bench: Bench) -> None:
    talk = await bench.ready()
    found = await talk.hear("PRESENCE_SNAPSHOT")
    users, rows = found["users"], found["standings"] or []
    same(len(rows), len(users), "the number of standings")
    for (user, online, _), (show, _) in zip(users, rows, strict=True):
        check(online or show == SHOW["OFFLINE"], f"{user} is not online and shown as {show}")
        check(user != "echo" or show == SHOW["ONLINE"], "the built-in user echo is not online")


# Datagrams


async def whispered(talk: Talk, other: Talk, name: str, room: str | None, counter: int, **fields: object) -> Heard:
    """What becomes of TYPING or TICK at another one; said several times, since a datagram may be lost."""
    to = {} if room is None else {"room": room}
    for again in range(5):
        talk.whisper(name, counter=counter + again, **to, **fields)

        def fits(each: Heard) -> bool:
            return bool(each["user"] == talk.user and counter <= each["counter"] and each["counter"] < counter + 5)

        with contextlib.suppress(Failed):
            return await other.hear(name, fits, patience=1.0)
    raise Failed(f"no {name} was passed on")


@case("7.4-1", "typing-is-passed-on", *ROOMS, "datagrams", since=2)
async def typing(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    told = await whispered(one, other, "TYPING", room, 10**12, ttl=5000, user="somebody-else")
    same((told["room"], told["user"], told["ttl"]), (room, one.user, 5000), "room, user, ttl of TYPING")
    await one.barrier()
    same([each for each in one.all("TYPING") if each["room"] == room], [], "TYPING that its own session was sent")


@case("7.4-2", "typing-where-one-is-not", "signup", "rooms", "datagrams", since=2)
async def typing_elsewhere(bench: Bench) -> None:
    one, other, third = await three(bench)
    room, shared = await bench.room(one, other), await bench.room(one, third)
    for name in (room, bench.target.name("r")):
        third.whisper("TYPING", room=name, counter=10**12, ttl=5000)
    # What follows it on the same way is passed on.
    await whispered(third, one, "TYPING", shared, 10**12 + 1, ttl=5000)
    await chat.settled(one, other)
    for talk in (one, other):
        same([each for each in talk.all("TYPING") if each["room"] == room], [], "TYPING of somebody who is not in")
    same([each for each in third.all("ERROR") if each.pdu.re is None], [], "what was answered to a datagram")


@case("7.4-3", "not-too-often", *ROOMS, "datagrams", since=2)
async def not_too_often(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room, loop = await bench.room(one, other), asyncio.get_running_loop()
    began = loop.time()
    for ttl, often in ((5000, 4), (0, 0)):
        for number in range(20):
            one.whisper("TYPING", room=room, counter=10**12 + 20 * (ttl == 0) + number, ttl=ttl)
        await one.barrier()
        await chat.settled(one, other)
        count = sum((each["room"], each["ttl"]) == (room, ttl) for each in other.all("TYPING"))
        if count > 1 + often * (1 + loop.time() - began):
            raise NonStrict(f"of 20 TYPING with ttl {ttl} in a row {count} were passed on")


@case("7.4-4", "a-tick-now-and-then", *SOCIAL, "datagrams", since=2)
async def tick(bench: Bench) -> None:
    watcher, one = await bench.friend(0), await bench.newcomer()
    await bench.room(watcher, one)
    told = await whispered(one, watcher, "TICK", None, 10**12, ttl=60_000, user="somebody-else")
    same(told["user"], one.user, "the user of a TICK")
    for number in range(3):
        one.whisper("TICK", counter=10**12 + 100 + number, ttl=60_000)
    await one.barrier()
    await chat.settled(one, watcher)
    more = [each for each in watcher.all("TICK") if each["user"] == one.user]
    same(more, [], "ticks of one user within ten seconds")
