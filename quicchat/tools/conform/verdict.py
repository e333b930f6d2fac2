"""What may come of a case, and how a case says so. (spec README)"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """From good to bad; the worse of two counts."""

    OK = "OK"
    INFORMATIONAL = "INFORMATIONAL"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    NON_STRICT = "NON-STRICT"
    UNCLEAN = "UNCLEAN"
    WRONG_CODE = "WRONG-CODE"
    FAILED = "FAILED"

    @property
    def is_bad(self) -> bool:
        """Whether it breaks a MUST."""
        return self in (Verdict.UNCLEAN, Verdict.WRONG_CODE, Verdict.FAILED)

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(Verdict).index(self)


def worse(one: Verdict, other: Verdict) -> Verdict:
    """The one that counts."""
    return max(one, other, key=lambda verdict: verdict.rank)


class Deviation(Exception):
    """Raised by a case whose subject does not behave as the sentence says; the text tells what it did instead."""

    verdict = Verdict.FAILED


class Failed(Deviation):
    """It did something else."""


class WrongCode(Deviation):
    """It did what it should, and gave another reason."""

    verdict = Verdict.WRONG_CODE


class Unclean(Deviation):
    """It did what it should, and did not take leave as it should."""

    verdict = Verdict.UNCLEAN


class NonStrict(Deviation):
    """It is allowed, and not what is recommended."""

    verdict = Verdict.NON_STRICT


class Unimplemented(Deviation):
    """It has not got what the case is about, and need not."""

    verdict = Verdict.UNIMPLEMENTED


class Informational(Deviation):
    """Nothing is demanded; this is what it does."""

    verdict = Verdict.INFORMATIONAL


def check(holds: object, text: str) -> None:
    """Raises Failed with this text where it does not hold."""
    if not holds:
        raise Failed(text)


def same(found: object, wanted: object, what: str) -> None:
    """Raises Failed where the two differ."""
    if found != wanted:
        raise Failed(f"{what}: {found!r}, not {wanted!r}")
