"""Commands about oneself: presence, account, connection. (spec 12-operation)"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from quicchat.client.events import Sent
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.ui.desk import Desk
from quicchat.ui.entry import LEAST
from quicchat.ui.outcomes import Devices, Done, Help, Outcome, People, Quit, Rtt, Shown, Status
from quicchat.ui.words import Call
from quicchat.wire.chapters.presence import Show


async def help_(desk: Desk, call: Call) -> Outcome:
    words = desk.words
    wanted = (call.get("command") or "").removeprefix("/").lower()
    if not wanted:
        return Help(words.commands, words.style)
    found = words.called(wanted)
    if not found:
        near = words.near(wanted)
        hint = f"did you mean /help {near}?" if near else "/help lists them"
        raise Refused(Code.UNSUPPORTED, f"There is no command /{wanted}; {hint}")
    return Help(found, words.style, single=True)


async def users(desk: Desk, call: Call) -> Outcome:
    return People(desk.chat.state.people)


def show(show: Show) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    """Appear so to the others."""

    async def run(desk: Desk, call: Call) -> Outcome:
        await desk.chat.show(show, call.get("status"))
        return Shown(show)

    return run


async def dereg(desk: Desk, call: Call) -> Outcome:
    await desk.chat.hold(True)
    return Done("dereg")


async def reg(desk: Desk, call: Call) -> Outcome:
    await desk.chat.hold(False)
    # How far the logs go by now: all that is theirs up to there was said while we were away.
    await desk.chat.targets()
    return Done("reg")


async def ping(desk: Desk, call: Call) -> Outcome:
    return Rtt(await desk.chat.ping())


async def status(desk: Desk, call: Call) -> Outcome:
    chat, rtt = desk.chat, None
    with contextlib.suppress(LinkLost, LocalProtocolError):
        rtt = await chat.ping()
    return Status(
        user=chat.state.user,
        place=desk.place,
        version=chat.version,
        session=chat.state.session,
        rtt=rtt,
        outbox=sum(entry.state < Sent.STORED for entry in chat.outbox),
    )


async def migrate(desk: Desk, call: Call) -> Outcome:
    await desk.chat.migrate()
    return Done("migrate")


async def sessions(desk: Desk, call: Call) -> Outcome:
    return Devices(await desk.chat.account.sessions())


async def revoke(desk: Desk, call: Call) -> Outcome:
    await desk.chat.account.revoke(session=int(call["session"]))
    return Done("revoke", {"session": call["session"]})


def ignore(on: bool) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    """Hear nothing more of somebody, or hear him again."""

    async def run(desk: Desk, call: Call) -> Outcome:
        await desk.chat.account.ignore(call["user"], on)
        return Done("ignore" if on else "unignore", {"user": call["user"]})

    return run


async def password(desk: Desk, call: Call) -> Outcome:
    if call["new"] != call["again"]:
        raise Refused(Code.SCHEMA, "The new password was typed in two ways; nothing was changed.")
    if len(call["new"]) < LEAST:
        raise Refused(Code.SCHEMA, f"A password has at least {LEAST} characters; nothing was changed.")
    await desk.chat.account.change_password(call["current"], call["new"])
    return Done("password")


async def quit_(desk: Desk, call: Call) -> Outcome:
    return Quit(call.get("reason") or "quit")


async def logout(desk: Desk, call: Call) -> Outcome:
    """This device's token ends with all its sessions, this one too: the answer may be the end of the connection."""
    account = desk.chat.account
    for _, device, _, _, _, is_own in await account.sessions():
        if is_own:
            with contextlib.suppress(LinkLost):
                await account.revoke(device=device)
    return Quit("logout")
