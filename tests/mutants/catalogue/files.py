"""Mutants of sections 6.10 and 14.1 to 14.3: what may be offered, who may read it, what is listed."""

from __future__ import annotations

from typing import Any

from quicchat.server.adapters import blobs_memory
from quicchat.server.adapters.share_memory import MemoryShare
from quicchat.server.adapters.store_memory import about as about_others
from quicchat.server.adapters.store_memory import files as memory
from quicchat.server.adapters.store_memory.files import MemoryFiles
from quicchat.server.chunks import Chunks
from quicchat.server.services import files
from quicchat.server.services.files import FileService
from quicchat.server.services.messages import Messages
from quicchat.server.transfers import Transfers
from quicchat.wire import fields
from quicchat.wire.types import Text
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

# Ids and names

faulty(
    "14.1-1/a-leaf-that-is-none",
    "The last leaf that is told is another one's.",
    *(blobs_memory._Content, "leaves"),
    ("self._blob.leaves[offset :", "(self._blob.leaves[:-32] + bytes(32))[offset :"),
)


def _any_name(kind: Text) -> None:
    def make(load: Any) -> Any:
        return lambda self, value: value if self is kind and isinstance(value, str) else load(self, value)

    swap(Text, "load", make)


@mutant("14.1-3/any-name")
def any_name() -> None:
    """A file may be asked for by any name."""
    _any_name(fields.FILE_NAME)


@mutant("14.1-3/any-attached-name")
def any_attached_name() -> None:
    """What is attached may have any name."""
    _any_name(fields.ATTACHED_NAME)


# What a server shares

faulty(
    "14.2-2/by-nobody",
    "What the server shares is listed as sent by somebody.",
    *(files, "_rows"),
    ('each.sender or ""', 'each.sender or "server"'),
    kills="14.2-2/*",
)
faulty(
    "14.2-2/by-size",
    "What the server shares is listed by its size.",
    *(MemoryShare, "listed"),
    (
        "names = sorted(name for name in self.files if after is None or name > after)",
        "names = sorted(self.files, key=lambda name: len(self.files[name]))\n"
        "    names = names if after is None else names[names.index(after) + 1 :]",
    ),
    kills="14.2-2/*",
)
faulty(
    "14.2-5/another-id",
    "Who asks for a file by its name and another id is given it.",
    *(MemoryShare, "open"),
    ("if file not in (None, content.file):", "if False:"),
)
faulty(
    "14.2-5/stale-ids",
    "What is shared is listed with an id that it has not.",
    *(MemoryShare, "_shared"),
    ("leaves.of(data)[0]", "leaves.of(data[:-1])[0]"),
)
faulty(
    "14.2-6/forbidden",
    "What is not shared is refused with FORBIDDEN.",
    *(MemoryShare, "open"),
    ("raise Refused(Code.NO_SUCH_FILE)", "raise Refused(Code.FORBIDDEN)"),
)
faulty(
    "14.2-8/from-the-beginning",
    "A `next` that was never given begins anew.",
    *(files, "_name"),
    ("after.decode()", 'after.decode(errors="ignore")'),
)
faulty(
    "14.2-9/oldest-first",
    "The files of a room come oldest first.",
    *(MemoryFiles, "listed"),
    ("reverse=True", "reverse=False"),
    ("seq >= before", "seq <= before"),
)
faulty(
    "14.2-9/events-are-parted",
    "The files of one event may stand on two pages.",
    *(MemoryFiles, "listed"),
    ("page += some", "page += some[:limit]"),
)
faulty(
    "14.2-9/empty-for-others",
    "Who is not in a room is told that it has no files.",
    *(MemoryFiles, "listed"),
    ("raise Refused(Code.NO_SUCH_ROOM)", "return []"),
)
faulty(
    "14.3-11/whole-texts",
    "The whole of a long text is listed as a file.",
    *(MemoryFiles, "listed"),
    ("if each.media_type != WHOLE", ""),
)

# Offers

faulty(
    "14.3-1/nothing-is-here",
    "Who offers a file again is told that nothing of it is here.",
    *(FileService, "offer"),
    ("have = await self._blobs.held(upload)", "have = ()"),
    kills="14.3-1/the-same-offer-again 14.3-9/* 14.4-11/what-was-verified-stays",
)
faulty(
    "14.3-1/never-whole",
    "Who offers again what is here whole is asked for it once more.",
    *(FileService, "offer"),
    ("whole=upload.whole)", "whole=False)"),
    kills="14.3-1/*",
)
faulty(
    "14.3-1/contradictions",
    "An offer that contradicts an earlier one is taken.",
    *(MemoryFiles, "offer"),
    ("(best.size, best.chunk) != (size, chunk)", "False"),
    kills="14.3-1/an-offer-that-contradicts",
)
faulty(
    "14.3-1/any-number-of-chunks",
    "A file may be cut into any number of chunks, and nothing may have any id.",
    *(MemoryFiles, "offer"),
    ("check_cut(file, size, chunk)", ""),
    kills="14.3-1/an-offer-that-contradicts",
)
faulty(
    "14.3-2/told-too-late",
    "An offer does not look whether one may post where the file is to go.",
    *(MemoryFiles, "offer"),
    ("if room is not None:", "if False:"),
)
faulty(
    "14.3-2/the-muted-too",
    "An offer does not look whether one may speak in the room.",
    *(MemoryFiles, "offer"),
    ("found.rank(user) < Rank.MEMBER and not operator", "False"),
)
faulty(
    "14.3-3/known-to-the-server",
    "Who offers a file that anybody has uploaded need not send it.",
    *(MemoryFiles, "offer"),
    ("self._same_as(file) if size == 0 else None", "self._same_as(file)"),
)
faulty(
    "14.3-4/the-id-is-the-key",
    "Whoever knows the id of a file may read it.",
    *(memory, "choose"),
    ("for _, room in state.rooms_of(user):", "for room in state.rooms.values():"),
    kills="14.3-4/*",
)
faulty(
    "14.3-4/not-before-it-is-named",
    "Who has uploaded a file may not read it before it is named.",
    *(MemoryFiles, "readable"),
    ("best is None", "best is None or not any(each.blob is best for each in self._named())"),
    kills="14.3-4/who-may-read",
)
faulty(
    "14.3-4/those-who-were-there",
    "Who has left a room may read on what was named there.",
    *(memory, "choose"),
    ("state.rooms_of(user)", "[(name, r) for name, r in state.rooms.items() if user in r.seats or user in r.senders]"),
    kills="14.3-4/who-has-left",
)
faulty(
    "14.3-5/files-stay",
    "A file can be read on after the message that named it was taken back.",
    *(about_others, "detach"),
    ("found.attached.pop(place, None)", "pass"),
)
faulty(
    "14.3-5/files-of-edits-stay",
    "A file that was added by an edit stays when the message is taken back.",
    *(about_others, "apply"),
    ("detach(found, (target, *found.edits.get(target, ())))", "detach(found, (target,))"),
)
faulty(
    "14.3-6/another-code-for-size",
    "Who would have more than he may is refused with FORBIDDEN.",
    *(MemoryFiles, "_check_quota"),
    ("raise Refused(Code.QUOTA)", "raise Refused(Code.FORBIDDEN)"),
    kills="14.3-6/more-than-is-allowed",
)
faulty(
    "14.3-6/another-code-for-number",
    "Who has too many unfinished uploads is refused with FORBIDDEN.",
    *(MemoryFiles, "_check_quota"),
    ("raise Refused(Code.LIMIT)", "raise Refused(Code.FORBIDDEN)"),
    kills="14.3-6/too-many-unfinished",
)
faulty(
    "14.3-7/cancelling-nothing",
    "It is no fault to cancel what nobody has offered.",
    *(FileService, "cancel"),
    (
        "await self._blobs.remove(await self._files.cancel(actor.name, pdu.file))",
        "try:\n        await self._blobs.remove(await self._files.cancel(actor.name, pdu.file))\n"
        "    except Refused:\n        pass",
    ),
)
faulty(
    "14.3-7/the-chunks-stay",
    "An upload that was cancelled goes on where it was.",
    *(FileService, "cancel"),
    (
        "await self._blobs.remove(await self._files.cancel(actor.name, pdu.file))",
        "await self._files.uploading(actor.name, pdu.file)",
    ),
)


@mutant("14.3-9/lost-with-its-connection")
def lost_with_its_connection() -> None:
    """What came of an upload is lost when its connection ends."""

    def make(over: Any) -> Any:
        def found(self: Transfers, sid: int, source: Any, task: Any) -> None:
            if task.cancelled() and (blob := getattr(source, "_blob", None)) is not None:
                blob.chunks.found(bytes(len(blob.chunks._here)))
            over(self, sid, source, task)

        return found

    swap(Transfers, "_over", make)


faulty(
    "14.3-10/whole-or-nothing",
    "A file that is still being uploaded cannot be read.",
    *(MemoryFiles, "readable"),
    ("best is None", "best is None or not best.whole"),
    kills="14.3-10/*",
)
faulty(
    "14.3-10/another-code",
    "Who reads what is given up is told LIMIT.",
    *(Chunks, "_until"),
    ("raise Refused(Code.NO_SUCH_FILE)\n", "raise Refused(Code.LIMIT)\n"),
    kills="14.3-10/a-reader-of-what-is-given-up",
)


@mutant("14.3-10/waits-for-ever", "14.3-10/a-reader-of-what-is-given-up")
def waits_for_ever() -> None:
    """Who reads what is given up is told nothing."""
    swap(Chunks, "end", lambda _: lambda self: None)


# Files in messages

faulty(
    "6.10-4/anybodys",
    "Any file that is here may be attached by anybody.",
    *(memory, "attach"),
    (
        "blob = choose(state, User(message.sender), file, size)",
        "blob = next((b for b in state.blobs.values() if (b.file, b.size) == (file, size)), None)",
    ),
)
faulty(
    "6.10-4/any-size",
    "A file may be attached with a size that it has not.",
    *(memory, "attach"),
    ("file, size)", "file)"),
)
faulty(
    "6.10-5/direct-is-public",
    "What is attached to a direct message may be read by anybody.",
    *(memory, "choose"),
    ("state.rooms_of(user)", '[each for each in state.rooms.items() if user in each[1].seats or each[0][0] == "@"]'),
)
faulty(
    "6.10-7/still-to-come",
    "The whole of a text may be attached before it is here.",
    *(memory, "attach"),
    ("or (media_type == WHOLE and not blob.whole)", ""),
    kills="6.10-7/*",
)
faulty(
    "6.10-7/all-have-to-be-here",
    "Nothing may be attached before it is here.",
    *(memory, "attach"),
    ("(media_type == WHOLE and not blob.whole)", "not blob.whole"),
    kills="6.10-7/*",
)
faulty(
    "6.10-8/no-file",
    "A message of the kind FILE need not name one.",
    *(Messages, "_check_files"),
    ("kind is Kind.FILE and not attachments", "False"),
)
