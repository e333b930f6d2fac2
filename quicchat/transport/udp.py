"""A UDP socket: the one place that makes sockets, receives a batch and sends a batch. (spec 13-transport)"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

#: What the kernel is asked to buffer in each direction; it may give less.
BUFFER: Final = 4_194_304
#: Datagrams taken from a socket before others get their turn.
BATCH: Final = 64
#: No UDP datagram is longer.
DATAGRAM: Final = 65_535

#: Linux sends and receives whole flights of datagrams of one size at once (udp(7)); Python has no names for it.
SEGMENT: Final = 103
GRO: Final = 104
#: Segments, and bytes, that Linux takes at a time.
SEGMENTS: Final = 64
FLIGHT: Final = 65_000
#: Never fragment, and never believe what the path is said to bear (ip(7), ipv6(7)): family to level and option.
DISCOVER: Final = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
PROBE: Final = 3

#: What a kernel says that has no way to an address, or no longer the address that we send from.
NOWHERE: Final = frozenset((errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EINVAL))

#: What a kernel or a network card says that cannot send flights.
UNABLE: Final = frozenset((errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EPROTONOSUPPORT))
#: Room for the size of the segments of a flight.
ANCILLARY: Final = 64

Address = Any


class Udp:
    """A non-blocking UDP socket, bound; with `remote` connected, so that a closed port there is noticed.

    Where the kernel can, a flight is sent at once (`gso`), and received so (`gro`). Nothing is fragmented.
    """

    __slots__ = ("_gso", "_into", "lost", "refused", "remote", "socket", "stranded")

    def __init__(
        self, family: int, local: Address, remote: Address | None = None, *, gso: bool = True, gro: bool = True
    ) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.remote = remote
        #: Whether the host of `remote` said that nobody listens there.
        self.refused = False
        #: Whether the last datagram had nowhere to go: the network is gone, or the address we had in it.
        self.stranded = False
        #: Datagrams that the kernel did not take.
        self.lost = 0
        try:
            self.socket.setblocking(False)
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                with contextlib.suppress(OSError):
                    self.socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            self._gso = gso and self._can(socket.SOL_UDP, SEGMENT, 0)
            self._into = bytearray(DATAGRAM) if gro and self._can(socket.SOL_UDP, GRO, 1) else None
            self._can(*DISCOVER[socket.AddressFamily(family)], PROBE)
            self.socket.bind(local)
            if remote is not None:
                self.socket.connect(remote)
                self.remote = self.socket.getpeername()
        except OSError:
            self.socket.close()
            raise

    @property
    def address(self) -> Address:
        """The address the socket is bound to."""
        return self.socket.getsockname()

    def receive(self) -> list[tuple[bytes, Address]]:
        """What has arrived, at least a batch and at most a flight more."""
        batch: list[tuple[bytes, Address]] = []
        try:
            if self._into is None:
                receive = self.socket.recvfrom
                for _ in range(BATCH):
                    batch.append(receive(DATAGRAM))
            else:
                while len(batch) < BATCH:
                    batch += self._receive_flight(self._into)
        except BlockingIOError:
            return batch
        except ConnectionRefusedError:
            self.refused = True
        except OSError:
            self.lost += 1
        return batch

    def _receive_flight(self, into: bytearray) -> list[tuple[bytes, Address]]:
        length, notes, _, address = self.socket.recvmsg_into((into,), ANCILLARY)
        if not notes:
            return [(bytes(memoryview(into)[:length]), address)]
        size = int.from_bytes(notes[0][2], sys.byteorder)
        whole = bytes(memoryview(into)[:length])
        return [(whole[at : at + size], address) for at in range(0, length, size)]

    def send(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        """Send datagrams; what the kernel does not take is lost, as anything on the network may be."""
        if len(batch) > 1 and self._gso:
            for flight in _flights(batch):
                if len(flight) == 1 or not self._send_flight(flight):
                    self._send_each(flight)
        else:
            self._send_each(batch)

    def _send_flight(self, flight: Sequence[tuple[bytes, Address]]) -> bool:
        """Send datagrams of one size at once; False where they have to be sent one by one."""
        data, address = flight[0]
        notes = [(socket.SOL_UDP, SEGMENT, struct.pack("H", len(data)))]
        try:
            self.socket.sendmsg([data for data, _ in flight], notes, 0, None if self.remote is not None else address)
        except ConnectionRefusedError:
            self.refused = True
        except OSError as error:
            if error.errno in UNABLE:
                self._gso = False
            return False
        self.stranded = False
        return True

    def _send_each(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        connected = self.remote is not None
        send, send_to = self.socket.send, self.socket.sendto
        for data, address in batch:
            try:
                if connected:
                    send(data)
                else:
                    send_to(data, address)
            except ConnectionRefusedError:
                self.refused = True
            except OSError as error:
                self.lost += 1
                self.stranded = error.errno in NOWHERE
            else:
                self.stranded = False

    def _can(self, level: int, option: int, value: int) -> bool:
        """Set an option that not every kernel has; whether this one does."""
        if sys.platform != "linux":
            return False
        try:
            self.socket.setsockopt(level, option, value)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()


def _flights(batch: Sequence[tuple[bytes, Address]]) -> Iterator[Sequence[tuple[bytes, Address]]]:
    """A batch in pieces that the kernel takes at once: to one address, of one size, but that the last may be less."""
    start, count = 0, len(batch)
    while start < count:
        size, to = len(batch[start][0]), batch[start][1]
        most = min(count, start + SEGMENTS, start + max(1, FLIGHT // max(1, size)))
        end = start + 1
        while end < most and len(batch[end][0]) == size and batch[end][1] == to:
            end += 1
        if end < most and 0 < len(batch[end][0]) < size and batch[end][1] == to:
            end += 1
        yield batch[start:end]
        start = end


def show(address: Address | None) -> str:
    """An address as people write it: `192.0.2.1:4433` or `[2001:db8::1]:4433`."""
    if address is None:
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
