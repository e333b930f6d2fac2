"""What end-to-end encryption tells of a message, in words, and what of the message may be shown. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.seal import Opened, Seal
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.chapters.rooms import ENCRYPTED

#: What people are told; of what looks as always, nothing.
_WORDS: Final[Mapping[Seal, str]] = {
    Seal.PLAIN: "(not encrypted)",
    Seal.CHANGED: "(identity changed: /accept {user} or /verify {user})",
    Seal.WAITING: "(waiting for the key; it comes when {user} is online)",
    Seal.HISTORICAL: "(said before this device could read here: /restore)",
    Seal.LOST: "(its key is lost: /restore, or ask {user} to say it again)",
    Seal.FORGED: "(forged: not by {user}; /keys {user} lists his devices)",
}
#: The same in one sign, where there is a column for it.
MARKS: Final[Mapping[Seal, str]] = {
    Seal.PLAIN: "~",
    Seal.CHANGED: "?",
    Seal.WAITING: ".",
    Seal.HISTORICAL: "-",
    Seal.LOST: "x",
    Seal.FORGED: "!",
}
#: What says something in words, its own or in the place of others.
_WORDED: Final = SAID | {Kind.EDIT, Kind.REACT}


def seal_of(message: Message) -> Seal | None:
    """How far it can be trusted; None where its conversation is not encrypted, or it has no words of its own."""
    if not isinstance(message, Opened) or message.kind not in _WORDED:
        return None
    # What was taken back has nothing any more that could be sealed.
    is_gone = message.seal is Seal.PLAIN and not message.text and not message.attachments
    return None if is_gone else message.seal


def is_unread(message: Message) -> bool:
    """Whether its words are not known here, or are not to be believed."""
    return isinstance(message, Opened) and not message.seal.opened


def seen(message: Message) -> Message:
    """The message as it may be shown: nothing that came with it stands for words that are not known."""
    if not is_unread(message):
        return message
    return replace(message, text="", topic=None, reply=None, mentions=None, attachments=None, extra=None)


def told(message: Message) -> str:
    """What people are told of its seal, with the command that helps; empty where it looks as always."""
    seal = seal_of(message)
    return _WORDS.get(seal, "").format(user=message.sender) if seal is not None else ""


def mark(message: Message) -> str:
    """As `told`, in one sign."""
    seal = seal_of(message)
    return MARKS.get(seal, "") if seal is not None else ""


def worded(message: Message) -> str:
    """What it says, behind what is to be known of its seal."""
    return " ".join(filter(None, (told(message), message.text)))


def encrypts(event: Message) -> bool:
    """Whether it tells that its room is encrypted from here on."""
    return event.kind is Kind.TOPIC and bool((event.policy or 0) & ENCRYPTED)


def sealed(messages: Sequence[Message]) -> list[Message]:
    """Those whose words the server does not know."""
    return [each for each in messages if isinstance(each, Opened) and each.sealed is not None]


def shown(messages: Sequence[Message]) -> list[Message]:
    """Those of a list that people read: keys of sessions are for programs."""
    return [each for each in messages if each.kind is not Kind.KEY]
