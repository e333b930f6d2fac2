"""Who speaks in bytes: the other end of a flight, at a server or at a client's connection. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from quicchat.client.login import Identity, prove, sign_up
from quicchat.client.requests import Requests
from quicchat.errors import LocalProtocolError, UsageError
from quicchat.protocol.connection import Connection, Lost
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent, Reset, Stopped
from quicchat.protocol.negotiation import Hello
from quicchat.transport.link import Link
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import AuthChallenge, AuthOk, AuthResponse, AuthStart
from quicchat.wire.chapters.session import Error, StreamOpen, VersionRequest, VersionResponse
from quicchat.wire.codec import Envelope
from quicchat.wire.registry import VERSIONS, Pdu, Role

#: The stream that is control wherever flights come from.
CONTROL: Final = 0
#: Seconds until what was given has been answered.
PAUSE: Final = 0.05


class Stranger(Protocol):
    """One of the two."""

    async def begin(self) -> None:
        """Come to where the flight begins."""

    async def give(self, event: LinkEvent) -> None:
        """The other end does this."""

    def say(self, event: LinkEvent) -> None:
        """This end did that, as far as it has to be done again."""

    @property
    def code(self) -> int | None:
        """How the connection ended, once it has."""


def parsed(words: Sequence[str]) -> LinkEvent:
    """`bytes SID HEX`, `end SID`, `reset SID CODE`, `stop SID CODE` or `datagram HEX`. Raises ValueError."""
    match words:
        case ["bytes", sid, data]:
            return Bytes(int(sid), bytes.fromhex(data))
        case ["end", sid]:
            return Bytes(int(sid), b"", fin=True)
        case ["reset", sid, code]:
            return Reset(int(sid), int(code))
        case ["stop", sid, code]:
            return Stopped(int(sid), int(code))
        case ["datagram", data]:
            return Datagram(bytes.fromhex(data))
    raise ValueError(f"{' '.join(words)!r} is nothing that a link does")


class Caller:
    """A client's end of a link to a server, which says what it is told; with a `user` it logs in by itself."""

    def __init__(self, link: Link, user: str | None, version: int | None) -> None:
        self.code: int | None = None
        self._link = link
        self._user = user
        self._versions = VERSIONS if version is None else (version,)
        self._streams: dict[int, int] = {}
        self._connection: Connection | None = None

    async def begin(self) -> None:
        if self._user is not None:
            await self._log_in(self._user)
        self._link.on_events = self._heard

    async def give(self, event: LinkEvent) -> None:
        link = self._link
        match event:
            case Bytes(sid, data, fin):
                link.send(self._stream(sid), data, fin=fin)
            case Reset(sid, code):
                link.reset(self._stream(sid), code)
            case Stopped(sid, code):
                link.stop(self._stream(sid), code)
            case Datagram(data):
                link.datagram(data)
        await asyncio.sleep(PAUSE)

    def say(self, event: LinkEvent) -> None:
        """A server says by itself what it has to say."""

    async def _log_in(self, user: str) -> None:
        now = asyncio.get_running_loop().time()
        hello = Hello(versions=self._versions, device=secrets.token_bytes(16))
        self._connection = connection = Connection(Role.CLIENT, hello, now=now, wall=0.0)
        requests = Requests(self._link, connection, on_pdu=lambda _: None, on_lost=lambda _: None)
        sid = self._link.open()
        connection.start(sid)
        await requests.negotiated
        who = Identity(user=user, password=f"password of {user}", iterations=1, least_iterations=1)
        await sign_up(requests, who)
        await prove(requests, who, self._link.certificate_hash)
        self._streams[CONTROL] = sid

    def _stream(self, sid: int) -> int:
        if sid not in self._streams:
            self._streams[sid] = self._link.open()
        return self._streams[sid]

    def _heard(self, events: list[LinkEvent]) -> None:
        if self._connection is not None:
            self._connection.health.heard(asyncio.get_running_loop().time())
        for event in events:
            if isinstance(event, Closed):
                self.code = event.code


class Ear:
    """A client's end of a connection by itself, which is given what a server said; `is_in` after a login."""

    def __init__(self, version: int | None, *, is_in: bool) -> None:
        self._version = max(VERSIONS) if version is None else version
        self._is_in = is_in
        self._loop = asyncio.get_running_loop()
        hello = Hello(versions=VERSIONS if version is None else (version,))
        self._connection = Connection(Role.CLIENT, hello, now=self._loop.time(), wall=0.0)
        self._ended: int | None = None

    @property
    def code(self) -> int | None:
        for event in self._connection.events():
            if isinstance(event, Lost):
                self._ended = event.code
        closing = self._connection.closing
        return self._ended if self._ended is not None or closing is None else closing.closed.code

    async def begin(self) -> None:
        if not self._is_in:
            return
        version = self._version
        self._connection.start(CONTROL)
        self._hear(VersionResponse(version=version, versions=(version,)), 1)
        self._connection.send(AuthStart(mechanism="SCRAM-SHA-256", user="x", data=b"x"), id=1)
        self._hear(AuthChallenge(data=b"x"), version, 1)
        self._connection.send(AuthResponse(data=b"x"), id=2)
        self._hear(AuthOk(user="x", session=1, proof=b"x"), version, 2)

    async def give(self, event: LinkEvent) -> None:
        self._connection.receive(event, self._loop.time())
        await asyncio.sleep(PAUSE)

    def say(self, event: LinkEvent) -> None:
        if not isinstance(event, Bytes) or not event.data:
            return
        envelope = _unwrapped(event.data)
        pdu = envelope.pdu
        # How it ends is what is looked for; the rest of what cannot be said any more does not matter.
        if not isinstance(pdu, Pdu) or isinstance(pdu, Error):
            return
        with suppress(LocalProtocolError):
            if isinstance(pdu, VersionRequest | StreamOpen):
                self._connection.open(event.sid, pdu)
            else:
                self._connection.send(pdu, sid=event.sid, id=envelope.id, re=envelope.re)

    def _hear(self, pdu: Pdu, version: int, re: int | None = None) -> None:
        data = frame.wrap(codec.encode(pdu, version=version, re=re))
        self._connection.receive(Bytes(CONTROL, data), self._loop.time())


def _unwrapped(data: bytes) -> Envelope:
    """What is in the first frame. Raises UsageError for what we would never have said."""
    reader = frame.FrameReader(1 << 20)
    for payload in reader.feed(data):
        if isinstance(payload, bytes):
            return codec.decode(payload)
    raise UsageError("this is not a whole frame")
