"""The router: who hears what, encoded how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, LocalProtocolError
from quicchat.server.effects import Deliver, InRooms, OfUsers
from quicchat.server.journal import Journal
from quicchat.server.model import SessionId
from quicchat.server.router import Router
from quicchat.server.rules import in_version_1
from quicchat.wire import codec, frame
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Presence, Show, Typing
from quicchat.wire.chapters.rooms import Invite
from quicchat.wire.digest import digest
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User, direct
from quicchat.wire.registry import Pdu
from tests.frames import frames

R1, R2 = Room("r1"), Room("r2")
ALICE, BOB, EVE = User("alice"), User("bob"), User("eve")
PHONE, LAPTOP = Device(b"phone" + bytes(11)), Device(b"laptop" + bytes(10))


class Ear:
    """A listener that writes down what it hears."""

    over: asyncio.Future[None]

    def __init__(self, number: int, version: int = 2, device: Device = PHONE) -> None:
        self.id, self.version, self.device = SessionId(number), version, device
        self.heard: list[Pdu] = []
        self.frames: list[bytes] = []
        self.closed: list[tuple[Code, str]] = []
        self.parted: list[Room] = []
        self.lasts: list[Message | None] = []

    def push(self, pdu: Pdu, framed: bytes) -> None:
        self.heard.append(pdu)
        self.frames.append(framed)

    def left(self, room: Room, last: Message | None) -> None:
        self.parted.append(room)
        self.lasts.append(last)

    def close(self, code: Code, reason: str = "") -> None:
        self.closed.append((code, reason))

    def drain(self, reason: str) -> None:
        raise NotImplementedError


def admitted(router: Router, number: int, user: User, *rooms: Room, version: int = 2) -> Ear:
    ear = Ear(number, version)
    router.add(ear)
    router.admit(ear, user, rooms)
    return ear


def message(room: Room = R1, *, sender: User = ALICE, kind: Kind = Kind.TEXT, text: str = "hi") -> Message:
    return Message(room=room, epoch=1, seq=1, cid=bytes(16), sender=sender, kind=kind, ts=0, text=text)


def tell(router: Router, pdu: Message, *, but: int | None = None) -> None:
    older = in_version_1(pdu)
    room = frozenset({Room(pdu.room)})
    router.deliver(Deliver(pdu, InRooms(room), older, None if but is None else SessionId(but)))


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[type[Pdu], int]]:
    """What is encoded from now on, with the version."""
    seen: list[tuple[type[Pdu], int]] = []
    encode: Callable[..., bytes] = codec.encode

    def count(pdu: Pdu, *, version: int, **more: int) -> bytes:
        seen.append((type(pdu), version))
        return encode(pdu, version=version, **more)

    monkeypatch.setattr(codec, "encode", count)
    return seen


def test_a_room_is_heard_by_its_members() -> None:
    """R0.1, R0.2, [6.3-1]: those who were admitted to it, each once; and nobody before he is admitted."""
    router = Router()
    alice, bob = admitted(router, 1, ALICE, R1), admitted(router, 2, BOB, R1, R2)
    eve, stranger = admitted(router, 3, EVE, R2), Ear(4)
    router.add(stranger)
    tell(router, message())
    assert alice.heard == bob.heard == [message()]
    assert alice.frames == [frame.wrap(codec.encode(message(), version=2))]
    assert eve.heard == stranger.heard == []
    tell(router, message(Room("nowhere")))
    assert len(alice.heard) == 1


def test_the_one_who_asked_is_left_out() -> None:
    """R4.8, C7, [6.2-4]: `but` is one session; the user's other devices hear it."""
    router = Router()
    phone, laptop = admitted(router, 1, ALICE, R1), admitted(router, 2, ALICE, R1)
    tell(router, message(), but=1)
    assert (phone.heard, laptop.heard) == ([], [message()])


def test_who_joins_hears_and_who_leaves_does_not() -> None:
    """[6.3-1]: membership follows the log: JOIN is the first and LEAVE the last that all devices of a user hear."""
    router = Router()
    phone, laptop, bob = admitted(router, 1, ALICE), admitted(router, 2, ALICE), admitted(router, 3, BOB, R1)
    join, leave = message(kind=Kind.JOIN), message(kind=Kind.LEAVE)
    tell(router, message())
    tell(router, join, but=1)
    tell(router, message(text="in"))
    tell(router, leave, but=1)
    tell(router, message(text="out"))
    assert [each.text for each in phone.heard] == ["in"]  # type: ignore[attr-defined]
    assert laptop.heard == [join, message(text="in"), leave]
    assert len(bob.heard) == 5
    tell(router, message(kind=Kind.JOIN, sender=User("nobody")))
    tell(router, message(kind=Kind.LEAVE, sender=User("nobody")))
    assert R1 in router._by_room


def test_a_direct_message_is_heard_by_its_two_parties() -> None:
    """R2.15, Z2: by the room's name, wherever they are; a note to oneself once."""
    router = Router()
    alice, bob, other = admitted(router, 1, ALICE), admitted(router, 2, BOB), admitted(router, 3, BOB)
    eve = admitted(router, 4, EVE, direct(ALICE, BOB))
    tell(router, message(direct(BOB, ALICE)))
    assert len(alice.heard) == len(bob.heard) == len(other.heard) == 1
    tell(router, message(direct(ALICE, ALICE)))
    assert len(alice.heard) == 2
    assert eve.heard == []
    tell(router, message(direct(ALICE, User("offline"))))
    assert len(alice.heard) == 3


def test_an_announcement_is_heard_by_everybody() -> None:
    """R2.16, R4.8: everybody who is logged in, in whatever rooms, but for the one who made it."""
    router = Router()
    alice, bob, eve = admitted(router, 1, ALICE), admitted(router, 2, BOB, R1), admitted(router, 3, EVE, version=1)
    stranger = Ear(4)
    router.add(stranger)
    tell(router, message(ANNOUNCEMENTS), but=1)
    assert (len(alice.heard), len(bob.heard), len(eve.heard), len(stranger.heard)) == (0, 1, 1, 0)


def test_many_rooms_are_heard_once() -> None:
    """Protocol §7.8: presence goes to all who share a room, and to each of them once."""
    router = Router()
    alice, bob = admitted(router, 1, ALICE, R1, R2), admitted(router, 2, BOB, R2)
    away = Presence(user="eve", show=Show.AWAY)
    router.deliver(Deliver(away, InRooms(frozenset({R1, R2, GENERAL}))))
    assert alice.heard == bob.heard == [away]
    router.deliver(Deliver(away, InRooms(frozenset())))
    assert len(alice.heard) == 1


def test_users_are_heard_by_all_their_sessions() -> None:
    """Protocol §7.6: what concerns a person reaches every device."""
    router = Router()
    phone, laptop, bob = admitted(router, 1, ALICE), admitted(router, 2, ALICE), admitted(router, 3, BOB)
    away = Presence(user="eve", show=Show.AWAY)
    router.deliver(Deliver(away, OfUsers(frozenset({ALICE, User("nobody")})), but=SessionId(2)))
    assert (phone.heard, laptop.heard, bob.heard) == ([away], [], [])


def test_each_version_is_encoded_once(encodings: list[tuple[type[Pdu], int]]) -> None:
    """Router: a fan-out costs one encoding for each version, however many hear it, and none that nobody hears."""
    router = Router()
    ears = [admitted(router, number, User(f"user{number}"), GENERAL, version=1 + number % 2) for number in range(50)]
    tell(router, message(GENERAL))
    assert sorted(version for _, version in encodings) == [1, 2]
    assert len({framed for ear in ears for framed in ear.frames}) == 2
    assert all(len(ear.heard) == 1 for ear in ears)
    encodings.clear()
    tell(router, message(Room("empty")))
    tell(router, message(direct(ALICE, BOB)))
    assert encodings == []


def test_an_old_client_hears_what_he_can_understand() -> None:
    """[1.2-1], [6.6-3]: version-1 sessions get `older`, or nothing; never a PDU of version 2."""
    router = Router()
    old, new = admitted(router, 1, ALICE, GENERAL, R1, version=1), admitted(router, 2, BOB, GENERAL, R1)
    emote = message(GENERAL, kind=Kind.EMOTE)
    tell(router, emote)
    tell(router, message(R1))
    router.deliver(Deliver(Presence(user="eve", show=Show.AWAY), InRooms(frozenset({GENERAL}))))
    assert [each.kind for each in old.heard if isinstance(each, Message)] == [Kind.NOTICE]
    assert len(old.heard) == 1
    assert len(new.heard) == 3
    (data,) = frames(old.frames[0])
    assert codec.decode(data, version=1).pdu == in_version_1(emote)


def test_what_cannot_be_encoded_is_a_fault_of_whoever_made_it() -> None:
    """[2.4-2]: nothing beyond its limit is sent to anybody."""
    router = Router()
    alice = admitted(router, 1, ALICE, R1)
    with pytest.raises(LocalProtocolError):
        tell(router, message(text="x" * 32_769))
    assert alice.heard == []


def test_a_session_that_ended_leaves_nothing_behind() -> None:
    """P7, C1: after 100 sessions that came, joined, left and went, in any way, the router is as new."""
    router = Router()
    fresh = {name: type(value) for name, value in vars(router).items()}
    for number in range(100):
        user = User(f"user{number % 7}")
        ear = admitted(router, number, user, GENERAL, R1)
        tell(router, message(R2, sender=user, kind=Kind.JOIN))
        if number % 2:
            tell(router, message(R1, sender=user, kind=Kind.LEAVE))
        router.remove(ear)
        router.remove(ear)
    never = Ear(1_000)
    router.add(never)
    router.remove(never)
    assert {name: type(value) for name, value in vars(router).items()} == fresh
    assert all(not value for name, value in vars(router).items() if name != "_journal")
    assert list(router) == []


def test_a_session_that_ended_during_its_login_is_not_admitted() -> None:
    """A9, P7: the client went while his password was checked; nothing is pushed to a session that is over."""
    router = Router()
    ear = Ear(1)
    router.add(ear)
    router.remove(ear)
    router.admit(ear, ALICE, [GENERAL])
    tell(router, message(GENERAL))
    assert ear.heard == []
    assert all(not value for name, value in vars(router).items() if name != "_journal")


def test_sessions_are_closed_by_number() -> None:
    """A9: one that is gone already is passed over."""
    router = Router()
    ear = admitted(router, 1, ALICE)
    router.close(SessionId(1), Code.SESSION_REPLACED, "elsewhere")
    router.close(SessionId(2), Code.SESSION_REPLACED, "elsewhere")
    assert ear.closed == [(Code.SESSION_REPLACED, "elsewhere")]
    assert [each.id for each in router] == [1]


# What was delivered lately


def test_who_is_admitted_late_hears_what_was_said_since() -> None:
    """[3.8-4] P4: since the mark: his rooms, those he joined meanwhile, until he left; nobody hears it twice."""
    router = Router()
    bob = admitted(router, 1, BOB, R1, R2)
    tell(router, message(text="before"))
    mark = router.mark()
    heard = [
        message(text="during"),
        message(R2, sender=ALICE, kind=Kind.JOIN),
        message(R2, text="in"),
        message(R1, sender=ALICE, kind=Kind.LEAVE),
    ]
    for each in heard:
        tell(router, each)
    tell(router, message(R1, text="out"))
    before = list(bob.heard)
    alice = Ear(2)
    router.add(alice)
    assert router.admit(alice, ALICE, [R1], since=mark)
    assert alice.heard == heard
    assert (alice.parted, alice.lasts) == ([R1], [heard[-1]])
    assert bob.heard == before
    assert (router.hears(alice, R1), router.hears(alice, R2)) == (False, True)


def test_presence_is_not_worth_remembering() -> None:
    """P7: who logs in gets a snapshot; what goes to users, like an invitation, he would miss."""
    router = Router()
    mark = router.mark()
    router.deliver(Deliver(Presence(user="eve", show=Show.AWAY), InRooms(frozenset({R1}))))
    assert router.mark() == mark
    router.deliver(Deliver(Invite(room="r1", user="eve"), OfUsers(frozenset({ALICE}))))
    assert router.mark() == mark + 1


def test_the_journal_is_bounded() -> None:
    """[3.8-5] P7: by number and by bytes; a mark that it does not reach back to admits nobody."""
    journal = Journal(entries=10, size=10_000)
    effects = [Deliver(message(text=f"{number:02}"), InRooms(frozenset({R1}))) for number in range(30)]
    for number, effect in enumerate(effects):
        assert journal.mark() == number
        journal.add(effect)
    assert journal.since(20) == effects[20:]
    assert journal.since(29) == effects[29:]
    assert journal.since(30) == []
    assert journal.since(19) is None
    journal.add(Deliver(message(text="x" * 9_000), InRooms(frozenset({R1}))))
    assert journal.since(30) is not None
    assert journal.since(29) is None


def test_whom_the_journal_does_not_cover_is_not_admitted() -> None:
    """[3.8-5]: nothing has changed then; he hears nothing."""
    router = Router()
    router._journal = Journal(entries=1)
    alice = Ear(1)
    router.add(alice)
    for _ in range(2):
        tell(router, message())
    assert not router.admit(alice, ALICE, [R1], since=0)
    tell(router, message())
    assert alice.heard == []
    assert router.digest(alice) == digest([])


# Heads


def at(seq: int, room: Room = R1, *, epoch: int = 1, sender: User = BOB, kind: Kind = Kind.TEXT) -> Message:
    return Message(room=room, epoch=epoch, seq=seq, cid=bytes(16), sender=sender, kind=kind, ts=0, text="hi")


def test_heads_follow_what_is_delivered() -> None:
    """[3.2-5]: by epoch and place, never back; of rooms that nobody hears nothing is kept."""
    router = Router()
    alice = admitted(router, 1, ALICE, R1)
    assert (router.head(R1), router.digest(alice)) == (None, None)
    tell(router, at(7))
    tell(router, at(5))
    assert router.head(R1) == 7
    tell(router, at(2, epoch=2))
    tell(router, at(9, epoch=1))
    assert router.digest(alice) == digest([(R1, 2, 2)])
    tell(router, at(4, R2))
    assert router.head(R2) is None
    bob = Ear(2)
    router.add(bob)
    router.admit(bob, BOB, [R1, R2], heads={R1: (2, 1), R2: (1, 6), Room("r3"): (1, 1)})
    assert router.digest(bob) == digest([(R1, 2, 2), (R2, 1, 6)])
    router.remove(bob)
    assert router.head(R2) is None
    assert router.digest(alice) == digest([(R1, 2, 2)])


def test_a_conversation_of_two_has_a_head_from_its_first_message() -> None:
    """[3.2-5] R2.15: for every session of both, and for nobody else."""
    router = Router()
    alice, bob, eve = admitted(router, 1, ALICE), admitted(router, 2, BOB), admitted(router, 3, EVE)
    room = direct(ALICE, BOB)
    tell(router, at(1, room))
    assert router.digest(alice) == router.digest(bob) == digest([(room, 1, 1)])
    assert router.digest(eve) == digest([])
    assert (router.hears(alice, room), router.hears(eve, room)) == (True, False)
    for ear in (alice, bob, eve):
        router.remove(ear)
    assert all(not value for name, value in vars(router).items() if name != "_journal")


def test_what_travels_in_datagrams_has_no_frame() -> None:
    """[3.9-2]: encoded once, as a datagram, for all who hear it; nothing for those of version 1."""
    router = Router()
    alice, old = admitted(router, 1, ALICE, R1), admitted(router, 2, BOB, R1, version=1)
    typing = Typing(room=R1, user=EVE, counter=1, ttl=1)
    router.deliver(Deliver(typing, InRooms(frozenset({R1}))))
    assert (alice.frames, old.frames) == ([codec.encode(typing, version=2)], [])


STEPS = st.sampled_from(("come", "go", "join", "leave", "say"))


@given(st.lists(st.tuples(STEPS, st.integers(0, 3), st.sampled_from((R1, R2))), max_size=40))
def test_whoever_should_hear_hears(steps: list[tuple[str, int, Room]]) -> None:
    """P4, R0.2: after any comings and goings, exactly the sessions of a room's members hear it."""
    router = Router()
    members: dict[Room, set[User]] = {R1: set(), R2: set()}
    ears: dict[int, Ear] = {}
    for step, number, room in steps:
        user = User(f"user{number % 2}")
        if step == "come" and number not in ears:
            ears[number] = admitted(router, number, user, *(room for room in members if user in members[room]))
        elif step == "go" and number in ears:
            router.remove(ears.pop(number))
        elif step == "join":
            members[room].add(user)
            tell(router, message(room, sender=user, kind=Kind.JOIN))
        elif step == "leave":
            tell(router, message(room, sender=user, kind=Kind.LEAVE))
            members[room].discard(user)
        for ear in ears.values():
            ear.heard.clear()
        tell(router, message(room))
        hearing = {number for number, ear in ears.items() if ear.heard}
        assert hearing == {number for number in ears if User(f"user{number % 2}") in members[room]}
