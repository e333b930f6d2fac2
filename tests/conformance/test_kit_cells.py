"""The cases that the kit makes from the book: none is missing, what is wrong is wrong, and a rude server is caught."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from quicchat.errors import Code, RemoteProtocolError
from quicchat.tools.conform import book as kit
from quicchat.tools.conform import instances
from quicchat.tools.conform.bench import Bench, Target
from quicchat.tools.conform.case import FEATURES, Case
from quicchat.tools.conform.cases import every, fields, states
from quicchat.tools.conform.ear import Ear
from quicchat.tools.conform.quic import Closed, QuicEvent, StreamDataReceived, Wishes
from quicchat.tools.conform.runner import play
from quicchat.tools.conform.verdict import Verdict
from quicchat.wire import codec
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Role

BOOK = kit.book()
CELLS = states.cases()
FIELDS = fields.cases()


def pdu(name: str, number: int, by: str, answer: str | None, outcomes: list[str], *found: Any) -> dict[str, Any]:
    """A PDU as a `quicchat.json` has it; of each field the name, the type, and since when it is there."""
    of = [
        {"key": key, "name": field, "is": kind, "optional": since > 1, "since": since}
        for key, (field, kind, since) in enumerate(found, start=1)
    ]
    head = {"name": name, "type": number, "by": [by], "on": ["control"], "section": "1.1", "since": 1}
    return head | {"answer": answer, "outcomes": outcomes, "replay-safe": False, "fields": of}


#: What a book may be like that is not ours: two PDUs, two states.
TINY = {
    "alpn": "tiny",
    "versions": [1, 2],
    "codes": [{"name": "STATE", "code": 1, "temporary": False, "reconnect": True}],
    "records": [],
    "limits": [{"name": "pairs", "value": 64}],
    "states": ["READY", "CLOSED"],
    "rows": [["READY", "client", "POKE", "hard", "READY"], ["READY", "server", "POKED", None, "READY"]],
    "sentences": [],
    "pdus": [
        pdu(
            *("POKE", 9, "client", "POKED", ["hard", "soft"]),
            ("who", {"kind": "text", "least": 1, "most": 4}, 1),
            ("why", {"kind": "choice", "of": {"FUN": 1}}, 2),
        ),
        pdu("POKED", 10, "server", None, []),
    ],
}


def names(cases: list[Case]) -> set[str]:
    return {case.id for case in cases}


def test_every_case_has_an_id_of_its_own() -> None:
    """No verdict can be taken for another's, and each is about a sentence that there is."""
    cases = every()
    found = Counter(case.id for case in cases)
    assert [each for each, count in found.items() if count > 1] == []
    assert {case.sentence for case in cases} <= BOOK.sentences.keys()


def test_every_cell_of_the_automaton_is_a_case() -> None:
    """[10.1-1], [10.1-2], [10.1-3], [10.1-4]: every state times every letter, as our own table counts them."""
    letters = [letter for cls in REGISTRY for letter in Letter.all_of(cls)]
    made = Counter(case.name for case in CELLS if case.sentence != "1.2-2")
    assert made.total() == len(letters) * len(list(CONNECTION.states))
    assert set(made.values()) == {1}
    for letter in letters:
        said = letter.pdu.SPEC.name + (f"[{letter.outcome}]" if letter.outcome else "")
        for state in CONNECTION.states:
            (name,) = (each for each in made if each.startswith(f"{state.name}.{said}."))
            is_legal = CONNECTION.step(state, Role.CLIENT, letter) is not None
            verb = name.rpartition(".")[2]
            assert verb in (("accepted", "ignored") if is_legal else ("refused", "fatal", "ignored", "accepted")), name
            assert (verb != "accepted" or is_legal) or name == "START.STREAM_OPEN.accepted"


def test_an_invented_pdu_gets_its_cells() -> None:
    """A PDU that the book learns is tried in every state, without a line of code."""
    tiny = kit.read(TINY)
    assert names(states.cases(tiny)) == {
        "QC-10.1-1/READY.POKE[hard].accepted",
        "QC-10.1-2/READY.POKE[soft].refused",
        "QC-10.1-3/READY.POKED.fatal",
        "QC-10.1-4/CLOSED.POKE[hard].ignored",
        "QC-10.1-4/CLOSED.POKE[soft].ignored",
        "QC-10.1-4/CLOSED.POKED.ignored",
    }


def test_an_invented_pdu_gets_its_wrong_values() -> None:
    """Each of its fields is tried with each kind that is wrong, at and beyond each limit, missing, null and too new."""
    tiny = kit.read(TINY)
    kinds = {"uint", "negative", "bytes", "bool", "null", "array", "map", "float", "undefined"}
    who = {f"QC-2.4-1/POKE.who.{name}" for name in kinds | {"missing", "below", "above", "above-in-bytes"}}
    why = {f"QC-2.4-1/POKE.why.{name}" for name in (kinds | {"text", "unknown", "zero"}) - {"uint", "null"}}
    assert names(fields.cases(tiny)) == {
        *who,
        *why,
        "QC-2.4-3/POKE.why.null",
        "QC-1.2-2/POKE.why.in-version-1",
        "QC-2.4-1/POKE.minimal.accepted",
        "QC-2.4-1/POKE.full.accepted",
        *(f"QC-2.4-1/POKE.who.{name}.accepted" for name in ("least", "most", "most-in-bytes")),
        "QC-2.4-1/POKE.why.least.accepted",
    }


def judged(body: fields.Body, version: int) -> Code | None:
    """What our codec says of a body."""
    data = kit.write(body.kind.name, body.fields, version=version, id=1)
    assert len(data) <= BOOK.limits["frame"], body.name
    try:
        found = codec.decode(data, version=version)
    except RemoteProtocolError as error:
        return Code(error.code)
    assert not isinstance(found.pdu, codec.Unknown)
    return None


def test_what_is_called_wrong_is_wrong() -> None:
    """[2.4-1], [2.4-3], [1.2-2]: another codec refuses each for its form, with the code that the case wants."""
    for body in fields.wrong(BOOK):
        assert judged(body, 2) is Code[fields.code(body)], body.name
    for body in fields.newer(BOOK):
        assert judged(body, body.since) is Code.SCHEMA, body.name


def test_what_is_called_right_is_right() -> None:
    """[2.4-1]: another codec takes each value at its limit, and each PDU with nothing but what it needs."""
    for body in fields.right(BOOK):
        assert judged(body, 2) is None, body.name
    for kind in BOOK.kinds.values():
        for version in range(kind.since, 3):
            for made in (instances.minimal(kind, version), instances.full(kind, version)):
                found = codec.decode(kit.write(kind.name, made, version=version))
                assert not isinstance(found.pdu, codec.Unknown)


def test_every_field_is_tried_with_every_wrong_kind() -> None:
    """[2.4-1]: no field of what a client sends is left out, nor any kind of CBOR."""
    tried = Counter(body.name.rpartition(".")[0] for body in fields.wrong(BOOK))
    for cls in REGISTRY:
        if Role.CLIENT in cls.SPEC.by:
            for field in cls.SPEC.fields:
                assert tried[f"{cls.SPEC.name}.{field.name}"] >= len(instances.KINDS) - 1


def test_what_is_spared_is_tried_in_another_way() -> None:
    """[2.4-1]: by default too each field meets a wrong kind and each of its limits, and each kind meets some field."""
    bodies = list(fields.wrong(BOOK))
    by_field: dict[str, list[fields.Body]] = {}
    for body in bodies:
        by_field.setdefault(".".join(body.name.split(".")[:2]), []).append(body)
    for name, of in by_field.items():
        kept = {body.name.rpartition(".")[2] for body in of if not body.spare}
        assert kept & instances.KINDS.keys() - {"null"}, name
        limits = ("above", "above-in-bytes", "below", "missing", "null", "short", "long", "unknown", "zero")
        spared = [body.name.rpartition(".")[2] for body in of if body.spare]
        assert not [each for each in spared if each.endswith(limits) and not each.endswith("-null")], name
    kinds = {body.name.rpartition(".")[2] for body in bodies if not body.spare}
    assert instances.KINDS.keys() <= kinds
    spare = {f"QC-{body.sentence}/{body.name}" for body in bodies if body.spare and not body.is_datagram}
    assert {case.id for case in every() if case.thorough} == spare
    assert len(spare) > 1000


# A server that does as it is told

Answer = Callable[["Rude", kit.Pdu], None]


class Rude:
    """A line to a server that negotiates, answers PING, and does with all the rest what a test wants."""

    def __init__(self, does: Answer) -> None:
        self.closed: Closed | None = None
        self.is_closed_here = False
        self.on_event: Callable[[QuicEvent], None] = lambda event: None
        self.is_negotiated = self.is_over = False
        self._does = does
        self._streams = 0

    def open(self, *, uni: bool = False) -> int:
        self._streams += 1
        return self._streams * 4 - 4

    def say(self, sid: int, data: bytes, *, fin: bool = False) -> None:
        while data:
            found = kit.unframed(data)
            assert found is not None
            asyncio.get_running_loop().call_soon(self._hear, sid, found[0])
            data = data[found[1] :]

    def whisper(self, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._hear, -1, data)

    def close(self, code: int, reason: str = "") -> None:
        self.is_closed_here = self.closed is None

    def drop(self) -> None:
        self.is_over = True

    def answer(self, name: str, re: object = None, **found: Any) -> None:
        """Say a PDU."""
        data = kit.frame(kit.write(name, found, version=2, re=re))  # type: ignore[arg-type]
        self.on_event(StreamDataReceived(stream_id=self.sid, data=data, end_stream=False))

    def error(self, code: str, re: object = None, *, fatal: bool = False) -> None:
        self.answer("ERROR", re, code=BOOK.codes[code], fatal=fatal, text="no")

    def end(self, code: str) -> None:
        self.closed = Closed(BOOK.codes[code], "", None)
        self.is_over = True
        self.on_event(QuicEvent())

    def fail(self, code: str) -> None:
        """As 3.3-1 wants it."""
        self.error(code, fatal=True)
        self.end(code)

    def _hear(self, sid: int, data: bytes) -> None:
        self.sid = sid
        if self.is_over:
            return
        try:
            pdu = kit.parse(data)
        except ValueError:
            pdu = kit.Pdu("nothing", 0, None, None, {}, data)
        if pdu.name == "VERSION_REQUEST" and not self.is_negotiated:
            self.is_negotiated = True
            self.answer("VERSION_RESPONSE", pdu.id, version=2, versions=[1, 2])
        elif pdu.name == "PING" and type(pdu["nonce"]) is int:
            self.answer("PONG", pdu.id, nonce=pdu["nonce"])
        else:
            self._does(self, pdu)


class Rig(Target):
    """A target of which every connection leads to such a server."""

    def __init__(self, does: Answer) -> None:
        super().__init__("nowhere", 0, features=frozenset(FEATURES))
        self.versions = (1, 2)
        self.does = does
        self.calls = 0

    async def dial(self, wishes: Wishes | None = None) -> Any:
        self.calls += 1
        return Rude(self.does)


@pytest.fixture(autouse=True)
def nobody_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready(bench: Bench, who: int = 0, *versions: int, device: bytes | None = None) -> Any:
        return await bench.negotiated(*versions)

    monkeypatch.setattr(Bench, "ready", ready)


def verdicts(ids: str | set[str], does: Answer) -> dict[str, Verdict]:
    """What the kit says of a server that does so, case by case."""
    wanted = [case for case in [*CELLS, *FIELDS] if case.id in ids or case.id == ids]
    assert wanted
    found = asyncio.run(play(wanted, Rig(does), at_once=4, doubts=0))
    return {each.case.id: each.verdict for each in found}


FATAL = [
    ("QC-10.1-2/AUTHENTICATING.MSG_SEND.fatal", "STATE"),
    ("QC-10.1-3/READY.MSG.fatal", "STATE"),
    ("QC-2.4-1/MSG_SEND.cid.above", "SCHEMA"),
    ("QC-2.4-1/MSG_SEND.text.above", "SCHEMA"),
    ("QC-1.2-2/MSG_SEND.kind.in-version-1", "SCHEMA"),
]


@pytest.mark.parametrize(("case", "code"), FATAL)
def test_what_is_fatal_has_to_end_the_connection(case: str, code: str) -> None:
    """[10.1-2], [10.1-3], [2.4-1], [1.2-2]: with this code, said first, and with no other end."""

    def unsaid(rude: Rude, pdu: kit.Pdu) -> None:
        rude.end(code)

    def lingering(rude: Rude, pdu: kit.Pdu) -> None:
        rude.error(code, fatal=True)
        rude.end("NO_ERROR")

    does: list[tuple[Answer, Verdict]] = [
        (lambda rude, pdu: rude.fail(code), Verdict.OK),
        (lambda rude, pdu: rude.fail("INTERNAL"), Verdict.WRONG_CODE),
        (lambda rude, pdu: rude.error(code, pdu.id), Verdict.FAILED),
        (lambda rude, pdu: None, Verdict.FAILED),
        (unsaid, Verdict.UNCLEAN),
        (lingering, Verdict.UNCLEAN),
    ]
    assert [verdicts(case, each)[case] for each, _ in does] == [wanted for _, wanted in does]


def test_one_bad_cell_of_a_crowd_is_the_only_bad_one() -> None:
    """[10.1-1], [10.1-2]: whatever happens to one, the others are judged by what happened to them."""
    all_of = {case.id: case for case in CELLS if case.name.startswith("READY.")}
    wanted = {each for each in all_of if each.endswith((".refused", ".accepted")) and "BYE" not in each}
    wanted -= {"QC-10.1-1/READY.ERROR[fatal].accepted"}
    legal = {each.removeprefix("QC-10.1-1/READY.").removesuffix(".accepted") for each in wanted}

    def proper(rude: Rude, pdu: kit.Pdu) -> None:
        if pdu.id is None:
            return
        answer = BOOK.kinds[pdu.name].answer
        if pdu.name in legal and answer is not None:
            rude.error("NOT_MEMBER", pdu.id)
        elif pdu.name not in legal | {"ERROR"}:
            rude.error("STATE", pdu.id)

    def but(name: str, does: Answer) -> Answer:
        return lambda rude, pdu: does(rude, pdu) if pdu.name == name else proper(rude, pdu)

    assert set(verdicts(wanted, proper).values()) == {Verdict.OK}
    plants: list[tuple[str, Answer, Verdict]] = [
        ("QC-10.1-1/READY.ROOM_JOIN.accepted", lambda rude, pdu: rude.error("STATE", pdu.id), Verdict.FAILED),
        ("QC-10.1-1/READY.ROOM_JOIN.accepted", lambda rude, pdu: rude.answer("PONG", pdu.id, nonce=1), Verdict.FAILED),
        ("QC-10.1-1/READY.ROOM_JOIN.accepted", lambda rude, pdu: rude.fail("INTERNAL"), Verdict.FAILED),
        ("QC-10.1-2/READY.SIGNUP.refused", lambda rude, pdu: rude.answer("OK", pdu.id), Verdict.FAILED),
        ("QC-10.1-2/READY.SIGNUP.refused", lambda rude, pdu: rude.error("FORBIDDEN", pdu.id), Verdict.WRONG_CODE),
        ("QC-10.1-2/READY.SIGNUP.refused", lambda rude, pdu: rude.fail("STATE"), Verdict.FAILED),
    ]
    for case, does, verdict in plants:
        found = verdicts(wanted, but(case.split(".")[-2], does))
        assert {each: value for each, value in found.items() if value is not Verdict.OK} == {case: verdict}


def test_a_silent_server_costs_the_patience_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """[2.3-3]: where no request of a crowd is answered, each of them fails, and not for having taken too long."""
    monkeypatch.setattr(Ear.until, "__kwdefaults__", {"patience": 0.2})
    wanted = [case for case in CELLS if case.name.startswith("READY.") and case.name.endswith(".refused")]
    found = asyncio.run(play(wanted, Rig(lambda rude, pdu: None), at_once=len(wanted)))
    assert {(each.verdict, each.text.endswith("within 0.2 s")) for each in found} == {(Verdict.FAILED, True)}
    assert max(each.seconds for each in found) < 2


def test_a_crowd_has_one_connection() -> None:
    """What shares a connection costs one, as long as nothing is wrong."""
    rig = Rig(lambda rude, pdu: rude.error("UNSUPPORTED", pdu.id))
    wanted = [case for case in CELLS if case.sentence == "1.2-2"][:40]
    found = asyncio.run(play(wanted, rig, at_once=8))
    assert {each.verdict for each in found} == {Verdict.OK}
    assert rig.calls == 1


def test_what_comes_after_the_last_word_is_not_answered() -> None:
    """[3.5-1], [10.1-4]: neither after BYE nor after a fatal ERROR."""
    bye, gone = "QC-3.5-1/DRAINING.ECHO.ignored", "QC-10.1-4/CLOSED.ECHO.ignored"

    def proper(rude: Rude, pdu: kit.Pdu) -> None:
        if pdu.name in ("BYE", "ERROR"):
            rude.end("NO_ERROR")

    def talkative(rude: Rude, pdu: kit.Pdu) -> None:
        if pdu.name == "ECHO":
            rude.answer("ECHO", pdu.id, data="")
            rude.end("NO_ERROR")

    def offended(rude: Rude, pdu: kit.Pdu) -> None:
        if pdu.name == "ECHO":
            rude.fail("STATE")

    assert set(verdicts({bye, gone}, proper).values()) == {Verdict.OK}
    assert set(verdicts({bye, gone}, talkative).values()) == {Verdict.FAILED}
    assert verdicts(bye, offended)[bye] is Verdict.FAILED


def test_a_limit_that_is_too_narrow_is_found() -> None:
    """[2.4-1]: whoever refuses what the limit allows fails, and with the code of form only."""
    case = "QC-2.4-1/MSG_SEND.text.most.accepted"
    codes = {"STREAM_MISUSE": Verdict.OK, "SCHEMA": Verdict.FAILED}
    for code, verdict in codes.items():
        assert verdicts(case, lambda rude, pdu, code=code: rude.error(code, pdu.id))[case] is verdict  # type: ignore[misc]
    assert verdicts(case, lambda rude, pdu: rude.fail("SCHEMA"))[case] is Verdict.FAILED


def test_a_datagram_that_costs_the_connection_is_found() -> None:
    """[1.3-2]: it is dropped, and nobody is told."""
    case = "QC-1.3-2/TYPING.room.uint.dropped"
    assert verdicts(case, lambda rude, pdu: None)[case] is Verdict.OK
    assert verdicts(case, lambda rude, pdu: rude.fail("SCHEMA"))[case] is Verdict.FAILED
    assert verdicts(case, lambda rude, pdu: rude.error("SCHEMA"))[case] is Verdict.FAILED
