"""Pages that are none: nothing of them is shown or kept."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.memory import PlainMemory
from quicchat.errors import Code, LinkLost
from quicchat.transport.memory import Network
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.messages import History, HistoryPage, Message
from quicchat.wire.registry import Pdu
from tests.client.counter import Counter, event, served
from tests.client.lives import Listener
from tests.client.logs import GENERAL
from tests.server.house import play


def pages(*wrong: Message, epoch: int = 1, head: int = 10) -> HistoryPage:
    bodies = tuple(codec.encode_body(each, version=2) for each in wrong)
    return HistoryPage(room=GENERAL, epoch=epoch, first=1, head=head, events=bodies)


FAR = 2**53
HOSTILE = {
    "out of order": pages(event(9), event(8), event(10)),
    "with a hole": pages(event(7), event(10)),
    "twice": pages(event(9), event(10), event(10)),
    "another room's": pages(event(9, room="other"), event(10, room="other")),
    "of another epoch": pages(event(9), event(10, epoch=2)),
    "beyond the head": pages(event(9), event(10), event(11)),
    "far away": pages(event(FAR), head=FAR),
    "not those asked for": pages(event(4), event(5)),
    "place 0": pages(event(0), event(1)),
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_page_that_is_none_spoils_nothing(page: HistoryPage) -> None:
    """P8, [6.12-2]: an answer that is no part of the log ends the connection, and nothing of it is kept or shown."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [(GENERAL, 1, 10, 10, Verdict.OK)]

        def answer(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, History)
            return [page]

        counter.answers = {History: answer}
        memory = PlainMemory()
        async with served(counter, memory=memory) as alice:
            ears = Listener(alice)
            counter.tell(event(11, "eleven"))
            await ears.until(lambda: bool(ears.of(Message)))
            with pytest.raises(LinkLost):
                await alice.past(GENERAL, 11)
            await alice._session.scribe.written()
            assert [each.event.seq for each in await memory.page(GENERAL)] == [11]
            assert await memory.page("other") == []
            assert [each.seq for each in await alice.past(GENERAL)] == [11]

    play(scenario)


@pytest.mark.parametrize("page", [HOSTILE["another room's"], HOSTILE["of another epoch"]], ids=["room", "epoch"])
def test_a_gap_is_not_filled_with_what_is_not_of_the_log(page: HistoryPage) -> None:
    """P4, P8: where a page that was to fill a gap is none, the connection ends, and nothing was held of it."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [(GENERAL, 1, 10, 8, Verdict.OK)]
        counter.answers = {History: lambda _: [page]}
        memory = PlainMemory()
        async with served(counter, memory=memory) as alice:
            ears = Listener(alice)
            await asyncio.sleep(20)
            assert ears.of(Message) == []
            assert alice.lost is not None
            assert alice.lost.code == Code.SCHEMA
            await alice._session.scribe.written()
            assert "other" not in (await memory.load()).cursors
            assert await memory.page("other") == []

    play(scenario)


def test_a_later_epoch_in_a_page_begins_the_room_anew() -> None:
    """[6.3-5]: what is kept of a log that was replaced is neither shown nor joined to the new one."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [(GENERAL, 1, 10, 10, Verdict.OK)]
        fresh = [event(seq, "new", epoch=2) for seq in (1, 2)]
        counter.answers = {History: lambda _: [pages(*fresh, epoch=2, head=2)]}
        memory = PlainMemory()
        async with served(counter, memory=memory) as alice:
            ears = Listener(alice)
            counter.tell(event(11, "eleven"))
            await ears.until(lambda: bool(ears.of(Message)))
            assert await alice.past(GENERAL, 11) == []
            await ears.until(lambda: len(ears.of(Message)) == 3)
            assert await alice.past(GENERAL) == fresh
            assert [each.event for each in await memory.page(GENERAL)] == fresh

    play(scenario)


def test_an_event_from_the_end_of_all_places_breaks_nothing() -> None:
    """P8, [6.12-1]: a place that no log reaches is a gap that nobody closes: what is kept begins anew behind it."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [(GENERAL, 1, 10, 10, Verdict.OK)]
        counter.answers = {History: lambda _: [pages(head=11)]}
        memory = PlainMemory()
        async with served(counter, memory=memory) as alice:
            ears = Listener(alice)
            counter.tell(event(11, "eleven"))
            await ears.until(lambda: bool(ears.of(Message)))
            counter.tell(event(FAR, "far away"))
            await ears.until(lambda: len(ears.of(Message)) == 2)
            assert [each.seq for each in await alice.past(GENERAL)] == [FAR]
            counter.tell(event(1, "new", epoch=2))
            await ears.until(lambda: len(ears.of(Message)) == 3)
            assert [each.text for each in await alice.past(GENERAL)] == ["new"]
            assert len(await memory.page(GENERAL)) == 1

    play(scenario)
