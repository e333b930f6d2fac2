"""The lines in which the way of a message is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from quicchat.client.traces import Step, Trace
from tests.ui.items import STORED, shown


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_way_of_a_message() -> None:
    """[12.18-3]: a line for each step, with the clock that told its time where that is not this machine's."""
    steps = (
        Step("typed", STORED),
        Step("held", STORED, note="no keys"),
        Step("sent", STORED, connection=2, stream=4),
        Step("stored", STORED, "server"),
        Step("read", None, "server", by="bob"),
    )
    trace = Trace(room="r1", seq=5, cid=bytes(16), sender="alice", own=True, sent=2, steps=steps)
    assert shown(trace) == [
        "#5 in r1, by alice, sent 2 times",
        "11:04:20  typed",
        "11:04:20  held: no keys",
        "11:04:20  sent on connection 2, stream 4",
        "11:04:20  stored (server's clock)",
        "       -  read by bob",
    ]
    assert shown(replace(trace, seq=None, sent=1, steps=())) == ["not stored yet in r1, by alice"]
