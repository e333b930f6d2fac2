"""What the doctor finds at one step, and how it is told. (spec 12-operation)"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Final

from quicchat.ui.visible import visible
from quicchat.values import dataclass

#: The exit codes of chapter 12.4 that a step may fail with.
NO_SERVER: Final = 3
NOT_TRUSTED: Final = 4
NOT_IN: Final = 5
#: What is looked at, in this order.
STEPS: Final = (
    *("name", "route", "udp", "mtu", "protocol", "certificate", "version", "clock", "rtt"),
    *("datagrams", "tickets", "login", "echo"),
)
_INDENT: Final = " " * 19


class Mark(Enum):
    """How a step ended; a WARNING is no reason why nobody could talk."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at a step; `advice` says what to do, `code` is the exit code where it failed."""

    step: str
    mark: Mark
    text: str
    advice: Sequence[str] = ()
    code: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people."""
        head = f"{self.mark.value:<5} {self.step:<12} {visible(self.text)}"
        return [
            head,
            *(f"{_INDENT}{'-> ' if each is self.advice[0] else '   '}{visible(each)}" for each in self.advice),
        ]

    def record(self) -> str:
        """For programs."""
        told = {
            "event": "step",
            "step": self.step,
            "mark": self.mark.name.lower(),
            "text": self.text,
            "advice": " ".join(self.advice),
            **self.facts,
        }
        return json.dumps(told, separators=(",", ":"))


def ok(step: str, text: str, **facts: Any) -> Finding:
    """Nothing is wrong."""
    return Finding(step, Mark.OK, text, facts=facts)


def warning(step: str, text: str, *advice: str, **facts: Any) -> Finding:
    """It works, but not as it should."""
    return Finding(step, Mark.WARNING, text, advice, facts=facts)


def failed(step: str, code: int, text: str, *advice: str, **facts: Any) -> Finding:
    """Nobody gets further."""
    return Finding(step, Mark.FAILED, text, advice, code, facts)
