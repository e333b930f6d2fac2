"""The recovery code: digits to be written down, that open the backup on a new device. (spec 15-keys)

34 digits by chance (112 bits) and two that check them (ISO 7064, MOD 97-10, as in an IBAN): a digit that was
misread, or two that changed places, are told before anything is asked for.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from quicchat.client.chance import Chance
from quicchat.client.e2ee.faults import BadKey

DIGITS: Final = 36
_GROUP: Final = 4
_MODULUS: Final = 97
#: As many random bytes as leave nine of ten numbers usable.
_BYTES: Final = 15
_CODES: Final = 10 ** (DIGITS - 2)
_FAIR: Final = 256**_BYTES // _CODES * _CODES


def made(chance: Chance) -> str:
    """A new code, 36 digits."""
    while (number := int.from_bytes(chance(_BYTES), "big")) >= _FAIR:
        pass
    body = number % _CODES * 100
    return f"{body + 98 - body % _MODULUS:0{DIGITS}}"


def shown(code: str) -> str:
    """In groups, as people write it down."""
    return " ".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def read(typed: str) -> str:
    """The code as it was typed, in whatever groups. Raises BadKey, which says what is wrong with it."""
    code = "".join(each for each in unicodedata.normalize("NFKC", typed) if not each.isspace() and each not in "-–.,")
    if not code:
        raise BadKey("no recovery code was given")
    if not (code.isascii() and code.isdigit()):
        raise BadKey("a recovery code has only digits")
    if len(code) != DIGITS:
        raise BadKey(f"a recovery code has {DIGITS} digits, and this has {len(code)}")
    if int(code) % _MODULUS != 1:
        raise BadKey("there is a slip in the recovery code: compare the digits with what you wrote down")
    return code
