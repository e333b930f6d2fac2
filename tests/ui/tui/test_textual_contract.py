"""What the full screen takes for granted in Textual beyond its public names; a release that moves one fails here."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from textual import _ansi_sequences, _xterm_parser
from textual.app import App
from textual.binding import BindingsMap
from textual.driver import Driver
from textual.drivers import linux_driver
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen
from textual.widgets import Input, TextArea

import quicchat.ui.tui
from quicchat.ui.tui.terminal import bottomless

#: Attributes of an application that ran, and the type each has then.
APP: dict[str, type] = {"_bindings": BindingsMap, "_driver": Driver, "_exception": type(None)}
#: Methods that are overridden or called, and their parameters.
METHODS: dict[tuple[type, str], list[str]] = {
    (App, "_close_messages_no_wait"): ["self"],
    (App, "_fatal_error"): ["self"],
    (Input, "_on_key"): ["self", "event"],
    (TextArea, "_on_key"): ["self", "event"],
    (TextArea, "_on_paste"): ["self", "event"],
    (TextArea, "_replace_via_keyboard"): ["self", "insert", "start", "end"],
}
#: Of the driver, and modules; see the tests of what they do.
OTHERS = {"_ansi_sequences", "_file"}
OWNERS = (App, Screen, Input, TextArea, LinuxDriver)


class Broken(App[None]):
    """Raises something at once."""

    def __init__(self) -> None:
        super().__init__()
        self.fatal = 0

    def on_mount(self) -> None:
        raise ZeroDivisionError

    def _fatal_error(self) -> None:
        self.fatal += 1
        self._close_messages_no_wait()


@pytest.mark.parametrize("name", APP)
def test_application(name: str) -> None:
    """Contract: this attribute of an application exists, and is of this type."""

    async def show() -> App[None]:
        app: App[None] = App()
        async with app.run_test():
            assert isinstance(getattr(app, name, ""), APP[name]), f"Textual has no such App.{name} any more"
        return app

    asyncio.run(show())


@pytest.mark.parametrize(("owner", "name"), METHODS)
def test_method(owner: type, name: str) -> None:
    """Contract: this method exists, with these parameters."""
    method = getattr(owner, name, None)
    assert method is not None, f"Textual has no {owner.__name__}.{name} any more"
    assert list(inspect.signature(method).parameters) == METHODS[owner, name], f"{name} has other parameters"


def test_what_is_broken_is_kept_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Contract: what is raised goes to `_exception`, and what is done with it is done by `_fatal_error`."""
    app = Broken()
    asyncio.run(app.run_async(headless=True))
    assert isinstance(app._exception, ZeroDivisionError)
    assert (app.fatal, capfd.readouterr()) == (1, ("", ""))


def test_bindings() -> None:
    """Contract: the bindings of a key are found by its name."""
    assert [each.action for each in TextArea()._bindings.key_to_bindings["left"]] == ["cursor_left"]


def test_keys_are_read_by_a_table() -> None:
    """Contract: it is a dictionary, from which the one that reads keys takes them."""
    assert isinstance(_ansi_sequences.ANSI_SEQUENCES_KEYS, dict)
    assert vars(_xterm_parser)["ANSI_SEQUENCES_KEYS"] is _ansi_sequences.ANSI_SEQUENCES_KEYS


def test_all_is_written_to_one_file() -> None:
    """Contract: the driver knows it when it is made, and hands it to the thread that writes."""
    source = inspect.getsource(linux_driver)
    assert re.findall(r".*\b_file\b.*", source) == [
        "        self._file = sys.__stderr__",
        "        self._writer_thread = WriterThread(self._file)",
    ]


def test_what_is_written_to_a_terminal_that_is_gone() -> None:
    """[12.4-1] U9: the thread that writes lives on, so that nobody waits until there is room in its queue."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as file:
        thread = WriterThread(bottomless(file))
        thread.start()
        thread.write("seen")
        assert os.read(master, 4) == b"seen"
        os.close(master)
        for _ in range(3 * MAX_QUEUED_WRITES):
            thread.write("unseen\n" * 1000)
        thread.stop()


def test_every_private_name_is_in_the_contract() -> None:
    """Contract: every private name of Textual that occurs in the full screen is listed here, and no other is."""
    used: set[str] = set()
    for path in sorted(Path(quicchat.ui.tui.__path__[0]).glob("*.py")):
        module = importlib.import_module(f"quicchat.ui.tui.{path.stem}")
        used.update(_used(module, ast.parse(path.read_text())))
    assert used == {*APP, *(name for _, name in METHODS), *OTHERS}


def _used(module: ModuleType, tree: ast.Module) -> Iterator[str]:
    """Private names of Textual: imported, of something else than `self`, or of a class that is one of Textual's."""
    anywhere = set().union(*map(_theirs, OWNERS))
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(name)) if name.startswith("textual."):
                yield from (part for part in name.split(".") if part.startswith("_"))
            case ast.Attribute(value=value, attr=name) if not _is_self(value) and name in anywhere:
                yield name
            case ast.ClassDef():
                theirs = _theirs(getattr(module, node.name, object))
                yield from (name for name in _own(node) if name in theirs)


def _own(tree: ast.ClassDef) -> Iterator[str]:
    """Names that a class gives itself, or asks itself for."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=name) if _is_self(value):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _theirs(owner: type) -> set[str]:
    """Private names of Textual that an object of this class has."""
    return set().union(*(_of(base) for base in owner.__mro__ if base.__module__.startswith("textual.")))


@cache
def _of(base: type) -> frozenset[str]:
    return frozenset(re.findall(r"(?:def |self\.)(_[a-z]\w*)", inspect.getsource(base)))
