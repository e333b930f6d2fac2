"""Leaves and the id of a file: what the specification says, computed a second time."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.wire import leaves

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "leaves.json"
FILES = st.binary(max_size=300)
CUTS = st.integers(1, 64)


def named(data: bytes, cut: int) -> tuple[bytes, list[bytes]]:
    """Section 14.1, word for word."""
    found = [sha256(data[at : at + cut]).digest() for at in range(0, len(data), cut)]
    return sha256(b"quicchat file 1\0" + pack(">QI", len(data), cut) + b"".join(found)).digest(), found


@given(data=FILES, cut=CUTS)
def test_the_id_of_a_file(data: bytes, cut: int) -> None:
    """[14.1-1]: SHA-256 of each chunk, then over size, chunk size and these."""
    file, found = named(data, cut)
    assert leaves.of(data, cut) == (file, b"".join(found))
    assert leaves.root(len(data), cut, b"".join(found)) == file
    assert leaves.count(len(data), cut) == len(found)
    lengths = [leaves.length(index, len(data), cut) for index in range(len(found))]
    assert lengths == [len(data[at : at + cut]) for at in range(0, len(data), cut)]


@given(data=FILES, cut=CUTS, other=FILES, other_cut=CUTS)
def test_another_file_has_another_id(data: bytes, cut: int, other: bytes, other_cut: int) -> None:
    """[14.1-1]: the same id is the same bytes, cut in the same way."""
    assert (leaves.of(data, cut)[0] == leaves.of(other, other_cut)[0]) is ((data, cut) == (other, other_cut))


@given(data=FILES, cut=CUTS, wrong=st.integers(-64, 64).filter(bool))
def test_too_few_or_too_many_leaves(data: bytes, cut: int, wrong: int) -> None:
    """[14.1-2]: they are those of this file, or no file has them."""
    found = leaves.of(data, cut)[1]
    length = len(found) + wrong
    given = found[: max(0, length)] + bytes(max(0, wrong))
    if len(given) != len(found):
        with pytest.raises(ValueError, match="are not the leaves of"):
            leaves.root(len(data), cut, given)


@given(data=FILES.filter(bool), cut=CUTS, at=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_seen(data: bytes, cut: int, at: int, bit: int) -> None:
    """[14.1-2] X5: in a chunk its leaf tells, in a leaf the file."""
    file, found = leaves.of(data, cut)
    flipped = bytearray(data)
    flipped[at % len(data)] ^= 1 << bit
    index = at % len(data) // cut
    chunk = bytes(flipped[index * cut : index * cut + cut])
    assert leaves.leaf(chunk) != found[index * leaves.LEAF : (index + 1) * leaves.LEAF]
    other = bytearray(found)
    other[at % len(found)] ^= 1 << bit
    assert leaves.root(len(data), cut, bytes(other)) != file


def test_the_vectors() -> None:
    """[14.1-1]: the ids that another implementation is to find."""
    vectors = json.loads(VECTORS.read_text())["valid"]
    assert {each["size"] for each in vectors} >= {0, 1, 4_095, 4_096, 4_097, 262_144, 262_145}
    for each in vectors:
        file, found = named(bytes(at % 251 for at in range(each["size"])), each["chunk"])
        assert (each["file"], each["leaves"]) == (file.hex(), [one.hex() for one in found])
