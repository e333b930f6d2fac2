"""Sender keys: one device speaks, many read; each message has a key that is used once; pure. (spec 15-keys)

    chain key 0 --HMAC 2--> chain key 1 --HMAC 2--> chain key 2 ...
        | HMAC 1, cid           | HMAC 1, cid
        v                       v
    message key 0           message key 1

Whoever has a chain key opens the messages from there on, and none before. Only the speaker has the session's
signing key, so that nobody who can read can speak in his name.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quicchat.client.e2ee.faults import Forged, Unreadable
from quicchat.errors import RemoteProtocolError
from quicchat.values import dataclass
from quicchat.wire.fields import MILLISECONDS, ROOM, SEQ, USER
from quicchat.wire.registry import Pdu, key, record
from quicchat.wire.sealed import (
    SESSION_LIFE,
    SESSION_MESSAGES,
    SKIP,
    Content,
    Scheme,
    Sealed,
    SessionKey,
    SignedPart,
    packed,
    padded,
    unpacked,
    unpadded,
)
from quicchat.wire.types import Array, Bytes, Tuple, Uint

#: A message key seals one message only, so that its nonce need not change: the id of the message is in it, for
#: a device that was put back to an earlier day does not know which indices it has used.
_NONCE: Final = bytes(12)
_MESSAGE: Final = b"\x01"
_NEXT: Final = b"\x02"


@record("voice", section="")
class Voice(Pdu):
    """The session that a device speaks with in a conversation, and who was given its key: [user, handle]."""

    conversation: str = key(1, ROOM, "where")
    sender: str = key(2, USER, "whose")
    device: int = key(3, Uint(), "handle of his device")
    sid: bytes = key(4, Bytes(16, 16), "which session")
    index: int = key(5, Uint(2**32 - 1), "of the next message")
    chain: bytes = key(6, Bytes(32, 32), "chain key at that index")
    private: bytes = key(7, Bytes(32, 32), "Ed25519 seed")
    created: int = key(8, MILLISECONDS, "Unix ms")
    readers: tuple[tuple[str, int], ...] = key(9, Array(Tuple((USER, Uint())), 65_535), "who has its key")

    @classmethod
    def begin(cls, conversation: str, sender: str, device: int, *, now: int, chance: Callable[[int], bytes]) -> Voice:
        """A new session; `now` is Unix ms."""
        return cls(
            conversation=conversation,
            sender=sender,
            device=device,
            sid=chance(16),
            index=0,
            chain=chance(32),
            private=chance(32),
            created=now,
            readers=(),
        )

    @property
    def session_key(self) -> SessionKey:
        """What opens it from the next message on."""
        signing = _signing(self.private)
        return SessionKey(
            conversation=self.conversation,
            sender=self.sender,
            device=self.device,
            sid=self.sid,
            index=self.index,
            chain=self.chain,
            public=signing.public_key().public_bytes_raw(),
            created=self.created,
        )

    def spent(self, now: int) -> bool:
        """Whether nothing more may be said with it, at `now` (Unix ms)."""
        return self.index >= SESSION_MESSAGES or not 0 <= now - self.created < SESSION_LIFE

    def seal(self, content: Content) -> tuple[Voice, Sealed]:
        """Seal the next message; the voice to go on with must be kept before the message leaves.

        Raises LocalProtocolError for content that is none.
        """
        aad = _bound(content.conversation, self.sid, self.index, content.cid)
        ciphertext = AESGCM(_derived(self.chain, _MESSAGE + content.cid)).encrypt(_NONCE, padded(packed(content)), aad)
        part = SignedPart(
            conversation=content.conversation, sid=self.sid, index=self.index, cid=content.cid, ciphertext=ciphertext
        )
        signature = _signing(self.private).sign(packed(part))
        said = Sealed(
            scheme=Scheme.SENDER_KEY, sid=self.sid, index=self.index, ciphertext=ciphertext, signature=signature
        )
        return replace(self, index=self.index + 1, chain=_derived(self.chain, _NEXT)), said


@record("session", section="")
class _Kept(Pdu):
    """A session as it is kept."""

    opener: bytes = key(1, Bytes(512, 1), "`session-key`, from the earliest index known")
    seen: tuple[tuple[int, int, int], ...] = key(
        2, Array(Tuple((Uint(2**32 - 1), Uint(2**32 - 1), SEQ)), SKIP + 1), "[index, epoch, place]"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What reads the voice of another device. `seen` has the place, [epoch, seq], of each index that was opened."""

    key: SessionKey
    seen: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    #: The last chain key that was worked out, and its index: messages come in order as a rule.
    near: tuple[int, bytes] = field(default=(0, b""), repr=False)

    @classmethod
    def of(cls, session_key: SessionKey) -> Session:
        """A session that nothing was heard of yet."""
        return cls(key=session_key, near=(session_key.index, session_key.chain))

    @classmethod
    def unpack(cls, data: bytes) -> Session:
        """A session as it was kept. Raises RemoteProtocolError."""
        kept = unpacked(_Kept, data)
        found = unpacked(SessionKey, kept.opener)
        return replace(cls.of(found), seen={index: (epoch, seq) for index, epoch, seq in kept.seen})

    def pack(self) -> bytes:
        """To be kept."""
        seen = tuple((index, *place) for index, place in sorted(self.seen.items()))
        return packed(_Kept(opener=packed(self.key), seen=seen))

    def widened(self, other: SessionKey) -> Session:
        """With a key of the same session that opens more, or this one. Raises Forged where it is another session's."""
        mine = self.key
        if replace(other, index=mine.index, chain=mine.chain) != mine:
            raise Forged("another session has the same name")
        if other.index >= mine.index:
            return self
        if mine.index - other.index > SKIP:
            # Nobody is given a session so late; to compare the two would take as long as whoever made them likes.
            raise Forged("the keys lie too far apart")
        if _advanced(other.chain, mine.index - other.index) != mine.chain:
            raise Forged("the key is not of this session")
        return replace(self, key=other)

    def open(self, sealed: Sealed, cid: bytes) -> tuple[Session, Content]:
        """What a message says. Raises Unreadable where it lies before the key or beyond the window, Forged."""
        index = sealed.index
        if sealed.scheme is not Scheme.SENDER_KEY or sealed.sid != self.key.sid or index is None:
            raise Forged("it is of another session")
        self._verify(sealed, index, cid)
        if index < self.key.index:
            raise Unreadable("it was said before this device was given the key")
        if index - self.key.index > SKIP:
            raise Unreadable("too much before it is missing")
        start, chain = self.near if self.key.index <= self.near[0] <= index else (self.key.index, self.key.chain)
        chain = _advanced(chain, index - start)
        try:
            aad = _bound(self.key.conversation, self.key.sid, index, cid)
            content = unpacked(
                Content, unpadded(AESGCM(_derived(chain, _MESSAGE + cid)).decrypt(_NONCE, sealed.ciphertext, aad))
            )
        except (InvalidTag, RemoteProtocolError) as error:
            raise Forged("it was altered") from error
        if (content.conversation, content.sender, content.device, content.cid) != (
            *(self.key.conversation, self.key.sender, self.key.device),
            cid,
        ):
            raise Forged("it belongs elsewhere")
        return replace(self, near=(index, chain)), content

    def saw(self, index: int, epoch: int, seq: int) -> Session:
        """An index was opened at a place. Raises Forged where it stands at another one of the same log already,
        Unreadable where there are more than can be remembered.
        """
        before = self.seen.get(index)
        if before == (epoch, seq):
            return self
        if before is not None and before[0] == epoch:
            raise Forged(f"it repeats #{before[1]}")
        if before is None and len(self.seen) > SKIP:
            raise Unreadable("more was said with it than a session may say")
        return replace(self, seen={**self.seen, index: (epoch, seq)})

    def _verify(self, sealed: Sealed, index: int, cid: bytes) -> None:
        part = SignedPart(
            conversation=self.key.conversation,
            sid=self.key.sid,
            index=index,
            cid=cid,
            ciphertext=sealed.ciphertext,
        )
        try:
            Ed25519PublicKey.from_public_bytes(self.key.public).verify(sealed.signature or b"", packed(part))
        except (InvalidSignature, ValueError) as error:
            raise Forged("its signature is not by the device that speaks here") from error


@lru_cache(64)
def _signing(private: bytes) -> Ed25519PrivateKey:
    """Making it takes as long as a signature."""
    return Ed25519PrivateKey.from_private_bytes(private)


def _derived(chain: bytes, what: bytes) -> bytes:
    return hmac.digest(chain, what, "sha256")


def _advanced(chain: bytes, steps: int) -> bytes:
    for _ in range(steps):
        chain = _derived(chain, _NEXT)
    return chain


def _bound(conversation: str, sid: bytes, index: int, cid: bytes) -> bytes:
    """What the ciphertext is bound to: all but the last of these have a fixed length."""
    return sid + index.to_bytes(4, "big") + cid + conversation.encode()
