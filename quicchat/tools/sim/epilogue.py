"""What is played last with clients that have keys, when nothing goes wrong any more. (spec 12-operation)

Everybody says a last word wherever he can, so that each key has to be where it is needed; one device loses all but its
keys and reads everything again; and the server repeats what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.seal import Opened, Seal
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.tools.sim.checks import Violation, events_of
from quicchat.tools.sim.device import ATTIC, VAULT, Device
from quicchat.tools.sim.keeper import look
from quicchat.tools.sim.secrecy import betrayed, case, differing, misread
from quicchat.tools.sim.witness import Witness
from quicchat.wire.chapters.messages import Kind, Message

_PATIENCE: Final = 10.0
_LOOK: Final = 0.1
_ALL: Final = 10_000


def last_words(devices: Sequence[Device]) -> None:
    """Everybody says something to everybody."""
    users = sorted({device.user for device in devices})
    for device in devices:
        known = [wish.room for wish in device.wishes]
        others = [f"@{user}" for user in users if user != device.user]
        for room in (*(each for each in (VAULT, ATTIC) if each in known), *others):
            device.say(room, f"{device.name}-{len(device.outbox) + 1}, farewell")


def unready(devices: Sequence[Device]) -> Iterator[str]:
    """What P6 wants besides of devices that have keys."""
    for device in devices:
        if device.chat is not None and not device.chat.keys.ready:
            yield f"{device.name} is not let in"


async def judged(devices: Sequence[Device], store: MemoryStore, witness: Witness) -> list[Violation]:
    """All that was broken of P7 and P8, after everybody has looked once more at what he could not read."""
    for device in devices:
        unread: dict[str, list[int]] = {}
        for (room, seq), (_, seal) in device.read.items():
            if not seal.opened:
                unread.setdefault(room, []).append(seq)
        for room, seqs in unread.items():
            await look(device, room, seqs)
    found = case(store, witness)
    return [*betrayed(found, store), *misread(found)]


async def again(device: Device, store: MemoryStore) -> list[Violation]:
    """A device forgets all but its keys, and reads everything again; then it is told something twice."""
    before: dict[str, dict[int, tuple[str, Seal]]] = {}
    for (room, seq), said in device.read.items():
        before.setdefault(room, {})[seq] = said
    await device.gone()
    await device.memory.forget()
    device.start()
    if not await _until(lambda: device.is_online and device.chat is not None and device.chat.keys.ready):
        return [Violation("P6", f"{device.name} does not come back")]
    assert device.chat is not None
    broken: list[Violation] = []
    for room, known in before.items():
        if room in device.chat.state.rooms:
            found = await device.chat.past(room, limit=_ALL)
            broken += differing(device, room, known, found)
            if not broken:
                broken += await _repeated(device, room, found, events_of(store)[room])
    return broken


async def _repeated(device: Device, room: str, found: Sequence[Message], log: Sequence[Message]) -> list[Violation]:
    """The server tells once more, behind the last event of a room, what somebody has said there."""
    said = [each.seq for each in found if isinstance(each, Opened) and each.kind is Kind.TEXT and each.seal.opened]
    if not said or device.chat is None:
        return []
    place = len(log) + 1
    device.chat._session._sort(replace(log[said[-1] - 1], seq=place), False)
    await _until(lambda: (room, place) in device.read)
    text, seal = device.read.get((room, place), ("nothing", Seal.LOST))
    if seal is Seal.FORGED:
        return []
    return [Violation("P8", f"{device.name} takes {text[:12]} in {room}, {seal.name}, for said again")]


async def _until(is_so: Callable[[], bool]) -> bool:
    for _ in range(round(_PATIENCE / _LOOK)):
        if is_so():
            return True
        await asyncio.sleep(_LOOK)
    return False
