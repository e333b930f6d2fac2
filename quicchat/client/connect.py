"""Reaching a server: whom to believe, then one dial, and one clear reason where there is none. (spec 11-security)"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quicchat.client.trust import (
    REFUSED,
    Authority,
    KnownHosts,
    anchor,
    decide,
    is_certificate_alert,
    place,
    read_authority,
    settle,
)
from quicchat.errors import LinkLost, UsageError
from quicchat.transport.dial import dial, probe
from quicchat.transport.identity import Trust
from quicchat.transport.link import Link
from quicchat.transport.options import Options
from quicchat.wire.fingerprint import same


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusting:
    """How a client decides whom it believes.

    `known_hosts` is the file of servers that are known; None remembers nobody. `ca` (a PEM file) and
    `fingerprint` allow one authority only; `accept_new` takes whatever key is shown, once. `ask` puts the
    question about a server that is new; None where there is no person: then only loopback addresses are trusted.
    """

    known_hosts: Path | None = None
    ca: Path | None = None
    fingerprint: str | None = None
    accept_new: bool = False
    notice: Callable[[str], None] = _silent
    ask: Callable[[str], Awaitable[bool]] | None = None


async def reach(host: str, port: int, trusting: Trusting, *, options: Options | None = None) -> Link:
    """An established link to a server that may be believed.

    Raises UsageError (exit code 4) where it may not, LinkLost where there is none.
    """
    if trusting.ca is not None:
        return await _dial(host, port, read_authority(trusting.ca), options)
    hosts = KnownHosts(trusting.known_hosts) if trusting.known_hosts is not None else None
    known = hosts.find(host, port) if hosts is not None else None
    wanted = trusting.fingerprint
    if known is not None and (wanted is None or same(wanted, known.fingerprint)):
        try:
            return await dial(host, port, trust=Trust(known.pem), options=options)
        except LinkLost as lost:
            if not is_certificate_alert(lost.code):
                raise

    def remember(authority: Authority) -> None:
        if hosts is not None:
            hosts.remember(host, port, authority)

    chain = await probe(host, port, options=options)
    verdict = decide(known, chain, host, datetime.fromtimestamp(time.time(), UTC))  # noqa: TID251 - certificates end
    step = settle(verdict, host, port, wanted=wanted, accept_new=trusting.accept_new)
    return await _dial(host, port, await anchor(step, remember, trusting.notice, trusting.ask), options)


async def _dial(host: str, port: int, pem: bytes, options: Options | None) -> Link:
    """With an anchor that is final: who does not fit it is refused."""
    try:
        return await dial(host, port, trust=Trust(pem), options=options)
    except LinkLost as lost:
        if is_certificate_alert(lost.code):
            reason = f": {lost.reason}" if lost.reason else ""
            raise UsageError(f"the certificate of {place(host, port)} is not to be trusted{reason}", REFUSED) from lost
        raise
