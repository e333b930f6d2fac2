"""Long texts: files that are put aside before the message that names them, and fetched again. (spec 06-messages)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quicchat.client.requests import Requests
from quicchat.errors import Code, Refused
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Grant, Offer
from quicchat.wire.chapters.messages import LONGEST, WHOLE, Attachments, Message, Post

if TYPE_CHECKING:
    from quicchat.client.files.landing import Known, Leaves, MemoryLanding

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


async def put(requests: Requests, data: bytes) -> None:
    """Upload a body. Raises as `Requests.ask`."""
    # What carries files is imported when one is carried: most runs of a client see none.
    from quicchat.client.files.sending import named, upload
    from quicchat.client.files.sources import BytesSource

    item = await named(BytesSource("", data))
    try:
        offer = Offer(size=item.size, chunk=item.chunk, file=item.file)
        await upload(requests, item, offer, await requests.ask(offer, Grant, aside=True), lambda _: None)
    except Refused as refusal:
        raise _patient(refusal) from None
    finally:
        item.leaves.close()


async def get(requests: Requests, event: Message) -> str:
    """The whole text of an event. Raises as `Requests.ask`, and Refused(DIGEST)."""
    from quicchat.client.files.fetching import Wrong, begin
    from quicchat.client.files.landing import MemoryLanding
    from quicchat.client.files.targets import Wanted

    found = whole_of(event)
    if found is None:
        return event.text or ""
    file, size = found
    wanted = Wanted(file, "", size)
    landings: list[MemoryLanding] = []

    async def land(known: Known, leaves: Leaves) -> MemoryLanding:
        landings.append(MemoryLanding(known, leaves))
        if known.size != size:
            raise Refused(Code.DIGEST, "The text has another length than its message says.")
        return landings[0]

    try:
        await begin(requests.files, wanted, LONGEST, land, lambda _: None)
        return landings[0].data.decode()
    except Wrong:
        raise Refused(Code.DIGEST, "The text is not what its message names.") from None
    except UnicodeDecodeError:
        raise Refused(Code.DIGEST, "The text is none.") from None
    except Refused as refusal:
        raise _patient(refusal) from None
    finally:
        for landing in landings:
            landing.leave()


def _patient(refusal: Refused) -> Refused:
    """Where there were too many transfers at once, that is so for the moment only."""
    return Refused(Code.OVERLOADED, refusal.text) if refusal.code is Code.LIMIT else refusal
