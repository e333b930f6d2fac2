"""What one device of an account tells the others of its backup: encrypted for each, and signed. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client.e2ee import openpgp
from quicchat.client.e2ee.faults import SealError
from quicchat.errors import RemoteProtocolError
from quicchat.wire.sealed import Recovery, Scheme, Sealed, packed, unpacked


def letter(said: Recovery, readers: Sequence[openpgp.Certificate], own: openpgp.Secret) -> bytes:
    """Part 1 of a backup, for these devices, by one's own. Raises BadKey."""
    packet, entries = openpgp.encrypt(packed(said), readers, own)
    return packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=packet, entries=entries))


def said(data: bytes, own: openpgp.Secret, signer: openpgp.Certificate) -> Recovery | None:
    """What part 1 tells this device, if it is by that other one."""
    try:
        found = unpacked(Sealed, data)
        entry = (found.entries or {})[own.certificate.handle]
        return unpacked(Recovery, openpgp.decrypt(found.ciphertext, entry, own, signer))
    except (SealError, RemoteProtocolError, KeyError):
        return None
