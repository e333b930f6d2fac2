"""A link that writes down what it is told, and a driver on it: the subjects of the driver's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from quicchat.errors import Code, Refused
from quicchat.protocol.connection import Event
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.transport import virtual
from quicchat.transport.driver import UNREAD, Driver
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.registry import Pdu, Role
from tests.protocol.line import CONTROL, QUERY, Line, connection, read, write

MESSAGE = Message(room="general", epoch=1, seq=1, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=1, text="hi")


class Wire:
    """A link that does what it is told and writes it down."""

    def __init__(self) -> None:
        self.on_events: Callable[[list[LinkEvent]], None] = lambda events: None
        self.peer = "192.0.2.1:9"
        self.certificate_hash = b""
        self.established = True
        self.done: list[LinkEvent] = []
        self.unread = 0
        #: What of it lies on single streams, what waits to be sent, and which streams are watched below what.
        self.of_streams: dict[int, int] = {}
        self.waiting: dict[int | None, int] = {}
        self.watched: list[tuple[int | None, int]] = []
        self.asked = 0
        #: Whether a close is reported while it is asked for, as no link should.
        self.hasty = False

    def authenticated(self, owner: str = "") -> None:
        raise NotImplementedError

    def disown(self) -> None:
        raise NotImplementedError

    def migrate(self, local_port: int = 0) -> None:
        raise NotImplementedError

    def open(self, *, uni: bool = False) -> int:
        if self.unread:
            raise Refused(Code.LIMIT)
        return QUERY

    def send(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        self.done.append(Bytes(sid, data, fin))

    def reset(self, sid: int, code: int) -> None:
        self.done.append(Reset(sid, code))

    def stop(self, sid: int, code: int) -> None:
        self.done.append(Stopped(sid, code))

    def datagram(self, data: bytes, *, bulk: bool = False) -> bool:
        self.done.append(Datagram(data, bulk))
        return True

    def backlog(self, sid: int | None = None) -> int:
        self.asked += 1
        return self.unread if sid is None else self.of_streams.get(sid, 0)

    def unsent(self, sid: int | None) -> int:
        return self.waiting.get(sid, 0)

    def watch(self, sid: int | None, below: int) -> None:
        self.watched.append((sid, below))

    def close(self, code: int, reason: str = "") -> None:
        self.done.append(Closed(code, reason, remote=False))
        if self.hasty:
            self.on_events([Closed(code, reason, remote=False)])

    def flush(self) -> None:
        raise NotImplementedError


class Bench:
    """A driver on such a link, with one end that is logged in, and what it told."""

    def __init__(self, role: Role = Role.SERVER, *, limits: Limits | None = None, unread: int = UNREAD) -> None:
        self.loop = asyncio.get_running_loop()
        line = Line(connection(Role.CLIENT), connection(Role.SERVER, limits=limits))
        self.link = Wire()
        self.told: list[Event] = []
        self.turns = 0
        self.answer: Callable[[Event], None] = lambda event: None
        self.connection = line.log_in().end(role)
        # The line's time began at 0, as the virtual loop's did.
        self.driver = Driver(self.link, self.connection, self._on_events, unread=unread)

    def _on_events(self, events: Sequence[Event]) -> None:
        self.turns += 1
        self.told += events
        for event in events:
            self.answer(event)

    def hear(self, *pdus: Pdu, sid: int = CONTROL) -> None:
        self.link.on_events([Bytes(sid, write(pdu)) for pdu in pdus])

    @property
    def is_closing(self) -> bool:
        return self.connection.closing is not None

    def said(self) -> list[object]:
        return [envelope.pdu for envelope in read(self.link.done)]


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    virtual.run(scenario())


async def turn() -> None:
    """Let what was arranged for the next loop turn happen."""
    await asyncio.sleep(0)
