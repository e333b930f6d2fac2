"""The one table of commands for every front end: names, words, help, and what each does. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from quicchat.client.api import Chat
from quicchat.errors import Code, Refused
from quicchat.ui.outcomes import (
    Echoed,
    Gone,
    Heard,
    Help,
    Here,
    Members,
    Outcome,
    Past,
    People,
    Quit,
    Rooms,
    Rtt,
    Sent,
    Shown,
)
from quicchat.ui.words import MOST, Call, Command, Vocabulary
from quicchat.wire.chapters.messages import Kind, Window
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, User, direct

#: Events that /history shows unless told otherwise.
_EVENTS: Final = 20


@dataclass(slots=True)
class Desk:
    """What commands work on: the connection, and the room that plain text goes to."""

    chat: Chat
    words: Vocabulary
    #: None was entered where it is empty.
    room: str = GENERAL
    #: When messages came here (Unix ms), by [room, epoch, seq].
    received: Mapping[tuple[str, int | None, int], int] = field(default_factory=dict)


async def run(desk: Desk, call: Call) -> Outcome:
    """Carry out a call. Raises Refused, LinkLost; trying again with the same call doubles nothing."""
    needed = call.command.since
    if desk.chat.version < needed:
        text = f"/{call.command.name} needs protocol version {needed}; this connection has {desk.chat.version}."
        raise Refused(Code.UNSUPPORTED, text)
    outcome: Outcome = await call.command.run(desk, call)
    return outcome


async def _help(desk: Desk, call: Call) -> Outcome:
    wanted = (call.get("command") or "").removeprefix("/").lower()
    found = [each for each in desk.words.commands if not wanted or wanted in (each.name, *each.aliases)]
    if not found:
        raise Refused(Code.UNSUPPORTED, f"There is no command /{wanted}.")
    return Help(found, desk.words.style)


async def _say(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(_here(desk), call["text"], cid=call.cid))


def _here(desk: Desk) -> str:
    if not desk.room:
        raise Refused(Code.NOT_MEMBER, "You are in no room; /join one, or /join general.")
    return desk.room


async def _public(desk: Desk, call: Call) -> Outcome:
    name = call["text"].split(None, 1)[0].lower().lstrip("@").rstrip(":,")
    if name in desk.chat.state.people:
        # In other languages PM is private: what was meant for one must not be told to all.
        raise Refused(Code.FORBIDDEN, f"PM speaks to everybody. To {name} alone: DM {name} ...")
    return await _say(desk, call)


async def _me(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(_here(desk), call["text"], kind=Kind.EMOTE, cid=call.cid))


async def _msg(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.tell(call["user"], call["text"], cid=call.cid), call["user"])


async def _broadcast(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(ANNOUNCEMENTS, call["text"], cid=call.cid))


async def _echo(desk: Desk, call: Call) -> Outcome:
    return Echoed(await desk.chat.echo(call["text"]))


async def _ping(desk: Desk, call: Call) -> Outcome:
    return Rtt(await desk.chat.ping())


async def _quit(desk: Desk, call: Call) -> Outcome:
    return Quit(call.get("reason") or "quit")


async def _join(desk: Desk, call: Call) -> Outcome:
    room = call["room"]
    view = desk.chat.state.rooms.get(room)
    if room == GENERAL or view is not None:
        desk.room = room
        return Here(room, view.topic if view is not None else "")
    state = await desk.chat.join(room)
    desk.room = room
    return Here(room, state.topic or "", state.members)


async def _create(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.create(call["room"], topic=call.get("topic"))
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def _group(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.join(call["room"], create=True, ephemeral=True)
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def _create_group(desk: Desk, call: Call) -> Outcome:
    state = await desk.chat.create(call["room"], ephemeral=True)
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members)


async def _leave(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or _here(desk)
    await desk.chat.leave(room)
    if room == desk.room:
        desk.room = GENERAL
    return Gone(room, desk.room)


async def _rooms(desk: Desk, call: Call) -> Outcome:
    return Rooms(await desk.chat.rooms(), desk.room)


async def _members(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or _here(desk)
    return Members(room, await desk.chat.members(room))


async def _users(desk: Desk, call: Call) -> Outcome:
    return People(desk.chat.state.people)


async def _history(desk: Desk, call: Call) -> Outcome:
    where, count = call.get("where") or _here(desk), call.get("count") or ""
    if where.isdigit() and not count:
        where, count = _here(desk), where
    limit = min(int(count or _EVENTS), MOST)
    if where.startswith("@"):
        where = direct(User(desk.chat.state.user), User(where[1:]))
    events = await desk.chat.history(where, window=Window.LATEST, limit=limit)
    return Past(where, [Heard(each, desk.received.get((each.room, each.epoch, each.seq))) for each in events])


def _show(show: Show) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    async def run(desk: Desk, call: Call) -> Outcome:
        await desk.chat.show(show)
        return Shown(show)

    return run


COMMANDS: Final = (
    Command(
        name="help",
        arguments="[command]",
        about="list the commands, or explain one",
        run=_help,
        aliases=("h", "?"),
        classic=("MENU",),
        mystic=("help",),
    ),
    Command(name="say", arguments="<text...>", about="say something here, whatever it begins with", run=_say),
    Command(
        name="msg",
        arguments="<user> <text...>",
        about="say something to one user, now or when he comes",
        run=_msg,
        aliases=("m", "pm", "tell"),
        classic=("DM", "send"),
        mystic=("pm",),
        asks=True,
    ),
    Command(
        name="public", arguments="<text...>", about="say something here", run=_public, classic=("PM",), only="classic"
    ),
    Command(name="me", arguments="<text...>", about="do something, as in /me waves", run=_me, since=2),
    Command(
        name="broadcast",
        arguments="<text...>",
        about="announce something to everybody",
        run=_broadcast,
        classic=("send_all",),
        mystic=("broadcast",),
    ),
    Command(
        name="join",
        arguments="<room>",
        about="enter a room; what you type goes there",
        run=_join,
        aliases=("j",),
        enters=True,
        since=2,
    ),
    Command(name="create", arguments="<room> [topic...]", about="make a room", run=_create, since=2, enters=True),
    Command(
        name="group",
        arguments="<room>",
        about="enter a group, or make one that ends with its last member",
        run=_group,
        mystic=("join group",),
        enters=True,
        since=2,
    ),
    Command(
        name="newgroup",
        arguments="<room>",
        about="make a group that ends with its last member",
        run=_create_group,
        mystic=("create group",),
        enters=True,
        since=2,
    ),
    Command(
        name="leave",
        arguments="[room]",
        about="leave a room or group",
        run=_leave,
        aliases=("part",),
        mystic=("leave group",),
        since=2,
    ),
    Command(
        name="rooms",
        about="list rooms and groups",
        run=_rooms,
        aliases=("list", "groups"),
        mystic=("groups",),
        since=2,
    ),
    Command(
        name="members", arguments="[room]", about="list who is in a room", run=_members, aliases=("names",), since=2
    ),
    Command(name="users", about="list everybody", run=_users, aliases=("who",), mystic=("users",)),
    Command(
        name="history",
        arguments="[where] [count]",
        about="show what was said, with all times, in a room, @user or *",
        run=_history,
        aliases=("hist",),
        since=2,
    ),
    Command(name="echo", arguments="<text...>", about="have the server send something back", run=_echo),
    Command(name="ping", about="measure the way to the server and back", run=_ping),
    Command(
        name="offline",
        about="appear offline; you still hear everything",
        run=_show(Show.OFFLINE),
        aliases=("invisible",),
        classic=("dereg",),
        since=2,
    ),
    Command(
        name="online",
        about="appear online again",
        run=_show(Show.ONLINE),
        classic=("reg",),
        since=2,
    ),
    Command(
        name="quit",
        arguments="[reason...]",
        about="say goodbye and leave",
        run=_quit,
        aliases=("q", "qqq", "exit", "bye", "disconnect"),
        classic=("EX",),
        mystic=("disconnect",),
    ),
)
