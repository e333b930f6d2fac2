"""Keys and whom they are of: what a person sees of encryption, and decides. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quicchat.client.e2ee.engine import EndToEnd
from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.provider import NOT_IN, Encryption
from quicchat.client.e2ee.recovery import shown
from quicchat.client.session import Session

if TYPE_CHECKING:
    from quicchat.client.e2ee.core import Core
    from quicchat.client.e2ee.directory import Own, Person, Waiting


class Keys:
    """What `Chat.keys` offers.

    What decides or asks something raises BadKey where this client has no keys, or somebody else has none; and Refused,
    LinkLost as every request.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def here(self) -> bool:
        """Whether this client can have keys at all."""
        return isinstance(self._session.provider, EndToEnd)

    @property
    def reason(self) -> str:
        """Why it has none, with what helps."""
        return self._session.provider.reason

    @property
    def ready(self) -> bool:
        """Whether this device is let in: what others seal for this user, it can read."""
        return (own := self.own) is not None and own.listed

    @property
    def own(self) -> Own | None:
        """This device's keys, once they are made."""
        return self._provider.core.directory.own if self.here else None

    def of(self, user: str) -> Person | None:
        """What is known of a user's keys, without asking anybody."""
        return self._provider.core.directory.person(user) if self.here else None

    def people(self) -> Sequence[Person]:
        """Everybody whose keys are known."""
        return self._provider.core.directory.people() if self.here else ()

    def encryption(self, room: str) -> Encryption:
        """How a conversation stands."""
        return self._session.provider.standing(room)

    async def look(self, room: str) -> Encryption:
        """The same, after the server was asked where that is not known on this connection."""
        await self._session.provider.seals(room)
        return self.encryption(room)

    # Trust

    async def digits(self, user: str) -> str:
        """The 60 digits to compare with a user, in groups."""
        return await self._provider.core.directory.digits(user)

    async def code(self, user: str) -> str:
        """The same for a QR code."""
        return f"quicchat:{user}:{(await self.digits(user)).replace(' ', '')}"

    async def verify(self, user: str, digits: str | None = None) -> None:
        """The digits were compared; with `digits` as the other side shows them. Raises Forged where they differ."""
        await self._provider.core.directory.verify(user, digits)
        self._released()

    async def accept(self, user: str) -> None:
        """Go on with the identity that a user shows now."""
        await self._provider.core.directory.accept(user)
        self._released()

    async def untrust(self, user: str) -> None:
        """It does not count any more that his digits were compared."""
        await self._provider.core.directory.untrust(user)
        self._released()

    # One's own devices

    def waiting(self) -> Sequence[Waiting]:
        """Devices of one's own that are not let in."""
        return self._provider.core.directory.waiting() if self.here else ()

    async def approve(self, fingerprint: bytes) -> None:
        """Let one in, and have it told all that this one knows."""
        await (await self._had()).backup.approve(fingerprint)
        self._released()

    async def remove(self, fingerprint: bytes) -> None:
        """Let one out: it is given nothing from now on."""
        await self._provider.core.directory.remove(fingerprint)
        self._released()

    async def renew(self) -> str:
        """Begin anew with another identity, for whoever has lost every device and the code; everybody is warned.

        The code of its backup, which takes the place of the one that nobody can open.
        """
        core = await self._had()
        await core.directory.renew()
        self._released()
        return shown(await core.backup.renew())

    async def rotate(self, room: str) -> None:
        """What is said there from now on is sealed with a new session."""
        await self._provider.core.sealing.rotate(room)

    # Recovery

    async def recovery(self) -> str:
        """The recovery code, in groups."""
        backup = (await self._had()).backup
        if backup.code is None:
            await backup.begin()
        if (code := backup.code) is None:
            raise BadKey(backup.trouble or NOT_IN)
        return shown(code)

    async def new_recovery(self) -> str:
        """Another code: what the one before opened is made anew with it, and it opens nothing any more."""
        return shown(await (await self._had()).backup.renew())

    async def restore(self, code: str) -> None:
        """Take what the code opens, and let this device in. Raises Unreadable where it is not that of the backup."""
        await (await self._had()).backup.restore(code)
        self._released()

    # The rest

    @property
    def _provider(self) -> EndToEnd:
        provider = self._session.provider
        if not isinstance(provider, EndToEnd):
            raise BadKey(provider.reason)
        return provider

    async def _had(self) -> Core:
        """The same, once this device's keys are ready on this connection."""
        return await self._provider.ready()

    def _released(self) -> None:
        """Something was decided: what is held may go on, and is backed up."""
        self._provider.core.backup.touch()
        self._session.posting.release()
