"""Files: what is known of them, where their bytes are, and what the operator shares. (spec 14-files)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quicchat.server.content import Content, Sink
from quicchat.server.model import Quota, Shared, Upload
from quicchat.wire.chapters.files import Range
from quicchat.wire.names import Room, User


class Files(Protocol):
    """Which files there are, who may upload, name and read them. A file is one content, whoever has it.

    A user may read a file that an event of a room names which he may read (`Log.page`), and one that he uploads.
    Everybody else is answered NO_SUCH_FILE, as where there is none. Until an upload has brought all of a file, its
    bytes are its own (`Upload.place`), and so is what events of its user name: to know what a file is called gives
    nobody the bytes that somebody else has of it.
    """

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
        """Let a user upload a file; again where he began before. What he may read already is `whole`, as is nothing.

        Raises Refused(NOT_MEMBER) and (FORBIDDEN) where he could not post in `room`, (NO_SUCH_USER) for a direct
        message to nobody, (DIGEST) where he or the file cannot have meant this size and chunk size, (QUOTA) where his
        files would have too many bytes or be too many, (LIMIT) for too many uploads at once or too many chunks.
        """

    async def uploading(self, user: User, file: bytes) -> Upload:
        """What the user was let upload, `whole` if he has. Raises Refused(NO_SUCH_FILE)."""

    async def received(self, user: User, upload: Upload, *, at: int) -> None:
        """All of what the user is uploading is at that place. Where it was here before, this may go (`unused`).

        Raises Refused(NO_SUCH_FILE), also where he uploads it to another place by now: what is there was not looked at.
        """

    async def cancel(self, user: User, file: bytes) -> Upload:
        """Give an upload up, and the events that name it come to nothing; what may go at once.

        Raises Refused(NO_SUCH_FILE) where he is not uploading it.
        """

    async def readable(self, user: User, file: bytes) -> Upload:
        """A file that the user may read, whole or not yet. Raises Refused(NO_SUCH_FILE)."""

    async def listed(self, room: Room, user: User, *, before: int | None, limit: int) -> Sequence[Shared]:
        """The files that events of a room's present log name, newest first, those before that place.

        All files of an event or none: fewer than `limit` where the next event has too many, more where the first has.
        What is the rest of a text is none of them. Raises Refused(NO_SUCH_ROOM) to non-members.
        """

    async def unused(self, *, before: int, limit: int) -> Sequence[Upload]:
        """Forget files that no event names and that nobody has uploaded or offered since then; what may go.

        Also an upload that came to an end nowhere for `model.ABANDONED` longer. Given again until `removed`.
        """

    async def removed(self, places: Sequence[int]) -> None:
        """The bytes that were there are gone."""


class Blobs(Protocol):
    """Bytes by the upload that brings them, put in place chunk by chunk as each proves itself.

    Uploads are what `Files` gives. All raise Refused(STORE_UNAVAILABLE) where the disk is full or fails; nothing is
    left half done then. A file of no bytes needs no place.
    """

    async def begin(self, upload: Upload) -> Sink:
        """Where the bytes go; what is here already stays."""

    async def held(self, upload: Upload) -> Sequence[Range]:
        """The chunks that are here and verified, as ranges of bytes, ascending, as many as fit into a PDU.

        None where there is no such file.
        """

    async def seal(self, upload: Upload) -> Sequence[Range]:
        """Make it durable, once nothing is missing; returns what still is, as `held`. Raises as `open`."""

    async def open(self, upload: Upload) -> Content:
        """A file to read from, whole or not yet. Raises Refused(NO_SUCH_FILE) where nothing was begun."""

    async def remove(self, upload: Upload) -> None:
        """Forget it; whoever waits for more of it, or would write more, is refused. Silent where there is none."""


class Share(Protocol):
    """The operator's folder: regular files directly in it, and nothing else (hostile X1-X3)."""

    async def listed(self, *, after: str | None, limit: int) -> Sequence[Shared]:
        """Files by name, those after that one."""

    async def open(self, name: str | None, file: bytes | None) -> Content:
        """A file by its name, by its content, or both.

        Raises Refused(NO_SUCH_FILE), (FILE_CHANGED) where that name has another content now.
        """
