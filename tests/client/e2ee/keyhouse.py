"""A server that keeps keys, honest or not, and clients of it that can be started anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quicchat.client.chance import HERE, Surroundings
from quicchat.client.e2ee import lists
from quicchat.client.e2ee.directory import Directory, Own
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.lists import Named, Row
from quicchat.client.e2ee.openpgp import Certificate, Secret
from quicchat.client.events import KeyNews
from quicchat.client.memory import PlainMemory
from quicchat.client.scribe import Scribe
from quicchat.errors import Code, LinkLost, Refused
from quicchat.wire.chapters.keys import GetKeys, KeyList, KeysChanged, PublishKeys
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import DeviceList, unpacked

NOTHING = (0, b"", b"", b"", ())


def now() -> int:
    return int(HERE.wall() * 1000)


def row(
    user: str,
    serial: int,
    identity: Secret,
    devices: Sequence[Secret] = (),
    *,
    account: str | None = None,
    signer: Secret | None = None,
    names: Sequence[Named] | None = None,
    at: int | None = None,
) -> Row:
    """A row of KEY_GET_R; what is left out is as it should be."""
    listed = names or [(each.certificate.fingerprint, f"device {i}") for i, each in enumerate(devices)]
    data = lists.made(account or user, serial, listed, at or now())
    signature = (signer or identity).sign(data)
    return user, serial, identity.certificate.data, data, signature, tuple(each.certificate.data for each in devices)


@dataclass
class Account:
    """What the server keeps of a user: `published` by device."""

    row: tuple[int, bytes, bytes, bytes] = (0, b"", b"", b"")
    published: dict[bytes, PublishKeys] = field(default_factory=dict)

    @property
    def listed(self) -> set[bytes]:
        return {mark for mark, _ in unpacked(DeviceList, self.row[2]).devices} if self.row[0] else set()


class KeyServer:
    """Keeps what is published, by the rules; a test may change the answers (`shows`), or cut the line (`page`)."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.shows: dict[str, Row] = {}
        self.asked: list[Pdu] = []
        self.page = 64
        self.clients: list[Client] = []
        #: Called with each request before it is answered; may raise.
        self.before: Callable[[Pdu], None] = lambda pdu: None

    def of(self, user: str) -> Account:
        return self.accounts.setdefault(user, Account())

    async def answer(self, client: Client, pdu: Pdu) -> Pdu:
        await asyncio.sleep(0.01)
        self.before(pdu)
        self.asked.append(pdu)
        return self.publish(client, pdu) if isinstance(pdu, PublishKeys) else self.get(client, pdu)

    def publish(self, client: Client, pdu: PublishKeys) -> Ok:
        account = self.of(client.user)
        if pdu.devices is not None:
            assert pdu.identity is not None
            assert pdu.signature is not None
            listing = unpacked(DeviceList, pdu.devices)
            if listing.serial <= account.row[0]:
                raise Refused(Code.KEYS_STALE)
            before = account.listed
            account.row = (listing.serial, pdu.identity, pdu.devices, pdu.signature)
            gone = before - account.listed
            account.published = {at: each for at, each in account.published.items() if each.fingerprint not in gone}
        account.published[client.device] = pdu
        for each in self.clients:
            if each.alive and each.directory is not None:
                each.directory.heard(KeysChanged(user=client.user, serial=account.row[0]))
        return Ok()

    def get(self, client: Client, pdu: Pdu) -> KeyList:
        assert isinstance(pdu, GetKeys)
        assert list(pdu.users) == sorted(pdu.users)
        assert pdu.serials is None or len(pdu.serials) == len(pdu.users)
        held = pdu.serials or (0,) * len(pdu.users)
        rows = tuple(self.row(user, serial) for user, serial in zip(pdu.users, held, strict=True))
        waiting = None
        if client.user in pdu.users:
            mine = self.of(client.user)
            waiting = tuple(
                (device, each.fingerprint, each.name, each.certificate)
                for device, each in mine.published.items()
                if each.fingerprint not in mine.listed
            )
        return KeyList(users=rows[: self.page], waiting=waiting)

    def row(self, user: str, held: int) -> Row:
        if user in self.shows:
            return self.shows[user]
        account = self.of(user)
        serial, identity, data, signature = account.row
        if serial and serial == held:
            return user, serial, b"", b"", b"", ()
        published = (each for each in account.published.values() if each.fingerprint in account.listed)
        return user, serial, identity, data, signature, tuple(each.certificate for each in published)

    def put(self, user: str, serial: int, identity: Secret, devices: Sequence[Secret]) -> None:
        """A user who has these devices, without a client."""
        found = row(user, serial, identity, devices)
        self.of(user).row = found[1:5]
        self.of(user).published = {
            bytes([at]) * 16: PublishKeys(
                certificate=each.certificate.data,
                fingerprint=each.certificate.fingerprint,
                handle=each.certificate.handle,
                name=f"device {at}",
            )
            for at, each in enumerate(devices)
        }


class Client:
    """One device of a user; what it keeps outlives it."""

    def __init__(self, server: KeyServer, user: str, name: str = "laptop", *, device: bytes | None = None) -> None:
        self.server = server
        self.user = user
        self.name = name
        self.device = device or bytes([len(server.clients) + 100]) * 16
        self.memory = PlainMemory()
        self.news: list[KeyNews] = []
        self.alive = False
        self.offset = 0.0
        self.directory: Directory | None = None
        self.scribe: Scribe | None = None
        server.clients.append(self)

    async def start(self) -> Directory:
        """As a program does that finds what the last one has kept."""
        self.scribe = Scribe(self.memory, await self.memory.load(), lambda _: None)
        surroundings = Surroundings(wall=lambda: HERE.wall() + self.offset)
        self.keyring = Keyring(self.scribe)
        self.directory = Directory(
            self.keyring, lambda pdu, answer: self.ask(pdu, answer), surroundings, self.news.append, self.name
        )
        self.alive = True
        return self.directory

    async def login(self) -> Directory:
        """Started, and all done that a login does."""
        directory = await self.start()
        await directory.begin(self.user)
        return directory

    async def ask(self, pdu: Pdu, answer: type[Any]) -> Any:
        if not self.alive:
            raise LinkLost(Code.NO_ERROR, "gone")
        found = await self.server.answer(self, pdu)
        if not self.alive:
            raise LinkLost(Code.NO_ERROR, "gone")
        assert isinstance(found, answer)
        return found

    def crash(self) -> None:
        """The program is gone, and what it had not written."""
        self.alive = False

    async def stop(self) -> None:
        """An orderly end."""
        if self.directory is not None:
            self.directory.lost()
            await self.directory.close()
        if self.scribe is not None:
            await self.scribe.flush()
        self.alive = False

    def kinds(self) -> list[str]:
        """Of the news since the last time."""
        found = [each.kind for each in self.news]
        self.news.clear()
        return found

    def kept(self, drawer: Drawer) -> bytes | None:
        """What is on the disk."""
        return self.memory._secrets.get((drawer, b""))


def own(client: Client) -> Own:
    """What it has, as it is now."""
    assert client.directory is not None
    found = client.directory.own
    assert found is not None
    return found


def identity(client: Client) -> Secret:
    found = own(client).identity
    assert found is not None
    return found


def fingerprint(client: Client) -> bytes:
    return own(client).device.certificate.fingerprint


def changed(found: Row, **fields: Any) -> Row:
    """A row with something else in it."""
    names = ("user", "serial", "identity", "data", "signature", "certificates")
    return tuple(fields.get(name, value) for name, value in zip(names, found, strict=True))


def listing(server: KeyServer, user: str = "alice") -> DeviceList:
    return unpacked(DeviceList, server.of(user).row[2])


def identity_at(server: KeyServer, user: str = "alice") -> bytes:
    return Certificate.of(server.of(user).row[1]).fingerprint


def marks(server: KeyServer, user: str = "alice") -> set[bytes]:
    return {mark for mark, _ in listing(server, user).devices}


async def quiet() -> None:
    """Until everybody has looked at what was heard."""
    await asyncio.sleep(1)


async def two_devices(server: KeyServer) -> tuple[tuple[Client, Directory], tuple[Client, Directory]]:
    """Alice's laptop, and her phone, which the laptop has let in."""
    old, new = Client(server, "alice"), Client(server, "alice", "phone")
    one, two = await old.login(), await new.login()
    await quiet()
    await one.approve(fingerprint(new))
    await quiet()
    return (old, one), (new, two)


def signer(directory: Directory, user: str, handle: int, at: int | None = None) -> Certificate | None:
    """The device with that handle, if it may have signed something then."""
    return next((each for each in directory.signers(user, at) if each.handle == handle), None)
