"""The command line: reads flags, starts server or client, and turns every fault into one line. (spec 12-operation)

Nothing but argparse and the settings is imported before a command is known, so that help comes at once.
Exit codes: 0 ok, 2 usage, 3 cannot start or connect, 4 certificate, 5 login, 130 interrupt; 1 is a mistake of ours.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from quicchat import __version__
from quicchat.config import DEBUG, BadSetting, ClientConfig, ServerConfig, Setting, read, settings
from quicchat.config.kinds import Address, Many, Place, Seconds, Size, Switch, Whole, Word, sized
from quicchat.errors import UsageError

INTERRUPTED: Final = 130
#: What a shell reports of a program whose reader went away.
BROKEN_PIPE: Final = 141

_EXAMPLES: Final = """\
examples:
  quicchat server                          listen on this machine, port 55667
  quicchat server 5000 -l 192.0.2.7        listen on an address of the network
  quicchat client                          meet the server on this machine
  quicchat client chat.example 5000 alice  meet another one as alice
  quicchat send general photo.jpg          send a file to a room, or to @bob
  quicchat get photo.jpg                   fetch it; again after a crash, and it goes on
"""

_ELSEWHERE: Final = """\
Settings may also stand in the environment (QUICCHAT_PORT=5000) or in the TOML file (port = 5000 under [server] or
[client]); a flag wins over both. Data and file lie in QUICCHAT_HOME, by default in ~/.local/share/quicchat and
~/.config/quicchat/config.toml.
"""


class _Parser(argparse.ArgumentParser):
    """Complains in one line, and never shows more of an unknown flag than its name: it may hold a password."""

    def error(self, message: str) -> NoReturn:
        _, unknown, words = message.partition("unrecognized arguments: ")
        if unknown:
            word = words.split(maxsplit=1)[0].partition("=")[0]
            message = f"{word} is {_unknown(word, self._option_string_actions)}"
        raise UsageError(f"{message} ({self.prog} --help explains)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. An expected fault is one line on stderr, never a traceback."""
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        print(end="", flush=True)
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - whatever it is, people get one line of it
        return _complain(error)


def _run(words: list[str]) -> int:
    try:
        if words and words[0] in _COMMANDS:
            return _COMMANDS[words[0]](words[1:])
        return _no_command(words)
    except SystemExit as done:  # argparse has shown help or version
        return done.code if isinstance(done.code, int) else 0


def _no_command(words: list[str]) -> NoReturn:
    parser = _Parser(
        prog="quicchat",
        description="Chat over QUIC.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"quicchat {__version__}", help="show the version")
    parser.add_argument("command", metavar="|".join(_COMMANDS), nargs="?", help="each explains itself with --help")
    found, others = parser.parse_known_args(words)
    if found.command is not None:
        parser.error(f"{found.command} is {_unknown(found.command, _COMMANDS)}")
    if others:
        parser.error(f"unrecognized arguments: {others[0]}")
    parser.error(f"say what to do: {', '.join(_COMMANDS)}")


def _server(words: list[str]) -> int:
    config = server_config(words, os.environ)

    from quicchat.server.app import run

    return run(config)


def server_config(words: list[str], environ: Mapping[str, str]) -> ServerConfig:
    """How a server is to run, by its flags, an environment and the file. Raises UsageError, BadSetting."""
    parser = _command("server", "[PORT]", "Run a server.", settings(ServerConfig))
    parser.add_argument("where", nargs="*", metavar="PORT", help="the same as --port")
    parser.add_argument("--open-signup", action="store_const", dest="signup", const="open", help="--signup open")
    flags = vars(parser.parse_intermixed_args(words))
    file = flags.pop("config")
    flags |= _placed(flags, flags.pop("where"), ("port",))
    return read(ServerConfig, flags, environ, file)


def _client(words: list[str]) -> int:
    config = client_config(words, os.environ)

    from quicchat.ui.plain import run

    return run(config)


def client_config(words: list[str], environ: Mapping[str, str]) -> ClientConfig:
    """How a client is to run, by its flags, an environment and the file. Raises UsageError, BadSetting."""
    parser = _command("client", "[HOST [PORT [USER]]]", "Talk to a server.", settings(ClientConfig))
    parser.add_argument(
        "where", nargs="*", metavar="HOST PORT USER", help="the same as -s, -p, -u; in style mystic USER HOST PORT"
    )
    flags = vars(parser.parse_intermixed_args(words))
    file, where = flags.pop("config"), flags.pop("where")
    config = read(ClientConfig, flags, environ, file)
    if where:
        order = ("user", "host", "port") if config.style == "mystic" else ("host", "port", "user")
        config = read(ClientConfig, flags | _placed(flags, where, order), environ, file)
    return config


def _send(words: list[str]) -> int:
    parser = _errand("send", "TO FILE...", "Send files and directories to a room, or to @user.")
    parser.add_argument("to", metavar="TO", help="a room, or @user")
    parser.add_argument("files", nargs="+", metavar="FILE", help="files and directories; - is standard input")
    parser.add_argument("--name", metavar="TEXT", help="what standard input is to be called (stdin)")
    flags, config = _errand_config(parser, words)

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import Send

    return run(config, Send(flags["to"], flags["files"], flags["name"]))


def _get(words: list[str]) -> int:
    parser = _errand("get", "NAME|ID", "Fetch a file that was sent, or that the server shares.")
    parser.add_argument("what", metavar="NAME|ID", help="its name, its id, or the place of its message, room/#12")
    parser.add_argument("-o", "--output", metavar="PATH", help="where to put it: a file, a directory, or - (.)")
    parser.add_argument("--room", metavar="ROOM", help="look only there: a room, @user, or shared")
    parser.add_argument("--fast", action="store_true", help="in datagrams, and what is lost of them after that")
    parser.add_argument("--no-repair", dest="repair", action="store_false", help="leave out what is lost of --fast")
    flags, config = _errand_config(parser, words)
    if flags["fast"] and flags["output"] == "-":
        parser.error("datagrams have no order: --fast does not go with -o -")

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import Fetch

    return run(config, Fetch(flags["what"], flags["output"], flags["room"], flags["fast"], flags["repair"]))


def _files(words: list[str]) -> int:
    parser = _errand("files", "[ROOM]", "List the files of a room, or those that the server shares.")
    parser.add_argument("place", nargs="?", metavar="ROOM", help="a room, or @user; else what the server shares")
    flags, config = _errand_config(parser, words)

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import List

    return run(config, List(flags["place"]))


def _fingerprint(words: list[str]) -> int:
    known = (one for one in settings(ServerConfig) if one.name in ("data", "cert", "key"))
    parser = _command("fingerprint", "", "Show the fingerprint that clients of a server compare.", known)
    flags = vars(parser.parse_intermixed_args(words))
    file = flags.pop("config")
    config = read(ServerConfig, flags, os.environ, file)

    from quicchat.server.adapters.certificates import fingerprint_in

    print(fingerprint_in(config.data, config.cert))
    return 0


def _scenario(words: list[str]) -> int:
    parser = _Parser(
        prog="quicchat scenario",
        usage="quicchat scenario [flags] FILE...\n       quicchat scenario --record FILE [flags of a client]",
        description="Play scripts of conversations, or record one.",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="scripts to play, such as spec/scenarios/tc1.chat")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--target", metavar="HOST:PORT", help="play against this server, over QUIC")
    where.add_argument("--quic", action="store_true", help="play over QUIC, with a server process on this machine")
    where.add_argument("--processes", action="store_true", help="with a process on a terminal for each actor, too")
    where.add_argument("--record", metavar="FILE", help="talk as a client does, and write what happened")
    if words[:1] == ["--record"] and len(words) > 1:
        from quicchat.tools.scenario.main import record

        return record(words[1], client_config(words[2:], os.environ))
    found = parser.parse_args(words)
    if found.record is not None:
        parser.error("--record FILE comes first, and the flags of the client after it")

    from quicchat.tools.scenario.main import play

    return play(
        found.files,
        client_config,
        server_config,
        quic=found.quic or found.processes or found.target is not None,
        processes=found.processes,
        target=found.target,
    )


_METAVARS: Final = {Address: "ADDRESS", Place: "PATH", Seconds: "SECONDS", Size: "BYTES", Whole: "N"}

_COMMANDS: Final[dict[str, Callable[[list[str]], int]]] = {
    "server": _server,
    "client": _client,
    "send": _send,
    "get": _get,
    "files": _files,
    "fingerprint": _fingerprint,
    "scenario": _scenario,
}


#: Settings of the client that mean something to a command that does one thing.
_ERRAND: Final = frozenset(
    {"host", "port", "user", "password_file", "data", "json", "time", "versions", "connect_timeout", "wait"}
    | {"ca", "fingerprint", "accept_new_fingerprint"}
)


def _command(name: str, arguments: str, about: str, known: Iterable[Setting]) -> _Parser:
    """A parser whose flags are the settings; all of them give text, which `config.read` judges."""
    prog = f"quicchat {name}"
    parser = _Parser(
        prog=prog, usage=f"{prog} [flags] {arguments}", description=about, epilog=_ELSEWHERE, allow_abbrev=False
    )
    parser.add_argument("--config", type=_path, metavar="FILE", help="TOML file of settings to read")
    for setting in known:
        parser.add_argument(*setting.flags, dest=setting.name, help=_help(setting), **_shape(setting))
    return parser


def _errand(name: str, arguments: str, about: str) -> _Parser:
    """A parser of a command that does one thing as a client."""
    return _command(name, arguments, about, (one for one in settings(ClientConfig) if one.name in _ERRAND))


def _errand_config(parser: _Parser, words: list[str]) -> tuple[dict[str, Any], ClientConfig]:
    """What was asked for, and the client that does it. Raises UsageError, BadSetting."""
    flags = vars(parser.parse_intermixed_args(words))
    kept = {name: value for name, value in flags.items() if name in _ERRAND}
    return flags, read(ClientConfig, kept, os.environ, flags["config"])


def _path(word: str) -> object:
    from pathlib import Path

    return Path(word)


def _shape(setting: Setting) -> dict[str, Any]:
    match setting.kind:
        case Switch():
            return {"action": argparse.BooleanOptionalAction if setting.kept else "store_true", "default": None}
        case Many(kind):
            return {"action": "append", "metavar": _METAVARS.get(type(kind), "TEXT")}
        case Word(words):
            return {"metavar": "|".join(words)}
        case kind:
            return {"metavar": _METAVARS.get(type(kind), "TEXT")}


def _help(setting: Setting) -> str:
    default = setting.default
    if default in (None, (), False):
        return setting.help.replace("%", "%%")
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
    if isinstance(setting.kind, Size) and isinstance(default, int):
        shown = sized(default)
    return f"{setting.help} ({shown})".replace("%", "%%")


def _placed(flags: dict[str, Any], words: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Arguments without a flag, by what they stand for."""
    if len(words) > len(names):
        raise UsageError(f"{words[len(names)]!r} is one argument too many")
    given = dict(zip(names, words, strict=False))
    for name in given:
        if flags[name] is not None:
            raise UsageError(f"the {name} is given twice: {given[name]!r} and {flags[name]!r}")
    return given


def _unknown(word: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    guess = get_close_matches(word, known, 1)
    return f"unknown; did you mean {guess[0]}?" if guess else "unknown"


def _complain(error: BaseException) -> int:
    """Say in one line what went wrong, whoever raised it; returns the exit code."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case UsageError(exit_code=code):
            text = str(error)
        case BadSetting():
            code, text = 2, str(error)
        case _:
            code, text = 1, f"internal mistake: {type(error).__name__}: {error}"
            if os.environ.get(DEBUG):
                import traceback

                traceback.print_exception(error)
            else:
                text += f" ({DEBUG}=1 shows where)"
    # A text may quote the peer: none of it may break the line or reach the terminal as an escape sequence.
    line = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    print(f"quicchat: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
