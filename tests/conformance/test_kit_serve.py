"""The reverse mode of the kit: our client against a server that misbehaves, and clients that are told apart from it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from quicchat.tools.conform.book import parse, write
from quicchat.tools.conform.cases.client import every
from quicchat.tools.conform.ear import DATAGRAM, Heard
from quicchat.tools.conform.manners import Manners
from quicchat.tools.conform.quic import dial
from quicchat.tools.conform.runner import Result
from quicchat.tools.conform.schema import mismatch
from quicchat.tools.conform.serving import Options, judge, play
from quicchat.tools.conform.stage import Stage, Subject
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, Verdict

pytestmark = pytest.mark.socket

OURS = (
    f"{sys.executable} -m quicchat client -s {{host}} -p {{port}} -u {{user}} --password-file {{passwordfile}} --plain"
)
#: One of each sort; all of them are played by `make conform-client`.
SMOKE = (
    "QC-2.2-1/a-tag",
    "QC-3.1-5/version-that-was-not-offered",
    "QC-3.5-7/after-INTERNAL",
    "QC-4.2-13/4095-iterations",
    "QC-4.2-3/wrong-proof",
    "QC-6.1-3/a-retry-has-the-same-cid",
    "QC-6.12-2/event-of-another-room",
    "QC-6.3-3/doubles",
    "QC-6.3-4/a-gap-is-fetched",
    "QC-9.1-1/query-stream-that-is-reset",
    "QC-10.1-3/MSG_SEND-from-the-server",
    "QC-11.4-1/texts",
)


def test_our_client_keeps_to_the_text_whatever_the_server_does() -> None:
    """[3.1-5], [3.5-7], [4.2-3], [4.2-13], [6.1-3], [6.3-3], [6.3-4], [6.12-2], [11.4-1]: as the kit sees it from
    outside, by a process on a terminal."""
    cases = [case for case in every() if case.id in SMOKE]
    assert len(cases) == len(SMOKE)
    results = asyncio.run(play(cases, Options(Subject(command=OURS), at_once=3)))
    assert [f"{each.case.id}: {each.text}" for each in results if each.verdict is not Verdict.OK] == []
    # Behind them stands what every word was judged by.
    assert len(results) > len(cases)


def played(name: str, visit: Callable[[Talk], Coroutine[Any, Any, None]]) -> Result:
    """A case against a client of the kit's own, which behaves as `visit` has it."""
    (case,) = (case for case in every() if case.id == name)

    async def scenario() -> Result:
        stage = Stage(Subject(patience=2.0, tell=lambda text: None))

        async def person() -> None:
            talk = Talk(await dial("127.0.0.1", stage.door.port), certificate=stage.door.paper.digest)
            try:
                with contextlib.suppress(Failed):
                    await visit(talk)
            finally:
                await talk.ear.quietly(lambda: None, 1)
                talk.line.drop()

        work = asyncio.create_task(person())
        try:
            return await judge(case, stage, [])
        finally:
            await work

    return asyncio.run(scenario())


async def _credulous(talk: Talk) -> None:
    await talk.negotiate()
    talk.version = 2
    await talk.log_in("conform", Subject().password)


async def _careful(talk: Talk) -> None:
    found = await talk.negotiate()
    assert found["version"] == 77
    talk.version = 1
    talk.say("ERROR", code=0x108, text="77 was not offered", fatal=True)
    talk.line.flush()
    talk.line.close(0x108)


async def _unclean(talk: Talk) -> None:
    await talk.negotiate()
    talk.line.close(0x108)


async def _wrong(talk: Talk) -> None:
    await talk.negotiate()
    talk.version = 1
    talk.say("ERROR", code=0x106, fatal=True)
    talk.line.flush()
    talk.line.close(0x106)


@pytest.mark.parametrize(
    ("visit", "verdict"),
    [
        (_careful, Verdict.OK),
        (_unclean, Verdict.UNCLEAN),
        (_wrong, Verdict.WRONG_CODE),
        (_credulous, Verdict.FAILED),
    ],
)
def test_clients_are_told_apart(visit: Any, verdict: Verdict) -> None:
    """[3.1-5]: who takes a version that he did not offer fails; behaviour and close are judged each for itself."""
    assert played("QC-3.1-5/version-that-was-not-offered", visit).verdict is verdict


async def _absent(talk: Talk) -> None:
    """Nothing is said."""


def test_who_does_not_come_is_not_judged() -> None:
    """Issue item 3: what could not be seen in time is told as such, with the reason."""
    found = played("QC-3.1-1/begins-with-version-request", _absent)
    assert (found.verdict, found.text) == (Verdict.INFORMATIONAL, "nobody connected in time")


def heard(name: str, sid: int = 0, *, version: int = 2, id: int | None = 1, **fields: Any) -> Heard:
    return Heard(sid, parse(write(name, fields, version=version, id=id)))


def in_ready(version: int = 2) -> Manners:
    """A connection on which somebody is logged in."""
    manners = Manners()
    manners.heard(heard("VERSION_REQUEST", version=1, versions=[1, 2], device=bytes(16)))
    manners.said("VERSION_RESPONSE", "accepted")
    manners.version = version
    manners.heard(heard("AUTH_START", version=version, id=2, mechanism="SCRAM-SHA-256", user="a", data=b""))
    manners.said("AUTH_CHALLENGE")
    manners.heard(heard("AUTH_RESPONSE", version=version, id=3, data=b""))
    manners.said("AUTH_OK")
    assert (manners.state, manners.faults) == ("READY", [])
    return manners


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("1.2-1", [heard("MSG_SEND", id=9, version=1, room="general", cid=bytes(16), text="x", reply=3)]),
        ("1.2-1", [heard("TARGETS", id=9, version=1)]),
        ("2.3-1", [heard("PING", id=9, version=1, nonce=1)]),
        ("2.3-5", [heard("ECHO", id=3, data="x")]),
        ("2.3-5", [heard("ECHO", id=None, data="x")]),
        ("2.4-2", [heard("ECHO", id=9)]),
        ("2.4-2", [heard("ECHO", id=9, data=7)]),
        ("2.4-2", [heard("MSG_SEND", id=9, room="General", cid=bytes(16), text="x")]),
        ("2.4-2", [heard("MSG_SEND", id=9, room="general", cid=bytes(15), text="x")]),
        ("3.7-1", [heard("HISTORY", 4, id=9, room="general", window=4)]),
        ("3.7-3", [heard("STREAM_OPEN", 4, kind=2), heard("MSG_SEND", 4, id=9, user="b", cid=bytes(16), text="x")]),
        ("3.7-3", [heard("PING", DATAGRAM, nonce=1)]),
        ("10.1-1", [heard("AUTH_START", id=9, mechanism="SCRAM-SHA-256", user="a", data=b"")]),
        ("10.1-1", [heard("PRESENCE_SNAPSHOT", users=[])]),
        ("3.3-1", [heard("ERROR", code=0x104, fatal=True), heard("PING", id=9, nonce=1)]),
        ("3.5-1", [heard("BYE"), heard("PING", id=9, nonce=1)]),
    ],
)
def test_every_word_is_judged(sentence: str, words: list[Heard]) -> None:
    """[10.1-1], [2.4-2], [1.2-1]: what a client must not say is found where it says it, and nothing else is."""
    manners = in_ready(1 if sentence == "1.2-1" else 2)
    for each in words:
        manners.heard(each)
    assert sentence in {each.sentence for each in manners.faults}


def test_what_is_legal_is_not_blamed() -> None:
    """[2.5-1], [3.5-1]: odd extensions, ids that are new on another stream, leaving."""
    manners = in_ready()
    for each in (
        heard("STREAM_OPEN", 4, id=None, kind=2),
        heard("HISTORY", 4, id=3, room="general", window=4),
        heard("MSG_SEND", id=9, room="general", cid=bytes(16), text="x"),
        heard("TYPING", DATAGRAM, id=None, room="general", counter=1, ttl=0),
        heard("BYE", id=None),
    ):
        manners.heard(each)
    assert (manners.state, manners.faults) == ("DRAINING", [])


@pytest.mark.parametrize(
    ("wanted", "right", "wrong"),
    [
        ({"kind": "uint", "least": 1, "most": 2}, 2, (0, 3, True, "1", None)),
        ({"kind": "bool"}, False, (0, None)),
        ({"kind": "choice", "of": {"A": 1}}, 1, (0, True)),
        ({"kind": "text", "least": 0, "most": 2}, "\xe4", ("\xe4\xe4", b"a")),
        ({"kind": "text", "least": 0, "most": 9, "pattern": "[a-z]+"}, "ab", ("ab1", "")),
        ({"kind": "bytes", "least": 1, "most": 1}, b"a", (b"", b"ab", "a")),
        ({"kind": "array", "of": {"kind": "bool"}, "most": 1}, [True], ([True, True], [1], {})),
        ({"kind": "tuple", "of": [{"kind": "bool"}]}, [True], ([], [True, True], [1])),
        ({"kind": "map", "of": {"kind": "bool"}, "most": 1}, {1: True}, ({1: 1}, {1: True, 2: True}, [])),
    ],
)
def test_fields_are_judged_by_the_book(wanted: dict[str, Any], right: object, wrong: tuple[object, ...]) -> None:
    """[2.4-1], [2.4-2]: types, limits in bytes, patterns as a whole."""
    assert mismatch(wanted, right) == ""
    assert all(mismatch(wanted, each) for each in wrong)
