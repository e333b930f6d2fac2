"""Two ends that say whatever comes into their heads, on a line that delivers in any order, as Hypothesis plays them.

What each end may say is asked of the automaton; what it may not say it must refuse, and then nothing may have happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.connection import Connection, Lost, Received
from quicchat.protocol.events import Bytes, Closed, Datagram, Established, LinkEvent, Reset, Stopped
from quicchat.wire import codec, frame
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.chapters.session import Error, Purpose, StreamOpen, VersionRequest, VersionResponse
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Pdu, Role, Via
from quicchat.wire.states import State
from tests.conformance.cases import letters, sensible
from tests.protocol.line import CONTROL, Line
from tests.strategies import any_pdu, mutations

roles = st.sampled_from(list(Role))
numbers = st.integers(0, 10_000)
#: What the connection says by itself.
BY_ITSELF = (VersionRequest, VersionResponse)
PURPOSES = {Purpose.ROOM: Via.ROOM, Purpose.QUERY: Via.QUERY, Purpose.FILE: Via.FILE}
WORDS = [letter for letter in letters() if letter.pdu not in BY_ITSELF]
#: With what an end may close while nobody breaks a rule.
IN_ORDER = {Code.NO_ERROR, Code.NEGOTIATION_TIMEOUT, Code.AUTH_FAILED, Code.LIMIT}


class Conversation(RuleBasedStateMachine):
    """Both ends keep to the rules as far as they are let; time passes, and streams come and go."""

    polite = True

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.streams: dict[int, Via] = {}
        self.said_fatal: set[int] = set()

    @initialize(start=st.booleans())
    def begin(self, start: bool) -> None:
        self.line.client.start(CONTROL)
        if start:
            self.line.run()

    # What they say

    @rule(role=roles, number=numbers)
    def say_what_is_legal(self, role: Role, number: int) -> None:
        """A word that the automaton allows is sent, on control."""
        end = self.line.end(role)
        words = [
            letter
            for letter in CONNECTION.legal(end.state, role)
            if letter.pdu not in BY_ITSELF and letter.pdu.SPEC.via & Via.CONTROL
        ]
        # Ends are rare, so that most conversations have a middle.
        words = [word for word in words if word.outcome != "fatal" or number % 40 == 0]
        if words and end.state is not State.START:
            self.say(end, words[number % len(words)], None)

    @rule(role=roles, number=numbers)
    def say_what_is_not(self, role: Role, number: int) -> None:
        """A word that the automaton forbids is refused, and nothing has happened."""
        end = self.line.end(role)
        word = WORDS[number % len(WORDS)]
        if end.state in (State.START, State.CLOSED) or CONNECTION.step(end.state, role, word) is not None:
            return
        self.line.collect()
        before = end.state, end.timer(), end.closing
        with pytest.raises(LocalProtocolError):
            end.send(sensible(word))
        assert (end.state, end.timer(), end.closing) == before
        assert end.output() == []

    def say(self, end: Connection, word: Letter, sid: int | None) -> None:
        pdu = sensible(word)
        if end.closing is not None and end.state is State.CLOSED:
            return
        end.send(pdu, sid=sid, id=7)
        if isinstance(pdu, Error) and pdu.fatal:
            self.said_fatal.add(pdu.code)
        if isinstance(pdu, FileHeader) and sid is not None:
            end.raw(sid, bytes(pdu.follows))

    # Streams

    @precondition(lambda self: self.line.client.state is State.READY and len(self.streams) < 12)
    @rule(purpose=st.sampled_from(list(Purpose)))
    def open_a_stream(self, purpose: Purpose) -> None:
        sid = 4 + 4 * len(self.streams)
        room = "general" if purpose is Purpose.ROOM else None
        self.line.client.open(sid, StreamOpen(kind=purpose, room=room))
        self.streams[sid] = PURPOSES[purpose]

    @precondition(lambda self: bool(self.streams))
    @rule(role=roles, number=numbers)
    def say_it_aside(self, role: Role, number: int) -> None:
        sid = list(self.streams)[number % len(self.streams)]
        end = self.line.end(role)
        words = [
            letter
            for letter in CONNECTION.legal(end.state, role)
            if letter.pdu.SPEC.via & self.streams[sid] and letter.outcome != "fatal" and letter.pdu is not StreamOpen
        ]
        if words and end._channels.get(sid) is not None:
            self.say(end, words[number % len(words)], sid)

    @precondition(lambda self: bool(self.streams))
    @rule(role=roles, number=numbers, code=st.none() | st.integers(0, 2**32 - 1))
    def finish_a_stream(self, role: Role, number: int, code: int | None) -> None:
        self.line.end(role).finish(list(self.streams)[number % len(self.streams)], code)

    @rule(role=roles, number=numbers)
    def whisper(self, role: Role, number: int) -> None:
        """A datagram leaves where it may, and never moves anything."""
        end = self.line.end(role)
        words = [word for word in WORDS if word.pdu.SPEC.via & Via.DATAGRAM and role in word.pdu.SPEC.by]
        pdu, other = sensible(words[number % len(words)]), self.line.end(role.peer)
        self.line.collect()
        before = end.state, other.state
        try:
            end.datagram(pdu)
        except LocalProtocolError:
            assert CONNECTION.step(end.state, role, words[number % len(words)]) is None
        for event in end.output():
            assert isinstance(event, Datagram)
            other.receive(event, self.line.now)
        assert (end.state, other.state) == before

    # The line

    @rule(number=numbers, most=st.sampled_from((1, 2, 7, 100, 1 << 30)))
    def deliver(self, number: int, most: int) -> None:
        ways = self.line.ways()
        if ways:
            self.line.deliver(ways[number % len(ways)], most)

    @rule()
    def deliver_everything(self) -> None:
        self.line.run()

    @rule(seconds=st.sampled_from((0.1, 1.0, 6.0)))
    def wait(self, seconds: float) -> None:
        self.line.run()
        self.line.tick(seconds)

    @rule(role=roles)
    def leave(self, role: Role) -> None:
        if self.line.now > 3:
            self.line.end(role).leave("enough", self.line.now)

    # What holds

    @invariant()
    def nothing_comes_after_the_end(self) -> None:
        for role in Role:
            self.line.collect()
            lost, end = self.line.lost(role), self.line.end(role)
            assert (lost is None) or (end.timer() is None and end.state is State.CLOSED)
            assert lost is not None or end.timer() is not None
            closes = [event for event in self.line.said[role] if isinstance(event, Closed)]
            assert len(closes) <= 1
            if self.polite:
                assert all(close.code in IN_ORDER | self.said_fatal for close in closes), closes

    @invariant()
    def nobody_hears_what_was_not_said(self) -> None:
        """Legal words only are told, in a state that allows them: nothing is told to one who has not negotiated."""
        for role in Role:
            heard = [event for event in self.line.told[role] if isinstance(event, Received)]
            assert all(role.peer in event.envelope.pdu.SPEC.by for event in heard)  # type: ignore[union-attr]

    def teardown(self) -> None:
        """When all is delivered both are in one state; and when one is gone, so is the other in time."""
        self.line.run()
        states = {end.state for end in (self.line.client, self.line.server)}
        if self.polite and State.CLOSED not in states and all(e.closing is None for e in self.ends()):
            assert len(states) == 1, states
        for end in self.ends():
            end.close(Code.NO_ERROR, "", self.line.now)
        self.line.tick(120)
        assert all(self.line.lost(role) is not None for role in Role)

    def ends(self) -> tuple[Connection, Connection]:
        return self.line.client, self.line.server


class Quarrel(Conversation):
    """As above, but what is under way is damaged, and strangers put in words of their own."""

    polite = False

    @rule(role=roles, data=st.binary(max_size=60), sid=st.sampled_from((CONTROL, 4, 8, 1, 3)), fin=st.booleans())
    def noise(self, role: Role, data: bytes, sid: int, fin: bool) -> None:
        self.hear(role, Bytes(sid, data, fin and not data))

    @rule(
        role=roles,
        sid=st.sampled_from((CONTROL, CONTROL, 4, 8, 12)),
        data=any_pdu().flatmap(lambda pdu: mutations(codec.encode(pdu, version=2, id=3))),
    )
    def a_broken_pdu(self, role: Role, sid: int, data: bytes) -> None:
        self.hear(role, Bytes(sid, frame.wrap(data) if data else b"\0"))

    @rule(role=roles, sid=st.sampled_from((CONTROL, 4, 8)), pdu=any_pdu())
    def a_pdu_out_of_place(self, role: Role, sid: int, pdu: Pdu) -> None:
        self.hear(role, Bytes(sid, frame.wrap(codec.encode(pdu, version=2, id=5))))

    @rule(
        role=roles,
        sid=st.sampled_from((4, 8, 12, 1)),
        code=st.integers(0, 2**62 - 1),
        how=st.sampled_from((Reset, Stopped)),
    )
    def an_end(self, role: Role, sid: int, code: int, how: Callable[[int, int], LinkEvent]) -> None:
        self.hear(role, how(sid, code))

    @rule(role=roles, data=st.binary(max_size=40))
    def a_strange_datagram(self, role: Role, data: bytes) -> None:
        self.hear(role, Datagram(data))

    @rule(role=roles)
    def a_handshake(self, role: Role) -> None:
        self.hear(role, Established())

    def hear(self, role: Role, event: LinkEvent) -> None:
        """Nothing that comes raises; and once it is over nothing is said or told any more."""
        self.line.collect()
        end = self.line.end(role)
        over = any(isinstance(told, Lost) for told in self.line.told[role])
        end.receive(event, self.line.now)
        if over:
            assert (end.output(), end.events()) == ([], [])

    @invariant()
    def nobody_hears_what_was_not_said(self) -> None:
        for role in Role:
            heard: list[Any] = [event for event in self.line.told[role] if isinstance(event, Received)]
            assert all(type(event.envelope.pdu) in REGISTRY for event in heard)


# A conversation takes a hundred times as long as an example of anything else here.
FEW = settings(max_examples=max(8, settings.default.max_examples // 8), stateful_step_count=25)  # type: ignore[union-attr]
TestConversation, TestQuarrel = Conversation.TestCase, Quarrel.TestCase
TestConversation.settings = TestQuarrel.settings = FEW
