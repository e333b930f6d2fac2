"""The network of a simulation: who is connected, and what befalls each packet. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final

from quicchat.transport.memory.courier import Packet
from quicchat.transport.memory.link import MemoryLink
from quicchat.transport.memory.streams import Ack, Frame, Hello
from quicchat.values import dataclass
from quicchat.wire.registry import Role

#: Where servers listen and clients dial unless told otherwise (RFC 5737: no real host).
SERVER: Final = "192.0.2.1:55667"


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet in the trace: who sent what when, and when it arrived: never when lost, twice when doubled."""

    at: float
    link: str
    number: int
    frames: tuple[Frame, ...]
    arrivals: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Path:
    """One direction of one connection: when the line is free again, and when the last packet in order arrives."""

    link: MemoryLink
    chance: random.Random
    #: The other end; None while nobody has answered.
    remote: MemoryLink | None = None
    free_at: float = 0.0
    last: float = 0.0


@dataclass(kw_only=True, eq=False)
class Network:
    """The conditions between all links of a simulation; each may be changed while it runs.

    `latency`, `jitter` (at most so much more), `idle` and `handshake` are in seconds, one way; `loss`, `duplication`,
    `reordering` (of a packet being overtaken) and `split` (of a stream being cut at a random place) are chances;
    `bandwidth` is in bytes per second, of each direction of each connection, and `window` the bytes that a link
    may have under way. `streams` are how many a client may have open before its login and after.
    """

    seed: int = 0
    latency: float = 0.020
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    split: float = 0.0
    bandwidth: float | None = None
    window: int = 131_072
    idle: float = 30.0
    handshake: float = 5.0
    streams: tuple[int, int] = (16, 96)
    datagrams: bool = True
    certificate_hash: bytes = bytes(range(32))
    #: Whether `trace` is kept: everything that was sent, in order.
    record: bool = True
    trace: list[Sent] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._listeners: dict[str, Callable[[MemoryLink], None]] = {}
        self._paths: dict[str, _Path] = {}
        self._cut: set[str] = set()
        self._is_cut = False
        self._numbers = itertools.count(1)
        self._serial = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[Any], None], object]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_turning = False

    # What a program asks

    def listen(self, on_link: Callable[[MemoryLink], None], *, address: str = SERVER) -> None:
        """Call `on_link` with the server's end of each connection to `address`, until `deafen` or `crash`."""
        self._listeners[address] = on_link

    def deafen(self, address: str = SERVER) -> None:
        """Accept no more connections to `address`; who dials there hears nothing until his idle timeout."""
        self._listeners.pop(address, None)

    def dial(self, address: str = SERVER, *, early: bool = False) -> MemoryLink:
        """A client's link, whose handshake has begun. With `early` its first bytes do not wait for it (0-RTT)."""
        return self._dial(address, early).link

    def replay(self, link: MemoryLink, address: str = SERVER) -> None:
        """Send a client's first flight again from elsewhere, as who recorded it can; nobody hears the answers.

        It is taken from the trace. A real server hears it only where the first one never arrived.
        """
        ghost = self._client(address)
        ghost.link.kill()
        sent = (each for each in self.trace if each.link == link.name)
        for each in itertools.takewhile(lambda each: not isinstance(each.frames[0], Ack), sent):
            packet = Packet(each.number, each.frames)
            self.later(self.now() + self.latency, self._arrive, (ghost, packet, ghost.link.address))

    def partition(self, *addresses: str) -> None:
        """Let nothing more pass from or to these addresses, or anywhere when none is given."""
        self._cut.update(addresses)
        self._is_cut = self._is_cut or not addresses

    def heal(self) -> None:
        """Undo every `partition`."""
        self._cut.clear()
        self._is_cut = False

    def crash(self, address: str = SERVER) -> None:
        """End the process behind an address: its links die without a word, and nobody listens there.

        Its clients find out by themselves; who listens there afterwards does not know them.
        """
        self.deafen(address)
        for path in list(self._paths.values()):
            if path.link.address == address:
                path.link.kill()

    # What a link asks

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return asyncio.get_running_loop().time()

    def carry(self, name: str, packet: Packet) -> float:
        """Send a packet of the link of that name; when it arrives if nothing befalls it."""
        path = self._paths[name]
        now = self.now()
        # Drawn whatever the conditions, so that a change of one leaves the others' luck as it is.
        jitter, overtaken, late, doubled, again, lost = (path.chance.random() for _ in range(6))
        due = self._due(path, packet, now, jitter * self.jitter)
        spread = self.latency + self.jitter
        arrivals: tuple[float, ...] = (due + 2 * late * spread if overtaken < self.reordering else due,)
        if doubled < self.duplication:
            arrivals += (arrivals[0] + again * spread,)
        source = path.link.address
        if lost < self.loss or self._is_cut or not self._cut.isdisjoint((source, path.link.peer)):
            arrivals = ()
        for each in arrivals:
            self.later(each, self._arrive, (path, packet, source))
        if self.record:
            self.trace.append(Sent(now, name, packet.number, packet.frames, arrivals))
        return due

    def later(self, at: float, action: Callable[[Any], None], argument: object) -> None:
        """Call `action` at a time; what is due at the same time happens in the order in which it was asked for."""
        heapq.heappush(self._agenda, (at, next(self._serial), action, argument))
        self._arm()

    def ended(self, name: str) -> None:
        """A link is over and sends no more."""
        self._paths.pop(name, None)

    # The rest

    def _due(self, path: _Path, packet: Packet, now: float, jitter: float) -> float:
        """When a packet arrives in its turn. Acknowledgements are small, and wait for nothing."""
        if packet.is_ack:
            return now + self.latency + jitter
        leaves = now
        if self.bandwidth is not None:
            leaves = path.free_at = max(now, path.free_at) + packet.size / self.bandwidth
        path.last = max(path.last, leaves + self.latency + jitter)
        return path.last

    def _dial(self, address: str, early: bool) -> _Path:
        path = self._client(address)
        path.link.connect(early=early)
        return path

    def _client(self, address: str) -> _Path:
        """The client's end of a connection to an address."""
        number = next(self._numbers)
        return self._link(Role.CLIENT, number, f"198.51.100.{number % 256}:{1024 + number % 60_000}", address)

    def _link(self, role: Role, number: int, address: str, peer: str) -> _Path:
        name = f"{role.value}-{number}"
        link = MemoryLink(self, role, name, address, peer, random.Random(f"{self.seed} {name} splits"))
        path = self._paths[name] = _Path(link, random.Random(f"{self.seed} {name}"))
        return path

    def _answer(self, path: _Path) -> MemoryLink:
        """The server's end of a client's connection."""
        number = int(path.link.name.rpartition("-")[2])
        back = self._link(Role.SERVER, number, path.link.peer, path.link.address)
        path.remote, back.remote = back.link, path.link
        return back.link

    def _arrive(self, arrival: tuple[_Path, Packet, str]) -> None:
        path, packet, source = arrival
        on_link = self._listeners.get(path.link.peer)
        remote = path.remote
        if remote is None and on_link is not None and isinstance(packet.frames[0], Hello):
            remote = self._answer(path)
            on_link(remote)
        if remote is not None:
            remote.receive(packet, source)

    def _arm(self) -> None:
        if self._is_turning or not self._agenda:
            return
        at = self._agenda[0][0]
        if self._timer is None or at < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(at, self._turn)

    def _turn(self) -> None:
        self._timer = None
        self._is_turning = True
        now = self.now()
        try:
            while self._agenda and self._agenda[0][0] <= now:
                _, _, action, argument = heapq.heappop(self._agenda)
                action(argument)
        finally:
            self._is_turning = False
            self._arm()


def pair(network: Network, *, early: bool = False) -> tuple[MemoryLink, MemoryLink]:
    """Both ends of one connection, the client's first; its handshake has begun."""
    path = network._dial(SERVER, early)
    return path.link, network._answer(path)
