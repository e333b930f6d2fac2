"""A UDP socket: the one place that makes sockets, receives a batch and sends a batch. (spec 13-transport)"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from typing import Any, Final

#: What the kernel is asked to buffer in each direction; it may give less.
BUFFER: Final = 4_194_304
#: Datagrams taken from a socket before others get their turn.
BATCH: Final = 64
#: No UDP datagram is longer.
DATAGRAM: Final = 65_535

#: What a kernel says that has no way to an address, or no longer the address that we send from.
NOWHERE: Final = frozenset((errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EINVAL))

Address = Any


class Udp:
    """A non-blocking UDP socket, bound; with `remote` connected, so that a closed port there is noticed."""

    __slots__ = ("lost", "refused", "remote", "socket", "stranded")

    def __init__(self, family: int, local: Address, remote: Address | None = None) -> None:
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
        """What has arrived, at most a batch."""
        batch: list[tuple[bytes, Address]] = []
        receive = self.socket.recvfrom
        try:
            for _ in range(BATCH):
                batch.append(receive(DATAGRAM))
        except BlockingIOError:
            return batch
        except ConnectionRefusedError:
            self.refused = True
        except OSError:
            self.lost += 1
        return batch

    def send(self, batch: Iterable[tuple[bytes, Address]]) -> None:
        """Send datagrams; what the kernel does not take is lost, as anything on the network may be."""
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

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()


def show(address: Address | None) -> str:
    """An address as people write it: `192.0.2.1:4433` or `[2001:db8::1]:4433`."""
    if address is None:
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
