"""The golden vectors as they are committed, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol import scram
from quicchat.tools.specgen import notation
from quicchat.wire import codec, frame, machines
from quicchat.wire.registry import REGISTRY
from tests.frames import frames

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
#: The other files are vectors of what is made of bytes: leaves, proofs, and what is sealed.
CHAPTERS = [VECTORS / f"{chapter.__name__.rpartition('.')[2]}.json" for chapter in machines.CHAPTERS]


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def stem(path: Path) -> str:
    return path.stem


def test_every_pdu_has_vectors() -> None:
    """Issue 1, item 12: golden vectors for the whole vocabulary."""
    named = {vector["pdu"] for path in CHAPTERS for vector in load(path)["valid"]}
    assert named == {cls.SPEC.name for cls in REGISTRY}


@pytest.mark.parametrize("path", CHAPTERS, ids=stem)
def test_a_valid_vector_is_read_and_written_as_it_stands(path: Path) -> None:
    """[2.2-1], [2.2-3], [2.3-2]: bytes to fields and back, with the same bytes."""
    for vector in load(path)["valid"]:
        data = bytes.fromhex(vector["hex"])
        envelope = codec.decode(data, version=vector["version"])
        pdu = envelope.pdu
        assert not isinstance(pdu, codec.Unknown)
        assert pdu.SPEC.name == vector["pdu"]
        assert envelope.id == vector["id"]
        body = notation.body(pdu, vector["version"])
        by_name = {pdu.SPEC.by_key[key].name: notation.plain_json(value) for key, value in body.items()}
        assert by_name == vector["fields"]
        assert codec.encode(pdu, version=vector["version"], id=vector["id"]) == data


@pytest.mark.parametrize("path", [*CHAPTERS, VECTORS / "framing.json"], ids=stem)
def test_an_invalid_vector_is_refused_with_its_code(path: Path) -> None:
    """[2.1-3], [2.1-4], [2.2-1], [2.3-2], [2.4-1]: each with the code that stands beside it."""
    vectors = load(path)["invalid"]
    assert vectors
    for vector in vectors:
        with pytest.raises(RemoteProtocolError) as caught:
            read(vector)
        assert caught.value.code is Code[vector["code"]], vector["name"]


def read(vector: dict[str, Any]) -> None:
    stream = bytes.fromhex(vector["stream"]) if "stream" in vector else frame.wrap(bytes.fromhex(vector["hex"]))
    for payload in frames(stream, frame.FrameReader()):
        codec.decode(payload, version=vector["version"])


def test_lengths_are_written_as_they_stand() -> None:
    """[2.1-1]: a length is the shortest QUIC varint."""
    for vector in load(VECTORS / "framing.json")["lengths"]:
        assert frame.varint(vector["length"]).hex() == vector["hex"]


def test_the_lenient_vectors_are_accepted() -> None:
    """W11, [2.2-3]: what we would not write is read all the same."""
    vectors = load(VECTORS / "framing.json")["valid"]
    assert len(vectors) == 2
    for vector in vectors:
        assert codec.decode(bytes.fromhex(vector["hex"]), version=2).pdu.SPEC.name == "PING"  # type: ignore[union-attr]


def test_the_login_vector_adds_up() -> None:
    """[3.1-10], [4.1-1], [4.1-2], [4.2-1], [4.3-1]: recomputed from its own inputs, by RFC 5802's formulas alone."""
    import hashlib
    import hmac
    from base64 import b64decode, b64encode

    vector = load(VECTORS / "login.json")
    data = {key: bytes.fromhex(vector[key]) for key in ("certificate_hash", "version_request", "version_response")}
    transcript = hashlib.sha256(data["version_request"] + data["version_response"]).digest()
    assert transcript.hex() == vector["transcript"]
    prepared = "p\u00e2\u03a9 !".encode()
    assert prepared.hex() == vector["prepared"] == scram.prepare(vector["password"]).hex()
    first = dict(part.split("=", 1) for part in vector["auth_challenge"].split(","))
    salt = b64decode(first["s"])
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, int(first["i"]))

    def mac(key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, "sha256")

    client_key, server_key = mac(salted, b"Client Key"), mac(salted, b"Server Key")
    stored_key = hashlib.sha256(client_key).digest()
    assert (stored_key.hex(), server_key.hex()) == (vector["signup"]["stored_key"], vector["signup"]["server_key"])
    binding = b"p=quicchat,," + data["certificate_hash"] + transcript
    without_proof = f"c={b64encode(binding).decode()},r={first['r']}"
    bare = vector["auth_start"].removeprefix("p=quicchat,,")
    message = f"{bare},{vector['auth_challenge']},{without_proof}".encode()
    proof = bytes(a ^ b for a, b in zip(client_key, mac(stored_key, message), strict=True))
    assert vector["auth_response"] == f"{without_proof},p={b64encode(proof).decode()}"
    assert vector["auth_ok"] == f"v={b64encode(mac(server_key, message)).decode()}"
