"""Cases of chapter 6: edits, reactions, pins, and what is taken back. (spec 06-messages)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import body
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.messages import post_raw
from quicchat.tools.conform.cases.rooms import ROOMS
from quicchat.tools.conform.chat import KIND, RANK
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check, same

#: Only what takes back says nothing (6.1-1).
WORDS: Final = {"EDIT": "corrected", "REACT": "+1", "PIN": "look"}


async def about(talk: Talk, kind: str, room: str, *refs: int, text: str | None = None, **fields: Any) -> int:
    """Say something about other events; its place."""
    words = WORDS.get(kind, "") if text is None else text
    return int((await chat.post(talk, words, room=room, kind=KIND[kind], refs=list(refs), **fields))["seq"])


async def refused(talk: Talk, kind: str, room: str, *codes: str, refs: list[int], **fields: Any) -> None:
    words = WORDS.get(kind, "")
    wanted = {"room": room, "cid": chat.cid(), "kind": KIND[kind], "text": words, "refs": refs, **fields}
    await talk.refused(*codes, request="MSG_SEND", **wanted)


@case("6.11-1", "about-one-event", "login", "rooms", since=2)
async def one_event(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    places = [(await chat.post(talk, room=room))["seq"] for _ in range(2)]
    await about(talk, "RETRACT", room, places[1])
    for kind in ("EDIT", "RETRACT", "REACT", "PIN"):
        await refused(talk, kind, room, "SCHEMA", refs=[])
        await refused(talk, kind, room, "SCHEMA", refs=[places[0], places[0] - 1])
        await refused(talk, kind, room, "NO_SUCH_MESSAGE", refs=[1000])
    for kind in ("EDIT", "REACT", "PIN"):
        await refused(talk, kind, room, "NO_SUCH_MESSAGE", refs=[places[1]])


@case("6.11-2", "an-edit", *ROOMS, since=2)
async def edit(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    place = (await chat.post(one, "rihgt", room=room))["seq"]
    await about(one, "EDIT", room, place, text="right")
    told = await chat.event(other, room, "EDIT")
    same((told["text"], told["refs"]), ("right", [place]), "text and place of an EDIT")
    same(
        (await chat.page(other, room, anchor=place - 1, limit=1))[0]["text"], "rihgt", "the text of what was corrected"
    )


@case("6.11-2", "an-edit-of-what-is-not-ones-own", *ROOMS, since=2)
async def foreign_edit(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    place = (await chat.post(one, room=room))["seq"]
    reaction = await about(other, "REACT", room, place)
    await refused(other, "EDIT", room, "FORBIDDEN", refs=[place])
    # The owner may not put words into another's mouth, either.
    await refused(one, "EDIT", room, "FORBIDDEN", refs=[(await chat.post(other, room=room))["seq"]])
    await refused(other, "EDIT", room, "FORBIDDEN", refs=[2])
    await refused(other, "EDIT", room, "FORBIDDEN", refs=[reaction])


@case("6.11-3", "who-may-take-back", *ROOMS, since=2)
async def may_retract(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    his, ours = (await chat.post(one, room=room))["seq"], (await chat.post(other, room=room))["seq"]
    await refused(other, "RETRACT", room, "FORBIDDEN", refs=[his])
    # What the server itself recorded is nobody's to take back, and a RETRACT stays.
    await refused(one, "RETRACT", room, "FORBIDDEN", "NO_SUCH_MESSAGE", refs=[2])
    place = await about(one, "RETRACT", room, ours)
    same((await chat.event(other, room, "RETRACT"))["refs"], [ours], "the place that a moderator took back")
    await refused(one, "RETRACT", room, "FORBIDDEN", "NO_SUCH_MESSAGE", refs=[place])
    await about(one, "RETRACT", room, his)


@case("6.11-3", "not-in-direct-messages", "other", since=2)
async def direct(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    ack = await chat.post(one, user=other.user)
    await refused(other, "RETRACT", ack["room"], "FORBIDDEN", refs=[ack["seq"]])
    await about(one, "RETRACT", ack["room"], ack["seq"])
    await chat.event(other, ack["room"], "RETRACT", refs=[ack["seq"]])


@case("6.11-4", "what-was-taken-back-is-gone", *ROOMS, since=2)
async def gone(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    fields = body(
        "MSG_SEND", {"room": room, "cid": chat.cid(), "text": "secret", "mentions": [other.user], "topic": "t"}
    )
    ack = await post_raw(one, {**fields, 33: "secret"})
    edited = await about(one, "EDIT", room, ack["seq"], text="still secret", mentions=[other.user])
    await about(one, "RETRACT", room, ack["seq"])
    target, correction = (await chat.page(other, room, anchor=ack["seq"] - 1, limit=2))[:2]
    for each in (target, correction):
        same((each["text"] or "", each["mentions"] or []), ("", []), "text and mentions of what was taken back")
        check(b"secret" not in each.data, "what was taken back is given out")
    same((target["seq"], target["cid"], target["sender"]), (ack["seq"], ack["cid"], one.user), "what stays")
    same(correction["refs"], [ack["seq"]], "what the correction is about")
    same(correction["seq"], edited, "the place of the correction")


@case("6.11-4", "a-retry-of-what-was-taken-back", "other", since=2)
async def retry(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    ack = await chat.post(one, "a slip", user=other.user)
    await about(one, "RETRACT", ack["room"], ack["seq"])
    again = await chat.post(one, "a slip", user=other.user, cid=ack["cid"])
    same((again["seq"], again["dup"]), (ack["seq"], True), "place and dup of the retry")
    await one.refused("CID_CONFLICT", request="MSG_SEND", cid=ack["cid"], text="a slip", room="general")


@case("6.11-5", "a-reaction", *ROOMS, since=2)
async def react(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    place = (await chat.post(one, room=room))["seq"]
    reaction = await about(other, "REACT", room, place, text="x" * 64)
    told = await chat.event(one, room, "REACT")
    same((told["seq"], told["refs"], told["text"]), (reaction, [place], "x" * 64), "place, target, text of a REACT")
    for text in ("x" * 65, "\u00e9" * 33, ""):
        await refused(other, "REACT", room, "SCHEMA", refs=[place], text=text)
    await about(other, "RETRACT", room, reaction)


@case("6.11-6", "a-pin", *ROOMS, since=2)
async def pin(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    place = (await chat.post(other, room=room))["seq"]
    await refused(other, "PIN", room, "FORBIDDEN", refs=[place])
    await about(one, "PIN", room, place)
    same((await chat.event(other, room, "PIN"))["refs"], [place], "what is marked")
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    await about(other, "PIN", room, place)
    ack = await chat.post(one, user=other.user)
    await about(other, "PIN", ack["room"], ack["seq"])


@case("6.11-7", "only-an-edit-carries", *ROOMS, since=2)
async def carries(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    place = (await chat.post(one, room=room))["seq"]
    attached = [[bytes(32), 7, "text/plain", "a", 0]]
    for kind in ("RETRACT", "REACT", "PIN"):
        await refused(one, kind, room, "SCHEMA", refs=[place], mentions=[other.user])
        await refused(one, kind, room, "SCHEMA", refs=[place], attachments=attached)
    await about(one, "EDIT", room, place, mentions=[other.user])
    same((await chat.event(other, room, "EDIT"))["mentions"], [other.user], "who is named in an EDIT")
