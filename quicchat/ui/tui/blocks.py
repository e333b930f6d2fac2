"""The rows of a page one below the other: how high each is, its lines where somebody looks; pure. (spec 12-operation)

Thousands of rows are not wrapped at once: those at which nobody looked are about as high as their text is long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile
from typing import Final

from quicchat.ui.page import Page, Row
from quicchat.ui.tui.rows import Line, day_line, day_of, height, layout, lines, new_line

#: Rows that are compared at once to find what changed.
_CHUNK: Final = 256
#: Rows that stay wrapped though nobody looks at them any more, about.
_WRAPPED: Final = 500

#: What a row is known by: its place, or as long as it has none, its id.
Key = int | bytes


def key_of(row: Row) -> Key:
    """What a row is known by."""
    return row.seq if row.seq is not None else row.cid


class Block:
    """A row with what stands above it. `height` is 0 until it is asked for, and exact once there are `lines`."""

    __slots__ = ("day", "height", "lead", "lines", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.day = day_of(row.at)
        #: Whether another day begins here, and what is new.
        self.lead = (False, False)
        self.height = 0
        self.lines: list[Line] | None = None


class Blocks:
    """One page in one form. `take` and `shape` change what there is; `wrap` is to follow, with what is looked at."""

    def __init__(self) -> None:
        self.page = Page()
        self.form = layout(0, "%H:%M", 0)
        self._blocks: list[Block] = []
        #: Where each block ends, in lines.
        self._ends: list[int] = []
        self._wrapped = 0
        #: The longest name in this room so far, and the row above which the new line stands.
        self._longest = 0
        self._new: Block | None = None

    # Inputs

    def take(self, page: Page) -> None:
        """Another page; blocks of rows that did not change stay as they are."""
        old, new = self.page.rows, page.rows
        shift = _index(old, new[0]) if new and self.page.room == page.room else None
        known = {key_of(each.row): each for each in self._blocks} if shift is None else {}
        blocks: list[Block] = []
        fresh: list[int] = []
        for begin in range(0, len(new), _CHUNK):
            part, there = new[begin : begin + _CHUNK], begin + (shift or 0)
            same = self._blocks[there : there + len(part)] if shift is not None else []
            if len(same) == len(part) and old[there : there + len(part)] == part:
                fresh.append(begin)
                blocks += same
                continue
            fresh += range(begin, begin + len(part))
            near = known or {key_of(each.row): each for each in same}
            for row in part:
                before = near.get(key_of(row))
                blocks.append(before if before is not None and before.row is row else Block(row))
        names = (len(blocks[at].row.sender) for at in fresh)
        self._longest = max(names, default=0) if page.room != self.page.room else max(self._longest, *names, 0)
        self._lead(blocks, fresh, page)
        self._blocks, self.page = blocks, page

    def shape(self, width: int, times: str, user: str, hits: Sequence[str]) -> None:
        """Another form, where it is another one: nothing is wrapped any more."""
        form = layout(width, times, self._longest, user, hits)
        if form != self.form:
            self.form = form
            for block in self._blocks:
                block.lines, block.height = None, 0

    def wrap(self, where: int | None, tall: int) -> None:
        """Find out how high all is; exactly around a row, or at the end (None), on a screen that is so tall."""
        count = len(self._blocks)
        self._tidy(count if where is None else where)
        self._wrap(range((count if where is None else where) - 1, -1, -1), 2 * tall)
        if where is not None:
            self._wrap(range(where, count), 3 * tall)
        heights = [block.height for block in self._blocks]
        if 0 in heights:
            for block in self._blocks:
                block.height = block.height or height(block.row, self.form) + sum(block.lead)
            heights = [block.height for block in self._blocks]
        self._ends = list(accumulate(heights))

    # Getters

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def total(self) -> int:
        """Lines of all rows."""
        return self._ends[-1] if self._ends else 0

    def row(self, where: int) -> Row:
        """The row there."""
        return self._blocks[where].row

    def top(self, where: int) -> int:
        """The line in which a row begins, with what stands above it."""
        return self._ends[where - 1] if where else 0

    def at(self, line: int) -> int:
        """The row in this line; one behind the last where there is none."""
        return bisect_right(self._ends, line)

    def line(self, line: int) -> tuple[Row | None, Line]:
        """What a line shows: the row that it belongs to, None above it, and what stands there."""
        where = self.at(line)
        if where >= len(self._blocks):
            return None, ()
        block = self._blocks[where]
        found, at = self._lines(block), line - self.top(where)
        row = block.row if at >= sum(block.lead) else None
        return row, found[at] if at < len(found) else ()

    def find(self, key: Key | None) -> int | None:
        """Where a row is."""
        if key is None:
            return None
        return next((at for at, each in enumerate(self._blocks) if key_of(each.row) == key), None)

    def near(self, key: Key) -> int | None:
        """Where a row is, or the one after it where it is gone."""
        where = self.find(key)
        if where is None and isinstance(key, int):
            where = next((at for at, each in enumerate(self._blocks) if (each.row.seq or 0) > key), None)
        return where

    def anchor(self, line: int) -> tuple[Key, int] | None:
        """The row in a line, and how many lines of it are above; None where there is none."""
        where = self.at(line)
        return (key_of(self.row(where)), line - self.top(where)) if where < len(self._blocks) else None

    def since(self, seq: int) -> int:
        """How many messages of others stand behind a place."""
        fresh = takewhile(lambda each: each.row.seq is None or each.row.seq > seq, reversed(self._blocks))
        return sum(each.row.said and not each.row.own for each in fresh)

    @property
    def first(self) -> int | None:
        """The oldest place."""
        return next((each.row.seq for each in self._blocks if each.row.seq is not None), None)

    @property
    def last(self) -> int:
        """The newest place; 0 where there is none."""
        return next((each.row.seq for each in reversed(self._blocks) if each.row.seq is not None), 0)

    # Inside

    def _lead(self, blocks: Sequence[Block], fresh: Iterable[int], page: Page) -> None:
        """Find out what stands above the rows at these places."""
        begins = _first_new(blocks, page)
        old, self._new = self._new, blocks[begins] if begins is not None else None
        if old is not None and old is not self._new:
            old.lead, old.lines, old.height = (old.lead[0], False), None, 0
        for at in {*fresh, *(() if begins is None else (begins,))}:
            block = blocks[at]
            before = (blocks[at - 1].day or block.day) if at else 0
            lead = (bool(block.day) and block.day != before, at == begins)
            if lead != block.lead:
                block.lead, block.lines, block.height = lead, None, 0

    def _wrap(self, places: Iterable[int], tall: int) -> None:
        """Wrap the rows at these places until they are so tall."""
        for at in places:
            tall -= len(self._lines(self._blocks[at]))
            if tall <= 0:
                return

    def _lines(self, block: Block) -> list[Line]:
        if block.lines is None:
            above = [day_line(block.row.at, self.form)] if block.lead[0] else []
            above += [new_line(self.form)] if block.lead[1] else []
            block.lines = above + lines(block.row, self.form)
            block.height = len(block.lines)
            self._wrapped += 1
        return block.lines

    def _tidy(self, where: int) -> None:
        """Let go of lines that are far away."""
        if self._wrapped > 2 * _WRAPPED:
            self._wrapped = 0
            for at, block in enumerate(self._blocks):
                if abs(at - where) > _WRAPPED // 2:
                    block.lines = None
                self._wrapped += block.lines is not None


def _index(old: Sequence[Row], row: Row) -> int | None:
    """Where a row was."""
    key = key_of(row)
    return next((at for at, each in enumerate(old) if key_of(each) == key), None)


def _first_new(blocks: Sequence[Block], page: Page) -> int | None:
    """The first row that is new; None where there is none, or those before it are not held."""
    if page.new_after is None:
        return None
    found = None
    for at in range(len(blocks) - 1, -1, -1):
        seq = blocks[at].row.seq
        if seq is not None and seq <= page.new_after:
            return found
        found = at if seq is not None else found
    return None if page.more else found
