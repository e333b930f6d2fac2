"""The place where one case works: connections to the server under test, in the state that it wants. (spec README)"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from quicchat.tools.conform import scram
from quicchat.tools.conform.book import book
from quicchat.tools.conform.control import Controller
from quicchat.tools.conform.ear import Turn
from quicchat.tools.conform.pace import Pace
from quicchat.tools.conform.quic import Line, Unreachable, Wishes, dial
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, Unimplemented
from quicchat.values import dataclass

NO_ERROR: Final = 0x100
UPLOADERS: Final = 8
PASSWORD: Final = "Correct-horse-7"  # noqa: S105 - of accounts that the kit makes


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in."""

    user: str
    password: str


class Target:
    """The server under test: its address, what we know of it, and the accounts that we have there."""

    def __init__(
        self, host: str, port: int, *, features: frozenset[str], accounts: list[Account] | None = None
    ) -> None:
        self.host = host
        self.port = port
        self.features = features
        self.accounts = accounts or []
        self.versions: tuple[int, ...] = ()
        self.certificate = b""
        self.run = os.urandom(3).hex()
        #: What starts and kills the server, where `--start` gave us that.
        self.control: Controller | None = None
        self.pace = Pace()
        self._numbers = itertools.count(1)
        self._uploaders = itertools.cycle(range(3, 3 + UPLOADERS))
        self._gate = asyncio.Lock()
        #: Connections that cases have left in order, by the number of their account.
        self.kept: dict[int, list[Talk]] = {}

    @property
    def version(self) -> int:
        """The highest version that both ends speak."""
        return max({*self.versions} & {*book().versions}, default=0)

    async def dial(self, wishes: Wishes | None = None) -> Line:
        """A connection. Raises Unreachable."""
        await self.pace.turn()
        line = await dial(self.host, self.port, wishes)
        leaf = line.quic.tls._peer_certificate
        if leaf is not None:
            self.certificate = hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()
        return line

    @property
    def is_limited(self) -> bool:
        """Whether its rates were in our way, so that everything takes longer."""
        return self.pace.gap > 0

    def slow_down(self) -> None:
        """Its rates were in our way."""
        self.pace.slow_down()

    def name(self, what: str = "c") -> str:
        """A name that nobody else uses."""
        return f"{what}{self.run}-{next(self._numbers)}"

    def uploader(self) -> int:
        """Whose turn it is to upload: a user may have only a few uploads that are not complete (14.3-6)."""
        return next(self._uploaders) if "signup" in self.features else 0

    def leave(self) -> None:
        """End the connections that are kept."""
        for talk in itertools.chain(*self.kept.values()):
            talk.line.close(NO_ERROR)
            talk.line.drop()
        self.kept.clear()

    async def account(self, which: int) -> Account:
        """The account with this number, made where there is none. Raises Unimplemented."""
        async with self._gate:
            while len(self.accounts) <= which:
                self.accounts.append(await self._made())
        return self.accounts[which]

    async def _made(self) -> Account:
        if "signup" not in self.features:
            raise Unimplemented("there is no account for this: give --user and --password")
        made = Account(self.name("conform"), PASSWORD)
        talk = Talk(await self.dial())
        await talk.negotiate()
        answer = await talk.sign_up(made.user, made.password)
        talk.line.close(NO_ERROR)
        if answer.pdu.name != "OK":
            raise Unimplemented(f"no account can be made: {book().code(answer['code'])}")
        return made


class Bench:
    """What one case is given; `talks` are the connections that it used, for the report."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.talks: list[Talk] = []
        self.notes: list[str] = []
        #: What connections are like of which nothing else is wished.
        self.wishes: Wishes | None = None
        #: Whether the case has come to its end, so that what it leaves is in order.
        self.is_over = False
        self._friends: dict[Talk, int] = {}

    async def dial(self, wishes: Wishes | None = None, *, device: bytes | None = None) -> Talk:
        """A connection in START: the handshake is complete, and nothing was said."""
        wishes = wishes or self.wishes
        try:
            line = await self.target.dial(wishes)
        except Unreachable:
            # A crowd may have been before us (13.3-2, 8.3-6).
            await asyncio.sleep(0.5)
            line = await self.target.dial(wishes)
        return self.enter(line, device=device)

    def enter(self, line: Line, *, device: bytes | None = None) -> Talk:
        """A connection that the case has made in its own way."""
        talk = Talk(line, device=device, certificate=self.target.certificate)
        self.talks.append(talk)
        return talk

    async def negotiated(self, *versions: int, device: bytes | None = None) -> Talk:
        """A connection in AUTHENTICATING."""
        talk = await self.dial(device=device)
        await talk.negotiate(*versions)
        return talk

    async def ready(self, who: int = 0, *versions: int, device: bytes | None = None) -> Talk:
        """A connection in READY, of the account with this number."""
        account = await self.target.account(who)
        talk = await self.negotiated(*versions, device=device)
        await talk.log_in(account.user, account.password)
        return talk

    async def friend(self, who: int = 0) -> Talk:
        """As `ready`, but it may be a connection that another case has left in order: a login costs more than most of
        what is tried. Whoever breaks or ends a connection, or wants to see its beginning, asks for one of his own."""
        talk = await self._kept(who) or await self.ready(who)
        self._friends[talk] = who
        return talk

    async def _kept(self, who: int) -> Talk | None:
        kept = self.target.kept.setdefault(who, [])
        while kept:
            talk = kept.pop()
            try:
                await talk.barrier()
            except Failed:
                # Its server was started anew meanwhile, or heard nothing of it for too long (3.2-4).
                talk.line.drop()
                continue
            talk.ear.forget()
            self.talks.append(talk)
            return talk
        return None

    async def signed_up(self, *versions: int, device: bytes | None = None) -> tuple[Talk, str]:
        """A connection in AUTHENTICATING, and an account that nobody else uses. Raises Unimplemented."""
        talk = await self.negotiated(*versions, device=device)
        name = self.target.name("n")
        answer = await talk.sign_up(name, PASSWORD)
        if answer.pdu.name != "OK":
            raise Unimplemented(f"no account can be made: {book().code(answer['code'])}")
        return talk, name

    async def newcomer(self, *versions: int, device: bytes | None = None) -> Talk:
        """A connection in READY, of an account that nobody else uses. Raises Unimplemented."""
        talk, name = await self.signed_up(*versions, device=device)
        await talk.log_in(name, PASSWORD)
        return talk

    async def uploader(self) -> Talk:
        """A friend who uploads."""
        return await self.friend(self.target.uploader())

    async def again(self, talk: Talk, *versions: int, device: bytes | None = None) -> Talk:
        """Another connection of a newcomer, by default from another device."""
        other = await self.negotiated(*versions, device=device)
        await other.log_in(talk.user, PASSWORD)
        return other

    async def room(self, talk: Talk, *others: Talk) -> str:
        """A room made by one and entered by others."""
        name = self.target.name("r")
        await talk.done("ROOM_CREATE", room=name)
        for other in others:
            await other.done("ROOM_JOIN", room=name)
        return name

    async def at(self, state: str, *versions: int) -> Talk:
        """A connection in a state. In one that passes by itself nothing has been sent yet when this returns: what is
        said next travels in the same packet. Raises Unimplemented for a state that no client can bring about."""
        match state:
            case "START":
                return await self.dial()
            case "AUTHENTICATING":
                return await self.negotiated(*versions)
            case "READY":
                return await self.ready(0, *versions)
            case "DRAINING":
                talk = await self.ready(0, *versions)
                talk.say("BYE")
                return talk
        return await self._passing(state, *versions)

    async def _passing(self, state: str, *versions: int) -> Talk:
        offered = list(versions or (self.target.version,))
        if state in ("NEGOTIATING", "EARLY"):
            talk = await self.dial()
            talk.version = max(offered)
            talk.say("VERSION_REQUEST", version=1, versions=offered, device=talk.device)
            if state == "EARLY":
                talk.say("RESUME", version=2, **RESUME)
            return talk
        talk = await self.negotiated(*offered)
        match state:
            case "STARTED" | "CHALLENGED" | "PROVING":
                # Nobody has that name, which is not to be seen (4.2-2): so no account is tried in vain.
                name = self.target.name()
                start: dict[str, Any] = {
                    "mechanism": "SCRAM-SHA-256",
                    "user": name,
                    "data": scram.first(name, os.urandom(18)),
                }
                if state == "STARTED":
                    talk.say("AUTH_START", id=talk.next_id(), **start)
                    return talk
                challenge = await talk.done("AUTH_START", **start)
                if state == "PROVING":
                    found = scram.attributes(challenge["data"])
                    wrong = f"c=cD1xdWljY2hhdCws,r={found['r']},p={'A' * 43}=".encode()
                    talk.say("AUTH_RESPONSE", id=talk.next_id(), data=wrong)
                return talk
            case "SIGNING_UP":
                keys: dict[str, Any] = {
                    "salt": bytes(16),
                    "iterations": 1,
                    "stored_key": bytes(32),
                    "server_key": bytes(32),
                }
                talk.say("SIGNUP", id=talk.next_id(), user=self.target.name(), **keys)
                return talk
            case "RESUMING":
                talk.say("RESUME", id=talk.next_id(), **RESUME)
                return talk
        raise Unimplemented(f"no client brings a server into {state}")

    @property
    def tracks(self) -> tuple[tuple[Turn, ...], ...]:
        """What was said on each connection."""
        return tuple(tuple(talk.track) for talk in self.talks)

    def hang_up(self) -> None:
        """End all connections of this case but those that another one may use."""
        for talk in self.talks:
            if self.is_over and talk in self._friends and talk.line.closed is None:
                self.target.kept[self._friends[talk]].append(talk)
            else:
                talk.line.close(NO_ERROR)
                # What the server still says nobody would hear.
                talk.line.drop()


#: A token that nobody has.
RESUME: Final[dict[str, Any]] = {"token": bytes(32), "have": [], "outstanding": []}
