"""What an operator can say about rooms when the server starts, and what comes of it in a real process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.errors import Code, Refused
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire.chapters.rooms import Kick, SetRoom
from quicchat.wire.chapters.session import Ok
from tests.processes import CHEAP, ServerProcess


async def entered(server: ServerProcess, user: str) -> Chat:
    chat = Chat(await dial("127.0.0.1", server.port, trust=Trust(server.ca_pem)))
    await chat.open(Identity(user=user, password="secret", sign_up=True, iterations=1))
    return chat


async def refused(chat: Chat, room: str, *, create: bool) -> Code:
    with pytest.raises(Refused) as caught:
        await chat.join(room, create=create)
    return caught.value.code


@pytest.mark.socket
def test_operators_and_exclusive_groups(tmp_path: Path) -> None:
    """R2.23, Z9, [5.1-5], [5.9-1]: --operator and --exclusive-groups, from the command line to the log of a room."""

    async def scenario(server: ServerProcess) -> None:
        async with asyncio.timeout(20):
            chief, alice = await entered(server, "chief"), await entered(server, "alice")
            await alice.create("den")
            assert await refused(alice, "attic", create=True) is Code.ONE_GROUP_ONLY
            await chief._requests.ask(SetRoom(room="den", topic="seen"), Ok)
            await chief._requests.ask(Kick(room="den", user="alice", ban=True), Ok)
            assert await refused(alice, "den", create=False) is Code.BANNED
            await chief.join("den")
            told = [(event.sender, event.text) for event in await chief.history("den")]
            assert told[1:] == [
                ("chief", "seen"),
                ("chief", "chief banned alice"),
                ("alice", "alice was put out by chief"),
                ("chief", "chief joined"),
            ]
            for chat in (chief, alice):
                await chat.close()

    with ServerProcess(tmp_path / "server", *CHEAP, "--operator", "chief", "--exclusive-groups") as server:
        asyncio.run(scenario(server))
        assert server.stop() == 0
