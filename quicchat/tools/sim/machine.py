"""The server as a machine that can stop at any moment and start again on what its disk kept. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quicchat.protocol.limits import Limits
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import Door, open_house
from quicchat.server.model import Policy
from quicchat.tools.sim.chance import LoopClock, Trace
from quicchat.tools.sim.disk import Disk, Volume
from quicchat.tools.sim.network import Host
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.identity import Identity, Trust
from quicchat.transport.options import Options
from quicchat.wire.registry import VERSIONS

ADDRESS: Final = "10.0.0.1"
PORT: Final = 4433
NAME: Final = "server.sim"
#: Death is noticed within five seconds, so that half of the ten after the last fault is left to mend things.
LIMITS: Final = Limits(ping=2.0, pong=2.5, silence=6.0)
IDLE: Final = 6.0


@cache
def identity() -> Identity:
    """The server's certificate: always the same bytes, for its length is part of what happens."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(*pkcs8))


def trust() -> Trust:
    """What clients believe in."""
    return Trust(identity().chain)


class Machine:
    """A server that runs between `start` and `crash`."""

    def __init__(self, host: Host, disk: Disk, clock: LoopClock, trace: Trace, backlog: int) -> None:
        self.disk = disk
        self._backlog = backlog
        self._host = host
        self._clock = clock
        self._trace = trace
        self._volume: Volume | None = None
        self._life: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        #: When the present life began.
        self.since = 0.0
        #: The open house of this life.
        self.door: Door | None = None
        self._endpoint: Endpoint | None = None
        self._remains: list[asyncio.Task[None]] = []

    @property
    def is_up(self) -> bool:
        """Whether the server runs."""
        return self._endpoint is not None

    @property
    def store(self) -> MemoryStore:
        """What is committed."""
        return self._volume.store if self._volume is not None else self.disk.recovered()

    async def start(self) -> None:
        """Come up on what the disk holds."""
        self._up.clear()
        self._volume = self.disk.mount()
        self._life = asyncio.get_running_loop().create_task(self._live(self._volume), name="server")
        await self._up.wait()
        self.since = asyncio.get_running_loop().time()
        self._trace.note("server", "starts")

    def crash(self) -> None:
        """Stop, without a word to anybody."""
        assert self._life is not None
        assert self._volume is not None
        assert self._endpoint is not None
        self._trace.note("server", "crashes")
        self._host.vanish()
        self._volume.crash()
        self._life.cancel()
        loop = asyncio.get_running_loop()
        self._remains += [self._life, loop.create_task(self._endpoint.close())]
        self._life = self._endpoint = self._volume = None

    async def buried(self) -> None:
        """Wait until nothing is left of earlier lives."""
        if self._remains:
            await asyncio.wait(self._remains)

    async def _live(self, volume: Volume) -> None:
        policy = Policy(signup="open", least_iterations=1)
        async with open_house(
            volume, self._clock, policy, limits=LIMITS, versions=VERSIONS, node="sim", backlog=self._backlog
        ) as door:
            self.door = door
            options = Options(idle_timeout=IDLE, udp=self._host.udp)
            self._endpoint = await listen([(self._host.ip, PORT)], identity(), door.accept, options=options)
            self._up.set()
            await asyncio.get_running_loop().create_future()
