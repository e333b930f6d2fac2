"""Sockets of the kit: one for each connection, and one that only repeats what others said. (spec 13-transport)"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Self
from weakref import WeakSet

Address = tuple[Any, ...]
_LARGEST: Final = 65_536
#: All that were made: cases may forget one.
_PORTS: Final[WeakSet[Port]] = WeakSet()


class Port:
    """The UDP socket of one connection; it may be changed for another one, and `tap` may keep packets from leaving."""

    def __init__(self, family: int, remote: Address, tap: Callable[[bytes], bool] | None) -> None:
        self._family = family
        self._remote = remote
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._udp: socket.socket | None = None
        _PORTS.add(self)

    def open(self, receive: Callable[[bytes, Address], None]) -> None:
        """Take a new socket, which the system gives another port."""
        former = self._udp
        self._udp = udp = socket.socket(self._family, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.connect(self._remote)
        self._loop.add_reader(udp, self._read, udp, receive)
        if former is not None:
            self._loop.remove_reader(former)
            former.close()

    def close(self) -> None:
        if self._udp is not None:
            self._loop.remove_reader(self._udp)
            self._udp.close()
            self._udp = None

    def send(self, data: bytes, address: Address) -> None:
        if self._udp is not None and not (self._tap is not None and self._tap(data)):
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                self._udp.send(data)

    def _read(self, udp: socket.socket, receive: Callable[[bytes, Address], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            while udp is self._udp:
                try:
                    data = udp.recv(_LARGEST)
                except ConnectionRefusedError:
                    continue
                receive(data, self._remote)


def close_all() -> None:
    """Close what is still open of the connections on this loop."""
    loop = asyncio.get_running_loop()
    for port in list(_PORTS):
        if port._loop is loop:
            port.close()


async def replay(host: str, port: int, packets: Sequence[bytes]) -> int:
    """Send packets as they are, from an address of its own; how many came back within half a second."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    answers = 0
    with socket.socket(infos[0][0], socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect(infos[0][4])
        for packet in packets:
            udp.send(packet)
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            async with asyncio.timeout(0.5):
                while True:
                    await loop.sock_recv(udp, _LARGEST)
                    answers += 1
    return answers


class Blackhole:
    """A port where nobody answers; `tap` keeps what was to go there."""

    def __init__(self, like: str) -> None:
        self.host = "::1" if ":" in like else "127.0.0.1"
        self.packets: list[bytes] = []
        self._udp = socket.socket(socket.AF_INET6 if ":" in like else socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._udp.bind((self.host, 0))
        self.port: int = self._udp.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._udp.close()

    def tap(self, data: bytes) -> bool:
        """Keep a packet, which then does not leave."""
        self.packets.append(data)
        return True
