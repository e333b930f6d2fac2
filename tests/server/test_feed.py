"""The feed: budgets, holes and how they are closed, and the cursors of version-1 clients."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quicchat.server.feed import BUDGET, Feed
from quicchat.wire.chapters.messages import Kind, Message, Receipt
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import Room

GENERAL, DIRECT = Room("general"), Room("@alice,bob")
PRESENCE = Presence(user="bob", show=Show.AWAY)


def message(seq: int, room: Room = GENERAL) -> Message:
    return Message(room=room, epoch=1, seq=seq, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=0, text="x")


class Client:
    """A feed with a backlog that the test sets."""

    def __init__(self, version: int, rooms: dict[Room, int] | None = None, budget: int = BUDGET) -> None:
        self.backlog = 0
        self.version = version
        self.feed = Feed(lambda: self.backlog, budget)
        self.feed.begin(rooms or {})

    def sees(self, *seqs: int, room: Room = GENERAL) -> list[int]:
        """Which of these are let through."""
        return [seq for seq in seqs if self.feed.admits(message(seq, room), self.version)]


# Version 2: the client keeps its cursors


def test_whoever_reads_is_sent_everything() -> None:
    """Protocol §7.5: a push is a hint: nothing is held back, nor remembered, from a client that keeps up."""
    client = Client(2)
    client.backlog = BUDGET
    assert client.sees(5, 6, 9, 9, 2) == [5, 6, 9, 9, 2]
    assert client.feed.behind == client.feed.sent == {}


def test_a_slow_client_is_no_longer_pushed_to() -> None:
    """Q6, Q7, [6.7-1]: beyond the budget the room is silent, its last place kept; other rooms have their own."""
    client = Client(2)
    assert client.sees(5) == [5]
    client.backlog = BUDGET + 1
    assert client.sees(6, 7) == []
    client.backlog = 0
    # Half a room would be a hole that looks like none.
    assert client.sees(8) == []
    assert client.sees(3, room=DIRECT) == [3]
    assert client.feed.behind == {GENERAL: 5}


def test_who_has_read_enough_catches_up() -> None:
    """[6.7-2]: below a quarter of the budget the rooms are named, once, and pushed again."""
    client = Client(2)
    client.backlog = BUDGET + 1
    client.sees(6)
    client.sees(1, room=DIRECT)
    client.backlog = BUDGET // 4 + 1
    assert client.feed.recover() == {}
    client.backlog = BUDGET // 4
    assert client.feed.recover() == {GENERAL: 5, DIRECT: 0}
    assert client.feed.recover() == {}
    assert client.sees(9) == [9]


def test_what_is_not_in_a_log_is_dropped_first() -> None:
    """Q6: ephemera beyond a quarter of the budget are dropped and forgotten."""
    client = Client(2)
    client.backlog = BUDGET // 4
    assert client.feed.admits(PRESENCE, 2)
    client.backlog += 1
    assert not client.feed.admits(PRESENCE, 2)
    assert client.sees(1) == [1]
    assert client.feed.behind == {}


def test_an_operator_sets_the_budget() -> None:
    """[6.7-1]: the budget is a setting."""
    client = Client(2, budget=1_000)
    client.backlog = 1_001
    assert client.sees(1) == []
    client.backlog = 251
    assert not client.feed.admits(PRESENCE, 2)
    assert client.feed.recover() == {}


def test_a_client_on_hold_is_sent_no_events() -> None:
    """R4.9 [8.4-1]: what comes meanwhile is remembered by its first place; all else goes on."""
    client = Client(2)
    client.feed.held = True
    assert client.sees(6, 7, 8) == client.sees(1, room=DIRECT) == []
    assert client.feed.admits(PRESENCE, 2)
    assert client.feed.recover() == {}
    client.feed.held = False
    assert client.feed.recover() == {GENERAL: 5, DIRECT: 0}
    assert client.sees(9) == [9]


def test_a_room_that_was_left_is_not_caught_up_with() -> None:
    """[6.7-2]: nothing follows for somebody who is no member any more."""
    client = Client(2)
    client.backlog = BUDGET + 1
    client.sees(6)
    client.sees(1, room=DIRECT)
    client.feed.leave(GENERAL)
    client.feed.leave(Room("never"))
    client.backlog = 0
    assert client.feed.recover() == {DIRECT: 0}


# Version 1: the server keeps them


def test_an_old_client_is_sent_each_room_in_unbroken_order() -> None:
    """P4, [6.6-2]: doubles vanish; what would leave a hole is not sent, and the place before it is kept."""
    client = Client(1, {GENERAL: 3})
    assert client.sees(3, 2, 4, 4, 5) == [4, 5]
    assert client.sees(7, 8) == []
    assert client.feed.behind == {GENERAL: 5}
    assert client.sees(1, 2, room=DIRECT) == [1, 2]
    assert client.feed.sent == {GENERAL: 5, DIRECT: 2}


def test_a_hole_of_an_old_client_is_closed_while_more_is_pushed() -> None:
    """P6, [6.6-2]: the catch-up gets on however busy the room is; each step begins where the last one ended."""
    client = Client(1, {GENERAL: 3})
    assert client.sees(9) == []
    assert client.feed.recover() == {GENERAL: 3}
    # While the log is read, more is pushed, and cannot be sent.
    assert client.sees(10) == []
    assert client.sees(4, 5, 6, 7, 8, 9) == [4, 5, 6, 7, 8, 9]
    assert client.sees(11) == []
    assert client.feed.recover() == {GENERAL: 9}
    assert client.sees(10, 11, 12) == [10, 11, 12]
    assert client.feed.behind == {}


def test_a_slow_old_client_waits_too() -> None:
    """Q6: the budget holds for the catch-up as for the push."""
    client = Client(1, {GENERAL: 0})
    client.backlog = BUDGET + 1
    assert client.sees(1) == []
    assert client.feed.recover() == {}
    client.backlog = 0
    assert client.feed.recover() == {GENERAL: 0}
    assert client.sees(1, 2) == [1, 2]


def test_an_old_clients_own_message_is_not_sent_to_it() -> None:
    """[6.6-5]: MSG_ACK told it the place; where something is missing before, it gets it again with the rest."""
    client = Client(1, {GENERAL: 3})
    client.feed.own(GENERAL, 4)
    assert client.sees(4, 5) == [5]
    client.feed.own(GENERAL, 9)
    assert client.sees(6, 7, 8, 9) == [6, 7, 8, 9]
    client.feed.own(DIRECT, 1)
    assert client.sees(1, 2, room=DIRECT) == [2]


def test_the_answer_to_a_ping_proves_what_stood_before_it() -> None:
    """[6.6-4], R0.5: one PING at a time; its PONG makes receipts for what was sent before it, and not after."""
    client = Client(1, {GENERAL: 3})
    assert client.feed.probe() is None
    client.sees(4, 5)
    client.sees(1, room=DIRECT)
    nonce = client.feed.probe()
    assert nonce is not None
    client.sees(6)
    client.feed.own(GENERAL, 7)
    assert client.feed.probe() is None
    assert list(client.feed.proven(nonce + 1)) == []
    assert list(client.feed.proven(nonce)) == [
        Receipt(room=GENERAL, delivered=5),
        Receipt(room=DIRECT, delivered=1),
    ]
    assert list(client.feed.proven(nonce)) == []
    again = client.feed.probe()
    assert again not in (None, nonce)
    assert list(client.feed.proven(again or 0)) == [Receipt(room=GENERAL, delivered=7)]
    assert client.feed.probe() is None


def test_a_proof_that_nobody_asked_for_is_none() -> None:
    """P8: a client may send any PONG it likes."""
    client = Client(1, {GENERAL: 3})
    client.sees(4)
    for nonce in (0, 1, 2**64 - 1):
        assert list(client.feed.proven(nonce)) == []
    assert client.feed.probe() is not None


class Following(RuleBasedStateMachine):
    """A log that grows, pushes in any order, and a session that reads the log where the feed says so."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(1, {GENERAL: 0})
        self.head = 0
        self.seen: list[int] = []
        self.proofs: list[int] = []

    def push(self, seq: int) -> None:
        self.seen += self.client.sees(seq)

    @rule(order=st.integers(1, 5).flatmap(lambda many: st.permutations(range(1, many + 1))))
    def grow(self, order: list[int]) -> None:
        first, self.head = self.head, self.head + len(order)
        for seq in order:
            self.push(first + seq)

    @rule()
    def post(self) -> None:
        self.head += 1
        if self.client.feed.sent[GENERAL] == self.head - 1:
            self.seen.append(self.head)
        self.client.feed.own(GENERAL, self.head)

    @rule(backlog=st.sampled_from((0, BUDGET // 4 + 1, BUDGET + 1)))
    def lag(self, backlog: int) -> None:
        self.client.backlog = backlog

    @rule(more=st.integers(0, 3))
    def catch_up(self, more: int) -> None:
        behind = self.client.feed.recover()
        page = list(range(behind[GENERAL] + 1, self.head + 1)) if behind else []
        for _ in range(more):
            self.head += 1
            self.push(self.head)
        for seq in page:
            self.push(seq)

    @rule()
    def prove(self) -> None:
        nonce = self.client.feed.probe()
        sent = self.client.feed.sent[GENERAL]
        if nonce is not None:
            self.proofs += [receipt.delivered or 0 for receipt in self.client.feed.proven(nonce)]
            assert self.proofs[-1] == sent

    @invariant()
    def it_is_a_prefix(self) -> None:
        assert self.seen == list(range(1, len(self.seen) + 1))
        assert self.client.feed.sent[GENERAL] == len(self.seen)
        assert self.proofs == sorted(set(self.proofs))

    @invariant()
    def a_hole_is_known(self) -> None:
        if len(self.seen) < self.head:
            assert self.client.feed.behind.get(GENERAL) == len(self.seen)

    def teardown(self) -> None:
        self.client.backlog = 0
        while len(self.seen) < self.head:
            before = len(self.seen)
            self.catch_up(0)
            assert len(self.seen) > before


TestFollowing = Following.TestCase
TestFollowing.settings = settings(stateful_step_count=30)
TestFollowing.__doc__ = "P4, P6: an old client sees a gap-free prefix of the log, and in the end all of it."
