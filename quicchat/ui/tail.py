"""Print what was said last, and then what comes, for pipes; nothing counts as read by it. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import heapq
import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Final, Self

from quicchat.errors import Code, LinkLost, Refused, UsageError
from quicchat.ui.errands import Errand, addressee
from quicchat.ui.outcomes import Heard, Readable
from quicchat.ui.seals import is_unread, seen, shown
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import PAGE, Message, Window

#: Stands for all that one hears; a room of that name is `#all`.
ALL: Final = "all"
#: Messages from before, at most.
_MOST: Final = 100_000


@dataclass(slots=True)
class Tail:
    """The last messages of a room, `@user` or `*`, without one of all, and with `follow` those that come after them."""

    room: str | None
    count: int
    follow: bool
    quiet: bool = False
    takes_input: bool = False
    unpacks: bool = False
    folder: Path = field(default_factory=Path)
    #: How far each room is printed: [epoch, seq].
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: What was printed without its words.
    _unread: set[tuple[str, int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, room: str, count: str, *, follow: bool) -> Self:
        """As it is typed. Raises UsageError."""
        if not (count.isascii() and count.isdigit() and len(count) < 9 and int(count) <= _MOST):
            raise UsageError(f"-n: {count!r} is not a number from 0 to {_MOST}")
        return cls(None if room.lower() == ALL else addressee(room), int(count), follow)

    def prepare(self) -> None:
        """Nothing is needed."""

    async def run(self, errand: Errand) -> None:
        heard = errand.follow() if self.follow else None
        for past in await self._past(errand):
            self._print(errand, past)
        if heard is None:
            return
        with _readers(heard):
            while (event := await heard.get()) is not None:
                received = time.time_ns() // 1_000_000  # noqa: TID251 - when it came here is a fact of this machine
                if isinstance(event, Readable):
                    known = [each for each in event.events if _whose(each.message) in self._unread]
                    errand.outlet.tell(replace(event, events=[replace(each, received=received) for each in known]))
                    self._unread -= {_whose(each.message) for each in known}
                elif self._is_news(event, errand):
                    self._print(errand, event, received)
        raise errand.desk.chat.lost or LinkLost(Code.NO_ERROR)

    def close(self) -> None:
        """All that came is printed."""

    def _print(self, errand: Errand, event: Message, received: int | None = None) -> None:
        if is_unread(event):
            self._unread.add(_whose(event))
        errand.outlet.tell(Heard(seen(event), received))

    async def _past(self, errand: Errand) -> list[Message]:
        """The last events, in each room in the order of its log."""
        state = errand.desk.chat.state
        rooms = sorted(state.rooms) if self.room is None else [errand.desk.log(self.room)]
        logs = [shown(await self._latest(errand, room)) for room in rooms]
        found = list(heapq.merge(*logs, key=lambda event: event.ts))
        return [await errand.desk.chat.whole(event) for event in (found[-self.count :] if self.count else ())]

    async def _latest(self, errand: Errand, room: str) -> list[Message]:
        """The end of a log, page by page; what is printed of it, or older, is not printed again."""
        found: Sequence[Message] = ()
        # Where nothing is wanted, the last place is.
        wanted = max(1, self.count)
        while len(shown(found)) < wanted:
            try:
                page = await errand.asked(lambda: self._page(errand, room, found, wanted))  # noqa: B023 - awaited here
            except Refused as refusal:
                if refusal.code is Code.NO_SUCH_ROOM and room.startswith("@"):
                    break  # nobody has said anything yet
                raise
            if not page:
                break
            found = [*page, *found]
        if found:
            self._seen[room] = _place(found[-1])
        return list(found)

    async def _page(self, errand: Errand, room: str, found: Sequence[Message], wanted: int) -> Sequence[Message]:
        limit = min(PAGE, wanted - len(shown(found)))
        if not found:
            return await errand.desk.chat.history(room, limit=limit)
        if found[0].seq <= 1:
            return ()
        return await errand.desk.chat.history(room, window=Window.BEFORE, anchor=found[0].seq, limit=limit)

    def _is_news(self, event: Message, errand: Errand) -> bool:
        if self.room is not None and event.room != errand.desk.log(self.room):
            return False
        if _place(event) <= self._seen.get(event.room, (0, 0)):
            return False
        self._seen[event.room] = _place(event)
        return True


def _place(event: Message) -> tuple[int, int]:
    return event.epoch or 0, event.seq


def _whose(event: Message) -> tuple[str, int, int]:
    return event.room, *_place(event)


@contextmanager
def _readers(heard: asyncio.Queue[Message | Readable | None]) -> Iterator[None]:
    """Nothing more is heard once nobody reads the pipe that it is printed to. Raises BrokenPipeError at the end."""
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(sys.stdout.fileno())
        heard.put_nowait(None)

    loop = asyncio.get_running_loop()
    handle = _pipe()
    if handle is not None:
        # Systems differ in whether the end of a pipe can be waited for.
        with suppress(OSError, NotImplementedError):
            loop.add_reader(handle, leave)
    try:
        yield
    finally:
        if handle is not None:
            # What was never waited for need not be given up.
            with suppress(OSError, NotImplementedError):
                loop.remove_reader(handle)
    if gone:
        raise BrokenPipeError


def _pipe() -> int | None:
    """Standard output, where it is a pipe."""
    try:
        handle = sys.stdout.fileno()
        return handle if stat.S_ISFIFO(os.fstat(handle).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None
