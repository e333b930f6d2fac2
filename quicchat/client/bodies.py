"""Long texts: put aside piece by piece before the message that names them, and fetched again. (spec 06-messages)"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import Final

from quicchat.client.requests import Requests, answered
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import (
    LONGEST,
    PIECE,
    WHOLE,
    Attachments,
    BodyPiece,
    GetBody,
    Message,
    Post,
    PutBody,
)
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu

#: Bytes of the beginning that stands in the message itself.
BEGINNING: Final = 1024
#: Pieces under way at the same time.
WINDOW: Final = 4


def attached(data: bytes) -> tuple[str, Attachments]:
    """The beginning of a long text, cut at a character, and the attachment that names the whole of it.

    Raises Refused(MSG_TOO_LARGE).
    """
    if len(data) > LONGEST:
        raise Refused(Code.MSG_TOO_LARGE, f"A message has at most {LONGEST} bytes.")
    beginning = data[:BEGINNING].decode(errors="ignore")
    return beginning, ((hashlib.sha256(data).digest(), len(data), WHOLE),)


def whole_of(event: Message | Post) -> tuple[bytes, int] | None:
    """Digest and size of the whole text, where an event has only the beginning of it."""
    for digest, size, kind in event.attachments or ():
        if kind == WHOLE:
            return digest, size
    return None


async def put(requests: Requests, data: bytes) -> None:
    """Put a body aside. Raises as `Requests.ask`."""
    digest = hashlib.sha256(data).digest()
    sid = requests.open_query()
    waiting: deque[tuple[Pdu, asyncio.Future[Pdu]]] = deque()
    try:
        for offset in range(0, len(data), PIECE):
            if len(waiting) == WINDOW:
                asked, future = waiting.popleft()
                answered(asked, await future, Ok)
            piece = PutBody(digest=digest, size=len(data), offset=offset, data=data[offset : offset + PIECE])
            waiting.append((piece, requests.begin(piece, sid=sid)))
        requests.driver.finish(sid)
        while waiting:
            asked, future = waiting.popleft()
            answered(asked, await future, Ok)
    finally:
        requests.driver.finish(sid)
        for _, future in waiting:
            future.cancel()


async def get(requests: Requests, event: Message) -> str:
    """The whole text of an event, checked against its digest. Raises as `Requests.ask`, and Refused(DIGEST)."""
    found = whole_of(event)
    assert found is not None
    digest, size = found
    sid = requests.open_query()
    data = bytearray()
    try:
        while len(data) < size:
            ask = GetBody(room=event.room, seq=event.seq, digest=digest, offset=len(data))
            piece = await requests.ask(ask, BodyPiece, sid=sid)
            if piece.offset != len(data) or not piece.data or len(data) + len(piece.data) > size:
                raise Refused(Code.DIGEST, "The server sent another piece than it was asked for.")
            data += piece.data
    finally:
        requests.driver.finish(sid)
    if hashlib.sha256(data).digest() != digest:
        raise Refused(Code.DIGEST)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(Code.DIGEST, "The whole of the message is no text.") from None
