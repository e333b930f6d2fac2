"""Whether what is waited for may still come, and when it is worth asking again. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from quicchat.errors import MEANINGS, Code, LocalProtocolError, Refused

#: Seconds until something is asked again that came between two connections.
_BETWEEN: Final = 0.2
#: How often a busy server is asked again that does not say when.
_TRIES: Final = 5


class Hopeless(Exception):
    """There is no connection, and nobody waits for one any more."""


class Hope:
    """Waits for things that come over the connection: as long as it is there, or may come back in time.

    `patience` is how many seconds somebody who wants to go waits for a connection.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._changed = asyncio.Event()
        self.online = True
        #: Nothing more will be typed.
        self.ending = False
        #: There will be no connection any more.
        self.over = False

    def news(self) -> None:
        """Something changed that may be waited for."""
        self._changed.set()

    def end(self) -> None:
        """Nothing more will be typed."""
        self.ending = True
        self.news()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something. Raises Hopeless where the server is away, or is gone, and somebody wants to go."""
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while not done():
            if self.over:
                raise Hopeless
            if self.online or not self.ending:
                deadline = None
            elif deadline is None:
                deadline = loop.time() + self._patience
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                if deadline is not None and loop.time() >= deadline:
                    raise Hopeless from None
                raise


def pause(refusal: LocalProtocolError | Refused, tries: int) -> float | None:
    """Seconds until it is worth trying again; None where it is not."""
    if isinstance(refusal, LocalProtocolError):
        # Between two connections nothing may be asked.
        return _BETWEEN if refusal.code is Code.STATE and tries < _TRIES else None
    if not MEANINGS[refusal.code].temporary or (tries >= _TRIES and refusal.retry_after is None):
        return None
    return (refusal.retry_after or 1000) / 1000
