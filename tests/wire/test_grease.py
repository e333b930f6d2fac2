"""GREASE: what is sprinkled may be ignored, comes seldom, and comes again from the same seed."""

from __future__ import annotations

import itertools

import pytest

from quicchat.wire.chapters.session import Ping
from quicchat.wire.codec import Unknown, decode, encode
from quicchat.wire.grease import Grease
from tests.strategies import raw


@pytest.mark.parametrize("seed", [1, 7, 2**32 - 1, 2**40 + 3])
def test_what_is_sprinkled_may_be_ignored(seed: int) -> None:
    """W22, W23, protocol §2: odd types above 127 and odd keys from 33 up, which every peer reads over."""
    grease = Grease(seed)
    types: set[int] = set()
    keys: set[int] = set()
    capabilities: set[int] = set()
    for _ in range(500):
        data = grease.pdu(2)
        unknown = decode(data, version=2).pdu
        assert isinstance(unknown, Unknown)
        assert unknown.ignorable
        assert data == raw(unknown.number, {})
        types.add(unknown.number)
        extra = {grease.key(): grease.capability()}
        assert decode(encode(Ping(nonce=1, extra=extra), version=2)).pdu == Ping(nonce=1, extra=extra)
        keys.update(extra)
        capabilities.update(extra.values())
    assert all(number % 2 for number in (*types, *keys, *capabilities))
    assert min(len(types), len(keys)) > 50
    assert len(capabilities) > 300


def test_now_and_then() -> None:
    """protocol §2: about once in `every` times, in no pattern that a peer could get used to."""
    grease = Grease(1, every=32)
    due = [at for at in range(32_000) if grease.due()]
    assert 800 < len(due) < 1200
    gaps = {late - early for early, late in itertools.pairwise(due)}
    assert len(gaps) > 50


def test_the_same_seed_says_the_same() -> None:
    """design §9: a run can be repeated; another seed gives another one."""

    def said(seed: int) -> list[object]:
        grease = Grease(seed)
        return [(grease.due(), grease.key(), grease.pdu(1), grease.capability()) for _ in range(20)]

    assert said(5) == said(5)
    assert said(5) != said(6)


def test_seed_0_sprinkles_nothing() -> None:
    """R0.16: golden vectors are recorded without it."""
    grease = Grease(0)
    assert not grease.sprinkles
    assert not any(grease.due() for _ in range(1000))
    assert Grease(1).sprinkles
