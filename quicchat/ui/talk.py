"""Commands that say something, or something about what was said. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from quicchat.errors import Code, Refused
from quicchat.ui.desk import Desk
from quicchat.ui.outcomes import Done, Echoed, Found, Outcome, Past, Sent
from quicchat.ui.words import Call, Span
from quicchat.wire.chapters.messages import Kind
from quicchat.wire.names import ANNOUNCEMENTS

#: Events that /history shows unless told otherwise, and messages that /search does.
_EVENTS: Final = 20


async def say(desk: Desk, call: Call) -> Outcome:
    text = call["text"]
    return Sent(await desk.chat.post(desk.here, text, mentions=desk.named(text), cid=call.cid))


async def public(desk: Desk, call: Call) -> Outcome:
    name = call["text"].split(None, 1)[0].lower().lstrip("@").rstrip(":,")
    if name in desk.chat.state.people:
        # In other languages PM is private: what was meant for one must not be told to all.
        raise Refused(Code.FORBIDDEN, f"PM speaks to everybody. To {name} alone: DM {name} ...")
    return await say(desk, call)


async def me(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(desk.here, call["text"], kind=Kind.EMOTE, cid=call.cid))


async def code(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(desk.here, call["text"], kind=Kind.CODE, cid=call.cid))


async def reply(desk: Desk, call: Call) -> Outcome:
    text, seq = call["text"], int(call["seq"])
    return Sent(await desk.chat.post(desk.here, text, reply=seq, mentions=desk.named(text), cid=call.cid))


async def msg(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.tell(call["user"], call["text"], cid=call.cid), call["user"])


async def broadcast(desk: Desk, call: Call) -> Outcome:
    return Sent(await desk.chat.post(ANNOUNCEMENTS, call["text"], cid=call.cid))


async def edit(desk: Desk, call: Call) -> Outcome:
    await desk.chat.edit(desk.here, int(call["seq"]), call["text"], cid=call.cid)
    return Done("edit", {"seq": call["seq"], "room": desk.here})


async def retract(desk: Desk, call: Call) -> Outcome:
    await desk.chat.retract(desk.here, int(call["seq"]), cid=call.cid)
    return Done("retract", {"seq": call["seq"], "room": desk.here})


async def react(desk: Desk, call: Call) -> Outcome:
    await desk.chat.react(desk.here, int(call["seq"]), call["emoji"], cid=call.cid)
    return Done("react", {"seq": call["seq"], "room": desk.here})


async def pin(desk: Desk, call: Call) -> Outcome:
    await desk.chat.pin(desk.here, int(call["seq"]), cid=call.cid)
    return Done("pin", {"seq": call["seq"], "room": desk.here})


async def typing(desk: Desk, call: Call) -> Outcome:
    on = (call.get("onoff") or "on").lower() == "on"
    desk.chat.typing(desk.here, on)
    return Done("typing", {"on": "on" if on else "off", "room": desk.here})


async def history(desk: Desk, call: Call) -> Outcome:
    span = Span.of(call.get("past") or "")
    room = desk.log(span.where)
    limit = span.count or _EVENTS
    events = await desk.chat.history(room, window=span.window, anchor=span.anchor, limit=limit)
    return Past(room, desk.heard(events))


async def search(desk: Desk, call: Call) -> Outcome:
    return Found(call["words"], desk.heard(await desk.chat.search(call["words"], limit=_EVENTS)))


async def echo(desk: Desk, call: Call) -> Outcome:
    return Echoed(await desk.chat.echo(call["text"]))
