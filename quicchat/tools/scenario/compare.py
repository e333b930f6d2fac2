"""What was shown against what had to be: patterns, times that have names, the difference. (spec 12-operation)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from quicchat.tools.scenario.script import ANYTHING, Expected, filled

#: What the script has called each time so far.
Times = Mapping[str, str]

#: In a pattern: a time with a name or without, anything, a text of a given length.
_SPECIAL: Final = re.compile(r"\bT\d*\b|\{\.\.\.\}|\{[1-9][0-9]{0,6} bytes\}")
_TIME: Final = r"[0-2]\d:[0-5]\d:[0-6]\d"
#: Longer lines are shortened in a report.
_WIDTH: Final = 160


def compare(expected: Sequence[Expected], shown: Sequence[str], times: Times) -> Times | None:
    """The times as they are known afterwards, or None where something else was shown."""
    rest = list(shown)
    for each in (one for one in expected if one.loose):
        for place, line in enumerate(rest):
            if (found := _fits(each.text, line, times)) is not None:
                times = found
                del rest[place]
                break
        else:
            return None
    return _follow([each.text for each in expected if not each.loose], rest, times)


def difference(expected: Sequence[Expected], shown: Sequence[str], times: Times) -> list[str]:
    """Both, line by line: `-` was missing, `+` was too much."""
    texts = [each.text for each in expected]
    common = _common(texts, shown, times)
    lines: list[str] = []
    left, right = 0, 0
    for one, other in (*common, (len(texts), len(shown))):
        lines += [f"  - {text[:_WIDTH]}" for text in texts[left:one]]
        lines += [f"  + {line[:_WIDTH]}" for line in shown[right:other]]
        if one < len(texts):
            lines.append(f"    {shown[other][:_WIDTH]}")
        left, right = one + 1, other + 1
    return lines


def _follow(texts: Sequence[str], shown: Sequence[str], times: Times) -> Times | None:
    """All lines in this order, and none besides, unless it says `...`."""
    if not texts:
        return None if shown else times
    if texts[0] == ANYTHING:
        for start in range(len(shown) + 1):
            if (found := _follow(texts[1:], shown[start:], times)) is not None:
                return found
        return None
    if not shown or (known := _fits(texts[0], shown[0], times)) is None:
        return None
    return _follow(texts[1:], shown[1:], known)


def _fits(text: str, line: str, times: Times) -> Times | None:
    """Whether a line is as the script says; the times it has told by then."""
    pattern, end, names = "", 0, []
    for found in _SPECIAL.finditer(text):
        pattern += re.escape(text[end : found.start()])
        end = found.end()
        word = found[0]
        if word == "{...}":
            pattern += ".*"
        elif word.startswith("{"):
            pattern += re.escape(filled(word))
        elif word in times:
            pattern += times[word]
        elif word in names:
            pattern += f"(?P={word})"
        elif word == "T":
            pattern += _TIME
        else:
            names.append(word)
            pattern += f"(?P<{word}>{_TIME})"
    match = re.fullmatch(pattern + re.escape(text[end:]), line)
    return None if match is None else {**times, **match.groupdict()}


def _common(texts: Sequence[str], shown: Sequence[str], times: Times) -> list[tuple[int, int]]:
    """The longest common run of pairs (place in `texts`, place in `shown`)."""
    best: dict[tuple[int, int], int] = {}
    for one in range(len(texts) - 1, -1, -1):
        for other in range(len(shown) - 1, -1, -1):
            if _fits(texts[one], shown[other], times) is not None:
                best[one, other] = best.get((one + 1, other + 1), 0) + 1
            else:
                best[one, other] = max(best.get((one + 1, other), 0), best.get((one, other + 1), 0))
    pairs, one, other = [], 0, 0
    while one < len(texts) and other < len(shown):
        if best.get((one + 1, other), 0) == best[one, other]:
            one += 1
        elif best.get((one, other + 1), 0) == best[one, other]:
            other += 1
        else:
            pairs.append((one, other))
            one, other = one + 1, other + 1
    return pairs
