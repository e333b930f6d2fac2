"""The outbox: what the user says, until the server has it for good, and how far it comes then; pure. (spec 06-messages)

A message is at its sender in one of these states (protocol §5; `events.Sent`):

    DRAFT --durable here--> QUEUED --written--> SENT --MSG_ACK--> STORED --> DELIVERED --> READ
                              ^------ connection lost, or refused for the moment ------'   (SENT)
    SENT --refused for good--> FAILED
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from quicchat.client.events import Sent
from quicchat.client.memory import OWN, Entry
from quicchat.errors import MEANINGS, Code, Refused
from quicchat.wire.chapters.messages import MANY, Post, Posted

#: Messages that were sent and have no answer yet, at most.
IN_FLIGHT: Final = MANY
#: Seconds until a message is sent again that was refused for the moment by a server that did not say until when.
_AGAIN: Final = 1.0
_LONGEST: Final = 60.0


class Outbox:
    """One queue for all rooms, first in, first out. Times are seconds on any clock that does not go back.

    Calling order: `draft`, then `queued` once the entry is durable; `next` gives what is to be sent now, and
    `stored`, `refused` or `lost` says what became of it. The methods return the entries that changed.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        #: By their ids: those that wait or are under way, in order, and those that are stored or have failed.
        self._open: dict[bytes, Entry] = {}
        self._done: dict[bytes, Entry] = {}
        self._order = 0
        self._flight = 0
        self._paused = False
        self._not_before = 0.0
        self._refusals = 0
        for entry in entries:
            self._order = max(self._order, entry.order)
            (self._open if entry.state < Sent.STORED else self._done)[entry.cid] = entry
        #: Those that left, and of which nobody has said what became of them; of an earlier run that may be all.
        self._left = set(self._open)

    # Getters

    @property
    def entries(self) -> list[Entry]:
        """All that is known, in order."""
        return sorted((*self._done.values(), *self._open.values()), key=lambda each: each.order)

    @property
    def own(self) -> list[Entry]:
        """Those that are stored."""
        return [each for each in self._done.values() if each.state is not Sent.FAILED]

    @property
    def outstanding(self) -> list[bytes]:
        """The ids of those that were never acknowledged, oldest first: what RESUME asks for."""
        return list(self._open)

    def unsure(self, cid: bytes) -> bool:
        """Whether the server may have it, though it did not say so."""
        return cid in self._left

    def get(self, cid: bytes) -> Entry | None:
        return self._open.get(cid) or self._done.get(cid)

    def wait(self, now: float) -> float | None:
        """Seconds until `next` has something again; None where that is not a matter of time."""
        if self._flight or not self._open:
            return None
        return max(0.0, self._not_before - now)

    # Wishes

    def draft(self, post: Post, room: str, whole: bytes | None = None) -> Entry:
        """A new message, or one that is said again: under way it is left as it is, else the server is asked anew.

        One that is stored is asked for in the same bytes. Raises Refused(CID_CONFLICT) where another message with
        this id is under way.
        """
        known = self._open.get(post.cid)
        if known is not None:
            if replace(known.post, sent=post.sent) != post:
                raise Refused(Code.CID_CONFLICT)
            return known
        done = self._done.pop(post.cid, None)
        is_stored = done is not None and done.state is not Sent.FAILED and replace(done.post, sent=post.sent) == post
        sealed = done.sealed if done is not None and is_stored else None
        self._order += 1
        entry = self._open[post.cid] = Entry(order=self._order, post=post, room=room, whole=whole, sealed=sealed)
        return entry

    def drop(self, cid: bytes) -> None:
        """Forget a draft that could not be kept."""
        self._open.pop(cid, None)

    def next(self, now: float, held: Collection[str] = ()) -> list[Entry]:
        """What to send now, in order, but for rooms that are held; where it is sent it is to be marked by `sent`."""
        if self._paused:
            if self._flight or now < self._not_before:
                return []
            self._paused = False
        found: list[Entry] = []
        for entry in self._open.values():
            if entry.state is Sent.DRAFT or self._flight + len(found) >= IN_FLIGHT:
                # What follows one that is not yet durable waits for it: order goes before speed.
                break
            if entry.state is Sent.QUEUED and entry.room not in held:
                found.append(entry)
        return found

    def waiting(self, room: str) -> list[Entry]:
        """What waits in a room, in order, as far as it is durable."""
        return [each for each in self._open.values() if each.room == room and each.state is Sent.QUEUED]

    # Inputs

    def queued(self, cid: bytes) -> Entry | None:
        """A draft is durable now."""
        entry = self._open.get(cid)
        return self._put(replace(entry, state=Sent.QUEUED)) if entry and entry.state is Sent.DRAFT else None

    def seal(self, cid: bytes, sealed: Post) -> None:
        """This is sent instead of it from now on."""
        entry = self._open.get(cid)
        if entry is not None:
            self._put(replace(entry, sealed=sealed, reason=None))

    def hold(self, cid: bytes, reason: str) -> Entry | None:
        """It cannot be sent at the moment; None where that is no news."""
        entry = self._open.get(cid)
        if entry is None or entry.state is not Sent.QUEUED or entry.reason == reason:
            return None
        return self._put(replace(entry, reason=reason))

    def sent(self, cid: bytes) -> Entry | None:
        """It left."""
        entry = self._open.get(cid)
        if entry is None or entry.state is not Sent.QUEUED:
            return None
        self._flight += 1
        self._left.add(cid)
        return self._put(replace(entry, state=Sent.SENT, reason=None))

    def stored(self, answer: Posted) -> Entry | None:
        """The server has it for good; None where that is no news."""
        self._refusals = 0
        return self._settle(answer.cid, Sent.STORED, room=answer.room, seq=answer.seq, epoch=answer.epoch)

    def known(self, places: Mapping[bytes, int]) -> list[Entry]:
        """RESUMED says of these that they were stored, and where."""
        found = [self._settle(cid, Sent.STORED, seq=seq) for cid, seq in places.items()]
        return [each for each in found if each is not None]

    def refused(self, cid: bytes, refusal: Refused, now: float) -> Entry | None:
        """The server said no: for good, or for the moment; then nothing is sent until all is answered, and a while."""
        entry = self._open.get(cid)
        if entry is None or entry.state is not Sent.SENT:
            return None
        if not MEANINGS[refusal.code].temporary:
            return self._settle(cid, Sent.FAILED, reason=refusal.text)
        self._flight -= 1
        self._left.discard(cid)
        if not self._paused:
            self._paused = True
            self._refusals += 1
        told = refusal.retry_after
        pause = min(_LONGEST, _AGAIN * 2.0 ** min(self._refusals - 1, 30)) if told is None else told / 1000
        self._not_before = max(self._not_before, now + pause)
        return self._put(replace(entry, state=Sent.QUEUED))

    def again(self, cid: bytes) -> None:
        """It was not taken, but may be said in another way, at once."""
        entry = self._open.get(cid)
        if entry is not None and entry.state is Sent.SENT:
            self._flight -= 1
            self._left.discard(cid)
            self._put(replace(entry, state=Sent.QUEUED))

    def withdraw(self, cid: bytes) -> Entry | None:
        """Give up a message that is not under way; None where it is, or nothing is known of it."""
        entry = self._open.get(cid)
        if entry is None or entry.state is not Sent.QUEUED:
            return None
        return self._settle(cid, Sent.FAILED, reason="It was withdrawn.")

    def lost(self) -> list[Entry]:
        """The connection is gone: nobody knows what became of all that was under way."""
        self._flight = 0
        self._paused = False
        self._not_before = 0.0
        under_way = [each for each in self._open.values() if each.state is Sent.SENT]
        return [self._put(replace(each, state=Sent.QUEUED)) for each in under_way]

    def reached(self, cid: bytes, state: Sent) -> Entry | None:
        """A stored one came further; None where that is no news."""
        entry = self._done.get(cid)
        if entry is None or entry.state is Sent.FAILED or entry.state >= state:
            return None
        entry = self._done[cid] = replace(entry, state=state)
        return entry

    def forgotten(self) -> list[bytes]:
        """The ids of the oldest that are done, beyond as many as are remembered; they are gone now."""
        cids = list(self._done)[: max(0, len(self._done) - OWN)]
        for cid in cids:
            del self._done[cid]
        return cids

    def _put(self, entry: Entry) -> Entry:
        # A key keeps its place in the dict: so does a message in the queue.
        self._open[entry.cid] = entry
        return entry

    def _settle(
        self,
        cid: bytes,
        state: Sent,
        *,
        room: str | None = None,
        seq: int | None = None,
        epoch: int | None = None,
        reason: str | None = None,
    ) -> Entry | None:
        entry = self._open.pop(cid, None)
        if entry is None:
            return None
        if entry.state is Sent.SENT:
            self._flight -= 1
        self._left.discard(cid)
        entry = replace(entry, state=state, room=room or entry.room, seq=seq, epoch=epoch, reason=reason, whole=None)
        self._done[cid] = entry
        return entry
