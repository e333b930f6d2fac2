"""What is announced to somebody who looks elsewhere, and what is not: decisions, without terminals."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.seal import Seal, opened
from quicchat.client.state import RoomView, State
from quicchat.config import ClientConfig
from quicchat.ui.alarm import Alarm
from quicchat.ui.desk import Desk
from quicchat.ui.face import Face
from quicchat.ui.notices import Notice, Notices, announced, level, silent_until, waiting
from quicchat.ui.outcomes import Heard, Note, Readable
from quicchat.ui.record import record
from quicchat.ui.signals import Signals
from quicchat.ui.slots import LEVELS, Level
from quicchat.ui.visible import visible
from quicchat.wire.chapters.messages import SAID, Kind
from quicchat.wire.chapters.rooms import Invite
from quicchat.wire.names import ANNOUNCEMENTS
from tests.server.house import play
from tests.ui.items import NASTY, STATE, STORED, everything, heard, message

DIRECT = "@alice,bob"


def line(item: object, preferences: Mapping[str, str] | None = None, usual: Level = "mentions") -> str | None:
    """What is announced to alice, in one line."""
    found = announced(item, STATE, preferences or {}, usual)
    return found.line if found is not None else None


@pytest.mark.parametrize("usual", LEVELS)
@pytest.mark.parametrize("chosen", [None, *LEVELS])
@pytest.mark.parametrize("room", ["r1", DIRECT, ANNOUNCEMENTS])
@pytest.mark.parametrize("named", [False, True])
def test_levels(usual: Level, chosen: Level | None, room: str, named: bool) -> None:
    """[12.10-1]: what was chosen for a room holds; else direct messages, announcements, and of rooms the usual."""
    preferences = {f"notify:{room}": chosen} if chosen else {}
    wanted = chosen or ("all" if room in (DIRECT, ANNOUNCEMENTS) else usual)
    item = heard("hi", room, mentions=("x", "alice") if named else ("x",))
    is_told = wanted == "all" or (wanted == "mentions" and (named or room == DIRECT))
    assert (line(item, preferences, usual) is not None) is is_told
    assert level(room, preferences, usual) == wanted


def test_a_preference_that_makes_no_sense_is_none() -> None:
    """[12.10-1]: whatever the disk holds, it is one of the three levels."""
    assert level("r1", {"notify:r1": "loud"}, "mentions") == "mentions"
    for until in ("", "off", "-1", "9" * 40, "\u0661", "1.5"):
        assert silent_until({"dnd": until}, 0) is None
    assert silent_until({}, 0) is None
    assert silent_until({"dnd": "on"}, 10**15) == "on"
    assert silent_until({"dnd": "101"}, 100) == "101"
    assert silent_until({"dnd": "100"}, 100) is None


def test_the_words() -> None:
    """[12.10-1]: who, where, and what: a line in plain words."""
    files = ((b"f" * 32, 1_234_567, "image/jpeg", "a.jpg", STORED),)
    assert line(heard("hi", DIRECT)) == "bob: hi"
    assert line(heard("hi alice", "r1", mentions=("alice",))) == "bob in r1: hi alice"
    assert line(heard("tea", ANNOUNCEMENTS)) == "bob to everybody: tea"
    assert line(heard("waves", DIRECT, kind=Kind.EMOTE)) == "bob: * bob waves"
    assert line(heard("", DIRECT, kind=Kind.FILE, attachments=files)) == "bob: sends a.jpg (1.2 MB)"
    assert line(heard("", "r1", "alice", kind=Kind.LEAVE, by="bob")) == "r1: bob put you out"
    assert line(heard("spam", "r1", "alice", kind=Kind.LEAVE, by="bob")) == "r1: bob put you out: spam"
    assert line(Invite(room="r1", user="bob")) == "bob: invites you to r1"


def test_what_is_no_news_to_oneself() -> None:
    """[12.10-2]: nothing of one's own, from this device or another; no comings and goings; no reactions."""
    assert line(heard("hi", DIRECT, own=True)) is None
    assert line(heard("hi", DIRECT, "alice")) is None
    assert line(heard("", "r1", "x", kind=Kind.LEAVE, by="bob")) is None
    assert line(heard("", "r1", "alice", kind=Kind.LEAVE)) is None
    for kind in set(Kind) - SAID:
        assert line(heard("x", "r1", kind=kind, mentions=("alice",)), usual="all") is None


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_notice_is_short_and_harmless(text: str) -> None:
    """[12.10-5] U1, U10: of what others wrote nothing harmful is in it, and no more than anybody reads."""
    for item in everything(f"<{text}>" + "w" * 4000):
        found = announced(item, STATE, {}, "all")
        if found is not None:
            assert visible(found.line) == found.line
            assert len(found.title) <= 80
            assert len(found.text) <= 200


def test_how_many_wait() -> None:
    """[12.10-6]: of each room what its level lets through; what the server has not counted counts nothing."""
    rooms = [
        RoomView(room="r1", unread=5, mentions=2),
        RoomView(room=DIRECT, unread=3, mentions=0),
        RoomView(room="r2"),
    ]
    state = State(user="alice", rooms={each.room: each for each in rooms})
    assert waiting(state, {}, "mentions") == 5
    assert waiting(state, {}, "all") == 8
    assert waiting(state, {}, "none") == 3
    assert waiting(state, {f"notify:{DIRECT}": "none"}, "none") == 0


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=40))
def test_one_a_second_and_none_is_lost(steps: list[tuple[float, bool]]) -> None:
    """[12.10-3] U10: however they come, two are a second apart, and the counts are those of all that came."""
    notices, now, added = Notices(), 0.0, 0
    taken: list[tuple[float, Notice]] = []

    def drain(until: float) -> None:
        while (due := notices.due) is not None and due <= until:
            at = max(due, now)
            found = notices.take(at)
            assert found is not None
            taken.append((at, found))

    for pause, is_late in steps:
        drain(now + pause)
        now += pause
        added += 1
        if is_late:
            notices.missed(ours=True, wanted=True, now=now)
        else:
            notices.add(Notice("bob", "hi"))
    drain(now + 20)
    assert sum(notice.count for _, notice in taken) == added
    assert all(later - earlier > 0.999 for (earlier, _), (later, _) in itertools.pairwise(taken))


def test_more_of_them_in_one() -> None:
    """[12.10-3]: the first at once; what comes within the second stands in the next one, by its newest and a count."""
    notices = Notices()
    notices.add(Notice("bob", "one"))
    assert notices.take(10.0) == Notice("bob", "one")
    for text in ("two", "three", "four"):
        notices.add(Notice("bob", text))
    assert notices.take(10.9) is None
    assert notices.take(11.0) == Notice("bob", "four (and 2 more)", count=3)
    assert notices.due is None


def test_what_was_missed_is_summed_up() -> None:
    """[12.10-4]: how many there are and how many of them for us, once no more come; nothing where none is wanted."""
    notices = Notices()
    for at in range(5):
        notices.missed(ours=at == 2, wanted=at == 2, now=at / 10)
    assert notices.take(1.3) is None
    assert notices.take(1.4) == Notice("quicchat", "5 messages while you were away, 1 for you", count=5)
    notices.missed(ours=False, wanted=False, now=10.0)
    assert notices.take(20.0) is None
    assert notices.due is None
    notices.missed(ours=False, wanted=True, now=30.0)
    assert cast(Notice, notices.take(40.0)).line == "quicchat: 1 message while you were away"


def test_they_are_not_waited_for_without_end() -> None:
    """[12.10-4]: where what was missed keeps coming, a first sum is told after five seconds."""
    notices = Notices()
    for at in range(100):
        notices.missed(ours=True, wanted=True, now=at / 10)
        if notices.due is not None and notices.due <= at / 10:
            break
    assert notices.take(at / 10) is not None
    assert at == 50


@dataclass
class Person:
    """Stands for a face and what is behind it: what was told, what rang, and what the person looks at."""

    told: list[tuple[float, object]] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    looks_at: set[str] = field(default_factory=set)
    preferences: dict[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    state: State = STATE

    def tell(self, item: object, state: State) -> None:
        self.told.append((asyncio.get_running_loop().time(), item))

    def sees(self, room: str) -> bool:
        return room in self.looks_at

    @property
    def account(self) -> Person:
        return self

    async def targets(self) -> list[object]:
        return []

    def signals(self) -> Signals:
        alarm = Alarm(self.rung.append, {"TERM": "xterm"}, bell=True, desktop=True)
        found = Signals(ClientConfig(data=None), cast(Face, self), alarm)  # type: ignore[arg-type]
        found.seated(cast(Desk, SimpleNamespace(chat=self)))
        return found

    @property
    def lines(self) -> list[str]:
        return [cast(Notice, item).line for _, item in self.told]


def run(items: list[object], person: Person, pause: float = 0.0) -> Person:
    """Tell these things, and wait until all is over."""

    async def scenario() -> None:
        signals = person.signals()
        for item in items:
            signals.tell(item, person.state)
            await asyncio.sleep(pause)
        await asyncio.sleep(30)
        await signals.close()
        signals.tell(heard("too late", DIRECT), person.state)
        await asyncio.sleep(30)

    play(scenario)
    return person


def test_a_fault_in_the_counting_is_told() -> None:
    """[12.10-3]: what the counting of what waits may not raise is heard of, though it is over when all is closed."""

    class Faulty(Person):
        async def targets(self) -> list[object]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([], Faulty())


def test_a_storm_rings_once_a_second() -> None:
    """[12.10-3] U10: five hundred messages to everybody within five seconds: six bells, and nothing after the end."""
    storm: list[object] = [heard(f"@everyone {number}", DIRECT) for number in range(500)]
    person = run(storm, Person(), pause=0.01)
    assert len(person.lines) == 6
    assert person.rung.count("\a") == 6
    times = [at for at, _ in person.told]
    assert all(later - earlier > 0.999 for earlier, later in itertools.pairwise(times))
    assert person.lines[0] == "bob: @everyone 0"
    assert person.lines[-1].startswith("bob: @everyone 499 (and ")
    assert sum(cast(Notice, item).count for _, item in person.told) == 500


def test_who_looks_needs_no_signal() -> None:
    """[12.10-2]: what he has before his eyes rings for nobody; what is elsewhere does, late or not."""
    items: list[object] = [heard("hi", DIRECT), heard("hi alice", "r1", mentions=("alice",))]
    assert run(items, Person(looks_at={DIRECT, "r1"})).told == []
    assert run(items, Person(looks_at={DIRECT})).lines == ["bob in r1: hi alice"]
    late: list[object] = [Heard(each.message, STORED, late=True) for each in items if isinstance(each, Heard)]
    assert run(late, Person(looks_at={DIRECT, "r1"})).told == []
    assert run(late, Person()).lines == ["quicchat: 2 messages while you were away, 2 for you"]


def test_do_not_disturb() -> None:
    """[12.10-2]: nothing is announced while it lasts, nor afterwards; a time that is over is over."""
    items: list[object] = [heard("hi", DIRECT), heard("hi", DIRECT, late=True)]
    ahead = str((time.time_ns() // 1_000_000) + 3_600_000)
    for until in ("on", ahead):
        person = run(items, Person(preferences={"dnd": until}))
        assert person.told == []
        assert "\a" not in person.rung
    assert run(items, Person(preferences={"dnd": "1000"})).told != []


def test_nothing_of_whom_one_ignores() -> None:
    """[12.10-2]: an invitation of somebody who is ignored; what he says does not even come here (section 12.6)."""
    assert run([Invite(room="r1", user="bob")], Person(ignored=frozenset({"bob"}))).told == []
    assert run([Invite(room="r1", user="bob")], Person()).lines == ["bob: invites you to r1"]


def test_the_title_counts_and_comes_back() -> None:
    """[12.10-6]: the window says how many wait, at once and once a second at most, and at the end what it said."""
    rooms = {DIRECT: RoomView(room=DIRECT, unread=3)}
    person = run([Note("x")] * 20, Person(state=State(user="alice", rooms=rooms)), pause=0.1)
    assert person.rung == ["\x1b[22;2t", "\x1b]2;(3) quicchat\x1b\\", "\x1b]2;\x1b\\\x1b[23;2t"]


def test_scripts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.10-1]: with --json a notice is an event: its line, its room and how many are in it."""
    found: Any = record(Notice("bob", "hi (and 2 more)", "r1", 3))
    assert found == {"event": "notice", "text": "bob: hi (and 2 more)", "room": "r1", "count": 3}


def test_who_is_named_in_what_can_be_read_at_last_is_told() -> None:
    """[12.10-1], [12.16-9]: once its words are known, and only of what came while he was here."""
    named = message("hi @alice", "r1", mentions=("alice",))
    sealed = [Heard(opened(named, Seal.PINNED), STORED), Heard(opened(named, Seal.PINNED), None)]
    person = run([Readable("r1", sealed)], Person())
    assert person.lines == ["bob in r1: hi @alice"]
