"""What cases about messages say to each other, in few words."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, HistoryPage, Kind, Message, Post, Posted, Window
from tests.conformance.peer import Peer


def post(text: str = "hello", *, cid: bytes | None = None, **to: Any) -> Post:
    """A message with a cid of its own."""
    return Post(cid=cid or os.urandom(16), text=text, **to)


async def said(peer: Peer, pdu: Post) -> Posted:
    """Say something that is acknowledged."""
    answer = await peer.ask(pdu)
    assert isinstance(answer, Posted), answer
    assert answer.cid == pdu.cid
    return answer


def texts(peer: Peer) -> list[Message]:
    """The texts that somebody heard and did not take."""
    return [message for message in peer.all(Message) if message.kind is Kind.TEXT]


async def text(peer: Peer) -> Message:
    """The next text."""
    return await peer.hear(Message, lambda message: message.kind is Kind.TEXT)


async def page(
    peer: Peer,
    room: str,
    window: Window,
    anchor: int | None = None,
    limit: int | None = None,
    until: int | None = None,
) -> list[int]:
    """The places in a page."""
    answer = await peer.ask(History(room=room, window=window, anchor=anchor, limit=limit, until=until))
    assert isinstance(answer, HistoryPage), answer
    return [codec.decode_body(Message, body, version=2).seq for body in answer.events]


class SlowLog:
    """A log whose transactions wait until `go` is set."""

    def __init__(self, log: Any) -> None:
        self.go = asyncio.Event()
        self.waiting = 0
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, *args: Any, **facts: Any) -> Any:
        self.waiting += 1
        await self.go.wait()
        return await self._log.append(*args, **facts)
