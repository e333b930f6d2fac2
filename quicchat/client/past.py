"""What was said earlier: from the device as far as it has it without a gap, else from the server. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from quicchat.client import bodies
from quicchat.client.delivery import shown
from quicchat.client.e2ee.provider import read
from quicchat.client.memory import Held
from quicchat.client.session import Session
from quicchat.client.sync import unbroken
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused, RemoteProtocolError
from quicchat.wire.chapters.messages import PAGE, POSTABLE, History, HistoryPage, Message, Window
from quicchat.wire.search import wanted

#: Long texts of one page that are fetched whole; of the others the beginning is shown, until they are asked for again.
_WHOLE: Final = 16


class Past:
    """What `Chat` offers of it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def past(self, room: str, before: int | None = None, limit: int = 100) -> Sequence[Message]:
        """Events below a place, or the newest that the application was given, ascending; none at the beginning.

        What the application has not had comes by itself, in order. Without a connection there is what this device
        keeps; LinkLost where that is nothing, and there may be more. Raises Refused.
        """
        scribe = self._session.scribe
        end = self._end(room, before)
        epoch = self._epoch(room)
        found: list[Held] = []
        while len(found) < limit and (end is None or end > 1):
            some = await self._kept(room, end, limit - len(found))
            if not some:
                try:
                    some = await self._fetched(room, end, limit - len(found))
                except (LinkLost, LocalProtocolError) as error:
                    if not found:
                        raise _lost(error) from error
                    break
                except Refused as refusal:
                    if refusal.code is not Code.NO_SUCH_ROOM or not room.startswith("@"):
                        raise
                    # Nobody has said anything between the two.
                    break
            if not some or self._is_replaced(room, epoch):
                break
            found[:0], end = some, some[0].event.seq
        if self._is_replaced(room, epoch):
            # The log was replaced meanwhile, and comes anew.
            return []
        return [shown(each) for each in found if not self._is_ignored(each.event, scribe.ignored)]

    async def search_here(self, words: str, room: str | None = None, limit: int = 50) -> Sequence[Message]:
        """What this device keeps that has all of these words, the newest first. Raises Refused."""
        asked = wanted(words)
        if not asked:
            raise Refused(Code.SCHEMA, "There is no word to search for.")
        scribe = self._session.scribe
        await scribe.written()
        found = await scribe.memory.search(asked, room=room, limit=limit)
        return [shown(each) for each in found if not self._is_ignored(each.event, scribe.ignored)]

    async def whole(self, event: Message) -> Message:
        """An event of `history` or `search` with its whole text, or with its beginning where that cannot be had."""
        return shown(await self._whole(event, wanted=True))

    @staticmethod
    def _is_ignored(event: Message, users: set[str]) -> bool:
        return event.sender in users and event.kind in POSTABLE

    def _epoch(self, room: str) -> int | None:
        cursor = self._session.scribe.cursors.get(room)
        return cursor.epoch if cursor is not None and cursor.seq else self._session.fetch.epoch(room)

    def _is_replaced(self, room: str, epoch: int | None) -> bool:
        """Whether the log is another one by now than that of which something was known."""
        return epoch is not None and self._epoch(room) != epoch

    def _end(self, room: str, before: int | None) -> int | None:
        """The place that all asked for is below: the application is told by itself of what it has not had."""
        cursor = self._session.scribe.cursors.get(room)
        given = cursor.given if cursor is not None and cursor.seq else self._session.fetch.place(room)
        if cursor is None and not given:
            return before
        return given + 1 if before is None else min(before, given + 1)

    async def _kept(self, room: str, end: int | None, limit: int) -> Sequence[Held]:
        """What this device has directly below a place."""
        scribe = self._session.scribe
        await scribe.written()
        found = list(await scribe.memory.page(room, before=end, limit=limit))
        if self._session.ready and self._session.requests.version > 1:
            # What version 1 told is not what the log says.
            bare = max((at for at, each in enumerate(found) if each.event.epoch is None), default=-1)
            del found[: bare + 1]
        return [self._again(each) for each in found] if found and end in (None, found[-1].event.seq + 1) else ()

    def _again(self, held: Held) -> Held:
        """What could not be opened when it came may be readable by now."""
        event = self._session.provider.again(held.event)
        if event is held.event:
            return held
        self._session.scribe.rewrite(found := replace(held, event=event))
        return found

    async def _fetched(self, room: str, end: int | None, limit: int) -> Sequence[Held]:
        """A page from the server; it is kept where it joins what is. Raises LinkLost, Refused."""
        session = self._session
        if not session.ready:
            raise LinkLost(Code.NO_ERROR, "there is no connection", remote=False)
        requests = session.requests
        if requests.version < 2:
            return ()
        window = Window.LATEST if end is None else Window.BEFORE
        ask = History(room=room, window=window, anchor=end, limit=min(PAGE, limit))
        page = await requests.ask(ask, HistoryPage, aside=True)
        try:
            events = unbroken(room, page)
            is_ours = page.epoch == (session.fetch.epoch(room) or page.epoch)
            if is_ours and events and end is not None and events[-1].seq != end - 1:
                raise RemoteProtocolError(Code.SCHEMA, "HISTORY_R is about other places.")
        except RemoteProtocolError as error:
            requests.driver.fail(error.code, error.text)
            raise LinkLost(error.code, error.text, remote=False) from error
        if not is_ours:
            session.fetch.know(room, page.epoch, page.head)
            return ()
        opened = await read(session.provider, events)
        held = [await self._whole(each, at < _WHOLE) for at, each in enumerate(reversed(opened))][::-1]
        # A room whose events are under way here, or came while we waited, says itself where it stands.
        place = session.fetch.place(room) if not session.delivery.waits(room) else 0
        session.scribe.hold_past(room, page.epoch, held, place)
        for each in held:
            session.provider.held(each.event)
        return held[-limit:]

    async def _whole(self, event: Message, wanted: bool) -> Held:
        if not wanted or bodies.whole_of(event) is None:
            return Held(event)
        try:
            return Held(event, await bodies.unfold(self._session.requests, event, self._session.provider.file_key))
        except (Refused, LinkLost, LocalProtocolError):
            return Held(event)


def _lost(error: LinkLost | LocalProtocolError) -> LinkLost:
    """The end may be near, and nothing can be asked on the connection any more."""
    return error if isinstance(error, LinkLost) else LinkLost(error.code, error.text, remote=False)
