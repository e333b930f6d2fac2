"""The plain face: lines in, lines out, for terminals, pipes and scripts. (spec 12-operation)

Messages and what commands bring go to standard output, notices to standard error.
"""

from __future__ import annotations

import sys

from quicchat.config import ClientConfig
from quicchat.ui.face import Lined, Printer
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain, paper
from quicchat.ui.record import Json
from quicchat.ui.render import Text


def plain(config: ClientConfig, lines: Lines, sheet: Plain | None = None) -> Lined:
    """A plain face over these lines; `sheet` is the standard streams unless it is given."""
    interactive = lines.interactive and not config.commands and not config.json
    sheet = sheet or paper(sys.stdout, sys.stderr, interactive=interactive)
    printer: Printer = Json(sheet) if config.json else Text(sheet, config.style, config.time)
    return Lined(lines, sheet, printer, legible=not config.json)
