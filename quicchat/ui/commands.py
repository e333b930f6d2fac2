"""The one table of commands for every front end: names, words, help, and what each does. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from quicchat.client.files.transfer import Transfer
from quicchat.errors import Code, Refused
from quicchat.ui import files, oneself, places, talk
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Outcome
from quicchat.ui.words import Call, Command
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank


async def run(desk: Desk, call: Call) -> Outcome:
    """Carry out a call. Raises Refused, LinkLost; trying again with the same call doubles nothing."""
    needed = call.command.since
    # Between two connections there is no version, and what is said then waits for the next one.
    if 0 < desk.chat.version < needed:
        text = f"/{call.command.name} needs protocol version {needed}; this connection has {desk.chat.version}."
        raise Refused(Code.UNSUPPORTED, text)
    outcome: Outcome = await call.command.run(desk, call)
    return outcome


_TALK: Final = (
    Command(
        name="say", arguments="<text...>", about="say something here, whatever it begins with", run=talk.say, says=True
    ),
    Command(
        name="msg",
        arguments="<user> <text...>",
        about="say something to one user, now or when he comes",
        run=talk.msg,
        says=True,
        aliases=("m", "pm", "tell"),
        classic=("DM", "send"),
        mystic=("pm",),
        asks=True,
    ),
    Command(
        name="public",
        arguments="<text...>",
        about="say something here",
        run=talk.public,
        says=True,
        classic=("PM",),
        only="classic",
    ),
    Command(name="me", arguments="<text...>", about="do something, as in /me waves", run=talk.me, says=True, since=2),
    Command(
        name="code",
        arguments="<text...>",
        about="say something that is shown as it is",
        run=talk.code,
        says=True,
        since=2,
    ),
    Command(
        name="reply",
        arguments="<seq> <text...>",
        about="answer a message by its place, as in /reply #12 yes",
        run=talk.reply,
        says=True,
        aliases=("re",),
        since=2,
    ),
    Command(
        name="edit",
        arguments="<seq> <text...>",
        about="put another text in the place of a message",
        run=talk.edit,
        says=True,
        aliases=("correct",),
        since=2,
    ),
    Command(
        name="retract",
        arguments="<seq>",
        about="take a message back",
        run=talk.retract,
        says=True,
        aliases=("delete", "unsend"),
        since=2,
    ),
    Command(
        name="react",
        arguments="<seq> <emoji>",
        about="react to a message, as in /react #12 +1",
        run=talk.react,
        says=True,
        since=2,
    ),
    Command(
        name="pin", arguments="<seq>", about="pin a message", run=talk.pin, says=True, since=2, rank=Rank.MODERATOR
    ),
    Command(
        name="broadcast",
        arguments="<text...>",
        about="announce something to everybody",
        run=talk.broadcast,
        says=True,
        classic=("send_all",),
        mystic=("broadcast",),
    ),
    Command(
        name="history",
        arguments="[past...]",
        about="show what was said: [room|@user|*] [count] [before|after|around #place]",
        run=talk.history,
        aliases=("hist",),
        since=2,
    ),
    Command(
        name="search",
        arguments="<words...>",
        about="find messages with all of these words, or beginnings of words*",
        run=talk.search,
        aliases=("find",),
        since=2,
    ),
    Command(name="typing", arguments="[onoff]", about="show that you are writing here", run=talk.typing, since=2),
    Command(name="echo", arguments="<text...>", about="have the server send something back", run=talk.echo),
)

_PLACES: Final = (
    Command(
        name="join",
        arguments="<room> [secret]",
        about="enter a room; what you type goes there",
        run=places.join,
        aliases=("j",),
        enters=True,
        since=2,
    ),
    Command(name="create", arguments="<room> [topic...]", about="make a room", run=places.create, since=2, enters=True),
    Command(
        name="group",
        arguments="<room>",
        about="enter a group, or make one that ends with its last member",
        run=places.group,
        mystic=("join group",),
        enters=True,
        since=2,
    ),
    Command(
        name="newgroup",
        arguments="<room>",
        about="make a group that ends with its last member",
        run=places.create_group,
        mystic=("create group",),
        enters=True,
        since=2,
    ),
    Command(
        name="leave",
        arguments="[room]",
        about="leave a room or group",
        run=places.leave,
        aliases=("part",),
        mystic=("leave group",),
        since=2,
    ),
    Command(
        name="rooms",
        about="list rooms and groups",
        run=places.rooms,
        aliases=("list", "groups"),
        mystic=("groups",),
        since=2,
    ),
    Command(
        name="members",
        arguments="[room]",
        about="list who is in a room",
        run=places.members,
        aliases=("names",),
        since=2,
    ),
    Command(
        name="topic", arguments="[topic...]", about="show or set what this room is about", run=places.topic, since=2
    ),
    Command(
        name="key",
        arguments="[secret]",
        about="let in only who knows this word; without it everybody",
        run=places.key,
        rank=Rank.OWNER,
        since=2,
    ),
    Command(name="invite", arguments="<user>", about="let somebody into this room", run=places.invite, since=2),
    Command(
        name="kick",
        arguments="<user> [reason...]",
        about="put somebody out of this room",
        run=places.put_out("kick", ban=False),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(
        name="ban",
        arguments="<user> [reason...]",
        about="put somebody out of this room for good",
        run=places.put_out("ban", ban=True),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(
        name="unban",
        arguments="<user>",
        about="let somebody come again",
        run=places.rank("unban", Rank.MEMBER),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(
        name="mute",
        arguments="<user>",
        about="let somebody listen only",
        run=places.rank("mute", Rank.VISITOR),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(
        name="unmute",
        arguments="<user>",
        about="let somebody speak again",
        run=places.rank("unmute", Rank.MEMBER),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(
        name="role",
        arguments="<user> <rank>",
        about="make somebody outcast, visitor, member, moderator or owner",
        run=places.rank("role"),
        aliases=("rank",),
        rank=Rank.MODERATOR,
        since=2,
    ),
    Command(name="unread", about="list where something waits", run=places.unread, aliases=("targets",), since=2),
    Command(
        name="receipts",
        arguments="[room]",
        about="show how far the others have come",
        run=places.receipts,
        aliases=("seen",),
        since=2,
    ),
    Command(name="read", arguments="[room]", about="tell that you have read all", run=places.read, since=2),
)

_FILES: Final = (
    Command(
        name="files",
        arguments="[place]",
        about="list the files of this room and of the server; or of one place: a room, @user, shared",
        run=files.files,
        aliases=("ls",),
        mystic=("files",),
        since=2,
    ),
    Command(
        name="get",
        arguments="<file...>",
        about="fetch a file: NAME, #place of its message, shared/NAME, room/NAME; udp behind it for datagrams",
        run=files.get,
        aliases=("download", "fetch"),
        mystic=("download",),
        since=2,
    ),
    Command(
        name="send",
        arguments="<files...>",
        about='send files or directories here, or to one: /send @bob photo.jpg "my notes"',
        run=files.send,
        aliases=("upload",),
        mystic=("send",),
        since=2,
    ),
    Command(name="transfers", about="list the files on their way", run=files.transfers, local=True, since=2),
    Command(
        name="pause",
        arguments="[number]",
        about="let a file stand still; what is verified stays",
        run=files.wish("pause", Transfer.pause),
        local=True,
        since=2,
    ),
    Command(
        name="resume",
        arguments="[number]",
        about="go on with a file, or with all that stand still or were begun another time",
        run=files.resume,
        since=2,
    ),
    Command(
        name="cancel",
        arguments="[number]",
        about="give up a file that is on its way",
        run=files.wish("cancel", Transfer.cancel),
        local=True,
        since=2,
    ),
)

_ONESELF: Final = (
    Command(name="users", about="list everybody", run=oneself.users, aliases=("who",), mystic=("users",)),
    Command(
        name="away",
        arguments="[status...]",
        about="appear away",
        run=oneself.show(Show.AWAY),
        aliases=("afk",),
        since=2,
    ),
    Command(name="busy", arguments="[status...]", about="appear busy", run=oneself.show(Show.BUSY), since=2),
    Command(
        name="online",
        arguments="[status...]",
        about="appear online again",
        run=oneself.show(Show.ONLINE),
        aliases=("back",),
        since=2,
    ),
    Command(
        name="offline",
        about="appear offline; you still hear everything",
        run=oneself.show(Show.OFFLINE),
        aliases=("invisible",),
        since=2,
    ),
    Command(name="dereg", about="be offline: messages wait until /reg", run=oneself.dereg, classic=("dereg",), since=2),
    Command(name="reg", about="be back, and get what waits", run=oneself.reg, classic=("reg",), since=2),
    Command(name="ping", about="measure the way to the server and back", run=oneself.ping),
    Command(
        name="status",
        about="show the connection and what waits for it",
        run=oneself.status,
        aliases=("info",),
        local=True,
    ),
    Command(name="migrate", about="go on from another local address", run=oneself.migrate, since=2),
    Command(name="sessions", about="list where you are logged in", run=oneself.sessions, aliases=("devices",), since=2),
    Command(name="revoke", arguments="<session>", about="end one of your sessions", run=oneself.revoke, since=2),
    Command(
        name="ignore",
        arguments="<user>",
        about="hear nothing of what somebody says; he is not told",
        run=oneself.ignore(True),
        aliases=("block",),
    ),
    Command(
        name="unignore",
        arguments="<user>",
        about="hear somebody again",
        run=oneself.ignore(False),
        aliases=("unblock",),
    ),
    Command(
        name="password",
        arguments="<current> <new> <again>",
        about="change your password; all other sessions end",
        run=oneself.password,
        hidden=True,
        since=2,
    ),
    Command(name="logout", about="leave, and log in by password next time", run=oneself.logout, since=2, ends=True),
    Command(
        name="quit",
        arguments="[reason...]",
        about="say goodbye and leave",
        run=oneself.quit_,
        aliases=("q", "qqq", "exit", "bye", "disconnect"),
        classic=("EX",),
        mystic=("disconnect",),
        ends=True,
    ),
)

COMMANDS: Final = (
    Command(
        name="help",
        arguments="[command]",
        about="list the commands, or explain one",
        run=oneself.help_,
        aliases=("h", "?"),
        classic=("MENU",),
        mystic=("help",),
    ),
    *_TALK,
    *_PLACES,
    *_FILES,
    *_ONESELF,
)
