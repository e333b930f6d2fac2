"""A client that says whatever it is told, byte for byte, and keeps all that it hears; over real QUIC."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from quicchat.protocol import scram
from quicchat.protocol.events import Bytes, Closed, Datagram, LinkEvent, Reset, Stopped
from quicchat.transport.link import Link
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.presence import PresenceSnapshot
from quicchat.wire.chapters.session import Error, Ok, Ping, Pong, Purpose, StreamOpen, VersionRequest, VersionResponse
from quicchat.wire.codec import Envelope, Unknown
from quicchat.wire.frame import FrameReader, Raw
from quicchat.wire.registry import Pdu
from tests.conformance.house import Place, somebody

P = TypeVar("P", bound=Pdu)
T = TypeVar("T")
#: How long anything may take, in seconds; a server that is told to wait for us waits longer.
PATIENCE = 10.0
WORD = "correct horse"
#: One for all accounts of a run, so that the costly derivation is done once.
SALT = os.urandom(16)

#: Where a datagram came, as if it were a stream.
DATAGRAM = -1


@dataclass(frozen=True, slots=True)
class Heard:
    """One PDU and the stream it came on, or DATAGRAM."""

    sid: int
    envelope: Envelope

    @property
    def pdu(self) -> Pdu:
        assert isinstance(self.envelope.pdu, Pdu)
        return self.envelope.pdu


class Peer:
    """One connection of a client without manners."""

    def __init__(self, link: Link, *, device: bytes | None = None, iterations: int = 1) -> None:
        self.user = ""
        self.heard: list[Heard] = []
        #: The raw bytes of each stream.
        self.carried: dict[int, bytearray] = {}
        self.given_up: dict[int, int] = {}
        self.finished: set[int] = set()
        self.closed: Closed | None = None
        self.version = 1
        self.limits: dict[int, int] = {}
        self.device = device or os.urandom(16)
        self.link = link
        self._iterations = iterations
        self._readers: dict[int, FrameReader] = {}
        self._transcript: list[bytes] = []
        self._next = 100
        self._news = asyncio.Event()
        self.control = link.open()
        link.on_events = self._take

    # Saying

    def raw(self, data: bytes, *, sid: int | None = None, fin: bool = False) -> None:
        """Say bytes."""
        self.link.send(self.control if sid is None else sid, data, fin=fin)

    def say(self, pdu: Pdu, *, sid: int | None = None, id: int | None = None, version: int | None = None) -> None:
        """Say a PDU, in the negotiated version unless told otherwise."""
        payload = codec.encode(pdu, version=version or self.version, id=id)
        if isinstance(pdu, VersionRequest):
            self._transcript = [payload]
        self.raw(frame.wrap(payload), sid=sid)

    def whisper(self, pdu: Pdu) -> None:
        """Say a PDU in a datagram."""
        assert self.link.datagram(codec.encode(pdu, version=self.version))

    def open(self, purpose: Purpose | None = None, room: str | None = None) -> int:
        """A stream of one's own, dedicated unless `purpose` is None."""
        sid = self.link.open()
        if purpose is not None:
            self.say(StreamOpen(kind=purpose, room=room), sid=sid)
        return sid

    def reset(self, sid: int) -> None:
        """Give up a stream."""
        self.link.reset(sid, 0x100)

    async def ask(self, pdu: Pdu, *, sid: int | None = None) -> Pdu:
        """Say a request and wait for its answer."""
        self._next += 1
        number = self._next
        self.say(pdu, sid=sid, id=number)
        found = await self.until(lambda: next((each for each in self.heard if each.envelope.re == number), None))
        assert found.sid == (self.control if sid is None else sid)
        return found.pdu

    async def refused(self, pdu: Pdu, *, sid: int | None = None) -> int:
        """Say a request that is to be refused, and return the code; the connection must survive it."""
        answer = await self.ask(pdu, sid=sid)
        assert isinstance(answer, Error), answer
        assert not answer.fatal, answer
        await self.barrier()
        return answer.code

    # Hearing

    async def until(self, look: Callable[[], T | None], *, patience: float = PATIENCE) -> T:
        """What `look` finds, as soon as it finds something."""
        async with asyncio.timeout(patience):
            while (found := look()) is None:
                self._news.clear()
                await self._news.wait()
        return found

    async def hear(self, kind: type[P], test: Callable[[P], bool] = lambda _: True, *, patience: float = PATIENCE) -> P:
        """The first PDU of a kind that is not yet taken; it is taken now."""

        def look() -> Heard | None:
            return next((each for each in self.heard if isinstance(each.pdu, kind) and test(each.pdu)), None)

        found = await self.until(look, patience=patience)
        self.heard.remove(found)
        assert isinstance(found.pdu, kind)
        return found.pdu

    def all(self, kind: type[P]) -> list[P]:
        """All PDUs of a kind that came and were not taken."""
        return [each.pdu for each in self.heard if isinstance(each.pdu, kind)]

    async def barrier(self) -> None:
        """Return when all that the server wrote on control before now has come."""
        self._next += 1
        nonce = self._next
        self.say(Ping(nonce=nonce))
        await self.hear(Pong, lambda pong: pong.nonce == nonce)

    async def end(self) -> Closed:
        """How the connection ended."""
        return await self.until(lambda: self.closed)

    async def fatal(self) -> int:
        """The code with which the server ended the connection, in ERROR and close alike."""
        error = await self.hear(Error, lambda error: bool(error.fatal))
        assert (await self.end()).code == error.code
        return error.code

    # Getting in

    async def negotiate(self, *versions: int) -> VersionResponse:
        """Agree on a version."""
        self.say(VersionRequest(versions=versions or (2, 1), device=self.device), version=1)
        response = await self.hear(VersionResponse)
        self.version = response.version or 1
        self.limits = dict(response.limits or {})
        return response

    @property
    def binding(self) -> bytes:
        """Certificate hash and transcript."""
        return self.link.certificate_hash + self.transcript

    @property
    def transcript(self) -> bytes:
        """SHA-256 of both payloads of the negotiation."""
        return hashlib.sha256(b"".join(self._transcript)).digest()

    async def sign_up(
        self, user: str, word: str = WORD, *, iterations: int | None = None, invite: str | None = None
    ) -> Pdu:
        """Make an account."""
        salt, iterations = SALT, iterations or self._iterations
        keys = scram.credentials_from(_salted(word, salt, iterations), salt, iterations)
        return await self.ask(
            Signup(
                user=user,
                salt=salt,
                iterations=iterations,
                stored_key=keys.stored_key,
                server_key=keys.server_key,
                invite=invite,
            )
        )

    async def prove(self, user: str, word: str = WORD, *, binding: bytes | None = None) -> Pdu:
        """Go through a login; returns AUTH_OK or the ERROR."""
        login = scram.ClientLogin(user, os.urandom(18))
        challenge = await self.ask(AuthStart(mechanism=MECHANISM, user=user, data=login.first))
        if not isinstance(challenge, AuthChallenge):
            return challenge
        salted = _salted(word, *login.parameters(challenge.data))
        final = login.final(challenge.data, salted, self.binding if binding is None else binding)
        answer = await self.ask(AuthResponse(data=final))
        if isinstance(answer, AuthOk):
            login.verify(answer.proof)
        return answer

    async def enter(self, user: str, *versions: int, sign_up: bool = True) -> AuthOk:
        """Negotiate, sign up, log in; returns when the snapshot is there too."""
        await self.negotiate(*versions)
        if sign_up:
            answer = await self.sign_up(user)
            assert isinstance(answer, Ok), answer
        answer = await self.prove(user)
        assert isinstance(answer, AuthOk), answer
        await self.until(lambda: self.all(PresenceSnapshot) or None)
        await self.barrier()
        self.user = user
        return answer

    # What the link reports

    def _take(self, events: list[LinkEvent]) -> None:
        for event in events:
            match event:
                case Bytes(sid, data, fin):
                    self._take_bytes(sid, data)
                    if fin:
                        self.finished.add(sid)
                case Datagram(data):
                    self._take_payload(DATAGRAM, data)
                case Reset(sid, code) | Stopped(sid, code):
                    self.given_up[sid] = code
                case Closed():
                    self.closed = event
                case _:
                    pass
        self._news.set()

    def _take_bytes(self, sid: int, data: bytes) -> None:
        reader = self._readers.setdefault(sid, FrameReader(frame.HARD_LIMIT))
        for item in reader.feed(data):
            if isinstance(item, Raw):
                self.carried.setdefault(sid, bytearray()).extend(item.data)
                continue
            pdu = self._take_payload(sid, item)
            reader.raw = pdu.follows if isinstance(pdu, FileHeader) else 0

    def _take_payload(self, sid: int, payload: bytes) -> Pdu | Unknown:
        envelope = codec.decode(payload)
        if isinstance(envelope.pdu, VersionResponse):
            self._transcript.append(payload)
        if isinstance(envelope.pdu, Error):
            assert envelope.pdu.text, "every ERROR has a text for people"
        if isinstance(envelope.pdu, Pdu) and not isinstance(envelope.pdu, Message):
            # As a client has to: what it does not know, and need not, it passes over.
            envelope = replace(envelope, pdu=replace(envelope.pdu, extra=None))
        if isinstance(envelope.pdu, Pdu):
            self.heard.append(Heard(sid, envelope))
        return envelope.pdu


@functools.cache
def _salted(word: str, salt: bytes, iterations: int) -> bytes:
    return scram.salted(word, salt, iterations)


@asynccontextmanager
async def calling(place: Place, *, device: bytes | None = None) -> AsyncIterator[Peer]:
    """A connection, closed at the end."""
    link = await place.call()
    peer = Peer(link, device=device, iterations=place.iterations)
    try:
        yield peer
    finally:
        link.close(0x100, "")
        link.flush()
        place.hung_up.append(peer.end)


@asynccontextmanager
async def entered(
    place: Place, *versions: int, user: str | None = None, device: bytes | None = None
) -> AsyncIterator[Peer]:
    """Somebody who is logged in: a new user, or one who has an account."""
    async with calling(place, device=device) as peer:
        await peer.enter(user or somebody(), *versions, sign_up=user is None)
        peer.heard.clear()
        yield peer
