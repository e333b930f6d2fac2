"""Messages: stored first, then acknowledged, then told to those concerned. (spec 06-messages)"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.server import model, rules
from quicchat.server.effects import Deliver, Effect, Effects, InRooms, Reply, Tell, Then
from quicchat.server.handler import handles
from quicchat.server.model import Actor, Policy, SessionId, Stored
from quicchat.server.ports import Clock, Log, Roster
from quicchat.wire import codec
from quicchat.wire.chapters.messages import (
    ABOUT,
    LONGEST,
    POSTABLE,
    SAID,
    WHOLE,
    Kind,
    Message,
    Post,
    Posted,
    PostMany,
    Recipient,
)
from quicchat.wire.chapters.session import Error, Ok
from quicchat.wire.names import ANNOUNCEMENTS, PARROT, Device, Room, User, direct, parties

#: Bytes of the text of a reaction.
REACTION = 64
#: What can be said in `sealed`.
SEALABLE = SAID | {Kind.EDIT, Kind.REACT, Kind.KEY}
#: Media type, name and time of a sealed file, whatever it is.
NEUTRAL = ("application/octet-stream", "", 0)


class Messages:
    """Posting, one by one or many at once."""

    def __init__(self, log: Log, roster: Roster, clock: Clock, policy: Policy) -> None:
        self._log = log
        self._roster = roster
        self._clock = clock
        self._policy = policy

    @handles(Post)
    async def post(self, actor: Actor, pdu: Post) -> Effects:
        room = self._checked(actor, pdu)
        operator, now = actor.name in self._policy.operators, self._clock.now()
        stored = await self._log.append(room, actor.name, actor.device, pdu, operator=operator, at=now)
        return [Reply(self._ack(actor, stored)), *_told(actor, stored)]

    @handles(PostMany)
    async def post_many(self, actor: Actor, pdu: PostMany) -> Effects:
        outcomes: list[Stored | Refused | None] = []
        asked: list[tuple[Room, Post]] = []
        posts = [_decoded(body, actor.version) for body in pdu.posts]
        for post in posts:
            try:
                asked.append((self._checked(actor, post), post))
                outcomes.append(None)
            except Refused as refusal:
                outcomes.append(refusal)
        operator, now = actor.name in self._policy.operators, self._clock.now()
        stored = iter(await self._log.append_many(actor.name, actor.device, asked, operator=operator, at=now))
        effects: list[Effect] = []
        for post, refused in zip(posts, outcomes, strict=True):
            outcome = refused or next(stored)
            if isinstance(outcome, Refused):
                effects.append(Tell(replace(Error.about(outcome.code, outcome.text), detail=post.cid)))
            else:
                effects += [Tell(self._ack(actor, outcome)), *_told(actor, outcome)]
        return [*effects, Reply(Ok())]

    def _checked(self, actor: Actor, pdu: Post) -> Room:
        """The room a post is for. Raises Refused where no store has to be asked to say no."""
        room = self._addressed(actor, pdu)
        kind = pdu.kind or Kind.TEXT
        if kind not in POSTABLE:
            raise Refused(Code.FORBIDDEN, "Only the server records such events.")
        if pdu.sealed is not None:
            self._check_sealed(kind, pdu, pdu.sealed)
            if room == ANNOUNCEMENTS:
                raise Refused(Code.FORBIDDEN, "Announcements are for everybody to read.")
        elif kind is Kind.KEY:
            raise Refused(Code.SCHEMA, "Keys are sealed.")
        elif not pdu.text and kind is not Kind.RETRACT:
            raise Refused(Code.SCHEMA, "An empty message says nothing.")
        self._check_files(kind, pdu)
        if kind not in ABOUT:
            return room
        if len(pdu.refs or ()) != 1:
            raise Refused(Code.SCHEMA, "It must name the one message that it is about.")
        if kind is Kind.REACT and len(pdu.text.encode()) > REACTION:
            raise Refused(Code.SCHEMA, f"A reaction has {REACTION} bytes at most.")
        if kind is not Kind.EDIT and (pdu.attachments or pdu.mentions):
            raise Refused(Code.SCHEMA, "Only what is said names somebody or has attachments.")
        return room

    @staticmethod
    def _check_sealed(kind: Kind, pdu: Post, body: bytes) -> None:
        """Whether nothing is said beside what is sealed. Raises Refused(SCHEMA)."""
        beside = pdu.text or any(each is not None for each in (pdu.topic, pdu.reply, pdu.mentions))
        if beside or any(row[2:] != NEUTRAL for row in pdu.attachments or ()):
            raise Refused(Code.SCHEMA, "What is sealed says nothing outside.")
        bare = pdu.refs is None and pdu.attachments is None
        if kind not in SEALABLE or (kind is Kind.KEY and not bare):
            raise Refused(Code.SCHEMA, "That cannot be sealed.")
        entries = rules.opened(body).entries
        if (kind is Kind.KEY and not entries) or (kind is not Kind.KEY and entries is not None):
            raise Refused(Code.SCHEMA, "Entries stand in KEY events.")

    @staticmethod
    def _check_files(kind: Kind, pdu: Post) -> None:
        attachments = pdu.attachments or ()
        if kind is Kind.FILE and not attachments:
            raise Refused(Code.SCHEMA, "It must name a file.")
        if any(media_type == WHOLE and size > LONGEST for _, size, media_type, _, _ in attachments):
            raise Refused(Code.MSG_TOO_LARGE)

    def _addressed(self, actor: Actor, pdu: Post) -> Room:
        """The room a post is for. Raises Refused where it names none, two, or somebody else's."""
        if self._policy.echo_only and actor.name != PARROT:
            return direct(actor.name, PARROT)
        if (pdu.room is None) == (pdu.user is None):
            raise Refused(Code.SCHEMA, "A message goes to one room or to one user.")
        room = Room(pdu.room) if pdu.room is not None else direct(actor.name, User(pdu.user or ""))
        if not model.is_party(actor.name, room):
            raise Refused(Code.NOT_MEMBER)
        announcers = self._policy.announcers
        if room == ANNOUNCEMENTS and announcers is not None and actor.name not in announcers:
            raise Refused(Code.FORBIDDEN, "Only announcers may broadcast here.")
        return room

    def _ack(self, actor: Actor, stored: Stored) -> Posted:
        message = stored.message
        both = parties(Room(message.room))
        recipient = None
        if both is not None:
            online = all(self._roster.present(user) for user in both)
            recipient = Recipient.ONLINE if online else Recipient.OFFLINE
        return Posted(
            cid=message.cid,
            room=message.room,
            seq=message.seq,
            ts=message.ts,
            dup=stored.dup or None,
            recipient=recipient,
            epoch=message.epoch,
        )


def _decoded(body: bytes, version: int) -> Post:
    try:
        return codec.decode_body(Post, body, version=version)
    except RemoteProtocolError as error:
        raise Refused(Code.SCHEMA, error.text) from error


def _told(actor: Actor, stored: Stored) -> list[Effect]:
    """Who hears of what is new in the log."""
    if stored.dup:
        return []
    message = stored.message
    room = Room(message.room)
    older, own = rules.in_version_1(message), rules.addressed(message, stored.entries)
    told: list[Effect] = [Deliver(message, InRooms(frozenset({room})), older=older, but=actor.session, own=own)]
    if PARROT in (parties(room) or ()) and actor.name != PARROT and message.kind in SAID and message.text:
        told.append(Then(_PARROT, _parroted(message)))
    return told


_PARROT = Actor(session=SessionId(0), address="built-in", version=2, device=Device(bytes(16)), binding=b"", user=PARROT)


def _parroted(message: Message) -> Post:
    """What the built-in user answers; the id follows from the message's, so that a retry is no second answer."""
    cid = hashlib.sha256(b"parrot" + message.cid).digest()[:16]
    return Post(user=message.sender, cid=cid, kind=Kind.TEXT, text=message.text or "")
