"""What is sealed with OpenPGP, who can open it, and what is refused: by hostile servers and hostile members."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.e2ee import openpgp, packets, seipd
from quicchat.client.e2ee.faults import Forged, SealError, Unreadable
from quicchat.client.e2ee.openpgp import Armor, Certificate, Secret
from quicchat.client.e2ee.packets import Packet, Tag, read, written
from tests.client.e2ee.people import ALICE, BOB, CODE, ENTRY, EVE, MARKER, NOW, PACKET, TEXT, flipped, opened

#: What the session key of PACKET opens, and the three packets that are in there.
KEY = BOB._reader.session_key(read(ENTRY)[0]) if BOB._reader else b""
ONE_PASS, LITERAL, SIGNATURE = read(seipd.opened(read(PACKET)[0], KEY))


def resealed(*inner: Packet | bytes) -> bytes:
    """A SEIPD packet for the same session key with other packets in it: what a member can make."""
    return seipd.closed(b"".join(each if isinstance(each, bytes) else each.raw for each in inner), KEY, bytes(16))


def compressed(data: bytes) -> bytes:
    """A compressed packet (ZIP), of the new format."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return written(Tag.COMPRESSED, b"\x01" + packing.compress(data) + packing.flush())


@pytest.mark.parametrize("count", [1, 3, 50])
def test_each_recipient_opens_it_with_his_own_entry(count: int) -> None:
    """[15.10-3]: by handle, one entry for each; another's opens nothing."""
    readers = [Secret.make(f"reader {at}", NOW) for at in range(count)]
    packet, entries = openpgp.encrypt(TEXT, [each.certificate for each in readers], ALICE)
    assert list(entries) == [each.certificate.handle for each in readers]
    assert all(opened(packet, entries[each.certificate.handle], each) == TEXT for each in readers)
    assert max(map(len, entries.values())) <= 512
    with pytest.raises(Unreadable, match="another device"):
        opened(packet, entries[readers[0].certificate.handle], EVE)


def test_what_it_is_made_with() -> None:
    """[15.10-3]: AES-256 (a key of 32 bytes), nothing compressed, and one version-4 signature with SHA-512."""
    assert len(KEY) == 32
    assert read(PACKET)[0].body[:1] == b"\x01"
    assert (LITERAL.tag, LITERAL.body) == (Tag.LITERAL, b"b\0\0\0\0\0" + TEXT)
    assert SIGNATURE.body[:4] == bytes((4, 0, 22, 10))


def test_no_more_than_fifty_at_once() -> None:
    """[15.10-3]: what takes longer would hold up everything else."""
    with pytest.raises(ValueError, match="51 recipients"):
        openpgp.encrypt(TEXT, [BOB.certificate] * 51, ALICE)


@pytest.mark.parametrize("size", [0, 1, 191, 192, 8_383, 8_384, 45_000])
def test_sizes(size: int) -> None:
    """[15.10-3]: whatever form the lengths of packets take."""
    packet, entries = openpgp.encrypt(bytes(size), [BOB.certificate], ALICE)
    assert opened(packet, entries[BOB.certificate.handle]) == bytes(size)


HOSTILE: dict[str, tuple[Callable[[], bytes], type[SealError], str]] = {
    "unsigned": (lambda: resealed(LITERAL), Forged, "not signed"),
    "compressed": (lambda: resealed(compressed(ONE_PASS.raw + LITERAL.raw + SIGNATURE.raw)), Unreadable, "compressed"),
    "compressed within": (lambda: resealed(ONE_PASS, compressed(LITERAL.raw), SIGNATURE), Unreadable, "one piece"),
    "two pieces of data": (lambda: resealed(ONE_PASS, LITERAL, LITERAL, SIGNATURE), Unreadable, "more than 3"),
    "two signatures": (lambda: resealed(ONE_PASS, ONE_PASS, LITERAL, SIGNATURE, SIGNATURE), Unreadable, "more than 3"),
    "signature first": (lambda: resealed(SIGNATURE, LITERAL), Unreadable, "one piece"),
    "no data": (lambda: resealed(ONE_PASS, SIGNATURE), Unreadable, "one piece"),
    "nothing": (lambda: resealed(b""), Unreadable, "one piece"),
    "marker": (lambda: resealed(ONE_PASS, MARKER, LITERAL, SIGNATURE), Unreadable, "more than 3"),
    "unknown": (lambda: resealed(b"\xfc\x00", LITERAL, SIGNATURE), Unreadable, "one piece"),
    "no packets": (lambda: resealed(b"hello"), Unreadable, "not made of OpenPGP packets"),
    "marker before": (lambda: MARKER + PACKET, Unreadable, "more than 1"),
    "marker behind": (lambda: PACKET + MARKER, Unreadable, "more than 1"),
    "twice": (lambda: PACKET * 2, Unreadable, "more than 1"),
    "another's words": (
        lambda: resealed(ONE_PASS, written(Tag.LITERAL, LITERAL.body + b"!"), SIGNATURE), Forged, "not signed by whom",
    ),
    "no integrity": (lambda: b"\xc9" + PACKET[1:], Unreadable, "integrity protection"),
    "version 2": (lambda: written(Tag.SEIPD, b"\x02" + read(PACKET)[0].body[1:]), Unreadable, "integrity protection"),
    "no MDC": (lambda: written(Tag.SEIPD, read(PACKET)[0].body[:-22]), Unreadable, "altered"),
    "too long": (lambda: resealed(bytes(49_152)), Unreadable, "too long"),
    "empty SEIPD": (lambda: written(Tag.SEIPD, b"\x01"), Unreadable, "altered"),
    "empty": (lambda: b"", Unreadable, "empty"),
}  # fmt: skip


def test_resealed_as_it_was() -> None:
    """[15.10-5]: what the cases below are made with is right where nothing is changed."""
    assert opened(resealed(ONE_PASS, LITERAL, SIGNATURE)) == TEXT


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages(name: str) -> None:
    """[15.10-5]: one session key, one packet of data with integrity protection, in it one signature and one literal."""
    make, fault, text = HOSTILE[name]
    with pytest.raises(fault, match=text):
        opened(make())


def test_bomb_of_compressed_data() -> None:
    """X8, [15.10-5]: it is refused before anything of it is unpacked."""
    bomb = resealed(compressed(ONE_PASS.raw + written(Tag.LITERAL, b"b\0" + bytes(40_000_004)) + SIGNATURE.raw))
    assert len(bomb) < 49_152
    began = time.process_time()
    with pytest.raises(Unreadable, match="compressed"):
        opened(bomb)
    assert time.process_time() - began < 0.05


def test_bomb_of_session_keys() -> None:
    """[15.10-5]: 10,000 of them cost nothing, whether they stand in the entry or before the data."""
    bomb = ENTRY * 10_000
    began = time.process_time()
    for packet, entry in ((PACKET, bomb), (bomb + PACKET, ENTRY), (PACKET, ENTRY * 2)):
        with pytest.raises(Unreadable, match=r"more than 1|too long"):
            opened(packet, entry)
    assert time.process_time() - began < 0.1


def test_another_recipient_is_added() -> None:
    """[15.10-5]: a second key in the entry is refused. Who could open it can pass it on, and it says the same there."""
    _, others = openpgp.encrypt(b"", [EVE.certificate], EVE)
    for entry in (ENTRY + others[EVE.certificate.handle], others[EVE.certificate.handle] + ENTRY):
        with pytest.raises(Unreadable, match="more than 1"):
            opened(entry=entry)
    with pytest.raises(Unreadable, match="another device"):
        opened(entry=others[EVE.certificate.handle])
    _, entries = openpgp.encrypt(b"", [EVE.certificate], BOB)
    assert EVE._reader is not None
    key = EVE._reader.session_key(read(entries[EVE.certificate.handle])[0])
    passed_on = seipd.closed(seipd.opened(read(PACKET)[0], KEY), key, bytes(16))
    assert opened(passed_on, entries[EVE.certificate.handle], EVE) == TEXT


def test_truncated_at_every_byte() -> None:
    """[15.10-5]: nothing but a SealError comes of it."""
    for end in range(len(PACKET)):
        with pytest.raises(SealError):
            opened(PACKET[:end])
    for end in range(len(ENTRY)):
        with pytest.raises(SealError):
            opened(entry=ENTRY[:end])
    signed = ALICE.sign(TEXT)
    assert not any(openpgp.verify(TEXT, signed[:end], ALICE.certificate) for end in range(len(signed)))


def testflipped_bits() -> None:
    """[15.10-5]: of the data, each bit counts; of the session key, all that is not a way to write the same number."""
    for at in range(8 * len(PACKET)):
        with pytest.raises(SealError):
            opened(flipped(PACKET, at))
    same = {*range(8 * 12, 8 * 14), 8 * 47 - 1}  # how many bits the point has, and its highest, which X25519 ignores
    assert not {at for at in range(8 * len(ENTRY)) if _opens(flipped(ENTRY, at))} - same


def _opens(entry: bytes) -> bool:
    try:
        found = opened(entry=entry)
    except SealError:
        return False
    assert found == TEXT
    return True


def testflipped_bits_of_a_signature() -> None:
    """[15.10-5]: a signature that is not as it was made is none; what it does not cover are hints."""
    begin, size = _unhashed(SIGNATURE)
    for at in range(8 * len(SIGNATURE.raw)):
        if not begin <= at // 8 < begin + size:
            with pytest.raises(SealError):
                opened(resealed(ONE_PASS, LITERAL, flipped(SIGNATURE.raw, at)))


def _unhashed(signature: Packet) -> tuple[int, int]:
    """Where the hints of a signature stand, with their length, and the two bytes of the digest behind them."""
    head = len(signature.raw) - len(signature.body)
    hashed = int.from_bytes(signature.body[4:6], "big")
    begin = head + 6 + hashed
    return begin, 2 + int.from_bytes(signature.raw[begin : begin + 2], "big") + 2


def test_signed_by_another() -> None:
    """[15.10-5]: the one who is expected, and nobody else, though his key be at hand."""
    with pytest.raises(Forged, match="not signed by whom"):
        opened(signer=EVE)
    packet, entries = openpgp.encrypt(TEXT, [BOB.certificate], EVE)
    with pytest.raises(Forged, match="not signed by whom"):
        opened(packet, entries[BOB.certificate.handle])


def test_signatures() -> None:
    """[15.10-7]: one binary signature of these bytes by this key, with nothing around it."""
    made = ALICE.sign(TEXT)
    assert openpgp.verify(TEXT, made, ALICE.certificate)
    assert not openpgp.verify(TEXT + b"\n", made, ALICE.certificate)
    assert not openpgp.verify(TEXT, made, EVE.certificate)
    for other in (b"", made + made, MARKER + made, openpgp.armored(made, Armor.SIGNATURE).encode(), SIGNATURE.raw[:-1]):
        assert not openpgp.verify(TEXT, other, ALICE.certificate)
    certification = read(ALICE.certificate.data)[2]
    assert certification.tag == Tag.SIGNATURE
    assert not openpgp.verify(TEXT, certification.raw, ALICE.certificate)


@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """[15.10-5]: whatever comes, only SealErrors leave."""
    for what in (
        lambda: opened(data),
        lambda: opened(entry=data),
        lambda: opened(written(Tag.SEIPD, b"\x01" + data)),
        lambda: opened(resealed(data)),
        lambda: Certificate.of(data),
        lambda: Secret.of(data),
        lambda: openpgp.unlock(data, CODE),
    ):
        with pytest.raises(SealError):
            what()
    assert not openpgp.verify(TEXT, data, ALICE.certificate)


def test_ten_thousand_packets() -> None:
    """[15.10-5]: whoever sends many is not heard to the end."""
    with pytest.raises(Unreadable, match="more than 128"):
        read(MARKER * 10_000)
    assert packets.MOST == 128
