"""Long texts: files that are put aside before the message that names them, and fetched again. (spec 06-messages)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from quicchat.client.requests import Requests
from quicchat.client.seal import Opened
from quicchat.errors import Code, Refused, RemoteProtocolError
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Grant, Offer
from quicchat.wire.chapters.messages import LONGEST, WHOLE, Attachments, Message, Post

if TYPE_CHECKING:
    from quicchat.client.files.landing import Known, Leaves, MemoryLanding
    from quicchat.wire.sealed import FileKey

#: Bytes of the beginning that stands in the message itself.
BEGINNING: Final = 1024


def attached(data: bytes) -> tuple[str, Attachments]:
    """The beginning of a long text, cut at a character, and the attachment that names the whole of it.

    Raises Refused(MSG_TOO_LARGE).
    """
    if len(data) > LONGEST:
        raise Refused(Code.MSG_TOO_LARGE, f"A message has at most {LONGEST} bytes.")
    beginning = data[:BEGINNING].decode(errors="ignore")
    return beginning, ((leaves.of(data)[0], len(data), WHOLE, "", 0),)


def whole_of(event: Message | Post) -> tuple[bytes, int] | None:
    """Digest and size of the whole text, where an event has only the beginning of it."""
    for file, size, kind, *_ in event.attachments or ():
        if kind == WHOLE:
            return file, size
    return None


def wrapped(post: Post, data: bytes, secret: bytes) -> tuple[Post, FileKey]:
    """A post whose long text is sealed under a fresh secret of 32 bytes, and what opens that; `put` takes both.

    As a message itself it is padded, so that its size tells less.
    """
    from quicchat.client.e2ee import parcels
    from quicchat.wire import sealed

    plain = sealed.padded(data)
    parcel = parcels.sealed(plain, secret)
    key = sealed.FileKey(
        file=leaves.of(parcel)[0],
        secret=secret,
        size=len(plain),
        root=leaves.of(plain, parcels.CHUNK)[0],
        name="",
        media_type=WHOLE,
        modified=0,
    )
    rows = ((key.file, len(parcel), WHOLE, "", 0) if row[2] == WHOLE else row for row in post.attachments or ())
    return replace(post, attachments=tuple(rows)), key


async def put(requests: Requests, data: bytes, key: FileKey | None = None) -> None:
    """Upload a body, `wrapped` where it has a key. Raises as `Requests.ask`."""
    # What carries files is imported when one is carried: most runs of a client see none.
    from quicchat.client.files.sending import named, upload
    from quicchat.client.files.sources import BytesSource

    if key is not None:
        from quicchat.client.e2ee import parcels
        from quicchat.wire import sealed

        data = parcels.sealed(sealed.padded(data), key.secret)
    item = await named(BytesSource("", data))
    try:
        offer = Offer(size=item.size, chunk=item.chunk, file=item.file)
        await upload(requests, item, offer, await requests.ask(offer, Grant, aside=True), lambda _: None)
    except Refused as refusal:
        raise _patient(refusal) from None
    finally:
        item.leaves.close()


async def unfold(requests: Requests, event: Message, key_of: Callable[[bytes], FileKey | None]) -> str:
    """The whole text of an event, however it is sealed. Raises as `get`."""
    found = whole_of(event)
    return await get(requests, event, key_of(found[0]) if found is not None and isinstance(event, Opened) else None)


async def get(requests: Requests, event: Message, key: FileKey | None = None) -> str:
    """The whole text of an event, opened where it has a key. Raises as `Requests.ask`, and Refused(DIGEST)."""
    from quicchat.client.files.fetching import SMALL, Wrong, begin
    from quicchat.client.files.landing import MemoryLanding
    from quicchat.client.files.targets import Wanted

    found = whole_of(event)
    if found is None:
        return event.text or ""
    file, size = found
    if key is not None:
        from quicchat.client.e2ee.parcels import sealed_size

        size = sealed_size(key.size)
    wanted = Wanted(file, "", size, sealed=key is not None, key=key)
    landings: list[MemoryLanding] = []

    async def land(known: Known, leaves: Leaves) -> MemoryLanding:
        landings.append(MemoryLanding(known, leaves))
        if known.size != size:
            raise Refused(Code.DIGEST, "The text has another length than its message says.")
        return landings[0]

    try:
        await begin(requests.files, wanted, LONGEST if key is None else SMALL, land, lambda _: None)
        landings[0].finish()
        data = bytes(landings[0].data)
        if key is not None:
            from quicchat.wire.sealed import unpadded

            data = unpadded(data)
        return data.decode()
    except Wrong:
        raise Refused(Code.DIGEST, "The text is not what its message names.") from None
    except (UnicodeDecodeError, RemoteProtocolError):
        raise Refused(Code.DIGEST, "The text is none.") from None
    except Refused as refusal:
        raise _patient(refusal) from None
    finally:
        for landing in landings:
            landing.leave()


def _patient(refusal: Refused) -> Refused:
    """Where there were too many transfers at once, that is so for the moment only."""
    return Refused(Code.OVERLOADED, refusal.text) if refusal.code is Code.LIMIT else refusal
