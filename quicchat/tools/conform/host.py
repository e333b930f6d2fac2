"""The kit as a server: one connection of a client, honest but where a case wants otherwise. (spec 03-session)

What is honest is in `honest.py`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from quicchat.tools.conform import cbor
from quicchat.tools.conform.book import annotated, body, book, frame, unframed, write
from quicchat.tools.conform.ear import DATAGRAM, PATIENCE, Ear, Heard
from quicchat.tools.conform.manners import Manners
from quicchat.tools.conform.quic import Line
from quicchat.tools.conform.verdict import Failed, Unclean, WrongCode
from quicchat.values import dataclass

ROOM: Final = "general"
#: Who says what a case wants to be heard.
OTHER: Final = "mallory"
DEVICE: Final = bytes(range(16))
#: The least that a client answers (4.2-13).
ITERATIONS: Final = 4096

#: The sentences whose breach leaves nothing that could be answered.
_UNUSABLE: Final = ("2.3-2", "2.4-2")

Answer = Callable[["Host", Heard], None]


@dataclass(frozen=True, slots=True)
class Account:
    """What a server keeps of a password."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class House:
    """What all connections of a case share: accounts, tokens, the logs of the rooms, and how it is to behave."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.versions = book().versions
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[bytes, str] = {}
        #: Of each room, from the first place on; an event has the fields of MSG.
        self.logs: dict[str, list[dict[str, Any]]] = {ROOM: []}
        self.epoch = 1
        #: cid -> what was said with it.
        self.cids: dict[bytes, tuple[object, ...]] = {}
        self.hosts: list[Host] = []
        #: Further fields of VERSION_RESPONSE and of AUTH_OK.
        self.greeting: dict[str, Any] = {}
        self.welcome: dict[str, Any] = {}

    def event(self, text: str, **fields: Any) -> dict[str, Any]:
        """Somebody says something: the event, which is in the log now."""
        room = fields.get("room", ROOM)
        log = self.logs.setdefault(room, [])
        made = {
            "room": room,
            "epoch": self.epoch,
            "seq": len(log) + 1,
            "cid": os.urandom(16),
            "sender": OTHER,
            "device": DEVICE,
            "kind": 1,
            "ts": now(),
            "text": text,
            **fields,
        }
        log.append(made)
        return made

    def head(self, room: str = ROOM) -> int:
        return len(self.logs.get(room, ()))


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def embedded(event: Mapping[str, Any]) -> bytes:
    """An event as HISTORY_R holds it: the body of its MSG."""
    return cbor.dump(body("MSG", event))


class Host:
    """One connection; `instead` are answers that take the place of the honest ones, by the PDU that is answered.

    None answers nothing at all.
    """

    def __init__(
        self,
        line: Line,
        house: House,
        certificate: bytes,
        honest: Mapping[str, Answer],
        instead: Mapping[str, Answer | None],
        told: Callable[[], None],
    ) -> None:
        self.line, self.house, self.certificate = line, house, certificate
        self.ear = ear = Ear(line, peer="client")
        self.hear, self.until, self.all, self.track = ear.hear, ear.until, ear.all, ear.track
        self.manners = Manners()
        self.answers: dict[str, Answer | None] = {**honest, **instead}
        #: All that the client said, in its order.
        self.words: list[Heard] = []
        self.control = 0
        self.version = 1
        self.transcript = b""
        self.request = b""
        self.user = ""
        self.device = b""
        #: The exchange of the login that is under way: client-first-message, server-first-message.
        self.exchange = b"", b""
        #: The places from which the client goes on, by room, as it was told at its login.
        self.start: dict[str, int] = {}
        #: The room streams, by room.
        self.rooms: dict[str, int] = {}
        #: Requests that were not answered yet, by stream, and the streams whose client has asked all.
        self._open: dict[int, int] = {}
        #: Streams of which we want to hear nothing more.
        self._given_up: set[int] = set()
        self._is_over = False
        #: Called when the client has said something.
        self._told = told
        ear.on_pdu, ear.on_fin, ear.on_broken = self._hear, self._fin, self._broken

    @property
    def state(self) -> str:
        return self.manners.state

    # Saying

    def say(
        self,
        name: str,
        *,
        sid: int | None = None,
        re: Heard | None = None,
        id: int | None = None,
        version: int | None = None,
        **fields: Any,
    ) -> bytes:
        """Say a PDU, on the stream of what it answers (`re`); returns it without its length."""
        number = re.pdu.id if re is not None and type(re.pdu.id) is int else None
        data = write(name, fields, version=version or self.version, id=id, re=number)
        if sid is None:
            sid = self.control if re is None or re.sid == DATAGRAM else re.sid
        outcome = ("fatal" if fields.get("fatal") else "refused") if name == "ERROR" else None
        self.manners.said(name, outcome)
        self.say_bytes(frame(data), sid=sid)
        if re is not None:
            self._open[re.sid] = self._open.get(re.sid, 1) - 1
            self._finish(re.sid)
        return data

    def respond(self, fields: Mapping[str, Any]) -> bytes:
        """Say VERSION_RESPONSE, one of whose fields is called as the envelope's."""
        data = write("VERSION_RESPONSE", fields, version=1)
        self.manners.said("VERSION_RESPONSE", "accepted" if fields["version"] else "rejected")
        self.say_bytes(frame(data))
        return data

    def say_bytes(self, data: bytes, *, sid: int | None = None, fin: bool = False) -> None:
        """Say bytes on a stream, by default on control."""
        sid = self.control if sid is None else sid
        inner = unframed(data)
        shown = annotated(inner[0]) if inner is not None and inner[1] == len(data) else annotated(data)
        self.ear.note("server", sid, shown + (" FIN" if fin else ""))
        self.line.say(sid, data, fin=fin)

    def whisper(self, data: bytes) -> None:
        """Say bytes in a datagram."""
        self.ear.note("server", DATAGRAM, annotated(data))
        self.line.whisper(data)

    def push(self, event: Mapping[str, Any], **changed: Any) -> None:
        """Say an event of a room, as this client is to have it."""
        fields = {**event, **changed}
        if self.version == 1:
            first = {each.name for each in book().kinds["MSG"].fields if each.since == 1}
            fields = {name: value for name, value in fields.items() if name in first}
        self.say("MSG", sid=self.rooms.get(fields["room"]), **fields)

    def refuse(self, heard: Heard, code: str, text: str = "As the case wants it.", **fields: Any) -> None:
        """Answer a request with an ERROR."""
        self.say("ERROR", re=heard, code=book().codes[code], text=text, **fields)

    def fail(self, code: int, text: str = "As the case wants it.") -> None:
        """End the connection as 3.3-1 has it."""
        self.say("ERROR", code=code, text=text, fatal=True)
        self.deafen()
        self.line.flush()
        self.line.close(code, text)

    def end(self, code: int, reason: str = "") -> None:
        """End the connection, without an ERROR."""
        self.deafen()
        self.line.close(code, reason)

    def give_up(self, sid: int, code: str) -> None:
        """Neither read nor say anything more on a stream."""
        self._given_up.add(sid)
        self.rooms = {room: each for room, each in self.rooms.items() if each != sid}
        self.line.reset(sid, book().codes[code])
        self.line.stop(sid, book().codes[code])

    def deafen(self) -> None:
        """What the client says from now on is not judged: it may have crossed our end."""
        self._is_over = True

    # What the client is to do

    async def barrier(self) -> None:
        """Return when the client has heard all that was said to it on control before."""
        nonce = int.from_bytes(os.urandom(6), "big")
        self.say("PING", nonce=nonce, id=nonce)
        await self.hear("PONG", lambda each: bool(each["nonce"] == nonce))

    async def fatal(self, *codes: str, patience: float = PATIENCE) -> None:
        """The client announces one of these codes and closes with it.

        Raises Failed where it goes on, WrongCode for another code, Unclean where announcement and close differ.
        """
        await self.gone(patience)
        error = self.ear.find(lambda each: each.pdu.name == "ERROR" and bool(each["fatal"]))
        closed = self.line.closed
        assert closed is not None
        told = closed.code if error is None else error["code"]
        if (error is None and not closed.by_application) or book().code(told) not in codes:
            raise WrongCode(f"it ended with {book().code(told)} ({self.ear.end()}), not with {' or '.join(codes)}")
        if error is None:
            raise Unclean(f"closed with {self.ear.end()}, but without an ERROR before")
        if closed.code != told or not closed.by_application:
            raise Unclean(f"ERROR says {book().code(told)}, the close {self.ear.end()}")

    async def gone(self, patience: float = PATIENCE) -> None:
        """The client ends the connection. Raises Failed where it goes on."""
        await self.ear.quietly(lambda: self.line.closed, patience)
        if self.line.closed is None:
            raise Failed(f"the connection goes on, {patience:g} s later")

    async def refused(self, *codes: str, re: int | None = None) -> None:
        """The client refuses what was said with one of these codes, and goes on."""

        def look() -> Heard | None:
            return self.ear.find(lambda each: each.pdu.name == "ERROR" and (re is None or each.pdu.re == re))

        await self.barrier()
        found = look()
        if found is None:
            raise Failed(f"it went on without an ERROR, not with {' or '.join(codes)}")
        if found["fatal"]:
            raise Failed(f"{annotated(found.pdu.data)} came, not an ERROR that refuses")
        if book().code(found["code"]) not in codes:
            raise WrongCode(f"refused with {book().code(found['code'])}, not with {' or '.join(codes)}")

    async def given_up(self, sid: int, *codes: str, both: bool = True) -> None:
        """The client reads no more on a stream of ours, with one of these codes, and nothing else ends."""
        ends = (self.ear.stopped, self.ear.given_up) if both else (self.ear.stopped,)
        for found in ends:
            await self.until(lambda found=found: found.get(sid), f"the end of stream {sid}")  # type: ignore[misc]
            if book().code(found[sid]) not in codes:
                raise WrongCode(
                    f"the stream was given up with {book().code(found[sid])}, not with {' or '.join(codes)}"
                )
        await self.barrier()

    async def ready(self) -> None:
        """The login is over."""
        await self.until(lambda: self.state in ("READY", "DRAINING") or None, "a login", patience=3 * PATIENCE)

    def said(self, name: str) -> list[Heard]:
        """All that the client ever said of a kind, whether it was taken or not."""
        return [each for each in self.words if each.pdu.name == name]

    # What comes

    def _hear(self, heard: Heard) -> None:
        self.words.append(heard)
        self._told()
        if self._is_over or heard.sid in self._given_up:
            return
        if heard.pdu.name == "VERSION_REQUEST":
            self.control, self.request, self.device = heard.sid, heard.pdu.data, heard["device"]
        known = len(self.manners.faults)
        self.manners.heard(heard)
        if wrong := [each for each in self.manners.faults[known:] if each.sentence in _UNUSABLE]:
            self.fail(book().codes["SCHEMA"], wrong[0].text)
            return
        kind = book().kinds.get(heard.pdu.name)
        if kind is not None and kind.answer is not None and heard.sid != DATAGRAM:
            self._open[heard.sid] = self._open.get(heard.sid, 0) + 1
        answer = self.answers.get(heard.pdu.name)
        if answer is not None:
            answer(self, heard)

    def _broken(self, sid: int, data: bytes, error: ValueError) -> None:
        if not self._is_over and sid != DATAGRAM:
            self.manners.broken(data, error)

    def _fin(self, sid: int) -> None:
        self._open.setdefault(sid, 0)
        self._finish(sid)

    def _finish(self, sid: int) -> None:
        """Our half of a query stream ends when all is answered that was asked there (3.7-5)."""
        if sid in self._given_up:
            return
        if sid in self.ear.ended and self._open[sid] <= 0 and sid != self.control and not self._is_over:
            self.line.say(sid, b"", fin=True)

    def bind(self, response: bytes) -> None:
        """The negotiation is over: what it said is what the login is bound to."""
        self.transcript = hashlib.sha256(self.request + response).digest()
