"""A device whose memory is that of an earlier day: a backup of the disk that was played back, a copied folder."""

from __future__ import annotations

from copy import deepcopy

from quicchat.client.seal import Seal
from tests.client.e2ee.talks import ROOM, den, lasting, talking
from tests.client.e2ee.test_ratchet import content, voice
from tests.server.house import play, world


def test_an_index_that_is_used_twice_gives_no_words_away() -> None:
    """[15.7-8]: from one state two messages are sealed with two keys, so that they cannot be compared."""
    mine = voice()
    _, one = mine.seal(content("attack at dawn!", 1))
    _, two = mine.seal(content("retreat at six!", 2))
    mixed = bytes(a ^ b for a, b in zip(one.ciphertext, two.ciphertext, strict=True))
    # Under one key everything that both have in common would be zero, most of it padding.
    assert mixed.count(0) < 16


def test_a_memory_that_was_put_back_begins_a_new_session() -> None:
    """[15.7-8]: who hears that more was said with his session than he knows of begins a new one, and is believed."""

    async def scenario() -> None:
        memory = lasting()
        async with world() as here, talking(here, "bob") as bob:
            async with talking(here, "alice", memory=memory) as alice:
                await den(alice, bob)
                await alice.chat.post(ROOM, "one")
            copy = deepcopy(memory)
            async with talking(here, "alice", memory=memory, sign_up=False) as alice:
                await alice.chat.post(ROOM, "two")
            async with talking(here, "alice", memory=copy, sign_up=False) as alice:
                await alice.hears("two")
                await alice.chat.post(ROOM, "three")
                await bob.hears("three")
            assert [(text, seal) for _, text, seal in bob.said] == [
                (each, Seal.PINNED) for each in ("one", "two", "three")
            ]

    play(scenario)
