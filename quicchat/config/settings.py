"""The settings themselves: all that can be chosen about a server and about a client. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from quicchat.config.kinds import Address, Kind, Many, Place, Seconds, Size, Switch, Text, Whole, Word
from quicchat.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

#: Where a server listens unless told otherwise: browsers and resolvers take `localhost` for either of them.
LOOPBACK: Final = ("127.0.0.1", "::1")

_PORT: Final = 55667
_DEADLINE: Final = Seconds(0.1, 3600)
_FINGERPRINT: Final = r"(?i:(?:sha-?256:)?(?:[0-9a-f]{2}:?){31}[0-9a-f]{2})"


class Setting(NamedTuple):
    """One setting: its name as a field, what it may be, what it is for, and its flags.

    `kept` is False for what holds for one start only: it has no place in the file or the environment.
    """

    name: str
    default: object
    kind: Kind
    help: str
    flags: tuple[str, ...]
    kept: bool


def _is(kind: Kind, about: str, *flags: str, kept: bool = True) -> dict[str, Any]:
    return {"kind": kind, "help": about, "flags": flags, "kept": kept}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """How a server runs. Sizes are bytes, times are seconds."""

    section: ClassVar[str] = "server"

    listen: tuple[str, ...] = field(
        default=LOOPBACK, metadata=_is(Many(Address()), "address to listen on; may be repeated", "-l", "--listen")
    )
    port: int = field(
        default=_PORT, metadata=_is(Whole(0, 65535), "UDP port; 0 takes one that is free", "-p", "--port")
    )
    data: Path = field(metadata=_is(Place(), "directory that holds all that this server keeps", "--data"))
    share: Path | None = field(
        default=None,
        metadata=_is(
            Place(), "directory whose files everybody may fetch; usual: SharedFiles in the one of --data", "--share"
        ),
    )
    quota: int = field(
        default=1 << 30, metadata=_is(Size(0, 2**40), "bytes that the files of one user may have in all", "--quota")
    )
    quota_files: int = field(
        default=1_000, metadata=_is(Whole(0, 1_000_000), "files that one user may have in all", "--quota-files")
    )
    mode: Literal["chat", "echo"] = field(
        default="chat", metadata=_is(Word(("chat", "echo")), "echo only sends back what it gets", "--mode")
    )
    welcome: str = field(
        default="Welcome to quicchat.",
        metadata=_is(Text(limit=2000, lines=True), "what users read after login", "--welcome"),
    )
    signup: Literal["auto", "open", "invite", "closed"] = field(
        default="auto",
        metadata=_is(
            Word(("auto", "open", "invite", "closed")),
            "who may make an account; auto: everybody on a loopback address, nobody elsewhere",
            "--signup",
        ),
    )
    sessions: Literal["multi", "single"] = field(
        default="multi", metadata=_is(Word(("multi", "single")), "how often a user may be logged in", "--sessions")
    )
    demo: bool | None = field(
        default=None,
        metadata=_is(
            Switch(), "make the accounts user1 and user2; usual on a loopback address with no accounts", "--demo"
        ),
    )
    invites: tuple[str, ...] = field(
        default=(),
        metadata=_is(Many(Text("a word", r"\S+", 64)), "word that opens --signup invite; may be repeated", "--invite"),
    )
    announcers: tuple[str, ...] = field(
        default=(),
        metadata=_is(
            Many(Text("a user name", r"[a-z0-9_-]+", 32)),
            "user who may announce things to everybody; may be repeated; usual: everybody may",
            "--announcer",
        ),
    )
    operators: tuple[str, ...] = field(
        default=(),
        metadata=_is(
            Many(Text("a user name", r"[a-z0-9_-]+", 32)),
            "user who rules every room; may be repeated; make the account before you name it here",
            "--operator",
        ),
    )
    exclusive_groups: bool = field(
        default=False,
        metadata=_is(Switch(), "nobody may be in two rooms that people made at once", "--exclusive-groups"),
    )
    show_addresses: bool = field(
        default=False, metadata=_is(Switch(), "show users from where the others are connected", "--show-addresses")
    )
    names: tuple[str, ...] = field(
        default=(), metadata=_is(Many(Address()), "further name for the certificate; may be repeated", "--name")
    )
    cert: Path | None = field(
        default=None, metadata=_is(Place(), "certificate chain (PEM) to use, not one of our own", "--cert")
    )
    key: Path | None = field(default=None, metadata=_is(Place(), "private key (PEM) of --cert", "--key"))
    log_format: Literal["text", "json"] = field(
        default="text", metadata=_is(Word(("text", "json")), "how log lines are written", "--log-format")
    )
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info",
        metadata=_is(Word(("debug", "info", "warning", "error")), "the least that is logged", "--log-level"),
    )
    iterations: int = field(
        default=600_000,
        metadata=_is(Whole(1, 10_000_000), "iterations that a new password must have at least", "--iterations"),
    )
    ping_interval: float = field(
        default=10.0, metadata=_is(_DEADLINE, "seconds between two signs of life", "--ping-interval")
    )
    idle_timeout: float = field(
        default=30.0, metadata=_is(_DEADLINE, "seconds of silence until a client is gone", "--idle-timeout")
    )
    login_timeout: float = field(
        default=15.0, metadata=_is(_DEADLINE, "seconds that a client has to log in", "--login-timeout")
    )
    versions: tuple[int, ...] = field(
        default=(), metadata=_is(Many(Whole(1, 255)), "protocol versions to speak, instead of all", "--versions")
    )
    backlog: int = field(
        default=1_048_576,
        metadata=_is(Whole(65_536, 2**32), "bytes that a slow client may leave unread", "--backlog"),
    )
    rate: int = field(
        default=20,
        metadata=_is(Whole(0, 1_000_000), "messages a second from one client; 0 limits no requests at all", "--rate"),
    )
    burst: int = field(
        default=100, metadata=_is(Whole(1, 1_000_000), "messages from one client at once, after a rest", "--burst")
    )
    flights: bool = field(
        default=True,
        metadata=_is(
            Switch(), "keep the last of connections that ended with a fault, in flights/, without contents", "--flights"
        ),
    )
    qlog: Path | None = field(
        default=None,
        metadata=_is(Place(), "directory for a file of each connection (qlog), which tells who talks when", "--qlog"),
    )

    @property
    def shared(self) -> Path:
        """The directory that is shared."""
        return self.share or self.data / "SharedFiles"

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach the server."""
        return all(map(is_loopback, self.listen))

    @property
    def signup_policy(self) -> Literal["open", "invite", "closed"]:
        """What `auto` comes to."""
        if self.signup == "auto":
            return "open" if self.loopback else "closed"
        return self.signup

    @property
    def wants_demo(self) -> bool:
        """Whether a store without accounts gets those of the demo."""
        return self.loopback if self.demo is None else self.demo


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """How a client runs. Times are seconds."""

    section: ClassVar[str] = "client"

    host: str = field(
        default="localhost", metadata=_is(Address(), "host name or address of the server", "-s", "--host")
    )
    port: int = field(default=_PORT, metadata=_is(Whole(1, 65535), "UDP port of the server", "-p", "--port"))
    user: str | None = field(default=None, metadata=_is(Text("a user name", r"\S+", 64), "user name", "-u", "--user"))
    password_file: Path | None = field(
        default=None, metadata=_is(Place(), "file that holds the password, mode 0600", "--password-file")
    )
    invitation: str | None = field(
        default=None,
        metadata=_is(
            Text("a word", r"\S+", 64),
            "word that lets you make an account on a server that asks for one",
            "--invitation",
        ),
    )
    data: Path = field(metadata=_is(Place(), "directory that holds what this device keeps", "--data"))
    commands: tuple[str, ...] = field(
        default=(),
        metadata=_is(
            Many(Text("a line of input", limit=65_536), comma=None),
            "line to type after login, then quit; may be repeated",
            "-e",
            "--execute",
            kept=False,
        ),
    )
    downloads: Path | None = field(
        default=None,
        metadata=_is(
            Place(), "where the folder named after you is that downloads go to; usual: where you start", "--downloads"
        ),
    )
    ui: Literal["auto", "tui", "line", "plain"] = field(
        default="auto",
        metadata=_is(
            Word(("auto", "tui", "line", "plain")),
            "the face: tui fills the terminal, line keeps a prompt below what is printed, plain only prints",
            "--ui",
        ),
    )
    theme: str | None = field(
        default=None,
        metadata=_is(
            Text("a theme", r"[a-z0-9-]+", 64), "colours of the tui, until others are chosen there", "--theme"
        ),
    )
    hint: str | None = field(
        default=None,
        metadata=_is(Text("a line", limit=200), "what the tui says to who logs in for the first time", "--hint"),
    )
    json: bool = field(default=False, metadata=_is(Switch(), "every event as a line of JSON", "--json"))
    notify: Literal["all", "mentions", "none"] = field(
        default="mentions",
        metadata=_is(
            Word(("all", "mentions", "none")), "what of rooms is announced unless /notify says else", "--notify"
        ),
    )
    bell: bool = field(default=True, metadata=_is(Switch(), "ring the terminal's bell", "--bell"))
    desktop: bool = field(
        default=True, metadata=_is(Switch(), "tell the desktop, and the title of the window", "--desktop")
    )
    keep: int = field(
        default=20_000,
        metadata=_is(
            Whole(256, 1_000_000), "messages of each room that this device keeps, for reading and search", "--keep"
        ),
    )
    style: Literal["default", "mystic", "classic"] = field(
        default="default", metadata=_is(Word(("default", "mystic", "classic")), "how messages look", "--style")
    )
    time: str = field(default="%H:%M:%S", metadata=_is(Text("a strftime format", limit=64), "how times look", "--time"))
    versions: tuple[int, ...] = field(
        default=(), metadata=_is(Many(Whole(1, 255)), "protocol versions to offer, such as 2,1", "--versions")
    )
    connect_timeout: float = field(
        default=5.0, metadata=_is(_DEADLINE, "seconds until connecting is given up", "--connect-timeout")
    )
    wait: bool = field(default=False, metadata=_is(Switch(), "keep trying until the server is there", "--wait"))
    on_server_loss: Literal["reconnect", "exit"] = field(
        default="reconnect",
        metadata=_is(Word(("reconnect", "exit")), "what to do when the server is gone", "--on-server-loss"),
    )
    ca: Path | None = field(default=None, metadata=_is(Place(), "trust only this CA certificate (PEM)", "--ca"))
    fingerprint: str | None = field(
        default=None,
        metadata=_is(
            Text("SHA256: and 64 hexadecimal digits, a text", _FINGERPRINT),
            "trust only a server with this fingerprint",
            "--fingerprint",
        ),
    )
    flights: bool = field(
        default=True,
        metadata=_is(
            Switch(), "keep the last of connections that ended with a fault, in flights/, without contents", "--flights"
        ),
    )
    qlog: Path | None = field(
        default=None,
        metadata=_is(Place(), "directory for a file of each connection (qlog), which tells who talks when", "--qlog"),
    )
    accept_new_fingerprint: bool = field(
        default=False,
        metadata=_is(Switch(), "trust the key that the server shows now", "--accept-new-fingerprint", kept=False),
    )


def settings(of: type[ServerConfig] | type[ClientConfig]) -> Iterator[Setting]:
    """The settings of a command, in the order in which help shows them."""
    for one in fields(of):
        yield Setting(name=one.name, default=None if one.default is MISSING else one.default, **one.metadata)


def is_loopback(host: str) -> bool:
    """Whether a host, as it was typed, can only be this machine."""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
