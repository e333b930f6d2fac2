"""The size limits and the docstring rule of quicchat.tools.check, by planted offenders."""

from __future__ import annotations

import pytest

from quicchat.tools.check import Fault, docstring, sizes

DOCUMENTS = {"spec/05-rooms.md", "spec/ARCHITECTURE.md", "spec/README.md"}


def function(name: str, lines: int, *, head: str = "def", pad: str = "", silent: str = "") -> str:
    """A function of `lines` lines of code, its head among them, with `silent` lines between."""
    body = "".join(f"{pad}    x = {number}\n{silent}" for number in range(lines - 1))
    return f"{pad}{head} {name}() -> None:\n{body}"


def texts(source: str) -> list[str]:
    return [fault.text for fault in sizes("a.py", source)]


def test_a_file_may_have_400_lines_and_no_more() -> None:
    """Design §4: a file at most 400 lines; blank ones count, so that it stays readable in one sitting."""
    assert texts("x = 1\n" * 399 + "\n") == []
    assert list(sizes("a.py", "x = 1\n" * 400 + "\n")) == [Fault("a.py", 0, "401 lines, the limit is 400")]


@pytest.mark.parametrize("head", ["def", "async def"])
def test_a_function_may_have_40_lines_of_code(head: str) -> None:
    """Design §4: a function at most 40 code lines."""
    assert texts(function("long", 40, head=head)) == []
    found = list(sizes("a.py", "\n" + function("long", 41, head=head)))
    assert found == [Fault("a.py", 2, "long has 41 lines of code, the limit is 40")]


def test_what_is_no_code_is_not_counted() -> None:
    """Design §4: docstrings, comments and blank lines cost nothing, so nobody is paid for leaving them out."""
    silent = "\n    # why\n"
    told = function("told", 40, silent=silent).replace(":\n", ':\n    """One.\n\n    Two.\n    """\n', 1)
    assert len(told.splitlines()) > 100
    assert texts(told) == []
    assert texts(told + "    x = 40\n") == ["told has 41 lines of code, the limit is 40"]


def test_every_line_of_a_statement_is_counted() -> None:
    """Design §4: brackets and long strings don't hide lines."""
    listed = "def listed() -> None:\n    x = [\n" + "        1,\n" * 38 + "    ]\n"
    quoted = 'def quoted() -> None:\n    x = """\n' + "text\n" * 38 + '"""\n'
    assert texts(listed) == ["listed has 41 lines of code, the limit is 40"]
    assert texts(quoted) == ["quoted has 41 lines of code, the limit is 40"]


def test_methods_and_inner_functions_are_measured() -> None:
    """Design §4: no hiding place inside a class or another function."""
    method = "class Room:\n" + function("method", 41, pad="    ")
    inner = "def outer() -> None:\n" + function("inner", 41, pad="    ")
    assert texts(method) == ["method has 41 lines of code, the limit is 40"]
    assert sorted(texts(inner)) == [
        "inner has 41 lines of code, the limit is 40",
        "outer has 42 lines of code, the limit is 40",
    ]


def test_a_class_may_have_25_methods() -> None:
    """Design §4: a class at most 25 methods."""
    methods = [function(f"m{number}", 2, pad="    ") for number in range(26)]
    assert texts("class Room:\n" + "".join(methods[:25])) == []
    assert texts("class Room:\n" + "".join(methods)) == ["Room has 26 methods, the limit is 25"]


@pytest.mark.parametrize("reference", ["(spec 05-rooms)", "(ARCHITECTURE)", "(spec README)"])
def test_a_docstring_names_its_chapter(reference: str) -> None:
    """Design §8: a module docstring says in one line why it exists and ends with its spec chapter."""
    assert list(docstring("a.py", f'"""Rooms: who is in. {reference}\n\nMore.\n"""\n', DOCUMENTS)) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n",
        '"""Rooms: who is in."""\n',
        '"""Rooms (spec 05-rooms): who is in."""\n',
        '"""Rooms: who is in.\n\nMore. (spec 05-rooms)\n"""\n',
        '"""Rooms: who is in. (spec rooms)"""\n',
        "# Rooms: who is in. (spec 05-rooms)\n",
    ],
)
def test_a_docstring_without_its_chapter_is_found(source: str) -> None:
    """Design §8: these lines make the code map, so each of them is complete."""
    (fault,) = docstring("a.py", source, DOCUMENTS)
    assert "must end with its chapter" in fault.text


def test_a_docstring_names_a_chapter_that_exists() -> None:
    """Design §4: spec chapter = wire chapter = service: a name that leads nowhere is found."""
    (fault,) = docstring("a.py", '"""Rooms: who is in. (spec 06-rooms)"""\n', DOCUMENTS)
    assert fault.text == "the docstring refers to spec/06-rooms.md, which does not exist"


def test_an_empty_module_may_be_silent() -> None:
    """Design §8: an empty `__init__.py` has nothing to say."""
    assert list(docstring("a/__init__.py", "\n", DOCUMENTS)) == []
