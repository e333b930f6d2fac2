"""Safety numbers: 60 digits that two people compare, the same on both sides; pure. (spec 15-keys)"""

from __future__ import annotations

import hashlib
from typing import Final

#: Of one user 30 digits, six groups of five; of both together twelve groups.
DIGITS: Final = 60
_GROUP: Final = 5
_GROUPS: Final = 6
#: Bytes of the digest that make a group: many more values than groups, so that no group is likelier than another.
_BYTES: Final = 5
_DOMAIN: Final = b"quicchat safety number 1\0"


def safety_number(one: tuple[str, bytes], other: tuple[str, bytes]) -> str:
    """The 60 digits, in groups, of two users: [name, fingerprint of his identity]; whoever comes first."""
    halves = sorted((_half(*one), _half(*other)))
    return " ".join(group for half in halves for group in half)


def same_digits(typed: str, shown: str) -> bool:
    """Whether somebody typed these digits, however he grouped them."""
    return _bare(typed) == _bare(shown)


def _half(user: str, fingerprint: bytes) -> list[str]:
    """The groups of one user: with 30 digits each, nobody can make an identity that has the same ones."""
    digest = hashlib.sha512(_DOMAIN + user.encode() + b"\0" + fingerprint).digest()
    cuts = (digest[at : at + _BYTES] for at in range(0, _GROUPS * _BYTES, _BYTES))
    return [f"{int.from_bytes(cut, 'big') % 10**_GROUP:0{_GROUP}}" for cut in cuts]


def _bare(digits: str) -> str:
    return "".join(each for each in digits if not each.isspace() and each not in "-.")
