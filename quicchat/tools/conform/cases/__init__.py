"""The cases: what the book gives by itself, and what hands have written, chapter by chapter. (spec README)"""

from __future__ import annotations

from quicchat.tools.conform.case import WRITTEN, Case
from quicchat.tools.conform.cases import (
    accounts,
    changes,
    classic,
    datagrams,
    devices,
    early,
    envelopes,
    extensions,
    fields,
    files,
    framing,
    history,
    keys,
    limits,
    malformed,
    messages,
    negotiation,
    operation,
    overview,
    pieces,
    presence,
    ranks,
    raw,
    receipts,
    rooms,
    roomstreams,
    sealed,
    session,
    states,
    streams,
    tickets,
    transfers,
    transport,
)

__all__ = [
    "accounts",
    "changes",
    "classic",
    "datagrams",
    "devices",
    "early",
    "envelopes",
    "every",
    "extensions",
    "fields",
    "files",
    "framing",
    "history",
    "keys",
    "limits",
    "malformed",
    "messages",
    "negotiation",
    "operation",
    "overview",
    "pieces",
    "presence",
    "ranks",
    "raw",
    "receipts",
    "rooms",
    "roomstreams",
    "sealed",
    "session",
    "states",
    "streams",
    "tickets",
    "transfers",
    "transport",
]


def every() -> list[Case]:
    """All cases, in the order of the specification."""
    found = [*WRITTEN, *states.cases(), *fields.cases()]
    return sorted(found, key=lambda case: [int(each) for each in case.sentence.replace("-", ".").split(".")])
