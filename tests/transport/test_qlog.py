"""qlog on request: a file for each connection, bounded, without contents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quicchat.transport import qlog
from quicchat.transport.options import Options
from tests.transport.sockets import run, serve

pytestmark = pytest.mark.socket

WORDS = b"nobody is to read this " * 40


def files(path: Path) -> list[dict[str, Any]]:
    found = sorted(path.glob("*.qlog"))
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in found)
    assert all(WORDS[:20].decode() not in each.read_text() for each in found)
    assert all(WORDS[:20].hex() not in each.read_text() for each in found)
    return [json.loads(each.read_text())["traces"][0] for each in found]


def talk(path: Path, times: int = 1) -> None:
    """Some connections on which something is said, with a file for each end of them."""

    async def main() -> None:
        async with serve(echo=True, options=Options(qlog=path / "server")) as server:
            for _ in range(times):
                ear = await server.dial(options=Options(qlog=path / "client"))
                await ear.say(WORDS)
                ear.link.close(0x100, "done")
                await ear.end()

    run(main)


def test_a_file_for_each_connection(tmp_path: Path) -> None:
    """[12.18-6]: both ends tell packets, frames and times, and nothing of what is in them."""
    talk(tmp_path, 2)
    for name in ("client", "server"):
        traces = files(tmp_path / name)
        assert [each["vantage_point"]["type"] for each in traces] == [name, name]
        for trace in traces:
            events = [each["name"] for each in trace["events"]]
            assert {"transport:packet_sent", "transport:packet_received"} <= set(events)
            heard = [each["data"]["frames"] for each in trace["events"] if each["name"] == "transport:packet_received"]
            kinds = {frame["frame_type"] for frames in heard for frame in frames}
            assert {"crypto", "stream", "ack"} <= kinds
            assert trace["common_fields"]["dropped_events"] == 0


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.18-6]: of a long connection the end is kept, and of many the last."""
    monkeypatch.setattr(qlog, "EVENTS", 5)
    monkeypatch.setattr(qlog, "FILES", 2)
    talk(tmp_path, 3)
    traces = files(tmp_path / "server")
    assert len(traces) == 2
    assert all(len(each["events"]) == 5 for each in traces)
    assert all(each["common_fields"]["dropped_events"] > 0 for each in traces)


def test_where_it_cannot_be_written_nothing_else_ends(tmp_path: Path) -> None:
    """[12.18-6]: a file in the way of the directory is a line in the log."""
    for name in ("client", "server"):
        (tmp_path / name).write_text("in the way")
    talk(tmp_path)
