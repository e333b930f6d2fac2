"""The reducer: what a client knows after each PDU."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import Person, RoomView, State, marked, named, reduce
from quicchat.wire.chapters.accounts import AuthOk, Resumed
from quicchat.wire.chapters.messages import Kind, Message, Posted, ReceiptEvent, TargetList
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import RoomHead, RoomState
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import REGISTRY, Pdu, Role
from tests.strategies import pdus

WELCOME = AuthOk(user="alice", session=5, proof=b"", welcome="Hi.", heads=(("general", 1, 7, 3), ("r1", 2, 4, 4)))
START = reduce(State(), WELCOME)


def after(*news: Pdu) -> State:
    state = START
    for pdu in news:
        state = reduce(state, pdu)
    return state


def message(
    seq: int, *, room: str = "r1", epoch: int | None = 2, sender: str = "bob", kind: Kind = Kind.TEXT
) -> Message:
    return Message(room=room, epoch=epoch, seq=seq, cid=bytes(16), sender=sender, kind=kind, ts=0, text="x")


def room_state(head: int, *, epoch: int = 2, topic: str | None = None) -> RoomState:
    return RoomState(room="r1", epoch=epoch, first=1, head=head, topic=topic)


def test_a_login_begins_with_what_the_server_tells() -> None:
    """[4.2-9]: user, session, welcome, and every room with its head; nothing is left of a session before."""
    assert (START.user, START.session, START.welcome, START.people) == ("alice", 5, "Hi.", {})
    assert START.rooms == {
        "general": RoomView(room="general", head=7),
        "r1": RoomView(room="r1", epoch=2, head=4),
    }
    before = after(PresenceSnapshot(users=(("bob", True, ""),)))
    assert reduce(before, AuthOk(user="alice", session=6, proof=b"")) == State(user="alice", session=6)


def test_a_room_that_is_entered_is_known() -> None:
    """R0.1: ROOM_STATE says how a room is; a second one replaces the first."""
    state = after(room_state(9, topic="trees"), room_state(11))
    assert state.rooms["r1"] == RoomView(room="r1", epoch=2, head=11)
    assert after(room_state(9, topic="trees")).rooms["r1"].topic == "trees"


def test_heads_only_go_forward() -> None:
    """P4, [6.3-5]: by message, acknowledgement or ROOM_HEAD; an earlier place or epoch is no news."""
    for news in (
        message(6),
        Posted(cid=bytes(16), room="r1", seq=6, ts=0, epoch=2),
        RoomHead(room="r1", epoch=2, head=6),
    ):
        assert after(news).rooms["r1"] == RoomView(room="r1", epoch=2, head=6)
    for old in (message(4), message(3), message(900, epoch=1), RoomHead(room="r1", epoch=1, head=900)):
        assert after(old) is START
    assert after(message(1, epoch=3)).rooms["r1"] == RoomView(room="r1", epoch=3, head=1, unread=1, mentions=0)
    assert after(message(6, epoch=None)).rooms["r1"] == RoomView(room="r1", epoch=2, head=6)


def test_sealed_mentions_stand_behind_those_that_the_server_counts() -> None:
    """[15.6-25]: its counts replace its counts; what only the client can read is added until it is read."""
    state = after(replace(room_state(4), read=4, unread=0, mentions=0))
    sealed = replace(message(5), sealed=b"s", mentions=("alice",))
    state = named(reduce(state, replace(sealed, mentions=None)), sealed)
    assert named(state, sealed) is state
    assert named(state, replace(sealed, seq=6, sender="alice")) is state
    assert named(state, replace(sealed, seq=6, sealed=None)) is state
    assert (state.rooms["r1"].unread, state.rooms["r1"].mentions) == (1, 1)
    state = reduce(state, TargetList(targets=(("r1", 2, 6, 4, 2, 1),), more=False))
    assert (state.rooms["r1"].unread, state.rooms["r1"].mentions) == (2, 2)
    state = reduce(state, message(7, kind=Kind.KEY))
    assert state.rooms["r1"].unread == 2
    state = reduce(state, ReceiptEvent(room="r1", user="alice", read=5, unread=1, mentions=1))
    assert state.rooms["r1"].mentions == 1
    state = marked(state, "r1", 7)
    assert (state.rooms["r1"].unread, state.rooms["r1"].mentions) == (0, 0)


def test_a_conversation_that_begins_with_a_key_counts_what_people_read() -> None:
    """R2.15: the key of the first direct message comes before it, and is not a second unread message."""
    state = after(message(1, room="@alice,bob", epoch=1, kind=Kind.KEY))
    assert state.rooms["@alice,bob"].unread == 0
    state = reduce(state, message(2, room="@alice,bob", epoch=1))
    assert state.rooms["@alice,bob"].unread == 1
    state = marked(state, "@alice,bob", 2)
    state = reduce(state, message(3, room="@alice,bob", epoch=1, kind=Kind.KEY))
    assert state.rooms["@alice,bob"].unread == 0


def test_nothing_is_unread_in_a_conversation_that_one_began() -> None:
    """R2.15, [15.6-25]: the key and the words are one's own; the answer is one message, not two."""
    state = after(*(Posted(cid=bytes(16), room="@alice,bob", seq=seq, ts=0, epoch=1) for seq in (1, 2)))
    assert state.rooms["@alice,bob"].unread == 0
    state = reduce(state, message(3, room="@alice,bob", epoch=1, kind=Kind.KEY))
    state = reduce(state, message(4, room="@alice,bob", epoch=1))
    assert state.rooms["@alice,bob"].unread == 1


def test_a_direct_message_makes_its_room() -> None:
    """R2.15: nobody enters a direct-message room; its first event makes it known, in its epoch."""
    state = after(message(1, room="@alice,bob", epoch=1), message(1, room="@alice,eve", epoch=3))
    assert state.rooms["@alice,bob"] == RoomView(room="@alice,bob", head=1, unread=1, mentions=0)
    assert state.rooms["@alice,eve"] == RoomView(room="@alice,eve", epoch=3, head=1, unread=1, mentions=0)
    assert after(message(8, room="@alice,bob", epoch=None)).rooms["@alice,bob"].head == 8


def test_a_room_that_is_left_is_forgotten() -> None:
    """R2.19: by our own LEAVE, said with any device; others' only move the head."""
    assert set(after(message(5, sender="alice", kind=Kind.LEAVE)).rooms) == {"general"}
    assert after(message(5, sender="bob", kind=Kind.LEAVE)).rooms["r1"].head == 5
    assert after(message(5, sender="alice", kind=Kind.LEAVE), room_state(6)).rooms["r1"].head == 6


def test_a_late_double_of_our_leave_changes_nothing() -> None:
    """P4: the room was entered again since, or is forgotten already."""
    leave = message(5, sender="alice", kind=Kind.LEAVE)
    back = after(leave, room_state(6))
    assert reduce(back, leave) is back
    anew = after(leave, room_state(1, epoch=3))
    assert reduce(anew, leave) is anew
    gone = after(leave)
    assert reduce(gone, leave) is gone
    assert "r1" not in after(message(5, sender="alice", kind=Kind.LEAVE, epoch=None)).rooms


def test_people_come_and_go() -> None:
    """R4.4, R1.5: the snapshot is the whole table, a change replaces one row."""
    state = after(
        PresenceSnapshot(users=(("bob", True, "192.0.2.1:9"), ("eve", False, ""))),
        Presence(user="eve", show=Show.AWAY, status="lunch"),
        Presence(user="zoe", show=Show.ONLINE, address="[2001:db8::1]:9"),
    )
    assert state.people == {
        "bob": Person(show=Show.ONLINE, address="192.0.2.1:9"),
        "eve": Person(show=Show.AWAY, status="lunch"),
        "zoe": Person(show=Show.ONLINE, address="[2001:db8::1]:9"),
    }
    assert reduce(state, PresenceSnapshot(users=())).people == {}


def test_what_tells_nothing_leaves_the_state_as_it_is() -> None:
    """Reducer: the same object, so that a screen sees that there is nothing to draw."""
    assert after(Ok()) is START


@given(st.lists(st.sampled_from(REGISTRY.sent_by(Role.SERVER)).flatmap(pdus), max_size=6))
def test_no_server_breaks_the_reducer(news: list[Pdu]) -> None:
    """P8, P4: whatever PDUs a server sends, there is a next state, and no head goes back within its epoch."""
    state = START
    for pdu in news:
        before, state = state, reduce(state, pdu)
        if isinstance(pdu, AuthOk | Resumed | RoomState):
            continue
        for name, view in before.rooms.items():
            if name in state.rooms:
                assert (state.rooms[name].epoch, state.rooms[name].head) >= (view.epoch, view.head)
