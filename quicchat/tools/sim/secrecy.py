"""The promises P7 and P8, of conversations that are encrypted, checked against what was seen of it. (spec 12-operation)

Who a message is for depends on what its sender knew when it was sealed: who had come and gone, and which devices were
listed. A device counts as knowing what the server had before its connection began, and what it was told since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from quicchat.client.seal import Opened, Seal
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.tools.sim.checks import Violation, events_of
from quicchat.tools.sim.device import ATTIC, VAULT, Device
from quicchat.tools.sim.witness import Left, Witness
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import KeysChanged
from quicchat.wire.chapters.messages import SAID, Kind, Message
from quicchat.wire.chapters.rooms import ENCRYPTED, RoomState
from quicchat.wire.names import Device as Id
from quicchat.wire.names import Room, User, parties
from quicchat.wire.sealed import Scheme, Sealed, unpacked

#: How far a message is trusted that comes from people who were seen before, and whose keys are what they were.
_GOOD: Final = frozenset({Seal.OWN, Seal.PINNED, Seal.VERIFIED})


@dataclass(frozen=True, slots=True)
class Case:
    """All there is to judge by: the server's memory, and what was seen."""

    witness: Witness
    logs: Mapping[str, Sequence[Message]]
    #: By device: its handle and its fingerprint.
    handles: Mapping[str, int] = field(default_factory=dict)
    marks: Mapping[str, bytes] = field(default_factory=dict)
    #: By room and place: handles of those that a KEY event is for.
    entries: Mapping[tuple[str, int], frozenset[int]] = field(default_factory=dict)
    words: Mapping[tuple[str, bytes], str] = field(default_factory=dict)

    @property
    def devices(self) -> Iterable[Device]:
        """All of them."""
        return self.witness.devices.values()

    def author(self, handle: int) -> Device | None:
        """The device that has this handle."""
        return next((each for each in self.devices if self.handles.get(each.name) == handle), None)


def case(store: MemoryStore, witness: Witness) -> Case:
    """What there is to judge by."""
    state = store._state
    keys = {
        device.name: state.keys[User(device.user)][Id(device.id)].key
        for device in witness.devices.values()
        if Id(device.id) in state.keys.get(User(device.user), {})
    }
    return Case(
        witness,
        events_of(store),
        {name: each.handle for name, each in keys.items()},
        {name: each.fingerprint for name, each in keys.items()},
        {
            (room, seq): frozenset(handle for handle, _ in readers.values())
            for room, place in state.rooms.items()
            for seq, readers in place.entries.items()
        },
        {(device.user, said.cid): said.text for device in witness.devices.values() for said in device.outbox},
    )


def betrayed(case: Case, store: MemoryStore) -> Iterator[Violation]:
    """P7: words that were said in clear, and sessions that sealed two things alike."""
    said: dict[tuple[bytes, int], tuple[bytes, bytes]] = {}
    for each in case.witness.left:
        body = unpacked(Sealed, each.post.sealed) if each.post.sealed is not None else None
        if body is None:
            if each.post.kind in (None, *SAID, Kind.EDIT, Kind.REACT) and _knows_sealed(case, each):
                yield Violation("P7", f"{each.device} says {each.post.text[:9]} in clear in {each.room}")
        elif body.scheme is Scheme.SENDER_KEY and body.sid is not None and body.index is not None:
            was = said.setdefault((body.sid, body.index), (each.post.cid, body.ciphertext))
            if was != (each.post.cid, body.ciphertext):
                yield Violation("P7", f"{each.device} seals two things with index {body.index} in {each.room}")
    yield from _overheard(case, store)


def _overheard(case: Case, store: MemoryStore) -> Iterator[Violation]:
    """Words of the vault that stand anywhere in the server's memory."""
    state = store._state
    kept = [*state.rooms[Room(VAULT)].log] if VAULT in state.rooms else []
    kept += [part for _, parts in state.backups.values() for part in parts]
    for device in case.devices:
        for said in device.outbox:
            if said.room == VAULT and any(said.text.encode() in each for each in kept):
                yield Violation("P7", f"the server has {said.text[:9]}, said by {device.name}")


def _knows_sealed(case: Case, left: Left) -> bool:
    """Whether a device has to know that a conversation is encrypted, when something leaves it."""
    if left.room == VAULT:
        return True
    witness = case.witness
    born = witness.born(left.device, left.at)
    if left.room == ATTIC:
        since = [each.seq for each in case.logs.get(ATTIC, ()) if (each.policy or 0) & ENCRYPTED]
        heard = any(
            isinstance(pdu, Message | RoomState) and pdu.room == ATTIC and (pdu.policy or 0) & ENCRYPTED
            for at, pdu in witness.heard.get(left.device, ())
            if at < left.at
        )
        return heard or any(witness.committed(ATTIC, seq) < born for seq in since)
    both = parties(Room(left.room))
    if both is None:
        return False
    if all(user in witness.lists and witness.lists[user][0].at < born for user in both):
        return True
    sealed = (each for each in witness.left if (each.device, each.room) == (left.device, left.room))
    return any(each.at < left.at and each.post.sealed is not None for each in sealed)


def misread(case: Case) -> Iterator[Violation]:
    """P8: what was said is read by whom it is for, as it was said, and its key was given to nobody else."""
    given = _given(case)
    speakers = {key.sid: key.device for key in case.witness.given.values()}
    for room, log in case.logs.items():
        for event in log:
            if event.sealed is None or event.kind is Kind.KEY:
                continue
            body = unpacked(Sealed, event.sealed)
            assert body.sid is not None
            assert body.index is not None
            author = case.author(speakers.get(body.sid, 0))
            at = case.witness.sealed.get(body.ciphertext)
            if author is None or at is None:
                # It was given to nobody, for there was nobody; or it is by a device that is not there any more.
                continue
            for reader in case.devices:
                if reader is not author:
                    yield from _judged(case, event, author, reader, at)
            yield from _given_away(case, event, author, at, given.get((room, body.sid), {}))
            yield from _still_waiting(case, event, body.index, given.get((room, body.sid), {}))


def _judged(case: Case, event: Message, author: Device, reader: Device, at: float) -> Iterator[Violation]:
    shown = reader.read.get((event.room, event.seq))
    if shown is None:
        return
    what = f"{event.room} {event.seq} of {author.name}"
    text, seal = shown
    if seal is Seal.FORGED:
        yield Violation("P8", f"{reader.name} takes {what} for forged")
    elif seal.opened and (text, seal in _GOOD) != (case.words.get((event.sender, event.cid)), True):
        yield Violation("P8", f"{reader.name} reads {text[:12]} in {what}, {seal.name}")
    elif not seal.opened and _is_for(case, event, author, reader, at):
        yield Violation("P8", f"{reader.name} cannot read {what}, which is for him: {seal.name}")


def _is_for(case: Case, event: Message, author: Device, reader: Device, at: float) -> bool:
    """Whether its author knew, when he sealed it, that this device is to read it."""
    both = parties(Room(event.room))
    if both is not None and User(reader.user) not in both:
        return False
    if both is None:
        place, kind = _moved(case, event.room, reader.user, event.seq)
        if kind is not Kind.JOIN or not _knows_move(case, event.room, place, author, at):
            return False
    return _knows_listed(case, author, reader, at)


def _moved(case: Case, room: str, user: str, upto: int) -> tuple[int, Kind]:
    """Where a user came or went last before a place."""
    moves = [
        (each.seq, each.kind)
        for each in case.logs[room][: upto - 1]
        if each.sender == user and each.kind in (Kind.JOIN, Kind.LEAVE)
    ]
    return moves[-1] if moves else (0, Kind.LEAVE)


def _knows_move(case: Case, room: str, seq: int, author: Device, at: float) -> bool:
    witness = case.witness
    return witness.committed(room, seq) < witness.born(author.name, at) or any(
        isinstance(pdu, Message) and (pdu.room, pdu.seq) == (room, seq) and then < at
        for then, pdu in witness.heard.get(author.name, ())
    )


def _knows_listed(case: Case, author: Device, reader: Device, at: float) -> bool:
    witness = case.witness
    mark = case.marks.get(reader.name)
    since = next((each for each in witness.lists.get(User(reader.user), ()) if mark in each.marks), None)
    if since is None:
        return False
    return since.at < witness.born(author.name, at) or any(
        isinstance(pdu, KeysChanged) and pdu.user == reader.user and pdu.serial >= since.serial and then < at
        for then, pdu in witness.heard.get(author.name, ())
    )


#: By handle: the first index that it was given the key of, and where.
Given = dict[int, tuple[int, int]]


def _given(case: Case) -> Mapping[tuple[str, bytes], Given]:
    """Who was given which session, by the KEY events in the log."""
    found: dict[tuple[str, bytes], Given] = {}
    for (room, seq), handles in case.entries.items():
        body = unpacked(Sealed, case.logs[room][seq - 1].sealed or b"")
        key = case.witness.given.get(body.ciphertext)
        for handle in handles if key is not None else ():
            assert key is not None
            places = found.setdefault((room, key.sid), {})
            places[handle] = min(places.get(handle, (key.index, seq)), (key.index, seq))
    return found


def _given_away(case: Case, event: Message, author: Device, at: float, given: Given) -> Iterator[Violation]:
    """A session goes on that somebody has who was gone, as its author knew."""
    for reader in case.devices:
        if case.handles.get(reader.name) not in given or parties(Room(event.room)) is not None:
            continue
        place, kind = _moved(case, event.room, reader.user, event.seq)
        gave = given[case.handles[reader.name]][1]
        if kind is Kind.LEAVE and gave < place and _knows_move(case, event.room, place, author, at):
            yield Violation("P8", f"{reader.name}, who had left, has the key of {event.room} {event.seq}")


def _still_waiting(case: Case, event: Message, index: int, given: Given) -> Iterator[Violation]:
    """The key is in the log, and nobody has looked."""
    for reader in case.devices:
        first, place = given.get(case.handles.get(reader.name, 0), (index + 1, 0))
        _, seal = reader.read.get((event.room, event.seq), ("", Seal.OWN))
        has_key = any(seen.seq == place for run in reader.views.get(event.room, ()) for seen in run)
        if first <= index and not seal.opened and has_key:
            yield Violation("P8", f"{reader.name} has {event.room} {event.seq} as {seal.name}, with the key in {place}")


def differing(
    reader: Device, room: str, before: Mapping[int, tuple[str, Seal]], found: Sequence[Message]
) -> Iterator[Violation]:
    """What is read otherwise when it is fetched again from the server."""
    for event in found:
        now = (event.text or "", event.seal) if isinstance(event, Opened) else None
        was = before.get(event.seq)
        if was is not None and was[1].opened and was != now:
            yield Violation("P8", f"{reader.name} read {was[0][:12]} in {room} {event.seq}, and now {now}")
