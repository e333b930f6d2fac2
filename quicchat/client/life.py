"""Staying on line: another connection when one is lost, as long as there is hope. (spec 03-session)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from quicchat.client.backoff import GOOD, Backoff, is_worth_trying
from quicchat.client.entry import enter
from quicchat.client.events import Line
from quicchat.client.login import Identity
from quicchat.client.requests import Requests
from quicchat.client.session import Session
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, QuicchatError, Refused, UsageError, describe
from quicchat.transport.link import Link

#: Makes a link to the server; with True its first bytes need not wait for the handshake.
Dial = Callable[[bool], Awaitable[Link]]

#: Seconds for link, negotiation and login of one attempt.
ATTEMPT: Final = 30.0


class Life:
    """Keeps a session on line from its first login on, by `run`; `hopeless` is why it gave up, once it has.

    Link and negotiation of each attempt may take `timeout` seconds.
    """

    def __init__(self, session: Session, dial: Dial, identity: Identity, timeout: float) -> None:
        self._session = session
        self._dial = dial
        self._identity = replace(identity, sign_up=False, prove=False)
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(session.surroundings.chance)
        self._hurry = asyncio.Event()
        self._tried: asyncio.Future[bool] = self._loop.create_future()
        self._online_since = self._loop.time()
        self.hopeless: QuicchatError | None = None
        #: Whether there is a connection, and we are logged in on it.
        self.online = True

    def lost(self, lost: LinkLost) -> None:
        """A connection ended: `run` sees to it."""

    async def hurry(self) -> None:
        """The network changed: what failed before may succeed now. Waits for the attempt. Raises LinkLost."""
        # One may be under way that began before the change.
        for _ in range(2):
            if self.hopeless is not None:
                break
            self._tried = self._loop.create_future()
            self._hurry.set()
            if await self._tried:
                return
        raise self._session.requests.lost or LinkLost(Code.NO_ERROR)

    async def run(self) -> None:
        """Reconnect for ever, until cancelled, or until there is no hope any more."""
        failure: QuicchatError = await self._ended()
        least = self._asked_to_wait()
        while is_worth_trying(failure) and least is not None:
            await self._wait(least, failure)
            self._tell(Line("connecting"))
            try:
                early = await self.connect()
            except (LinkLost, Refused, UsageError, LocalProtocolError, OSError) as error:
                failure = _failure(error)
                least = (failure.retry_after or 0) / 1000 if isinstance(failure, Refused) else 0.0
                self._settle(False)
                continue
            self.online = True
            self._settle(True)
            self._online_since = self._loop.time()
            self._tell(Line("online", early=early))
            failure = await self._ended()
            least = self._asked_to_wait()
        self.hopeless = failure
        self._settle(False)
        self._tell(Line("offline", reason=_reason(failure)))
        self._session.over(failure if isinstance(failure, LinkLost) else LinkLost(Code.NO_ERROR, _reason(failure)))

    async def connect(self, identity: Identity | None = None) -> bool:
        """One attempt; whether the token went with the first flight and was taken. Raises as `entry.enter`."""
        again = identity is None
        identity = identity or self._identity
        early = self._session.scribe.token is not None and not (identity.sign_up or identity.prove)
        async with asyncio.timeout(ATTEMPT):
            if early:
                try:
                    async with asyncio.timeout(self._timeout):
                        return await self._enter(identity, early=True)
                except (LinkLost, TimeoutError) as failure:
                    # Early data may be refused in many ways: once more without, which tells what is really wrong.
                    if again and isinstance(failure, LinkLost) and _wants_peace(failure):
                        raise
                except Refused as refusal:
                    if refusal.code is not Code.REPLAY:
                        raise
            await self._enter(identity, early=False)
            return False

    async def _enter(self, identity: Identity, *, early: bool) -> bool:
        requests = await self._reach(early)
        try:
            return await enter(self._session, identity, early=early)
        except BaseException:
            requests.driver.close(Code.NO_ERROR, "")
            raise

    async def _reach(self, early: bool) -> Requests:
        """A new connection; its version is agreed, unless what is `early` goes before that. Raises LinkLost."""
        requests = None
        try:
            async with asyncio.timeout(self._timeout):
                requests = self._session.attach(await self._dial(early))
                if not early:
                    await requests.negotiated
        except TimeoutError:
            if requests is not None:
                requests.driver.close(Code.NO_ERROR, "")
            raise LinkLost(Code.NEGOTIATION_TIMEOUT, f"no answer within {self._timeout:g} s", remote=False) from None
        return requests

    async def _ended(self) -> LinkLost:
        """Wait for the end of the connection, and say why it came."""
        requests = self._session.requests
        await asyncio.shield(requests.ended)
        self.online = False
        if self._loop.time() - self._online_since >= GOOD:
            self._backoff.begin()
        assert requests.lost is not None
        return requests.lost

    def _asked_to_wait(self) -> float | None:
        """Seconds that the server wants to be left alone; None where it said that coming back is useless."""
        goaway = self._session.goaway
        if goaway is None:
            return 0.0
        return None if goaway.reconnect is False else (goaway.after or 0) / 1000

    async def _wait(self, least: float, failure: QuicchatError) -> None:
        wait = self._backoff.next(least)
        self._tell(Line("waiting", retry_in=wait, reason=_reason(failure)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._hurry.wait()
        self._hurry.clear()

    def _settle(self, is_online: bool) -> None:
        if not self._tried.done():
            self._tried.set_result(is_online)

    def _tell(self, line: Line) -> None:
        self._session.inbox.put(line)


def _wants_peace(lost: LinkLost) -> bool:
    """Whether the server itself says that it is better asked later (3.5-7)."""
    try:
        return lost.application and lost.remote and lost.code != Code.REPLAY and MEANINGS[Code(lost.code)].temporary
    except ValueError:
        return False


def _failure(error: QuicchatError | OSError) -> QuicchatError:
    """What an attempt ended with; a connection may be closing while we still speak, or no socket to be had."""
    match error:
        case TimeoutError():
            return LinkLost(Code.NEGOTIATION_TIMEOUT, remote=False)
        case OSError():
            return LinkLost(Code.NO_ERROR, str(error), remote=False)
        case LocalProtocolError():
            return LinkLost(error.code, error.text, remote=False)
        case _:
            return error


def _reason(failure: QuicchatError) -> str:
    if isinstance(failure, LinkLost):
        return failure.reason or describe(failure.code)
    return failure.text if isinstance(failure, Refused) else str(failure)
