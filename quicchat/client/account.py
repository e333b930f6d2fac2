"""One's own account: where one is logged in, and with what. (spec 04-accounts)"""

from __future__ import annotations

from collections.abc import Sequence

from quicchat.client import login
from quicchat.client.identity import ITERATIONS
from quicchat.client.memory import Change, Token
from quicchat.client.session import Session
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.accounts import Revoke, Sessions
from quicchat.wire.chapters.session import Ok


class Account:
    """What `Chat.account` offers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def sessions(self) -> Sequence[tuple[int, bytes, str, str, int, bool]]:
        """One's sessions: (session, device, its name, address, since when in Unix ms, whether it is this one).

        Session 0 is a device that is away; the time is then when it was last here.
        """
        return (await self._session.requests.ask(Sessions(), Sessions)).sessions or ()

    async def revoke(self, session: int | None = None, device: bytes | None = None) -> None:
        """End one of one's sessions, or all of a device, and its tokens."""
        await self._session.requests.ask(Revoke(session=session, device=device), Ok)

    @property
    def ignored(self) -> frozenset[str]:
        """Of whom this device gives out nothing."""
        return frozenset(self._session.scribe.ignored)

    async def ignore(self, user: str, on: bool = True) -> None:
        """Hear nothing of what a user says, and tell him nothing of how far it came; or hear him again.

        For him it looks as if one were away. It counts on this device, and for what comes from now on.
        """
        scribe = self._session.scribe
        await scribe.memory.keep(Change(ignored={user: on}))
        (scribe.ignored.add if on else scribe.ignored.discard)(user)

    async def change_password(self, old: str, new: str, *, iterations: int = ITERATIONS) -> None:
        """Replace the password; all other sessions and every token end. Raises Refused(AUTH_FAILED) for a wrong one."""
        session = self._session
        if session.salt is None:
            raise Refused(Code.AUTH_REQUIRED, "Log in with the password first.")
        chance = session.surroundings.chance
        salt = await login.change_password(
            session.requests, old, new, session.salt, iterations=iterations, chance=chance
        )
        session.salt = salt
        if session.scribe.token is not None:
            await session.scribe.credit(Token(session.scribe.token.value, session.scribe.token.expires, salt))
