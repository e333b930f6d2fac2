"""The kit itself: what it chooses, how it judges, what it reports. What it finds in a server is tested elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from quicchat.__main__ import main
from quicchat.tools.conform import main as command
from quicchat.tools.conform import runner
from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases import every
from quicchat.tools.conform.ear import Turn
from quicchat.tools.conform.features import wished
from quicchat.tools.conform.quic import Line
from quicchat.tools.conform.report import Run, as_json, as_junit
from quicchat.tools.conform.runner import Result, chosen, judge, play
from quicchat.tools.conform.summary import summary
from quicchat.tools.conform.verdict import (
    Deviation,
    Failed,
    Informational,
    NonStrict,
    Unclean,
    Unimplemented,
    Verdict,
    WrongCode,
)
from tests.conformance.rude import Manners, closing, polite, serving

#: What somebody may say who wants to harm a terminal, or a page.
NASTY = 'a\x1b[2J\x9b0m\x00\r\n</script><img src=x onerror=alert(1)>"&\u202e\ud800\ufffe\x07'
WELL = Case("3.2-1", "well", lambda bench: asyncio.sleep(0))


def raising(error: Exception, **fields: object) -> Case:
    """A case that comes to this."""

    async def run(bench: Bench) -> None:
        raise error

    return Case("3.2-1", "planned", run, **fields)  # type: ignore[arg-type]


def nobody(**fields: object) -> Target:
    """A server that no case of these asks anything."""
    target = Target("127.0.0.1", 9, features=frozenset({"login"}))
    target.versions = (1, 2)
    return target


def judged(case: Case, manners: Manners = polite) -> Result:
    """What comes of a case at a server of these manners."""

    async def run() -> Result:
        async with serving(manners) as target:
            return await judge(case, target)

    return asyncio.run(run())


def result(verdict: Verdict, *, case: Case = WELL, text: str = "", close: Verdict = Verdict.OK) -> Result:
    return Result(case, verdict, text, 0.5, ((Turn(0.25, "server", 0, text),),), close)


def run_of(*results: Result, strict: bool = False, is_whole: bool = True) -> Run:
    return Run("127.0.0.1:9", (1, 2), frozenset({"login"}), results, 1.5, strict, is_whole)


# What is chosen


def test_cases_are_chosen_by_the_beginning_of_their_ids() -> None:
    """Issue 7, item 2, --only: a sentence, a case, a chapter, with or without the letters before them."""
    ids = [case.id for case in every()]
    assert len(set(ids)) == len(ids)
    assert {case.sentence for case in chosen(every(), ["3.1-2"])} == {"3.1-2"}
    assert [case.id for case in chosen(every(), ["QC-3.1-2/highest"])] == ["QC-3.1-2/highest-common-version"]
    assert {case.sentence.partition(".")[0] for case in chosen(every(), ["13.", "14."])} == {"13", "14"}
    assert len(chosen(every(), [])) == len(ids)


def test_every_case_is_about_a_sentence_that_there_is() -> None:
    """Issue 7, item 2: each failure shows the sentence of the spec; and the order is that of the pages."""
    assert [case.id for case in every() if case.sentence not in book().sentences] == []
    chapters = [int(case.sentence.partition(".")[0]) for case in every()]
    assert chapters == sorted(chapters)


def test_slow_cases_are_played_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 7, --slow, --thorough and --list: with a name, or with the flag; the list tells what each case needs."""
    for kind in ("slow", "thorough"):
        rare = next(case.id for case in every() if getattr(case, kind))
        for words, wanted in (([], False), ([f"--{kind}"], True), (["--only", rare], True)):
            assert main(["conform", "--list", "--json", "-", *words]) == 0
            found = json.loads(capsys.readouterr().out)
            assert (rare in [each["id"] for each in found]) is wanted
    assert main(["conform", "--list", "--only", "13.1-1"]) == 0
    printed = capsys.readouterr().out
    assert "[13.1-1] An end MUST offer the ALPN" in printed
    assert "\n    QC-13.1-1/no-alpn\n" in printed
    assert "early      tickets and early data" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which server"),
        (["127.0.0.1:x"], "is no HOST:PORT"),
        (["[::1"], "is no HOST:PORT"),
        (["127.0.0.1:70000"], "is no HOST:PORT"),
        (["localhost", "--only", "99.9"], "no case begins with 99.9"),
        (["localhost", "--features", "beer"], "beer is no feature"),
        (["localhost", "--user", "al"], "there are 1 --user and 0 passwords"),
        (["localhost", "-j", "0"], "no number of cases"),
        (["localhost", "--password-file", "/nowhere", "--user", "al"], "cannot read /nowhere"),
    ],
)
def test_what_makes_no_sense_is_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 7: usage is exit code 2, and one line."""
    assert main(["conform", *words]) == 2
    assert said in capsys.readouterr().err


def test_addresses() -> None:
    """Issue 7: HOST:PORT, of either family, the port by default."""
    assert command.address("chat.example") == ("chat.example", 55667)
    assert command.address("127.0.0.1:5000") == ("127.0.0.1", 5000)
    assert command.address("[::1]:5000") == ("::1", 5000)
    assert command.address("[::1]") == command.address("::1") == ("::1", 55667)


def test_passwords_come_from_a_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 7: --user in pairs with --password, with lines of --password-file or of the one in the environment."""
    seen: list[object] = []

    def run(wanted: command.Wanted) -> int:
        seen.append(wanted.accounts)
        return 0

    monkeypatch.setattr(command, "run", run)
    file = tmp_path / "passwords"
    file.write_text("first\nsecond\n")
    users = ["conform", "localhost", "--user", "al", "--user", "bo"]
    assert main([*users, "--password", "first", "--password", "second"]) == 0
    assert main([*users, "--password-file", str(file)]) == 0
    monkeypatch.setenv("QUICCHAT_PASSWORD_FILE", str(file))
    assert main(users) == 0
    assert seen == [[("al", "first"), ("bo", "second")]] * 3


# How it judges


@pytest.mark.parametrize("error", [Failed, WrongCode, NonStrict, Unimplemented, Informational])
def test_what_a_case_says_is_its_verdict(error: type[Deviation]) -> None:
    """[16.2-1]: what a case raises about the behaviour says nothing about the close."""
    found = asyncio.run(judge(raising(error("for a reason")), nobody()))
    assert (found.behaviour, found.close, found.text) == (error.verdict, Verdict.OK, "for a reason")
    assert found.verdict is error.verdict


def test_a_close_is_judged_for_itself() -> None:
    """[16.2-1]: a case that finds the close wrong has found the behaviour right."""
    found = asyncio.run(judge(raising(Unclean("no close")), nobody()))
    assert (found.behaviour, found.close, found.verdict) == (Verdict.OK, Verdict.UNCLEAN, Verdict.UNCLEAN)


async def _ping(bench: Bench) -> None:
    talk = await bench.negotiated(1)
    talk.say("PING", nonce=7)
    await talk.ear.quietly(lambda: talk.line.closed, 5.0)
    raise Failed("it went away")


@pytest.mark.parametrize(
    ("manners", "close", "said"),
    [
        (closing("STATE", "STATE"), Verdict.OK, ""),
        (closing("STATE", "SCHEMA"), Verdict.UNCLEAN, "ERROR says STATE, the close SCHEMA"),
        (closing("STATE", "STATE", more=True), Verdict.UNCLEAN, "it went on after ERROR STATE, fatal"),
    ],
)
def test_every_close_is_looked_at(manners: Manners, close: Verdict, said: str) -> None:
    """[16.2-1]: ERROR and close are compared in every case, also in one that has failed for another reason."""
    found = judged(Case("3.2-1", "ping", _ping), manners)
    assert (found.behaviour, found.close) == (Verdict.FAILED, close)
    assert found.text.startswith("it went away")
    assert said in found.text


def test_what_is_no_pdu_is_the_servers_mistake() -> None:
    """[16.2-2]: bytes that mean nothing fail the case that waited for something, and are no fault of the kit."""

    def manners(line: Line, sid: int, pdu: object) -> None:
        line.say(sid, b"\x03\xff\xff\xff")

    found = judged(Case("3.2-1", "ping", lambda bench: _negotiated(bench)), manners)
    assert (found.behaviour, found.fault) == (Verdict.FAILED, "")
    assert "what is no PDU" in found.text


async def _negotiated(bench: Bench) -> None:
    await bench.negotiated(1)


def test_a_mistake_of_the_kit_ends_nothing_else() -> None:
    """[16.2-2]: it is told with its place, counts for no verdict, and the other cases are played."""
    broken = raising(KeyError("oops"))
    cases = [WELL, broken, Case("3.2-1", "after", lambda bench: asyncio.sleep(0))]
    found = asyncio.run(play(cases, nobody(), at_once=1))
    assert [each.verdict for each in found if not each.fault] == [Verdict.OK, Verdict.OK]
    assert "KeyError: 'oops'" in found[1].fault
    told = run_of(*found)
    assert sum(told.counts.values()) == 2
    assert "FAULT OF THE KIT  QC-3.2-1/planned" in "\n".join(summary(told))
    assert json.loads(as_json(told))["cases"][1]["verdict"] == "FAULT"
    assert Xml.fromstring(as_junit(told)).get("errors") == "1"


def test_a_case_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 7: nothing waits for ever."""
    monkeypatch.setattr(runner, "LONGEST", 0.05)
    found = asyncio.run(judge(Case("3.2-1", "hangs", lambda bench: asyncio.sleep(60)), nobody()))
    assert (found.verdict, found.text) == (Verdict.FAILED, "it took longer than 0.05 s")


def test_what_a_server_lacks_is_not_played() -> None:
    """[16.3-1]: a case that needs a feature, or a version, that is not there."""
    for case in (raising(Failed("played"), needs=frozenset({"files"})), raising(Failed("played"), since=3)):
        found = asyncio.run(judge(case, nobody()))
        assert found.verdict is Verdict.UNIMPLEMENTED
    assert wished(["files", "-keys"]) == {"files": True, "keys": False}


def test_alone_means_alone() -> None:
    """[16.1-2]: cases that disturb come after all others, one by one, and those with a controller at the very end."""
    order: list[str] = []
    playing = 0

    def noting(name: str) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            nonlocal playing
            playing += 1
            await asyncio.sleep(0.01)
            order.append(f"{name}{playing}")
            playing -= 1

        return run

    cases = [
        Case("3.2-1", "kills", noting("kills"), needs=frozenset({"control"})),
        Case("3.2-1", "loud", noting("loud"), alone=True),
        Case("3.2-1", "one", noting("quiet")),
        Case("3.2-1", "two", noting("quiet")),
    ]
    target = nobody()
    target.features |= {"control"}
    found = asyncio.run(play(cases, target, at_once=4))
    assert order == ["quiet2", "quiet1", "loud1", "kills1"]
    assert [each.case.name for each in found] == ["kills", "loud", "one", "two"]


@pytest.mark.parametrize(("bad", "verdict"), [(1, Verdict.OK), (2, Verdict.FAILED)])
def test_what_is_bad_is_played_once_more(bad: int, verdict: Verdict) -> None:
    """[16.1-3]: alone and at the end; the second time counts, and the report tells that there was a first."""
    order: list[str] = []

    async def luckless(bench: Bench) -> None:
        order.append("luckless")
        if order.count("luckless") <= bad:
            raise Failed("too late")

    async def other(bench: Bench) -> None:
        order.append("other")

    cases = [Case("3.2-1", "luckless", luckless), Case("3.2-1", "other", other)]
    seen: list[Result] = []
    found = asyncio.run(play(cases, nobody(), at_once=1, tell=seen.append))
    assert order == ["luckless", "other", "luckless"]
    assert [each.verdict for each in found] == [verdict, Verdict.OK]
    assert [each.again for each in found] == [True, False]
    assert [each.case.name for each in seen] == ["other", "luckless"]
    told = "\n".join(summary(run_of(*found)))
    assert ("OK AGAIN  QC-3.2-1/luckless  at first FAILED: too late" in told) is (verdict is Verdict.OK)
    assert json.loads(as_json(run_of(*found)))["cases"][0]["again"] is True


def test_a_bad_server_is_not_played_twice() -> None:
    """[16.1-3]: where much is bad it is no bad luck; each result is told once."""
    seen: list[Result] = []
    calls = 0

    async def bad(bench: Bench) -> None:
        nonlocal calls
        calls += 1
        raise Failed("no")

    cases = [Case("3.2-1", str(number), bad) for number in range(runner.DOUBTS + 1)]
    found = asyncio.run(play(cases, nobody(), at_once=1, tell=seen.append))
    assert calls == len(found) == len(seen) == runner.DOUBTS + 1
    assert {(each.verdict, each.again) for each in found} == {(Verdict.FAILED, False)}


def test_rates_are_waited_for() -> None:
    """[16.1-2]: who closes a connection for its rate is called again, more slowly, until the case is played."""
    calls = 0

    def come(line: Line) -> None:
        nonlocal calls
        calls += 1

    def manners(line: Line, sid: int, pdu: object) -> None:
        if calls < 3:
            line.close(book().codes["RATE_LIMITED"])
        else:
            polite(line, sid, pdu)  # type: ignore[arg-type]

    async def run() -> tuple[Result, bool]:
        async with serving(manners, come) as target:
            return await judge(Case("3.2-1", "ping", _negotiated), target), target.is_limited

    found, limited = asyncio.run(run())
    assert (found.verdict, calls, limited) == (Verdict.OK, 3, True)
