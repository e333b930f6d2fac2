"""Cases of chapter 3: health, errors, leaving. (spec 03-session)"""

from __future__ import annotations

import hashlib
import os
import signal
from typing import Any, Final

from quicchat.tools.conform import scram
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, annotated, book, frame, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cbor import dump
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.quic import Wishes
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, NonStrict, check
from quicchat.tools.conform.ways import QUERY, enter, newcomer, over, shut

#: Until somebody of whom nothing is heard is given up.
SILENCE: Final = float(book().limits["silence"])
NEGOTIATION: Final = float(book().limits["negotiation"])
MISUSES: Final = book().limits["misuses"]
DRAIN: Final = float(book().limits["drain"])


# 3.2 Health


@case("3.2-1", "pong-of-the-same-nonce")
async def pong(bench: Bench) -> None:
    talk = await bench.negotiated()
    for number, nonce in enumerate((0, 23, 2**32, 2**53 + 1, 2**64 - 1), 70):
        talk.say("PING", id=number, nonce=nonce)
        found = await talk.hear("PONG")
        check(found["nonce"] == nonce, f"PING of {nonce} had a PONG of {found['nonce']}")
        check(found.pdu.re == number, f"PING {number} had a PONG with re {found.pdu.re}")


@case("3.2-1", "in-the-order-of-the-pings", "login")
async def pings_in_order(bench: Bench) -> None:
    talk = await bench.ready()
    for nonce in range(50):
        talk.say("PING", nonce=nonce)
    came = [(await talk.hear("PONG"))["nonce"] for _ in range(50)]
    check(came == list(range(50)), f"PINGs of 0 to 49 had PONGs of {came}")


@case("3.2-1", "behind-what-was-written", "login", "other", "rooms", since=2)
async def behind(bench: Bench) -> None:
    """What was pushed before a PONG stands before it: who has the PONG has it all."""
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    for number in range(20):
        await post(alice, str(number), room=room)
    await bob.barrier()
    came = [each for each in bob.all("MSG") if each["room"] == room and each["kind"] == 1]
    head = any(each["room"] == room for each in bob.all("ROOM_HEAD"))
    check(len(came) == 20 or head, f"{len(came)} of 20 messages came before the PONG")


@case("3.2-1", "while-a-login-goes-on", "login")
async def ping_in_login(bench: Bench) -> None:
    talk = await bench.at("CHALLENGED")
    await talk.barrier()


@case("3.2-1", "R3.10-in-draining", "login")
async def unasked_pong(bench: Bench) -> None:
    """A PONG that answers nothing is no fault."""
    talk = await bench.ready()
    talk.say("PONG", nonce=5)
    await talk.barrier()


@case("3.2-4", "R3.12-silence", "login", slow=True)
async def silence(bench: Bench) -> None:
    """Nothing but acknowledgements."""
    talk = await bench.dial(Wishes(idle=90))
    await talk.negotiate()
    await enter(bench, talk)
    await over(talk, patience=SILENCE * 1.5)


@case("3.2-5", "digest", "login", "signup", since=2)
async def digest(bench: Bench) -> None:
    """Of all that this session hears, at one moment; somebody new, since others are in rooms of many cases."""
    talk = await newcomer(bench)
    await post(talk, "to myself", user=talk.user)
    rows = await _rows(talk)
    while True:
        talk.say("PING", nonce=9)
        found = await talk.hear("PONG", lambda each: bool(each["nonce"] == 9))
        before, rows = rows, await _rows(talk)
        if before == rows:
            break
    if found["digest"] is None:
        raise NonStrict("a PONG has no digest")
    wanted = hashlib.sha256(dump(rows)).digest()[:16]
    check(found["digest"] == wanted, f"the digest of {rows} is {found['digest'].hex()}, not {wanted.hex()}")


@case("3.2-5", "none-while-events-are-held-back", "login", "other", "signup", since=2)
async def no_digest_while_held(bench: Bench) -> None:
    talk, other = await newcomer(bench), await bench.ready(1)
    await talk.done("PRESENCE_SET", show=1, hold=True)
    await post(other, "held", user=talk.user)
    talk.say("PING", nonce=9)
    found = await talk.hear("PONG", lambda each: bool(each["nonce"] == 9))
    check(found["digest"] is None, "a PONG has a digest while a message is held back")


async def _rows(talk: Talk) -> list[list[Any]]:
    """Room, epoch and head of each room in whose log is something, by name."""
    found = await talk.done("TARGETS")
    rows = [[row[0], row[1], row[2]] for row in found["targets"] if row[2]]
    return sorted(rows, key=lambda row: row[0].encode())


@case("3.2-5", "none-in-version-1", "login")
async def no_digest(bench: Bench) -> None:
    talk = await bench.ready(0, 1)
    talk.say("PING", nonce=9)
    check((await talk.hear("PONG"))["digest"] is None, "a PONG of version 1 has a digest")


# 3.3 ERROR


@case("3.3-1", "nothing-after-it", "login")
async def nothing_after(bench: Bench) -> None:
    """ERROR is the last that its sender says."""
    talk = await bench.ready()
    talk.say("ECHO", id=900, data="before")
    talk.say_bytes(b"\0")
    for number in range(901, 920):
        talk.say("ECHO", id=number, data="after")
    await talk.fatal("DECODE")
    last = [each for each in talk.heard if each.sid == talk.control][-1]
    check(last.pdu.name == "ERROR" and last["fatal"], f"{annotated(last.pdu.data)} came after the fatal ERROR")
    check(not any(each["data"] == "after" for each in talk.all("ECHO")), "a request behind the fault was served")


@case("3.3-2", "a-refused-login-can-be-tried-again", "login")
async def refused_login(bench: Bench) -> None:
    talk = await bench.negotiated()
    account = await bench.target.account(0)
    first = scram.first(account.user, os.urandom(18))
    found = await talk.ask("AUTH_START", mechanism="NONE", user=account.user, data=first)
    talk.check_refusal(found, "AUTH_FAILED")
    await talk.log_in(account.user, account.password)


@case("3.3-3", "S2-fatal-error-of-the-client", "login")
async def fatal_of_client(bench: Bench) -> None:
    for code in (book().codes["INTERNAL"], 0x7FFF_FFFF):
        talk = await bench.ready()
        talk.say("ERROR", code=code, fatal=True)
        talk.say("ECHO", id=900, data="x")
        talk.say_bytes(b"\0")
        await talk.ear.quietly(lambda talk=talk: (talk.heard and talk.all("ECHO")) or None, 1.0)  # type: ignore[misc]  # the default binds it now
        check(not talk.all("ECHO"), "a request behind a fatal ERROR was served")
        check(not talk.all("ERROR"), "what followed a fatal ERROR was refused")


@case("3.3-3", "who-failed-has-left", "login", "other", "signup", "rooms", "presence", since=2)
async def failed_and_left(bench: Bench) -> None:
    """The connection counts as closed, whether a close comes or not."""
    watcher, talk = await bench.ready(1), await newcomer(bench)
    await bench.room(talk, watcher)
    await watcher.barrier()
    talk.say("ERROR", code=book().codes["INTERNAL"], fatal=True)
    await watcher.hear("PRESENCE", lambda each: bool(each["user"] == talk.user and each["show"] == 0))


@case("3.3-4", "requests-that-cannot-be-carried-out", "login", "rooms", since=2)
async def cannot(bench: Bench) -> None:
    """Each is refused, and nothing closes."""
    talk = await bench.ready()
    none = bench.target.name("none")
    room = await bench.room(talk)
    for name, fields in (
        ("ROOM_JOIN", {"room": none}),
        ("ROOM_LEAVE", {"room": none}),
        ("ROOM_SET", {"room": none, "topic": "x"}),
        ("ROOM_CREATE", {"room": room}),
        ("MEMBERS", {"room": none}),
        ("INVITE", {"room": none, "user": none}),
        ("KICK", {"room": room, "user": none}),
        ("ROLE", {"room": none, "user": none, "rank": 2}),
        ("MSG_SEND", {"room": none, "cid": cid(), "text": "x"}),
        ("MSG_SEND", {"user": none, "cid": cid(), "text": "x"}),
        ("MSG_SEND", {"cid": cid(), "text": "x"}),
        ("HISTORY", {"room": none, "window": 4}),
        ("RECEIPTS", {"room": none}),
    ):
        found = await talk.ask(name, **fields)
        check(
            found.pdu.name == "ERROR" and not found["fatal"],
            f"{name} of what there is not was answered by {annotated(found.pdu.data)}",
        )
    await talk.barrier()


def _misused(talk: Talk, number: int) -> bytes:
    """One of three PDUs that are refused with STATE, UNSUPPORTED and STREAM_MISUSE."""
    match number % 3:
        case 0:
            data = write("VERSION_REQUEST", {"versions": [1], "device": talk.device}, version=talk.version, id=number)
        case 1:
            data = dump({VERSION: talk.version, TYPE: 200, 2: number, BODY: {}})
        case _:
            data = dump({VERSION: talk.version, TYPE: 0x0C, 2: number, BODY: {1: QUERY}})
    return frame(data)


@case("3.3-5", "misuses-are-counted", "login")
async def misuses(bench: Bench) -> None:
    """A number of them is refused, and then it is enough."""
    talk = await bench.ready()
    for number in range(1000, 1000 + MISUSES):
        talk.say_bytes(_misused(talk, number))
    for number in range(1000, 1000 + MISUSES):
        talk.check_refusal(await talk.answer(number), "STATE", "UNSUPPORTED", "STREAM_MISUSE")
    for number in range(2000, 2010):
        talk.say_bytes(_misused(talk, number))
    await talk.fatal("LIMIT")


@case("3.3-5", "ordinary-refusals-are-not", "login")
async def not_counted(bench: Bench) -> None:
    talk = await bench.ready()
    none = bench.target.name("none")
    numbers = range(1000, 1000 + MISUSES + 10)
    for number in numbers:
        talk.say("MSG_SEND", id=number, user=none, cid=cid(), text="x")
    for number in numbers:
        talk.check_refusal(await talk.answer(number), "NO_SUCH_USER", "RATE_LIMITED")
    await talk.barrier()


# 3.5 Leaving


@case("3.5-1", "S10-what-follows-is-ignored", "login")
async def after_bye(bench: Bench) -> None:
    """Neither answered nor held against anybody."""
    talk = await bench.ready()
    talk.say("BYE", reason="quit")
    talk.say("ECHO", id=900, data="late")
    talk.say("AUTH_OK", user="x", session=1, proof=b"")
    talk.say_bytes(b"\0\xff\x00")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)
    check(not talk.all("ECHO"), "a request behind BYE was served")
    check(not talk.all("ERROR"), "what followed BYE was refused")


@case("3.5-1", "S10-packets-that-follow", "login", "rooms", since=2)
async def packets_after_bye(bench: Bench) -> None:
    """On any stream, in packets of their own, while what came before is still being served."""
    talk = await bench.ready()
    room = await bench.room(talk)
    query = talk.open(QUERY)
    for number in range(900, 960):
        talk.say("MSG_SEND", id=number, room=room, cid=cid(), text="x")
    talk.say("BYE")
    talk.line.flush()
    for number in range(1000, 1010):
        talk.say("ECHO", id=number, data="late")
        talk.line.flush()
        talk.say("ROOM_LIST", sid=query, id=number + 100, limit=1)
        talk.line.flush()
    talk.say_bytes(b"\0")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)
    late = [each for each in talk.heard if each.pdu.re in range(1000, 1110) or each.pdu.name == "ERROR"]
    # Streams are not ordered: a request on another one may have overtaken BYE.
    late = [each for each in late if each.sid == talk.control]
    check(not late, f"{annotated(late[0].pdu.data)} came for what followed BYE" if late else "")


@case("3.5-2", "requests-before-it-are-answered", "login", "rooms", since=2)
async def before_bye(bench: Bench) -> None:
    talk = await bench.ready()
    room = await bench.room(talk)
    for number in range(900, 940):
        talk.say("MSG_SEND", id=number, room=room, cid=cid(), text="x")
    talk.say("BYE")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)
    came = [each.pdu.re for each in talk.all("MSG_ACK")]
    check(sorted(came, key=str) == list(range(900, 940)), f"{len(came)} of 40 requests were answered before the close")


@case("3.5-2", "version-1", "login")
async def before_bye_in_1(bench: Bench) -> None:
    talk = await bench.ready(0, 1)
    talk.say("ECHO", id=900, data="x")
    talk.say("BYE")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)
    check(len(talk.all("ECHO")) == 1, "a request before BYE was not answered")


@case("3.5-2", "before-login")
async def bye_early(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say("BYE")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)


@case("3.5-2", "while-a-login-goes-on", "login")
async def bye_in_login(bench: Bench) -> None:
    talk = await bench.at("CHALLENGED")
    talk.say("BYE")
    await shut(talk, "NO_ERROR", patience=DRAIN + 2)


@case("3.5-4", "S12-fin", "login")
async def fin(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(b"", fin=True)
    await over(talk)
    check(not talk.all("ERROR"), "a client that ended its control stream was told of an error")


@case("3.5-4", "S12-fin-behind-requests", "login")
async def fin_behind(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(frame(write("ECHO", {"data": "x"}, version=talk.version, id=900)), fin=True)
    await over(talk)


@case("3.5-4", "S12-reset", "login")
async def reset(bench: Bench) -> None:
    talk = await bench.ready()
    talk.line.reset(talk.control, 0x100)
    await over(talk)


@case("3.5-4", "S12-before-login")
async def fin_early(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say_bytes(b"", fin=True)
    await over(talk)


@case("3.5-4", "S12-the-user-has-left", "login", "other", "signup", "presence", since=2)
async def user_left(bench: Bench) -> None:
    """Others learn of it as of any other end."""
    watcher = await bench.ready(1)
    talk = await newcomer(bench)
    name = bench.target.name("r")
    await talk.done("ROOM_CREATE", room=name)
    await watcher.done("ROOM_JOIN", room=name)
    talk.say_bytes(b"", fin=True)
    await over(talk)
    await watcher.hear("PRESENCE", lambda each: each["user"] == talk.user and each["show"] == 0)


@case("10.1-5", "requests-that-cross-the-goaway", "login", "control", since=2)
async def crossing(bench: Bench) -> None:
    """What was legal before is still accepted, to be answered or refused, but not held against the client."""
    control = bench.target.control
    assert control is not None
    talk = await bench.ready()
    await talk.barrier()
    control.signal(signal.SIGTERM)
    try:
        await talk.hear("GOAWAY")
        talk.say("ECHO", id=900, data="late")
        talk.say("MSG_SEND", id=901, user=talk.user, cid=cid(), text="late")
        await shut(talk, "DRAINING", patience=DRAIN + 2)
    finally:
        await control.gone()
        await control.start()
    wrong = [each for each in talk.all("ERROR") if each["fatal"] or book().code(each["code"]) == "STATE"]
    check(not wrong, f"{annotated(wrong[0].pdu.data)} came for a request that crossed the GOAWAY" if wrong else "")


# 3.6 ECHO


@case("3.6-1", "echo", "login")
async def echo(bench: Bench) -> None:
    talk = await bench.ready()
    for data in ("a word", "", "x" * 32_768, "\u017elu\u0165 \U0001f642 \0 \x1b[0m", "\ufeff\u200f"):
        found = await talk.done("ECHO", data=data)
        if found["data"] != data:
            raise Failed(f"it came back as {found['data']!r}")
