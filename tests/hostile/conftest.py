"""The arena, and how much is played in it: a choice with `make test`, everything with `make hostile`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.hostile.arena import Arena

STRICT = ("--no-demo", "--signup", "open", "--iterations", "1")
WHOLE = "QUICCHAT_TEST_HOSTILE" in os.environ


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "choice: a row that is played by `make test` too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the rows that need the arena, `make test` plays a choice."""
    here = os.path.dirname(__file__)
    left = [
        item
        for item in items
        if not WHOLE and str(item.path).startswith(here) and item.get_closest_marker("choice") is None
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.socket)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One server for all rows that leave it as it was."""
    with Arena(tmp_path_factory.mktemp("arena") / "data") as found:
        yield found


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One that keeps to the rates of 8.3, for rows that are about them."""
    with Arena(tmp_path_factory.mktemp("strict") / "data", *STRICT, pause=0.06) as found:
        yield found
