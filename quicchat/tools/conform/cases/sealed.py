"""Cases of chapter 15: what a server does with sealed messages, which it cannot open. (spec 15-keys)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform import cbor, chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import Pdu
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.classic import classic, plain
from quicchat.tools.conform.cases.keys import KEYS
from quicchat.tools.conform.chat import KIND
from quicchat.tools.conform.sealing import SENDER_KEY, key, keying, locked, publish, saying, sealed, vault
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, check, same

SEALED: Final = (*KEYS, "rooms")
NEUTRAL: Final = "application/octet-stream"


async def refused(talk: Talk, code: str, said: dict[str, Any]) -> None:
    await talk.refused(code, request="MSG_SEND", **said)


async def say(talk: Talk, said: dict[str, Any]) -> int:
    """The place of what is stored."""
    return int((await talk.done("MSG_SEND", **said))["seq"])


def entries(event: Pdu) -> dict[int, bytes] | None:
    """The entries of a KEY event. Raises Failed for what is none."""
    try:
        found = cbor.load(event["sealed"] or b"")
    except ValueError as error:
        raise Failed(f"the sealed body of a KEY event is broken: {error}") from None
    result: dict[int, bytes] | None = found.get(6)
    return result


@case("15.5-1", "what-stands-beside-what-is-sealed", "login", "rooms", "keys", since=2)
async def beside(bench: Bench) -> None:
    one = await bench.friend()
    room = await vault(bench, one)
    attached = [bytes(32), 9, NEUTRAL, "", 0]
    wrong: dict[str, Any]
    for wrong in (
        {"text": "plain"},
        {"topic": "plain"},
        {"topic": ""},
        {"reply": 1},
        {"mentions": ["echo"]},
        {"mentions": []},
        {"attachments": [[*attached[:2], "image/png", "", 0]]},
        {"attachments": [[*attached[:3], "plan.txt", 0]]},
        {"attachments": [[*attached[:4], 1]]},
        {"kind": KIND["RETRACT"], "refs": [1]},
        {"kind": KIND["PIN"], "refs": [1]},
        {"sealed": b"\xff"},
        {"sealed": b"\x01"},
        {"sealed": sealed() + b"\x00"},
        {"sealed": cbor.dump({1: 9, 4: b"x"})},
        {"sealed": cbor.dump({1: 1})},
    ):
        await refused(one, "SCHEMA", saying(room=room, **wrong))
    same(len(await chat.page(one, room)), 1, "the events of the room")


@case("15.5-2", "entries-stand-in-key-events", "login", "rooms", "keys", since=2)
async def misplaced(bench: Bench) -> None:
    one = await bench.friend()
    room, entry = await vault(bench, one), {1: b"x"}
    event = {"room": room, "text": "", "kind": KIND["KEY"]}
    for wrong in (
        {"room": room, "text": "", "sealed": locked(entry)},
        {"room": room, "text": "", "sealed": locked({})},
        {**event, "text": "plain"},
        {**event, "sealed": locked(None)},
        {**event, "sealed": locked({})},
        {**event, "sealed": locked(entry), "refs": [1]},
        {**event, "sealed": locked(entry), "refs": []},
        {**event, "sealed": locked(entry), "attachments": [[bytes(32), 9, NEUTRAL, "", 0]]},
    ):
        await refused(one, "SCHEMA", {"cid": chat.cid(), **wrong})
    same(len(await chat.page(one, room)), 1, "the events of the room")


@case("15.5-3", "a-handle-of-nobody-there", *SEALED, since=2)
async def stale(bench: Bench) -> None:
    one, other, stranger = await bench.friend(0), await bench.newcomer(), await bench.newcomer()
    room = await vault(bench, one, other)
    his, foreign = await publish(other, key()), await publish(stranger, key())
    waits = key()
    await (await bench.again(other)).done("KEY_PUBLISH", **waits.fields)
    for to in ({"room": room}, {"user": other.user}):
        for keys in ((key(),), (his, foreign), (his, waits)):
            await refused(one, "KEYS_STALE", keying(*keys, **to))
        await say(one, keying(his, **to))
    kinds = [each["kind"] for each in await chat.page(one, room)]
    same(kinds, [KIND["JOIN"], KIND["JOIN"], KIND["KEY"]], "the kinds of the events")


@case("15.5-4", "each-device-has-its-own-entry", *SEALED, since=2)
async def own_entry(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.newcomer()
    phone = await bench.again(other)
    keys = [await publish(other, key())]
    keys.append(await publish(phone, key(), keys[0], serial=2))
    third = await bench.friend(1)
    room = await vault(bench, one, other, third)
    ack = await one.done("MSG_SEND", **keying(*keys, room=room))
    for talk, mine in ((other, keys[0]), (phone, keys[1]), (third, None)):
        wanted = None if mine is None else {mine.handle: mine.certificate}
        told = await chat.told(talk, ack)
        (fetched,) = await chat.page(talk, room, anchor=ack["seq"] - 1)
        for each in (told.pdu, fetched):
            same(entries(each), wanted, "the entries that a device is given")
    (own,) = await chat.page(one, room, anchor=ack["seq"] - 1)
    same(entries(own), None, "the entries that the sender is given")


@case("15.5-5", "passed-on-as-it-came", "other", "rooms", "keys", since=2)
async def as_it_came(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await vault(bench, one, other)
    for data in (sealed(), cbor.dump({1: SENDER_KEY, 4: b"x", 33: b"kept"})):
        ack = await one.done("MSG_SEND", **{**saying(room=room), "sealed": data})
        told = await chat.told(other, ack)
        (fetched,) = await chat.page(other, room, anchor=ack["seq"] - 1)
        for each in (told.pdu, fetched):
            same((each["sealed"], each["text"] or ""), (data, ""), "what was sealed, and the text beside it")


@case("15.5-6", "another-body-is-another-message", *SEALED, since=2)
async def another_body(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.newcomer()
    room = await vault(bench, one, other)
    his = await publish(other, key())
    words, event = saying(room=room), keying(his, room=room)
    for each in (words, event):
        place = await say(one, each)
        again = await one.done("MSG_SEND", **each)
        same((again["seq"], again["dup"]), (place, True), "place and dup of a retry")
    for each in (
        {**words, "sealed": sealed(b"another")},
        {**event, "sealed": locked({his.handle: b"another"})},
        {**event, "sealed": locked({his.handle: his.certificate}, b"another")},
    ):
        await refused(one, "CID_CONFLICT", each)


@case("15.5-7", "nothing-plain-in-an-encrypted-room", "login", "rooms", "keys", since=2)
async def nothing_plain(bench: Bench) -> None:
    one = await bench.friend()
    room = await vault(bench, one)
    place = await say(one, saying(room=room))
    for fields in (
        {},
        {"kind": KIND["EMOTE"]},
        {"kind": KIND["EDIT"], "refs": [place]},
        {"kind": KIND["REACT"], "refs": [place]},
    ):
        await refused(one, "SEALED_ONLY", {"room": room, "cid": chat.cid(), "text": "plain", **fields})
    await say(one, saying(room=room, kind=KIND["EDIT"], refs=[place]))
    await say(one, saying(room=room, kind=KIND["REACT"], refs=[place]))
    await chat.post(one, "look", room=room, kind=KIND["PIN"], refs=[place])
    await chat.post(one, "", room=room, kind=KIND["RETRACT"], refs=[place])


@case("15.5-8", "what-is-sealed-can-be-taken-back", *SEALED, since=2)
async def taken_back(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.newcomer()
    room = await vault(bench, one, other)
    his = await publish(other, key())
    place = await say(one, saying(b"secret", room=room))
    await say(one, saying(b"secret", room=room, kind=KIND["EDIT"], refs=[place]))
    await chat.post(one, "", room=room, kind=KIND["RETRACT"], refs=[place])
    gone = (await chat.page(other, room, anchor=place - 1))[:2]
    same([each["sealed"] for each in gone], [None, None], "what is left of what was sealed")
    event = await say(one, keying(his, room=room))
    for kind, said in (
        ("RETRACT", {"text": ""}),
        ("PIN", {"text": "look"}),
        ("EDIT", {"text": "", "sealed": sealed()}),
        ("REACT", {"text": "", "sealed": sealed()}),
    ):
        await refused(one, "FORBIDDEN", {"room": room, "cid": chat.cid(), "kind": KIND[kind], "refs": [event], **said})


@case("15.5-9", "keys-are-nobodys-news", *SEALED, since=2)
async def no_news(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.newcomer()
    room = await vault(bench, one, other)
    his = await publish(other, key())
    await say(one, keying(his, room=room))
    place = await say(one, saying(room=room))
    await say(one, keying(his, room=room))
    same((await chat.standing(other, room))["unread"], 1, "what is unread of a message and two keys")
    second = await bench.again(other)
    other.say("RECEIPT", room=room, read=place)
    told = await second.hear("RECEIPT_EVENT", lambda each: each["room"] == room and each["unread"] is not None)
    same(told["unread"], 0, "what is unread after the message was read")


@case("15.5-10", "announcements-are-plain", "login", "keys", since=2)
async def announcements(bench: Bench) -> None:
    await refused(await bench.friend(), "FORBIDDEN", saying(room="*"))


@case("15.5-11", "a-notice-for-version-1", *SEALED, since=2)
async def for_version_1(bench: Bench) -> None:
    old, one = await classic(bench), await bench.friend(0)
    his = await publish(await bench.again(old), key())
    for said in (saying(b"0123456789abcdef", user=old.user), keying(his, user=old.user)):
        told = await chat.told(old, await one.done("MSG_SEND", **said))
        plain(told.pdu)
        same(told["kind"], KIND["NOTICE"], "the kind of what is told to version 1")
        check(told["text"], "it says nothing")
        check(b"0123456789abcdef" not in told.pdu.data, "what was sealed is given to version 1")
