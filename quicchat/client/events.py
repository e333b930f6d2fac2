"""What a client tells its application besides the PDUs it hears. (spec 06-messages)"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from quicchat.values import dataclass

if TYPE_CHECKING:
    from quicchat.client.files.transfer import Transfer


class Sent(IntEnum):
    """How far a message of one's own has come (spec 06-messages)."""

    DRAFT = 0
    QUEUED = 1
    SENT = 2
    STORED = 3
    DELIVERED = 4
    READ = 5
    FAILED = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """A message of one's own has come further.

    `room` is where it goes, `seq` its place once it has one. DELIVERED and READ name in `by` whose doing it was,
    or in `count` how many there are, and in `at` when (Unix ms, the server's clock); FAILED has a `reason`, and
    QUEUED has one where the message is held: it goes on by itself once the reason is gone.
    """

    cid: bytes
    room: str
    seq: int | None
    state: Sent
    by: str | None = None
    at: int | None = None
    reason: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the server: `retry_in` seconds while waiting; `early` where the login took no round trip of its own.

    `offline` is for good: nothing is tried any more.
    """

    state: Literal["connecting", "online", "waiting", "offline", "moved"]
    retry_in: float | None = None
    reason: str | None = None
    early: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A room's log was replaced: what was shown of it is no longer true, and it comes anew."""

    room: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer changed its state, has something to say, or, at most four times a second, came further."""

    transfer: Transfer


@dataclass(frozen=True, slots=True)
class KeyNews:
    """Something about keys that a person should know: `text` is one line, and names the command that helps.

    `kind` is pinned, device, changed, blocked, reader, rollback, forged-list, or keyless (what he is told is plain); of
    one's own devices waiting, listed or approve (another one waits to be let in); of one's own backup recovery (its
    code is new) or backup (it is not up to date). `user` is whose keys they are.
    """

    kind: str
    user: str
    text: str


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Messages that were told before can be read now, or it is known by now that they cannot: `Chat.past` has them."""

    room: str
    seqs: tuple[int, ...]


Happening = Progress | Line | Reset | Moved | KeyNews | Unsealed
