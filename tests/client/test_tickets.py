"""The file of tickets: each good once, under the anchor it was given under, and for nobody else to read."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from quicchat.client.tickets import Tickets

HOST, PORT = "chat.example", 55_667
PIN, OTHER = "SHA256:" + "1" * 64, "SHA256:" + "2" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client" / "tickets"


@pytest.fixture
def tickets(path: Path) -> Tickets:
    return Tickets(path)


def test_a_ticket_is_taken_once(tickets: Tickets, path: Path) -> None:
    """[13.6-4] Q13: what was taken is no longer in the file, whoever looks."""
    assert tickets.take(HOST, PORT, PIN) is None
    tickets.put(HOST, PORT, PIN, b"ticket")
    assert Tickets(path).take("CHAT.example", PORT, PIN) == b"ticket"
    assert path.read_text() == ""
    assert tickets.take(HOST, PORT, PIN) is None


def test_the_newest_comes_first_and_the_oldest_goes(tickets: Tickets) -> None:
    """[13.6-4]: a few are kept for clients side by side."""
    for number in range(6):
        tickets.put(HOST, PORT, PIN, bytes((number,)))
    assert [tickets.take(HOST, PORT, PIN) for _ in range(5)] == [b"\5", b"\4", b"\3", b"\2", None]


def test_tickets_of_different_servers(tickets: Tickets, path: Path) -> None:
    """[13.6-4]: host and port must both be the same; and a file never grows without end."""
    tickets.put(HOST, PORT, PIN, b"one")
    tickets.put(HOST, PORT + 1, PIN, b"two")
    tickets.put("::1", PORT, PIN, b"three")
    assert tickets.take(HOST, PORT + 1, PIN) == b"two"
    assert tickets.take("::1", PORT, PIN) == b"three"
    assert tickets.take(HOST, PORT, PIN) == b"one"
    for number in range(300):
        tickets.put(f"host{number}", PORT, PIN, b"x")
    assert len(path.read_text().splitlines()) == 256
    assert tickets.take("host299", PORT, PIN) == b"x"
    assert tickets.take("host0", PORT, PIN) is None


def test_another_pin_deletes(tickets: Tickets, path: Path) -> None:
    """[11.1-4] A11: who asks under another pin gets nothing, and what was given under the old one is gone."""
    tickets.put(HOST, PORT, PIN, b"old")
    tickets.put(HOST, PORT + 1, PIN, b"neighbour")
    assert tickets.take(HOST, PORT, OTHER) is None
    assert tickets.take(HOST, PORT, PIN) is None
    tickets.put(HOST, PORT, PIN, b"old")
    tickets.put(HOST, PORT, OTHER, b"new")
    assert tickets.take(HOST, PORT, OTHER) == b"new"
    tickets.put(HOST, PORT, OTHER, b"new")
    tickets.forget(HOST, PORT)
    assert tickets.take(HOST, PORT, OTHER) is None
    assert tickets.take(HOST, PORT + 1, PIN) == b"neighbour"


def test_nobody_else_may_read_them(tickets: Tickets, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """[11.1-4] A13: the file is made with mode 0600; one that others may read is not used, and not written to."""
    tickets.put(HOST, PORT, PIN, b"ticket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert tickets.take(HOST, PORT, PIN) is None
        tickets.put(HOST, PORT, PIN, b"another")
    assert path.read_bytes() == before
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_a_file_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Tickets only save time: without them everything goes on; what cannot be deleted is not used."""
    (tmp_path / "file").write_text("")
    tickets = Tickets(tmp_path / "file" / "tickets")
    with caplog.at_level(logging.WARNING):
        tickets.put(HOST, PORT, PIN, b"ticket")
        assert tickets.take(HOST, PORT, PIN) is None
        tickets.forget(HOST, PORT)
    assert len(caplog.records) == 3


@pytest.mark.parametrize("line", [b"\xff\xff", b"chat.example:55667", b"chat.example:55667 " + PIN.encode() + b" !!"])
def test_a_file_of_rubbish(tickets: Tickets, path: Path, line: bytes) -> None:
    """What makes no sense is no ticket, and does not stand in the way of the next."""
    path.parent.mkdir()
    path.write_bytes(line + b"\n")
    path.chmod(0o600)
    assert tickets.take(HOST, PORT, PIN) is None
    tickets.put(HOST, PORT, PIN, b"ticket")
    assert tickets.take(HOST, PORT, PIN) == b"ticket"
