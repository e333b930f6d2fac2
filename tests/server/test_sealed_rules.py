"""What the server does to sealed bodies: whatever bytes come, they are refused or come out as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, Refused
from quicchat.server.rules import addressed, filled, opened, parted
from quicchat.wire.chapters.messages import Kind, Message, Post, recorded
from quicchat.wire.codec import decode_body, encode_body
from quicchat.wire.sealed import Scheme, Sealed, packed, unpacked
from tests.server.sealing import body, keys_for
from tests.server.stores import ALICE, BOB, HALL, PHONE

GOOD = (body(), keys_for(1, 2), packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=b"x", extra={33: [1, {2: b""}]})))
handles = st.integers(0, 2**64 - 1)
packets = st.binary(min_size=1, max_size=512)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good body with one byte changed, removed or put in."""
    good = draw(st.sampled_from(GOOD))
    place = draw(st.integers(0, len(good) - 1))
    return good[:place] + draw(st.binary(max_size=2)) + good[place + draw(st.integers(0, 1)) :]


@given(data=st.binary(max_size=60) | mutated())
def test_only_what_we_would_write_is_taken(data: bytes) -> None:
    """[15.5-1], W6: any other bytes are refused with SCHEMA, and no other exception leaves."""
    codes = set()
    try:
        assert packed(opened(data)) == data
    except Refused as refused:
        codes.add(refused.code)
    assert codes <= {Code.SCHEMA}


@given(entries=st.dictionaries(handles, packets, min_size=1, max_size=64), ciphertext=packets)
def test_entries_come_apart_and_together(entries: dict[int, bytes], ciphertext: bytes) -> None:
    """[15.5-4]: stored with none, given with one, pushed and fetched alike; and nothing else has changed."""
    sealed = Sealed(scheme=Scheme.OPENPGP, ciphertext=ciphertext, entries=entries, extra={33: b"newer"})
    post = Post(cid=bytes(16), kind=Kind.KEY, text="", sealed=packed(sealed), extra={35: 1})
    bare, found = parted(post)
    assert found == entries
    assert bare.sealed == packed(replace(sealed, entries=None))
    assert replace(bare, sealed=post.sealed) == post
    event = recorded(bare, room=HALL, epoch=1, seq=1, sender=ALICE, ts=1)
    stored = encode_body(event, version=2)
    for handle, packet in entries.items():
        (own,) = addressed(event, {(BOB, PHONE): (handle, packet)}).values()
        assert decode_body(Message, filled(stored, handle, packet), version=2) == own
        assert unpacked(Sealed, own.sealed or b"") == replace(sealed, entries={handle: packet})
        assert replace(own, sealed=event.sealed) == event


@pytest.mark.parametrize("kind", [None, Kind.TEXT, Kind.EDIT])
def test_other_bodies_are_not_opened(kind: Kind | None) -> None:
    """[15.5-5]: they are stored as they came."""
    post = Post(cid=bytes(16), kind=kind, text="", sealed=b"whatever")
    assert parted(post) == (post, {})
