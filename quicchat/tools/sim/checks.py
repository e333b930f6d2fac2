"""The promises P1 to P6, checked against the log that is left at the end. (spec 12-operation)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from quicchat.client.state import State
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.router import Router
from quicchat.tools.sim.device import Device, Seen
from quicchat.values import dataclass
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import ANNOUNCEMENTS, Room, User, parties

Logs = Mapping[str, Sequence[Seen]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and how it shows."""

    promise: str
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


def logs_of(store: MemoryStore, devices: Iterable[Device]) -> Logs:
    """Every room's log, in the order of its places; what is sealed there, with the words that were said."""
    words = {(device.user, said.cid): said.text for device in devices for said in device.outbox}
    return {name: [_said(event, words) for event in room] for name, room in events_of(store).items()}


def events_of(store: MemoryStore) -> Mapping[str, Sequence[Message]]:
    """The same as it is."""
    return {
        name: [codec.decode_body(Message, body, version=2) for body in room.log]
        for name, room in store._state.rooms.items()
    }


def _said(event: Message, words: Mapping[tuple[str, bytes], str]) -> Seen:
    seen = seen_of(event)
    if event.sealed is None or event.kind is Kind.KEY:
        return seen
    return replace(seen, text=words.get((event.sender, event.cid), ""))


def seen_of(event: Message) -> Seen:
    """An event, without what does not identify it."""
    return Seen(event.seq, event.cid, event.sender, event.kind or Kind.TEXT, event.text or "")


def broken(devices: Sequence[Device], logs: Logs) -> Iterator[Violation]:
    """Every violation of P1 to P5."""
    for device in devices:
        yield from _acknowledged(device, logs)
        for room, runs in device.views.items():
            yield from _viewed(device, room, runs, logs.get(room, ()))
    for room, log in logs.items():
        yield from _once(room, log)
        yield from _numbered(room, log)
        yield from _in_order(devices, room, log)


def unseen(devices: Iterable[Device], logs: Logs, *, since: float) -> Iterator[str]:
    """What P6 still wants of a server that runs since then: everything said is answered, and seen by everybody."""
    for device in devices:
        if device.chat is None or device.chat.lost is not None or not device.is_online or device.since < since:
            yield f"{device.name} is not connected"
        for said in device.outbox:
            if not said.is_settled:
                yield f"{device.name} has no answer to {said.text[:9]}"
        for wish in device.wishes:
            if not wish.granted.is_set():
                yield f"{device.name} still wants to {'enter' if wish.enter else 'leave'} {wish.room}"
        for room, log in logs.items():
            runs = device.views.get(room, ())
            last = max((run[-1].seq for run in runs if run), default=0)
            begin = _entered(device.user, room, log)
            # Where his other device has been before, this one begins later.
            if begin is not None and max(last, begin) < len(log) and (device.alone or last):
                yield f"{device.name} has seen {room} up to {last} of {len(log)}"


def overheard(router: Router, logs: Logs) -> Iterator[Violation]:
    """Rooms that are still pushed to somebody who has left them; a good client does not show it."""
    for listener, rooms in router._rooms.items():
        user = router._users[listener]
        for room in sorted(rooms):
            if _entered(user, room, logs.get(room, ())) is None:
                yield Violation("P4", f"{user} goes on hearing {room}, which he has left")


def _acknowledged(device: Device, logs: Logs) -> Iterator[Violation]:
    for said in device.outbox:
        if said.told is None:
            continue
        room, seq = said.told
        log = logs.get(room, ())
        stored = log[seq - 1] if seq <= len(log) else None
        if stored is None or (stored.seq, stored.sender, stored.text) != (seq, device.user, said.text):
            yield Violation("P1", f"{said.text[:9]} of {device.name} was acknowledged as {room} {seq}: {stored}")


def _once(room: str, log: Sequence[Seen]) -> Iterator[Violation]:
    for (sender, cid), count in Counter((each.sender, each.cid) for each in log).items():
        if count > 1:
            yield Violation("P2", f"{room} holds {count} events of {sender} with the id {cid.hex()}")
    said = Counter((each.sender, each.text) for each in log if each.kind is Kind.TEXT)
    for (sender, text), count in said.items():
        if count > 1:
            yield Violation("P2", f"{room} holds {text} of {sender} {count} times")


def _numbered(room: str, log: Sequence[Seen]) -> Iterator[Violation]:
    numbers = [each.seq for each in log]
    if numbers != list(range(1, len(log) + 1)):
        yield Violation("P3", f"the places of {room} are {numbers}")


def _viewed(device: Device, room: str, runs: Sequence[Sequence[Seen]], log: Sequence[Seen]) -> Iterator[Violation]:
    """Each connection shows places in unbroken order, beginning no later than where the one before ended."""
    joins = [each.seq for each in log if each.kind is Kind.JOIN and each.sender == device.user]
    leaves = [each.seq for each in log if each.kind is Kind.LEAVE and each.sender == device.user]
    left = max(leaves, default=0)
    until = len(log) if parties(Room(room)) or max(joins, default=0) > left else left
    where = f"{device.name} was shown {room}"
    last = 0 if device.alone or runs[0][0].seq in joins else runs[0][0].seq - 1
    for run in runs:
        before = None
        for seen in run:
            if before is not None and seen.seq <= before:
                yield Violation("P4", f"{where} {seen.seq} after {before}")
            begins = [join for join in joins if last < join]
            # His own LEAVE ends it all: what lay between he may not ask for any more.
            if (
                seen.seq > last + 1
                and seen.seq not in leaves
                and not any(join <= seen.seq <= join + 1 for join in begins)
            ):
                yield Violation("P4", f"{where} {seen.seq} after {last}; he entered at {joins}")
            before = seen.seq
            last = max(last, seen.seq)
            if seen.seq > len(log) or not _is_shown(device, log[seen.seq - 1], seen):
                yield Violation("P4", f"{where} {seen.seq} as {seen}, and there is {log[seen.seq - 1 : seen.seq]}")
            if seen.seq > until:
                yield Violation("P4", f"{where} {seen.seq}, having left it at {until}")


def _is_shown(device: Device, stored: Seen, seen: Seen) -> bool:
    """Whether a place was shown as it is; what a device cannot read yet, without words."""
    return stored == seen or (device.keyed and seen == replace(stored, text=""))


def _in_order(devices: Sequence[Device], room: str, log: Sequence[Seen]) -> Iterator[Violation]:
    """What a device said while its user was in a room, without leaving, stands there in that order.

    A post that was refused, because he had left, and whose refusal got lost, may come late.
    """
    stays: dict[str, int] = {}
    places: dict[tuple[str, str], tuple[int, int]] = {}
    for each in log:
        stays[each.sender] = stays.get(each.sender, 0) + (each.kind is Kind.JOIN)
        places[each.sender, each.text] = stays[each.sender], each.seq
    for device in devices:
        stored = [places[device.user, said.text] for said in device.outbox if (device.user, said.text) in places]
        for stay in {stay for stay, _ in stored}:
            order = [place for when, place in stored if when == stay]
            if order != sorted(order):
                yield Violation("P5", f"{room} holds what {device.name} said in the order {order}")


def _entered(user: str, room: str, log: Sequence[Seen]) -> int | None:
    """The place at which the membership that lasts began, or None where the user is no member."""
    both = parties(Room(room))
    if both is not None:
        return 0 if User(user) in both else None
    begin = 0 if room == ANNOUNCEMENTS else None
    for each in log:
        if each.sender == user and each.kind is Kind.JOIN:
            begin = each.seq
        elif each.sender == user and each.kind is Kind.LEAVE:
            begin = None
    return begin


def differing(old: State, fresh: State, *, people: bool) -> Iterator[Violation]:
    """Where a state that grew by pushed events differs from one of a fresh login."""
    grown = {name: (view.epoch, view.head) for name, view in old.rooms.items()}
    found = {name: (view.epoch, view.head) for name, view in fresh.rooms.items()}
    if grown != found:
        yield Violation("replay", f"{old.user} has the rooms {grown}, and a fresh login {found}")
    if people and _online(old) != _online(fresh):
        yield Violation("replay", f"{old.user} takes {_online(old)} for present, and a fresh login {_online(fresh)}")


def _online(state: State) -> list[str]:
    return sorted(name for name, person in state.people.items() if person.show is not Show.OFFLINE)
