"""The backup that a recovery code opens: which one it is, its first parts, and a look at all of it. (spec 15-keys)"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from quicchat.client.chance import Surroundings, number
from quicchat.client.e2ee import handing, openpgp, recovery
from quicchat.client.e2ee.chest import VERSION
from quicchat.client.e2ee.directory import Directory, Own
from quicchat.client.e2ee.faults import BadKey, SealError, Unreadable
from quicchat.client.e2ee.keyring import ONLY, Drawer, Keyring
from quicchat.client.e2ee.shelf import FIRST, LETTER, TOP, Label, Replaced, Shelf, locked, part_in
from quicchat.client.events import KeyNews
from quicchat.wire import sealed
from quicchat.wire.chapters.keys import Restored
from quicchat.wire.registry import Pdu, key, record
from quicchat.wire.sealed import BackupPart, Recovery
from quicchat.wire.types import Bool, Bytes, Text, Uint

#: People in part 0.
_TRUSTED: Final = 512
#: Generations that there are, and how far one is at most above the one before.
_HIGHEST: Final = 2**53
_STEPS: Final = 2**16
#: Times that a backup is read anew which changes meanwhile.
_TRIES: Final = 5
_LOCKED: Final = "The backup of your keys has another recovery code: /restore takes it, /new-recovery replaces it."
ANOTHER: Final = "the backup is of another identity than the one on this device"


@record("backup-state", section="")
class _State(Pdu):
    """What this device knows of the backup."""

    code: str = key(1, Text(36, 36), "the recovery code")
    generation: int = key(2, Uint(_HIGHEST, 1), "which one the code opens")
    trust: bytes = key(3, Bytes(32), "digest of whom the user trusts, as it was put or taken last")
    taken: bool = key(4, Bool(), "whether all was taken that it holds of the account, or this device has made it")


class Locker:
    """Calling order: `round`, again as long as that says so. `trouble` is why the backup is not up to date."""

    def __init__(
        self,
        keyring: Keyring,
        directory: Directory,
        shelf: Shelf,
        surroundings: Surroundings,
        tell: Callable[[KeyNews], None],
    ) -> None:
        self._keyring = keyring
        self._directory = directory
        self._shelf = shelf
        self._surroundings = surroundings
        self._tell = tell
        self._state = keyring.read(_State, Drawer.BACKUP)
        self.trouble: str | None = None

    @property
    def label(self) -> Label | None:
        """Which backup it is; None where this device knows no code."""
        state, own = self._state, self._directory.own
        if state is None:
            return None
        return Label(own.user if own is not None else "", state.generation, state.code)

    @property
    def now(self) -> int:
        """Unix ms."""
        return int(self._surroundings.wall() * 1000)

    @property
    def _is_taken(self) -> bool:
        return self._state is not None and self._state.taken

    def own(self) -> Own:
        """Whose keys these are. Raises BadKey before the first login."""
        if self._directory.own is None:
            raise BadKey("there are no keys yet")
        return self._directory.own

    def report(self, text: str) -> None:
        """Something keeps the backup from being up to date: told once."""
        if text != self.trouble:
            self.trouble = text
            self._tell(KeyNews("backup", self.own().user, text))

    async def round(self) -> bool:
        """Take what others have put, and put some of what is missing; whether another round is due.

        Raises Refused, LinkLost.
        """
        for _ in range(_TRIES):
            top = await self._shelf.fetch(TOP)
            label = await self._settled(top)
            if label is None:
                return False
            try:
                return await self._exchanged(top, label)
            except Replaced:
                continue
        return True

    async def _exchanged(self, top: Restored, label: Label) -> bool:
        own = self.own()
        if own.identity is None:
            return False
        is_news = await self._put_top(top, label, own)
        if top.count <= LETTER or top.generation < label.generation:
            await self.put_letter()
        await self._shelf.look(top.count if top.generation == label.generation else FIRST, label)
        is_due = await self._shelf.put_rows(self.now, label) or is_news
        self.trouble = None
        return is_due

    async def _settled(self, top: Restored) -> Label | None:
        """Which backup is ours: what is there, or what is to be put in its place; None where that needs a person."""
        own = self.own()
        if own.identity is None and not own.listed and (self._state is None or self._is_taken):
            # It was never let in, or was let out: what it knows of the backup does not let it in again by itself.
            return None
        if self._state is None and not top.generation and own.identity is not None:
            await self.choose(0)
            self._tell(KeyNews("recovery", own.user, "Write down your recovery code: /recovery shows it."))
        label = self.label
        if label is not None and label.generation > top.generation:
            return label
        if label is not None and (part := _opened(label, top)) is not None and self.is_ours(part):
            if label.generation != top.generation or own.identity is None or not self._is_taken:
                await self.adopt(replace(label, generation=top.generation), top)
            return self.label
        if await self._handed(top):
            return self.label
        if top.generation and own.identity is not None:
            self.report(_LOCKED)
        return None

    async def choose(self, above: int) -> str:
        """A new code for a generation above this one, durable before anybody sees it."""
        chance = self._surroundings.chance
        if above > _HIGHEST - _STEPS:
            raise BadKey("the server shows a backup that nothing can take the place of")
        # By a step of chance, so that two devices that do this at once do not share a generation.
        state = _State(code=recovery.made(chance), generation=above + 1 + number(chance, 2), trust=b"", taken=True)
        await self._keep(state)
        return state.code

    async def adopt(self, label: Label, top: Restored) -> None:
        """Take over the backup that is there. Raises Unreadable, BadKey where it is of another identity."""
        part = part_in(top.data, label)
        if not self.is_ours(part):
            raise BadKey(ANOTHER)
        state = _State(code=label.code, generation=label.generation, trust=_digest(part), taken=False)
        await self._keep(state)
        await self.take_top(part)
        await self._keep(replace(state, taken=True))

    async def assume(self, code: str) -> None:
        """This may be the code of the backup at the server, or the one that there is to be. Raises Refused."""
        if self._state is None:
            await self._keep(_State(code=code, generation=1, trust=b"", taken=True))

    async def _keep(self, state: _State) -> None:
        if self._state is None or (self._state.generation, self._state.code) != (state.generation, state.code):
            self._shelf.forget()
        await self._keyring.now(Drawer.BACKUP, ONLY, sealed.packed(state))
        self._state = state

    # The first part

    async def _put_top(self, top: Restored, label: Label, own: Own) -> bool:
        """Put the identity and whom the user trusts, where that is not there, or has changed here."""
        assert self._state is not None
        part = self.top(own)
        if top.generation == label.generation:
            if _digest(part) == self._state.trust:
                return False
            there = part_in(top.data, label)
            mine = {user for user, *_ in part.trusted or ()}
            others = tuple(row for row in there.trusted or () if row[0] not in mine)
            part = replace(part, trusted=((*(part.trusted or ()), *others)[:_TRUSTED]) or None)
        await self._shelf.put(TOP, locked(part, label), label)
        await self._keep(replace(self._state, trust=_digest(self.top(own))))
        return True

    def top(self, own: Own) -> BackupPart:
        """The first part, as this device would put it."""
        assert own.identity is not None
        # Whom he has compared, nobody is to have to compare again.
        trusted = tuple(sorted(self._directory.trusted(), key=lambda row: (not row[2], row[0]))[:_TRUSTED])
        return BackupPart(
            version=VERSION,
            account=own.user,
            time=self.now,
            identity=own.identity.data,
            sessions=(),
            trusted=trusted or None,
        )

    def is_ours(self, part: BackupPart) -> bool:
        """Whether it is of the identity that is here, if one is. Raises BadKey, Unreadable."""
        own = self.own()
        if part.identity is None:
            raise Unreadable("the backup holds no identity")
        theirs = openpgp.Secret.of(part.identity).certificate
        return own.identity is None or own.identity.certificate.fingerprint == theirs.fingerprint

    async def take_top(self, part: BackupPart) -> None:
        """Make the identity and whom the user trusts this device's own, and let it in."""
        if not self.is_ours(part):
            raise BadKey(ANOTHER)
        own = self.own()
        if own.identity is None and part.identity is not None:
            await self._keyring.now(Drawer.IDENTITY, ONLY, part.identity)
        self._directory.restore(part.trusted or ())
        if own.identity is not None and own.listed:
            return
        await self._directory.begin(own.user)
        if not self.own().listed:
            # It was let out once, and nobody takes that back but the user, who has just typed the code.
            await self._directory.approve(own.device.certificate.fingerprint)

    # The code for other devices

    async def put_letter(self, *newcomers: openpgp.Certificate) -> None:
        """Tell the account's other devices, and those that are about to be let in, the code."""
        own, label = self.own(), self.label
        assert label is not None
        known = await self._directory.recipients([own.user])
        readers = {each.certificate.fingerprint: each.certificate for each in known.devices}
        readers |= {each.fingerprint: each for each in (*newcomers, own.device.certificate)}
        said = Recovery(version=VERSION, account=own.user, generation=label.generation, code=label.code)
        await self._shelf.put(LETTER, handing.letter(said, list(readers.values()), own.device), label)

    async def _handed(self, top: Restored) -> bool:
        """Take over the code that another device of this account has told this one; whether there was one."""
        own = self.own()
        if top.count <= LETTER or not own.listed:
            return False
        found = await self._shelf.fetch(LETTER)
        for each in (await self._directory.recipients([own.user])).devices:
            said = handing.said(found.data, own.device, each.certificate)
            if said is None or (said.account, said.generation) != (own.user, top.generation):
                continue
            label, is_known = Label(own.user, said.generation, said.code), self._state is not None
            if (part := _opened(label, top)) is None or not self.is_ours(part):
                continue
            await self.adopt(label, top)
            if is_known:
                text = "Another device of yours has made a new recovery code: /recovery shows it."
                self._tell(KeyNews("recovery", own.user, text))
            return True
        return False


def _opened(label: Label, top: Restored) -> BackupPart | None:
    """The first part, if it is locked with this code."""
    try:
        return part_in(top.data, label)
    except SealError:
        return None


def _digest(part: BackupPart) -> bytes:
    """Of whom the user trusts."""
    trusted = tuple(sorted(part.trusted or ())) or None
    return hashlib.sha256(sealed.packed(replace(part, time=0, identity=None, trusted=trusted))).digest()
