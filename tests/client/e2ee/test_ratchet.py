"""Sender keys: what is sealed by one device is opened by those it gave the key, in any order, and once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee import letters
from quicchat.client.e2ee.faults import Forged, Unreadable
from quicchat.client.e2ee.ratchet import Session, Voice
from quicchat.client.seal import Seal, opened
from quicchat.errors import RemoteProtocolError
from quicchat.wire.chapters.messages import Kind, Message, Post, recorded
from quicchat.wire.sealed import (
    SESSION_LIFE,
    SESSION_MESSAGES,
    SKIP,
    Content,
    Sealed,
    SessionKey,
    packed,
    padded,
    unpacked,
)

ROOM = "@alice,bob"
NOW = 1_700_000_000_000
VECTOR = Path(__file__).parents[3] / "spec" / "vectors" / "sealed.json"


def numbers() -> Callable[[int], bytes]:
    """Bytes that are never the same."""
    drawn = count()
    return lambda size: next(drawn).to_bytes(8, "big").ljust(size, b"\7")[:size]


def voice(chance: Callable[[int], bytes] | None = None) -> Voice:
    return Voice.begin(ROOM, "alice", 7, now=NOW, chance=chance or numbers())


def content(text: str = "hello", at: int = 0) -> Content:
    post = Post(room=ROOM, cid=at.to_bytes(16, "big"), text=text)
    return letters.content_of(post, conversation=ROOM, sender="alice", device=7)


def said(how_many: int) -> tuple[Session, list[Sealed]]:
    """A session from its beginning, and what was said with it."""
    speaks = voice()
    session, all_sealed = Session.of(speaks.session_key), []
    for at in range(how_many):
        speaks, sealed = speaks.seal(content(f"message {at}", at))
        all_sealed.append(sealed)
    return session, all_sealed


def cid(at: int) -> bytes:
    return at.to_bytes(16, "big")


@given(st.permutations(range(12)))
def test_any_order(order: list[int]) -> None:
    """[15.7-1] Messages open in any order, each with the key of its index."""
    session, all_sealed = said(12)
    for at in order:
        session, found = session.open(all_sealed[at], cid(at))
        assert found.text == f"message {at}"


def test_given_later() -> None:
    """[15.7-2] Who is given the key at an index opens what follows, and nothing before."""
    speaks = voice()
    speaks, first = speaks.seal(content("first", 0))
    late = Session.of(speaks.session_key)
    speaks, second = speaks.seal(content("second", 1))
    assert late.open(second, cid(1))[1].text == "second"
    with pytest.raises(Unreadable):
        late.open(first, cid(0))


def test_the_window() -> None:
    """[15.7-3] No index beyond the window is worked out, whoever asks for it."""
    session, (sealed,) = said(1)
    speaks = replace(voice(), index=SKIP + 1)
    _, far = speaks.seal(content("far", 1))
    with pytest.raises(Unreadable, match="too much"):
        session.open(far, cid(1))
    assert session.open(sealed, cid(0))


@pytest.mark.parametrize("field", ["sid", "index", "ciphertext", "signature", "scheme"])
def test_what_is_altered(field: str) -> None:
    """[15.7-4] Whatever of a sealed body is altered, it does not open."""
    session, all_sealed = said(3)
    changed: dict[str, Any] = {
        "sid": bytes(16),
        "index": 2,
        "ciphertext": all_sealed[1].ciphertext[:-1] + bytes([all_sealed[1].ciphertext[-1] ^ 1]),
        "signature": bytes(64),
        "scheme": 1,
    }
    with pytest.raises(Forged):
        session.open(replace(all_sealed[1], **{field: changed[field]}), cid(1))


@given(st.data())
def test_bits(data: st.DataObject) -> None:
    """[15.7-4] One bit is enough, wherever it is."""
    session, all_sealed = said(1)
    body = bytearray(packed(all_sealed[0]))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((Forged, Unreadable, RemoteProtocolError)):
        session.open(unpacked(Sealed, bytes(body)), cid(0))


def test_another_message_id() -> None:
    """[15.7-4] The id of a message is part of what is signed: nobody says it again under another one."""
    session, all_sealed = said(1)
    with pytest.raises(Forged):
        session.open(all_sealed[0], cid(1))


def test_another_conversation() -> None:
    """[15.7-4] What was said in one conversation does not open in another, though its key were known there."""
    session, all_sealed = said(1)
    moved = replace(session, key=replace(session.key, conversation="@alice,carol"))
    with pytest.raises(Forged):
        moved.open(all_sealed[0], cid(0))


def test_whoever_can_read_cannot_speak() -> None:
    """[15.7-4] A reader has the chain, but not the signing key."""
    session, _ = said(1)
    forger = replace(voice(), sid=session.key.sid, chain=session.key.chain, private=bytes(32))
    _, sealed = forger.seal(content("by bob", 5))
    with pytest.raises(Forged):
        session.open(sealed, cid(5))


def test_of_another_device() -> None:
    """[15.7-4] Content that names another sender or device than its session's is forged, by the speaker himself."""
    speaks = voice()
    session = Session.of(speaks.session_key)
    wrongs: tuple[dict[str, Any], ...] = ({"sender": "carol"}, {"device": 8}, {"conversation": "general"})
    for wrong in wrongs:
        _, sealed = speaks.seal(replace(content(), **wrong))
        with pytest.raises(Forged):
            session.open(sealed, cid(0))


def test_a_repetition() -> None:
    """[15.7-5] An index stands at one place of a log; in a log that was replaced, at its new one."""
    session, _ = said(1)
    session = session.saw(0, 1, 12)
    assert session.saw(0, 1, 12) is session
    with pytest.raises(Forged, match="#12"):
        session.saw(0, 1, 13)
    assert session.saw(0, 2, 13).seen == {0: (2, 13)}
    assert Session.unpack(session.pack()).seen == {0: (1, 12)}


def test_more_of_the_same_session() -> None:
    """A key from an earlier index opens more; one of another session with the same name is forged."""
    speaks = voice()
    early = speaks.session_key
    for at in range(3):
        speaks, _ = speaks.seal(content(at=at))
    late = Session.of(speaks.session_key)
    assert late.widened(early).key.index == 0
    assert late.widened(early).widened(speaks.session_key).key == early
    with pytest.raises(Forged):
        late.widened(replace(early, public=bytes(32)))
    with pytest.raises(Forged):
        late.widened(replace(early, chain=bytes(32)))


def test_it_ends() -> None:
    """[15.7-6] A session ends after so many messages, or so long a time, and where the clock went back."""
    speaks = voice()
    assert not speaks.spent(NOW)
    assert replace(speaks, index=SESSION_MESSAGES).spent(NOW)
    assert speaks.spent(NOW + SESSION_LIFE)
    assert speaks.spent(NOW - 1)


def test_a_key_is_used_once() -> None:
    """[15.7-1] The voice that goes on has another chain key, another index, and the same name."""
    speaks = voice()
    after, _ = speaks.seal(content())
    assert (after.index, after.sid) == (1, speaks.sid)
    assert after.chain != speaks.chain
    assert unpacked(Voice, packed(after)) == after


FULL = Post(
    room=ROOM,
    cid=cid(3),
    kind=Kind.EMOTE,
    text="waves",
    topic="greetings",
    reply=2,
    mentions=("bob",),
    sent=NOW,
)


def event_of(post: Post) -> Message:
    return recorded(post, room=ROOM, epoch=1, seq=9, sender="alice", ts=NOW)


def test_outside_and_inside() -> None:
    """[15.6-2] The server is told neither words nor what kind of words, nor whom they name, nor what they answer."""
    rows = ((b"\1" * 32, 500, "image/png", "cat.png", NOW, b"\2" * 32, 400, b"\3" * 32),)
    inner = letters.content_of(FULL, conversation=ROOM, sender="alice", device=7, attachments=rows)
    _, sealed = voice().seal(inner)
    outer = letters.outside(FULL, inner, sealed)
    assert outer == Post(
        room=ROOM,
        cid=cid(3),
        text="",
        attachments=((b"\1" * 32, 500, "application/octet-stream", "", 0),),
        sealed=packed(sealed),
        sent=NOW,
    )
    event = event_of(outer)
    shown = opened(event, Seal.VERIFIED, **letters.said(event, inner))
    assert (shown.kind, shown.text, shown.topic, shown.reply, shown.mentions) == (
        *(Kind.EMOTE, "waves", "greetings", 2),
        ("bob",),
    )
    assert shown.attachments == ((b"\1" * 32, 400, "image/png", "cat.png", NOW),)
    (file_key,) = letters.file_keys(inner)
    assert (file_key.file, file_key.secret, file_key.size) == (b"\1" * 32, b"\2" * 32, 400)


@pytest.mark.parametrize(
    "lie",
    [
        {"room": "general"},
        {"sender": "bob"},
        {"cid": cid(4)},
        {"kind": Kind.EDIT},
        {"refs": (1,)},
        {"attachments": ((b"\1" * 32, 5, "", "", 0),)},
    ],
)
def test_outside_that_disagrees(lie: dict[str, Any]) -> None:
    """[15.6-3] What the server can alter outside is compared with what was signed."""
    inner = letters.content_of(FULL, conversation=ROOM, sender="alice", device=7)
    _, sealed = voice().seal(inner)
    event = event_of(letters.outside(FULL, inner, sealed))
    assert letters.said(event, inner)
    with pytest.raises(Forged):
        letters.said(replace(event, **lie), inner)


@pytest.mark.parametrize("kind", [Kind.RETRACT, Kind.JOIN, Kind.KEY, Kind.PIN])
def test_kinds_that_are_not_sealed(kind: Kind) -> None:
    """[15.6-3] Nobody says inside what only the server, or nobody, may say."""
    post = Post(room=ROOM, cid=cid(1), kind=kind, text="", refs=(1,))
    inner = letters.content_of(post, conversation=ROOM, sender="alice", device=7)
    with pytest.raises(Forged):
        letters.said(replace(event_of(post), sealed=b"\1"), inner)


def test_the_vector() -> None:
    """[15.7-1] The session of vectors/sealed.json opens, and is made again to the byte."""
    vector = json.loads(VECTOR.read_text())
    session = Session.of(unpacked(SessionKey, bytes.fromhex(vector["session_key"])))
    for each in vector["messages"]:
        sealed = unpacked(Sealed, bytes.fromhex(each["sealed"]))
        session, found = session.open(sealed, bytes.fromhex(each["cid"]))
        assert packed(found).hex() == each["content"]
        assert padded(packed(found)).hex() == each["padded"]


def test_what_is_signed() -> None:
    """[15.7-9] The signature is over the shortest, ordered encoding of five fields, as any CBOR library writes it."""
    vector = json.loads(VECTOR.read_text())
    session_key = cbor2.loads(bytes.fromhex(vector["session_key"]))
    public = Ed25519PublicKey.from_public_bytes(session_key[7])
    for each in vector["messages"]:
        sealed = cbor2.loads(bytes.fromhex(each["sealed"]))
        signed = {1: vector["conversation"], 2: sealed[2], 3: sealed[3], 4: bytes.fromhex(each["cid"]), 5: sealed[4]}
        public.verify(sealed[5], cbor2.dumps(signed))
        assert cbor2.dumps(cbor2.loads(bytes.fromhex(each["content"]))).hex() == each["content"]
        with pytest.raises(InvalidSignature):
            public.verify(sealed[5], cbor2.dumps(signed | {33: 0}))
