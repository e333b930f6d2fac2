"""Mutants of sections 4.1 to 4.3: sign-up and login."""

from __future__ import annotations

from typing import Any

from quicchat.protocol import conduct
from quicchat.protocol.limits import Limits
from quicchat.protocol.scram import ServerLogin
from quicchat.server.adapters.store_memory.accounts import MemoryAccounts
from quicchat.server.services import accounts
from quicchat.server.services.accounts import AccountService
from quicchat.wire import codec, fields
from quicchat.wire.chapters.messages import Post
from quicchat.wire.states import State
from tests.mutants.catalogue.states import changed
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import edit, faulty

# Sign-up

faulty(
    "4.1-3/the-last-one-has-the-name",
    "Who signs up with a name that is taken gets the account.",
    *(MemoryAccounts, "sign_up"),
    ("if user in state.accounts:\n        raise Refused(Code.NAME_TAKEN)", ""),
    kills="4.1-3/two-at-once",
)
faulty(
    "4.1-3/another-code",
    "A name that is taken is refused with FORBIDDEN.",
    *(MemoryAccounts, "sign_up"),
    ("Code.NAME_TAKEN", "Code.FORBIDDEN"),
    kills="4.1-3/two-at-once",
)


@mutant("4.1-3/posting-before-login", "4.1-3/does-not-log-in", "10.1-2/AUTHENTICATING.MSG_SEND.*")
def early_post() -> None:
    """Who has not logged in may say MSG_SEND, which is refused and nothing more."""
    changed(
        lambda after: (
            lambda state, role, pdu: (
                after(state, role, pdu) or (state if state is State.AUTHENTICATING and isinstance(pdu, Post) else None)
            )
        )
    )


faulty(
    "4.1-5/another-code",
    "Too few iterations are refused with SCHEMA.",
    *(accounts, "demand"),
    ("Refused(Code.AUTH_FAILED", "Refused(Code.SCHEMA"),
    least_iterations=4096,
)


@mutant("4.1-6/as-often-as-he-likes")
def as_often() -> None:
    """Anybody may try out as many names as he likes."""
    swap(accounts, "_TAKEN_ANSWERS", lambda answers: 100 * answers)


@mutant("4.1-7/any-alphabet")
def any_alphabet() -> None:
    """Names have Cyrillic letters too."""
    object.__setattr__(fields.USER, "pattern", "[a-z0-9_\u0400-\u04ff-]{1,32}")


# Login

faulty(
    "4.2-1/any-mechanism",
    "Whatever mechanism is named, it is taken for SCRAM.",
    *(AccountService, "start"),
    ("pdu.mechanism != MECHANISM", "False"),
)
faulty(
    "4.2-1/unbound",
    "A login need not be bound to anything.",
    *(ServerLogin, "__init__"),
    ("not first.startswith(_GS2)", "first[1:2] != b',' and not first.startswith(b'p=')"),
    ("first.removeprefix(_GS2)", "first.partition(b',,')[2]"),
)
faulty(
    "4.2-1/two-names",
    "The name in the first message may be another than that of the request.",
    *(ServerLogin, "__init__"),
    ('fields.get("n") != user or ', ""),
)
faulty(
    "4.2-1/without-nonce",
    "A client need not bring a nonce.",
    *(ServerLogin, "__init__"),
    ("not 0 < len", "not 0 <= len"),
    ('fields["r"]', 'fields.get("r", "")'),
)
faulty(
    "4.2-2/salt-of-chance",
    "Who does not exist has another salt at every attempt.",
    *(accounts, "decoy"),
    ('secret, b"salt:" + user.encode()', '__import__("os").urandom(32), b""'),
    kills="4.2-2/a-salt-that-stays",
)
faulty(
    "4.2-2/one-salt",
    "All who do not exist have one salt.",
    *(accounts, "decoy"),
    ('b"salt:" + user.encode()', 'b"salt:"'),
    kills="4.2-2/a-salt-that-stays",
)
faulty(
    "4.2-2/one-nonce",
    "The server's nonce is always the same.",
    *(AccountService, "start"),
    ("self._clock.random(18)", "bytes(18)"),
    kills="4.2-2/a-salt-that-stays",
)
faulty(
    "4.2-2/says-who-exists",
    "A name that nobody has is refused in other words.",
    *(AccountService, "respond"),
    (
        "        proof = attempt",
        "        if not attempt.known:\n"
        '            raise Refused(Code.AUTH_FAILED, "Nobody has this name.")\n'
        "        proof = attempt",
    ),
    kills="4.2-2/nobody-learns-who-exists",
)


@mutant("4.2-4/one-try", "4.2-4/wrong-and-then-right", "4.2-4/another-nonce", "4.2-4/the-third-is-the-last")
def one_try() -> None:
    """The first wrong password ends the connection."""
    swap(accounts, "TRIES", lambda _: 1)


@mutant("4.2-4/four-tries", "4.2-4/the-third-is-the-last")
def four_tries() -> None:
    """Only the fourth wrong password ends the connection."""
    swap(accounts, "TRIES", lambda tries: tries + 1)


faulty(
    "4.2-4/locked-out",
    "After three wrong passwords nobody logs in with that name any more.",
    *(AccountService, "start"),
    (
        "user = User(pdu.user)",
        "user = User(pdu.user)\n"
        '    if self._wrong.count(f"{user} {actor.network}", since=0) > 2:\n'
        "        raise Refused(Code.AUTH_FAILED)",
    ),
    kills="4.2-4/the-third-is-the-last",
)
faulty(
    "4.2-4/any-nonce",
    "The nonce of the last message is not compared.",
    *(ServerLogin, "verify"),
    ('fields.get("r", "").encode() != self._nonce or ', ""),
    kills="4.2-4/another-nonce",
)
faulty(
    "4.2-4/without-proof",
    "A message without a proof is as good as one with it.",
    *(ServerLogin, "verify"),
    ("not good or len(proof) != 32", "(proof and (not good or len(proof) != 32))"),
    kills="4.2-4/a-proof-that-is-none",
)


@mutant("4.2-4/remembered", "4.2-4/a-proof-of-another-login")
def remembered() -> None:
    """To spare time, a proof that was right once is not looked at again."""
    right: dict[bytes, bytes] = {}

    def make(verify: Any) -> Any:
        def found(self: ServerLogin, final: bytes, binding: bytes, **wishes: bool) -> bytes:
            if final not in right:
                right[final] = verify(self, final, binding, **wishes)
            return right[final]

        return found

    swap(ServerLogin, "verify", make)


def all_the_time() -> None:
    """Nobody has to log in within any time."""


_SEEN = "seen != _GS2 + binding and"
faulty(
    "4.2-5/any-certificate",
    "Which certificate the client saw is not compared.",
    *(ServerLogin, "verify"),
    (_SEEN, "(seen[: len(_GS2)], seen[-32:]) != (_GS2, binding[-32:]) and"),
    kills="4.2-5/another-certificate",
)
faulty(
    "4.2-5/any-negotiation",
    "Which negotiation the client saw is not compared.",
    *(ServerLogin, "verify"),
    (_SEEN, "(seen[:-32] != _GS2 + binding[:-32] or len(seen) != len(_GS2 + binding)) and"),
    kills="4.2-5/another-negotiation",
)
faulty(
    "4.2-5/not-fatal",
    "Who saw another negotiation may try again.",
    *(AccountService, "_failed"),
    (" or refusal.code is Code.DOWNGRADE", ""),
    kills="4.2-5/* 4.3-1/*",
)
faulty(
    "4.3-1/certificate-alone",
    "A client may leave the negotiation out.",
    *(ServerLogin, "verify"),
    (_SEEN, "seen not in (_GS2 + binding, _GS2 + binding[:-32]) and"),
)
faulty(
    "4.3-2/another-code",
    "Who cannot see the certificate is told that the password is wrong.",
    *(ServerLogin, "verify"),
    (f"if {_SEEN}", f"if seen == _GS2 + binding[-32:]:\n        raise Refused(Code.AUTH_FAILED)\n    if {_SEEN}"),
)
mutant("4.2-6/all-the-time", limits=Limits(login=3600))(all_the_time)
faulty(
    "4.2-7/as-much-as-he-likes",
    "What comes before the login is not counted.",
    *(conduct.Conduct, "early"),
    ("self._early += size", ""),
)
faulty(
    "4.2-8/two-sessions",
    "A device may have two sessions.",
    *(AccountService, "respond"),
    ("for each in replaced]", "for each in ()]"),
)
faulty(
    "4.2-8/another-code",
    "The session before ends as if its token had expired.",
    *(AccountService, "respond"),
    ("Code.SESSION_REPLACED", "Code.TOKEN_EXPIRED"),
)
faulty(
    "4.2-9/rooms-with-news",
    "Rooms without news are left out of the heads.",
    *(accounts, "_most_urgent"),
    ("    if len", "    heads = [each for each in heads if each.head > each.delivered]\n    if len"),
)
faulty(
    "4.2-10/sender-ignored",
    "A sender in MSG_SEND is passed over.",
    *(codec, "_extra"),
    ("not in plan.keys}", "not in {*plan.keys, 18}}"),
)
faulty(
    "4.2-11/for-how-long",
    "AUTH_OK does not say when the token expires.",
    *(AccountService, "respond"),
    ("expires=expires if token else None", "expires=None"),
    kills="4.2-11/a-token-with-each-login",
)
faulty(
    "4.2-11/one-token",
    "An account has one token for all its devices and logins.",
    *(AccountService, "respond"),
    ("self._clock.random(32)", "hashlib.sha256(attempt.user.encode()).digest()"),
    kills="4.2-11/a-token-with-each-login",
)


@mutant("4.2-11/newer-fields", "4.2-11/no-token-in-version-1")
def newer_fields() -> None:
    """AUTH_OK has the fields of version 2 in version 1."""
    edit(codec, "_plan", ("if field.since <= version]", 'if field.since <= version or spec.name == "AUTH_OK"]'))
    codec._PLANS.clear()
