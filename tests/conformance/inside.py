"""How cases enter rooms, and what they find there."""

from __future__ import annotations

from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, HistoryPage, Kind, Message, Window
from quicchat.wire.chapters.rooms import Create, Join, ListMembers, ListRooms, MemberList, Rank, RoomList, RoomState
from quicchat.wire.chapters.session import Ok
from quicchat.wire.registry import Pdu
from tests.conformance.peer import Peer


async def state(peer: Peer, pdu: Create | Join) -> RoomState:
    """Enter a room."""
    answer = await peer.ask(pdu)
    assert isinstance(answer, RoomState), answer
    return answer


async def events(peer: Peer, room: str) -> list[tuple[Kind, str]]:
    """Kind and sender of all events of a room."""
    page = await peer.ask(History(room=room, window=Window.AFTER, anchor=0))
    assert isinstance(page, HistoryPage)
    messages = [codec.decode_body(Message, body, version=2) for body in page.events]
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    return [(message.kind, message.sender) for message in messages]


async def listed(peer: Peer, page: int = 200) -> list[tuple[str, int, str, bool]]:
    """All rooms, by pages."""
    found: list[tuple[str, int, str, bool]] = []
    while True:
        answer = await peer.ask(ListRooms(after=found[-1][0] if found else None, limit=page))
        assert isinstance(answer, RoomList)
        assert len(answer.rooms) <= page
        found += answer.rooms
        if not answer.more:
            return found


async def ranks(peer: Peer, room: str) -> dict[str, Rank]:
    """Who is in, and as what."""
    answer = await peer.ask(ListMembers(room=room))
    assert isinstance(answer, MemberList), answer
    return {user: rank for user, _, rank in answer.members}


async def next_event(peer: Peer, room: str) -> Message:
    """The next event of a room that somebody hears."""
    return await peer.hear(Message, lambda message: message.room == room)


async def done(peer: Peer, *asked: Pdu) -> None:
    """Requests that are answered with OK."""
    for pdu in asked:
        assert await peer.ask(pdu) == Ok(), pdu
