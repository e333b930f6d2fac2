"""The server that tests of real clients share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.clients import QUICK
from tests.processes import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for each module, unless it has one of its own."""
    with ServerProcess(tmp_path_factory.mktemp("server"), *QUICK) as found:
        yield found
