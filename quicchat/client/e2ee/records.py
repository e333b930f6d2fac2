"""What this device keeps of the keys of a user; it never travels. (spec 15-keys)"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quicchat.client.e2ee.trust import Trust
from quicchat.values import dataclass
from quicchat.wire.chapters.keys import CERTIFICATE, DEVICES, FINGERPRINT, HANDLE, SERIAL
from quicchat.wire.fields import MILLISECONDS
from quicchat.wire.registry import Pdu, key, record
from quicchat.wire.types import Array, Bytes, Choice, Text, Tuple

#: Devices that were listed once and are not any more, of whom something may still be read; the oldest go.
PAST: Final = 64


@record("known", section="")
class Known(Pdu):
    """A user's identity, his devices, and how far they are trusted.

    Without `identity` no list was seen yet: what is pinned came with a backup, or was made here and is not published.
    """

    state: Trust = key(1, Choice(Trust), "how far the identity is trusted")
    pinned: bytes = key(2, FINGERPRINT, "of the identity that the user goes by")
    pinned_serial: int = key(3, SERIAL, "the highest of a list by it")
    serial: int = key(4, SERIAL, "of the list that counts")
    using: bytes = key(5, FINGERPRINT, "of the identity that signed this list")
    identity: bytes | None = key(6, CERTIFICATE, "this identity", default=None)
    listed: bytes = key(7, Bytes(4_096), "the list, as signed; empty where there is none")
    devices: tuple[tuple[bytes, str, int, bytes, int], ...] = key(
        8,
        Array(Tuple((FINGERPRINT, Text(64), HANDLE, CERTIFICATE, MILLISECONDS)), DEVICES + PAST),
        "[fingerprint, name, handle, certificate, since when it is not listed (Unix ms), 0 for now]",
    )
    strangers: tuple[bytes, ...] | None = key(
        9, Array(FINGERPRINT, PAST), "of these devices, those that another identity has signed", default=None
    )


def pinned(state: Trust, fingerprint: bytes) -> Known:
    """An identity whose list was not seen yet."""
    return Known(state=state, pinned=fingerprint, pinned_serial=0, serial=0, using=fingerprint, listed=b"", devices=())


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a user's list names, or named."""

    fingerprint: bytes
    name: str
    handle: int
    certificate: bytes
    #: Since when it is not listed any more, Unix ms; 0 where it is.
    until: int = 0


def devices_of(known: Known) -> list[Device]:
    """The devices of a record, those that are listed first."""
    return [Device(*row) for row in known.devices]


def rows_of(devices: list[Device]) -> tuple[tuple[bytes, str, int, bytes, int], ...]:
    """The other way round: of those that are not listed any more, the last ones only."""
    now = [each for each in devices if not each.until]
    past = sorted((each for each in devices if each.until), key=lambda each: -each.until)
    return tuple(
        (each.fingerprint, each.name, each.handle, each.certificate, each.until) for each in (*now, *past[:PAST])
    )


def aged(known: Known, now: int) -> tuple[tuple[bytes, str, int, bytes, int], ...]:
    """The devices of a record, none of which is listed from now on (Unix ms)."""
    return rows_of([replace(each, until=each.until or now) for each in devices_of(known)])
