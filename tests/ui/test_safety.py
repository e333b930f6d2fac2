"""Nothing of what others send moves a cursor, hides, or pretends to be ours: whatever it is, wherever it comes out."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.__main__ import main
from quicchat.client.seal import Seal, opened
from quicchat.client.state import State, reduce
from quicchat.errors import UsageError
from quicchat.ui.jobs import Fetch
from quicchat.ui.logs import logged
from quicchat.ui.outcomes import Heard, Past, Readable
from quicchat.ui.paper import Plain
from quicchat.ui.record import Json
from quicchat.ui.render import Text
from quicchat.ui.seals import seen
from quicchat.ui.styles import STYLES
from quicchat.ui.visible import visible
from quicchat.wire.chapters.messages import Message
from quicchat.wire.registry import SERVER, Pdu
from tests.strategies import ALL, pdus
from tests.ui.items import NASTY, message

#: All that is nasty in one text.
WORST = "<" + "".join(NASTY.values()) + ">"
#: What a server may send.
HEARD = [cls for cls in ALL if cls.SPEC.by >= SERVER]
#: A byte that a terminal would carry out, in UTF-8.
_OBEYED = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def printed(item: object, state: State) -> bytes:
    """All bytes that come out of a plain client, in each style and as JSON."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    sheet = Plain(stream, stream)
    for style in STYLES:
        Text(sheet, style, "%H:%M:%S").tell(item, state)  # type: ignore[arg-type]
    Json(sheet).tell(item, state)
    return raw.getvalue()


@given(st.sampled_from(HEARD).flatmap(pdus), st.booleans())
def test_whatever_a_server_sends(pdu: Pdu, late: bool) -> None:
    """[11.4-1] U1, U2, U4, U8: any PDU that a server may send: printable lines, each of them ours."""
    state = reduce(State(user="alice"), pdu)
    items: list[object] = [pdu]
    if isinstance(pdu, Message):
        items = [Heard(pdu, 1, late=late), Heard(pdu, None, own=True), Past(pdu.room, [Heard(pdu, None)])]
        sealed = [Heard(seen(opened(pdu, seal)), 1, late=late) for seal in Seal]
        items += [*sealed, Past(pdu.room, sealed), Readable(pdu.room, sealed)]
    for item in items:
        found = printed(item, state)
        assert not _OBEYED.search(found)
        for line in found.decode().split("\n"):
            assert visible(line) == line


@given(st.text(), st.text())
def test_whatever_is_in_a_text(one: str, other: str) -> None:
    """[11.4-1]: a text made visible stays so beside another one, and can be cut anywhere."""
    joined = visible(one) + ": " + visible(other)
    assert visible(joined) == joined or "\ufffd" in visible(joined)
    assert not _OBEYED.search(joined.encode(errors="surrogatepass"))


def faulty(words: list[str], **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "echo.py", *words],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        env={"PATH": "/usr/bin:/bin", "QUICCHAT_HOME": "/nonexistent", **more},
    )


_TYPED = WORST.replace("\0", "")


@pytest.mark.parametrize(
    "words",
    [
        [_TYPED],
        ["client", "--style", _TYPED],
        ["client", f"--{_TYPED}"],
        ["client", "-s", _TYPED],
        ["client", "a", "1", "b", _TYPED],
        ["client", "-e", f"/{_TYPED}"],
        ["client", "--config", f"/nonexistent/{_TYPED[:80]}"],
        ["client", "--password-file", f"/nonexistent/{_TYPED[:80]}", "-u", "bob"],
        ["server", "--cert", f"/nonexistent/{_TYPED[:80]}"],
        ["send", f"@{_TYPED}", "x"],
        ["send", "general", _TYPED],
        ["files", _TYPED],
        ["get", _TYPED, "--room", _TYPED],
        ["scenario", f"/nonexistent/{_TYPED[:80]}"],
    ],
    ids=lambda words: " ".join(words)[:16].replace(_TYPED[:4], "X").strip(),
)
def test_the_command_line(words: list[str]) -> None:
    """[11.4-1] U1: arguments may come from a link or a script: complaints about them are one harmless line."""
    done = faulty(words)
    assert done.returncode not in (0, 1)
    assert not _OBEYED.search(done.stdout + done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert visible(done.stderr.decode().rstrip("\n")) == done.stderr.decode().rstrip("\n")


@pytest.mark.parametrize("debug", ["", "1"])
def test_faults_that_quote_somebody(
    debug: str, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """[11.4-1] U1, U8: a mistake of ours may quote a peer: in its line and in the traceback it is harmless."""

    def fails(*_: object) -> int:
        raise ValueError(WORST)

    monkeypatch.setenv("QUICCHAT_DEBUG", debug)
    monkeypatch.setitem(main.__globals__["_COMMANDS"], "client", fails)
    assert main(["client"]) == 1
    found = capfdbinary.readouterr().err
    assert not _OBEYED.search(found)
    assert (b"Traceback" in found) is bool(debug)
    assert b"\xe2\x90\x9b[2J" in found


def test_what_libraries_log(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """[11.3-1], [11.3-2], [11.4-1] U8: nothing on the screen; in the file a line each, and no text of a fault."""
    path = tmp_path / "log"
    with logged(path):
        try:
            raise ValueError("what somebody said")
        except ValueError:
            logging.getLogger("asyncio").exception(f"never retrieved\n{WORST}")  # noqa: G004 - as others do
        logging.getLogger("library").warning(f"{WORST} 100%")  # noqa: G004
        logging.getLogger("library").warning("%d", "no number")
        logging.getLogger("library").info("nothing of interest")
    found = path.read_bytes()
    assert capfdbinary.readouterr() == (b"", b"")
    assert len(found.splitlines()) == 3
    assert not _OBEYED.search(found)
    assert b"[ValueError at test_safety.py:" in found
    assert b"somebody said" not in found
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with logged(tmp_path / "no" / "such" / "place"):
        logging.getLogger("library").warning("lost")
    assert capfdbinary.readouterr() == (b"", b"")


def test_a_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    """[12.3]: beyond a megabyte it begins anew."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1_100_000)
    with logged(path):
        logging.getLogger("library").warning("new")
    assert path.stat().st_size < 200


def test_no_file_goes_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """[11.4-1], [12.8]: `-o -` is for pipes; what people put into files would be carried out by a terminal."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(UsageError, match="for pipes"):
        Fetch("x", "-").prepare()
    Fetch("x", "x.txt").prepare()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    Fetch("x", "-").prepare()


def test_json_is_ascii_whatever_it_holds() -> None:
    """U8: with --json there is nothing but printable ASCII, and the text is as it was."""
    out = io.StringIO()
    Json(Plain(out, out)).tell(Heard(message(WORST), 1), State())
    line = out.getvalue()
    assert line.isascii()
    assert line.rstrip("\n").isprintable()
    assert json.loads(line)["text"] == WORST
