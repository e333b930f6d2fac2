"""What is made of the parsers and the command table: completion, the manual page, and the tables in pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quicchat.__main__ import _COMMANDS, main
from quicchat.config import ClientConfig, ServerConfig, settings
from quicchat.tools import parsers
from quicchat.tools.specgen import manual, shells, words
from quicchat.ui.commands import COMMANDS
from quicchat.ui.record import KEYS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "quicchat" / "tools" / "completion"


def completed(*typed: str) -> list[str]:
    """What bash offers for the last of these words."""
    script = f"""
        source {SCRIPTS / "quicchat.bash"}
        COMP_WORDS=({" ".join(f"'{word}'" for word in typed)}); COMP_CWORD={len(typed) - 1}
        _shtab_quicchat; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_flags_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.1-1]: commands, the flags of each, what a flag may be, and files where files belong."""
    assert {"server", "client", "send", "tail"} <= set(completed("quicchat", ""))
    assert completed("quicchat", "comp") == ["completion"]
    assert completed("quicchat", "client", "--sty") == ["--style"]
    assert completed("quicchat", "client", "--style", "") == ["default", "mystic", "classic"]
    assert set(completed("quicchat", "completion", "")) == set(parsers.SHELLS)
    (tmp_path / "photo.jpg").touch()
    monkeypatch.chdir(tmp_path)
    assert completed("quicchat", "send", "general", "-f", "ph") == ["photo.jpg"]


@pytest.mark.parametrize("shell", parsers.SHELLS)
def test_each_script_knows_every_command_and_flag(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """[12.1-1]: `quicchat completion` prints what was made of today's parsers; a shell that is here can read it."""
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert printed == shells.completions()[f"quicchat.{shell}"]
    for name, make in parsers.PARSERS.items():
        assert name in printed
        for action in make()._actions:
            for flag in action.option_strings:
                assert flag.lstrip("-") in printed, (name, flag)
    if (program := shutil.which(shell)) is not None:
        assert subprocess.run([program, "-n", SCRIPTS / f"quicchat.{shell}"], check=False).returncode == 0


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """[12.1-1]: one line that names those that are."""
    assert main(["completion", "tcsh"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


def test_every_command_has_a_parser() -> None:
    """C8: what runs is what help, completion and the manual page know."""
    assert list(_COMMANDS) == list(parsers.PARSERS)


def test_the_manual_page_knows_everything() -> None:
    """[12.1-2]: commands, settings with their variables, exit codes, and what is typed at the keyboard."""
    page = manual.manual().replace("\\-", "-")
    for name in parsers.PARSERS:
        assert f".SS quicchat {name}\n" in page
    for of in (ServerConfig, ClientConfig):
        for one in settings(of):
            assert one.flags[-1] in page
            assert (f"QUICCHAT_{one.name.upper()}" in page) is one.kept or not one.kept
    for each in COMMANDS:
        assert f".B {each.usage}\n" in page
    assert not re.search(r"^'", page, re.MULTILINE)


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_the_manual_page_is_roff() -> None:
    """[12.1-2]: groff has nothing to complain of, and what comes out is what was meant."""
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"],
        input=manual.manual(), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "/kick <user> [reason...]" in done.stdout
    assert "~/.config/quicchat/config.toml" in done.stdout


def test_the_block_is_put_where_a_page_has_a_place() -> None:
    """C8: the table in README and specification is that of today; a page without a place is a mistake."""
    page = "before\n<!-- commands: generated -->\nold\n<!-- end of commands -->\nafter\n"
    made = words.with_block(page)
    assert made == words.with_block(made)
    assert made.startswith("before\n")
    assert made.endswith("\nafter\n")
    assert "`/join`" in made
    assert "old" not in made
    for bad in ("no place", page + page):
        with pytest.raises(ValueError, match="a page has no place"):
            words.with_block(bad)


def test_the_tables_are_whole() -> None:
    """C8, R0.15: every command and every event of --json has its row."""
    commands, events = words.commands(), words.events()
    assert all(f"| `{each.usage}` |" in commands for each in COMMANDS)
    assert all(f"| `{name}` |" in events for name in KEYS)
