"""One's own keys when something ends or fails on the way: nothing that was published is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import pytest

from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.memory import Change
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.keys import PublishKeys
from tests.client.e2ee.keyhouse import (
    Client,
    KeyServer,
    fingerprint,
    identity,
    identity_at,
    marks,
    own,
    quiet,
)
from tests.server.house import play


class Mortal:
    """A client whose n-th step with server or disk is its last one: that is done (`after`) or not, and nothing more."""

    def __init__(self, client: Client, at: int, *, after: bool) -> None:
        self.client = client
        self.steps = 0
        self._at = at
        self._after = after
        self._dead = asyncio.Event()
        self._keep, self._ask = client.memory.keep, client.ask
        client.memory.keep = self.keep  # type: ignore[method-assign]
        client.ask = self.ask  # type: ignore[method-assign]

    async def live(self, life: Coroutine[Any, Any, Any]) -> bool:
        """Whether it died before all was done, the last writing included."""
        work = asyncio.get_running_loop().create_task(life)
        end = asyncio.get_running_loop().create_task(self._dead.wait())
        await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(1)
        died = self._dead.is_set()
        for task in (work, end):
            task.cancel()
        await asyncio.wait([work, end])
        self.client.crash()
        if self.client.directory is not None:
            await self.client.directory.close()
        if self.client.scribe is not None and self.client.scribe._work is not None:
            self.client.scribe._work.cancel()
        del self.client.memory.keep, self.client.ask
        assert died or work.exception() is None
        return died

    async def keep(self, change: Change) -> None:
        await self._step(self._keep(change))

    async def ask(self, pdu: Any, answer: type[Any]) -> Any:
        return await self._step(self._ask(pdu, answer))

    async def _step(self, call: Coroutine[Any, Any, Any]) -> Any:
        self.steps += 1
        if self.steps > self._at or (self.steps == self._at and not self._after):
            call.close()
            await self._end()
        found = await call
        if self.steps >= self._at:
            await self._end()
        return found

    async def _end(self) -> None:
        self._dead.set()
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_point_loses_no_key(after: bool) -> None:
    """[15.2-21]: whatever was the last thing done, the next start goes on, and no key that was published is lost."""

    async def scenario(at: int) -> bool:
        server = KeyServer()
        alice = Client(server, "alice")
        died = await Mortal(alice, at, after=after).live(alice.login())
        seen = server.of("alice")
        before = (identity_at(server), marks(server)) if seen.row[0] else None
        await alice.login()
        assert own(alice).listed
        assert identity_at(server) == identity(alice).certificate.fingerprint
        assert marks(server) == {fingerprint(alice)}
        assert before in (None, (identity_at(server), marks(server)))
        assert alice.kinds() == []
        await alice.stop()
        return died

    at = 1
    while play(partial(scenario, at)):
        at += 1
    assert at > 5


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_a_device_is_let_in(after: bool) -> None:
    """[15.2-21], [15.2-26]: it is let in or not, and either can be done again."""

    async def scenario(at: int) -> bool:
        server = KeyServer()
        alice, other = Client(server, "alice"), Client(server, "alice", "phone")
        directory = await alice.login()
        await other.login()
        await quiet()
        died = await Mortal(alice, at, after=after).live(directory.approve(fingerprint(other)))
        directory = await alice.login()
        await directory.approve(fingerprint(other))
        await quiet()
        assert own(other).listed
        assert marks(server) == {fingerprint(alice), fingerprint(other)}
        assert "rollback" not in alice.kinds()
        await alice.stop()
        await other.stop()
        return died

    at = 1
    while play(partial(scenario, at)):
        at += 1
    assert at > 3


def test_a_disk_that_is_full_publishes_nothing() -> None:
    """[15.2-21]: a key that could not be kept is told to nobody; it goes on once there is room."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.start()
        full = True
        keep = alice.memory.keep

        async def refused(change: Change) -> None:
            if full:
                raise Refused(Code.STORE_UNAVAILABLE)
            await keep(change)

        alice.memory.keep = refused  # type: ignore[method-assign]
        task = asyncio.get_running_loop().create_task(directory.begin("alice"))
        await asyncio.sleep(20)
        assert not any(isinstance(pdu, PublishKeys) for pdu in server.asked)
        full = False
        await task
        assert own(alice).listed
        assert alice.kept(Drawer.DEVICE) == own(alice).device.data
        await alice.stop()

    play(scenario)


def test_a_server_that_cannot_now_is_asked_again() -> None:
    """[15.2-20]: what is temporary is tried again after a while, what is not is said at once."""

    async def scenario() -> None:
        server = KeyServer()
        alice = Client(server, "alice")
        directory = await alice.start()
        left = [Refused(Code.RATE_LIMITED, retry_after=7_000), Refused(Code.STORE_UNAVAILABLE)]

        def before(pdu: Any) -> None:
            if left:
                raise left.pop(0)

        server.before = before
        start = asyncio.get_running_loop().time()
        await directory.begin("alice")
        assert 12 <= asyncio.get_running_loop().time() - start < 13
        assert own(alice).listed
        left.append(Refused(Code.UNSUPPORTED))
        with pytest.raises(Refused, match="UNSUPPORTED"):
            await directory.begin("alice")
        await alice.stop()

    play(scenario)
