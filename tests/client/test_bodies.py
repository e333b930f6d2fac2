"""Long texts: one message each, whose whole is a file."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.errors import Code
from quicchat.transport.memory import Network
from quicchat.wire import codec, leaves
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.messages import LONGEST, WHOLE, History, HistoryPage, Message, Post, Posted
from quicchat.wire.chapters.session import Error
from quicchat.wire.registry import Pdu
from tests.client.counter import Counter, event, served
from tests.client.depot import Depot
from tests.client.lives import Listener
from tests.server.house import play


def test_a_long_text_is_put_aside_first_and_comes_back_whole() -> None:
    """R0.3, issue 4, item 9: the whole first, then the message that names it; the reader gets one whole message."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.depot = here = Depot()
        text = "ä" * 300_000 + "end"
        data = text.encode()
        file, _ = leaves.of(data)

        def ack(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, Post)
            assert bytes(here.blobs[file].data) == data
            assert here.blobs[file].whole
            assert pdu.attachments == ((file, len(data), WHOLE, "", 0),)
            assert text.startswith(pdu.text)
            assert len(pdu.text.encode()) <= 1024
            return [Posted(cid=pdu.cid, room="general", seq=1, ts=1, epoch=1)]

        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        counter.answers = {Post: ack}
        # Too many at once is so for the moment only.
        here.errors = [Error(code=Code.LIMIT, retry_after=100)]
        async with served(counter) as alice:
            ears = Listener(alice)
            await alice.post("general", text)
            await asyncio.sleep(1)
            assert [each.text for each in ears.of(Message)] == [text]
            picture = (bytes(32), 5, "image/png", "p.png", 7)
            attachments = ((file, len(data), WHOLE, "", 0), picture)
            counter.tell(event(2, text[:500], attachments=attachments), event(3, "behind"))
            await asyncio.sleep(1)
            other, behind = ears.of(Message)[1:]
            assert (other.text, other.attachments) == (text, (picture,))
            assert behind.text == "behind"
            held = await alice.memory.page("general")
            assert [each.whole for each in held] == [text, text, None]
            # They are none of the transfers that a user sees.
            assert alice.files.transfers == []

    play(scenario)


@pytest.mark.parametrize("fault", ["none", "length", "damaged", "monster", "binary"])
def test_a_long_text_that_is_not_what_it_should_be_is_given_out_as_its_beginning(fault: str) -> None:
    """[6.10-6], issue 4, item 9: what is there is shown, and what follows is not held up."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        counter.depot = here = Depot()
        data = {"monster": bytes(LONGEST + 1), "binary": b"\xff" * 100}.get(fault, b"text" * 10_000)
        file = here.share(data) if fault != "none" else bytes(32)
        size = len(data) + (fault == "length")
        if fault == "damaged":
            here.damaged[file, 3] = 99
        async with served(counter) as alice:
            ears = Listener(alice)
            attachments = ((file, size, WHOLE, "", 0),)
            counter.tell(event(1, "beginning", attachments=attachments), event(2, "behind"))
            await asyncio.sleep(1)
            assert [each.text for each in ears.of(Message)] == ["beginning", "behind"]
            assert ears.of(Message)[0].attachments == attachments

    play(scenario)


def test_a_long_text_of_the_past_is_whole_too() -> None:
    """[6.12-1], [6.10-6]: a page from the server has whole texts, which are kept, and found by their ends."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.depot = here = Depot()
        text = "ä" * 30_000 + " end"
        file = here.share(text.encode())
        attachments = ((file, len(text.encode()), WHOLE, "", 0),)
        events = [event(9, text[:500], attachments=attachments), event(10)]
        bodies = tuple(codec.encode_body(each, version=2) for each in events)
        counter.answers = {History: lambda _: [HistoryPage(room="general", epoch=1, first=9, head=10, events=bodies)]}
        counter.rooms = [("general", 1, 10, 10, Verdict.OK)]
        async with served(counter) as alice:
            page = await alice.past("general", limit=2)
            assert [each.text for each in page] == [text, "10"]
            assert [each.seq for each in await alice.search_here("end")] == [9]
            assert list(await alice.past("general", limit=2)) == list(page)
            assert len(counter.of(History)) == 1

    play(scenario)
