"""What a client knows: a pure reducer from PDUs to rooms and people, the same for every front end. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quicchat.wire.chapters.accounts import AuthOk
from quicchat.wire.chapters.messages import Kind, Message, Posted
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import RoomHead, RoomState
from quicchat.wire.registry import Pdu


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """A room as the client sees it."""

    room: str
    epoch: int = 1
    head: int = 0
    topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as the client sees him."""

    show: Show = Show.OFFLINE
    status: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a screen shows, but for the messages themselves."""

    user: str = ""
    session: int = 0
    welcome: str | None = None
    rooms: Mapping[str, RoomView] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)


def reduce(state: State, pdu: Pdu) -> State:
    """The state after a PDU from the server; one that tells nothing new gives the same state."""
    match pdu:
        case AuthOk():
            rooms = {room: RoomView(room=room, epoch=epoch, head=head) for room, epoch, head, _ in pdu.heads or ()}
            return State(user=pdu.user, session=pdu.session, welcome=pdu.welcome, rooms=rooms)
        case RoomState():
            view = RoomView(room=pdu.room, epoch=pdu.epoch, head=pdu.head, topic=pdu.topic or "")
            return replace(state, rooms={**state.rooms, pdu.room: view})
        case RoomHead():
            return _advanced(state, pdu.room, pdu.epoch, pdu.head)
        case Posted():
            return _advanced(state, pdu.room, pdu.epoch, pdu.seq)
        case Message(kind=Kind.LEAVE) if pdu.sender == state.user:
            return _left(state, pdu)
        case Message():
            return _advanced(state, pdu.room, pdu.epoch, pdu.seq)
        case Presence():
            person = Person(show=pdu.show, status=pdu.status, address=pdu.address)
            return replace(state, people={**state.people, pdu.user: person})
        case PresenceSnapshot():
            people = {
                user: Person(show=Show.ONLINE if online else Show.OFFLINE, address=address or None)
                for user, online, address in pdu.users
            }
            return replace(state, people=people)
        case _:
            return state


def _advanced(state: State, room: str, epoch: int | None, head: int) -> State:
    """The log has come at least so far; news of an earlier epoch are none. Version 1 knows one epoch only."""
    view = state.rooms.get(room)
    if view is None:
        view = RoomView(room=room, epoch=epoch or 1, head=head)
    elif epoch is not None and epoch > view.epoch:
        view = replace(view, epoch=epoch, head=head)
    elif epoch in (None, view.epoch) and head > view.head:
        view = replace(view, head=head)
    else:
        return state
    return replace(state, rooms={**state.rooms, room: view})


def _left(state: State, event: Message) -> State:
    """We left; unless we have entered again since, and this is a late double."""
    view = state.rooms.get(event.room)
    if view is None or (event.epoch or view.epoch, event.seq) < (view.epoch, view.head):
        return state
    return replace(state, rooms={name: each for name, each in state.rooms.items() if name != event.room})
