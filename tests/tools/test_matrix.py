"""The coverage matrix: of this repository, and of planted faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.tools import matrix

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = """\
# 3. Session

## 3.1 First

**[3.1-1]** A server MUST answer,
in words of more than a line. **[3.1-2]** It SHOULD be kind.

- **[3.1-3]** It MAY sing.

## 3.2 Second

**[3.2-1]** A client MUST NOT shout.
"""
TESTS = '''
def test_answer() -> None:
    """[3.1-1], [3.1-1]: it does."""

class TestClient:
    async def test_shout(self) -> None:
        """R1.1, [3.2-1], [3.1-1]: never."""

def helper() -> None:
    """[3.1-2] is quoted by no test."""
'''


def plant(root: Path, chapter: str = CHAPTER, tests: str = TESTS) -> Path:
    for name, text in (("spec/03-session.md", chapter), ("tests/a/test_b.py", tests)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def found(root: Path) -> list[str]:
    return [*matrix.faults(matrix.rules(root), matrix.quotes(root)), *matrix.unmarked(root)]


def test_every_rule_of_this_repository_is_proved() -> None:
    """Issue 1, item 12: every MUST has a test, every quoted id exists, every MUST and SHOULD has an id."""
    assert found(ROOT) == []
    assert len(matrix.rules(ROOT)) > 100


def test_rules_are_read(tmp_path: Path) -> None:
    """Issue 1, item 12: id, section, strength and sentence."""
    rules = matrix.rules(plant(tmp_path))
    assert [(rule.id, rule.section, rule.strength) for rule in rules] == [
        ("3.1-1", "3.1", "MUST"),
        ("3.1-2", "3.1", "SHOULD"),
        ("3.1-3", "3.1", "MAY"),
        ("3.2-1", "3.2", "MUST"),
    ]
    assert rules[0].text == "A server MUST answer, in words of more than a line."
    assert [rule.is_binding for rule in rules] == [True, False, False, True]


def test_quotes_are_read(tmp_path: Path) -> None:
    """Issue 1, item 12: docstrings of tests alone count, each once."""
    assert matrix.quotes(plant(tmp_path)) == {
        "3.1-1": ["tests/a/test_b.py::test_answer", "tests/a/test_b.py::TestClient::test_shout"],
        "3.2-1": ["tests/a/test_b.py::TestClient::test_shout"],
    }
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("MUST NOT shout", "MUST NOT shout.\n\n**[3.2-2]** It MUST sit", "[3.2-2] is proved by no test"),
        ("**[3.2-1]**", "**[3.1-1]**", "[3.1-1] stands twice"),
        ("**[3.1-3]**", "**[3.2-3]**", "[3.2-3] stands in section 3.1"),
        ("**[3.1-3]**", "**[4.1-3]**", "[4.1-3] stands in section 3.1"),
        ("**[3.2-1]** ", "", "no id before 'A client MUST NOT shout.'"),
        ("**[3.2-1]** ", "", "[3.2-1] is quoted by tests/a/test_b.py::TestClient::test_shout, but is no rule"),
        ("It MAY sing", "It sings", "[3.1-3] says neither"),
        ("**[3.1-3]** ", "", "no id before '- It MAY sing.'"),
        ("**[3.1-3]** It MAY", "It is RECOMMENDED to", "no id before '- It is RECOMMENDED to sing.'"),
    ],
)
def test_faults_are_found(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """Issue 1, item 12: the check can fail, in each of its ways."""
    assert any(fault in each for each in found(plant(tmp_path, CHAPTER.replace(old, new))))


def test_the_page_shows_rules_beside_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 1, item 12: printed with exit code 0, and 1 when something is wrong."""
    assert matrix.main(["--root", str(plant(tmp_path))]) == 0
    page = capsys.readouterr().out
    assert "2 of 2 rules with MUST are proved; 4 rules in all." in page
    assert "| [3.1-2](../03-session.md) | SHOULD |  |" in page
    assert "`tests/a/test_b.py::test_answer`<br/>`tests/a/test_b.py::TestClient::test_shout`" in page
    plant(tmp_path, tests="")
    assert matrix.main(["--root", str(tmp_path)]) == 1
    assert "proved by no test" in capsys.readouterr().err
