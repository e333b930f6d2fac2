"""Reaching a server: whom to believe, then one dial, and one clear reason where there is none. (spec 11-security)"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial

from quicchat.client.tickets import Tickets
from quicchat.client.trust import (
    Authority,
    KnownHosts,
    anchor,
    decide,
    is_certificate_alert,
    read_authority,
    settle,
)
from quicchat.client.trusting import REFUSED, place
from quicchat.client.trusting import Trusting as Trusting
from quicchat.errors import LinkLost, UsageError
from quicchat.transport.dial import dial, probe
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.values import dataclass
from quicchat.wire.fingerprint import fingerprint, same


async def reach(
    host: str,
    port: int,
    trusting: Trusting,
    *,
    options: Options | None = None,
    tickets: Tickets | None = None,
    early: bool = False,
) -> Link:
    """A link to a server that may be believed; established, unless `early` and one of the `tickets` is good (0-RTT).

    Raises UsageError (exit code 4) where it may not, LinkLost where there is none. An early link reports both as its
    `Closed`, before Established: to know more, call again, for the ticket is used up.
    """
    caller = _Caller(host, port, options, tickets, early)
    if trusting.ca is not None:
        return await caller.insist(read_authority(trusting.ca))
    hosts = KnownHosts(trusting.known_hosts) if trusting.known_hosts is not None else None
    known = hosts.find(host, port) if hosts is not None else None
    wanted = trusting.fingerprint
    if known is not None and (wanted is None or same(wanted, known.fingerprint)):
        try:
            return await caller.call(known.pem)
        except LinkLost as lost:
            if lost.application or not is_certificate_alert(lost.code):
                raise
            if tickets is not None:
                tickets.forget(host, port)

    def remember(authority: Authority) -> None:
        if hosts is not None:
            hosts.remember(host, port, authority)

    chain = await probe(host, port, options=options)
    verdict = decide(known, chain, host, datetime.fromtimestamp(time.time(), UTC))  # noqa: TID251 - certificates end
    step = settle(verdict, host, port, wanted=wanted, accept_new=trusting.accept_new)
    return await caller.insist(await anchor(step, remember, trusting.notice, trusting.ask))


@dataclass(frozen=True, slots=True)
class _Caller:
    """Calls one server, with the ticket that was given under the anchor of the call."""

    host: str
    port: int
    options: Options | None
    tickets: Tickets | None
    early: bool

    async def call(self, pem: bytes) -> Link:
        """A link to a server under this anchor. Raises LinkLost."""
        trust = Trust(pem)
        if self.tickets is None:
            return await dial(self.host, self.port, trust=trust, options=self.options)
        pin = fingerprint(pem)
        return await dial(
            self.host,
            self.port,
            trust=trust,
            options=self.options,
            ticket=self.tickets.take(self.host, self.port, pin),
            on_ticket=partial(self.tickets.put, self.host, self.port, pin),
            early=self.early,
        )

    async def insist(self, pem: bytes) -> Link:
        """With an anchor that is final: who does not fit it is refused. Raises UsageError."""
        try:
            return await self.call(pem)
        except LinkLost as lost:
            if not lost.application and is_certificate_alert(lost.code):
                where = place(self.host, self.port)
                reason = f": {lost.reason}" if lost.reason else ""
                raise UsageError(f"the certificate of {where} is not to be trusted{reason}", REFUSED) from lost
            raise
