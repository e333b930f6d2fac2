"""One's own device list: what the server has, what is here, and what is to be published; pure. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.e2ee import lists
from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.lists import Judged, Named, Row
from quicchat.client.e2ee.openpgp import Secret
from quicchat.client.e2ee.records import Known, devices_of, pinned
from quicchat.client.e2ee.trust import Trust
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import DEVICES, PublishKeys

#: How far a number that nobody has signed may raise those of one's own lists: they must not be used up.
_LEAP: Final = 1_024

#: What is to become of the devices in the list. Raises BadKey.
Edit = Callable[[tuple[Named, ...]], tuple[Named, ...]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A device of one's own that stands in no list; `flaw` says why it cannot be let in."""

    device: bytes
    fingerprint: bytes
    name: str
    certificate: bytes
    flaw: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be published, if anything, and what is known once that is done.

    `older` says that the server shows a list that was replaced already, or none.
    """

    pdu: PublishKeys | None = None
    known: Known | None = None
    older: bool = False


@dataclass(frozen=True, slots=True)
class Mine:
    """What this device has: its key, perhaps the identity, and what it knows of its own account."""

    user: str
    name: str
    device: Secret
    identity: Secret | None
    known: Known | None
    waiting: tuple[Waiting, ...] = ()

    @property
    def mark(self) -> bytes:
        """The fingerprint of this device."""
        return self.device.certificate.fingerprint

    @property
    def is_listed(self) -> bool:
        """Whether the list that counts names this device, under an identity that is one's own."""
        return self._is_settled and self.mark in dict(lists.listed_in(self.known))

    @property
    def was_removed(self) -> bool:
        """Whether a list named this device once, and the one that counts does not."""
        return self.known is not None and not self.is_named and _had(self.known, self.mark)

    @property
    def is_named(self) -> bool:
        """Whether the list that counts names this device."""
        return self.mark in dict(lists.listed_in(self.known))

    @property
    def waits(self) -> bool:
        """Whether the server has this device's certificate among those that wait."""
        return any(each.certificate == self.device.certificate.data for each in self.waiting)

    def publication(self) -> PublishKeys:
        """This device's certificate, without a list."""
        mine = self.device.certificate
        return PublishKeys(certificate=mine.data, fingerprint=mine.fingerprint, handle=mine.handle, name=self.name)

    def let_in(self, devices: tuple[Named, ...], fingerprint: bytes) -> tuple[Named, ...]:
        """The list with a device more: one that waits, or this one. Raises BadKey where that cannot be."""
        if any(mark == fingerprint for mark, _ in devices):
            return devices
        found = next((each for each in self.waiting if each.fingerprint == fingerprint), None)
        if fingerprint != self.mark and found is None:
            raise BadKey("no such device waits to be let in")
        if found is not None and found.flaw is not None:
            raise BadKey(f"{found.name} cannot be let in: {found.flaw}")
        if len(devices) >= DEVICES:
            raise BadKey(f"there are {DEVICES} devices in your list; remove one first")
        return (*devices, (fingerprint, found.name if found is not None else self.name))

    def step(self, row: Row, found: Judged | None, edit: Edit, now: int) -> Step:
        """The next list of the identity that is here; `found` is the one at the server, where that is by it.

        Raises BadKey, as `edit`.
        """
        held = self.held()
        is_good = found is not None and (found.serial > held.serial or found.data == held.listed)
        known = lists.joined(held, found, now) if is_good and found is not None else held
        if is_good and _names(held, self.mark) and not _names(known, self.mark):
            return Step(known=known)  # another device has let this one out
        before = lists.listed_in(known)
        devices = edit(before)
        # Whom another device has let out does not let himself in again.
        if not (held.serial and _had(known, self.mark)) and len(devices) < DEVICES:
            devices = self.let_in(devices, self.mark)
        older = bool(held.serial) and not is_good and (found is not None or not row[1])
        if is_good and devices == before:
            has_it = self.device.certificate.data in row[5] or self.waits
            return Step(None if has_it else self.publication(), known)
        claimed = row[1] if found is not None else min(row[1], known.serial + _LEAP)
        return self._signed(known, max(known.serial, known.pinned_serial, claimed) + 1, devices, now, older)

    def held(self) -> Known:
        """What is known of the identity that is here."""
        assert self.identity is not None
        mark = self.identity.certificate.fingerprint
        if self.known is not None and self.known.pinned == self.known.using == mark:
            return self.known
        devices = self.known.devices if self.known is not None else ()
        return replace(pinned(Trust.VERIFIED, mark), devices=devices)

    @property
    def _is_settled(self) -> bool:
        return self.known is not None and self.known.state.is_settled

    def _signed(self, known: Known, serial: int, devices: Sequence[Named], now: int, older: bool) -> Step:
        assert self.identity is not None
        data = lists.made(self.user, serial, devices, now)
        signature = self.identity.sign(data)
        identity = self.identity.certificate.data
        certificates = (self.device.certificate.data, *(each.certificate for each in self.waiting))
        found = lists.judged(self.user, (self.user, serial, identity, data, signature, certificates))
        pdu = replace(self.publication(), identity=identity, devices=data, signature=signature)
        return Step(pdu, lists.joined(known, found, now), older)


def without_device(devices: tuple[Named, ...], fingerprint: bytes) -> tuple[Named, ...]:
    """The list with a device less. Raises BadKey where it is not in it."""
    if all(mark != fingerprint for mark, _ in devices):
        raise BadKey("there is no such device in your list")
    return tuple(each for each in devices if each[0] != fingerprint)


def _names(known: Known, fingerprint: bytes) -> bool:
    return fingerprint in dict(lists.listed_in(known))


def _had(known: Known, fingerprint: bytes) -> bool:
    """Whether a list has ever named it."""
    return _names(known, fingerprint) or any(each.fingerprint == fingerprint for each in devices_of(known))
