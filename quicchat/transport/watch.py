"""Who waits until there is room to send, shared by the links of every kind. (spec 13-transport)"""

from __future__ import annotations

from typing import Protocol

from quicchat.protocol.events import LinkEvent, Writable


class Source(Protocol):
    """What knows how much waits."""

    def unsent(self, sid: int | None) -> int | None:
        """Bytes that have not left: of a stream, None when it takes no more; or for None in bulk datagrams."""


class Watch:
    """What was asked of one link with `watch`; each is told once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._below: dict[int | None, int] = {}

    def add(self, sid: int | None, below: int) -> None:
        """Wait until less than so many bytes of a stream, or for None of bulk datagrams, are unsent."""
        self._below[sid] = below

    def ready(self) -> list[LinkEvent]:
        """Those who need not wait any longer."""
        ready: list[int | None] = []
        for sid, below in self._below.items():
            unsent = self._source.unsent(sid)
            if unsent is None or unsent < below:
                ready.append(sid)
        for sid in ready:
            del self._below[sid]
        return [Writable(sid) for sid in ready]

    def end(self) -> list[LinkEvent]:
        """All who still wait: there will never be room."""
        sids = list(self._below)
        self._below.clear()
        return [Writable(sid) for sid in sids]
