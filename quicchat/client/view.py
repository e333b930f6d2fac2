"""A room's messages as people see them: what was said, and what has become of it since; pure. (spec 06-messages)

A view is a fold over the events of the log in their order. Replaying what was pushed over an old view gives the
same as reading the log anew, although what was taken back has lost its words there (6.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from quicchat.wire.chapters.messages import Kind, Message

T = TypeVar("T")

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
    corrections: Mapping[int, str] = field(default_factory=dict)
    #: (word, who)
    reacted: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    #: Who pinned it.
    pins: Mapping[int, str] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        """What it says now; None where it was taken back or is not known."""
        if self.retracted is not None:
            return None
        if self.corrections:
            return self.corrections[max(self.corrections)]
        return self.event.text if self.event is not None else None

    @property
    def edited(self) -> int | None:
        """The place of the correction that counts, None where there is none."""
        return max(self.corrections, default=None)

    @property
    def reactions(self) -> dict[str, list[str]]:
        """By word: who reacted so, each once, in the order of the log."""
        found: dict[str, dict[str, None]] = {}
        for _, (word, user) in sorted(self.reacted.items()):
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
    said, about = dict(over.said), dict(over.about)
    for event in events:
        if event.kind not in ABOUT:
            said[event.seq] = replace(said.get(event.seq, Said()), event=event)
        elif event.refs:
            (target, *_) = event.refs
            if event.kind is Kind.RETRACT:
                _retract(said, about, event, target)
            else:
                about[event.seq] = target
                said[target] = _done(said.get(target, Said()), event)
    return View(said, about)


def _done(place: Said, event: Message) -> Said:
    """What an event does to the place that it is about."""
    if place.retracted is not None:
        return place
    if event.kind is Kind.EDIT:
        return replace(place, corrections={**place.corrections, event.seq: event.text or ""})
    if event.kind is Kind.REACT:
        return replace(place, reacted={**place.reacted, event.seq: (event.text or "", event.sender)})
    return replace(place, pins={**place.pins, event.seq: event.sender})


def _retract(said: dict[int, Said], about: Mapping[int, int], event: Message, target: int) -> None:
    """Something is taken back: a message with all that was done to it, or only what was done."""
    if target in about:
        place = said[about[target]]
        said[about[target]] = replace(
            place,
            corrections=_without(place.corrections, target),
            reacted=_without(place.reacted, target),
            pins=_without(place.pins, target),
        )
    else:
        old = said.get(target, Said()).event
        kept = replace(old, text="", mentions=None, attachments=None, extra=None) if old is not None else None
        said[target] = Said(event=kept, retracted=event.seq)


def _without(done: Mapping[int, T], seq: int) -> dict[int, T]:
    return {place: each for place, each in done.items() if place != seq}
