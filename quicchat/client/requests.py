"""Requests and their answers over one connection: each id gets exactly one answer. (spec 02-framing)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from quicchat.client.files.streams import Streams
from quicchat.errors import Code, LinkLost, Refused
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Lost, Received
from quicchat.transport.driver import Driver
from quicchat.transport.link import Link
from quicchat.transport.recorder import Recorder
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Posted
from quicchat.wire.chapters.session import Error, Purpose, StreamOpen, VersionResponse
from quicchat.wire.registry import Pdu
from quicchat.wire.states import State

A = TypeVar("A", bound=Pdu)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Somebody waits for an answer on a stream; with `many`, the acknowledgements before it are not it."""

    future: asyncio.Future[Pdu]
    sid: int | None
    many: bool


def _heedless(sid: int) -> None:
    """Not interested in streams that end."""


class Requests:
    """The client's end of one connection. All that comes goes to `on_pdu`, the end of a stream that answered
    nobody to `on_ended`, the end of the connection to `on_lost`.
    """

    def __init__(
        self,
        link: Link,
        connection: Connection,
        *,
        on_pdu: Callable[[Pdu], None],
        on_lost: Callable[[LinkLost], None],
        on_ended: Callable[[int], None] = _heedless,
        number: int = 1,
        recorder: Recorder | None = None,
    ) -> None:
        self.link = link
        #: Which connection of this run it is.
        self.number = number
        self.connection = connection
        self.lost: LinkLost | None = None
        self._loop = asyncio.get_running_loop()
        #: Done when the version is agreed; LinkLost where there is none.
        self.negotiated: asyncio.Future[None] = self._loop.create_future()
        #: Done when the connection is over.
        self.ended: asyncio.Future[None] = self._loop.create_future()
        #: Whether what `on_pdu` has just been given answers a request.
        self.answering = False
        #: On which stream it came; None for control and for datagrams.
        self.heard_on: int | None = None
        self._control: int | None = None
        self._on_pdu = on_pdu
        self._on_lost = on_lost
        self._on_ended = on_ended
        self._waiting: dict[int, _Waiting] = {}
        self._next = 0
        self.driver = Driver(link, connection, self._on_events, recorder=recorder)
        #: The streams that carry files.
        self.files = Streams(self.driver, self.tell, self._begin_file)

    @property
    def version(self) -> int:
        """The version agreed, 0 before."""
        return self.connection.version or 0

    @property
    def draining(self) -> bool:
        """Whether one end has taken leave: what runs finishes, and nothing should begin."""
        return self.connection.state is State.DRAINING

    async def ask(self, pdu: Pdu, answer: type[A], *, aside: bool = False, sid: int | None = None) -> A:
        """Send a request and wait for its answer; `aside` uses a query stream of its own.

        Raises Refused for an ERROR, LinkLost when the connection ends first, LocalProtocolError as
        `Connection.send`.
        """
        if aside:
            if self.lost is not None:
                raise self.lost
            sid = self.open_query()
        future = self.begin(pdu, sid=sid)
        if aside and sid is not None:
            self.driver.finish(sid)
        return answered(pdu, await future, answer)

    def begin(self, pdu: Pdu, *, sid: int | None = None, many: bool = False) -> asyncio.Future[Pdu]:
        """Send a request; the future has the answer, be it an ERROR, or LinkLost. Raises as `ask`, at once."""
        if self.lost is not None:
            raise self.lost
        self._next += 1
        number = self._next
        future: asyncio.Future[Pdu] = self._loop.create_future()
        self.driver.send(pdu, sid=sid, id=number)
        self._waiting[number] = _Waiting(future, sid, many)
        future.add_done_callback(lambda _: self._waiting.pop(number, None))
        return future

    def tell(self, pdu: Pdu) -> None:
        """Send what wants no answer."""
        if self.lost is None:
            self.driver.send(pdu)

    def whisper(self, pdu: Pdu) -> None:
        """Send what may be lost, in a datagram; nothing happens before the login and after the end."""
        if self.lost is None and self.version > 1:
            self.connection.datagram(pdu)
            self.driver.touch()

    def open_query(self) -> int:
        """A new stream for queries. Raises as `Driver.open`."""
        return self.open_stream(StreamOpen(kind=Purpose.QUERY))

    def open_stream(self, opening: StreamOpen) -> int:
        """A new stream. Raises as `Driver.open`, and as `Connection.open`."""
        sid = self.driver.open()
        self.connection.open(sid, opening)
        self.driver.touch()
        return sid

    def _begin_file(self) -> tuple[int, int]:
        self._next += 1
        return self.open_stream(StreamOpen(kind=Purpose.FILE)), self._next

    def _on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.files.take(event):
                continue
            match event:
                case Received(sid, envelope) if isinstance(envelope.pdu, Pdu):
                    self.heard_on = sid if sid != self._control else None
                    self._received(envelope.pdu, envelope.re)
                case Ended(sid, _):
                    self._stream_ended(sid)
                case Lost(code, reason, remote, application):
                    self._over(LinkLost(code, reason, remote=remote, application=application))

    def _received(self, pdu: Pdu, re: int | None) -> None:
        if isinstance(pdu, VersionResponse):
            self._control, self.heard_on = self.heard_on, None
            self._agreed(pdu)
        waiting = self._waiting.get(re) if re is not None else None
        final = waiting is not None and not (waiting.many and _is_part(pdu))
        # First to the state, then to the one who waits, so that he finds the state of his answer.
        self.answering = final
        self._on_pdu(pdu)
        if waiting is not None and final and not waiting.future.done():
            waiting.future.set_result(pdu)

    def _agreed(self, answer: VersionResponse) -> None:
        if self.negotiated.done():
            return
        if answer.version:
            self.negotiated.set_result(None)
        else:
            self._fail(self.negotiated, _rejected(answer))

    def _stream_ended(self, sid: int) -> None:
        """A stream that ended without its answers never brings them."""
        for waiting in list(self._waiting.values()):
            if waiting.sid == sid and not waiting.future.done():
                self._fail(waiting.future, Refused(Code.INTERNAL, "The server gave no answer."))
        self._on_ended(sid)

    def _over(self, lost: LinkLost) -> None:
        self.lost = lost
        if not self.ended.done():
            self.ended.set_result(None)
        if not self.negotiated.done():
            self._fail(self.negotiated, lost)
        self.files.over(lost)
        for waiting in list(self._waiting.values()):
            if not waiting.future.done():
                self._fail(waiting.future, lost)
        self._on_lost(lost)

    @staticmethod
    def _fail(future: asyncio.Future[Any], error: Exception) -> None:
        """Whoever no longer waits is not to be reproached with an error that nobody has seen."""
        future.set_exception(error)
        future.exception()


def answered(asked: Pdu, got: Pdu, answer: type[A]) -> A:
    """The answer to a request. Raises Refused for an ERROR, and for what answers nothing."""
    if isinstance(got, Error):
        raise refusal(got)
    if not isinstance(got, answer):
        raise Refused(Code.SCHEMA, f"{got.SPEC.name} does not answer {asked.SPEC.name}.")
    return got


def refusal(error: Error) -> Refused:
    """What an ERROR says."""
    try:
        code = Code(error.code)
    except ValueError:
        code = Code.INTERNAL
    return Refused(code, error.text or "", retry_after=error.retry_after)


def _is_part(pdu: Pdu) -> bool:
    """Whether this answers one message of a MSG_SEND_MANY, and not the whole of it."""
    return isinstance(pdu, Posted) or (isinstance(pdu, Error) and pdu.detail is not None)


def _rejected(answer: VersionResponse) -> LinkLost:
    """Why there is no version: which ones the server speaks."""
    spoken = sorted(answer.versions)
    whole = len(spoken) > 1 and spoken == list(range(spoken[0], spoken[-1] + 1))
    words = f"{spoken[0]}..{spoken[-1]}" if whole else ", ".join(map(str, spoken))
    return LinkLost(Code.NO_COMMON_VERSION, f"server speaks {words}")
