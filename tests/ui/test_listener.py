"""What comes, in the order in which a person wants to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.client.seal import Seal, opened
from quicchat.client.state import State
from quicchat.errors import Code, Refused
from quicchat.ui.listener import PATIENCE, REMEMBERED, Listener
from quicchat.ui.outcomes import Heard, Late, Reached, Sent
from quicchat.wire.chapters.messages import Kind, Message, Recipient
from tests.ui.items import STORED, message, posted

CID = b"c" * 16
ROOM = "@alice,bob"


class Log:
    """As much of a `Chat` as a listener asks."""

    def __init__(self, *events: Message) -> None:
        self.state = State(user="alice")
        self._events = events

    async def history(self, room: str, **window: Any) -> Sequence[Message]:
        if not self._events:
            raise Refused(Code.NOT_MEMBER)
        return self._events


def listener() -> tuple[Listener, list[Any]]:
    told: list[Any] = []
    return Listener(told.append, b"d" * 16), told


def texts(told: list[Any]) -> list[str]:
    return [each.message.text or "" if isinstance(each, Heard) else type(each).__name__ for each in told]


def reach(one: Listener, progress: Progress, chat: Log, now: float = 0.0) -> None:
    asyncio.run(one.progress(progress, chat, now))  # type: ignore[arg-type]


def test_what_waited_is_one_story() -> None:
    """R4.10: what was said in several rooms while we were away is told in the order of its storing, under one line."""
    one, told = listener()
    one.entered({"general": 4})
    one.away()
    one.message(message("before", ROOM, seq=1, ts=STORED), 0.0)
    assert told == []
    one.back({"general": 4}, {"general": 6, ROOM: 2}, 10.0)
    one.message(message("third", "general", seq=5, ts=STORED + 3), 10.1)
    one.message(message("live", "r1", seq=1, ts=STORED + 9, cid=b"l" * 16), 10.1)
    one.message(message("second", ROOM, seq=2, ts=STORED + 2), 10.2)
    assert told == []
    one.message(message("fourth", "general", seq=6, ts=STORED + 4), 10.3)
    assert texts(told) == ["Late", "before", "second", "third", "fourth", "live"]
    one.message(message("now", "general", seq=7, ts=STORED + 5), 11.0)
    assert texts(told)[-1] == "now"
    assert [each.late for each in told if isinstance(each, Heard)] == [True] * 4 + [False] * 2


def test_nobody_is_waited_for_without_end() -> None:
    """R4.10: what does not come in time is not waited for; what came is told."""
    one, told = listener()
    one.back({}, {"general": 6}, 0.0)
    one.message(message("one", "general", seq=1), 1.0)
    assert told == []
    one.message(message("two", "general", seq=2), PATIENCE + 0.1)
    assert texts(told) == ["Late", "one", "two"]
    one.back({}, {"r2": 6}, 0.0)
    one.message(message("three", "r2", seq=1), 1.0)
    one.give_up(2.0)
    assert texts(told)[-2:] == ["Late", "three"]


def test_facts_and_own_words_are_never_late() -> None:
    """R4.10: who came and went while we were away is no offline message, and neither is what we said elsewhere."""
    one, told = listener()
    one.entered({"general": 9})
    one.message(message("bob joined", seq=1, kind=Kind.JOIN), 0.0)
    one.message(message("mine", seq=2, device=b"d" * 16), 0.0)
    one.waits(CID)
    one.message(message("mine, too", seq=3, cid=CID), 0.0)
    assert [(each.late, each.own) for each in told] == [(False, False), (False, True), (False, True)]
    assert Late() not in told


def test_a_receipt_is_told_once_with_what_it_is_about() -> None:
    """R4.6, R4.12: the first time that he holds it, with the time of its storing, and whether he was away."""
    one, told = listener()
    one.waits(CID)
    one.settled(CID, Sent(posted(ROOM, recipient=Recipient.OFFLINE), "bob"))
    for state in (Reach.DELIVERED, Reach.READ):
        reach(one, Progress(CID, ROOM, 9, state, by="bob"), Log())
    assert [(each.user, each.stored, each.offline) for each in told] == [("bob", STORED, True), (None, None, False)]


def test_a_receipt_for_an_earlier_run_asks_the_log() -> None:
    """R4.13: after a restart only the log knows when it was said; where it tells nothing, nobody knows."""
    for log, stored in ((Log(message(seq=9, ts=STORED + 1)), STORED + 1), (Log(), None)):
        one, told = listener()
        reach(one, Progress(CID, ROOM, 9, Reach.DELIVERED, by="bob"), log)
        assert [(each.user, each.stored, each.offline) for each in told] == [("bob", stored, True)]


def test_receipts_wait_while_one_is_away() -> None:
    """R4.13, TC4: who is deregistered is told when he is back, after what waited for him."""
    one, told = listener()
    one.away()
    reach(one, Progress(CID, ROOM, 9, Reach.DELIVERED, by="bob"), Log())
    assert told == []
    one.back({}, {"general": 1}, 0.0)
    one.message(message("waited", seq=1), 0.1)
    assert [type(each) for each in told] == [Late, Heard, Reached]


def test_of_a_room_nobody_is_named() -> None:
    """R4.8, TC3: a message to many gets no receipt by name."""
    one, told = listener()
    reach(one, Progress(CID, "general", 9, Reach.DELIVERED, by="bob"), Log())
    assert [each.user for each in told] == [None]


def test_what_is_remembered_is_bounded() -> None:
    """P7 for clients: however long it runs, however much is held back."""
    one, told = listener()
    one.away()
    for seq in range(1, REMEMBERED + 100):
        one.message(message("x", seq=seq), 0.0)
    assert len(one.received) == REMEMBERED
    assert len(told) > REMEMBERED - 1000


def test_who_claims_to_be_this_device_is_seen() -> None:
    """[12.16-7]: what is forged in the name of this device is not taken for our own, which nobody is told of."""
    one, told = listener()
    mine = message("", ROOM, "alice", device=b"d" * 16)
    one.message(opened(mine, Seal.FORGED), 0.0)
    one.message(opened(replace(mine, seq=6), Seal.OWN), 0.0)
    assert [each.own for each in told] == [False, True]
