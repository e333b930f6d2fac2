"""What a search tells the server."""

from __future__ import annotations

import pytest

from quicchat.client.requests import Requests
from quicchat.wire.chapters.messages import Search
from quicchat.wire.registry import Pdu
from tests.server.house import World
from tests.ui.stage import Start
from tests.ui.test_keys_live import Scene, both


def test_a_search_from_an_encrypted_room_stays_on_the_device(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.6-40]: wherever it looks, the words would tell what is spoken of in the room that it comes from."""
    sent: list[Pdu] = []
    begin = Requests.begin

    def overhear(self: Requests, pdu: Pdu, **more: object) -> object:
        sent.append(pdu)
        return begin(self, pdu, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Requests, "begin", overhear)

    async def scenario(here: World, start: Start) -> None:
        alice, bob = await both(start)
        alice.keys.type("a blue boat", "/create lab")
        await alice.until("you are in lab now", err=True)
        alice.keys.type("/encrypt", "a blue moon", "/search blue")
        await alice.until("a blue moon")
        await alice.until("a blue boat")
        assert [each for each in sent if isinstance(each, Search)] == []
        for each in (alice, bob):
            each.keys.end()
            assert await each.ended() == 0

    scene(scenario)
