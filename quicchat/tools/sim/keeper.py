"""What the user of a device does who has keys: he lets other devices in, and looks again. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from quicchat.client.e2ee.faults import SealError
from quicchat.errors import LinkLost, LocalProtocolError, Refused

if TYPE_CHECKING:
    from quicchat.tools.sim.device import Device

#: Seconds until he tries again.
_PAUSE: Final = 0.2


async def look(device: Device, room: str, seqs: Iterable[int]) -> None:
    """See what places say that were shown before."""
    chat, wanted = device.chat, set(seqs)
    if chat is None:
        return
    try:
        for event in await chat.past(room, before=max(wanted) + 1, limit=max(wanted) - min(wanted) + 1):
            device.note(event)
            device.trace.note(device.name, f"sees {room} {event.seq} again: {(event.text or '')[:12]}")
    except (LinkLost, Refused) as error:
        device.trace.note(device.name, f"cannot look at {room} again: {error}")


async def approve(device: Device) -> None:
    """Let in all devices of one's own that wait: the user has compared what they show."""
    while (chat := device.chat) is not None and (waiting := chat.keys.waiting()):
        try:
            for each in waiting:
                await chat.keys.approve(each.fingerprint)
                device.trace.note(device.name, f"lets {each.name} in")
            return
        except (LinkLost, LocalProtocolError, Refused, SealError) as error:
            device.trace.note(device.name, f"cannot let anybody in: {error}")
            await asyncio.sleep(_PAUSE)
