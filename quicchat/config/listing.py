"""The settings as they are, and where each comes from: for people who wonder, and for scripts. (spec 12-operation)"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quicchat.config.sources import DEFAULT, Settled

if TYPE_CHECKING:
    from pathlib import Path

#: By section and name.
Listed = Mapping[str, Mapping[str, Settled]]


def as_toml(path: Path | None, tables: Listed) -> Iterator[str]:
    """Lines of a file that says the same; what nobody set and has no default is a comment."""
    yield f"# {_file(path)}"
    for section, found in tables.items():
        yield ""
        yield f"[{section}]"
        rows = {f"{name} = {_toml(one.value)}" if _is_set(one) else f"# {name}": one for name, one in found.items()}
        width = min(40, max(map(len, rows)))
        for row, one in rows.items():
            yield f"{row:<{width}}  # {one.source if _is_set(one) else 'not set'}"


def as_json(path: Path | None, tables: Listed) -> str:
    """The same as one object."""
    shown = {
        section: {name: {"value": _plain(one.value), "source": one.source} for name, one in found.items()}
        for section, found in tables.items()
    }
    return json.dumps({"file": None if path is None else str(path), "exists": _exists(path), **shown}, indent=1)


def _is_set(one: Settled) -> bool:
    return one.value is not None and (one.source != DEFAULT or one.value != ())


def _exists(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _file(path: Path | None) -> str:
    if path is None:
        return "no file is read: there is no home directory"
    return f"{path}{'' if _exists(path) else ' (there is none)'}"


def _plain(value: Any) -> Any:
    """What JSON can say."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _toml(value: Any) -> str:
    """A value as TOML writes it: as JSON does, but for letters beyond U+FFFF and the delete character."""
    return json.dumps(_plain(value), ensure_ascii=False).replace("\x7f", "\\u007f")
