"""Getting in: negotiation, sign-up and the login proof, from the client's side. (spec 04-accounts)"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from quicchat.client.requests import Requests
from quicchat.errors import Code, LinkLost, Refused
from quicchat.protocol import scram
from quicchat.wire.chapters.accounts import MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.session import Ok

ITERATIONS = 600_000
_CHEAP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who logs in. `sign_up` makes the account first; `iterations` are those of a new one."""

    user: str
    password: str = field(repr=False)
    device_name: str = ""
    sign_up: bool = False
    invite: str | None = None
    iterations: int = ITERATIONS


async def sign_up(requests: Requests, identity: Identity) -> None:
    """Make an account. Raises Refused with NAME_TAKEN, NAME_INVALID, SIGNUP_CLOSED or RATE_LIMITED."""
    salt = secrets.token_bytes(16)
    salted = await _salted(identity.password, salt, identity.iterations)
    keys = scram.credentials_from(salted, salt, identity.iterations)
    await requests.ask(
        Signup(
            user=identity.user,
            salt=salt,
            iterations=identity.iterations,
            stored_key=keys.stored_key,
            server_key=keys.server_key,
            invite=identity.invite,
        ),
        Ok,
    )


async def log_in(requests: Requests, identity: Identity, certificate_hash: bytes) -> AuthOk:
    """Prove the password and check the server's proof.

    Raises Refused(AUTH_FAILED) for a wrong name or password, and for a server that does not know the account.
    """
    login = scram.ClientLogin(identity.user, secrets.token_bytes(18))
    start = AuthStart(
        mechanism=MECHANISM, user=identity.user, data=login.first, device_name=identity.device_name or None
    )
    challenge = (await requests.ask(start, AuthChallenge)).data
    salted = await _salted(identity.password, *login.parameters(challenge))
    binding = certificate_hash + requests.connection.negotiation.transcript
    try:
        answer = await requests.ask(AuthResponse(data=login.final(challenge, salted, binding)), AuthOk)
    except LinkLost as lost:
        # The last failure the server tolerates, and a downgrade, come as the end of the connection.
        if lost.code in (Code.AUTH_FAILED, Code.DOWNGRADE):
            raise Refused(Code(lost.code), lost.reason) from lost
        raise
    login.verify(answer.proof)
    return answer


async def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    """Off the loop, unless it is cheap: at the usual count it takes a tenth of a second or more."""
    if iterations <= _CHEAP:
        return scram.salted(password, salt, iterations)
    return await asyncio.to_thread(scram.salted, password, salt, iterations)
