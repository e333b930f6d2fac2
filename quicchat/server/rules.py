"""The rules that services and stores share: what follows from what, without asking anybody. (spec 06-messages)"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.server.model import SignedList, UserKeys
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import KINDS_OF_VERSION_1, POSTABLE, SAID, Kind, Message, Post
from quicchat.wire.chapters.rooms import ENCRYPTED, Rank
from quicchat.wire.codec import decode_body, encode_body
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from quicchat.wire.sealed import Sealed, packed, unpacked

#: Bytes of the text of a message.
_LONGEST_TEXT: Final = 32_768
#: What version 1 is told instead of what it cannot open.
_SEALED: Final = "(encrypted message)"
_KEYS: Final = "(keys of encrypted messages)"
#: Kinds that a room takes in plain though it is encrypted: they have no words of their own.
_WORDLESS: Final = frozenset({Kind.RETRACT, Kind.PIN, Kind.KEY})


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
    if target is None or is_blank(target):
        raise Refused(Code.NO_SUCH_MESSAGE)
    own = target.sender == sender
    allowed = {
        Kind.EDIT: own and target.kind in SAID,
        Kind.RETRACT: target.kind in POSTABLE and (own or (moderator and not direct)),
        Kind.REACT: True,
        Kind.PIN: direct or moderator,
    }
    if target.kind in (Kind.RETRACT, Kind.KEY) or not allowed[kind]:
        raise Refused(Code.FORBIDDEN)


def is_blank(message: Message) -> bool:
    """Whether nothing is left of what was said: it was taken back, or takes something back."""
    return not message.text and message.sealed is None


def is_repeat(message: Message, room: Room, post: Post) -> bool:
    """Whether a stored message, or what is left of it, is what is posted again, and not another under the same cid.

    A post is compared as it was stored, without its entries (`parted`).
    """
    kind = post.kind or Kind.TEXT
    about = kind in SAID or message.refs == post.refs
    same = is_blank(message) or (message.text, message.sealed) == (post.text, post.sealed)
    return (message.room, message.kind) == (room, kind) and same and about


def check_sealed(policy: int, post: Post) -> None:
    """Whether a room of this policy takes a post as it is. Raises Refused(SEALED_ONLY)."""
    if policy & ENCRYPTED and post.sealed is None and post.kind not in _WORDLESS:
        raise Refused(Code.SEALED_ONLY)


def check_policy(before: int, after: int) -> None:
    """Whether a room's policy may change like this. Raises Refused(FORBIDDEN)."""
    if before & ENCRYPTED and not after & ENCRYPTED:
        raise Refused(Code.FORBIDDEN, "A room that is encrypted stays so.")


def encrypts(before: int, after: int | None) -> bool:
    """Whether a change of its policy makes a room encrypted."""
    return after is not None and bool(after & ~before & ENCRYPTED)


def opened(sealed: bytes) -> Sealed:
    """A sealed body. Raises Refused(SCHEMA)."""
    try:
        return unpacked(Sealed, sealed)
    except RemoteProtocolError as error:
        raise Refused(Code.SCHEMA, error.text) from error


def parted(post: Post) -> tuple[Post, Mapping[int, bytes]]:
    """A post as it is stored, and its entries, which are stored beside it. Raises Refused(SCHEMA).

    Only a KEY event has any; no other body is opened.
    """
    if post.kind is not Kind.KEY or post.sealed is None:
        return post, {}
    sealed = opened(post.sealed)
    return replace(post, sealed=packed(replace(sealed, entries=None))), sealed.entries or {}


def check_entries(entries: Mapping[int, bytes], found: Mapping[tuple[User, Device], int]) -> None:
    """Whether each handle is that of a device that was found. Raises Refused(KEYS_STALE)."""
    if entries.keys() - set(found.values()):
        raise Refused(Code.KEYS_STALE)


def told(user: User, signed: SignedList, certificates: Mapping[bytes, bytes]) -> UserKeys:
    """What is told of a user who has this list; `certificates` of his devices are by fingerprint."""
    return UserKeys(
        user=user,
        serial=signed.serial,
        identity=signed.identity,
        devices=signed.devices,
        signature=signed.signature,
        certificates=tuple(certificates[each] for each in signed.fingerprints if each in certificates),
    )


def addressed(
    message: Message, entries: Mapping[tuple[User, Device], tuple[int, bytes]]
) -> dict[tuple[User, Device], Message]:
    """A KEY event as each of these devices is given it: with its own entry and no other."""
    if not entries or message.sealed is None:
        return {}
    sealed = opened(message.sealed)
    return {
        device: replace(message, sealed=packed(replace(sealed, entries={handle: packet})))
        for device, (handle, packet) in entries.items()
    }


def filled(body: bytes, handle: int, packet: bytes) -> bytes:
    """A stored body as a device is given it for which the event has an entry."""
    message = decode_body(Message, body, version=2)
    sealed = replace(opened(message.sealed or b""), entries={handle: packet})
    return encode_body(replace(message, sealed=packed(sealed)), version=2)


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
    text = message.text if message.sealed is None else _SEALED
    match message.kind:
        case Kind.RETRACT:
            words = f"{message.sender} took back {about}"
        case _ if not text and message.kind in POSTABLE:
            words = f"{message.sender} took back #{message.seq}"
        case Kind.EDIT:
            words = f"{message.sender} corrected {about}: {text}"
        case Kind.REACT:
            words = f"{message.sender} reacted to {about}: {text}"
        case Kind.PIN:
            words = f"{message.sender} pinned {about}"
        case Kind.KEY:
            return _KEYS
        case _:
            return text
    return words if len(words) <= _LONGEST_TEXT // 4 else words.encode()[:_LONGEST_TEXT].decode(errors="ignore")
