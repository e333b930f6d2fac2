"""Commands and events of --json as tables, and the block of commands that stands in pages. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from quicchat.tools.specgen.tables import NOTICE, table
from quicchat.ui.commands import COMMANDS
from quicchat.ui.help import HEADINGS, about
from quicchat.ui.record import KEYS
from quicchat.ui.words import Command

#: Pages that hold the block, between these two lines.
PAGES: Final = ("README.md", "spec/12-operation.md")
_BLOCK: Final = re.compile(r"(<!-- commands: generated -->\n).*?(<!-- end of commands -->\n)", re.DOTALL)


def commands() -> str:
    """Every command: how it is typed, what it does, its other words."""
    parts = [NOTICE, "# Commands at the keyboard\n", "`/help COMMAND` tells what each argument is.\n"]
    for group, heading in HEADINGS.items():
        rows = [_row(each) for each in COMMANDS if each.group == group]
        parts.append(f"## {heading}\n\n{table(('typed', 'what it does', 'also', 'mystic', 'classic'), rows)}")
    return "\n".join(parts)


def events() -> str:
    """Every event of `--json` with its keys."""
    rows = [(f"`{name}`", ", ".join(f"`{key}`" for key in keys)) for name, keys in KEYS.items()]
    head = "Each line is an object: `event`, and behind it these keys; a value that nobody told is null.\n"
    return "\n".join([NOTICE, "# Events of --json\n", head, table(("event", "keys"), rows)])


def block() -> str:
    """The words of all commands, by what they are about."""
    return table(("about", "commands"), ((heading, " ".join(_words(group))) for group, heading in HEADINGS.items()))


def with_block(page: str) -> str:
    """A page with the block of today. Raises ValueError where it has no place for it."""
    made, count = _BLOCK.subn(lambda found: f"{found[1]}{block()}{found[2]}", page)
    if count != 1:
        raise ValueError("a page has no place, or several, for the table of commands")
    return made


def _words(group: str) -> Iterator[str]:
    return (f"`/{each.name}`" for each in COMMANDS if each.group == group and each.only is None)


def _row(command: Command) -> tuple[str, ...]:
    mystic = tuple(f"mystic {word}" for word in command.mystic)
    aliases = tuple(f"/{word}" for word in command.aliases)
    only = f" (style {command.only})" if command.only else ""
    said = about(command) + only
    return (f"`{command.usage}`", said, _codes(aliases), _codes(mystic), _codes(command.classic))


def _codes(words: tuple[str, ...]) -> str:
    return " ".join(f"`{word}`" for word in words)
