"""What errands share: their own devices, who logs in, the bars, and where a file goes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from quicchat.__main__ import main
from quicchat.client.login import Identity
from quicchat.config import ClientConfig
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui import errands
from quicchat.ui.bars import Bars
from quicchat.ui.entry import Known
from quicchat.ui.errands import _device, _outlet
from quicchat.ui.figures import rate_of, share_of, size_of, span_of
from quicchat.ui.jobs import Fetch
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain
from quicchat.ui.render import Text
from quicchat.ui.visible import visible
from quicchat.wire.chapters.messages import Kind
from tests.ui.items import NASTY, freight, listed


@pytest.fixture
def errand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The last errand that was run, with its configuration."""
    for name in [name for name in os.environ if name.startswith("QUICCHAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUICCHAT_HOME", str(tmp_path))
    found: list[Any] = []

    def run(*given: Any) -> int:
        found.extend(given)
        return 0

    monkeypatch.setattr(errands, "run", run)
    return found


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("send general -f a.txt b", {"to": "general", "paths": ["a.txt", "b"], "name": None, "takes_input": False}),
        ("send @Bob -f - --name x.log", {"to": "@bob", "paths": ["-"], "name": "x.log", "takes_input": True}),
        ("send #R1 look at --file a b -f c", {"to": "r1", "paths": ["a", "b", "c"], "caption": "look at"}),
        ("send general hello all", {"to": "general", "text": "hello all", "kind": Kind.TEXT, "reply": None}),
        ("send @Bob --emote waves -- --back", {"to": "@bob", "text": "waves --back", "kind": Kind.EMOTE}),
        ("send * - --code --reply #12", {"to": "*", "text": None, "kind": Kind.CODE, "reply": 12, "takes_input": True}),
        ("tail general", {"room": "general", "count": 20, "follow": True, "takes_input": False}),
        ("tail @Bob -n 0 --no-follow --json", {"room": "@bob", "count": 0, "follow": False}),
        ("tail ALL --follow --lines 7", {"room": None, "count": 7, "follow": True}),
        ("tail #all", {"room": "all"}),
        ("tail *", {"room": "*"}),
        ("get a.txt", {"what": "a.txt", "out": None, "room": None, "fast": False, "repair": True, "quiet": False}),
        ("get a.txt -o -", {"what": "a.txt", "out": "-", "quiet": True}),
        (
            "get --fast a.txt --no-repair --room r1 -o x/",
            {"fast": True, "repair": False, "room": "r1"},
        ),
        ("get a.tar -o b.tar", {"unpacks": False}),
        ("files", {"place": None}),
        ("files r1 --json", {"place": "r1"}),
    ],
)
def test_errands(errand: list[Any], line: str, facts: dict[str, Any]) -> None:
    """[12.8]: the forms of `send`, `get` and `files`, with the flags of a client."""
    words = line.split()
    at = words.index("--") if "--" in words else len(words)
    assert main([*words[:at], "-s", "127.0.0.1", "-p", "5000", "-u", "alice", *words[at:]]) == 0
    config, job = errand
    assert {name: getattr(job, name) for name in facts} == facts
    assert (config.host, config.port, config.user) == ("127.0.0.1", 5000, "alice")
    assert config.json == ("--json" in line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("send", "arguments are required: ROOM"),
        ("send general", "say what to send"),
        ("send general --emote", "say what to send"),
        ("send a,b x", "is no room's name"),
        ("send @a,b x", "is no user's name"),
        ("send a,b -f x", "is no room's name"),
        ("send general -f - x", "sent alone"),
        ("send general -f x --name y", "--name says"),
        ("send general x --name y", "say with -f which files"),
        ("send general - -f x", "as a caption"),
        ("send general x -f x --code", "do not go with files"),
        ("send general x --code --emote", "do not go together"),
        ("send general x --reply -3", "--reply: '-3' is no place"),
        ("send general x --reply twelve", "--reply: 'twelve' is no place"),
        ("tail", "arguments are required: ROOM"),
        ("tail a,b", "is no room's name"),
        ("tail general -n many", "-n: 'many' is not a number from 0 to 100000"),
        ("tail general -n 100001", "-n: '100001' is not a number"),
        ("get x --fast -o -", "datagrams have no order"),
        ("get x --style mystic", "--style is unknown"),
    ],
)
def test_bad_errands(errand: list[Any], capsys: pytest.CaptureFixture[str], line: str, text: str) -> None:
    """[12.8]: one line, before anybody is asked for a password."""
    assert main(line.split()) == 2
    output = capsys.readouterr()
    assert (errand, output.out, output.err.count("\n")) == ([], "", 1)
    assert text in output.err


def test_an_empty_name_is_not_this_directory(errand: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """[12.8]: `send general "$FILE"` with nothing in FILE must not send all that lies around."""
    assert main(["send", "general", "-f", ""]) == 2
    assert (errand, capsys.readouterr().err) == ([], "quicchat: the name of a file is empty\n")
    for words in ([""], [" ", ""], ["\udcff"], ["x" * 1_048_577]):
        assert main(["send", "general", *words]) == 2
    assert errand == []


def test_errands_at_once_have_devices_of_their_own(tmp_path: Path) -> None:
    """[12.8]: two of them disturb neither each other nor the client; the next one finds the token of the first."""
    with _device(tmp_path) as one, _device(tmp_path) as two:
        assert one != two
        assert tmp_path not in (one, two)
    with _device(tmp_path) as again:
        assert again == one


def test_there_is_an_end_of_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.8]: a line, not a wait, where too many run."""
    monkeypatch.setattr("quicchat.ui.errands._AT_ONCE", 1)
    with _device(tmp_path), pytest.raises(UsageError, match="in use"), _device(tmp_path):
        pass


def typed(text: str) -> Lines:
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return Lines(reader)


def test_a_token_is_tried_before_a_password_is_read() -> None:
    """[12.8]: in a pipe the token of the last time; the lines of standard input only where it is not good."""
    known = Known("alice", typed("secret\n"))
    first = known.first()
    assert first == Identity(user="alice")
    second = known.again(first, Refused(Code.AUTH_FAILED))
    assert (second.user, second.password, second.sign_up) == ("alice", "secret", False)
    with pytest.raises(UsageError, match="is missing"):
        Known("alice", Lines(None)).again(first, Refused(Code.TOKEN_EXPIRED))
    assert Known(None, typed("bob\nsecret\n")).first().user == "bob"


@pytest.mark.parametrize(
    ("out", "folder", "unpacks", "quiet"),
    [
        (None, ".", True, False),
        ("here", "here", True, False),
        ("new/", "new", True, False),
        ("here/x.bin", "here", False, False),
        ("x.bin", ".", False, False),
        ("-", ".", True, True),
    ],
)
def test_where_a_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str | None, folder: str, unpacks: bool, quiet: bool
) -> None:
    """[12.8]: -o names a file, a directory, or standard output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    job = Fetch("photo.jpg", out)
    assert (job.folder, job.unpacks, job.quiet) == ((tmp_path / folder).absolute(), unpacks, quiet)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_bars_move_and_harm_no_terminal(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """U1, issue 4, 7: how far, how fast, how long; of a name nothing reaches the terminal raw, rich's marks neither."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    bars = Bars(Text(Plain(io.StringIO(), err), "default", "%H:%M"))
    bars.tell(freight(f"[bold]{text}", step="begins"))
    bars.tell(freight(f"[bold]{text}", done=1_900_000))
    bars.close()
    bars.tell(freight(f"[bold]{text}", state="done", done=2_000_000, eta=None, step="here", reason=""))
    bars.close()
    shown = err.getvalue()
    assert "[bold]" in shown
    assert "1.9 MB of 2.0 MB  250 kB/s  4.0 s to go" in shown
    assert "is here and verified" in shown
    assert visible(shown.replace("\n", "")) == shown.replace("\n", "")


def test_pipes_are_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """[12.8]: without a terminal nothing but lists and failures; objects with --json, and beside content on stderr."""
    from quicchat.ui.outcomes import Files

    def printed(quiet: bool, **settings: Any) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        outlet = _outlet(ClientConfig(data=tmp_path, **settings), quiet=quiet)
        outlet.tell(freight("x", step="here"))
        outlet.tell(Files(None, [listed("notes.pdf")]))
        outlet.close()
        return out.getvalue(), err.getvalue()

    out, err = printed(False)
    assert ("notes.pdf" in out, out.count("\n"), err) == (True, 1, "")
    out, err = printed(False, json=True)
    assert (out.count("\n"), '"event":"transfer"' in out, err) == (2, True, "")
    out, err = printed(True, json=True)
    assert (out, err.count("\n")) == ("", 2)


def test_figures() -> None:
    """Issue 4, 7: sizes, rates, times and shares as people read them, at their edges."""
    assert [size_of(count) for count in (0, 999, 1000, 9_949, 9_950, 999_499, 999_500, 12_345_678, 2**40)] == (
        ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "12 MB", "1.1 TB"]
    )
    assert rate_of(1_250_000.0) == "1.2 MB/s"
    assert [span_of(seconds) for seconds in (0.04, 9.94, 9.96, 59.4, 59.6, 3599, 7500)] == (
        ["0.0 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "59 min 59 s", "2 h 5 min"]
    )
    assert [share_of(*each) for each in ((0, 0), (999, 1000), (1000, 1000), (5, None))] == (
        ["100 %", "99 %", "100 %", "?"]
    )
