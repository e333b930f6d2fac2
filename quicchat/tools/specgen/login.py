"""One login in all its bytes, so that another implementation can check its arithmetic. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from quicchat.protocol import scram
from quicchat.protocol.limits import Limits
from quicchat.protocol.negotiation import Hello, Negotiation
from quicchat.wire import codec

_USER: Final = "alice"
_WORD: Final = "p\u00e2\u2126\u2003!"
_SALT: Final = bytes(range(16))
_ITERATIONS: Final = 4096
_TIME: Final = 1_700_000_000_000


def example() -> dict[str, Any]:
    """The numbers of a login, from the negotiation to the server's proof; byte strings in hexadecimal."""
    certificate = hashlib.sha256(b"a certificate in DER").digest()
    request, response, transcript = _negotiation()
    binding = certificate + transcript
    salted = scram.salted(_WORD, _SALT, _ITERATIONS)
    keys = scram.credentials_from(salted, _SALT, _ITERATIONS)
    client = scram.ClientLogin(_USER, bytes(range(18)))
    server = scram.ServerLogin(_USER, client.first, keys, bytes(range(18, 36)))
    final = client.final(server.challenge, salted, binding)
    proof = server.verify(final, binding)
    client.verify(proof)
    return {
        "user": _USER,
        "password": _WORD,
        "prepared": scram.prepare(_WORD).hex(),
        "certificate_hash": certificate.hex(),
        "version_request": request.hex(),
        "version_response": response.hex(),
        "transcript": transcript.hex(),
        "signup": {
            "salt": _SALT.hex(),
            "iterations": _ITERATIONS,
            "stored_key": keys.stored_key.hex(),
            "server_key": keys.server_key.hex(),
        },
        "auth_start": client.first.decode(),
        "auth_challenge": server.challenge.decode(),
        "auth_response": final.decode(),
        "auth_ok": proof.decode(),
    }


def _negotiation() -> tuple[bytes, bytes, bytes]:
    """Both payloads and the transcript."""
    client = Negotiation(Hello(agent="example/1", device=bytes(range(16))), Limits())
    server = Negotiation(Hello(mechanisms=("SCRAM-SHA-256",)), Limits())
    request = client.request(0x1001)
    payloads = [
        codec.encode(pdu, version=Negotiation.ENVELOPE_VERSION)
        for pdu in (request, server.respond(request, 0x1003, _TIME))
    ]
    for payload in payloads:
        client.witness(payload)
    return payloads[0], payloads[1], client.transcript
