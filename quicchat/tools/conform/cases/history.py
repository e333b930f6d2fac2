"""Cases of chapter 6: pages of a log, search, and where something moved. (spec 06-messages)"""

from __future__ import annotations

import os
from typing import Any

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import Pdu, bare
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.changes import about
from quicchat.tools.conform.cases.rooms import ROOMS
from quicchat.tools.conform.chat import KIND, WINDOW
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Unimplemented, check, same

QUERY = 2


@case("6.5-1", "pages-both-ways", "login", "rooms", since=2)
async def both_ways(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    for number in range(9):
        await chat.post(talk, f"{number}", room=room)
    for window, fields, wanted in (
        ("AFTER", {"anchor": 5, "limit": 3}, [6, 7, 8]),
        ("AFTER", {"anchor": 8}, [9, 10]),
        ("AFTER", {"anchor": 10}, []),
        ("BEFORE", {"anchor": 5, "limit": 3}, [2, 3, 4]),
        ("BEFORE", {"anchor": 1}, []),
        ("BEFORE", {"anchor": 100, "limit": 2}, [9, 10]),
        ("LATEST", {"limit": 2}, [9, 10]),
        ("LATEST", {}, list(range(1, 11))),
    ):
        found = [each["seq"] for each in await chat.page(talk, room, window, **fields)]
        same(found, wanted, f"the places {window} {fields}")
    around = [each["seq"] for each in await chat.page(talk, room, "AROUND", anchor=5, limit=3)]
    check(5 in around and around == list(range(around[0], around[0] + 3)), f"around 5 are {around}")


@case("6.5-1", "as-many-as-fit-a-frame", "login", "rooms", since=2)
async def fits(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    for _ in range(4):
        await chat.post(talk, "x" * 30_000, room=room)
    found = [each["seq"] for each in await chat.page(talk, room, anchor=1)]
    check(found and found == list(range(2, 2 + len(found))), f"after 1 come {found}")
    found = [each["seq"] for each in await chat.page(talk, room, "BEFORE", anchor=6)]
    check(found and found == list(range(6 - len(found), 6)), f"before 6 come {found}")


@case("6.5-2", "byte-for-byte", *ROOMS, since=2)
async def same_bytes(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    ack = await chat.post(one, room=room, topic="thread", mentions=[other.user])
    told = await chat.told(other, ack)
    pages = [await chat.page(talk, room, anchor=ack["seq"] - 1) for talk in (one, other, one)]
    same(len({each.data for page in pages for each in page}), 1, "the number of forms of one event")
    same(pages[0][0].known, told.pdu.known, "what is fetched, beside what was pushed")


@case("6.5-2", "on-a-query-stream", "login", "rooms", since=2)
async def on_a_stream(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    sid = talk.open(QUERY)
    found = await talk.done("HISTORY", sid=sid, room=room, window=WINDOW["LATEST"])
    same([bare("MSG", each)["seq"] for each in found["events"]], [1], "the places")
    same((found["first"], found["head"]), (1, 1), "first and head")


@case("6.5-3", "no-anchor", "login", since=2)
async def no_anchor(bench: Bench) -> None:
    talk = await bench.friend()
    for window in ("BEFORE", "AFTER", "AROUND", "BETWEEN"):
        await talk.refused("SCHEMA", request="HISTORY", room="general", window=WINDOW[window])


@case("6.5-3", "a-room-that-one-is-not-in", *ROOMS, since=2)
async def not_in(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    found = [
        await other.refused("NO_SUCH_ROOM", request="HISTORY", room=room, window=WINDOW["LATEST"])
        for room in (await bench.room(one), bench.target.name("r"))
    ]
    same(found[0].pdu.known, found[1].pdu.known, "what is answered of a room that one is not in")


@case("6.5-5", "between-two-places", "login", "rooms", since=2)
async def between(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    for _ in range(7):
        await chat.post(talk, room=room)
    for fields, wanted in (
        ({"anchor": 2, "until": 7}, [3, 4, 5, 6]),
        ({"anchor": 2, "until": 7, "limit": 2}, [3, 4]),
        ({"anchor": 2, "until": 3}, []),
    ):
        found = [each["seq"] for each in await chat.page(talk, room, "BETWEEN", **fields)]
        same(found, wanted, f"the places between {fields}")
    await talk.refused("SCHEMA", request="HISTORY", room=room, window=WINDOW["BETWEEN"], anchor=2)


# Search


async def search(talk: Talk, words: str, **fields: Any) -> list[Pdu]:
    """One page of what is found. Raises Unimplemented where a server has no means to search (6.8-3)."""
    found = await talk.patiently("SEARCH", words=words, **fields)
    if found.pdu.name == "ERROR" and found["code"] == 0x107:
        raise Unimplemented("this server does not search")
    same(found.pdu.name, "SEARCH_R", "the answer to SEARCH")
    return [bare("MSG", each) for each in found["events"]]


def word() -> str:
    """A word that nobody has said."""
    return "".join(chr(ord("a") + each % 26) for each in os.urandom(12))


@case("6.8-1", "words-that-match", "login", "rooms", since=2)
async def words(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    stem = word()
    await chat.post(talk, f"Cr\u00e8me {stem.upper()}, caf\u00e9!", room=room)
    for asked, wanted in (
        (stem, 1),
        (f"creme {stem}", 1),
        (f"CAFE\u0301 ({stem})", 1),
        (f"{stem} tea", 0),
        (stem[:-1], 0),
        (f"{stem[:-1]}*", 1),
        (f"{stem} OR tea", 0),
        (f'"{stem}" caf*', 1),
    ):
        same(len(await search(talk, asked, room=room)), wanted, f"how much is found with {asked!r}")
    same([each["room"] for each in await search(talk, stem)], [room], "the rooms in which it is found")


@case("6.8-1", "where-one-may-search", *ROOMS, since=2)
async def where(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    shared, private, stem = await bench.room(one, other), await bench.room(one), word()
    for room in (shared, private):
        await chat.post(one, stem, room=room)
    place = (await chat.post(one, "not yet", room=shared))["seq"]
    await about(one, "EDIT", shared, place, text=f"now {stem}")
    gone = (await chat.post(one, stem, room=shared))["seq"]
    await about(one, "RETRACT", shared, gone)
    found = [(each["room"], each["kind"]) for each in await search(other, stem)]
    same(found, [(shared, KIND["EDIT"]), (shared, KIND["TEXT"])], "room and kind of what another one finds")
    same(len(await search(one, stem)), 3, "how much a member of both finds")


@case("6.8-2", "newest-first", "login", "rooms", since=2)
async def newest_first(bench: Bench) -> None:
    talk = await bench.friend()
    room, stem = await bench.room(talk), word()
    for _ in range(5):
        await chat.post(talk, stem, room=room)
    await search(talk, stem, limit=1)
    found: list[int] = []
    after = None
    for _ in range(6):
        page = await talk.done("SEARCH", words=stem, limit=2, after=after)
        found += [bare("MSG", each)["seq"] for each in page["events"]]
        if (after := page["next"]) is None:
            break
    same(found, [6, 5, 4, 3, 2], "the places of all pages")


@case("6.8-3", "searches-that-are-none", *ROOMS, since=2)
async def no_search(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    await search(one, word())
    for room in (await bench.room(one), bench.target.name("r")):
        await other.refused("NO_SUCH_ROOM", request="SEARCH", words="word", room=room)
    for fields in ({"words": "!?"}, {"words": "word", "after": b"\xff" * 7}):
        await one.refused("SCHEMA", request="SEARCH", **fields)


# Targets


async def targets(talk: Talk) -> dict[str, list[int]]:
    """All rooms of the user, page by page: epoch, head, read, unread, mentions."""
    rows: list[list[Any]] = []
    while True:
        page = await talk.done("TARGETS", after=rows[-1][0] if rows else None, limit=200)
        rows += page["targets"]
        if not page["more"]:
            break
    names = [row[0] for row in rows]
    same(names, sorted(set(names)), "the order of TARGETS")
    return {row[0]: row[1:] for row in rows}


@case("6.9-1", "all-rooms-of-the-user", *ROOMS, since=2)
async def all_rooms(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    epoch = (await chat.post(one, room=room, mentions=[other.user]))["epoch"]
    await chat.post(one, room=room)
    direct = await chat.post(one, user=other.user)
    rows = await targets(other)
    check({"*", "general", room, direct["room"]} <= rows.keys(), "TARGETS leaves rooms out")
    same(rows.get(room), [epoch, 4, 2, 2, 1], "epoch, head, read, unread, mentions")


@case("6.9-1", "what-moved-while-one-was-away", "signup", since=2)
async def while_away(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.newcomer()
    other.line.close(0x100)
    acks = [await chat.post(one, f"{number}", user=other.user) for number in range(3)]
    again = await bench.again(other, device=other.device)
    rows = await targets(again)
    same(rows.get(acks[0]["room"]), [acks[0]["epoch"], 3, 0, 3, 0], "epoch, head, read, unread, mentions")
    texts = [each["text"] for each in await chat.page(again, acks[0]["room"])]
    same(texts, ["0", "1", "2"], "what was said while he was away")
