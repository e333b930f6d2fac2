"""What a hostile peer does below the streams: packets of any frames, many sockets, ears that are shut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from quicchat.tools.conform.quic import Line
from tests.transport.pair import End, rude


def say_frames(line: Line, *payloads: bytes) -> None:
    """One packet for each payload, whatever frames it holds."""
    for payload in payloads:
        # All that it wants of an end is the connection of it.
        line._send(rude(cast(End, line), payload), ())


def shut(line: Line) -> Callable[[], None]:
    """The client hears nothing more, and so acknowledges nothing; what is returned opens its ears again."""
    hears = line.receive
    line.receive = lambda data, address: None  # type: ignore[method-assign]

    def open_again() -> None:
        line.receive = hears  # type: ignore[method-assign]

    return open_again


def stop_widening(line: Line) -> None:
    """The client takes what its windows allow now, and never more."""
    quic: Any = line.quic
    quic._write_connection_limits = quic._write_stream_limits = lambda **_: None


@contextmanager
def sockets(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many strangers, each with an address of its own."""
    found = []
    try:
        for _ in range(count):
            found.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            found[-1].setblocking(False)
            found[-1].connect(("127.0.0.1", port))
        yield found
    finally:
        for each in found:
            each.close()


def heard(udp: socket.socket) -> int:
    """Bytes that lie there for somebody."""
    total = 0
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        while True:
            total += len(udp.recv(65_535))
    return total


@contextmanager
def elsewhere(line: Line, port: int) -> Iterator[None]:
    """The client speaks and hears at another port from now on."""
    loop = asyncio.get_running_loop()
    with sockets(port, 1) as (udp,):
        old, line._send = line._send, lambda data, address: cast(None, udp.send(data))

        def read() -> None:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    line.receive(udp.recv(65_535), ("127.0.0.1", port))

        loop.add_reader(udp, read)
        try:
            yield
        finally:
            loop.remove_reader(udp)
            line._send = old


async def over(line: Line, patience: float = 5.0) -> tuple[int, bool]:
    """The code with which the connection ends, and whether QUIC gave it."""
    async with asyncio.timeout(patience):
        while line.closed is None:  # noqa: ASYNC110 - the kit's line has one listener, who is another
            await asyncio.sleep(0.005)
    return line.closed.code, not line.closed.by_application


async def until_over(line: Line, *payloads: bytes) -> tuple[int, bool]:
    """Say these packets one by one until the server has enough; then as above."""
    for payload in payloads:
        if line.closed is not None:
            break
        say_frames(line, payload)
        await asyncio.sleep(0.001)
    return await over(line)
