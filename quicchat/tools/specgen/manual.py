"""The manual page, made of the parsers, the settings and the table of commands. (spec 12-operation)"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Final

from quicchat import __version__
from quicchat.config import ClientConfig, ServerConfig, Setting, settings
from quicchat.tools import parsers
from quicchat.ui.commands import COMMANDS
from quicchat.ui.help import HEADINGS, about

_ABOUT: Final = """\
quicchat is a chat over QUIC: a server that you run yourself, a client for the terminal, and commands for scripts.
What the server acknowledges is on its disk, once and in order; whoever was away gets all of it when he is back.
"""
_TYPED: Final = """\
What is typed is said in the room one is in, unless it begins with a slash; two slashes say something that begins with
one. A message is named by its place, as #12. In the styles mystic and classic some commands have plain words, too.
"""
_SETTINGS: Final = """\
Each may be a flag, a variable of the environment or a key of the TOML file, under [server] or [client]. A flag wins
over the environment, and the environment over the file. What has no variable here holds for one start only.
"""
_EXITS: Final = (
    ("0", "done"),
    ("1", "a mistake of ours; QUICCHAT_DEBUG=1 shows where"),
    ("2", "a flag, a setting or a command that makes no sense"),
    ("3", "cannot start, cannot connect, or no common version"),
    ("4", "the server is not the one that is trusted"),
    ("5", "login"),
    ("6", "a command for one thing was refused, or a file did not get where it was to go"),
    ("7", "conform: what was tested deviates from the specification"),
    ("130", "interrupted; 143 terminated, 129 hung up"),
    ("141", "nobody reads what is printed"),
)
_FILES: Final = (
    ("~/.config/quicchat/config.toml", "settings"),
    ("~/.local/share/quicchat/server", "what a server keeps: messages, files, certificates"),
    ("~/.local/share/quicchat/client", "what a client keeps: servers it knows, messages, the token that logs in"),
)
_SECTIONS: Final = (
    ("Server", ServerConfig, parsers.server),
    ("Client and commands for scripts", ClientConfig, parsers.client),
)
_ENVIRONMENT: Final = (
    ("QUICCHAT_HOME", "a directory for all of the above, instead of those of the system"),
    ("QUICCHAT_CONFIG", "the TOML file to read"),
    ("QUICCHAT_DEBUG", "with 1, a mistake of ours shows where it happened"),
    ("NO_COLOR", "nothing is coloured"),
)


def manual() -> str:
    """The whole page, in roff with the macros of man(7)."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield '.\\" Generated from the code; do not edit.'
    yield f'.TH QUICCHAT 1 "" "quicchat {__version__}" "User Commands"'
    yield from (".SH NAME", "quicchat \\- chat over QUIC", ".SH SYNOPSIS")
    for make in parsers.PARSERS.values():
        for usage in _usages(make()):
            yield from (".B " + _text(usage), ".br")
    yield from (".SH DESCRIPTION", *_prose(_ABOUT), ".SH COMMANDS")
    for make in parsers.PARSERS.values():
        yield from _command(make())
    yield from (".SH SETTINGS", *_prose(_SETTINGS), *_item("--config FILE", "The TOML file to read."))
    for title, of, make in _SECTIONS:
        yield f".SS {title}"
        flags = {action.dest: action for action in make()._actions}
        for setting in settings(of):
            said = f"{_sentence(setting.help)} {_elsewhere(setting)}".strip()
            yield from _item(_named(flags[setting.name]), said)
    yield from (".SH AT THE KEYBOARD", *_prose(_TYPED))
    for group, heading in HEADINGS.items():
        yield f".SS {_text(heading)}"
        for each in COMMANDS:
            if each.group == group:
                also = f" Also {', '.join(words)}." if (words := _all_words(each.words("mystic"), each.classic)) else ""
                yield from _item(each.usage, _sentence(about(each)) + also)
    for title, rows in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES), ("EXIT STATUS", _EXITS)):
        yield f".SH {title}"
        for name, text in rows:
            yield from _item(name, _sentence(text))
    yield from (".SH EXAMPLES", ".nf", *(_text(line.strip()) for line in parsers.EXAMPLES.splitlines()[1:]), ".fi")


def _command(parser: parsers.Parser) -> Iterator[str]:
    """What it does, and those of its flags and arguments that are no settings."""
    yield f".SS {_text(parser.prog)}"
    yield from _prose(parser.description or "")
    known = {"-h", "--config", *(flag for _, of, _ in _SECTIONS for one in settings(of) for flag in one.flags)}
    for action in parser._actions:
        if action.help and known.isdisjoint(action.option_strings):
            yield from _item(_named(action), _sentence(action.help.replace("%%", "%")))
    if parser.epilog and "QUICCHAT_HOME" not in parser.epilog:
        yield from (".PP", *_prose(parser.epilog))


def _usages(parser: parsers.Parser) -> Iterator[str]:
    usage = parser.usage or f"{parser.prog} {' '.join(str(each.metavar) for each in parser._get_positional_actions())}"
    return (" ".join(line.split()) for line in usage.splitlines())


def _named(action: argparse.Action) -> str:
    """Its flags and what stands behind them, or what stands for it."""
    value = "" if action.nargs == 0 else str(action.metavar or "")
    many = f"{value}..." if action.nargs in ("+", "*") else value
    return f"{', '.join(action.option_strings)} {many}".strip()


def _elsewhere(setting: Setting) -> str:
    if not setting.kept:
        return ""
    default = setting.default
    usual = f"Usual: {default}. " if isinstance(default, str | int | float) and default not in (False, "") else ""
    return f"{usual}[QUICCHAT_{setting.name.upper()}; {setting.name}]"


def _all_words(words: list[str], classic: tuple[str, ...]) -> list[str]:
    return [*words, *(f"{word} in style classic" for word in classic)]


def _item(name: str, text: str) -> Iterable[str]:
    return (".TP", f".B {_text(name)}", _text(text))


def _prose(text: str) -> Iterator[str]:
    return (_text(line) for line in text.splitlines())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _text(text: str) -> str:
    """Nothing of it is taken for a request, nor a dash for a hyphen."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe
