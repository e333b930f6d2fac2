"""Mutants of sections 14.4 to 14.6: bytes on streams and in datagrams, and how fast they may come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quicchat.server import uploads
from quicchat.server.adapters import blobs_memory
from quicchat.server.adapters.store_memory.files import MemoryFiles
from quicchat.server.downloads import Download
from quicchat.server.services import files
from quicchat.server.services.files import FileService
from quicchat.server.transfers import Transfers
from quicchat.server.uploads import Upload
from quicchat.wire.chapters.files import FileEnd
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

# Downloads


def _said(change: Any) -> None:
    """Have downloads say something else on their streams."""
    swap(Download, "_say", lambda say: lambda self, pdu: say(self, change(self, pdu)))


@mutant("14.4-1/one-byte-too-many")
def carried() -> None:
    """FILE_END counts a byte that did not come."""
    _said(lambda self, pdu: replace(pdu, carried=pdu.carried + 1) if isinstance(pdu, FileEnd) else pdu)


@mutant("14.4-2/leaves-count")
def leaves_count() -> None:
    """FILE_END counts the leaves, too."""
    _said(
        lambda self, pdu: (
            replace(pdu, carried=self._used)
            if isinstance(pdu, FileEnd) and not self._fast and self._get.leaves
            else pdu
        )
    )


faulty(
    "14.4-2/leaves-last",
    "The leaves come behind the bytes.",
    *(Download, "run"),
    ("if self._get.leaves:", "if False:"),
    (
        "if self._fast:",
        "if self._get.leaves:\n        await self._send_leaves(LEAF * count(content.size, content.chunk))\n"
        "    if self._fast:",
    ),
)
faulty(
    "14.4-2/all-in-one",
    "Ranges come as one that has them all.",
    *(files, "_checked"),
    ("return pdu.ranges", "return ((pdu.ranges[0][0], end - pdu.ranges[0][0]),) if pdu.ranges else ()"),
)
faulty(
    "14.4-3/what-there-is",
    "Of ranges beyond the end what there is comes.",
    *(files, "_checked"),
    ("or start + length > size", ""),
    ("end = start + length", "length = min(length, size - start)\n        end = start + length"),
)
faulty(
    "14.4-3/any-order",
    "Ranges may be in any order.",
    *(files, "_checked"),
    ("start < end or", ""),
)
faulty(
    "14.4-3/nameless",
    "Who asks for no file at all is told that there is none.",
    *(FileService, "_found"),
    ('raise Refused(Code.SCHEMA, "Which file?")', "raise Refused(Code.NO_SUCH_FILE)"),
)
faulty(
    "14.4-4/forbidden",
    "A file that one may not read is refused with FORBIDDEN.",
    *(FileService, "_found"),
    (
        "return await self._share.open(None, pdu.file)",
        "try:\n        return await self._share.open(None, pdu.file)\n"
        "    except Refused:\n        raise Refused(Code.FORBIDDEN) from None",
    ),
)
faulty(
    "14.4-5/handles-stay-taken",
    "The handle of a download that was stopped is never free again.",
    *(Transfers, "_forget"),
    ("self._handles.pop(sid, None)", ""),
)


@mutant("14.4-5/given-up-with-the-rest", "14.4-5/*")
def given_up() -> None:
    """Who wants no more of a download is put out."""

    def make(ended: Any) -> Any:
        def found(self: Transfers, sid: int, code: int | None) -> None:
            if code is not None and sid in self._downloads:
                self._driver.close(0x100, "")
            ended(self, sid, code)

        return found

    swap(Transfers, "ended", make)


faulty(
    "14.4-6/two-of-one-handle",
    "Two downloads may have one handle.",
    *(Transfers, "_admit"),
    ("pdu.handle in self._handles.values()", "False"),
)
faulty(
    "14.4-7/passed-over",
    "A second request on a stream is ignored.",
    *(Transfers, "asks"),
    ("self._give_up(sid, Code.STREAM_MISUSE)", "pass"),
)
faulty(
    "14.5-1/as-much-as-there-is",
    "Downloads take no notice of the credit.",
    *(Download, "_room"),
    ("credit = self._credit - self._used if counts else AHEAD", "credit = AHEAD"),
)
faulty(
    "14.5-1/leaves-for-nothing",
    "Leaves need no credit.",
    *(Download, "_send_leaves"),
    ("await self._send(data, counts=not self._fast)\n    for", "await self._send(data, counts=False)\n    for"),
)
faulty(
    "14.5-1/credit-goes-back",
    "A FILE_ACK that allows less than the one before it takes credit back.",
    *(Download, "allow"),
    ("max(self._credit, credit)", "credit"),
)
faulty(
    "14.5-1/of-any-handle",
    "A FILE_ACK counts for all downloads.",
    *(Transfers, "acknowledged"),
    ("if download.handle == ack.handle:", "if True:"),
)
faulty(
    "14.5-5/as-fast-as-it-goes",
    "Downloads take no notice of the rate that was asked for.",
    *(Download, "_spend"),
    ("self._get.rate is not None", "False"),
)

# Uploads


@mutant("14.4-8/nothing-is-missing", "14.4-8/the-end-of-an-upload")
def nothing_is_missing() -> None:
    """FILE_END never says what is missing."""
    swap(files, "FileEnd", lambda made: lambda **fields: made(**{**fields, "missing": None}))


faulty(
    "14.4-8/ungranted",
    "What was not granted is refused with FORBIDDEN.",
    *(MemoryFiles, "uploading"),
    (
        "return self._own(user, file).upload()",
        "if (user, file) not in self._state.uploads:\n        raise Refused(Code.FORBIDDEN)\n"
        "    return self._own(user, file).upload()",
    ),
    kills="14.4-8/what-was-not-granted 14.4-9/*",
)
faulty(
    "14.4-8/any-size",
    "What an upload says of its size is not looked at.",
    *(FileService, "put"),
    ("(upload.size, upload.chunk) != (pdu.size, pdu.chunk)", "False"),
    kills="14.4-8/another-size",
)


@mutant("14.4-9/all-of-it-is-a-fault", "14.4-9/*")
def no_mercy() -> None:
    """An upload that was refused is given up at once, so that nobody hears why."""

    def make(refused: Any) -> Any:
        def found(self: Transfers, sid: int | None) -> None:
            refused(self, sid)
            if sid in self._uploads:
                self._driver.finish(sid, 0x100)

        return found

    swap(Transfers, "refused", make)


faulty(
    "14.4-10/any-beginning",
    "A part may begin and end within a chunk.",
    *(uploads, "_check"),
    ("start % sink.chunk or (end % sink.chunk and end != sink.size)", "False"),
    kills="14.4-10/parts-that-begin-anywhere",
)
faulty(
    "14.4-10/some-leaves",
    "Leaves may come in part.",
    *(uploads, "_check"),
    ("header.range != (0, leaves.LEAF * leaves.count(sink.size, sink.chunk))", "False"),
    kills="14.4-10/parts-that-begin-anywhere",
)
faulty(
    "14.4-10/of-any-file",
    "A part of another file is taken for one of this.",
    *(uploads, "_check"),
    ("header.file != sink.file or", ""),
    kills="14.4-10/parts-of-another-file",
)
faulty(
    "14.4-10/pieces-are-data",
    "A part whose bytes come elsewhere is taken for one whose bytes follow.",
    *(uploads, "_check"),
    ("or header.part is Part.PIECES", ""),
    kills="14.4-10/parts-of-another-file",
)
faulty(
    "14.4-11/any-chunk",
    "Chunks are stored as they come, and never compared with the leaves.",
    *(blobs_memory._Sink, "put"),
    ("or leaf(data) != blob.leaves[index * LEAF : index * LEAF + LEAF]", ""),
    kills="14.4-11/*",
)
faulty(
    "14.4-11/any-leaves",
    "Leaves are believed, and never compared with the id.",
    *(blobs_memory._Sink, "put_leaves"),
    ("or root(self.size, self.chunk, given) != self.file", ""),
    kills="14.4-11/bytes-that-are-not-the-file",
)
faulty(
    "14.4-11/all-is-lost",
    "A chunk that is wrong takes those with it that were right.",
    *(blobs_memory._Sink, "put"),
    (
        "raise Refused(Code.DIGEST)",
        "blob.chunks.found(bytes(len(blob.chunks._here)))\n        raise Refused(Code.DIGEST)",
    ),
    kills="14.4-11/what-was-verified-stays",
)
faulty(
    "14.5-7/at-the-end",
    "What was verified is told by FILE_END alone.",
    *(Upload, "_tell"),
    ("verified=verified or None", "verified=None"),
    kills="14.5-7/* 14.3-9/*",
)
faulty(
    "14.5-7/again-and-again",
    "What was verified is told with each FILE_ACK.",
    *(Upload, "_tell"),
    ("verified, self._verified = tuple(self._verified), []", "verified = tuple(self._verified)"),
)

# Datagrams

faulty(
    "14.6-1/numbered-from-one",
    "Pieces are numbered from 1.",
    *(Download, "_send_pieces"),
    ("index=index + at", "index=index + at + 1"),
)


faulty(
    "14.6-1/headers-of-leaves-only",
    "The pieces of a fast download are not announced.",
    *(Download, "run"),
    ("self._announce(part, start, size)", "part is Part.DATA and self._announce(part, start, size)"),
)
faulty(
    "14.6-2/pieces-for-nothing",
    "Pieces need no credit.",
    *(Download, "_send_pieces"),
    ("await self._room(len(pieces[0]))", "await self._room(0, counts=False)"),
)
faulty(
    "14.6-2/part-of-a-piece",
    "With credit for a part of a piece the piece is sent.",
    *(Download, "_send_pieces"),
    ("await self._room(len(pieces[0]))", "await self._room(1)"),
)
faulty(
    "14.6-3/any-range",
    "Ranges of a fast download need not be of whole pieces.",
    *(files, "_checked"),
    ("pdu.mode is Mode.FAST and", "False and"),
)
faulty(
    "14.6-3/no-last-piece",
    "A range of a fast download may not end with the file.",
    *(files, "_checked"),
    ("(end % PIECE and end != size)", "end % PIECE"),
)
