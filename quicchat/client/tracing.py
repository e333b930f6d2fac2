"""The way of one message, as far as this device knows it. (spec 12-operation)"""

from __future__ import annotations

from quicchat.client.events import Sent
from quicchat.client.memory import Entry
from quicchat.client.past import Past
from quicchat.client.session import Session
from quicchat.client.traces import Trace, complete
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.wire.chapters.messages import Message


class Tracing:
    """What `Chat` offers of it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._past = Past(session)

    def waiting(self, room: str) -> Trace | None:
        """The last message of one's own in a room that is not stored yet."""
        open_ = [each for each in self._session.posting.outbox.entries if each.room == room and _is_open(each)]
        return self._of_entry(open_[-1]) if open_ else None

    async def of(self, room: str, seq: int) -> Trace:
        """The way of the message at a place. Raises Refused where nothing is known of one."""
        posting = self._session.posting
        steps = self._session.inbox.traces.at(room, seq)
        event = await self._event(room, seq)
        own = next((each for each in posting.outbox.own if each.room == room and each.seq == seq), None)
        if event is None and own is None and not steps:
            raise Refused(Code.NO_SUCH_MESSAGE, f"Nothing is known of #{seq} here.")
        user = self._session.state.user
        is_own = own is not None or (event is not None and event.sender == user)
        rows = [row for row in posting.tracker.rows(room) if row[1] != user] if is_own else []
        typed = own.post.sent if own is not None else None
        cid = own.cid if own is not None else event.cid if event is not None else b""
        return Trace(
            room=room,
            seq=seq,
            cid=cid,
            sender=event.sender if event is not None else user if is_own else "",
            own=is_own,
            sent=sum(each.what == "sent" for each in steps),
            steps=tuple(complete(steps, typed, event, rows)),
        )

    def _of_entry(self, entry: Entry) -> Trace:
        steps = complete(self._session.inbox.traces.own(entry.cid), entry.post.sent, None, [])
        sent = sum(each.what == "sent" for each in steps)
        user = self._session.state.user
        return Trace(room=entry.room, seq=None, cid=entry.cid, sender=user, own=True, sent=sent, steps=tuple(steps))

    async def _event(self, room: str, seq: int) -> Message | None:
        try:
            found = await self._past.past(room, seq + 1, 1)
        except (Refused, LinkLost, LocalProtocolError):
            return None
        return found[-1] if found and found[-1].seq == seq else None


def _is_open(entry: Entry) -> bool:
    return entry.state < Sent.STORED
