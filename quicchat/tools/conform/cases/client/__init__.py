"""The cases of the reverse mode: what a client does when its server does not behave. (spec README)"""

from __future__ import annotations

from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases.client import accounts, framing, leaving, messages, posting, screen, session, states
from quicchat.tools.conform.cases.client.entry import CASES

__all__ = ["accounts", "every", "framing", "leaving", "messages", "posting", "screen", "session", "states"]


def every() -> list[Case]:
    """All cases for clients, in the order of the specification."""
    return sorted(CASES, key=lambda case: [int(each) for each in case.sentence.replace("-", ".").split(".")])
