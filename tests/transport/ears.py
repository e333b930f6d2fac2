"""What a test hears of a simulated link: every event with its time, and what each stream said."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent
from quicchat.transport.link import Link
from quicchat.transport.memory import MemoryLink, Network, pair
from quicchat.transport.virtual import run

#: One way, in seconds; and long enough for all that was sent at once to have arrived.
LATENCY = 0.25
HOP = LATENCY * 1.01


def now() -> float:
    return asyncio.get_running_loop().time()


class Ear:
    """Listens to a link, as whoever drives it does."""

    def __init__(self, link: Link) -> None:
        #: All events with their times, and how they came together.
        self.heard: list[tuple[float, LinkEvent]] = []
        self.turns: list[list[LinkEvent]] = []
        self.said: defaultdict[int, bytes] = defaultdict(bytes)
        #: Streams whose last byte has come, and when.
        self.finished: dict[int, float] = {}
        link.on_events = self.hear

    def hear(self, events: list[LinkEvent]) -> None:
        self.turns.append(events)
        for event in events:
            self.heard.append((now(), event))
            if isinstance(event, Bytes):
                assert event.sid not in self.finished
                self.said[event.sid] += event.data
                if event.fin:
                    self.finished[event.sid] = now()

    @property
    def events(self) -> list[LinkEvent]:
        return [event for _, event in self.heard]

    @property
    def datagrams(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, Datagram)]

    @property
    def closed(self) -> Closed | None:
        """How the connection ended; it ends once, and nothing follows."""
        ends = [event for event in self.events if isinstance(event, Closed)]
        assert len(ends) <= 1
        assert not ends or self.events[-1] is ends[0]
        return ends[0] if ends else None

    def when(self, event: LinkEvent) -> float:
        """When an event came, which came once."""
        (at,) = (at for at, each in self.heard if each == event)
        return at


async def connected(network: Network) -> tuple[MemoryLink, MemoryLink, Ear, Ear]:
    """An established connection: both links, client first, and an ear at each."""
    client, server = pair(network)
    ears = Ear(client), Ear(server)
    for _ in range(1000):
        if all(ear.heard for ear in ears):
            break
        await asyncio.sleep(network.latency or 0.001)
    for ear in ears:
        assert ear.events == [Established()]
        ear.heard.clear()
        ear.turns.clear()
    return client, server, *ears


def virtually(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def wrapped() -> None:
        run(test())

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


def line(**conditions: Any) -> Network:
    """A network, good but for these conditions."""
    return Network(**{"latency": LATENCY, **conditions})
