"""Saying things: to a room, to one user, to everybody, and about what was said before. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client.memory import Entry
from quicchat.client.session import Session
from quicchat.wire.chapters.messages import Kind, Post, Posted
from quicchat.wire.names import ANNOUNCEMENTS


class Talk:
    """What `Chat` offers to say. All of it goes through the outbox, in order."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def outbox(self) -> list[Entry]:
        """One's own messages and how far they have come: all that wait, and the last that were stored or failed."""
        return self._session.posting.outbox.entries

    async def post(
        self,
        room: str,
        text: str,
        *,
        kind: Kind = Kind.TEXT,
        reply: int | None = None,
        mentions: Sequence[str] | None = None,
        topic: str | None = None,
        cid: bytes | None = None,
    ) -> Posted:
        """Say something in a room; returns when it is stored. A retry with the same `cid` is harmless.

        Raises Refused(NOT_MEMBER) and others; LinkLost when it is not known whether it was stored.
        """
        return await self._post(
            Post(
                room=room,
                cid=cid or self._cid(),
                text=text,
                kind=_unusual(kind),
                reply=reply,
                mentions=tuple(mentions) if mentions else None,
                topic=topic,
                sent=self._now(),
            )
        )

    async def tell(
        self,
        user: str,
        text: str,
        *,
        kind: Kind = Kind.TEXT,
        reply: int | None = None,
        mentions: Sequence[str] | None = None,
        topic: str | None = None,
        cid: bytes | None = None,
    ) -> Posted:
        """Say something to one user, who gets it now or when he comes. Raises Refused(NO_SUCH_USER)."""
        return await self._post(
            Post(
                user=user,
                cid=cid or self._cid(),
                text=text,
                kind=_unusual(kind),
                reply=reply,
                mentions=tuple(mentions) if mentions else None,
                topic=topic,
                sent=self._now(),
            )
        )

    async def broadcast(self, text: str, *, kind: Kind = Kind.TEXT, cid: bytes | None = None) -> Posted:
        """Announce something to everybody, present or not."""
        return await self.post(ANNOUNCEMENTS, text, kind=kind, cid=cid)

    async def queue(self, post: Post) -> bytes:
        """Put a message into the outbox and return its id; what becomes of it comes as events `Progress`."""
        return (await self._session.posting.keep(post, self._session.state.user)).cid

    def withdraw(self, cid: bytes) -> bool:
        """Give up a message of the outbox that is not under way at the moment; whether that was possible."""
        return self._session.posting.withdraw(cid)

    async def edit(self, room: str, seq: int, text: str, *, cid: bytes | None = None) -> Posted:
        """Say an earlier message differently."""
        return await self._about(Kind.EDIT, room, seq, text, cid)

    async def retract(self, room: str, seq: int, *, cid: bytes | None = None) -> Posted:
        """Take an earlier message back, or a reaction, a pin, a correction: whatever one posted there."""
        return await self._about(Kind.RETRACT, room, seq, "", cid)

    async def react(self, room: str, seq: int, text: str, *, cid: bytes | None = None) -> Posted:
        """React to an earlier message."""
        return await self._about(Kind.REACT, room, seq, text, cid)

    async def pin(self, room: str, seq: int, *, cid: bytes | None = None) -> Posted:
        """Pin an earlier message, for all in the room to find."""
        return await self._about(Kind.PIN, room, seq, "A message was pinned.", cid)

    async def _about(self, kind: Kind, room: str, seq: int, text: str, cid: bytes | None) -> Posted:
        cid = cid or self._cid()
        return await self._post(Post(room=room, cid=cid, text=text, kind=kind, refs=(seq,), sent=self._now()))

    async def _post(self, post: Post) -> Posted:
        return await self._session.posting.post(post, self._session.state.user)

    def _cid(self) -> bytes:
        return self._session.surroundings.chance(16)

    def _now(self) -> int:
        return int(self._session.surroundings.wall() * 1000)


def _unusual(kind: Kind) -> Kind | None:
    """The usual kind is left out."""
    return None if kind is Kind.TEXT else kind
