"""The plain front end: lines in, lines out, for terminals, pipes and scripts. (spec 12-operation)

Messages and what commands bring go to standard output, notices to standard error.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence

from quicchat.client.device import device_in
from quicchat.client.trust import REFUSED
from quicchat.config import ClientConfig
from quicchat.errors import Refused, UsageError
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Doubt
from quicchat.ui.entry import Entry, Person, Script
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import paper
from quicchat.ui.words import Asks, Call, Unclear, Vocabulary


def run(config: ClientConfig) -> int:
    """Talk until the person or the script has said all; the exit code. Raises UsageError, KeyboardInterrupt."""
    words = Vocabulary(COMMANDS, config.style, secrets.token_bytes)
    calls = _understood(words, config.commands)
    device = device_in(config.data)
    lines = Lines.of_stdin()
    sheet = paper(sys.stdout, sys.stderr, interactive=lines.interactive and not calls and not config.json)
    entry: Entry = Script(config.user, config.password_file, lines)
    agreed: frozenset[str] | None = None
    if lines.interactive:
        agreed = frozenset()
        if config.user is None or config.password_file is None:
            entry = Person(config.user, lines, _ask)
    identity = entry.first()
    while True:
        front = Front(config, words, lines, sheet, device=device, calls=calls, agreed=agreed)
        try:
            return asyncio.run(front.run(identity))
        except Refused as refusal:
            identity = entry.again(identity, refusal)
        except Doubt as doubt:
            if not Person(None, lines, _ask).agrees(doubt.question):
                raise UsageError("the server is not trusted; nothing was sent", REFUSED) from None
            agreed = (agreed or frozenset()) | {doubt.question}


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


def _ask(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
