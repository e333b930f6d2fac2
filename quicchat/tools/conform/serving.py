"""`quicchat conform --serve [ADDRESS]:PORT`: plays a server, good and bad, for a client under test. (spec README)"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from quicchat.tools.conform.case import Case
from quicchat.tools.conform.cases.client import every
from quicchat.tools.conform.ear import Turn
from quicchat.tools.conform.host import Host
from quicchat.tools.conform.runner import LONGEST, SLOWEST, Result, chosen
from quicchat.tools.conform.stage import ANYWHERE, Stage, Subject
from quicchat.tools.conform.verdict import Deviation, Informational, Verdict
from quicchat.values import dataclass

#: What is judged on all connections of all cases: the sentence, the name of the case, whether it is a SHOULD only.
_MANNERS: Final = (
    ("1.2-1", "nothing-of-a-later-version", False),
    ("2.1-7", "frames-within-the-limit", False),
    ("2.2-1", "only-what-is-well-formed", False),
    ("2.3-1", "the-chosen-version", False),
    ("2.3-2", "envelopes", False),
    ("2.3-5", "each-id-once", True),
    ("2.4-2", "fields-by-the-book", False),
    ("2.5-4", "no-even-keys", False),
    ("3.1-1", "what-comes-first", False),
    ("3.1-3", "negotiation-in-version-1", False),
    ("3.1-11", "early-resume-in-version-2", False),
    ("3.3-1", "nothing-after-a-fatal-error", False),
    ("3.5-1", "nothing-after-bye", True),
    ("3.7-1", "streams-begin-with-stream-open", False),
    ("3.7-3", "each-pdu-in-its-place", False),
    ("3.9-1", "datagrams-within-the-limit", False),
    ("10.1-1", "only-legal-words", False),
)


@dataclass(frozen=True, slots=True)
class Options:
    """As the flags of `quicchat conform` say. With `port` 0 and a command, each case has a port of its own."""

    subject: Subject = Subject()
    port: int = 0
    only: tuple[str, ...] = ()
    at_once: int = 1
    slow: bool = False
    strict: bool = False


def run(options: Options, report: Callable[[Sequence[Result]], None] = lambda results: None) -> int:
    """Play the cases, tell each verdict and give all results to `report`; 0 where none is bad."""
    # A handshake that fails is news to nobody here.
    logging.getLogger("quic").setLevel(logging.CRITICAL)
    cases = [case for case in chosen(every(), options.only) if options.slow or not case.slow]
    results = asyncio.run(play(cases, options))
    report(results)
    bad = [each for each in results if each.verdict.is_bad or (options.strict and each.verdict is Verdict.NON_STRICT)]
    return 1 if bad else 0


async def play(cases: Sequence[Case], options: Options) -> list[Result]:
    """The results in the order of the cases, and behind them what is judged on all connections.

    Without a command that starts the client, one after the other on one port.
    """
    subject = options.subject
    found: dict[str, Result] = {}
    hosts: list[Host] = []
    waiting = iter(cases)
    port = options.port
    if subject.command is None and port == 0:
        raise ValueError("a person has to be told a port")

    async def hand() -> None:
        for case in waiting:
            if subject.command is None:
                where = "127.0.0.1" if subject.host in ANYWHERE else subject.host
                subject.tell(f"{case.id}\n  connect: quicchat client -s {where} -p {port} -u {subject.user}")
                subject.tell(f"  password: {subject.password}")
            found[case.id] = result = await judge(case, Stage(subject, port), hosts)
            tell(result)

    async with asyncio.TaskGroup() as group:
        for _ in range(options.at_once if subject.command is not None and port == 0 else 1):
            group.create_task(hand())
    judged = [] if options.only and not hosts else list(manners(hosts, options.only))
    for result in judged:
        tell(result)
    return [found[case.id] for case in cases] + judged


async def judge(case: Case, stage: Stage, hosts: list[Host]) -> Result:
    """Play one case; its connections are added to `hosts`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        # A person takes his time.
        patience = None if stage.subject.command is None else SLOWEST if case.slow else 2 * LONGEST
        async with asyncio.timeout(patience):
            await case.run(stage)
        verdict, text = Verdict.INFORMATIONAL if case.informational else Verdict.OK, "; ".join(stage.notes)
    except Deviation as error:
        verdict, text = error.verdict, str(error)
        if verdict.rank > Verdict.UNIMPLEMENTED.rank:
            text += stage.last_words()
    except TimeoutError:
        verdict, text = Verdict.FAILED, f"it took too long{stage.last_words()}"
    except OSError as error:
        verdict, text = Verdict.FAILED, f"the client cannot be started: {error.strerror}"
    finally:
        await stage.close()
    hosts += stage.hosts
    return Result(case, verdict, text, loop.time() - began, _tracks(stage.hosts))


def manners(hosts: Sequence[Host], only: Sequence[str]) -> Iterable[Result]:
    """What the client said wrong on any connection, sentence by sentence."""
    heard = sum(len(host.words) for host in hosts)
    for sentence, name, is_advice in _MANNERS:
        case = Case(sentence, name, _nothing)
        if not chosen([case], only):
            continue
        guilty = [host for host in hosts if any(each.sentence == sentence for each in host.manners.faults)]
        faults = [each.text for host in guilty for each in host.manners.faults if each.sentence == sentence]
        if faults:
            verdict = Verdict.NON_STRICT if is_advice else Verdict.FAILED
            more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
            yield Result(case, verdict, faults[0] + more, 0.0, _tracks(guilty[:1]))
        elif heard:
            yield Result(case, Verdict.OK, f"{heard} PDUs on {len(hosts)} connections", 0.0)
        else:
            yield Result(case, Verdict.INFORMATIONAL, "the client said nothing", 0.0)


async def _nothing(stage: Stage) -> None:
    raise Informational("judged on all connections")


def _tracks(hosts: Sequence[Host]) -> tuple[tuple[Turn, ...], ...]:
    return tuple(tuple(host.track) for host in hosts if host.track)


def tell(result: Result) -> None:
    """One line of a result."""
    print(f"{result.verdict.value:14} {result.case.id} {result.text}".rstrip(), file=sys.stdout, flush=True)
