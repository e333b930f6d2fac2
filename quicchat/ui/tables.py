"""Lists of rooms, people, sessions and commands, a line for each. (spec 12-operation)"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from quicchat.client.state import Person
from quicchat.client.traces import Step, Trace
from quicchat.ui.figures import rate_of, share_of, size_of, span_of
from quicchat.ui.help import commands
from quicchat.ui.identities import Approvals, Device, Keyed, Numbers, Recovery
from quicchat.ui.manifest import called
from quicchat.ui.outcomes import (
    Devices,
    Files,
    Help,
    Members,
    Menu,
    People,
    Receipts,
    Rooms,
    Status,
    Transfers,
    Unread,
)
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


def listed(item: object, clock: Clock, times: str) -> Iterator[str] | None:
    """The lines of what a command listed, with `times` as strftime has it; None where it is nothing of the kind."""
    match item:
        case Rooms():
            return rooms(item)
        case Members():
            return members(item)
        case People():
            return people(item.people)
        case Unread():
            return unread(item)
        case Receipts():
            return receipts(item, clock)
        case Trace():
            return trace(item, clock)
        case Devices():
            return devices(item, clock)
        case Files():
            return files(item, times)
        case Status():
            return status(item)
        case Help():
            return commands(item)
    return _of_keys(item)


def _of_keys(item: object) -> Iterator[str] | None:
    match item:
        case Keyed():
            return keyed(item)
        case Numbers():
            return numbers(item)
        case Approvals():
            return approvals(item)
        case Recovery():
            return recovery(item)
    return None


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


def trace(item: Trace, clock: Clock) -> Iterator[str]:
    """A line for each step, in order; times of another clock than this machine's say so."""
    where = f"#{item.seq}" if item.seq is not None else "not stored yet"
    again = f", sent {item.sent} times" if item.sent > 1 else ""
    yield f"{where} in {item.room}, by {item.sender or 'somebody'}{again}"
    for each in item.steps:
        yield f"{clock(each.at):>8}  {_step(each)}"


def _step(step: Step) -> str:
    words = [step.what]
    if step.connection:
        stream = "control" if step.stream is None else f"stream {step.stream}"
        words.append(f"on connection {step.connection}, {stream}")
    if step.by is not None:
        words.append(f"by {step.by}")
    elif step.count is not None:
        words.append(f"by {step.count}")
    if step.whose != "here" and step.at is not None:
        words.append(f"({step.whose}'s clock)")
    return " ".join(words) + (f": {step.note}" if step.note else "")


def devices(item: Devices, clock: Clock) -> Iterator[str]:
    for session, _, name, address, at, own in item.rows:
        where = f"session {session} from {address} since {clock(at)}" if session else f"away since {clock(at)}"
        yield f"{'*' if own else ' '} {name or 'a device'}: {where}"
    if item.keyed:
        yield "With keys for what is encrypted:"
        yield from keyed_devices(item.keyed)


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


#: How far somebody is trusted, in words: the user, and what can be done.
_TRUSTS: Final = {
    "own": "{user}: your own keys",
    "verified": "{user}: verified",
    "first_use": "{user}: not verified; /verify {user} compares numbers with him",
    "changed": "{user}: another identity than before; /verify {user} makes sure that it is his, /accept {user} goes on",
    "blocked": "{user}: another identity than the verified one; nothing is sent until /verify {user} or /accept {user}",
    "unknown": "{user}: no keys are known",
}
_DEVICES: Final = {
    "this": "this device",
    "outside": "this device, not let in yet: /restore, or /approve it on another one",
    "listed": "",
    "unusable": "",
    "waits": "waits to be let in: /approve {name}",
}
#: Groups of a safety number, and of a recovery code, in a line.
_IN_A_LINE: Final = 4


def keyed(item: Keyed) -> Iterator[str]:
    yield _TRUSTS[item.trust].format(user=item.user)
    if item.identity is not None:
        yield f"  identity {grouped(item.identity)}"
    yield from keyed_devices(item.devices)


def keyed_devices(rows: Iterable[Device]) -> Iterator[str]:
    for mark, name, what, flaw in rows:
        about = flaw or _DEVICES[what].format(name=name or short(mark))
        sign = "*" if what in ("this", "outside") else " "
        yield f"{sign} {name or 'a device'}: {grouped(mark)}" + (f"  ({about})" if about else "")


def numbers(item: Numbers) -> Iterator[str]:
    yield f"The safety number of you and {item.user}:"
    yield from _in_lines(item.digits)
    yield f"{item.user} types /verify {item.own}. Read the numbers to each other, face to face or on the phone."
    yield f"Where all of them are the same, type /verify {item.user} yes; else somebody sits between you: do not."


def approvals(item: Approvals) -> Iterator[str]:
    for fingerprint, name in item.rows:
        yield f"{name or 'a device'}: {grouped(fingerprint)}  (/approve {name or short(fingerprint)})"


def recovery(item: Recovery) -> Iterator[str]:
    yield "Your recovery code; write it down on paper, and keep it where nobody finds it:"
    yield from _in_lines(item.code)
    yield "On a new device /restore asks for it. Whoever has it and your password reads all that you can read."


def grouped(fingerprint: bytes) -> str:
    """A fingerprint as people compare it."""
    return fingerprint.hex(" ", 2).upper()


def short(fingerprint: bytes) -> str:
    """As much of a fingerprint as names a device: its key id (RFC 4880 section 12.2)."""
    return fingerprint[-8:].hex().upper()


def _in_lines(digits: str) -> Iterator[str]:
    groups = digits.split()
    for at in range(0, len(groups), _IN_A_LINE):
        yield f"  {'  '.join(groups[at : at + _IN_A_LINE])}"
