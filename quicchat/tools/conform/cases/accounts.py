"""Cases of chapter 4: sign-up, login, and all that may be wrong with a proof. (spec 04-accounts)"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any, Final

from quicchat.tools.conform import cbor, chat, scram
from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.book import BODY, ID, TYPE, VERSION, book, frame
from quicchat.tools.conform.case import case
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import ITERATIONS, Talk
from quicchat.tools.conform.verdict import NonStrict, Unimplemented, check, same

MECHANISM: Final = "SCRAM-SHA-256"
#: A proof of the right form, of nothing.
NOTHING: Final = b"p=" + base64.b64encode(bytes(32))


async def challenged(talk: Talk, user: str) -> tuple[bytes, bytes]:
    """Begin a login; the client's message and the server's."""
    first = scram.first(user, os.urandom(18))
    answer = await talk.done("AUTH_START", mechanism=MECHANISM, user=user, data=first)
    return first, answer["data"]


def unproved(talk: Talk, challenge: bytes) -> bytes:
    """A client-final-message of the right form, by somebody who does not know the password."""
    nonce = scram.attributes(challenge)["r"].encode()
    return b"c=" + base64.b64encode(scram.GS2 + talk.certificate + talk.transcript) + b",r=" + nonce + b"," + NOTHING


async def fail(talk: Talk, user: str) -> Heard:
    """A login with a wrong password; whatever the answer is."""
    _, challenge = await challenged(talk, user)
    return await talk.ask("AUTH_RESPONSE", data=unproved(talk, challenge))


# Sign-up


@case("4.1-3", "two-at-once", "signup")
async def two_at_once(bench: Bench) -> None:
    one, other = await bench.negotiated(), await bench.negotiated()
    name = bench.target.name("n")
    answers = await asyncio.gather(one.sign_up(name, PASSWORD), other.sign_up(name, PASSWORD))
    if {book().code(each["code"]) for each in answers if each.pdu.name == "ERROR"} == {"RATE_LIMITED"}:
        raise Unimplemented("no account can be made: RATE_LIMITED")
    same(sorted(each.pdu.name for each in answers), ["ERROR", "OK"], "the answers to two who want one name")
    for talk, answer in zip((one, other), answers, strict=True):
        if answer.pdu.name == "ERROR":
            talk.check_refusal(answer, "NAME_TAKEN")


@case("4.1-3", "does-not-log-in", "signup")
async def not_logged_in(bench: Bench) -> None:
    talk, _ = await bench.signed_up()
    talk.say("MSG_SEND", id=talk.next_id(), room="general", cid=chat.cid(), text="not yet")
    await talk.fatal("STATE")


@case("4.1-4", "sign-up-is-closed")
async def closed(bench: Bench) -> None:
    if "signup" in bench.target.features:
        raise Unimplemented("anybody may sign up here")
    talk = await bench.negotiated()
    answer = await talk.sign_up(bench.target.name("n"), PASSWORD, invite="no such invitation")
    if answer.pdu.name == "OK":
        raise Unimplemented("anybody may sign up here")
    talk.check_refusal(answer, "SIGNUP_CLOSED")


@case("4.1-5", "too-few-iterations", "signup")
async def few_iterations(bench: Bench) -> None:
    talk = await bench.negotiated()
    name = bench.target.name("n")
    answer = await talk.sign_up(name, PASSWORD, iterations=1)
    if answer.pdu.name == "OK":
        raise Unimplemented("its policy demands no more than one iteration")
    talk.check_refusal(answer, "AUTH_FAILED")
    same((await talk.sign_up(name, PASSWORD)).pdu.name, "OK", f"the answer to one with {ITERATIONS} iterations")


# It is slow in that nobody may sign up for a while after it.
@case("4.1-6", "names-cannot-be-tried-out", "signup", alone=True, slow=True)
async def tried_out(bench: Bench) -> None:
    account = await bench.target.account(0)
    talk = await bench.negotiated()
    for _ in range(8):
        answer = await talk.ask("SIGNUP", user=account.user, **NOBODY)
        if answer.pdu.name == "ERROR" and book().code(answer["code"]) == "RATE_LIMITED":
            check(answer["retry_after"], "RATE_LIMITED says in no retry_after when to come back")
            return
        talk.check_refusal(answer, "NAME_TAKEN")
    raise NonStrict("it said eight times that a name is taken")


NOBODY: Final[dict[str, Any]] = {
    "salt": bytes(16),
    "iterations": ITERATIONS,
    "stored_key": bytes(32),
    "server_key": bytes(32),
}


@case("4.1-7", "a-name-that-looks-like-another", "signup")
async def homograph(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say("SIGNUP", id=talk.next_id(), user="\u0430lice", **NOBODY)
    await talk.fatal("SCHEMA")


# Login


@case("4.2-1", "another-first-message")
async def another_first(bench: Bench) -> None:
    talk = await bench.negotiated()
    name = bench.target.name("n").encode()
    nonce = b",r=" + base64.b64encode(os.urandom(18))
    wrong = [
        ("PLAIN", b"p=quicchat,,n=" + name + nonce),
        (MECHANISM, b"n,,n=" + name + nonce),
        (MECHANISM, b"y,,n=" + name + nonce),
        (MECHANISM, b"p=tls-unique,,n=" + name + nonce),
        (MECHANISM, b"p=quicchat,,n=somebody-else" + nonce),
        (MECHANISM, b"p=quicchat,,n=" + name),
        (MECHANISM, b""),
    ]
    for mechanism, data in wrong:
        found = await talk.patiently("AUTH_START", mechanism=mechanism, user=name.decode(), data=data)
        talk.check_refusal(found, "AUTH_FAILED")
    await talk.barrier()


@case("4.2-2", "a-salt-that-stays")
async def stable_salt(bench: Bench) -> None:
    unknown, other = bench.target.name("nobody"), bench.target.name("nobody")
    found = []
    for user in (unknown, unknown, other):
        talk = await bench.negotiated()
        first, challenge = await challenged(talk, user)
        attributes = scram.attributes(challenge)
        ours = scram.attributes(first.removeprefix(scram.GS2))["r"]
        found.append({**attributes, "r": attributes.get("r", "").removeprefix(ours)})
    check(all({"r", "s", "i"} <= each.keys() for each in found), f"a challenge has other attributes: {found[0]}")
    same(found[0]["s"], found[1]["s"], "the salt of one unknown user at the second attempt")
    check(found[0]["s"] != found[2]["s"], "two unknown users have the same salt")
    same(found[0]["i"], found[2]["i"], "the iterations of two unknown users")
    check(found[0]["r"] != found[1]["r"] != "", "the server's nonce came twice, or not at all")


@case("4.2-2", "nobody-learns-who-exists", "signup")
async def indistinguishable(bench: Bench) -> None:
    one, known = await bench.signed_up()
    other = await bench.negotiated()
    refusals = [await fail(one, known), await fail(other, bench.target.name("nobody"))]
    for talk, refusal in zip((one, other), refusals, strict=True):
        talk.check_refusal(refusal, "AUTH_FAILED")
    same(refusals[1].pdu.known, refusals[0].pdu.known, "what an unknown user is answered")


@case("4.2-4", "wrong-and-then-right", "signup")
async def wrong_then_right(bench: Bench) -> None:
    talk, name = await bench.signed_up()
    talk.check_refusal(await fail(talk, name), "AUTH_FAILED")
    await talk.log_in(name, PASSWORD)


@case("4.2-4", "the-third-is-the-last", "signup")
async def third(bench: Bench) -> None:
    talk, name = await bench.signed_up()
    for _ in range(book().limits["tries"] - 1):
        talk.check_refusal(await fail(talk, name), "AUTH_FAILED")
    _, challenge = await challenged(talk, name)
    talk.say("AUTH_RESPONSE", id=talk.next_id(), data=unproved(talk, challenge))
    await talk.over("AUTH_FAILED")
    # Whoever tries somebody else's name does not lock him out.
    await (await bench.negotiated()).log_in(name, PASSWORD)


@case("4.2-4", "another-nonce", "signup")
async def another_nonce(bench: Bench) -> None:
    talk, name = await bench.signed_up()
    first, challenge = await challenged(talk, name)
    nonce = scram.attributes(challenge)["r"]
    binding = talk.certificate + talk.transcript
    data, _ = scram.final(first, challenge, PASSWORD, binding, nonce=nonce[:-1] + ("A" if nonce[-1] != "A" else "B"))
    talk.check_refusal(await talk.ask("AUTH_RESPONSE", data=data), "AUTH_FAILED")
    await talk.log_in(name, PASSWORD)


@case("4.2-4", "a-proof-that-is-none", "signup")
async def no_proof(bench: Bench) -> None:
    _, name = await bench.signed_up()
    for broken in (b"", b",p=", b",p=!"):
        talk = await bench.negotiated()
        first, challenge = await challenged(talk, name)
        data, _ = scram.final(first, challenge, PASSWORD, talk.certificate + talk.transcript)
        talk.check_refusal(await talk.ask("AUTH_RESPONSE", data=data[: data.index(b",p=")] + broken), "AUTH_FAILED")


@case("4.2-4", "a-proof-of-another-login", "signup")
async def replayed(bench: Bench) -> None:
    talk, name = await bench.signed_up()
    first, challenge = await challenged(talk, name)
    data, _ = scram.final(first, challenge, PASSWORD, talk.certificate + talk.transcript)
    await talk.done("AUTH_RESPONSE", data=data)
    again = await bench.negotiated()
    await again.done("AUTH_START", mechanism=MECHANISM, user=name, data=first)
    answer = await again.ask("AUTH_RESPONSE", data=data)
    # What is recorded is bound to the negotiation of then, too.
    if answer.pdu.name == "ERROR" and answer["fatal"]:
        await again.fatal("DOWNGRADE")
    else:
        again.check_refusal(answer, "AUTH_FAILED")


async def bound_to(bench: Bench, binding: bytes, talk: Talk) -> None:
    """Prove the right password, but bound to something else."""
    account = await bench.target.account(0)
    first, challenge = await challenged(talk, account.user)
    data, _ = scram.final(first, challenge, account.password, binding)
    talk.say("AUTH_RESPONSE", id=talk.next_id(), data=data)


@case("4.2-5", "another-certificate", "login")
async def another_certificate(bench: Bench) -> None:
    talk = await bench.negotiated()
    await bound_to(bench, os.urandom(32) + talk.transcript, talk)
    await talk.over("DOWNGRADE")


@case("4.2-5", "another-negotiation", "login")
async def another_negotiation(bench: Bench) -> None:
    talk = await bench.negotiated()
    await bound_to(bench, talk.certificate + os.urandom(32), talk)
    await talk.over("DOWNGRADE")


@case("4.3-1", "the-transcript-is-never-left-out", "login")
async def no_transcript(bench: Bench) -> None:
    talk = await bench.negotiated()
    await bound_to(bench, talk.certificate, talk)
    await talk.over("DOWNGRADE")


@case("4.3-2", "a-client-that-sees-no-certificate", "login")
async def blind(bench: Bench) -> None:
    talk = await bench.negotiated()
    await bound_to(bench, talk.transcript, talk)
    await talk.until(lambda: talk.ear.find(lambda each: each.pdu.name in ("AUTH_OK", "ERROR")), "AUTH_OK or ERROR")
    if talk.all("AUTH_OK"):
        bench.notes.append("its policy lets in who cannot see the certificate")
    else:
        await talk.over("DOWNGRADE")


@case("4.2-6", "a-login-in-time", slow=True)
async def in_time(bench: Bench) -> None:
    talk = await bench.negotiated()
    await talk.over("AUTH_FAILED", patience=book().limits["login"] + 5)


@case("4.2-7", "too-much-before-the-login")
async def too_much(bench: Bench) -> None:
    talk = await bench.negotiated()
    for _ in range(book().limits["before_login"] // 4096 + 1):
        # Of a type that has to be ignored (2.5-1), but not for nothing.
        talk.say_bytes(frame(cbor.dump({VERSION: talk.version, TYPE: 201, BODY: {33: bytes(4096)}})))
    await talk.over("LIMIT")


@case("4.2-8", "one-session-for-a-device", "login")
async def replaced(bench: Bench) -> None:
    first = await bench.ready()
    other = await bench.ready()
    again = await bench.ready(device=first.device)
    await first.over("SESSION_REPLACED")
    await again.barrier()
    await other.barrier()


@case("4.2-9", "all-rooms-in-heads", "other", "rooms", since=2)
async def heads(bench: Bench) -> None:
    one, other = await bench.ready(0), await bench.ready(1)
    room = await bench.room(one)
    ack = await chat.post(one, room=room)
    direct = await chat.post(one, user=other.user)
    account = await bench.target.account(0)
    talk = await bench.negotiated()
    rows = {row[0]: row[1:] for row in (await talk.log_in(account.user, account.password))["heads"] or ()}
    wanted = {"*", "general", room, direct["room"]}
    if len(rows) < 512:
        check(wanted <= rows.keys(), f"heads leaves out {sorted(wanted - rows.keys())}")
        same(rows[room][:2], [ack["epoch"], ack["seq"]], "epoch and head of a room in heads")
        check(rows[room][2] <= ack["seq"], "more was delivered than there is")


@case("4.2-10", "nobody-names-a-sender", "login")
async def forged(bench: Bench) -> None:
    talk = await bench.ready()
    number = book().kinds["MSG_SEND"].number
    body = {1: "general", 3: chat.cid(), 5: "a word", 18: "somebody-else"}
    talk.say_bytes(frame(cbor.dump({VERSION: talk.version, TYPE: number, ID: talk.next_id(), BODY: body})))
    await talk.fatal("SCHEMA")


@case("4.2-11", "a-token-with-each-login", "login", since=2)
async def tokens(bench: Bench) -> None:
    account = await bench.target.account(0)
    found = []
    for _ in range(2):
        talk = await bench.negotiated()
        found.append(await talk.log_in(account.user, account.password))
    check(
        all(each["token"] is not None and len(each["token"]) == 32 for each in found),
        "AUTH_OK has no token of 32 bytes",
    )
    check(found[0]["token"] != found[1]["token"], "two logins brought the same token")
    check(all(each["expires"] for each in found), "AUTH_OK does not say when the token expires")


@case("4.2-11", "no-token-in-version-1", "login")
async def no_token(bench: Bench) -> None:
    if 1 not in bench.target.versions:
        raise Unimplemented("version 1 is not spoken")
    account = await bench.target.account(0)
    talk = await bench.negotiated(1)
    found = await talk.log_in(account.user, account.password)
    same((found["token"], found["expires"], found["heads"]), (None, None, None), "what version 1 has no fields for")
