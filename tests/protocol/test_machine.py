"""Both ends driven at random: wishes legal and illegal, time, cuts and closes, with the table as the judge."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Lost, Received
from quicchat.protocol.events import Bytes, Closed, Datagram, Reset, Stopped
from quicchat.wire.chapters.session import Bye, Error, Purpose, StreamOpen
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State
from tests.protocol.line import CHALLENGE, CONTROL, RESPONSE, START, WELCOME, Line, connection, hear
from tests.strategies import any_pdu

ROLES = st.sampled_from(Role)
SIDS = st.sampled_from((None, 4, 8, 12))
REASONS = st.text(max_size=20)
CODES = st.sampled_from(Code)

#: Where an end may be while words are under way between them: whatever the table allows from here on.
REACHABLE = {state: {state} for state in State}
for _ in State:
    for _row in CONNECTION.rows:
        REACHABLE[_row.state] |= REACHABLE[_row.to]


class Ends(RuleBasedStateMachine):
    """A client, a server and the line between them, to which everything happens that may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.next_sid = 4
        #: What the automaton allowed each end to be since the beginning.
        self.before = dict.fromkeys(Role, State.START)
        #: Whether somebody stopped playing by the rules, so that the ends owe each other nothing any more.
        self.rude = False

    @initialize(
        seeds=st.tuples(st.integers(0, 50), st.integers(0, 50)),
        versions=st.sampled_from(((1, 2), (1, 2), (1,), (9,))),
        steps=st.sampled_from((0, 1, 4, 4, 4)),
    )
    def begin(self, seeds: tuple[int, int], versions: tuple[int, ...], steps: int) -> None:
        self.line = Line(
            connection(Role.CLIENT, versions=versions, seed=seeds[0]), connection(Role.SERVER, seed=seeds[1])
        )
        self.line.client.start(CONTROL)
        self.log_in(0, steps)

    def wish(self, end: Connection, pdu: Pdu, sid: int | None = None) -> None:
        """Send, or be refused without a trace."""
        state, output = end.state, list(end._channels.output)
        try:
            end.send(pdu, sid=sid)
        except LocalProtocolError:
            assert end.state is state
            assert list(end._channels.output) == output
        else:
            legal = CONNECTION.after(state, end.role, pdu)
            assert end.state is state or legal is end.state

    @rule(role=ROLES, pdu=any_pdu(), sid=SIDS)
    def say_anything(self, role: Role, pdu: Pdu, sid: int | None) -> None:
        self.wish(self.line.end(role), pdu, sid)

    @rule(first=st.integers(0, 3), steps=st.integers(1, 4))
    def log_in(self, first: int, steps: int) -> None:
        words = ((Role.CLIENT, START), (Role.SERVER, CHALLENGE), (Role.CLIENT, RESPONSE), (Role.SERVER, WELCOME))
        for role, pdu in words[first : first + steps]:
            self.line.run()
            self.wish(self.line.end(role), pdu)

    @rule(kind=st.sampled_from(Purpose), pdu=any_pdu(), fin=st.booleans())
    def open(self, kind: Purpose, pdu: Pdu, fin: bool) -> None:
        sid, self.next_sid = self.next_sid, self.next_sid + 4
        known = len(self.line.client._channels)
        try:
            self.line.client.open(sid, StreamOpen(kind=kind))
        except LocalProtocolError:
            assert len(self.line.client._channels) == known
            return
        self.wish(self.line.client, pdu, sid)
        if fin:
            self.line.client.finish(sid)

    @rule(role=ROLES, sid=st.integers(0, 6).map(lambda number: number * 4))
    def finish(self, role: Role, sid: int) -> None:
        self.line.end(role).finish(sid)

    @rule(data=st.data(), most=st.integers(1, 300))
    def deliver(self, data: st.DataObject, most: int) -> None:
        if ways := self.line.ways():
            self.line.deliver(data.draw(st.sampled_from(ways)), most)

    @rule()
    def deliver_all(self) -> None:
        self.line.run()

    @rule(seconds=st.sampled_from((0.1, 1.0, 4.0, 11.0)))
    def wait(self, seconds: float) -> None:
        self.line.tick(seconds)

    @rule(role=ROLES, data=st.binary(max_size=30))
    def datagram(self, role: Role, data: bytes) -> None:
        self.line.end(role).receive(Datagram(data), self.line.now)

    @rule(role=ROLES, sid=st.sampled_from((1, 4, 8, 12, 16)), cut=st.sampled_from((Reset, Stopped)))
    def cut(self, role: Role, sid: int, cut: type[Reset | Stopped]) -> None:
        self.line.end(role).receive(cut(sid, 7), self.line.now)

    @rule(role=ROLES, how=st.sampled_from(("leave", "close", "fail", "lose", "scribble")), data=st.data())
    def end_it(self, role: Role, how: str, data: st.DataObject) -> None:
        """One rule for all of these, or hardly any conversation would get far."""
        end, now = self.line.end(role), self.line.now
        match how:
            case "leave":
                end.leave(data.draw(REASONS), now)
            case "close":
                end.close(data.draw(CODES), data.draw(REASONS), now)
            case "fail":
                end.fail(data.draw(CODES), "", now)
            case "lose":
                end.receive(Closed(1, "idle", remote=False), now)
            case _:
                self.rude = True
                hear(end, data.draw(st.binary(min_size=1, max_size=30)), sid=data.draw(SIDS) or CONTROL, now=now)

    @invariant()
    def states_follow_the_table(self) -> None:
        for role in Role:
            state = self.line.end(role).state
            assert state in REACHABLE[self.before[role]]
            self.before[role] = state

    @invariant()
    def there_is_one_end(self) -> None:
        self.line.collect()
        for role in Role:
            end, lost = self.line.end(role), self.line.lost(role)
            assert (lost is not None) == (end.timer() is None)
            closes = [event for event in self.line.said[role] if isinstance(event, Closed)]
            assert len(closes) <= 1
            if closes:
                assert isinstance(self.line.said[role][-1], Closed)

    @invariant()
    def nothing_grows(self) -> None:
        for role in Role:
            end = self.line.end(role)
            assert len(end._channels) <= end.limits.streams
            assert sum(len(each) for channel in end._channels._open.values() for each in channel.held) <= 16_384

    def teardown(self) -> None:
        """Let everything come to its end: both ends then agree that it is over."""
        self.line.run()
        ends = [self.line.end(role) for role in Role]
        if not self.rude and not any(end.closing or end.timer() is None for end in ends):
            assert len({end.state for end in ends}) == 1
        for role in Role:
            self.line.end(role).leave("the end", self.line.now)
        self.line.run()
        self.line.settle()
        self.line.tick(120.0)
        for role in Role:
            assert self.line.end(role).state is State.CLOSED
            assert self.line.end(role).timer() is None
            assert self.line.lost(role) is not None
            for event in self.line.told[role]:
                assert isinstance(event, Received | Ended | Lost)


TestEnds = Ends.TestCase
TestEnds.settings = settings(stateful_step_count=40)
TestEnds.__doc__ = (
    "S1, P8, [10.1-1]: only LocalProtocolError leaves a wish; states follow the table; both ends end, once."
)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_word_that_crosses_a_goodbye_parts_nobody(role: Role) -> None:
    """[10.1-5]: DRAINING allows every word that was legal before it: one may have crossed BYE on the wire."""
    line = Line().log_in()
    line.end(role).send(Bye())
    line.end(role.peer).send(Error.about(Code.STATE))
    line.run()
    assert line.client.state is line.server.state is State.DRAINING
    assert line.client.conduct.misuses == line.server.conduct.misuses == 0
    assert [type(event) for event in line.said[role]] == [Bytes]
