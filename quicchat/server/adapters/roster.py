"""Who is here now, in memory. (spec 07-presence)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quicchat.server.model import Actor, SessionId, Standing
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import User


class LocalRoster:
    """The roster of one process; see `ports.Roster`."""

    def __init__(self) -> None:
        self._sessions: dict[User, dict[SessionId, Actor]] = {}
        self._users: dict[SessionId, User] = {}
        self._standing: dict[User, Standing] = {}

    def arrive(self, actor: Actor, *, at: int) -> None:
        sessions = self._sessions.setdefault(actor.name, {})
        if not sessions:
            self._standing[actor.name] = Standing(show=Show.ONLINE, since=at, address=actor.address)
        sessions[actor.session] = actor
        self._users[actor.session] = actor.name

    def depart(self, session: SessionId) -> None:
        user = self._users.pop(session, None)
        if user is None:
            return
        del self._sessions[user][session]
        if not self._sessions[user]:
            del self._sessions[user]
            del self._standing[user]

    def sessions(self, user: User) -> Sequence[Actor]:
        return list(self._sessions.get(user, {}).values())

    def set(self, user: User, show: Show, status: str | None, *, at: int) -> None:
        standing = self._standing.get(user)
        if standing is not None:
            self._standing[user] = replace(standing, show=show, status=status, since=at)

    def standing(self, user: User) -> Standing:
        return self._standing.get(user, Standing())
