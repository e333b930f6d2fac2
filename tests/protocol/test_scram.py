"""SCRAM: the proof of a password, bound to certificate and negotiation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code, Refused
from quicchat.protocol import scram
from quicchat.protocol.events import Bytes, LinkEvent
from quicchat.protocol.scram import ClientLogin, Credentials, ServerLogin, credentials_from, decoy, prepare, salted
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import AuthChallenge, AuthResponse
from quicchat.wire.chapters.session import VersionRequest, VersionResponse
from quicchat.wire.registry import Role
from tests.frames import frames
from tests.protocol.line import CONTROL, connection

SALT = bytes(range(16))
CERTIFICATE, TRANSCRIPT = b"c" * 32, b"t" * 32
BINDING = CERTIFICATE + TRANSCRIPT
KEYS = credentials_from(salted("pencil", SALT, 1), SALT, 1)


def server(keys: Credentials = KEYS) -> ServerLogin:
    return ServerLogin("alice", ClientLogin("alice", b"client").first, keys, b"server")


def attempt(
    *,
    password: str = "pencil",
    keys: Credentials = KEYS,
    seen: bytes = BINDING,
    known: bytes = BINDING,
    blind: bool = False,
) -> tuple[ClientLogin, bytes]:
    """A login whose client saw `seen` and whose server saw `known`; the client, and the server's last message."""
    client = ClientLogin("alice", b"client")
    login = ServerLogin("alice", client.first, keys, b"server")
    salt, iterations = client.parameters(login.challenge)
    final = client.final(login.challenge, salted(password, salt, iterations), seen)
    return client, login.verify(final, known, blind=blind)


def refused(**how: object) -> Code:
    with pytest.raises(Refused) as caught:
        attempt(**how)  # type: ignore[arg-type]
    return caught.value.code


# RFC 7677


def test_the_keys_are_those_of_the_rfc() -> None:
    """R0.8: the vector of RFC 7677 section 3, from the password to both signatures."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    secret = salted("pencil", salt, 4096)
    assert secret.hex() == "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"
    keys = credentials_from(secret, salt, 4096)
    nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonce
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(keys.stored_key, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == keys.stored_key
    shown = base64.b64encode(hmac.digest(keys.server_key, message, "sha256"))
    assert shown == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_client_says_what_the_rfc_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """R0.8: without our channel binding, the client's messages are those of RFC 7677 byte for byte."""
    monkeypatch.setattr(scram, "_GS2", b"n,,")
    client = ClientLogin("user", base64.b64decode("rOprNGfwEbeRWgbNEkqO"))
    assert client.first == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    salt, iterations = client.parameters(challenge)
    final = client.final(challenge, salted("pencil", salt, iterations), b"")
    assert final == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    client.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


# Both sides


@given(st.text(min_size=1, max_size=30), st.binary(min_size=16, max_size=64), st.binary(min_size=1, max_size=40))
def test_who_knows_the_password_gets_in(password: str, salt: bytes, nonce: bytes) -> None:
    """R0.8: any password that may be one, any salt, any nonces; and the server proves itself in turn."""
    try:
        secret = salted(password, salt, 1)
    except Refused:
        return
    keys = credentials_from(secret, salt, 1)
    client = ClientLogin("alice", nonce)
    login = ServerLogin("alice", client.first, keys, nonce)
    assert client.parameters(login.challenge) == (salt, 1)
    client.verify(login.verify(client.final(login.challenge, secret, BINDING), BINDING))


@given(st.text(min_size=1, max_size=10), st.text(min_size=1, max_size=10))
def test_who_does_not_know_it_does_not(password: str, guess: str) -> None:
    """R1.10: another password is AUTH_FAILED; one that is the same to a person (NFC) is the same."""
    try:
        keys = credentials_from(salted(password, SALT, 1), SALT, 1)
        same = prepare(password) == prepare(guess)
    except Refused:
        return
    if same:
        attempt(password=guess, keys=keys)
    else:
        assert refused(password=guess, keys=keys) is Code.AUTH_FAILED


def test_a_server_that_does_not_know_the_account_is_caught() -> None:
    """[4.2-3]: whoever has the stored key only, or nothing, cannot make the server's proof."""
    thief = Credentials(salt=SALT, iterations=1, stored_key=KEYS.stored_key, server_key=bytes(32))
    client, final = attempt(keys=thief)
    for wrong in (
        final,
        b"v=",
        b"",
        b"e=other-error",
        b"v=!!",
        b"\xff",
        final[:-2],
        b"v=" + base64.b64encode(bytes(32)),
    ):
        with pytest.raises(Refused) as caught:
            client.verify(wrong)
        assert caught.value.code is Code.AUTH_FAILED
    with pytest.raises(Refused):
        ClientLogin("alice", b"client").verify(b"v=")


def test_a_proof_is_good_once() -> None:
    """[4.2-4]: the same messages again, against a fresh nonce of the server, prove nothing."""
    client = ClientLogin("alice", b"client")
    login = server()
    final = client.final(login.challenge, salted("pencil", SALT, 1), BINDING)
    login.verify(final, BINDING)
    again = ServerLogin("alice", client.first, KEYS, b"fresh")
    with pytest.raises(Refused) as caught:
        again.verify(final, BINDING)
    assert caught.value.code is Code.AUTH_FAILED


# Broken messages


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,n=alice,r=abc",
        b"y,,n=alice,r=abc",
        b"p=tls-exporter,,n=alice,r=abc",
        b"p=quicchat,,n=bob,r=abc",
        b"p=quicchat,,r=abc",
        b"p=quicchat,,n=alice",
        b"p=quicchat,,n=alice,r=",
        b"p=quicchat,,n=alice,r=\xff",
        b"p=quicchat,,n=alice,r=" + b"x" * 257,
    ],
)
def test_a_first_message_that_is_none_is_refused(first: bytes) -> None:
    """A10, [4.2-1]: not SCRAM, not bound to this connection, of somebody else, or with a nonce as long as the field."""
    with pytest.raises(Refused) as caught:
        ServerLogin("alice", first, KEYS, b"server")
    assert caught.value.code is Code.AUTH_FAILED


def test_every_challenge_fits_its_field() -> None:
    """[2.4-2]: the longest nonce of a client and the longest salt make a challenge, and an answer, that can be sent."""
    keys = credentials_from(salted("pencil", bytes(64), 1), bytes(64), 10_000_000)
    first = b"p=quicchat,,n=" + b"a" * 32 + b",r=" + b"x" * 256
    login = ServerLogin("a" * 32, first, keys, bytes(18))
    codec.encode(AuthChallenge(data=login.challenge), version=1)
    client = ClientLogin("a" * 32, bytes(192))
    login = ServerLogin("a" * 32, client.first, keys, bytes(18))
    codec.encode(AuthResponse(data=client.final(login.challenge, bytes(32), BINDING)), version=1)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"\xff\xfe",
        b"r=x,s=,i=1",
        b"r=x,i=1",
        b"r=x,s=AAAA",
        b"r=x,s=*,i=1",
        b"r=x,s=AAAA,i=0",
        b"r=x,s=AAAA,i=-1",
        b"r=x,s=AAAA,i=1e3",
        b"r=x,s=AAAA,i=10000001",
        b"r=x,s=AAAA,i=" + b"9" * 900,
        "r=x,s=AAAA,i=\u0661".encode(),
    ],
)
def test_a_challenge_that_is_none_is_refused(challenge: bytes) -> None:
    """P8: a hostile server neither crashes the client nor has it count for ever."""
    with pytest.raises(Refused) as caught:
        ClientLogin.parameters(challenge)
    assert caught.value.code is Code.AUTH_FAILED


def test_a_challenge_must_continue_our_nonce() -> None:
    """[4.2-3]: a recorded challenge, or our own nonce sent back, is refused before anything is proved."""
    client = ClientLogin("alice", b"client")
    ours = base64.b64encode(b"client")
    for nonce in (b"", b"other", ours, ours[:-1] + b"xyz", b"x" + ours):
        with pytest.raises(Refused) as caught:
            client.final(b"r=" + nonce + b",s=AAAA,i=1", bytes(32), BINDING)
        assert caught.value.code is Code.AUTH_FAILED
    with pytest.raises(Refused):
        client.verify(b"v=")


@given(st.binary(max_size=120))
def test_a_final_message_that_is_none_is_refused(final: bytes) -> None:
    """R0.12: no bytes raise anything but Refused(AUTH_FAILED)."""
    with pytest.raises(Refused) as caught:
        server().verify(final, BINDING)
    assert caught.value.code is Code.AUTH_FAILED


@given(st.data())
def test_a_proof_with_one_wrong_byte_is_refused(data: st.DataObject) -> None:
    """R0.8: whatever is changed in the last message, it proves nothing any more."""
    client = ClientLogin("alice", b"client")
    login = server()
    final = client.final(login.challenge, salted("pencil", SALT, 1), BINDING)
    place, bit = data.draw(st.integers(0, len(final) - 1)), data.draw(st.integers(0, 7))
    wrong = bytes(byte ^ (1 << bit if index == place else 0) for index, byte in enumerate(final))
    # The last character of base64 before `=` carries bits that mean nothing.
    if place != len(final) - 2:
        with pytest.raises(Refused) as caught:
            login.verify(wrong, BINDING)
        assert caught.value.code is Code.AUTH_FAILED


# The binding


def test_a_changed_negotiation_is_a_downgrade() -> None:
    """S7, [4.2-5]: a good proof over another transcript or certificate is DOWNGRADE, not AUTH_FAILED."""
    assert refused(seen=CERTIFICATE + b"T" * 32) is Code.DOWNGRADE
    assert refused(seen=b"C" * 32 + TRANSCRIPT) is Code.DOWNGRADE
    assert refused(seen=b"") is Code.DOWNGRADE
    assert refused(seen=b"C" * 32 + TRANSCRIPT, password="wrong") is Code.AUTH_FAILED


def test_who_cannot_see_the_certificate_may_leave_it_out_where_that_is_allowed() -> None:
    """[4.3-2]: only with `blind`, only the certificate, and never the transcript."""
    assert refused(seen=TRANSCRIPT) is Code.DOWNGRADE
    attempt(seen=TRANSCRIPT, blind=True)
    attempt(seen=BINDING, blind=True)
    for seen in (b"", CERTIFICATE, b"T" * 32, b"C" * 32 + TRANSCRIPT):
        assert refused(seen=seen, blind=True) is Code.DOWNGRADE
    # Nor where the server itself has no certificate to show.
    assert refused(seen=b"", known=TRANSCRIPT, blind=True) is Code.DOWNGRADE
    attempt(seen=TRANSCRIPT, known=TRANSCRIPT, blind=True)


@pytest.mark.parametrize("victim", [Role.CLIENT, Role.SERVER], ids=["response", "request"])
def test_an_edited_version_list_breaks_the_login(victim: Role) -> None:
    """S7, [4.2-5], [4.3-1]: somebody on the way edits VERSION_REQUEST or VERSION_RESPONSE; the login ends in DOWNGRADE.

    He is taken to sit behind TLS with a certificate that the client accepted; the password he does not know. What
    the server answers, were it his, does not convince the client either.
    """
    client, server = connection(Role.CLIENT), connection(Role.SERVER)
    client.start(CONTROL)
    for end, other in ((client, server), (server, client)):
        for event in end.output():
            other.receive(_edited(event) if other.role is victim else event, 0.0)
    assert (client.version, server.version) in {(1, 1), (1, 2)}
    seen, known = (CERTIFICATE + end.negotiation.transcript for end in (client, server))
    assert seen != known
    assert refused(seen=seen, known=known) is Code.DOWNGRADE
    login = ClientLogin("alice", b"client")
    challenge = ServerLogin("alice", login.first, KEYS, b"server")
    login.final(challenge.challenge, salted("pencil", SALT, 1), seen)
    own = ClientLogin("alice", b"client")
    answer = challenge.verify(own.final(challenge.challenge, salted("pencil", SALT, 1), known), known)
    with pytest.raises(Refused):
        login.verify(answer)


def _edited(event: LinkEvent) -> LinkEvent:
    """The negotiation with version 1 as the only one."""
    assert isinstance(event, Bytes)
    (payload,) = frames(event.data)
    pdu = codec.decode(payload).pdu
    if isinstance(pdu, VersionRequest):
        pdu = VersionRequest(versions=(1,), agent=pdu.agent, limits=pdu.limits, device=pdu.device)
    else:
        assert isinstance(pdu, VersionResponse)
        pdu = VersionResponse(version=1, versions=(1,), limits=pdu.limits, mechanisms=pdu.mechanisms)
    return Bytes(event.sid, frame.wrap(codec.encode(pdu, version=1)))


# Users who do not exist


def test_a_decoy_looks_like_an_account() -> None:
    """A1, [4.2-2]: a name that nobody has: the same challenge each time, shaped like any other."""
    secret = b"s" * 32
    real = server(credentials_from(salted("pencil", SALT, 1), SALT, 600_000)).challenge
    shapes = set()
    for user in ("alice", "bob", "zoe"):
        fake = decoy(secret, user, 600_000)
        assert fake == decoy(secret, user, 600_000)
        shown = ServerLogin(user, ClientLogin(user, b"client").first, fake, b"server").challenge
        salt, iterations = ClientLogin.parameters(shown)
        shapes.add((len(shown), len(salt), iterations))
    assert shapes == {(len(real), 16, 600_000)}
    assert len({decoy(secret, user, 1).salt for user in ("alice", "bob")}) == 2
    assert decoy(b"other", "alice", 1).salt != decoy(secret, "alice", 1).salt


def test_no_password_fits_a_decoy() -> None:
    """A1, [4.2-2]: the answer is that to a wrong password."""
    assert refused(keys=decoy(b"s" * 32, "alice", 1)) is Code.AUTH_FAILED


# Passwords


def test_the_same_password_on_any_keyboard() -> None:
    """A5, [4.1-1]: e and a combining acute are an é; every space is a space; case and width are kept."""
    assert prepare("caf\u0065\u0301") == prepare("caf\u00e9") == "caf\u00e9".encode()
    assert prepare("a\u00a0b\u3000c d") == b"a b c d"
    assert prepare("Pa\uff41") == "Pa\uff41".encode()


@pytest.mark.parametrize(
    "password",
    ["", "x" * 1025, "\u00e9" * 513, "x" * 2**20, "a\0b", "a\nb", "\x7f", "\x85", "\udc80", "\U000e0fff"],
    ids=["empty", "1025 bytes", "1026 bytes", "1 MiB", "NUL", "newline", "DEL", "C1", "surrogate", "unassigned"],
)
def test_what_is_no_password(password: str) -> None:
    """A5, [4.1-1]: refused SCHEMA, in a moment, before anything costly is done with it."""
    start = time.process_time()
    with pytest.raises(Refused) as caught:
        salted(password, SALT, 10_000_000)
    assert caught.value.code is Code.SCHEMA
    assert time.process_time() - start < 0.05


def test_the_longest_password() -> None:
    """A5, [4.1-1]: 1,024 bytes after normalization; what normalization shortens is measured after it."""
    assert len(prepare("x" * 1024)) == 1024
    assert len(prepare("\u03b9\u0308\u0301" * 512)) == 1024


@given(st.text(max_size=40))
def test_prepared_text_stays_as_it_is(password: str) -> None:
    """A5: preparing twice is preparing once; what comes out is NFC."""
    try:
        data = prepare(password)
    except Refused:
        return
    text = data.decode()
    assert prepare(text) == data
    assert unicodedata.is_normalized("NFC", text)


def test_secrets_are_not_shown() -> None:
    """R0.8: credentials in a log or a traceback tell nothing."""
    assert repr(KEYS) == "Credentials(iterations=1)"
