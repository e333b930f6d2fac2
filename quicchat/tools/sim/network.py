"""UDP without sockets: hosts behind address translators, and paths that lose, double, delay and part. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any, Final, TypeVarTuple

from quicchat.tools.sim.chance import Dice, Trace
from quicchat.transport.udp import Address, Udp
from quicchat.transport.virtual import VirtualLoop
from quicchat.values import dataclass

Ts = TypeVarTuple("Ts")

#: What every path does to packets, always: shares that are lost, doubled, overtaken.
LOSS: Final = 0.05
DOUBLED: Final = 0.02
OVERTAKEN: Final = 0.03
#: Seconds that a packet which is overtaken, or doubled, comes later, at most.
_LATE: Final = 0.08
#: Seconds between two packets that keep their order, at least, and the jitter on top of a path's delay.
_SPACING, _JITTER = 0.000_02, 0.002
#: Seconds by which every timer is late.
LATENESS: Final = 1e-6
#: Datagrams that wait for a program that does not read; those beyond are lost.
_BUFFER: Final = 512


class SimLoop(VirtualLoop):
    """A virtual loop whose files are the sockets of a simulated network.

    A timer is a microsecond late, as on a real machine: to one that is exactly on time aioquic may answer, by
    rounding, that nothing is due yet, and want the same again.
    """

    def __init__(self, start: float, deadline: float, patience: float) -> None:
        super().__init__(start, deadline, patience)
        self._clock_resolution = 1e-9

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As usual, a microsecond later."""
        return super().call_at(when + LATENESS, callback, *args, context=context)

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Call back when the socket has something to read."""
        assert isinstance(fd, SimUdp)
        fd.readable = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        """Call back no more."""
        assert isinstance(fd, SimUdp)
        had, fd.readable = fd.readable is not None, None
        return had


class SimUdp(Udp):
    """A socket of a host."""

    __slots__ = ("host", "inbox", "port", "readable")

    def __init__(self, host: Host, port: int, remote: Address | None) -> None:
        self.host = host
        self.port = port
        self.remote = remote
        self.refused = False
        self.lost = 0
        self.stranded = False
        self.inbox: list[tuple[bytes, Address]] = []
        self.readable: Callable[[], object] | None = None
        self.socket = self  # type: ignore[assignment]  # what a loop of this network waits for

    @property
    def address(self) -> Address:
        return self.host.ip, self.port

    def receive(self) -> list[tuple[bytes, Address]]:
        batch, self.inbox = self.inbox, []
        return batch

    def send(self, batch: Iterable[tuple[bytes, Address]]) -> None:
        for data, address in batch:
            self.host.send(self, data, self.remote or address)

    def close(self) -> None:
        if self.host.sockets.get(self.port) is self:
            del self.host.sockets[self.port]
        self.readable = None


@dataclass(slots=True)
class Path:
    """One direction between the server and a client."""

    name: str
    dice: Dice
    delay: float
    #: Beyond what every path loses.
    loss: float = 0.0
    parted: bool = False
    sent: int = 0
    last: float = 0.0


class Host:
    """A machine: its sockets, and the translator through which the server sees it."""

    def __init__(self, network: Network, name: str, ip: str, delay: float) -> None:
        self.name = name
        self.ip = ip
        self.sockets: dict[int, SimUdp] = {}
        #: While it is frozen its programs do not run, and what comes waits for them.
        self.frozen = False
        self.up = Path(f"{name}>", Dice(network.seed, f"{name} up"), delay)
        self.down = Path(f">{name}", Dice(network.seed, f"{name} down"), delay)
        self._network = network
        self._ports = 40_000
        self._outside = 0
        self._mapped: dict[int, int] = {}
        self._by_outside: dict[int, int] = {}

    def udp(self, family: int, local: Address, remote: Address | None) -> Udp:
        """As `Udp`, on this host."""
        port = local[1]
        if not port:
            self._ports += 1
            port = self._ports
        self.sockets[port] = made = SimUdp(self, port, remote)
        return made

    def rebind(self) -> None:
        """The translator forgets: the server sees this host's packets come from other ports."""
        self._mapped.clear()
        self._by_outside.clear()

    def vanish(self) -> None:
        """All programs of this host end without a word."""
        for socket in list(self.sockets.values()):
            socket.close()

    def thaw(self) -> None:
        """Run again, and read what has waited."""
        self.frozen = False
        for socket in list(self.sockets.values()):
            if socket.inbox and socket.readable is not None:
                socket.readable()

    def send(self, socket: SimUdp, data: bytes, address: Address) -> None:
        """Put a packet on its path."""
        if self.sockets.get(socket.port) is socket:
            self._network.carry(self, socket, data, address)

    def outside(self, port: int) -> int:
        """The port that others see instead of one of ours."""
        if port not in self._mapped:
            self._outside += 1
            self._mapped[port] = 20_000 + self._outside
            self._by_outside[20_000 + self._outside] = port
        return self._mapped[port]

    def inside(self, port: int) -> SimUdp | None:
        """The socket that others reach at a port, if there is one."""
        own = self._by_outside.get(port)
        return None if own is None else self.sockets.get(own)

    def take(self, socket: SimUdp, data: bytes, source: Address) -> None:
        """A packet has arrived."""
        if len(socket.inbox) >= _BUFFER:
            return
        socket.inbox.append((data, source))
        if not self.frozen and socket.readable is not None:
            socket.readable()


class Network:
    """A server and clients around it; clients reach nobody else."""

    def __init__(self, seed: int, trace: Trace) -> None:
        self.seed = seed
        self.server = Host(self, "server", "10.0.0.1", 0.0)
        self.clients: dict[str, Host] = {}
        self._trace = trace
        self._loop = asyncio.get_running_loop()

    def client(self, name: str, delay: float) -> Host:
        """A new host, so many seconds away."""
        host = Host(self, name, f"10.0.1.{len(self.clients) + 1}", delay)
        self.clients[host.ip] = host
        return host

    def carry(self, source: Host, socket: SimUdp, data: bytes, address: Address) -> None:
        """Decide what becomes of a packet."""
        if source is self.server:
            host = self.clients[address[0]]
            self._travel(host.down, data, lambda: self._to_client(host, data, address[1], socket.address))
        else:
            outside = source.ip, source.outside(socket.port)
            self._travel(source.up, data, lambda: self._to_server(socket, data, address, outside))

    def _travel(self, path: Path, data: bytes, arrive: Callable[[], None]) -> None:
        path.sent += 1
        lost, doubled, overtaken, jitter = path.dice.roll(path.sent)
        fate = ""
        if path.parted:
            fate = ", parted"
        elif lost < LOSS + path.loss:
            fate = ", lost"
        else:
            at = max(self._loop.time() + path.delay + jitter * _JITTER, path.last + _SPACING)
            if overtaken < OVERTAKEN:
                at += _LATE * overtaken / OVERTAKEN
                fate = ", late"
            else:
                path.last = at
            self._loop.call_at(at, arrive)
            if doubled < DOUBLED:
                fate += ", doubled"
                self._loop.call_at(at + _LATE * doubled / DOUBLED, arrive)
        self._trace.packet(path.name, path.sent, len(data), fate)

    def _to_server(self, sender: SimUdp, data: bytes, address: Address, source: Address) -> None:
        socket = self.server.sockets.get(address[1])
        if socket is not None:
            self.server.take(socket, data, source)
        elif not sender.refused:
            # The host is there and says that nobody listens.
            sender.refused = True
            if sender.readable is not None:
                sender.readable()

    def _to_client(self, host: Host, data: bytes, port: int, source: Address) -> None:
        socket = host.inside(port)
        if socket is not None:
            host.take(socket, data, source)
