"""Whose devices may read, who has signed, and whom the user trusts: one face for people and own keys. (spec 15-keys)"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from quicchat.client.chance import Surroundings
from quicchat.client.e2ee import numbers
from quicchat.client.e2ee.faults import BadKey, Forged, SealError
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.lookup import Ask, Lookup, patiently
from quicchat.client.e2ee.openpgp import Certificate
from quicchat.client.e2ee.own import Own, OwnKeys
from quicchat.client.e2ee.people import People, Person, Reader, Tell
from quicchat.client.e2ee.records import Device, devices_of
from quicchat.client.e2ee.roster import Waiting
from quicchat.client.e2ee.trust import SEALS, Sight, Trust
from quicchat.client.seal import Seal
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import KeysChanged

__all__ = ["Directory", "Own", "Person", "Reader", "Recipients", "Waiting"]

log = logging.getLogger("quicchat.client")
#: How far the server's clock may be behind that of whoever takes a device out of his list, in ms.
_SKEW: Final = 300_000
#: Users whose lists are compared after each login; those of others when they are needed.
_COMPARED: Final = 512
#: Seconds until what the server cannot do now is tried again, where nobody waits for it.
_PAUSES: Final = (1.0, 5.0, 30.0, 120.0)


@dataclass(frozen=True, slots=True)
class Recipients:
    """For whom something is to be sealed; `keyless` never had keys, `blocked` says for whom nothing may be, and why."""

    devices: tuple[Reader, ...]
    keyless: frozenset[str]
    blocked: dict[str, str]


class Directory:
    """Calling order: `begin` after each login, `lost` after each connection, `heard` for each KEY_CHANGED; at the end
    `close`. What asks the server raises Refused and LinkLost, and BadKey where a key of one's own cannot be used.
    """

    def __init__(self, keyring: Keyring, ask: Ask, surroundings: Surroundings, tell: Tell, name: str = "") -> None:
        self._people = People(keyring, surroundings, tell)
        self._lookup = Lookup(self._people, ask)
        self._own = OwnKeys(keyring, self._people, ask, tell, name or platform.node())
        self._tasks: set[asyncio.Task[None]] = set()

    # Connections

    @property
    def own(self) -> Own | None:
        """This device's keys, from the first `begin` on."""
        return self._own.now

    async def begin(self, user: str) -> None:
        """Make and publish what one's own account needs; begins with what is here, so `own` is known at once."""
        self._own.load(user)
        self._own.heard()
        await patiently(self._own.fresh, _PAUSES)
        # What changed while nobody told us; it is asked for together, long before somebody needs it.
        others = [each for each in self._people.everybody() if each != user]
        self._begin(partial(self.fresh, others[:_COMPARED]))

    def heard(self, changed: KeysChanged) -> None:
        """Somebody's list has changed; that of somebody who is known, or one's own, is looked at now."""
        if changed.user == self._own.user:
            self._own.heard()
            self._begin(partial(patiently, self._own.fresh, _PAUSES))
            return
        self._lookup.heard(changed.user)
        if self._people.known(changed.user) is not None:
            self._begin(partial(self.fresh, [changed.user]))

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(_unheard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self) -> None:
        """The connection is gone: all lists are compared anew before anything else is sealed."""
        self._lookup.lost()
        self._people.lost()
        self._own.heard()

    async def close(self) -> None:
        """Ask for nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lookup.close()

    # Sealing and opening

    async def fresh(self, users: Collection[str], *, again: bool = False) -> None:
        """Have the lists of these users as the server has them now; `again` where what they tell is not enough."""
        me = self._own.user
        if me in users:
            if again:
                self._own.heard()
            await self._own.fresh()
        await self._lookup.fresh([user for user in users if user != me], again=again)

    async def recipients(self, users: Collection[str]) -> Recipients:
        """Every device that may read what is sealed for these users, but for this one."""
        await self.fresh(users)
        people, me = self._people, self._own.user
        devices: list[Reader] = []
        blocked: dict[str, str] = {}
        for user in sorted(users):
            here = people.readers(user)
            if why := people.blocked(user):
                blocked[user] = why
            elif not here and user != me and people.has_list(user):
                blocked[user] = f"no device of {user} can read: /keys {user} says why"
            else:
                devices += here
        keyless = frozenset(user for user in users if user not in blocked and not people.has_list(user))
        return Recipients(tuple(devices), keyless, blocked)

    def signers(self, user: str, at: int | None = None) -> Sequence[Certificate]:
        """The devices of a user that may have signed what the server stored `at` (Unix ms).

        One that is not listed any more counts for what was said before only; without a time, whatever he ever listed.
        """
        known = self._people.known(user)
        listed = devices_of(known) if known is not None else ()
        return list(_readable(each for each in listed if at is None or _counts(each, at)))

    def is_stale(self, user: str) -> bool:
        """Whether his list may be another one by now: what he says is judged once it is `fresh`."""
        return self._own.is_stale if user == self._own.user else self._lookup.is_stale(user)

    def counts(self, user: str, handle: int, at: int) -> bool:
        """Whether what was said `at` (Unix ms, the server's clock) with a session of a device still counts.

        A device of which nothing is known counts: its session came with a signature, or from one's own backup.
        """
        known = self._people.known(user)
        found = [each for each in devices_of(known) if each.handle == handle] if known is not None else []
        return not found or any(_counts(each, at) for each in found)

    def seal(self, user: str, handle: int | None = None) -> Seal:
        """How far what his devices, or that one, have signed can be trusted."""
        known = self._people.known(user)
        if known is not None and known.strangers and handle is not None:
            rows = [each for each in devices_of(known) if each.handle == handle]
            if rows and all(each.fingerprint in known.strangers for each in rows):
                return Seal.CHANGED
        if user == self._own.user:
            return Seal.OWN
        return SEALS[known.state if known is not None else Trust.UNKNOWN]

    # People

    def person(self, user: str) -> Person | None:
        """What is known of a user's keys; no request."""
        return self._people.person(user)

    def people(self) -> Sequence[Person]:
        """Everybody whose keys are known, by name."""
        return [found for user in self._people.everybody() if (found := self._people.person(user)) is not None]

    async def digits(self, user: str) -> str:
        """The 60 digits to compare with a user, in groups; with oneself, those that one's other devices show.

        Raises BadKey where he has no keys.
        """
        mine, his = await _identity(self, self._own.user), await _identity(self, user)
        return numbers.safety_number((self._own.user, mine), (user, his))

    async def verify(self, user: str, digits: str | None = None) -> None:
        """The user has compared the digits, or typed what the other side shows. Raises BadKey, Forged."""
        shown = await self.digits(user)
        if digits is not None and not numbers.same_digits(digits, shown):
            raise Forged(f"these are not the digits of {user}: somebody may stand in between. Here they are {shown}")
        if user == self._own.user and self.own is not None and self.own.contested:
            await self._own.settle(insist=True)
        await self._people.decide(user, Sight.VERIFY)

    async def accept(self, user: str) -> None:
        """Go on with the identity of a user that was told of last. Raises BadKey."""
        if user == self._own.user and self.own is not None and self.own.contested:
            await self._own.give_up()
            return
        await self._people.decide(user, Sight.ACCEPT)
        if user == self._own.user:
            await self._own.settle()

    async def untrust(self, user: str) -> None:
        """It does not count any more that the digits of a user were compared. Raises BadKey."""
        await self._people.decide(user, Sight.UNTRUST)

    # One's own devices

    def waiting(self) -> list[Waiting]:
        """Devices of one's own that are not let in, as the server showed them last."""
        here = self._people.here
        return [each for each in self._own.waiting if each.fingerprint != here]

    async def approve(self, fingerprint: bytes) -> None:
        """Let a device in. Raises BadKey."""
        await self._own.approve(fingerprint)

    async def remove(self, fingerprint: bytes) -> None:
        """Let a device out. Raises BadKey."""
        await self._own.remove(fingerprint)

    async def renew(self) -> None:
        """Begin anew with another identity, for whoever has nothing left of the old one."""
        await self._own.renew()

    # Backups

    def trusted(self) -> tuple[tuple[str, bytes, bool], ...]:
        """For a backup: [user, fingerprint of his pinned identity, whether it was compared]."""
        return tuple(row for row in self._people.trusted() if row[0] != self._own.user)

    def restore(self, rows: Sequence[tuple[str, bytes, bool]]) -> None:
        """From a backup; what the user verified here stays."""
        for user, mark, verified in rows:
            if user != self._own.user:
                self._people.restore(user, mark, verified)


async def _identity(directory: Directory, user: str) -> bytes:
    """The fingerprint of the identity in use, asked for where that is possible. Raises BadKey."""
    own = directory.own
    if own is not None and user == own.user and own.identity is not None:
        return own.identity.certificate.fingerprint
    try:
        await directory.fresh([user])
    except LinkLost:
        if directory._people.person(user) is None:
            raise
    person = directory._people.person(user)
    if person is None:
        raise BadKey(f"{user} has no keys yet")
    return person.fingerprint


def _readable(devices: Iterable[Device]) -> Iterator[Certificate]:
    for each in devices:
        with contextlib.suppress(BadKey):
            yield Certificate.of(each.certificate)


def _counts(device: Device, at: int) -> bool:
    return not device.until or at <= device.until + _SKEW


async def _unheard(work: Callable[[], Awaitable[None]]) -> None:
    """Nobody waits for it: it is done again with the next connection, and before anything is sealed."""
    try:
        await work()
    except (Refused, LinkLost, LocalProtocolError, SealError) as error:
        log.warning("keys cannot be compared", extra={"error": str(error)})
