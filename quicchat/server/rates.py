"""Rates: how often somebody may do what; by session, by account and, before login, by network. (spec 08-limits)"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from quicchat.wire.chapters.accounts import AuthStart, Password, Resume, Revoke, Sessions, Signup
from quicchat.wire.chapters.files import CancelOffer, FileHeader, GetFile, ListFiles, Offer
from quicchat.wire.chapters.keys import BackUp, GetKeys, PublishKeys, Restore
from quicchat.wire.chapters.messages import (
    MANY,
    History,
    ListReceipts,
    ListTargets,
    Post,
    PostMany,
    Receipt,
    Search,
)
from quicchat.wire.chapters.presence import PresenceSet, Tick, Typing
from quicchat.wire.chapters.rooms import Create, Invite, Join, Kick, Leave, ListMembers, ListRooms, SetRank, SetRoom
from quicchat.wire.chapters.session import Ping
from quicchat.wire.names import User
from quicchat.wire.registry import Pdu

#: Accounts and networks whose buckets are remembered; who is forgotten begins with full ones.
REMEMBERED: Final = 16_384
#: An account may do so many times what a session may: it has several devices.
_DEVICES: Final = 2


class Cost(Enum):
    """What is counted together."""

    POST = auto()
    DIRECTORY = auto()
    RECEIPT = auto()
    QUERY = auto()
    FILE = auto()
    BACKUP = auto()
    DIGEST = auto()
    PRESENCE = auto()
    EPHEMERAL = auto()
    CONNECT = auto()
    LOGIN = auto()
    SIGN_UP = auto()


COSTS: Final[dict[type[Pdu], Cost]] = {
    **dict.fromkeys((Post, PostMany), Cost.POST),
    **dict.fromkeys((Create, Join, Leave, SetRoom, Invite, Kick, SetRank), Cost.DIRECTORY),
    **dict.fromkeys((Password, Sessions, Revoke), Cost.DIRECTORY),
    **dict.fromkeys((History, Search, ListTargets, ListReceipts), Cost.QUERY),
    **dict.fromkeys((ListRooms, ListMembers, ListFiles), Cost.QUERY),
    **dict.fromkeys((GetKeys, Restore), Cost.QUERY),
    PublishKeys: Cost.DIRECTORY,
    BackUp: Cost.BACKUP,
    **dict.fromkeys((Offer, CancelOffer, GetFile, FileHeader), Cost.FILE),
    PresenceSet: Cost.PRESENCE,
    Receipt: Cost.RECEIPT,
    Ping: Cost.DIGEST,
    **dict.fromkeys((Typing, Tick), Cost.EPHEMERAL),
    **dict.fromkeys((AuthStart, Resume), Cost.LOGIN),
    Signup: Cost.SIGN_UP,
}
#: What waits for its turn instead of being refused.
PATIENT: Final = frozenset({Cost.POST, Cost.RECEIPT})
#: Each second, and at once after a rest. Pages are many, so that a client long away soon has all it missed.
_USUAL: Final = {
    Cost.DIRECTORY: (2.0, 40.0),
    Cost.RECEIPT: (200.0, 500.0),
    Cost.QUERY: (100.0, 500.0),
    Cost.FILE: (50.0, 500.0),
    Cost.BACKUP: (5.0, 200.0),
    Cost.DIGEST: (2.0, 20.0),
    Cost.PRESENCE: (2.0, 20.0),
    Cost.EPHEMERAL: (5.0, 20.0),
    Cost.CONNECT: (20.0, 200.0),
    Cost.LOGIN: (10.0, 100.0),
    Cost.SIGN_UP: (1.0, 20.0),
}

Table = dict[Cost, tuple[float, float]]
K = TypeVar("K", bound=Hashable)


class Bucket:
    """Fills by `rate` tokens a second up to `burst`; whoever takes more than there is has to wait the longer."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = 0.0

    def wait(self, cost: float, now: float) -> float:
        """Seconds until so many tokens are there; of more than fit, until it is full."""
        self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        # What is missing by rounding alone would be waited for in steps of nothing.
        missing = min(cost, self.burst) - self._tokens
        return missing / self.rate if missing > 1e-6 else 0.0

    def charge(self, cost: float) -> None:
        """Take tokens, whether they are there or not."""
        self._tokens -= cost


class Meter:
    """The buckets of one session, account or network, made when they are needed."""

    __slots__ = ("_buckets", "_table", "_times")

    def __init__(self, table: Table, times: float = 1.0) -> None:
        self._table = table
        self._times = times
        self._buckets: dict[Cost, Bucket] = {}

    def bucket(self, cost: Cost) -> Bucket:
        """The bucket of what is counted together."""
        if cost not in self._buckets:
            rate, burst = self._table[cost]
            self._buckets[cost] = Bucket(rate * self._times, burst * self._times)
        return self._buckets[cost]


class _Recent(Generic[K]):
    """Meters by key; who was not asked for longest is forgotten first."""

    def __init__(self, table: Table, times: float = 1.0) -> None:
        self._table = table
        self._times = times
        self._meters: OrderedDict[K, Meter] = OrderedDict()

    def of(self, key: K) -> Meter:
        meter = self._meters.pop(key, None) or Meter(self._table, self._times)
        self._meters[key] = meter
        while len(self._meters) > REMEMBERED:
            self._meters.popitem(last=False)
        return meter


class Rates:
    """All the buckets of a server: `rate` messages a second after a burst of `burst`, the rest as usual."""

    def __init__(self, rate: float, burst: float) -> None:
        self._table: Table = {**_USUAL, Cost.POST: (rate, burst)}
        self._accounts: _Recent[User] = _Recent(self._table, _DEVICES)
        self._networks: _Recent[str] = _Recent(self._table)

    def session(self) -> Meter:
        """Buckets for a new session."""
        return Meter(self._table)

    def account(self, user: User) -> Meter:
        """The buckets that all sessions of a user share, from wherever they come."""
        return self._accounts.of(user)

    def network(self, network: str) -> Meter:
        """The buckets of those who have not said yet who they are."""
        return self._networks.of(network)

    def connect(self, network: str, now: float) -> bool:
        """Whether one more connection from there is welcome."""
        bucket = self.network(network).bucket(Cost.CONNECT)
        if bucket.wait(1, now) > 0:
            return False
        bucket.charge(1)
        return True


class Allowance:
    """What one session may do now; without `rates`, everything."""

    __slots__ = ("_account", "_network", "_rates", "_session")

    def __init__(self, rates: Rates | None, network: str) -> None:
        self._rates = rates
        self._network = network
        self._session = rates.session() if rates is not None else None
        self._account: Meter | None = None

    def admitted(self, user: User) -> None:
        """The session is this user's: from now on it is his account that counts."""
        if self._rates is not None:
            self._account = self._rates.account(user)

    def wait(self, pdu: Pdu, now: float) -> float:
        """Seconds until a request is due; 0.0 for one that may be served now."""
        return max((each.wait(_price(pdu), now) for each in self._buckets(pdu)), default=0.0)

    def charge(self, pdu: Pdu) -> None:
        """A request is served."""
        for bucket in self._buckets(pdu):
            bucket.charge(_price(pdu))

    def takes(self, pdu: Pdu, now: float) -> bool:
        """Whether a request may be served now; then it is charged."""
        if self.wait(pdu, now) > 0:
            return False
        self.charge(pdu)
        return True

    def _buckets(self, pdu: Pdu) -> list[Bucket]:
        cost = COSTS.get(type(pdu))
        if cost is None or self._rates is None or self._session is None:
            return []
        if cost in (Cost.LOGIN, Cost.SIGN_UP):
            return [self._rates.network(self._network).bucket(cost)]
        meters = (self._session,) if self._account is None else (self._session, self._account)
        return [meter.bucket(cost) for meter in meters]


def _price(pdu: Pdu) -> int:
    """Tokens that a request costs: one for each message in it."""
    return min(len(pdu.posts), MANY) if isinstance(pdu, PostMany) else 1
