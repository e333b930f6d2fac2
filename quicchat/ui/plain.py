"""The plain front end: lines in, lines out, for terminals, pipes and scripts. (spec 12-operation)

Messages and what commands bring go to standard output, notices to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import Sequence

from quicchat.client.login import Identity
from quicchat.client.trust import REFUSED, place
from quicchat.config import ClientConfig
from quicchat.errors import Refused, UsageError
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact, Doubt
from quicchat.ui.entry import Entry, Person, Script
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain, paper
from quicchat.ui.users import last_user, remember
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
    entry, agreed = _entry(config, lines)
    identity = entry.first()
    while True:
        contact = Contact(config, agreed, names=isinstance(entry, Person))
        front = Front(config, words, lines, sheet, contact, calls=calls)
        try:
            code = asyncio.run(_heeding(front, identity))
            if front.logged_out:
                remember(config.data, contact.place, None)
            return code
        except Refused as refusal:
            identity = entry.again(identity, refusal)
        except Doubt as doubt:
            if not Person(None, lines, _ask).agrees(doubt.question):
                raise UsageError("the server is not trusted; nothing was sent", REFUSED) from None
            agreed = (agreed or frozenset()) | {doubt.question}


def _entry(config: ClientConfig, lines: Lines) -> tuple[Entry, frozenset[str] | None]:
    """Who finds out who logs in, and the questions that a person has answered so far, if there is one."""
    if not lines.interactive:
        return Script(config.user, config.password_file, lines), None
    if config.user is not None and config.password_file is not None:
        return Script(config.user, config.password_file, lines), frozenset()
    user = config.user if config.user is not None else last_user(config.data, place(config.host, config.port))
    return Person(user, lines, _ask), frozenset()


async def _heeding(front: Front, identity: Identity) -> int:
    """Run it; SIGTERM and SIGHUP say goodbye as Ctrl-C does, which the loop's own handler takes."""
    main = asyncio.current_task()
    assert main is not None
    heard: list[int] = []

    def end(number: int) -> None:
        heard.append(number)
        main.cancel()

    for name in ("SIGTERM", "SIGHUP"):
        # Neither exists everywhere, and only the main thread may listen.
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            number = getattr(signal, name)
            # Under nohup it is ignored, and stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await front.run(identity)
    except asyncio.CancelledError:
        if heard:
            return 128 + heard[0]
        raise


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
