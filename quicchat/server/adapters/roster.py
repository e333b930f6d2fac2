"""Who is here now, in memory. (spec 07-presence)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quicchat.errors import Code, Refused
from quicchat.server.model import Actor, SessionId, Standing
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import PARROT, User


class LocalRoster:
    """The roster of one process; see `ports.Roster`."""

    def __init__(self) -> None:
        #: Every session that is here or being logged in, in the order of their claims.
        self._places: dict[User, dict[SessionId, Actor]] = {}
        self._users: dict[SessionId, User] = {}
        self._here: set[SessionId] = set()
        self._held: set[SessionId] = set()
        self._standing: dict[User, Standing] = {}

    def claim(self, user: User, actor: Actor, *, alone: bool) -> Sequence[Actor]:
        others = [each for each in self.claims(user) if each.session != actor.session]
        if alone and any(each.device != actor.device for each in others):
            raise Refused(Code.ALREADY_LOGGED_IN, "already logged in from another location")
        self._place(replace(actor, user=user))
        return [each for each in others if each.device == actor.device]

    def release(self, session: SessionId) -> None:
        if session not in self._here:
            self._displace(session)

    def claims(self, user: User) -> Sequence[Actor]:
        return list(self._places.get(user, {}).values())

    def arrive(self, actor: Actor, *, at: int) -> None:
        if not self.sessions(actor.name):
            self._standing[actor.name] = Standing(show=Show.ONLINE, since=at, address=actor.address)
        elif not self.present(actor.name):
            self._standing[actor.name] = replace(self._standing[actor.name], since=at)
        self._place(actor)
        self._here.add(actor.session)

    def depart(self, session: SessionId) -> None:
        self._here.discard(session)
        self._held.discard(session)
        user = self._displace(session)
        if user is not None and not self.sessions(user):
            self._standing.pop(user, None)

    def sessions(self, user: User) -> Sequence[Actor]:
        return [each for each in self._places.get(user, {}).values() if each.session in self._here]

    def hold(self, session: SessionId, on: bool, *, at: int) -> bool:
        if session not in self._here or on == (session in self._held):
            return False
        user = self._users[session]
        before = self.present(user)
        (self._held.add if on else self._held.discard)(session)
        if self.present(user) is not before:
            self._standing[user] = replace(self._standing[user], since=at)
        return True

    def present(self, user: User) -> bool:
        return user == PARROT or any(each.session not in self._held for each in self.sessions(user))

    def set(self, user: User, show: Show, status: str | None, *, at: int) -> None:
        standing = self._standing.get(user)
        if standing is not None:
            self._standing[user] = replace(standing, show=show, status=status, since=at)

    def standing(self, user: User) -> Standing:
        if user == PARROT:
            return Standing(show=Show.ONLINE)
        standing = self._standing.get(user, Standing())
        return standing if self.present(user) else replace(standing, show=Show.OFFLINE)

    def _place(self, actor: Actor) -> None:
        self._places.setdefault(actor.name, {})[actor.session] = actor
        self._users[actor.session] = actor.name

    def _displace(self, session: SessionId) -> User | None:
        user = self._users.pop(session, None)
        if user is not None:
            del self._places[user][session]
            if not self._places[user]:
                del self._places[user]
        return user
