"""The test cases of founding text 4, with real processes on terminals: what each sees, in its order, and its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.actors import play

pytestmark = [pytest.mark.socket, pytest.mark.slow]

FACES = ("plain", "line")


@pytest.mark.parametrize("ui", FACES)
def test_tc1(ui: str, tmp_path: Path) -> None:
    """TC1, R4.4-R4.7, R4.9-R4.12: three growing tables; x goes and is written to; he comes back, and all are told."""
    play("tc1", ui, tmp_path)


@pytest.mark.parametrize("ui", FACES)
def test_tc3(ui: str, tmp_path: Path) -> None:
    """TC3, R4.8, R4.10: to all and to one, in the order of the sending, and no receipt by name for what went to all."""
    play("tc3", ui, tmp_path)


@pytest.mark.parametrize("ui", FACES)
def test_tc4(ui: str, tmp_path: Path) -> None:
    """TC4, R4.13: seven tables; the receipt waits for a sender who was away when it was given."""
    play("tc4", ui, tmp_path)
