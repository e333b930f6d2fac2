"""Gives the threads of the store their turns beside an event loop that never rests. (ARCHITECTURE)

A thread that waits for the interpreter lock asks for it only after `sys.getswitchinterval()` without a chance to
take it. A busy loop releases the lock at each system call, every 50 µs or so, and has it back before the waiter
wakes: to the waiter each of these was a chance, and so it waits for ever. With Python's 5 ms and Linux's timer
slack of 50 µs an append took up to 30 seconds beside such a loop; with the values below its 99th percentile is
some milliseconds, and the loop is not slower.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

SWITCH_SECONDS: Final = 2e-5
_PR_SET_TIMERSLACK: Final = 29
_SLACK_NANOSECONDS: Final = 1


def be_prompt() -> None:
    """To be called by each thread of the store when it begins. The switch interval is the whole process's."""
    if sys.getswitchinterval() > SWITCH_SECONDS:
        sys.setswitchinterval(SWITCH_SECONDS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NANOSECONDS, 0, 0, 0)
