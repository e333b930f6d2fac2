"""What the kit reports of a run, to people and to programs, and with which exit code it ends."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from quicchat.__main__ import main
from quicchat.tools.conform import main as command
from quicchat.tools.conform import serving
from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases.client import every as of_clients
from quicchat.tools.conform.outline import outline
from quicchat.tools.conform.page import as_page
from quicchat.tools.conform.plain import plain
from quicchat.tools.conform.report import as_json, as_junit
from quicchat.tools.conform.runner import Result
from quicchat.tools.conform.summary import summary
from quicchat.tools.conform.verdict import Verdict
from tests.conformance.test_kit import NASTY, WELL, result, run_of

BAD = result(Verdict.FAILED, text=NASTY)


class _Texts(HTMLParser):
    """The tags of a page, and the text of its rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr" and attrs:
            self.rows.append(dict(attrs))


def test_nothing_of_a_peer_reaches_anything_as_it_came() -> None:
    """[16.4-1] U1: summary, XML and page hold no control bytes, and no markup of others."""
    told = run_of(BAD, result(Verdict.INFORMATIONAL, text=NASTY), result(Verdict.UNIMPLEMENTED, text=NASTY))
    printed = list(summary(told))
    for text in (*printed, as_junit(told), as_page(told), as_json(told)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff\ufffe]", text)
        text.encode()
    assert not any("\n" in line for line in printed)
    assert "\\x1b[2J\\x9b0m" in "\n".join(printed)
    tags = _Texts(as_page(told)).tags
    assert "img" not in tags
    assert tags.count("script") == 1


def test_the_reports_are_well_formed() -> None:
    """Issue 7, item 2: JUnit, JSON and HTML tell the same run, and each deviation with all that was said."""
    fine = result(Verdict.OK)
    lax = result(Verdict.NON_STRICT, text="not recommended", case=Case("13.1-1", "lax", WELL.run))
    hasty = result(Verdict.OK, close=Verdict.UNCLEAN, text="hasty", case=Case("13.1-1", "hasty", WELL.run))
    told = run_of(fine, BAD, lax, hasty)
    suites = Xml.fromstring(as_junit(told))
    assert (suites.get("tests"), suites.get("failures")) == ("4", "2")
    assert [suite.get("name") for suite in suites] == ["chapter 3", "chapter 13"]
    (failure,) = suites[0].findall("testcase/failure")
    assert failure.get("type") == "FAILED"
    assert "An end MUST answer PING at once" in (failure.text or "")
    assert "0.2500 <- 0 a\\x1b" in (failure.text or "")
    found = json.loads(as_json(told))
    assert found["counts"] == {"OK": 1, "NON-STRICT": 1, "UNCLEAN": 1, "FAILED": 1}
    assert (found["deviations"], found["complete"]) == (2, True)
    assert found["cases"][1]["connections"] == [[{"at": 0.25, "by": "server", "stream": 0, "text": NASTY}]]
    assert "connections" not in found["cases"][0]
    assert (found["cases"][3]["behaviour"], found["cases"][3]["close"]) == ("OK", "UNCLEAN")
    rows = _Texts(as_page(told)).rows
    assert [row["data-verdict"] for row in rows] == ["OK", "FAILED", "NON-STRICT", "UNCLEAN"]


def test_one_mistake_fills_no_screen() -> None:
    """[16.4-1], issue 7, item 2: of a sentence that many cases find broken two are told whole; the page has all."""
    many = [result(Verdict.FAILED, text="no", case=Case("10.1-3", f"case-{number}", WELL.run)) for number in range(300)]
    told = run_of(result(Verdict.OK), *many, BAD)
    printed = list(summary(told))
    assert [line for line in printed if line.startswith("FAILED")][:3] == [
        "FAILED  QC-10.1-3/case-0",
        "FAILED  QC-10.1-3/case-1",
        "FAILED  QC-10.1-3/case-2  no",
    ]
    assert "... and 280 more of [10.1-3]" in printed
    assert len(printed) < 60
    assert "FAILED  QC-3.2-1/well" in printed
    assert len([row for row in _Texts(as_page(told)).rows if row.get("data-is") == "bad"]) == 301


def test_what_is_recommended_counts_when_strict() -> None:
    """[16.2-1]: with --strict NON-STRICT is a deviation, else it is told beside them."""
    lax = result(Verdict.NON_STRICT, text="not recommended")
    assert not run_of(lax).deviations
    assert run_of(lax, strict=True).deviations == [lax]
    assert "NON-STRICT  QC-3.2-1/well  not recommended" in summary(run_of(lax))


@pytest.mark.parametrize(
    ("verdict", "words", "code"),
    [
        (Verdict.OK, [], 0),
        (Verdict.FAILED, [], 7),
        (Verdict.NON_STRICT, [], 0),
        (Verdict.NON_STRICT, ["--strict"], 7),
        (Verdict.UNIMPLEMENTED, [], 0),
        (None, [], 1),
    ],
)
def test_exit_codes(
    verdict: Verdict | None,
    words: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Issue 7: 0 as it should be, 7 deviations, 1 a mistake of the kit; and the files are written."""
    found = result(verdict) if verdict else Result(WELL, Verdict.INFORMATIONAL, "", 0.1, fault="a traceback")
    _stub(monkeypatch, found)
    files = ["--junit", str(tmp_path / "j.xml"), "--json", "-", "--html", str(tmp_path / "page")]
    assert main(["conform", "127.0.0.1:9", *words, *files]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["cases"][0]["id"] == "QC-3.2-1/well"
    assert "127.0.0.1:9, versions none:" in said.err
    Xml.fromstring((tmp_path / "j.xml").read_text())
    assert "<table>" in (tmp_path / "page" / "index.html").read_text()


def test_who_interrupts_is_told_what_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 7: Ctrl-C prints what is known so far; 130."""
    _stub(monkeypatch, BAD, KeyboardInterrupt())
    assert main(["conform", "127.0.0.1:9"]) == 130
    printed = capsys.readouterr().out
    assert "FAILED  QC-3.2-1/well" in printed
    assert "1 FAILED" in printed
    assert "interrupted" in printed


def _stub(monkeypatch: pytest.MonkeyPatch, found: Result, then: BaseException | None = None) -> None:
    """Have a run come to this, at no server at all."""

    async def examine(*_: object) -> None:
        return

    async def play(cases: object, target: object, *, at_once: int, tell: Callable[[Result], None]) -> None:
        tell(found)
        if then is not None:
            raise then

    monkeypatch.setattr(command, "every", lambda: [WELL])
    monkeypatch.setattr(command, "examine", examine)
    monkeypatch.setattr(command, "play", play)


def test_nowhere_to_listen(capsys: pytest.CaptureFixture[str]) -> None:
    """[16.2-1], issue 7, item 3: a place that is none, or taken, is said before anybody is told to come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        for place in (f"127.0.0.1:{taken.getsockname()[1]}", "no..host:4433"):
            assert main(["conform", "--serve", place]) == 2
            told = capsys.readouterr()
            assert "cannot listen at" in told.err
            assert not told.out


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 7: who cannot be reached is exit code 3; so is a server that does not come up."""
    assert main(["conform", "--start", "sh -c 'echo no such thing; exit 4'"]) == 3
    assert "the server ended with exit code 4: no such thing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("a30002010305a201070108", "{0: 2, 1: 3, 5: {1: 7, 1: 8}}"),
        ("a20002f93c0008", "{0: 2, 1.0: 8}"),
        ("bf00029f0120ffff", "{_ 0: 2, [_ 1, -1]: <!>}"),
        ("bf009f0120ffff", "{_ 0: [_ 1, -1]}"),
        ("c11a00000001", "1(1)"),
        ("820102ff00", "[1, 2] and 2 bytes behind it"),
        ("8201", "[1, <!>]"),
        ("6261", '"a"<!>'),
        ("5f4101ff", "(_ h'01')"),
        ("83f6f7f818", "[null, undefined, simple(24)]"),
        ("1f", "<!>"),
        ("", "<!>"),
        ("81" * 1000, "[" * 13 + "<!>" + "]" * 13),
        ("9bffffffffffffffff" + "01" * 4000, "[" + "1, " * 53 + "…"),
    ],
)
def test_what_is_wrong_is_shown_as_far_as_it_goes(data: str, shown: str) -> None:
    """[16.4-1], issue 7, item 2: who sees why bytes are no PDU need not take them apart himself."""
    assert outline(bytes.fromhex(data)) == shown


@pytest.mark.parametrize("flag", ["--json", "--junit", "--html"])
def test_a_report_that_cannot_be_written_is_told_at_once(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """12.4: before a single case is played, and as a mistake of who asked for it."""
    (tmp_path / "file").write_text("in the way")
    assert main(["conform", "127.0.0.1:1", flag, str(tmp_path / "file" / "report")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_slow_case_that_is_named_is_played_by_the_reverse_mode_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """16: as it is against a server."""
    slow = next(case.id for case in of_clients() if case.slow)
    played: list[str] = []

    async def play(cases: Sequence[Case], options: serving.Options) -> list[Result]:
        played.extend(case.id for case in cases)
        return []

    monkeypatch.setattr(serving, "play", play)
    assert main(["conform", "--serve", ":5", "--client", "true", "--only", slow]) == 0
    assert slow in played


def test_plain_text_is_left_alone() -> None:
    """[16.4-1]: what can be seen is seen, in any script."""
    assert plain("größer, 漢字, naïve — ok") == "größer, 漢字, naïve — ok"
    assert plain("\u202e\U000e0041\ue000\xad") == "\\u{202e}\\u{e0041}\\u{e000}\\xad"
