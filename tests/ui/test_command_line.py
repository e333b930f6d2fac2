"""The command line: what people type, and the one line they get when it is wrong. (spec 12-operation)"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quicchat.__main__ import main
from quicchat.config import ClientConfig, ServerConfig
from quicchat.errors import UsageError
from quicchat.tools.parsers import PARSERS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("QUICCHAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUICCHAT_HOME", str(tmp_path / "home"))


class Ran:
    """Stands for server and client: keeps what they were started with, and ends as it is told to."""

    def __init__(self) -> None:
        self.config: Any = None
        self.code = 0
        self.error: BaseException | None = None

    def __call__(self, config: Any) -> int:
        self.config = config
        if self.error is not None:
            raise self.error
        return self.code


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    found = Ran()
    for name in ("quicchat.server.app", "quicchat.ui.main"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(run=found))
    return found


Complaint = Callable[..., str]


@pytest.fixture
def complaint(ran: Ran, capsys: pytest.CaptureFixture[str]) -> Iterator[Complaint]:
    """Runs a command that must fail, and gives the one line that it prints."""

    def run(*words: str, code: int = 2) -> str:
        assert main(words) == code
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("quicchat: ")
        assert output.err.endswith("\n")
        assert output.err.count("\n") == 1
        return output.err.removeprefix("quicchat: ").removesuffix("\n")

    yield run
    assert ran.config is None or ran.error is not None


@pytest.mark.parametrize(
    ("line", "listen", "port"),
    [
        ("server", ("127.0.0.1", "::1"), 55667),
        ("server -l 127.0.0.1 -p 55667", ("127.0.0.1",), 55667),
        ("server 5000", ("127.0.0.1", "::1"), 5000),
        ("server -p 5000", ("127.0.0.1", "::1"), 5000),
        ("server -l 192.0.2.7 5000 -l ::", ("192.0.2.7", "::"), 5000),
        ("server --listen=[::1] --port=0", ("::1",), 0),
        ("server --demo 12000", ("127.0.0.1", "::1"), 12000),
    ],
)
def test_server(ran: Ran, line: str, listen: tuple[str, ...], port: int) -> None:
    """R1.1, R2.4, R3.3: the forms in which a server is started."""
    assert main(line.split()) == 0
    assert isinstance(ran.config, ServerConfig)
    assert (ran.config.listen, ran.config.port) == (listen, port)


@pytest.mark.parametrize(
    ("line", "host", "port", "user"),
    [
        ("client", "localhost", 55667, None),
        ("client -s 127.0.0.1 -p 55667", "127.0.0.1", 55667, None),
        ("client chat.example", "chat.example", 55667, None),
        ("client chat.example 5000", "chat.example", 5000, None),
        ("client chat.example 5000 alice", "chat.example", 5000, "alice"),
        ("client ::1 --plain 5000 --json alice", "::1", 5000, "alice"),
        ("client -u alice chat.example", "chat.example", 55667, "alice"),
        ("client --style mystic alice chat.example 5000", "chat.example", 5000, "alice"),
        ("client alice chat.example --style mystic", "chat.example", 55667, "alice"),
        ("client --style classic chat.example 5000 alice", "chat.example", 5000, "alice"),
    ],
)
def test_client(ran: Ran, line: str, host: str, port: int, user: str | None) -> None:
    """R1.2, R2.9, R3.3: the forms in which a client is started; style mystic puts the user first."""
    assert main(line.split()) == 0
    assert isinstance(ran.config, ClientConfig)
    assert (ran.config.host, ran.config.port, ran.config.user) == (host, port, user)


def test_the_order_of_mystic_follows_the_style_wherever_it_is_set(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2.9: also with the style in the environment."""
    monkeypatch.setenv("QUICCHAT_STYLE", "mystic")
    assert main(["client", "alice", "chat.example", "5000"]) == 0
    assert (ran.config.host, ran.config.port, ran.config.user) == ("chat.example", 5000, "alice")


def test_port_in_the_environment(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2.4: QUICCHAT_PORT; a flag and an argument win over it."""
    monkeypatch.setenv("QUICCHAT_PORT", "12000")
    ports = []
    for line in ("server", "client", "server 5", "client -p 6", "client h 7"):
        assert main(line.split()) == 0
        ports.append(ran.config.port)
    assert ports == [12000, 12000, 5, 6, 7]


def test_file_of_settings(ran: Ran, tmp_path: Path) -> None:
    """Issue 2.10: --config FILE."""
    (tmp_path / "c.toml").write_text("[server]\nport = 7\nlisten = ['::1']\n[client]\nhost = 'h'\n")
    assert main(["server", "--config", str(tmp_path / "c.toml"), "-l", "127.0.0.1"]) == 0
    assert (ran.config.port, ran.config.listen) == (7, ("127.0.0.1",))
    assert main(["client", "--config", str(tmp_path / "c.toml")]) == 0
    assert ran.config.host == "h"


def test_flags_of_the_client(ran: Ran) -> None:
    """Issue 2.9: what scripts say."""
    words = ["-u", "alice", "-e", "/join a", "--execute=-hello, all-", "--versions", "9,1", "--wait", "--no-json"]
    assert main(["client", *words, "--time", "%H.%M", "--fingerprint", "ab" * 32, "--ca", "~/ca.pem"]) == 0
    config = ran.config
    assert (config.commands, config.versions, config.wait, config.json) == (
        ("/join a", "-hello, all-"),
        (9, 1),
        True,
        False,
    )
    assert (config.time, config.fingerprint, config.ca) == ("%H.%M", "ab" * 32, Path.home() / "ca.pem")


def test_flags_of_the_server(ran: Ran) -> None:
    """R1.11, R3.1, R3.7: policies."""
    assert (
        main(["server", "--open-signup", "--no-demo", "--mode", "echo", "--sessions=single", "--name=a", "--name=b"])
        == 0
    )
    config = ran.config
    assert (config.signup, config.demo, config.mode, config.sessions) == ("open", False, "echo", "single")
    assert config.names == ("a", "b")


@pytest.mark.parametrize("code", [0, 3, 5])
def test_exit_code(ran: Ran, code: int) -> None:
    """Issue 2.9: what server and client return is the exit code."""
    ran.code = code
    assert main(["client"]) == code


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("server abc", "--port: 'abc' is not a whole number from 0 to 65535"),
        ("server 70000", "--port: '70000' is not a whole number from 0 to 65535"),
        ("server -p abc", "--port: 'abc' is not a whole number from 0 to 65535"),
        ("server -p 70000", "--port: '70000' is not a whole number from 0 to 65535"),
        ("server -p -1", "--port: '-1' is not a whole number from 0 to 65535"),
        ("server -p", "argument -p/--port: expected one argument (quicchat server --help explains)"),
        ("server -l", "argument -l/--listen: expected one argument (quicchat server --help explains)"),
        ("server 5 6", "'6' is one argument too many"),
        ("server 5 -p 6", "the port is given twice: '5' and '6'"),
        ("server --mode talk", "--mode: 'talk' is not one of chat, echo"),
        ("server --cert a", "--cert and --key belong together: give both or none"),
        ("server --prot 5", "--prot is unknown; did you mean --port? (quicchat server --help explains)"),
        ("server --xyzzy", "--xyzzy is unknown (quicchat server --help explains)"),
        ("client -p abc", "--port: 'abc' is not a whole number from 1 to 65535"),
        ("client -p 70000", "--port: '70000' is not a whole number from 1 to 65535"),
        ("client -p 0", "--port: '0' is not a whole number from 1 to 65535"),
        ("client -s", "argument -s/--host: expected one argument (quicchat client --help explains)"),
        ("client -s a/b", "--host: 'a/b' is not a host name or an IP address"),
        ("client host abc", "--port: 'abc' is not a whole number from 1 to 65535"),
        ("client host 5 alice bob", "'bob' is one argument too many"),
        ("client host -s other", "the host is given twice: 'host' and 'other'"),
        ("client --style mystic alice -u bob", "the user is given twice: 'alice' and 'bob'"),
        ("client --versions 0", "--versions: '0' is not a whole number from 1 to 255"),
        ("sever", "sever is unknown; did you mean server? (quicchat --help explains)"),
        ("sever --port 5", "sever is unknown; did you mean server? (quicchat --help explains)"),
        ("--verson", "--verson is unknown; did you mean --version? (quicchat --help explains)"),
        ("", f"say what to do: {', '.join(PARSERS)} (quicchat --help explains)"),
    ],
)
def test_bad_forms(complaint: Complaint, line: str, said: str) -> None:
    """R4.2, issue 2.10: every bad form gives one line that says what is wrong, and exit code 2."""
    assert complaint(*line.split()) == said


@pytest.mark.parametrize("words", [["--password", "hunter2"], ["--password=hunter2"], ["--passwd=hunter2"]])
def test_passwords_are_no_flags(complaint: Complaint, words: list[str]) -> None:
    """Issue 2.6: passwords never on the command line; who tries is told the way, and it is not repeated."""
    said = complaint("client", *words)
    assert "hunter2" not in said
    assert "--password-file" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("the port is taken", 3), 3), (UsageError("the key changed", 4), 4), (UsageError("no such flag"), 2)],
)
def test_expected_faults(ran: Ran, complaint: Complaint, error: UsageError, code: int) -> None:
    """Issue 2.10: one line and the exit code of the fault, also out of a group of tasks."""
    ran.error = error
    assert complaint("server", code=code) == str(error)
    ran.error = ExceptionGroup("tasks", [ExceptionGroup("more", [error])])
    assert complaint("client", code=code) == str(error)


def test_unexpected_faults(ran: Ran, complaint: Complaint) -> None:
    """Issue 2.10: no traceback, but how to get it."""
    ran.error = ValueError("what\n\x1b[2J")
    said = complaint("server", code=1)
    assert said == "internal mistake: ValueError: what\u240a\u241b[2J (QUICCHAT_DEBUG=1 shows where)"


def test_traceback_on_demand(ran: Ran, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 2.10: QUICCHAT_DEBUG=1 shows where."""
    monkeypatch.setenv("QUICCHAT_DEBUG", "1")
    ran.error = ValueError("what")
    assert main(["server"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_a_peer_says_cannot_reach_the_terminal(ran: Ran, complaint: Complaint) -> None:
    """U1: a fault may quote the peer; control characters are shown, not obeyed."""
    ran.error = UsageError("he said \x1b]0;title\x07\r\n\x9b\u202e", 3)
    assert complaint("client", code=3) == "he said \u241b]0;title\u2407\u240d\u240a\ufffd\ufffd"


def test_interrupt(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 2.9: 130, and nothing is said."""
    ran.error = KeyboardInterrupt()
    assert main(["client"]) == 130
    assert capsys.readouterr().err == ""


def test_fingerprint(ran: Ran, complaint: Complaint, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Issue 2.8: the operator can ask for what his users compare."""
    from datetime import UTC, datetime

    from quicchat.server.adapters.certificates import load_or_make

    assert "there is no certificate" in complaint("fingerprint", code=3)
    made = load_or_make(tmp_path / "home" / "server", [], datetime.now(UTC))
    assert main(["fingerprint"]) == 0
    assert main(["fingerprint", "--data", str(tmp_path / "home" / "server")]) == 0
    assert capsys.readouterr().out == f"{made.authority}\n" * 2


# Real processes


def quicchat(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quicchat", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--help"], ["server", "-h"], ["client", "--help"], ["fingerprint", "-h"], ["--version"]]
)
def test_help(words: list[str]) -> None:
    """R1.12: every command explains itself on stdout, exit code 0."""
    done = quicchat(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "quicchat" in done.stdout


@pytest.mark.parametrize("command", ["server", "client"])
def test_help_names_every_setting(command: str) -> None:
    """Issue 2.10: no setting without its flag in the help."""
    from quicchat.config import settings

    shown = quicchat(command, "--help").stdout
    of = ServerConfig if command == "server" else ClientConfig
    assert [one.name for one in settings(of) if one.flags[-1] not in shown] == []


def test_help_imports_nothing_heavy() -> None:
    """Issue 2.10: help is there before anything of network, cryptography or display is loaded."""
    heavy = [
        "asyncio",
        "aioquic",
        "cryptography",
        "cbor2",
        "sqlite3",
        "ssl",
        "logging",
        "tomllib",
        "importlib.metadata",
    ]
    code = (
        "import sys; from quicchat.__main__ import main; main(['client', '--help']); "
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("command", ["server", "client", "fingerprint"])
def test_help_loads_nothing_heavy(command: str) -> None:
    """Issue 2.10: --help comes at once, because it imports neither network, store nor cryptography.

    What that is worth in milliseconds is measured by hand; a timed test would fail on a busy machine.
    """
    code = (
        "import sys\n"
        "from quicchat.__main__ import main\n"
        f"main([{command!r}, '--help'])\n"
        "print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    heavy = {"asyncio", "aioquic", "cbor2", "cryptography", "sqlite3", "ssl", "logging"}
    loaded = set(done.stderr.split())
    assert heavy & loaded == set()
    assert {"quicchat.server", "quicchat.client", "quicchat.ui", "quicchat.transport"} & loaded == set()


def test_an_interrupted_process() -> None:
    """R3.11, issue 2.9: Ctrl-C in a client ends with 130, without a traceback."""
    code = (
        "import sys, types, signal; from quicchat.__main__ import main\n"
        "def run(config): print('up', flush=True); signal.pause()\n"
        "sys.modules['quicchat.ui.main'] = types.SimpleNamespace(run=run)\n"
        "sys.exit(main(['client']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize("words", [["client", "--help"], ["--version"]])
def test_a_reader_that_goes_away(words: list[str]) -> None:
    """U9: `quicchat --help | true` says nothing about broken pipes."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "quicchat", *words],
            cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, env=environ, timeout=30, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_stdout_and_stdin() -> None:
    """U9: closed stdin and stdout are no traceback."""
    code = f"exec {sys.executable} -m quicchat server -p x <&- >&-"
    done = subprocess.run(["sh", "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_echo_py_is_the_same_program() -> None:
    """R3.3: `python echo.py …` as in the founding text."""
    assert importlib.util.find_spec("aioquic"), "the tests run where the dependencies are"
    done = subprocess.run(
        [sys.executable, "echo.py", "client", "-p", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "quicchat: --port: 'x' is not a whole number from 1 to 65535\n"
