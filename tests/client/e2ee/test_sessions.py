"""Sessions through faults: whatever fails or ends, no index says two things, and nothing is lost that can be had."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Collection

import pytest

from quicchat.client.events import Unsealed
from quicchat.client.memory import Change, PlainMemory
from quicchat.client.seal import Seal
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import Kind, Message, Post
from tests.client.e2ee.talks import DIRECT, ROOM, den, engine, inject, lasting, later, logged, seal_of, talking
from tests.client.e2ee.wire import Wire
from tests.server.house import play, world


class Shaky(PlainMemory):
    """Fails the n-th time that something is kept, before it is written or after; or from then on, like a dead disk."""

    def __init__(self, *, writes: bool = True, dies: bool = False) -> None:
        super().__init__(lasting=True)
        self.fails = 0
        self.count = 0
        self._writes = writes
        self._dies = dies

    @property
    def is_dead(self) -> bool:
        return self._dies and 0 < self.fails <= self.count

    async def keep(self, change: Change) -> None:
        self.count += 1
        now = self.count == self.fails
        if (now and not self._writes) or (self.is_dead and not now):
            raise Refused(Code.STORE_UNAVAILABLE)
        await super().keep(change)
        if now:
            raise Refused(Code.STORE_UNAVAILABLE)

    def found(self) -> PlainMemory:
        """The memory as the next run of the program finds it."""
        memory = PlainMemory(lasting=True)
        for name in vars(memory):
            setattr(memory, name, copy.copy(getattr(self, name)))
        return memory


@pytest.mark.parametrize("writes", [False, True])
def test_a_memory_that_fails_at_each_step(writes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.7-1], fault loop: whichever write fails, and whether it was written or not, no index is used twice, all of it
    arrives once, in order, and sealed.
    """

    async def scenario(fails: int) -> bool:
        memory, wire = Shaky(writes=writes), Wire(monkeypatch)
        async with world() as here, talking(here, "bob") as bob, talking(here, "alice", memory=memory) as alice:
            await den(alice, bob)
            memory.count, memory.fails = 0, fails
            said: list[str] = []
            for number in range(3):
                is_kept = False
                with contextlib.suppress(Refused):
                    await alice.chat.post(ROOM, f"{number}")
                    is_kept = True
                await asyncio.sleep(3)
                if is_kept or f"{number}" in bob.texts:
                    said.append(f"{number}")
            assert len(said) >= 2
            await bob.hears(*said)
            assert bob.texts == said
            assert {seal for *_, seal in bob.said} <= {Seal.PINNED}
            assert wire.check() == len(said)
            return memory.count >= fails

    fails = 1
    while play(lambda: scenario(fails)):  # noqa: B023 - done before the next
        fails += 1
    assert fails > 6


@pytest.mark.parametrize("writes", [False, True])
def test_a_crash_at_each_step(writes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.7-1], [15.6-23]: a device dies with any of its writes, and its connection with it; the next run uses no index
    twice, and says once whatever was durable.
    """

    async def scenario(fails: int) -> bool:
        memory, wire = Shaky(writes=writes, dies=True), Wire(monkeypatch)
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice", memory=memory) as alice:
                await den(alice, bob)
                await alice.chat._session.scribe.written()
                memory.count, memory.fails = 0, fails
                for number in range(4):
                    with contextlib.suppress(Refused):
                        await alice.chat.queue(Post(room=ROOM, cid=bytes([number] * 16), text=f"{number}"))
                    await asyncio.sleep(0.007)
                    if memory.is_dead:
                        break
                while not memory.is_dead and bob.texts != ["0", "1", "2", "3"]:  # noqa: ASYNC110 - in virtual time
                    await asyncio.sleep(0.001)
                alice.chat.link.close(0x100, "dead")
            found = memory.found()
            durable = [each.post.text for each in (await found.load()).entries]
            async with talking(here, "alice", memory=found, sign_up=False) as alice:
                await alice.chat.post(ROOM, "last")
                await bob.hears(*durable, "last")
            assert bob.texts == [*durable, "last"]
            assert {seal for *_, seal in bob.said} == {Seal.PINNED}
            assert wire.check() == len(bob.texts)
            return memory.is_dead

    fails = 1
    while play(lambda: scenario(fails)):  # noqa: B023 - done before the next
        fails += 1
    assert fails > 6


def test_a_key_that_comes_late_opens_what_waited() -> None:
    """[15.6-36]: messages whose key is missing wait; when it comes they are opened, kept so, and told again."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", "one")
            await bob.hears("one")
            await alice.chat.keys.rotate(DIRECT)
            # The server keeps the key back, and what is said with it comes first.
            deliver = bob.chat._session.delivery._provider.open
            kept: list[Message] = []

            def hiding(event: Message, *, final: bool = False) -> Message | None:
                if event.kind is Kind.KEY and not kept:
                    kept.append(event)
                    return event
                return deliver(event, final=final)

            engine(bob).open = hiding  # type: ignore[method-assign]
            await alice.chat.tell("bob", "two", mentions=["bob"])
            await bob.ears.until(lambda: len(bob.messages) == 2)
            assert bob.said[1] == ("alice", "", Seal.WAITING)
            (key,) = kept
            inject(bob, later(key, (await logged(here, DIRECT, "bob"))[-1]))
            await bob.ears.until(lambda: bool(bob.ears.of(Unsealed)))
            (news,) = bob.ears.of(Unsealed)
            assert (news.room, news.seqs) == (DIRECT, (bob.messages[1].seq,))
            found = {each.seq: each for each in await bob.chat.past(DIRECT)}[news.seqs[0]]
            assert (found.text, seal_of(found)) == ("two", Seal.PINNED)
            assert [each.text for each in await bob.chat.search_here("two")] == ["two"]

    play(scenario)


def test_a_key_that_never_comes() -> None:
    """[15.6-37]: once the device speaks with a newer session, what waited for the one before is lost, and told so."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.tell("bob", "one")
            await bob.hears("one")
            await alice.chat.keys.rotate(DIRECT)
            deliver = engine(bob).open
            dropped: list[Message] = []

            def losing(event: Message, *, final: bool = False) -> Message | None:
                if event.kind is Kind.KEY and (not dropped or event.cid == dropped[0].cid):
                    dropped.append(event)
                    return event
                return deliver(event, final=final)

            engine(bob).open = losing  # type: ignore[method-assign]
            await alice.chat.tell("bob", "two")
            await alice.chat.keys.rotate(DIRECT)
            await alice.chat.tell("bob", "three")
            await bob.hears("three")
            (news,) = bob.ears.of(Unsealed)
            told = [(each.text, seal_of(each)) for each in await bob.chat.past(DIRECT) if each.kind is Kind.TEXT]
            assert told == [("one", Seal.PINNED), ("", Seal.LOST), ("three", Seal.PINNED)]
            assert news.seqs == (bob.messages[1].seq,)

    play(scenario)


def test_messages_come_in_whatever_order() -> None:
    """[15.7-1]: of a session any message opens, whichever came before it; pages are read backwards from the end."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob", memory=memory) as bob:
                await den(alice, bob)
            for number in range(30):
                await alice.chat.post(ROOM, f"{number}")
            log = [each for each in await logged(here, ROOM, "alice") if each.kind is Kind.TEXT]
            async with talking(here, "bob", memory=memory, sign_up=False) as bob:
                await bob.hears("29")
                for event in reversed(log):
                    found = engine(bob).open(event, final=True)
                    assert found is not None
                    assert found.text == f"{log.index(event)}"

    play(scenario)


def test_keys_that_a_server_does_not_tell_at_once() -> None:
    """[15.6-22]: where lists cannot be had for the moment, what came waits for them, in order."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "alice") as alice:
            async with talking(here, "bob", memory=memory):
                pass
            await alice.chat.tell("bob", "one")
            await alice.chat.tell("bob", "two")
            async with talking(here, "bob", memory=memory, sign_up=False) as bob:
                directory = engine(bob).core.directory
                fresh, refusals = directory.fresh, [Code.OVERLOADED, Code.RATE_LIMITED]

                async def reluctant(users: Collection[str], *, again: bool = False) -> None:
                    if refusals and "alice" in users:
                        raise Refused(refusals.pop(), retry_after=100)
                    await fresh(users, again=again)

                directory.fresh = reluctant  # type: ignore[method-assign]
                await bob.hears("one", "two")
                assert bob.said == [("alice", text, Seal.PINNED) for text in ("one", "two")]
                assert not refusals

    play(scenario)
