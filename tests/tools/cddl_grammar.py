"""A reader of the CDDL (RFC 8610) that specgen writes, and a judge of items by it; it knows nothing of the registry.

It knows the part of CDDL that is used: choices, ranges, literals, .size, .ge, .regexp and .and, arrays, maps, named
groups, occurrences, and `&( )`. What it does not know it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Judge = Callable[[object], bool]

_TOKEN = re.compile(
    r"""\s*(?:;[^\n]*\n\s*)*
    (?:(?P<string>"(?:[^"\\]|\\.)*") | (?P<range>\d+\.\.\d+) | (?P<number>\d+)
    | (?P<name>[A-Za-z@_$][\w.$@-]*) | (?P<control>\.[a-z]+) | (?P<sign>=>|[=/,:?*()\[\]{}&]))""",
    re.VERBOSE,
)
_PRELUDE: dict[str, Judge] = {
    "uint": lambda item: type(item) is int and 0 <= item < 2**64,
    "int": lambda item: type(item) is int and -(2**64) <= item < 2**64,
    "text": lambda item: type(item) is str,
    "bytes": lambda item: type(item) is bytes,
    "bool": lambda item: type(item) is bool,
    "null": lambda item: item is None,
}


@dataclass(slots=True)
class Entry:
    """One member of a group: how often, under which key (None in arrays), of what type; or another group by name."""

    least: int
    most: float
    key: Judge | None
    type: Judge
    group: str | None


@dataclass(slots=True)
class Grammar:
    """The rules of one text."""

    types: dict[str, Judge] = field(default_factory=dict)
    groups: dict[str, list[Entry]] = field(default_factory=dict)

    def accepts(self, rule: str, item: object) -> bool:
        """Whether an item is what a rule describes."""
        return self.types[rule](item)


def parse(text: str) -> Grammar:
    """Read a grammar. Raises SyntaxError, also for names that no rule explains."""
    reader = _Reader(list(_tokens(text + "\n")))
    while reader.more:
        name = reader.take("name")
        reader.sign("=")
        if reader.peek == "(":
            reader.sign("(")
            reader.grammar.groups[name] = reader.entries(")", in_map=True)
        else:
            reader.grammar.types[name] = reader.type()
    unknown = reader.used - {*reader.grammar.types, *reader.grammar.groups, *_PRELUDE}
    if unknown:
        raise SyntaxError(f"nothing explains {sorted(unknown)}")
    return reader.grammar


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip() and not re.fullmatch(r"\s*(?:;[^\n]*\n\s*)*", text[at:]):
        found = _TOKEN.match(text, at)
        if found is None:
            raise SyntaxError(f"cannot read {text[at : at + 40]!r}")
        assert found.lastgroup is not None
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.grammar = Grammar()
        self.used: set[str] = set()
        self._tokens = tokens
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    @property
    def peek(self) -> str:
        return self._tokens[self._at][1] if self.more else ""

    def take(self, kind: str) -> str:
        if not self.more or self._tokens[self._at][0] != kind:
            raise SyntaxError(f"{kind} expected, not {self.peek!r}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def sign(self, sign: str) -> None:
        if self.take("sign") != sign:
            raise SyntaxError(f"{sign!r} expected")

    def type(self) -> Judge:
        choices = [self._one()]
        while self.peek == "/":
            self.sign("/")
            choices.append(self._one())
        return choices[0] if len(choices) == 1 else lambda item: any(choice(item) for choice in choices)

    def _one(self) -> Judge:
        kind, text = self._tokens[self._at]
        if kind == "range":
            return self._range()
        if kind == "number":
            number = int(self.take("number"))
            return lambda item: type(item) is int and item == number
        if kind == "name":
            return self._name()
        self._at += 1
        if text == "(":
            inner = self.type()
            self.sign(")")
            return self._and(inner) if self.peek == ".and" else inner
        if text == "[":
            return _array(self.entries("]", in_map=False))
        if text == "{":
            return _map(self.entries("}", in_map=True), self.grammar)
        if text == "&":
            self.sign("(")
            return _any_of(self.entries(")", in_map=True))
        raise SyntaxError(f"{text!r} begins no type")

    def _and(self, one: Judge) -> Judge:
        self.take("control")
        other = self._one()
        return lambda item: one(item) and other(item)

    def _range(self) -> Judge:
        low, high = map(int, self.take("range").split(".."))
        return lambda item: type(item) is int and low <= item <= high

    def _name(self) -> Judge:
        name = self.take("name")
        self.used.add(name)
        base = _PRELUDE.get(name) or (lambda item: self.grammar.types[name](item))
        if not self.more or self._tokens[self._at][0] != "control":
            return base
        control = self.take("control")
        if control == ".regexp":
            quoted = re.sub(r"\\(.)", r"\1", self.take("string")[1:-1])
            pattern = quoted.replace(r"\p{Cc}", r"\x00-\x1f\x7f-\x9f")
            return lambda item: base(item) and re.fullmatch(pattern, str(item)) is not None
        if control == ".ge":
            least = int(self.take("number"))
            return lambda item: base(item) and int(item) >= least  # type: ignore[call-overload]
        if control == ".size":
            fits = self._one()
            return lambda item: base(item) and fits(len(item.encode() if isinstance(item, str) else item))  # type: ignore[arg-type]
        raise SyntaxError(f"unknown control {control}")

    def entries(self, end: str, *, in_map: bool) -> list[Entry]:
        found = []
        while self.peek != end:
            found.append(self._entry(in_map=in_map))
            if self.peek == ",":
                self.sign(",")
            elif self.peek != end:
                raise SyntaxError(f"a comma is missing before {self.peek!r}")
        self.sign(end)
        return found

    def _entry(self, *, in_map: bool) -> Entry:
        least, most = self._occurrence()
        name = self.peek
        first = self.type()
        if self.peek == "=>":
            self.sign("=>")
            return Entry(least, most, first, self.type(), None)
        if self.peek == ":":
            self.sign(":")
            self.used.discard(name)
            return Entry(least, most, None, self.type(), None)
        return Entry(least, most, None, first, name if in_map else None)

    def _occurrence(self) -> tuple[int, float]:
        if self.peek == "?":
            self.sign("?")
            return 0, 1
        least = 0
        if self._tokens[self._at][0] == "number" and self._tokens[self._at + 1][1] == "*":
            least = int(self.take("number"))
        if self.peek != "*":
            return 1, 1
        self.sign("*")
        return least, int(self.take("number")) if self._tokens[self._at][0] == "number" else float("inf")


def _array(entries: list[Entry]) -> Judge:
    def judge(item: object) -> bool:
        if type(item) is not list:
            return False
        at = 0
        for entry in entries:
            count = 0
            while count < entry.most and at < len(item) and entry.type(item[at]):
                at, count = at + 1, count + 1
            if count < entry.least:
                return False
        return at == len(item)

    return judge


def _map(entries: list[Entry], grammar: Grammar) -> Judge:
    def judge(item: object) -> bool:
        if type(item) is not dict:
            return False
        rest = dict(item)
        for entry in _flat(entries, grammar):
            assert entry.key is not None
            fitting = [key for key, value in rest.items() if entry.key(key) and entry.type(value)]
            if not entry.least <= len(fitting) <= entry.most:
                return False
            for key in fitting:
                del rest[key]
        return not rest

    return judge


def _flat(entries: list[Entry], grammar: Grammar) -> Iterator[Entry]:
    for entry in entries:
        if entry.group is not None:
            yield from _flat(grammar.groups[entry.group], grammar)
        else:
            yield entry


def _any_of(entries: list[Entry]) -> Judge:
    return lambda item: any(entry.type(item) for entry in entries)
