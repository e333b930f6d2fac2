"""Device lists: judged, made, and joined with what was known before; nothing unsigned is ever read. (spec 15-keys)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from quicchat.client.e2ee.faults import BadKey, Forged
from quicchat.client.e2ee.openpgp import Certificate, verify
from quicchat.client.e2ee.records import Device, Known, devices_of, rows_of
from quicchat.errors import RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire.sealed import DeviceList, packed, unpacked

#: Of KEY_GET_R: [user, serial, identity certificate, list, signature, certificates].
Row = tuple[str, int, bytes, bytes, bytes, tuple[bytes, ...]]
#: What a list says of a device: [fingerprint, name].
Named = tuple[bytes, str]
#: The format of lists.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """A list that the identity beside it has signed for its account; its certificates are not looked at yet."""

    identity: Certificate
    #: As it came.
    raw: bytes
    listing: DeviceList
    data: bytes
    certificates: tuple[bytes, ...]

    @property
    def serial(self) -> int:
        """Of the list."""
        return self.listing.serial


def judged(user: str, row: Row) -> Judged:
    """What a row of KEY_GET_R says, where all of it is good. Raises Forged."""
    _, serial, certificate, data, signature, certificates = row
    try:
        identity = Certificate.of(certificate)
    except BadKey as fault:
        raise Forged(f"its identity key cannot be used: {fault.text}") from None
    if not verify(data, signature, identity):
        raise Forged("it is not signed by the identity key beside it")
    try:
        listing = unpacked(DeviceList, data)
    except RemoteProtocolError as fault:
        raise Forged(f"it is not well-formed: {fault.text}") from None
    if listing.version != VERSION:
        raise Forged(f"it is of format {listing.version}, which this client does not know")
    if listing.account != user:
        raise Forged(f"it is a list of {listing.account}")
    if listing.serial != serial or not serial:
        raise Forged("it has another number than the server says")
    if len(dict(listing.devices)) != len(listing.devices):
        raise Forged("it names a device twice")
    return Judged(identity, certificate, listing, data, certificates)


def made(account: str, serial: int, devices: Sequence[Named], now: int) -> bytes:
    """A list, to be signed; `now` is Unix ms."""
    return packed(DeviceList(version=VERSION, account=account, serial=serial, time=now, devices=tuple(devices)))


def joined(known: Known, found: Judged, now: int) -> Known:
    """What is known with a newer list: devices that it leaves out stay, with the time from which they count no more.

    A certificate that the server left out is the one that was here before. `state` and `pinned` are not touched.
    """
    same = known.identity is None or known.using == found.identity.fingerprint
    before = devices_of(known)
    held = [each.certificate for each in before if same and not each.until]
    devices = _usable(found.listing, (*found.certificates, *held))
    here = {each.fingerprint for each in devices}
    # A clock that is ahead of ours must not make a device live on.
    gone = max(1, min(found.listing.time, now)) if same else now
    past = [replace(each, until=each.until or gone) for each in before if each.fingerprint not in here]
    rows = rows_of([*devices, *past])
    # What another identity has let in is never as good again as what this one has.
    others = {*(known.strangers or ()), *(() if same else (each.fingerprint for each in before))} - here
    is_pinned = known.pinned == found.identity.fingerprint
    return Known(
        state=known.state,
        pinned=known.pinned,
        pinned_serial=max(known.pinned_serial, found.serial) if is_pinned else known.pinned_serial,
        serial=found.serial,
        using=found.identity.fingerprint,
        identity=found.raw,
        listed=found.data,
        devices=rows,
        strangers=tuple(mark for mark, *_ in rows if mark in others) or None,
    )


def listed_in(known: Known | None) -> tuple[Named, ...]:
    """The devices of the list that counts, also those whose certificates are not here."""
    return unpacked(DeviceList, known.listed).devices if known is not None and known.listed else ()


def _usable(listing: DeviceList, certificates: Iterable[bytes]) -> list[Device]:
    """The devices of a list whose certificates are here; what is not listed, or not a certificate, is ignored.

    Of devices with one handle none is used: nobody could tell which of them a message is for, or by.
    """
    names = dict(listing.devices)
    found: dict[bytes, Device] = {}
    for data in certificates:
        try:
            certificate = Certificate.of(data)
        except BadKey:
            continue
        mark = certificate.fingerprint
        if mark in names and mark not in found:
            found[mark] = Device(mark, names[mark], certificate.handle, data)
    handles = Counter(each.handle for each in found.values())
    return [each for each in found.values() if handles[each.handle] == 1]
