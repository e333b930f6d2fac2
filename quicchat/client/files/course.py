"""The course of a transfer: attempt after attempt, over all connections, until it is over. (spec 14-files)"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from quicchat.client.files.phase import Phase
from quicchat.client.files.transfer import Transfer
from quicchat.client.requests import Requests
from quicchat.errors import MEANINGS, Code, LinkLost, LocalProtocolError, Refused

log = logging.getLogger("quicchat.client")

T = TypeVar("T")

#: Waits for a connection. Raises LinkLost where there will be none, Refused where it is of no use.
Online = Callable[[], Coroutine[Any, Any, Requests]]

#: How often in a row a server may refuse for the moment while nothing moves, and the longest wait, in seconds.
_ATTEMPTS: Final = 8
_LONGEST: Final = 30.0
_LOST: Final = "The connection was lost; it goes on with the next one."


class Carriage(Protocol):
    """What is done for a transfer."""

    async def attempt(self, requests: Requests) -> None:
        """All that is left of it, over one connection. Raises Refused, LinkLost, LocalProtocolError, OSError."""

    async def leave(self) -> None:
        """It goes on another time, or not at all; what is here stays."""

    async def discard(self) -> None:
        """It is not wanted any more."""


class Course:
    """Runs one transfer."""

    def __init__(self, transfer: Transfer, carriage: Carriage, online: Online) -> None:
        self.transfer = transfer
        self.carriage = carriage
        self._online = online
        self._refusals = self._moved = 0

    async def run(self) -> None:
        """Until it is over, or cancelled: then it goes on another time."""
        transfer = self.transfer
        try:
            while not transfer.over:
                if transfer.held or transfer.failure is not None:
                    await transfer.wish.wait()
                    transfer.wish.clear()
                else:
                    await self._go()
        except Exception:
            # A bug of ours ends this transfer, and whoever waits for it hears of that.
            log.exception("a transfer could not be carried on", extra={"transfer": transfer.number})
            transfer.fail(Refused(Code.INTERNAL, "This program made a mistake; its log tells more."))
        finally:
            with contextlib.suppress(OSError, Refused):
                await (self.carriage.discard() if transfer.state is Phase.CANCELLED else self.carriage.leave())

    async def _go(self) -> None:
        """One attempt, and what is to be said of it."""
        transfer = self.transfer
        try:
            requests = await self._unless(self._online())
        except LinkLost as lost:
            transfer.fail(lost, for_good=False)
            return
        except Refused as refusal:
            transfer.fail(refusal)
            return
        if requests is None:
            return
        try:
            await self._unless(self.carriage.attempt(requests))
        except (LinkLost, LocalProtocolError) as error:
            if isinstance(error, LocalProtocolError) and requests.lost is None and error.code is not Code.STATE:
                transfer.fail(Refused(error.code, error.text))
                return
            transfer.move(Phase.PAUSED, _LOST)
            # While it closes it carries nothing any more, and has not ended yet.
            await self._unless(_ended(requests))
        except Refused as refusal:
            await self._refused(refusal)
        except OSError as error:
            place, why = error.filename or transfer.path, error.strerror or str(error)
            transfer.fail(Refused(Code.STORE_UNAVAILABLE, f"{place}: {why}" if place else why))

    async def _refused(self, refusal: Refused) -> None:
        """For the moment, for good, or until its user says otherwise."""
        transfer = self.transfer
        self._refusals = 0 if transfer.done > self._moved else self._refusals + 1
        self._moved = max(self._moved, transfer.done)
        if MEANINGS[refusal.code].temporary or refusal.code is Code.LIMIT:
            if self._refusals > _ATTEMPTS:
                transfer.fail(refusal, for_good=False)
                return
            told = (refusal.retry_after or 0) / 1000
            transfer.move(Phase.PAUSED, refusal.text)
            await self._unless(asyncio.sleep(max(told, min(_LONGEST, 2.0**self._refusals))))
        else:
            # Whose uploader gave it up, or lost it, may get it again; and what is here is right.
            gone = refusal.code is Code.NO_SUCH_FILE and transfer.state is Phase.TRANSFERRING and transfer.done > 0
            transfer.fail(refusal, for_good=not gone)

    async def _unless(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do it, unless the user has it stopped. Raises as the work does."""
        transfer, loop = self.transfer, asyncio.get_running_loop()
        task = loop.create_task(work)
        try:
            while not (task.done() or transfer.held or transfer.state is Phase.CANCELLED):
                transfer.wish.clear()
                wish = loop.create_task(transfer.wish.wait())
                try:
                    await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    wish.cancel()
            return task.result() if task.done() else None
        finally:
            if not task.done():
                task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()


async def _ended(requests: Requests) -> None:
    await asyncio.shield(requests.ended)
