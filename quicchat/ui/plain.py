"""The plain front end: lines in, lines out, for terminals, pipes and scripts. (spec 12-operation)

Messages and what commands bring go to standard output, notices to standard error.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence

from quicchat.client.trust import place
from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact
from quicchat.ui.entry import Entry, Person, Script
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain, paper
from quicchat.ui.users import last_user
from quicchat.ui.visit import ask, visit
from quicchat.ui.words import Asks, Call, Unclear, Vocabulary


def run(config: ClientConfig, *, lines: Lines | None = None, sheet: Plain | None = None) -> int:
    """Talk until the person or the script has said all; the exit code. Raises UsageError, KeyboardInterrupt.

    `lines` and `sheet` are the standard streams unless they are given.
    """
    words = Vocabulary(COMMANDS, config.style, secrets.token_bytes)
    calls = _understood(words, config.commands)
    lines = lines or Lines.of_stdin()
    interactive = lines.interactive and not calls and not config.json
    sheet = sheet or paper(sys.stdout, sys.stderr, interactive=interactive)
    entry = _entry(config, lines)

    def front(agreed: frozenset[str] | None) -> Front:
        contact = Contact(config, agreed, names=isinstance(entry, Person))
        return Front(config, words, lines, sheet, contact, calls=calls)

    return visit(entry, lines, front)


def _entry(config: ClientConfig, lines: Lines) -> Entry:
    """Who finds out who logs in."""
    if not lines.interactive or (config.user is not None and config.password_file is not None):
        return Script(config.user, config.password_file, lines)
    user = config.user if config.user is not None else last_user(config.data, place(config.host, config.port))
    return Person(user, lines, ask)


def _understood(words: Vocabulary, given: Sequence[str]) -> list[Call]:
    """What -e asks for. Raises UsageError before anything is sent where a line makes no sense."""
    calls = []
    for line in given:
        match words.parse(line):
            case Call() as call:
                calls.append(call)
            case Unclear(text):
                raise UsageError(text)
            case Asks(question=question):
                raise UsageError(f"{line}: {question}")
    return calls
