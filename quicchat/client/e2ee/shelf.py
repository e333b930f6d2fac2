"""The parts of a backup as they are at the server, under one recovery code. (spec 15-keys)

Several devices put parts, and none knows when another does: what is put is looked at again, and counts as kept only
as long as it is found there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.chest import VERSION, Add, Chest, Row, filled, has_room, part_of, rows_in, slices
from quicchat.client.e2ee.faults import SealError, Unreadable
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire import sealed
from quicchat.wire.chapters.keys import PART, PARTS, BackUp, Restore, Restored
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu, key, record
from quicchat.wire.sealed import BackupPart
from quicchat.wire.types import Array, Bytes, Tuple, Uint

A = TypeVar("A", bound=Pdu)
R = TypeVar("R", bound=Pdu)

#: The parts that have a meaning of their own, and the first one with rows.
TOP: Final = 0
LETTER: Final = 1
FIRST: Final = 2
#: Parts that are put before everything else has its turn.
_AT_ONCE: Final = 4
#: Times that a busy server is asked again, and seconds between where it does not say.
_TRIES: Final = 8
_REST: Final = 1.0


class Ask(Protocol):
    """Asks the server, on the connection of the moment. Raises Refused, LinkLost."""

    async def __call__(self, pdu: Pdu, answer: type[A], /) -> A: ...


class Replaced(Exception):
    """Another device has put a backup of another generation meanwhile."""


@dataclass(frozen=True, slots=True)
class Label:
    """Which backup it is, and what opens it."""

    account: str
    generation: int
    code: str


@record("backup-rows", section="")
class _Rows(Pdu):
    """What a part holds."""

    rows: tuple[tuple[bytes, int], ...] = key(1, Array(Tuple((Bytes(32), Uint(2**32))), 2_048), "[name, first index]")


class Shelf:
    """Calling order: `look`, then `put_rows`, until that had nothing to put. `gained` hears where more can be read."""

    def __init__(
        self, keyring: Keyring, ask: Ask, gained: Callable[[frozenset[str]], None], add: Add | None = None
    ) -> None:
        self._keyring = keyring
        self._ask = ask
        self._gained = gained
        self._chest = Chest(keyring, add)
        #: By part: the names of its rows, and the first index that each opens.
        self._parts = _known(keyring)
        #: What was put since the last look, that others may have put over since.
        self._unsure: set[int] = set()
        #: The rows of the last part.
        self._end: tuple[int, Sequence[Row]] = (LETTER, ())

    def forget(self) -> None:
        """There is another backup now, or none."""
        for number in self._parts:
            self._keyring.put(Drawer.BACKUP, _name(number), None)
        self._parts = {}
        self._unsure = set()
        self._end = (LETTER, ())

    async def fetch(self, number: int, label: Label | None = None) -> Restored:
        """A part as it is there. Raises Replaced where it is not of that backup, Refused, LinkLost."""
        found = await self.asked(Restore(part=number), Restored)
        if label is not None and found.generation != label.generation:
            raise Replaced
        return found

    async def put(self, number: int, data: bytes, label: Label) -> None:
        """Put a part. Raises Refused, LinkLost."""
        await self.asked(BackUp(generation=label.generation, part=number, data=data), Ok)

    async def asked(self, pdu: Pdu, answer: type[A]) -> A:
        """An answer, from a server that may be busy for a while. Raises Refused, LinkLost."""
        for _ in range(_TRIES):
            try:
                return await self._ask(pdu, answer)
            except Refused as refusal:
                if refusal.code is not Code.RATE_LIMITED:
                    raise
                await asyncio.sleep(_REST if refusal.retry_after is None else refusal.retry_after / 1000)
        return await self._ask(pdu, answer)

    async def look(self, count: int, label: Label) -> None:
        """Take what others have put, and see whether what was put here is there still. Raises Replaced."""
        last = max(self._parts, default=FIRST)
        for number in [each for each in self._parts if each >= count]:
            self._drop(number)
        self._end = (LETTER, ())
        for number in range(FIRST, count):
            if number in self._parts and number not in self._unsure and number != last and number != count - 1:
                continue
            rows = await rows_of((await self.fetch(number, label)).data, label)
            await self.take(rows)
            self._keep(number, rows)
            self._end = (number, rows)
        self._unsure = set()

    async def put_rows(self, now: int, label: Label) -> bool:
        """Put some of what is missing there, behind what is; whether that was anything. Raises Refused, LinkLost."""
        kept: dict[bytes, int] = {}
        for rows in self._parts.values():
            kept.update({name: min(index, kept.get(name, index)) for name, index in rows.items()})
        missing, size = list[Row](), 0
        async for row in self._chest.missing(kept):
            missing.append(row)
            size += row.size
            if size > _AT_ONCE * PART:
                break
        number, begun = self._end
        if number < FIRST or not has_room(begun):
            number, begun = number + 1, ()
        for part in islice(filled(missing, begun), _AT_ONCE):
            if number >= PARTS:
                raise Refused(Code.QUOTA, "The backup is full.")
            await self.put(number, locked(part_of(label.account, now, part), label), label)
            self._keep(number, part)
            self._unsure.add(number)
            self._end = (number, part)
            number += 1
        return bool(missing)

    async def take(self, rows: Sequence[Row]) -> None:
        """Keep what opens more than is known here."""
        async for some in slices(rows):
            if gained := self._chest.take(some):
                self._gained(gained)

    async def everything(self) -> list[Row]:
        """All rows of the keyring."""
        return [row async for row in self._chest.missing({})]

    def _keep(self, number: int, rows: Iterable[Row]) -> None:
        found = {row.name: row.index for row in rows}
        if found != self._parts.get(number):
            self._parts[number] = found
            value = sealed.packed(_Rows(rows=tuple(sorted(found.items()))))
            self._keyring.put(Drawer.BACKUP, _name(number), value)

    def _drop(self, number: int) -> None:
        del self._parts[number]
        self._keyring.put(Drawer.BACKUP, _name(number), None)


def locked(part: BackupPart, label: Label) -> bytes:
    """A part as it is put."""
    return openpgp.lock(sealed.packed(part), label.code)


def opened(cls: type[R], data: bytes, code: str) -> R:
    """What was locked with a code. Raises Unreadable."""
    try:
        return sealed.unpacked(cls, openpgp.unlock(data, code))
    except RemoteProtocolError:
        raise Unreadable("it was made by another version of this program, or is damaged") from None


def part_in(data: bytes, label: Label) -> BackupPart:
    """A part as it was put, by one of the account's devices. Raises Unreadable."""
    return checked(opened(BackupPart, data, label.code), label.account)


def checked(part: BackupPart, account: str) -> BackupPart:
    """A part of this account. Raises Unreadable."""
    if part.version != VERSION:
        raise Unreadable("it was made by a newer version of this program")
    if part.account != account:
        raise Unreadable(f"it is a backup of {part.account}")
    return part


async def rows_of(data: bytes, label: Label) -> list[Row]:
    """The rows of a part; none where it cannot be read: what is missing by that is put again."""
    try:
        part = part_in(data, label)
    except SealError:
        return []
    return await rows_in(part)


def _known(keyring: Keyring) -> dict[int, dict[bytes, int]]:
    """What each part holds, as far as this device has seen it."""
    found = {name: value for name, value in keyring.all(Drawer.BACKUP) if len(name) == 2}
    return {int.from_bytes(name, "big"): dict(sealed.unpacked(_Rows, value).rows) for name, value in found.items()}


def _name(number: int) -> bytes:
    return number.to_bytes(2, "big")
