"""Which device this is: 16 random bytes, made once, so that the server knows what it has already. (spec 06-messages)"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from quicchat.config import BadSetting
from quicchat.config.files import read_private
from quicchat.errors import UsageError

_SIZE: Final = 16


def device_in(data: Path) -> bytes:
    """The device id of a data directory, made if need be. Raises UsageError where that cannot be."""
    path = data / "device"
    try:
        if not path.exists():
            _make(path)
        found = read_private(path)
    except BadSetting as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}") from None
    if len(found) != _SIZE:
        raise UsageError(f"{path} holds no device id; remove it, and a new one is made")
    return found


def _make(path: Path) -> None:
    """Whole or not at all; of two that start at once, the first one's id counts for both."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = mkstemp(dir=path.parent, prefix=".device.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
            file.flush()
            os.fsync(handle)
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        os.unlink(name)
