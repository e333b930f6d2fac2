"""`make demo`: a server and three clients talk over QUIC, and the transcript shows who saw what. (spec README)"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from quicchat.client.api import Chat
from quicchat.client.events import Progress
from quicchat.client.files.sources import BytesSource
from quicchat.client.files.targets import FolderTarget
from quicchat.client.login import Identity
from quicchat.errors import QuicchatError, Refused, describe
from quicchat.transport.dial import dial
from quicchat.transport.identity import Trust
from quicchat.wire.chapters.messages import Kind, Message, Posted, Recipient
from quicchat.wire.registry import VERSIONS

#: Seconds that the whole demo may take, and one step of it.
_ALL, _STEP = 50.0, 10.0
#: The column in which notes begin.
_NOTES = 50
_BOLD, _DIM, _PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[0m")


class Surprise(Exception):
    """Something that had to happen did not."""


class Stage:
    """Prints the transcript: who, what he did or saw, where, and the words."""

    def __init__(self) -> None:
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._bold, self._dim, self._plain = (_BOLD, _DIM, _PLAIN) if coloured else ("", "", "")

    def title(self, text: str) -> None:
        print(f"\n{self._bold}{text}{self._plain}", flush=True)

    def does(self, who: str, what: str, note: str = "") -> None:
        line = f"  {self._bold}{who:8}{self._plain}{what}"
        if note:
            line += f"{'':{max(2, _NOTES - len(what))}}{self._dim}{note}{self._plain}"
        print(line, flush=True)

    def says(self, who: str, where: str, text: str, note: str = "") -> None:
        self.does(who, f"> {where:13}{text}", note)

    def sees(self, who: str, message: Message) -> None:
        self.does(who, f"{self._dim}< {message.room:13}{self._plain}{message.sender}: {message.text}")


class Player:
    """One client: what it was told lies in `seen`, in order."""

    def __init__(self, name: str, house: House, stage: Stage, versions: tuple[int, ...] = VERSIONS) -> None:
        self.name = name
        self.chat: Chat
        self._house = house
        self._stage = stage
        self._versions = versions
        self._device = secrets.token_bytes(16)
        self._password = secrets.token_urlsafe(12)

    async def enter(self, *, sign_up: bool) -> None:
        """Connect, sign up where that is due, and log in."""
        link = await dial("127.0.0.1", self._house.port, trust=self._house.trust)
        self.chat = Chat(link, versions=self._versions, device=self._device)
        await self.chat.open(Identity(user=self.name, password=self._password, sign_up=sign_up))
        what = "signs up and logs in" if sign_up else "comes back and logs in"
        self._stage.does(self.name, what, f"protocol version {self.chat.version}")

    async def says(self, room: str, text: str) -> Posted:
        posted = await self.chat.post(room, text)
        self._stage.says(self.name, room, text, f"stored as {posted.room} #{posted.seq}")
        return posted

    async def tells(self, user: str, text: str) -> Posted:
        posted = await self.chat.tell(user, text)
        state = "is here" if posted.recipient is Recipient.ONLINE else "is away: kept"
        self._stage.says(self.name, f"to {user}", text, f"stored as {posted.room} #{posted.seq}, {user} {state}")
        return posted

    async def sees(self, posted: Posted) -> None:
        """Wait until the message has reached this client. Raises TimeoutError."""
        async with asyncio.timeout(_STEP):
            async for event in self.chat:
                if isinstance(event, Message) and (event.room, event.seq) == (posted.room, posted.seq):
                    self._stage.sees(self.name, event)
                    return
        raise Surprise(f"{self.name} lost the connection: {self.chat.lost}")

    async def corrects(self, posted: Posted, text: str) -> Posted:
        """Put another text in the place of a message."""
        done = await self.chat.edit(posted.room, posted.seq, text)
        self._stage.says(self.name, posted.room, text, f"instead of #{posted.seq}, stored as #{done.seq}")
        return done

    async def hears_of(self, posted: Posted, user: str) -> None:
        """Wait until it is told that the message has reached somebody. Raises TimeoutError."""
        async with asyncio.timeout(_STEP):
            async for event in self.chat:
                if isinstance(event, Progress) and event.by == user and event.cid == posted.cid:
                    note = f"{user} has {posted.room} #{posted.seq}: {event.state.name.lower()}"
                    self._stage.does(self.name, "is told", note)
                    return
        raise Surprise(f"{self.name} lost the connection: {self.chat.lost}")

    async def sends(self, room: str, name: str, data: bytes) -> None:
        """Send a file to a room, and wait until the server has all of it."""
        transfer = await self.chat.files.send(room, [BytesSource(name, data)])
        async with asyncio.timeout(_STEP):
            await transfer.finished()
        self._stage.says(self.name, room, f"sends {name}", f"{len(data)} bytes, verified by the server")

    async def gets(self, room: str, name: str, folder: Path) -> bytes:
        """Wait until a file is named in a room, and fetch it."""
        async with asyncio.timeout(_STEP):
            async for event in self.chat:
                if isinstance(event, Message) and event.kind is Kind.FILE and event.room == room:
                    self._stage.sees(self.name, event)
                    break
            (found,) = [each for each in await self.chat.files.listed(room) if each.name == name]
            transfer = self.chat.files.get(found.wanted, FolderTarget(folder))
            await transfer.finished()
        if transfer.path is None:
            raise Surprise(f"{name} did not reach {self.name}")
        data = transfer.path.read_bytes()
        self._stage.does(self.name, f"has {transfer.path.name}", f"{len(data)} bytes, each chunk verified")
        return data

    async def refused(self, room: str, text: str) -> None:
        """Try to speak where one may not."""
        try:
            await self.chat.post(room, text)
        except Refused as refusal:
            self._stage.says(self.name, room, text, f"refused: {describe(refusal.code)}, nothing is stored")
            return
        raise Surprise(f"{self.name} could speak in {room} without being a member")

    async def leaves(self) -> None:
        await self.chat.close()
        self._stage.does(self.name, "leaves")


class House:
    """A server process of its own, on a free port, with an empty data directory that is thrown away."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, fingerprint: str, data: Path) -> None:
        self.process = process
        self.port = port
        self.fingerprint = fingerprint
        self.folder = data
        self.trust = Trust((data / "certs" / "ca.pem").read_bytes())


@asynccontextmanager
async def _house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="quicchat-demo-") as data:
        flags = ("-l", "127.0.0.1", "-p", "0", "--data", data, "--no-demo", "--log-format", "json")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "quicchat", "server", *flags, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(_STEP):
                line = json.loads(await process.stderr.readline() or b"{}")
            if "port" not in line:
                raise Surprise(f"the server did not start: {line}")
            yield House(process, line["port"], line["fingerprint"], Path(data))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def _play(stage: Stage) -> None:
    async with _house() as house:
        stage.title("A server, and three who come to talk")
        stage.does("server", f"listens on 127.0.0.1, UDP port {house.port}", house.fingerprint[:23] + "…")
        alice, bob = Player("alice", house, stage), Player("bob", house, stage)
        carol = Player("carol", house, stage, versions=(1,))
        for player in (alice, bob, carol):
            await player.enter(sign_up=True)
        stage.title("Everybody is in general, whatever version he speaks")
        posted = await alice.says("general", "Good morning!")
        await bob.sees(posted)
        await carol.sees(posted)
        posted = await carol.says("general", "Morning. My client is an old one.")
        await alice.sees(posted)
        stage.title("A room of one's own")
        await alice.chat.create("garden", topic="what grows")
        stage.does("alice", "makes the room garden")
        await bob.refused("garden", "Hello?")
        await bob.chat.join("garden")
        stage.does("bob", "enters garden")
        await alice.sees(await bob.says("garden", "Now I may speak here."))
        stage.title("Whoever has it says so, and what was said may be said better")
        posted = await bob.says("garden", "Roses are rde.")
        await alice.sees(posted)
        await bob.hears_of(posted, "alice")
        await alice.sees(await bob.corrects(posted, "Roses are red."))
        stage.title("Between two, and while one of them is away")
        await bob.sees(await alice.tells("bob", "Only you can read this."))
        await bob.leaves()
        kept = await alice.tells("bob", "Read this when you are back.")
        missed = await alice.says("garden", "The roses are out.")
        await bob.enter(sign_up=False)
        for posted in sorted((kept, missed), key=lambda each: each.room):
            await bob.sees(posted)
        stage.title("A file is a message that brings something")
        await _bring(alice, bob, house.folder / "bob")
        stage.title("Good night")
        for player in (alice, bob, carol):
            await player.leaves()
    stage.does("server", "stops", f"exit code {house.process.returncode}")


async def _bring(giver: Player, taker: Player, folder: Path) -> None:
    """A file goes from one to the other."""
    roses = secrets.token_bytes(1_234_567)
    await giver.sends("garden", "roses.jpg", roses)
    if await taker.gets("garden", "roses.jpg", folder) != roses:
        raise Surprise(f"{taker.name} has another file than {giver.name} sent")


async def _bounded() -> None:
    async with asyncio.timeout(_ALL):
        await _play(Stage())


def main() -> int:
    """Run the demo; 0 when everything happened as it must."""
    try:
        asyncio.run(_bounded())
    except (QuicchatError, Surprise, TimeoutError) as error:
        print(f"\nquicchat: the demo failed: {str(error) or 'something took too long'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
