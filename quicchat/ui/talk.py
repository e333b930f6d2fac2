"""Commands that say something, or something about what was said. (spec 12-operation)"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Done, Echoed, Found, Outcome, Past, Sent
from quicchat.ui.seals import shown
from quicchat.ui.slots import Span
from quicchat.ui.words import Call
from quicchat.wire.chapters.messages import Kind, Window
from quicchat.wire.names import ANNOUNCEMENTS

#: Events that /history shows unless told otherwise, and messages that /search does.
_EVENTS: Final = 20


async def say(desk: Desk, call: Call) -> Outcome:
    text = call["text"]
    return await _post(desk, desk.here, call, mentions=desk.named(text))


async def public(desk: Desk, call: Call) -> Outcome:
    name = call["text"].split(None, 1)[0].lower().lstrip("@").rstrip(":,")
    if name in desk.chat.state.people:
        # In other languages PM is private: what was meant for one must not be told to all.
        raise Refused(Code.FORBIDDEN, f"PM speaks to everybody. To {name} alone: DM {name} ...")
    return await say(desk, call)


async def me(desk: Desk, call: Call) -> Outcome:
    return await _post(desk, desk.here, call, kind=Kind.EMOTE)


async def code(desk: Desk, call: Call) -> Outcome:
    return await _post(desk, desk.here, call, kind=Kind.CODE)


async def reply(desk: Desk, call: Call) -> Outcome:
    # Whoever moves to another room meanwhile means the one where it was typed.
    room, text = desk.here, call["text"]
    seq, sender = await desk.meant(call, room, own=False)
    sent = await _post(desk, room, call, reply=seq, mentions=desk.named(text))
    return replace(sent, answers=(seq, sender) if sender else None)


async def msg(desk: Desk, call: Call) -> Outcome:
    return await _post(desk, desk.log(f"@{call['user']}"), call)


async def broadcast(desk: Desk, call: Call) -> Outcome:
    return await _post(desk, ANNOUNCEMENTS, call)


async def _post(desk: Desk, room: str, call: Call, **how: Any) -> Sent:
    """Say the text of a call; to one user by his name, for there may be no conversation yet."""
    user = desk.peer(room)
    say, to = (desk.chat.tell, user) if user is not None else (desk.chat.post, room)
    posted = await say(to, call["text"], cid=call.cid, **how)
    # It is the last that was said there, whether or not it has come back yet.
    desk.recent.said(posted.room, posted.seq, desk.chat.state.user)
    return Sent(posted, user, sealed=desk.encryption(room)[0] == "encrypted")


async def edit(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    seq, sender = await desk.meant(call, room, own=True)
    await desk.chat.edit(room, seq, call["text"], cid=call.cid)
    return _done("edit", room, seq, sender)


async def retract(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    seq, sender = await desk.meant(call, room, own=True)
    await desk.chat.retract(room, seq, cid=call.cid)
    desk.recent.gone(room, [seq])
    return _done("retract", room, seq, sender)


async def react(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    seq, sender = await desk.meant(call, room, own=False)
    await desk.chat.react(room, seq, call["emoji"], cid=call.cid)
    return _done("react", room, seq, sender)


async def pin(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    seq, sender = await desk.meant(call, room, own=None)
    await desk.chat.pin(room, seq, cid=call.cid)
    return _done("pin", room, seq, sender)


def _done(command: str, room: str, seq: int, sender: str) -> Done:
    """Whoever gave no place is told which message it was."""
    return Done(command, {"seq": str(seq), "room": room}, (seq, sender) if sender else None)


async def trace(desk: Desk, call: Call) -> Outcome:
    room = desk.here
    # What still waits is the last that was said there, and has no place yet.
    if call.is_about_the_last and (waiting := desk.chat.tracing.waiting(room)) is not None:
        return waiting
    seq, _ = await desk.meant(call, room, own=None)
    return await desk.chat.tracing.of(room, seq)


async def typing(desk: Desk, call: Call) -> Outcome:
    on = (call.get("onoff") or "on").lower() == "on"
    desk.chat.typing(desk.here, on)
    return Done("typing", {"on": "on" if on else "off", "room": desk.here})


async def history(desk: Desk, call: Call) -> Outcome:
    span = Span.of(call.get("past") or "")
    room = desk.log(span.where)
    limit = span.count or _EVENTS
    try:
        events = await desk.chat.history(room, window=span.window, anchor=span.anchor, limit=limit)
    except (LinkLost, LocalProtocolError):
        if span.window not in (Window.LATEST, Window.BEFORE):
            raise
        events = await desk.chat.past(room, span.anchor, limit)
    return Past(room, desk.heard(shown(events)))


async def search(desk: Desk, call: Call) -> Outcome:
    words = call["words"]
    return Found(words, desk.heard(await desk.search(words, None, _EVENTS)))


async def echo(desk: Desk, call: Call) -> Outcome:
    return Echoed(await desk.chat.echo(call["text"]))
