"""How conversations are protected, as far as a front end asks, and when that is worth a line. (spec 12-operation)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quicchat.ui.outcomes import Here, Sent
from quicchat.ui.seals import encrypts
from quicchat.wire.chapters.messages import SAID, Message

if TYPE_CHECKING:
    from quicchat.client.api import Chat


def encryption(chat: Chat, room: str) -> tuple[str, str]:
    """How what is said in a room is protected, in a word, and why where it is held."""
    found = chat.keys.encryption(room)
    return found.state, found.reason


def is_held(chat: Chat, room: str) -> bool:
    """Whether what is said there waits for somebody's keys."""
    return encryption(chat, room)[0] == "held"


class Keeping:
    """Of which conversations it is known to the person that they are encrypted: those that were so when he came."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._known = {room for room in chat.state.rooms if encryption(chat, room)[0] != "plain"}

    def told(self, outcome: object) -> None:
        """The person was told something, perhaps that."""
        match outcome:
            case Here(room=room, encryption=(state, _)) if state != "plain":
                self._known.add(room)
            case Sent(posted=posted, sealed=True):
                self._known.add(posted.room)

    def is_news(self, message: Message) -> bool:
        """Whether something was said in a conversation that has become encrypted meanwhile, and nobody was told."""
        room = message.room
        if encrypts(message):
            self._known.add(room)
        if room in self._known or message.kind not in SAID or encryption(self._chat, room)[0] != "encrypted":
            return False
        # To one person it is told with what becomes of the message.
        if message.sender == self._chat.state.user and room.startswith("@"):
            return False
        self._known.add(room)
        return True
