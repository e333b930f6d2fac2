"""The way to the server: asked for until it is there, and kept by the library. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from quicchat.client.api import Chat, meet
from quicchat.client.backoff import Backoff, is_worth_trying
from quicchat.client.chance import HERE
from quicchat.client.device import device_in
from quicchat.client.login import Identity
from quicchat.client.memory import Memory
from quicchat.client.memory_sqlite import open_file, open_memory
from quicchat.client.reserve import file_of
from quicchat.client.trusting import Trusting, place
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost, UsageError, describe
from quicchat.ui.outcomes import Entered, Note, Waiting
from quicchat.ui.users import last_user, remember
from quicchat.ui.visit import Doubt
from quicchat.wire.registry import VERSIONS

#: As `client.api.meet`.
Meeting = Callable[..., Awaitable[Chat]]

#: The exit code when there is no server, or none that we understand.
NO_SERVER: Final = 3
#: Seconds that a goodbye may take when nobody waits for anything any more.
_PARTING: Final = 1.0
#: Behind the name of this machine where a device only runs errands.
_ERRANDS: Final = " (errands)"
#: Letters of this machine's name that are told, at most.
_NAME: Final = 32


def _silent(item: object) -> None:
    """Nobody listens yet."""


class Contact:
    """The way to one server. `tell` hears what is worth telling; `agreed` are the questions answered with yes.

    With `names` the user is remembered, to be the one next time. `known_hosts` is that of the configuration's
    directory unless it is given; `meet` and `remember` are the library's, unless
    the network is not that of the machine. `lender` is the data directory of the client in which the user talks, whose
    keys are lent to this device.
    """

    def __init__(
        self,
        config: ClientConfig,
        agreed: frozenset[str] | None = None,
        *,
        names: bool = False,
        meet: Meeting = meet,
        remember: Callable[[str], Memory] | None = None,
        known_hosts: Path | None = None,
        lender: Path | None = None,
    ) -> None:
        self.tell: Callable[[object], None] = _silent
        self.device = device_in(config.data)
        self._config = config
        self._agreed = agreed
        self._names = names
        self._surroundings = replace(HERE, qlog=config.qlog)
        if config.flights:
            from quicchat.transport.shelf import Shelf

            self._surroundings = replace(self._surroundings, flights=Shelf(config.data / "flights"))
        #: Whether nobody has come here from this device before.
        self.is_first = False
        self._forgets = False
        self._meet = meet
        self._remember = remember or self._memory
        self._lender = lender
        self._trusting = Trusting(
            known_hosts=known_hosts or config.data / "known_hosts",
            ca=config.ca,
            fingerprint=config.fingerprint,
            accept_new=config.accept_new_fingerprint,
            notice=lambda text: self.tell(Note(text)),
            ask=None if agreed is None else self._doubt,
        )

    @property
    def place(self) -> str:
        """`host:port`."""
        return place(self._config.host, self._config.port)

    def told(self, chat: Chat, *, again: bool) -> Entered:
        """That somebody is in."""
        state = chat.state
        return Entered(
            user=state.user,
            place=self.place,
            version=chat.version,
            session=state.session,
            welcome=state.welcome,
            again=again,
        )

    def forget(self) -> None:
        """The user is asked for next time, and nothing he heard stays here: he gave up the token of this device."""
        self._forgets = True
        remember(self._config.data, self.place, None)

    @asynccontextmanager
    async def entered(self, identity: Identity) -> AsyncIterator[Chat]:
        """A chat, connected and logged in; said goodbye to at the end.

        Raises UsageError where there is no server, Doubt where it is unknown, Refused where it says no.
        """
        if self._config.qlog is not None:
            self.tell(Note(f"qlog is written to {self._config.qlog}, and tells with whom you talk, and when"))
        memory = self._remember(identity.user)
        try:
            await self._share(memory, identity.user)
            chat = await self._first(identity, memory)
            try:
                yield chat
            finally:
                await part(chat)
        finally:
            try:
                if self._forgets:
                    await memory.forget()
                    await self._forget_errands(identity.user)
            finally:
                await memory.close()

    def _errands(self, user: str) -> list[Path]:
        """The memories of this user's errands on this machine."""
        errands = self._config.data / "errands"
        homes = sorted(errands.iterdir()) if errands.is_dir() else []
        return [file_of(each / "memory", self.place, user) for each in homes]

    async def _forget_errands(self, user: str) -> None:
        """What errands heard, and what lets them in without a password, goes as well."""
        for path in filter(Path.exists, self._errands(user)):
            try:
                memory = open_file(path)
            except UsageError as error:
                self.tell(Note(str(error)))
                continue
            try:
                await memory.forget()
            finally:
                await memory.close()

    async def _share(self, memory: Memory, user: str) -> None:
        """Have the devices of a user on this machine go by the same keys. Raises UsageError, Refused."""
        if self._lender is not None:
            from quicchat.client.lending import lend

            await lend(memory, file_of(self._lender / "memory", self.place, user))
        elif others := self._errands(user):
            from quicchat.client.lending import inherit

            await inherit(memory, file_of(self._config.data / "memory", self.place, user), others)

    async def _first(self, identity: Identity, memory: Memory) -> Chat:
        """Try until it is there, if that is wanted."""
        backoff = Backoff(secrets.token_bytes)
        told = False
        while True:
            try:
                return await self._enter(identity, memory)
            except LinkLost as lost:
                if not self._config.wait or not is_worth_trying(lost):
                    raise self._hopeless(lost) from lost
                if not told:
                    self.tell(Waiting(self.place, _reason(lost)))
                    told = True
            await asyncio.sleep(backoff.next())

    async def _enter(self, identity: Identity, memory: Memory) -> Chat:
        config = self._config
        chat = await self._meet(
            config.host,
            config.port,
            trusting=self._trusting,
            versions=config.versions or VERSIONS,
            device=self.device,
            timeout=config.connect_timeout,
            reconnect=config.on_server_loss == "reconnect",
            memory=memory,
            surroundings=self._surroundings,
        )
        try:
            # So that the user knows this device again in the list of his sessions.
            own = socket.gethostname()[:_NAME] + (_ERRANDS if self._lender is not None else "")
            await chat.open(replace(identity, device_name=identity.device_name or own))
        except BaseException:
            await part(chat)
            raise
        if self._names:
            self.is_first = last_user(config.data, self.place) is None
            remember(config.data, self.place, identity.user)
        return chat

    def _memory(self, user: str) -> Memory:
        return open_memory(self._config.data, self.place, user, keeps=self._config.keep)

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
        async with asyncio.timeout(_PARTING):
            await chat.close(reason)


def _reason(lost: LinkLost) -> str:
    return lost.reason or describe(lost.code)
