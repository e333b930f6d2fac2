"""Presence in a whole server, in virtual time."""

from __future__ import annotations

from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from tests.server.house import heard, play, texts, world


def test_presence_of_those_one_shares_a_room_with() -> None:
    """R1.5, R4.4, R4.9: the table at login, and every change with its reason."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await bob.show(Show.AWAY, "lunch")
            await bob.close("quit")
            told = [e for e in await heard(alice) if isinstance(e, Presence | PresenceSnapshot)]
            assert told[0] == PresenceSnapshot(users=(("alice", True, ""),))
            changes = [(e.user, e.show, e.status, e.reason) for e in told[1:] if isinstance(e, Presence)]
            assert changes == [
                ("bob", Show.ONLINE, None, None),
                ("bob", Show.AWAY, "lunch", None),
                ("bob", Show.OFFLINE, None, "quit"),
            ]
            assert dict(await alice.members("general")) == {"alice": True, "bob": False}

    play(scenario)


def test_a_client_that_dies_silently_is_noticed() -> None:
    """R4.14: no traffic for three ping intervals, then the others are told; nothing is lost."""

    async def scenario() -> None:
        async with world() as here:
            alice, bob = await here.enter("alice"), await here.enter("bob")
            await heard(alice)
            assert isinstance(bob.link, MemoryLink)
            bob.link.kill()
            await alice.tell("bob", "are you there?")
            gone = await heard(alice, 35)
            assert [e.show for e in gone if isinstance(e, Presence)] == [Show.OFFLINE]
            bob = await here.enter("bob", sign_up=False)
            assert await texts(bob, "@alice,bob") == ["are you there?"]

    play(scenario)
