"""Mutants of section 6.6: what a server does for clients of version 1."""

from __future__ import annotations

from typing import Any

from quicchat.server import rules
from quicchat.server.feed import Feed
from quicchat.server.outlet import Outlet
from quicchat.server.services.history import HistoryService
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

faulty(
    "6.6-1/nothing-is-told-again",
    "What a client of version 1 missed is lost for it.",
    *(HistoryService, "catch_up"),
    ("for body in page.events:", "for body in ():"),
    kills="6.6-1/*",
)


@mutant("6.6-2/gaps")
def gaps() -> None:
    """What a client of version 1 could not be told at once is never told."""

    def make(follows: Any) -> Any:
        def found(self: Feed, room: Any, seq: int) -> bool:
            told: bool = follows(self, room, seq)
            return told and seq % 7 != 0

        return found

    swap(Feed, "_follows", make)


faulty(
    "6.6-3/kinds-as-they-are",
    "A client of version 1 is told kinds that it does not know.",
    *(rules, "in_version_1"),
    ("Kind.NOTICE if changed else message.kind", "message.kind"),
    kills="6.6-3/every-kind-is-a-notice 6.6-3/events-*",
)
faulty(
    "6.6-3/kinds-left-out",
    "A client of version 1 is told texts and notices only.",
    *(rules, "in_version_1"),
    ("if not is_told_in_version_1(message.room):", "if message.kind not in KINDS_OF_VERSION_1:"),
    kills="6.6-3/every-kind-is-a-notice 6.6-3/events-*",
)
faulty(
    "6.6-3/no-words-for-it",
    "A client of version 1 is told an event about another one without its place.",
    *(rules, "_fallback"),
    ('f"#{message.refs[0]}" if message.refs else "a message"', '"a message"'),
    kills="6.6-3/events-*",
)


@mutant("6.6-3/all-rooms", "6.6-3/other-rooms-are-not-told")
def all_rooms() -> None:
    """A client of version 1 is told of rooms that it knows nothing of."""
    swap(rules, "is_told_in_version_1", lambda _: lambda room: True)


@mutant("6.6-4/proves-nothing")
def proves_nothing() -> None:
    """A PONG says nothing about what stood before its PING."""
    swap(Outlet, "proven", lambda _: lambda self, nonce: [])
