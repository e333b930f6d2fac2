"""The scenarios of spec/scenarios, played: in memory and virtual time, over QUIC, with processes on terminals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quicchat.__main__ import client_config, server_config
from quicchat.errors import UsageError
from quicchat.tools.scenario import main

SCENARIOS = Path(__file__).resolve().parents[2] / "spec" / "scenarios"


def play(name: str, capsys: pytest.CaptureFixture[str], **how: Any) -> None:
    code = main.play([str(SCENARIOS / f"{name}.chat")], client_config, server_config, **how)
    assert code == 0, capsys.readouterr().out


def test_tc1(capsys: pytest.CaptureFixture[str]) -> None:
    """TC1, R4.5-R4.7, R4.9-R4.12: three talk; one is written to while away; all are told."""
    play("tc1", capsys)


def test_tc3(capsys: pytest.CaptureFixture[str]) -> None:
    """TC3, R4.8, R4.10: to all and to one, in the order of the sending, and no receipt by name for what went to all."""
    play("tc3", capsys)


def test_tc4(capsys: pytest.CaptureFixture[str]) -> None:
    """TC4, R4.13: the receipt waits for a sender who was away when it was given."""
    play("tc4", capsys)


def test_mystic(capsys: pytest.CaptureFixture[str]) -> None:
    """R2.1, R2.11-R2.19, R2.21, R2.22, R2.24, R2.29-R2.32, R2.35: the tour of founding text 2, line by line."""
    play("mystic", capsys)


def test_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """R2.20, R2.23: one group at a time, where the operator wants it so."""
    play("groups", capsys)


def test_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    """R0.1, R0.2: a room is heard by those who are in, and by nobody else."""
    play("rooms", capsys)


def test_big_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """R0.3: 1 B, 1024, 1025, 1026, 64 KiB and 1 MiB arrive as one message each; a byte more is refused at home."""
    play("bigtexts", capsys)


def test_states(capsys: pytest.CaptureFixture[str]) -> None:
    """R0.5: stored, delivered and read are told apart; for somebody who died it stays at stored."""
    play("states", capsys)


def test_single(capsys: pytest.CaptureFixture[str]) -> None:
    """R3.12: one session, R3's words for the second; no lock after a death, and none for the same device."""
    play("single", capsys)


def test_typing(capsys: pytest.CaptureFixture[str]) -> None:
    """R3.18: who writes is shown, and that he stopped."""
    play("typing", capsys)


def test_offline(capsys: pytest.CaptureFixture[str]) -> None:
    """R4.9, R4.10, R4.12: dereg and reg, in the order of the sending and with its times."""
    play("offline", capsys)


@pytest.mark.socket
def test_over_quic(capsys: pytest.CaptureFixture[str]) -> None:
    """R0.1, R0.2: the same script over QUIC, with a server process."""
    play("rooms", capsys, quic=True)


@pytest.mark.socket
@pytest.mark.slow
def test_with_processes(capsys: pytest.CaptureFixture[str]) -> None:
    """TC1, R4.20: the same script with a client process on a terminal for each actor."""
    play("tc1", capsys, quic=True, processes=True)


def test_every_scenario_is_played() -> None:
    """Issue 3, scenarios: a script that no test plays proves nothing."""
    names = Path(__file__).read_text()
    assert [each.stem for each in SCENARIOS.glob("*.chat") if f'play("{each.stem}", capsys)' not in names] == []


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ("b< T [general] a: hallo", ["  - T [general] a: hallo", "  + {time} [general] a: hello"]),
        ("a< hello", ["  - hello"]),
        ("b exits 0", ["nothing came of it"]),
    ],
)
def test_a_deviation_is_told(line: str, report: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 3, scenarios: exit code 1, and what was missing or too much, with FILE:LINE."""
    script = tmp_path / "x.chat"
    script.write_text(f"server\na starts\n  a< ...\nb starts\n  a, b< ...\na: hello\n  {line}\n")
    assert main.play([str(script)], client_config, server_config) == 1
    told = capsys.readouterr().out
    assert f"{script}:" in told
    for each in report:
        assert each.split("{time}")[-1] in told


def test_a_script_that_is_none(tmp_path: Path) -> None:
    """Issue 3, scenarios: what cannot be read is a usage error, before anything starts."""
    with pytest.raises(UsageError, match="No such file"):
        main.play([str(tmp_path / "none.chat")], client_config, server_config)
    odd = tmp_path / "odd.chat"
    odd.write_text("server\nx dances\n")
    with pytest.raises(UsageError, match=r"odd\.chat:2: 'x dances' is no line"):
        main.play([str(odd)], client_config, server_config)
