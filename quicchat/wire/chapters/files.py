"""Files: offered, listed and fetched on streams of their own, each chunk verified as it comes. (spec 14-files)"""

from __future__ import annotations

from enum import IntEnum

from quicchat.wire.fields import ATTACHED_NAME, COUNT, FILE, FILE_NAME, FILE_SIZE, MILLISECONDS, ROOM, SEQ, SHORT, USER
from quicchat.wire.registry import BOTH, CLIENT, SERVER, Pdu, Via, key, pdu
from quicchat.wire.states import Rows, State, stay
from quicchat.wire.types import Array, Bool, Bytes, Choice, Text, Tuple, Uint

_ASKED = Via.CONTROL | Via.QUERY
#: Files in one FILE_LIST_R.
PAGE = 100
#: Bytes in one FILE_CHUNK; only the last of a file has fewer.
PIECE = 1_024
#: Ranges in one PDU.
RANGES = 64

_CHUNK_SIZE = Uint(1_048_576, 4_096)
_HANDLE = Uint(2**32 - 1)
#: [first byte, bytes]
_RANGE = Tuple((FILE_SIZE, FILE_SIZE))
_RANGES = Array(_RANGE, RANGES)
Range = tuple[int, int]


class Mode(IntEnum):
    """How the bytes of a file come: on the stream, or in datagrams, of which some may be lost."""

    RELIABLE = 1
    FAST = 2


class Part(IntEnum):
    """What follows a FILE_HEADER: the leaves, bytes of the file, or nothing, since these bytes come in datagrams."""

    LEAVES = 1
    DATA = 2
    PIECES = 3


class Standing(IntEnum):
    """Whether a file can be fetched whole: yes; it is still being uploaded, or changed."""

    WHOLE = 1
    COMING = 2
    CHANGING = 3


@pdu(0x60, "FILE_LIST", by=CLIENT, via=_ASKED, section="14.2", since=2, replay_safe=True)
class ListFiles(Pdu):
    """Asks for the files of a room, newest first, or for what the server shares, by name; answered by FILE_LIST_R."""

    room: str | None = key(1, ROOM, "which room; what the server shares when absent", default=None)
    after: bytes | None = key(2, Bytes(1024, 1), "`next` of the page before", default=None)
    limit: int | None = key(3, Uint(PAGE, 1), "files to a page", default=None)


@pdu(0x61, "FILE_LIST_R", by=SERVER, via=_ASKED, section="14.2", since=2)
class FileList(Pdu):
    """A page of files."""

    files: tuple[tuple[str, int, int, str, bytes, Standing, str, int], ...] = key(
        1,
        Array(
            Tuple(
                (ATTACHED_NAME, FILE_SIZE, MILLISECONDS, SHORT, Bytes(32), Choice(Standing), Text(32), SEQ),
            ),
            PAGE,
        ),
        "[name, bytes, modified (0: unknown), media type, file (empty: not known yet), standing, "
        "sender (empty: the server), place]",
    )
    next: bytes | None = key(2, Bytes(1024, 1), "to ask for the page that follows; absent after the last", default=None)


@pdu(0x62, "FILE_OFFER", by=CLIENT, via=_ASKED, section="14.3", since=2)
class Offer(Pdu):
    """Asks to upload a file, for a message to name it; answered by FILE_GRANT."""

    size: int = key(2, FILE_SIZE, "bytes")
    chunk: int = key(4, _CHUNK_SIZE, "bytes to a chunk")
    file: bytes = key(5, FILE, "its id: the root over its leaves")
    room: str | None = key(7, ROOM, "where it is to be named, to hear early that one may not", default=None)
    user: str | None = key(8, USER, "or whom it is for", default=None)


@pdu(0x63, "FILE_GRANT", by=SERVER, via=_ASKED, section="14.3", since=2)
class Grant(Pdu):
    """The file may be uploaded, but for what the server has already."""

    file: bytes = key(1, FILE, "which")
    have: tuple[Range, ...] = key(2, _RANGES, "[first byte, bytes] that need not be sent; perhaps not all of them")
    credit: int = key(3, FILE_SIZE, "raw bytes that each stream may carry before its first FILE_ACK")
    whole: bool = key(4, Bool(), "nothing needs to be sent")


@pdu(0x64, "FILE_GET", by=CLIENT, via=Via.FILE, section="14.4", since=2)
class GetFile(Pdu):
    """Asks for a file or parts of it; answered by FILE_HEADER on the same stream, whose own half ends right here."""

    file: bytes | None = key(1, FILE, "which; or `name`, or both: that content under that name", default=None)
    name: str | None = key(2, FILE_NAME, "what the server shares under this name", default=None)
    mode: Mode = key(3, Choice(Mode), "1 reliable, 2 fast")
    ranges: tuple[Range, ...] | None = key(4, _RANGES, "[first byte, bytes], ascending; all when absent", default=None)
    rate: int | None = key(5, Uint(2**40, 1_024), "bytes a second at most", default=None)
    handle: int = key(6, _HANDLE, "chosen by the client; no other transfer of the connection has it")
    credit: int = key(7, FILE_SIZE, "raw bytes, or bytes in datagrams, before the first FILE_ACK")
    leaves: bool = key(8, Bool(), "send the leaves first")


@pdu(0x65, "FILE_HEADER", by=BOTH, via=Via.FILE, section="14.4", since=2)
class FileHeader(Pdu):
    """What follows on this stream: raw bytes, then another FILE_HEADER, FILE_END, or the end. See 14.4-8."""

    file: bytes = key(1, FILE, "which")
    size: int = key(2, FILE_SIZE, "bytes of the whole file")
    chunk: int = key(4, _CHUNK_SIZE, "bytes to a chunk")
    range: Range = key(
        5, _RANGE, "[first byte, bytes] of the part: places in the file, or for part 1 in the row of all leaves"
    )
    part: Part = key(6, Choice(Part), "1 leaves, 2 bytes of the file, 3 bytes that come in datagrams")
    name: str | None = key(7, FILE_NAME, "of what the server shares", default=None)
    modified: int | None = key(8, MILLISECONDS, "when it was changed last, Unix ms", default=None)

    @property
    def follows(self) -> int:
        """How many raw bytes follow."""
        return 0 if self.part is Part.PIECES else self.range[1]


@pdu(0x66, "FILE_ACK", by=BOTH, via=Via.CONTROL | Via.FILE, section="14.5", since=2)
class FileAck(Pdu):
    """How much more may be sent. Not answered."""

    verified: tuple[Range, ...] | None = key(1, _RANGES, "[first byte, bytes] verified and stored since", default=None)
    credit: int = key(2, FILE_SIZE, "bytes that may have been sent since the transfer began; never less than before")
    handle: int | None = key(3, _HANDLE, "which download; absent on the stream of an upload", default=None)


@pdu(0x68, "FILE_END", by=SERVER, via=Via.FILE, section="14.4", since=2)
class FileEnd(Pdu):
    """The end of a transfer: of a download after its last byte, of an upload as the answer."""

    status: int = key(1, Uint(0xFFFF_FFFF), "0, or an error code")
    carried: int = key(2, FILE_SIZE, "how many bytes were sent, or verified and stored, in this transfer")
    missing: tuple[Range, ...] | None = key(3, _RANGES, "of an upload: [first byte, bytes] still wanted", default=None)


@pdu(0x69, "FILE_CANCEL", by=CLIENT, via=_ASKED, section="14.3", since=2)
class CancelOffer(Pdu):
    """Gives an upload up; what came of it is forgotten; answered by OK."""

    file: bytes = key(1, FILE, "which")


@pdu(0x6A, "FILE_CHUNK", by=SERVER, via=Via.DATAGRAM, section="14.6", since=2)
class FileChunk(Pdu):
    """A piece of a file that is fetched fast."""

    handle: int = key(1, _HANDLE, "of FILE_GET")
    index: int = key(2, COUNT, "which piece: it begins at 1024 times this")
    data: bytes = key(3, Bytes(PIECE, 1), "the piece")


ROWS: Rows = tuple(
    stay(
        (State.READY,),
        *(ListFiles, FileList, Offer, Grant, CancelOffer),
        *(GetFile, FileHeader, FileAck, FileEnd, FileChunk),
    )
)
