"""What a seed lets happen: who says what where, and what goes wrong meanwhile. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from quicchat.client.e2ee.provider import is_installed
from quicchat.server.feed import BUDGET
from quicchat.tools.sim.chance import Draws
from quicchat.tools.sim.device import ATTIC, MAKER, VAULT
from quicchat.values import dataclass

USERS: Final = ("ann", "bob", "cat")
DEN: Final = "den"
#: One seed in so many is played by devices that have keys, for it takes more than twice as long.
_KEYED: Final = 12
#: Kinds of faults, as often as they are drawn.
_FAULTS: Final = ("crash", "crash", "kill", "kill", "part", "part", "burst", "slow", "slow", "rebind", "freeze")


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a device does: `say` so many things of so many bytes in a room, `enter`, `leave` or `seal` it."""

    at: float
    device: str
    what: str
    room: str
    count: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with a host (or the server's disk) for a while, `degree` telling how badly."""

    at: float
    until: float
    what: str
    host: str
    degree: float = 0.0

    def __str__(self) -> str:
        return f"{self.what} {self.host} from {self.at:.2f} to {self.until:.2f}, {self.degree:.2f}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole run; after `end` nothing new happens."""

    devices: tuple[str, ...]
    delays: tuple[float, ...]
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]
    end: float
    #: Whether the devices leave outbox and reconnecting to the client library.
    relies: bool
    #: Bytes that a client may leave unacknowledged: perhaps so few that a slow one is soon sent no more. Then he
    #: misses, for good, who comes and goes meanwhile.
    backlog: int
    #: Whether the devices have keys.
    keyed: bool = False


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    if Draws(seed, "keys").one_in(_KEYED) and is_installed():
        return _keyed(Draws(seed, "keyed"))
    draws = Draws(seed, "schedule")
    devices = USERS + (("ann2",) if draws.one_in(3) else ())
    span = draws.uniform(6.0, 14.0)
    faults = [_fault(draws, devices, span) for _ in range(draws.choice((1, 1, 2, 2, 3, 4)))]
    acts = [act for device in devices for act in _acts(draws, device, span)]
    return Schedule(
        devices=devices,
        delays=tuple(draws.choice((0.002, 0.010, 0.030, 0.060)) for _ in devices),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        relies=draws.one_in(2),
        backlog=draws.choice((2048, BUDGET)),
        end=max(span, *(fault.until for fault in faults)),
    )


def _keyed(draws: Draws) -> Schedule:
    """People with keys, one with two devices perhaps, who are killed more often than others."""
    devices = USERS + (("ann2",) if draws.one_in(2) else ())
    attic, span = draws.one_in(2), draws.uniform(6.0, 12.0)
    faults = [_fault(draws, devices, span) for _ in range(draws.randint(0, 3))]
    faults += [_snap(draws, devices, span) for _ in range(draws.randint(0, 2))]
    acts = [act for device in devices for act in _sealed_acts(draws, device, span, attic=attic)]
    if attic:
        acts += [Act(0.05, MAKER, "enter", ATTIC), Act(draws.uniform(2.0, span), MAKER, "seal", ATTIC)]
    return Schedule(
        devices=devices,
        delays=tuple(draws.choice((0.002, 0.010, 0.030, 0.060)) for _ in devices),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        relies=True,
        backlog=BUDGET,
        end=max(span, *(fault.until for fault in faults), 0.0),
        keyed=True,
    )


def _sealed_acts(draws: Draws, device: str, span: float, *, attic: bool) -> list[Act]:
    """A device comes and goes, and talks where it is encrypted mostly."""
    acts = [Act(draws.uniform(0.1, 3.0), device, "enter", VAULT)] if not draws.one_in(6) else []
    if attic and device != MAKER:
        acts.append(Act(draws.uniform(0.1, 3.0), device, "enter", ATTIC))
    if draws.one_in(3):
        leave = draws.uniform(3.0, span)
        acts.append(Act(leave, device, "leave", VAULT))
        if draws.one_in(2):
            acts.append(Act(draws.uniform(leave, span), device, "enter", VAULT))
    for _ in range(draws.randint(3, 5)):
        other = draws.choice([user for user in USERS if not device.startswith(user)])
        room = draws.choice((VAULT, VAULT, VAULT, ATTIC if attic else "general", f"@{other}"))
        count, size = draws.choice((1, 1, 2, 3, 5)), draws.choice((0, 0, 0, 200, 500))
        acts.append(Act(draws.uniform(0.5, span), device, "say", room, count, size))
    return acts


def _snap(draws: Draws, devices: tuple[str, ...], span: float) -> Fault:
    """A device is killed while it writes something."""
    at = draws.uniform(0.0, span)
    return Fault(at, at + draws.uniform(0.5, 3.0), "snap", draws.choice(devices), draws.randint(1, 12))


def _acts(draws: Draws, device: str, span: float) -> list[Act]:
    """A device enters the den, mostly early, perhaps leaves it and comes back, and talks in bursts all the while."""
    acts = [Act(draws.uniform(0.1, 2.0), device, "enter", DEN)] if not draws.one_in(6) else []
    if draws.one_in(3):
        leave = draws.uniform(2.0, span)
        acts.append(Act(leave, device, "leave", DEN))
        if draws.one_in(2):
            acts.append(Act(draws.uniform(leave, span), device, "enter", DEN))
    for _ in range(draws.randint(2, 4)):
        other = draws.choice([user for user in USERS if not device.startswith(user)])
        room = draws.choice(("general", "general", DEN, DEN, f"@{other}"))
        count, size = draws.choice((1, 1, 2, 3, 5)), draws.choice((0, 0, 0, 200, 500))
        acts.append(Act(draws.uniform(0.2, span), device, "say", room, count, size))
    return acts


def _fault(draws: Draws, devices: tuple[str, ...], span: float) -> Fault:
    what = draws.choice(_FAULTS)
    at = draws.uniform(0.5, span)
    device = draws.choice(devices)
    match what:
        case "crash":
            return Fault(at, at + draws.uniform(0.05, 1.5), what, "server")
        case "slow":
            return Fault(at, at + draws.uniform(1.0, 4.0), what, "server", draws.uniform(0.2, 2.5))
        case "kill":
            return Fault(at, at + draws.uniform(0.05, 3.0), what, device)
        case "part":
            return Fault(at, at + draws.uniform(0.3, 5.0), what, device, draws.choice((0, 1, 2)))
        case "burst":
            return Fault(at, at + draws.uniform(0.5, 3.0), what, device, draws.uniform(0.2, 0.7))
        case "freeze":
            return Fault(at, at + draws.uniform(0.2, 3.0), what, device)
        case _:
            return Fault(at, at, what, device)
