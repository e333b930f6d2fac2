"""Files, as an application sees them: `chat.files`. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quicchat.client.chance import Surroundings
from quicchat.client.e2ee.filekeys import key_of
from quicchat.client.e2ee.keyring import Keyring
from quicchat.client.e2ee.parcels import sealed_size
from quicchat.client.events import Moved
from quicchat.client.files import targets
from quicchat.client.files.course import Carriage, Course
from quicchat.client.files.phase import Direction
from quicchat.client.files.sources import Source
from quicchat.client.files.targets import Target, Unfinished, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.client.inbox import Inbox
from quicchat.client.memory import Memory
from quicchat.client.memory import Upload as Record
from quicchat.client.posting import Posting
from quicchat.client.requests import Requests
from quicchat.errors import Code, LinkLost, Refused, UsageError
from quicchat.values import dataclass
from quicchat.wire.chapters.files import PAGE, FileList, ListFiles, Mode, Standing
from quicchat.wire.chapters.messages import ATTACHED, WHOLE, Kind, Post
from quicchat.wire.leaves import CHUNK

if TYPE_CHECKING:
    from quicchat.client.files.upload import Upload

#: Pages of one list, at most: a server must not keep us at it for ever.
_PAGES: Final = 1_000
#: What a file is called whose name is sealed, and cannot be opened here.
LOCKED: Final = "(encrypted)"
#: Transfers that are remembered after they ended.
_REMEMBERED: Final = 256
#: Seconds that what is over may take to tidy up when the conversation ends: with a server, and without one.
_ENDING: Final = 10.0
_ALONE: Final = 1.0


#: Says of a conversation, as its log is called, whether what is sent there is sealed; may ask the server first, and
#: raises as that does. Once it said yes, it never says no.
Seals = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a list: of a room with `sender` and place, or shared by the server, with neither.

    `file` is its id, or None where the server does not know it yet; `modified` is Unix ms. Of one that is `sealed`
    nobody knows here what it is.
    """

    name: str
    size: int
    modified: int
    media_type: str
    file: bytes | None
    standing: Standing
    sender: str
    seq: int
    sealed: bool = False

    @property
    def wanted(self) -> Wanted:
        """What `get` takes."""
        modified, shared = self.modified or None, not self.sender
        return Wanted(self.file, self.name, self.size, self.media_type, modified, shared, self.sealed)


class Files:
    """What a user does with files: list them, send them, get them. Transfers go on over all connections.

    `uploads` are those that an earlier run of the program left; they go on with the first connection. Without `seals`
    nothing is sealed.
    """

    def __init__(
        self,
        inbox: Inbox,
        posting: Posting,
        memory: Memory,
        uploads: Sequence[Record],
        surroundings: Surroundings,
        keyring: Keyring,
        seals: Seals | None = None,
    ) -> None:
        self._inbox = inbox
        self._posting = posting
        self._memory = memory
        self._left = list(uploads)
        self._surroundings = surroundings
        self._keyring = keyring
        self.seals = seals or _never
        self._loop = asyncio.get_running_loop()
        self._requests: Requests | None = None
        self._user = ""
        self._news = asyncio.Event()
        self._lost: LinkLost | None = None
        self._tasks: dict[asyncio.Task[None], Transfer] = {}
        self._number = 0
        #: Bytes to a chunk of what is sent.
        self.chunk = CHUNK
        #: All of this run, newest last; of those that ended the last ones.
        self.transfers: list[Transfer] = []

    # What there is

    async def listed(self, room: str | None = None) -> list[Listed]:
        """The files that a room names, newest first, or those that the server shares, by name.

        Raises Refused(NO_SUCH_ROOM) and others, LinkLost.
        """
        found: list[Listed] = []
        after: bytes | None = None
        requests = await self._online()
        for _ in range(_PAGES):
            page = await requests.ask(ListFiles(room=room, after=after, limit=PAGE), FileList, aside=True)
            for row in page.files:
                listed = Listed(*row[:4], row[4] or None, *row[5:])
                found += [listed] if room is None else await self._opened(room, listed)
            after = page.next
            if after is None:
                break
        return found

    async def _opened(self, room: str, listed: Listed) -> list[Listed]:
        """A file of a room, with what is known here where it is sealed. The rest of a text is none."""
        key = key_of(self._keyring, listed.file)
        if key is not None and key.media_type != WHOLE:
            known = replace(listed, name=key.name, size=key.size)
            return [replace(known, modified=key.modified, media_type=key.media_type)]
        if key is None and not listed.name and await self.seals(room):
            return [replace(listed, name=LOCKED, sealed=True)]
        return [listed] if key is None else []

    def unfinished(self, directory: Path) -> list[Unfinished]:
        """What was begun in a directory and can go on. Raises OSError."""
        return targets.unfinished(directory)

    # Transfers

    async def send(self, to: str, sources: Sequence[Source], *, direct: bool = False, caption: str = "") -> Transfer:
        """Send files to a room, or with `direct` to a user: one message that names them, as soon as that is allowed.

        The sources are closed when the transfer is over. Raises UsageError for too many or none.
        """
        from quicchat.client.files.upload import fallback

        if not 1 <= len(sources) <= ATTACHED:
            raise UsageError(f"one message takes 1 to {ATTACHED} files, not {len(sources)}")
        name = sources[0].name if len(sources) == 1 else f"{len(sources)} files"
        transfer = self._transfer(name, sum(source.size for source in sources), Direction.UP, room=to)
        post = Post(
            room=None if direct else to,
            user=to if direct else None,
            cid=self._surroundings.chance(16),
            kind=Kind.FILE,
            text=fallback(sources, caption),
            sent=int(self._surroundings.wall() * 1000),
        )
        self._start(transfer, self._upload(transfer, post, sources))
        return transfer

    def get(
        self,
        wanted: Wanted,
        into: Target,
        *,
        mode: Mode = Mode.RELIABLE,
        repair: bool = True,
        streams: int = 2,
        rate: int | None = None,
    ) -> Transfer:
        """Fetch a file over so many streams at once, with at most `rate` bytes a second.

        A fast one comes in datagrams; with `repair` what is missing of it is fetched over streams. A sealed one is
        opened when it is here, and has the name that its message gave it.
        """
        from quicchat.client.files.download import Download

        size = wanted.size
        key = key_of(self._keyring, wanted.file) if not wanted.shared else None
        if key is not None:
            size, modified = key.size, key.modified or None
            wanted = Wanted(key.file, key.name, sealed_size(size), key.media_type, modified, sealed=True, key=key)
        transfer = self._transfer(wanted.name, size, Direction.DOWN, mode=mode)
        download = Download(transfer, wanted, into, repair=repair, streams=streams, rate=rate)
        self._start(transfer, download)
        return transfer

    # Connections

    def begin(self, requests: Requests, user: str) -> None:
        """There is a connection, and we are logged in."""
        self._requests, self._user = requests, user
        self._news.set()
        left, self._left = self._left, []
        for record in left:
            self._go_on(record)

    def over(self, lost: LinkLost) -> None:
        """There will be no other connection."""
        self._lost = self._lost or lost
        self._news.set()

    async def close(self) -> None:
        """Stop; what is here stays, and goes on another time. What failed or was cancelled gets time to say so."""
        ending = [task for task, transfer in self._tasks.items() if transfer.over]
        if ending:
            is_here = self._requests is not None and self._requests.lost is None
            await asyncio.wait(ending, timeout=_ENDING if is_here else _ALONE)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for transfer in [each for each in self.transfers if each.failure is None]:
            transfer.fail(LinkLost(Code.NO_ERROR, "the conversation is over", remote=False), for_good=False)

    # The rest

    async def _online(self) -> Requests:
        """A connection, in time. Raises LinkLost where there will be none, Refused where it has no files."""
        while True:
            if self._requests is not None and self._requests.lost is None:
                if self._requests.version < 2:
                    raise Refused(Code.UNSUPPORTED, "This server knows no files.")
                return self._requests
            if self._lost is not None:
                raise self._lost
            self._news.clear()
            await self._news.wait()

    def _go_on(self, record: Record) -> None:
        post = record.post
        rows = post.attachments or ()
        name = rows[0][3] if len(rows) == 1 else f"{len(rows)} files"
        transfer = self._transfer(name, sum(row[1] for row in rows), Direction.UP, room=post.room or post.user)
        self._start(transfer, self._upload(transfer, post, (), record))

    def _upload(
        self, transfer: Transfer, post: Post, sources: Sequence[Source], record: Record | None = None
    ) -> Upload:
        from quicchat.client.files.upload import Upload

        return Upload(
            transfer,
            post,
            sources,
            posting=self._posting,
            memory=self._memory,
            keyring=self._keyring,
            chance=self._surroundings.chance,
            seals=self.seals,
            user=self._user,
            chunk=record.chunk if record is not None else self.chunk,
            record=record,
        )

    def _transfer(
        self, name: str, size: int | None, direction: Direction, *, room: str | None = None, mode: Mode = Mode.RELIABLE
    ) -> Transfer:
        self._number += 1
        transfer = Transfer(
            self._number, name, size, direction, room=room, mode=mode, tell=lambda moved: self._inbox.put(Moved(moved))
        )
        over = [each for each in self.transfers if each.over]
        for each in over[: max(0, len(over) - _REMEMBERED)]:
            self.transfers.remove(each)
        self.transfers.append(transfer)
        return transfer

    def _start(self, transfer: Transfer, carriage: Carriage) -> None:
        task = self._loop.create_task(Course(transfer, carriage, self._online).run())
        self._tasks[task] = transfer
        task.add_done_callback(self._tasks.pop)


async def _never(conversation: str) -> bool:
    return False
