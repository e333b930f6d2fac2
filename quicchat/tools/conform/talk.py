"""A client without manners: says whatever a case wants, and judges how it is answered. (spec 03-session)"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import Any, Final

from quicchat.tools.conform import scram
from quicchat.tools.conform.book import Fields, annotated, book, frame, unframed, write
from quicchat.tools.conform.ear import DATAGRAM, PATIENCE, Ear, Heard
from quicchat.tools.conform.quic import Line
from quicchat.tools.conform.verdict import Failed, Unclean, WrongCode

#: Of the accounts that the kit makes: enough for any policy (4.1-5).
ITERATIONS: Final = 600_000
SALT: Final = os.urandom(16)
#: For how many seconds it pays to wait where a rate is exceeded; and what counts where no time is said, in ms.
BEARABLE, MOMENT = 15.0, 250


class Talk:
    """One connection to the server under test."""

    def __init__(self, line: Line, *, device: bytes | None = None, certificate: bytes = b"") -> None:
        self.line = line
        self.device = device or os.urandom(16)
        self.user = ""
        self.version = 1
        self.ear = ear = Ear(line)
        #: As the ear has them.
        self.heard, self.raw, self.given_up, self.stopped = ear.heard, ear.raw, ear.given_up, ear.stopped
        self.ended, self.track = ear.ended, ear.track
        self.hear, self.until, self.all = ear.hear, ear.until, ear.all
        self.token: bytes | None = None
        #: SHA-256 of the server's leaf certificate.
        self.certificate = certificate
        self.transcript = b""
        self._number = 0
        self.control = line.open()

    # Saying

    def say(
        self, name: str, /, *, sid: int | None = None, id: int | None = None, version: int | None = None, **fields: Any
    ) -> bytes:
        """Say a PDU; returns it without its length. Fields go by their names."""
        return self.put(name, fields, sid=sid, id=id, version=version)

    def put(
        self, name: str, fields: Fields, *, sid: int | None = None, id: int | None = None, version: int | None = None
    ) -> bytes:
        """As `say`, for fields that are called like its arguments."""
        data = write(name, fields, version=version or self.version, id=id)
        self.say_bytes(frame(data), sid=sid)
        return data

    def say_bytes(self, data: bytes, *, sid: int | None = None, fin: bool = False) -> None:
        """Say bytes on a stream, by default on control."""
        sid = self.control if sid is None else sid
        inner = unframed(data)
        self.ear.note("client", sid, inner[0] if inner is not None and inner[1] == len(data) else data)
        if fin:
            self.ear.note("client", sid, "FIN")
        self.line.say(sid, data, fin=fin)

    def whisper(self, name: str, /, **fields: Any) -> None:
        """Say a PDU in a datagram."""
        self.whisper_bytes(write(name, fields, version=self.version))

    def whisper_bytes(self, data: bytes) -> None:
        """Say bytes in a datagram."""
        self.ear.note("client", DATAGRAM, data)
        self.line.whisper(data)

    def open(self, kind: int | None = None, *, uni: bool = False, **fields: Any) -> int:
        """A stream of one's own; with a `kind` (1 room, 2 query, 3 file) it says what it is for."""
        sid = self.line.open(uni=uni)
        if kind is not None:
            self.say("STREAM_OPEN", sid=sid, kind=kind, **fields)
        return sid

    def next_id(self) -> int:
        """A request id that was not used yet."""
        self._number += 1
        return self._number

    # Asking

    async def ask(self, name: str, /, *, sid: int | None = None, **fields: Any) -> Heard:
        """Say a request, and its answer, whatever it is. Raises Failed where none comes, or on another stream."""
        number = self.next_id()
        self.say(name, sid=sid, id=number, **fields)
        found = await self.answer(number)
        if found.sid != (self.control if sid is None else sid):
            raise Failed(f"{name} was answered on another stream")
        return found

    async def answer(self, number: int) -> Heard:
        """The PDU that answers a request id."""
        return await self.until(lambda: self.ear.find(lambda each: each.pdu.re == number), f"an answer to {number}")

    async def patiently(self, name: str, /, *codes: str, sid: int | None = None, **fields: Any) -> Heard:
        """Ask, and again after `retry_after` where a rate is exceeded (8.3-1), unless that is what is awaited."""
        while True:
            found = await self.ask(name, sid=sid, **fields)
            is_limited = found.pdu.name == "ERROR" and book().code(found["code"]) == "RATE_LIMITED"
            wait = (found["retry_after"] or MOMENT) / 1000 if is_limited else 0.0
            if not is_limited or "RATE_LIMITED" in codes or wait > BEARABLE:
                return found
            await asyncio.sleep(wait)

    async def done(self, name: str, /, *, sid: int | None = None, **fields: Any) -> Heard:
        """Ask what is to be granted. Raises Failed where the answer is another than the book names."""
        found = await self.patiently(name, sid=sid, **fields)
        wanted = book().kinds[name].answer
        if found.pdu.name != wanted:
            raise Failed(f"{name} was answered by {annotated(found.pdu.data)}, not by {wanted}")
        return found

    async def refused(self, *codes: str, request: str, sid: int | None = None, **fields: Any) -> Heard:
        """Ask what is to be refused with one of these codes; the connection must survive it.

        Raises Failed where it is granted or ends the connection, WrongCode for another reason.
        """
        found = await self.patiently(request, *codes, sid=sid, **fields)
        self.check_refusal(found, *codes)
        await self.barrier()
        return found

    def check_refusal(self, found: Heard, *codes: str) -> None:
        """Raises Failed for what is no refusal, WrongCode for one with another code."""
        if found.pdu.name != "ERROR" or found["fatal"]:
            raise Failed(f"{annotated(found.pdu.data)} came, not an ERROR that refuses with {' or '.join(codes)}")
        if book().code(found["code"]) not in codes:
            raise WrongCode(f"refused with {book().code(found['code'])}, not with {' or '.join(codes)}")

    async def barrier(self) -> None:
        """Return when all that the server wrote on control before now has come; proves that it is alive."""
        nonce = int.from_bytes(os.urandom(6), "big")
        self.say("PING", nonce=nonce)
        await self.hear("PONG", lambda each: bool(each["nonce"] == nonce))

    async def gave_up(self, sid: int, *codes: str) -> None:
        """The server gives up a stream, both ways, with one of these codes, and nothing else ends."""
        await self.until(lambda: self.given_up.get(sid), f"RESET_STREAM on stream {sid}")
        await self.until(lambda: self.stopped.get(sid), f"STOP_SENDING on stream {sid}")
        for found in (self.given_up[sid], self.stopped[sid]):
            if book().code(found) not in codes:
                raise WrongCode(f"the stream was given up with {book().code(found)}, not with {' or '.join(codes)}")
        await self.barrier()

    async def fatal(self, *codes: str, patience: float = PATIENCE) -> None:
        """The server announces one of these codes and closes with it.

        Raises Failed where it goes on, WrongCode for another code, Unclean where announcement and close differ.
        """
        await self.closing(patience, f"fatal ERROR {' or '.join(codes)} and a close of the same code are due")
        error = self.ear.find(lambda each: each.pdu.name == "ERROR" and bool(each["fatal"]))
        closed = self.line.closed
        if closed is None:
            assert error is not None
            raise Unclean(f"ERROR {book().code(error['code'])} is fatal, but no close came within {patience:g} s")
        if error is not None and book().code(error["code"]) not in codes:
            raise WrongCode(f"fatal with {book().code(error['code'])}, not with {' or '.join(codes)}")
        if error is None and book().code(closed.code) not in codes:
            raise WrongCode(f"closed with {self.ear.end()}, not with {' or '.join(codes)}, and without an ERROR")
        if error is None:
            raise Unclean(f"closed with {self.ear.end()}, but without an ERROR before")
        if closed.code != error["code"] or not closed.by_application:
            raise Unclean(f"ERROR says {book().code(error['code'])}, the close {self.ear.end()}")

    async def over(self, *codes: str, patience: float = PATIENCE) -> None:
        """As `fatal`, where what was done elsewhere, or a deadline, is the cause: it may take its time, and nothing is
        said meanwhile, for it may be taken for something else."""
        await self.ear.quietly(lambda: self.line.closed, patience)
        if self.line.closed is None and self.ear.fatal is None:
            raise Failed(f"the connection goes on after {patience:g} s")
        await self.fatal(*codes)

    async def closing(self, patience: float = PATIENCE, due: str = "its end is due") -> None:
        """Return when the connection has ended, or a fatal ERROR was not followed by the end. Raises Failed."""
        # What is alive answers; so nobody waits for what does not come.
        nonce = int.from_bytes(os.urandom(6), "big")
        self.say("PING", nonce=nonce)

        def look() -> bool | None:
            return self.line.closed is not None or self.ear.find(lambda each: bool(_is_fatal(each))) is not None or None

        def pong() -> bool | None:
            return True if look() or self.ear.find(lambda each: _is_pong(each, nonce)) else None

        if self.line.closed is None:
            await self.ear.quietly(pong, patience)
        if not look():
            raise Failed(f"the connection goes on; {due}")
        await self.ear.quietly(lambda: self.line.closed, patience / 2)
        if self.line.closed is None:
            # A close that was lost on its way is repeated to whoever sends something (RFC 9000 section 10.2.1).
            self.line.quic.send_ping(0)
            self.line.touch()
            await self.ear.quietly(lambda: self.line.closed, patience / 2)

    # The usual beginning

    async def negotiate(self, *versions: int, **fields: Any) -> Heard:
        """Send VERSION_REQUEST; VERSION_RESPONSE, whose version is spoken from then on."""
        offered = list(versions or sorted(book().versions, reverse=True))
        request = self.say("VERSION_REQUEST", version=1, versions=offered, device=self.device, **fields)
        found = await self.hear("VERSION_RESPONSE")
        self.transcript = hashlib.sha256(request + found.pdu.data).digest()
        self.version = found["version"] or 1
        return found

    async def log_in(self, user: str, password: str) -> Heard:
        """Log in; AUTH_OK. Raises Failed where it does not come, or proves nothing."""
        first = scram.first(user, os.urandom(18))
        challenge = await self.done("AUTH_START", mechanism="SCRAM-SHA-256", user=user, data=first)
        final, expected = scram.final(first, challenge["data"], password, self.certificate + self.transcript)
        found = await self.done("AUTH_RESPONSE", data=final)
        if found["proof"] != expected:
            raise Failed("AUTH_OK proves nothing (4.2-3)")
        self.user, self.token = user, found["token"]
        return found

    async def sign_up(self, user: str, password: str, **fields: Any) -> Heard:
        """Ask for an account; whatever the answer is. Accounts with one password share what is costly to derive."""
        salt = hashlib.sha256(SALT + password.encode()).digest()
        keys = scram.stored(scram.salted(password, salt, ITERATIONS))
        wanted = {"salt": salt, "iterations": ITERATIONS, "stored_key": keys[0], "server_key": keys[1]}
        return await self.patiently("SIGNUP", user=user, **{**wanted, **fields})


def _is_fatal(each: Heard) -> bool:
    return each.pdu.name == "ERROR" and bool(each["fatal"])


def _is_pong(each: Heard, nonce: int) -> bool:
    return each.pdu.name == "PONG" and bool(each["nonce"] == nonce)
