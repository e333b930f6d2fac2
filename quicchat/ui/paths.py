"""Paths of this machine, as people type them: in quotation marks where they need them. (spec 12-operation)"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from quicchat.ui.visible import visible

#: Entries of a directory that are looked at, and those that are offered: nobody waits for a large one.
_LOOKED_AT: Final = 10_000
_MOST: Final = 200
#: What the words of a shell are split and changed at.
_SPECIAL: Final = re.compile(r"""[\s"'\\]""")
_QUOTED: Final = re.compile(r"""["'\\]""")
#: Characters that a backslash takes with it between double quotation marks.
_ESCAPED: Final = '"\\'


def paths(typed: str) -> tuple[int, list[str]]:
    """What the last path may become, from which place on; a directory ends with a slash, a file with a blank."""
    start, value = last_word(typed)
    if value == "~":
        return start, ["~/"]
    found = _beginning(value)
    if not found and start and not _QUOTED.search(typed):
        # A name with blanks may be typed as it is.
        start, found = 0, _beginning(typed)
    return start, found


def typed_path(path: str) -> str:
    """A path as it is to be typed so that it is one word."""
    if not _SPECIAL.search(path):
        return path
    if os.name != "posix":
        return f'"{path}"'
    return '"' + "".join(f"\\{letter}" if letter in _ESCAPED else letter for letter in path) + '"'


def _beginning(value: str) -> list[str]:
    """What begins so."""
    folder, slash, name = value.rpartition("/")
    found: list[tuple[str, bool]] = []
    with suppress(OSError, ValueError), os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
        looked_at = islice(entries, _LOOKED_AT)
        fitting = (each for each in looked_at if each.name.startswith(name) and _shown(each.name, name))
        found = [(each.name, _is_dir(each)) for each in islice(fitting, _MOST)]
    # Else it would be a user, or somebody's home.
    here = [f"{'./' if not slash and each[0][0] in '@~' else folder + slash}{each[0]}" for each in found]
    return [
        typed_path(f"{path}/") if is_dir else f"{typed_path(path)} "
        for path, (_, is_dir) in sorted(zip(here, found, strict=True), key=lambda each: each[0].lower())
    ]


def last_word(typed: str) -> tuple[int, str]:
    """Where the last word of a line begins, and what it says; words are split as `/send` does it, open ones too."""
    start, value, mark, is_word = len(typed), "", "", False
    letters: Iterator[tuple[int, str]] = iter(enumerate(typed))
    for at, letter in letters:
        if not mark and letter.isspace():
            start, value, is_word = len(typed), "", False
            continue
        if not is_word:
            start, is_word = at, True
        if letter == mark:
            mark = ""
        elif not mark and letter in "\"'":
            mark = letter
        elif letter == "\\" and mark != "'" and os.name == "posix":
            _, following = next(letters, (at, ""))
            # Between quotation marks it is a letter like any other, unless it takes one of them with it.
            value += following if not mark or following in _ESCAPED else f"\\{following}"
        else:
            value += letter
    return start, value


def _shown(entry: str, typed: str) -> bool:
    """Hidden files only where one was begun; what cannot be seen cannot be typed."""
    return visible(entry) == entry and (typed.startswith(".") or not entry.startswith("."))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
