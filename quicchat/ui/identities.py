"""What there is to tell of keys, as values that know no style. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.values import dataclass

#: [fingerprint, name, what it is, what is wrong with it]
Device = tuple[bytes, str, str, str]


@dataclass(frozen=True, slots=True)
class Keyed:
    """The keys of a user: how far he is trusted, in a word, and the fingerprint of his identity, None without one.

    `devices` are rows [fingerprint, name, what it is, what is wrong with it]: `this` one, or `outside` where it is
    not let in, one that `waits` for that, one that is `listed`, or `unusable` though it is.
    """

    user: str
    trust: str
    identity: bytes | None
    devices: Sequence[Device]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The safety number of `own` and a user: digits in groups, and rows of a picture of it where one can be made."""

    own: str
    user: str
    digits: str
    picture: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """Rows [fingerprint, name] of one's devices that wait to be let in."""

    rows: Sequence[tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What gets keys and history back where every device is gone."""

    code: str
