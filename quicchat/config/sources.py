"""Where settings come from: a flag wins over `QUICCHAT_*`, which wins over the TOML file. (spec 12-operation)

Where a setting is wrong, BadSetting says in one line where it stands and what it must be; nothing is guessed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from quicchat.config.kinds import Many
from quicchat.config.settings import ClientConfig, ServerConfig, Setting, settings

if TYPE_CHECKING:
    from pathlib import Path

PREFIX: Final = "QUICCHAT_"
#: What else is read from the environment: where everything lies, which file to read, whether to show tracebacks.
HOME: Final = "QUICCHAT_HOME"
FILE: Final = "QUICCHAT_CONFIG"
DEBUG: Final = "QUICCHAT_DEBUG"
#: Which profile of the file a client takes.
PROFILE: Final = "QUICCHAT_PROFILE"
#: The same as QUICCHAT_SHARE, and yields to it.
SHARE: Final = "SERVER_SHARED_FILES"
#: Where a setting comes from that nobody made.
DEFAULT: Final = "default"

_PROFILES: Final = "profile"

Config = TypeVar("Config", ServerConfig, ClientConfig)


class BadSetting(ValueError):
    """A setting cannot be used: `str(error)` is the one line to print."""


def read(
    of: type[Config],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Path | None = None,
    profile: str | None = None,
) -> Config:
    """The configuration of a command.

    `flags` holds what the command line says by field name: text, a list of texts, or a bool; None for nothing.
    A `file` that is named must exist; else the usual one is read if there is one. So must a `profile`. Raises
    BadSetting.
    """
    values = {name: found.value for name, found in settled(of, flags, environ, file, profile).items()}
    if (values.get("cert") is None) != (values.get("key") is None):
        raise BadSetting("--cert and --key belong together: give both or none")
    return of(**values)


class Settled(NamedTuple):
    """A value, and where it comes from: a flag, a variable, a table of the file; `default` where nobody said."""

    value: Any
    source: str


def settled(
    of: type[Config],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Path | None = None,
    profile: str | None = None,
) -> dict[str, Settled]:
    """Each setting by its name, as `read` takes it. Raises BadSetting."""
    known = {one.name: one for one in settings(of)}
    found = {name: Settled(one.default, DEFAULT) for name, one in known.items()}
    profile = (profile or environ.get(PROFILE) or None) if of.section == ClientConfig.section else None
    for table, values in _from_file(of.section, known, environ, file, profile):
        found |= {name: Settled(value, table) for name, value in values.items()}
    for name, value in _from_environment(known, environ).items():
        found[name] = Settled(value, f"{PREFIX}{name.upper()}" if environ.get(f"{PREFIX}{name.upper()}") else SHARE)
    given = {name: raw for name, raw in flags.items() if raw is not None}
    found |= {name: Settled(_from_flag(known[name], raw), known[name].flags[-1]) for name, raw in given.items()}
    if found["data"].value is None:
        found["data"] = Settled(home(environ) / of.section, DEFAULT)
    return found


def usual_file(environ: Mapping[str, str]) -> Path | None:
    """The file that is read unless another one is named by a flag; None where the user has no home directory."""
    if named := environ.get(FILE):
        from pathlib import Path

        return Path(os.path.expanduser(named))
    try:
        if environ.get(HOME) or sys.platform == "win32":
            return home(environ) / "config.toml"
        usual = "~/Library/Application Support" if sys.platform == "darwin" else "~/.config"
        return _under(environ, "XDG_CONFIG_HOME", usual) / "config.toml"
    except BadSetting:
        return None


def home(environ: Mapping[str, str]) -> Path:
    """Where quicchat keeps its data: QUICCHAT_HOME, or the place that the operating system has for such things.

    Raises BadSetting where the user has no home directory. These are the places of platformdirs (decision 20).
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
    kept |= {name.removeprefix(PREFIX).lower() for name in (HOME, FILE, DEBUG, PROFILE)}
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
    section: str, known: Mapping[str, Setting], environ: Mapping[str, str], file: Path | None, profile: str | None
) -> Iterator[tuple[str, dict[str, object]]]:
    """What a file says, by its tables; a profile goes over the rest."""
    path = file or usual_file(environ)
    if path is None:
        tables: dict[str, object] = {}
    else:
        tables = _parsed(path, must_exist=file is not None or bool(environ.get(FILE)))
    _refuse_unknown(tables, {ServerConfig.section, ClientConfig.section, _PROFILES}, f"{path}: unknown table")
    yield f"[{section}]", _table(path, section, tables.get(section, {}), known)
    if profile is not None:
        profiles = tables.get(_PROFILES, {})
        if not isinstance(profiles, dict) or profile not in profiles:
            names = ", ".join(map(str, profiles)) if isinstance(profiles, dict) else ""
            there = f"there are {names}" if names else f"write one under [{_PROFILES}.NAME]"
            raise BadSetting(f"{path or 'the configuration file'}: there is no profile {profile!r}; {there}")
        name = f"{_PROFILES}.{profile}"
        yield f"[{name}]", _table(path, name, profiles[profile], known)


def _table(path: Path | None, name: str, table: object, known: Mapping[str, Setting]) -> dict[str, object]:
    if not isinstance(table, dict):
        raise BadSetting(f"{path}: {name} must be a table: [{name}]")
    _refuse_unknown(table, {name for name, one in known.items() if one.kept}, f"{path}: [{name}] unknown key")
    return {key: _checked(f"{path}: [{name}] {key}", known[key], raw, toml=True) for key, raw in table.items()}


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
