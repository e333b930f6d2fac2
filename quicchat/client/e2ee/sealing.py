"""Saying what only those in a conversation read: their keys, the session they are given, then the words. (spec 15-keys)

members -> their devices -> a session that all of them have -> KEY events, acknowledged
-> messages sealed and kept, together with the session as it is then -> sent by whoever asked
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client import bodies
from quicchat.client.e2ee import filekeys, letters, openpgp
from quicchat.client.e2ee.directory import Directory, Reader, Recipients
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.members import Members
from quicchat.client.e2ee.pins import Pins
from quicchat.client.e2ee.provider import NOT_LISTED, Fail
from quicchat.client.e2ee.ratchet import Session, Voice
from quicchat.client.e2ee.sessions import Sessions, name_of
from quicchat.client.e2ee.wires import Wires
from quicchat.client.events import KeyNews
from quicchat.client.memory import Cursor, Entry
from quicchat.client.outbox import Outbox
from quicchat.client.requests import Requests
from quicchat.client.scribe import Scribe
from quicchat.client.seal import Seal, opened
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import MANY, Attachments, Kind, Message, Post, Posted, recorded
from quicchat.wire.names import Room, parties
from quicchat.wire.sealed import RECIPIENTS, Scheme, Sealed, packed

#: How often lists of devices that are stale are fetched anew, before it is left for a while; and for how many ms.
_STALE: Final = 3
_LATER: Final = 5_000
#: How often members are asked for anew while somebody comes or goes.
_MOVED: Final = 8
#: Direct conversations that are looked at after a login.
_LOOKED_AT: Final = 128
#: What a pin says to those who know no pins; it has no words of its own.
_PINNED: Final = "A message was pinned."


class Sealing:
    """One conversation at a time; of one's own sessions nothing is ever used twice."""

    def __init__(
        self,
        scribe: Scribe,
        keyring: Keyring,
        pins: Pins,
        directory: Directory,
        sessions: Sessions,
        members: Members,
        wires: Wires,
    ) -> None:
        self._scribe = scribe
        self._keyring = keyring
        self._pins = pins
        self._directory = directory
        self._sessions = sessions
        self._members = members
        self._wires = wires
        self._locks: dict[str, asyncio.Lock] = {}
        #: Conversations whose session is over, and the last departure that each was told of, as (epoch, place).
        self._ended: set[str] = set()
        self._departures: dict[str, tuple[int, int]] = {}
        #: How far each room's log went when this connection began, and where a session was begun on it.
        self._heads: dict[str, int] = {}
        self._begun: set[str] = set()

    async def seal(self, room: str, requests: Requests, outbox: Outbox, fail: Fail) -> str | None:
        """As `Provider.seal`."""
        async with self._lock(room):
            await self.settle(room, requests)
            if not self._pins.pinned(room):
                return None
            while self._unsealed(outbox, room):
                voice = await self._shared(room, requests)
                if isinstance(voice, str):
                    return voice
                # Nothing is awaited between the look at who reads and this.
                await self._write(voice, outbox, fail)
            return None

    def begin(self) -> None:
        """On a new connection: what happened while we were away is still to be heard."""
        self._heads = {room: view.head for room, view in self._wires.rooms().items()}
        self._begun.clear()

    def left(self, event: Message) -> None:
        """Somebody has left, who may come back without the key: what is said next is sealed with a new session."""
        room, place = event.room, (event.epoch or 1, event.seq)
        is_past = event.seq < self._scribe.cursors.get(room, Cursor()).seq
        if is_past or place <= self._departures.get(room, (0, 0)):
            return
        self._departures[room] = place
        self._ended.add(room)
        if self._keyring.get(Drawer.VOICE, room.encode()) is not None:
            self._keyring.put(Drawer.VOICE, room.encode(), None)

    async def rotate(self, room: str) -> None:
        """The next message begins a new session. Raises Refused(STORE_UNAVAILABLE)."""
        async with self._lock(room):
            await self._keyring.now(Drawer.VOICE, room.encode(), None)

    def _lock(self, room: str) -> asyncio.Lock:
        return self._locks.setdefault(room, asyncio.Lock())

    @staticmethod
    def _unsealed(outbox: Outbox, room: str) -> list[Entry]:
        return [each for each in outbox.waiting(room) if each.sealed is None]

    # Whether it is encrypted

    async def settle(self, room: str, requests: Requests) -> None:
        """As `Pins.settle`."""
        await self._pins.settle(room, requests, self._wires.user(), self._keyless)

    async def _keyless(self, users: Collection[str]) -> Collection[str]:
        return (await self._directory.recipients(users)).keyless & frozenset(users)

    async def look(self, requests: Requests) -> None:
        """The same for direct conversations there are, all at once: a person sees how they stand before he speaks."""
        unknown = [room for room in self._wires.rooms() if room.startswith("@") and self._pins.is_unknown(room)]
        latest = unknown[-_LOOKED_AT:]
        await self._directory.fresh({user for room in latest for user in parties(Room(room)) or ()})
        for room in latest:
            await self.settle(room, requests)

    # Who is given the session

    async def _shared(self, room: str, requests: Requests) -> Voice | str:
        """A session that everybody who is to read has, and nobody else; or why there can be none."""
        stale = moved = 0
        before = self._keyring.read(Voice, Drawer.VOICE, room.encode())
        known = {user for user, _ in before.readers} if before is not None else set()
        while True:
            members = await self._members.of(room, requests)
            found = await self._directory.recipients(members)
            if not self._members.is_known(room) and moved < _MOVED:
                # Somebody came or went while that was asked for.
                moved += 1
                continue
            if (held := self._held(room, found)) is not None:
                return held
            readers = {(each.user, each.certificate.handle): each for each in found.devices}
            voice = self._voice(room)
            given = set(voice.readers) if voice is not None else set()
            if voice is None or not readers.keys() >= given:
                await self._begin(room)
                continue
            missing = [each for place, each in readers.items() if place not in given]
            if not missing:
                return voice
            known |= self._tell_new(room, known, {each.user for each in missing})
            try:
                await self._give(voice, missing[:RECIPIENTS], requests)
            except Refused as refusal:
                if refusal.code is not Code.KEYS_STALE:
                    raise
                stale += 1
                if stale > _STALE:
                    raise Refused(Code.OVERLOADED, "The devices there keep changing.", retry_after=_LATER) from None
                self._members.forget(room)
                await self._directory.fresh(members, again=True)

    def _tell_new(self, room: str, known: Collection[str], users: Collection[str]) -> set[str]:
        """Who is in a room, the server says: whom it has added without a word is not to read unnoticed."""
        new = {user for user in users if user not in known and user != self._wires.user()} if known else set()
        for user in sorted(new):
            if not self._members.came(room, user):
                self._wires.tell(KeyNews("reader", user, f"{user} reads what you say in {room} from now on"))
        return new

    def _held(self, room: str, found: Recipients) -> str | None:
        own = self._directory.own
        if own is None or not own.listed:
            return NOT_LISTED
        if found.blocked:
            return "; ".join(found.blocked[user] for user in sorted(found.blocked))
        if room.startswith("@") and found.keyless:
            user = min(found.keyless)
            return f"The server shows no keys of {user} any more, and nothing is said to him in plain: ask him."
        return None

    def _voice(self, room: str) -> Voice | None:
        """The session to go on with."""
        if room in self._ended or (room not in self._begun and self._is_behind(room)):
            return None
        voice = self._keyring.read(Voice, Drawer.VOICE, room.encode())
        own = self._directory.own
        if voice is None or own is None or voice.device != own.device.certificate.handle:
            return None
        return None if voice.spent(self._wires.now()) or self._is_old(voice) else voice

    def _is_behind(self, room: str) -> bool:
        """Whether somebody may have left while we were away, and we have not heard of it yet."""
        return not room.startswith("@") and self._scribe.cursors.get(room, Cursor()).seq < self._heads.get(room, 0)

    def _is_old(self, voice: Voice) -> bool:
        """Whether more was said with it than it knows: what this device keeps was put back, or is used twice."""
        kept = self._sessions.find(voice.conversation, voice.sender, voice.sid)
        return any(index >= voice.index for each in kept for index in each.seen)

    async def _begin(self, room: str) -> None:
        """A new session, durable before anybody is given its key."""
        self._ended.discard(room)
        self._begun.add(room)
        own = self._directory.own
        assert own is not None
        chance = self._wires.surroundings.chance
        handle = own.device.certificate.handle
        voice = Voice.begin(room, own.user, handle, now=self._wires.now(), chance=chance)
        session = Session.of(voice.session_key)
        self._sessions.put(session)
        await self._keep(voice, [], session)

    async def _give(self, voice: Voice, readers: Sequence[Reader], requests: Requests) -> None:
        """Give the session to some devices, from its next message on. Raises Refused(KEYS_STALE) and others."""
        own = self._directory.own
        assert own is not None
        to = [each.certificate for each in readers]
        packet, entries = openpgp.encrypt(packed(voice.session_key), to, own.device)
        await asyncio.sleep(0)
        sealed = Sealed(scheme=Scheme.OPENPGP, ciphertext=packet, entries=entries)
        post = _addressed(
            Post(
                cid=self._wires.surroundings.chance(16),
                kind=Kind.KEY,
                text="",
                sealed=packed(sealed),
                sent=self._wires.now(),
            ),
            voice.conversation,
            own.user,
        )
        answer = await requests.ask(post, Posted)
        bare = replace(post, sealed=packed(replace(sealed, entries=None)))
        room, seq = answer.room, answer.seq
        event = recorded(bare, room=room, epoch=answer.epoch, seq=seq, sender=own.user, ts=answer.ts)
        self._wires.stored(opened(event, Seal.OWN))
        if room in self._ended:
            return
        given = (*voice.readers, *((each.user, each.certificate.handle) for each in readers))
        await self._keep(replace(voice, readers=given), [])

    # What is said

    async def _write(self, voice: Voice, outbox: Outbox, fail: Fail) -> None:
        """Seal as many messages as the session has left, and keep them and it in one transaction."""
        done: list[Entry] = []
        for entry in self._unsealed(outbox, voice.conversation)[:MANY]:
            if voice.spent(self._wires.now()):
                break
            try:
                voice, sealed = self._sealed(voice, entry)
            except Refused as refusal:
                fail(entry, refusal)
            else:
                done.append(replace(entry, sealed=sealed))
        if done:
            await self._keep(voice, done)
        for entry in done:
            assert entry.sealed is not None
            outbox.seal(entry.cid, entry.sealed)

    def _sealed(self, voice: Voice, entry: Entry) -> tuple[Voice, Post]:
        """A message as it is sent. Raises Refused where a file of it was put aside in plain."""
        post = entry.post
        if entry.whole is not None:
            post, opener = bodies.wrapped(post, entry.whole, self._wires.surroundings.chance(32))
            filekeys.learn(self._keyring, opener)
        if post.kind in (Kind.RETRACT, Kind.PIN):
            text = _PINNED if post.kind is Kind.PIN else ""
            return voice, replace(post, text=text, topic=None, reply=None, mentions=None, attachments=None)
        content = letters.content_of(
            post,
            conversation=voice.conversation,
            sender=voice.sender,
            device=voice.device,
            attachments=filekeys.rows(post, self._keyring),
        )
        after, sealed = voice.seal(content)
        return after, letters.outside(post, content, sealed)

    async def _keep(self, voice: Voice, entries: Sequence[Entry], session: Session | None = None) -> None:
        """Raises Refused(STORE_UNAVAILABLE); what may be written then is not used any more, nor is the session."""
        name = voice.conversation.encode()
        secrets = {(Drawer.VOICE.value, name): packed(voice)}
        if session is not None:
            secrets[Drawer.SESSION.value, name_of(session.key)] = session.pack()
        also = [(Drawer.ENCRYPTED, name), *((Drawer.FILE, row[0]) for each in entries for row in _files(each))]
        secrets |= {(drawer.value, each): known for drawer, each in also if (known := self._keyring.get(drawer, each))}
        try:
            await self._scribe.now(entries, secrets)
        except BaseException:
            self._keyring.put(Drawer.VOICE, name, None)
            raise


def _files(entry: Entry) -> Attachments:
    return (entry.sealed.attachments if entry.sealed is not None else None) or ()


def _addressed(post: Post, room: str, user: str) -> Post:
    """To a room, or to the other one of the two."""
    both = parties(Room(room))
    if both is None:
        return replace(post, room=room)
    return replace(post, user=min(both - {user}, default=user))
