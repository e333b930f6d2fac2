"""Keys in the memory of a client: read also while that runs, or changed while it does not. (spec 12-operation)"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from quicchat.client.chance import HERE
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.provider import NOT_INSTALLED, is_installed
from quicchat.client.lending import secrets_in
from quicchat.client.memory import Kept, Memory, PlainMemory
from quicchat.client.memory_sqlite import open_file
from quicchat.client.reserve import file_of, is_held
from quicchat.client.scribe import Scribe
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import Code, LinkLost, UsageError
from quicchat.ui.entry import checked
from quicchat.ui.users import last_user
from quicchat.wire.registry import Pdu

#: The exit code where there are no keys to work on.
NO_KEYS: Final = 3


class Keychain:
    """The keys of one user: what knows them is as in a client that has no connection."""

    def __init__(self, user: str, scribe: Scribe) -> None:
        from quicchat.client.e2ee.backup import Backup
        from quicchat.client.e2ee.directory import Directory

        self.user = user
        self.keyring = Keyring(scribe)
        self.directory = Directory(self.keyring, _offline, HERE, _unheard)
        self.backup = Backup(self.keyring, self.directory, _offline, tell=_unheard, gained=_unheard)


@asynccontextmanager
async def keychain(config: ClientConfig, changes: str | None = None) -> AsyncIterator[Keychain]:
    """The keys of the user of this configuration. Raises UsageError.

    What is changed is kept where it is said what does that in a client that is running.
    """
    if not is_installed():
        raise UsageError(NOT_INSTALLED, NO_KEYS)
    user, where = user_of(config), place(config.host, config.port)
    path = file_of(config.data / "memory", where, user)
    if not path.exists():
        raise UsageError(_none(user, where), NO_KEYS)
    if changes is not None and is_held(config.data, where, user):
        raise UsageError(f"the client of {user} is running, and has these keys: {changes}", NO_KEYS)
    memory: Memory = open_file(path) if changes is not None else PlainMemory()
    try:
        kept = await memory.load() if changes is not None else Kept(secrets=secrets_in(path))
        if (Drawer.DEVICE, b"") not in kept.secrets:
            raise UsageError(_none(user, where), NO_KEYS)
        scribe = Scribe(memory, kept, _unheard)
        found = Keychain(user, scribe)
        with contextlib.suppress(LinkLost):
            await found.directory.begin(user)
        yield found
        await found.backup.close()
        await found.directory.close()
        await scribe.flush()
    finally:
        await memory.close()


def user_of(config: ClientConfig) -> str:
    """Whose keys are meant. Raises UsageError."""
    user = config.user or last_user(config.data, place(config.host, config.port))
    if user is None:
        raise UsageError("say whose keys: -u USER")
    return checked(user)


def _none(user: str, where: str) -> str:
    return f"{user} has no keys for {where} on this machine yet: the first start of the client there makes them"


async def _offline(pdu: Pdu, answer: type[Any], /) -> Any:
    raise LinkLost(Code.NO_ERROR, "no server is asked", remote=False)


def _unheard(item: object) -> None:
    """Whoever asked for it is told what came of it, and nothing else."""
