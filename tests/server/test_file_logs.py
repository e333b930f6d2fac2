"""What the log tells of files: how much went where, and of private ones not even the name."""

from __future__ import annotations

import logging

import pytest

from quicchat.server.adapters.logs import Json
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.wire import leaves
from tests.conformance.files import CHUNK, fetch, naming, offer, some, upload
from tests.conformance.house import play, simulated
from tests.conformance.peer import entered

SECRET = some(10_000)
SHARED = some(20_000)


def test_transfers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """[11.3-1] Issue 4.2: who, which digest, bytes, time and rate of each; the name where it is the operator's own."""

    users: list[str] = []

    async def scenario() -> None:
        async with simulated(share=MemoryShare({"the plan.txt": SHARED})) as place, entered(place) as alice:
            await fetch(alice, name="the plan.txt", ranges=((0, 5_000), (6_000, 100)))
            await offer(alice, SECRET)
            await upload(alice, SECRET)
            await alice.ask(naming(SECRET, room="general"))
            await fetch(alice, file=leaves.of(SECRET, CHUNK)[0], handle=2, rate=5_000)
            users.append(alice.user)

    with caplog.at_level(logging.INFO, "quicchat"):
        play(scenario())
    lines = [vars(record) for record in caplog.records if record.message.startswith("file ")]
    private = leaves.of(SECRET, CHUNK)[0].hex()[:16]
    assert [(each["message"], each["file"], each["bytes"], each.get("shared")) for each in lines] == [
        ("file sent", leaves.of(SHARED)[0].hex()[:16], 5_100, "the plan.txt"),
        ("file received", private, 10_000, None),
        ("file sent", private, 10_000, None),
    ]
    assert len({each["session"] for each in lines}) == 1
    assert [each["user"] for each in lines] == users * 3
    assert lines[-1]["seconds"] == pytest.approx(2, abs=0.2)
    assert lines[-1]["rate"] == pytest.approx(10_000 / lines[-1]["seconds"], rel=0.01)
    assert "a b.pdf" not in "".join(map(Json().format, caplog.records))
    assert "[hidden]" not in "".join(Json().format(record) for record in caplog.records if "file" in record.message)
