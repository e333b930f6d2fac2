"""`make picture`: draws the pictures of spec/pictures/ anew, each of real programs before a real server."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text
from textual.pilot import Pilot

from quicchat.__main__ import client_config
from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact
from quicchat.ui.front import Front
from quicchat.ui.tui.app import QuicchatApp
from quicchat.ui.tui.face import Screenful
from quicchat.ui.words import Vocabulary
from quicchat.wire.chapters.messages import Kind
from tests.e2e.clients import Terminal
from tests.e2e.screens import Screen
from tests.processes import ServerProcess
from tests.svg import lasting

PICTURES: Final = Path(__file__).parents[1] / "spec" / "pictures"
WIDTH: Final = 104
ROWS: Final = 26
#: A film long enough to be seen on its way.
FILM: Final = 1 << 30
_PATIENCE: Final = 30.0
#: Nothing of the picture is to be known beforehand but what is said.
_SERVER: Final = ("--no-demo", "--signup", "open", "--iterations", "4096", "--quota", "4G")


def printed() -> str:
    """What the demo prints on a terminal. Raises RuntimeError where it fails."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "quicchat.tools.demo"], stdout=theirs) as demo:
        os.close(theirs)
        parts = []
        with open(ours, "rb", buffering=0) as terminal:
            try:
                while part := terminal.read(4096):
                    parts.append(part)
            except OSError:
                pass  # the way Linux says that the other end of a terminal is closed
    if demo.returncode:
        raise RuntimeError(f"the demo failed with exit code {demo.returncode}")
    return b"".join(parts).decode().replace("\r\n", "\n")


def drawn(*texts: Text) -> str:
    """Lines as they stand on a terminal."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    for text in texts:
        console.print(text, no_wrap=True, crop=True)
    return console.export_svg(title="quicchat", theme=MONOKAI)


def demo() -> str:
    """`make demo`."""
    return drawn(Text("$ make demo", style="bold"), Text.from_ansi(printed().rstrip()))


# Two people and a film, on the whole terminal


async def talk(server: ServerProcess, home: Path) -> str:
    """The picture of one, while the film is half there."""
    config = client_config(["127.0.0.1", str(server.port), "alice", "--data", str(home / "alice")], {})
    face = Screenful(config, headless=True, size=(WIDTH, ROWS))
    front = Front(config, Vocabulary(COMMANDS, "default", os.urandom), face, Contact(config))
    identity = Identity(user="alice", password="not a secret", sign_up=True)
    task = asyncio.get_running_loop().create_task(front.run(identity))
    try:
        return await _filmed(server, home, face.app)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _filmed(server: ServerProcess, home: Path, app: QuicchatApp) -> str:
    await _until(lambda: "TLS" in _shown(app))
    bob, pilot = await _enter(server, "bob"), Pilot(app)
    await bob.create("hike", topic="Saturday, 8:15 at the station")
    await pilot.press(*"/join hike", "enter")
    await _until(lambda: "Saturday" in _shown(app))
    asked = await bob.post("hike", "Did you bring back the film from the ridge?")
    await _until(lambda: "ridge" in _shown(app))
    await pilot.press(*"I did. It is a large one, so it comes while we talk.", "enter")
    await _until(lambda: "I did" in _shown(app))
    film = home / "ridge.mov"
    with film.open("wb") as file:
        file.truncate(FILM)
    await pilot.press(*f"/send {film}", "enter")
    await _until(lambda: "%" in _shown(app))
    await bob.post("hike", "Take your time.\nHow many of us are there?")
    await bob.post("hike", "waits at the bakery, as always", kind=Kind.EMOTE)
    await bob.react("hike", asked.seq, "+1")
    await _until(lambda: re.search(r" [3-6]\d %", _shown(app)) is not None)
    with app._context():
        picture = app.export_screenshot(title="quicchat")
    await bob.close()
    return picture


async def _enter(server: ServerProcess, user: str) -> Chat:
    chat = Chat(await dial("127.0.0.1", server.port, trust=Trust(server.ca_pem)))
    await chat.open(Identity(user=user, password="not a secret", sign_up=True))
    return chat


def _shown(app: QuicchatApp) -> str:
    if not app.is_running or not app.screen_stack:
        return ""
    with app._context():
        return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def _until(holds: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + _PATIENCE
    while not holds():
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError
        await asyncio.sleep(0.02)


# Lines


def lines(server: ServerProcess, home: Path) -> str:
    """What a person sees who talks in lines, with half a line typed."""
    windows = []
    for user in ("carol", "dan"):
        (home / user).mkdir()
        password = home / user / "password"
        password.touch(mode=0o600)
        password.write_text("not a secret\n")
        flags = ("-s", "127.0.0.1", "-p", str(server.port), "-u", user)
        secret = {"QUICCHAT_PASSWORD_FILE": str(password)}
        windows.append(Terminal(home / user, *flags, ui="line", columns=WIDTH, rows=ROWS, **secret))
    carol, dan = windows
    with carol, dan:
        for window in windows:
            window.sees("general>")
        for who, other, text in (
            (carol, dan, "/me opens the window"),
            (dan, carol, "Good morning. Is the build through?"),
            (carol, dan, "Since ten minutes; all green."),
            (dan, carol, "Then I tag it."),
        ):
            who.type(text)
            who.press("Enter")
            other.sees(text.removeprefix("/me "))
        carol.type("Wait, I have one mo")
        carol.sees("one mo")
        return drawn(*styled(carol.screen))


def styled(screen: Screen) -> list[Text]:
    """The rows of a screen with their colours."""
    rows = []
    for number, line in enumerate(screen.lines):
        row = Text()
        for cell in screen.cells(number)[: len(line)]:
            style = Style(color=_colour(cell.fg), bold=cell.bold, reverse=cell.reverse, italic=cell.italics)
            row.append(cell.data, style)
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _colour(name: str) -> Color | None:
    if name == "default":
        return None
    return Color.parse(f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else name.replace("brown", "yellow"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with ServerProcess(home / "server", *_SERVER) as server:
            pictures = {"tui": asyncio.run(talk(server, home)), "line": lines(server, home)}
    for picture, svg in {**pictures, "demo": demo()}.items():
        (PICTURES / f"{picture}.svg").write_text(lasting(svg))


if __name__ == "__main__":
    main()
