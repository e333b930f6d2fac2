"""Plays cases against a server, several at a time, and says what came of each. (spec 16-conformance)"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import Case
from quicchat.tools.conform.ear import Turn
from quicchat.tools.conform.quic import Unreachable
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.udp import close_all
from quicchat.tools.conform.verdict import Deviation, Unclean, Verdict, worse
from quicchat.values import dataclass

#: How long a case may take that waits for no deadline, in seconds; and one that does.
LONGEST, SLOWEST = 20.0, 90.0
#: How often a case is begun anew that the server's rates did not let through (8.3-6).
ATTEMPTS: Final = 12
#: Begins the text of a case in which the kit itself has failed.
MISTAKE: Final = "a mistake of the kit"
#: So many bad ones may be bad luck, and are played again; where there are more it is the server, and no time is spent.
DOUBTS: Final = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case: of the behaviour, and of how the connections ended; what was said on each connection.

    `fault` is the traceback where the kit itself has failed; then nothing is said of the server. `again` is set where
    this is the second time, which counts; the text tells what came of the first, where that was worse.
    """

    case: Case
    behaviour: Verdict
    text: str
    seconds: float
    tracks: tuple[tuple[Turn, ...], ...] = ()
    close: Verdict = Verdict.OK
    fault: str = ""
    again: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worse of both."""
        return worse(self.behaviour, self.close)


class Ledger:
    """The results; keeps those to itself that are bad, as long as they are few enough to be played again."""

    def __init__(self, tell: Callable[[Result], None], doubts: int) -> None:
        self.found: dict[str, Result] = {}
        self.doubtful: list[Result] = []
        self._tell = tell
        self._doubts = doubts

    def enter(self, result: Result) -> None:
        """The first of a case."""
        if result.fault or not result.verdict.is_bad:
            self.settle(result)
            return
        self.doubtful.append(result)
        if len(self.doubtful) > self._doubts:
            self._doubts = 0
            self.give_in()

    def settle(self, result: Result) -> None:
        """The one that counts."""
        self.found[result.case.id] = result
        self._tell(result)

    def give_in(self) -> None:
        """What is doubtful counts."""
        while self.doubtful:
            self.settle(self.doubtful.pop(0))


async def play(
    cases: Sequence[Case],
    target: Target,
    *,
    at_once: int,
    tell: Callable[[Result], None] = lambda result: None,
    doubts: int = DOUBTS,
) -> list[Result]:
    """The results in the order of the cases; the last are those that are `alone`, then those with a controller.

    At the very end those that were bad are played once more, alone, unless there are more than `doubts`: a machine that
    has too much to do can make a server miss a time.
    """
    ledger = Ledger(tell, doubts)

    async def one(case: Case) -> None:
        ledger.enter(await judge(case, target))

    waiting = iter([case for case in cases if not is_alone(case)])

    async def hand() -> None:
        for case in waiting:
            await one(case)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(hand())
        for case in sorted(filter(is_alone, cases), key=lambda case: "control" in case.needs):
            await one(case)
        while ledger.doubtful:
            first = ledger.doubtful[0]
            second = await judge(first.case, target)
            del ledger.doubtful[0]
            ledger.settle(second_time(first, second))
    finally:
        ledger.give_in()
        target.leave()
        close_all()
    return [ledger.found[case.id] for case in cases]


def second_time(first: Result, second: Result) -> Result:
    """What counts of a case that was played twice."""
    if second.fault or second.verdict.is_bad:
        return replace(second, again=True)
    told = f"at first {first.verdict.value}: {first.text}"
    return replace(second, again=True, text=f"{second.text}; {told}" if second.text else told)


def is_alone(case: Case) -> bool:
    """Whether nothing else may be going on meanwhile."""
    return case.alone or "control" in case.needs


async def judge(case: Case, target: Target) -> Result:
    """Play one case, anew as long as only the server's rates were in its way."""
    lacking = missing(case, target)
    if lacking:
        return Result(case, Verdict.UNIMPLEMENTED, lacking, 0.0)
    attempts = 0
    while True:
        attempts += 1
        bench = Bench(target)
        found = await _once(case, bench)
        if attempts == ATTEMPTS or not (found.behaviour.is_bad or found.fault) or not hindered(bench):
            return found
        target.slow_down()


async def _once(case: Case, bench: Bench) -> Result:
    loop = asyncio.get_running_loop()
    began = loop.time()
    close, fault = Verdict.OK, ""
    longest = SLOWEST if case.slow or bench.target.is_limited else LONGEST
    try:
        async with asyncio.timeout(longest):
            await case.run(bench)
        bench.is_over = True
        behaviour, text = Verdict.INFORMATIONAL if case.informational else Verdict.OK, "; ".join(bench.notes)
    except Unclean as error:
        behaviour, close, text = Verdict.OK, error.verdict, str(error)
    except Deviation as error:
        behaviour, text = error.verdict, str(error)
    except Unreachable as error:
        behaviour, text = Verdict.FAILED, f"no connection: {error}"
    except TimeoutError:
        behaviour, text = Verdict.FAILED, f"it took longer than {longest:g} s"
    except Exception as error:  # noqa: BLE001 - a mistake of one case is told as such, and ends no other
        behaviour, text = Verdict.INFORMATIONAL, f"{MISTAKE}: {type(error).__name__}: {error}"
        fault = "".join(traceback.format_exception(error))
    finally:
        bench.hang_up()
    unclean = next(filter(None, map(farewell, bench.talks)), "")
    if unclean and close is Verdict.OK:
        close, text = Verdict.UNCLEAN, f"{text}; {unclean}" if text else unclean
    return Result(case, behaviour, text, loop.time() - began, bench.tracks, close, fault)


def farewell(talk: Talk) -> str:
    """What is wrong about how a server ended a connection, whatever the case was about (3.3-1); else nothing."""
    error, closed = talk.ear.fatal, talk.line.closed
    if error is None or closed is None or talk.line.is_closed_here:
        return ""
    if closed.code != error or not closed.by_application:
        return f"ERROR says {book().code(error)}, the close {talk.ear.end()}"
    if talk.ear.is_talkative:
        return f"it went on after ERROR {book().code(error)}, fatal"
    return ""


def hindered(bench: Bench) -> bool:
    """Whether a connection of this case was closed, or something in it refused, for a rate of the server (8.3)."""
    return any(talk.ear.is_limited for talk in bench.talks)


def missing(case: Case, target: Target) -> str:
    """Why the case cannot be played here; empty where it can."""
    if case.since > target.version:
        return f"version {case.since} is not spoken"
    lacking = sorted(case.needs - target.features)
    if lacking == ["control"]:
        return "the kit has not started this server (--start)"
    return f"there is no {', '.join(lacking)} here" if lacking else ""


def chosen(cases: Iterable[Case], only: Sequence[str]) -> list[Case]:
    """Those whose id begins with one of these words, with or without `QC-`; all where there are none."""
    words = tuple(word if word.startswith("QC-") else f"QC-{word}" for word in only)
    return [case for case in cases if not words or case.id.startswith(words)]
