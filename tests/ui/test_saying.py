"""`quicchat send` and `tail` in a simulated world: what is lost on the way, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.memory import PlainMemory
from quicchat.client.seal import Seal, opened
from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.transport.memory import MemoryLink
from quicchat.ui.contact import Contact
from quicchat.ui.errands import Errand, Job
from quicchat.ui.lines import Lines
from quicchat.ui.outcomes import Heard, Readable, Sent
from quicchat.ui.saying import Say
from quicchat.ui.tail import Tail
from quicchat.wire.chapters.messages import Kind, Message, Recipient
from quicchat.wire.names import GENERAL
from tests.server.house import World, play, texts, world
from tests.ui.items import message
from tests.ui.stage import ALICE, meeting


class Told:
    """Keeps what an errand tells."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.news = asyncio.Event()

    def tell(self, item: object) -> None:
        self.items.append(item)
        self.news.set()

    def close(self) -> None:
        """Nothing to do."""

    @property
    def texts(self) -> list[str]:
        heard = [each.message for each in self.items if isinstance(each, Heard)]
        return [each.text or "" for each in heard if each.kind is Kind.TEXT]

    async def until(self, text: str) -> None:
        async with asyncio.timeout(120):
            while text not in self.texts:
                self.news.clear()
                await self.news.wait()


class Runs:
    """Errands of alice, all on one device, at the server of the newest world."""

    def __init__(self, path: Path, worlds: list[World]) -> None:
        self.told = Told()
        self.config = ClientConfig(data=path)
        self._worlds = worlds
        self._memory = PlainMemory()
        self._is_new = True

    def errand(self, job: Job) -> Errand:
        contact = Contact(self.config, meet=meeting(self._worlds), remember=lambda user: self._memory)
        return Errand(self.config, job, contact, Lines(None), self.told)

    async def run(self, job: Job) -> int:
        identity = ALICE if self._is_new else type(ALICE)(user="alice", password="secret", iterations=1)
        self._is_new = False
        return await self.errand(job).run(identity)


def say(text: str, to: str = GENERAL) -> Say:
    return Say.of(to, text.split(" "), code=False, emote=False, reply=None)


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[Callable[[World, Runs], Coroutine[Any, Any, None]]], None]:
    def act(scenario: Callable[[World, Runs], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with world() as here:
                await scenario(here, Runs(tmp_path, [here]))

        play(inside)

    return act


def link_of(errand: Errand) -> MemoryLink:
    link = errand.desk.chat.link
    assert isinstance(link, MemoryLink)
    return link


Scene = Callable[[Callable[[World, Runs], Coroutine[Any, Any, None]]], None]


def test_what_is_told_of_a_text(runs: Scene) -> None:
    """[12.8-1], R1.14: where it is, and whether he to whom it goes is there."""

    async def scenario(here: World, runs: Runs) -> None:
        bob = await here.enter("bob")
        assert await runs.run(say("hello @bob", "@Bob")) == 0
        (sent,) = runs.told.items
        assert isinstance(sent, Sent)
        assert (sent.user, sent.posted.room, sent.posted.recipient) == ("bob", "@alice,bob", Recipient.ONLINE)
        assert await texts(bob, "@alice,bob") == ["hello @bob"]

    runs(scenario)


def test_a_text_that_was_not_stored_goes_out_once(runs: Scene) -> None:
    """[12.8-5], P2: said while the way is broken, it is kept; the same command again does not double it."""

    async def scenario(here: World, runs: Runs) -> None:
        job = Broken(say("only once"), here)
        with pytest.raises(UsageError, match="what was said is kept, and goes out with the next command") as caught:
            await runs.run(job)
        assert caught.value.exit_code == 3
        here.network.heal()
        assert await runs.run(say("only once")) == 0
        assert await runs.run(say("another")) == 0
        log = await (await here.enter("bob")).history(GENERAL)
        assert [each.text for each in log if each.kind is Kind.TEXT] == ["only once", "another"]

    runs(scenario)


class Broken:
    """A job that is cut off before it begins."""

    def __init__(self, job: Say, here: World) -> None:
        self._job, self._here = job, here
        self.quiet, self.takes_input, self.unpacks, self.folder = False, False, False, Path()

    def prepare(self) -> None:
        """Nothing is needed."""

    async def run(self, errand: Errand) -> None:
        self._here.network.partition()
        link_of(errand).close(1, "cut")
        await self._job.run(errand)

    def close(self) -> None:
        """It is over."""


def test_tail_over_a_broken_connection(runs: Scene) -> None:
    """[12.8-3], P4: what is said while the way is broken is printed after it, each once, in order; all ends at last."""

    async def scenario(here: World, runs: Runs) -> None:
        bob = await here.enter("bob")
        await bob.post(GENERAL, "before")
        errand = runs.errand(Tail.of(GENERAL, "2", follow=True))
        task = asyncio.get_running_loop().create_task(errand.run(ALICE))
        await runs.told.until("before")
        await bob.post(GENERAL, "one")
        await runs.told.until("one")
        here.network.partition(link_of(errand).address)
        link_of(errand).close(1, "cut")
        await bob.post(GENERAL, "two")
        await runs.told.until("two")
        await bob.post(GENERAL, "three")
        await runs.told.until("three")
        assert runs.told.texts == ["before", "one", "two", "three"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    runs(scenario)


def test_tail_of_what_is_sealed(runs: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.16-7], [12.16-8], [12.16-9]: keys of sessions do not count; words that are not known are not printed, and
    once, when they are.
    """

    async def scenario(here: World, runs: Runs) -> None:
        bob = await here.enter("bob")
        errand = runs.errand(Tail.of(GENERAL, "2", follow=True))
        log: list[Message] = []
        for seq in range(1, 30):
            kind = Kind.TEXT if seq in (3, 4) else Kind.KEY
            log.append(message(f"canary {seq}", GENERAL, seq=seq, epoch=0, kind=kind, cid=seq.to_bytes(16, "big")))

        async def history(self: object, room: str, *, anchor: int | None = None, **how: Any) -> list[Message]:
            page = [each for each in log if anchor is None or each.seq < anchor][-2:]
            return [opened(each, Seal.WAITING) for each in page]

        monkeypatch.setattr("quicchat.client.places.Places.history", history)
        task = asyncio.get_running_loop().create_task(errand.run(ALICE))
        await runs.told.until("")
        await bob.post(GENERAL, "and so on")
        await runs.told.until("and so on")
        texts = [each.message.text or "" for each in runs.told.items if isinstance(each, Heard)]
        assert texts[:2] == ["", ""]
        assert "canary" not in "".join(texts)
        assert errand._heard is not None
        for _ in range(2):
            known = [Heard(opened(each, Seal.PINNED), None) for each in log[2:6]]
            errand._heard.put_nowait(Readable(GENERAL, known))
        await bob.post(GENERAL, "the end")
        await runs.told.until("the end")
        told = [each.message.text for item in runs.told.items if isinstance(item, Readable) for each in item.events]
        assert told == ["canary 3", "canary 4"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    runs(scenario)


def test_tail_of_more_than_a_page(runs: Scene) -> None:
    """[12.8-3]: the last 450 of a log, over pages, in order; more than there is, is all there is."""

    async def scenario(here: World, runs: Runs) -> None:
        bob = await here.enter("bob")
        for number in range(460):
            await bob.post(GENERAL, str(number))
        assert await runs.run(Tail.of(GENERAL, "450", follow=False)) == 0
        # The last event is that alice joined.
        assert runs.told.texts == [str(number) for number in range(11, 460)]
        runs.told.items.clear()
        assert await runs.run(Tail.of("ALL", "1000", follow=False)) == 0
        assert runs.told.texts == [str(number) for number in range(460)]
        runs.told.items.clear()
        assert await runs.run(Tail.of("@bob", "3", follow=False)) == 0
        assert await runs.run(Tail.of(GENERAL, "0", follow=False)) == 0
        assert runs.told.items == []

    runs(scenario)
