"""Where the words of the page lead: sentences, sections, PDUs, codes, and what other files are called. (spec README)"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from markdown_it.token import Token

from quicchat.errors import Code
from quicchat.tools.specgen import drawing
from quicchat.values import dataclass
from quicchat.wire.registry import REGISTRY
from quicchat.wire.states import State

_PDUS: Final = frozenset(cls.SPEC.name for cls in REGISTRY)
#: Names that mean one thing only: DRAINING is a state as well.
_CODES: Final = frozenset(code.name for code in Code) - {state.name for state in State} - _PDUS
_HEADING: Final = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
_NUMBERED: Final = re.compile(r"(\d+(?:\.\d+)?)\.? ")
_PDU: Final = re.compile(r"([A-Z][A-Z_]+) \(0x[0-9a-f]+\)")
_IDS: Final = re.compile(r"\*\*\[(\d+\.\d+-\d+)\]\*\*")
#: A sentence; a section in parentheses or called one; a chapter; a name in capitals.
_WORD: Final = re.compile(
    r"(?<![\w.-])(?P<sentence>\d{1,2}\.\d{1,2}-\d{1,2})(?![\w-])"
    r"|(?:(?<=\()|(?<=[Ss]ection )|(?<=[Ss]ections )|(?<=as )|(?<=in )|^)(?P<section>\d{1,2}\.\d{1,2})(?=[),;:.]|\s|$)"
    r"|(?:(?<=[Cc]hapter )|(?<=[Cc]hapters ))(?P<chapter>\d{1,2})(?![\w.])"
    r"|(?<![\w`])(?P<name>[A-Z][A-Z_]+)(?![\w])"
)
_FOREIGN: Final = re.compile(r"RFC \d+,? (?:[Ss]ections? )$")
_DEMANDS: Final = frozenset(("MUST", "SHOULD", "MAY", "NOT"))


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the specification, by its path below `spec/`, and where it stands in the navigation."""

    path: str
    group: str
    text: str

    @property
    def is_chapter(self) -> bool:
        return self.path[:2].isdigit()


def slug(title: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class Linker:
    """Knows every anchor of the page."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {source.path: source for source in sources}
        self._sentences = {number for source in sources for number in _IDS.findall(source.text)}
        self._anchors = {
            (source.path, slug(title)): self.anchor(source, title, first=at == 0)
            for source in sources
            for at, title in enumerate(_HEADING.findall(source.text))
        }
        self._known = set(self._anchors.values())

    def anchor(self, source: Source, title: str, *, first: bool) -> str:
        """The id of a heading: `3.1`, `MSG_SEND`, `registries-kind`; that of a file's first one is the file's."""
        if source.is_chapter:
            if number := _NUMBERED.match(title):
                return number[1]
            return f"{int(source.path[:2])}-{slug(title)}"
        stem = posixpath.splitext(posixpath.basename(source.path))[0].lower()
        if first:
            return "grammar" if source.path.endswith(".cddl") else stem
        if pdu := _PDU.fullmatch(title):
            return pdu[1]
        return f"{stem}-{slug(title)}"

    def linked(self, source: Source, tokens: Sequence[Token], heading: bool) -> Iterator[Token]:
        """The tokens of a paragraph with links within the page. Raises ValueError for one that leads nowhere."""
        within, gone = heading, False
        for token in tokens:
            if token.type == "link_open":
                target = self._target(source, str(token.attrGet("href")))
                within, gone = True, target is None
                if target is not None:
                    token.attrSet("href", target)
                    yield token
            elif token.type == "link_close":
                within = heading
                if not gone:
                    yield token
                gone = False
            elif token.type == "html_inline" and token.content.startswith(("<a ", "</a")):
                within = heading or token.content.startswith("<a ")
                yield token
            elif token.type == "image":
                yield _raw(drawing.svg(alone=False) if str(token.attrGet("src")).endswith("states.svg") else "")
            elif token.type == "text" and not within:
                yield _raw(self._words(source, token.content))
            else:
                yield token

    def _target(self, source: Source, href: str) -> str | None:
        """An anchor; None for a file that is not part of the page."""
        path, _, fragment = href.partition("#")
        if not path:
            return f"#{fragment}"
        found = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), path))
        if found not in self._sources:
            return None
        if not fragment:
            title = _HEADING.findall(self._sources[found].text)[0]
            return f"#{self.anchor(self._sources[found], title, first=True)}"
        if (found, fragment) not in self._anchors:
            raise ValueError(f"{source.path}: {href} leads nowhere")
        return f"#{self._anchors[found, fragment]}"

    def _words(self, source: Source, text: str) -> str:
        out, at = [], 0
        for found in _WORD.finditer(text):
            out.append(escape(text[at : found.start()]))
            out.append(self._word(text, found))
            at = found.end()
        return "".join([*out, escape(text[at:])])

    def _word(self, text: str, found: re.Match[str]) -> str:
        word = escape(found[0])
        kind = str(found.lastgroup)
        if kind == "name":
            if found[0] in _DEMANDS:
                return f'<em class="must">{word}</em>'
            anchor = found[0] if found[0] in _PDUS else f"code-{found[0]}" if found[0] in _CODES else ""
            return f'<a class="name" href="#{anchor}">{word}</a>' if anchor else word
        known = self._sentences if kind == "sentence" else self._known
        if found[0] not in known or _FOREIGN.search(text[: found.start()]):
            return word
        return f'<a href="#{word}">{word}</a>'


def _raw(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)
