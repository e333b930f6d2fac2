"""What came of a run, for people. (spec 16-conformance)"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from quicchat.tools.conform.plain import plain
from quicchat.tools.conform.report import Run, lines, told
from quicchat.tools.conform.runner import Result
from quicchat.tools.conform.verdict import Verdict

#: Of one sentence so many deviations are told with all that was said, so many at all: one mistake makes hundreds.
WHOLE: Final = 2
SHORT: Final = 20


def summary(run: Run) -> Iterator[str]:
    """The deviations with what was said, what is worth knowing beside them, and how many there are of each."""
    yield from _deviations(run.deviations)
    for each in run.faults:
        yield f"FAULT OF THE KIT  {each.case.id}"
        yield from (f"    {line}" for line in lines(each.fault).splitlines())
        yield ""
    for each in run.results:
        if (
            each.verdict in (Verdict.NON_STRICT, Verdict.INFORMATIONAL)
            and each not in run.deviations
            and not each.fault
        ):
            yield plain(f"{each.verdict.value}  {each.case.id}  {each.text}")
        elif each.again and each not in run.deviations and not each.fault:
            yield plain(f"{each.verdict.value} AGAIN  {each.case.id}  {each.text}")
    yield from _missing(run)
    counts = [f"{count} {verdict.value}" for verdict, count in run.counts.items()]
    counts += [f"{len(run.faults)} FAULT OF THE KIT"] if run.faults else []
    yield plain(
        f"{run.target}, versions {', '.join(map(str, run.versions)) or 'none'}: "
        f"{', '.join(counts) or 'nothing was played'}, in {run.seconds:.1f} s"
    )
    if run.deviations:
        yield f"One of them alone: --only {quote(run.deviations[0].case.id)}. All with what was said: --html DIRECTORY."
    if not run.is_whole:
        yield "This was interrupted: what was not played is not counted."


def _deviations(found: list[Result]) -> Iterator[str]:
    sentences: dict[str, list[Result]] = {}
    for each in found:
        sentences.setdefault(each.case.sentence, []).append(each)
    for several in sentences.values():
        for each in several[:WHOLE]:
            yield f"{each.verdict.value}  {each.case.id}"
            yield from (f"    {line}" for line in told(each))
            yield ""
        for each in several[WHOLE:SHORT]:
            yield plain(f"{each.verdict.value}  {each.case.id}  {each.text}")
        if len(several) > SHORT:
            yield f"... and {len(several) - SHORT} more of [{several[0].case.sentence}]"
        if len(several) > WHOLE:
            yield ""


def _missing(run: Run) -> Iterator[str]:
    """Why cases were left, a line for each reason."""
    reasons: dict[str, int] = {}
    for each in run.results:
        if each.verdict is Verdict.UNIMPLEMENTED:
            reasons[each.text] = reasons.get(each.text, 0) + 1
    for text, count in reasons.items():
        yield plain(f"UNIMPLEMENTED  {count} case{'s' if count > 1 else ''}: {text}")
