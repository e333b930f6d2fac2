"""The digest of heads: the same at both ends, whoever asks in whatever order."""

from __future__ import annotations

from hashlib import sha256

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from quicchat.wire.digest import SIZE, digest

HEADS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=70),
    st.tuples(st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1)),
    max_size=30,
)


def test_a_known_digest() -> None:
    """[3.2-5]: SHA-256 over the array of rows, by hand, cut to 16 bytes."""
    rows = b"\x82" + b"\x83\x61*\x01\x02" + b"\x83\x67garden1\x03\x19\x01\x01"
    assert digest([("garden1", 3, 257), ("*", 1, 2)]) == sha256(rows).digest()[:16]
    assert digest([]) == sha256(b"\x80").digest()[:16]


@given(heads=HEADS, data=st.data())
def test_order_and_empty_logs_make_no_difference(heads: dict[str, tuple[int, int]], data: st.DataObject) -> None:
    """[3.2-5]: rows ascend by room, whatever the order of the source; a room nobody spoke in is not among them."""
    rows = [(room, *place) for room, place in heads.items()]
    shuffled = data.draw(st.permutations(rows))
    wanted = [[*row] for row in sorted(rows, key=lambda row: row[0].encode()) if row[2]]
    assert digest(shuffled) == sha256(cbor2.dumps(wanted, canonical=True)).digest()[:SIZE]


@given(heads=HEADS.filter(bool), data=st.data())
def test_one_more_message_is_another_digest(heads: dict[str, tuple[int, int]], data: st.DataObject) -> None:
    """[3.2-5] Protocol §7.3: a tail that is missing in any room shows."""
    rows = [(room, *place) for room, place in heads.items()]
    room, epoch, head = rows.pop(data.draw(st.integers(0, len(rows) - 1)))
    assert digest([*rows, (room, epoch, head)]) != digest([*rows, (room, epoch, head + 1 if head < 2**64 - 1 else 1)])
    if head:
        other = epoch + 1 if epoch < 9 else 1
        assert digest([*rows, (room, epoch, head)]) != digest([*rows, (room, other, head)])
