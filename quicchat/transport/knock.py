"""Knocking at a UDP port: whether anybody there speaks QUIC, and how large a datagram gets there. (spec 13-transport)

A server answers an Initial packet of a QUIC version that it does not know with those that it knows (RFC 9000 section
6), without remembering anything; and to be answered, the packet has to arrive whole.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Sequence
from enum import Enum
from typing import Final

from quicchat.transport.options import CID_LENGTH
from quicchat.transport.udp import Address, Udp
from quicchat.values import dataclass

#: Of the form that is reserved for versions that nobody speaks (RFC 9000 section 15).
UNKNOWN_VERSION: Final = 0x1A2A3A4A
#: QUIC v1 and v2, which we speak.
SPOKEN: Final = frozenset({0x00000001, 0x6B3343CF})
_INITIAL: Final = 0xC0
#: When each packet is sent again, in seconds from the beginning.
_REPEATS: Final = (0.0, 0.25, 0.75)
#: Replies of other sizes are waited for so many times as long as the first one took, and at least so long.
_SPREAD: Final = 4.0
_LEAST: Final = 0.1


class Outcome(Enum):
    """What came of a knock."""

    ANSWERED = "answered"
    #: The host said that nobody listens there (ICMP).
    REFUSED = "refused"
    SILENT = "silent"
    #: Something came back, and it was no QUIC.
    FOREIGN = "foreign"
    #: There is no way to the address; this machine said so.
    NO_WAY = "no way"


@dataclass(frozen=True, slots=True)
class Knock:
    """What came back from one address.

    `versions` are those of QUIC; `seconds` the time to the first answer; `sizes` those that got there, `too_large`
    those that did not even leave this machine; `reason` is the system's word for NO_WAY.
    """

    outcome: Outcome
    versions: tuple[int, ...] = ()
    seconds: float = 0.0
    sizes: tuple[int, ...] = ()
    too_large: tuple[int, ...] = ()
    reason: str = ""


async def knock(family: int, remote: Address, *, sizes: Sequence[int] = (1200,), patience: float = 3.0) -> Knock:
    """Knock with a packet of each size, and wait until all are answered, or for the rest as long as is reasonable."""
    local = ("::", 0, 0, 0) if family == socket.AF_INET6 else ("0.0.0.0", 0)
    try:
        udp = Udp(family, local, remote)
    except OSError as error:
        return Knock(Outcome.NO_WAY, reason=error.strerror or str(error))
    try:
        return await _Visit(udp, sizes).run(patience)
    finally:
        udp.close()


class _Visit:
    """One socket, and the packets that are under way from it."""

    def __init__(self, udp: Udp, sizes: Sequence[int]) -> None:
        self._udp = udp
        self._loop = asyncio.get_running_loop()
        #: By the id that the answer is addressed to.
        self._waiting = {secrets.token_bytes(CID_LENGTH): size for size in sizes}
        self._to = secrets.token_bytes(CID_LENGTH)
        self._versions: tuple[int, ...] | None = None
        self._arrived: set[int] = set()
        self._too_large: set[int] = set()
        self._reason = ""
        self._is_foreign = False
        self._seconds = 0.0
        self._news = asyncio.Event()

    async def run(self, patience: float) -> Knock:
        self._loop.add_reader(self._udp.socket, self._readable)
        start = self._loop.time()
        end = start + patience
        due = [start + each for each in _REPEATS]
        try:
            while self._waiting and not self._udp.refused and (now := self._loop.time()) < end:
                if due and now >= due[0]:
                    due.pop(0)
                    self._send()
                if self._versions is not None and not self._seconds:
                    self._seconds = max(now - start, 1e-6)
                    end = min(end, max(start + _REPEATS[-1], now) + max(_LEAST, _SPREAD * self._seconds))
                await self._rest(min([end, *due[:1]]) - self._loop.time())
        finally:
            self._loop.remove_reader(self._udp.socket)
        return self._outcome()

    async def _rest(self, seconds: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            return

    def _send(self) -> None:
        for cid, size in list(self._waiting.items()):
            try:
                self._udp.socket.send(_packet(self._to, cid, size))
            except ConnectionRefusedError:
                self._udp.refused = True
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._too_large.add(size)
                    del self._waiting[cid]
                else:
                    self._reason = error.strerror or str(error)

    def _readable(self) -> None:
        for data, _ in self._udp.receive():
            found = _answer(data, self._to)
            if found is None or (size := self._waiting.pop(found[0], None)) is None:
                self._is_foreign |= found is None
                continue
            self._versions = found[1]
            self._arrived.add(size)
        self._news.set()

    def _outcome(self) -> Knock:
        sizes, too_large = tuple(sorted(self._arrived)), tuple(sorted(self._too_large))
        if self._versions is not None:
            return Knock(Outcome.ANSWERED, self._versions, self._seconds, sizes, too_large)
        if self._udp.refused:
            return Knock(Outcome.REFUSED)
        if self._reason or not self._waiting:
            return Knock(Outcome.NO_WAY, too_large=too_large, reason=self._reason)
        return Knock(Outcome.FOREIGN if self._is_foreign else Outcome.SILENT, too_large=too_large)


def _packet(to: bytes, sender: bytes, size: int) -> bytes:
    """What only says that somebody would like to talk, in a version that is not spoken (RFC 8999 section 5.1)."""
    head = bytes((_INITIAL,)) + UNKNOWN_VERSION.to_bytes(4, "big")
    return (head + bytes((len(to),)) + to + bytes((len(sender),)) + sender).ljust(size, b"\0")


def _answer(data: bytes, to: bytes) -> tuple[bytes, tuple[int, ...]] | None:
    """Whom a Version Negotiation packet is for, and its versions; None for all else (RFC 8999 section 6)."""
    if len(data) < 7 or not data[0] & 0x80 or any(data[1:5]):
        return None
    first = 6 + data[5]
    cid, rest = data[6:first], data[first:]
    if not rest or rest[1 : 1 + rest[0]] != to:
        return None
    listed = rest[1 + rest[0] :]
    versions = [int.from_bytes(listed[at : at + 4], "big") for at in range(0, len(listed) - 3, 4)]
    return cid, tuple(versions)
