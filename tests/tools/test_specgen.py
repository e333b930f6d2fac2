"""What specgen writes: complete, deterministic, committed, and right by a judge that does not know the registry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from quicchat.errors import Code
from quicchat.tools.specgen import cddl, diagrams, instances, notation, output, tables, vectors
from quicchat.tools.specgen.__main__ import main
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CHAPTERS, CONNECTION
from quicchat.wire.registry import REGISTRY, VERSIONS
from tests.tools.cddl_grammar import parse

ROOT = Path(__file__).resolve().parents[2]
GRAMMAR = parse(cddl.cddl())


def test_what_is_committed_is_what_would_be_written() -> None:
    """R3.15: the specification is kept up to date; `make spec` mends this."""
    assert list(output.differing(ROOT, output.with_coverage(ROOT))) == []


def test_the_same_comes_out_every_time() -> None:
    """Issue 1, item 12: generated files are deterministic, also in another process with other hashes."""
    script = "from quicchat.tools.specgen import output; import json; print(json.dumps(output.generate()))"
    other = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(other.stdout) == output.generate()


def test_check_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R3.15: a stale, a missing and a strange file are each named, nothing is written, and the exit code is 1."""
    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert "spec/quicchat.cddl is not up to date" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == []
    assert main(["--root", str(tmp_path)]) == 0
    written = capsys.readouterr().out.split()
    assert len(written) == len(output.with_coverage(tmp_path))
    assert main(["--root", str(tmp_path), "--check"]) == 0
    stale = tmp_path / "spec/generated/errors.md"
    stale.write_text(stale.read_text().replace("0x101", "0x111"))
    (tmp_path / "spec/vectors/rooms.json").unlink()
    (tmp_path / "spec/vectors/old.json").write_text("{}")
    assert main(["--root", str(tmp_path), "--check"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == [
        "spec/generated/errors.md",
        "spec/vectors/old.json",
        "spec/vectors/rooms.json",
    ]
    assert main(["--root", str(tmp_path)]) == 0
    assert not (tmp_path / "spec/vectors/old.json").exists()
    assert main(["--root", str(tmp_path), "--check"]) == 0


@pytest.mark.parametrize("cls", list(REGISTRY), ids=lambda cls: cls.SPEC.name)
def test_the_grammar_describes_every_pdu(cls: type) -> None:
    """Issue 1, item 12: good PDUs match their own rule and `pdu`; broken ones match neither."""
    name = cls.SPEC.name  # type: ignore[attr-defined]
    for label, pdu, version in vectors.good(cls):
        outer = {0: version, 1: pdu.SPEC.number, 2: 7, 5: notation.body(pdu, version)}
        assert GRAMMAR.accepts(name, outer), label
        assert GRAMMAR.accepts("pdu", outer), label
        assert not GRAMMAR.accepts("PING" if name != "PING" else "PONG", outer)
        assert not GRAMMAR.accepts(name, outer | {7: 0})
    for label, data, version, _ in vectors.bad(cls):
        if version == VERSIONS[-1]:
            assert not GRAMMAR.accepts("pdu", cbor2.loads(data)), label


def test_the_grammar_knows_extensions_and_codes() -> None:
    """[2.5-3]: keys from 32 on are open, those below are not; and each code has its name."""
    ping = {0: 2, 1: 3, 5: {1: 7}}
    assert GRAMMAR.accepts("PING", {**ping, 5: {1: 7, 33: [{1: None}], 2**64 - 1: True}})
    assert not GRAMMAR.accepts("PING", {**ping, 5: {1: 7, 31: 0}})
    assert not GRAMMAR.accepts("PING", {**ping, 5: {1: 7, 33: 1.5}})
    assert all(GRAMMAR.accepts("error-code", int(code)) for code in Code)
    assert not GRAMMAR.accepts("error-code", 0x999)


@pytest.mark.parametrize(
    "broken", ["a = [", "a = b", "a = {1 => uint 2 => uint}", "a = uint .cbor bytes", "a = 1.5", "a uint"]
)
def test_the_judge_refuses_what_is_no_cddl(broken: str) -> None:
    """The judge of the grammar can say no."""
    with pytest.raises((SyntaxError, IndexError)):
        parse(broken)


def test_the_tables_leave_nothing_out() -> None:
    """Issue 1, item 12: every PDU, field, code, limit and row stands in a table."""
    files = output.generate()
    for chapter in CHAPTERS:
        page = files[f"spec/generated/{tables.short_name(chapter)}.md"]
        pdus = tables.pdus_of(chapter)
        assert pdus
        for cls in pdus:
            section = page[page.index(f"## {cls.SPEC.name} (") :].split("\n## ")[0]
            for field in cls.SPEC.fields:
                assert f"| {field.key} | {field.name} | `" in section
                assert field.type.cddl().replace("|", r"\|") in section
    assert sum(len(tables.pdus_of(chapter)) for chapter in CHAPTERS) == len(list(REGISTRY))
    for code in Code:
        assert f"| 0x{int(code):x} | {code.name} |" in files["spec/generated/errors.md"]
    table = files["spec/generated/states.md"]
    for row in CONNECTION.rows:
        lines = [line for line in table.splitlines() if line.startswith(f"| {row.state.name} | {row.by.value} |")]
        assert any(line.endswith(f"| {row.to.name} |") and str(row.letter) in line for line in lines), row


def test_every_request_names_its_answer() -> None:
    """R1.6: the column is not empty where a PDU is answered, and names PDUs that the other end sends."""
    named = {cls.SPEC.name: tables.answer(cls.SPEC) for cls in REGISTRY}
    assert named["ROOM_LIST"] == "ROOM_LIST_R"
    assert named["RECEIPT"] == named["BYE"] == ""
    by_name = {cls.SPEC.name: cls.SPEC for cls in REGISTRY}
    for name, answer in named.items():
        if answer:
            assert {role.peer for role in by_name[name].by} & by_name[answer].by


def test_the_pictures_show_every_row() -> None:
    """Design §3: Mermaid and Graphviz hold every state, every move, and every word that changes nothing."""
    mermaid, dot = diagrams.mermaid(), diagrams.graphviz()
    words = {text: re.sub(r"\s+", " ", text.replace(r"\l", " ")) for text in (mermaid, dot)}
    for row in CONNECTION.rows:
        for text in (mermaid, dot):
            assert str(row.letter) in words[text]
        if row.state is not row.to:
            assert re.search(rf"{row.state.name} --> {row.to.name}: .*{re.escape(str(row.letter))}", mermaid)
            assert re.search(rf'{row.state.name} -> {row.to.name} \[label=".*{re.escape(str(row.letter))}', dot)
    assert mermaid.startswith("%% Generated")
    assert dot.count("{") == dot.count("}") == 1


def test_instances_are_what_they_promise() -> None:
    """Issue 1, item 12: minimal has only what is required, full has everything, and every letter can be spelled."""
    for cls in REGISTRY:
        least, most = instances.minimal(cls), instances.full(cls, VERSIONS[-1])
        for field in cls.SPEC.fields:
            assert (getattr(least, field.name) is None) is field.optional
            assert getattr(most, field.name) is not None
        for letter in Letter.all_of(cls):
            assert Letter.of(instances.spelling(letter)) == letter


def test_notation() -> None:
    """RFC 8949 section 8: values as people read them; and JSON that loses nothing."""
    value = {1: [True, None, -5, 'a"\u00fc'], 2: b"\x00\xff", 3: {4: 2**60}}
    assert (
        notation.diagnostic(value) == '{1: [true, null, -5, "a\\"\u00fc"], 2: h\'00ff\', 3: {4: 1152921504606846976}}'
    )
    assert notation.plain_json(value) == {
        "map": [[1, [True, None, -5, 'a"\u00fc']], [2, {"hex": "00ff"}], [3, {"map": [[4, {"uint": str(2**60)}]]}]]
    }


def test_every_pdu_has_its_section() -> None:
    """Design §6: the section that the registry names is a heading, and the PDU is named in it."""
    for chapter in CHAPTERS:
        (path,) = (ROOT / "spec").glob(f"[0-9][0-9]-{tables.short_name(chapter)}.md")
        parts = re.split(r"^## (\d+\.\d+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        for cls in tables.pdus_of(chapter):
            assert re.search(rf"\b{cls.SPEC.name}\b", sections[cls.SPEC.section]), cls.SPEC.name


def test_the_links_of_the_chapters_lead_somewhere() -> None:
    """Issue 1, item 12: chapters point to generated files, and these are there."""
    for path in (ROOT / "spec").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists() or target == "ARCHITECTURE.md", f"{path.name}: {target}"
