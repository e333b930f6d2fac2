"""One session of a sender key, and some parcels, in all their bytes: to check others against. (spec 15-keys)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.client.e2ee import letters
from quicchat.client.e2ee import parcels as sealing
from quicchat.client.e2ee.ratchet import Voice
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.sealed import packed, padded

_ROOM: Final = "@alice,bob"
_SENDER: Final = "alice"
#: Bytes of the end of a parcel, at most.
_END: Final = 64
_SECRET: Final = bytes(range(32))
_HANDLE: Final = 0x0123_4567_89AB_CDEF
_TIME: Final = 1_700_000_000_000
_SAID: Final = (
    Post(room=_ROOM, cid=bytes(16), text="Hello, Bob."),
    Post(room=_ROOM, cid=bytes([1]) * 16, text="\u2126", kind=Kind.EMOTE, reply=1, mentions=("bob",)),
    Post(room=_ROOM, cid=bytes([2]) * 16, text="Hello, Bob!", kind=Kind.EDIT, refs=(1,)),
)


def example() -> dict[str, Any]:
    """A session from its key on: what was said, and what of it the server sees; byte strings in hexadecimal."""
    drawn = iter(range(1, 256))
    voice = Voice.begin(_ROOM, _SENDER, _HANDLE, now=_TIME, chance=lambda size: bytes(next(drawn) for _ in range(size)))
    messages = []
    begun = voice
    for post in _SAID:
        content = letters.content_of(post, conversation=_ROOM, sender=_SENDER, device=_HANDLE)
        chain = voice.chain
        voice, sealed = voice.seal(content)
        messages.append(
            {
                "cid": post.cid.hex(),
                "chain": chain.hex(),
                "content": packed(content).hex(),
                "padded": padded(packed(content)).hex(),
                "sealed": packed(sealed).hex(),
                "outer_kind": int(letters.outside(post, content, sealed).kind or Kind.TEXT),
            }
        )
    return {
        "conversation": _ROOM,
        "sender": _SENDER,
        "handle": _HANDLE,
        "seed": begun.private.hex(),
        "session_key": packed(begun.session_key).hex(),
        "messages": messages,
    }


def parcels() -> list[dict[str, Any]]:
    """Parcels: the plain bytes are `plain`, repeated. Of a long one only the end is given, and its id at the server."""
    return [_parcel(plain, times) for plain, times in ((b"", 1), (b"Hello, Bob.", 1), (b"quicchat", 8_193))]


def _parcel(plain: bytes, times: int) -> dict[str, Any]:
    data = plain * times
    parcel = sealing.sealed(data, _SECRET)
    return {
        "secret": _SECRET.hex(),
        "plain": plain.hex(),
        "times": times,
        "size": len(data),
        "root": leaves.of(data, sealing.CHUNK)[0].hex(),
        "file": leaves.of(parcel)[0].hex(),
        "head": parcel[: sealing.HEAD].hex(),
        "end": parcel[-min(_END, len(parcel) - sealing.HEAD) :].hex(),
    }
