"""Cases of chapter 6: what is said is stored once, in one order, and told to whom it concerns. (spec 06-messages)"""

from __future__ import annotations

from typing import Any

from quicchat.tools.conform import cbor, chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, ID, TYPE, VERSION, body, book, frame
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.rooms import ROOMS, three
from quicchat.tools.conform.chat import KIND
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check, same


async def post_raw(talk: Talk, fields: dict[int, Any]) -> Heard:
    """Say a MSG_SEND with any keys; whatever the answer is."""
    number = talk.next_id()
    kind = book().kinds["MSG_SEND"].number
    talk.say_bytes(frame(cbor.dump({VERSION: talk.version, TYPE: kind, ID: number, BODY: fields})))
    return await talk.answer(number)


# What is taken


@case("6.1-1", "to-both-or-neither", "other")
async def both_or_neither(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    said: dict[str, Any] = {"cid": chat.cid(), "text": "a word"}
    await one.refused("SCHEMA", request="MSG_SEND", room="general", user=other.user, **said)
    await one.refused("SCHEMA", request="MSG_SEND", **said)


@case("6.1-1", "nothing-said", "other")
async def nothing(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    await one.refused("SCHEMA", request="MSG_SEND", cid=chat.cid(), text="", user=other.user)


@case("6.1-2", "a-room-that-one-is-not-in", *ROOMS, since=2)
async def not_in(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    found = [
        await other.refused("NOT_MEMBER", request="MSG_SEND", room=name, cid=chat.cid(), text="a word")
        for name in (room, bench.target.name("r"))
    ]
    same(found[0].pdu.known, found[1].pdu.known, "what is answered of a room that one is not in")
    same(len(await chat.page(one, room)), 1, "the events of the room")


@case("6.1-2", "no-such-user", "login")
async def no_such_user(bench: Bench) -> None:
    talk = await bench.friend()
    nobody = bench.target.name("nobody")
    await talk.refused("NO_SUCH_USER", request="MSG_SEND", user=nobody, cid=chat.cid(), text="a word")


@case("6.1-2", "a-room-that-is-none", "login")
async def no_room(bench: Bench) -> None:
    talk = await bench.friend()
    room = bench.target.name("r")
    await talk.refused("NOT_MEMBER", request="MSG_SEND", room=room, cid=chat.cid(), text="a word")


@case("6.1-4", "a-retry-is-answered-as-before", "other")
async def retry(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    first = await chat.post(one, "once", user=other.user)
    check(not first["dup"], "the first is called a duplicate")
    again = await chat.post(one, "once", user=other.user, cid=first["cid"])
    elsewhere = await chat.post(await bench.friend(0), "once", user=other.user, cid=first["cid"])
    for each in (again, elsewhere):
        same((each["room"], each["seq"], each["dup"]), (first["room"], first["seq"], True), "the answer to a retry")
    last = await chat.post(one, "twice", user=other.user)
    await chat.told(other, last)
    same(sum(each["cid"] == first["cid"] for each in other.all("MSG")), 1, "how often the message was told")


@case("6.1-4", "the-same-cid-for-another-message", "other")
async def conflict(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    first = await chat.post(one, "once", user=other.user)
    changed: list[dict[str, Any]] = [{"text": "twice"}, {"user": None, "room": "general"}]
    changed += [{"kind": KIND["EMOTE"]}] if one.version > 1 else []
    for fields in changed:
        wanted = {"cid": first["cid"], "text": "once", "user": other.user, **fields}
        await one.refused("CID_CONFLICT", request="MSG_SEND", **wanted)


@case("6.1-4", "a-cid-is-its-senders", "other")
async def own_cid(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    first = await chat.post(one, "from one", user=other.user)
    second = await chat.post(other, "from the other", user=one.user, cid=first["cid"])
    check(not second["dup"] and second["seq"] > first["seq"], "two users cannot use the same cid")


@case("6.1-5", "kinds-that-are-the-servers", "other", since=2)
async def kinds(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    for kind in ("JOIN", "LEAVE", "TOPIC", "ROLE"):
        wanted: dict[str, Any] = {"kind": KIND[kind], "cid": chat.cid(), "text": "a word", "user": other.user}
        await one.refused("FORBIDDEN", request="MSG_SEND", **wanted)
    for kind in ("EMOTE", "NOTICE", "CODE"):
        ack = await chat.post(one, user=other.user, kind=KIND[kind])
        same((await chat.told(other, ack))["kind"], KIND[kind], "the kind that is told")


@case("6.1-7", "too-large-to-be-fetched", "other", since=2)
async def too_large(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    fields: dict[int, Any] = {1: room, 3: chat.cid(), 5: "x" * 32_768}
    # As long as a frame may be, with a key that is kept (2.5-3): what the server adds does not fit any more.
    spare = book().limits["frame"] - len(cbor.dump(fields)) - 40
    one.check_refusal(await post_raw(one, {**fields, 33: bytes(spare)}), "MSG_TOO_LARGE")
    same(len(await chat.page(one, room)), 2, "the events of the room")


@case("6.1-8", "what-a-reply-is-about", "login", "rooms", since=2)
async def reply(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    for place in (0, 2, 1000):
        wanted: dict[str, Any] = {"room": room, "cid": chat.cid(), "text": "a word", "reply": place}
        await talk.refused("NO_SUCH_MESSAGE", request="MSG_SEND", **wanted)
    await chat.post(talk, room=room, reply=1)
    same([each["reply"] for each in await chat.page(talk, room, anchor=1)], [1], "the place that is answered")


@case("6.1-9", "many-at-once", "other", "rooms", since=2)
async def many(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room, foreign = await bench.room(one), await bench.room(other)
    cids = [chat.cid() for _ in range(3)]
    posts = [
        cbor.dump(body("MSG_SEND", {"room": name, "cid": cid, "text": f"one of {number}"}))
        for number, (name, cid) in enumerate(zip((room, foreign, room), cids, strict=True))
    ]
    number = one.next_id()
    one.say("MSG_SEND_MANY", id=number, posts=posts)
    whole = await one.answer(number)
    same(whole.pdu.name, "OK", "the answer to the whole")
    before = one.heard[: one.heard.index(whole)]
    acks = [(each["cid"], each["seq"]) for each in before if each.pdu.name == "MSG_ACK"]
    same(acks, [(cids[0], 2), (cids[2], 3)], "cid and place of what was stored")
    errors = [(book().code(each["code"]), each["detail"]) for each in before if each.pdu.name == "ERROR"]
    same(errors, [("NOT_MEMBER", cids[1])], "code and detail of what was refused")


@case("6.1-10", "many-of-which-one-is-none", "login", "rooms", since=2)
async def broken(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    good = cbor.dump(body("MSG_SEND", {"room": room, "cid": chat.cid(), "text": "a word"}))
    for bad in (b"\xff\xff", cbor.dump({1: room}), cbor.dump({1: room, 3: chat.cid(), 5: 7})):
        number = talk.next_id()
        talk.say("MSG_SEND_MANY", id=number, posts=[good, bad])
        talk.check_refusal(await talk.answer(number), "SCHEMA")
    same(len(await chat.page(talk, room)), 1, "the events of the room")


# Order


@case("6.2-2", "two-senders-at-once", *ROOMS, since=2)
async def two_senders(bench: Bench) -> None:
    talks = [await bench.friend(0), await bench.friend(1)]
    room = await bench.room(*talks)
    asked: list[list[tuple[int, bytes]]] = [[], []]
    for _ in range(100):
        for talk, mine in zip(talks, asked, strict=True):
            mine.append((talk.next_id(), chat.cid()))
            talk.say("MSG_SEND", id=mine[-1][0], room=room, cid=mine[-1][1], text=f"{len(mine)}")
    places: dict[int, bytes] = {}
    for talk, mine in zip(talks, asked, strict=True):
        acks = [await talk.answer(number) for number, _ in mine]
        check(all(each.pdu.name == "MSG_ACK" for each in acks), "not all messages were stored")
        seqs = [each["seq"] for each in acks]
        same(seqs, sorted(seqs), "the places of one sender's messages, in the order in which they were sent")
        places |= {each["seq"]: each["cid"] for each in acks}
    same(sorted(places), list(range(3, 203)), "the places of all")
    for talk, others in zip(talks, (asked[1], asked[0]), strict=True):
        wanted = {place for place, cid in places.items() if cid in {cid for _, cid in others}}
        last = max(wanted)
        await talk.hear("MSG", lambda each, last=last: (each["room"], each["seq"]) == (room, last))  # type: ignore[misc]  # the default binds it now
        told = [each for each in chat.heard(talk, room) if each["seq"] > 2]
        same({each["seq"] for each in told} | {last}, wanted, "the places that are told")
        check(all(places[each["seq"]] == each["cid"] for each in told), "somebody was told another place")
    found = await chat.page(talks[0], room, anchor=2, limit=200)
    while found and found[-1]["seq"] < 202:
        found += await chat.page(talks[0], room, anchor=found[-1]["seq"], limit=200)
    same([(each["seq"], each["cid"]) for each in found], sorted(places.items()), "the log")


@case("6.2-3", "whether-both-were-there", "signup")
async def recipient(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.newcomer()
    same((await chat.post(one, user=other.user))["recipient"], 1, "recipient of a message to somebody who is there")
    same((await chat.post(one, room="general"))["recipient"], None, "recipient of a message to a room")
    other.say("BYE")
    await other.ear.quietly(lambda: other.line.closed, 6.0)
    same((await chat.post(one, user=other.user))["recipient"], 0, "recipient of a message to somebody who is away")


@case("6.2-4", "ones-own-message", "other")
async def echo_to_others(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    second = await bench.friend(0)
    ack = await chat.post(one, user=other.user)
    # With version 1 a server may find that its own PING was not answered yet (6.6-5); with 2 nothing is due.
    for talk in (second, other):
        same((await chat.told(talk, ack))["sender"], one.user, "the sender of a MSG")
    await one.barrier()
    if one.version > 1:
        check(all(each["cid"] != ack["cid"] for each in one.all("MSG")), "the session was told its own message")


# Who is told what


@case("6.3-1", "members-and-no-others", "signup", "rooms", since=2)
async def members_only(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other)
    ack = await chat.post(one, room=room)
    same((await chat.told(other, ack))["text"], "a word", "the text that is told")
    await chat.settled(one, third)
    same(chat.heard(third, room), [], "what is told to somebody who is not in")


@case("6.3-1", "direct-messages", "signup")
async def direct(bench: Bench) -> None:
    one, other, third = await three(bench)
    ack = await chat.post(one, "for you", user=other.user)
    told = await chat.told(other, ack)
    same((told["sender"], told["text"], told["cid"]), (one.user, "for you", ack["cid"]), "sender, text and cid")
    await chat.settled(one, third)
    same(chat.heard(third, ack["room"]), [], "what is told to a third one")


@case("6.3-1", "announcements", "signup")
async def announcement(bench: Bench) -> None:
    one, other, third = await three(bench)
    answer = await one.patiently("MSG_SEND", room="*", cid=chat.cid(), text="hear, hear")
    if answer.pdu.name == "ERROR":
        # The operator limits who may announce (6.1-6).
        one.check_refusal(answer, "FORBIDDEN")
        return
    for talk in (other, third):
        same((await chat.told(talk, answer))["text"], "hear, hear", "the text that is told")


@case("6.3-1", "the-room-of-everybody", "signup")
async def general(bench: Bench) -> None:
    one, other, third = await three(bench)
    ack = await chat.post(one, "to all", room="general")
    for talk in (other, third):
        same((await chat.told(talk, ack))["text"], "to all", "the text that is told")


@case("6.3-2", "what-is-the-servers", "other", since=2)
async def servers_own(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    ack = await chat.post(one, user=other.user)
    told = await chat.told(other, ack)
    same((told["sender"], told["device"], told["ts"]), (one.user, one.device, ack["ts"]), "sender, device, ts")
    same((told["epoch"], told["cid"]), (ack["epoch"], ack["cid"]), "epoch and cid")


@case("6.3-2", "what-came-is-passed-on", *ROOMS, since=2)
async def passed_on(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    said = {
        "kind": KIND["CODE"],
        "text": "x = 1\n\ty",
        "topic": "code",
        "reply": 1,
        "mentions": [other.user],
        "sent": 7,
    }
    fields = body("MSG_SEND", {"room": room, "cid": chat.cid(), **said})
    strange = {33: "kept", 41: [1, {7: b"\x00"}], 2**32 + 1: True}
    ack = await post_raw(one, {**fields, **strange})
    same(ack.pdu.name, "MSG_ACK", "the answer to MSG_SEND with unknown odd keys")
    told = await chat.told(other, ack)
    fetched = await chat.page(one, room, anchor=ack["seq"] - 1)
    same(len(fetched), 1, "the number of events behind the one before it")
    for each in (told.pdu, *fetched):
        same({name: each[name] for name in said}, said, "what was said")
        same({key: value for key, value in each.body.items() if key in strange}, strange, "the unknown keys")


@case("6.3-2", "text-is-passed-on", "other")
async def text(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    for each in ("\u00e9 e\u0301 \u202e \U0001f600 \x1b[2J", "x" * 32_768, "[SERVER] hello"):
        ack = await chat.post(one, each, user=other.user)
        check((await chat.told(other, ack))["text"] == each, f"{each[:20]!r}... was told in other words")
