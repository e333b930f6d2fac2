"""Mutants that only who starts and kills the server notices: what outlasts a crash, an end with a word."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from quicchat.errors import Code, Refused
from quicchat.server import app
from quicchat.server.adapters.store_sqlite import SqliteStore
from quicchat.server.adapters.store_sqlite.accounts import SqliteAccounts
from quicchat.server.adapters.store_sqlite.log import SqliteLog
from quicchat.server.outlet import Outlet
from quicchat.server.services import accounts, tokens
from quicchat.server.services.messages import Messages
from quicchat.sqlite.writer import Writer
from quicchat.wire.chapters.messages import Message
from quicchat.wire.codec import decode_body
from tests.mutants.mutant import mutant, swap


@mutant("3.5-5/without-a-word", "3.5-5/end-with-a-word", only="control")
def without_a_word() -> None:
    """A server that ends says no GOAWAY."""
    swap(Outlet, "announce_end", lambda _: lambda self, reason: None)


@mutant("3.5-5/without-bye", "3.5-5/end-with-a-word-in-version-1", only="control")
def without_bye() -> None:
    """A server that ends says no BYE to clients of version 1."""
    swap(Outlet, "say_goodbye", lambda _: lambda self, reason: None)


@mutant("4.3-3/tokens-of-this-process", only="control")
def tokens_of_this_process() -> None:
    """Tokens are good as long as the process lives that gave them."""
    begun = int(time.time() * 1000)

    def make(bearer: Any) -> Any:
        async def found(self: SqliteAccounts, token: bytes, device: Any, *, at: int) -> Any:
            user = await bearer(self, token, device, at=at)
            known = await self.devices(user, limit=1_000)
            if any(each.device == device and each.seen < begun for each in known):
                raise Refused(Code.TOKEN_EXPIRED)
            return user

        return found

    swap(SqliteAccounts, "bearer", make)


@mutant("4.3-3/short-lives", "4.3-3/token-and-another-time-of-day", only="control")
def short_lives() -> None:
    """A token is good for ten minutes."""
    for module in (accounts, tokens):
        swap(module, "TOKEN_LIFE", lambda _: 600_000)


@mutant("6.1-4/forgets-who-repeats", "6.1-4/resent-after-a-kill", only="control")
def forgets() -> None:
    """A retry is known as one only by the process that stored the message."""
    begun = int(time.time() * 1000)

    def make(ack: Any) -> Any:
        def found(self: Messages, actor: Any, stored: Any) -> Any:
            answer = ack(self, actor, stored)
            return replace(answer, dup=None) if stored.message.ts < begun else answer

        return found

    swap(Messages, "_ack", make)


@mutant("6.2-1/the-last-are-lost", "6.2-1/*", only="control")
def last_are_lost() -> None:
    """What was stored last is lost when the process ends."""

    def make(open_store: Any) -> Any:
        def found(*words: Any) -> SqliteStore:
            store: SqliteStore = open_store(*words)
            log: Any = store.log
            with log._writer._connection as connection:
                heads = connection.execute("SELECT room, epoch, max(seq) FROM event GROUP BY room, epoch").fetchall()
                for room, epoch, head in heads:
                    lost = "DELETE FROM event WHERE room = ? AND epoch = ? AND seq > ?"
                    connection.execute(lost, (room, epoch, head - 20))
            return store

        return found

    swap(app, "open_store", make)


@mutant("6.2-5/another-code", only="control")
def another_code() -> None:
    """What cannot be stored is refused with LIMIT."""

    def make(failed: Any) -> Any:
        def found(self: Writer, error: Exception) -> Exception:
            answer = failed(self, error)
            unstored = isinstance(answer, Refused) and answer.code is Code.STORE_UNAVAILABLE
            return Refused(Code.LIMIT) if unstored else answer

        return found

    swap(Writer, "_failed", make)


@mutant("6.3-6/by-the-clock", only="control")
def by_the_clock() -> None:
    """A log is read in the order of its times of day."""

    def make(page: Any) -> Any:
        async def found(self: SqliteLog, *words: Any, **named: Any) -> Any:
            answer = await page(self, *words, **named)
            events = sorted(answer.events, key=lambda each: decode_body(Message, each, version=2).ts)
            return replace(answer, events=tuple(events))

        return found

    swap(SqliteLog, "page", make)
