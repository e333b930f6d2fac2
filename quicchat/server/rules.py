"""The rules that services and stores share: what follows from what, without asking anybody. (spec 06-messages)"""

from __future__ import annotations

import hmac
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import KINDS_OF_VERSION_1, POSTABLE, SAID, Kind, Message
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Room, User

#: Bytes of the text of a message.
_LONGEST_TEXT: Final = 32_768


def key_digest(store_secret: bytes, room: Room, key: str) -> bytes:
    """What is kept of the key of a room: of use only in this store, and in this room."""
    return hmac.digest(store_secret, f"{room} {key}".encode(), "sha256")


def ranking(by: User, user: User, rank: Rank) -> str:
    """What a ROLE event says to people."""
    return {
        Rank.OUTCAST: f"{by} banned {user}",
        Rank.VISITOR: f"{by} muted {user}",
        Rank.MEMBER: f"{by} made {user} a member",
        Rank.MODERATOR: f"{by} made {user} a moderator",
        Rank.OWNER: f"{by} made {user} an owner",
    }[rank]


def expulsion(by: User, user: User, reason: str) -> str:
    """What a LEAVE event says to people when it was another's doing."""
    return f"{user} was put out by {by}" + (f": {reason}" if reason else "")


def check_about(kind: Kind, sender: User, target: Message | None, *, direct: bool, moderator: bool) -> None:
    """Whether a sender may post an event of this kind about `target`, of the same log. Raises Refused.

    A message that was taken back has no text any more; nothing is about it.
    """
    if target is None or not target.text:
        raise Refused(Code.NO_SUCH_MESSAGE)
    own = target.sender == sender
    allowed = {
        Kind.EDIT: own and target.kind in SAID,
        Kind.RETRACT: target.kind in POSTABLE and (own or (moderator and not direct)),
        Kind.REACT: True,
        Kind.PIN: direct or moderator,
    }
    if target.kind is Kind.RETRACT or not allowed[kind]:
        raise Refused(Code.FORBIDDEN)


def check_cut(file: bytes, size: int, chunk: int) -> None:
    """Whether a file may be cut like this. Raises Refused: there are too many chunks, or nothing is another file."""
    if leaves.count(size, chunk) > leaves.MOST:
        raise Refused(Code.LIMIT, "Cut it into larger chunks.")
    if size == 0 and leaves.root(size, chunk, b"") != file:
        raise Refused(Code.DIGEST)


def is_told_in_version_1(room: str) -> bool:
    """Whether a version-1 client is told of a room at all (spec 06-messages)."""
    return room in (GENERAL, ANNOUNCEMENTS) or room.startswith("@")


def in_version_1(message: Message) -> Message | None:
    """The message as a version-1 client is told it, or None where he is told nothing (spec 06-messages)."""
    if not is_told_in_version_1(message.room):
        return None
    text = _fallback(message)
    changed = text != message.text or message.kind not in KINDS_OF_VERSION_1
    return Message(
        room=message.room,
        seq=message.seq,
        cid=message.cid,
        sender=message.sender,
        kind=Kind.NOTICE if changed else message.kind,
        ts=message.ts,
        text=text,
        sent=message.sent,
    )


def _fallback(message: Message) -> str | None:
    """What an event says to somebody who knows only texts."""
    about = f"#{message.refs[0]}" if message.refs else "a message"
    match message.kind:
        case Kind.RETRACT:
            words = f"{message.sender} took back {about}"
        case _ if not message.text and message.kind in POSTABLE:
            words = f"{message.sender} took back #{message.seq}"
        case Kind.EDIT:
            words = f"{message.sender} corrected {about}: {message.text}"
        case Kind.REACT:
            words = f"{message.sender} reacted to {about}: {message.text}"
        case Kind.PIN:
            words = f"{message.sender} pinned {about}"
        case _:
            return message.text
    return words if len(words) <= _LONGEST_TEXT // 4 else words.encode()[:_LONGEST_TEXT].decode(errors="ignore")
