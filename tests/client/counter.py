"""A server that says what a test tells it to, for clients that come with a token."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.events import Sent
from quicchat.client.login import Identity
from quicchat.client.memory import Change, Entry, Memory, PlainMemory, Token
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Event, Received
from quicchat.protocol.negotiation import Hello
from quicchat.transport.driver import Driver
from quicchat.transport.link import Link
from quicchat.transport.memory import MemoryLink, Network
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import Resume, Resumed, Verdict
from quicchat.wire.chapters.keys import GetKeys, KeyList
from quicchat.wire.chapters.messages import (
    History,
    HistoryPage,
    Kind,
    Message,
    Post,
    Posted,
    PostMany,
)
from quicchat.wire.chapters.session import Bye, Error, Ok
from quicchat.wire.registry import VERSIONS, Pdu, Role
from tests.client.depot import Depot
from tests.client.lives import Listener

TOKEN = b"t" * 32
FAR = 2**50
#: What a request is answered with: nothing, or some PDUs, of which the last one is the answer.
Answer = Callable[[Pdu], Sequence[Pdu]]


class Counter:
    """All connections of one server. `rooms` and `known` are told in RESUMED; `answers` answers requests by type."""

    def __init__(self, network: Network, *, versions: tuple[int, ...] = VERSIONS) -> None:
        self.network = network
        self.rooms: list[tuple[str, int, int, int, Verdict]] = []
        self.known: list[tuple[bytes, int]] = []
        self.answers: dict[type[Pdu], Answer] = {}
        self.behind: list[Pdu] = []
        self.heard: list[Pdu] = []
        self.proves = True
        #: What the first RESUME is refused with.
        self.early: Error | None = None
        self.versions = versions
        self.lines: list[Driver] = []
        #: Takes what is about files, where a test has them.
        self.depot: Depot | None = None
        network.listen(self.accept)

    def accept(self, link: MemoryLink) -> None:
        connection = Connection(
            Role.SERVER,
            Hello(versions=self.versions, mechanisms=("SCRAM-SHA-256",)),
            now=asyncio.get_running_loop().time(),
            wall=0.0,
        )

        def on_events(events: Sequence[Event]) -> None:
            for event in events:
                if self.depot is not None and self.depot.take(driver, event):
                    continue
                if isinstance(event, Received) and isinstance(event.envelope.pdu, Pdu):
                    self._take(driver, event.envelope.pdu, event.sid, event.envelope.id)
                elif isinstance(event, Ended):
                    driver.finish(event.sid)

        driver = Driver(link, connection, on_events)
        self.lines.append(driver)

    def tell(self, *pdus: Pdu) -> None:
        """Push to the client that came last."""
        for pdu in pdus:
            self.lines[-1].send(pdu)

    def of(self, kind: type[Pdu]) -> list[Pdu]:
        # What is strewn in to keep servers tolerant (2.5-7) is no part of what was said.
        return [replace(each, extra=None) for each in self.heard if isinstance(each, kind)]

    def _take(self, driver: Driver, pdu: Pdu, sid: int | None, number: int | None) -> None:
        self.heard.append(pdu)
        match pdu:
            case Resume() if self.early is not None:
                driver.send(self.early, re=number)
                self.early = None
            case Resume():
                for answer in (self._resumed(driver, pdu), *self.behind):
                    driver.send(answer, re=number if isinstance(answer, Resumed) else None)
            case Bye():
                driver.close(0x100, "bye")
            case _ if type(pdu) in self.answers:
                *others, last = self.answers[type(pdu)](pdu)
                for other in others:
                    driver.send(other, sid=sid)
                driver.send(last, sid=sid, re=number)
            case GetKeys():
                # Nobody has keys, unless a test says otherwise.
                nobody = tuple((user, 0, b"", b"", b"", ()) for user in pdu.users)
                driver.send(KeyList(users=nobody), sid=sid, re=number)

    def _resumed(self, driver: Driver, pdu: Resume) -> Resumed:
        transcript = driver.connection.negotiation.transcript
        return Resumed(
            session=1,
            token=len(self.lines).to_bytes(32, "big"),
            rooms=tuple(self.rooms),
            known=tuple(each for each in self.known if each[0] in pdu.outstanding),
            user="alice",
            expires=FAR,
            proof=hmac.digest(pdu.token if self.proves else b"?", transcript, "sha256"),
        )


@asynccontextmanager
async def served(
    counter: Counter, change: Change | None = None, *, memory: Memory | None = None, password: str | None = None
) -> AsyncIterator[Chat]:
    """Alice, who was here before, and remembers what `change` says beside her token."""
    memory = memory or PlainMemory()
    await memory.keep(change or Change())
    await memory.keep(Change(token=Token(TOKEN, FAR)))

    async def dial(early: bool) -> Link:
        return counter.network.dial(early=early)

    chat = Chat(None, device=b"a" * 16, memory=memory, kept=await memory.load(), dial=dial)
    async with chat:
        await chat.open(Identity(user="alice", password=password, iterations=1))
        yield chat


def event(seq: int, text: str = "", *, room: str = "general", epoch: int = 1, **more: Any) -> Message:
    return Message(
        room=room,
        epoch=epoch,
        seq=seq,
        cid=seq.to_bytes(16, "big"),
        sender="bob",
        kind=Kind.TEXT,
        ts=1,
        text=text or str(seq),
        **more,
    )


def log(head: int, *, room: str = "general", epoch: int = 1, first: int = 1) -> Any:
    """A log that answers HISTORY BETWEEN."""

    def answer(pdu: Pdu) -> list[Pdu]:
        assert isinstance(pdu, History)
        start, end = max(first, (pdu.anchor or 0) + 1), min(head + 1, pdu.until or head + 1)
        events = [event(seq, room=room, epoch=epoch) for seq in range(start, end)][: pdu.limit]
        bodies = tuple(codec.encode_body(each, version=2) for each in events)
        return [HistoryPage(room=room, epoch=epoch, first=first, head=head, events=bodies)]

    return answer


def entry(number: int) -> Entry:
    post = Post(room="general", cid=number.to_bytes(16, "big"), text=str(number))
    return Entry(order=number, post=post, room="general", state=Sent.QUEUED)


def acked(pdu: Pdu) -> list[Pdu]:
    assert isinstance(pdu, Post)
    return [Posted(cid=pdu.cid, room="general", seq=int(pdu.text) + 100, ts=1, epoch=1)]


def each_acked(pdu: Pdu) -> list[Pdu]:
    assert isinstance(pdu, PostMany)
    posts = [codec.decode_body(Post, body, version=2) for body in pdu.posts]
    return [*(each for post in posts for each in acked(post)), Ok()]


def seqs(ears: Listener) -> list[int]:
    return [each.seq for each in ears.of(Message)]
