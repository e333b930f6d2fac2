"""Getting in on a connection: by the token of the last time, or by the password. (spec 04-accounts)"""

from __future__ import annotations

from quicchat.client import login
from quicchat.client.login import Identity
from quicchat.client.memory import Token
from quicchat.client.requests import Requests
from quicchat.client.session import Session
from quicchat.client.state import reduce
from quicchat.errors import MEANINGS, Code, Refused
from quicchat.wire.chapters.accounts import HEADS
from quicchat.wire.states import State


async def enter(session: Session, identity: Identity, *, early: bool = False) -> bool:
    """Log in on the connection of the moment; whether the token did it.

    With `early` the token goes with the first flight. Raises Refused where the server says no, LinkLost where
    the connection ends.
    """
    requests, chance = session.requests, session.surroundings.chance
    token = None if identity.sign_up or identity.prove else _token(session)
    if token is not None and not early:
        await requests.negotiated
    if token is not None and (early or requests.version > 1) and await _resume(session, requests, token, identity):
        return True
    await requests.negotiated
    if identity.sign_up:
        await login.sign_up(requests, identity, chance)
    try:
        answer, session.salt = await login.prove(requests, identity, requests.link.certificate_hash, chance)
    except Refused as refusal:
        if requests.connection.state is not State.AUTHENTICATING:
            # It is we who refuse: that server is another, and hears no more but the close (4.2-3).
            requests.driver.close(Code.AUTH_FAILED, refusal.text)
        raise
    if answer.token is not None:
        await session.scribe.credit(Token(answer.token, answer.expires or 0, session.salt))
    session.state = reduce(session.state, answer)
    if answer.heads is not None:
        session.fetch.begin(answer.heads)
    session.begin(requests, cut=len(answer.heads or ()) >= HEADS)
    return False


def _token(session: Session) -> Token | None:
    """A token that may still be good."""
    token = session.scribe.token
    if token is None or max(session.hello.versions) < 2 or token.expires <= session.surroundings.wall() * 1000:
        return None
    return token


async def _resume(session: Session, requests: Requests, token: Token, identity: Identity) -> bool:
    """Log in by token; False where the server does not take it, and there is a password to try instead."""
    outstanding = session.posting.outbox.outstanding
    try:
        answer = await login.resume(requests, token, session.fetch.have(), outstanding, identity.device_name)
    except Refused as refusal:
        if refusal.code is Code.DOWNGRADE:
            requests.driver.fail(Code.DOWNGRADE)
            raise
        if MEANINGS[refusal.code].temporary:
            raise
        await session.scribe.credit(None)
        if identity.password is None:
            raise
        return False
    await session.scribe.credit(Token(answer.token, answer.expires, token.salt))
    session.state = reduce(session.state, answer)
    session.posting.resumed(answer.known)
    session.fetch.resumed(answer.rooms)
    session.begin(requests, cut=len(answer.rooms) >= HEADS)
    return True
