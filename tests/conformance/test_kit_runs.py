"""The kit against servers that run: what it finds in ours, features, and what a controller does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quicchat.__main__ import main
from quicchat.tools.conform.case import WRITTEN
from quicchat.tools.conform.cases import every
from tests.processes import CHEAP, ServerProcess

pytestmark = pytest.mark.socket


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server where anybody may sign up, and as fast as he likes."""
    with ServerProcess(tmp_path_factory.mktemp("kit") / "data", *CHEAP) as process:
        yield process


def played(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the report, and what people are told."""
    code = main(["conform", *words, "--json", "-"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def bad(report: dict[str, Any]) -> list[str]:
    """All that is not as it should be; a reader sees at once what it is."""
    fine = ("OK", "INFORMATIONAL", "UNIMPLEMENTED")
    return [f"{each['id']}: {each['text']}" for each in report["cases"] if each["verdict"] not in fine]


def some() -> list[str]:
    """All that are written by hand, and of those that are made of the book every sixth; `make conform` plays all."""
    written = {case.id for case in WRITTEN}
    made = [case.id for case in every() if case.id not in written and not case.thorough]
    return [*(case.id for case in WRITTEN if not case.slow and not case.thorough), *made[::6]]


# Some 20 seconds of processor time for both ends, which a busy machine takes long to give.
@pytest.mark.timeout(300)
def test_our_server_keeps_to_the_specification(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """[16.1-1], S1, R1.6, [2.1-3], [3.1-2], [8.1-1], [9.1-3], issue 7, what must be shown: all OK against our server,
    many at a time and with whatever neighbours."""
    code, report, said = played(capsys, f"127.0.0.1:{server.port}", "-j", "24", "--only", *some())
    assert bad(report) == []
    assert code == 0, said
    assert report["counts"]["OK"] > 900
    # What our server leaves out, it leaves out on purpose.
    lacking = {each["id"] for each in report["cases"] if each["verdict"] == "UNIMPLEMENTED"}
    controlled = {case.id for case in WRITTEN if "control" in case.needs}
    assert lacking - controlled <= {
        *("QC-4.1-4/sign-up-is-closed", "QC-4.1-5/too-few-iterations", "QC-7.2-1/those-who-share-no-room"),
        *("QC-14.2-2/what-is-shared-by-name", "QC-14.2-5/what-is-shared-is-what-is-listed"),
    }
    known = ["datagrams", "early", "files", "keys", "login", "other", "presence", "rooms", "signup"]
    assert report["features"] == known


def test_version_1_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[6.6-1], issue 7, what must be shown: the same with `--versions 1`, of what is written by hand (`make conform`
    plays all): cases of version 2 are set aside, and what version 1 has is played in it."""
    written = {case.id: case for case in WRITTEN if not case.slow}
    with ServerProcess(tmp_path / "data", *CHEAP, "--versions", "1") as server:
        code, report, said = played(capsys, f"127.0.0.1:{server.port}", "--only", *written)
        assert bad(report) == []
        assert report["versions"] == [1]
    assert code == 0, said
    good = [written[each["id"]] for each in report["cases"] if each["verdict"] == "OK"]
    assert {"4.2-4", "4.2-5", "6.1-4", "6.2-3", "6.6-1", "6.6-4", "7.3-1"} <= {case.sentence for case in good}
    assert {case.since for case in good} == {1}


def test_features_are_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[16.3-1]: where nobody may sign up the accounts are those that are given, and cases that need others are left."""
    words = ["--only", "4.1", "3.6", "7.1-1", "--user", "user1", "--password", "pass1"]
    with ServerProcess(tmp_path / "data", "--demo", "--signup", "closed", "--iterations", "1") as server:
        place = f"127.0.0.1:{server.port}"
        code, report, said = played(capsys, place, *words)
        assert code == 0, said
        assert {"login"} <= {*report["features"]}
        assert not {"signup", "other"} & {*report["features"]}
        assert "there is no signup here" in [each["text"] for each in report["cases"]]
        _, report, _ = played(
            capsys, place, *words, "--user", "user2", "--password", "pass2", "--features", "-presence"
        )
        assert {"other"} <= {*report["features"]}
        assert "presence" not in report["features"]
        code, report, said = played(capsys, place, "--only", "3.6", "--user", "user1", "--password", "wrong")
        assert (code, report) == (5, {})
        assert "user1 cannot log in" in said
        # Whoever says that it is there gets what comes of that.
        code, report, _ = played(capsys, place, "--only", "4.4-1", *words[3:], "--features", "signup")
        assert {each["verdict"] for each in report["cases"]} <= {"UNIMPLEMENTED", "FAILED"}


def test_nobody_at_home(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 7: another protocol at that port is no server of this one; exit code 3."""
    assert main(["conform", "127.0.0.1:9", "--only", "3.6"]) == 3
    assert "nobody answers at 127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["QC-3.5-5/end-with-a-word", "QC-6.2-5/full-disk", "QC-6.3-6/another-time-of-day"])
def test_a_controller_starts_and_ends_servers(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """[6.2-5], D3, D7, C10: a full disk, another time of day, an end with a word, where the kit starts the server."""
    start = f"{sys.executable} -m quicchat server -l 127.0.0.1 -p {{port}} --data {{data}} {' '.join(CHEAP)}"
    code, report, said = played(capsys, "--start", start, "--only", case)
    assert bad(report) == []
    assert code == 0, said
    assert {each["verdict"] for each in report["cases"]} <= {"OK", "UNIMPLEMENTED"}
