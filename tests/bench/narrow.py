"""The program, with datagrams that stay as small as they begin: for comparison."""

from __future__ import annotations

import sys

from quicchat.__main__ import main
from quicchat.transport.options import Options

if __name__ == "__main__":
    defaults = Options.__init__.__kwdefaults__
    assert defaults is not None
    defaults["jumbo"] = False
    sys.exit(main())
