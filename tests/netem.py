"""A bad network between a real client and a real server: a UDP proxy that delays, loses, limits, spoils and moves."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

_DATAGRAM: Final = 65_535
_BUFFER: Final = 4_194_304
#: What a line that is too slow keeps at most, in seconds of its rate; then it loses.
_QUEUE: Final = 0.5


@dataclass(kw_only=True, eq=False)
class Netem:
    """Passes on what comes for `address` to a server, from an own socket for each client, and back.

    `latency` is in seconds, one way; `loss` and `flip` (of one bit being changed) are chances of each packet; `rate`
    is in bytes a second, of each direction of each client; what is larger than `mtu` bytes vanishes. All may be
    changed at any time.
    """

    server: tuple[str, int]
    latency: float = 0.0
    loss: float = 0.0
    flip: float = 0.0
    rate: float | None = None
    mtu: int = _DATAGRAM
    seed: int = 0
    #: Packets that were passed on, lost, and spoilt.
    passed: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)
    spoilt: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(self.seed)
        self._front = _bound()
        self._backs: dict[Any, _Back] = {}
        self._loop.add_reader(self._front, self._from_clients)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients call."""
        host, port = self._front.getsockname()
        return host, port

    def rebind(self) -> None:
        """From now on each client's packets reach the server from another port, as when a NAT forgets."""
        for back in self._backs.values():
            old, back.socket = back.socket, _bound()
            self._loop.remove_reader(old)
            self._loop.add_reader(back.socket, self._from_server, back)
            # What is under way to the old port is gone, as it would be.
            old.close()

    def close(self) -> None:
        """Give all ports back."""
        for sock in (self._front, *(back.socket for back in self._backs.values())):
            self._loop.remove_reader(sock)
            sock.close()
        self._backs.clear()

    def _from_clients(self) -> None:
        for data, client in _received(self._front):
            back = self._backs.get(client)
            if back is None:
                back = self._backs[client] = _Back(client, _bound())
                self._loop.add_reader(back.socket, self._from_server, back)
            self._carry(back.up, back, data, to_server=True)

    def _from_server(self, back: _Back) -> None:
        for data, _ in _received(back.socket):
            self._carry(back.down, back, data, to_server=False)

    def _carry(self, line: _Line, back: _Back, data: bytes, *, to_server: bool) -> None:
        now = self._loop.time()
        # Drawn whatever the conditions, so that a change of one leaves the others' luck as it is.
        lost, spoilt, bit = self._chance.random(), self._chance.random(), self._chance.randrange(len(data) * 8 or 1)
        leaves = now
        if self.rate is not None:
            leaves = max(now, line.free_at) + len(data) / self.rate
            if leaves - now > _QUEUE:
                lost = -1.0
            else:
                line.free_at = leaves
        if lost < self.loss or len(data) > self.mtu:
            self.lost += 1
            return
        if spoilt < self.flip:
            self.spoilt += 1
            data = data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :]
        self.passed += 1
        self._loop.call_at(leaves + self.latency, self._arrive, back, data, to_server)

    def _arrive(self, back: _Back, data: bytes, to_server: bool) -> None:
        sock, target = (back.socket, self.server) if to_server else (self._front, back.client)
        if sock.fileno() >= 0:
            sock.sendto(data, target)


@dataclass(slots=True)
class _Line:
    """One direction: when it is free again."""

    free_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Back:
    """A client, and the socket from which the server hears him."""

    client: Any
    socket: socket.socket
    up: _Line = field(default_factory=_Line)
    down: _Line = field(default_factory=_Line)


@contextmanager
def netem(server: tuple[str, int], **conditions: Any) -> Iterator[Netem]:
    """A Netem for the length of a block."""
    made = Netem(server=server, **conditions)
    try:
        yield made
    finally:
        made.close()


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    # What is lost is to be lost by chance, not because a busy machine reads late.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    made.bind(("127.0.0.1", 0))
    return made


def _received(sock: socket.socket) -> Iterator[tuple[bytes, Any]]:
    """What has arrived; that nobody listens at the other end any more is no news here."""
    for _ in range(64):
        try:
            yield sock.recvfrom(_DATAGRAM)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            continue
