"""Records inside sealed bodies: one form only, and lengths that tell little."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quicchat.errors import Code, RemoteProtocolError
from quicchat.wire.sealed import DeviceList, packed, padded, step, unpacked, unpadded


@pytest.mark.parametrize(
    ("size", "length"),
    [(0, 64), (64, 64), (65, 128), (128, 128), (2_049, 4_096), (4_096, 4_096), (4_097, 8_192), (8_193, 12_288)],
)
def test_steps(size: int, length: int) -> None:
    """[15.6-1]: powers of two from 64 to 4096, then multiples of 4096."""
    assert step(size) == length


@given(st.binary(max_size=9_000))
@example(b"")
@example(bytes(60))
@example(bytes(61))
@example(bytes(4_092))
@example(bytes(4_093))
def test_what_is_padded_comes_back(data: bytes) -> None:
    """[15.6-1]: the length is one of few, and the content is whole."""
    found = padded(data)
    assert len(found) == step(len(data) + 4)
    assert unpadded(found) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        bytes(63),
        bytes(65),
        bytes(128),
        padded(b"abc")[:-1],
        padded(b"abc")[:-1] + b"\1",
        padded(b"abc") + bytes(64),
        (61).to_bytes(4, "big") + bytes(60),
        (2**32 - 1).to_bytes(4, "big") + bytes(60),
    ],
)
def test_other_padding_is_refused(data: bytes) -> None:
    """[15.6-1], R4.19: cut short, filled with something, longer than it need be, or longer than it is."""
    with pytest.raises(RemoteProtocolError, match="padding") as caught:
        unpadded(data)
    assert caught.value.code is Code.SCHEMA


def test_a_record_has_one_form() -> None:
    """[15.3-23]: what is signed is the deterministic encoding; another one of the same values is refused."""
    found = DeviceList(version=1, account="alice", serial=1, time=1, devices=())
    data = packed(found)
    assert unpacked(DeviceList, data) == found
    longer = data.replace(b"\x01\x01", b"\x01\x18\x01", 1)
    assert longer != data
    with pytest.raises(RemoteProtocolError, match="not deterministic"):
        unpacked(DeviceList, longer)
