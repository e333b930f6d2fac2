"""Finding the server, and finding it again: waits longer each time, knows when it is hopeless. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from quicchat.client.api import Chat, meet
from quicchat.client.connect import Trusting
from quicchat.client.login import Identity
from quicchat.client.trust import REFUSED, place
from quicchat.config import ClientConfig
from quicchat.errors import MEANINGS, Code, LinkLost, Refused, UsageError, describe
from quicchat.ui.entry import NOT_IN
from quicchat.ui.outcomes import Note, Waiting
from quicchat.wire.registry import VERSIONS

#: The exit code when there is no server, or none that we understand.
NO_SERVER: Final = 3
#: Seconds that a goodbye may take when nobody waits for anything any more.
PARTING: Final = 1.0

_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 15.0
#: TLS says that the server does not speak our protocol (RFC 9001 section 4.8, alert 120).
_NO_SUCH_PROTOCOL: Final = 0x178


class Doubt(Exception):
    """Nobody has vouched for this server yet; only a person can answer the question."""

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(question)


class Contact:
    """The way to one server. `tell` hears what is worth telling; `agreed` are the questions answered with yes."""

    def __init__(
        self, config: ClientConfig, device: bytes, tell: Callable[[object], None], agreed: frozenset[str] | None
    ) -> None:
        self._config = config
        self._device = device
        self._tell = tell
        self._agreed = agreed
        self._trusting = Trusting(
            known_hosts=config.data / "known_hosts",
            ca=config.ca,
            fingerprint=config.fingerprint,
            accept_new=config.accept_new_fingerprint,
            notice=lambda text: tell(Note(text)),
            ask=None if agreed is None else self._doubt,
        )

    @property
    def place(self) -> str:
        """`host:port`."""
        return place(self._config.host, self._config.port)

    async def first(self, identity: Identity) -> Chat:
        """Connect and log in, for the first time.

        Raises UsageError where there is no server, Doubt where it is unknown, Refused where it says no.
        """
        told = False
        for delay in _delays():
            try:
                return await self._enter(identity)
            except LinkLost as lost:
                if not self._config.wait or not is_worth_trying(lost):
                    raise self._hopeless(lost) from lost
                if not told:
                    self._tell(Waiting(self.place, _reason(lost)))
                    told = True
            await asyncio.sleep(delay)
        raise AssertionError("delays do not end")

    async def again(self, identity: Identity, *, patient: bool) -> Chat:
        """Connect and log in after a loss; without patience once only. Raises UsageError."""
        for delay in _delays():
            await asyncio.sleep(delay)
            try:
                return await self._enter(replace(identity, sign_up=False))
            except LinkLost as lost:
                if not patient or not is_worth_trying(lost):
                    raise self._hopeless(lost) from lost
            except Refused as refusal:
                if not patient or not MEANINGS[refusal.code].temporary:
                    raise UsageError(refusal.text, NOT_IN) from refusal
            except Doubt:
                raise UsageError(f"{self.place} is not the server it was", REFUSED) from None
        raise AssertionError("delays do not end")

    async def _enter(self, identity: Identity) -> Chat:
        config = self._config
        chat = await meet(
            config.host,
            config.port,
            trusting=self._trusting,
            versions=config.versions or VERSIONS,
            device=self._device,
            timeout=config.connect_timeout,
        )
        try:
            await chat.open(identity)
        except BaseException:
            await part(chat)
            raise
        return chat

    async def _doubt(self, question: str) -> bool:
        if self._agreed is not None and question in self._agreed:
            return True
        raise Doubt(question)

    def _hopeless(self, lost: LinkLost) -> UsageError:
        if lost.code == Code.NO_COMMON_VERSION:
            return UsageError(f"no common version ({lost.reason})", NO_SERVER)
        return UsageError(f"cannot connect to {self.place}: {_reason(lost)}", NO_SERVER)


async def part(chat: Chat, reason: str = "quit") -> None:
    """Say goodbye, but wait for no answer that does not come."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PARTING):
            await chat.close(reason)


def is_worth_trying(lost: LinkLost) -> bool:
    """Whether the server may take us back."""
    try:
        return MEANINGS[Code(lost.code)].reconnect
    except ValueError:
        return lost.code != _NO_SUCH_PROTOCOL


def _reason(lost: LinkLost) -> str:
    return lost.reason or describe(lost.code)


def _delays() -> Iterator[float]:
    """Seconds to wait, for ever: twice as long each time, and never the same for two clients."""
    delay = _FIRST_DELAY
    while True:
        yield delay * (0.5 + secrets.randbelow(1000) / 1000)
        delay = min(_LONGEST_DELAY, delay * 2)
