"""The way of one message: what a client can tell of it afterwards."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.api import Chat
from quicchat.client.events import Progress, Sent
from quicchat.client.memory import PlainMemory
from quicchat.client.traces import MOST, STEPS, Step, Trace, Traces
from quicchat.errors import Code
from quicchat.wire.chapters.messages import Kind, Message
from tests.client.lives import Listener, alive, living
from tests.server.house import play, refusal, texts, world


def told(trace: Trace) -> list[str]:
    return [each.what for each in trace.steps]


def step(trace: Trace, what: str) -> Step:
    return next(each for each in trace.steps if each.what == what)


async def seen(chat: Chat) -> None:
    """Everything that waits is shown and read."""
    await texts(chat)
    chat.mark_read("general")
    await asyncio.sleep(1)


def test_the_way_of_ones_own_message() -> None:
    """[12.18-3]: typed, queued, sent on which stream, stored, delivered and read, by whom, and when."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await texts(alice)
            posted = await alice.post("general", "one")
            await seen(bob)
            trace = await alice.tracing.of("general", posted.seq)
            assert told(trace) == ["typed", "queued", "sent", "stored", "acknowledged", "delivered", "read"]
            assert (trace.own, trace.sent, trace.sender, trace.cid) == (True, 1, "alice", posted.cid)
            assert step(trace, "stored") == Step("stored", posted.ts, "server")
            assert step(trace, "sent").connection == 1
            assert {step(trace, what).by for what in ("delivered", "read")} == {"bob"}
            assert all(each.at for each in trace.steps)
            # The room has a stream of its own by then.
            await alice.post("general", "two")
            later = await alice.post("general", "three")
            sent = step(await alice.tracing.of("general", later.seq), "sent")
            assert sent.stream is not None
            assert sent.stream > 0

    play(scenario)


def test_the_way_of_somebody_elses_message() -> None:
    """[12.18-3]: when he said it, when it was stored, came here, on which stream, and was shown."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            posts = [await alice.post("general", str(each)) for each in range(4)]
            await texts(bob)
            first, last = [await bob.tracing.of("general", posts[at].seq) for at in (0, -1)]
            assert told(first) == ["said", "stored", "received", "shown"]
            assert (first.own, first.sender, step(first, "said").whose) == (False, "alice", "sender")
            assert step(first, "received").stream is None
            assert (step(last, "received").stream or 0) > 0
            assert step(last, "received").connection == 1

    play(scenario)


def test_what_was_sent_again_says_how_often() -> None:
    """[12.18-3]: a lost connection shows, and each time that it was sent; a message that waits is traced, too."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice:
            ears = Listener(alice)
            await alice.post("general", "before")
            here.network.partition()
            said = asyncio.ensure_future(alice.post("general", "lost at first"))
            await ears.until(lambda: any(each.state is Sent.QUEUED for each in ears.of(Progress)[4:]))
            waiting = alice.tracing.waiting("general")
            assert waiting is not None
            assert told(waiting) == ["typed", "queued", "sent", "lost"]
            assert (waiting.seq, waiting.sent) == (None, 1)
            here.network.heal()
            posted = await said
            assert alice.tracing.waiting("general") is None
            trace = await alice.tracing.of("general", posted.seq)
            assert told(trace)[:5] == ["typed", "queued", "sent", "lost", "sent"]
            first, second = [each.connection for each in trace.steps if each.what == "sent"]
            assert first == 1 < second
            assert trace.sent == 2

    play(scenario)


def test_what_an_earlier_run_sent() -> None:
    """[12.18-3]: of what this run did not see there is what the log and the receipts say."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            bob = await here.enter("bob")
            alice = await alive(here, "alice", memory=memory)
            posted = await alice.post("general", "one")
            await texts(alice)
            await seen(bob)
            await alice.close()
            again = await alive(here, "alice", sign_up=False, memory=memory)
            await texts(again)
            trace = await again.tracing.of("general", posted.seq)
            assert trace.own
            assert told(trace) == ["typed", "stored", "kept", "read"]
            assert (step(trace, "read").by, step(trace, "stored").at) == ("bob", posted.ts)
            assert await refusal(again.tracing.of("general", 999)) is Code.NO_SUCH_MESSAGE
            await again.close()

    play(scenario)


def message(seq: int, room: str = "r1") -> Message:
    return Message(room=room, epoch=1, seq=seq, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=5, text="x")


def test_the_memory_is_bounded() -> None:
    """[12.18-3]: the last 1,000 messages are remembered, and so many steps of each; a replaced log is forgotten."""
    traces = Traces(lambda: 1.0)
    for seq in range(1, MOST + 11):
        traces.came(message(seq), 1, None)
    assert traces.at("r1", 10) == []
    assert traces.at("r1", 11) == [Step("received", 1000, connection=1)]
    assert len(traces._tracks) == MOST
    for _ in range(2 * STEPS):
        traces.reached(Progress(b"c" * 16, "r1", 7, Sent.READ, by="bob", at=3))
    assert len(traces.own(b"c" * 16)) == STEPS
    traces.came(message(1, "r2"), 1, None)
    traces.forget("r1")
    assert traces.at("r1", 11) == []
    assert traces.at("r2", 1)


@pytest.mark.parametrize("pushed", [True, False])
def test_what_was_fetched_was_not_received(pushed: bool) -> None:
    """[12.18-3]: what came by a gap or a backlog says so."""
    traces = Traces(lambda: 1.0)
    if pushed:
        traces.came(message(1), 3, 8)
    traces.given(message(1))
    traces.shown(message(1))
    first = Step("received", 1000, connection=3, stream=8) if pushed else Step("fetched", 1000)
    assert traces.at("r1", 1) == [first, Step("shown", 1000)]
