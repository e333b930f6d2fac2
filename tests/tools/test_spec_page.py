"""The specification as one page: every link leads somewhere in it, the search finds, and nothing comes from outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from quicchat.tools import matrix
from quicchat.tools.specgen import drawing, page
from quicchat.tools.specgen.__main__ import main
from quicchat.tools.specgen.linking import Linker, Source
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
_VOID = {"meta", "input", "br", "hr"}


class Reader(HTMLParser):
    """Ids, links, and what stands open; refuses elements that end out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.text: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            assert "a" not in self.open, "a link within a link"
            self.links.append(found.get("href") or "")
        self.sources += [str(found[name]) for name in ("src", "data", "action") if name in found]
        self.sources += [str(found["href"]) for _ in [0] if tag == "link"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As in the drawing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.text[f"script {len(self.text)}"] = data


@pytest.fixture(scope="module")
def html() -> str:
    return page.page(ROOT)


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_every_link_leads_somewhere(read: Reader) -> None:
    """Issue 7, item 1: within the page, to an anchor that is there once."""
    assert len(set(read.ids)) == len(read.ids)
    assert len(read.links) > 2_000
    assert [link for link in read.links if not link.startswith("#") or link[1:] not in read.ids] == []


def test_every_sentence_section_and_pdu_has_its_anchor(read: Reader) -> None:
    """Issue 7, item 1: `#3.1-2` is the sentence, `#3.1` its section, `#MSG_SEND` the fields of that PDU."""
    rules = matrix.rules(ROOT)
    assert len(rules) > 500
    wanted = {rule.id for rule in rules} | {rule.section for rule in rules} | {cls.SPEC.name for cls in REGISTRY}
    assert wanted - set(read.ids) == set()
    assert "#6.1-4" in read.links


def test_nothing_comes_from_elsewhere(html: str, read: Reader) -> None:
    """Issue 7, item 1: no script, style, picture or font but those in the page; it works from a disk."""
    assert read.sources == []
    assert re.findall(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|<link|<img|<iframe", html) == []
    assert set(re.findall(r"https?://[^\s\"'<]+", html)) <= {"http://www.w3.org/2000/svg"}


def test_the_index_finds_what_people_look_for(read: Reader) -> None:
    """Issue 7, item 1: ids, PDUs, codes, limits and words, each with an anchor that is there."""
    entries = json.loads(next(text for text in read.text.values() if text.startswith("[[")))
    by_title = {title: (anchor, text) for anchor, title, text in entries}
    assert {anchor for anchor, _, _ in entries} <= set(read.ids)
    assert by_title["[3.1-2]"] == ("3.1-2", "The server MUST answer with the highest version that both ends speak.")
    assert by_title["MSG_SEND (0x30)"][0] == "MSG_SEND"
    assert "cid" in by_title["MSG_SEND (0x30)"][1]
    assert by_title["DOWNGRADE (0x209)"][0] == "code-DOWNGRADE"
    assert by_title["limit before_login"][0] == "limit-before_login"
    assert by_title["limit pipeline"][0] == "limit-pipeline"
    assert by_title["15.11 Trust"][0] == "15.11"


def test_the_drawing_shows_every_move() -> None:
    """Design §3: each state once, and between states every PDU that leads from one to the other."""
    tree = ElementTree.fromstring(drawing.svg())
    texts = [each.text or "" for each in tree.iter("{http://www.w3.org/2000/svg}text")]
    for state in CONNECTION.states:
        assert texts.count(state.name) == 1
    for row in CONNECTION.rows:
        if row.state is not row.to:
            assert any(each.startswith(f"{row.by.value}: ") and str(row.letter) in each for each in texts), row


def test_a_link_that_leads_nowhere_is_an_error() -> None:
    """The page cannot be made with a wrong anchor; files beside the specification are no links."""
    one = Source("01-one.md", "x", "# 1. One\n\n## 1.1 First\n")
    linker = Linker([one])
    assert linker._target(one, "01-one.md#11-first") == "#1.1"
    assert linker._target(one, "decisions/0001-x.md") is None
    with pytest.raises(ValueError, match="leads nowhere"):
        linker._target(one, "01-one.md#12-second")


def test_make_spec_writes_it(tmp_path: Path, html: str) -> None:
    """Issue 7, item 1: `--page` writes it where nothing is committed, after the files that it is made of."""
    for path in ROOT.glob("spec/*.md"):
        (tmp_path / "spec").mkdir(exist_ok=True)
        (tmp_path / "spec" / path.name).write_bytes(path.read_bytes())
    assert main(["--root", str(tmp_path), "--page"]) == 0
    written = (tmp_path / page.PLACE).read_text("utf-8")
    assert written.startswith("<!doctype html>")
    assert 'id="3.1-2"' in written
    assert "/build/" in (ROOT / ".gitignore").read_text("utf-8").split()
