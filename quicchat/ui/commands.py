"""The one table of commands for every front end: names, words, help, and what each does. (spec 12-operation)

The parser, help, completion, the manual page and the tables of the specification and the README all come from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quicchat.client.files.transfer import Transfer
from quicchat.errors import Code, Refused
from quicchat.ui import attention, files, keys, oneself, places, talk
from quicchat.ui.desk import Desk
from quicchat.ui.help import THOSE
from quicchat.ui.outcomes import Outcome
from quicchat.ui.words import Call, Command
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank


async def run(desk: Desk, call: Call) -> Outcome:
    """Carry out a call, in the room that it is for, wherever one goes meanwhile.

    Raises Refused, LinkLost; trying again with the same call doubles nothing.
    """
    needed = call.command.since
    # Between two connections there is no version, and what is said then waits for the next one.
    if 0 < desk.chat.version < needed:
        text = f"/{call.command.name} needs protocol version {needed}; this connection has {desk.chat.version}."
        raise Refused(Code.UNSUPPORTED, text)
    here = desk.room if call.room is None else call.room
    there = replace(desk, room=here)
    _check_rank(there, call.command)
    outcome: Outcome = await call.command.run(there, replace(call, room=here))
    if call.command.enters or desk.room == here:
        desk.room = there.room
    return outcome


def _check_rank(desk: Desk, command: Command) -> None:
    """Say at once what the server would say, where it has told our rank; it decides anyway. Raises Refused."""
    view = desk.chat.state.rooms.get(desk.room)
    if command.rank is None or view is None or view.rank is None or desk.room.startswith("@"):
        return
    if view.rank < command.rank:
        those = THOSE[command.rank]
        raise Refused(Code.FORBIDDEN, f"/{command.name} is for {those}; in {desk.room} you are {_called(view.rank)}.")


def _called(rank: Rank) -> str:
    """What somebody of a rank is."""
    return f"an {rank.name.lower()}" if rank in (Rank.OUTCAST, Rank.OWNER) else f"a {rank.name.lower()}"


_HELP: Final = Command(
    "help",
    "[command...]",
    "list the commands, or explain one",
    oneself.help_,
    since=1,
    aliases=("h", "?"),
    classic=("MENU",),
    mystic=("help",),
    local=True,
    group="oneself",
)

_TALK: Final = (
    Command("say", "<text...>", "say something here, whatever it begins with", talk.say, says=True, since=1),
    Command(
        "msg",
        "<user> <text...>",
        "say something to one user, now or when he comes",
        talk.msg,
        says=True,
        since=1,
        aliases=("m", "pm", "tell"),
        classic=("DM", "send"),
        mystic=("pm",),
        asks=True,
    ),
    Command(
        "public", "<text...>", "say something here", talk.public, says=True, since=1, classic=("PM",), only="classic"
    ),
    Command("me", "<text...>", "do something, as in /me waves", talk.me, says=True),
    Command("code", "<text...>", "say something that is shown as it is", talk.code, says=True),
    Command(
        "reply",
        "[seq] <text...>",
        "answer a message, or the last one of somebody else",
        talk.reply,
        says=True,
        aliases=("re",),
    ),
    Command(
        "edit",
        "[seq] <text...>",
        "put another text in the place of a message, or of your last one",
        talk.edit,
        says=True,
        aliases=("correct",),
    ),
    Command(
        "retract",
        "[seq]",
        "take a message back, or your last one",
        talk.retract,
        says=True,
        aliases=("delete", "unsend"),
    ),
    Command("react", "[seq] <emoji>", "react to a message, or to the last one of somebody else", talk.react, says=True),
    Command("pin", "[seq]", "pin a message, or the last one", talk.pin, says=True, rank=Rank.MODERATOR),
    Command(
        "broadcast",
        "<text...>",
        "announce something to everybody",
        talk.broadcast,
        says=True,
        since=1,
        classic=("send_all",),
        mystic=("broadcast",),
    ),
    Command(
        "history",
        "[past...]",
        "show what was said: [room|@user|*] [count] [before|after|around #place]",
        talk.history,
        aliases=("hist",),
        kept=True,
    ),
    Command(
        "search",
        "<words...>",
        "find messages with all of these words, or beginnings of words*",
        talk.search,
        aliases=("find",),
        kept=True,
    ),
    Command("trace", "[seq]", "show the way that a message took, or the last one", talk.trace, since=1, local=True),
    Command("typing", "[onoff]", "show that you are writing here", talk.typing),
    Command("echo", "<text...>", "have the server send something back", talk.echo, since=1),
)

_ROOMS: Final = (
    Command(
        "join", "<room> [secret]", "enter a room; what you type goes there", places.join, aliases=("j",), enters=True
    ),
    Command(
        "query", "<user>", "talk with one user: what you type goes to him, until you /leave", places.query, enters=True
    ),
    Command("create", "<room> [topic...]", "make a room", places.create, enters=True),
    Command(
        "group",
        "<room>",
        "enter a group, or make one that ends with its last member",
        places.group,
        mystic=("join group",),
        enters=True,
    ),
    Command(
        "newgroup",
        "<room>",
        "make a group that ends with its last member",
        places.create_group,
        mystic=("create group",),
        enters=True,
    ),
    Command("leave", "[room]", "leave a room or group", places.leave, aliases=("part",), mystic=("leave group",)),
    Command("rooms", "", "list rooms and groups", places.rooms, aliases=("list", "groups"), mystic=("groups",)),
    Command("members", "[room]", "list who is in a room", places.members, aliases=("names",)),
    Command("topic", "[topic...]", "show or set what this room is about", places.topic),
    Command("key", "[secret]", "let in only who knows this word; without it everybody", places.key, rank=Rank.OWNER),
    Command("invite", "<user>", "let somebody into this room", places.invite),
    Command(
        "kick",
        "<user> [reason...]",
        "put somebody out of this room",
        places.put_out("kick", ban=False),
        rank=Rank.MODERATOR,
    ),
    Command(
        "ban",
        "<user> [reason...]",
        "put somebody out of this room for good",
        places.put_out("ban", ban=True),
        rank=Rank.MODERATOR,
    ),
    Command("unban", "<user>", "let somebody come again", places.rank("unban", Rank.MEMBER), rank=Rank.MODERATOR),
    Command("mute", "<user>", "let somebody listen only", places.rank("mute", Rank.VISITOR), rank=Rank.MODERATOR),
    Command("unmute", "<user>", "let somebody speak again", places.rank("unmute", Rank.MEMBER), rank=Rank.MODERATOR),
    Command(
        "role",
        "<user> <rank>",
        "make somebody outcast, visitor, member, moderator or owner",
        places.rank("role"),
        aliases=("rank",),
        rank=Rank.MODERATOR,
    ),
    Command("unread", "", "list where something waits", places.unread, aliases=("targets",)),
    Command("receipts", "[room]", "show how far the others have come", places.receipts, aliases=("seen",)),
    Command("read", "[room]", "tell that you have read all", places.read),
)

_FILES: Final = (
    Command(
        "files",
        "[place]",
        "list the files of this room and of the server; or of one place: a room, @user, shared",
        files.files,
        aliases=("ls",),
        mystic=("files",),
    ),
    Command(
        "get",
        "<file...>",
        "fetch a file: NAME, #place of its message, shared/NAME, room/NAME; udp behind it for datagrams",
        files.get,
        aliases=("download", "fetch"),
        mystic=("download",),
    ),
    Command(
        "send",
        "<files...>",
        'send files or directories here, or to one: /send @bob photo.jpg "my notes"',
        files.send,
        aliases=("upload",),
        mystic=("send",),
    ),
    Command("transfers", "", "list the files on their way", files.transfers, local=True),
    Command(
        "pause",
        "[number]",
        "let a file stand still; what is verified stays",
        files.wish("pause", Transfer.pause),
        local=True,
    ),
    Command(
        "resume", "[number]", "go on with a file, or with all that stand still or were begun another time", files.resume
    ),
    Command(
        "cancel", "[number]", "give up a file that is on its way", files.wish("cancel", Transfer.cancel), local=True
    ),
)

_KEYS: Final = (
    Command("keys", "[user]", "show your keys, or how far those of somebody are trusted", keys.keys, local=True),
    Command(
        "verify",
        "<user> [digits...]",
        "show the safety number of you and somebody; with it, or with yes once you have compared it, trust him",
        keys.verify,
    ),
    Command("accept", "<user>", "go on with the new identity of somebody, without comparing it", keys.accept),
    Command("untrust", "<user>", "take back that you have compared the identity of somebody", keys.untrust),
    Command(
        "devices", "", "list your devices: where you are logged in, which can read what is encrypted", keys.devices
    ),
    Command("approve", "[device...]", "let a new device of yours in, or list those that wait for it", keys.approve),
    Command("remove-device", "<device...>", "let a device of yours read nothing more", keys.remove),
    Command("recovery", "", "show the code that brings keys and history back; write it down", keys.recovery),
    Command("new-recovery", "", "make another recovery code; the old one opens nothing then", keys.new_recovery),
    Command("restore", "<code>", "let this device in by the recovery code; it is asked for", keys.restore, hidden=True),
    Command("renew", "", "begin anew with another identity, where every device and the code are lost", keys.renew),
    Command(
        "create-encrypted",
        "<room> [topic...]",
        "make a room that is encrypted from end to end",
        keys.create,
        enters=True,
    ),
    Command(
        "encrypt", "[room]", "encrypt this room from end to end, on but never off again", keys.encrypt, rank=Rank.OWNER
    ),
    Command("rotate", "[room]", "speak with a new key from your next message on", keys.rotate),
)

_ONESELF: Final = (
    Command("users", "", "list everybody", oneself.users, since=1, aliases=("who",), mystic=("users",)),
    Command("away", "[status...]", "appear away", oneself.show(Show.AWAY), aliases=("afk",)),
    Command("busy", "[status...]", "appear busy", oneself.show(Show.BUSY)),
    Command("online", "[status...]", "appear online again", oneself.show(Show.ONLINE), aliases=("back",)),
    Command(
        "offline", "", "appear offline; you still hear everything", oneself.show(Show.OFFLINE), aliases=("invisible",)
    ),
    Command("dereg", "", "be offline: messages wait until /reg", oneself.dereg, classic=("dereg",)),
    Command("reg", "", "be back, and get what waits", oneself.reg, classic=("reg",)),
    Command(
        "notify", "[where] [level]", "announce all of a room, mentions or none", attention.notify, since=1, local=True
    ),
    Command("dnd", "[span]", "announce nothing: on, off, 30m, 2h, 1d", attention.dnd, since=1, local=True),
    Command("ping", "", "measure the way to the server and back", oneself.ping, since=1),
    Command(
        "status",
        "",
        "show the connection and what waits for it",
        oneself.status,
        since=1,
        aliases=("info",),
        local=True,
    ),
    Command("migrate", "", "go on from another local address", oneself.migrate),
    Command("sessions", "", "list where you are logged in", oneself.sessions),
    Command("revoke", "<session>", "end one of your sessions", oneself.revoke),
    Command(
        "ignore",
        "<user>",
        "hear nothing of what somebody says; he is not told",
        oneself.ignore(True),
        since=1,
        aliases=("block",),
    ),
    Command("unignore", "<user>", "hear somebody again", oneself.ignore(False), since=1, aliases=("unblock",)),
    Command(
        "password",
        "<current> <new> <again>",
        "change your password; all other sessions end",
        oneself.password,
        hidden=True,
    ),
    Command("logout", "", "leave, and log in by password next time", oneself.logout, ends=True),
    Command(
        "quit",
        "[reason...]",
        "say goodbye and leave",
        oneself.quit_,
        since=1,
        aliases=("q", "qqq", "exit", "bye", "disconnect"),
        classic=("EX",),
        mystic=("disconnect",),
        ends=True,
    ),
)

_GROUPS: Final = {"talk": _TALK, "rooms": _ROOMS, "files": _FILES, "keys": _KEYS, "oneself": _ONESELF}

COMMANDS: Final = (_HELP, *(replace(each, group=name) for name, rows in _GROUPS.items() for each in rows))
