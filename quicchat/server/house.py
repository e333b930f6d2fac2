"""The house: what all sessions of a server share. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import field

from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello
from quicchat.server.handler import Dispatch
from quicchat.server.rates import Rates
from quicchat.server.router import Router
from quicchat.transport.recorder import Recorder
from quicchat.transport.shelf import Shelf
from quicchat.values import dataclass


@dataclass(slots=True, kw_only=True)
class House:
    """What all sessions of a server share."""

    #: False once the server has stopped: nothing is handled any more, whatever still happens to a link.
    open: bool = True

    dispatch: Dispatch
    router: Router
    tasks: asyncio.TaskGroup
    hello: Hello
    limits: Limits
    #: Transfers at work, by user.
    transfers: Counter[str] = field(default_factory=Counter)
    #: Unacknowledged bytes beyond which a client is no longer pushed to.
    backlog: int
    #: None: everybody may do everything as often as he likes.
    rates: Rates | None = None
    #: Where connections that ended with a fault are kept; None: nowhere.
    flights: Shelf | None = None

    def recorder(self) -> Recorder | None:
        """What keeps the last PDUs of one more connection."""
        return None if self.flights is None else self.flights.recorder()
