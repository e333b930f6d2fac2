"""Cases of chapters 5 and 6 for clients: logs with gaps, doubles and other epochs. (spec 06-messages)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from quicchat.tools.conform import honest
from quicchat.tools.conform.book import book
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.host import ROOM, Host, embedded
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed, NonStrict

_OVERLOADED: Final = book().codes["OVERLOADED"]
_BETWEEN: Final = 5


def _events(stage: Stage, count: int) -> list[dict[str, Any]]:
    """So many events, whose texts are `event-1.` and so on."""
    return [stage.house.event(f"event-{number}.") for number in range(1, count + 1)]


def _texts(*numbers: int) -> list[str]:
    return [f"event-{number}." for number in numbers]


def _asked(heard: Heard) -> tuple[int, int]:
    """The first and the last place that a HISTORY asks for, if it could have them."""
    anchor, limit = heard["anchor"] or 0, heard["limit"] or 200
    if heard["window"] == _BETWEEN:
        return anchor + 1, min(heard["until"] - 1, anchor + limit)
    return {1: (anchor - limit, anchor - 1), 2: (anchor + 1, anchor + limit)}.get(heard["window"], (1, 1 << 53))


async def _fetches(host: Host, places: Sequence[int]) -> None:
    """The client asks for these places. Raises Failed."""

    def covered() -> bool | None:
        asked = [_asked(each) for each in host.said("HISTORY") if each["room"] == ROOM]
        return all(any(first <= place <= last for first, last in asked) for place in places) or None

    await host.until(covered, f"HISTORY for {ROOM} {places[0]} to {places[-1]}")


@client("6.3-1", "shows-what-is-said")
async def shows(stage: Stage) -> None:
    host = await stage.ready()
    for event in _events(stage, 3):
        host.push(event)
    await host.barrier()
    await stage.shows_once(*_texts(1, 2, 3))


@client("6.3-4", "a-gap-is-fetched", since=2)
async def gap(stage: Stage) -> None:
    """The places 4 and 5 are missing: they are asked for, nothing else is, and all stays in order."""
    host = await stage.ready()
    events = _events(stage, 7)
    for event in (*events[:3], *events[5:]):
        host.push(event)
    await _fetches(host, (4, 5))
    await stage.shows_once(*_texts(*range(1, 8)))
    asked = [_asked(each) for each in host.said("HISTORY") if each["room"] == ROOM]
    if any(first <= 3 or last > 5 for first, last in asked):
        stage.notes.append(f"it asked for the places {asked}, and 4 and 5 were missing")
    if host.line.closed is not None:
        raise Failed("it gave up the connection because of a gap (6.3-7)")


@client("6.3-7", "a-gap-that-nobody-can-close", since=2)
async def lasting(stage: Stage) -> None:
    """Behind `first` is nothing any more: what there is is shown, and the connection goes on."""

    def trimmed(host: Host, heard: Heard) -> None:
        found = [each for each in honest.wanted(heard, stage.house.logs[ROOM]) if each["seq"] >= 6]
        honest.page(host, heard, found, first=6)

    host = await stage.ready(HISTORY=trimmed)
    events = _events(stage, 7)
    host.push(events[0])
    host.push(events[6])
    await stage.shows_once(*_texts(1, 6, 7))
    await host.barrier()


@client("6.3-4", "a-gap-that-is-refused", since=2)
async def refused_gap(stage: Stage) -> None:
    """The page is refused for the moment: it is asked for again, on the same connection."""
    tries: list[Heard] = []

    def busy(host: Host, heard: Heard) -> None:
        # What it shows when it begins is no gap.
        if host.house.head():
            tries.append(heard)
        if len(tries) == 1:
            host.refuse(heard, "OVERLOADED", retry_after=200)
        else:
            honest.ANSWERS["HISTORY"](host, heard)

    host = await stage.ready(HISTORY=busy)
    events = _events(stage, 3)
    host.push(events[0])
    host.push(events[2])
    await stage.shows_once(*_texts(1, 2, 3))
    await host.barrier()


@client("6.3-3", "doubles")
async def doubles(stage: Stage) -> None:
    host = await stage.ready()
    for event in _events(stage, 3):
        host.push(event)
        host.push(event)
    for event in stage.house.logs[ROOM]:
        host.push(event)
    await host.barrier()
    await stage.shows_once(*_texts(1, 2, 3))


@client("6.3-3", "another-order", since=2)
async def order(stage: Stage) -> None:
    host = await stage.ready()
    events = _events(stage, 6)
    for number in (1, 4, 3, 2, 6, 5):
        host.push(events[number - 1])
    await host.barrier()
    await stage.shows_once(*_texts(*range(1, 7)))


@client("6.3-6", "clocks-do-not-order")
async def clocks(stage: Stage) -> None:
    host = await stage.ready()
    for number, ts in ((1, 1_900_000_000_000), (2, 0), (3, 1_700_000_000_000)):
        host.push(stage.house.event(f"event-{number}.", ts=ts, sent=(1 << 53) - ts))
    await host.barrier()
    await stage.shows_once(*_texts(1, 2, 3))


@client("6.3-5", "a-higher-epoch", since=2)
async def epoch(stage: Stage) -> None:
    host = await stage.ready()
    old = _events(stage, 3)
    for event in old:
        host.push(event)
    await stage.shows(*_texts(1, 2, 3))
    stage.house.epoch = 2
    stage.house.logs[ROOM] = []
    new = [stage.house.event(f"anew-{number}.") for number in (1, 2)]
    host.push(new[1])
    await _fetches(host, (1,))
    await stage.shows_once("anew-1.", "anew-2.")
    host.push(old[2], seq=3, text="of-the-lower-epoch")
    await host.barrier()
    stage.hides("of-the-lower-epoch")


@client("5.6-1", "room-head", since=2)
async def head(stage: Stage) -> None:
    host = await stage.ready()
    _events(stage, 3)
    host.say("ROOM_HEAD", room=ROOM, epoch=1, head=3)
    await _fetches(host, (1, 2, 3))
    await stage.shows_once(*_texts(1, 2, 3))


@client("6.5-4", "a-backlog-at-the-login", since=2)
async def backlog(stage: Stage) -> None:
    _events(stage, 450)
    stage.house.welcome = {"heads": [[ROOM, 1, 450, 0]]}
    host = await stage.ready()
    await _fetches(host, range(1, 451))
    await stage.shows("event-450.", patience=10)


@client("6.5-4", "what-was-missed-meanwhile", since=2)
async def missed(stage: Stage) -> None:
    host = await stage.ready()
    for event in _events(stage, 2):
        host.push(event)
    await stage.shows(*_texts(1, 2))
    await host.barrier()
    host.end(_OVERLOADED)
    stage.house.event("event-3.")
    await stage.ready()
    await stage.shows_once(*_texts(1, 2, 3))


_PAGES: Final[dict[str, dict[str, Any]]] = {
    "event-of-another-room": {"room": "garden"},
    "event-of-another-epoch": {"epoch": 2},
    "event-beyond-the-head": {"seq": 9},
    "event-that-does-not-follow": {"seq": 1},
}


def _page(name: str, changed: dict[str, Any]) -> None:
    @client("6.12-2", name, since=2)
    async def run(stage: Stage) -> None:
        def answer(host: Host, heard: Heard) -> None:
            found = honest.wanted(heard, stage.house.logs[ROOM])
            if not found:
                honest.page(host, heard, [])
                return
            bodies = [embedded(each) for each in found[:-1]]
            bodies.append(embedded({**found[-1], "text": "slipped-in", **changed}))
            honest.page(host, heard, [], events=bodies)

        host = await stage.ready(HISTORY=answer)
        _events(stage, 4)
        host.say("ROOM_HEAD", room=ROOM, epoch=1, head=4)
        await host.fatal("SCHEMA")
        stage.hides("slipped-in")


for _name, _changed in _PAGES.items():
    _page(_name, _changed)


@client("3.7-6", "events-on-any-stream", since=2)
async def streams(stage: Stage) -> None:
    """The room's own stream, if the client opened one, control, and the stream of a query."""
    host = await stage.ready()
    events = _events(stage, 6)
    host.push(events[0])
    stage.say("open-a-stream")
    await host.hear("MSG_SEND")
    await host.barrier()
    places = [host.control, *host.rooms.values()]
    for number, event in enumerate(events[1:]):
        host.say("MSG", sid=places[number % len(places)], **event)
    await host.barrier()
    await stage.shows_once(*_texts(*range(1, 7)))
    stage.notes.append(f"it opened {len(host.rooms)} room streams")


@client("3.7-9", "room-stream-that-is-given-up", since=2)
async def no_lane(stage: Stage) -> None:
    """What the room stream does not bring, control does."""

    def give_up(host: Host, heard: Heard) -> None:
        if heard["kind"] == 1:
            host.give_up(heard.sid, "LIMIT")

    host = await stage.ready(STREAM_OPEN=give_up)
    for number in (1, 2, 3):
        host.push(stage.house.event(f"event-{number}."))
        stage.say(f"said-{number}")
        await host.barrier()
    await stage.shows_once(*_texts(1, 2, 3))
    await host.until(lambda: stage.house.head() == 6 or None, "three messages in all")


@client("9.1-1", "query-stream-that-is-reset", since=2)
async def no_query(stage: Stage) -> None:
    tries: list[Heard] = []

    def give_up(host: Host, heard: Heard) -> None:
        tries.append(heard)
        if len(tries) == 1 and heard.sid != host.control:
            host.give_up(heard.sid, "OVERLOADED")
        else:
            honest.ANSWERS["HISTORY"](host, heard)

    host = await stage.ready(HISTORY=give_up)
    _events(stage, 2)
    host.say("ROOM_HEAD", room=ROOM, epoch=1, head=2)
    await _fetches(host, (1, 2))
    await host.barrier()
    await stage.shows_once(*_texts(1, 2))


@client("6.4-3", "nothing-is-delivered-before-it-is-here", since=2)
async def delivered(stage: Stage) -> None:
    """The page that closes a gap is held back: no RECEIPT leads beyond it meanwhile."""
    pages: list[Heard] = []
    host = await stage.ready(HISTORY=lambda host, heard: pages.append(heard))
    events = _events(stage, 5)
    host.push(events[0])
    host.push(events[3])
    host.push(events[4])
    await _fetches(host, (2, 3))
    await asyncio.sleep(0.7)
    await host.barrier()
    early = [each["delivered"] for each in host.said("RECEIPT") if (each["delivered"] or 0) > 1]
    if early:
        raise Failed(f"it told {early[0]} as delivered, and 2 and 3 are missing")
    for heard in pages:
        honest.ANSWERS["HISTORY"](host, heard)
    await stage.shows_once(*_texts(*range(1, 6)))


@client("6.4-2", "receipts-are-few", since=2)
async def receipts(stage: Stage) -> None:
    host = await stage.ready()
    times: list[float] = []
    host.answers["RECEIPT"] = lambda host, heard: times.append(stage.time())
    for _ in range(12):
        host.push(stage.house.event("something"))
        await asyncio.sleep(0.05)
    await host.ear.quietly(lambda: None, 0.7)
    if any(later - earlier < 0.2 for earlier, later in pairwise(times)):
        raise NonStrict(f"it sent {len(times)} RECEIPT in {times[-1] - times[0]:.2f} s")
    stage.notes.append(f"{len(times)} RECEIPT for 12 events")
