"""Where settings come from: a flag wins over `QUICCHAT_*`, which wins over the TOML file. (spec 12-operation)

Where a setting is wrong, BadSetting says in one line where it stands and what it must be; nothing is guessed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from quicchat.config.kinds import Many
from quicchat.config.settings import ClientConfig, ServerConfig, Setting, settings

if TYPE_CHECKING:
    from pathlib import Path

PREFIX: Final = "QUICCHAT_"
#: What else is read from the environment: where everything lies, which file to read, whether to show tracebacks.
HOME: Final = "QUICCHAT_HOME"
FILE: Final = "QUICCHAT_CONFIG"
DEBUG: Final = "QUICCHAT_DEBUG"
#: The same as QUICCHAT_SHARE, and yields to it.
SHARE: Final = "SERVER_SHARED_FILES"

Config = TypeVar("Config", ServerConfig, ClientConfig)


class BadSetting(ValueError):
    """A setting cannot be used: `str(error)` is the one line to print."""


def read(of: type[Config], flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """The configuration of a command.

    `flags` holds what the command line says by field name: text, a list of texts, or a bool; None for nothing.
    A `file` that is named must exist; else the usual one is read if there is one. Raises BadSetting.
    """
    known = {one.name: one for one in settings(of)}
    values: dict[str, Any] = {}
    values |= _from_file(of.section, known, environ, file)
    values |= _from_environment(known, environ)
    values |= {name: _from_flag(known[name], raw) for name, raw in flags.items() if raw is not None}
    if "data" not in values:
        values["data"] = home(environ) / of.section
    if (values.get("cert") is None) != (values.get("key") is None):
        raise BadSetting("--cert and --key belong together: give both or none")
    return of(**values)


def home(environ: Mapping[str, str]) -> Path:
    """Where quicchat keeps its data: QUICCHAT_HOME, or the place that the operating system has for such things.

    Raises BadSetting where the user has no home directory. (These few lines are all we would use of platformdirs.)
    """
    from pathlib import Path

    if given := environ.get(HOME):
        return Path(os.path.expanduser(given)).absolute()
    if sys.platform == "win32":
        return _under(environ, "LOCALAPPDATA", "~/AppData/Local")
    if sys.platform == "darwin":
        return _under(environ, "XDG_DATA_HOME", "~/Library/Application Support")
    return _under(environ, "XDG_DATA_HOME", "~/.local/share")


def _under(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    from pathlib import Path

    given = environ.get(variable, "")
    # The XDG specification wants relative paths ignored.
    base = given if os.path.isabs(given) else os.path.expanduser(usual)
    if not os.path.isabs(base):
        raise BadSetting(f"there is no home directory; say with {HOME} where to keep data")
    return Path(base) / "quicchat"


def _usual_file(environ: Mapping[str, str]) -> Path | None:
    try:
        if environ.get(HOME) or sys.platform in ("win32", "darwin"):
            return home(environ) / "config.toml"
        return _under(environ, "XDG_CONFIG_HOME", "~/.config") / "config.toml"
    except BadSetting:
        return None


def _from_flag(setting: Setting, raw: object) -> object:
    if isinstance(raw, bool):
        return raw
    where = setting.flags[-1]
    if not isinstance(raw, list):
        return _checked(where, setting, raw)
    return tuple(value for text in raw for value in _checked(where, setting, text))


def _from_environment(known: Mapping[str, Setting], environ: Mapping[str, str]) -> dict[str, object]:
    """What QUICCHAT_* says; an empty one says nothing.

    A name that is nobody's is refused only where it looks like a slip of the keyboard: others set such
    variables, too (Kubernetes does for a service called quicchat).
    """
    kept = {one.name for of in (ServerConfig, ClientConfig) for one in settings(of) if one.kept}
    kept |= {name.removeprefix(PREFIX).lower() for name in (HOME, FILE, DEBUG)}
    values: dict[str, object] = {}
    if "share" in known and environ.get(SHARE):
        values["share"] = _checked(SHARE, known["share"], environ[SHARE])
    for variable, raw in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or not raw:
            continue
        if name in known and known[name].kept:
            values[name] = _checked(variable, known[name], raw)
        elif name not in kept and (guess := _nearest(name, kept)):
            raise BadSetting(f"{variable} is unknown; did you mean {PREFIX}{guess.upper()}?")
    return values


def _from_file(
    section: str, known: Mapping[str, Setting], environ: Mapping[str, str], file: Path | None
) -> dict[str, object]:
    if file is None and environ.get(FILE):
        from pathlib import Path

        file = Path(os.path.expanduser(environ[FILE]))
    path = file or _usual_file(environ)
    if path is None:
        return {}
    tables = _parsed(path, must_exist=file is not None)
    _refuse_unknown(tables, {ServerConfig.section, ClientConfig.section}, f"{path}: unknown table")
    table = tables.get(section, {})
    if not isinstance(table, dict):
        raise BadSetting(f"{path}: {section} must be a table: [{section}]")
    _refuse_unknown(table, {name for name, one in known.items() if one.kept}, f"{path}: [{section}] unknown key")
    return {name: _checked(f"{path}: [{section}] {name}", known[name], raw, toml=True) for name, raw in table.items()}


def _parsed(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if must_exist:
            raise BadSetting(f"{path}: there is no such configuration file") from None
        return {}
    except OSError as error:
        raise BadSetting(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path}: this is not UTF-8") from None
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path}: {' '.join(str(error).split())}") from None


def _refuse_unknown(table: Mapping[str, object], known: set[str], where: str) -> None:
    for name in table:
        if name not in known:
            guess = _nearest(name, known)
            raise BadSetting(f"{where} {name!r}" + (f"; did you mean {guess!r}?" if guess else ""))


def _checked(where: str, setting: Setting, raw: object, *, toml: bool = False) -> Any:
    try:
        return setting.kind.value(raw) if toml else setting.kind.text(str(raw))
    except ValueError:
        shown = repr(raw) if len(repr(raw)) <= 60 else repr(raw)[:57] + "..."
        must = "a list, each " if toml and isinstance(setting.kind, Many) else ""
        raise BadSetting(f"{where}: {shown} is not {must}{setting.kind.says}") from None


def _nearest(name: str, names: set[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.replace("-", "_").lower(), sorted(names), 1, 0.75)), None)
