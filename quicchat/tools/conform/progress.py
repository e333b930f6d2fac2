"""How far a run is: a bar on a terminal, else a line for what is found. (spec 16-conformance)"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from quicchat.tools.conform.bench import Target
from quicchat.tools.conform.report import deviates
from quicchat.tools.conform.runner import Result

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_SLOW = "its rates are in the way (8.3): this goes on as fast as it lets us"


class Progress:
    """Told of each result as it comes; writes to standard error."""

    def __init__(self, target: Target, *, strict: bool, bar: Bar | None = None, row: TaskID | None = None) -> None:
        self._target = target
        self._strict = strict
        self._bar = bar
        self._row = row
        self._found = 0
        self._slow = False

    def tell(self, result: Result) -> None:
        """One more."""
        bad = deviates(result, strict=self._strict) or bool(result.fault)
        self._found += bad
        if self._bar is not None and self._row is not None:
            found = f"{self._found} deviation{'' if self._found == 1 else 's'}" if self._found else ""
            self._bar.update(self._row, advance=1, found=found, slow="waits" if self._target.is_limited else "")
            return
        if self._target.is_limited and not self._slow:
            self._slow = True
            self._say(_SLOW)
        if bad:
            self._say(f"{'FAULT OF THE KIT' if result.fault else result.verdict.value}  {result.case.id}")

    def _say(self, text: str) -> None:
        print(f"quicchat conform: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(cases: int, target: Target, *, strict: bool) -> Iterator[Progress]:
    """A bar where there is a terminal."""
    if not sys.stderr.isatty():
        yield Progress(target, strict=strict)
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[found]}", markup=False))
    waits = TextColumn("{task.fields[slow]}", markup=False)
    with Bar(*columns, waits, console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield Progress(target, strict=strict, bar=bar, row=bar.add_task("", total=cases, found="", slow=""))
