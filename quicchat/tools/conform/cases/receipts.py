"""Cases of chapter 6: how far somebody has got, and who may know. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from typing import Any

from quicchat.tools.conform import chat, ways
from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.rooms import ROOMS, three
from quicchat.tools.conform.ear import PATIENCE
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, check, same


async def places(talk: Talk, room: str, user: str) -> tuple[int, int]:
    """How far others may see that somebody holds and has read."""
    found = await talk.done("RECEIPTS", room=room)
    rows = {row[0]: row for row in found["people"]}
    return (rows[user][1], rows[user][2]) if user in rows else (0, 0)


async def reached(talk: Talk, room: str, user: str, wanted: tuple[int, int]) -> None:
    """Return when somebody is there; nothing says when a RECEIPT was carried out."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while (found := await places(talk, room, user)) != wanted:
        if loop.time() > end:
            raise Failed(f"delivered and read of a member: {found}, not {wanted}")


@case("6.4-1", "forward-and-not-beyond", *ROOMS, since=2)
async def forward(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    head = [(await chat.post(one, room=room))["seq"] for _ in range(4)][-1]
    other.say("RECEIPT", room=room, delivered=head + 100, read=head + 100)
    other.say("RECEIPT", room=room, delivered=head, read=head - 2)
    other.say("RECEIPT", room=room, delivered=head - 1, read=head - 3)
    await reached(one, room, other.user, (head, head))
    later = (await chat.post(one, room=room))["seq"]
    same(await places(one, room, other.user), (head, head), "delivered and read after another message")
    other.say("RECEIPT", room=room, delivered=later)
    await reached(one, room, other.user, (later, head))


@case("6.4-1", "a-room-that-one-is-not-in", *ROOMS, since=2)
async def not_in(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    for name in (room, bench.target.name("r")):
        other.say("RECEIPT", room=name, delivered=1, read=1)
    # Requests are served in their order, so what follows from those before is over with its answer.
    await other.refused("NO_SUCH_ROOM", request="RECEIPTS", room=room)
    check(other.line.closed is None, "a RECEIPT for a foreign room ended the connection")
    same(await places(one, room, other.user), (0, 0), "delivered and read of somebody who is not in")


@case("6.4-4", "a-device-that-is-new", *ROOMS, since=2)
async def new_device(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    head = [(await chat.post(one, room=room))["seq"] for _ in range(3)][-1]
    other.say("RECEIPT", room=room, delivered=head - 1)
    await reached(one, room, other.user, (head - 1, (await places(one, room, other.user))[1]))
    account = await bench.target.account(1)
    talk = await bench.negotiated()
    rows = {row[0]: row[1:] for row in (await talk.log_in(account.user, account.password))["heads"] or ()}
    same(rows.get(room, [])[1:], [head, head - 1], "head, and where the device starts")


@case("6.4-4", "the-first-device", "signup", since=2)
async def first_device(bench: Bench) -> None:
    one = await bench.friend(0)
    talk, name = await bench.signed_up()
    ack = await chat.post(one, user=name)
    rows = {row[0]: row[1:] for row in (await talk.log_in(name, PASSWORD))["heads"] or ()}
    same(rows.get(ack["room"], [])[1:], [ack["seq"], 0], "head of direct messages, and where the device starts")
    joined = [each["seq"] for each in await chat.page(talk, "general", "LATEST") if each["sender"] == name]
    start = rows.get("general", [0, 0, 0])[2]
    check(joined and start in (joined[0] - 1, joined[0]), "it does not start where the membership began")


@case("6.4-5", "read-privately", *ROOMS, since=2)
async def privately(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    second = await bench.friend(1)
    room = await bench.room(one, other)
    head = (await chat.post(one, room=room))["seq"]
    other.say("RECEIPT", room=room, delivered=head, read=head, private=True)
    await second.hear("RECEIPT_EVENT", lambda each: (each["room"], each["read"]) == (room, head))
    same((await chat.standing(other, room))["unread"], 0, "what is unread to himself")
    delivered, read = await places(one, room, other.user)
    check(delivered == head and read < head, f"others are told that he has read {read} of {head}")
    told = [each for each in one.all("RECEIPT_EVENT") if each["room"] == room and (each["read"] or 0) >= head]
    same(told, [], "what others are told of it")


@case("6.4-6", "what-is-unread", *ROOMS, since=2)
async def unread(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    head = (await chat.post(one, room=room))["seq"]
    other.say("RECEIPT", room=room, read=head)
    await reached(one, room, other.user, ((await places(one, room, other.user))[0], head))
    await chat.post(other, room=room, mentions=[other.user])
    found = await chat.standing(other, room)
    same((found["unread"], found["mentions"]), (0, 0), "unread and mentions behind a message of one's own")
    await chat.post(one, room=room, mentions=[other.user])
    await chat.post(other, room=room, mentions=[other.user])
    await chat.post(one, room=room, mentions=[one.user])
    found = await chat.standing(other, room)
    same((found["unread"], found["mentions"]), (3, 1), "unread and mentions")


@case("6.4-7", "ones-other-sessions", *ROOMS, since=2)
async def other_sessions(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    second = await bench.friend(1)
    room = await bench.room(one, other)
    places = [(await chat.post(one, room=room, mentions=[other.user]))["seq"] for _ in range(2)]
    other.say("RECEIPT", room=room, read=places[0])
    told = await second.hear("RECEIPT_EVENT", lambda each: (each["room"], each["user"]) == (room, other.user))
    same((told["read"], told["unread"], told["mentions"]), (places[0], 1, 1), "read, unread, mentions")


@case("6.4-8", "those-whose-events-lie-there", "signup", "rooms", since=2)
async def concerned(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, third, other)
    head = (await chat.post(one, room=room))["seq"]
    other.say("RECEIPT", room=room, delivered=head, read=head)

    def of_it(each: Any) -> bool:
        return bool(each["room"] == room and each["user"] == other.user)

    told = await one.hear("RECEIPT_EVENT", of_it)
    if (told["delivered"], told["read"]) != (head, head):
        told = await one.hear("RECEIPT_EVENT", lambda each: of_it(each) and each["read"] == head)
    await chat.settled(one, third)
    same([each for each in third.all("RECEIPT_EVENT") if of_it(each)], [], "what is told to who said nothing there")


@case("6.4-9", "numbers-in-larger-rooms", "signup", "rooms", since=2, slow=True)
async def numbers(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    for _ in range(31):
        await (await bench.newcomer()).done("ROOM_JOIN", room=room)
    ack = await chat.post(one, room=room)
    other.say("RECEIPT", room=room, delivered=ack["seq"])
    told = await one.hear("RECEIPT_EVENT", lambda each: each["room"] == room and each["count"] is not None)
    same((told["user"], told["delivered"]), (None, ack["seq"]), "who is named, and up to where it is counted")
    found = await one.done("RECEIPTS", room=room)
    same(found["people"], [], "who is named in a room of more than 32")
    check((found["count"] or 0) >= 1, "nobody is counted")


@case("6.4-10", "receipts-of-long-ago", "signup", since=2)
async def long_ago(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.newcomer()
    ack = await chat.post(one, user=other.user)
    one.line.close(0x100)
    other.say("RECEIPT", room=ack["room"], delivered=ack["seq"], read=ack["seq"])
    await other.barrier()
    again = await bench.again(one)
    await reached(again, ack["room"], other.user, (ack["seq"], ack["seq"]))


@case("6.4-10", "receipts-are-for-members", *ROOMS, since=2)
async def members_only(bench: Bench) -> None:
    await ways.unseen(bench, "RECEIPTS", "NO_SUCH_ROOM")


@case("6.4-11", "sent-is-not-delivered", *ROOMS, since=2)
async def not_delivered(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    ack = await chat.post(one, room=room)
    await chat.told(other, ack)
    await other.barrier()
    await chat.page(other, room)
    delivered, read = await places(one, room, other.user)
    check(max(delivered, read) < ack["seq"], f"without a RECEIPT, delivered is {delivered} and read {read}")
