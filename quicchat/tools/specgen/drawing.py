"""The automaton as a drawing in SVG: states below each other, arrows beside them. (spec 10-states)

Two states stand in a rail of their own at the right, since nearly every state leads there: a line that ends in a dot on
a rail is an arrow to the state at the rail's foot. All other arrows run in lanes, forward ones at the right of the
states and backward ones at the left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from quicchat.values import dataclass
from quicchat.wire.machine import Machine
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Role
from quicchat.wire.states import State

#: A state that at least this many others lead to has a rail.
_CROWD: Final = 6
_BOX, _TALL, _STEP = 170, 40, 84
_LANE, _LINE, _TOP = 26, 15, 20
_LEFT: Final = 315
_RIGHT: Final = _LEFT + _BOX
#: How far lanes begin from the states, and where the rails are.
_NEAR: Final = {True: 190, False: 40}
_RAILS: Final = _RIGHT + 350
_BETWEEN: Final = 160
_STYLE: Final = """\
.machine { font: 13px system-ui, sans-serif; }
.machine text { fill: currentColor; stroke: var(--ground, white); stroke-width: 4px; paint-order: stroke; }
.machine .name { font-weight: 600; text-anchor: middle; }
.machine .more { text-anchor: middle; font-size: 11px; opacity: 0.75; }
.machine .end { text-anchor: end; }
.machine rect, .machine path { fill: none; stroke: currentColor; }
.machine .dot, .machine .tip { fill: currentColor; stroke: none; }
.machine .server { font-style: italic; }
"""


@dataclass(frozen=True, slots=True)
class _Move:
    """All that leads from one state to another, a line for each end that may say it."""

    start: int
    to: int
    words: tuple[tuple[str, str], ...]


def svg(machine: Machine[State] = CONNECTION, *, alone: bool = True) -> str:
    """The drawing; `alone` with the style that it needs where no page brings it."""
    names = [state.name for state in machine.states]
    moves = [move for move in _moves(machine) if move.start != move.to]
    crowded = [at for at in range(len(names)) if sum(move.to == at for move in moves) >= _CROWD]
    height = _TOP * 2 + _STEP * (len(names) - 1) + _TALL
    width = _RAILS + _BETWEEN * len(crowded) + 190
    stays = {move.start: sum(len(words.split(", ")) for _, words in move.words) for move in _stays(machine)}
    parts = [part for at, name in enumerate(names) for part in _box(at, name, stays.get(at, 0), at == len(names) - 1)]
    parts += _lanes([move for move in moves if move.to not in crowded])
    for rail, at in enumerate(crowded):
        parts += _rail(at, [move for move in moves if move.to == at], _RAILS + _BETWEEN * rail)
    # Words over lines: each has a rim of the ground's colour that keeps it legible.
    parts.sort(key=lambda part: part.startswith("<text"))
    opened = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="machine" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="States of a connection: {escape(", ".join(names))}">'
    )
    styled = [f"<style>\n{_STYLE}</style>"] if alone else []
    return "\n".join([opened, *styled, *parts, "</svg>", ""])


def style() -> str:
    """What a page says once for all drawings in it."""
    return _STYLE


def _moves(machine: Machine[State]) -> Iterator[_Move]:
    states = machine.states
    for start, state in enumerate(states):
        for to, target in enumerate(states):
            words = tuple(
                (role.value, ", ".join(letters))
                for role in Role
                if (
                    letters := [
                        str(row.letter) for row in machine.rows if (row.state, row.by, row.to) == (state, role, target)
                    ]
                )
            )
            if words:
                yield _Move(start, to, words)


def _stays(machine: Machine[State]) -> Iterator[_Move]:
    return (move for move in _moves(machine) if move.start == move.to)


def _middle(at: int) -> int:
    return _TOP + _STEP * at + _TALL // 2


def _box(at: int, name: str, stays: int, last: bool) -> Iterator[str]:
    top, middle = _middle(at) - _TALL // 2, _LEFT + _BOX // 2
    yield f'<rect x="{_LEFT}" y="{top}" width="{_BOX}" height="{_TALL}" rx="8" stroke-width="1.5"/>'
    if last:
        yield f'<rect x="{_LEFT + 4}" y="{top + 4}" width="{_BOX - 8}" height="{_TALL - 8}" rx="5"/>'
    yield f'<text class="name" x="{middle}" y="{_middle(at) + (0 if stays else 5)}">{escape(name)}</text>'
    if stays:
        yield f'<text class="more" x="{middle}" y="{_middle(at) + 14}">{stays} PDUs stay here</text>'


def _lanes(moves: Sequence[_Move]) -> Iterator[str]:
    """Arrows between neighbours straight down, all others in a lane that no other uses there."""
    taken: dict[bool, list[list[tuple[int, int]]]] = {True: [], False: []}
    entered: Counter[tuple[int, bool]] = Counter()
    for move in sorted(moves, key=lambda each: abs(each.to - each.start)):
        if move.to == move.start + 1:
            yield from _down(move)
            continue
        forward = move.to > move.start
        span = min(move.start, move.to), max(move.start, move.to)
        lanes = taken[forward]
        lane = next((at for at, spans in enumerate(lanes) if all(_apart(span, each) for each in spans)), len(lanes))
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append(span)
        yield from _bracket(move, lane, forward, entered[move.to, forward])
        entered[move.to, forward] += 1


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _down(move: _Move) -> Iterator[str]:
    x, top, foot = _LEFT + _BOX // 2, _middle(move.start) + _TALL // 2, _middle(move.to) - _TALL // 2
    yield f'<path d="M{x} {top}V{foot - 7}"/>{_tip(x, foot, "down")}'
    yield from _words(move, x + 10, (top + foot) // 2 + 4)


def _bracket(move: _Move, lane: int, forward: bool, before: int) -> Iterator[str]:
    """Out at the side of a state, along a lane, and in again; named where few others run: ahead at its end."""
    side, sign = (_RIGHT, 1) if forward else (_LEFT, -1)
    x = side + sign * (_NEAR[forward] + _LANE * lane)
    out = _middle(move.start) + (8 if forward else -8)
    back = _middle(move.to) + (-12 + 18 * before if forward else 12)
    yield f'<path d="M{side} {out}H{x}V{back}H{side + sign * 7}"/>{_tip(side, back, "left" if forward else "right")}'
    at = (side + 14, back - 4) if forward else (x - 6, out - 6 - _LINE * (len(move.words) - 1))
    yield from _words(move, *at, forward)


def _rail(at: int, moves: Sequence[_Move], x: int) -> Iterator[str]:
    common = max((move.words for move in moves), key=lambda words: sum(move.words == words for move in moves))
    foot = _middle(at)
    first = min(move.start for move in moves)
    yield f'<path d="M{x} {_middle(first) + 16}V{foot}H{_RIGHT + 7}"/>{_tip(_RIGHT, foot, "left")}'
    yield from _words(_Move(first, at, common), x + 8, _middle(first) - 8)
    for move in moves:
        y = _middle(move.start) + 16
        yield f'<path d="M{_RIGHT} {y}H{x}" stroke-dasharray="2 4"/><circle class="dot" cx="{x}" cy="{y}" r="3.5"/>'
        if move.words != common:
            yield from _words(_Move(move.start, at, _beyond(move.words, common)), x + 8, y + 14)


def _beyond(words: tuple[tuple[str, str], ...], common: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """What a move has beyond that of the others; all of it where that does not hold the others'."""
    known = {role: set(said.split(", ")) for role, said in common}
    rest = ((role, [word for word in said.split(", ") if word not in known.get(role, ())]) for role, said in words)
    return tuple((role, "also " + ", ".join(said)) for role, said in rest if said) or words


def _words(move: _Move, x: int, y: int, forward: bool = True) -> Iterator[str]:
    for line, (role, said) in enumerate(move.words):
        kind = f"{role}{'' if forward else ' end'}"
        yield f'<text class="{kind}" x="{x}" y="{y + _LINE * line}">{role}: {escape(said)}</text>'


def _tip(x: int, y: int, to: str) -> str:
    points = {
        "down": f"{x - 4},{y - 8} {x + 4},{y - 8} {x},{y}",
        "left": f"{x + 8},{y - 4} {x + 8},{y + 4} {x},{y}",
        "right": f"{x - 8},{y - 4} {x - 8},{y + 4} {x},{y}",
    }
    return f'<polygon class="tip" points="{points[to]}"/>'
