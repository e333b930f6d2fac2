"""What may lie in the repository, by planted offenders; and the lock files, which decide what is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from quicchat import __version__
from quicchat.tools import check

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-uv.lock"]

# Put together here, so that this file does not hold what it looks for.
KEY = "-----BEGIN {}-----"
OPTION = "--{}index-url"
INDEX = "https://index.example{}"
HOME = "{}/ann/quicchat"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    """Package -> version, as a lock file has it."""
    found = re.findall(r"^([a-z0-9][a-z0-9.-]*)==([^ ;]+)", (ROOT / ".ci" / lock).read_text(), re.MULTILINE)
    return dict(found)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def tree(folder: Path) -> Path:
    """A checkout without a fault."""
    git(folder, "init", "--quiet")
    for name in check.TOP_LEVEL - {"certs", "spec", ".ci", "quicchat", "tests"}:
        (folder / name).write_text("")
    for name in ("certs/README.md", "spec/ARCHITECTURE.md", ".ci/run", "quicchat/__init__.py", "tests/test_a.py"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("")
    (folder / ".gitignore").write_text("*.pem\n")
    return folder


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "CERTIFICATE"])
def test_keys_and_certificates_are_found(kind: str) -> None:
    """A13: no PRIVATE KEY in tracked files, in whatever file it hides."""
    (fault,) = check.contents("docs/notes.md", "Look:\n" + KEY.format(kind) + "\nMIIE\n")
    assert fault == check.Fault("docs/notes.md", 2, "a key or certificate: made on first run")


@pytest.mark.parametrize("name", ["certs/server.key", "certs/ca.pem", "tests/a.p12", "leaf.crt", "leaf.der"])
def test_names_of_keys_are_found(name: str) -> None:
    """A13: nor a key in a form that is no text."""
    (fault,) = check.contents(name, "\ufffd\x00")
    assert "the name of a key" in fault.text


@pytest.mark.parametrize(
    "line",
    [
        OPTION.format("") + " x",
        "pip install " + OPTION.format("extra-") + "=x",
        "index" + "_url = x",
        INDEX.format("/simple/"),
        "https://files.python" + "hosted.org/packages/x.whl",
    ],
)
def test_package_indexes_are_found(line: str) -> None:
    """Where packages come from is the user's choice: no tracked file names an index."""
    (fault,) = check.contents(".ci/run", line)
    assert "a package index" in fault.text


@pytest.mark.parametrize("line", ["see " + HOME.format("/home"), "cd " + HOME.format("/Users"), "='/" + "root/x'"])
def test_paths_of_one_machine_are_found(line: str) -> None:
    """A path in somebody's home works on one machine only, and tells whose it is."""
    (fault,) = check.contents("README.md", line)
    assert fault.text == "a path in somebody's home"


@pytest.mark.parametrize(
    "line",
    [
        "uv pip compile --no-emit-index-url",
        "see https://datatracker.ietf.org/doc/html/rfc9000 for a simple overview",
        "~/.local/share/quicchat, $HOME/home/ann/x, ./root/x",
        "a certificate begins with BEGIN CERTIFICATE",
    ],
)
def test_what_only_looks_like_it_is_left_alone(line: str) -> None:
    """A check that cries wolf is switched off sooner or later."""
    assert list(check.contents("README.md", line)) == []


def test_the_first_folder_is_a_fixed_list() -> None:
    """Design §4, layout: nothing is missing there and nothing is added."""
    names = [f"{name}/x" for name in check.TOP_LEVEL]
    assert list(check.top_level([*names, ".gitignore"])) == []
    assert list(check.top_level([*names, "notes.txt", "docs/x"])) == [
        check.Fault("docs", 0, "does not belong in the top folder"),
        check.Fault("notes.txt", 0, "does not belong in the top folder"),
    ]
    assert list(check.top_level(name for name in names if name != "certs/x")) == [check.Fault("certs", 0, "is missing")]


def test_a_checkout_is_judged_by_what_git_would_take(tmp_path: Path) -> None:
    """A13: what is ignored does not count, what was added by force or not yet added does."""
    folder = tree(tmp_path)
    assert check.check(folder) == []
    (folder / "ignored.pem").write_text(KEY.format("PRIVATE KEY"))
    assert check.check(folder) == []
    git(folder, "add", "--force", "ignored.pem")
    (folder / "quicchat" / "new.py").write_text("x = 1\n")
    (folder / "tests" / "test_a.py").write_text("x = 1\n" * 401)
    assert [(fault.path, fault.text.split()[0]) for fault in check.check(folder)] == [
        ("ignored.pem", "does"),
        ("ignored.pem", "the"),
        ("ignored.pem", "a"),
        ("quicchat/new.py", "the"),
        ("tests/test_a.py", "401"),
    ]


def test_the_check_fails_as_a_command(tmp_path: Path) -> None:
    """`make check` hangs on the exit code: 0 clean, 1 with a line for each fault, 2 outside a checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}

    def run() -> tuple[int, str, str]:
        command = [sys.executable, "-P", "-m", "quicchat.tools.check"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    folder = tmp_path / "checkout"
    folder.mkdir()
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("quicchat: this needs git and a checkout: ")
    tree(folder)
    assert run() == (0, "", "")
    (folder / "notes.txt").write_text("")
    assert run() == (1, "notes.txt:0: does not belong in the top folder\n", "")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_hashes_and_names_no_address(lock: str) -> None:
    """Every requirement of a lock file is one version with its hashes, and no line holds an address or an option."""
    text = (ROOT / ".ci" / lock).read_text()
    assert "://" not in text
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    blocks = re.split(r"\n(?=\S)", "\n".join(lines))
    pattern = re.compile(r"[a-z0-9.-]+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert [block for block in blocks if not pattern.fullmatch(block)] == []
    assert len(blocks) == len(pins(lock)) > 0


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_files_fit_the_project(lock: str) -> None:
    """What pyproject.toml asks for is what the lock files hold: `make lock` was not forgotten, floors hold (W12)."""
    about = project()
    groups = about["dependency-groups"]
    wanted = {
        "requirements.lock": about["project"]["dependencies"] + groups["build"],
        "requirements-dev.lock": about["project"]["dependencies"] + [it for it in groups["dev"] if isinstance(it, str)],
        "requirements-uv.lock": groups["lock"],
    }[lock]
    held = pins(lock)
    for requirement in map(Requirement, wanted):
        assert held[requirement.name.replace("_", "-")] in requirement.specifier, requirement


def test_the_lock_files_agree() -> None:
    """What is tested is what is used: the development lock pins the same versions."""
    use, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in use} == use


def test_the_build_needs_what_is_locked() -> None:
    """The package is built without isolation, from the lock: so the two lists of its builder are one."""
    about = project()
    assert about["build-system"]["requires"] == about["dependency-groups"]["build"]


def test_the_wheel_is_the_package_and_nothing_else(tmp_path: Path) -> None:
    """R3.4, [12.1-2]: what `pip install .` installs: one package with its types, one command, its manual page."""
    script = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.strip()) as wheel:
        about = f"quicchat-{__version__}.dist-info"
        names = wheel.namelist()
        manual = f"quicchat-{__version__}.data/data/share/man/man1/quicchat.1"
        assert [name for name in names if not name.startswith(("quicchat/", f"{about}/"))] == [manual]
        assert {"quicchat/py.typed", "quicchat/__main__.py", f"{about}/licenses/LICENSE"} <= set(names)
        metadata = wheel.read(f"{about}/METADATA").decode().splitlines()
        entry_points = wheel.read(f"{about}/entry_points.txt").decode()
    for requirement in project()["project"]["dependencies"]:
        assert f"Requires-Dist: {requirement}" in metadata
    assert f"Version: {__version__}" in metadata
    assert "[console_scripts]\nquicchat=quicchat.__main__:main\n" in entry_points


def test_echo_runs_without_an_install(tmp_path: Path) -> None:
    """R3.4: `python echo.py` is the same program; where its dependencies are missing it says in one line what to do."""
    shutil.copy(ROOT / "echo.py", tmp_path)
    bare = [sys.executable, "-S", "echo.py", "--help"]
    told = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr == "quicchat: its dependencies are not installed; run `make demo` first, or `pip install .`\n"
    here = subprocess.run([sys.executable, "echo.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (here.returncode, here.stderr) == (0, "")
    assert "server" in here.stdout
    assert "client" in here.stdout


def lint(path: str, source: str) -> str:
    """What ruff says of a source that lies at a path of this repository."""
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        "--stdin-filename",
        path,
        "-",
    ]
    return subprocess.run(ruff, cwd=ROOT, input=source, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import asyncio\n\nx = asyncio.create_task\n", "use asyncio.TaskGroup"),
        ("import asyncio\n\nx = asyncio.ensure_future\n", "use asyncio.TaskGroup"),
        ("import asyncio\n\nx = asyncio.get_event_loop\n", "use asyncio.get_running_loop"),
        ("import time\n\nx = time.time\n", "comes from the Clock port"),
        ("from time import time_ns\n\nx = time_ns\n", "comes from the Clock port"),
        ("import time\n\nx = time.sleep\n", "stops the whole loop"),
        ("import random\n\nx = random.Random(1)\n", "not replayable"),
        ("from random import choice\n\nx = choice\n", "not replayable"),
        ("from datetime import UTC, datetime\n\nx = datetime.now(UTC)\n", "comes from the Clock port"),
        ("from datetime import datetime\n\nx = datetime.utcnow\n", "Naive"),
    ],
)
def test_footguns_are_banned_with_the_reason(source: str, reason: str) -> None:
    """Design §8: footguns are banned by lint, with the reason in the message, but for the places they belong in."""
    found = lint("quicchat/server/session.py", source)
    assert "TID251" in found
    assert reason in found
    assert "TID251" not in lint("quicchat/server/adapters/clock.py", source)


def test_naive_times_and_dropped_tasks_are_banned_everywhere() -> None:
    """Design §8: naive `datetime.now`, and a task that nobody holds, belong nowhere."""
    source = "import asyncio\nfrom datetime import datetime\n\nx = datetime.now()\n"
    source += "\n\nasync def f() -> None:\n    asyncio.create_task(f())\n"
    found = lint("quicchat/server/adapters/clock.py", source)
    assert "DTZ005" in found
    assert "RUF006" in found
