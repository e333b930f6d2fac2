"""Who was the last to log in at each server, so that he need not say it again. (spec 12-operation)"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from quicchat.ui.slots import user_name

_FILE: Final = "users.json"


def last_user(data: Path, place: str) -> str | None:
    """The user who logged in last at `host:port`; None where nobody did, or the file tells nothing."""
    user = _read(data).get(place)
    try:
        return user_name(user) if isinstance(user, str) else None
    except ValueError:
        return None


def remember(data: Path, place: str, user: str | None) -> None:
    """This user is the last one, or with None nobody is; where it cannot be written he is asked again."""
    known = _read(data)
    if known.get(place) == user:
        return
    known.pop(place, None)
    if user is not None:
        known[place] = user
    path = data / f"{_FILE}.new"
    try:
        path.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
        os.replace(path, data / _FILE)
    except OSError:
        path.unlink(missing_ok=True)


def _read(data: Path) -> dict[str, object]:
    try:
        found = json.loads((data / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
