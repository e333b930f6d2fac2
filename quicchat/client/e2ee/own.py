"""The life of one's own keys: made once, listed, let in, let out; durable before they are told. (spec 15-keys)"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from quicchat.client.e2ee import lists, roster
from quicchat.client.e2ee.asking import check_answer
from quicchat.client.e2ee.faults import BadKey, Forged
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.lists import Judged, Named, Row
from quicchat.client.e2ee.lookup import Ask
from quicchat.client.e2ee.openpgp import Certificate, Secret
from quicchat.client.e2ee.pair import Pair
from quicchat.client.e2ee.people import OLDER, People, Tell, plain, short
from quicchat.client.e2ee.records import aged, devices_of, pinned
from quicchat.client.e2ee.roster import Edit, Mine, Step, Waiting
from quicchat.client.e2ee.trust import Sight, Trust
from quicchat.client.events import KeyNews
from quicchat.errors import Code, Refused
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import GetKeys, KeyList
from quicchat.wire.chapters.session import Ok

#: So often a list that somebody else has replaced meanwhile is made anew.
_TRIES: Final = 5
#: Bytes of a device's name.
_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Own:
    """This device's keys: `identity` where it has that of the account, `listed` where the list that counts names it.

    `contested` says that the server shows another identity than the one here.
    """

    user: str
    device: Secret
    identity: Secret | None
    listed: bool
    contested: bool = False


def _as_they_are(devices: tuple[Named, ...]) -> tuple[Named, ...]:
    return devices


class OwnKeys:
    """Calling order: `load`, then `fresh` after each login and whenever something is heard of oneself."""

    def __init__(self, keyring: Keyring, people: People, ask: Ask, tell: Tell, name: str) -> None:
        self._keys = Pair(keyring)
        self._people = people
        self._ask = ask
        self._tell = tell
        self._name = _short_name(name)
        self.user = ""
        self._lock = asyncio.Lock()
        self._fresh = False
        self._told: set[str] = set()
        self.waiting: tuple[Waiting, ...] = ()

    @property
    def now(self) -> Own | None:
        """This device's keys, once they are made."""
        if self._keys.device is None:
            return None
        mine = self._mine()
        contested = mine.identity is not None and mine.known is not None and mine.known.state is Trust.BLOCKED
        return Own(self.user, mine.device, mine.identity, mine.is_listed, contested)

    def load(self, user: str) -> None:
        """What was made before. Raises BadKey."""
        self.user = user
        self._keys.load()
        if self._keys.device is not None:
            self._people.here = self._keys.device.certificate.fingerprint

    @property
    def is_stale(self) -> bool:
        """Whether one's own list may be another one by now."""
        return not self._fresh or self._lock.locked()

    def heard(self) -> None:
        """Something of one's own has changed, or nobody tells any more."""
        self._fresh = False

    async def fresh(self) -> None:
        """Have one's own list as it is at the server now. Raises as `settle`."""
        for _ in range(_TRIES):
            if not self._fresh:
                await self.settle()

    async def settle(self, edit: Edit = _as_they_are, *, insist: bool = False) -> None:
        """Compare with the server, and publish what is to be; `insist` puts one's own identity in the place of another.

        Raises Refused, LinkLost, BadKey.
        """
        async with self._lock:
            await self._keys.make_device(f"{self.user} ({self._name})", self._people.now)
            self.load(self.user)
            for _ in range(_TRIES):
                self._fresh = True
                try:
                    if await self._carry_out(await self._step(await self._look(), edit, insist)):
                        return
                except BaseException:
                    self._fresh = False
                    raise
            self._fresh = False
            raise Refused(Code.KEYS_STALE)

    async def renew(self) -> None:
        """A new identity, for whoever has lost the old one with all devices and codes; everybody is warned of it."""
        async with self._lock:
            await self._make_identity()
        await self.settle(insist=True)

    async def give_up(self) -> None:
        """The identity at the server is one's own, not the one here; this device waits to be let in by it."""
        async with self._lock:
            await self._keys.forget_identity()
            self._forget_pin()
        await self.settle()

    async def approve(self, fingerprint: bytes) -> None:
        """Let a device in that waits, or this one. Raises BadKey, Refused, LinkLost."""
        self._keys.check_identity()
        await self.settle(lambda devices: self._mine().let_in(devices, fingerprint))

    async def remove(self, fingerprint: bytes) -> None:
        """Leave a device out from now on. Raises BadKey, Refused, LinkLost."""
        self._keys.check_identity()
        if self._keys.device is not None and self._keys.device.certificate.fingerprint == fingerprint:
            raise BadKey("this is the device that you use; remove it from another one")
        await self.settle(lambda devices: roster.without_device(devices, fingerprint))

    async def _make_identity(self) -> None:
        """It is marked as one that nobody has seen: another device may be faster."""
        made = Secret.make(self.user, self._people.now)
        self._forget_pin(made.certificate.fingerprint)
        await self._people.written(self.user)
        await self._keys.take(Drawer.IDENTITY, made)

    def _forget_pin(self, mark: bytes = bytes(20)) -> None:
        """One's own identity is to be this one, which was not published yet; what was said before stays readable."""
        known = self._people.known(self.user)
        devices = aged(known, self._people.now) if known is not None else ()
        # This device was not let out; it has yet to be let in.
        devices = tuple(row for row in devices if row[0] != self._people.here)
        self._people.keep(self.user, replace(pinned(Trust.UNKNOWN, mark), devices=devices))

    # Comparing

    def _mine(self) -> Mine:
        assert self._keys.device is not None
        known = self._people.known(self.user)
        return Mine(self.user, self._name, self._keys.device, self._keys.identity, known, self.waiting)

    async def _look(self) -> Row:
        """One's own row at the server, and who waits."""
        answer = await self._ask(GetKeys(users=(self.user,)), KeyList)
        check_answer(answer.users, (self.user,))
        self.waiting = tuple(_waiting(row, self._people) for row in answer.waiting or ())
        return answer.users[0]

    async def _step(self, row: Row, edit: Edit, insist: bool) -> Step:
        known = self._people.known(self.user)
        is_new = known is None or known.state is Trust.UNKNOWN
        if self._keys.identity is None and not row[1] and is_new:
            await self._make_identity()
        identity = self._keys.identity
        if identity is None:
            return self._waits(await self._taken(row), row, edit)
        found = self._judged(row)
        if found is None or found.identity.fingerprint == identity.certificate.fingerprint or insist:
            is_other = found is not None and found.identity.fingerprint != identity.certificate.fingerprint
            step = self._mine().step(row, None if is_other else found, edit, self._people.now)
            return await self._removed(step, row, edit)
        if is_new and known is not None:
            # Made here and never published: another device of one's own was faster.
            await self._keys.forget_identity()
            return self._waits(await self._taken(row), row, edit)
        return self._contested(edit)

    async def _taken(self, row: Row) -> Mine:
        """This device cannot sign: what it knows of its own account is what the server shows, if that is good."""
        self._people.take(row)
        mine = self._mine()
        if mine.is_listed and mine.known is not None and mine.known.state is not Trust.VERIFIED:
            await self._people.decide(self.user, Sight.VERIFY)
            text = f"this device is let in; /verify {self.user} must show the same on those that you had before"
            self._tell(KeyNews("listed", self.user, text))
        return mine

    def _waits(self, mine: Mine, row: Row, edit: Edit) -> Step:
        if edit is not _as_they_are:
            self._keys.check_identity()
        if mine.was_removed:
            self._tell_once("waiting", "this device was removed from your list: it is given no keys any more")
            return Step()
        if not mine.is_named:
            mark = short(mine.mark)
            text = f"this device ({mark}) is not let in yet: /approve {mark} on another one of yours, or /restore here"
            self._tell_once("waiting", text)
        is_there = mine.device.certificate.data in row[5] or mine.waits
        return Step() if is_there else Step(mine.publication())

    def _contested(self, edit: Edit) -> Step:
        """The server shows another identity than the one here, and both may be one's own."""
        me, mine = self.user, self._mine()
        if edit is not _as_they_are:
            raise BadKey(f"the server shows another identity of yours: /accept {me} or /verify {me} first")
        if mine.known is None or mine.known.state is not Trust.BLOCKED:
            self._people.keep(me, replace(mine.held(), state=Trust.BLOCKED))
            text = "the server shows another identity of yours than the one here, so nothing is encrypted for you"
            self._tell(KeyNews("blocked", me, f"{text}: /accept {me} if it is yours, /verify {me} if only this one is"))
        return Step()

    async def _removed(self, step: Step, row: Row, edit: Edit) -> Step:
        """Where another device has let this one out, the identity is not for it any more."""
        before = self._mine()
        if step.known is None or not before.is_named or not replace(before, known=step.known).was_removed:
            return step
        await self._keys.forget_identity()
        self._keep(step)
        return self._waits(self._mine(), row, edit)

    async def _carry_out(self, step: Step) -> bool:
        """Publish; whether that is done, or another device was faster."""
        if step.older:
            self._people.refuse(self.user, OLDER)
        if step.pdu is not None:
            try:
                await self._ask(step.pdu, Ok)
            except Refused as refusal:
                if refusal.code is not Code.KEYS_STALE:
                    raise
                return False
        if step.known is not None:
            self._keep(step)
            if step.pdu is not None:
                await self._people.written(self.user)
        self._tell_waiting()
        return True

    def _keep(self, step: Step) -> None:
        assert step.known is not None
        known, before = replace(step.known, state=Trust.VERIFIED), self._people.known(self.user)
        self._people.refused.pop(self.user, None)
        if known != before:
            self._people.keep(self.user, known)
            self._people.tell_new(self.user, lists.listed_in(before), lists.listed_in(known), own=True)

    def _judged(self, row: Row) -> Judged | None:
        if not row[1]:
            return None
        try:
            return lists.judged(self.user, row)
        except Forged as fault:
            self._people.refuse(self.user, fault.text)
            return None

    def _tell_once(self, kind: str, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(KeyNews(kind, self.user, text))

    def _tell_waiting(self) -> None:
        """Who can let others in hears of those who wait."""
        if self._keys.identity is None:
            return
        known = self._people.known(self.user)
        # Not of one that was removed: it may have been stolen, and ask again and again.
        settled = {mark for mark, _ in lists.listed_in(known)}
        settled |= {each.fingerprint for each in devices_of(known)} if known is not None else set()
        for each in self.waiting:
            if each.flaw is None and each.fingerprint not in settled:
                mark, name = short(each.fingerprint), plain(each.name)
                text = f"your device {name} waits to be let in: /approve {mark}, if that is what it shows there"
                self._tell_once("approve", text)


def _waiting(row: tuple[bytes, bytes, str, bytes], people: People) -> Waiting:
    """A device that waits; the server may show what it likes."""
    device, fingerprint, name, certificate = row
    flaw = people.flaw(certificate)
    if flaw is None and Certificate.of(certificate).fingerprint != fingerprint:
        flaw = "its key has another fingerprint than the server says"
    return Waiting(device, fingerprint, name, certificate, flaw)


def _short_name(name: str) -> str:
    """As much of a name as a list takes."""
    return plain(name).encode()[:_NAME].decode(errors="ignore").strip() or "device"
