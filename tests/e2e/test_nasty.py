"""What somebody hostile says, in all the places where one can say something, on the terminals of the others."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from quicchat.client.api import Chat
from quicchat.client.files.sources import PathSource
from quicchat.wire.chapters.presence import Show
from tests.e2e.clients import PATIENCE, ROOT, Client, Terminal, environment
from tests.processes import CHEAP, ServerProcess
from tests.ui.items import NASTY
from tests.visitors import Visitor, visit

pytestmark = pytest.mark.socket

#: All that is nasty; the same in so few bytes that it can be a topic, a status or a reason.
WORST = "<" + "".join(NASTY.values()) + ">"
SHORT = (
    "<\x1b]52;c;T1c=\x07\x1b[2J\x9b31m\x1bP$q\x1b\\\x05\r[SERVER] you\x08"
    "\u202eeht\u2066\u200b\ufeff\U000e0041[red]x[/red]" + "\u0335" * 9
)
NAME = "a\x9b31m\u202egpj.exe\u200b[bold]"
#: What none of the faces has a reason to write, as others wrote it.
_THEIRS = (
    b"\x1b]52",
    b"\x1b]0;owned",
    b"\x1b]8;;https",
    b"\x1bP$q",
    b"\x05",
    b"\x1bGQ",
    b"\x00",
    b"\x0b",
    b"\x0c",
    b"\x9b31m",
)
#: Controls of eight bits, what turns the direction of reading, and what nobody sees, in UTF-8.
_HIDDEN = re.compile(
    b"\xc2[\x80-\x9f]|\xe2\x80[\x8b\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xf3\xa0\x80|\xf3\xa0\x81|\xe3\x85\xa4"
)
#: A pile of accents that is higher than letters are.
_PILE = re.compile(r"[\u0300-\u036f\u0489]{6}")
COMMANDS = (
    "/history 50",
    "/search server*",
    "/rooms",
    "/users",
    "/members",
    "/files",
    "/topic",
    "/unread",
    "/receipts",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "server", *CHEAP) as found:
        yield found


async def speak(chat: Chat, file: Path, room: str) -> None:
    """Say it wherever something can be said."""
    posted = await chat.post("general", f"text {WORST}")
    await chat.edit("general", posted.seq, f"edited {WORST}")
    await chat.react("general", posted.seq, SHORT[:30])
    await chat.post("general", f"reply {WORST}", reply=posted.seq)
    await chat.tell("viewer", f"direct {WORST}")
    await chat.broadcast(f"announced {WORST}")
    await chat.show(Show.AWAY, SHORT)
    await chat.create(room, topic=SHORT)
    await chat.invite(room, "viewer")
    for transfer in [await chat.files.send("general", [PathSource(file)])]:
        await transfer.finished()


async def heard(visitor: Visitor, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        await visitor.hears(text)


def harmless(raw: bytes) -> None:
    """What went to a terminal is ours, and what was said is there in signs."""
    for theirs in _THEIRS:
        assert theirs not in raw, theirs
    assert (found := _HIDDEN.search(raw)) is None, raw[found.start() - 20 : found.end() + 20]
    assert not _PILE.search(raw.decode(errors="replace"))
    assert "\u241b]52".encode() in raw


def is_restored(raw: bytes) -> bool:
    """Whether a terminal that was told to show another screen, hide the cursor or report was told the contrary."""
    modes = (1000, 1002, 1003, 1004, 1006, 1015, 1049, 2004)
    left = all(raw.rfind(f"\x1b[?{mode}h".encode()) <= raw.rfind(f"\x1b[?{mode}l".encode()) for mode in modes)
    return left and raw.rfind(b"\x1b[?25l") <= raw.rfind(b"\x1b[?25h")


def visited(
    server: ServerProcess, home: Path, view: Callable[[Visitor], Awaitable[None]], before: Callable[[], None]
) -> None:
    """Somebody hostile is there, before and while somebody looks."""
    with Client(home / "first", "-p", str(server.port), "-e", "/ping", first=("viewer", "secret")) as client:
        assert client.finished() == 0
    file = home / NAME
    file.write_text("x")

    async def scenario() -> None:
        async with visit(server, "mallory", home / "mallory", metered=False) as mallory:
            await speak(mallory.chat, file, "lair")
            before()
            await heard(mallory, "here I am")
            await speak(mallory.chat, file, "den")
            await view(mallory)

    asyncio.run(scenario())


@pytest.fixture
def login(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "password"
    file.write_text("secret\n")
    file.chmod(0o600)
    return {"QUICCHAT_PASSWORD_FILE": str(file), "QUICCHAT_USER": "viewer", "QUICCHAT_PORT": ""}


@pytest.mark.parametrize("ui", ["plain", "line", "tui"])
def test_on_a_terminal(ui: str, server: ServerProcess, login: dict[str, str], tmp_path: Path) -> None:
    """[11.4-1], [11.4-3] U1, U2, U4, U6: live, late, listed and searched: signs of it are shown, nothing is obeyed."""
    login["QUICCHAT_PORT"] = str(server.port)
    made: list[Terminal] = []

    def start() -> None:
        made.append(Terminal(tmp_path / "home", ui=ui, **login))  # type: ignore[arg-type]
        made[0].shows("you are viewer")
        made[0].type("here I am\r")

    async def view(mallory: Visitor) -> None:
        for command in COMMANDS:
            made[0].type(f"{command}\r")
        made[0].type("that is all\r")
        await heard(mallory, "that is all")
        await mallory.chat.close(SHORT)

    try:
        visited(server, tmp_path, view, start)
        if ui == "tui":
            # What was searched for may come last, and then lies above what was said.
            made[0].until(lambda lines: any("that is all" in line or "Esc closes" in line for line in lines))
        else:
            made[0].shows("mallory left")
        made[0].signal(signal.SIGTERM)
        assert made[0].exit_code() == 128 + signal.SIGTERM
        made[0].until(lambda _: is_restored(bytes(made[0].raw)))
        harmless(bytes(made[0].raw))
        assert made[0].echoes
    finally:
        for terminal in made:
            terminal.__exit__()


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_in_pipes(flags: tuple[str, ...], server: ServerProcess, login: dict[str, str], tmp_path: Path) -> None:
    """[11.4-1] U1, U8: what is printed is harmless on whichever terminal it ends; and so is a list of files."""
    login["QUICCHAT_PORT"] = str(server.port)
    found: list[bytes] = []

    def printed(*words: str, command: str) -> None:
        done = subprocess.run(
            [sys.executable, "echo.py", command, *flags, *words],
            cwd=ROOT,
            env=environment(tmp_path / "home", **login),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout + done.stderr)

    def look() -> None:
        printed(*(word for line in (*COMMANDS, "here I am") for word in ("-e", line)), command="client")
        printed("general", command="files")
        printed("general", "-n", "50", "--no-follow", command="tail")

    async def nothing(mallory: Visitor) -> None:
        """All was said before."""

    visited(server, tmp_path, nothing, look)
    for raw in found:
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
        assert not _HIDDEN.search(raw)
        assert raw.isascii() or not flags
    if not flags:
        harmless(found[0])
