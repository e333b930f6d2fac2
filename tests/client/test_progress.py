"""How far one's own messages come, as the sender sees it."""

from __future__ import annotations

from quicchat.client.events import Sent
from quicchat.client.outbox import Outbox
from quicchat.client.tracker import Tracker
from quicchat.wire.chapters.messages import Post, Posted, ReceiptEvent, ReceiptList


def stored(room: str, *seqs: int) -> Outbox:
    """An outbox with messages of one's own at these places."""
    outbox = Outbox()
    for seq in seqs:
        post = Post(room=room, cid=seq.to_bytes(16, "big"), text=str(seq))
        outbox.queued(outbox.draft(post, room).cid)
        outbox.sent(post.cid)
        outbox.stored(Posted(cid=post.cid, room=room, seq=seq, ts=1, epoch=1))
    return outbox


def test_the_sender_sees_three_distinct_states() -> None:
    """R0.5: stored, delivered, read: each once, for every message it concerns."""
    outbox = stored("@alice,bob", 3, 5)
    tracker = Tracker(outbox)
    assert {each.state for each in outbox.entries} == {Sent.STORED}
    news = tracker.heard(ReceiptEvent(room="@alice,bob", user="bob", delivered=4, at=70))
    assert [(each.seq, each.state, each.by, each.at) for each in news] == [(3, Sent.DELIVERED, "bob", 70)]
    assert [each.state for each in outbox.entries] == [Sent.DELIVERED, Sent.STORED]
    assert tracker.heard(ReceiptEvent(room="@alice,bob", user="bob", delivered=4, at=71)) == []
    news = tracker.heard(ReceiptEvent(room="@alice,bob", user="bob", read=5, at=80))
    assert [(each.seq, each.state) for each in news] == [(3, Sent.READ), (5, Sent.READ)]
    assert {each.state for each in outbox.entries} == {Sent.READ}
    assert tracker.heard(ReceiptEvent(room="@alice,bob", user="bob", delivered=3)) == []
    assert tracker.unfinished() == []


def test_in_a_room_the_sender_sees_how_many() -> None:
    """[6.4-9], protocol §7.7: everybody who came so far, by name and number."""
    tracker = Tracker(stored("general", 2))
    news = tracker.heard(ReceiptEvent(room="general", user="bob", delivered=2))
    news += tracker.heard(ReceiptEvent(room="general", user="carol", delivered=9))
    news += tracker.heard(ReceiptEvent(room="general", user="bob", read=2))
    assert [(each.state, each.by, each.count) for each in news] == [
        (Sent.DELIVERED, "bob", 1),
        (Sent.DELIVERED, "carol", 2),
        (Sent.READ, "bob", 1),
    ]


def test_in_a_large_room_only_a_number_is_told() -> None:
    """Protocol §7.7: counts above 32 members."""
    tracker = Tracker(stored("general", 2, 8))
    (news,) = tracker.heard(ReceiptEvent(room="general", delivered=5, count=40, at=7))
    assert (news.seq, news.state, news.by, news.count, news.at) == (2, Sent.DELIVERED, None, 40, 7)


def test_a_receipt_that_waited_is_found_after_the_login() -> None:
    """R4.13: asked for the rooms with messages that somebody may not have read, those written to last first."""
    outbox = stored("general", 2)
    for number, room in enumerate(["@alice,bob", "club"], 10):
        post = Post(room=room, cid=number.to_bytes(16, "big"), text="x")
        outbox.queued(outbox.draft(post, room).cid)
        outbox.sent(post.cid)
        outbox.stored(Posted(cid=post.cid, room=room, seq=1, ts=1, epoch=1))
    tracker = Tracker(outbox)
    assert tracker.unfinished() == ["club", "@alice,bob", "general"]
    news = tracker.listed(ReceiptList(room="@alice,bob", people=(("bob", 1, 0, 66),)))
    assert [(each.room, each.state, each.at) for each in news] == [("@alice,bob", Sent.DELIVERED, 66)]


def test_a_receipt_that_overtakes_the_acknowledgement_counts() -> None:
    """[6.4-10]: streams are not ordered among each other."""
    outbox = stored("general", 1)
    tracker = Tracker(outbox, [("general", "bob", 5, 0, 9)])
    post = Post(room="general", cid=b"n" * 16, text="new")
    outbox.queued(outbox.draft(post, "general").cid)
    outbox.sent(post.cid)
    entry = outbox.stored(Posted(cid=post.cid, room="general", seq=5, ts=1, epoch=1))
    assert entry is not None
    assert [(each.seq, each.state, each.by) for each in tracker.stored(entry)] == [(5, Sent.DELIVERED, "bob")]
