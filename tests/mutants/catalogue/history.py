"""Mutants of sections 6.5, 6.8 and 6.9: pages of a log, search, and where something moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quicchat.server.adapters.store_memory import log
from quicchat.server.adapters.store_memory import search as memory
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.outlet import Outlet
from quicchat.server.services import history
from quicchat.server.services.history import HistoryService
from quicchat.wire import search
from quicchat.wire.chapters.messages import SAID, HistoryPage, Message
from quicchat.wire.codec import decode_body, encode_body
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

# Pages

faulty(
    "6.5-1/the-anchor-too",
    "A page after an anchor begins with it.",
    *(log, "_by_nearness"),
    (
        "case Window.AFTER:\n            return range(anchor + 1",
        "case Window.AFTER:\n            return range(max(1, anchor)",
    ),
    kills="6.5-1/pages-both-ways",
)
faulty(
    "6.5-1/before-from-the-beginning",
    "A page before an anchor begins with the oldest.",
    *(log, "_by_nearness"),
    ("range(min(anchor - 1, head), 0, -1)", "range(1, min(anchor - 1, head) + 1)"),
    kills="6.5-1/*",
)
faulty(
    "6.5-1/newest-first",
    "What is asked for backwards comes backwards.",
    *(MemoryLog, "page"),
    ("for place in sorted(kept)", "for place in kept"),
    kills="6.5-1/*",
)
faulty(
    "6.5-1/latest-are-oldest",
    "The latest events are those with which the log begins.",
    *(log, "_by_nearness"),
    ("range(head, 0, -1)", "range(1, head + 1)"),
    kills="6.5-1/pages-both-ways",
)
faulty(
    "6.5-1/one-too-many",
    "A page has one event more than was asked for.",
    *(MemoryLog, "page"),
    ("islice(places, limit)", "islice(places, limit + 1)"),
    kills="6.5-1/pages-both-ways",
)


@mutant("6.5-1/whatever-its-size", "6.5-1/as-many-as-fit-a-frame")
def any_size() -> None:
    """A page takes no notice of how much fits a frame."""
    swap(history, "_BUDGET", lambda _: 1 << 40)


def _fetched(change: Any) -> None:
    """Have other bodies in pages: `change` is given the user and the event."""

    def make(page: Any) -> Any:
        async def found(self: Any, room: Any, user: Any, **named: Any) -> Any:
            answer = await page(self, room, user, **named)
            events = [decode_body(Message, each, version=2) for each in answer.events]
            return replace(answer, events=tuple(encode_body(change(user, each), version=2) for each in events))

        return found

    swap(MemoryLog, "page", make)


@mutant("6.5-2/devices-are-private", "6.5-2/byte-for-byte")
def private_devices() -> None:
    """Where an event is fetched its device is told to its sender alone."""
    _fetched(lambda user, event: event if event.sender == user else replace(event, device=None))


@mutant("6.5-2/without-topics", "6.5-2/byte-for-byte")
def without_topics() -> None:
    """An event that is fetched has no topic."""
    _fetched(lambda user, event: replace(event, topic=None))


@mutant("6.5-2/on-control", "6.5-2/on-a-query-stream")
def on_control() -> None:
    """Pages come on control, wherever they were asked for."""
    swap(
        Outlet,
        "send",
        lambda send: (
            lambda self, pdu, request: send(
                self, pdu, replace(request, sid=None) if isinstance(pdu, HistoryPage) else request
            )
        ),
    )


faulty(
    "6.5-2/no-head",
    "A page says that the log ends before its last event.",
    *(HistoryService, "history"),
    ("head=page.head", "head=page.head - 1"),
    kills="6.5-2/on-a-query-stream",
)
faulty(
    "6.5-3/from-nowhere",
    "A page with no anchor begins at 0.",
    *(HistoryService, "history"),
    ("pdu.anchor is None and pdu.window is not Window.LATEST", "False"),
    kills="6.5-3/no-anchor",
)
faulty(
    "6.5-3/it-is-there",
    "Of a room that one is not in it is told that it is there.",
    *(MemoryLog, "page"),
    ("Refused(Code.NO_SUCH_ROOM)", "Refused(Code.NOT_MEMBER if room in self._state.rooms else Code.NO_SUCH_ROOM)"),
    kills="6.5-3/a-room-that-one-is-not-in",
)
faulty(
    "6.5-3/to-anybody",
    "Whoever knows the name of a room may read its log.",
    *(MemoryLog, "page"),
    ("self._state.room_of(room, user)", "self._state.rooms.get(room)"),
    kills="6.5-3/a-room-that-one-is-not-in",
)
faulty(
    "6.5-5/the-end-too",
    "A page between two places has the second of them.",
    *(log, "_by_nearness"),
    ("min(until, head + 1)", "min(until, head) + 1"),
)
faulty(
    "6.5-5/without-an-end",
    "A page between a place and none goes on to the head.",
    *(HistoryService, "history"),
    ("pdu.until is None and pdu.window is Window.BETWEEN", "False"),
)

# Search

faulty(
    "6.8-1/by-case",
    "Large and small letters are different when it is searched for them.",
    *(search, "_parts"),
    (".casefold()", ""),
    kills="6.8-1/words-that-match",
)
faulty(
    "6.8-1/by-accent",
    "Letters with accents and without are different when it is searched for them.",
    *(search, "_parts"),
    ('unicodedata.normalize("NFKD", text)', 'unicodedata.normalize("NFKC", text)'),
    kills="6.8-1/words-that-match",
)
faulty(
    "6.8-1/every-beginning",
    "Words are found by their beginnings, whether that is asked for or not.",
    *(search, "_holds"),
    ("if word.prefix else", "if True else"),
    kills="6.8-1/words-that-match",
)
faulty(
    "6.8-1/no-beginnings",
    "Words are not found by their beginnings.",
    *(search, "_holds"),
    ("if word.prefix else", "if False else"),
    kills="6.8-1/words-that-match",
)
faulty(
    "6.8-1/one-of-the-words",
    "One of several words is enough.",
    *(memory, "has"),
    ("all(", "any("),
    kills="6.8-1/words-that-match",
)
faulty(
    "6.8-1/everywhere",
    "It is searched in rooms, too, that one is not in.",
    *(MemoryLog, "search"),
    ("self._state.rooms_of(user) if", "self._state.rooms.items() if"),
    kills="6.8-1/where-one-may-search",
)


@mutant("6.8-1/no-edits", "6.8-1/where-one-may-search")
def no_edits() -> None:
    """Corrections are not found."""
    swap(memory, "SEARCHED", lambda _: SAID)


faulty(
    "6.8-2/oldest-first",
    "What is found comes oldest first.",
    *(memory, "find"),
    (", reverse=True", ""),
    ("key < after", "key > after"),
)
faulty(
    "6.8-2/the-last-again",
    "A page begins with the last of the page before.",
    *(memory, "find"),
    ("key < after", "key <= after"),
)
faulty(
    "6.8-3/nothing-there",
    "In a room that one is not in nothing is found.",
    *(MemoryLog, "search"),
    ("raise Refused(Code.NO_SUCH_ROOM)", "pass"),
)
faulty(
    "6.8-3/no-words",
    "A search for no words is answered by nothing.",
    *(HistoryService, "search"),
    ('raise Refused(Code.SCHEMA, "There is no word to search for.")', "return [Reply(Found(events=()))]"),
)
faulty(
    "6.8-3/any-next",
    "A `next` that was never given begins anew.",
    *(memory, "find"),
    ("raise Refused(Code.SCHEMA)", "after = None"),
)

# Targets

faulty(
    "6.9-1/rooms-only",
    "TARGETS leaves out whom one talks to.",
    *(MemoryLog, "targets"),
    ('if name > (after or "")', 'if name > (after or "") and name[0] != "@"'),
)
faulty(
    "6.9-1/all-is-unread",
    "TARGETS counts all events as unread.",
    *(MemoryLog, "targets"),
    ("unread=room.unread_by(user)", "unread=len(room.log)"),
    kills="6.9-1/all-rooms-of-the-user",
)
faulty(
    "6.9-1/one-page",
    "TARGETS never has another page.",
    *(HistoryService, "targets"),
    ("found[:limit]", "found[:2]"),
    kills="6.9-1/all-rooms-of-the-user",
)
faulty(
    "6.9-1/head-when-he-left",
    "TARGETS says of each room that nothing was said there.",
    *(MemoryLog, "targets"),
    ("head=len(room.log)", "head=room.read_by(user)"),
)
