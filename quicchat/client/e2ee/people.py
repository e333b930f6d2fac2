"""What is known of the keys of everybody: lists are fetched, judged, pinned and kept here. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.chance import Surroundings
from quicchat.client.e2ee import lists
from quicchat.client.e2ee.faults import BadKey, Forged
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.lists import Judged, Named, Row
from quicchat.client.e2ee.openpgp import Certificate
from quicchat.client.e2ee.records import Known, devices_of, pinned
from quicchat.client.e2ee.trust import Sight, Trust, after
from quicchat.client.events import KeyNews
from quicchat.values import dataclass
from quicchat.wire.sealed import packed

#: More users than this who are seen for the first time together are told of in one line.
_MANY: Final = 3


Tell = Callable[[KeyNews], None]
_CHOICE: Final = "compare with /verify {user}, or go on with /accept {user}"


@dataclass(frozen=True, slots=True)
class Person:
    """A user's keys, for people: `devices` are [fingerprint, name, why nothing is encrypted to it or None]."""

    user: str
    trust: Trust
    #: Of the identity in use, and of the one that was pinned; in hexadecimal for people: `fingerprint.hex()`.
    fingerprint: bytes
    pinned: bytes
    serial: int
    devices: tuple[tuple[bytes, str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """A device for which something is to be sealed."""

    user: str
    name: str
    certificate: Certificate


class People:
    """What is known, what becomes of it when a list comes (`take`), and what the user decides."""

    def __init__(self, keyring: Keyring, surroundings: Surroundings, tell: Tell) -> None:
        self._keyring = keyring
        self._surroundings = surroundings
        self._tell = tell
        self._known: dict[str, Known] = {}
        #: Why a list was refused on this connection.
        self.refused: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()
        #: The fingerprint of this device, of which its user need not be told.
        self.here = b""

    @property
    def now(self) -> int:
        """Unix ms."""
        return int(self._surroundings.wall() * 1000)

    # What is known

    def known(self, user: str) -> Known | None:
        """What is known of a user's keys, or at least of which identity he has."""
        found = self._known.get(user)
        if found is None and (found := self._keyring.read(Known, Drawer.PERSON, user.encode())) is not None:
            self._known[user] = found
        return found

    def everybody(self) -> list[str]:
        """All of whom something is known."""
        return sorted(name.decode() for name, _ in self._keyring.all(Drawer.PERSON))

    def keep(self, user: str, known: Known | None) -> None:
        """From now on this is known of a user; written soon."""
        self._known.pop(user, None)
        self._known.update({user: known} if known is not None else {})
        self._keyring.put(Drawer.PERSON, user.encode(), packed(known) if known is not None else None)

    async def written(self, user: str) -> None:
        """What is known of a user is durable. Raises Refused(STORE_UNAVAILABLE)."""
        known = self._known.get(user)
        await self._keyring.now(Drawer.PERSON, user.encode(), packed(known) if known is not None else None)

    def person(self, user: str) -> Person | None:
        """A user whose list was seen."""
        known = self.known(user)
        if known is None or known.identity is None:
            return None
        certificates = {each.fingerprint: each.certificate for each in devices_of(known) if not each.until}
        devices = tuple((mark, name, self.flaw(certificates.get(mark))) for mark, name in lists.listed_in(known))
        return Person(user, known.state, known.using, known.pinned, known.serial, devices)

    def flaw(self, certificate: bytes | None) -> str | None:
        """Why nothing may be encrypted to a device."""
        if certificate is None:
            return "its key is not known"
        try:
            return Certificate.of(certificate).flaw(self.now)
        except BadKey as fault:
            return fault.text

    # Sealing

    def has_list(self, user: str) -> bool:
        """Whether a list of his was ever seen."""
        known = self.known(user)
        return known is not None and known.identity is not None

    def blocked(self, user: str) -> str | None:
        """Why nothing may be sealed for a user."""
        known = self.known(user)
        if known is None:
            return self.refused.get(user)
        if known.state is Trust.BLOCKED:
            return f"{user}, whom you verified, shows another identity; {_CHOICE.format(user=user)}"
        if known.identity is None and known.state is not Trust.UNKNOWN:
            return self.refused.get(user, f"the server shows no keys of {user}, who has some")
        return None

    def readers(self, user: str) -> list[Reader]:
        """The devices of a user for which something may be sealed, but for this one."""
        known = self.known(user)
        listed = [each for each in devices_of(known) if not each.until] if known is not None else []
        good = [each for each in listed if self.flaw(each.certificate) is None and each.fingerprint != self.here]
        return [Reader(user, each.name, Certificate.of(each.certificate)) for each in good]

    # Lists

    def lost(self) -> None:
        """What is wrong is told once for each connection."""
        self._told.clear()
        self.refused.clear()

    def held(self, user: str) -> int:
        """The list that need not be sent again."""
        known = self.known(user)
        if known is None:
            return 0
        good = [each for each in devices_of(known) if not each.until and self.flaw(each.certificate) is None]
        # What is missing, or is good no more, may be there by now without a new list.
        return known.serial if len(good) == len(lists.listed_in(known)) else 0

    def take(self, row: Row) -> bool:
        """Judge a list and keep it, or tell why not; whether the user was seen for the first time."""
        user, serial = row[0], row[1]
        known = self.known(user)
        if not serial:
            if known is not None and known.identity is not None:
                self._doubt("rollback", user, f"the server shows no keys of {user} any more; those known are kept")
            return False
        try:
            found = lists.judged(user, row)
            self._check_serial(known, found)
        except Forged as fault:
            self.refuse(user, fault.text)
            return False
        self.refused.pop(user, None)
        return self._believe(user, known, found)

    def refuse(self, user: str, why: str) -> None:
        """A list is not believed, and what was known before stays."""
        self.refused[user] = f"the device list of {user} is not believed: {why}"
        kind = "rollback" if why == OLDER else "forged-list"
        self._doubt(kind, user, f"{self.refused[user]}; what was known before stays")

    def _doubt(self, kind: str, user: str, text: str) -> None:
        """Told once for each connection."""
        if (kind, user) not in self._told:
            self._told.add((kind, user))
            self._tell(KeyNews(kind, user, text))

    @staticmethod
    def _check_serial(known: Known | None, found: Judged) -> None:
        if known is None:
            return
        mark = found.identity.fingerprint
        in_use = known.identity is not None and known.using == mark
        least = max(known.serial if in_use else 0, known.pinned_serial if mark == known.pinned else 0)
        if found.serial < least:
            raise Forged(OLDER)
        if in_use and found.serial == known.serial and found.data != known.listed:
            raise Forged(f"there are two of number {found.serial}")

    def _believe(self, user: str, known: Known | None, found: Judged) -> bool:
        mark = found.identity.fingerprint
        is_first = known is None or known.identity is None
        if known is None:
            known = pinned(Trust.UNKNOWN, mark)
        if known.state is Trust.UNKNOWN:
            known = replace(known, pinned=mark, using=mark)
        sight = Sight.SAME if mark == known.pinned and known.state is not Trust.UNKNOWN else Sight.OTHER
        state = after(known.state, sight)
        assert state is not None
        self.keep(user, replace(lists.joined(known, found, self.now), state=state))
        if mark != known.using and not state.is_settled:
            self._tell_changed(user)
        elif mark != known.using:
            self._tell(KeyNews("pinned", user, f"{user} shows the identity again that was known before"))
        elif not is_first:
            self.tell_new(user, lists.listed_in(known), found.listing.devices)
        return is_first and state is Trust.FIRST_USE

    def tell_new(self, user: str, before: Sequence[Named], now: Sequence[Named], *, own: bool = False) -> None:
        """Of devices that the identity has let in; not of the first ones. Of one's own the way out is told."""
        known = {self.here, *(mark for mark, _ in before)}
        for mark, name in now if before else ():
            if mark not in known:
                said = f"{'you have' if own else f'{user} has'} a new device: {plain(name)} ({short(mark)})"
                out = f"; if it is not yours: /remove-device {short(mark)}" if own else ""
                self._tell(KeyNews("device", user, said + out))

    def _tell_changed(self, user: str) -> None:
        if why := self.blocked(user):
            self._tell(KeyNews("blocked", user, why))
        else:
            text = f"{user} has another identity than before: new keys, or somebody in between"
            self._tell(KeyNews("changed", user, f"{text}; {_CHOICE.format(user=user)}"))

    def tell_first(self, users: Sequence[str]) -> None:
        if len(users) > _MANY:
            others = f"{', '.join(users[:2])} and {len(users) - 2} others"
            self._tell(KeyNews("pinned", users[0], f"the keys of {others} are pinned; /verify compares them"))
            return
        for user in users:
            self._tell(KeyNews("pinned", user, f"the keys of {user} are pinned; /verify {user} compares them"))

    # What the user decides

    def trusted(self) -> list[tuple[str, bytes, bool]]:
        """For a backup: [user, fingerprint of his pinned identity, whether it was compared]."""
        rows = ((user, self.known(user)) for user in self.everybody())
        return [(user, row.pinned, row.state in (Trust.VERIFIED, Trust.BLOCKED)) for user, row in rows if row]

    async def decide(self, user: str, sight: Sight) -> None:
        """The user accepts, verifies or stops trusting the identity in use. Raises BadKey, Refused."""
        known = self.known(user)
        state = after(known.state, sight) if known is not None and known.identity is not None else None
        if known is None or known.identity is None or state is None:
            raise BadKey(f"no keys of {user} are known")
        if state.is_settled and not known.state.is_settled:
            known = replace(known, pinned=known.using, pinned_serial=known.serial)
        self.keep(user, replace(known, state=state))
        await self.written(user)

    def restore(self, user: str, mark: bytes, verified: bool) -> None:
        """What a backup says of a user: it is one's own, but may be older than what the user decided here."""
        known = self.known(user)
        settled = Trust.VERIFIED if verified else Trust.FIRST_USE
        if known is None or known.identity is None:
            self.keep(user, pinned(settled, mark))
        elif known.state is Trust.VERIFIED:
            return
        elif known.using == mark:
            self.keep(user, replace(known, pinned=mark, pinned_serial=known.serial, state=settled))
        else:
            state = after(settled, Sight.OTHER) or known.state
            if (known.state, known.pinned) != (state, mark):
                self.keep(user, replace(known, pinned=mark, pinned_serial=0, state=state))
                self._tell_changed(user)


#: Why a list with a lower number is refused.
OLDER: Final = "it is older than the one that was seen before"


def short(fingerprint: bytes) -> str:
    """Enough of a fingerprint to tell devices apart."""
    return fingerprint.hex().upper()[-16:]


def plain(name: str) -> str:
    """A device's name within one line."""
    return "".join(each if each.isprintable() else " " for each in name).strip()
