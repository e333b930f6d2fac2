"""The exception tree and the error codes of the protocol, with what each means. (spec 09-errors)

    QuicchatError
    ├── ProtocolError          closes the connection; carries a Code
    │   ├── LocalProtocolError     we were about to break the protocol: nothing was sent
    │   └── RemoteProtocolError    the peer broke it
    ├── Refused                answers one request with ERROR; the connection goes on
    ├── LinkLost               the connection ended; carries the close code and who closed
    └── UsageError             the person at the keyboard can mend it: one line, an exit code

Codes have numbers of their own; those below 0x100 are the transport's (RFC 9000 section 20.1).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from quicchat.values import dataclass


class Code(IntEnum):
    """Every code that ERROR, GOAWAY or a close may carry (spec 09-errors)."""

    NO_ERROR = 0x100
    NO_COMMON_VERSION = 0x101
    NEGOTIATION_TIMEOUT = 0x102
    FRAME_TOO_LARGE = 0x103
    DECODE = 0x104
    SCHEMA = 0x105
    STATE = 0x106
    UNSUPPORTED = 0x107
    VERSION = 0x108
    STREAM_MISUSE = 0x109
    LIMIT = 0x10A
    AUTH_FAILED = 0x201
    AUTH_REQUIRED = 0x202
    ALREADY_LOGGED_IN = 0x203
    TOKEN_EXPIRED = 0x204
    NAME_TAKEN = 0x205
    NAME_INVALID = 0x206
    SIGNUP_CLOSED = 0x207
    SESSION_REPLACED = 0x208
    DOWNGRADE = 0x209
    NO_SUCH_ROOM = 0x301
    NOT_MEMBER = 0x302
    FORBIDDEN = 0x303
    BANNED = 0x304
    ROOM_EXISTS = 0x305
    ONE_GROUP_ONLY = 0x306
    NO_SUCH_USER = 0x401
    NO_SUCH_MESSAGE = 0x402
    CID_CONFLICT = 0x403
    HISTORY_GONE = 0x404
    EPOCH_CHANGED = 0x405
    TOO_FAR_BEHIND = 0x406
    MSG_TOO_LARGE = 0x407
    RATE_LIMITED = 0x501
    OVERLOADED = 0x502
    INTERNAL = 0x503
    STORE_UNAVAILABLE = 0x504
    DRAINING = 0x505
    SLOW_CONSUMER = 0x506
    REPLAY = 0x507
    NO_SUCH_FILE = 0x601
    DIGEST = 0x602
    FILE_CHANGED = 0x603
    QUOTA = 0x604
    RANGE = 0x605
    KEYS_STALE = 0x701
    SEALED_ONLY = 0x702


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code tells the peer: `fatal` closes, `temporary` may be retried, `reconnect` is worth trying."""

    text: str
    fatal: bool = False
    temporary: bool = False
    reconnect: bool = True


def _fatal(text: str, *, reconnect: bool = False) -> Meaning:
    return Meaning(text, fatal=True, reconnect=reconnect)


def _temporary(text: str) -> Meaning:
    return Meaning(text, temporary=True)


MEANINGS: Final[dict[Code, Meaning]] = {
    Code.NO_ERROR: Meaning("Nothing is wrong; the connection was closed on purpose."),
    Code.NO_COMMON_VERSION: _fatal("Client and server share no protocol version."),
    Code.NEGOTIATION_TIMEOUT: _fatal("The version was not negotiated in time.", reconnect=True),
    Code.FRAME_TOO_LARGE: _fatal("A frame is longer than the limit that was agreed."),
    Code.DECODE: _fatal("The bytes are not a well-formed PDU."),
    Code.SCHEMA: _fatal("A field is missing, of the wrong type or beyond its limit."),
    Code.STATE: Meaning("This PDU is not allowed in this state."),
    Code.UNSUPPORTED: Meaning("The request needs something this end does not understand."),
    Code.VERSION: _fatal("A PDU carries another version than the one that was negotiated."),
    Code.STREAM_MISUSE: Meaning("This PDU does not belong on this stream."),
    Code.LIMIT: Meaning("A limit that was agreed is exceeded."),
    Code.AUTH_FAILED: Meaning("The name or the password is wrong."),
    Code.AUTH_REQUIRED: Meaning("Log in first."),
    Code.ALREADY_LOGGED_IN: Meaning("This user is already logged in from another location."),
    Code.TOKEN_EXPIRED: Meaning("The token is used, revoked or too old; log in again."),
    Code.NAME_TAKEN: Meaning("This name is taken."),
    Code.NAME_INVALID: Meaning("A name is 1 to 32 characters of a-z, 0-9, _ and -."),
    Code.SIGNUP_CLOSED: Meaning("This server does not accept new accounts."),
    Code.SESSION_REPLACED: _fatal("Another session of this device took over."),
    Code.DOWNGRADE: _fatal("Somebody changed the version negotiation on its way."),
    Code.NO_SUCH_ROOM: Meaning("There is no such room, or you may not see it."),
    Code.NOT_MEMBER: Meaning("You are not a member of this room."),
    Code.FORBIDDEN: Meaning("You may not do this."),
    Code.BANNED: Meaning("You are banned from this room."),
    Code.ROOM_EXISTS: Meaning("A room of this name exists already."),
    Code.ONE_GROUP_ONLY: Meaning("Leave your current group before you join another."),
    Code.NO_SUCH_USER: Meaning("There is no such user."),
    Code.NO_SUCH_MESSAGE: Meaning("There is no such message."),
    Code.CID_CONFLICT: Meaning("This message id was used for another message."),
    Code.HISTORY_GONE: Meaning("That part of the history is no longer kept."),
    Code.EPOCH_CHANGED: Meaning("The room's log was replaced; fetch it anew."),
    Code.TOO_FAR_BEHIND: Meaning("You are too far behind; fetch the latest page."),
    Code.MSG_TOO_LARGE: Meaning("The message is too large."),
    Code.RATE_LIMITED: _temporary("Too many requests; wait a moment."),
    Code.OVERLOADED: _temporary("The server is overloaded; try again later."),
    Code.INTERNAL: Meaning("The server made a mistake.", fatal=True, temporary=True),
    Code.STORE_UNAVAILABLE: _temporary("The server cannot store anything at the moment."),
    Code.DRAINING: _temporary("The server is about to stop."),
    Code.SLOW_CONSUMER: Meaning("You read too slowly.", fatal=True, temporary=True),
    Code.REPLAY: _temporary("Early data cannot do this; send it again."),
    Code.NO_SUCH_FILE: Meaning("There is no such file."),
    Code.DIGEST: Meaning("The bytes do not have the digest that was announced."),
    Code.FILE_CHANGED: Meaning("The file changed while it was read."),
    Code.QUOTA: Meaning("Your quota is used up."),
    Code.RANGE: Meaning("That range lies outside the file."),
    Code.KEYS_STALE: Meaning("The device list is stale; fetch it anew."),
    Code.SEALED_ONLY: Meaning("Only what is encrypted from end to end is taken here."),
}


class QuicchatError(Exception):
    """Root of everything that quicchat raises on purpose."""


class ProtocolError(QuicchatError):
    """The protocol was broken; the connection closes with `code`."""

    def __init__(self, code: Code, text: str = "") -> None:
        self.code = code
        self.text = text or MEANINGS[code].text
        super().__init__(f"{code.name}: {self.text}")


class LocalProtocolError(ProtocolError):
    """We were about to send what the protocol forbids; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids."""


class Refused(QuicchatError):
    """One request is answered with ERROR; connection and state stay as they are.

    `retry_after` is in milliseconds, as on the wire; `detail` is for programs (spec 3.3).
    """

    def __init__(
        self, code: Code, text: str = "", *, retry_after: int | None = None, detail: bytes | None = None
    ) -> None:
        self.code = code
        self.text = text or MEANINGS[code].text
        self.retry_after = retry_after
        self.detail = detail
        super().__init__(f"{code.name}: {self.text}")


class LinkLost(QuicchatError):
    """The connection ended. `remote` tells who closed; without `application` the code is the transport's."""

    def __init__(self, code: int, reason: str = "", *, remote: bool = True, application: bool = True) -> None:
        self.code = code
        self.reason = reason
        self.remote = remote
        self.application = application
        name = describe(code) if application else f"0x{code:x}"
        super().__init__(f"{name}{': ' + reason if reason else ''}")


class UsageError(QuicchatError):
    """Something the user can mend: `str(error)` is the one line to print, `exit_code` what to leave with."""

    def __init__(self, text: str, exit_code: int = 2) -> None:
        self.exit_code = exit_code
        super().__init__(text)


def describe(code: int) -> str:
    """The name of an error code, or its number in hexadecimal when it is none of ours."""
    try:
        return Code(code).name
    except ValueError:
        return f"0x{code:x}"
