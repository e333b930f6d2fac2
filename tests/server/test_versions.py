"""Every version of a client against every version of a server: what both know works. (spec 03-session)"""

from __future__ import annotations

import pytest

from quicchat.errors import Code, LinkLost
from quicchat.wire.registry import VERSIONS
from tests.server.house import play, texts, world

SPEAKS = [(1,), (2,), VERSIONS]


@pytest.mark.parametrize("server", SPEAKS, ids=str)
@pytest.mark.parametrize("client", SPEAKS, ids=str)
def test_any_client_with_any_server(client: tuple[int, ...], server: tuple[int, ...]) -> None:
    """R3.6, C8: they meet at the highest common version, talk, and nothing said to somebody absent is lost."""
    common = max(set(client) & set(server), default=0)

    async def scenario() -> None:
        async with world(versions=server) as here:
            if not common:
                with pytest.raises(LinkLost) as lost:
                    await here.enter("alice", versions=client)
                assert lost.value.code == Code.NO_COMMON_VERSION
                return
            alice = await here.enter("alice", versions=client)
            bob = await here.enter("bob", versions=client, device=b"B" * 16)
            assert alice.version == bob.version == common
            await alice.post("general", "to all")
            await alice.tell("bob", "to you")
            assert (await texts(bob))[-2:] == ["to all", "to you"]
            await bob.close()
            await alice.tell("bob", "are you there?")
            back = await here.enter("bob", versions=client, device=b"B" * 16, sign_up=False)
            assert await texts(back) == ["are you there?"]

    play(scenario)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 1)])
def test_an_old_and_a_new_client_talk(one: int, other: int) -> None:
    """C8: on one server a version-1 and a version-2 client understand each other, in both directions."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice", versions=(one,))
            bob = await here.enter("bob", versions=(other,))
            await texts(alice), await texts(bob)
            await alice.post("general", "old or new?")
            assert await texts(bob) == ["old or new?"]
            await bob.tell("alice", "both")
            assert await texts(alice) == ["old or new?", "both"]

    play(scenario)
