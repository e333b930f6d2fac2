"""Commands about rooms and who is in them. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Done, Gone, Here, Members, Outcome, Receipts, Rooms, Unread
from quicchat.ui.slots import RANKS
from quicchat.ui.words import Call
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import GENERAL


async def join(desk: Desk, call: Call) -> Outcome:
    room = call["room"]
    view = desk.chat.state.rooms.get(room)
    if room == GENERAL or view is not None:
        desk.room = room
        return Here(room, view.topic if view is not None else "", None, desk.encryption(room))
    state = await desk.chat.join(room, secret=call.get("secret"))
    desk.room = room
    return Here(room, state.topic or "", state.members, desk.encryption(room))


async def query(desk: Desk, call: Call) -> Outcome:
    desk.room = desk.log(f"@{call['user']}")
    return Here(desk.room, encryption=await desk.look(desk.room))


async def create(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.create(call["room"], topic=call.get("topic"))
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def group(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.join(call["room"], create=True, ephemeral=True)
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def create_group(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.create(call["room"], ephemeral=True)
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def leave(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    if room.startswith("@"):
        # A conversation has no members who could leave; one only turns to something else.
        desk.room = GENERAL
        return Here(GENERAL)
    await desk.chat.leave(room)
    if room == desk.room:
        desk.room = GENERAL
    return Gone(room, desk.room)


async def rooms(desk: Desk, call: Call) -> Outcome:
    return Rooms(await desk.chat.rooms(), desk.room)


async def members(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    return Members(room, await desk.chat.members(room))


async def topic(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    if (text := call.get("topic")) is not None:
        await desk.chat.room(room).set(topic=text)
        return Done("topic", {"room": room, "topic": text})
    view = desk.chat.state.rooms.get(room)
    return Here(room, view.topic if view is not None else "")


async def key(desk: Desk, call: Call) -> Outcome:
    secret = call.get("secret") or ""
    await desk.chat.room(desk.here).set(secret=secret)
    return Done("key" if secret else "nokey", {"room": desk.here})


async def invite(desk: Desk, call: Call) -> Outcome:
    await desk.chat.room(desk.here).invite(call["user"])
    return Done("invite", {"user": call["user"], "room": desk.here})


def put_out(name: str, *, ban: bool) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    """Kick or ban."""

    async def run(desk: Desk, call: Call) -> Outcome:
        await desk.chat.room(desk.here).kick(call["user"], reason=call.get("reason"), ban=ban)
        return Done(name, {"user": call["user"], "room": desk.here})

    return run


def rank(name: str, rank: Rank | None = None) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    """Give somebody this rank, or the one that is typed."""

    async def run(desk: Desk, call: Call) -> Outcome:
        found = rank if rank is not None else RANKS[call["rank"].lower()]
        await desk.chat.room(desk.here).rank(call["user"], found)
        return Done(name, {"user": call["user"], "room": desk.here, "rank": found.name.lower()})

    return run


async def unread(desk: Desk, call: Call) -> Outcome:
    rows = [(room, unread, mentions) for room, _, _, _, unread, mentions in await desk.chat.targets()]
    return Unread([row for row in rows if row[1]])


async def receipts(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    found = await desk.chat.room(room).receipts()
    return Receipts(room, found.people, found.count)


async def read(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    desk.chat.mark_read(room)
    return Done("read", {"room": room})
