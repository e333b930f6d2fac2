"""The digest of heads: a few bytes by which two ends see whether they know the same of all rooms. (spec 03-session)"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from quicchat.wire.cbor import ARRAY, TEXT, UINT, head

SIZE: Final = 16


def digest(heads: Iterable[tuple[str, int, int]]) -> bytes:
    """Of rows [room, epoch, head] in any order: SHA-256, cut, over their CBOR by room; empty logs do not count."""
    rows = sorted(row for row in heads if row[2])
    parts = [head(ARRAY, len(rows))]
    for room, epoch, place in rows:
        name = room.encode()
        parts += (head(ARRAY, 3), head(TEXT, len(name)), name, head(UINT, epoch), head(UINT, place))
    return sha256(b"".join(parts)).digest()[:SIZE]
