"""Messages: what is said, stored once in a room's log, acknowledged and fetched again. (spec 06-messages)"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import Any

from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.fields import (
    ATTACHED_NAME,
    BODY,
    CID,
    COUNT,
    DEVICE,
    EPOCH,
    FILE,
    FILE_SIZE,
    MILLISECONDS,
    ROOM,
    SEQ,
    SHORT,
    USER,
    USERS,
)
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Uint

_ROOM_CARRYING = Via.CONTROL | Via.ROOM
_ASKED = Via.CONTROL | Via.QUERY
PAGE = 200
#: Messages in one MSG_SEND_MANY, at most.
MANY = 64
#: The longest body of a message, in bytes; what does not fit `text` is uploaded first and attached.
LONGEST = 1_048_576
#: Files in one message.
ATTACHED = 16
#: The media type of the attachment that is the whole of a text whose beginning stands in `text`.
WHOLE = "text/plain;whole"
#: The media type of an attachment that is a directory: an archive (POSIX.1-2001 pax), unpacked where it arrives.
DIRECTORY = "application/x-tar;directory"

#: The longest sealed body (wire/sealed.py): it fits a frame with all that travels around it.
SEALED_BYTES = 49_152
SEALED = Bytes(SEALED_BYTES, 1)
_ATTACHMENTS = Array(Tuple((FILE, FILE_SIZE, SHORT, ATTACHED_NAME, MILLISECONDS)), ATTACHED)
#: Rows [file, bytes, media type, name or "", modified or 0].
Attachments = tuple[tuple[bytes, int, str, str, int], ...]


class Kind(IntEnum):
    """What an event in a room's log is."""

    TEXT = 1
    EMOTE = 2
    NOTICE = 3
    CODE = 4
    FILE = 5
    EDIT = 6
    RETRACT = 7
    REACT = 8
    JOIN = 9
    LEAVE = 10
    TOPIC = 11
    ROLE = 12
    KEY = 13
    PIN = 14


#: The kinds that say something of their own, and those that are about one earlier event, named in `refs`.
SAID = frozenset({Kind.TEXT, Kind.EMOTE, Kind.NOTICE, Kind.CODE, Kind.FILE})
ABOUT = frozenset({Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN})
#: What a client may post; the other kinds are facts that the server records.
POSTABLE = SAID | ABOUT | {Kind.KEY}
#: The kinds of version 1; to a version-1 client every other one is a notice with its fallback text.
KINDS_OF_VERSION_1 = frozenset({Kind.TEXT, Kind.NOTICE})


class Recipient(IntEnum):
    """Whether the other side of a direct message was there when it was stored."""

    OFFLINE = 0
    ONLINE = 1


class Window(IntEnum):
    """Which part of a log HISTORY asks for, seen from its anchor."""

    BEFORE = 1
    AFTER = 2
    AROUND = 3
    LATEST = 4
    BETWEEN = 5


@pdu(0x30, "MSG_SEND", by=CLIENT, via=_ROOM_CARRYING, section="6.1")
class Post(Pdu):
    """Says something in a room, or to one user; answered by MSG_ACK once it is stored."""

    room: str | None = key(1, ROOM, "which room; else `user`", default=None)
    user: str | None = key(2, USER, "whom to tell; else `room`", default=None)
    cid: bytes = key(3, CID, "random; the same for every retry")
    kind: Kind | None = key(4, Choice(Kind), "text when absent", default=None, since=2)
    text: str = key(5, BODY, "what is said")
    topic: str | None = key(6, Text(128), "thread within the room", default=None, since=2)
    reply: int | None = key(7, SEQ, "place of the message answered", default=None, since=2)
    refs: tuple[int, ...] | None = key(8, Array(SEQ, 32), "places this is about", default=None, since=2)
    mentions: tuple[str, ...] | None = key(9, USERS, "who is named", default=None, since=2)
    attachments: Attachments | None = key(
        10,
        _ATTACHMENTS,
        '[file, bytes, media type, name or "", modified or 0] of what was offered',
        default=None,
        since=2,
    )
    sealed: bytes | None = key(
        11, SEALED, "a `sealed-body` that says it instead of `text`, which is empty then", default=None, since=2
    )
    expires: int | None = key(12, MILLISECONDS, "when to forget it, Unix ms", default=None, since=2)
    sent: int | None = key(13, MILLISECONDS, "the sender's clock, Unix ms", default=None)


@pdu(0x31, "MSG_ACK", by=SERVER, via=_ROOM_CARRYING, section="6.2")
class Posted(Pdu):
    """The message is in the log for good, at this place."""

    cid: bytes = key(1, CID, "of MSG_SEND")
    room: str = key(2, ROOM, "where it is stored")
    seq: int = key(3, SEQ, "its place")
    ts: int = key(4, MILLISECONDS, "when it was stored, server's clock")
    dup: bool | None = key(5, Bool(), "it was there already", default=None)
    recipient: Recipient | None = key(6, Choice(Recipient), "direct messages only", default=None)
    epoch: int | None = key(7, EPOCH, "of the room's log", default=None, since=2)


@pdu(0x32, "MSG", by=SERVER, via=_ROOM_CARRYING, section="6.3")
class Message(Pdu):
    """One event of a room's log; `sender` comes from the server's session, never from the client's PDU."""

    room: str = key(1, ROOM, "which room")
    epoch: int | None = key(2, EPOCH, "of its log", default=None, since=2)
    seq: int = key(3, SEQ, "its place")
    cid: bytes = key(4, CID, "as sent; random for the server's own events")
    sender: str = key(5, USER, "who did it")
    device: bytes | None = key(6, DEVICE, "with which device", default=None, since=2)
    kind: Kind = key(7, Choice(Kind), "what it is")
    ts: int = key(8, MILLISECONDS, "when it was stored, server's clock")
    text: str | None = key(9, BODY, "what was said; of the server's own events words to show (6.3)", default=None)
    topic: str | None = key(10, Text(128), "as sent", default=None, since=2)
    reply: int | None = key(11, SEQ, "as sent", default=None, since=2)
    refs: tuple[int, ...] | None = key(12, Array(SEQ, 32), "as sent", default=None, since=2)
    mentions: tuple[str, ...] | None = key(13, USERS, "as sent", default=None, since=2)
    attachments: Attachments | None = key(14, _ATTACHMENTS, "as sent", default=None, since=2)
    sealed: bytes | None = key(15, SEALED, "as sent, with no entry but this device's own", default=None, since=2)
    expires: int | None = key(16, MILLISECONDS, "as sent", default=None, since=2)
    sent: int | None = key(17, MILLISECONDS, "as sent", default=None)
    by: str | None = key(18, USER, "who made him leave, where it was another", default=None, since=2)
    rank: Rank | None = key(19, Choice(Rank), "of a ROLE event: what who is mentioned is now", default=None, since=2)
    policy: int | None = key(20, Uint(0xFFFF), "of a TOPIC event: what the room's is now", default=None, since=2)


@pdu(0x33, "RECEIPT", by=CLIENT, via=_ROOM_CARRYING, section="6.4", since=2)
class Receipt(Pdu):
    """This device holds, and this user has read, everything up to these places. Not answered."""

    room: str = key(1, ROOM, "which room")
    delivered: int | None = key(2, SEQ, "held by this device", default=None)
    read: int | None = key(3, SEQ, "read by the user", default=None)
    private: bool | None = key(4, Bool(), "nobody else is told what was read", default=None)


@pdu(0x34, "RECEIPT_EVENT", by=SERVER, via=_ROOM_CARRYING, section="6.4", since=2)
class ReceiptEvent(Pdu):
    """How far others have come, told to those whose messages these are; or how far oneself has, on any device."""

    room: str = key(1, ROOM, "which room")
    user: str | None = key(2, USER, "who; absent where only `count` is told", default=None)
    delivered: int | None = key(3, SEQ, "held by a device of his", default=None)
    read: int | None = key(
        4, SEQ, "of others: as far as he lets others see; of oneself: read on any device", default=None
    )
    at: int | None = key(5, MILLISECONDS, "when, server's clock", default=None)
    unread: int | None = key(6, COUNT, "of oneself: events after `read`", default=None)
    mentions: int | None = key(7, COUNT, "of oneself: those after `read` that name one", default=None)
    count: int | None = key(8, COUNT, "in larger rooms: how many hold everything up to `delivered`", default=None)


@pdu(0x35, "MSG_SEND_MANY", by=CLIENT, via=_ROOM_CARRYING, section="6.1", since=2)
class PostMany(Pdu):
    """Several MSG_SEND at once, in order: for each its MSG_ACK, or ERROR with the cid; the whole is answered by OK."""

    posts: tuple[bytes, ...] = key(1, Array(Bytes(65_000, 1), MANY), "bodies of MSG_SEND")


@pdu(0x36, "RECEIPTS", by=CLIENT, via=_ASKED, section="6.4", since=2, replay_safe=True)
class ListReceipts(Pdu):
    """Asks how far the others in a room have come; answered by RECEIPTS_R."""

    room: str = key(1, ROOM, "which room")


@pdu(0x37, "RECEIPTS_R", by=SERVER, via=_ASKED, section="6.4", since=2)
class ReceiptList(Pdu):
    """How far the others have come: by name in small rooms, as a count in larger ones, empty in very large ones."""

    room: str = key(1, ROOM, "which room")
    people: tuple[tuple[str, int, int, int], ...] = key(
        2, Array(Tuple((USER, SEQ, SEQ, MILLISECONDS)), 32), "[user, delivered, read, when]"
    )
    count: int | None = key(3, COUNT, "in larger rooms: how many hold everything", default=None)


@pdu(0x43, "HISTORY", by=CLIENT, via=_ASKED, section="6.5", since=2, replay_safe=True)
class History(Pdu):
    """Asks for a page of a room's log; answered by HISTORY_R."""

    room: str = key(1, ROOM, "which room")
    window: Window = key(2, Choice(Window), "1 before, 2 after, 3 around, 4 latest, 5 between")
    anchor: int | None = key(3, SEQ, "the place to start from; not for latest", default=None)
    limit: int | None = key(4, Uint(PAGE, 1), "events to a page", default=None)
    until: int | None = key(5, SEQ, "only for between: the place where to stop, itself left out", default=None)


@pdu(0x44, "HISTORY_R", by=SERVER, via=_ASKED, section="6.5", since=2)
class HistoryPage(Pdu):
    """A page of a log, ascending; each event is the body of a MSG, byte for byte as it is stored."""

    room: str = key(1, ROOM, "which room")
    epoch: int = key(2, EPOCH, "of its log")
    first: int = key(3, SEQ, "the first place still kept")
    head: int = key(4, SEQ, "the last place taken")
    events: tuple[bytes, ...] = key(5, Array(Bytes(65_536, 1), PAGE), "MSG bodies")


@pdu(0x45, "SEARCH", by=CLIENT, via=_ASKED, section="6.8", since=2)
class Search(Pdu):
    """Asks for messages with all of these words, newest first; answered by SEARCH_R."""

    words: str = key(1, Text(256, 1), "words, or their beginnings with *")
    room: str | None = key(2, ROOM, "where; everywhere one is when absent", default=None)
    after: bytes | None = key(3, Bytes(64, 1), "`next` of the page before", default=None)
    limit: int | None = key(4, Uint(PAGE, 1), "messages to a page", default=None)


@pdu(0x46, "SEARCH_R", by=SERVER, via=_ASKED, section="6.8", since=2)
class Found(Pdu):
    """A page of messages found; each is the body of a MSG."""

    events: tuple[bytes, ...] = key(1, Array(Bytes(65_536, 1), PAGE), "MSG bodies")
    next: bytes | None = key(2, Bytes(64, 1), "to ask for the page that follows; absent after the last", default=None)


@pdu(0x47, "TARGETS", by=CLIENT, via=_ASKED, section="6.9", since=2, replay_safe=True)
class ListTargets(Pdu):
    """Asks for one's conversations and how far they have gone, by name; answered by TARGETS_R."""

    after: str | None = key(1, ROOM, "the last name of the page before", default=None)
    limit: int | None = key(2, Uint(PAGE, 1), "conversations to a page", default=None)


@pdu(0x48, "TARGETS_R", by=SERVER, via=_ASKED, section="6.9", since=2)
class TargetList(Pdu):
    """A page of conversations."""

    targets: tuple[tuple[str, int, int, int, int, int], ...] = key(
        1,
        Array(Tuple((ROOM, EPOCH, SEQ, SEQ, COUNT, COUNT)), PAGE),
        "[room, epoch, head, read by the user himself, events unread (6.4-6), those of them that name one]",
    )
    more: bool = key(2, Bool(), "whether another page follows")


#: The fields that a message has from its post, "as sent".
_AS_SENT = sorted(
    {field.name for field in Post.SPEC.fields} & {field.name for field in Message.SPEC.fields} - {"room", "kind"}
)


def recorded(
    post: Post, *, room: str, epoch: int | None, seq: int, sender: str, ts: int, device: bytes | None = None
) -> Message:
    """The event that a post becomes at its place in the log: every field that both have goes over as it was sent."""
    as_sent: dict[str, Any] = {name: getattr(post, name) for name in _AS_SENT}
    kind = post.kind or Kind.TEXT
    return Message(
        room=room, epoch=epoch, seq=seq, sender=sender, device=device, kind=kind, ts=ts, extra=post.extra, **as_sent
    )


def blanked(message: Message) -> Message:
    """What is left of a message that was taken back."""
    return replace(message, text="", mentions=None, attachments=None, sealed=None, extra=None)


ROWS: Rows = tuple(
    stay(
        (State.READY,),
        *(Post, PostMany, Posted, Message),
        *(Receipt, ReceiptEvent, ListReceipts, ReceiptList),
        *(History, HistoryPage, Search, Found, ListTargets, TargetList),
    )
)
