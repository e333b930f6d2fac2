"""Commands about what is announced: of which rooms what, and until when nothing. (spec 12-operation)"""

from __future__ import annotations

import re
import time
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.ui.desk import Desk
from quicchat.ui.notices import DND, NOTIFY, ON, level, silent_until
from quicchat.ui.outcomes import Done, Outcome
from quicchat.ui.signals import now
from quicchat.ui.slots import LEVELS, room_name, user_name
from quicchat.ui.words import Call
from quicchat.wire.names import ANNOUNCEMENTS

_SPAN: Final = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_MINUTES: Final = {"m": 1, "h": 60, "d": 1440}
_WHAT: Final = {"all": "everything is announced", "mentions": "what is for you is announced", "none": "nothing is"}


async def notify(desk: Desk, call: Call) -> Outcome:
    typed, chosen = call.get("where"), call.get("level")
    if chosen is None and typed in LEVELS:
        typed, chosen = None, typed
    room = desk.log(_place(typed))
    if chosen is not None:
        await desk.chat.prefer(NOTIFY + room, chosen.lower())
    found = level(room, desk.chat.preferences, desk.notify)
    return Done("notify", {"room": room, "level": found, "what": _WHAT[found]})


async def dnd(desk: Desk, call: Call) -> Outcome:
    if (typed := (call.get("span") or "").lower()) != "":
        await desk.chat.prefer(DND, _until(typed))
    until = silent_until(desk.chat.preferences, now())
    if until is None or until == ON:
        return Done("dnd", {"until": until or "off", "what": until or "off"})
    return Done("dnd", {"until": until, "what": time.strftime("until %H:%M", time.localtime(int(until) / 1000))})


def _place(typed: str | None) -> str | None:
    """A room, `@user` or `*`, as `Desk.log` takes it. Raises Refused."""
    if typed is None or typed == ANNOUNCEMENTS:
        return typed
    try:
        return f"@{user_name(typed)}" if typed.startswith("@") else room_name(typed)
    except ValueError as error:
        raise Refused(Code.SCHEMA, str(error)) from None


def _until(typed: str) -> str | None:
    """What is remembered of `on`, `off`, `30m`, `2h`, `1d`. Raises Refused."""
    if typed == "off":
        return None
    if typed == ON:
        return ON
    if (found := _SPAN.fullmatch(typed)) is None:
        raise Refused(Code.SCHEMA, f"{typed!r} is neither on nor off, nor a span such as 30m, 2h or 1d")
    return str(now() + int(found[1]) * _MINUTES[found[2]] * 60_000)
