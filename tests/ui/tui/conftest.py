"""Snapshots: what each screen looks like, kept as a picture that people can look at, too."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from quicchat.client.api import Chat
from quicchat.client.talk import Talk
from quicchat.ui.book import Book
from tests.server.house import VirtualClock
from tests.svg import lasting, words

SNAPSHOTS = Path(__file__).parent / "snapshots"
#: 2027-01-15 08:00:00 UTC, in ms.
DAWN = 1_800_000_000_000
#: Seconds within which a screen must come to rest.
_PATIENCE = 5.0
#: Longer than a log waits between two paintings where much comes.
_GLANCE = 0.3


class Camera:
    """Takes a picture once nothing changes any more, and compares it with the one that was kept; `now` is the time."""

    def __init__(self, folder: Path, *, update: bool) -> None:
        self.now = DAWN
        self._folder = folder
        self._update = update

    async def take(self, app: App[Any], name: str) -> None:
        """Fails where the screen looks different from what was kept. Raises AssertionError."""
        svg = await self._rested(app)
        kept = SNAPSHOTS / f"{name}.svg"
        if self._update:
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(svg)
            return
        assert kept.exists(), f"there is no picture {kept}; --snapshot-update makes one"
        before = kept.read_text()
        if svg != before:
            new = self._folder / f"{name}.svg"
            new.write_text(svg)
            lines = "\n".join(difflib.unified_diff(words(before), words(svg), "kept", "now", lineterm="", n=0))
            told = lines or "the same text in other colours"
            pytest.fail(f"{kept} looks different now ({new}); --snapshot-update keeps it:\n{told}", pytrace=False)

    async def _rested(self, app: App[Any]) -> str:
        end = time.monotonic() + _PATIENCE
        before, svg = "", self._export(app)
        while before != svg:
            assert time.monotonic() < end, "the screen does not come to rest"
            await asyncio.sleep(_GLANCE)
            before, svg = svg, self._export(app)
        return svg

    def _export(self, app: App[Any]) -> str:
        with app._context():
            return lasting(app.export_screenshot(title="quicchat"))


@pytest.fixture
def camera(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Camera]:
    """A camera, in a world whose time stands still, is the same everywhere, and whose round trips take none."""
    made = Camera(tmp_path, update=request.config.getoption("--snapshot-update"))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.setenv("COLORTERM", "truecolor")
        patch.delenv("NO_COLOR", raising=False)
        time.tzset()
        patch.setattr(VirtualClock, "now", lambda _: made.now)
        patch.setattr(Chat, "rtt", None)
        patch.setattr(Talk, "_now", lambda _: made.now)
        # What the client itself says stands wherever the log was when it said so.
        patch.setattr(Book, "note", lambda *_: set())
        yield made
    time.tzset()
