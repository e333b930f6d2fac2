"""What a server keeps and logs of passwords and of what people say."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from quicchat.server.adapters.store_sqlite import open_store
from tests.server.house import texts, world

PASSWORD, CANARY = "correct horse battery", "the canary sings at dawn"


def test_neither_passwords_on_disk_nor_messages_in_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """[11.2-2] [11.3-1] R0.8: the files hold no password, the log neither passwords nor what people said."""
    caplog.set_level(logging.DEBUG, "quicchat")

    async def scenario() -> None:
        store = open_store(tmp_path / "quicchat.db")
        async with world(store=store) as here:
            alice = await here.enter("alice", password=PASSWORD)
            bob = await here.enter("bob", password=PASSWORD)
            await alice.post("general", CANARY)
            assert CANARY in await texts(bob, "general")
        await store.close()

    asyncio.run(scenario())
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert CANARY.encode() in files
    assert PASSWORD.encode() not in files
    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "logged in" in said
    assert CANARY not in said
    assert PASSWORD not in said
