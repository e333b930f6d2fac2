"""What services need from outside: every method a use case, each writing one a transaction. (ARCHITECTURE)

The contract of each port is in its docstring and in `tests/server/test_store_contract.py`, which every
adapter passes. A writing method carries its own precondition: it checks and writes in one transaction, or
raises Refused and writes nothing. It returns only after its transaction is durable. All raise
Refused(STORE_UNAVAILABLE) when the store cannot be used (disk full, closed). Times are Unix ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quicchat.server.model import Actor, Credentials, Head, Listed, Page, RoomInfo, SessionId, Standing, Stored
from quicchat.wire.chapters.messages import Post, Window
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import Device, Room, User


class Accounts(Protocol):
    """Who exists, and with what proof."""

    async def secret(self) -> bytes:
        """32 random bytes that stay the same for this store: they make the salts of unknown users."""

    async def is_empty(self) -> bool:
        """Whether there is no account at all."""

    async def sign_up(self, user: User, credentials: Credentials, *, at: int) -> tuple[Stored, ...]:
        """Make an account and enter it into the standing rooms `general` and `*`.

        Returns the JOIN event written to `general`; there is none for `*`. Raises Refused(NAME_TAKEN).
        """

    async def credentials(self, user: User) -> Credentials | None:
        """The proof of an account, or None where there is no such user."""

    async def set_credentials(self, user: User, credentials: Credentials) -> None:
        """Replace the proof. Raises Refused(NO_SUCH_USER)."""

    async def admit(self, user: User, device: Device, name: str, *, at: int) -> tuple[Head, ...]:
        """Record that a device logged in, and return the heads of all rooms of the user, ascending by name.

        These are the rooms he is a member of, his direct messages, and the standing rooms. `delivered` is this
        device's cursor. A device seen for the first time starts where the user's furthest device stands in each
        room; with no other device, at the place before the user's membership began (so that he gets all since),
        and at 0 in direct messages. Raises Refused(NO_SUCH_USER).
        """


class Rooms(Protocol):
    """Which rooms there are and who is in them. Membership changes are events of the room's log."""

    async def create(self, room: Room, by: User, *, topic: str, policy: int, cid: bytes, at: int) -> Stored:
        """Make a room with `by` as its only member; returns the JOIN event.

        Raises Refused(ROOM_EXISTS), (FORBIDDEN) for the names of direct messages, (NO_SUCH_USER), (CID_CONFLICT),
        and (LIMIT) beyond `model.ROOMS_EACH` rooms.

        A room that ended (see `leave`) and is made again goes on with the next epoch and seq 1.
        """

    async def join(self, room: Room, user: User, *, make: int | None = None, cid: bytes, at: int) -> Stored | None:
        """Enter a room; returns the JOIN event, or None when the user was in already.

        Where there is no such room, one with the policy `make` is made, as by `create`; without `make` this
        raises Refused(NO_SUCH_ROOM). Raises Refused(LIMIT) beyond `model.ROOMS_EACH` rooms, (NO_SUCH_USER),
        (CID_CONFLICT).
        """

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored:
        """Leave a room; returns the LEAVE event. An ephemeral room ends with its last member.

        Raises Refused(NOT_MEMBER), also where there is no such room, Refused(FORBIDDEN) for standing rooms and
        direct messages, Refused(CID_CONFLICT).
        """

    async def listed(self, user: User, *, after: Room | None, limit: int) -> Sequence[Listed]:
        """Rooms by name, without direct messages and announcements, those after `after`."""

    async def info(self, room: Room, user: User) -> RoomInfo:
        """A room as a member sees it. Raises Refused(NO_SUCH_ROOM) for others and where there is none."""

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Sequence[User]:
        """Members by name, asked for by a member. Raises Refused(NO_SUCH_ROOM) as `info`."""

    async def audible(self, user: User) -> frozenset[Room]:
        """The user's rooms of at most `model.PRESENCE_ROOM` members, without direct messages: who hears of him.

        `*` is one of them while there are no more accounts than that.
        """


class Log(Protocol):
    """The events of every room: appended once, contiguous from 1, read from any place."""

    async def append(self, room: Room, sender: User, device: Device, post: Post, *, at: int) -> Stored:
        """Store a post at the next place of the room's log, if the sender may speak there.

        A direct-message room comes into being with its first message. The sender's own cursors in the room
        (delivered, of this device) do not move. The same (sender, cid) again returns what is stored, with `dup`;
        with another room, kind or text it raises Refused(CID_CONFLICT). Raises Refused(NOT_MEMBER), also where
        there is no such room; Refused(NO_SUCH_USER) for a direct message to nobody; Refused(MSG_TOO_LARGE) for
        a body that no frame could carry.
        """

    async def page(self, room: Room, user: User, *, window: Window, anchor: int, limit: int, budget: int) -> Page:
        """At most `limit` events, and no more than fit `budget` bytes of bodies, but one if there is any.

        `after` gives those above the anchor, nearest first kept; `before` those below it, nearest kept;
        `around` both, the anchor included; `latest` the last. Raises Refused(NO_SUCH_ROOM) to non-members.
        """

    async def receipt(self, room: Room, user: User, device: Device, *, delivered: int | None, read: int | None) -> None:
        """Move cursors forward, never back, and never beyond the head. Silent where the user is no member."""


class Roster(Protocol):
    """Who is here now: soft state, in memory, that counts only while this process lives."""

    def arrive(self, actor: Actor, *, at: int) -> None:
        """A session of a user began; he is online, unless he said something else with another one."""

    def depart(self, session: SessionId) -> None:
        """A session ended; unknown ones are passed over."""

    def sessions(self, user: User) -> Sequence[Actor]:
        """The user's sessions, oldest first."""

    def set(self, user: User, show: Show, status: str | None, *, at: int) -> None:
        """What the user says of himself; forgotten with his last session."""

    def standing(self, user: User) -> Standing:
        """How the user appears to others."""


class Clock(Protocol):
    """Time of day and waiting; nothing in the core reads a clock of its own."""

    def now(self) -> int:
        """Unix time in ms."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def random(self, size: int) -> bytes:
        """Unpredictable bytes."""
