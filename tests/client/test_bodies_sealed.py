"""Long texts of encrypted conversations: their whole is a parcel, padded, and what opens it is in the message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client import bodies
from quicchat.client.e2ee import filekeys
from quicchat.client.e2ee.letters import shown_rows
from quicchat.client.e2ee.parcels import CHUNK, opened, sealed, sealed_size
from quicchat.errors import Code, Refused
from quicchat.transport.memory import Network
from quicchat.wire import leaves
from quicchat.wire.chapters.accounts import Verdict
from quicchat.wire.chapters.messages import LONGEST, WHOLE, Message, Post
from quicchat.wire.sealed import FileKey, padded, step
from tests.client.counter import Counter, event, served
from tests.client.depot import Depot
from tests.server.house import play

SECRET = bytes(range(32))


def written(text: str) -> tuple[Post, bytes]:
    """A long text as it waits in the outbox, and the whole of it."""
    data = text.encode()
    beginning, attachments = bodies.attached(data)
    picture = (bytes(32), 5, "image/png", "p.png", 7)
    return Post(room="general", cid=bytes(16), text=beginning, attachments=(picture, *attachments)), data


def serving() -> tuple[Counter, Depot]:
    counter = Counter(Network())
    counter.depot = here = Depot()
    counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
    return counter, here


@given(st.one_of(st.integers(1, 70_000), st.sampled_from([LONGEST - 1, LONGEST])))
def test_sizes_tell_little(size: int) -> None:
    """[15.8-8]: the parcel of a text is as long as that of many other texts, and never too long to be fetched."""
    post, key = bodies.wrapped(*written("x" * size), SECRET)
    (_, row) = post.attachments or ()
    assert row == (key.file, sealed_size(step(size + 4)), WHOLE, "", 0)
    assert key.size == step(size + 4)
    assert key.size % 4_096 == 0 or key.size < 4_096


@pytest.mark.parametrize("size", [32_769, 200_000, LONGEST - 1])
def test_a_long_text_goes_and_comes(size: int) -> None:
    """R0.3, [15.8-8]: what is put aside is a parcel; who has the key gets the whole text, and who has not does not."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            requests = alice._session.requests
            text = ("ä" * (size // 2) + "e")[: size // 2 + size % 2]
            original, data = written(text)
            post, key = bodies.wrapped(original, data, SECRET)
            keyring = alice.files._keyring
            filekeys.learn(keyring, key)
            (picture, row) = post.attachments or ()
            assert picture == (original.attachments or ())[0]
            assert (row[0], row[2]) == (key.file, WHOLE)
            inside = filekeys.rows(replace(post, attachments=(row,)), keyring)
            assert inside == ((*row, SECRET, key.size, key.root),)
            await bodies.put(requests, data, key)
            (stored,) = here.blobs
            assert stored == key.file
            blob = bytes(here.blobs[stored].data)
            assert not any(data[at : at + 32] in blob for at in range(0, len(data), 4_001))
            assert opened(blob, key) == padded(data)
            # The receiver has the rows as they stand inside.
            told = event(1, original.text, attachments=shown_rows(inside))
            assert await bodies.get(requests, told, key) == text
            with pytest.raises(Refused) as caught:
                await bodies.get(requests, told)
            assert caught.value.code in (Code.DIGEST, Code.MSG_TOO_LARGE)

    play(scenario)


def key_for(plain: bytes, parcel: bytes) -> FileKey:
    root = leaves.of(plain, CHUNK)[0]
    return FileKey(
        file=leaves.of(parcel, 4_096)[0],
        secret=SECRET,
        size=len(plain),
        root=root,
        name="",
        media_type=WHOLE,
        modified=0,
    )


@pytest.mark.parametrize("what", ["altered", "unpadded", "no text", "monster", "short"])
def test_a_text_that_is_not_what_it_should_be(what: str) -> None:
    """[15.8-5], [15.8-8]: what does not open, is not padded as it must be, is no text, or is too long, is refused."""

    async def scenario() -> None:
        counter, here = serving()
        plain = {
            "unpadded": b"x" * 40_000,
            "no text": padded(b"\xff" * 40_000),
            "monster": padded(b"x" * (LONGEST + 16_384)),
        }.get(what, padded(b"x" * 40_000))
        parcel = sealed(plain, SECRET)
        if what == "altered":
            parcel = parcel[:-1] + bytes([parcel[-1] ^ 1])
        key = key_for(plain, parcel)
        if what == "short":
            key = replace(key, size=len(plain) - 4_096)
        async with served(counter) as alice:
            here.share(parcel)
            told: Message = event(1, "x", attachments=((key.file, key.size, WHOLE, "", 0),))
            with pytest.raises(Refused) as caught:
                await bodies.get(alice._session.requests, told, key)
            assert caught.value.code is (Code.MSG_TOO_LARGE if what == "monster" else Code.DIGEST)

    play(scenario)
