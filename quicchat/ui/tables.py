"""Lists of rooms, people, sessions and commands, a line for each. (spec 12-operation)"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from quicchat.client.state import Person
from quicchat.ui.figures import rate_of, share_of, size_of, span_of
from quicchat.ui.manifest import called
from quicchat.ui.outcomes import Devices, Files, Members, Menu, Receipts, Rooms, Status, Transfers, Unread
from quicchat.ui.visible import visible
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank

SHOWS: Final = {Show.OFFLINE: "offline", Show.ONLINE: "online", Show.AWAY: "away", Show.BUSY: "busy"}
_STANDINGS: Final = {Standing.WHOLE: "", Standing.COMING: "still coming", Standing.CHANGING: "changing"}
#: Where a file comes from that nobody sent.
SHARED: Final = "shared"
#: Columns that a name may take before its row is out of line.
_WIDEST: Final = 48
#: Tells a time (Unix ms, None where nobody told it).
Clock = Callable[[int | None], str]


def rooms(item: Rooms) -> Iterator[str]:
    for room, members, topic, joined in item.rows:
        mark = "*" if room == item.here else "+" if joined else " "
        yield f"{mark} {room} ({members}){f'  {topic}' if topic else ''}"


def members(item: Members) -> Iterator[str]:
    for user, online, rank in item.rows:
        marks = [*([] if online else ["offline"]), *([] if rank is Rank.MEMBER else [rank.name.lower()])]
        yield f"{user} ({', '.join(marks)})" if marks else user


def people(known: Mapping[str, Person]) -> Iterator[str]:
    for user, person in sorted(known.items()):
        status = f" ({person.status})" if person.status else ""
        address = f" {person.address}" if person.address else ""
        yield f"{user} {SHOWS[person.show]}{status}{address}"


def unread(item: Unread) -> Iterator[str]:
    for room, count, mentions in item.rows:
        yield f"{room} {count}" + (f" ({mentions} for you)" if mentions else "")


def receipts(item: Receipts, clock: Clock) -> Iterator[str]:
    for user, delivered, read, at in item.rows:
        yield f"{user} has #{delivered}, read #{read} ({clock(at or None)})"
    if item.count is not None:
        yield f"{item.count} have everything"


def devices(item: Devices, clock: Clock) -> Iterator[str]:
    for session, _, name, address, at, own in item.rows:
        where = f"session {session} from {address} since {clock(at)}" if session else f"away since {clock(at)}"
        yield f"{'*' if own else ' '} {name or 'a device'}: {where}"


def files(item: Files, times: str) -> Iterator[str]:
    """Columns: name, size, when it was changed, who sent it and where, and whether it can be had whole."""
    rows = [
        (
            visible(called(each.name, each.media_type)),
            size_of(each.size),
            _day(each.modified, times),
            f"{each.sender} #{each.seq}" if each.sender else SHARED,
            _STANDINGS[each.standing],
        )
        for each in item.rows
    ]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for name, size, modified, who, standing in rows:
        line = f"{name:<{widths[0]}}  {size:>{widths[1]}}  {modified:<{widths[2]}}  {who:<{widths[3]}}  {standing}"
        yield line.rstrip()


def _day(at: int, times: str) -> str:
    """Local date and time of Unix ms; the server may have told any number."""
    try:
        return time.strftime(f"%Y-%m-%d {times}", time.localtime(at / 1000)) if at else "-"
    except (OverflowError, ValueError, OSError):
        return "-"


def transfers(item: Transfers) -> Iterator[str]:
    for each in item.rows:
        moves = f", {rate_of(each.rate)}" if each.rate else ""
        left = f", {span_of(each.eta)} to go" if each.eta is not None else ""
        why = f": {each.reason}" if each.reason else ""
        share = f"{share_of(each.done, each.size)} of {size_of(each.size)}"
        yield f"{each.number} {each.direction} {each.name} {share}, {each.state}{moves}{left}{why}"


def status(item: Status) -> Iterator[str]:
    agreed = f"protocol version {item.version}" if item.version else "which does not answer at the moment"
    yield f"{item.user} at {item.place}, session {item.session}, {agreed}"
    yield "way to the server and back: " + ("not measured" if item.rtt is None else f"{item.rtt * 1000:.1f} ms")
    yield f"waiting to be sent: {item.outbox}"


def plain_words(menu: Menu) -> Iterator[str]:
    for each in menu.commands:
        needed = f" {each.arguments}" if each.arguments.startswith("<") else ""
        yield from (f"{word}{needed}" for word in each.classic)
