"""A room that is made encrypted while people are talking there."""

from __future__ import annotations

import pytest

from quicchat.client.seal import Seal
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.rooms import ENCRYPTED
from tests.client.e2ee.talks import ROOM, logged, talking
from tests.server.house import play, world


def test_nothing_plain_is_sent_once_a_room_is_encrypted(caplog: pytest.LogCaptureFixture) -> None:
    """[5.10-5], [15.5-7]: the event is enough: what is said next is sealed at once, not refused in plain first."""
    caplog.set_level("INFO", logger="quicchat.server")

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as alice, talking(here, "bob") as bob:
            await alice.chat.create(ROOM)
            await bob.chat.join(ROOM)
            await bob.chat.post(ROOM, "plain")
            await alice.hears("plain")
            await alice.chat.set_room(ROOM, policy=ENCRYPTED)
            await bob.ears.until(lambda: any(each.policy for each in bob.ears.of(Message)))
            assert bob.chat.state.rooms[ROOM].policy == ENCRYPTED
            await bob.chat.post(ROOM, "canary")
            await alice.hears("canary")
            assert alice.said[-1] == ("bob", "canary", Seal.PINNED)
            assert [each.text for each in await logged(here, ROOM, "alice")][-1] == ""

    play(scenario)
    assert "refused" not in [record.getMessage() for record in caplog.records]
