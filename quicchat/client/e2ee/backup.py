"""The backup at the server: kept up to date by itself, and what lets a new device read what was said. (spec 15-keys)

Part 0 has the identity and whom the user trusts, part 1 the recovery code for the account's other devices (`locker`),
and the parts behind them rows in the order in which they came. All devices write to the same parts (`shelf`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from quicchat.client.chance import HERE, Surroundings, fraction
from quicchat.client.e2ee import openpgp, recovery
from quicchat.client.e2ee.chest import VERSION, Add, filled, part_of, rows_in
from quicchat.client.e2ee.directory import Directory
from quicchat.client.e2ee.faults import BadKey, SealError, Unreadable
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.locker import ANOTHER, Locker
from quicchat.client.e2ee.provider import NOT_IN
from quicchat.client.e2ee.shelf import TOP, Ask, Label, Shelf, checked, opened
from quicchat.client.events import KeyNews
from quicchat.client.lending import ELSEWHERE
from quicchat.errors import LinkLost, Refused, RemoteProtocolError
from quicchat.wire import sealed
from quicchat.wire.chapters.keys import PARTS
from quicchat.wire.sealed import Archive, BackupPart

#: Seconds until what is new is backed up, and up to as many again: of two devices that heard the same, one has to.
PAUSE: Final = 10.0
#: Rounds in a row, at most: as many as a full backup takes.
_ROUNDS: Final = PARTS


class Backup:
    """The backup of one account, as one of its devices has it.

    `begin` after each login, and once this device is listed; `touch` when there are new keys, or somebody is trusted
    more or less. `tell` hears what people should know, `gained` in which conversations more can be read now; `add`
    takes keys of sessions (`chest.Add`).
    """

    def __init__(
        self,
        keyring: Keyring,
        directory: Directory,
        ask: Ask,
        surroundings: Surroundings = HERE,
        *,
        tell: Callable[[KeyNews], None],
        gained: Callable[[frozenset[str]], None],
        add: Add | None = None,
    ) -> None:
        self._keyring = keyring
        self._directory = directory
        self._surroundings = surroundings
        self._shelf = Shelf(keyring, ask, gained, add)
        self._locker = Locker(keyring, directory, self._shelf, surroundings, tell)
        self._busy = asyncio.Lock()
        self._wanted = False
        self._work: asyncio.Task[None] | None = None
        self._called: set[asyncio.Task[None]] = set()

    @property
    def code(self) -> str | None:
        """The recovery code, 36 digits; None where this device does not know it."""
        label = self._locker.label
        return label.code if label is not None else None

    @property
    def generation(self) -> int:
        """Which backup the code opens; 0 where there is none."""
        label = self._locker.label
        return label.generation if label is not None else 0

    @property
    def trouble(self) -> str | None:
        """What keeps the backup from being up to date."""
        return self._locker.trouble

    async def begin(self) -> None:
        """Take up the work on a new connection: make a code at first, take over one that was handed to this device."""
        if self._directory.own is not None and self._keyring.get(Drawer.BACKUP, ELSEWHERE) is None:
            await self._go_on()

    def touch(self) -> None:
        """Back up soon what is new."""
        if self._locker.label is None:
            return
        self._wanted = True
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._run())

    def heard(self, news: KeyNews) -> None:
        """What the directory tells: once this device is let in, it takes over what was handed to it."""
        if news.kind == "listed":
            task = asyncio.get_running_loop().create_task(self.begin())
            self._called.add(task)
            task.add_done_callback(self._called.discard)

    async def restore(self, typed: str) -> None:
        """Take all that the backup holds, and let this device in by the identity that is in it.

        Raises BadKey where that is no code, Unreadable where it is not that of the backup, Refused, LinkLost.
        """
        code, own = recovery.read(typed), self._locker.own()
        async with self._busy:
            top = await self._shelf.fetch(TOP)
            if not top.generation:
                raise BadKey("the server has no backup of this account")
            await self._locker.adopt(Label(own.user, top.generation, code), top)
            is_due = await self._locker.round()
        if is_due:
            self.touch()

    async def renew(self) -> str:
        """Make a new code, and the backup anew: the old one opens nothing more. Raises BadKey, Refused, LinkLost."""
        if self._locker.own().identity is None:
            raise BadKey(NOT_IN)
        async with self._busy:
            top = await self._shelf.fetch(TOP)
            code = await self._locker.choose(max(top.generation, self.generation))
            is_due = await self._locker.round()
        if is_due:
            self.touch()
        return code

    async def approve(self, fingerprint: bytes) -> None:
        """Let a device in that waits, and hand it the code, by which it gets all else.

        Raises BadKey, Refused, LinkLost.
        """
        found = [each for each in self._directory.waiting() if each.fingerprint == fingerprint]
        if not found:
            raise BadKey("no such device waits to be let in")
        if self._locker.label is not None:
            # First, so that the device finds all of it as soon as it hears that it is let in.
            async with self._busy:
                with contextlib.suppress(Refused):
                    for _ in range(_ROUNDS):
                        if not await self._locker.round():
                            break
                await self._locker.put_letter(openpgp.Certificate.of(found[0].certificate))
        await self._directory.approve(fingerprint)

    async def export(self) -> bytes:
        """All of it, for a file: an OpenPGP message that the code opens. Raises BadKey."""
        own, label, now = self._locker.own(), self._locker.label, self._locker.now
        if own.identity is None or label is None:
            raise BadKey(NOT_IN)
        rows = filled(await self._shelf.everything())
        parts = [self._locker.top(own), *(part_of(own.user, now, each) for each in rows)]
        held = tuple(map(sealed.packed, parts[:PARTS]))
        archive = Archive(version=VERSION, account=own.user, time=now, parts=held)
        return openpgp.lock(sealed.packed(archive), label.code)

    async def import_(self, data: bytes, typed: str) -> None:
        """As `restore`, from a file; what is kept at the server stays as it is. Raises BadKey, Unreadable."""
        code, own = recovery.read(typed), self._locker.own()
        archive = opened(Archive, data, code)
        try:
            held = [sealed.unpacked(BackupPart, each) for each in archive.parts]
        except RemoteProtocolError:
            raise Unreadable("it is damaged") from None
        parts = [checked(each, own.user) for each in held]
        if not parts or not self._locker.is_ours(parts[0]):
            raise BadKey(ANOTHER)
        async with self._busy:
            for part in parts[1:]:
                await self._shelf.take(await rows_in(part))
            await self._locker.assume(code)
            await self._locker.take_top(parts[0])
        self.touch()

    async def close(self) -> None:
        """Nothing more is backed up by this program."""
        tasks = [*self._called, *([self._work] if self._work is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # The work

    async def _run(self) -> None:
        while self._wanted:
            self._wanted = False
            await asyncio.sleep(PAUSE * (1 + fraction(self._surroundings.chance)))
            await self._go_on()

    async def _go_on(self) -> None:
        """A round, and another one after a while where that is due; what went wrong is tried again with the next."""
        try:
            async with self._busy:
                is_due = await self._locker.round()
        except LinkLost:
            return  # `begin` goes on
        except (Refused, SealError) as error:
            self._locker.report(f"The backup of your keys is not up to date: {error.text}")
            return
        if is_due:
            self.touch()
