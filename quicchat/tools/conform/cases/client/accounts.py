"""Cases of chapters 4 and 11 for clients: the login, coming back, whom a client believes. (spec 04-accounts)"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from quicchat.tools.conform import honest
from quicchat.tools.conform.book import book, write
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.certs import Authority
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.host import Answer, Host
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed

#: A wait that is longer than the first one of anybody who comes back (3.5-7).
LONG = 1.5


@client("4.2-1", "client-first-message")
async def first_message(stage: Stage) -> None:
    host = await stage.ready()
    start = host.said("AUTH_START")[0]
    wanted = b"p=quicchat,,n=" + start["user"].encode() + b",r="
    if start["mechanism"] != "SCRAM-SHA-256" or not start["data"].startswith(wanted):
        raise Failed(f"it began the login with {start['mechanism']} {start['data'][:40]!r}")


@client("4.3-1", "proof-over-certificate-and-transcript")
async def bound(stage: Stage) -> None:
    """The proof is right for what was negotiated, and wrong for every edited form of it."""
    host = await stage.ready()
    proof = host.said("AUTH_RESPONSE")[0]["data"]
    edited = write("VERSION_REQUEST", {"versions": [1], "device": host.device}, version=1)
    for binding in (host.certificate + hashlib.sha256(edited).digest(), bytes(32) + host.transcript, b""):
        if honest.proves(host, proof, binding):
            raise Failed("its proof holds for another negotiation")


@client("4.3-1", "nonces-are-new")
async def nonces(stage: Stage) -> None:
    host = await stage.ready()
    one = host.said("AUTH_START")[0]["data"].rpartition(b",r=")[2]
    stage.house.tokens.clear()
    host.end(book().codes["DRAINING"])
    again = await stage.guest()
    try:
        await again.until(lambda: again.said("AUTH_START") or None, "another login")
    except Failed:
        await stage.start()
        again = await stage.guest()
        await again.until(lambda: again.said("AUTH_START") or None, "another login")
    if again.said("AUTH_START")[0]["data"].rpartition(b",r=")[2] == one:
        raise Failed("the second login has the nonce of the first")


def _misled(host: Host, heard: Heard) -> None:
    host.say("ERROR", code=book().codes["DOWNGRADE"], text="As the case wants it.", fatal=True)
    host.deafen()
    host.line.flush()
    host.line.close(book().codes["DOWNGRADE"])


@client("4.2-5", "told-of-a-downgrade")
async def downgrade(stage: Stage) -> None:
    """An edited list of versions breaks the proof; who is told so does not come back by itself."""
    await stage.guest(AUTH_RESPONSE=_misled)
    await stage.nobody(LONG)


async def _gives_up(stage: Stage, name: str, answer: Answer, last: str) -> None:
    host = await stage.guest(**{name: answer})
    await host.gone()
    names = [each.pdu.name for each in host.words]
    behind = names[names.index(last) + 1 :]
    if wrong := [each for each in behind if not each.startswith("type ") and each != "ERROR"]:
        raise Failed(f"it said {' '.join(wrong)} before its close")


def _empty(host: Host, heard: Heard) -> None:
    host.say("AUTH_CHALLENGE", re=heard, data=b"")


_FALSE: tuple[tuple[str, str, Answer], ...] = (
    ("another-nonce", "AUTH_START", lambda host, heard: honest.challenge(host, heard, nonce=b"A" * 40)),
    (
        "a-nonce-that-is-no-longer",
        "AUTH_START",
        lambda host, heard: honest.challenge(host, heard, nonce=heard["data"].rpartition(b",r=")[2][:-1]),
    ),
    ("no-challenge-at-all", "AUTH_START", _empty),
    ("wrong-proof", "AUTH_RESPONSE", lambda host, heard: honest.admit(host, heard, proof=b"v=" + b"A" * 43 + b"=")),
    ("empty-proof", "AUTH_RESPONSE", lambda host, heard: honest.admit(host, heard, proof=b"")),
    ("error-for-a-proof", "AUTH_RESPONSE", lambda host, heard: honest.admit(host, heard, proof=b"e=other-error")),
)


def _false(name: str, at: str, answer: Answer) -> None:
    @client("4.2-3", name)
    async def run(stage: Stage) -> None:
        await _gives_up(stage, at, answer, at)


for _each in _FALSE:
    _false(*_each)


def _cheap(count: int) -> None:
    @client("4.2-13", f"{count}-iterations")
    async def run(stage: Stage) -> None:
        host = await stage.guest(AUTH_START=lambda host, heard: honest.challenge(host, heard, iterations=count))
        await host.gone()
        if host.said("AUTH_RESPONSE"):
            raise Failed(f"it answered a challenge of {count} iterations")


for _count in (1, 4095):
    _cheap(_count)


# Coming back


async def _lost(stage: Stage) -> None:
    """The client was in, and lost its connection."""
    host = await stage.ready()
    host.end(book().codes["OVERLOADED"])


@client("4.3-3", "resumes-by-its-token", since=2)
async def resumes(stage: Stage) -> None:
    await _lost(stage)
    host = await stage.ready()
    resume = host.said("RESUME")
    if not resume:
        stage.notes.append("it logged in anew")
    elif len(host.said("RESUME")) > 1 or host.said("AUTH_START"):
        raise Failed("it was let in by its token, and went on trying")


@client("4.3-3", "token-that-expired", since=2)
async def expired(stage: Stage) -> None:
    await _lost(stage)
    stage.house.tokens.clear()
    host = await stage.guest()
    try:
        await host.ready()
    except Failed:
        # Perhaps on another connection, or after its user was asked.
        stage.notes.append("it did not log in by itself")
        if host.line.closed is None:
            await host.barrier()


def _unproved(host: Host, heard: Heard) -> None:
    if heard["token"] in host.house.tokens:
        honest.resumed(host, heard, proof=bytes(32))
    else:
        # It tries once more, which the case tells; the token is used up.
        host.refuse(heard, "TOKEN_EXPIRED")


@client("4.3-5", "wrong-proof-of-resumed", since=2)
async def resumed_by_another(stage: Stage) -> None:
    await _lost(stage)
    host = await stage.guest(RESUME=_unproved)
    if not host.said("RESUME"):
        await host.until(lambda: host.said("RESUME") or host.said("AUTH_START") or None, "RESUME or a login")
    if host.said("RESUME"):
        await host.gone()
        await stage.nobody(LONG)


@client("4.2-4", "refused-login")
async def refused(stage: Stage) -> None:
    host = await stage.guest(AUTH_RESPONSE=lambda host, heard: host.refuse(heard, "AUTH_FAILED"))
    await host.until(lambda: host.said("AUTH_RESPONSE") or None, "AUTH_RESPONSE")
    await host.ear.quietly(lambda: None, LONG)
    if len(host.said("AUTH_RESPONSE")) > 3:
        raise Failed("it tries one password again and again")


# Whom it believes


def _bad_paper(sentence: str, name: str, show: Callable[[Stage], None]) -> None:
    @client(sentence, name)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        show(stage)
        stage.expect()
        before = len(stage.times)
        host.end(book().codes["OVERLOADED"])
        await stage.called(before + 1)
        await stage.nobody(LONG)

    @client(sentence, f"{name}-after-a-restart")
    async def again(stage: Stage) -> None:
        await stage.ready()
        await stage.stop()
        show(stage)
        stage.expect()
        before = len(stage.times)
        await stage.start()
        await stage.called(before + 1)
        await stage.nobody(LONG)


def _shows(make: Callable[[Authority], Authority], names: tuple[str, ...], days: float) -> Callable[[Stage], None]:
    def show(stage: Stage) -> None:
        stage.door.paper = make(stage.authority).issue(names, days=days)

    return show


_HERE = ("localhost", "127.0.0.1", "::1")
_bad_paper("11.1-2", "another-authority", _shows(lambda known: Authority(), _HERE, 13))
_bad_paper("11.1-1", "another-name", _shows(lambda known: known, ("example.org",), 13))
_bad_paper("11.1-1", "out-of-date", _shows(lambda known: known, _HERE, -1))


@client("11.1-1", "renewed-leaf")
async def renewed(stage: Stage) -> None:
    """What the anchor vouches for is believed."""
    host = await stage.ready()
    stage.door.paper = stage.authority.issue((*_HERE, stage.subject.host))
    host.end(book().codes["OVERLOADED"])
    await stage.ready()


@client("13.1-1", "another-protocol")
async def protocol(stage: Stage) -> None:
    stage.door.alpn = "h3"
    stage.expect()
    await stage.start()
    await stage.called(1)
    await stage.nobody(LONG)
