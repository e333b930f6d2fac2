"""Getting in: negotiation, sign-up and the login proof, from the client's side. (spec 04-accounts)"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Sequence

from quicchat.client.chance import Chance
from quicchat.client.identity import Identity as Identity
from quicchat.client.memory import Salt, Token
from quicchat.client.requests import Requests, answered
from quicchat.errors import Code, LinkLost, Refused
from quicchat.protocol import scram
from quicchat.wire.chapters.accounts import (
    MECHANISM,
    OUTSTANDING,
    AuthChallenge,
    AuthOk,
    AuthResponse,
    AuthStart,
    Password,
    Resume,
    Resumed,
    Signup,
)
from quicchat.wire.chapters.session import Ok

_CHEAP = 10_000


async def sign_up(requests: Requests, identity: Identity, chance: Chance = secrets.token_bytes) -> None:
    """Make an account. Raises Refused with NAME_TAKEN, NAME_INVALID, SIGNUP_CLOSED or RATE_LIMITED."""
    keys = await _new_keys(_password(identity), identity.iterations, chance)
    await requests.ask(
        Signup(
            user=identity.user,
            salt=keys.salt,
            iterations=keys.iterations,
            stored_key=keys.stored_key,
            server_key=keys.server_key,
            invite=identity.invite,
        ),
        Ok,
    )


async def log_in(
    requests: Requests, identity: Identity, certificate_hash: bytes, chance: Chance = secrets.token_bytes
) -> AuthOk:
    """As `prove`."""
    return (await prove(requests, identity, certificate_hash, chance))[0]


async def prove(
    requests: Requests, identity: Identity, certificate_hash: bytes, chance: Chance = secrets.token_bytes
) -> tuple[AuthOk, Salt]:
    """Prove the password and check the server's proof; the answer, and what the password is salted with.

    Raises Refused(AUTH_FAILED) for a wrong name or password, and for a server that does not know the account.
    """
    password = _password(identity)
    login = scram.ClientLogin(identity.user, chance(18))
    start = AuthStart(
        mechanism=MECHANISM, user=identity.user, data=login.first, device_name=identity.device_name or None
    )
    challenge = (await requests.ask(start, AuthChallenge)).data
    salt = Salt(*login.parameters(challenge))
    if salt.iterations < identity.least:
        asked = f"The server asks for {salt.iterations} iterations only; the least are {identity.least}."
        raise Refused(Code.AUTH_FAILED, asked)
    salted = await _salted(password, salt.salt, salt.iterations)
    binding = certificate_hash + requests.connection.negotiation.transcript
    try:
        answer = await requests.ask(AuthResponse(data=login.final(challenge, salted, binding)), AuthOk)
    except LinkLost as lost:
        # The last failure the server tolerates, and a downgrade, come as the end of the connection.
        if lost.code in (Code.AUTH_FAILED, Code.DOWNGRADE):
            raise Refused(Code(lost.code), lost.reason) from lost
        raise
    login.verify(answer.proof)
    return answer, salt


async def resume(
    requests: Requests,
    token: Token,
    have: Sequence[tuple[str, int, int]],
    outstanding: Sequence[bytes],
    device_name: str = "",
) -> Resumed:
    """Log in by token, in the first flight where the negotiation is still under way, and check the server's proof.

    Raises Refused(TOKEN_EXPIRED) where it is used or too old, and (DOWNGRADE) where the server does not prove that
    it has seen the same negotiation; LinkLost where the connection ends.
    """
    ask = Resume(
        token=token.value,
        have=tuple(have),
        outstanding=tuple(outstanding[:OUTSTANDING]),
        device_name=device_name or None,
    )
    answer = answered(ask, await requests.begin(ask), Resumed)
    expected = hmac.digest(token.value, requests.connection.negotiation.transcript, "sha256")
    if not hmac.compare_digest(expected, answer.proof):
        raise Refused(Code.DOWNGRADE)
    return answer


async def change_password(
    requests: Requests, old: str, new: str, salt: Salt, *, iterations: int, chance: Chance = secrets.token_bytes
) -> Salt:
    """Replace the password, which `salt` was of; every other session and every token of the account end with it.

    Returns what the new one is salted with. Raises Refused(AUTH_FAILED) where the old one is wrong.
    """
    salted = await _salted(old, salt.salt, salt.iterations)
    keys = await _new_keys(new, iterations, chance)
    ask = Password(
        salt=keys.salt,
        iterations=keys.iterations,
        stored_key=keys.stored_key,
        server_key=keys.server_key,
        current=hmac.digest(salted, b"Client Key", "sha256"),
    )
    await requests.ask(ask, Ok)
    return Salt(keys.salt, keys.iterations)


def _password(identity: Identity) -> str:
    """The password. Raises Refused where there is none to prove anything with."""
    if identity.password is None:
        raise Refused(Code.AUTH_FAILED, "No password is known.")
    return identity.password


async def _new_keys(password: str, iterations: int, chance: Chance) -> scram.Credentials:
    salt = chance(16)
    return scram.credentials_from(await _salted(password, salt, iterations), salt, iterations)


async def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    """Off the loop, unless it is cheap: at the usual count it takes a tenth of a second or more."""
    if iterations <= _CHEAP:
        return scram.salted(password, salt, iterations)
    return await asyncio.to_thread(scram.salted, password, salt, iterations)
