"""The grammar and the vectors as another implementation meets them: by programs that share nothing with ours."""

from __future__ import annotations

import importlib.util
import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "spec"
GRAMMAR = (SPEC / "quicchat.cddl").read_text("utf-8")
#: What pycddl 0.6.4 (the Rust crate `cddl`) judges wrongly: the items of an array of arrays, and how many there are.
NESTED = re.compile(r"\[0\*\d+ \(?\[")


def vectors(kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted((SPEC / "vectors").glob("*.json")):
        yield from json.loads(path.read_text("utf-8")).get(kind, ())


VALID = [each for each in vectors("valid") if "pdu" in each]
#: Broken in one field, in the newest version: what the grammar, which knows one version, has to refuse.
BROKEN = [each for each in vectors("invalid") if each["version"] == 2 and re.match(r"[A-Z_]+ [a-z_]+ ", each["name"])]


def test_hex_and_diagnostic_notation_say_the_same() -> None:
    """RFC 8949 section 8: each vector in two forms, of which the one is read into the bytes of the other."""
    seen = 0
    for each in (*vectors("valid"), *vectors("invalid")):
        if "diagnostic" in each:
            assert encoded(read(each["diagnostic"])).hex() == each["hex"], each["name"]
            seen += 1
    assert seen > 1_000
    assert all("diagnostic" in each for each in (*VALID, *BROKEN))


def body_of(name: str) -> str:
    return GRAMMAR[GRAMMAR.index(f"\n{name}-body = ") :].split("\n}\n")[0]


def test_a_second_judge_knows_the_vectors() -> None:
    """Issue 7, item 1: `cddl-verifier`, Python throughout, takes the grammar, all that is valid, nothing broken."""
    judge = pytest.importorskip("cddl_verifier", reason="cddl-verifier is not installed")
    assert judge.schema_diagnostics(GRAMMAR) == ()
    validator = judge.Validator(GRAMMAR)
    fulls = [each for each in VALID if each["version"] == 2]
    for each in fulls:
        assert validator.validate(bytes.fromhex(each["hex"]), each["pdu"]).valid, each["name"]
    for each in BROKEN[::7]:
        assert not validator.validate(bytes.fromhex(each["hex"]), each["name"].split()[0]).valid, each["name"]
    assert judge.schema_diagnostics("a = {1 => b}") != ()


def test_a_third_judge_knows_the_vectors(tmp_path: Path) -> None:
    """Issue 7, item 1: `pycddl`, a Rust crate in a process of its own, as it crashes on some input that is hostile."""
    if importlib.util.find_spec("pycddl") is None:
        pytest.skip("pycddl is not installed")
    known = [each for each in VALID if not NESTED.search(body_of(each["pdu"]))]
    broken = [each for each in BROKEN if not NESTED.search(body_of(each["name"].split()[0]))][::15]
    asked = [each["hex"] for each in (*known, *broken)]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    judge = (
        "import json, pycddl, sys\n"
        "schema = pycddl.Schema(open(sys.argv[1], encoding='utf-8').read())\n"
        "def judged(data):\n"
        "    try:\n"
        "        schema.validate_cbor(data)\n"
        "    except pycddl.ValidationError:\n"
        "        return False\n"
        "    return True\n"
        "print(json.dumps([judged(bytes.fromhex(each)) for each in json.load(open(sys.argv[2]))]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", judge, str(SPEC / "quicchat.cddl"), str(tmp_path / "asked.json")],
        check=True,
        capture_output=True,
        text=True,
    )
    verdicts = json.loads(ran.stdout)
    assert [
        name["name"] for name, said in zip((*known, *broken), verdicts, strict=True) if said != (name in known)
    ] == []
    assert len(known) > 100
    assert len(broken) > 20


def test_the_notation_is_read_strictly() -> None:
    """The reader of the test can say no, and knows every form that the vectors use."""
    assert read("{1: [true, null, -5, 1.5], \"a\": h'00ff', 2: {}}") == {
        1: [True, None, -5, 1.5],
        "a": b"\0\xff",
        2: {},
    }
    for broken in ("{1: }", "[1 2]", "h'0'", "{1: 2} 3", "nil"):
        with pytest.raises(ValueError, match="cannot read"):
            read(broken)


_TOKEN = re.compile(
    r"""\s*(?:(?P<bytes>h'(?:[0-9a-f]{2})*')|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:e[+-]\d+)?|-?Infinity|NaN)"""
    r"""|(?P<word>true|false|null)|(?P<sign>[\[\]{}:,]))\s*"""
)


def read(text: str) -> Any:
    """An item in diagnostic notation, as far as the vectors use it. Raises ValueError."""
    item, at = _read(text, 0)
    if at != len(text):
        raise ValueError(f"cannot read {text[at:]!r}")
    return item


def _read(text: str, at: int) -> tuple[Any, int]:
    found = _TOKEN.match(text, at)
    if found is None:
        raise ValueError(f"cannot read {text[at:]!r}")
    kind, word = str(found.lastgroup), found[str(found.lastgroup)]
    if kind != "sign":
        return _plain(kind, word), found.end()
    if word not in "[{":
        raise ValueError(f"cannot read {text[at:]!r}")
    return _many(text, found.end(), word)


def _plain(kind: str, word: str) -> Any:
    if kind == "bytes":
        return bytes.fromhex(word[2:-1])
    return json.loads(word)


def _many(text: str, at: int, opened: str) -> tuple[Any, int]:
    closed = "]}"["[{".index(opened)]
    items: list[Any] = []
    pairs: dict[Any, Any] = {}
    while text[at : at + 1] != closed:
        if items or pairs:
            at = _sign(text, at, ",")
        item, at = _read(text, at)
        if opened == "[":
            items.append(item)
        else:
            pairs[item], at = _read(text, _sign(text, at, ":"))
    at = _sign(text, at, closed)
    return (items if opened == "[" else pairs), at


def _sign(text: str, at: int, sign: str) -> int:
    found = _TOKEN.match(text, at)
    if found is None or found["sign"] != sign:
        raise ValueError(f"cannot read {text[at:]!r}")
    return found.end()


def encoded(item: Any) -> bytes:
    """CBOR in the shortest form; a float, which must be refused in any form, as cbor2 writes it."""
    if isinstance(item, bool) or item is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[item]
    if isinstance(item, int):
        return _head(0, item) if item >= 0 else _head(1, -1 - item)
    if isinstance(item, float):
        return cbor2.dumps(item)
    if isinstance(item, bytes):
        return _head(2, len(item)) + item
    if isinstance(item, str):
        return _head(3, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return _head(4, len(item)) + b"".join(map(encoded, item))
    return _head(5, len(item)) + b"".join(encoded(key) + encoded(value) for key, value in item.items())


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    width = next(width for width in range(4) if number < 1 << (8 << width))
    return bytes([major << 5 | 24 + width]) + struct.pack(">" + "BHIQ"[width], number)
