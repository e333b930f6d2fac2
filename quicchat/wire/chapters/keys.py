"""Keys: who reads with which devices, so that what is said can be sealed for them alone. (spec 15-keys)"""

from __future__ import annotations

from quicchat.wire.fields import COUNT, DEVICE, USER
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bytes, Text, Tuple, Uint

_ASKED = Via.CONTROL | Via.QUERY
#: Devices in one list, and users in one KEY_GET.
DEVICES = 16
ASKED = 64
#: An OpenPGP certificate, a device list (wire/sealed.py) and a signature of it, in bytes.
CERTIFICATE = Bytes(16_384, 1)
DEVICE_LIST = Bytes(4_096, 1)
SIGNATURE = Bytes(1_024, 1)
#: Of a version-4 key (RFC 4880 section 12.2).
FINGERPRINT = Bytes(20, 20)
#: The key id of the subkey that a device decrypts with: it names the device in a sealed body.
HANDLE = Uint()
#: Each version of a device list has a higher one.
SERIAL = Uint(2**53)
#: Bytes and number of the parts of a backup.
PART = 49_152
PARTS = 1_024


@pdu(0x70, "KEY_PUBLISH", by=CLIENT, via=Via.CONTROL, section="15.2", since=2)
class PublishKeys(Pdu):
    """Makes known the key of this device, and with `identity` a new device list; answered by OK.

    A device whose key stands in no list yet waits there until another device, or a recovery code, lets it in.
    """

    certificate: bytes = key(1, CERTIFICATE, "of this device")
    fingerprint: bytes = key(2, FINGERPRINT, "of its primary key")
    handle: int = key(3, HANDLE, "key id of its encryption subkey")
    name: str = key(4, Text(64), "what people call the device")
    identity: bytes | None = key(5, CERTIFICATE, "of the account; with the next two", default=None)
    devices: bytes | None = key(6, DEVICE_LIST, "the device list, to the byte as signed", default=None)
    signature: bytes | None = key(7, SIGNATURE, "detached, of `devices`, by the identity key", default=None)


@pdu(0x71, "KEY_GET", by=CLIENT, via=_ASKED, section="15.3", since=2)
class GetKeys(Pdu):
    """Asks for the keys of users, in the order of their names; answered by KEY_GET_R."""

    users: tuple[str, ...] = key(1, Array(USER, ASKED), "whose, ascending")
    serials: tuple[int, ...] | None = key(
        2, Array(SERIAL, ASKED), "of the lists held, 0 for none: what has not changed is not sent", default=None
    )


@pdu(0x72, "KEY_GET_R", by=SERVER, via=_ASKED, section="15.3", since=2)
class KeyList(Pdu):
    """As many of the users asked for as a frame holds, from the first on; for the rest the client asks again."""

    users: tuple[tuple[str, int, bytes, bytes, bytes, tuple[bytes, ...]], ...] = key(
        1,
        Array(Tuple((USER, SERIAL, Bytes(16_384), Bytes(4_096), Bytes(1_024), Array(CERTIFICATE, DEVICES))), ASKED),
        "[user, serial of his list or 0, identity certificate, list, signature, certificates of the devices in it]; "
        "where the serial is the one held, only that",
    )
    waiting: tuple[tuple[bytes, bytes, str, bytes], ...] | None = key(
        2,
        Array(Tuple((DEVICE, FINGERPRINT, Text(64), CERTIFICATE)), DEVICES),
        "one's own devices that stand in no list: [device, fingerprint, name, certificate]",
        default=None,
    )


@pdu(0x73, "KEY_CHANGED", by=SERVER, via=Via.CONTROL, section="15.4", since=2)
class KeysChanged(Pdu):
    """Somebody's device list has changed; or, of oneself, a device waits to be let in."""

    user: str = key(1, USER, "whose")
    serial: int = key(2, SERIAL, "of the list now, 0 where there is none")


@pdu(0x74, "KEY_BACKUP", by=CLIENT, via=_ASKED, section="15.9", since=2)
class BackUp(Pdu):
    """Keeps a part of the backup, in the place of what had its number; answered by OK.

    Part 0 of a higher generation takes the place of all parts of the one before.
    """

    generation: int = key(1, Uint(2**53, 1), "a new one for each recovery code")
    part: int = key(2, Uint(PARTS - 1), "0 first, without gaps")
    data: bytes = key(3, Bytes(PART, 1), "an OpenPGP message encrypted with the recovery code; part 1 a `sealed-body`")


@pdu(0x75, "KEY_RESTORE", by=CLIENT, via=_ASKED, section="15.9", since=2)
class Restore(Pdu):
    """Asks for a part of one's backup; answered by KEY_RESTORE_R."""

    part: int = key(1, Uint(PARTS - 1), "which")


@pdu(0x76, "KEY_RESTORE_R", by=SERVER, via=_ASKED, section="15.9", since=2)
class Restored(Pdu):
    """A part of the backup."""

    generation: int = key(1, Uint(2**53), "0 where there is no backup")
    count: int = key(2, COUNT, "how many parts there are")
    data: bytes = key(3, Bytes(PART), "the part; empty where there is none")


ROWS: Rows = tuple(stay((State.READY,), PublishKeys, GetKeys, KeyList, KeysChanged, BackUp, Restore, Restored))
