"""A store of either kind for what every store promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_sqlite import open_store
from tests.server.stores import Store, run


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "store.db")
    yield opened
    run(opened.close())
