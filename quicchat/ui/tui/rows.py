"""A message as lines of a width: spans of text, each with the names of its styles; pure. (spec 12-operation)

    17:04     alice v the text, which goes on
                      where it began
    17:05        -- bob joined

Styles: `dim`, `code`, `own`, `named`, `hit`, `mine`, `failed`, `new`, `day`, and `hue.N` as `colours.hue` tells.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len, split_graphemes

from quicchat.client.events import Sent
from quicchat.client.seal import Seal
from quicchat.ui import seals
from quicchat.ui.colours import hue
from quicchat.ui.figures import size_of
from quicchat.ui.page import MARKS, Row
from quicchat.ui.visible import visible
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind

#: Text, and the names of its styles with a space between them.
Span = tuple[str, str]
Line = tuple[Span, ...]

#: Below so many cells names stand in the text's line; below so many, no times either.
NARROW: Final = 60
_TINY: Final = 30
#: What is shown of one message at most: characters, and lines.
LONGEST: Final = 10_000
TALLEST: Final = 200
_NICKS: Final = 12
_WIDE_NICKS: Final = 18
_WIDE: Final = 100
_HANGING: Final = 2
_REACTIONS: Final = 30
#: Marks that tell of something to look at.
_WARNING: Final = frozenset(
    (MARKS[Sent.FAILED], *(seals.MARKS[each] for each in (Seal.PLAIN, Seal.CHANGED, Seal.FORGED)))
)
_WORDS: Final = re.compile(r"\s*\S+|\s+$")
_NO_TIME: Final = "-"


@dataclass(frozen=True, slots=True)
class Layout:
    """How wide everything is: all of it, the times, the names; `hits` are looked for, `user` is who reads."""

    width: int
    times: str = "%H:%M"
    nick: int = 0
    user: str = ""
    hits: tuple[str, ...] = ()
    clock: int = 5

    @property
    def narrow(self) -> bool:
        """Whether names have no column."""
        return self.width < NARROW

    @property
    def indent(self) -> int:
        """Cells before the text."""
        return _HANGING if self.narrow else self.clock + self.nick + 4


def layout(width: int, times: str, longest: int, user: str = "", hits: Iterable[str] = ()) -> Layout:
    """For a width, the strftime format of times, and the longest name."""
    clock = 0 if width < _TINY else cell_len(_clock(0, times))
    nick = 0 if width < NARROW else max(4, min(longest, _WIDE_NICKS if width >= _WIDE else _NICKS))
    return Layout(max(1, width), times, nick, user, tuple(hits), clock)


def lines(row: Row, form: Layout) -> list[Line]:
    """A message; at least one line."""
    head = _head(row, form)
    first = form.width - sum(cell_len(text) for text, _ in head) if form.narrow else form.width - form.indent
    body = _body(row, form, max(1, first), max(1, form.width - form.indent))
    indent = (" " * min(form.indent, form.width - 1), "")
    return [(*head, *body[0]), *((indent, *each) for each in body[1:])]


def height(row: Row, form: Layout) -> int:
    """About as many lines as it takes, found in no time; exact for most."""
    room = max(1, form.width - form.indent)
    text = row.text[:LONGEST]
    parts = text.split("\n") if "\n" in text else (text,)
    cells = [_about(each) for each in parts[:TALLEST]]
    cells[-1] += len(row.seal) + bool(row.seal)
    if form.narrow:
        cells[0] += len(row.sender) + form.clock + 2 - _HANGING
    count = sum(-(-each // room) or 1 for each in cells)
    return (
        count
        - bool(row.files and not row.text)
        + len(row.files)
        + bool(row.get)
        + bool(row.reactions)
        + (row.reply is not None)
        + bool(row.reason)
        + bool(row.seal and row.files)
    )


def _about(text: str) -> int:
    """About as many cells: letters of three bytes take two, as a rule, and to count them all takes its time."""
    return (
        len(text) if text.isascii() or max(text) < "\u1100" else (len(text.encode(errors="replace")) + len(text)) // 2
    )


def day_line(at: int, form: Layout) -> Line:
    """Stands where another day begins."""
    return _ruled(visible(_stamp(at, "%a %d %b %Y")), "day", form)


def new_line(form: Layout) -> Line:
    """Stands above what is new."""
    return _ruled("new", "new", form)


def day_of(at: int) -> int:
    """The day of a time (Unix ms) where we are, as a number; 0 where nobody knows."""
    try:
        there = time.localtime(at / 1000)
    except (OverflowError, ValueError, OSError):
        return 0
    return there.tm_year * 1000 + there.tm_yday if at else 0


def plain(row: Row) -> str:
    """What a person takes along: the text, made harmless, with its lines."""
    return "\n".join(visible(each.expandtabs()) for each in row.text.split("\n"))


def _ruled(text: str, style: str, form: Layout) -> Line:
    lead = "─" * 2
    rest = form.width - cell_len(lead) - cell_len(text) - 2
    return ((f"{lead} {text} {'─' * rest}" if rest > 0 else _cut(text, form.width), style),)


def _stamp(at: int, times: str) -> str:
    """Local time of Unix ms; the server may have told any number."""
    try:
        return time.strftime(times, time.localtime(at / 1000))
    except (OverflowError, ValueError, OSError):
        return _NO_TIME


def _clock(at: int, times: str) -> str:
    return _cut(visible(_stamp(at, times)), 20)


# What stands before the text


def _head(row: Row, form: Layout) -> Line:
    name, style = _name(row)
    clock: tuple[Span, ...] = ()
    if form.clock:
        told = _clock(row.at, form.times) if row.at else ""
        clock = ((_padded(told, form.clock) + " ", "dim"),)
    mark: Span = (row.mark or " ", "failed" if row.mark in _WARNING else "dim")
    if not form.narrow:
        return (
            *clock,
            (" " * (form.nick - cell_len(_cut(name, form.nick))), ""),
            (_cut(name, form.nick), style),
            (" ", ""),
            mark,
            (" ", ""),
        )
    short = _cut(name, max(1, min(_NICKS, form.width // 3)))
    return (*clock, (short, style), (" ", ""), *((mark, (" ", "")) if row.mark else ()))


def _name(row: Row) -> Span:
    """Who, or what stands there in place of a name."""
    if not row.said:
        return ("--", "dim")
    style = f"hue.{hue(row.sender)}" + (" own" if row.own else "") + (" named" if row.named else "")
    return ("*", style) if row.kind is Kind.EMOTE else (visible(row.sender), style)


def _padded(text: str, width: int) -> str:
    short = _cut(text, width)
    return short + " " * (width - cell_len(short))


# What is said


def _body(row: Row, form: Layout, first: int, rest: int) -> list[Line]:
    """The text and all that hangs on it; at least one line."""
    found: list[Line] = []
    if row.reply is not None and not row.retracted:
        found.append(((_excerpt(row.reply, first), "dim"),))
        first = rest
    found += _text(row, form, first, rest)
    for name, size in row.files:
        told = f"{visible(name)} ({size_of(size)})"
        found.append(((_cut(told, rest if found else first), "file"),))
    if row.get:
        found += [((each, "dim"),) for each in wrap(f"/get {visible(row.get)}", rest)]
    if row.reactions:
        found += _reactions(row.reactions, rest)
    if row.reason:
        state = "not sent" if row.mark == MARKS[Sent.FAILED] else "not sent yet"
        found += [((each, "failed"),) for each in wrap(f"{state}: {visible(row.reason)}", rest)]
    return found or [()]


def _text(row: Row, form: Layout, first: int, rest: int) -> list[Line]:
    if row.retracted:
        return [((_cut("(taken back)", first), "dim"),)]
    if row.seal and not row.text and not row.files:
        return [((each, "failed" if row.mark in _WARNING else "dim"),) for each in wrap(visible(row.seal), first, rest)]
    if row.files and not row.text:
        return [((_cut(visible(row.seal), first), "failed"),)] if row.seal else []
    tags = " (edited)" * row.edited + " (pinned)" * row.pinned
    style = "code" if row.kind is Kind.CODE else "" if row.said else "dim"
    said = row.text[:LONGEST]
    if row.kind is Kind.EMOTE:
        said = f"{row.sender} {said}"
    found: list[Line] = []
    width = first
    for part in said.split("\n"):
        part = visible(part.expandtabs())
        pieces = chop(part, width, rest) if row.kind is Kind.CODE else wrap(part, width, rest)
        found += [_marked(piece, style, row, form) for piece in pieces]
        width = rest
        if len(found) > TALLEST:
            break
    if len(found) > TALLEST or len(row.text) > LONGEST:
        found = [*found[:TALLEST], (("(it goes on)", "dim"),)]
    found = _warned(found, row, first, rest)
    if tags:
        used = sum(cell_len(text) for text, _ in found[-1])
        if used + len(tags) <= (rest if len(found) > 1 else first):
            found[-1] = (*found[-1], (tags, "dim"))
        else:
            found.append(((_cut(tags.lstrip(), rest), "dim"),))
    return found


def _warned(found: list[Line], row: Row, first: int, rest: int) -> list[Line]:
    """The lines of a text with what encryption tells of it behind them."""
    if not row.seal:
        return found
    width = rest if len(found) > 1 else first
    told = visible(row.seal)
    if sum(cell_len(text) for text, _ in found[-1]) + cell_len(told) < width:
        return [*found[:-1], (*found[-1], (f" {told}", "failed"))]
    return [*found, *(((each, "failed"),) for each in wrap(told, rest))]


def _excerpt(reply: tuple[int, str, str], width: int) -> str:
    seq, sender, text = reply
    said = f"{sender}: {text}" if sender else f"#{seq}"
    return _cut(visible(f"> {said}".split("\n")[0]), width)


def _reactions(reactions: Sequence[tuple[str, int, bool]], width: int) -> list[Line]:
    found: list[Line] = []
    line: list[Span] = []
    used = 0
    for word, count, mine in reactions[:_REACTIONS]:
        told = _cut(f"{visible(word)} {count}", width)
        if line and used + 2 + cell_len(told) > width:
            found.append(tuple(line))
            line, used = [], 0
        if line:
            line.append(("  ", ""))
            used += 2
        line.append((told, "mine" if mine else "dim"))
        used += cell_len(told)
    rest: Line = (("\u2026", "dim"),) if len(reactions) > _REACTIONS else ()
    return [*found, (*line, *rest)] if used < width else [*found, tuple(line), *([rest] if rest else [])]


def _marked(text: str, style: str, row: Row, form: Layout) -> Line:
    """One line, in it what is looked for, and the own name of who reads where he is named."""
    sought = [re.escape(each) for each in form.hits if each]
    named = [rf"@{re.escape(form.user)}\b"] if row.named and form.user else []
    if not sought and not named:
        return ((text, style),)
    spans: list[Span] = []
    at = 0
    for found in re.finditer("|".join((*named, *sought)), text, re.IGNORECASE):
        if found.start() > at:
            spans.append((text[at : found.start()], style))
        is_name = bool(named) and found[0].lower() == f"@{form.user}"
        spans.append((found[0], f"{style} {'named' if is_name else 'hit'}".strip()))
        at = found.end()
    return (*spans, (text[at:], style)) if at < len(text) else tuple(spans)


# Cells


def wrap(text: str, first: int, rest: int | None = None) -> list[str]:
    """Break a text between words, or within one that is too long; the first line may be another width."""
    rest = rest or first
    if cell_len(text) <= first:
        return [text]
    found: list[str] = []
    line, used, width = "", 0, first
    for word in _WORDS.findall(text):
        wide = cell_len(word)
        if used + wide <= width:
            line, used = line + word, used + wide
            continue
        if wide > len(word):
            # Scripts of wide letters have no spaces between words.
            head, word = _split(word, width - used)
            line, wide = line + head, cell_len(word)
        if line:
            found.append(line.rstrip())
            width = rest
            word = word.lstrip()
            wide = cell_len(word)
        if wide > width:
            *full, word = chop(word, width, rest)
            found += full
            width, wide = rest if found else first, cell_len(word)
        line, used = word, wide
    return [*found, line] if line or not found else found


def chop(text: str, first: int, rest: int | None = None) -> list[str]:
    """Break a text wherever the line is full; every space counts, and no letter is parted from its accents."""
    if cell_len(text) <= first:
        return [text]
    found: list[str] = []
    width, begin, used = first, 0, 0
    for start, _, cells in split_graphemes(text)[0]:
        if used + cells > width and start > begin:
            found.append(text[begin:start])
            width, begin, used = rest or first, start, 0
        used += cells
    return [*found, text[begin:]]


def _split(text: str, width: int) -> tuple[str, str]:
    """As much as fits, and what is left; no letter is parted from its accents."""
    if text.isascii():
        return text[: max(0, width)], text[max(0, width) :]
    used = 0
    for start, _, cells in split_graphemes(text)[0]:
        if used + cells > width:
            return text[:start], text[start:]
        used += cells
    return text, ""


def _cut(text: str, width: int) -> str:
    """At most so many cells; what is cut off leaves a mark."""
    return text if cell_len(text) <= width else _split(text, width - 1)[0] + "…"
