"""What comes at a bad moment: refusals in the middle of a long text, reading while away, two programs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from quicchat.client.events import Line, Progress, Sent
from quicchat.client.memory_sqlite import open_memory
from quicchat.client.reserve import is_held
from quicchat.errors import Code, LocalProtocolError, UsageError
from quicchat.transport.link import Link
from quicchat.transport.memory import Network
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.messages import (
    WHOLE,
    History,
    HistoryPage,
    Message,
    Post,
    Posted,
)
from quicchat.wire.chapters.session import Error
from quicchat.wire.names import User, direct
from quicchat.wire.registry import Pdu
from tests.client.counter import Counter, event, served
from tests.client.depot import Depot, reached
from tests.client.lives import Listener, living
from tests.server.house import play, world


def test_what_was_read_while_away_is_told_on_the_next_connection() -> None:
    """[6.4-1], R0.5: a place read without a connection is not forgotten."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice, living(here, "bob") as bob:
            told, ears = Listener(alice), Listener(bob)
            posted = await alice.tell("bob", "are you there?")
            await ears.until(lambda: any(each.text == "are you there?" for each in ears.of(Message)))
            here.network.partition(bob.link.address)  # type: ignore[attr-defined]
            await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
            bob.mark_read(direct(User("alice"), User("bob")), posted.seq)
            await asyncio.sleep(5)
            here.network.heal()
            await ears.until(lambda: ears.of(Line)[-1].state == "online")
            await asyncio.sleep(5)
            assert [each.state for each in told.of(Progress) if each.cid == posted.cid][-1] is Sent.READ

    play(scenario)


def test_what_was_read_as_the_connection_died_is_told_again() -> None:
    """[6.4-1]: nothing answers a RECEIPT; one that was lost with its connection is told on the next."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice, living(here, "bob") as bob:
            told, ears = Listener(alice), Listener(bob)
            posted = await alice.tell("bob", "are you there?")
            await ears.until(lambda: any(each.text == "are you there?" for each in ears.of(Message)))
            here.network.partition(bob.link.address)  # type: ignore[attr-defined]
            bob.mark_read(direct(User("alice"), User("bob")), posted.seq)
            await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
            here.network.heal()
            await ears.until(lambda: ears.of(Line)[-1].state == "online")
            await asyncio.sleep(5)
            assert [each.state for each in told.of(Progress) if each.cid == posted.cid][-1] is Sent.READ

    play(scenario)


def test_what_was_delivered_as_the_connection_died_is_told_again() -> None:
    """[6.4-8], R0.5: a message that is held is shown as delivered, whatever became of the RECEIPT."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice, living(here, "bob") as bob:
            told, ears = Listener(alice), Listener(bob)
            posted = await alice.tell("bob", "are you there?")
            await ears.until(lambda: any(each.text == "are you there?" for each in ears.of(Message)))
            here.network.partition(bob.link.address)  # type: ignore[attr-defined]
            await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
            here.network.heal()
            await ears.until(lambda: ears.of(Line)[-1].state == "online")
            await asyncio.sleep(5)
            assert [each.state for each in told.of(Progress) if each.cid == posted.cid][-1] is Sent.DELIVERED

    play(scenario)


def test_a_memory_is_used_by_one_program_at_a_time(tmp_path: Path) -> None:
    """[6.1-11], issue item 6: two would spend each other's token and outbox; the second is told."""

    async def scenario() -> None:
        memory = open_memory(tmp_path, "a:1", "alice")
        with pytest.raises(UsageError, match=r"another quicchat is logged in as this user.* is in use"):
            open_memory(tmp_path, "a:1", "alice")
        assert [is_held(tmp_path, *each) for each in (("a:1", "alice"), ("a:1", "bob"))] == [True, False]
        others = [open_memory(tmp_path, "a:1", "bob"), open_memory(tmp_path, "a:2", "alice")]
        for each in (memory, *others):
            await each.close()
        assert not is_held(tmp_path, "a:1", "alice")
        again = open_memory(tmp_path, "a:1", "alice")
        await again.close()

    asyncio.run(scenario())


def post(number: int, text: str) -> Post:
    return Post(room="general", cid=number.to_bytes(16, "big"), text=text)


LONG = "long " * 20_000


def test_a_whole_that_is_refused_for_the_moment_is_asked_for_again() -> None:
    """[6.10-6], R0.3: a busy server does not cut a text short for ever."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.depot = here = Depot()
        file = here.share(LONG.encode(), chunk=262_144)
        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        here.errors = [Error(code=Code.RATE_LIMITED, retry_after=3000), Error(code=Code.STORE_UNAVAILABLE)]
        async with served(counter) as alice:
            ears = Listener(alice)
            attachments = ((file, len(LONG), WHOLE, "", 0),)
            counter.tell(event(1, "long ", attachments=attachments), event(2, "behind"))
            await asyncio.sleep(2)
            assert ears.of(Message) == []
            await asyncio.sleep(60)
            assert [each.text for each in ears.of(Message)] == [LONG, "behind"]

    play(scenario)


def test_a_message_withdrawn_while_its_text_is_put_aside_is_not_sent() -> None:
    """[6.1-11]: who was told that it was given up must not find it in the room."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.depot = here = Depot()
        async with served(counter) as alice:
            await alice.queue(post(1, LONG))
            await reached(lambda: bool(here.offers))
            assert [alice.withdraw(each.cid) for each in alice.outbox] == [True]
            await asyncio.sleep(5)
            assert here.stored
            assert counter.of(Post) == []
            assert [each.state for each in alice.outbox] == [Sent.FAILED]

    play(scenario)


def test_a_long_text_does_not_overtake_what_was_refused_meanwhile() -> None:
    """[6.1-12], protocol §7.2: the order of one's words holds whatever is refused while a text is put aside."""

    async def scenario() -> None:
        counter = Counter(Network(latency=0.05))
        counter.depot = Depot()
        refusals: Iterator[Error] = iter([Error(code=Code.RATE_LIMITED, retry_after=2000)])
        stored: list[str] = []

        def ack(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, Post)
            if refusal := next(refusals, None):
                return [refusal]
            stored.append(pdu.text[:5])
            return [Posted(cid=pdu.cid, room="general", seq=len(stored), ts=1, epoch=1)]

        counter.answers = {Post: ack}
        async with served(counter) as alice:
            await alice.queue(post(1, "first"))
            await alice.queue(post(2, LONG))
            await asyncio.sleep(30)
            assert stored == ["first", "long "]

    play(scenario)


@pytest.mark.parametrize("failure", [LocalProtocolError(Code.STATE), OSError(24, "Too many open files")])
def test_an_attempt_that_breaks_in_any_way_is_not_the_last_one(failure: Exception) -> None:
    """S14, issue item 7: a connection that closes while we speak, and no socket to be had: tried again."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice:
            ears = Listener(alice)
            life = alice._life
            assert life is not None
            dial, failures = life._dial, [failure]

            async def broken(early: bool) -> Link:
                if failures:
                    raise failures.pop()
                return await dial(early)

            life._dial = broken
            here.network.partition()
            await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
            here.network.heal()
            await ears.until(lambda: ears.of(Line)[-1].state == "online")
            assert failures == []

    play(scenario)


def test_a_page_that_cannot_be_read_ends_the_connection() -> None:
    """S14: an event that is none is not silently missed: the gap would never be closed."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 3, 0, Verdict.OK)]
        page = HistoryPage(room="general", epoch=1, first=1, head=3, events=(b"\xa0", b"\xa0", b"\xa0"))
        counter.answers = {History: lambda _: [page]}
        async with served(counter) as alice:
            ears = Listener(alice)
            await ears.until(lambda: any(each.state == "offline" for each in ears.of(Line)))
            assert alice.lost is not None
            assert alice.lost.code == Code.SCHEMA

    play(scenario)
