"""Cases of chapter 3: the streams of rooms. (spec 03-session)"""

from __future__ import annotations

from typing import Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check
from quicchat.tools.conform.ways import ROOM, ROOM_STREAMS, agreed

STREAMS: Final = book().limits["streams"]
BEFORE_LOGIN: Final = book().limits["streams_before_login"]
HELD: Final = book().limits["before_login"]
LARGEST: Final = book().limits["datagram"]


# 3.7 Room streams


async def _pushed(talk: Talk, room: str, seq: int) -> Heard:
    return await talk.hear("MSG", lambda each: bool(each["room"] == room and each["seq"] == seq))


@case("3.7-7", "events-on-the-room-stream", "login", "other", "rooms", since=2)
async def on_room_stream(bench: Bench) -> None:
    """Those of this room; answers where the request came."""
    alice, bob = await bench.ready(), await bench.ready(1)
    room, other = await bench.room(alice, bob), await bench.room(alice, bob)
    sid = bob.open(ROOM, room=room)
    await bob.barrier()
    for where, expected in ((room, sid), (other, bob.control)):
        seq = (await post(alice, "x", room=where))["seq"]
        found = await _pushed(bob, where, seq)
        check(found.sid == expected, f"an event came on stream {found.sid}, not on {expected}")
    await post(bob, "on the room stream", sid=sid, room=room)
    refused = await bob.ask("MSG_SEND", sid=sid, room=bench.target.name("none"), cid=cid(), text="x")
    bob.check_refusal(refused, "NOT_MEMBER", "NO_SUCH_ROOM", "STREAM_MISUSE")


@case("3.7-7", "receipts-on-control", "login", "other", "rooms", since=2)
async def receipts_on_control(bench: Bench) -> None:
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    alice.open(ROOM, room=room)
    await alice.barrier()
    seq = (await post(alice, "x", room=room))["seq"]
    bob.say("RECEIPT", room=room, delivered=seq, read=seq)
    found = await alice.hear("RECEIPT_EVENT", lambda each: bool(each["room"] == room and each["user"] == bob.user))
    check(found.sid == alice.control, "RECEIPT_EVENT came on a room stream")


@case("3.7-8", "have-behind-the-head", "login", "rooms", since=2)
async def behind_head(bench: Bench) -> None:
    talk = await bench.ready()
    room = await bench.room(talk)
    seq = (await post(talk, "x", room=room))["seq"]
    talk.open(ROOM, room=room, have=0)
    found = await talk.hear("ROOM_HEAD", lambda each: bool(each["room"] == room))
    check(found["head"] == seq, f"ROOM_HEAD says {found['head']} where the log goes to {seq}")
    check(found.sid == talk.control, "ROOM_HEAD came on the room stream")


@case("3.7-9", "nobody-of-the-room", "login", "other", "rooms", since=2)
async def no_member(bench: Bench) -> None:
    """Whether there is such a room or not."""
    alice, bob = await bench.ready(), await bench.ready(1)
    theirs = await bench.room(alice)
    for room in (theirs, bench.target.name("none"), "@" + ",".join(sorted((alice.user, "somebody-else")))):
        await bob.gave_up(bob.open(ROOM, room=room), "NOT_MEMBER")


@case("3.7-9", "too-many", "login", "rooms", since=2)
async def too_many(bench: Bench) -> None:
    talk = await agreed(bench, who=0, limits={ROOM_STREAMS: 2})
    rooms = [await bench.room(talk) for _ in range(3)]
    good = [talk.open(ROOM, room=room) for room in rooms[:2]]
    await talk.gave_up(talk.open(ROOM, room=rooms[2]), "LIMIT")
    for sid, room in zip(good, rooms, strict=False):
        await post(talk, "x", sid=sid, room=room)


@case("3.7-9", "one-replaces-the-former", "login", "other", "rooms", since=2)
async def replaced(bench: Bench) -> None:
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    former = bob.open(ROOM, room=room)
    await bob.barrier()
    later = bob.open(ROOM, room=room)
    await bob.until(lambda: former in bob.ended or None, f"the end of stream {former}")
    seq = (await post(alice, "x", room=room))["seq"]
    check((await _pushed(bob, room, seq)).sid == later, "an event came on another stream than the latest of its room")


@case("3.7-10", "ended-in-order", "login", "other", "rooms", since=2)
async def ended_in_order(bench: Bench) -> None:
    """Back to control, without a gap."""
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    sid = bob.open(ROOM, room=room)
    await bob.barrier()
    numbers, came = range(900, 930), set[int]()
    for number in numbers:
        alice.say("MSG_SEND", id=number, room=room, cid=cid(), text=str(number))
        if number == 910:
            came = {(await _pushed(bob, room, (await alice.answer(905))["seq"]))["seq"]}
            bob.say_bytes(b"", sid=sid, fin=True)
            await bob.barrier()
    last = (await alice.answer(929))["seq"]
    await bob.until(
        lambda: next((each for each in bob.all("MSG") if (each["room"], each["seq"]) == (room, last)), None),
        "the last message",
    )
    first = (await alice.answer(900))["seq"]
    came |= {each["seq"] for each in bob.all("MSG") if each["room"] == room}
    missing = {*range(first, last + 1)} - came
    check(not missing, f"messages {sorted(missing)} never came, and nobody told of them")
    check(not any(each["room"] == room for each in bob.all("ROOM_HEAD")), "there was a gap to tell of")
    seq = (await post(alice, "x", room=room))["seq"]
    check((await _pushed(bob, room, seq)).sid == bob.control, "an event came on a room stream that was ended")


def _cut(name: str) -> None:
    @case("3.7-10", name, "login", "other", "rooms", since=2)
    async def run(bench: Bench) -> None:
        alice, bob = await bench.ready(), await bench.ready(1)
        room = await bench.room(alice, bob)
        sid = bob.open(ROOM, room=room)
        await bob.barrier()
        seq = (await post(alice, "x", room=room))["seq"]
        await _pushed(bob, room, seq)
        (bob.line.reset if name == "reset" else bob.line.stop)(sid, 0x100)
        found = await bob.hear("ROOM_HEAD", lambda each: bool(each["room"] == room))
        check(found["head"] >= seq, f"ROOM_HEAD says {found['head']} where the log goes to {seq}")
        seq = (await post(alice, "y", room=room))["seq"]
        check((await _pushed(bob, room, seq)).sid == bob.control, "an event came on a room stream that was cut")


for _name in ("reset", "reading-stopped"):
    _cut(_name)


@case("3.7-10", "the-user-leaves-the-room", "login", "rooms", since=2)
async def leaves(bench: Bench) -> None:
    talk = await bench.ready()
    room = await bench.room(talk)
    sid = talk.open(ROOM, room=room)
    await talk.barrier()
    await talk.done("ROOM_LEAVE", room=room)
    await talk.until(lambda: sid in talk.ended or None, f"the end of stream {sid}")
    await talk.barrier()
