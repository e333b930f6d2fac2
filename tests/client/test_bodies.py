"""Long texts: one message each, however many pieces they take."""

from __future__ import annotations

import asyncio
import hashlib

from quicchat.transport.memory import Network
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.messages import (
    PIECE,
    WHOLE,
    BodyPiece,
    GetBody,
    Message,
    Post,
    Posted,
    PutBody,
)
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu
from tests.client.counter import Counter, event, served
from tests.client.lives import Listener
from tests.server.house import play


def test_a_long_text_is_put_aside_first_and_comes_back_whole() -> None:
    """R0.3, issue item 10: pieces in order, then the message that names them; the reader gets one whole message."""

    async def scenario() -> None:
        counter = Counter(Network())
        text = "ä" * 100_000 + "end"
        data = text.encode()
        digest = hashlib.sha256(data).digest()
        pieces: list[bytes] = []

        def put(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, PutBody)
            assert pdu.offset == sum(map(len, pieces))
            pieces.append(pdu.data)
            return [Ok()]

        def get(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, GetBody)
            piece = data[pdu.offset : pdu.offset + PIECE]
            return [BodyPiece(digest=digest, size=len(data), offset=pdu.offset, data=piece)]

        def ack(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, Post)
            assert b"".join(pieces) == data
            assert pdu.attachments == ((digest, len(data), WHOLE),)
            assert text.startswith(pdu.text)
            assert len(pdu.text.encode()) <= 1024
            return [Posted(cid=pdu.cid, room="general", seq=1, ts=1, epoch=1)]

        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        counter.answers = {PutBody: put, GetBody: get, Post: ack}
        async with served(counter) as alice:
            ears = Listener(alice)
            await alice.post("general", text)
            await asyncio.sleep(1)
            assert [each.text for each in ears.of(Message)] == [text]
            attachments = ((digest, len(data), WHOLE), (bytes(32), 5, "image/png"))
            counter.tell(event(2, text[:500], attachments=attachments), event(3, "behind"))
            await asyncio.sleep(1)
            other, behind = ears.of(Message)[1:]
            assert (other.text, other.attachments) == (text, ((bytes(32), 5, "image/png"),))
            assert behind.text == "behind"
            held = await alice.memory.page("general")
            assert [each.whole for each in held] == [text, text, None]

    play(scenario)


def test_a_long_text_that_is_not_what_it_should_be_is_given_out_as_its_beginning() -> None:
    """[6.10-6], issue item 10: another digest: what is there is shown, and what follows is not held up."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        digest = bytes(32)

        def get(pdu: Pdu) -> list[Pdu]:
            return [BodyPiece(digest=digest, size=3, offset=0, data=b"bad")]

        counter.answers = {GetBody: get}
        async with served(counter) as alice:
            ears = Listener(alice)
            counter.tell(event(1, "beginning", attachments=((digest, 3, WHOLE),)), event(2, "behind"))
            await asyncio.sleep(1)
            assert [each.text for each in ears.of(Message)] == ["beginning", "behind"]
            assert ears.of(Message)[0].attachments == ((digest, 3, WHOLE),)

    play(scenario)
