"""What a front end has to tell besides the events of the protocol, as values that know no style. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from quicchat.client.events import Progress
from quicchat.client.state import Person
from quicchat.client.traces import Trace
from quicchat.errors import Code
from quicchat.ui.identities import Approvals, Device, Keyed, Numbers, Recovery
from quicchat.ui.words import Call, Choice, Command
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Message, Posted
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank

if TYPE_CHECKING:
    from quicchat.client.files.api import Listed


@dataclass(frozen=True, slots=True)
class Sent:
    """A message is in the log. `user` is set for a direct one; `sealed` where only those who are there can read it.

    `answers` is the message [place, sender] that it answers where the person left the choice to us.
    """

    posted: Posted
    user: str | None = None
    answers: tuple[int, str] | None = None
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """Plain text goes to this room from now on; `encryption` is its state in a word, and why where it is held."""

    room: str
    topic: str = ""
    members: int | None = None
    encryption: tuple[str, str] = ("plain", "")


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What is said in this room has become encrypted from end to end."""

    room: str


@dataclass(frozen=True, slots=True)
class Gone:
    """We left a room; plain text goes to `now`."""

    room: str
    now: str


@dataclass(frozen=True, slots=True)
class Rooms:
    """Rows [room, members, topic, whether we are in]; `here` is the current one."""

    rows: Sequence[tuple[str, int, str, bool]]
    here: str


@dataclass(frozen=True, slots=True)
class Members:
    """Rows [user, whether online, rank] of a room."""

    room: str
    rows: Sequence[tuple[str, bool, Rank]]


@dataclass(frozen=True, slots=True)
class People:
    """Everybody we know of."""

    people: Mapping[str, Person]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message with the time it came here (Unix ms, None when it was not heard live), and whether we sent it.

    `late` where it was said while we were away.
    """

    message: Message
    received: int | None
    own: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """A page of a room's log."""

    room: str
    events: Sequence[Heard]


@dataclass(frozen=True, slots=True)
class Readable:
    """Messages that were told without their words, which are known by now."""

    room: str
    events: Sequence[Heard]


@dataclass(frozen=True, slots=True)
class Found:
    """Messages with all of these words, newest first."""

    words: str
    events: Sequence[Heard]


@dataclass(frozen=True, slots=True)
class Unread:
    """Rows [room, events unread, those of them that name us] of conversations in which something waits."""

    rows: Sequence[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Receipts:
    """Rows [user, delivered, read, when]: how far the others in a room have come; in larger rooms only how many."""

    room: str
    rows: Sequence[tuple[str, int, int, int]]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Devices:
    """Rows [session, device, its name, address, since when, whether it is ours]; session 0 where it is away.

    `keyed` are those that have keys, as in `Keyed`.
    """

    rows: Sequence[tuple[int, bytes, str, str, int, bool]]
    keyed: Sequence[Device] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a room, or with None what the server shares."""

    room: str | None
    rows: Sequence[Listed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freight:
    """How far a file is on its way. `step` names what people are told of it; it is empty where they are told nothing.

    Sizes are bytes, rates bytes a second: the one of the moment, and those of all that came `reliable` and `fast`.
    `lost` pieces of a fast one did not come by themselves, `missing` are not here now. `seconds` is how long it took.
    """

    number: int
    name: str
    direction: str
    mode: str
    state: str
    room: str | None = None
    size: int | None = None
    done: int = 0
    resumed: int = 0
    rate: float = 0.0
    eta: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    pieces: int = 0
    missing: int = 0
    lost: int = 0
    seconds: float = 0.0
    path: str | None = None
    reason: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Transfers:
    """Files on their way, or that were."""

    rows: Sequence[Freight]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A directory that came is one again; `left_out` members may not be made here. With a `reason` it failed."""

    name: str
    path: str
    files: int
    left_out: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Rows [name, bytes, bytes that are here] of files that were begun here and can go on."""

    rows: Sequence[tuple[str, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The connection, and what waits for it. `rtt` is in seconds."""

    user: str
    place: str
    version: int
    session: int
    rtt: float | None
    outbox: int


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has no answer of its own was carried out: which, and on what.

    `chosen` is the message [place, sender] that it is about where the person left the choice to us.
    """

    command: str
    facts: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A message of ours has come further.

    `user` is set for a direct one, the first time that he holds it; `stored` is when it was (Unix ms), `offline`
    whether he was away then. `waited` where its outcome is told besides, `held` where it is kept back for want of
    somebody's keys.
    """

    progress: Progress
    user: str | None = None
    stored: int | None = None
    offline: bool = False
    waited: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """From here on comes what was said while we were away."""


@dataclass(frozen=True, slots=True)
class Echoed:
    """What the server sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class Rtt:
    """To the server and back, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Shown:
    """How available we are now."""

    show: Show


@dataclass(frozen=True, slots=True)
class Help:
    """The commands to list, of one style, or where one was named, those of that name to explain.

    `style` says which words it knows.
    """

    commands: Sequence[Command]
    style: str
    single: bool = False


@dataclass(frozen=True, slots=True)
class Menu:
    """The plain words that a style knows, right after login."""

    commands: Sequence[Command]


@dataclass(frozen=True, slots=True)
class Quit:
    """The person wants to go."""

    reason: str = "quit"


@dataclass(frozen=True, slots=True)
class Denied:
    """A request was refused, by the server or before it was sent."""

    code: Code
    text: str
    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """We are logged in; `again` when a lost connection was replaced."""

    user: str
    place: str
    version: int
    session: int
    welcome: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended without our wish. `retry` tells whether it will be tried again."""

    code: str
    reason: str
    retry: bool


@dataclass(frozen=True, slots=True)
class NotResponding:
    """The server is gone, and nobody waits for it (R4.16)."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Somebody is here for the first time: a few lines that help him on; `keyed` where he has keys."""

    keyed: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The server is not there yet; it is tried again and again."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """So many lines were given up at the end; what was said, so many messages, is `kept` for the next time."""

    count: int
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """One more line for the person."""

    text: str


Outcome = (
    Sent
    | Here
    | Gone
    | Rooms
    | Members
    | People
    | Past
    | Found
    | Unread
    | Receipts
    | Trace
    | Devices
    | Files
    | Transfers
    | Choice
    | Status
    | Done
    | Echoed
    | Rtt
    | Shown
    | Help
    | Quit
    | Keyed
    | Numbers
    | Approvals
    | Recovery
)
