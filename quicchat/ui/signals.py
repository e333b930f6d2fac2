"""Signals for a person who looks elsewhere: decided as things come, given once a second. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping

from quicchat.client.state import State
from quicchat.config import ClientConfig
from quicchat.errors import LinkLost, LocalProtocolError, Refused
from quicchat.ui.alarm import Alarm
from quicchat.ui.desk import Desk
from quicchat.ui.face import Face
from quicchat.ui.notices import EVERY, Notices, announced, is_for, level, said, silent_until, waiting
from quicchat.ui.outcomes import Heard, Readable
from quicchat.wire.chapters.rooms import Invite


class Signals:
    """What one visit announces: to its face, and on its terminal where a person works there (`alarm`)."""

    def __init__(self, config: ClientConfig, face: Face, alarm: Alarm | None) -> None:
        self._usual = config.notify
        self._face = face
        self._alarm = alarm
        self._notices = Notices()
        self._desk: Desk | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Asks the server how much waits: it tells only whoever asks, and what comes is counted on from there.
        self._counting: asyncio.Task[None] | None = None
        self._next = 0.0

    def seated(self, desk: Desk) -> None:
        """Somebody is logged in."""
        self._desk = desk
        if self._alarm is not None:
            self._counting = asyncio.get_running_loop().create_task(_count(desk))

    def tell(self, item: object, state: State) -> None:
        """Something happened: an event, or an outcome."""
        if self._desk is None:
            return
        self._judge(item, state, self._desk)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._next), self._give)

    async def close(self) -> None:
        """Nothing is announced any more."""
        self._desk = None
        if self._timer is not None:
            self._timer.cancel()
        if self._counting is not None and not self._counting.done():
            # What failed before is not cancelled: it goes to the log.
            self._counting.cancel()
            await asyncio.wait([self._counting])
        if self._alarm is not None:
            await self._alarm.close()

    def _judge(self, item: object, state: State, desk: Desk) -> None:
        preferences = desk.chat.preferences
        if isinstance(item, Readable):
            # Whoever it names could not be told before.
            for each in item.events:
                if each.received is not None:
                    self._judge(each, state, desk)
            return
        if isinstance(item, Invite) and item.user in desk.chat.account.ignored:
            return
        notice = announced(item, state, preferences, self._usual)
        if isinstance(item, Heard) and item.late:
            room = item.message.room
            if said(item, state) and level(room, preferences, self._usual) != "none" and not self._face.sees(room):
                ours = is_for(item.message, state.user)
                now = asyncio.get_running_loop().time()
                self._notices.missed(ours=ours, wanted=notice is not None, now=now)
        elif notice is not None and not (notice.room and self._face.sees(notice.room)):
            self._notices.add(notice)

    def _give(self) -> None:
        """Announce what is due; more of it later."""
        self._timer = None
        if self._desk is None:
            return
        loop = asyncio.get_running_loop()
        self._next = loop.time() + EVERY
        state, preferences = self._desk.chat.state, self._desk.chat.preferences
        if silent_until(preferences, now()) is not None:
            self._notices.drop()
        notice = self._notices.take(loop.time())
        if notice is not None:
            self._face.tell(notice, state)
        if self._alarm is not None:
            self._alarm.count(waiting(state, preferences, self._usual))
            if notice is not None:
                self._alarm.announce(notice)
        if (due := self._notices.due) is not None:
            self._timer = loop.call_at(due, self._give)


def signals(config: ClientConfig, face: Face, environ: Mapping[str, str] = os.environ) -> Signals:
    """For one visit; where nobody watches a terminal, scripts are told and nothing rings."""
    watched = face.interactive and not config.json and not config.commands
    is_seen = watched and sys.stdout is not None and sys.stdout.isatty()
    return Signals(
        config, face, Alarm(face.ring, environ, bell=config.bell, desktop=config.desktop) if is_seen else None
    )


async def _count(desk: Desk) -> None:
    # What it cannot tell, or not now, is not counted.
    with contextlib.suppress(Refused, LinkLost, LocalProtocolError):
        await desk.chat.targets()


def now() -> int:
    """Unix ms by the clock of this machine, which a person goes by who says for how long."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - it is his clock that counts
