"""Coming back over real sockets: by what was kept of the last time."""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.client.api import Line, connect, open_memory
from quicchat.client.connect import Trusting
from quicchat.client.login import Identity
from tests.client.parties import Parties
from tests.client.test_connect import HOST, play, serving

pytestmark = pytest.mark.socket


def test_the_second_time_the_token_goes_with_the_first_flight(tmp_path: Path) -> None:
    """Issue item 4, [4.2-11]: a ticket and a token that were kept log in by early data; nothing asks for a password."""

    async def scenario() -> None:
        trusting = Trusting(known_hosts=tmp_path / "known_hosts")
        async with serving(Parties(tmp_path / "parties")()) as place:
            memory = open_memory(tmp_path, f"{HOST}:{place.port}", "alice")
            identity = Identity(user="alice", password="secret", sign_up=True, iterations=1)
            online: list[Line] = []
            for each in (identity, Identity(user="alice"), Identity(user="alice")):
                async with connect(
                    HOST, place.port, identity=each, trusting=trusting, data=tmp_path, memory=memory, reconnect=True
                ) as chat:
                    online.append(await anext(event async for event in chat if isinstance(event, Line)))
                    await chat.post("general", "here")
                    assert await chat.migrate() > 0
            assert [(each.state, each.early) for each in online] == [
                ("online", False),
                ("online", True),
                ("online", True),
            ]
            await memory.close()

    play(scenario())
