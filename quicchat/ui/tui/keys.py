"""Which key does what: one table, from which the bindings and their help are made. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding

#: [keys, what the screen does, what help calls the key, what help says; empty where it says nothing]
SCREEN: Final = (
    ("alt+a", "app.next_active", "Alt-A", "go where something is new; first where you are named"),
    *((f"alt+{number}", f"app.room({number})", "", "") for number in range(1, 10)),
    ("", "", "Alt-1 ... Alt-9", "go to a room by its place in the list"),
    ("ctrl+k", "app.switch", "Ctrl-K", "go to a room or person by a few letters"),
    ("ctrl+f", "app.find", "Ctrl-F", "search what was said"),
    ("pageup", "leaf(-1)", "PgUp, PgDn", "scroll; above the first message, older ones are loaded"),
    ("pagedown", "leaf(1)", "", ""),
    ("ctrl+end", "newest", "Ctrl-End", "back to the newest message"),
    ("f1", "app.help", "F1", "this help"),
    ("f2", "app.rooms", "F2", "to the list of rooms; once more hides it"),
    ("f3", "app.members", "F3", "to the list of members; once more hides it"),
    ("f4,alt+x", "app.command_palette", "F4, Alt-X", "find a command or a theme by a few letters"),
    ("f6", "app.messages", "F6", "to the messages, to choose one with Up and Down; above the input stands what for"),
    ("", "", "Ctrl-C twice", "leave"),
)
#: What the input does by itself.
_WRITING: Final = (
    ("Enter", "say it"),
    ("Alt-Enter", "begin a new row"),
    ("Tab", "complete a command, a name, a file"),
    ("Up", "in an empty line: edit your last message"),
    ("Ctrl-Up, Ctrl-Down", "what you typed before"),
)


#: What the keys do while a message is chosen, or a row of a list.
CHOOSING: Final = "Enter answers, e edits, r reacts, d takes back, y copies, Esc leaves it"
LISTED: Final = "Enter goes there, Esc leaves the list"
#: What the input says as long as nothing is written.
HERE: Final = "to {room}; / begins a command, F1 helps"
NOWHERE: Final = "you are in no room; Ctrl-K goes to one, F1 helps"


def bindings() -> list[Binding]:
    """Those of the screen; they come before those of what has the focus."""
    found = [Binding(keys, action, about, show=False, priority=True) for keys, action, _, about in SCREEN if keys]
    return [*found, Binding("escape", "app.to_writing", show=False)]


def tell_digits_apart() -> None:
    """Let Alt-1 be Alt-1: Textual takes what nearly every terminal sends for it for the `\u00a1` of a Mac."""
    assert isinstance(ANSI_SEQUENCES_KEYS, dict)
    for digit in range(1, 10):
        ANSI_SEQUENCES_KEYS.pop(f"\x1b{digit}", None)


def explained() -> Iterator[str]:
    """A line for each key."""
    for name, about in (*((name, about) for _, _, name, about in SCREEN if name), *_WRITING):
        yield f"{name:<20} {about}"
