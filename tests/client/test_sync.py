"""Timelines: whatever the network does to events, a room is given out whole, once and in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quicchat.client.sync import HELD, MOST_HELD, PATIENCE, Timeline
from quicchat.wire.chapters.messages import Kind, Message

NOW = 100.0


def event(seq: int, *, epoch: int | None = 1) -> Message:
    """An event of the log; its text tells which."""
    return Message(
        room="general",
        epoch=epoch,
        seq=seq,
        cid=bytes(16),
        sender="bob",
        kind=Kind.TEXT,
        ts=0,
        text=f"{epoch or 1}.{seq}",
    )


def places(events: list[Message]) -> list[int]:
    return [each.seq for each in events]


@given(st.data())
def test_any_order_with_doubles_comes_out_once_and_in_order(data: st.DataObject) -> None:
    """R0.6, P4, [6.3-3]: every permutation of a log, with doubles, in batches of any size, gives the log."""
    start = data.draw(st.integers(0, 50))
    many = data.draw(st.integers(0, 60))
    log = [event(seq) for seq in range(start + 1, start + many + 1)]
    coming = data.draw(
        st.permutations(log + data.draw(st.lists(st.sampled_from(log), max_size=20) if log else st.just([])))
    )
    timeline = Timeline(start)
    out: list[Message] = []
    while coming:
        size = data.draw(st.integers(1, len(coming)))
        out += timeline.take(coming[:size], NOW)
        coming = coming[size:]
        assert places(out) == list(range(start + 1, timeline.seq + 1))
    assert out == log
    assert timeline.gap(NOW) is None
    assert timeline.take(log, NOW) == []


def test_a_gap_is_fetched_after_a_second() -> None:
    """[6.3-4]: what comes early is held for 1 s, in case the missing one is only late; then that is fetched."""
    timeline = Timeline(0)
    assert timeline.gap(NOW) is None
    assert timeline.take([event(3)], NOW) == []
    assert timeline.gap(NOW) == PATIENCE
    assert timeline.take([event(5)], NOW + 0.75) == []
    assert timeline.gap(NOW + 0.75) == 0.25
    assert timeline.gap(NOW + 1.0) == timeline.gap(NOW + 9.0) == 0.0
    assert places(timeline.take([event(1)], NOW + 2.0)) == [1]
    # What came was progress; what is still missing has its own second.
    assert timeline.gap(NOW + 2.0) == PATIENCE
    assert places(timeline.take([event(4), event(2)], NOW + 2.5)) == [2, 3, 4, 5]
    assert timeline.gap(NOW + 9.0) is None


def test_too_many_held_events_are_fetched_at_once() -> None:
    """[6.3-4]: up to 64 events are held."""
    timeline = Timeline(0)
    timeline.take([event(seq) for seq in range(2, HELD + 2)], NOW)
    assert timeline.gap(NOW) == PATIENCE
    timeline.take([event(HELD + 2)], NOW)
    assert timeline.gap(NOW) == 0.0


def test_a_head_that_is_told_is_fetched_at_once() -> None:
    """[6.7-2]: ROOM_HEAD says that nothing will be pushed: there is nothing to wait for."""
    timeline = Timeline(4)
    timeline.know(1, 4, NOW)
    assert timeline.gap(NOW) is None
    timeline.know(1, 9, NOW)
    timeline.know(1, 7, NOW)
    assert timeline.head == 9
    assert timeline.gap(NOW) == 0.0
    timeline.take([event(9)], NOW)
    assert timeline.gap(NOW) == PATIENCE
    assert places(timeline.take([event(seq) for seq in range(5, 10)], NOW)) == [5, 6, 7, 8, 9]
    assert timeline.gap(NOW) is None


def test_a_later_epoch_starts_the_room_anew() -> None:
    """[6.3-5]: what was held belongs to the old log; the new one is taken from its first place."""
    timeline = Timeline(7)
    timeline.take([event(9)], NOW)
    assert timeline.take([event(2, epoch=2)], NOW + 0.5) == []
    assert (timeline.epoch, timeline.seq, timeline.head) == (2, 0, 2)
    assert timeline.gap(NOW + 0.5) == PATIENCE
    assert timeline.take([event(8), event(10)], NOW) == []
    assert [each.text for each in timeline.take([event(1, epoch=2)], NOW)] == ["2.1", "2.2"]
    timeline.know(3, 5, NOW)
    assert (timeline.epoch, timeline.seq, timeline.head) == (3, 0, 5)
    assert timeline.gap(NOW) == 0.0


def test_news_of_an_earlier_epoch_are_none() -> None:
    """[6.3-5]: a late ROOM_HEAD of the old log must not make the client fetch what the new one does not have."""
    timeline = Timeline(0, epoch=2)
    timeline.know(1, 1_000, NOW)
    assert timeline.head == 0
    assert timeline.gap(NOW + 9) is None


def test_events_without_an_epoch_belong_to_the_present_one() -> None:
    """[1.2-1]: version 1 has no epochs."""
    timeline = Timeline(0, epoch=4)
    assert places(timeline.take([event(1, epoch=None)], NOW)) == [1]
    assert timeline.epoch == 4


def test_what_is_gone_is_passed_by_but_nothing_that_came() -> None:
    """[6.4-3]: a log that is kept from place 10 on: what is missing before is given up, what was held given out."""
    timeline = Timeline(2)
    timeline.take([event(5), event(6), event(12)], NOW)
    timeline.skip(10)
    assert timeline.seq == 9
    assert places(timeline.take([event(10), event(11)], NOW)) == [5, 6, 10, 11, 12]
    timeline.skip(3)
    assert timeline.seq == 12
    timeline.skip(20)
    assert (timeline.seq, timeline.head) == (19, 19)
    assert timeline.gap(NOW) is None


def test_what_is_held_is_bounded() -> None:
    """P7: a server that never fills the gap cannot fill the memory; what was let go is fetched again later."""
    timeline = Timeline(0)
    for start in range(2, 10_000, 100):
        timeline.take([event(seq) for seq in range(start, start + 100)], NOW)
    assert len(timeline._held) == MOST_HELD
    assert places(timeline.take([event(1)], NOW)) == list(range(1, MOST_HELD + 2))
    assert timeline.gap(NOW) == 0.0
    rest = [event(seq) for seq in range(MOST_HELD + 2, timeline.head + 1)]
    assert timeline.take(rest, NOW) == rest
    assert timeline.gap(NOW) is None


class Reading(RuleBasedStateMachine):
    """A log that grows, pushes that are lost, doubled and late, and a reader that fetches when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline(0)
        self.log: list[Message] = []
        self.late: list[Message] = []
        self.out: list[Message] = []
        self.now = 0.0

    @rule(many=st.integers(1, 90), fate=st.sampled_from(("pushed", "lost", "late")))
    def grow(self, many: int, fate: str) -> None:
        fresh = [event(len(self.log) + 1 + n) for n in range(many)]
        self.log += fresh
        if fate == "pushed":
            self.out += self.timeline.take(fresh, self.now)
        elif fate == "late":
            self.late += fresh

    @rule(data=st.data())
    def arrive_late(self, data: st.DataObject) -> None:
        if self.late:
            one = data.draw(st.sampled_from(self.late))
            self.out += self.timeline.take([one], self.now)

    @rule()
    def be_told(self) -> None:
        self.timeline.know(1, len(self.log), self.now)

    @rule(seconds=st.sampled_from((0.1, 0.6, 2.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(page=st.integers(1, 200))
    def fetch(self, page: int) -> None:
        if self.timeline.gap(self.now) == 0.0:
            self.out += self.timeline.take(self.log[self.timeline.seq :][:page], self.now)

    @invariant()
    def it_is_a_prefix(self) -> None:
        assert self.out == self.log[: len(self.out)]
        assert len(self.out) == self.timeline.seq
        assert len(self.timeline._held) <= MOST_HELD

    @invariant()
    def what_is_known_to_be_missing_is_asked_for(self) -> None:
        missing = self.timeline.seq < self.timeline.head
        assert (self.timeline.gap(self.now) is not None) == missing
        assert not missing or self.timeline.gap(self.now + PATIENCE) == 0.0

    def teardown(self) -> None:
        self.be_told()
        self.now += PATIENCE
        while self.timeline.gap(self.now) is not None:
            self.fetch(200)
            self.now += PATIENCE
        assert self.out == self.log


TestReading = Reading.TestCase
TestReading.__doc__ = "P4, [6.3-3], [6.3-4]: at any time a gap-free prefix of the log; in the end, all of it."
