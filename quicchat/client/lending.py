"""Keys of the client in which a user talks, lent to what else he runs on this machine. (spec 15-keys)

They are read from its memory without disturbing it, also while it runs; nothing is ever written there. Where something
else was there first, and made the keys of the account, the client inherits them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.memory import Change, Memory
from quicchat.errors import UsageError

Secrets = Mapping[tuple[str, bytes], bytes]

_IDENTITY: Final = (Drawer.IDENTITY, ONLY)
#: What another device of the user goes by: whom he trusts, where everything is encrypted, his identity.
_RULES: Final = (Drawer.IDENTITY, Drawer.PERSON, Drawer.ENCRYPTED)
#: What it can read by.
_KEYS: Final = (Drawer.SESSION, Drawer.FILE)
#: Under this name of Drawer.BACKUP: the lender keeps the backup, and nobody else.
ELSEWHERE: Final = b"elsewhere"
#: Seconds to wait for a writer.
_PATIENCE: Final = 5.0


def secrets_in(path: Path) -> Secrets:
    """What a memory holds of keys, by drawer and name; nothing where there is none. Raises UsageError."""
    if not path.exists():
        return {}
    try:
        where = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=_PATIENCE)) as file:
            tables = file.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'keyring'").fetchone()
            rows = file.execute("SELECT drawer, name, value FROM keyring").fetchall() if tables[0] else []
    except sqlite3.Error as error:
        raise UsageError(f"{path} cannot be read ({error})", 3) from None
    return {(drawer, name): value for drawer, name, value in rows}


async def lend(memory: Memory, path: Path) -> None:
    """Let the device of a memory go by what the user's other one, in the file at `path`, goes by.

    Where that has no identity, or not any more, there is nothing to lend but where everything is encrypted. Raises
    UsageError, Refused.
    """
    theirs = secrets_in(path)
    mine = (await memory.load()).secrets
    change: dict[tuple[str, bytes], bytes | None] = {
        place: value for place, value in theirs.items() if place[0] == Drawer.ENCRYPTED and place not in mine
    }
    if _IDENTITY not in theirs:
        if (Drawer.BACKUP, ELSEWHERE) in mine:
            change[_IDENTITY] = None
    else:
        change[Drawer.BACKUP, ELSEWHERE] = b""
        change |= {place: value for place, value in theirs.items() if place[0] in _RULES and mine.get(place) != value}
        change |= {place: value for place, value in theirs.items() if place[0] in _KEYS and place not in mine}
    if change:
        await memory.keep(Change(secrets=change))


async def inherit(memory: Memory, own: Path, others: Iterable[Path]) -> None:
    """Let a client, whose memory is the file `own`, go by what another device of the user here has begun.

    Raises UsageError, Refused.
    """
    if _IDENTITY in secrets_in(own):
        return
    for theirs in map(secrets_in, others):
        if _IDENTITY in theirs and (Drawer.BACKUP, ELSEWHERE) not in theirs:
            drawers = (*_RULES, *_KEYS, Drawer.BACKUP)
            mine = (await memory.load()).secrets
            change = {place: value for place, value in theirs.items() if place[0] in drawers and place not in mine}
            await memory.keep(Change(secrets=change))
            return
