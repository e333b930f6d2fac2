"""Search in memory: every message is read again. (spec 06-messages)"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import Place
from quicchat.server.model import SEARCHED, Finds, Word
from quicchat.wire.names import Room
from quicchat.wire.search import has

#: When it was said (never earlier than what stands before it), which room, which place: newest last.
_Key = bytes


def find(
    rooms: Sequence[tuple[Room, Place]], words: Sequence[Word], after: bytes | None, limit: int, budget: int
) -> Finds:
    """The port's `search` in these rooms."""
    if after is not None and len(after) != 24:
        raise Refused(Code.SCHEMA)
    found = sorted((each for name, room in rooms for each in _matching(name, room, words)), reverse=True)
    rest = [(key, body) for key, body in found if after is None or key < after]
    kept = 0
    for _, body in islice(rest, limit):
        budget -= len(body)
        if budget < 0 and kept:
            break
        kept += 1
    more = rest[kept - 1][0] if kept < len(rest) else None
    return Finds(events=tuple(body for _, body in rest[:kept]), next=more)


def _matching(name: Room, room: Place, words: Sequence[Word]) -> Iterator[tuple[_Key, bytes]]:
    time = 0
    for place, body in enumerate(room.log, start=1):
        message = room.message(place)
        time = max(time, message.ts)
        if message.kind in SEARCHED and has(message.text or "", words):
            mark = hashlib.sha256(name.encode()).digest()[:8]
            yield time.to_bytes(8) + mark + place.to_bytes(8), body
