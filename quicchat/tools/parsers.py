"""The parsers of the command line: what help, completion and the manual page are made of. (spec 12-operation)

Nothing but argparse and the settings is imported here, so that help comes at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NoReturn

from quicchat import __version__
from quicchat.config import ClientConfig, ServerConfig, Setting, settings
from quicchat.config.kinds import Address, Many, Place, Seconds, Size, Switch, Whole, Word, sized
from quicchat.errors import UsageError

#: What `quicchat keys` does, and how that is typed.
KEYS: Final = ("show", "export", "import", "backup", "restore", "verify")
_KEYS: Final = ("show", "export [FILE]", "import FILE", "backup FILE", "restore [FILE]", "verify USER [DIGITS]")
#: Shells for which there is a completion.
SHELLS: Final = ("bash", "zsh", "fish")

EXAMPLES: Final = """\
examples:
  quicchat server                          listen on this machine, port 55667
  quicchat server 5000 -l 192.0.2.7        listen on an address of the network
  quicchat client                          meet the server on this machine
  quicchat client chat.example 5000 alice  meet another one as alice
  quicchat send general hello, all         say something in a room, or to @bob
  quicchat send general -f photo.jpg       send a file
  quicchat get photo.jpg                   fetch it; again after a crash, and it goes on
  quicchat tail general                    print what is said there as it comes
"""

_ELSEWHERE: Final = """\
Settings may also stand in the environment (QUICCHAT_PORT=5000) or in the TOML file (port = 5000 under [server] or
[client]; under [profile.NAME] for a client with --profile NAME); a flag wins over both. Data and file lie in
QUICCHAT_HOME, by default in ~/.local/share/quicchat and ~/.config/quicchat/config.toml.
"""

_METAVARS: Final = {Address: "ADDRESS", Place: "PATH", Seconds: "SECONDS", Size: "BYTES", Whole: "N"}

#: Settings of the client that mean something to a command that does one thing.
ERRAND: Final = frozenset(
    {"host", "port", "user", "password_file", "data", "json", "time", "versions", "connect_timeout", "wait"}
    | {"ca", "fingerprint", "accept_new_fingerprint", "invitation"}
)


class Parser(argparse.ArgumentParser):
    """Complains in one line, and never shows more of an unknown flag than its name: it may hold a password."""

    def error(self, message: str) -> NoReturn:
        _, unknown, words = message.partition("unrecognized arguments: ")
        if unknown:
            word = words.split(maxsplit=1)[0].partition("=")[0]
            message = f"{word} is {unknown_word(word, self._option_string_actions)}"
        raise UsageError(f"{message} ({self.prog} --help explains)")


def no_command() -> Parser:
    """What is left where no command is named."""
    parser = Parser(
        prog="quicchat",
        description="Chat over QUIC.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"quicchat {__version__}", help="show the version")
    parser.add_argument("command", metavar="|".join(PARSERS), nargs="?", help="each explains itself with --help")
    return parser


def server() -> Parser:
    parser = _command("server", "[PORT]", "Run a server.", settings(ServerConfig))
    parser.add_argument("where", nargs="*", metavar="PORT", help="the same as --port")
    parser.add_argument("--open-signup", action="store_const", dest="signup", const="open", help="--signup open")
    return parser


def client() -> Parser:
    parser = _command("client", "[HOST [PORT [USER]]]", "Talk to a server.", settings(ClientConfig), profiles=True)
    parser.add_argument(
        "where", nargs="*", metavar="HOST PORT USER", help="the same as -s, -p, -u; in style mystic USER HOST PORT"
    )
    parser.add_argument("--plain", action="store_const", dest="ui", const="plain", help="--ui plain")
    return parser


def send() -> Parser:
    parser = _errand("send", "ROOM TEXT... | ROOM - | ROOM [TEXT...] -f FILE...", "Say something, or send files.")
    parser.add_argument("to", metavar="ROOM", help="a room, @user, or * for everybody")
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what to say; - is the text on standard input")
    parser.add_argument(
        "-f",
        "--file",
        nargs="+",
        action="extend",
        dest="files",
        metavar="FILE",
        help="files and directories to send, with the text as their caption; - is standard input",
    )
    parser.add_argument("--name", metavar="TEXT", help="what standard input is to be called as a file (stdin)")
    parser.add_argument("--code", action="store_true", help="the text is to be shown as it is")
    parser.add_argument("--emote", action="store_true", help="the text is what you do, as with /me")
    parser.add_argument("--reply", metavar="N", help="it answers the message at this place, such as 12")
    return parser


def tail() -> Parser:
    parser = _errand("tail", "ROOM", "Print what was said last in a room, and then what comes.")
    parser.add_argument("room", metavar="ROOM", help="a room, @user, * for announcements, or all")
    parser.add_argument("-n", "--lines", metavar="N", default="20", help="how much of what was said before (20)")
    parser.add_argument(
        "--follow", action=argparse.BooleanOptionalAction, default=None, help="go on with what comes (usual)"
    )
    return parser


def get() -> Parser:
    parser = _errand("get", "NAME|ID", "Fetch a file that was sent, or that the server shares.")
    parser.add_argument("what", metavar="NAME|ID", help="its name, its id, or the place of its message, room/#12")
    parser.add_argument("-o", "--output", metavar="PATH", help="where to put it: a file, a directory, or - (.)")
    parser.add_argument("--room", metavar="ROOM", help="look only there: a room, @user, or shared")
    parser.add_argument("--fast", action="store_true", help="in datagrams, and what is lost of them after that")
    parser.add_argument("--no-repair", dest="repair", action="store_false", help="leave out what is lost of --fast")
    return parser


def files() -> Parser:
    parser = _errand("files", "[ROOM]", "List the files of a room, or those that the server shares.")
    parser.add_argument("place", nargs="?", metavar="ROOM", help="a room, or @user; else what the server shares")
    return parser


def keys() -> Parser:
    parser = _errand("keys", "show | export [FILE] | import FILE | ...", "Keys of end-to-end encryption.")
    parser.usage = "\n       ".join(f"quicchat keys [flags] {each}" for each in _KEYS)
    parser.add_argument("what", metavar="|".join(KEYS), help="what to do with them")
    parser.add_argument("words", nargs="*", metavar="FILE", help="a file, or the user and the digits to compare")
    parser.add_argument("--secret", action="store_true", help="show: the recovery code too; export: the secret keys")
    parser.add_argument("--yes", action="store_true", help="ask nothing: replace keys and files that are there")
    return parser


def doctor() -> Parser:
    parser = _errand("doctor", "[HOST[:PORT]]", "Find out why a server cannot be reached, or what is wrong there.")
    parser.add_argument("where", nargs="?", metavar="HOST:PORT", help="the server; the same as -s and -p")
    return parser


def fingerprint() -> Parser:
    known = (one for one in settings(ServerConfig) if one.name in ("data", "cert", "key"))
    return _command("fingerprint", "", "Show the fingerprint that clients of a server compare.", known)


def config() -> Parser:
    parser = _command("config", "", "Show the settings that hold, and where each comes from.", (), profiles=True)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def scenario() -> Parser:
    parser = Parser(
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
    return parser


def conform() -> Parser:
    parser = Parser(
        prog="quicchat conform",
        usage="quicchat conform [flags] HOST[:PORT]\n       quicchat conform [flags] --start COMMAND\n"
        "       quicchat conform [flags] --serve [ADDRESS]:PORT [--client COMMAND]\n       quicchat conform --list",
        description="Hold a server, or a client, against the specification, whoever wrote it.",
        epilog="It makes accounts and rooms with names of its own, where it may, and leaves them there. "
        "The exit code is 7 where the server deviates.",
        allow_abbrev=False,
    )
    parser.add_argument("target", nargs="?", metavar="HOST:PORT", help="the server; an IPv6 address as [::1]:55667")
    parser.add_argument("--serve", metavar="ADDRESS", help="be a server for a client under test, at [ADDRESS]:PORT")
    parser.add_argument(
        "--client", metavar="COMMAND", help="with --serve: start the client so, with {host}, {port}, {user}, {password}"
    )
    parser.add_argument(
        "--only", "--case", nargs="+", action="extend", metavar="ID", help="cases whose ids begin so: 3.1, QC-4.2-3/"
    )
    parser.add_argument("--slow", action="store_true", help="also cases that wait for a deadline to pass")
    parser.add_argument(
        "--thorough", action="store_true", help="of each field all that is wrong; by default one of each sort, in turn"
    )
    parser.add_argument("--strict", action="store_true", help="what is only recommended counts, too")
    parser.add_argument("--features", action="append", metavar="NAMES", help="what there is or not, as in files,-keys")
    parser.add_argument("--user", action="append", metavar="NAME", help="an account to use, where nobody may sign up")
    parser.add_argument(
        "--password", action="append", metavar="TEXT", help="its password; others see it in the list of processes"
    )
    parser.add_argument("--password-file", metavar="FILE", help="the passwords, a line for each --user")
    parser.add_argument(
        "--start", metavar="COMMAND", help="start the server so, with {port} and {data}; it is killed and started anew"
    )
    parser.add_argument("--list", action="store_true", help="tell the cases and features, and play nothing")
    parser.add_argument("--junit", metavar="FILE", help="write a report as JUnit XML; - is standard output")
    parser.add_argument("--json", metavar="FILE", help="write a report, or the list, as JSON; - is standard output")
    parser.add_argument("--html", metavar="DIRECTORY", help="write a report for a browser there")
    parser.add_argument("-j", "--jobs", metavar="N", default="16", help="how many cases at a time (16)")
    return parser


def completion() -> Parser:
    parser = Parser(
        prog="quicchat completion",
        description="Print what completes the words of this program in a shell.",
        epilog='bash: eval "$(quicchat completion bash)" in ~/.bashrc; zsh: quicchat completion zsh > _quicchat, in a '
        "directory of $fpath; fish: quicchat completion fish > ~/.config/fish/completions/quicchat.fish",
        allow_abbrev=False,
    )
    parser.add_argument("shell", metavar="|".join(SHELLS), help="which shell")
    return parser


#: The parser of each command.
PARSERS: Final[dict[str, Callable[[], Parser]]] = {
    "server": server,
    "client": client,
    "send": send,
    "tail": tail,
    "get": get,
    "files": files,
    "keys": keys,
    "doctor": doctor,
    "fingerprint": fingerprint,
    "config": config,
    "scenario": scenario,
    "conform": conform,
    "completion": completion,
}


def _command(name: str, arguments: str, about: str, known: Iterable[Setting], *, profiles: bool = False) -> Parser:
    """A parser whose flags are the settings; all of them give text, which `config.read` judges."""
    prog = f"quicchat {name}"
    parser = Parser(
        prog=prog, usage=f"{prog} [flags] {arguments}", description=about, epilog=_ELSEWHERE, allow_abbrev=False
    )
    parser.add_argument("--config", type=_path, metavar="FILE", help="TOML file of settings to read")
    if profiles:
        parser.add_argument("--profile", metavar="NAME", help="settings of the file to take, from [profile.NAME]")
    for setting in known:
        parser.add_argument(*setting.flags, dest=setting.name, help=_help(setting), **_shape(setting))
    return parser


def _errand(name: str, arguments: str, about: str) -> Parser:
    """A parser of a command that does one thing as a client."""
    known = (one for one in settings(ClientConfig) if one.name in ERRAND)
    return _command(name, arguments, about, known, profiles=True)


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


def unknown_word(word: str, known: Collection[str]) -> str:
    """That nobody knows a word, and the nearest that is known."""
    from difflib import get_close_matches

    guess = get_close_matches(word, known, 1)
    return f"unknown; did you mean {guess[0]}?" if guess else "unknown"
