"""Gaps: what a device missed that comes back, and from where it goes on. (spec 04-accounts)"""

from __future__ import annotations

from quicchat.values import dataclass
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.names import Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How a room stands for a device that comes back, and the place from which it goes on."""

    room: Room
    epoch: int
    head: int
    place: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What a device missed: the rooms of its user, and the places of those of its messages that are stored."""

    rooms: tuple[Gap, ...]
    known: tuple[tuple[bytes, int], ...]


def judged(
    room: Room, *, epoch: int, first: int, head: int, since: int, delivered: int, held: tuple[int, int] | None
) -> Gap:
    """The gap of a device in a room of its user: `held` is (epoch, place) as the device told it, if it did.

    Where it told nothing it goes on from what was delivered to it; where its log is not this one, from the
    beginning of the membership.
    """
    if held is not None and (held[0] != epoch or held[1] > head):
        place, verdict = since, Verdict.RESET
    else:
        place, verdict = delivered if held is None else held[1], Verdict.OK
    if place < first - 1:
        place, verdict = first - 1, max(verdict, Verdict.TRUNCATED)
    return Gap(room=room, epoch=epoch, head=head, place=min(place, head), verdict=verdict)


def lost(room: Room, epoch: int) -> Gap:
    """What a device is told of a room that is not its user's, or does not exist: no more than it said itself."""
    return Gap(room=room, epoch=epoch, head=0, place=0, verdict=Verdict.GONE)
