"""What commands work on, and what several of them need. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Final

from quicchat.client.view import view
from quicchat.errors import Code, Refused
from quicchat.ui.outcomes import Heard
from quicchat.ui.recent import Recent
from quicchat.ui.words import Call, Level, Vocabulary
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import GENERAL, USER_PATTERN, Room, User, direct, parties

if TYPE_CHECKING:
    from quicchat.client.api import Chat
    from quicchat.ui.cargo import Cargo

_NAMED: Final = re.compile(rf"(?<![\w@])@({USER_PATTERN})\b")
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
    #: Whether somebody is there to answer a question.
    asks: bool = False

    @property
    def here(self) -> str:
        """The room that plain text goes to. Raises Refused(NOT_MEMBER)."""
        if not self.room:
            raise Refused(Code.NOT_MEMBER, "You are in no room; /join one, or /join general.")
        return self.room

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
                self.recent.heard(event)
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
        return [Heard(each, self.received.get((each.room, each.epoch, each.seq))) for each in events]

    def named(self, text: str) -> tuple[str, ...] | None:
        """Who is named in a text with `@name`, of those we know."""
        names = dict.fromkeys(name for name in _NAMED.findall(text.lower()) if name in self.chat.state.people)
        return tuple(names)[:_MENTIONS] or None
