"""What the text asks of a client: our own one, by itself and against a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client import login
from quicchat.client.api import Chat
from quicchat.client.login import Identity
from quicchat.client.sync import Timeline
from quicchat.errors import Code, Refused
from quicchat.protocol import scram
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.wire.chapters.accounts import AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.rooms import Create
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Device, Room, User
from quicchat.wire.registry import Pdu
from tests.conformance.house import Place, play, simulated
from tests.conformance.peer import entered
from tests.conformance.talk import post, said


class Impostor:
    """A server that does not know the account, as `login.log_in` sees it."""

    def __init__(self, *answers: Pdu) -> None:
        self.asked: list[Pdu] = []
        self.connection = SimpleNamespace(negotiation=SimpleNamespace(transcript=bytes(32)))
        self._answers = list(answers)

    async def ask(self, pdu: Pdu, answer: type[Pdu], *, aside: bool = False) -> Pdu:
        self.asked.append(pdu)
        if isinstance(pdu, AuthStart) and isinstance(self._answers[0], AuthChallenge):
            nonce = pdu.data.rpartition(b"r=")[2]
            challenge = self._answers.pop(0)
            assert isinstance(challenge, AuthChallenge)
            return AuthChallenge(data=challenge.data.replace(b"OURS", nonce))
        return self._answers.pop(0)


@pytest.mark.parametrize(
    ("challenge", "asked"),
    [
        (b"r=somebodyelse,s=AAAA,i=1", [AuthStart]),
        (b"r=OURS,s=AAAA,i=1", [AuthStart]),
        (b"r=OURSmore,s=AAAA,i=0", [AuthStart]),
        (b"r=OURSmore,s=,i=1", [AuthStart]),
        (b"r=OURSmore,i=1", [AuthStart]),
        (b"r=OURSmore,s=AAAA,i=99999999", [AuthStart]),
        (b"", [AuthStart]),
        (b"r=OURSmore,s=AAAA,i=1", [AuthStart, AuthResponse]),
    ],
)
def test_a_client_gives_up_a_server_that_does_not_know_the_account(challenge: bytes, asked: list[type]) -> None:
    """A10, [4.2-3]: a nonce that is not ours, nonsense, or a wrong proof; after it the client says no more."""

    requests = Impostor(AuthChallenge(data=challenge), AuthOk(user="alice", session=1, proof=b"v=AAAA"))
    identity = login.Identity(user="alice", password="pw", iterations=1)
    with pytest.raises(Refused) as caught:
        asyncio.run(login.log_in(requests, identity, bytes(32)))  # type: ignore[arg-type]
    assert caught.value.code is Code.AUTH_FAILED
    assert [type(pdu) for pdu in requests.asked] == asked


@pytest.mark.parametrize(
    ("least", "asked"), [({}, [AuthStart]), ({"least_iterations": 100}, [AuthStart]), ({"iterations": 99}, 2)]
)
def test_a_challenge_that_is_too_easy_is_not_answered(least: dict[str, int], asked: Any) -> None:
    """A10, [4.2-13]: fewer iterations than 4096 would make the proof cheap to search; the user may allow fewer."""
    requests = Impostor(AuthChallenge(data=b"r=OURSmore,s=AAAA,i=99"), AuthOk(user="alice", session=1, proof=b"v=AAAA"))
    identity = login.Identity(user="alice", password="pw", **least)  # type: ignore[arg-type]
    with pytest.raises(Refused):
        asyncio.run(login.log_in(requests, identity, bytes(32)))  # type: ignore[arg-type]
    assert len(requests.asked) == (asked if isinstance(asked, int) else len(asked))


@pytest.mark.parametrize(
    ("word", "prepared"),
    [
        ("e\u0301", "\u00e9"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u2126", "\u03a9"),
        ("x" * 1024, "x" * 1024),
        ("", None),
        ("x" * 1025, None),
        ("\U0001f642" * 257, None),
        ("a\x00b", None),
        ("a\nb", None),
        ("a\ud800", None),
        ("a\uffff", None),
    ],
    ids=ascii,
)
def test_a_password_is_prepared(word: str, prepared: str | None) -> None:
    """A5, [4.1-1]: one letter is one password however it is typed; others are refused before anything is sent."""
    if prepared is not None:
        assert scram.prepare(word) == prepared.encode()
        return
    requests = Impostor()
    with pytest.raises(Refused) as caught:
        asyncio.run(login.sign_up(requests, login.Identity(user="alice", password=word, iterations=1)))  # type: ignore[arg-type]
    assert caught.value.code is Code.SCHEMA
    assert requests.asked == []


def test_every_account_has_its_own_salt() -> None:
    """[4.1-2]: keys as the formulas give them, a new salt each time, and nothing of the password in between."""
    requests = Impostor(Ok(), Ok())
    for _ in range(2):
        asyncio.run(login.sign_up(requests, login.Identity(user="alice", password="pw", iterations=3)))  # type: ignore[arg-type]
    one, other = requests.asked
    assert isinstance(one, Signup)
    assert isinstance(other, Signup)
    assert one.salt != other.salt
    keys = scram.credentials_from(scram.salted("pw", one.salt, 3), one.salt, 3)
    assert (one.stored_key, one.server_key, one.iterations) == (keys.stored_key, keys.server_key, 3)


def event(seq: int, *, epoch: int | None = 1, ts: int = 0, sent: int | None = None) -> Message:
    """An event of a room."""
    return Message(
        room="r",
        epoch=epoch,
        seq=seq,
        cid=seq.to_bytes(16, "big"),
        sender="bob",
        kind=Kind.TEXT,
        ts=ts,
        text=f"{epoch}/{seq}",
        sent=sent,
    )


def shown_by(timeline: Timeline, *events: Message) -> list[int]:
    """The places that a timeline gives out."""
    return [message.seq for message in timeline.take(events, 0.0)]


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8), max_size=12), st.integers(0, 4))
def test_events_are_shown_in_order_and_once(order: list[int], again: list[int], start: int) -> None:
    """P4, R0.6, [6.3-3], [6.3-6]: whatever comes late or twice, and whatever the clocks said."""
    timeline = Timeline(start)
    shown: list[int] = []
    for seq in (*order[:4], *again, *order[4:], *again):
        shown += shown_by(timeline, event(seq, ts=1000 - seq, sent=seq % 3))
        assert shown == list(range(start + 1, start + 1 + len(shown)))
    assert shown == list(range(start + 1, 9))
    assert timeline.gap(0.0) is None


def test_a_new_epoch_begins_anew() -> None:
    """[6.3-5]: what was held is forgotten, places begin at 1, and what is left of the old epoch is ignored."""
    timeline = Timeline(5)
    assert shown_by(timeline, event(6), event(8)) == [6]
    assert shown_by(timeline, event(2, epoch=2)) == []
    assert shown_by(timeline, event(7), event(9)) == []
    assert shown_by(timeline, event(1, epoch=2)) == [1, 2]
    assert shown_by(timeline, event(3), event(3, epoch=2)) == [3]
    assert shown_by(timeline, event(4)) == []
    assert shown_by(timeline, *(event(seq, epoch=2) for seq in (4, 5, 6))) == [4, 5, 6]
    timeline.know(3, 4, 0.0)
    assert (timeline.seq, timeline.gap(0.0)) == (0, 0.0)


def test_a_gap_is_waited_for_a_moment() -> None:
    """[6.3-4]: a second, or until 64 events wait; then it is time to fetch."""
    timeline = Timeline(0)
    timeline.take([event(2)], 10.0)
    assert timeline.gap(10.25) == 0.75
    assert timeline.gap(11.0) == 0.0
    timeline.take([event(seq) for seq in range(3, 67)], 10.5)
    assert timeline.gap(10.5) == 0.0
    timeline.take([event(1)], 10.6)
    assert timeline.gap(10.6) is None


class Ledger:
    """A log that remembers which receipts came."""

    def __init__(self, log: Any) -> None:
        self.receipts: list[tuple[str, int]] = []
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def receipt(self, room: str, user: str, device: bytes, *, delivered: int | None, **facts: Any) -> Any:
        if delivered is not None:
            self.receipts.append((room, delivered))
        return await self._log.receipt(room, user, device, delivered=delivered, **facts)


async def arrivals(chat: Chat, room: str, last: int) -> list[tuple[float, int]]:
    """When which place was given out, up to the last one."""
    found: list[tuple[float, int]] = []
    async for each in chat:
        if isinstance(each, Message) and each.room == room:
            found.append((asyncio.get_running_loop().time(), each.seq))
            if each.seq == last:
                break
    return found


async def slip(place: Place, room: str, sender: str, text: str) -> None:
    """Write something into a log of which nobody is told."""
    assert place.store is not None
    slipped = post(text, room=room)
    await place.store.log.append(Room(room), User(sender), Device(bytes(16)), slipped, at=0)


def test_a_gap_is_fetched_and_not_reported_before() -> None:
    """R0.6, [6.3-4], [6.4-3], [6.4-2]: over the same connection; no receipt goes beyond the gap until it is closed."""

    async def scenario() -> None:
        store = MemoryStore()
        ledger = Ledger(store.log)
        store.log = ledger
        async with simulated(store) as place, entered(place) as alice:
            assert place.network is not None
            async with Chat(place.network.dial()) as chat:
                await chat.open(Identity(user="carol", password="pw", sign_up=True, iterations=1))
                await alice.ask(Create(room="club"))
                await chat.join("club")
                loop = asyncio.get_running_loop()
                await said(alice, post("three", room="club"))
                await asyncio.sleep(2)
                ledger.receipts.clear()
                await slip(place, "club", alice.user, "four, unheard")
                start = loop.time()
                await said(alice, post("five", room="club"))
                await asyncio.sleep(0.9)
                assert [delivered for room, delivered in ledger.receipts if room == "club" and delivered > 3] == []
                times = await arrivals(chat, "club", 5)
                assert [seq for _, seq in times] == [3, 4, 5]
                assert 1.0 <= times[-1][0] - start < 1.5
                await asyncio.sleep(1)
                assert [receipt for receipt in ledger.receipts if receipt[0] == "club"] == [("club", 5)]
                assert chat.lost is None

    play(scenario())


def test_what_was_missed_is_fetched_page_by_page() -> None:
    """R4.10, D9, [6.5-4], [4.2-9]: after the login, each event once, from the device's own place on."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            assert place.network is not None
            identity = Identity(user="carol", password="pw", sign_up=True, iterations=1)
            device = bytes(range(16))
            async with Chat(place.network.dial(), device=device) as chat:
                await chat.open(identity)
                first = await said(alice, post("0", user="carol"))
                await arrivals(chat, first.room, 1)
            many = 450
            for number in range(1, many):
                await said(alice, post(str(number), user="carol"))
            async with Chat(place.network.dial(), device=device) as chat:
                await chat.open(replace(identity, sign_up=False))
                times = await arrivals(chat, first.room, many)
                assert [seq for _, seq in times] == list(range(2, many + 1))

    play(scenario())


def test_each_message_has_its_own_id_and_keeps_it() -> None:
    """R4.17, [6.1-3]: 16 random bytes; a retry is the same message."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice:
            assert place.network is not None
            async with Chat(place.network.dial()) as chat:
                await chat.open(Identity(user="carol", password="pw", sign_up=True, iterations=1))
                posted = [await chat.tell(alice.user, "same words") for _ in range(3)]
                assert len({each.cid for each in posted}) == 3
                assert {len(each.cid) for each in posted} == {16}
                again = await chat.tell(alice.user, "same words", cid=posted[0].cid)
                assert (again.dup, again.seq) == (True, posted[0].seq)

    play(scenario())
