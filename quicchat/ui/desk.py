"""What commands work on, and what several of them need. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Final

from quicchat.client.e2ee.faults import SealError
from quicchat.client.view import view
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.ui.keeping import encryption
from quicchat.ui.outcomes import Heard
from quicchat.ui.recent import Recent
from quicchat.ui.seals import sealed, seen
from quicchat.ui.slots import Level
from quicchat.ui.words import Call, Vocabulary
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import PAGE, Message
from quicchat.wire.names import GENERAL, USER_PATTERN, Room, User, direct, parties

if TYPE_CHECKING:
    from quicchat.client.api import Chat
    from quicchat.client.e2ee.api import Keys
    from quicchat.ui.cargo import Cargo

_NAMED: Final = re.compile(rf"(?<![\w@])@({USER_PATTERN})\b")
#: Messages that are read again at most, once they can be.
_REREAD: Final = 2_000
#: Users that one message may name.
_MENTIONS: Final = 32
#: Events that are looked through for the last message of somebody who said nothing since we came.
_LOOKED: Final = 100


@dataclass(slots=True)
class Desk:
    """What commands work on: the connection, and the room that plain text goes to."""

    chat: Chat
    words: Vocabulary
    cargo: Cargo
    #: None was entered where it is empty.
    room: str = GENERAL
    #: When messages came here (Unix ms), by [room, epoch, seq].
    received: Mapping[tuple[str, int | None, int], int] = field(default_factory=dict)
    #: `host:port` of the server.
    place: str = ""
    #: The rooms in which files of a name were announced since we came.
    announced: Mapping[str, set[str]] = field(default_factory=dict)
    #: Who spoke in a room since we came, the last one last.
    spoke: Mapping[str, Mapping[str, None]] = field(default_factory=dict)
    #: What of rooms is announced of which nobody said anything.
    notify: Level = "mentions"
    #: What was said last in each room since we came.
    recent: Recent = field(default_factory=Recent)
    #: The safety numbers that were shown since we came, by the user of each.
    numbers: dict[str, str] = field(default_factory=dict)
    #: Whether somebody is there to answer a question.
    asks: bool = False

    @property
    def here(self) -> str:
        """The room that plain text goes to. Raises Refused(NOT_MEMBER)."""
        if not self.room:
            raise Refused(Code.NOT_MEMBER, "You are in no room; /join one, or /join general.")
        return self.room

    @property
    def keys(self) -> Keys:
        """The keys of this device and of others. Raises Refused where this client has none."""
        if not self.has_keys:
            raise Refused(Code.UNSUPPORTED, self.chat.keys.reason)
        return self.chat.keys

    @property
    def has_keys(self) -> bool:
        """Whether this client can seal and open anything."""
        return self.chat.keys.here

    def encryption(self, room: str) -> tuple[str, str]:
        """How what is said in a room is protected, in a word, and why where it is held."""
        return encryption(self.chat, room)

    async def look(self, room: str) -> tuple[str, str]:
        """The same, after the server was asked for keys that are not known yet; without a connection as it is known."""
        with suppress(Refused, LinkLost, LocalProtocolError, SealError):
            await self.chat.keys.look(room)
        return self.encryption(room)

    def trust(self, user: str) -> str:
        """How far somebody is trusted, in a word; empty where nothing is known of his keys."""
        person = self.keys.of(user) if self.has_keys else None
        return person.trust.name.lower() if person is not None else ""

    def log(self, where: str | None) -> str:
        """The room of a place as people type it: a room, `@user`, `*`, or None for here. Raises Refused."""
        if where is None:
            return self.here
        if where.startswith("@"):
            return self._between(where[1:])
        state = self.chat.state
        # A user's name stands for the conversation with him, unless a room of ours is called so.
        return self._between(where) if where in state.people and where not in state.rooms else where

    async def meant(self, call: Call, room: str, *, own: bool | None) -> tuple[int, str]:
        """The message that a call is about, as [place, sender]; the sender is empty where the place was typed.

        Else it is the last one of the room: one's own, with `own=False` of somebody else, with None of anybody; the
        same one however often the call is tried. Raises Refused where there is none.
        """
        if (typed := call.get("seq")) is not None:
            return int(typed), ""
        user = self.chat.state.user
        if (found := self.recent.chosen(call.cid)) is None:
            found = self.recent.last(room, user, own=own)
        if found is None:
            said = view(await self.chat.history(room, limit=_LOOKED)).said.values()
            for event in [each.event for each in said if each.event is not None and each.retracted is None]:
                self.recent.heard(seen(event))
            found = self.recent.last(room, user, own=own)
        if found is None:
            whose = {True: "You said nothing", False: "Nobody else said anything", None: "Nobody said anything"}[own]
            raise Refused(Code.NO_SUCH_MESSAGE, f"{whose} here lately; /history shows places to name, such as #12.")
        self.recent.choose(call.cid, found)
        return found

    def peer(self, room: str) -> str | None:
        """With whom a conversation is, oneself perhaps; None where it is a room of many."""
        both = parties(Room(room))
        return None if both is None else str(next(iter(both - {User(self.chat.state.user)}), self.chat.state.user))

    def _between(self, user: str) -> str:
        return str(direct(User(self.chat.state.user), User(user)))

    def heard(self, events: Sequence[Message]) -> list[Heard]:
        """Messages from a log, with the time they came where they came live."""
        return [Heard(seen(each), self.received.get((each.room, each.epoch, each.seq))) for each in events]

    def named(self, text: str) -> tuple[str, ...] | None:
        """Who is named in a text with `@name`, of those we know."""
        names = dict.fromkeys(name for name in _NAMED.findall(text.lower()) if name in self.chat.state.people)
        return tuple(names)[:_MENTIONS] or None

    async def search(self, words: str, room: str | None, limit: int) -> Sequence[Message]:
        """Messages with all of these words, newest first: what the server finds, and what only this device can read.

        Without a connection it is what this device keeps. Raises Refused.
        """
        if self.room and self.encryption(self.room)[0] != "plain":
            # The words would tell the server what is spoken of here.
            return await self.chat.search_here(words, room, limit)
        try:
            found = await self.chat.search(words, room, limit)
        except (LinkLost, LocalProtocolError):
            return await self.chat.search_here(words, room, limit)
        with suppress(Refused):
            found = [*found, *sealed(await self.chat.search_here(words, room, limit))]
        return sorted(found, key=lambda each: each.ts, reverse=True)[:limit]

    async def reread(self, room: str, seqs: Collection[int]) -> list[Heard]:
        """Messages at these places, the newest where they are many; what cannot be had now is read another time."""
        wanted = set(sorted(seqs)[-_REREAD:])
        found: list[Message] = []
        with suppress(Refused, LinkLost, LocalProtocolError):
            while wanted:
                page = await self.chat.past(room, max(wanted) + 1, PAGE)
                if not page:
                    break
                found += [each for each in page if each.seq in wanted]
                wanted = {seq for seq in wanted if seq < page[0].seq}
        return self.heard(sorted(found, key=lambda each: each.seq))
