"""What commands work on, and what several of them need. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from quicchat.client.api import Chat
from quicchat.errors import Code, Refused
from quicchat.ui.cargo import Cargo
from quicchat.ui.outcomes import Heard
from quicchat.ui.words import Vocabulary
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import GENERAL, USER_PATTERN, User, direct

_NAMED: Final = re.compile(rf"(?<![\w@])@({USER_PATTERN})\b")
#: Users that one message may name.
_MENTIONS: Final = 32


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
        return str(direct(User(self.chat.state.user), User(where[1:]))) if where.startswith("@") else where

    def heard(self, events: Sequence[Message]) -> list[Heard]:
        """Messages from a log, with the time they came where they came live."""
        return [Heard(each, self.received.get((each.room, each.epoch, each.seq))) for each in events]

    def named(self, text: str) -> tuple[str, ...] | None:
        """Who is named in a text with `@name`, of those we know."""
        names = dict.fromkeys(name for name in _NAMED.findall(text.lower()) if name in self.chat.state.people)
        return tuple(names)[:_MENTIONS] or None
