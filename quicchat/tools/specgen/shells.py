"""What completes the command line in shells, made here so that nobody else needs shtab. (spec 12-operation)"""

from __future__ import annotations

import argparse
import re
from typing import Final

import shtab

from quicchat.tools import parsers

#: What a flag or an argument is called that names a file.
_FILES: Final = frozenset({"FILE", "PATH"})
#: `bash|zsh|fish`: all that it may be.
_WORDS: Final = re.compile(r"[a-z]+(?:\|[a-z]+)+")


def completions() -> dict[str, str]:
    """Name of the file -> the script, for each shell."""
    return {f"quicchat.{shell}": f"{shtab.complete(whole(), shell).rstrip()}\n" for shell in parsers.SHELLS}


def whole() -> argparse.ArgumentParser:
    """All commands below one parser, with what may stand where."""
    root = argparse.ArgumentParser(prog="quicchat", description="Chat over QUIC.", allow_abbrev=False)
    root.add_argument("--version", action="store_true", help="show the version")
    commands = root.add_subparsers(dest="command")
    for name, make in parsers.PARSERS.items():
        parser = make()
        for action in parser._actions:
            _known(action)
        about = parser.description or ""
        commands.add_parser(name, parents=[parser], add_help=False, help=about.rstrip("."), description=about)
    return root


def _known(action: argparse.Action) -> None:
    """What may be typed there, where a shell can know it."""
    if isinstance(action.metavar, str) and _WORDS.fullmatch(action.metavar):
        action.choices = action.metavar.split("|")
    elif action.metavar in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]  # how shtab wants to be told
