"""An upload: hashed, offered, said in a message, sent; remembered until the server has all of it. (spec 14-files)"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from quicchat.client.chance import Chance
from quicchat.client.e2ee.filekeys import key_of
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.events import Sent
from quicchat.client.files.aside import aside
from quicchat.client.files.names import offered
from quicchat.client.files.phase import Phase
from quicchat.client.files.sealing import SealedSource, within
from quicchat.client.files.sending import Named, named, upload
from quicchat.client.files.sources import PathSource, Source
from quicchat.client.files.transfer import Transfer
from quicchat.client.memory import Change, Memory
from quicchat.client.memory import Upload as Record
from quicchat.client.posting import Posting
from quicchat.client.requests import Requests
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused, UsageError
from quicchat.wire.chapters.files import CancelOffer, Grant, Mode, Offer
from quicchat.wire.chapters.messages import Kind, Post, Posted
from quicchat.wire.chapters.session import Ok
from quicchat.wire.leaves import CHUNK
from quicchat.wire.names import User, direct
from quicchat.wire.sealed import FileKey, packed

#: Bytes that are looked at in one go.
_LEARNED: Final = 16_777_216
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


class Upload:
    """Some files and the message that names them, one `Post` with empty attachments until their ids are known.

    `record` is what is remembered of one that was begun by an earlier run of the program. Where the conversation is
    encrypted, the sources are wrapped before anything of them is hashed, offered or named.
    """

    def __init__(
        self,
        transfer: Transfer,
        post: Post,
        sources: Sequence[Source],
        *,
        posting: Posting,
        memory: Memory,
        keyring: Keyring,
        chance: Chance,
        seals: Callable[[str], Awaitable[bool]],
        user: str,
        chunk: int = CHUNK,
        record: Record | None = None,
    ) -> None:
        self.transfer = transfer
        self._post = post
        self._sources = list(sources)
        self._paths = record.paths if record is not None else None
        self._posting = posting
        self._memory = memory
        self._keyring = keyring
        self._chance = chance
        self._seals = seals
        self._user = user
        self._chunk = chunk
        self._items: list[Named] = []
        self._told: asyncio.Task[Posted] | None = None
        self._recorded = record is not None
        #: Whether the sources are sealed, once that is known.
        self._is_sealed: bool | None = None
        self._rehashed = False
        #: Files of which we know how much of them was there before.
        self._begun: set[bytes] = set()
        self._requests: Requests | None = None

    async def attempt(self, requests: Requests) -> None:
        """All that is left to do, over one connection. Raises Refused, LinkLost, OSError."""
        transfer = self.transfer
        self._requests = requests
        await self._open()
        await self._name()
        await self._record()
        offers = [self._offer(item) for item in self._items]
        grants = [await requests.ask(offer, Grant, aside=True) for offer in offers]
        self._say()
        transfer.move(Phase.TRANSFERRING)
        before = 0
        for item, offer, grant in zip(self._items, offers, grants, strict=True):
            if self._told is not None and self._told.done():
                # Where nobody may hear of it, nobody needs it.
                self._told.result()
            try:
                await self._send(requests, item, offer, grant, before)
            except Refused as refusal:
                if refusal.code is not Code.DIGEST or self._rehashed:
                    raise
                await self._rename(item)
                raise Refused(Code.OVERLOADED, f"The server found {item.source.name} damaged; once more.") from None
            before += within(item.source, item.size)
        transfer.move(Phase.VERIFYING)
        await self._stored()
        await self._memory.keep(Change(uploaded=[self._post.cid]))
        transfer.move(Phase.DONE)

    async def leave(self) -> None:
        """Close what is read; what failed is not tried again by the next run."""
        if self._told is not None and not self._told.done():
            self._told.cancel()
        try:
            if self.transfer.state is Phase.FAILED:
                await self._memory.keep(Change(uploaded=[self._post.cid]))
        finally:
            # In one step, which is finished whoever is cancelled meanwhile.
            await aside(self._close)

    async def discard(self) -> None:
        """Take the message back, as far as that goes, and have the server forget what it has."""
        await self._memory.keep(Change(uploaded=[self._post.cid]))
        await aside(self._close)
        if self._posting.outbox.unsure(self._post.cid):
            # It may be there, or come there with the next connection; and only what has a place can be taken back.
            self._say()
        elif self._posting.withdraw(self._post.cid):
            self._told = None
        if self._told is not None:
            await asyncio.wait([self._told])
        await self._take_back()
        for item in self._items:
            if self._requests is None or self._requests.lost is not None:
                return
            # What is whole by now, or was never offered, is not being uploaded; the server says so.
            with contextlib.suppress(Refused, LinkLost, LocalProtocolError):
                await self._requests.ask(CancelOffer(file=item.file), Ok, aside=True)

    def _close(self) -> None:
        for source in self._sources:
            source.close()
        for item in self._items:
            item.leaves.close()

    # What is to be sent

    async def _open(self) -> None:
        """Have the sources, sealed where they are to be. Raises Refused, where that was not so and is too late now."""
        if self._paths is not None:
            self._sources = await aside(_opened, self._paths)
            self._paths = None
            self.transfer.size = sum(source.size for source in self._sources)
        rows = self._post.attachments or ((b"",),) * len(self._sources)
        keys = [key_of(self._keyring, row[0]) for row in rows]
        seals = await self._seals(self._post.room or direct(User(self._user), User(self._post.user or "")))
        if self._is_sealed is None and (all(keys) if self._post.attachments else seals):
            self._is_sealed = True
            self._sources = [
                SealedSource(source, key.secret, key.root) if key else SealedSource(source, self._chance(32))
                for source, key in zip(self._sources, keys, strict=True)
            ]
        elif self._is_sealed is None:
            self._is_sealed = False
        entry = self._posting.outbox.get(self._post.cid)
        if seals and not self._is_sealed and (entry is None or not Sent.STORED <= entry.state <= Sent.READ):
            raise Refused(Code.FILE_CHANGED, "This conversation is encrypted by now; send it again.")

    async def _name(self) -> None:
        """Hash what is not hashed yet."""
        transfer = self.transfer
        done = sum(within(item.source, item.size) for item in self._items)
        for source in self._sources[len(self._items) :]:
            transfer.hashed = done
            self._items.append(await self._named(source))
            done = transfer.hashed
        rows = tuple(
            (item.file, item.size, item.source.media_type[:64], offered(item.source.name), item.source.modified)
            for item in self._items
        )
        if self._recorded and self._post.attachments is not None:
            if [row[0] for row in rows] != [row[0] for row in self._post.attachments]:
                raise Refused(Code.FILE_CHANGED, "It changed since it was sent.")
        else:
            self._post = replace(self._post, attachments=rows)

    async def _named(self, source: Source) -> Named:
        transfer, before, read = self.transfer, self.transfer.hashed, 0

        def hashed(size: int) -> None:
            nonlocal read
            read += size
            transfer.hashed = before + within(source, read)
            transfer.touch()

        if isinstance(source, SealedSource) and self._recorded:
            # What proves it takes as long as all the rest, and who cancels it is not to wait for that.
            for upto in range(0, source.source.size, _LEARNED):
                await aside(source.learn, upto + _LEARNED)
        return await named(source, self._chunk, hashed)

    async def _rename(self, item: Named) -> None:
        """Hash a file again: the disk may have given other bytes than the first time."""
        self._rehashed = True
        self.transfer.say(f"The server says that {item.source.name} is damaged; it is read again.")
        again = await named(item.source, self._chunk)
        again.leaves.close()
        if again.file != item.file:
            raise Refused(Code.FILE_CHANGED, f"{item.source.name} changed while it was sent.")

    async def _record(self) -> None:
        """Remember it, before anybody else hears of it; only what has a path is found again by the next run."""
        if self._recorded:
            return
        for item in self._items:
            if isinstance(item.source, SealedSource):
                # Kept even if nothing else is: whoever has the message can read it.
                await self._keyring.now(Drawer.FILE, item.file, packed(_key(item.file, item.source)))
        self._recorded = True
        sources = [source.source if isinstance(source, SealedSource) else source for source in self._sources]
        paths = [source for source in sources if isinstance(source, PathSource)]
        if len(paths) == len(self._sources):
            rows = tuple((str(source.path.absolute()), *source.stamp) for source in paths)
            await self._memory.keep(Change(uploads=[Record(self._post, self._chunk, rows)]))

    def _offer(self, item: Named) -> Offer:
        post = self._post
        return Offer(size=item.size, chunk=item.chunk, file=item.file, room=post.room, user=post.user)

    async def _send(self, requests: Requests, item: Named, offer: Offer, grant: Grant, before: int) -> None:
        transfer = self.transfer
        loop = asyncio.get_running_loop()
        start, was = loop.time(), transfer.done

        def verified(size: int) -> None:
            size = within(item.source, size)
            if item.file not in self._begun:
                # What was there does not count as speed.
                self._begun.add(item.file)
                transfer.resumed += size
                transfer.done = before + size
            transfer.gain(before + size - transfer.done)

        try:
            await upload(requests, item, offer, grant, verified)
        finally:
            transfer.spent(Mode.RELIABLE, max(0, transfer.done - was), loop.time() - start)

    # The message

    def _say(self) -> None:
        """Post the message, once: the outbox sees to the rest."""
        entry = self._posting.outbox.get(self._post.cid)
        if self._told is None and (entry is None or entry.state < Sent.STORED):
            self._told = asyncio.get_running_loop().create_task(self._posting.post(self._post, self._user))
            # Whoever stopped the transfer does not wait for it.
            self._told.add_done_callback(lambda told: told.cancelled() or told.exception())

    async def _take_back(self) -> None:
        cid = self._post.cid
        entry = self._posting.outbox.get(cid)
        if entry is not None and entry.seq is not None:
            # The same however often it is tried.
            again = bytes(byte ^ 0xFF for byte in cid)
            post = Post(room=entry.room, cid=again, text="", kind=Kind.RETRACT, refs=(entry.seq,))
            await self._posting.keep(post, self._user)

    async def _stored(self) -> None:
        """Wait until the message is stored. Raises Refused where it never will be."""
        if self._told is not None:
            await asyncio.shield(self._told)
        elif (entry := self._posting.outbox.get(self._post.cid)) is not None and entry.state is Sent.FAILED:
            raise Refused(Code.NO_SUCH_MESSAGE, entry.reason or "")


def _key(file: bytes, source: SealedSource) -> FileKey:
    return FileKey(
        file=file,
        secret=source.secret,
        size=source.source.size,
        root=source.root(),
        name=offered(source.name),
        media_type=source.media_type[:64],
        modified=source.modified,
    )


def fallback(sources: Sequence[Source], caption: str) -> str:
    """What a message about files shows where files are not known."""
    lines = [caption] if caption else []
    return "\n".join((*lines, *(f"{offered(source.name)}, {amount(source.size)}" for source in sources)))


def amount(size: float) -> str:
    """So many bytes in words: `1.2 MB`."""
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"


def _opened(paths: Sequence[tuple[str, int, int]]) -> list[Source]:
    """The files of an earlier run, as they were. Raises Refused(FILE_CHANGED)."""
    sources: list[Source] = []
    try:
        for path, size, modified in paths:
            try:
                source = PathSource(Path(path))
            except UsageError as error:
                raise Refused(Code.FILE_CHANGED, str(error)) from None
            sources.append(source)
            if source.stamp != (size, modified):
                raise Refused(Code.FILE_CHANGED, f"{path} changed since it was sent.")
    except BaseException:
        for each in sources:
            each.close()
        raise
    return sources
