"""What is remembered of the way that messages took in this run; pure. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quicchat.client.events import Progress, Sent
from quicchat.client.memory import Entry
from quicchat.client.seal import Opened
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Message, Posted

#: Messages that are remembered, and steps of one.
MOST: Final = 1_000
STEPS: Final = 100

#: A message of one's own by its id, one of somebody else by its room and place.
Key = bytes | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, at `at` (Unix ms) by the clock `whose`: here, server or sender; None where nobody told it.

    `stream` is None for control; `connection` counts those of this run, 0 where none is meant.
    """

    what: str
    at: int | None = None
    whose: str = "here"
    connection: int = 0
    stream: int | None = None
    by: str | None = None
    count: int | None = None
    note: str | None = None


class Traces:
    """The last messages that were sent or came; `wall` tells Unix seconds."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._tracks: dict[Key, list[Step]] = {}
        #: Where those of one's own are found that have a place.
        self._own: dict[tuple[str, int], bytes] = {}

    # Getters

    def own(self, cid: bytes) -> list[Step]:
        """What is known of a message of one's own."""
        return list(self._tracks.get(cid, ()))

    def at(self, room: str, seq: int) -> list[Step]:
        """What is known of the message at a place."""
        return list(self._tracks.get(self._own.get((room, seq), (room, seq)), ()))

    # One's own

    def moved(self, entry: Entry, connection: int, stream: int | None) -> None:
        """A message of one's own came further, or back; where it is stored, `stored` tells it."""
        match entry.state:
            case Sent.QUEUED:
                self._note(entry.cid, Step(self._waits(entry), self._now(), note=entry.reason))
            case Sent.SENT:
                self._note(entry.cid, Step("sent", self._now(), connection=connection, stream=stream))
            case Sent.FAILED:
                self._note(entry.cid, Step("failed", self._now(), note=entry.reason))

    def stored(self, entry: Entry, answer: Posted, *, told: bool) -> None:
        """The server has it; not `told` where it does not say when, but only that it has it."""
        place = entry.room, entry.seq or 0
        self._own[place] = entry.cid
        if len(self._own) > MOST:
            del self._own[next(iter(self._own))]
        if told:
            self._note(entry.cid, Step("stored", answer.ts, "server", note="it had it already" if answer.dup else None))
        self._note(entry.cid, Step("acknowledged", self._now(), note=None if told else "when we came back"))

    def reached(self, progress: Progress) -> None:
        """Somebody holds or has read it."""
        if progress.state in (Sent.DELIVERED, Sent.READ):
            what = progress.state.name.lower()
            self._note(progress.cid, Step(what, progress.at, "server", by=progress.by, count=progress.count))

    # Those of others

    def came(self, event: Message, connection: int, stream: int | None) -> None:
        """It was pushed to us."""
        key = event.room, event.seq
        if key not in self._own and key not in self._tracks:
            self._note(key, Step("received", self._now(), connection=connection, stream=stream))

    def given(self, event: Message) -> None:
        """It has its turn in its room, and its words where they can be had; what was not pushed was fetched."""
        key = event.room, event.seq
        if key in self._own:
            return
        if key not in self._tracks:
            self._note(key, Step("fetched", self._now()))
        if isinstance(event, Opened):
            self._note(key, Step("opened", self._now(), note=event.seal.name.lower()))

    def shown(self, event: Message) -> None:
        """The application was given it."""
        key = event.room, event.seq
        if key not in self._own:
            self._note(key, Step("shown", self._now()))

    def forget(self, room: str) -> None:
        """The places of a room mean something else now."""
        for place in [place for place in self._own if place[0] == room]:
            del self._own[place]
        for key in [key for key in self._tracks if isinstance(key, tuple) and key[0] == room]:
            del self._tracks[key]

    # The rest

    def _now(self) -> int:
        return int(self._wall() * 1000)

    def _waits(self, entry: Entry) -> str:
        """What it means that a message waits: it does for the first time, it is held, or it came back."""
        steps = self._tracks.get(entry.cid)
        if steps and steps[-1].what == "sent":
            return "lost" if entry.reason is None else "refused"
        return "queued" if entry.reason is None else "held"

    def _note(self, key: Key, step: Step) -> None:
        steps = self._tracks.get(key)
        if steps is None:
            steps = self._tracks[key] = []
            if len(self._tracks) > MOST:
                del self._tracks[next(iter(self._tracks))]
        if len(steps) < STEPS:
            steps.append(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The way of one message: `seq` is None while it waits; `sent` is how often it left, for one's own."""

    room: str
    seq: int | None
    cid: bytes
    sender: str
    own: bool
    sent: int
    steps: tuple[Step, ...]


def complete(
    steps: list[Step], typed: int | None, event: Message | None, rows: list[tuple[str, str, int, int, int]]
) -> list[Step]:
    """What was seen happen, and what else is known: when it was `typed` here, the message, the receipts of its room."""
    if typed is not None:
        begun = [Step("typed", typed)]
    else:
        begun = [Step("said", event.sent, "sender")] if event is not None and event.sent is not None else []
    if event is None:
        return [*begun, *steps]
    seen = [each.what for each in steps]
    if "stored" not in seen:
        at = seen.index("acknowledged") if "acknowledged" in seen else 0
        steps = [*steps[:at], Step("stored", event.ts, "server"), *steps[at:]]
    if not seen:
        steps.append(Step("kept", note="from an earlier run, or read back from the log"))
    known = {(each.what, each.by) for each in steps}
    for _, user, delivered, read, at in rows:
        what = "read" if read >= event.seq else "delivered" if delivered >= event.seq else ""
        if what and known.isdisjoint({(what, user), ("read", user)}):
            # A receipt tells how far somebody has come by then; of what is before that, not when.
            is_exact = event.seq in (delivered, read)
            steps.append(Step(what, at if is_exact else None, "server", by=user, note=None if is_exact else "by now"))
    return [*begun, *steps]
