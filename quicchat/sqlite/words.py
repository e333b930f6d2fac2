"""Full-text search as SQLite has it: FTS5, where it was built in. (spec 06-messages)"""

from __future__ import annotations

import sqlite3

from quicchat.wire.search import Word


def phrase(word: Word) -> str:
    """A word as FTS5 wants it: between quotes only letters and digits are ever written."""
    return f'"{" ".join(word.parts)}"{" *" if word.prefix else ""}'


def has_fts(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite can search."""
    return connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None
