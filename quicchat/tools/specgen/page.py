"""The whole specification as one page of HTML that needs nothing but a browser. (spec README)"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from quicchat.tools.specgen import drawing
from quicchat.tools.specgen.linking import Linker, Source, slug
from quicchat.values import dataclass

#: Where it is written, below the repository; never committed.
PLACE: Final = "build/spec/index.html"
#: Generated pages that belong to the protocol, in the order of the navigation.
_TABLES: Final = (
    *("pdus", "session", "accounts", "rooms", "messages", "presence", "files", "keys", "records"),
    *("errors", "limits", "states", "registries", "versions", "walkthrough", "examples"),
)
#: Those about the program that comes with it.
_PROGRAM: Final = ("commands", "json")
_MARK: Final = re.compile(r"\*\*\[(\d+\.\d+-\d+)\]\*\*")
#: Characters of a section that can be searched for.
_SEARCHED: Final = 2_500


@dataclass(frozen=True, slots=True)
class Entry:
    """What the search box finds: where, under which title, with which words."""

    anchor: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """An entry of the navigation."""

    anchor: str
    title: str
    level: int


def page(root: Path) -> str:
    """The page for the specification of a repository, from its files as they are."""
    sources = list(_sources(root / "spec"))
    linker = Linker(sources)
    bodies, headings, entries = [], [], []
    for source in sources:
        body, found, searched = _render(source, linker)
        bodies.append(f'<section class="chapter">\n{body}</section>\n')
        headings.append((source, found))
        entries += searched
    return _whole(bodies, headings, entries)


def _sources(spec: Path) -> Iterator[Source]:
    yield Source("README.md", "Specification", (spec / "README.md").read_text("utf-8"))
    for path in sorted(spec.glob("[0-9][0-9]-*.md")):
        yield Source(path.name, "Specification", path.read_text("utf-8"))
    for group, names in (("Tables", _TABLES), ("Program", _PROGRAM)):
        for name in names:
            yield Source(f"generated/{name}.md", group, (spec / "generated" / f"{name}.md").read_text("utf-8"))
    grammar = (spec / "quicchat.cddl").read_text("utf-8")
    yield Source("quicchat.cddl", "Tables", f"# The grammar in CDDL\n\n```cddl\n{grammar}```\n")


def _render(source: Source, linker: Linker) -> tuple[str, list[Heading], list[Entry]]:
    """HTML of one file, its headings, and what can be found in it."""
    markdown = MarkdownIt("commonmark").enable("table")
    text = source.text
    if source.is_chapter:
        text = _MARK.sub(r'<a class="id" id="\1" href="#\1">[\1]</a>', text)
    if source.path == "generated/errors.md":
        text = re.sub(r"^(\| 0x\w+ \| )([A-Z_]+) \|", r'\1<span id="code-\2">\2</span> |', text, flags=re.MULTILINE)
    if source.path == "generated/limits.md":
        text = re.sub(
            r"^(\| (?:\d+ \| )?)([a-z_]+(?: [a-z()]+)*) \| (?=\d)",
            lambda found: f'{found[1]}<span id="limit-{slug(found[2])}">{found[2]}</span> | ',
            text,
            flags=re.MULTILINE,
        )
    tokens = markdown.parse(text)
    headings = list(_headings(source, tokens, linker))
    entries = [*_sections(tokens, headings), *_rows(source), *(_sentences(source) if source.is_chapter else ())]
    for at, token in enumerate(tokens):
        if token.type == "inline" and token.children is not None:
            token.children = list(linker.linked(source, token.children, tokens[at - 1].type == "heading_open"))
    body: str = markdown.renderer.render(tokens, markdown.options, {})
    body = body.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
    body = re.sub(r"<p>(<svg.*?</svg>)\s*</p>", r'<div class="scroll">\1</div>', body, flags=re.DOTALL)
    return body, headings, entries


def _headings(source: Source, tokens: Sequence[Token], linker: Linker) -> Iterator[Heading]:
    """Gives each heading its anchor, and makes it a link to itself."""
    for at, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = plain(tokens[at + 1])
        anchor = linker.anchor(source, title, first=token.tag == "h1")
        token.attrSet("id", anchor)
        yield Heading(anchor, title, int(token.tag[1]))


def plain(token: Token) -> str:
    """The words of an inline token, without what marks them."""
    parts = [
        " " if each.type == "softbreak" else each.content for each in token.children or () if "html" not in each.type
    ]
    return " ".join("".join(parts).split())


def _sections(tokens: Sequence[Token], headings: Sequence[Heading]) -> Iterator[Entry]:
    """Each heading with what stands below it."""
    texts: list[list[str]] = [[]]
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            texts.append([])
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            texts[-1].append(plain(token))
        elif token.type == "fence":
            texts[-1].append(token.content)
    for heading, found in zip(headings, texts[1:], strict=True):
        title = f"Example: {heading.title}" if heading.anchor.startswith("examples-") else heading.title
        yield Entry(heading.anchor, title, " ".join(" ".join(found).split())[:_SEARCHED])


def _rows(source: Source) -> Iterator[Entry]:
    """Codes and limits are found by their names."""
    for line in source.text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if source.path == "generated/errors.md" and cells[0].startswith("0x"):
            yield Entry(f"code-{cells[1]}", f"{cells[1]} ({cells[0]})", f"Error code: {cells[-1]}")
        if source.path == "generated/limits.md" and len(cells) > 3 and (cells[0].isdigit() or cells[1].isdigit()):
            name = cells[1] if cells[0].isdigit() else cells[0]
            yield Entry(f"limit-{slug(name)}", f"limit {name}", " ".join(cells))


def _sentences(source: Source) -> Iterator[Entry]:
    marks = list(_MARK.finditer(source.text))
    for mark in marks:
        rest = _MARK.split(source.text[mark.end() :], maxsplit=1)[0]
        sentence = re.split(r"\n\s*\n|\n(?=[-*#|] )", rest, maxsplit=1)[0]
        yield Entry(mark[1], f"[{mark[1]}]", " ".join(sentence.replace("`", "").split()))


def _whole(bodies: list[str], headings: list[tuple[Source, list[Heading]]], entries: list[Entry]) -> str:
    here = files(__package__)
    index = json.dumps([[entry.anchor, entry.title, entry.text] for entry in entries], ensure_ascii=False)
    # No text may end the element that it stands in.
    index = index.replace("</", "<\\/")
    style = here.joinpath("page.css").read_text("utf-8") + drawing.style()
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<title>The quicchat protocol</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            '<aside>\n<a class="title" href="#readme">The quicchat protocol</a>',
            '<div class="tools"><input type="search" id="search" aria-label="Search" autocomplete="off"',
            'placeholder="Search ( / )"><button id="theme" title="colours">auto</button>',
            '<button id="menu">contents</button></div>',
            '<p id="count" role="status"></p><ol id="found"></ol>',
            f'<nav aria-label="Contents">\n{_navigation(headings)}</nav>\n</aside>',
            "<main>",
            *bodies,
            "</main>",
            f'<script type="application/json" id="index">{index}</script>',
            f"<script>\n{here.joinpath('page.js').read_text('utf-8')}</script>\n</body>\n</html>\n",
        ]
    )


def _navigation(headings: list[tuple[Source, list[Heading]]]) -> str:
    parts: list[str] = []
    for group in dict.fromkeys(source.group for source, _ in headings):
        parts.append(f'<p class="group">{group}</p>\n<ul>')
        for source, found in headings:
            if source.group == group and found:
                inner = "".join(_entry(each) + "</li>" for each in found[1:] if each.level == 2 and source.is_chapter)
                parts.append(_entry(found[0]) + (f"<ul>{inner}</ul>" if inner else "") + "</li>")
        parts.append("</ul>")
    return "\n".join(parts)


def _entry(heading: Heading) -> str:
    return f'<li><a href="#{heading.anchor}">{escape(heading.title)}</a>'
