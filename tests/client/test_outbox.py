"""The outbox: whatever the connection and the server do, each message goes out in order and is stored once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quicchat.client.events import Sent
from quicchat.client.memory import OWN, Entry
from quicchat.client.outbox import IN_FLIGHT, Outbox
from quicchat.errors import MEANINGS, Code, Refused
from quicchat.wire.chapters.messages import Post, Posted

FINAL = sorted(code for code, meaning in MEANINGS.items() if not meaning.temporary)
TEMPORARY = sorted(code for code, meaning in MEANINGS.items() if meaning.temporary)


def post(number: int) -> Post:
    return Post(room="general", cid=number.to_bytes(16, "big"), text=str(number))


def posted(entry: Entry, seq: int = 1) -> Posted:
    return Posted(cid=entry.cid, room=entry.room, seq=seq, ts=1, epoch=1)


def filled(many: int) -> Outbox:
    outbox = Outbox()
    for number in range(1, many + 1):
        outbox.queued(outbox.draft(post(number), "general").cid)
    return outbox


def numbers(entries: list[Entry]) -> list[int]:
    return [int(each.post.text) for each in entries]


def send(outbox: Outbox, now: float = 0.0) -> list[Entry]:
    entries = outbox.next(now)
    for each in entries:
        assert outbox.sent(each.cid) is not None
    return entries


def test_nothing_leaves_before_it_is_durable() -> None:
    """[6.1-11], D1: a draft is not sent, and nothing overtakes it."""
    outbox = Outbox()
    first, second = outbox.draft(post(1), "general"), outbox.draft(post(2), "general")
    outbox.queued(second.cid)
    assert outbox.next(0.0) == []
    outbox.queued(first.cid)
    assert numbers(send(outbox)) == [1, 2]


def test_a_room_that_is_held_holds_up_no_other() -> None:
    """[15.6-29]: what cannot be sealed stays in its place; the others pass it by, however much waits there."""
    outbox = Outbox()
    for number in range(1, 2 * IN_FLIGHT + 1):
        outbox.queued(outbox.draft(post(number), "den").cid)
    outbox.queued(outbox.draft(post(500), "general").cid)
    assert numbers(outbox.next(0.0, {"den"})) == [500]
    first, *_ = outbox.waiting("den")
    held = outbox.hold(first.cid, "why")
    assert held is not None
    assert (held.state, held.reason) == (Sent.QUEUED, "why")
    assert outbox.hold(first.cid, "why") is None
    outbox.seal(first.cid, post(1000))
    (found, *_) = outbox.next(0.0)
    assert (found.post, found.sealed, found.reason) == (post(1), post(1000), None)


@pytest.mark.parametrize("is_stored", [True, False])
def test_what_is_said_again_is_the_same_bytes_where_it_is_stored(is_stored: bool) -> None:
    """[15.6-23]: what is said again under its id is asked for as it was sealed; what failed is sealed anew."""
    outbox = filled(1)
    (entry,) = outbox.next(0.0)
    outbox.seal(entry.cid, post(1000))
    outbox.sent(entry.cid)
    if is_stored:
        outbox.stored(posted(entry))
    else:
        outbox.refused(entry.cid, Refused(Code.NOT_MEMBER), 0.0)
    assert outbox.draft(post(1), "general").sealed == (post(1000) if is_stored else None)
    outbox.drop(entry.cid)


def test_a_bounded_number_is_under_way() -> None:
    """R0.10: 64 wait for their answers at most; the next ones follow as answers come."""
    outbox = filled(200)
    flight = send(outbox)
    assert numbers(flight) == list(range(1, IN_FLIGHT + 1))
    assert send(outbox) == []
    outbox.stored(posted(flight[0]))
    assert numbers(send(outbox)) == [IN_FLIGHT + 1]


def test_rate_limited_means_wait_and_go_on_in_order() -> None:
    """R0.10, [6.1-12]: all answers under way are awaited, then the time asked for, then the first not stored."""
    outbox = filled(100)
    flight = send(outbox, now=5.0)
    outbox.stored(posted(flight[0]))
    outbox.refused(flight[1].cid, Refused(Code.RATE_LIMITED, retry_after=2000), 10.0)
    assert send(outbox, now=100.0) == []
    assert outbox.wait(10.0) is None
    for each in flight[2:]:
        outbox.refused(each.cid, Refused(Code.RATE_LIMITED, retry_after=500), 10.5)
    assert outbox.wait(10.5) == 1.5
    assert send(outbox, now=11.9) == []
    assert numbers(send(outbox, now=12.0)) == list(range(2, 2 + IN_FLIGHT))


def test_a_server_that_does_not_say_until_when_is_asked_ever_more_seldom() -> None:
    """Issue item 9: 1 s, 2 s, 4 s ... 60 s; after one success it begins anew."""
    outbox = filled(3)
    now, waits = 0.0, []
    for _ in range(1_100):
        (first, *_) = send(outbox, now)
        for each in [each for each in outbox.entries if each.state is Sent.SENT]:
            outbox.refused(each.cid, Refused(Code.OVERLOADED), now)
        wait = outbox.wait(now)
        assert wait is not None
        waits.append(wait)
        now += wait
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 1_094]
    (first, second, third) = send(outbox, now)
    outbox.stored(posted(first))
    for each in (second, third):
        outbox.refused(each.cid, Refused(Code.OVERLOADED), now)
    assert outbox.wait(now) == 1.0


@given(st.sampled_from(FINAL))
def test_a_refusal_for_good_is_kept_and_shown(code: Code) -> None:
    """Issue item 1: what the server will never take has failed, with the reason, and holds up nobody."""
    outbox = filled(2)
    first, second = send(outbox)
    entry = outbox.refused(first.cid, Refused(code, "because"), 0.0)
    assert entry is not None
    assert (entry.state, entry.reason) == (Sent.FAILED, "because")
    assert outbox.outstanding == [second.cid]
    assert outbox.refused(first.cid, Refused(code), 0.0) is None
    assert outbox.stored(posted(first)) is None


def test_resumed_says_what_need_not_be_sent_again() -> None:
    """Protocol §7.1: those known become stored, the others are queued in their old order; the ids stay."""
    outbox = filled(5)
    flight = send(outbox)
    assert numbers(outbox.lost()) == [1, 2, 3, 4, 5]
    assert outbox.outstanding == [each.cid for each in flight]
    known = outbox.known({flight[1].cid: 7, flight[3].cid: 8, b"?" * 16: 9})
    assert [(int(each.post.text), each.state, each.seq) for each in known] == [(2, Sent.STORED, 7), (4, Sent.STORED, 8)]
    assert numbers(send(outbox)) == [1, 3, 5]


def test_the_same_message_again_is_the_same_message() -> None:
    """R4.17: a retry under way is not a second one; another message with its id is refused."""
    outbox = filled(1)
    (flight,) = send(outbox)
    assert outbox.draft(post(1), "general") == outbox.get(flight.cid)
    with pytest.raises(Refused) as caught:
        outbox.draft(Post(room="general", cid=flight.cid, text="another"), "general")
    assert caught.value.code is Code.CID_CONFLICT
    assert outbox.outstanding == [flight.cid]


def test_a_message_that_waits_can_be_withdrawn() -> None:
    """Issue item 1: what is queued may be given up; what is under way may not, since it may be stored already."""
    outbox = filled(1)
    assert outbox.withdraw(b"?" * 16) is None
    (flight,) = send(outbox)
    assert outbox.withdraw(flight.cid) is None
    outbox.lost()
    entry = outbox.withdraw(flight.cid)
    assert entry is not None
    assert entry.state is Sent.FAILED
    assert send(outbox) == []


def test_what_is_done_is_forgotten_in_time() -> None:
    """Hostile Z3: memory stays bounded however much is said."""
    outbox = Outbox()
    for number in range(1, OWN + 101):
        outbox.queued(outbox.draft(post(number), "general").cid)
        (entry,) = send(outbox)
        outbox.stored(posted(entry, number))
    assert outbox.forgotten() == [number.to_bytes(16, "big") for number in range(1, 101)]
    assert len(outbox.entries) == OWN
    assert outbox.forgotten() == []


class Sender(RuleBasedStateMachine):
    """A server that stores, refuses for the moment or loses the connection at will, and a log that tells."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.said = 0
        self.now = 0.0
        self.wire: list[Entry] = []
        self.log: list[int] = []
        self.ids: set[bytes] = set()

    @rule()
    def say(self) -> None:
        self.said += 1
        self.outbox.queued(self.outbox.draft(post(self.said), "general").cid)

    @rule(seconds=st.floats(0, 5))
    def send(self, seconds: float) -> None:
        self.now += seconds
        self.wire += send(self.outbox, self.now)

    @precondition(lambda self: self.wire)
    @rule(is_heard=st.booleans())
    def store(self, is_heard: bool) -> None:
        entry = self.wire.pop(0)
        if entry.cid not in self.ids:
            self.ids.add(entry.cid)
            self.log.append(int(entry.post.text))
        if is_heard:
            self.outbox.stored(posted(entry))
        else:
            self.lose()

    @precondition(lambda self: self.wire)
    @rule(after=st.one_of(st.none(), st.integers(0, 3000)), code=st.sampled_from(TEMPORARY))
    def refuse_all(self, after: int | None, code: Code) -> None:
        for entry in self.wire:
            self.outbox.refused(entry.cid, Refused(code, retry_after=after), self.now)
        self.wire.clear()

    @rule(tells=st.booleans())
    def lose(self, tells: bool = True) -> None:
        self.wire.clear()
        self.outbox.lost()
        if tells:
            self.outbox.known({cid: 1 for cid in self.outbox.outstanding if cid in self.ids})

    @invariant()
    def the_log_is_in_order_and_has_each_once(self) -> None:
        assert self.log == list(range(1, len(self.log) + 1))
        assert len(self.wire) <= IN_FLIGHT

    def teardown(self) -> None:
        for _ in range(1000):
            if not self.outbox.outstanding:
                break
            self.now += 60
            self.wire += send(self.outbox, self.now)
            while self.wire:
                self.store(True)
        assert self.log == list(range(1, self.said + 1))


TestSender = Sender.TestCase
TestSender.settings = settings(max_examples=50, stateful_step_count=60)
