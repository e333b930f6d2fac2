"""Measures OpenPGP: processor time to encrypt and sign, to decrypt and verify, and the bytes of it, by recipients.

    python -m tests.bench.bench_keys

Target: with the 50 recipients that one KEY event has at most, the loop is held for 5 ms.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from quicchat.client.e2ee import letters, openpgp
from quicchat.client.e2ee.openpgp import Certificate, Secret
from quicchat.client.e2ee.ratchet import Voice
from quicchat.wire.chapters.messages import Post
from quicchat.wire.sealed import RECIPIENTS, SESSION_MESSAGES, Scheme, Sealed, packed
from tests.bench.table import Row

#: About as long as a packed `session-key`.
TEXT = bytes(180)
CODE = "012345678901234567890123456789012345"
PART = bytes(49_000)


def rows() -> Iterator[Row]:
    """The table of facts section 5, made with our own keys and through our own doors."""
    now = int(time.time() * 1_000)
    alice = Secret.make("alice", now)
    readers = [Secret.make(f"reader {at}", now) for at in range(RECIPIENTS)]
    for count in (1, 10, RECIPIENTS):
        to = [each.certificate for each in readers[:count]]
        packet, entries = openpgp.encrypt(TEXT, to, alice)
        sealing = [_held(partial(openpgp.encrypt, TEXT, to, alice)) for _ in range(100)]
        size = f"{len(openpgp.message(packet, entries)):,} bytes; longest of 100: {max(sealing):,.0f} us"
        yield Row(f"encrypt and sign to {count}", statistics.median(sealing), "us", size)
        last = entries[to[-1].handle]
        opening = partial(openpgp.decrypt, packet, last, readers[count - 1], alice.certificate)
        yield Row(f"decrypt and verify, one of {count}", _median(opening), "us", f"{len(packet) + len(last)} bytes")
    yield Row("make a key", _median(partial(Secret.make, "alice", now)), "us")
    data, signature = alice.certificate.data, alice.sign(TEXT)
    yield Row("judge a certificate", _median(partial(_judged, data)), "us", f"{len(data)} bytes")
    yield Row("sign", _median(partial(alice.sign, TEXT)), "us", f"{len(signature)} bytes")
    yield Row("verify", _median(partial(openpgp.verify, TEXT, signature, alice.certificate)), "us")
    locked = openpgp.lock(PART, CODE)
    yield Row("lock a part of a backup", _median(partial(openpgp.lock, PART, CODE)), "us", "49,000 bytes")
    yield Row("unlock it", _median(partial(openpgp.unlock, locked, CODE)), "us")

    sizes: list[int] = []
    session = _median(lambda: sizes.append(_session(alice, [each.certificate for each in readers])), 20)
    yield Row("a session: 100 messages to 50", session / 1_000, "ms", f"{sizes[-1]:,} bytes of sealed bodies")


def _session(own: Secret, readers: list[Certificate]) -> int:
    """The bytes of sealed bodies that a device says 100 messages with, the keys for 50 others included."""
    voice = Voice.begin("den", "alice", own.certificate.handle, now=0, chance=secrets.token_bytes)
    packet, entries = openpgp.encrypt(packed(voice.session_key), readers, own)
    total = len(packed(Sealed(scheme=Scheme.OPENPGP, ciphertext=packet, entries=entries)))
    for number in range(SESSION_MESSAGES):
        post = Post(room="den", cid=number.to_bytes(16, "big"), text="x" * 64)
        content = letters.content_of(post, conversation="den", sender="alice", device=own.certificate.handle)
        voice, sealed = voice.seal(content)
        total += len(letters.outside(post, content, sealed).sealed or b"")
    return total


def _median(work: Callable[[], object], times: int = 100) -> float:
    return statistics.median(_held(work) for _ in range(times))


def _held(work: Callable[[], object]) -> float:
    """For how long nothing else can run in this process, in microseconds; what other processes take is not counted."""
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1_000


def _judged(data: bytes) -> Certificate:
    openpgp._certificate.cache_clear()
    return Certificate.of(data)


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name:34} {row.value:12,.0f} {row.unit:4} {row.note}")
