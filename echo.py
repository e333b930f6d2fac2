"""The two commands people type: `python echo.py server` and `python echo.py client`."""

import importlib.util
import os
import sys

if importlib.util.find_spec("aioquic") is None:
    # `make` installs into .venv; nobody has to know.
    ours = os.path.join(os.path.dirname(os.path.realpath(__file__)), ".venv")
    python = os.path.join(ours, "bin", "python")
    if os.path.exists(python) and os.path.realpath(sys.prefix) != ours:
        os.execv(python, [python, *sys.argv])
    print("quicchat: its dependencies are not installed; run `make demo` first, or `pip install .`", file=sys.stderr)
    sys.exit(3)

from quicchat.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
