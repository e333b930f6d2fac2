"""What can be wrong with keys and with what is sealed; none of it closes a connection. (spec 15-keys)

SealError
├── BadKey         a key or certificate that cannot be used
├── Unreadable     what this device has no key for, or what is damaged
└── Forged         what is not by whom, or not where, it claims to be
"""

from __future__ import annotations

from quicchat.errors import QuicchatError


class SealError(QuicchatError):
    """Root of these; the text is one line for people."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadKey(SealError):
    """A key or certificate that cannot be used, and why."""


class Unreadable(SealError):
    """Something that this device has no key for, or that is damaged."""


class Forged(SealError):
    """Something that is not by whom, or not where, it claims to be."""
