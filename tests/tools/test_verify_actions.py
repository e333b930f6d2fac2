"""For every action: what was pushed, replayed over an old snapshot, equals a fresh snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from quicchat.client.api import Chat
from quicchat.client.state import State
from quicchat.wire.chapters.presence import Show
from tests.server.house import World, play, world

Action = Callable[[World, Chat], Awaitable[Any]]

#: What `bob` does while `ann` listens; before it both are in `den`, and `hall` is there without her.
ACTIONS: Final[dict[str, Action]] = {
    "post": lambda here, bob: bob.post("den", "hello"),
    "tell": lambda here, bob: bob.tell("ann", "hello"),
    "broadcast": lambda here, bob: bob.broadcast("hello"),
    "create": lambda here, bob: bob.create("attic"),
    "join": lambda here, bob: bob.join("hall"),
    "leave": lambda here, bob: bob.leave("den"),
    "leave and return": lambda here, bob: _each(bob.leave("den"), bob.join("den")),
    "topic": lambda here, bob: bob.set_room("den", topic="what we talk of"),
    "away": lambda here, bob: bob.show(Show.AWAY, "back soon"),
    "go": lambda here, bob: bob.close(),
    "come": lambda here, bob: here.enter("cat", device=b"c" * 16),
    "come again": lambda here, bob: here.enter("bob", sign_up=False, device=b"d" * 16),
    "go and come": lambda here, bob: _each(bob.close(), here.enter("bob", sign_up=False, device=b"b" * 16)),
    "kick": lambda here, bob: bob.kick("den", "ann"),
}
#: What `ann` does on another device of hers.
OWN: Final[dict[str, Action]] = {
    "post": lambda here, ann: ann.post("den", "hello"),
    "tell": lambda here, ann: ann.tell("bob", "hello"),
    "join": lambda here, ann: ann.join("hall"),
    "create": lambda here, ann: ann.create("attic"),
    "leave": lambda here, ann: ann.leave("den"),
    "leave and return": lambda here, ann: _each(ann.leave("den"), ann.join("den")),
    "away": lambda here, ann: ann.show(Show.AWAY),
    "go": lambda here, ann: ann.close(),
}


async def _each(*steps: Awaitable[Any]) -> None:
    for step in steps:
        await step


def _rooms(state: State) -> dict[str, tuple[int, int]]:
    return {name: (view.epoch, view.head) for name, view in state.rooms.items()}


def _people(state: State) -> dict[str, Show]:
    # Not the status: PRESENCE_SNAPSHOT does not tell it.
    return {name: person.show for name, person in state.people.items() if person.show is not Show.OFFLINE}


async def _verified(action: Action, *, own: bool) -> None:
    async with world() as here:
        ann = await here.enter("ann", device=b"a" * 16)
        bob = await here.enter("bob", device=b"b" * 16)
        await bob.create("den")
        await bob.create("hall")
        await bob.leave("hall")
        await ann.join("den")
        actor = await here.enter("ann", sign_up=False, device=b"e" * 16) if own else bob
        await action(here, actor)
        await asyncio.sleep(1.0)
        fresh = await here.enter("ann", sign_up=False, device=b"f" * 16)
        await asyncio.sleep(1.0)
        assert _rooms(ann.state) == _rooms(fresh.state)
        assert _people(ann.state) == _people(fresh.state)


@pytest.mark.parametrize("name", ACTIONS)
def test_what_others_do(name: str) -> None:
    """P4: whoever was there all the while knows the same as who comes afterwards."""
    play(lambda: _verified(ACTIONS[name], own=False))


@pytest.mark.parametrize("name", OWN)
def test_what_another_device_of_the_user_does(name: str) -> None:
    """P4: the same for the user's other devices."""
    play(lambda: _verified(OWN[name], own=True))
