"""What a client knows: a pure reducer from PDUs to rooms and people, the same for every front end. (spec 05-rooms)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from quicchat.values import dataclass
from quicchat.wire.chapters.accounts import AuthOk, Resumed, Verdict
from quicchat.wire.chapters.messages import Kind, Message, Posted, ReceiptEvent, TargetList
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show, Tick, Typing
from quicchat.wire.chapters.rooms import Rank, RoomHead, RoomState
from quicchat.wire.registry import Pdu

#: Places of sealed messages that name the user, at most: whoever is named so often need not know how often.
_MOST_SEALED: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """A room as the client sees it; `unread` and `mentions` are the server's count, None until it has told one.

    Sealed messages that name the user only he can count: the places of those not read are in `sealed`.
    """

    room: str
    epoch: int = 1
    head: int = 0
    topic: str = ""
    read: int = 0
    unread: int | None = None
    mentions: int | None = None
    rank: Rank | None = None
    policy: int = 0
    sealed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as the client sees him; `since` is Unix ms by the server's clock: when last seen, of one who is away.

    He is at his keyboard while `active` (the client's own clock, in seconds) is not over.
    """

    show: Show = Show.OFFLINE
    status: str | None = None
    address: str | None = None
    since: int | None = None
    active: float = 0.0
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Writing:
    """Somebody writes in a room until a time of the client's own clock; the counter tells what is old."""

    until: float
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a screen shows, but for the messages themselves."""

    user: str = ""
    session: int = 0
    welcome: str | None = None
    rooms: Mapping[str, RoomView] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    typing: Mapping[str, Mapping[str, Writing]] = field(default_factory=dict)


def reduce(state: State, pdu: Pdu, now: float = 0.0) -> State:
    """The state after a PDU from the server at the time `now`, in seconds on any clock that does not go back.

    One that tells nothing new gives the same state.
    """
    match pdu:
        case AuthOk() | Resumed():
            return _admitted(state, pdu)
        case RoomState():
            return _entered(state, pdu)
        case RoomHead():
            return _advanced(state, pdu.room, pdu.epoch, pdu.head)
        case Posted() if pdu.epoch is not None and pdu.room not in state.rooms and not pdu.room.startswith("@"):
            return state  # We have left the room since.
        case Posted():
            return _posted(state, pdu)
        case Message(kind=Kind.LEAVE) if pdu.sender == state.user:
            return _left(state, pdu)
        case Message():
            return _said(state, pdu, now)
        case ReceiptEvent() if pdu.user == state.user:
            return _read(state, pdu)
        case TargetList():
            return _counted(state, pdu)
        case Typing() if pdu.user is not None:
            return _typing(state, pdu, pdu.user, now)
        case _:
            return _people(state, pdu, now)


def marked(state: State, room: str, upto: int) -> State:
    """The user has read a room up to a place; what is unread behind it, only the server can count."""
    view = state.rooms.get(room)
    if view is None or upto <= view.read:
        return state
    none_left = view.unread is not None and upto >= view.head
    told = None if view.mentions is None else view.mentions - len(view.sealed)
    view = replace(view, read=upto, unread=0 if none_left else view.unread)
    view = _counting(view, 0 if none_left else told)
    return replace(state, rooms={**state.rooms, room: view})


def named(state: State, event: Message) -> State:
    """A sealed message was opened: it may name the user."""
    view = state.rooms.get(event.room)
    if view is None or event.sealed is None or event.sender == state.user or state.user not in (event.mentions or ()):
        return state
    if event.seq <= view.read or event.seq in view.sealed:
        return state
    view = replace(view, mentions=(view.mentions or 0) + 1, sealed=(*view.sealed, event.seq)[-_MOST_SEALED:])
    return replace(state, rooms={**state.rooms, event.room: view})


def typists(state: State, room: str, now: float) -> list[str]:
    """Who is writing in a room at the moment, by name."""
    return sorted(user for user, each in state.typing.get(room, {}).items() if each.until > now)


def _admitted(state: State, pdu: AuthOk | Resumed) -> State:
    """A login: of the rooms it names, what it does not tell is as it was; all else is told behind it."""
    if isinstance(pdu, AuthOk):
        places = [(room, epoch, head) for room, epoch, head, _ in pdu.heads or ()]
    else:
        places = [(room, epoch, head) for room, epoch, head, _, verdict in pdu.rooms if verdict is not Verdict.GONE]
    known = state.rooms if state.user == pdu.user else {}
    rooms = {}
    for room, epoch, head in places:
        view = known.get(room, RoomView(room=room))
        # What became of one's rank meanwhile is not told.
        rooms[room] = replace(view, epoch=epoch, head=head, rank=None)
    welcome = pdu.welcome if isinstance(pdu, AuthOk) else state.welcome
    return State(user=pdu.user, session=pdu.session, welcome=welcome, rooms=rooms)


def _counting(view: RoomView, told: int | None) -> RoomView:
    """With the server's count of mentions, and behind it those that are sealed and not read yet."""
    sealed = tuple(seq for seq in view.sealed if seq > view.read)
    return replace(view, mentions=(told or 0) + len(sealed) if told is not None or sealed else None, sealed=sealed)


def _entered(state: State, pdu: RoomState) -> State:
    old = state.rooms.get(pdu.room)
    view = RoomView(
        room=pdu.room,
        epoch=pdu.epoch,
        head=pdu.head,
        topic=pdu.topic or "",
        read=pdu.read or 0,
        unread=pdu.unread,
        mentions=pdu.mentions,
        rank=pdu.rank,
        policy=pdu.policy or 0,
        sealed=old.sealed if old is not None and old.epoch == pdu.epoch else (),
    )
    return replace(state, rooms={**state.rooms, pdu.room: _counting(view, pdu.mentions)})


def _advanced(state: State, room: str, epoch: int | None, head: int) -> State:
    """The log has come at least so far; news of an earlier epoch are none. Version 1 knows one epoch only."""
    old = state.rooms.get(room)
    view = _at(old, room, epoch, head)
    return state if view is old else replace(state, rooms={**state.rooms, room: view})


def _posted(state: State, pdu: Posted) -> State:
    """What we said is stored; where it is the first there, nothing in its conversation is unread."""
    after = _advanced(state, pdu.room, pdu.epoch, pdu.seq)
    if after is state or pdu.seq != 1:
        return after
    return replace(after, rooms={**after.rooms, pdu.room: replace(after.rooms[pdu.room], unread=0, mentions=0)})


def _at(view: RoomView | None, room: str, epoch: int | None, head: int) -> RoomView:
    if view is None:
        return RoomView(room=room, epoch=epoch or 1, head=head)
    if epoch is not None and epoch > view.epoch:
        return replace(view, epoch=epoch, head=head, read=0, unread=None, mentions=None, sealed=())
    return replace(view, head=head) if epoch in (None, view.epoch) and head > view.head else view


def _said(state: State, event: Message, now: float) -> State:
    """An event: the log grows, its sender has stopped writing, and what it says of the room is so from now on."""
    old = state.rooms.get(event.room)
    is_new = old is None or (event.epoch or old.epoch, event.seq) > (old.epoch, old.head)
    writing = state.typing.get(event.room, {}).get(event.sender)
    if writing is not None and writing.until > now:
        state = _wrote(state, event.room, event.sender, Writing(0.0, writing.counter))
    view = _at(old, event.room, event.epoch, event.seq)
    if is_new and event.kind is Kind.TOPIC:
        view = replace(view, topic=event.text or "")
    if event.kind is Kind.ROLE and state.user in (event.mentions or ()):
        view = replace(view, rank=event.rank)
    if is_new and event.policy is not None:
        view = replace(view, policy=event.policy)
    if is_new and event.seq == 1:
        # It began as we looked: the server need not count it first, and nobody reads the keys in it.
        view = replace(view, unread=0, mentions=0)
    if is_new and event.sender != state.user and event.kind is not Kind.KEY and view.unread is not None:
        named = state.user in (event.mentions or ())
        view = replace(view, unread=view.unread + 1, mentions=(view.mentions or 0) + named)
    return state if view is old else replace(state, rooms={**state.rooms, event.room: view})


def _left(state: State, event: Message) -> State:
    """We left; unless we have entered again since, and this is a late double."""
    view = state.rooms.get(event.room)
    if view is None or (event.epoch or view.epoch, event.seq) < (view.epoch, view.head):
        return state
    return replace(state, rooms={name: each for name, each in state.rooms.items() if name != event.room})


def _read(state: State, pdu: ReceiptEvent) -> State:
    """We have read something, on this device or another."""
    view = state.rooms.get(pdu.room)
    if view is None:
        return state
    unread = pdu.unread if pdu.unread is not None else view.unread
    told = None if view.mentions is None else view.mentions - len(view.sealed)
    view = replace(view, read=max(view.read, pdu.read or 0), unread=unread)
    view = _counting(view, pdu.mentions if pdu.mentions is not None else told)
    return replace(state, rooms={**state.rooms, pdu.room: view})


def _counted(state: State, pdu: TargetList) -> State:
    rooms = dict(state.rooms)
    for room, epoch, head, read, unread, mentions in pdu.targets:
        view = rooms.get(room, RoomView(room=room))
        if epoch < view.epoch:
            continue
        head = max(head, view.head) if epoch == view.epoch else head
        view = replace(view, epoch=epoch, head=head, read=read, unread=unread)
        rooms[room] = _counting(view, mentions)
    return replace(state, rooms=rooms)


def _typing(state: State, pdu: Typing, user: str, now: float) -> State:
    """Only what is newer than the last one counts: datagrams overtake each other."""
    known = state.typing.get(pdu.room, {}).get(user)
    if known is not None and pdu.counter <= known.counter:
        return state
    return _wrote(state, pdu.room, user, Writing(now + pdu.ttl / 1000 if pdu.ttl else 0.0, pdu.counter))


def _wrote(state: State, room: str, user: str, writing: Writing) -> State:
    return replace(state, typing={**state.typing, room: {**state.typing.get(room, {}), user: writing}})


def _people(state: State, pdu: Pdu, now: float) -> State:
    match pdu:
        case Presence():
            known = state.people.get(pdu.user, Person())
            person = replace(known, show=pdu.show, status=pdu.status, address=pdu.address, since=pdu.since)
            if pdu.show is Show.OFFLINE:
                # He may come back with another program, whose counter begins anew.
                person = replace(person, active=0.0, ticks=0)
                state = _silent(state, pdu.user)
            return replace(state, people={**state.people, pdu.user: person})
        case PresenceSnapshot():
            return replace(state, people=_snapshot(pdu))
        case Tick() if pdu.user is not None:
            known = state.people.get(pdu.user, Person())
            if pdu.counter <= known.ticks:
                return state
            person = replace(known, active=now + pdu.ttl / 1000, ticks=pdu.counter)
            return replace(state, people={**state.people, pdu.user: person})
        case _:
            return state


def _silent(state: State, user: str) -> State:
    """Somebody who is gone writes nothing."""
    if not any(user in users for users in state.typing.values()):
        return state
    typing = {room: {each: at for each, at in users.items() if each != user} for room, users in state.typing.items()}
    return replace(state, typing=typing)


def _snapshot(pdu: PresenceSnapshot) -> dict[str, Person]:
    standings = pdu.standings or ()
    people = {}
    for place, (user, online, address) in enumerate(pdu.users):
        show, since = Show.ONLINE if online else Show.OFFLINE, None
        if place < len(standings):
            show, since = standings[place][0], standings[place][1] or None
        people[user] = Person(show=show, address=address or None, since=since)
    return people
