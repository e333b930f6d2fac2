"""A room's messages as people see them: what was said, and what has become of it since; pure. (spec 06-messages)

A view is a fold over the events of the log in their order. Replaying what was pushed over an old view gives the
same as reading the log anew, although what was taken back has lost its words there (6.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from quicchat.client.seal import Opened, Seal
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind, Message

T = TypeVar("T")

#: Nothing was done: most messages share it.
_NONE: Final[Mapping[int, Any]] = MappingProxyType({})

#: The kinds that are about another event of the same log.
ABOUT: Final = frozenset({Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One place of a room, and by the places of their events, what others did to it.

    `event` is None while only those are known.
    """

    event: Message | None = None
    #: The place of the event that took it back: nobody reads it any more.
    retracted: int | None = None
    corrections: Mapping[int, str] = field(default_factory=lambda: _NONE)
    #: (word, who)
    reacted: Mapping[int, tuple[str, str]] = field(default_factory=lambda: _NONE)
    #: Who pinned it.
    pins: Mapping[int, str] = field(default_factory=lambda: _NONE)
    #: Of those that were sealed, who did it: what is sealed is corrected by its author alone, and never in plain.
    sealed: Mapping[int, str] = field(default_factory=lambda: _NONE)

    @property
    def text(self) -> str | None:
        """What it says now; None where it was taken back or is not known."""
        if self.retracted is not None:
            return None
        if (edited := self.edited) is not None:
            return self.corrections[edited]
        return self.event.text if self.event is not None else None

    @property
    def edited(self) -> int | None:
        """The place of the correction that counts, None where there is none."""
        if not _is_sealed(self.event):
            return max(self.corrections, default=None)
        author = self.event.sender if self.event is not None else ""
        return max((seq for seq in self.corrections if self.sealed.get(seq) == author), default=None)

    @property
    def reactions(self) -> dict[str, list[str]]:
        """By word: who reacted so, each once, in the order of the log."""
        found: dict[str, dict[str, None]] = {}
        for seq, (word, user) in sorted(self.reacted.items()):
            if _is_sealed(self.event) and seq not in self.sealed:
                continue
            found.setdefault(word, {})[user] = None
        return {word: list(users) for word, users in found.items()}

    @property
    def pinned(self) -> bool:
        """Whether it is marked for everybody."""
        return bool(self.pins) and self.retracted is None


@dataclass(frozen=True, slots=True)
class View:
    """A room: what was said by place, and of the events that are about others, which those are."""

    said: Mapping[int, Said] = field(default_factory=dict)
    about: Mapping[int, int] = field(default_factory=dict)

    @property
    def pinned(self) -> list[int]:
        """The places that are pinned, ascending."""
        return sorted(seq for seq, each in self.said.items() if each.pinned)


def view(events: Iterable[Message], over: View | None = None) -> View:
    """The room after these events, in the order of the log, seen from a view before them."""
    over = over or View()
    fold = Fold(dict(over.said), dict(over.about))
    for event in events:
        fold.take(event)
    return View(fold.said, fold.about)


class Fold:
    """A view that grows event by event, in place; which of two events comes first makes no difference to it."""

    def __init__(self, said: dict[int, Said] | None = None, about: dict[int, int] | None = None) -> None:
        self.said = said if said is not None else {}
        self.about = about if about is not None else {}
        #: What was taken back, and by the event at which place.
        self._gone = {seq: place.retracted for seq, place in self.said.items() if place.retracted is not None}

    def take(self, event: Message) -> int | None:
        """Fold one event in; the place that may look different now."""
        seq = event.seq
        if event.kind not in ABOUT:
            event = _bare(event) if seq in self._gone else event
            self.said[seq] = replace(self.said.get(seq, _NOTHING), event=event)
            return seq
        if not event.refs or (isinstance(event, Opened) and not event.seal.opened):
            return None  # what it does is not known, or not to be believed
        (target, *_) = event.refs
        if event.kind is Kind.RETRACT:
            return self._retract(seq, target)
        self.about[seq] = target
        place = self.said.get(target, _NOTHING)
        if seq in self._gone:
            # It was taken for something said, as long as only that it was taken back was known.
            self.said.pop(seq, None)
            self.said[target] = place
        else:
            self.said[target] = _done(place, event)
        return target

    def drop(self, seq: int) -> None:
        """Forget the oldest event there is: what came later still counts, should it come again."""
        if (target := self.about.pop(seq, None)) is not None:
            if target in self.said:
                self._put(target, _undone(self.said[target], seq))
            return
        for target in [each for each, by in self._gone.items() if by == seq]:
            del self._gone[target]
            if target < seq:
                self.said.pop(target, None)
        if seq in self.said:
            self._put(seq, replace(self.said[seq], event=None))

    def _retract(self, seq: int, target: int) -> int:
        """Something is taken back: a message with all that was done to it, or only what was done."""
        self._gone[target] = max(seq, self._gone.get(target, 0))
        if target in self.about:
            place = self.about[target]
            self._put(place, _undone(self.said.get(place, _NOTHING), target))
            return place
        old = self.said.get(target, _NOTHING).event
        self.said[target] = Said(event=_bare(old) if old is not None else None, retracted=self._gone[target])
        return target

    def _put(self, seq: int, place: Said) -> None:
        """Keep a place as long as something is known of it."""
        if place == _NOTHING:
            self.said.pop(seq, None)
        else:
            self.said[seq] = place


#: A place of which nothing is known.
_NOTHING: Final = Said()


def _done(place: Said, event: Message) -> Said:
    """What an event does to the place that it is about."""
    if place.retracted is not None:
        return place
    if _is_sealed(event):
        place = replace(place, sealed={**place.sealed, event.seq: event.sender})
    if event.kind is Kind.EDIT:
        return replace(place, corrections={**place.corrections, event.seq: event.text or ""})
    if event.kind is Kind.REACT:
        return replace(place, reacted={**place.reacted, event.seq: (event.text or "", event.sender)})
    return replace(place, pins={**place.pins, event.seq: event.sender})


def _undone(place: Said, seq: int) -> Said:
    """A place without what one event did to it."""
    return replace(
        place,
        corrections=_without(place.corrections, seq),
        reacted=_without(place.reacted, seq),
        pins=_without(place.pins, seq),
        sealed=_without(place.sealed, seq),
    )


def _is_sealed(event: Message | None) -> bool:
    """Whether it came sealed: also of what cannot be opened nobody else says what it says."""
    return isinstance(event, Opened) and event.seal is not Seal.PLAIN


def _bare(event: Message) -> Message:
    """What is left of a message that was taken back."""
    return replace(event, text="", mentions=None, attachments=None, extra=None)


def _without(done: Mapping[int, T], seq: int) -> dict[int, T]:
    return {place: each for place, each in done.items() if place != seq}
