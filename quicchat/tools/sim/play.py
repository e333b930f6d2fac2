"""One run: the schedule of a seed is played, then everything has ten seconds to settle. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from quicchat.client.api import Chat
from quicchat.client.memory import PlainMemory
from quicchat.client.state import State
from quicchat.errors import QuicchatError
from quicchat.protocol import scram
from quicchat.server.feed import BUDGET
from quicchat.tools.sim.chance import Draws, LoopClock, Trace, seeded, surroundings
from quicchat.tools.sim.checks import Violation, broken, differing, logs_of, overheard, unseen
from quicchat.tools.sim.device import PASSWORD, Device, identity
from quicchat.tools.sim.disk import Disk, Job
from quicchat.tools.sim.machine import ADDRESS, IDLE, LIMITS, NAME, PORT, Machine, trust
from quicchat.tools.sim.network import Host, Network, SimLoop
from quicchat.tools.sim.plants import planted
from quicchat.tools.sim.schedule import USERS, Act, Fault, Schedule, draw
from quicchat.transport import virtual
from quicchat.transport.dial import dial
from quicchat.transport.options import Options
from quicchat.values import dataclass
from quicchat.wire.chapters.rooms import ENCRYPTED

if TYPE_CHECKING:
    from quicchat.tools.sim.witness import Witness

#: Virtual seconds within which everything is acknowledged and seen once the faults have ended (P6).
SETTLING: Final = 10.0
_LOOK: Final = 0.25
#: Real seconds after which a run is given up, which is then most likely busy without time passing.
PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed."""

    seed: int
    violations: tuple[Violation, ...]
    digest: str
    trace: tuple[str, ...]


class Stage:
    """Everything there is in a run."""

    def __init__(self, seed: int, schedule: Schedule, trace: Trace) -> None:
        self.trace = trace
        self.schedule = schedule
        self.network = Network(seed, trace)
        self.disk = Disk(Draws(seed, "disk"), trace)
        self.machine = Machine(
            self.network.server, self.disk, LoopClock(Draws(seed, "server")), trace, schedule.backlog
        )
        self.devices: dict[str, Device] = {}
        #: Where there are keys: what was done with them.
        self.witness: Witness | None = None
        draws = Draws(seed, "devices")
        for name, delay in zip(schedule.devices, schedule.delays, strict=True):
            self.devices[name] = Device(
                name=name,
                user=name[:3],
                id=draws.randbytes(16),
                host=self.network.client(name, delay),
                trace=trace,
                draws=Draws(seed, name),
                flash=Draws(seed, f"{name} flash"),
                keyed=schedule.keyed,
                memory=PlainMemory(lasting=schedule.keyed),
                relies=schedule.relies,
                alone=sum(other.startswith(name[:3]) for other in schedule.devices) == 1,
            )
        for user in USERS:
            salt = draws.randbytes(16)
            keys = scram.credentials_from(scram.salted(PASSWORD, salt, 1), salt, 1)
            self.disk.committed.append(Job("accounts.sign_up", (user, keys), {"at": 0}))

    @property
    def people(self) -> Sequence[Device]:
        """All devices."""
        return list(self.devices.values())

    def act(self, act: Act) -> None:
        """A device does something."""
        device = self.devices[act.device]
        if act.what == "say":
            for _ in range(act.count):
                device.say(act.room, f"{act.device}-{len(device.outbox) + 1}{' and so on' * (act.size // 10)}")
        else:
            device.wish(act.room, enter=act.what != "leave", policy=ENCRYPTED if act.what == "seal" else None)

    async def go_wrong(self, fault: Fault) -> None:
        """A fault begins and ends."""
        self.trace.note("fault", f"{fault}")
        host = self.devices[fault.host].host if fault.host in self.devices else self.network.server
        lasting = fault.until - fault.at
        match fault.what:
            case "crash":
                if self.machine.is_up:
                    self.machine.crash()
                    await asyncio.sleep(lasting)
                    await self.machine.start()
            case "slow":
                self.disk.slowness = fault.degree
                await asyncio.sleep(lasting)
                self.disk.slowness = 0.0
            case "kill":
                device = self.devices[fault.host]
                if device.is_running:
                    device.kill()
                    await asyncio.sleep(lasting)
                    _wake(device)
            case "snap":
                device = self.devices[fault.host]
                device.fuse = round(fault.degree)
                await asyncio.sleep(lasting)
                device.fuse = 0
                _wake(device)
            case "rebind":
                host.rebind()
            case _:
                await _trouble(host, fault, lasting)


def _wake(device: Device) -> None:
    """Start a program again, unless somebody else has done it."""
    if not device.is_running:
        device.start()


async def _trouble(host: Host, fault: Fault, lasting: float) -> None:
    """A fault of a path."""
    if fault.what == "freeze":
        host.frozen = True
        await asyncio.sleep(lasting)
        host.thaw()
    elif fault.what == "burst":
        host.up.loss = host.down.loss = fault.degree
        await asyncio.sleep(lasting)
        host.up.loss = host.down.loss = 0.0
    else:
        host.up.parted, host.down.parted = fault.degree != 2, fault.degree != 1
        await asyncio.sleep(lasting)
        host.up.parted = host.down.parted = False


def play(seed: int, *, plant: str | None = None, packets: bool = False) -> Outcome:
    """Play a seed, with a fault planted where one is named."""
    with seeded(seed), planted(plant), _listening() as errors:
        violations: list[Violation] = []
        trace: list[Trace] = []
        try:
            virtual.run(_play(seed, packets, violations, trace), kind=SimLoop, patience=PATIENCE)
        except (QuicchatError, Exception) as error:  # noqa: BLE001 - whatever it was is what the run has found
            violations.append(Violation("error", repr(error)))
        violations += [Violation("error", text) for text in errors]
        return Outcome(seed, tuple(violations), trace[0].digest, tuple(trace[0].lines))


async def _play(seed: int, packets: bool, violations: list[Violation], traces: list[Trace]) -> None:
    trace = Trace(packets=packets)
    traces.append(trace)
    schedule = draw(seed)
    stage = Stage(seed, schedule, trace)
    with _watched(seed, stage):
        await _acted(stage)
        violations += await _settled(stage)
        if schedule.keyed and not violations:
            violations += await _parted(stage)
        violations += broken(stage.people, logs_of(stage.disk.recovered(), stage.people))
        if stage.machine.door is not None:
            violations += overheard(stage.machine.door.router, logs_of(stage.machine.store, stage.people))
        if not violations:
            violations += await _compared(stage, seed)
        if schedule.keyed and not violations:
            from quicchat.tools.sim import epilogue

            violations += await epilogue.again(stage.people[seed % len(stage.people)], stage.machine.store)
        for violation in violations:
            trace.note("BROKEN", str(violation))
        stage.machine.crash()
        await asyncio.gather(stage.machine.buried(), *(device.gone() for device in stage.people))


async def _acted(stage: Stage) -> None:
    """All that is to happen happens."""
    loop = asyncio.get_running_loop()
    await stage.machine.start()
    for device in stage.people:
        device.start()
    async with asyncio.TaskGroup() as faults:
        for act in stage.schedule.acts:
            loop.call_at(act.at, stage.act, act)
        for fault in stage.schedule.faults:
            faults.create_task(_later(stage, fault))
        await asyncio.sleep(stage.schedule.end - loop.time())


@contextmanager
def _watched(seed: int, stage: Stage) -> Iterator[None]:
    """Where there are keys, what is done with them is seen; what that takes is not imported elsewhere."""
    if not stage.schedule.keyed:
        yield
        return
    from quicchat.tools.sim.witness import witnessed

    with witnessed(seed, stage.devices) as stage.witness:
        yield


async def _parted(stage: Stage) -> list[Violation]:
    """Everybody has said his last words, and what came of all that was sealed."""
    from quicchat.tools.sim import epilogue

    assert stage.witness is not None
    epilogue.last_words(stage.people)
    missing = await _settled(stage)
    missing += [Violation("P6", text) for text in epilogue.unready(stage.people)]
    return missing or await epilogue.judged(stage.people, stage.machine.store, stage.witness)


async def _later(stage: Stage, fault: Fault) -> None:
    await asyncio.sleep(fault.at - asyncio.get_running_loop().time())
    await stage.go_wrong(fault)


async def _settled(stage: Stage) -> list[Violation]:
    """Wait until all is done, for as long as P6 allows."""
    stage.trace.note("fault", "nothing goes wrong any more")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLING
    while missing := list(unseen(stage.people, logs_of(stage.machine.store, stage.people), since=stage.machine.since)):
        if loop.time() >= deadline:
            return [Violation("P6", text) for text in missing]
        await asyncio.sleep(_LOOK)
    stage.trace.note("fault", "all is settled")
    return []


async def _compared(stage: Stage, seed: int) -> list[Violation]:
    """Log in afresh as one of the users, and compare."""
    device = stage.devices[USERS[seed % len(USERS)]]
    people = stage.schedule.backlog == BUDGET
    host = stage.network.client("fresh", 0.005)
    options = Options(idle_timeout=IDLE, udp=host.udp)
    link = await dial(ADDRESS, PORT, trust=trust(), server_name=NAME, options=options)
    chat = Chat(link, device=bytes(16), limits=LIMITS, surroundings=surroundings(Draws(seed, "fresh")))
    await chat.open(identity(device.user))
    try:
        for _ in range(round(SETTLING / _LOOK)):
            await asyncio.sleep(_LOOK)
            if device.chat is not None and not list(differing(device.chat.state, chat.state, people=people)):
                return []
        old = State() if device.chat is None else device.chat.state
        return list(differing(old, chat.state, people=people))
    finally:
        await chat.close()


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.texts.append(f"{record.getMessage()} {error!r}")


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what is logged as an error; a mishap that was only logged is one all the same."""
    logger, handler = logging.getLogger("quicchat"), _Errors()
    before = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
