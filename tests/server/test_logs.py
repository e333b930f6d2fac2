"""One line an event, and nothing private in it. (spec 12-operation)"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, Literal

import pytest

from quicchat.errors import Code, Refused
from quicchat.server.adapters import logs

NASTY = 'a\nb\r\x1b[2J\x00\x7f\x85\x9b31m\u2028\u2029\u202e"\\ \udc80=é'

Forms = pytest.mark.parametrize("form", ["text", "json"])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leaves the logging of this process as it was."""
    root, ours = logging.getLogger(), logging.getLogger("quicchat")
    before = root.handlers[:], root.level, ours.level
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


def written(form: Literal["text", "json"], log: Callable[[logging.Logger], None], level: str = "info") -> str:
    """What a logger writes, after all of it is written."""
    stream = io.StringIO()
    handler = logs.set_up(form, level, stream)
    log(logging.getLogger("quicchat.test"))
    handler.close()
    return stream.getvalue()


def one_event(form: Literal["text", "json"], /, event: str = "connected", **extra: Any) -> str:
    return written(form, lambda log: log.info(event, extra=extra))


@Forms
def test_one_line_whatever_it_holds(form: Literal["text", "json"]) -> None:
    """[11.3-2] U8: log injection by nick, newline or ESC: one line, and nothing but printable ASCII in it."""
    output = one_event(form, NASTY, user=NASTY, rooms=[NASTY], **{f"odd{NASTY}": 1})
    assert output.endswith("\n")
    assert re.fullmatch(r"[\x20-\x7e]+", output[:-1])


@Forms
@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0xDC80])
def test_every_control_character(form: Literal["text", "json"], code: int) -> None:
    """U8: each control character alone, as event and as value."""
    output = one_event(form, f"a{chr(code)}b", user=f"c{chr(code)}d")
    assert re.fullmatch(r"[\x20-\x7e]+\n", output)
    shown = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}.get(code, f"\\u{code:04x}")
    assert f"a{shown}b" in output
    assert f"c{shown}d" in output


def test_text_line_for_people() -> None:
    """Issue 2.11: time, level, event and fields, bare where nothing can be mistaken."""
    output = one_event(
        "text", peer="[::1]:4433", code=0x106, ok=True, nothing=None, reason="two words", rooms=("a", "b")
    )
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    connected peer=\[::1\]:4433 code=262 ok=true nothing=null "
        r'reason="two words" rooms=\["a","b"\]\n',
        output,
    )


def test_a_value_cannot_pose_as_a_field() -> None:
    """U8: a value with blanks or quotes stays one value."""
    output = one_event("text", user='x level=ERROR admin="yes"')
    assert output.endswith(' user="x level=ERROR admin=\\"yes\\""\n')


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("logged in", "logged in user=a"),
        ("a=b", '"a=b" user=a'),
        ("a  b", '"a  b" user=a'),
        ("", '"" user=a'),
        ("logged in user=b", '"logged in user=b" user=a'),
    ],
)
def test_an_event_cannot_pose_as_a_field(event: str, line: str) -> None:
    """U8: an event of plain words stands bare, any other is quoted."""
    assert one_event("text", event, user="a").endswith(f" INFO    {line}\n")


def test_json_line_for_machines() -> None:
    """Issue 2.11: what comes out is what went in."""
    found = json.loads(one_event("json", peer="[::1]:4433", nick="Ärger\n", rate=1.5, level="mine", rooms={"a"}))
    moment = found.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert found == {
        "level": "info",
        "event": "connected",
        "peer": "[::1]:4433",
        "nick": "Ärger\n",
        "rate": 1.5,
        "level_": "mine",
        "rooms": ["a"],
    }


@Forms
@pytest.mark.parametrize(
    "key", ["password", "resume_token", "tokens", "new_Token", "api_key", "text", "content", "body", "proof", "salt"]
)
@pytest.mark.parametrize("value", ["canary-7", b"canary-7", ["canary-7"], 7])
def test_secrets_and_content_are_hidden(form: Literal["text", "json"], key: str, value: object) -> None:
    """[11.3-1] Issue 2.11: never content, tokens, passwords, whoever logs them by mistake."""
    extra: dict[str, Any] = {key: value}
    output = one_event(form, **extra)
    assert "canary" not in output
    assert "636e" not in output
    assert "[hidden]" in output


@Forms
def test_keys_that_only_look_alike_are_shown(form: Literal["text", "json"]) -> None:
    """Issue 2.11: hiding goes by words, not by letters."""
    assert "monkey" in one_event(form, monkeys="monkey")


class Colour(IntEnum):
    RED = 1


class Thing:
    def __str__(self) -> str:
        return "canary"

    __repr__ = __str__


@Forms
def test_of_bytes_and_objects_only_the_kind(form: Literal["text", "json"]) -> None:
    """Issue 2.11: a PDU or bytes under any key never show what is in them."""
    output = one_event(
        form, a=b"canary", b=Thing(), c=[Thing(), b"canary"], d=Colour.RED, e={"canary": 1}, f=float("nan")
    )
    assert "canary" not in output
    assert "<6 bytes>" in output
    assert "<Thing>" in output
    assert "RED" in output
    assert "<dict>" in output
    if form == "json":
        assert json.loads(output, parse_constant=pytest.fail)["f"] == "nan"


@Forms
def test_long_values_are_cut(form: Literal["text", "json"]) -> None:
    """P7: a peer cannot fill the log with one value."""
    assert len(one_event(form, "e" * 100_000, user="x" * 100_000, rooms=["y"] * 100_000)) < 3_000


@Forms
def test_what_failed_and_where(form: Literal["text", "json"]) -> None:
    """Q27: an exception is one line with kind and place; only our own and the system's texts are shown."""

    def fail(error: Exception) -> str:
        def log(logger: logging.Logger) -> None:
            try:
                raise error
            except Exception:
                logger.exception("handler_failed", extra={"type": 0x30})

        return written(form, log)

    foreign = fail(ValueError("canary\n"))
    assert "canary" not in foreign
    assert foreign.count("\n") == 1
    assert "ValueError" in foreign
    assert re.search(r"test_logs\.py:\d+ log", foreign)
    assert "NOT_MEMBER" in fail(Refused(Code.NOT_MEMBER))
    assert "No space left" in fail(OSError(28, "No space left on device"))
    group = fail(ExceptionGroup("canary", [ValueError("canary"), Refused(Code.LIMIT)]))
    assert "canary" not in group
    assert "LIMIT" in group


def test_other_libraries() -> None:
    """U8: of their records the first line counts; asyncio goes on with the repr of what failed."""

    def log(_: logging.Logger) -> None:
        asyncio = logging.getLogger("asyncio")
        asyncio.error("Task exception was never retrieved\nfuture: <Task exception=ValueError('canary')>")
        asyncio.warning("bad %d", "canary-that-is-no-number")
        asyncio.info("not shown")

    first, second = written("json", log, "debug").splitlines()
    assert json.loads(first) | {"time": 0} == {
        "time": 0,
        "level": "error",
        "event": "Task exception was never retrieved",
        "logger": "asyncio",
    }
    assert json.loads(second)["event"] == "bad %d"


def test_level() -> None:
    """Issue 2.11: what is below the level is not written."""

    def log(logger: logging.Logger) -> None:
        logger.info("quiet")
        logger.warning("loud")

    assert re.fullmatch(r"\S+ WARNING loud\n", written("text", log, "warning"))


def test_set_up_twice_writes_once() -> None:
    """Issue 2.11: a server started again in the same process does not double its lines."""
    first, second = io.StringIO(), io.StringIO()
    logs.set_up("text", "info", first)
    handler = logs.set_up("text", "info", second)
    logging.getLogger("quicchat").info("once")
    handler.close()
    assert (first.getvalue(), second.getvalue().count("once")) == ("", 1)


def drain(pipe: int, received: list[str]) -> threading.Thread:
    """Reads a pipe to its end, in a thread."""

    def read() -> None:
        with os.fdopen(pipe) as source:
            received.extend(source)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return reader


def test_a_stream_that_takes_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: a terminal stopped with Ctrl-S: logging does not wait, memory is bounded, and the loss is told."""
    monkeypatch.setattr(logs, "QUEUE", 50)
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    handler = logs.set_up("text", "info", stream)
    log = logging.getLogger("quicchat")
    slowest = 0.0
    for number in range(3_000):
        started = time.monotonic()
        log.info("filling", extra={"number": number, "padding": "x" * 190})
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1

    received: list[str] = []
    reader = drain(reading, received)
    handler.flush()
    log.info("after")
    handler.close()
    stream.close()
    reader.join(5)
    kept = sum("filling" in line for line in received)
    lost = sum(int(lines) for lines in re.findall(r"lines_lost lines=(\d+)$", "".join(received), re.MULTILINE))
    assert lost > 0
    assert kept + lost == 3_000
    assert "after" in received[-1]


class Counting(io.StringIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_lines_that_come_together_are_written_together() -> None:
    """P7: a server on which many come and go does not wake its writer for each of them; nothing is lost or late."""
    stream = Counting()
    handler = logs.set_up("text", "info", stream)
    log = logging.getLogger("quicchat")
    log.info("first")
    handler.flush()
    assert stream.writes == 1
    for number in range(1_000):
        log.info("many", extra={"number": number})
    started = time.monotonic()
    handler.close()
    assert time.monotonic() - started < 0.5
    lines = stream.getvalue().splitlines()
    assert [int(line.rpartition("=")[2]) for line in lines[1:]] == list(range(1_000))
    assert stream.writes < 100


def test_a_stream_that_is_gone_stops_nobody() -> None:
    """U9: the reader of a log pipe may leave; no traceback, and the server goes on."""
    stream = io.StringIO()
    handler = logs.set_up("text", "info", stream)
    stream.close()
    logging.getLogger("quicchat").info("lost")
    handler.flush()
    handler.close()
    assert handler._thread.is_alive() is False


def test_closing_a_stuck_stream_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """C10: a stuck terminal does not keep the server from exiting."""
    monkeypatch.setattr(logs, "PATIENCE", 0.05)
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    handler = logs.set_up("text", "info", stream)
    for _ in range(2_000):
        logging.getLogger("quicchat").info("filling", extra={"padding": "x" * 190})
    started = time.monotonic()
    handler.close()
    took = time.monotonic() - started
    received: list[str] = []
    reader = drain(reading, received)
    monkeypatch.setattr(logs, "PATIENCE", 5)
    handler.close()
    stream.close()
    reader.join(5)
    assert took < 2
    assert len(received) == 2_000
