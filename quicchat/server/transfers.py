"""Transfers: the files that one session sends and takes in, each on a stream of its own. (spec 14-files)"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial
from typing import Final

from quicchat.errors import Code, Refused
from quicchat.server.content import Content, Sink
from quicchat.server.downloads import Download
from quicchat.server.effects import Receive, Serve, Uploaded
from quicchat.server.requests import Request
from quicchat.server.uploads import WINDOW, Pool, Upload
from quicchat.transport.driver import Driver
from quicchat.wire.chapters.files import FileAck, FileHeader, GetFile
from quicchat.wire.chapters.session import Error

log = logging.getLogger("quicchat.server")

#: Transfers of one session at a time, and of one user, each of whose downloads has a file open.
MOST: Final = 16
EACH: Final = 64
#: Bytes that the chunks of all uploads of a session may have, since one of each is held.
CHUNKS: Final = 4 * WINDOW
#: Digits of a file's id that the log tells.
_TOLD: Final = 16


class Transfers:
    """Calling order: `asks` for each request, then `begin` with what its handler returned, or `refused`.

    A stream carries one request; what else comes on it, and what the link says of it, is handed in as it comes.
    """

    def __init__(self, session: int, driver: Driver, running: Counter[str]) -> None:
        self._session = session
        #: Whose session it is, once somebody is logged in; and how many run of whom, in all sessions.
        self.user = ""
        self._running = running
        self._pool = Pool()
        self._driver = driver
        #: Streams that have carried a request, and those whose transfer is not over.
        self._used: set[int] = set()
        self._open: set[int] = set()
        self._downloads: dict[int, Download] = {}
        self._uploads: dict[int, Upload] = {}
        #: What each stream that is not over holds of a file at a time, and the handles of downloads.
        self._chunks: dict[int, int] = {}
        self._handles: dict[int, int] = {}
        self._tasks: dict[int, asyncio.Task[Uploaded | None]] = {}

    def __len__(self) -> int:
        """Transfers that have begun and are not over."""
        return len(self._tasks)

    # What the client says

    def asks(self, pdu: GetFile | FileHeader, request: Request, *, welcome: bool) -> bool:
        """Whether a PDU asks for a transfer that may begin. One that belongs to another goes there."""
        sid = request.sid
        assert sid is not None
        upload = self._uploads.get(sid)
        if upload is not None and isinstance(pdu, FileHeader):
            self._hand(sid, upload, pdu)
            return False
        if sid in self._used:
            self._give_up(sid, Code.STREAM_MISUSE)
            return False
        self._used.add(sid)
        if isinstance(pdu, FileHeader):
            self._uploads[sid] = Upload(sid, self._driver, self._pool)
        try:
            self._admit(pdu, sid, welcome)
        except Refused as refusal:
            self.refused(sid)
            self._answer(refusal, request)
            return False
        return True

    def raw(self, sid: int, data: bytes) -> None:
        """Raw bytes came."""
        upload = self._uploads.get(sid)
        if upload is not None:
            self._hand(sid, upload, data)

    def acknowledged(self, ack: FileAck) -> None:
        """The client takes more; a download that is over does not need it."""
        for download in self._downloads.values():
            if download.handle == ack.handle:
                download.allow(ack.credit)

    def ended(self, sid: int, code: int | None) -> None:
        """The client has sent his last on a stream, or with a code, wants nothing more of it."""
        self._used.discard(sid)
        upload = self._uploads.get(sid)
        if code is not None:
            self._drop(sid)
        elif upload is not None:
            upload.end()
            if sid not in self._open:
                del self._uploads[sid]

    def writable(self, sid: int | None) -> None:
        """There is room on a stream, or for datagrams."""
        for each, download in self._downloads.items():
            if sid in (None, each):
                download.writable(sid)
        if sid is None and self._downloads:
            # The first takes all the room that there is for datagrams: next time it is another one's turn.
            first = next(iter(self._downloads))
            self._downloads[first] = self._downloads.pop(first)

    # What the server does about it

    def refused(self, sid: int | None) -> None:
        """Nothing comes of a request: what was announced with it is dropped as it comes."""
        if sid in self._open and sid not in self._tasks:
            self._forget(sid)
        if sid in self._uploads:
            self._uploads[sid].refuse()

    def begin(
        self, effect: Serve | Receive, request: Request, tasks: asyncio.TaskGroup
    ) -> asyncio.Task[Uploaded | None]:
        """Carry it out. What was uploaded is the task's result, once the client has ended his half."""
        sid = request.sid
        assert sid is not None
        if isinstance(effect, Serve):
            self._downloads[sid] = Download(effect, request, self._driver)
        task = tasks.create_task(self._run(effect, request, sid))
        self._tasks[sid] = task
        # Not in the task: one that is cancelled before its first step has no end of its own.
        source = effect.content if isinstance(effect, Serve) else effect.sink
        task.add_done_callback(partial(self._over, sid, source))
        if sid not in self._open:
            task.cancel()
        return task

    def leave(self) -> None:
        """The client hears nothing more: only what has come whole is still worth the work."""
        for sid in list(self._open):
            upload = self._uploads.get(sid)
            if upload is None or not upload.ended:
                self._drop(sid)

    def close(self) -> None:
        """The session is over, or about to be, and with it all that runs."""
        for sid in [*self._open, *self._uploads]:
            self._drop(sid)

    async def _run(self, effect: Serve | Receive, request: Request, sid: int) -> Uploaded | None:
        about, began = {"session": self._session, "user": self.user}, self._driver.now
        try:
            if isinstance(effect, Receive):
                uploaded = await self._uploads[sid].run(effect)
                log.info("file received", extra=about | self._measured(effect.sink.file, uploaded.carried, began))
                return uploaded
            await self._downloads[sid].run()
            size = sum(length for _, length in effect.get.ranges or ())
            # What the operator shares has a name; of what people send only the digest is told.
            shared = {} if effect.content.name is None else {"shared": effect.content.name}
            log.info("file sent", extra=about | self._measured(effect.content.file, size, began) | shared)
        except Refused as refusal:
            log.info("transfer refused", extra=about | {"code": refusal.code.name})
            if isinstance(effect, Serve) and not self._downloads[sid].answered:
                self._answer(refusal, request)
            else:
                self._give_up(sid, refusal.code)
        except Exception:
            # A bug of ours must not touch the others (hostile Q27).
            log.exception("transfer failed", extra=about)
            self._driver.fail(Code.INTERNAL)
        return None

    # The rest

    def _measured(self, file: bytes, size: int, began: float) -> dict[str, object]:
        """What the log tells of a file that went: how much of it, for how long, and bytes a second."""
        seconds = self._driver.now - began
        rate = round(size / seconds) if seconds > 0 else 0
        return {"file": file.hex()[:_TOLD], "bytes": size, "seconds": round(seconds, 3), "rate": rate}

    def _admit(self, pdu: GetFile | FileHeader, sid: int, welcome: bool) -> None:
        """Take a place for a transfer. Raises Refused (DRAINING), (SCHEMA), (LIMIT)."""
        if not welcome:
            raise Refused(Code.DRAINING)
        if isinstance(pdu, GetFile) and pdu.handle in self._handles.values():
            raise Refused(Code.SCHEMA, "Another transfer has this handle.")
        chunk = pdu.chunk if isinstance(pdu, FileHeader) else 0
        crowded = len(self._open) >= MOST or self._running[self.user] >= EACH
        if crowded or sum(self._chunks.values()) + chunk > CHUNKS:
            raise Refused(Code.LIMIT, "Too many transfers at once.")
        self._open.add(sid)
        self._running[self.user] += 1
        self._chunks[sid] = chunk
        if isinstance(pdu, GetFile):
            self._handles[sid] = pdu.handle

    def _answer(self, refusal: Refused, request: Request) -> None:
        error = Error.about(refusal.code, refusal.text, retry_after=refusal.retry_after)
        self._driver.send(error, sid=request.sid, re=request.id)

    def _hand(self, sid: int, upload: Upload, item: FileHeader | bytes) -> None:
        try:
            if isinstance(item, bytes):
                upload.raw(item)
            else:
                upload.part(item)
        except Refused as refusal:
            self._give_up(sid, refusal.code)

    def _give_up(self, sid: int, code: Code) -> None:
        """The stream ends here, both ways; whoever works on it hears of it."""
        self._driver.finish(sid, code)

    def _drop(self, sid: int) -> None:
        """Nothing more is done about a stream."""
        self._uploads.pop(sid, None)
        self._forget(sid)
        if sid in self._tasks:
            self._tasks[sid].cancel()

    def _over(self, sid: int, source: Content | Sink, _: object) -> None:
        source.close()
        del self._tasks[sid]
        self._downloads.pop(sid, None)
        self._uploads.pop(sid, None)
        self._forget(sid)

    def _forget(self, sid: int) -> None:
        if sid in self._open:
            self._open.discard(sid)
            self._running[self.user] -= 1
            if not self._running[self.user]:
                del self._running[self.user]
        self._chunks.pop(sid, None)
        self._handles.pop(sid, None)
