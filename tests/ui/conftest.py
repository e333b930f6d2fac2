"""The fixture of the tests of the plain front end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.server.house import World, play
from tests.ui.shelf import HERE, SHARED, Act, Counter, Shelf
from tests.ui.stage import Start, stage


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Any]:
    """Plays a scenario that gets a world and a way to start front ends."""

    def act(scenario: Callable[[World, Start], Coroutine[Any, Any, None]], *args: Any, **facts: Any) -> None:
        async def inside() -> None:
            async with stage(tmp_path, *args, **facts) as (here, start):
                await scenario(here, start)

        play(inside)

    return act


@pytest.fixture
def counter(tmp_path: Path) -> Act:
    """Plays a scenario at a counter with two shelves."""

    def act(scenario: Callable[[Counter], Coroutine[Any, Any, None]], **facts: Any) -> None:
        async def inside() -> None:
            await scenario(Counter(tmp_path / "alice", Shelf(general=HERE, shared=SHARED), **facts))

        play(inside)

    return act
