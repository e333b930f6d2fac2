"""What is known of files, in memory. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import Attached, Blob, Place, State
from quicchat.server.model import ABANDONED, Quota, Shared, Upload
from quicchat.server.rules import check_cut
from quicchat.wire.chapters.files import Standing
from quicchat.wire.chapters.messages import WHOLE, Message
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import Room, User


class MemoryFiles:
    """The port `Files`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def offer(
        self,
        user: User,
        file: bytes,
        size: int,
        chunk: int,
        *,
        room: Room | None,
        operator: bool = False,
        quota: Quota,
        at: int,
    ) -> Upload:
        state = self._state
        state.check_open()
        if user not in state.accounts:
            raise Refused(Code.NO_SUCH_USER)
        if room is not None:
            found = state.room_to_post(room, user)
            if found.rank(user) < Rank.MEMBER and not operator:
                raise Refused(Code.FORBIDDEN)
        own = state.uploads.get((user, file))
        best = choose(state, user, file)
        if best is not None and (best.whole or own is not None):
            if (best.size, best.chunk) != (size, chunk):
                raise Refused(Code.DIGEST)
            if own is not None and own is not best:
                self._merge(own, best)
            best.at = max(best.at, at)
            return best.upload()
        check_cut(file, size, chunk)
        self._check_quota(user, size, quota)
        blob = self._same_as(file) if size == 0 else None
        if blob is None:
            state.last_place += 1
            blob = state.blobs[state.last_place] = Blob(state.last_place, file, size, chunk, size == 0, at)
        blob.at = max(blob.at, at)
        state.uploads[user, file] = blob
        return blob.upload()

    async def uploading(self, user: User, file: bytes) -> Upload:
        self._state.check_open()
        return self._own(user, file).upload()

    async def received(self, user: User, upload: Upload, *, at: int) -> None:
        self._state.check_open()
        own = self._own(user, upload.file)
        if not own.whole and own.place != upload.place:
            raise Refused(Code.NO_SUCH_FILE)
        own.at = max(own.at, at)
        if own.whole:
            return
        same = self._same_as(upload.file)
        if same is None:
            own.whole = True
        else:
            same.at = max(same.at, at)
            self._merge(own, same)

    async def cancel(self, user: User, file: bytes) -> Upload:
        self._state.check_open()
        own = self._own(user, file)
        if own.whole:
            raise Refused(Code.NO_SUCH_FILE)
        self._drop(own)
        return own.upload()

    async def readable(self, user: User, file: bytes) -> Upload:
        self._state.check_open()
        best = choose(self._state, user, file)
        if best is None:
            raise Refused(Code.NO_SUCH_FILE)
        return best.upload()

    async def listed(self, room: Room, user: User, *, before: int | None, limit: int) -> Sequence[Shared]:
        self._state.check_open()
        found = self._state.room_of(room, user)
        if found is None:
            raise Refused(Code.NO_SUCH_ROOM)
        page: list[Shared] = []
        for seq in sorted(found.attached, reverse=True):
            if before is not None and seq >= before:
                continue
            some = [_shared(found, seq, each) for each in found.attached[seq] if each.media_type != WHOLE]
            if page and len(page) + len(some) > limit:
                break
            page += some
        return page

    async def unused(self, *, before: int, limit: int) -> Sequence[Upload]:
        state = self._state
        state.check_open()
        for blob in sorted(state.blobs.values(), key=lambda blob: (blob.at, blob.place)):
            if len(state.garbage) >= limit:
                break
            late = not blob.whole and blob.at < before - ABANDONED
            if late or (blob.at < before and not any(each.blob is blob for each in self._named())):
                self._drop(blob)
        return [state.garbage[place].upload() for place in sorted(state.garbage)[:limit]]

    async def removed(self, places: Sequence[int]) -> None:
        self._state.check_open()
        for place in places:
            self._state.garbage.pop(place, None)

    def _own(self, user: User, file: bytes) -> Blob:
        own = self._state.uploads.get((user, file))
        if own is None:
            raise Refused(Code.NO_SUCH_FILE)
        return own

    def _same_as(self, file: bytes) -> Blob | None:
        """All of this content, where it is here."""
        return next((blob for blob in self._state.blobs.values() if blob.whole and blob.file == file), None)

    def _check_quota(self, user: User, size: int, quota: Quota) -> None:
        kept = [blob for (owner, _), blob in self._state.uploads.items() if owner == user]
        if len(kept) >= quota.files or sum(blob.size for blob in kept) + size > quota.size:
            raise Refused(Code.QUOTA)
        if size and sum(not blob.whole for blob in kept) >= quota.uploads:
            raise Refused(Code.LIMIT)

    def _merge(self, old: Blob, new: Blob) -> None:
        """An upload turned out to be what is here already."""
        for each in self._named():
            if each.blob is old:
                each.blob = new
        for key, blob in self._state.uploads.items():
            if blob is old:
                self._state.uploads[key] = new
        self._drop(old)

    def _drop(self, blob: Blob) -> None:
        """Forget a file, and who names and who uploaded it."""
        state = self._state
        state.uploads = {key: each for key, each in state.uploads.items() if each is not blob}
        for room in state.rooms.values():
            kept = ((seq, [each for each in some if each.blob is not blob]) for seq, some in room.attached.items())
            room.attached = {seq: some for seq, some in kept if some}
        state.garbage[blob.place] = state.blobs.pop(blob.place)

    def _named(self) -> Iterator[Attached]:
        return (each for room in self._state.rooms.values() for some in room.attached.values() for each in some)


def choose(state: State, user: User, file: bytes, size: int | None = None) -> Blob | None:
    """What a user has of a file: all of it before what is still to come, his own before another's, the oldest."""
    own = state.uploads.get((user, file))
    candidates: list[Blob] = [] if own is None else [own]
    for _, room in state.rooms_of(user):
        candidates += (each.blob for some in room.attached.values() for each in some if each.blob.file == file)
    fitting = [blob for blob in candidates if size in (None, blob.size)]
    return min(fitting, key=lambda blob: (not blob.whole, blob is not own, blob.place), default=None)


def attach(state: State, message: Message) -> list[Attached]:
    """What a message names, as its sender may name it. Raises Refused(NO_SUCH_FILE)."""
    found: list[Attached] = []
    for file, size, media_type, name, modified in message.attachments or ():
        blob = choose(state, User(message.sender), file, size)
        if blob is None or (media_type == WHOLE and not blob.whole):
            raise Refused(Code.NO_SUCH_FILE)
        found.append(Attached(blob, name, media_type, modified))
    return found


def detach(found: Place, places: Iterable[int]) -> None:
    """Events that name nothing any more."""
    for place in places:
        found.attached.pop(place, None)


def _shared(found: Place, seq: int, attached: Attached) -> Shared:
    return Shared(
        name=attached.name,
        size=attached.blob.size,
        modified=attached.modified,
        media_type=attached.media_type,
        file=attached.blob.file,
        standing=Standing.WHOLE if attached.blob.whole else Standing.COMING,
        sender=found.senders[seq - 1],
        seq=seq,
    )
