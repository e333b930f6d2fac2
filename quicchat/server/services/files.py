"""Files: offered, listed and found for those who may have them; their bytes travel elsewhere. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quicchat.errors import Code, Refused
from quicchat.server import model
from quicchat.server.content import Content
from quicchat.server.effects import Effects, Receive, Reply, Serve, Uploaded
from quicchat.server.handler import handles
from quicchat.server.model import FIRST_CREDIT, Actor, Policy, Shared
from quicchat.server.ports import Blobs, Clock, Files, Share
from quicchat.wire.chapters.files import (
    PAGE,
    PIECE,
    CancelOffer,
    FileEnd,
    FileHeader,
    FileList,
    GetFile,
    Grant,
    ListFiles,
    Mode,
    Offer,
    Range,
    Standing,
)
from quicchat.wire.chapters.messages import ATTACHED
from quicchat.wire.names import Room, User, direct

#: Bytes of a place in `next`.
_PLACE = 8


class FileService:
    """What was uploaded, and what the operator shares."""

    def __init__(self, files: Files, blobs: Blobs, share: Share, clock: Clock, policy: Policy) -> None:
        self._files = files
        self._blobs = blobs
        self._share = share
        self._clock = clock
        self._policy = policy

    @handles(ListFiles)
    async def list(self, actor: Actor, pdu: ListFiles) -> Effects:
        limit = pdu.limit or PAGE
        if pdu.room is not None:
            found = await self._files.listed(Room(pdu.room), actor.name, before=_place(pdu.after), limit=limit)
            # All files of an event come together, or none: a page that has no room for one more may not be the last.
            last = found[-1].seq.to_bytes(_PLACE, "big") if found and len(found) + ATTACHED > limit else None
            return [Reply(FileList(files=_rows(found), next=last))]
        shared = await self._share.listed(after=_name(pdu.after), limit=limit + 1)
        after = shared[limit - 1].name.encode() if len(shared) > limit else None
        return [Reply(FileList(files=_rows(shared[:limit]), next=after))]

    @handles(Offer)
    async def offer(self, actor: Actor, pdu: Offer) -> Effects:
        room = _addressed(actor, pdu)
        upload = await self._files.offer(
            actor.name,
            pdu.file,
            pdu.size,
            pdu.chunk,
            room=room,
            operator=actor.name in self._policy.operators,
            quota=self._policy.quota,
            at=self._clock.now(),
        )
        have: Sequence[Range] = ()
        if not upload.whole:
            # Whoever reads it before its first byte has come finds it, and waits.
            (await self._blobs.begin(upload)).close()
            have = await self._blobs.held(upload)
        return [Reply(Grant(file=pdu.file, have=tuple(have), credit=FIRST_CREDIT, whole=upload.whole))]

    @handles(CancelOffer)
    async def cancel(self, actor: Actor, pdu: CancelOffer) -> Effects:
        await self._blobs.remove(await self._files.cancel(actor.name, pdu.file))
        return []

    @handles(FileHeader)
    async def put(self, actor: Actor, pdu: FileHeader) -> Effects:
        upload = await self._files.uploading(actor.name, pdu.file)
        if (upload.size, upload.chunk) != (pdu.size, pdu.chunk):
            raise Refused(Code.DIGEST)
        return [Receive(pdu, await self._blobs.begin(upload))]

    @handles(Uploaded)
    async def uploaded(self, actor: Actor, pdu: Uploaded) -> Effects:
        upload = await self._files.uploading(actor.name, pdu.file)
        missing = () if upload.whole else await self._blobs.seal(upload)
        if not missing:
            await self._files.received(actor.name, upload, at=self._clock.now())
        return [Reply(FileEnd(status=0, carried=pdu.carried, missing=tuple(missing) or None))]

    @handles(GetFile)
    async def get(self, actor: Actor, pdu: GetFile) -> Effects:
        content = await self._found(actor, pdu)
        try:
            ranges = _checked(pdu, content.size)
        except Refused:
            content.close()
            raise
        return [Serve(replace(pdu, ranges=ranges), content)]

    async def _found(self, actor: Actor, pdu: GetFile) -> Content:
        if pdu.name is not None:
            return await self._share.open(pdu.name, pdu.file)
        if pdu.file is None:
            raise Refused(Code.SCHEMA, "Which file?")
        try:
            return await self._blobs.open(await self._files.readable(actor.name, pdu.file))
        except Refused as refusal:
            if refusal.code is not Code.NO_SUCH_FILE:
                raise
        return await self._share.open(None, pdu.file)


def _addressed(actor: Actor, pdu: Offer) -> Room | None:
    """Where the file is to be named, if that is known. Raises Refused where it can be named nowhere."""
    if pdu.room is not None and pdu.user is not None:
        raise Refused(Code.SCHEMA, "A message goes to one room or to one user.")
    if pdu.user is not None:
        return direct(actor.name, User(pdu.user))
    if pdu.room is None:
        return None
    if not model.is_party(actor.name, Room(pdu.room)):
        raise Refused(Code.NOT_MEMBER)
    return Room(pdu.room)


def _checked(pdu: GetFile, size: int) -> tuple[Range, ...]:
    """What is asked for of a file of that size. Raises Refused(RANGE) for what it has not, and in any other order."""
    if pdu.ranges is None:
        return ((0, size),)
    end = 0
    for start, length in pdu.ranges:
        if start < end or not length or start + length > size:
            raise Refused(Code.RANGE)
        end = start + length
        if pdu.mode is Mode.FAST and (start % PIECE or (end % PIECE and end != size)):
            raise Refused(Code.RANGE, "Datagrams carry whole pieces.")
    return pdu.ranges


def _rows(found: Sequence[Shared]) -> tuple[tuple[str, int, int, str, bytes, Standing, str, int], ...]:
    return tuple(
        (each.name, each.size, each.modified, each.media_type, each.file, each.standing, each.sender or "", each.seq)
        for each in found
    )


def _place(after: bytes | None) -> int | None:
    if after is not None and len(after) != _PLACE:
        raise Refused(Code.SCHEMA, "No list ended like this.")
    return None if after is None else int.from_bytes(after, "big")


def _name(after: bytes | None) -> str | None:
    try:
        return None if after is None else after.decode()
    except UnicodeDecodeError:
        raise Refused(Code.SCHEMA, "No list ended like this.") from None
