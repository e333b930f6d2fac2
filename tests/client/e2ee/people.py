"""Three people with keys, and a message from one to another."""

from __future__ import annotations

import time
from typing import Final

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.openpgp import Secret

NOW: Final = int(time.time() * 1_000)
DAY: Final = 86_400_000
TEXT: Final = b"meet me at nine"
CODE: Final = "012345678901234567890123456789012345"
MARKER: Final = b"\xca\x03PGP"
ALICE, BOB, EVE = (Secret.make(name, NOW) for name in ("alice", "bob", "eve"))
PACKET, _ENTRIES = openpgp.encrypt(TEXT, [BOB.certificate], ALICE)
ENTRY: Final = _ENTRIES[BOB.certificate.handle]


def opened(packet: bytes = PACKET, entry: bytes = ENTRY, own: Secret = BOB, signer: Secret = ALICE) -> bytes:
    """What Bob reads, unless it is said otherwise."""
    return openpgp.decrypt(packet, entry, own, signer.certificate)


def flipped(data: bytes, at: int) -> bytes:
    """With one bit changed."""
    return data[: at // 8] + bytes((data[at // 8] ^ (1 << at % 8),)) + data[at // 8 + 1 :]
