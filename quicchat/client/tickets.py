"""Where a client keeps what lets it come back without waiting: a file, each entry good once. (spec 11-security)"""

from __future__ import annotations

import base64
import binascii
import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from quicchat.client.trust import locked
from quicchat.client.trusting import place
from quicchat.config import BadSetting
from quicchat.config.files import read_private, replace

log = logging.getLogger("quicchat.client")

#: Tickets kept for one server, for as many clients that run side by side; and in all.
_PER_SERVER: Final = 4
_IN_ALL: Final = 256


class Tickets:
    """A file of tickets, bound to the server and to the pin of the authority under which they were given.

    They only save time: where the file cannot be used there are none, and nothing else changes. A ticket that
    cannot be taken out of the file is not used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, host: str, port: int, fingerprint: str) -> bytes | None:
        """The newest ticket of a server, which nobody gets a second time; those under another pin are deleted."""
        where = place(host, port)
        try:
            with self._locked():
                lines = self._lines()
                ours = [line for line in lines if line.split(" ", 1)[0] == where]
                good = [line for line in ours if line.split(" ")[1:2] == [fingerprint]]
                if ours:
                    self._write([line for line in lines if line not in ours or line in good[:-1]])
        except (OSError, BadSetting) as error:
            log.warning("tickets cannot be used: %s", error)
            return None
        return _blob(good[-1]) if good else None

    def put(self, host: str, port: int, fingerprint: str, blob: bytes) -> None:
        """Keep a ticket for the next time."""
        where = place(host, port)
        entry = f"{where} {fingerprint} {base64.b64encode(blob).decode()}"
        try:
            with self._locked():
                lines = self._lines()
                ours = [line for line in lines if line.split(" ", 1)[0] == where]
                others = [line for line in lines if line not in ours]
                self._write([*others, *ours[1 - _PER_SERVER :], entry][-_IN_ALL:])
        except (OSError, BadSetting) as error:
            log.warning("a ticket cannot be kept: %s", error)

    def forget(self, host: str, port: int) -> None:
        """Delete every ticket of a server."""
        self.take(host, port, "")

    def _locked(self) -> AbstractContextManager[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return locked(self._path.with_name(self._path.name + ".lock"))

    def _lines(self) -> list[str]:
        try:
            return read_private(self._path).decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _write(self, lines: list[str]) -> None:
        # A ticket that comes back after a power failure is refused by the server: no need to wait for the disk.
        replace(self._path, "".join(f"{line}\n" for line in lines).encode(), durable=False)


def _blob(line: str) -> bytes | None:
    try:
        return base64.b64decode(line.split(" ")[2], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return None
