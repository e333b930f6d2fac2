"""Mutants of sections 6.1 to 6.3: what is taken, its order, and who is told."""

from __future__ import annotations

import asyncio
import itertools
import unicodedata
from dataclasses import replace
from typing import Any

from quicchat.server.adapters.store_memory import about as about_others
from quicchat.server.adapters.store_memory import log
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.state import State
from quicchat.server.router import Router
from quicchat.server.services import messages
from quicchat.server.services.messages import Messages
from quicchat.server.session import Session
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

# What is taken

faulty(
    "6.1-1/room-before-user",
    "Of room and user the room counts, and who names neither speaks in general.",
    *(Messages, "_addressed"),
    ("if (pdu.room is None) == (pdu.user is None):", "if False:"),
    ('direct(actor.name, User(pdu.user or ""))', 'direct(actor.name, User(pdu.user)) if pdu.user else Room("general")'),
    kills="6.1-1/to-both-or-neither",
)
faulty(
    "6.1-1/empty-texts",
    "A message of no words is stored.",
    *(Messages, "_checked"),
    ("not pdu.text and kind is not Kind.RETRACT", "False"),
    kills="6.1-1/nothing-said",
)
faulty(
    "6.1-2/strangers-may-post",
    "Whoever knows the name of a room may post there.",
    *(State, "room_to_post"),
    ("self.room_of(room, sender)", "self.rooms.get(room)"),
    kills="6.1-2/a-room-that-one-is-not-in",
)
faulty(
    "6.1-2/no-such-room",
    "A room that does not exist is refused with NO_SUCH_ROOM.",
    *(State, "_unopened"),
    ("Code.NOT_MEMBER", "Code.NO_SUCH_ROOM if room not in self.rooms else Code.NOT_MEMBER"),
    kills="6.1-2/a-room*",
)
faulty(
    "6.1-2/nobody-is-written-to",
    "A user who does not exist may be written to.",
    *(State, "_unopened"),
    ("if not all(user in self.accounts for user in both)", "if False"),
    kills="6.1-2/no-such-user",
)
faulty(
    "6.1-4/stored-again",
    "A retry is stored once more.",
    *(MemoryLog, "append"),
    ("state.said.get((sender, post.cid))", "None"),
    kills="6.1-4/a-retry-* 6.1-4/the-same-*",
)
faulty(
    "6.1-4/no-dup",
    "The answer to a retry does not say that it is one.",
    *(Messages, "_ack"),
    ("stored.dup or None", "None"),
    kills="6.1-4/a-retry-*",
)
faulty(
    "6.1-4/no-conflict",
    "Whatever comes with a cid that was there is taken for a retry.",
    *(MemoryLog, "append"),
    ("not is_repeat(earlier, room, post)", "False"),
    kills="6.1-4/the-same-cid-for-another-message",
)
faulty(
    "6.1-4/cids-of-all",
    "A cid that anybody has used is taken.",
    *(MemoryLog, "append"),
    ("state.said.get((sender, post.cid))", "next((m for (_, c), m in state.said.items() if c == post.cid), None)"),
    kills="6.1-4/a-cid-is-its-senders",
)
faulty(
    "6.1-5/any-kind",
    "Clients may post what only the server records.",
    *(Messages, "_checked"),
    ("kind not in POSTABLE", "False"),
)
faulty(
    "6.1-5/code-is-text",
    "A message of the kind CODE is stored as a text.",
    *(log, "recorded"),
    ("kind = post.kind or Kind.TEXT", "kind = Kind.TEXT if post.kind in (None, Kind.CODE) else post.kind"),
)
faulty(
    "6.1-7/too-large-to-be-fetched",
    "Whatever came in a frame is stored, though no frame can carry what is stored.",
    *(MemoryLog, "append"),
    ("> BODY_BYTES", "> 1 << 20"),
)
faulty(
    "6.1-8/answers-to-nothing",
    "Nobody looks whether the place that is answered is taken.",
    *(about_others, "check"),
    ("post.reply is not None and not 1 <= post.reply <= head", "False"),
)
faulty(
    "6.1-8/answers-to-itself",
    "A message may answer the place that it is going to have.",
    *(about_others, "check"),
    ("1 <= post.reply <= head", "1 <= post.reply <= head + 1"),
)
faulty(
    "6.1-9/nameless-refusals",
    "Of many posts one that is refused is not named.",
    *(Messages, "post_many"),
    ("detail=post.cid", "detail=None"),
)
faulty(
    "6.1-9/up-to-the-first-refusal",
    "Where one of many posts is refused those behind it are not stored.",
    *(MemoryLog, "append_many"),
    ("outcomes.append(refusal)", "raise"),
)
faulty(
    "6.1-9/the-whole-first",
    "Many posts are answered before each of them is.",
    *(Messages, "post_many"),
    ("return [*effects, Reply(Ok())]", "return [Reply(Ok()), *effects]"),
)
faulty(
    "6.1-10/what-can-be-read",
    "Of many posts those that are none are passed over.",
    *(Messages, "post_many"),
    (
        "posts = [_decoded(body, actor.version) for body in pdu.posts]",
        """posts = []
    for body in pdu.posts:
        try:
            posts.append(_decoded(body, actor.version))
        except Refused:
            continue""",
    ),
)
faulty(
    "6.1-10/none-but-stored",
    "Of many posts those before one that is none are stored.",
    *(Messages, "post_many"),
    (
        "posts = [_decoded(body, actor.version) for body in pdu.posts]",
        """posts = []
    for body in pdu.posts:
        try:
            posts.append(_decoded(body, actor.version))
        except Refused:
            for post in posts:
                await self.post(actor, post)
            raise""",
    ),
)

# Order


@mutant("6.2-2/any-order")
def any_order() -> None:
    """Requests that come at once are stored in any order."""
    counter = itertools.count()

    def make(append: Any) -> Any:
        async def found(self: Any, *words: Any, **named: Any) -> Any:
            if next(counter) % 2:
                await asyncio.sleep(0.002)
            return await append(self, *words, **named)

        return found

    swap(MemoryLog, "append", make)


faulty(
    "6.2-2/twice-the-same-place",
    "Every fifth message is said to be where the one before it is.",
    *(Messages, "_ack"),
    ("seq=message.seq,", "seq=message.seq - (message.seq % 5 == 0),"),
)
faulty(
    "6.2-3/always-there",
    "Whoever is written to is said to be there.",
    *(Messages, "_ack"),
    ("Recipient.ONLINE if online else Recipient.OFFLINE", "Recipient.ONLINE"),
)
faulty(
    "6.2-3/of-rooms-too",
    "The answer tells of a room, too, whether its recipient is there.",
    *(Messages, "_ack"),
    ("recipient = None", "recipient = Recipient.ONLINE"),
)
faulty(
    "6.2-4/echo",
    "The session that has said something is told so.",
    *(messages, "_told"),
    ("but=actor.session", "but=None"),
)


@mutant("6.2-4/one-device-only", "6.2-4/ones-own-message")
def one_device() -> None:
    """What somebody says is told to none of his sessions."""

    def make(push: Any) -> Any:
        def found(self: Session, pdu: Any, encoded: bytes) -> None:
            own = isinstance(pdu, Message) and pdu.kind in SAID and pdu.sender == self._actor.user
            if not own:
                push(self, pdu, encoded)

        return found

    swap(Session, "push", make)


# Who is told what


def _heard_by(who: Any) -> None:
    """`who` says who hears a room: of a router, the room, and those who should hear it."""

    def make(hearers: Any) -> Any:
        return lambda self, room: who(self, room, hearers(self, room))

    swap(Router, "_hearers", make)


@mutant("6.3-1/rooms-to-all", "6.3-1/members-and-no-others")
def to_all() -> None:
    """What is said in a room is told to everybody."""
    _heard_by(lambda self, room, due: due if room[0] == "@" else list(self._users))


@mutant("6.3-1/direct-to-all", "6.3-1/direct-messages")
def direct_to_all() -> None:
    """What two say to each other is told to everybody."""
    _heard_by(lambda self, room, due: list(self._users) if room[0] == "@" else due)


@mutant("6.3-1/announcements-in-the-log-only", "6.3-1/announcements")
def no_announcements() -> None:
    """Announcements are stored, and told to nobody."""
    _heard_by(lambda self, room, due: [] if room == ANNOUNCEMENTS else due)


@mutant("6.3-1/general-in-the-log-only", "6.3-1/the-room-of-everybody")
def no_general() -> None:
    """What is said in general is stored, and told to nobody."""
    _heard_by(lambda self, room, due: [] if room == GENERAL else due)


def _recorded(change: Any) -> None:
    """Have the log record another event than what was posted."""
    swap(log, "recorded", lambda recorded: lambda post, **facts: change(recorded(post, **facts)))


@mutant("6.3-2/no-device", "6.3-2/what-is-the-servers")
def no_device() -> None:
    """A MSG does not tell from which device it is."""
    _recorded(lambda message: replace(message, device=None))


@mutant("6.3-2/another-time", "6.3-2/what-is-the-servers")
def another_time() -> None:
    """MSG_ACK and MSG tell two times of one event."""
    swap(messages, "Posted", lambda made: lambda **fields: made(**{**fields, "ts": fields["ts"] + 1}))


@mutant("6.3-2/unknown-keys-lost", "6.3-2/what-came-is-passed-on")
def unknown_keys() -> None:
    """Keys that the server does not know are not stored."""
    _recorded(lambda message: replace(message, extra=None))


@mutant("6.3-2/no-mentions", "6.3-2/what-came-is-passed-on")
def no_mentions() -> None:
    """Who is named in a message is not told."""
    _recorded(lambda message: replace(message, mentions=None) if message.kind is Kind.CODE else message)


@mutant("6.3-2/normal-forms", "6.3-2/text-is-passed-on")
def normal_forms() -> None:
    """Texts are normalised."""
    _recorded(lambda message: replace(message, text=unicodedata.normalize("NFC", message.text)))


@mutant("6.3-2/clean-texts", "6.3-2/text-is-passed-on")
def clean_texts() -> None:
    """Control characters are taken out of texts."""
    _recorded(lambda message: replace(message, text="".join(c for c in message.text if c >= " " or c in "\n\t")))
