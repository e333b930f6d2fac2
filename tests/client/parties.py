"""Servers to trust or not, for tests: each has a CA of its own, made as a server makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from quicchat.client.trust import Authority
from quicchat.errors import UsageError
from quicchat.server.adapters.certificates import Certificate, load_or_make

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
HOST = "chat.example"


@dataclass(frozen=True)
class Party:
    """Somebody with a CA of his own: a server, or who poses as one."""

    certificate: Certificate

    @property
    def chain(self) -> list[bytes]:
        certificates = x509.load_pem_x509_certificates(self.certificate.chain)
        return [one.public_bytes(serialization.Encoding.DER) for one in certificates]

    @property
    def authority(self) -> Authority:
        return Authority(self.chain[-1])


@dataclass(frozen=True)
class Parties:
    """Makes servers below a directory; each name has its own CA."""

    directory: Path

    def __call__(self, name: str = "server", names: tuple[str, ...] = (HOST,), now: datetime = NOW) -> Party:
        return Party(load_or_make(self.directory / name, names, now))


def refused(call: Callable[[], object]) -> str:
    """What is said when something is refused: one line, exit code 4."""
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)
