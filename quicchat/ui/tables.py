"""Lists of rooms, people, sessions and commands, a line for each. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from quicchat.client.state import Person
from quicchat.ui.outcomes import Devices, Help, Members, Menu, Receipts, Rooms, Status, Unread
from quicchat.ui.words import Command
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank

SHOWS: Final = {Show.OFFLINE: "offline", Show.ONLINE: "online", Show.AWAY: "away", Show.BUSY: "busy"}
#: A rank as help names those who have it.
_THOSE: Final = {Rank.MODERATOR: "moderators", Rank.OWNER: "owners"}
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


def status(item: Status) -> Iterator[str]:
    agreed = f"protocol version {item.version}" if item.version else "which does not answer at the moment"
    yield f"{item.user} at {item.place}, session {item.session}, {agreed}"
    yield "way to the server and back: " + ("not measured" if item.rtt is None else f"{item.rtt * 1000:.1f} ms")
    yield f"waiting to be sent: {item.outbox}"


def plain_words(menu: Menu) -> Iterator[str]:
    for each in menu.commands:
        needed = f" {each.arguments}" if each.arguments.startswith("<") else ""
        yield from (f"{word}{needed}" for word in each.classic)


def commands(item: Help) -> Iterator[str]:
    return (_explained(each, item.style) for each in item.commands)


def _explained(command: Command, style: str) -> str:
    words = {"classic": command.classic, "mystic": tuple(f"mystic {word}" for word in command.mystic)}
    others = [*(f"/{word}" for word in command.aliases), *words.get(style, ())]
    those = f"; for {_THOSE[command.rank]}" if command.rank in _THOSE else ""
    usage = f"/{command.name}" if command.hidden else command.usage
    return f"{usage:<24} {command.about}{those}" + (f" (also {', '.join(others)})" if others else "")
