"""The composition root: ports get their adapters, services their ports, links their sessions. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import itertools
import logging
import resource
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

from quicchat.config import LOOPBACK, ServerConfig
from quicchat.errors import Code, Refused, UsageError
from quicchat.protocol import scram
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.server.adapters import certificates, logs
from quicchat.server.adapters.blobs_local import LocalBlobs
from quicchat.server.adapters.blobs_memory import MemoryBlobs
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.roster import LocalRoster
from quicchat.server.adapters.share_local import open_share
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.server.feed import BUDGET
from quicchat.server.handler import Dispatch
from quicchat.server.house import House
from quicchat.server.model import UNNAMED, Credentials, Policy, SessionId, network
from quicchat.server.ports import Accounts, Blobs, Clock, Files, Keys, Log, Rooms, Share
from quicchat.server.rates import Rates
from quicchat.server.router import Router
from quicchat.server.services.accounts import AccountService
from quicchat.server.services.devices import Devices
from quicchat.server.services.files import FileService
from quicchat.server.services.history import HistoryService
from quicchat.server.services.keys import KeyService
from quicchat.server.services.messages import Messages
from quicchat.server.services.presence import PresenceService
from quicchat.server.services.receipts import ReceiptService
from quicchat.server.services.rooms import RoomService
from quicchat.server.services.session import Sessions
from quicchat.server.services.tokens import Resumptions
from quicchat.server.session import Session
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.identity import Identity
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.transport.recorder import FEW
from quicchat.transport.shelf import Shelf
from quicchat.values import dataclass
from quicchat.wire.chapters.accounts import MECHANISM
from quicchat.wire.names import PARROT, User
from quicchat.wire.registry import VERSIONS

log = logging.getLogger("quicchat.server")

#: How long running requests may take when the server stops, in seconds.
_DRAIN: Final = 5.0
#: How often the certificate is looked at, in seconds.
_RENEWAL: Final = 3600.0
#: How often files that nobody needs are removed, in seconds, and how many at once.
_ROUND: Final = 3600.0
_ARMFUL: Final = 100
#: Files that a server may have open at once, where the system lets it: each download has one.
_OPEN_FILES: Final = 65_536
_DEMO: Final = (("user1", "pass1"), ("user2", "pass2"))


class Store(Protocol):
    """A store adapter: five ports over one database."""

    accounts: Accounts
    rooms: Rooms
    log: Log
    files: Files
    keys: Keys

    async def close(self) -> None:
        """Finish what was begun, then close."""


@dataclass(frozen=True, slots=True)
class Door:
    """An open house: give `accept` a link, and it is served until it ends."""

    accept: Callable[[Link], None]
    router: Router


def services(store: Store, blobs: Blobs, share: Share, clock: Clock, policy: Policy) -> Sequence[object]:
    """All services over one store."""
    roster = LocalRoster()
    return (
        Sessions(),
        AccountService(store.accounts, roster, clock, policy),
        RoomService(store.rooms, roster, clock, policy),
        Resumptions(store.accounts, store.log, roster, clock, policy),
        Devices(store.accounts, roster, clock, policy),
        Messages(store.log, roster, clock, policy),
        ReceiptService(store.log, clock),
        HistoryService(store.log),
        PresenceService(store.rooms, roster, clock, policy),
        FileService(store.files, blobs, share, clock, policy),
        KeyService(store.keys, clock, policy),
    )


@asynccontextmanager
async def open_house(
    store: Store,
    clock: Clock,
    policy: Policy,
    *,
    blobs: Blobs | None = None,
    share: Share | None = None,
    limits: Limits | None = None,
    versions: tuple[int, ...] = VERSIONS,
    node: str = "",
    backlog: int = BUDGET,
    rates: Rates | None = None,
    flights: Shelf | None = None,
) -> AsyncIterator[Door]:
    """Serve links until the block is left; then tell every session, let requests finish, and close.

    Where nothing else is said, uploads are kept in memory, and nothing is shared.
    """
    router = Router(asyncio.get_running_loop().call_soon)
    hello = Hello(versions=versions, mechanisms=(MECHANISM,), node=node)
    numbers = itertools.count(1)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(services(store, blobs or MemoryBlobs(), share or MemoryShare(), clock, policy))
        limits = limits or Limits()
        house = House(
            dispatch=dispatch, router=router, tasks=tasks, hello=hello, limits=limits, backlog=backlog, rates=rates
        )
        house.flights = flights

        def accept(link: Link) -> None:
            if not house.open:
                link.close(Code.DRAINING)
                return
            if rates is not None and not rates.connect(network(link.peer), asyncio.get_running_loop().time()):
                link.close(Code.RATE_LIMITED)
                return
            number = SessionId(next(numbers))
            log.info("connected", extra={"session": number, "peer": link.peer})
            session = Session(number, link, house, wall=clock.now() / 1000, seed=secrets.randbits(32))
            router.add(session)

        try:
            yield Door(accept, router)
        finally:
            await drain(router)
            house.open = False


async def drain(router: Router) -> None:
    """Tell every session that the server stops, and wait until they are gone, within reason."""
    sessions = list(router)
    for session in sessions:
        session.drain("the server is about to stop")
    if sessions:
        await asyncio.wait([session.over for session in sessions], timeout=_DRAIN)
    for session in sessions:
        if not session.over.done():
            # Whatever it still sends or takes in would go on for as long as its client likes.
            session.close(Code.DRAINING)


def run(config: ServerConfig) -> int:
    """Serve until SIGINT or SIGTERM; the exit code. Raises UsageError for what the operator can mend."""
    keeper = logs.set_up(config.log_format, config.log_level)
    _allow_open_files()
    try:
        asyncio.run(_serve(config))
    finally:
        keeper.close()
    return 0


async def _serve(config: ServerConfig) -> None:
    stop = asyncio.Event()
    _heed_signals(stop)
    clock = SystemClock()
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as opened:
        store = open_store(config.data / "quicchat.db")
        opened.push_async_callback(store.close)
        await _found(store, clock, config)
        await _check_names(store, config)
        blobs = LocalBlobs(config.data / "blobs")
        opened.push_async_callback(blobs.close)
        share = await opened.enter_async_context(open_share(config.shared, config.data / "shared.db", clock))
        collecting = asyncio.get_running_loop().create_task(collect(store.files, blobs, clock))
        opened.push_async_callback(_stop, collecting)
        limits = Limits(ping=config.ping_interval, silence=config.idle_timeout, login=config.login_timeout)
        node = socket.gethostname()[:64]
        rates = Rates(config.rate, config.burst) if config.rate else None
        house = open_house(
            *(store, clock, rules(config)),
            blobs=blobs,
            share=share,
            limits=limits,
            versions=_spoken(config),
            node=node,
            backlog=config.backlog,
            rates=rates,
            flights=Shelf(config.data / "flights", FEW) if config.flights else None,
        )
        await _welcome(config, clock, await opened.enter_async_context(house), stop)


def _spoken(config: ServerConfig) -> tuple[int, ...]:
    """The versions that are spoken here. Raises UsageError."""
    if strange := {*config.versions} - {*VERSIONS}:
        raise UsageError(f"--versions {min(strange)}: only {' and '.join(map(str, VERSIONS))} are known here")
    return tuple(sorted({*config.versions})) or VERSIONS


async def _welcome(config: ServerConfig, clock: Clock, door: Door, stop: asyncio.Event) -> None:
    """Let people in until it is time to stop; those who are inside then finish what they began."""
    endpoint, renewal = await _listen(config, clock, door)
    try:
        await stop.wait()
        oddities = ", ".join(f"{name} {count}" for name, count in sorted(endpoint.anomalies.items()))
        log.info("stopping", extra={"anomalies": oddities})
        endpoint.stop_accepting()
        await drain(door.router)
    finally:
        renewal.cancel()
        await endpoint.close()


async def collect(files: Files, blobs: Blobs, clock: Clock) -> None:
    """For ever: remove the bytes of files that nobody needs any more, now and every hour."""
    while True:
        removed = 0
        try:
            while unused := await files.unused(before=clock.now() - UNNAMED, limit=_ARMFUL):
                for upload in unused:
                    await blobs.remove(upload)
                await files.removed([upload.place for upload in unused])
                removed += len(unused)
        except Refused as refused:
            log.warning("cannot remove unused files", extra={"error": str(refused)})
        except Exception:
            # A bug of ours must not fill the disk: the next round may fare better.
            log.exception("cannot remove unused files")
        if removed:
            log.info("unused files removed", extra={"files": removed})
        await clock.sleep(_ROUND)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _heed_signals(stop: asyncio.Event) -> None:
    """The first signal stops in good order, the second at once."""

    def heed() -> None:
        if stop.is_set():
            signal.raise_signal(signal.SIGKILL)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed)


async def _found(store: Store, clock: Clock, config: ServerConfig) -> None:
    """A new store gets its built-in user, and on a loopback address the accounts of the demo."""
    if not await store.accounts.is_empty():
        return
    nobody = Credentials(
        salt=secrets.token_bytes(16),
        iterations=config.iterations,
        stored_key=secrets.token_bytes(32),
        server_key=secrets.token_bytes(32),
    )
    await store.accounts.sign_up(PARROT, nobody, at=clock.now())
    if not config.wants_demo:
        return
    for user, password in _DEMO:
        salt = secrets.token_bytes(16)
        salted = await asyncio.to_thread(scram.salted, password, salt, config.iterations)
        keys = scram.credentials_from(salted, salt, config.iterations)
        await store.accounts.sign_up(User(user), keys, at=clock.now())
    log.warning(
        "DEMO ACCOUNTS exist: anybody who reaches this server can log in with them",
        extra={"accounts": ", ".join(f"{user}/{password}" for user, password in _DEMO), "avoid": "--no-demo"},
    )


async def _check_names(store: Store, config: ServerConfig) -> None:
    """A name that may do more than others is to be somebody's before anybody can take it."""
    for name in sorted({*config.operators, *config.announcers}):
        if await store.accounts.credentials(User(name)) is None:
            log.warning("nobody has this name yet, and whoever signs up with it rules", extra={"user": name})


def rules(config: ServerConfig) -> Policy:
    """What the settings ask of the services."""
    return Policy(
        signup=config.signup_policy,
        invites=frozenset(config.invites),
        sessions=config.sessions,
        least_iterations=config.iterations,
        show_addresses=config.show_addresses,
        announcers=frozenset(map(User, config.announcers)) or None,
        operators=frozenset(map(User, config.operators)),
        exclusive_groups=config.exclusive_groups,
        echo_only=config.mode == "echo",
        welcome=config.welcome or None,
        quota=replace(Policy().quota, size=config.quota, files=config.quota_files),
    )


async def _listen(config: ServerConfig, clock: Clock, door: Door) -> tuple[Endpoint, asyncio.Task[None]]:
    """Open the port, say where and with which key, and keep the certificate fresh."""
    certificate = _certificate(config, clock)
    hosts = config.listen if config.listen != LOOPBACK or _has_ipv6_loopback() else LOOPBACK[:1]
    endpoint = await listen(
        [(host, config.port) for host in hosts],
        Identity(certificate.chain, certificate.key),
        door.accept,
        options=Options(idle_timeout=config.idle_timeout, qlog=config.qlog),
    )
    if config.qlog is not None:
        log.warning("qlog is written, and tells who talks when", extra={"directory": str(config.qlog)})
    for host, port in endpoint.addresses:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        log.info("listening", extra={"address": where, "port": port, "fingerprint": certificate.authority})
    renewal = asyncio.get_running_loop().create_task(_renew(config, clock, endpoint, certificate))
    return endpoint, renewal


def _certificate(config: ServerConfig, clock: Clock) -> certificates.Certificate:
    now = datetime.fromtimestamp(clock.now() / 1000, tz=UTC)
    if (config.cert is None) != (config.key is None):
        raise UsageError("--cert and --key go together")
    if config.cert is not None and config.key is not None:
        return certificates.load(config.cert, config.key, now)
    return certificates.load_or_make(config.data, (*config.listen, *config.names), now)


async def _renew(config: ServerConfig, clock: Clock, endpoint: Endpoint, certificate: certificates.Certificate) -> None:
    """Swap the certificate before it ends; sessions that are there live on with the one they have seen."""
    while True:
        await clock.sleep(_RENEWAL)
        if not certificate.due(datetime.fromtimestamp(clock.now() / 1000, tz=UTC)):
            continue
        try:
            certificate = _certificate(config, clock)
            endpoint.set_identity(Identity(certificate.chain, certificate.key))
        except UsageError as error:
            log.error("certificate not renewed", extra={"error": str(error)})
        else:
            log.info("certificate renewed", extra={"until": certificate.not_after.isoformat()})


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
