"""How a client is told whom to believe; what finds that out is imported with the first dial. (spec 11-security)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from quicchat.values import dataclass

#: The exit code of everything that is refused because of a certificate.
REFUSED: Final = 4


def place(host: str, port: int) -> str:
    """`host:port`, as people and files write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}"


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
