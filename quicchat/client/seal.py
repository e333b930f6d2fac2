"""How far what was said can be trusted: what end-to-end encryption tells of a message. (spec 15-keys)"""

from __future__ import annotations

from dataclasses import field, fields
from enum import IntEnum
from typing import Any

from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Message
from quicchat.wire.registry import Pdu


class Seal(IntEnum):
    """What is known of a sealed message; of those from WAITING on the words are not known here."""

    #: In plain, in a conversation that is encrypted: anybody on its way may have written or read it.
    PLAIN = 0
    #: By a device of a verified user; by one whose identity was pinned when it was first seen; by oneself.
    VERIFIED = 1
    PINNED = 2
    OWN = 3
    #: By a device of somebody whose identity has changed, and nobody has looked at that yet.
    CHANGED = 4
    #: The key of its session has not come, and may come yet.
    WAITING = 16
    #: It was said before this device could read there: only a backup, or another device of one's own, has its key.
    HISTORICAL = 17
    #: Its key will not come any more.
    LOST = 18
    #: It is not what it claims to be: altered, moved, repeated, or by a device that its sender has not signed.
    FORGED = 19

    @property
    def opened(self) -> bool:
        """Whether the words are known."""
        return self < Seal.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Message):
    """A message of an encrypted conversation: what it says where that is known, and how far that can be trusted.

    On the wire it is the message it came as.
    """

    seal: Seal = field(default=Seal.FORGED)


def opened(event: Message, seal: Seal, **said: Any) -> Opened:
    """The event with what it says."""
    facts: dict[str, Any] = {each.name: getattr(event, each.name) for each in fields(Pdu) + fields(Message)}
    return Opened(**{**facts, **said, "seal": seal})
