"""qlog on request: what each connection did on the level of QUIC, for tools such as qvis. (spec 13-transport)

aioquic's own file logger keeps all of a connection in memory and breaks it where the disk is full; this one does not.
What is in streams is not told, but who talks when, and how much.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aioquic.quic.logger import QLOG_VERSION, QuicLogger, QuicLoggerTrace

logger = logging.getLogger(__package__)

#: The last events of one connection that are kept, and the files.
EVENTS: Final = 10_000
FILES: Final = 100


class _Trace(QuicLoggerTrace):
    """Of a long connection the end is kept, with how much is missing."""

    def __init__(self, *, is_client: bool, odcid: bytes) -> None:
        super().__init__(is_client=is_client, odcid=odcid)
        self._events = deque(maxlen=EVENTS)
        self.count = 0

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        self.count += 1
        super().log_event(category=category, event=event, data=data)

    def to_dict(self) -> dict[str, Any]:
        trace = super().to_dict()
        trace["common_fields"] |= {"dropped_events": self.count - len(trace["events"])}
        return trace


class Qlog(QuicLogger):
    """Writes a file for each connection into a directory when it ends; the oldest files give way."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._count = 0

    def start_trace(self, is_client: bool, odcid: bytes) -> QuicLoggerTrace:
        # The connection keeps it, and nobody else has to.
        return _Trace(is_client=is_client, odcid=odcid)

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        told = trace.to_dict()
        self._count += 1
        at = datetime.fromtimestamp(time.time(), UTC)
        name = f"{at:%Y%m%dT%H%M%S}-{self._count:06}-{told['common_fields']['ODCID']}.qlog"
        try:
            self._write(name, {"qlog_format": "JSON", "qlog_version": QLOG_VERSION, "traces": [told]})
        except OSError as error:
            # Nothing else is to end because of it.
            logger.warning("qlog cannot be written: %s", error.strerror)

    def _write(self, name: str, told: Mapping[str, Any]) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(self._path.glob("*.qlog"))[: -(FILES - 1)]:
            old.unlink(missing_ok=True)
        handle = os.open(self._path / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(told, file, separators=(",", ":"))
