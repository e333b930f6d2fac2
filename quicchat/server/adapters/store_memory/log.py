"""The events of every room in memory. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory import about as about_others
from quicchat.server.adapters.store_memory import files, keys, receipts, search
from quicchat.server.adapters.store_memory.state import BODY_BYTES, EXTRA_PAIRS, State
from quicchat.server.model import (
    Finds,
    Moved,
    Page,
    Receipts,
    Stored,
    Target,
    Word,
)
from quicchat.server.rules import check_sealed, filled, is_repeat, parted
from quicchat.wire.chapters.messages import Kind, Post, Window, recorded
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.codec import encode_body
from quicchat.wire.names import Device, Room, User


class MemoryLog:
    """The port `Log`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def append(
        self, room: Room, sender: User, device: Device, post: Post, *, operator: bool = False, at: int
    ) -> Stored:
        state = self._state
        state.check_open()
        post, packets = parted(post)
        earlier = state.said.get((sender, post.cid))
        if earlier is not None:
            if not is_repeat(earlier, room, post) or state.packets.get((sender, post.cid), {}) != packets:
                raise Refused(Code.CID_CONFLICT)
            return Stored(message=earlier, dup=True)
        found = state.room_to_post(room, sender)
        if found.rank(sender) < Rank.MEMBER and not operator:
            raise Refused(Code.FORBIDDEN)
        place = len(found.log) + 1
        check_sealed(found.policy, post)
        about_others.check(found, room, sender, post, operator=operator)
        message = recorded(post, room=room, epoch=found.epoch, seq=place, sender=sender, device=device, ts=at)
        attached = files.attach(state, message)
        entries = keys.readers(state, found, packets)
        if len(post.extra or ()) > EXTRA_PAIRS or len(body := encode_body(message, version=2)) > BODY_BYTES:
            raise Refused(Code.MSG_TOO_LARGE)
        state.rooms.setdefault(room, found)
        stored = state.write(message, body)
        for user in {*(post.mentions or ())} - {sender}:
            if user in found.seats:
                found.seats[User(user)].named.add(place)
        if attached:
            found.attached[place] = attached
        about_others.apply(state, found, message)
        if message.kind is Kind.KEY:
            found.entries[place] = entries
            state.packets[sender, post.cid] = packets
        return replace(stored, entries=entries)

    async def append_many(
        self, sender: User, device: Device, posts: Sequence[tuple[Room, Post]], *, operator: bool = False, at: int
    ) -> Sequence[Stored | Refused]:
        self._state.check_open()
        outcomes: list[Stored | Refused] = []
        for room, post in posts:
            try:
                outcomes.append(await self.append(room, sender, device, post, operator=operator, at=at))
            except Refused as refusal:
                outcomes.append(refusal)
        return outcomes

    async def page(
        self,
        room: Room,
        user: User,
        *,
        window: Window,
        anchor: int,
        limit: int,
        budget: int,
        until: int = 0,
        device: Device | None = None,
    ) -> Page:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        head = len(found.log)
        places = _by_nearness(window, anchor, head, limit, until)
        kept: dict[int, bytes] = {}
        for place in islice(places, limit):
            body = found.log[place - 1]
            if device is not None and (own := found.entries.get(place, {}).get((user, device))) is not None:
                body = filled(body, *own)
            budget -= len(body)
            if budget < 0 and kept:
                break
            kept[place] = body
        events = tuple(kept[place] for place in sorted(kept))
        return Page(epoch=found.epoch, first=1, head=head, events=events)

    async def receipt(
        self,
        room: Room,
        user: User,
        device: Device,
        *,
        delivered: int | None,
        read: int | None,
        private: bool = False,
        at: int,
    ) -> Moved | None:
        self._state.check_open()
        found = self._state.room_of(room, user)
        return None if found is None else receipts.receipt(found, user, device, delivered, read, private, at)

    async def progress(self, room: Room, user: User) -> Receipts:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        return receipts.receipts(found, user)

    async def holding(self, room: Room, place: int) -> int:
        self._state.check_open()
        found = self._state.rooms.get(room)
        return 0 if found is None else receipts.holding(found, place)

    async def targets(self, user: User, *, after: Room | None, limit: int) -> Sequence[Target]:
        self._state.check_open()
        rooms = ((name, room) for name, room in self._state.rooms_of(user) if name > (after or ""))
        return [
            Target(
                room=name,
                epoch=room.epoch,
                head=len(room.log),
                read=room.read_by(user),
                unread=room.unread_by(user),
                mentions=room.mentions_of(user),
            )
            for name, room in islice(rooms, limit)
        ]

    async def search(
        self, user: User, words: Sequence[Word], *, room: Room | None, after: bytes | None, limit: int, budget: int
    ) -> Finds:
        self._state.check_open()
        if room is not None and self._state.room_of(room, user) is None:
            raise Refused(Code.NO_SUCH_ROOM)
        rooms = [(name, found) for name, found in self._state.rooms_of(user) if room in (None, name)]
        return search.find(rooms, words, after, limit, budget)


def _by_nearness(window: Window, anchor: int, head: int, limit: int, until: int) -> Sequence[int]:
    """The places a window shows, the nearest to its anchor first, and the later of two that are equally near."""
    match window:
        case Window.BEFORE:
            return range(min(anchor - 1, head), 0, -1)
        case Window.AFTER:
            return range(anchor + 1, head + 1)
        case Window.BETWEEN:
            return range(anchor + 1, min(until, head + 1))
        case Window.AROUND:
            middle = min(anchor, head)
            near = range(max(1, middle - limit), min(middle + limit, head) + 1)
            return sorted(near, key=lambda place: (abs(place - middle), -place))
        case Window.LATEST:
            return range(head, 0, -1)
