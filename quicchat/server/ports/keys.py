"""Keys: what the devices of users say of themselves, kept for others as it came. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quicchat.server.model import Backup, DeviceKey, Published, SignedList, UserKeys
from quicchat.wire.names import Room, User


class Keys(Protocol):
    """The device list of each user, the keys of his devices, and his backup. Nothing here is verified.

    A device whose fingerprint stands in the list is *listed*. Any other *waits* until it is, until its token is
    ended (`Accounts`), or until it was not seen for `model.WAITING_LIFE`.
    """

    async def publish(self, user: User, key: DeviceKey, signed: SignedList | None, *, at: int) -> Published:
        """Keep the key of a device, in the place of the one it had, and a new list, where one comes with it.

        What was listed and is in the new list no more is forgotten, and of more than `model.WAITING_EACH` that
        wait the one that came first. A key that another device of the user had is now this one's. The list that is
        there already, to the byte, may come again. Raises Refused(NO_SUCH_USER); (KEYS_STALE) for a list with no
        higher serial than the one that is there; (FORBIDDEN) for the fingerprint of another device with another
        certificate; (LIMIT) where more than `model.KEYS_SIZE` would have to be told of the user.
        """

    async def of(self, users: Sequence[tuple[User, int]], *, budget: int) -> Sequence[UserKeys]:
        """The keys of users, each with the serial that is held, in their order: as many as fit `budget` bytes, but
        one if there is any. Who does not exist is as one who has none. Certificates stand in the order of the list.
        """

    async def waiting(self, user: User, *, at: int) -> Sequence[DeviceKey]:
        """The user's devices that wait, those that came last first."""

    async def concerned(self, user: User) -> frozenset[Room]:
        """The user's rooms in which it matters to others which devices he has: his direct messages, encrypted
        rooms, and others of at most `model.PRESENCE_ROOM` members.
        """

    async def back_up(self, user: User, generation: int, part: int, data: bytes, *, most: int) -> None:
        """Keep a part of the backup. Part 0 of a higher generation takes the place of all that was there.

        Raises Refused(NO_SUCH_USER); (KEYS_STALE) for a lower generation; (SCHEMA) for a part that does not follow
        those that are there; (QUOTA) where all parts together would have more than `most` bytes.
        """

    async def restore(self, user: User, part: int) -> Backup:
        """A part of the backup; its data is empty where there is none."""
