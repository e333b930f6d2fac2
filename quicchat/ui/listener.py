"""What comes, in the order in which a person wants to read it: what waited comes first. (spec 12-operation)"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from quicchat.client.api import Chat
from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.ui.keeping import is_held
from quicchat.ui.outcomes import Heard, Late, Reached, Readable, Sent
from quicchat.ui.recent import Recent
from quicchat.ui.seals import is_unread, seen
from quicchat.wire.chapters.messages import SAID, Kind, Message, Posted, Recipient, Window
from quicchat.wire.names import Room, User, parties

K = TypeVar("K")
V = TypeVar("V")

#: Messages whose time of arrival is remembered, for /history; and as many of our own, for what becomes of them.
REMEMBERED: Final = 5000
#: What is held back at once until all that waited is here, and for how long (seconds) at most.
_HELD: Final = 1000
PATIENCE: Final = 5.0


class Listener:
    """Tells of messages and of how far our own have come. `device` is ours.

    Between `away` and `back` nothing is told; then first what waited, in the order of its storing.
    """

    def __init__(self, tell: Callable[[object], None], device: bytes) -> None:
        self._tell = tell
        self._device = device
        #: When messages came here (Unix ms), by [room, epoch, seq].
        self.received: dict[tuple[str, int | None, int], int] = {}
        #: The rooms in which files of a name were announced.
        self.announced: dict[str, set[str]] = {}
        #: Who spoke in a room, the last one last.
        self.spoke: dict[str, dict[str, None]] = {}
        #: What was said last in each room.
        self.recent = Recent()
        #: Messages that somebody waits to see stored, and what is known of those that are.
        self._waited: set[bytes] = set()
        self._posted: dict[bytes, Posted] = {}
        self._reached: dict[bytes, None] = {}
        #: Of whose progress we were told: what nobody waits for, such as files, is ours, too.
        self._ours: dict[bytes, None] = {}
        #: Why messages of ours are held back that could be sent but for somebody's keys, by their ids.
        self.kept_back: dict[bytes, str] = {}
        #: Up to these places it was said while we were away.
        self._upto: Mapping[str, int] = {}
        self._is_away = False
        self._missing: dict[str, int] = {}
        self._until = 0.0
        self._last: dict[str, int] = {}
        self._held: list[Heard | Reached] = []
        self._header_due = False

    # What we do

    def waits(self, cid: bytes) -> None:
        """This message is ours, and its outcome is told by who waits for it."""
        self._waited.add(cid)

    def settled(self, cid: bytes, outcome: object) -> None:
        """Nobody waits for it any more."""
        self._waited.discard(cid)
        if isinstance(outcome, Sent):
            _remember(self._posted, cid, outcome.posted)

    # Coming and going

    def entered(self, heads: Mapping[str, int]) -> None:
        """We came; what the logs hold by now was said before."""
        self._upto = heads
        self._header_due = True

    def away(self) -> None:
        """Tell nothing until we are back."""
        self._is_away = True

    def back(self, before: Mapping[str, int], heads: Mapping[str, int], now: float) -> None:
        """We are back: what came between these places waited, and is told when all of it is here."""
        self._is_away = False
        self.entered(heads)
        moved = {room: head for room, head in heads.items() if head > before.get(room, 0)}
        self._missing = {room: head for room, head in moved.items() if self._last.get(room, 0) < head}
        self._until = now + PATIENCE
        self._release(now)

    @property
    def is_holding(self) -> bool:
        """Whether something waits for more to come."""
        return bool(self._missing)

    # What comes

    def message(self, message: Message, now: float) -> None:
        """An event of a log; each comes once."""
        message = seen(message)
        received = time.time_ns() // 1_000_000  # noqa: TID251 - when it came here is a fact of this machine
        if message.kind is not Kind.KEY:
            _remember(self.received, (message.room, message.epoch, message.seq), received)
        self._noticed(message)
        own = message.cid in self._waited or message.cid in self._posted or message.cid in self._ours
        # Whoever claims to be this device, and is not, is to be seen.
        own = own or (message.device == self._device and not is_unread(message))
        self._last[message.room] = message.seq
        if self._missing.get(message.room, message.seq + 1) <= message.seq:
            del self._missing[message.room]
        self._held.append(Heard(message, received, own))
        self._release(now)

    def opened(self, room: str, events: Sequence[Heard]) -> None:
        """Messages whose words were not known."""
        if events:
            for each in events:
                self._noticed(each.message)
            self._tell(Readable(room, events))

    def _noticed(self, message: Message) -> None:
        """What is to be found again of it."""
        for _, _, _, name, _ in message.attachments or () if message.kind is Kind.FILE else ():
            _remember(self.announced, name, self.announced.get(name, set()) | {message.room})
        self.recent.heard(message)
        if message.kind in SAID:
            spoke = self.spoke.setdefault(message.room, {})
            spoke.pop(message.sender, None)
            spoke[message.sender] = None

    async def progress(self, progress: Progress, chat: Chat, now: float) -> None:
        """One of our own came further."""
        _remember(self._ours, progress.cid, None)
        reason = progress.reason if progress.state is Reach.QUEUED and is_held(chat, progress.room) else None
        if reason is not None and self.kept_back.get(progress.cid) == reason:
            return
        self.kept_back.pop(progress.cid, None)
        self.kept_back.update({progress.cid: reason} if reason is not None else {})
        user, stored, offline = None, None, False
        if progress.state in (Reach.DELIVERED, Reach.READ) and progress.cid not in self._reached:
            both = parties(Room(progress.room)) or frozenset()
            user = next(iter(both - {User(chat.state.user)}), None)
        if user is not None:
            _remember(self._reached, progress.cid, None)
            stored, offline = await self._stored(progress, chat)
        waited = progress.cid in self._waited
        self._held.append(Reached(progress, user, stored, offline=offline, waited=waited, held=reason is not None))
        self._release(now)

    def give_up(self, now: float) -> None:
        """Something did not come in time: tell what is there."""
        self._missing.clear()
        self._release(now)

    async def _stored(self, progress: Progress, chat: Chat) -> tuple[int | None, bool]:
        """When it was stored, and whether the other was away; of an earlier run only the log knows when."""
        if (posted := self._posted.get(progress.cid)) is not None:
            return posted.ts, posted.recipient is Recipient.OFFLINE
        try:
            anchor = (progress.seq or 1) - 1
            events = await chat.history(progress.room, window=Window.AFTER, anchor=anchor, limit=1)
        except (Refused, LinkLost, LocalProtocolError):
            return None, True
        return (events[0].ts if events else None), True

    def _judged(self, item: Heard | Reached) -> Heard | Reached:
        """Whether it was said while we were away is known once we are back."""
        if isinstance(item, Reached) or item.own or item.message.kind not in SAID:
            return item
        return replace(item, late=item.message.seq <= self._upto.get(item.message.room, 0))

    def _release(self, now: float) -> None:
        """Tell what is held back, unless something is still to come that belongs before it."""
        if len(self._held) < _HELD and (self._is_away or (self._missing and now < self._until)):
            return
        held, self._held = [self._judged(each) for each in self._held], []
        late = [each for each in held if isinstance(each, Heard) and each.late]
        # Before they were held, the rooms had nothing to do with each other; to a person they are one story.
        for heard in sorted(late, key=lambda each: each.message.ts):
            if self._header_due:
                self._header_due = False
                self._tell(Late())
            self._tell(heard)
        for each in held:
            if not isinstance(each, Heard) or not each.late:
                self._tell(each)


def _remember(table: dict[K, V], key: K, value: V) -> None:
    """Keep the newest only."""
    table[key] = value
    if len(table) > REMEMBERED:
        del table[next(iter(table))]
