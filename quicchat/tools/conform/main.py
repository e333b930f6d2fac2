"""`quicchat conform HOST:PORT`: chooses, plays and reports. (spec 16-conformance)"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from quicchat.tools.conform.bench import Account, Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import FEATURES, Case
from quicchat.tools.conform.cases import every
from quicchat.tools.conform.cases.client import every as of_clients
from quicchat.tools.conform.control import Controller
from quicchat.tools.conform.features import NoLogin, examine, wished
from quicchat.tools.conform.page import as_page
from quicchat.tools.conform.plain import plain
from quicchat.tools.conform.progress import Progress, progress
from quicchat.tools.conform.quic import Unreachable
from quicchat.tools.conform.report import Run, as_json, as_junit, as_list, listed, sentence
from quicchat.tools.conform.runner import Result, chosen, play
from quicchat.tools.conform.serving import Options
from quicchat.tools.conform.serving import run as serve
from quicchat.tools.conform.stage import ANYWHERE, Subject
from quicchat.tools.conform.summary import summary
from quicchat.tools.conform.udp import close_all
from quicchat.tools.conform.verdict import Deviation
from quicchat.values import dataclass

PORT: Final = 55667
DONE, FAULT, USAGE, UNREACHABLE, LOGIN, DEVIATES, INTERRUPTED = 0, 1, 2, 3, 5, 7, 130


class Misuse(Exception):
    """What was asked for makes no sense; the text is one line for the person."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; `accounts` are users and passwords, files are where reports go (`-` is standard output)."""

    target: str | None = None
    only: Sequence[str] = ()
    features: Sequence[str] = ()
    accounts: Sequence[tuple[str, str]] = ()
    strict: bool = False
    slow: bool = False
    thorough: bool = False
    at_once: int = 16
    start: str | None = None
    serve: str | None = None
    client: str | None = None
    listing: bool = False
    junit: str | None = None
    json: str | None = None
    html: str | None = None


def run(wanted: Wanted) -> int:
    """Do it; the exit code. Raises Misuse."""
    known = every() if wanted.serve is None else of_clients()
    for word in wanted.only:
        if not chosen(known, [word]):
            raise Misuse(f"no case begins with {word}: --list tells them")
    _prepare(wanted)
    cases = chosen(known, wanted.only)
    if not wanted.only:
        cases = [case for case in cases if wanted.slow >= case.slow and wanted.thorough >= case.thorough]
    if wanted.listing:
        return _list(cases, wanted.json)
    if wanted.serve is not None:
        return _serve(wanted, wanted.serve)
    return _test(wanted, cases)


def _test(wanted: Wanted, cases: Sequence[Case]) -> int:
    """Play the cases against the server."""
    if wanted.target is None and wanted.start is None:
        raise Misuse("say which server: HOST:PORT, or --start COMMAND")
    host, port = address(wanted.target or "127.0.0.1:0")
    try:
        features = wished(word for each in wanted.features for word in each.split(","))
    except ValueError as error:
        raise Misuse(str(error)) from error
    accounts = [Account(*each) for each in wanted.accounts]
    results: list[Result] = []
    began = monotonic()
    code, is_whole = DONE, True
    # Nothing is known of the server before it has been examined.
    target = Target(host, port, features=frozenset(), accounts=accounts)

    async def go() -> None:
        async with controlled(wanted.start, target):
            try:
                await examine(target, features)
                with progress(len(cases), target, strict=wanted.strict) as shown:
                    await _play(cases, target, wanted.at_once, results, shown)
            finally:
                close_all()

    try:
        asyncio.run(go())
    except KeyboardInterrupt:
        code, is_whole = INTERRUPTED, False
    except Unreachable as error:
        return _complain(str(error), UNREACHABLE)
    except NoLogin as error:
        return _complain(str(error), LOGIN)
    except Deviation as error:
        return _complain(f"it does not even negotiate: {error}", UNREACHABLE)
    order = {case.id: number for number, case in enumerate(cases)}
    results.sort(key=lambda result: order[result.case.id])
    shown_as = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    found = Run(shown_as, target.versions, target.features, results, monotonic() - began, wanted.strict, is_whole)
    _report(found, wanted)
    return code or (FAULT if found.faults else DEVIATES if found.deviations else DONE)


def _serve(wanted: Wanted, where: str) -> int:
    """Be the server, for a client under test."""
    host, port = address(ANYWHERE[0] + where if where.startswith(":") else where)
    if wanted.client is None and port == 0:
        raise Misuse("say which port: nobody could tell the client")
    _try_out(host, port)
    subject = Subject(command=wanted.client, host=host)
    if wanted.accounts:
        user, password = wanted.accounts[0]
        subject = Subject(command=wanted.client, host=host, user=user, password=password)
    began = monotonic()
    found: list[Result] = []
    try:
        # Who names a case wants it played, however long it takes.
        slow = wanted.slow or bool(wanted.only)
        serve(Options(subject, port, tuple(wanted.only), wanted.at_once, slow, wanted.strict), found.extend)
    except KeyboardInterrupt:
        return INTERRUPTED
    done = Run(wanted.client or "the client", book().versions, frozenset(), found, monotonic() - began, wanted.strict)
    _report(done, wanted)
    return FAULT if done.faults else DEVIATES if done.deviations else DONE


async def _play(cases: Sequence[Case], target: Target, at_once: int, results: list[Result], shown: Progress) -> None:
    def tell(result: Result) -> None:
        results.append(result)
        shown.tell(result)

    await play(cases, target, at_once=at_once, tell=tell)


@contextlib.asynccontextmanager
async def controlled(command: str | None, target: Target) -> AsyncIterator[None]:
    """A server by this command, if there is one, for as long as this lasts. Raises Unreachable."""
    if command is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="conform-") as folder:
        target.control = control = Controller(command, Path(folder), host=target.host, port=target.port)
        target.port = control.port
        try:
            await control.start()
            yield
        finally:
            await control.kill()


def passwords(given: Sequence[str], file: str | None, count: int) -> Sequence[str]:
    """One for each user: as given, else the lines of a file. Raises Misuse."""
    if not given and count and file:
        try:
            given = Path(file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Misuse(f"cannot read {file}: {error}") from error
    if len(given) != count:
        raise Misuse(f"there are {count} --user and {len(given)} passwords")
    return given


def address(word: str) -> tuple[str, int]:
    """HOST, HOST:PORT, [HOST]:PORT or an IPv6 address alone. Raises Misuse."""
    host, port = word, ""
    if word.startswith("["):
        host, bracket, rest = word[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise Misuse(f"{word} is no HOST:PORT")
        port = rest[1:]
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    if not host or not (port or "1").isdecimal() or not 0 <= int(port or PORT) < 65536:
        raise Misuse(f"{word} is no HOST:PORT")
    return host, int(port or PORT)


def _try_out(host: str, port: int) -> None:
    """Raises Misuse where nobody can listen."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as tried:
            tried.bind(where)
    except (OSError, UnicodeError) as error:
        raise Misuse(f"cannot listen at {host} port {port}: {getattr(error, 'strerror', error)}") from error


def _list(cases: Sequence[Case], json: str | None) -> int:
    if json is not None:
        _write(json, as_list(cases))
        return DONE
    last = ""
    for case in cases:
        found = listed(case)
        if case.sentence != last:
            last = case.sentence
            print(plain(sentence(case)))
        needs = [*found["needs"], *(["version 2"] if case.since > 1 else []), *(["slow"] if case.slow else [])]
        needs += ["thorough"] if case.thorough else []
        print(f"    {case.id}{'  needs ' if needs else ''}{', '.join(needs)}")
    print(f"{len(cases)} cases. Features:")
    for name, about in FEATURES.items():
        print(f"    {name:10} {about}")
    return DONE


def _report(found: Run, wanted: Wanted) -> None:
    """The summary for the person, beside what goes to a file; and the files."""
    out = sys.stderr if "-" in (wanted.json, wanted.junit) else sys.stdout
    for line in summary(found):
        print(line, file=out)
    if wanted.json is not None:
        _write(wanted.json, as_json(found))
    if wanted.junit is not None:
        _write(wanted.junit, as_junit(found))
    if wanted.html is not None:
        _write(str(Path(wanted.html) / "index.html"), as_page(found))


def _prepare(wanted: Wanted) -> None:
    """Make the places of the reports: nobody wants to learn after a run that it cannot be written. Raises Misuse."""
    try:
        if wanted.html is not None:
            Path(wanted.html).mkdir(parents=True, exist_ok=True)
        for path in (wanted.json, wanted.junit):
            if path is not None and path != "-":
                Path(path).open("a").close()
    except OSError as error:
        raise Misuse(f"cannot write {error.filename}: {error.strerror}") from error


def _write(path: str, text: str) -> None:
    if path == "-":
        print(text, end="")
        return
    Path(path).write_text(text, "utf-8")


def _complain(text: str, code: int) -> int:
    print(f"quicchat: {text}", file=sys.stderr)
    return code
