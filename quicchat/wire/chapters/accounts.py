"""Accounts: sign-up and login by proof, so that no password ever travels. (spec 04-accounts)"""

from __future__ import annotations

from quicchat.wire.chapters.session import Error, Ok
from quicchat.wire.fields import EPOCH, MILLISECONDS, ROOM, SEQ, SHORT, USER
from quicchat.wire.machine import Row
from quicchat.wire.registry import CLIENT, SERVER, Pdu, Role, Via, key, pdu
from quicchat.wire.states import Rows, State, move
from quicchat.wire.types import Array, Bytes, Text, Tuple, Uint

MECHANISM = "SCRAM-SHA-256"
#: Rooms in one AUTH_OK, at most.
HEADS = 512

_MECHANISM = Text(64, 1, "[A-Z0-9_-]{1,64}", example=MECHANISM)
_PROOF = Bytes(1024)
_KEY = Bytes(32, 32)


@pdu(0x10, "AUTH_START", by=CLIENT, via=Via.CONTROL, section="4.2")
class AuthStart(Pdu):
    """Begins a login; `data` is the mechanism's first message; answered by AUTH_CHALLENGE."""

    mechanism: str = key(1, _MECHANISM, "one of VERSION_RESPONSE.mechanisms")
    user: str = key(2, USER, "who logs in")
    data: bytes = key(3, _PROOF, "client-first-message (RFC 5802)")
    device_name: str | None = key(4, SHORT, "shown in the list of sessions", default=None)


@pdu(0x11, "AUTH_CHALLENGE", by=SERVER, via=Via.CONTROL, section="4.2")
class AuthChallenge(Pdu):
    """Salt, iterations and nonce; for an unknown user too."""

    data: bytes = key(1, _PROOF, "server-first-message (RFC 5802)")


@pdu(0x12, "AUTH_RESPONSE", by=CLIENT, via=Via.CONTROL, section="4.2")
class AuthResponse(Pdu):
    """The proof, bound to certificate and negotiation; answered by AUTH_OK."""

    data: bytes = key(1, _PROOF, "client-final-message (RFC 5802)")


@pdu(0x13, "AUTH_OK", by=SERVER, via=Via.CONTROL, section="4.2")
class AuthOk(Pdu):
    """The user is logged in; the server proves in turn that it knows the account."""

    user: str = key(1, USER, "as the server writes the name")
    session: int = key(2, Uint(), "number of the session")
    token: bytes | None = key(3, Bytes(64, 32), "resume token, single use", default=None, since=2)
    expires: int | None = key(4, MILLISECONDS, "when the token ends, Unix ms", default=None, since=2)
    proof: bytes = key(5, _PROOF, "server-final-message (RFC 5802)")
    heads: tuple[tuple[str, int, int, int], ...] | None = key(
        6,
        Array(Tuple((ROOM, EPOCH, SEQ, SEQ)), HEADS),
        "of each room: [room, epoch, head, place delivered to this device]",
        default=None,
        since=2,
    )
    welcome: str | None = key(7, Text(2048), "the operator's message of the day", default=None)


@pdu(0x14, "SIGNUP", by=CLIENT, via=Via.CONTROL, section="4.1")
class Signup(Pdu):
    """Makes an account; the password itself stays with the client; answered by OK."""

    user: str = key(1, USER, "the name wanted")
    salt: bytes = key(2, Bytes(64, 16), "random")
    iterations: int = key(3, Uint(10_000_000, 1), "of PBKDF2; the server has a least value")
    stored_key: bytes = key(4, _KEY, "StoredKey (RFC 5802)")
    server_key: bytes = key(5, _KEY, "ServerKey (RFC 5802)")
    invite: str | None = key(6, SHORT, "where sign-up is by invitation", default=None)


def _refused(state: State) -> Row[State]:
    """A refusal before READY answers the step that is due, and leads back to the start of the login."""
    return move(state, Role.SERVER, Error, State.AUTHENTICATING, outcome="refused")


ROWS: Rows = (
    move(State.AUTHENTICATING, Role.CLIENT, Signup, State.SIGNING_UP),
    move(State.SIGNING_UP, Role.SERVER, Ok, State.AUTHENTICATING),
    _refused(State.SIGNING_UP),
    move(State.AUTHENTICATING, Role.CLIENT, AuthStart, State.STARTED),
    move(State.STARTED, Role.SERVER, AuthChallenge, State.CHALLENGED),
    _refused(State.STARTED),
    move(State.CHALLENGED, Role.CLIENT, AuthResponse, State.PROVING),
    move(State.PROVING, Role.SERVER, AuthOk, State.READY),
    _refused(State.PROVING),
)
