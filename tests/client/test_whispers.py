"""Typing and ticks: datagrams that may be lost, doubled and overtaken, and nothing is ever stuck."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import State, reduce, typists
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import TICK_TTL, TYPING_TTL, Presence, Show, Tick, Typing
from tests.client.lives import Listener, living
from tests.server.house import play, world


def typing(counter: int, ttl: int = TYPING_TTL, user: str = "bob") -> Typing:
    return Typing(room="general", user=user, counter=counter, ttl=ttl)


def said(seq: int, user: str = "bob") -> Message:
    return Message(room="general", epoch=1, seq=seq, cid=bytes(16), sender=user, kind=Kind.TEXT, ts=1, text="x")


def test_typing_ends_by_itself_by_word_and_by_a_message() -> None:
    """R0.11, issue item 7: believed for its ttl; a newer word wins; who has spoken or is gone writes no more."""
    state = reduce(State(user="alice"), typing(5), 10.0)
    assert typists(state, "general", 15.9) == ["bob"]
    assert typists(state, "general", 16.0) == []
    assert typists(reduce(state, typing(6, 0), 11.0), "general", 11.0) == []
    spoken = reduce(state, said(1), 12.0)
    assert typists(spoken, "general", 12.0) == []
    # A datagram that was overtaken by the message does not bring it back, a newer one does.
    assert typists(reduce(spoken, typing(5), 12.1), "general", 12.1) == []
    assert typists(reduce(spoken, typing(6), 12.1), "general", 12.1) == ["bob"]
    assert typists(reduce(state, said(1, "carol"), 12.0), "general", 12.0) == ["bob"]
    assert typists(reduce(state, Presence(user="bob", show=Show.OFFLINE), 11.0), "general", 11.0) == []
    assert reduce(state, typing(5, 0), 11.0) is state


@given(st.permutations([(1, 6000), (2, 0), (3, 6000), (4, 0)]), st.lists(st.integers(0, 3), max_size=8))
def test_the_newest_word_counts_whatever_the_network_does(order: list[tuple[int, int]], again: list[int]) -> None:
    """Issue item 7: overtaken and doubled datagrams change nothing: the highest counter is what is so."""
    state = State(user="alice")
    for counter, ttl in [*order, *(order[index] for index in again)]:
        state = reduce(state, typing(counter, ttl), 1.0)
    assert typists(state, "general", 1.0) == []


def test_ticks() -> None:
    """Protocol §3: somebody is at his keyboard until the tick's time is over, or until he is gone."""
    state = reduce(State(user="alice"), Tick(user="bob", counter=2, ttl=TICK_TTL), 10.0)
    assert state.people["bob"].active == 10.0 + TICK_TTL / 1000
    assert reduce(state, Tick(user="bob", counter=1, ttl=TICK_TTL), 60.0) is state
    assert reduce(state, Presence(user="bob", show=Show.OFFLINE), 11.0).people["bob"].active == 0.0


def test_no_indicator_is_stuck_on_a_bad_line() -> None:
    """Issue item 7: at 30 % loss an indicator is up while somebody writes, and goes when he stops or vanishes."""

    async def scenario() -> None:
        async with world(loss=0.3, seed=3) as here:
            loop = asyncio.get_running_loop()
            async with living(here, "alice") as alice, living(here, "bob") as bob:
                ears = Listener(alice)
                up = 0
                bob.typing("general")
                for _ in range(60):
                    await asyncio.sleep(1)
                    up += typists(alice.state, "general", loop.time()) == ["bob"]
                assert up >= 30
                bob.typing("general", False)
                await asyncio.sleep(TYPING_TTL / 1000 + 1)
                assert typists(alice.state, "general", loop.time()) == []
                bob.typing("general")
                await asyncio.sleep(4)
                here.network.partition(bob.link.address)  # type: ignore[attr-defined]
                await asyncio.sleep(TYPING_TTL / 1000 + 1)
                assert typists(alice.state, "general", loop.time()) == []
                assert {each.user for each in ears.of(Typing)} == {"bob"}
                here.network.heal()

    play(scenario)


def test_ticks_are_told_once_a_minute() -> None:
    """Issue item 7: however busy the keyboard is, one small datagram a minute; none when it rests."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice, living(here, "bob") as bob:
            ears = Listener(alice)
            for _ in range(300):
                bob.active()
                await asyncio.sleep(1)
            assert len(ears.of(Tick)) == 5
            await asyncio.sleep(300)
            assert len(ears.of(Tick)) == 5

    play(scenario)
