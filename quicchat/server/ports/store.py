"""Accounts, rooms and logs: what is kept for good, in one database. (ARCHITECTURE)

The contract of each port is in its docstring and in `tests/server/test_store_contract.py`, which every
adapter passes. A writing method carries its own precondition: it checks and writes in one transaction, or
raises Refused and writes nothing. It returns only after its transaction is durable. All raise
Refused(STORE_UNAVAILABLE) when the store cannot be used (disk full, closed). Times are Unix ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from quicchat.errors import Refused
from quicchat.server.gaps import Gaps
from quicchat.server.model import (
    Credentials,
    Entered,
    Finds,
    Head,
    Installation,
    Invitation,
    Listed,
    Moved,
    Page,
    Receipts,
    RoomInfo,
    Stored,
    Target,
    Word,
)
from quicchat.wire.chapters.messages import Post, Window
from quicchat.wire.chapters.rooms import Rank
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

    async def set_credentials(
        self, user: User, credentials: Credentials, *, current: bytes | None = None, keep: Device | None = None
    ) -> None:
        """Replace the proof, and end the tokens of all devices but `keep`, as `revoke` does.

        Raises Refused(NO_SUCH_USER), and Refused(AUTH_FAILED) where `current` is not the StoredKey in force.
        """

    async def admit(
        self,
        user: User,
        device: Device,
        name: str,
        *,
        token: bytes | None = None,
        expires: int = 0,
        proven: bytes | None = None,
        at: int,
    ) -> tuple[Head, ...]:
        """Record that a device logged in, and return the heads of all rooms of the user, ascending by name.

        These are the rooms he is a member of, his direct messages, and the standing rooms. `delivered` is this
        device's cursor. A device seen for the first time starts where the user's furthest device stands in each
        room; with no other device, at the place before the user's membership began (so that he gets all since),
        and at 0 in direct messages. `token`, the SHA-256 of a new one, takes the place of the one the device had.
        Raises Refused(NO_SUCH_USER), and Refused(AUTH_FAILED) where `proven` is not the StoredKey in force.
        """

    async def bearer(self, token: bytes, device: Device, *, at: int) -> User:
        """Whose token this is (its SHA-256). Raises Refused(TOKEN_EXPIRED).

        That is the answer for every token that is unknown, replaced, revoked, another device's, or past its time
        by more than `model.TOKEN_SLACK`.
        """

    async def gaps(
        self, user: User, device: Device, *, have: Mapping[Room, tuple[int, int]], outstanding: Sequence[bytes]
    ) -> Gaps:
        """What a device missed that holds `have`, (epoch, place) by room: see `gaps.judged`.

        First the user's rooms by name, then those of `have` that are not his, each as `gaps.lost`. `known` has
        the place of each outstanding cid that is stored, in the order asked.
        """

    async def rotate(
        self, old: bytes, new: bytes, device: Device, name: str, *, expires: int, at: int
    ) -> tuple[Head, ...]:
        """Use a token up and put another in its place; returns the heads as `admit`. An empty name changes nothing.

        Raises Refused(TOKEN_EXPIRED) as `bearer`.
        """

    async def seen(self, user: User, device: Device, *, at: int) -> None:
        """Record that a device was here until now; times never go back. Silent where there is none."""

    async def devices(self, user: User, *, limit: int) -> Sequence[Installation]:
        """The user's devices, those seen last first."""

    async def revoke(self, user: User, device: Device) -> None:
        """End the token of a device, and its waiting to be let in (`Keys`). Silent where there is none."""


class Rooms(Protocol):
    """Which rooms there are, who is in them, and who may do what there. What changes is an event of the room's log.

    A rank belongs to a user and a room, whether he is in or not; without one he is a MEMBER like any other.
    `operator` says that whoever asks stands above all ranks of every room. Where a rank is demanded, those who are
    neither in nor operators are answered NO_SUCH_ROOM, as where there is none and where nobody ranks
    (`model.is_governed`); those who rank too low, or not above whom they would touch, FORBIDDEN.
    """

    async def create(
        self, room: Room, by: User, *, topic: str, policy: int, exclusive: bool = False, cid: bytes, at: int
    ) -> Entered:
        """Make a room with `by` as its only member and its OWNER, which is a JOIN event.

        Raises Refused(ROOM_EXISTS), (FORBIDDEN) for the names of direct messages, (NO_SUCH_USER), (CID_CONFLICT),
        (LIMIT) beyond `model.ROOMS_EACH` rooms, and (ONE_GROUP_ONLY) where rooms are `exclusive` and he is in
        another one that people made.

        A room that ended (see `leave`) and is made again goes on with the next epoch and seq 1.
        """

    async def join(
        self,
        room: Room,
        user: User,
        *,
        make: int | None = None,
        member: bool = False,
        secret: str | None = None,
        operator: bool = False,
        exclusive: bool = False,
        cid: bytes,
        at: int,
    ) -> Entered:
        """Enter a room, which is a JOIN event unless the user was in already.

        Where there is no such room, one with the policy `make` is made, as by `create`; without `make` this
        raises Refused(NO_SUCH_ROOM). Raises Refused(BANNED) to an OUTCAST. Who is neither a MODERATOR nor invited
        needs the room's secret, or is refused FORBIDDEN, and where the room is INVITE_ONLY, NO_SUCH_ROOM. Entering
        uses an invitation up. With `member` nobody enters: who is not in is refused NOT_MEMBER, but as all that enters
        and leaves this is told in its order.
        Raises Refused(LIMIT), (ONE_GROUP_ONLY), (NO_SUCH_USER), (CID_CONFLICT) as `create`.
        """

    async def leave(self, room: Room, user: User, *, cid: bytes, at: int) -> Stored | None:
        """Leave a room; returns the LEAVE event, or None where only an invitation was declined.

        An ephemeral room ends with its last member. Raises Refused(NOT_MEMBER), also where there is no such room,
        Refused(FORBIDDEN) for standing rooms and direct messages, Refused(CID_CONFLICT).
        """

    async def change(
        self,
        room: Room,
        by: User,
        *,
        topic: str | None = None,
        policy: int | None = None,
        secret: str | None = None,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Stored | None:
        """Change what is not None; returns the TOPIC event where there is another topic now, or it is ENCRYPTED now.

        Demands a MODERATOR, for policy and secret an OWNER; these two are refused FORBIDDEN in standing rooms. An
        empty secret is none. Only `rules.key_digest` of it is kept. A policy that `rules.check_policy` does not
        allow is refused FORBIDDEN. Raises Refused(CID_CONFLICT).
        """

    async def invite(self, room: Room, user: User, by: User, *, operator: bool = False, at: int) -> bool:
        """Let a user in; whether that is news: not where he is in or was invited before.

        Demands a MEMBER, in INVITE_ONLY rooms a MODERATOR. Raises Refused(NO_SUCH_USER), (FORBIDDEN) for an
        OUTCAST, and (LIMIT) where `model.INVITATIONS_EACH` wait for him.
        """

    async def invitations(self, user: User) -> Sequence[Invitation]:
        """What waits for a user, by room."""

    async def kick(
        self,
        room: Room,
        user: User,
        by: User,
        *,
        reason: str = "",
        ban: bool = False,
        operator: bool = False,
        cid: bytes,
        at: int,
    ) -> Sequence[Stored]:
        """Put a user out of a room; returns the ROLE event where he is an OUTCAST now, and his LEAVE if he was in.

        Demands a MODERATOR who ranks above him; FORBIDDEN in standing rooms. Raises Refused(NO_SUCH_USER), also
        for one who is not in, unless he is to be banned; (CID_CONFLICT).
        """

    async def set_rank(
        self, room: Room, user: User, by: User, rank: Rank, *, operator: bool = False, cid: bytes, at: int
    ) -> Stored | None:
        """Give a user a rank, not OUTCAST (see `kick`); returns the ROLE event, or None where he had it.

        Demands an OWNER, for VISITOR and MEMBER a MODERATOR, who ranks above him. Raises Refused(NO_SUCH_USER),
        (CID_CONFLICT).
        """

    async def listed(self, user: User, *, after: Room | None, limit: int, operator: bool = False) -> Sequence[Listed]:
        """Rooms by name, without direct messages and announcements, those after `after`.

        INVITE_ONLY rooms are among them only for those who are in, are invited, or need no invitation.
        """

    async def info(self, room: Room, user: User) -> RoomInfo:
        """A room as a member sees it. Raises Refused(NO_SUCH_ROOM) for others and where there is none."""

    async def members(self, room: Room, user: User, *, after: User | None, limit: int) -> Mapping[User, Rank]:
        """Members in the order of their names, asked for by a member. Raises Refused(NO_SUCH_ROOM) as `info`."""

    async def audible(self, user: User) -> frozenset[Room]:
        """The user's rooms of at most `model.PRESENCE_ROOM` members, without direct messages: who hears of him.

        `*` is one of them while there are no more accounts than that.
        """

    async def neighbours(self, user: User) -> Mapping[User, int]:
        """The members of his audible rooms by name, himself included, and when each was last seen; 0 for never."""


class Log(Protocol):
    """The events of every room: appended once, contiguous from 1, read from any place."""

    async def append(
        self, room: Room, sender: User, device: Device, post: Post, *, operator: bool = False, at: int
    ) -> Stored:
        """Store a post at the next place of the room's log, if the sender may speak there.

        An `operator` stands above all ranks of every room that he is in, as in `Rooms`.

        A direct-message room comes into being with its first message. The sender's own cursors in the room
        (delivered, of this device) do not move. The same (sender, cid) again returns what is stored, with `dup`,
        also when it was taken back meanwhile; with another room, kind, text, sealed body or entries, or about another
        event, it raises Refused(CID_CONFLICT). Raises Refused(NOT_MEMBER), also where there is no such room;
        Refused(FORBIDDEN) to a VISITOR; Refused(NO_SUCH_USER) for a direct message to nobody;
        Refused(MSG_TOO_LARGE) for a body that no frame could carry.

        `reply` must be a place taken already, and the one place in `refs` of an EDIT, RETRACT, REACT or PIN one
        whose event `rules.check_about` allows it for: Refused(NO_SUCH_MESSAGE) and (FORBIDDEN). A RETRACT leaves
        nothing of what its target and the corrections of it said, in the log, in the index or in bodies.
        Attachments must be files that the sender may read or has been granted to upload, of that size; the one that
        is the WHOLE of a text must be here: Refused(NO_SUCH_FILE). Whoever may read the event may read them.

        Where the room is ENCRYPTED, `rules.check_sealed` decides what is taken: Refused(SEALED_ONLY). The entries of a
        KEY event are stored apart (`rules.parted`), each for the listed devices of members with that handle, and are
        `Stored.entries`; a handle of none of them makes it Refused(KEYS_STALE). A KEY event is nobody's news: it
        is neither unread nor found.
        """

    async def append_many(
        self, sender: User, device: Device, posts: Sequence[tuple[Room, Post]], *, operator: bool = False, at: int
    ) -> Sequence[Stored | Refused]:
        """As `append` for each in order, in one transaction: what is refused keeps no other from being stored."""

    async def page(
        self,
        room: Room,
        user: User,
        *,
        window: Window,
        anchor: int,
        limit: int,
        budget: int,
        until: int = 0,
        device: Device | None = None,
    ) -> Page:
        """At most `limit` events, and no more than fit `budget` bytes of bodies, but one if there is any.

        `after` gives those above the anchor, nearest first kept; `between` those of them below `until`; `before`
        those below it, nearest kept; `around` both, the anchor included; `latest` the last. KEY events have the
        entry of the user's `device` in them, and no other. Raises Refused(NO_SUCH_ROOM) to non-members.
        """

    async def receipt(
        self,
        room: Room,
        user: User,
        device: Device,
        *,
        delivered: int | None,
        read: int | None,
        private: bool = False,
        at: int,
    ) -> Moved | None:
        """Move cursors forward, never back, and never beyond the head. None where the user is no member.

        A private `read` is nothing that others see.
        """

    async def progress(self, room: Room, user: User) -> Receipts:
        """How far the others in a room have come, by name up to `model.BY_NAME` members; up to `model.COUNTED` as
        the number of members who hold all of it. Raises Refused(NO_SUCH_ROOM) to non-members.
        """

    async def holding(self, room: Room, place: int) -> int:
        """How many members hold everything up to a place, each with one device at least."""

    async def targets(self, user: User, *, after: Room | None, limit: int) -> Sequence[Target]:
        """The user's conversations by name, direct messages and announcements too, those after `after`."""

    async def search(
        self, user: User, words: Sequence[Word], *, room: Room | None, after: bytes | None, limit: int, budget: int
    ) -> Finds:
        """Messages and corrections with all of the words, of the present log of each room that the user is in.

        Newest first, by the places within a room and by the time between rooms; limits as in `page`. Raises
        Refused(NO_SUCH_ROOM) where the user is not in `room`, (SCHEMA) for an `after` that no search returned,
        (UNSUPPORTED) where the store cannot search.
        """
