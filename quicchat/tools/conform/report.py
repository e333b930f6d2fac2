"""What came of a run, for programs: JSON, and XML as JUnit has it. (spec 16-conformance)"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as Xml

from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import Case
from quicchat.tools.conform.ear import DATAGRAM, Turn
from quicchat.tools.conform.plain import plain
from quicchat.tools.conform.runner import Result
from quicchat.tools.conform.verdict import Verdict
from quicchat.values import dataclass

_STRENGTH: Final = re.compile(r"MUST NOT|MUST|SHOULD NOT|SHOULD|MAY")
#: Of a long conversation the end is told.
LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Run:
    """All that came of it; `is_whole` where nobody interrupted it."""

    target: str
    versions: tuple[int, ...]
    features: frozenset[str]
    results: Sequence[Result]
    seconds: float
    strict: bool = False
    is_whole: bool = True

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many cases came out how; those that the kit has failed in are none of them."""
        found = Counter(each.verdict for each in self.results if not each.fault)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}

    @property
    def deviations(self) -> list[Result]:
        """What is not as it should be."""
        return [each for each in self.results if deviates(each, strict=self.strict)]

    @property
    def faults(self) -> list[Result]:
        """Cases that the kit itself has failed in."""
        return [each for each in self.results if each.fault]


def deviates(result: Result, *, strict: bool) -> bool:
    """Whether a MUST is broken, or with `strict` a SHOULD."""
    return not result.fault and (result.verdict.is_bad or (strict and result.verdict is Verdict.NON_STRICT))


def strength(case: Case) -> str:
    """How strong its sentence is: MUST, SHOULD ...; empty where it says no such word."""
    found = _STRENGTH.search(book().sentences.get(case.sentence, ""))
    return found[0] if found else ""


def sentence(case: Case) -> str:
    """Its sentence with the id before it, for people; what is emphasised in the source is not here."""
    return f"[{case.sentence}] {book().sentences.get(case.sentence, '').replace('**', '')}".rstrip()


def listed(case: Case) -> dict[str, Any]:
    """A case, for `--list`."""
    return {
        "id": case.id,
        "sentence": case.sentence,
        "strength": strength(case),
        "needs": sorted(case.needs),
        "since": case.since,
        "slow": case.slow,
        "thorough": case.thorough,
        "alone": case.alone or "control" in case.needs,
        "text": book().sentences.get(case.sentence, ""),
    }


def as_list(cases: Iterable[Case]) -> str:
    """All cases as JSON."""
    return json.dumps([listed(case) for case in cases], indent=1, ensure_ascii=False) + "\n"


def as_json(run: Run) -> str:
    """The run as one JSON object; the conversations of those that are not OK."""
    found = {
        "target": run.target,
        "versions": list(run.versions),
        "features": sorted(run.features),
        "strict": run.strict,
        "complete": run.is_whole,
        "seconds": round(run.seconds, 3),
        "counts": {verdict.value: count for verdict, count in run.counts.items()},
        "deviations": len(run.deviations),
        "faults": len(run.faults),
        "cases": [_case(each, strict=run.strict) for each in run.results],
    }
    # What a peer has made of half a character has no place in UTF-8.
    return json.dumps(found, indent=1, ensure_ascii=True) + "\n"


def _case(result: Result, *, strict: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": result.case.id,
        "sentence": result.case.sentence,
        "strength": strength(result.case),
        "verdict": "FAULT" if result.fault else result.verdict.value,
        "behaviour": result.behaviour.value,
        "close": result.close.value,
        "again": result.again,
        "deviates": deviates(result, strict=strict),
        "text": result.text,
        "seconds": round(result.seconds, 4),
    }
    if result.fault:
        found["fault"] = result.fault
    if result.fault or result.verdict is not Verdict.OK:
        found["connections"] = [
            [{"at": round(turn.at, 4), "by": turn.by, "stream": turn.sid, "text": turn.text} for turn in track]
            for track in result.tracks
        ]
    return found


def as_junit(run: Run) -> str:
    """The run as JUnit XML: a suite for each chapter, a failure for each deviation."""
    root = Xml.Element("testsuites", name=f"quicchat conform {plain(run.target)}", time=f"{run.seconds:.3f}")
    chapters: dict[int, list[Result]] = {}
    for each in run.results:
        chapters.setdefault(int(each.case.sentence.partition(".")[0]), []).append(each)
    for chapter, results in sorted(chapters.items()):
        suite = Xml.SubElement(root, "testsuite", name=f"chapter {chapter}")
        suite.set("time", f"{sum(each.seconds for each in results):.3f}")
        for each in results:
            _entry(suite, each, strict=run.strict)
        for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(kind, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(results)))
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _entry(suite: Xml.Element, result: Result, *, strict: bool) -> None:
    case = result.case
    entry = Xml.SubElement(suite, "testcase", classname=case.sentence, name=case.id, time=f"{result.seconds:.3f}")
    if result.fault:
        Xml.SubElement(entry, "error", message=plain(result.text)).text = lines(result.fault)
    elif deviates(result, strict=strict):
        failure = Xml.SubElement(entry, "failure", type=result.verdict.value, message=plain(result.text))
        failure.text = "\n".join(["", *told(result), ""])
    elif result.verdict is Verdict.UNIMPLEMENTED:
        Xml.SubElement(entry, "skipped", message=plain(result.text))
    elif result.verdict is not Verdict.OK:
        Xml.SubElement(entry, "system-out").text = plain(f"{result.verdict.value}: {result.text}")


def lines(text: str) -> str:
    """The same lines, each of them plain."""
    return "\n".join(map(plain, text.splitlines()))


def told(result: Result) -> list[str]:
    """A deviation in plain lines: the sentence, what happened instead, and the conversation."""
    found = [sentence(result.case), f"instead: {result.text}"]
    found += [f"behaviour {result.behaviour.value}, close {result.close.value}"]
    for number, track in enumerate(result.tracks, 1):
        found.append(f"connection {number}:" if len(result.tracks) > 1 else "said:")
        if len(track) > LONGEST:
            found.append(f"  ... {len(track) - LONGEST} more before")
        found += [f"  {spoken(turn)}" for turn in track[-LONGEST:]]
    return [plain(line) for line in found]


_ARROWS: Final = {"client": "->", "server": "<-", "end": "--"}


def spoken(turn: Turn) -> str:
    """One line for one turn: seconds, direction as the kit sees it, stream, PDU."""
    place = "" if turn.by == "end" else "datagram " if turn.sid == DATAGRAM else f"{turn.sid} "
    return f"{turn.at:8.4f} {_ARROWS.get(turn.by, turn.by)} {place}{turn.text}"
