"""Servers that misbehave in one way each, for the kit to find out. (spec 16-conformance)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from quicchat.tools.conform.bench import Target
from quicchat.tools.conform.book import Pdu, book, frame, parse, unframed, write
from quicchat.tools.conform.certs import Authority
from quicchat.tools.conform.quic import Door, Line, QuicEvent, StreamDataReceived

#: What is done about each PDU that comes.
Manners = Callable[[Line, int, Pdu], None]


def say(line: Line, sid: int, name: str, *, re: object = None, **fields: object) -> None:
    """Say a PDU of version 1."""
    assert re is None or isinstance(re, int)
    line.say(sid, frame(write(name, fields, version=1, re=re)))


def polite(line: Line, sid: int, pdu: Pdu) -> None:
    """Negotiate version 1, and answer PING."""
    match pdu.name:
        case "VERSION_REQUEST":
            say(line, sid, "VERSION_RESPONSE", version=1, versions=[1])
        case "PING":
            say(line, sid, "PONG", nonce=pdu["nonce"])


def closing(said: str, done: str, *, more: bool = False) -> Manners:
    """Announce one code at the first PING, and close with another one."""

    def manners(line: Line, sid: int, pdu: Pdu) -> None:
        if pdu.name != "PING":
            return polite(line, sid, pdu)
        say(line, sid, "ERROR", code=book().codes[said], fatal=True)
        if more:
            say(line, sid, "OK")
        line.flush()
        return line.close(book().codes[done])

    return manners


@asynccontextmanager
async def serving(manners: Manners, on_line: Callable[[Line], None] = lambda line: None) -> AsyncIterator[Target]:
    """A server of these manners, as the kit knows it before it has asked anything."""

    def come(line: Line) -> None:
        buffer = bytearray()

        def take(event: QuicEvent) -> None:
            if isinstance(event, StreamDataReceived):
                buffer.extend(event.data)
                while (found := unframed(buffer)) is not None:
                    del buffer[: found[1]]
                    manners(line, event.stream_id, parse(found[0]))

        line.on_event = take
        on_line(line)

    door = Door("127.0.0.1", 0, Authority().issue(), come)
    try:
        target = Target("127.0.0.1", door.port, features=frozenset())
        target.versions = (1,)
        yield target
    finally:
        door.close()
