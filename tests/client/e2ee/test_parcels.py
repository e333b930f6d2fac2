"""Parcels: any part of one is what it always is, nothing else can be opened, and nothing else is ever sealed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee.parcels import (
    CHUNK,
    HEAD,
    TAG,
    Opening,
    Parcel,
    chunks,
    opened,
    plain_size,
    sealed,
    sealed_size,
)
from quicchat.client.files.sealing import SealedSource, within
from quicchat.client.files.sources import BytesSource, PathSource, Source
from quicchat.errors import Code, Refused
from quicchat.wire import leaves
from quicchat.wire.sealed import FileKey
from tests.client.test_files_down import content

VECTOR = Path(__file__).parents[3] / "spec" / "vectors" / "parcels.json"
SECRET = bytes(range(32))
#: No byte, one, and what lies around the borders of chunks.
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17]
DATA = content(5 * CHUNK)
WHOLE = CHUNK + TAG

sizes = st.one_of(st.sampled_from(SIZES), st.integers(0, 4 * CHUNK))


def key(data: bytes, secret: bytes = SECRET) -> FileKey:
    root = leaves.of(data, CHUNK)[0]
    return FileKey(
        file=bytes(32), secret=secret, size=len(data), root=root, name="f", media_type="text/plain", modified=0
    )


@contextmanager
def sealing(source: Source, root: bytes | None = None) -> Iterator[SealedSource]:
    here = SealedSource(source, SECRET, root)
    try:
        yield here
    finally:
        here.close()


def why(parcel: bytes, key: FileKey) -> str:
    """What is said of a parcel that cannot be opened; a failure where it can."""
    with pytest.raises(Refused) as caught:
        opened(parcel, key)
    assert caught.value.code is Code.DIGEST
    return caught.value.text


@given(size=sizes)
def test_what_is_sealed_is_opened(size: int) -> None:
    """[15.8-1]: the size of a parcel follows from that of the file, and back; what comes out is what went in."""
    data = DATA[:size]
    parcel = sealed(data, SECRET)
    assert len(parcel) == sealed_size(size) == HEAD + size + TAG * max(1, -(-size // CHUNK))
    assert plain_size(len(parcel)) == size
    assert opened(parcel, key(data)) == data


@given(size=sizes, spans=st.lists(st.tuples(st.integers(0, 4 * CHUNK + 200), st.integers(0, 2 * CHUNK)), max_size=6))
def test_any_range_is_a_part_of_the_same_parcel(size: int, spans: list[tuple[int, int]]) -> None:
    """[15.8-2]: whatever is read of it, in whatever order, and beyond its end, is cut from one and the same parcel."""
    data = DATA[:size]
    parcel = sealed(data, SECRET)
    with sealing(BytesSource("f", data)) as here:
        for offset, length in spans:
            assert here.read(offset, length) == parcel[offset : offset + length]
        assert here.read(0, here.size) == parcel
        assert here.root() == key(data).root


def test_a_range_seals_only_what_it_needs() -> None:
    """Issue 6: a few bytes of the middle need one chunk of the source, once the source is known."""
    read: list[tuple[int, int]] = []

    class Watched(BytesSource):
        def read(self, offset: int, size: int) -> bytes:
            read.append((offset, size))
            return super().read(offset, size)

    with sealing(Watched("f", DATA)) as here:
        here.root()
        read.clear()
        here.read(HEAD + 2 * WHOLE + 5, 10)
        here.read(0, HEAD)
        assert read == [(2 * CHUNK, CHUNK)]
        read.clear()
        here.read(HEAD + 2 * WHOLE - 1, 2)
        assert read == [(CHUNK, 2 * CHUNK)]


@given(size=sizes, cuts=st.lists(st.integers(0, 4 * CHUNK + 200), max_size=8))
def test_it_comes_in_pieces_of_any_size(size: int, cuts: list[int]) -> None:
    """[15.8-4]: however it is cut on its way, each chunk is opened as soon as all of it is here, and not before."""
    data = DATA[:size]
    parcel, opening = sealed(data, SECRET), Opening(key(data))
    out, at = b"", 0
    for end in [*sorted(min(cut, len(parcel)) for cut in cuts), len(parcel)]:
        out += opening.feed(parcel[at:end])
        at = end
        assert len(out) <= plain_size(at)
        assert len(out) == size or len(out) == plain_size(at) // CHUNK * CHUNK
    opening.end()
    assert out == data


@given(size=sizes, at=st.integers(0, 4 * CHUNK + 200), bit=st.integers(0, 7))
def test_one_bit_is_noticed_wherever_it_is(size: int, at: int, bit: int) -> None:
    """[15.8-4]: nothing of a chunk comes out that was altered; what came out before it is true."""
    data = DATA[:size]
    parcel = bytearray(sealed(data, SECRET))
    at %= len(parcel)
    parcel[at] ^= 1 << bit
    why(bytes(parcel), key(data))
    opening, out = Opening(key(data)), b""
    with contextlib.suppress(Refused):
        for begin in range(0, len(parcel), 10_007):
            out += opening.feed(bytes(parcel[begin : begin + 10_007]))
    assert data.startswith(out)
    assert len(out) <= max(0, at - HEAD) // WHOLE * CHUNK


def pieces(parcel: bytes) -> list[bytes]:
    """Its head and its chunks."""
    return [parcel[:HEAD], *(parcel[at : at + WHOLE] for at in range(HEAD, len(parcel), WHOLE))]


@pytest.mark.parametrize("size", SIZES[1:])
def test_no_end_but_its_own(size: int) -> None:
    """[15.8-4]: cut at a border of chunks or elsewhere, or longer than it was, it is none."""
    data = DATA[:size]
    parcel = sealed(data, SECRET)
    for cut in {0, 1, HEAD - 1, HEAD, HEAD + TAG, len(parcel) - 1, *range(HEAD, len(parcel), WHOLE)}:
        assert why(parcel[:cut], key(data)) == "The file is shorter than its message says."
    for more in (b"\0", parcel[HEAD:], bytes(TAG)):
        assert why(parcel + more, key(data)) == "The file is longer than its message says."


def test_a_shorter_file_of_the_same_chunks_is_not_made() -> None:
    """[15.8-4]: who leaves chunks out, and claims that the file is shorter, has to say so in the head, and cannot."""
    data = DATA[: 3 * CHUNK]
    head, one, two, three = pieces(sealed(data, SECRET))
    short = key(data[: 2 * CHUNK])
    told = head[:32] + (2 * CHUNK).to_bytes(8, "big")
    assert "another one" in why(head + one + two, short)
    assert why(told + one + two, short) == "Chunk 1 of 2 of the file is not what was sealed."
    # The flag speaks for itself: the same head with another end.
    parcel = Parcel(SECRET, 2 * CHUNK)
    last = AESGCM(SECRET).encrypt(
        parcel.head[16:23] + (1).to_bytes(4, "big") + b"\0", data[CHUNK : 2 * CHUNK], parcel.head
    )
    assert why(parcel.head + parcel.seal(0, data[:CHUNK]) + last, short).startswith("Chunk 2 of 2")
    assert opened(parcel.head + parcel.seal(0, data[:CHUNK]) + parcel.seal(1, data[CHUNK : 2 * CHUNK]), short)
    assert len(three) == WHOLE


def test_chunks_stay_where_they_are() -> None:
    """[15.8-4]: exchanged, repeated, left out, or taken from another file of the same size, they do not open."""
    data, other = DATA[: 4 * CHUNK], DATA[CHUNK : 5 * CHUNK]
    head, one, two, three, four = pieces(sealed(data, SECRET))
    for mixed in ((two, one, three, four), (one, one, three, four), (one, three, four), (one, two, four, three)):
        assert why(head + b"".join(mixed), key(data)).startswith("Chunk ")
    strange = pieces(sealed(other, bytes(32)))
    for at in range(1, 5):
        mixed_in = [head, one, two, three, four]
        mixed_in[at] = strange[at]
        assert why(b"".join(mixed_in), key(data)) == f"Chunk {at} of 4 of the file is not what was sealed."
    assert "another one" in why(b"".join(strange), key(data))
    assert why(strange[0] + one + two + three + four, key(data, bytes(32))).startswith("Chunk 1 of 4")


def test_the_root_is_compared() -> None:
    """[15.8-5]: a parcel that opens, but is not the file that its message names, is not that file."""
    data = DATA[: CHUNK + 5]
    assert why(sealed(data, SECRET), replace(key(data), root=bytes(32))) == "The file is not what its message says."


def test_a_vector() -> None:
    """[15.8-1], [15.8-3]: what stands in the specification, byte for byte."""
    for each in json.loads(VECTOR.read_text())["valid"]:
        secret, plain = bytes.fromhex(each["secret"]), bytes.fromhex(each["plain"]) * each["times"]
        parcel = sealed(plain, secret)
        assert len(plain) == each["size"]
        assert parcel[:HEAD].hex() == each["head"]
        assert leaves.of(parcel)[0].hex() == each["file"]
        assert leaves.of(plain, CHUNK)[0].hex() == each["root"]
        assert parcel[HEAD:].hex().endswith(each["end"])
        prefix = bytes.fromhex(each["head"])[16:23]
        last = parcel[HEAD + (chunks(len(plain)) - 1) * WHOLE :]
        nonce = prefix + (chunks(len(plain)) - 1).to_bytes(4, "big") + b"\1"
        assert AESGCM(secret).decrypt(nonce, last, parcel[:HEAD]) == plain[(chunks(len(plain)) - 1) * CHUNK :]


def test_no_nonce_twice() -> None:
    """[15.8-3]: every chunk of a parcel has a nonce of its own, and only the last one its flag."""
    used: list[bytes] = []

    class Watched:
        def encrypt(self, nonce: bytes, data: bytes, head: bytes) -> bytes:
            used.append(nonce)
            assert head == parcel.head
            return bytes(data)

    parcel = Parcel(SECRET, 300 * CHUNK)
    parcel._cipher = Watched()  # type: ignore[assignment]
    for index in range(parcel.chunks):
        parcel.seal(index, b"")
    assert len(set(used)) == len(used) == chunks(300 * CHUNK) == 300
    assert [nonce[-1] for nonce in used] == [0] * 299 + [1]
    assert {nonce[:7] for nonce in used} == {parcel.head[16:23]}


class Fickle(BytesSource):
    """A file that changes without a trace: its size and its times stay."""

    def change(self, at: int) -> None:
        self._data = self._data[:at] + bytes([self._data[at] ^ 1]) + self._data[at + 1 :]


@pytest.mark.parametrize("at", [0, CHUNK - 1, 2 * CHUNK, 3 * CHUNK - 1])
def test_what_changed_is_never_sealed_under_the_same_secret(at: int) -> None:
    """[15.8-3]: a chunk that is not what it was when it was sealed is refused, also where size and times are alike."""
    plain = Fickle("f", DATA[: 3 * CHUNK])
    parcel = sealed(DATA[: 3 * CHUNK], SECRET)
    with sealing(plain) as here:
        assert here.read(0, here.size) == parcel
        plain.change(at)
        for chunk in {0, 1, 2} - {at // CHUNK}:
            begin = HEAD + chunk * WHOLE
            assert here.read(begin, WHOLE) == parcel[begin : begin + WHOLE]
        with pytest.raises(Refused) as caught:
            here.read(HEAD + at // CHUNK * WHOLE, WHOLE)
        assert caught.value.code is Code.FILE_CHANGED


def test_another_run_seals_nothing_before_all_is_as_it_was() -> None:
    """[15.8-3]: with the secret of an earlier run, one changed byte at the end keeps even the head from being read."""
    data = DATA[: 3 * CHUNK + 5]
    plain = Fickle("f", data)
    with sealing(plain, key(data).root) as again:
        assert again.read(0, 100) == sealed(data, SECRET)[:100]
    plain.change(len(data) - 1)
    with sealing(plain, key(data).root) as again:
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                again.read(0, 1)
            assert caught.value.code is Code.FILE_CHANGED
    with sealing(BytesSource("f", b""), key(b"").root) as empty:
        assert empty.read(0, 100) == sealed(b"", SECRET)


class Recorder:
    """Notes under which nonce what is sealed."""

    def __init__(self) -> None:
        self.sealed: dict[bytes, set[bytes]] = {}
        self._cipher = AESGCM(SECRET)

    def encrypt(self, nonce: bytes, data: bytes | memoryview, head: bytes) -> bytes:
        self.sealed.setdefault(nonce, set()).add(bytes(data))
        return self._cipher.encrypt(nonce, data, head)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 3 * CHUNK), st.integers(1, CHUNK)),
        st.tuples(st.just("change"), st.integers(0, 3 * CHUNK - 1), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
        st.tuples(st.just("name"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(steps=steps)
def test_whatever_becomes_of_a_file_no_nonce_seals_two_texts(steps: list[tuple[str, int, int]]) -> None:
    """[15.8-3]: bytes change and change back, runs end, others begin, any part is read: one nonce, one text."""
    plain, recorder = Fickle("f", DATA[: 3 * CHUNK]), Recorder()
    root: bytes | None = None
    here = SealedSource(plain, SECRET)
    here._parcel._cipher = recorder  # type: ignore[assignment]
    for what, at, size in steps:
        # Each of them may be refused, in whatever state the file is.
        with contextlib.suppress(Refused):
            if what == "read":
                here.read(at, size)
            elif what == "change":
                plain.change(at)
            elif what == "name" and root is None:
                # All of it is read before anything leaves, and what was read is remembered.
                here.read(0, here.size)
                root = here.root()
            elif what == "restart" and root is not None:
                # Before that nothing is remembered, and the next run takes another secret.
                here.close()
                here = SealedSource(plain, SECRET, root)
                here._parcel._cipher = recorder  # type: ignore[assignment]
    here.close()
    assert all(len(texts) == 1 for texts in recorder.sealed.values())


def test_a_real_file_that_grows_is_refused(tmp_path: Path) -> None:
    """[15.8-3], R2.7: as in plain, where the system tells that somebody wrote to it."""
    (tmp_path / "f").write_bytes(DATA[:CHUNK])
    with sealing(PathSource(tmp_path / "f")) as here:
        assert here.read(0, 50) == sealed(DATA[:CHUNK], SECRET)[:50]
        (tmp_path / "f").write_bytes(DATA[: CHUNK + 1])
        os.utime(tmp_path / "f", (1, 1))
        with pytest.raises(Refused) as caught:
            here.read(0, 50)
        assert caught.value.code is Code.FILE_CHANGED


def test_a_sealed_source_is_called_as_what_is_in_it() -> None:
    """Issue 6: what is told inside of the message comes from the file, and progress counts its bytes."""
    plain = BytesSource("notes.txt", DATA[:100], modified=5)
    with sealing(plain) as here:
        assert (here.name, here.modified, here.media_type) == ("notes.txt", 5, "text/plain")
        assert within(here, here.size) == 100
        assert within(plain, 7) == 7
