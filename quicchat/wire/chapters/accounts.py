"""Accounts: sign-up and login by proof, so that no password ever travels. (spec 04-accounts)"""

from __future__ import annotations

from enum import IntEnum

from quicchat.wire.chapters.session import Error, Ok
from quicchat.wire.fields import CID, DEVICE, EPOCH, MILLISECONDS, ROOM, SEQ, SHORT, USER
from quicchat.wire.machine import Row
from quicchat.wire.registry import BOTH, CLIENT, SERVER, Pdu, Role, Via, key, pdu
from quicchat.wire.states import Rows, State, move, stay
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Uint

MECHANISM = "SCRAM-SHA-256"
#: Rooms in one AUTH_OK or RESUMED, at most.
HEADS = 512
#: Rooms and message ids in one RESUME, at most: it has to fit what may be sent before login.
HAVE = 128
OUTSTANDING = 256
#: Sessions and devices in one SESSIONS.
SESSIONS = 64

_MECHANISM = Text(64, 1, "[A-Z0-9_-]{1,64}", example=MECHANISM)
_PROOF = Bytes(1024)
_KEY = Bytes(32, 32)
_TOKEN = Bytes(64, 32)


class Verdict(IntEnum):
    """What has become of a room since its place was told in RESUME."""

    OK = 0
    TRUNCATED = 1
    RESET = 2
    GONE = 3


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
    token: bytes | None = key(3, _TOKEN, "resume token, single use", default=None, since=2)
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
    iterations: int = key(3, Uint(10_000_000, 1), "of PBKDF2; a server has a least value (4.1-8)")
    stored_key: bytes = key(4, _KEY, "StoredKey (RFC 5802)")
    server_key: bytes = key(5, _KEY, "ServerKey (RFC 5802)")
    invite: str | None = key(6, SHORT, "where sign-up is by invitation", default=None)


@pdu(0x15, "PASSWORD", by=CLIENT, via=Via.CONTROL, section="4.4", since=2)
class Password(Pdu):
    """Replaces the password; all other sessions and every token of the account end; answered by OK."""

    salt: bytes = key(1, Bytes(64, 16), "random")
    iterations: int = key(2, Uint(10_000_000, 1), "of PBKDF2; a server has a least value (4.1-8)")
    stored_key: bytes = key(3, _KEY, "StoredKey (RFC 5802)")
    server_key: bytes = key(4, _KEY, "ServerKey (RFC 5802)")
    current: bytes = key(5, _KEY, "ClientKey of the password in force (RFC 5802)")


@pdu(0x16, "SESSIONS", by=BOTH, via=Via.CONTROL, section="4.5", since=2)
class Sessions(Pdu):
    """Asks for one's sessions; answered by SESSIONS, which lists them."""

    sessions: tuple[tuple[int, bytes, str, str, int, bool], ...] | None = key(
        1,
        Array(Tuple((Uint(), DEVICE, SHORT, SHORT, MILLISECONDS, Bool())), SESSIONS),
        "from the server: [session, device, its name, address, since when, whether it is the one that asks]; "
        "session 0 and when it was last here for a device that is away",
        default=None,
    )


@pdu(0x17, "REVOKE", by=CLIENT, via=Via.CONTROL, section="4.5", since=2)
class Revoke(Pdu):
    """Ends one of one's sessions, or all of a device, and its tokens; answered by OK."""

    session: int | None = key(1, Uint(), "which session; else `device`", default=None)
    device: bytes | None = key(2, DEVICE, "which device; else `session`", default=None)


@pdu(0x18, "RESUME", by=CLIENT, via=Via.CONTROL, section="4.3", since=2, replay_safe=True)
class Resume(Pdu):
    """Logs in by token, and tells what this device holds; answered by RESUMED."""

    token: bytes = key(1, _TOKEN, "of AUTH_OK or RESUMED")
    have: tuple[tuple[str, int, int], ...] = key(
        2, Array(Tuple((ROOM, EPOCH, SEQ)), HAVE), "[room, epoch, last place held]"
    )
    outstanding: tuple[bytes, ...] = key(3, Array(CID, OUTSTANDING), "ids of messages sent and not acknowledged")
    device_name: str | None = key(4, SHORT, "shown in the list of sessions", default=None)


@pdu(0x19, "RESUMED", by=SERVER, via=Via.CONTROL, section="4.3", since=2)
class Resumed(Pdu):
    """The session goes on; what follows the places of RESUME comes behind this, or is there to be fetched."""

    session: int = key(1, Uint(), "number of the session")
    token: bytes = key(2, _TOKEN, "the next resume token")
    rooms: tuple[tuple[str, int, int, int, Verdict], ...] = key(
        3,
        Array(Tuple((ROOM, EPOCH, SEQ, SEQ, Choice(Verdict))), HEADS),
        "[room, epoch, head, place to go on from, 0 ok | 1 truncated | 2 reset | 3 gone]",
    )
    known: tuple[tuple[bytes, int], ...] = key(
        4, Array(Tuple((CID, SEQ)), OUTSTANDING), "[id, its place] of those outstanding that are stored"
    )
    user: str = key(5, USER, "who is logged in")
    expires: int = key(6, MILLISECONDS, "when the token ends, Unix ms")
    proof: bytes = key(7, _KEY, "HMAC-SHA-256 with the token of RESUME as key, over the negotiation's transcript")


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
    # RESUME may leave before VERSION_RESPONSE has come: so it fits the first flight, as early data too.
    move(State.NEGOTIATING, Role.CLIENT, Resume, State.EARLY),
    move(State.AUTHENTICATING, Role.CLIENT, Resume, State.RESUMING),
    move(State.RESUMING, Role.SERVER, Resumed, State.READY),
    _refused(State.RESUMING),
    *stay((State.READY,), Password, Sessions, Revoke),
)
