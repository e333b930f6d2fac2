"""`make picture`: runs the demo on a terminal of its own and draws what it printed as spec/pictures/demo.svg."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "spec" / "pictures" / "demo.svg"
WIDTH = 104


def printed() -> str:
    """What the demo prints on a terminal. Raises RuntimeError where it fails."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "quicchat.tools.demo"], stdout=theirs) as demo:
        os.close(theirs)
        parts = []
        with open(ours, "rb", buffering=0) as terminal:
            try:
                while part := terminal.read(4096):
                    parts.append(part)
            except OSError:
                pass  # the way Linux says that the other end of a terminal is closed
    if demo.returncode:
        raise RuntimeError(f"the demo failed with exit code {demo.returncode}")
    return b"".join(parts).decode().replace("\r\n", "\n")


def main() -> None:
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style="bold"))
    console.print(Text.from_ansi(printed().rstrip()))
    svg = console.export_svg(title="quicchat", theme=MONOKAI, unique_id="quicchat")
    # The fonts would be fetched from a content delivery network; any monospaced one will do.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    PICTURE.write_text(re.sub(r"[ \t]+\n", "\n", svg))


if __name__ == "__main__":
    main()
