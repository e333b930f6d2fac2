"""What clients with keys did, as the checks need it: what left, what came, what was sealed. (spec 12-operation)

Their keys come from the seed. What OpenPGP draws by itself (session keys, salts, the time of day) stays what it is, for
it is real OpenPGP that is played: two runs of a seed send other bytes there, but as many. Signatures, whose numbers are
written without leading zeros, are made again until they have their usual length, so that packets have the same sizes at
the same times, which is what traces are made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field
from functools import cache
from typing import Any, Final
from unittest.mock import patch
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from quicchat.client.e2ee import making, openpgp
from quicchat.client.e2ee.engine import EndToEnd
from quicchat.client.e2ee.ratchet import Voice
from quicchat.client.requests import Requests
from quicchat.errors import RemoteProtocolError
from quicchat.tools.sim.chance import Draws
from quicchat.tools.sim.device import Device
from quicchat.tools.sim.disk import Volume
from quicchat.values import dataclass
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Post, PostMany
from quicchat.wire.names import User, direct
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import Content, Sealed, SessionKey, unpacked

#: Out of so many signatures one at least has its usual length, but for one time in a hundred million.
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Left:
    """A message that left a device for a conversation."""

    at: float
    device: str
    room: str
    post: Post


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of devices that the server has from then on."""

    at: float
    serial: int
    marks: frozenset[bytes]


@dataclass(slots=True)
class Witness:
    """All of one run; devices go by their names."""

    devices: Mapping[str, Device]
    left: list[Left] = field(default_factory=list)
    #: By ciphertext: when a message was sealed, and under which id which key was given out, from which index on.
    sealed: dict[bytes, float] = field(default_factory=dict)
    given: dict[bytes, SessionKey] = field(default_factory=dict)
    #: When each connection began, and all that was heard on any, by device.
    begun: dict[str, list[float]] = field(default_factory=dict)
    heard: dict[str, list[tuple[float, Pdu]]] = field(default_factory=dict)
    lists: dict[User, list[Listing]] = field(default_factory=dict)
    #: Since when a room's log has (at least) so many events.
    heads: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    _ends: WeakKeyDictionary[Requests, tuple[Device, int]] = field(default_factory=WeakKeyDictionary)

    def born(self, device: str, at: float) -> float:
        """When the connection began that a device had at a time."""
        return max((begun for begun in self.begun.get(device, ()) if begun <= at), default=-1.0)

    def committed(self, room: str, seq: int) -> float:
        """When the server had a place of a log for good."""
        return next((at for at, head in self.heads.get(room, ()) if head >= seq), float("inf"))

    def begins(self, end: EndToEnd, requests: Requests) -> None:
        """A device has logged in."""
        device = self.devices.get(end._wires.device())
        if device is not None:
            self._ends[requests] = device, device.life
            self.begun.setdefault(device.name, []).append(_now())

    def hears(self, end: EndToEnd, pdu: Pdu) -> None:
        """A device is told something."""
        self.heard.setdefault(end._wires.device(), []).append((_now(), pdu))

    def leaves(self, requests: Requests, pdu: Pdu) -> None:
        """Something is sent; what a program does that was killed reaches nobody."""
        device, life = self._ends.get(requests, (None, 0))
        if device is None or device.life != life or not device.is_running:
            return
        posts = [pdu] if isinstance(pdu, Post) else []
        if isinstance(pdu, PostMany):
            posts = [codec.decode_body(Post, body, version=2) for body in pdu.posts]
        for post in posts:
            room = post.room or direct(User(device.user), User(post.user or ""))
            self.left.append(Left(_now(), device.name, room, post))

    def commits(self, volume: Volume) -> None:
        """The server's disk has something new."""
        state = volume.store._state
        for room, place in state.rooms.items():
            heads = self.heads.setdefault(room, [])
            if not heads or heads[-1][1] < len(place.log):
                heads.append((_now(), len(place.log)))
        for user, signed in state.lists.items():
            known = self.lists.setdefault(user, [])
            if not known or known[-1].serial < signed.serial:
                known.append(Listing(_now(), signed.serial, frozenset(signed.fingerprints)))


@contextmanager
def witnessed(seed: int, devices: Mapping[str, Device]) -> Iterator[Witness]:
    """While the block runs, all that is done with keys is seen, and keys come from the seed."""
    witness = Witness(devices)
    # Before keys come from the seed, which is to be the first to draw from it.
    _usual_signature()
    draws = Draws(seed, "secrets")
    with ExitStack() as stack:
        for place, name, other in (*_taps(witness), *_lengths(witness)):
            stack.enter_context(patch.object(place, name, other))
        stack.enter_context(patch.object(openpgp, "secrets", draws))
        for kind in (Ed25519PrivateKey, X25519PrivateKey):
            stack.enter_context(patch.object(making, kind.__name__, _Maker(kind, draws)))
        yield witness


@dataclass(frozen=True, slots=True)
class _Maker:
    """A class of private keys, whose new ones come from the seed."""

    kind: Any
    draws: Draws

    def generate(self) -> Any:
        return self.kind.from_private_bytes(self.draws.randbytes(32))


Change = tuple[Any, str, Callable[..., Any]]


def _taps(witness: Witness) -> Sequence[Change]:
    begin, hear, send, seal, apply = EndToEnd.begin, EndToEnd.heard, Requests.begin, Voice.seal, Volume._apply

    async def begins(self: EndToEnd, requests: Requests) -> None:
        witness.begins(self, requests)
        await begin(self, requests)

    def hears(self: EndToEnd, pdu: Pdu) -> None:
        witness.hears(self, pdu)
        hear(self, pdu)

    def leaves(self: Requests, pdu: Pdu, **options: Any) -> asyncio.Future[Pdu]:
        witness.leaves(self, pdu)
        return send(self, pdu, **options)

    def seals(self: Voice, content: Content) -> tuple[Voice, Sealed]:
        after, sealed = seal(self, content)
        witness.sealed[sealed.ciphertext] = _now()
        return after, sealed

    def applies(self: Volume, group: list[Any]) -> list[Any]:
        outcomes = apply(self, group)
        witness.commits(self)
        return outcomes

    return [
        (EndToEnd, "begin", begins),
        (EndToEnd, "heard", hears),
        (Requests, "begin", leaves),
        (Voice, "seal", seals),
        (Volume, "_apply", applies),
    ]


def _lengths(witness: Witness) -> Sequence[Change]:
    """What pysequoia makes, with the length that it has most times; and which key is given to whom."""
    plain_encrypt, plain_sign = openpgp.encrypt, openpgp.Secret.sign

    def encrypt(
        data: bytes, to: Sequence[openpgp.Certificate], signer: openpgp.Secret
    ) -> tuple[bytes, dict[int, bytes]]:
        packet, entries = plain_encrypt(data, to, signer)
        while len(packet) < _usual_packet(len(data)):
            packet, entries = plain_encrypt(data, to, signer)
        # What else is encrypted tells of a backup.
        with suppress(RemoteProtocolError):
            witness.given[packet] = unpacked(SessionKey, data)
        return packet, entries

    def sign(self: openpgp.Secret, data: bytes) -> bytes:
        made = plain_sign(self, data)
        while len(made) < _usual_signature():
            made = plain_sign(self, data)
        return made

    return [(openpgp, "encrypt", encrypt), (openpgp.Secret, "sign", sign)]


_ENCRYPT: Final = openpgp.encrypt
_SIGN: Final = openpgp.Secret.sign


@cache
def _some() -> openpgp.Secret:
    return openpgp.Secret.make("some", 0)


@cache
def _usual_packet(size: int) -> int:
    some = _some()
    return max(len(_ENCRYPT(bytes(size), [some.certificate], some)[0]) for _ in range(_TRIES))


@cache
def _usual_signature() -> int:
    return max(len(_SIGN(_some(), b"")) for _ in range(_TRIES))


def _now() -> float:
    return asyncio.get_running_loop().time()
