"""Requests and their answers over one connection: each id gets exactly one answer. (spec 02-framing)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from quicchat.errors import Code, LinkLost, Refused
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.transport.driver import Driver
from quicchat.transport.link import Link
from quicchat.wire.chapters.session import Error, Purpose, StreamOpen
from quicchat.wire.registry import Pdu

A = TypeVar("A", bound=Pdu)


class Requests:
    """The client's end of one connection. What answers nothing goes to `on_pdu`, the end to `on_lost`."""

    def __init__(
        self,
        link: Link,
        connection: Connection,
        *,
        on_pdu: Callable[[Pdu], None],
        on_lost: Callable[[LinkLost], None],
    ) -> None:
        self.connection = connection
        self.lost: LinkLost | None = None
        #: Done when the connection is over.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_pdu = on_pdu
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, tuple[asyncio.Future[Pdu], int | None]] = {}
        self._next = 0
        self.driver = Driver(link, connection, self._on_events)

    async def ask(self, pdu: Pdu, answer: type[A], *, aside: bool = False) -> A:
        """Send a request and wait for its answer; `aside` uses a query stream of its own.

        Raises Refused for an ERROR, LinkLost when the connection ends first, LocalProtocolError as
        `Connection.send`.
        """
        if self.lost is not None:
            raise self.lost
        sid = self._open_query() if aside else None
        self._next += 1
        number = self._next
        future: asyncio.Future[Pdu] = self._loop.create_future()
        self._waiting[number] = future, sid
        try:
            self.driver.send(pdu, sid=sid, id=number)
            if sid is not None:
                self.driver.finish(sid)
            got = await future
        finally:
            self._waiting.pop(number, None)
        if isinstance(got, Error):
            raise Refused(_code(got.code), got.text or "", retry_after=got.retry_after)
        if not isinstance(got, answer):
            raise Refused(Code.SCHEMA, f"{got.SPEC.name} does not answer {pdu.SPEC.name}.")
        return got

    def tell(self, pdu: Pdu) -> None:
        """Send what wants no answer."""
        if self.lost is None:
            self.driver.send(pdu)

    def _open_query(self) -> int:
        sid = self.driver.open()
        self.connection.open(sid, StreamOpen(kind=Purpose.QUERY))
        return sid

    def _on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Received(_, envelope) if isinstance(envelope.pdu, Pdu):
                    self._received(envelope.pdu, envelope.re)
                case Ended(sid, _):
                    self._ended(sid)
                case Lost(code, reason, remote):
                    self._over(LinkLost(code, reason, remote=remote))

    def _received(self, pdu: Pdu, re: int | None) -> None:
        # First to the state, then to the one who waits, so that he finds the state of his answer.
        self._on_pdu(pdu)
        waiting = self._waiting.get(re) if re is not None else None
        if waiting is not None and not waiting[0].done():
            waiting[0].set_result(pdu)

    def _ended(self, sid: int) -> None:
        """A query stream that ended without its answer never brings one."""
        for future, own in self._waiting.values():
            if own == sid and not future.done():
                future.set_exception(Refused(Code.INTERNAL, "The server gave no answer."))

    def _over(self, lost: LinkLost) -> None:
        self.lost = lost
        if not self.ended.done():
            self.ended.set_result(None)
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(lost)
        self._on_lost(lost)


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.INTERNAL
