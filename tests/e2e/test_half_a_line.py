"""Three windows side by side, and a line that is half typed when the others speak: it stays, and goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.clients import Terminal
from tests.processes import ServerProcess

pytestmark = pytest.mark.socket

FACES = ("plain", "line")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = ("--no-demo", "--signup", "open", "--iterations", "4096")
    with ServerProcess(tmp_path_factory.mktemp("server"), *flags) as found:
        yield found


def enter(stack: ExitStack, server: ServerProcess, home: Path, user: str, ui: str, columns: int = 80) -> Terminal:
    """A window of somebody who is in."""
    home.mkdir()
    password = home / "password"
    password.touch(mode=0o600)
    password.write_text("my secret\n")
    flags = ("-s", "127.0.0.1", "-p", str(server.port), "-u", user)
    terminal = Terminal(home, *flags, ui=ui, columns=columns, QUICCHAT_PASSWORD_FILE=str(password))
    stack.enter_context(terminal)
    terminal.sees(f"you are {user}")
    terminal.until(lambda lines: typed(lines) == "")
    return terminal


def typed(lines: list[str]) -> str | None:
    """What stands behind the prompt, which is the lowest line that is not empty; None where it is no prompt."""
    lowest = next((line for line in reversed(lines) if line), "")
    found = re.fullmatch(r"(?:\w+)?>(?: (.*))?", lowest)
    return found and (found[1] or "")


@pytest.mark.parametrize("ui", FACES)
def test_three_windows(ui: str, server: ServerProcess, tmp_path: Path) -> None:
    """R1.3, R3.8, R1.7: three processes on terminals of their own see one another come, speak and leave."""
    users = [f"{name}{ui}" for name in ("ann", "bob", "cy")]
    with ExitStack() as stack:
        windows = [enter(stack, server, tmp_path / user, user, ui) for user in users]
        for window in windows[:-1]:
            window.sees(f"{users[-1]} is online")
        for user, window in zip(users, windows, strict=True):
            window.type(f"I am {user}")
            window.press("Enter")
            for other in windows:
                if other is not window:
                    other.sees(f"{user}: I am {user}")
        windows[0].type("/quit")
        windows[0].press("Enter")
        assert windows[0].exit_code() == 0
        for window in windows[1:]:
            window.sees(f"{users[0]} left (quit)")


@pytest.mark.parametrize("ui", FACES)
def test_half_a_line_stays(ui: str, server: ServerProcess, tmp_path: Path) -> None:
    """R4.20: half a line is typed, three messages come: it is still there below them, can be edited, and goes whole."""
    with ExitStack() as stack:
        one = enter(stack, server, tmp_path / "1", f"dora{ui}", ui)
        two = enter(stack, server, tmp_path / "2", f"eve{ui}", ui)
        one.sees(f"eve{ui} is online")
        one.type("half a lxx")
        one.until(lambda lines: typed(lines) == "half a lxx")
        for number in range(3):
            two.type(f"message {number}")
            two.press("Enter")
        one.sees(*(f": message {number}" for number in range(3)))
        lines = one.until(lambda lines: typed(lines) == "half a lxx")
        # Nothing was printed into it, and nothing of it was left behind.
        assert sum("half" in line for line in lines) == 1
        assert [line.rpartition(": ")[2] for line in lines if ": message" in line] == [f"message {n}" for n in range(3)]
        row, column = one.screen.cursor
        assert one.screen.lines[row][:column].endswith("> half a lxx")
        one.press("Backspace", "Backspace")
        one.type("ine")
        one.until(lambda lines: typed(lines) == "half a line")
        one.press("Enter")
        two.sees(f"dora{ui}: half a line")
        one.until(lambda lines: typed(lines) == "")


@pytest.mark.parametrize("ui", FACES)
def test_the_screen_is_full(ui: str, server: ServerProcess, tmp_path: Path) -> None:
    """R4.20: at the bottom of the screen, too, and with lines that are broken: each is there once, in its order."""
    with ExitStack() as stack:
        one = enter(stack, server, tmp_path / "1", f"finn{ui}", ui, columns=40)
        two = enter(stack, server, tmp_path / "2", f"gus{ui}", ui)
        one.sees(f"gus{ui} is online")
        one.type("still here")
        texts = [f"{number:02} {'word ' * (number % 12)}end." for number in range(40)]
        for text in texts:
            two.type(text)
            two.press("Enter")
        one.sees(f"{39:02} word")
        one.until(lambda lines: typed(lines) == "still here")
        flowing = "".join(line.strip().replace(" ", "") for line in one.everything)
        places = [flowing.find(f"gus{ui}:{text.replace(' ', '')}") for text in texts]
        assert -1 not in places
        assert places == sorted(places)
        assert flowing.count("stillhere") == 1
        one.press("Enter")
        two.sees(f"finn{ui}: still here")
