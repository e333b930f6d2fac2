"""The command line: starts what was asked for, and turns every fault into one line. (spec 12-operation)

Nothing but argparse and the settings is imported before a command is known, so that help comes at once.
Exit codes: 0 ok, 2 usage, 3 cannot start or connect, 4 certificate, 5 login, 6 refused, 7 a server deviates (conform),
130 interrupt; 1 is a mistake of ours.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

from quicchat.config import DEBUG, BadSetting, ClientConfig, ServerConfig, Settled, read, settings, settled, usual_file
from quicchat.errors import UsageError
from quicchat.tools import parsers

INTERRUPTED: Final = 130
#: What a shell reports of a program whose reader went away.
BROKEN_PIPE: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. An expected fault is one line on stderr, never a traceback."""
    _fill_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        print(end="", flush=True)
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _unheard(sys.stdout)
    except OSError as error:
        if error.errno == errno.EIO:  # the terminal is gone
            return _unheard(sys.stdout, sys.stderr)
        if error.errno != errno.ENOSPC:
            return _complain(error)
        _unheard(sys.stdout)
        return _complain(UsageError(f"cannot write: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - whatever it is, people get one line of it
        return _complain(error)


def _fill_streams() -> None:
    """Where a stream was closed, nothing is heard; and no file or socket may get its number."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(spare, True)
    os.close(spare)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the program


def _unheard(*streams: TextIO) -> int:
    """Nobody reads any more: the interpreter, which flushes at its end, would complain then."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return BROKEN_PIPE


def _run(words: list[str]) -> int:
    try:
        if words and words[0] in _COMMANDS:
            return _COMMANDS[words[0]](words[1:])
        return _no_command(words)
    except SystemExit as done:  # argparse has shown help or version
        return done.code if isinstance(done.code, int) else 0


def _no_command(words: list[str]) -> NoReturn:
    parser = parsers.no_command()
    found, others = parser.parse_known_args(words)
    if found.command is not None:
        parser.error(f"{found.command} is {parsers.unknown_word(found.command, _COMMANDS)}")
    if others:
        parser.error(f"unrecognized arguments: {others[0]}")
    parser.error(f"say what to do: {', '.join(_COMMANDS)}")


def _server(words: list[str]) -> int:
    config = server_config(words, os.environ)

    # As for the client; here the pauses are everybody's.
    gc.disable()
    from quicchat.server.app import run

    gc.freeze()
    gc.enable()
    return run(config)


def server_config(words: list[str], environ: Mapping[str, str]) -> ServerConfig:
    """How a server is to run, by its flags, an environment and the file. Raises UsageError, BadSetting."""
    flags = vars(parsers.server().parse_intermixed_args(words))
    file = flags.pop("config")
    flags |= _placed(flags, flags.pop("where"), ("port",))
    return read(ServerConfig, flags, environ, file)


def _client(words: list[str]) -> int:
    config = client_config(words, os.environ)

    # What is loaded never becomes garbage: to look for some takes a quarter of the start, and part of each pause later.
    gc.disable()
    from quicchat.ui.main import run

    gc.freeze()
    gc.enable()
    if _settle not in gc.callbacks:
        gc.callbacks.append(_settle)
    return run(config)


def _settle(phase: str, info: Mapping[str, int]) -> None:
    """What outlived the first look through everything is the program itself: later ones spare it, and are short."""
    if phase == "stop" and info["generation"] == 2:
        gc.callbacks.remove(_settle)
        gc.freeze()


def client_config(words: list[str], environ: Mapping[str, str]) -> ClientConfig:
    """How a client is to run, by its flags, an environment and the file. Raises UsageError, BadSetting."""
    flags = vars(parsers.client().parse_intermixed_args(words))
    file, profile, where = flags.pop("config"), flags.pop("profile"), flags.pop("where")
    config = read(ClientConfig, flags, environ, file, profile)
    if where:
        order = ("user", "host", "port") if config.style == "mystic" else ("host", "port", "user")
        config = read(ClientConfig, flags | _placed(flags, where, order), environ, file, profile)
    return config


def _send(words: list[str]) -> int:
    flags, config = _errand(parsers.send(), words)

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import Send
    from quicchat.ui.saying import Say

    text, files = flags["text"], flags["files"]
    if files is None and flags["name"] is None:
        return run(config, Say.of(flags["to"], text, code=flags["code"], emote=flags["emote"], reply=flags["reply"]))
    if files is None:
        raise UsageError("--name is about files: say with -f which files")
    if flags["code"] or flags["emote"] or flags["reply"] is not None:
        raise UsageError("--code, --emote and --reply are about a text, and do not go with files")
    return run(config, Send(flags["to"], files, flags["name"], caption=" ".join(text)))


def _tail(words: list[str]) -> int:
    flags, config = _errand(parsers.tail(), words)

    from quicchat.ui.errands import run
    from quicchat.ui.tail import Tail

    return run(config, Tail.of(flags["room"], flags["lines"], follow=flags["follow"] is not False))


def _get(words: list[str]) -> int:
    parser = parsers.get()
    flags, config = _errand(parser, words)
    if flags["fast"] and flags["output"] == "-":
        parser.error("datagrams have no order: --fast does not go with -o -")

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import Fetch

    return run(config, Fetch(flags["what"], flags["output"], flags["room"], flags["fast"], flags["repair"]))


def _files(words: list[str]) -> int:
    flags, config = _errand(parsers.files(), words)

    from quicchat.ui.errands import run
    from quicchat.ui.jobs import List

    return run(config, List(flags["place"]))


def _keys(words: list[str]) -> int:
    flags, config = _errand(parsers.keys(), words)

    from quicchat.ui.keyjobs import run

    return run(config, flags["what"], flags["words"], secret=flags["secret"], sure=flags["yes"])


def _doctor(words: list[str]) -> int:
    parser = parsers.doctor()
    flags, config = _errand(parser, words)
    if flags["where"] is not None:
        config = read(ClientConfig, _pointed(flags), os.environ, flags["config"], flags["profile"])

    from quicchat.tools.doctor.main import run

    # A name in the file is no wish to log in.
    return run(config, flags["user"] is not None)


def _pointed(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags of an errand, with HOST, HOST:PORT or [HOST]:PORT among them."""
    word = flags["where"]
    host, colon, port = word.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        host, port = word, None
    kept = {name: value for name, value in flags.items() if name in parsers.ERRAND}
    given = _placed(flags, [each for each in (host, port) if each is not None], ("host", "port"))
    return kept | given


def _fingerprint(words: list[str]) -> int:
    flags = vars(parsers.fingerprint().parse_intermixed_args(words))
    file = flags.pop("config")
    config = read(ServerConfig, flags, os.environ, file)

    from quicchat.server.adapters.certificates import fingerprint_in

    print(fingerprint_in(config.data, config.cert))
    return 0


def _config(words: list[str]) -> int:
    flags = vars(parsers.config().parse_intermixed_args(words))
    file, environ = flags["config"], os.environ
    tables = {
        ClientConfig.section: _kept(ClientConfig, settled(ClientConfig, {}, environ, file, flags["profile"])),
        ServerConfig.section: _kept(ServerConfig, settled(ServerConfig, {}, environ, file)),
    }

    from quicchat.config.listing import as_json, as_toml

    path = file or usual_file(environ)
    print(as_json(path, tables) if flags["json"] else "\n".join(as_toml(path, tables)))
    return 0


def _kept(of: type[ServerConfig] | type[ClientConfig], found: Mapping[str, Settled]) -> Mapping[str, Settled]:
    """Without what holds for one start only."""
    return {one.name: found[one.name] for one in settings(of) if one.kept}


def _scenario(words: list[str]) -> int:
    if words[:1] == ["--record"] and len(words) > 1:
        from quicchat.tools.scenario.main import record

        return record(words[1], client_config(words[2:], os.environ))
    parser = parsers.scenario()
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


def _conform(words: list[str]) -> int:
    parser = parsers.conform()
    found = parser.parse_args(_joined(words, "--features"))
    if not (found.jobs.isdecimal() and 0 < int(found.jobs) <= 64):
        parser.error(f"{found.jobs} is no number of cases from 1 to 64")

    from quicchat.tools.conform.main import Misuse, Wanted, passwords, run

    names, file = found.user or [], found.password_file or os.environ.get("QUICCHAT_PASSWORD_FILE")
    try:
        accounts = list(zip(names, passwords(found.password or (), file, len(names)), strict=True))
        return run(
            Wanted(
                target=found.target,
                only=[word for word in found.only or () if word != "all"],
                features=found.features or (),
                accounts=accounts,
                strict=found.strict,
                slow=found.slow,
                thorough=found.thorough,
                at_once=int(found.jobs),
                start=found.start,
                serve=found.serve,
                client=found.client,
                listing=found.list,
                junit=found.junit,
                json=found.json,
                html=found.html,
            )
        )
    except Misuse as error:
        raise UsageError(str(error)) from error


def _joined(words: list[str], flag: str) -> list[str]:
    """The words, with one behind a flag joined to it that would itself look like a flag: `-keys`."""
    made: list[str] = []
    for word in words:
        if made and made[-1] == flag and word.startswith("-") and not word.startswith("--"):
            made[-1] = f"{flag}={word}"
        else:
            made.append(word)
    return made


def _completion(words: list[str]) -> int:
    parser = parsers.completion()
    shell = parser.parse_args(words).shell
    if shell not in parsers.SHELLS:
        parser.error(f"{shell} is no shell that is known here; those are {', '.join(parsers.SHELLS)}")

    from pathlib import Path

    print(Path(parsers.__file__).with_name("completion").joinpath(f"quicchat.{shell}").read_text("utf-8"), end="")
    return 0


_COMMANDS: Final[dict[str, Callable[[list[str]], int]]] = {
    "server": _server,
    "client": _client,
    "send": _send,
    "tail": _tail,
    "get": _get,
    "files": _files,
    "keys": _keys,
    "doctor": _doctor,
    "fingerprint": _fingerprint,
    "config": _config,
    "scenario": _scenario,
    "conform": _conform,
    "completion": _completion,
}


def _errand(parser: parsers.Parser, words: list[str]) -> tuple[dict[str, Any], ClientConfig]:
    """What was asked for, and the client that does it. Raises UsageError, BadSetting."""
    flags = vars(parser.parse_intermixed_args(words))
    kept = {name: value for name, value in flags.items() if name in parsers.ERRAND}
    return flags, read(ClientConfig, kept, os.environ, flags["config"], flags["profile"])


def _placed(flags: dict[str, Any], words: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Arguments without a flag, by what they stand for."""
    if len(words) > len(names):
        raise UsageError(f"{words[len(names)]!r} is one argument too many")
    given = dict(zip(names, words, strict=False))
    for name in given:
        if flags[name] is not None:
            raise UsageError(f"the {name} is given twice: {given[name]!r} and {flags[name]!r}")
    return given


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

                for each in "".join(traceback.format_exception(error)).splitlines():
                    _say(each)
            else:
                text += f" ({DEBUG}=1 shows where)"
    _say(f"quicchat: {text}")
    return code


def _say(line: str) -> None:
    """One line for people. It may quote a peer: nothing in it may break it, or be an escape sequence."""
    from quicchat.ui.visible import visible

    print(visible(line), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
