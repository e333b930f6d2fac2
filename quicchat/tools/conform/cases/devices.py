"""Cases of chapter 4: coming back with a token, another password, sessions and their end. (spec 04-accounts)"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from typing import Any, Final

from quicchat.tools.conform import chat, scram
from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.book import book, frame, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.accounts import challenged
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import ITERATIONS, SALT, Talk
from quicchat.tools.conform.verdict import NonStrict, check, same

NEW: Final = "Another-horse-8"
OK, TRUNCATED, RESET, GONE = range(4)


# Whoever is admitted again is in an account of his own: who is put out of a room meanwhile is not (4.3-12).
async def resume(talk: Talk, token: bytes | None, **fields: Any) -> Heard:
    """Come back: RESUMED, whose proof is checked; the session is admitted."""
    found = await talk.done("RESUME", **{"token": token, "have": [], "outstanding": [], **fields})
    wanted = hmac.digest(token or b"", talk.transcript, "sha256")
    same(found["proof"], wanted, "the proof of RESUMED (4.3-5)")
    talk.user, talk.token = found["user"], found["token"]
    await talk.hear("PRESENCE_SNAPSHOT")
    return found


async def expired(talk: Talk, token: bytes | None) -> str:
    """Try to come back with a token that is none; the text of the refusal, after which all goes on."""
    found = await talk.patiently("RESUME", token=token, have=[], outstanding=[])
    talk.check_refusal(found, "TOKEN_EXPIRED")
    return str(found["text"])


@case("4.3-3", "a-token-is-good-once", "signup", since=2)
async def once(bench: Bench) -> None:
    first = await bench.newcomer()
    first.line.close(0x100)
    second = await bench.negotiated(device=first.device)
    found = await resume(second, first.token)
    same(found["user"], first.user, "the user of RESUMED")
    check(found["token"] != first.token, "RESUMED brought the old token")
    third = await bench.negotiated(device=first.device)
    await expired(third, first.token)
    await resume(third, found["token"])
    await second.over("SESSION_REPLACED")


@case("4.3-3", "all-that-is-no-token", "login", since=2)
async def no_tokens(bench: Bench) -> None:
    account = await bench.target.account(0)
    first = await bench.ready(0)
    again = await bench.ready(0, device=first.device)
    texts = {}
    talk = again
    for why, device, token in (
        ("unknown", first.device, os.urandom(32)),
        ("replaced by another login", first.device, first.token),
        ("of another device", os.urandom(16), again.token),
    ):
        talk = await bench.negotiated(device=device)
        texts[why] = await expired(talk, token)
    same(len(set(texts.values())), 1, f"the number of texts by which tokens are refused ({texts})")
    await talk.log_in(account.user, account.password)
    await again.barrier()


@case("4.3-3", "of-two-at-once-one-is-let-in", "signup", since=2)
async def of_two(bench: Bench) -> None:
    first = await bench.newcomer()
    talks = [await bench.negotiated(device=first.device) for _ in range(2)]
    for talk in talks:
        talk.say("RESUME", id=talk.next_id(), token=first.token, have=[], outstanding=[])
    await asyncio.gather(*(talk.ear.quietly(lambda talk=talk: _decided(talk), 5.0) for talk in talks))  # type: ignore[misc]  # the default binds it now
    same(sorted(bool(talk.all("PRESENCE_SNAPSHOT")) for talk in talks), [False, True], "who of two was admitted")
    for talk in talks:
        if talk.all("PRESENCE_SNAPSHOT"):
            await talk.barrier()
        else:
            codes = {book().code(each["code"]) for each in talk.all("ERROR")}
            same(codes, {"TOKEN_EXPIRED"}, "why the other one was not")


def _decided(talk: Talk) -> bool | None:
    return bool(talk.all("PRESENCE_SNAPSHOT") or talk.all("ERROR")) or None


@case("4.3-3", "in-the-first-flight", "signup", since=2)
async def first_flight(bench: Bench) -> None:
    first = await bench.newcomer()
    talk = await bench.dial(device=first.device)
    request = talk.say("VERSION_REQUEST", version=1, versions=[2, 1], device=talk.device)
    fields: dict[str, Any] = {"token": first.token, "have": [], "outstanding": []}
    talk.say_bytes(frame(write("RESUME", fields, version=2, id=77)))
    response = await talk.hear("VERSION_RESPONSE")
    talk.version = response["version"]
    found = await talk.answer(77)
    same(found.pdu.name, "RESUMED", "the answer to RESUME behind VERSION_REQUEST")
    transcript = hashlib.sha256(request + response.pdu.data).digest()
    same(found["proof"], hmac.digest(first.token or b"", transcript, "sha256"), "the proof of RESUMED (4.3-5)")
    await talk.hear("PRESENCE_SNAPSHOT")
    await talk.done("ECHO", data="back")


@case("4.3-4", "one-session-for-a-device", "signup", since=2)
async def takes_over(bench: Bench) -> None:
    first = await bench.newcomer()
    again = await bench.negotiated(device=first.device)
    await resume(again, first.token)
    await first.over("SESSION_REPLACED")
    await again.barrier()


@case("4.3-5", "the-proof-of-who-is-there", "signup", since=2)
async def proof(bench: Bench) -> None:
    first = await bench.newcomer()
    await resume(await bench.negotiated(device=first.device), first.token)


@case("4.3-6", "where-the-device-goes-on", "signup", "rooms", since=2)
async def goes_on(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.ready(1)
    told, untold = await bench.room(one, other), await bench.room(one, other)
    for room in (told, untold):
        await chat.post(other, room=room)
    ack = await chat.post(other, room=untold)
    one.say("RECEIPT", room=untold, delivered=ack["seq"] - 1)
    await one.barrier()
    head = (await chat.post(other, room=told))["seq"]
    again = await bench.negotiated(device=one.device)
    found = await resume(again, one.token, have=[[told, ack["epoch"], 1]])
    rows = {row[0]: row[1:] for row in found["rooms"]}
    check({"general", "*", told, untold} <= rows.keys(), "RESUMED leaves rooms out")
    same(rows[told], [ack["epoch"], head, 1, OK], "the room whose place the device told")
    same(rows[untold], [ack["epoch"], ack["seq"], ack["seq"] - 1, OK], "the room whose place it did not tell")


@case("4.3-7", "a-log-that-is-another", "signup", "rooms", since=2)
async def another_log(bench: Bench) -> None:
    one = await bench.newcomer()
    wrong, beyond = await bench.room(one), await bench.room(one)
    epoch = (await chat.standing(one, beyond))["epoch"]
    again = await bench.negotiated(device=one.device)
    found = await resume(again, one.token, have=[[wrong, epoch + 1, 1], [beyond, epoch, 1000]])
    rows = {row[0]: row[1:] for row in found["rooms"]}
    for room in (wrong, beyond):
        same(rows[room][:2] + rows[room][3:], [epoch, 1, RESET], "epoch, head and verdict of a log that is another")
        check(rows[room][2] <= 1, f"the device goes on from {rows[room][2]}, which there is not")


@case("4.3-8", "a-room-that-is-not-his", "signup", "rooms", since=2)
async def not_his(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.ready(1)
    left, private = await bench.room(one), await bench.room(other)
    await one.done("ROOM_LEAVE", room=left)
    again = await bench.negotiated(device=one.device)
    none = bench.target.name("r")
    asked = [[left, 3, 1], [private, 4, 1], [none, 5, 1]]
    found = await resume(again, one.token, have=asked)
    rows = {row[0]: row[1:] for row in found["rooms"]}
    for room, epoch, _ in asked:
        same(rows.get(room), [epoch, 0, 0, GONE], "a room that is not his")


@case("4.3-9", "which-messages-are-known", "signup", since=2)
async def known(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.ready(1)
    mine = await chat.post(one, user=other.user)
    his = await chat.post(other, user=one.user)
    again = await bench.negotiated(device=one.device)
    found = await resume(again, one.token, outstanding=[os.urandom(16), mine["cid"], his["cid"]])
    same(found["known"], [[mine["cid"], mine["seq"]]], "what is known of three outstanding")


@case("4.3-10", "what-was-missed", "signup", "rooms", since=2)
async def missed(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.ready(1)
    room = await bench.room(one, other)
    one.line.close(0x100)
    acks = [await chat.post(other, f"missed {number}", room=room) for number in range(3)]
    again = await bench.negotiated(device=one.device)
    place = acks[0]["seq"] - 1
    await resume(again, one.token, have=[[room, acks[0]["epoch"], place]])
    await again.barrier()
    found = [each["seq"] for each in chat.heard(again, room)]
    wanted = [each["seq"] for each in acks]
    if not found:
        raise NonStrict("what the device missed was not sent behind RESUMED")
    same(found, wanted, "the places of what was missed")


def changed(current: str) -> dict[str, Any]:
    """The fields of PASSWORD, by somebody who believes that this is the password in force."""
    salt = hashlib.sha256(SALT + current.encode()).digest()
    key = scram.client_key(scram.salted(current, salt, ITERATIONS))
    fresh = hashlib.sha256(SALT + NEW.encode()).digest()
    stored, server = scram.stored(scram.salted(NEW, fresh, ITERATIONS))
    return {"salt": fresh, "iterations": ITERATIONS, "stored_key": stored, "server_key": server, "current": key}


@case("4.4-1", "another-password", "signup", since=2)
async def password(bench: Bench) -> None:
    one = await bench.newcomer()
    other = await bench.again(one)
    await one.done("PASSWORD", **changed(PASSWORD))
    await other.over("TOKEN_EXPIRED")
    talk = await bench.negotiated(device=other.device)
    await expired(talk, other.token)
    await talk.log_in(one.user, NEW)
    await one.barrier()
    # The token of the device that asked stays.
    await resume(await bench.negotiated(device=one.device), one.token)


@case("4.4-2", "a-wrong-current-password", "signup", since=2)
async def wrong_password(bench: Bench) -> None:
    one = await bench.newcomer()
    other = await bench.again(one)
    await one.refused("AUTH_FAILED", "RATE_LIMITED", request="PASSWORD", **{**changed(PASSWORD), "current": bytes(32)})
    await other.barrier()
    await bench.again(one)


@case("4.4-3", "a-challenge-of-before", "signup", since=2)
async def old_challenge(bench: Bench) -> None:
    one = await bench.newcomer()
    talk = await bench.negotiated()
    first, challenge = await challenged(talk, one.user)
    await one.done("PASSWORD", **changed(PASSWORD))
    data, _ = scram.final(first, challenge, PASSWORD, talk.certificate + talk.transcript)
    talk.check_refusal(await talk.ask("AUTH_RESPONSE", data=data), "AUTH_FAILED")
    await talk.log_in(one.user, NEW)


async def sessions(talk: Talk) -> list[Any]:
    """The rows of SESSIONS."""
    found = await talk.patiently("SESSIONS")
    same(found.pdu.name, "SESSIONS", "the answer to SESSIONS")
    return list(found["sessions"] or ())


@case("4.5-1", "ones-own-sessions", "signup", since=2)
async def own_sessions(bench: Bench) -> None:
    one = await bench.newcomer()
    away = await bench.again(one)
    away.say("BYE")
    await away.ear.quietly(lambda: away.line.closed, 6.0)
    other = await bench.again(one)
    rows = await sessions(other)
    same(
        [(row[1], bool(row[0]), row[5]) for row in rows],
        [(other.device, True, True), (one.device, True, False), (away.device, False, False)],
        "device, whether it is here, whether it asks",
    )


@case("4.5-2", "a-session-is-ended", "signup", since=2)
async def revoked(bench: Bench) -> None:
    one = await bench.newcomer()
    other, third = await bench.again(one), await bench.again(one)
    (number,) = [row[0] for row in await sessions(one) if row[1] == other.device]
    await one.done("REVOKE", session=number)
    await other.over("TOKEN_EXPIRED")
    await one.done("REVOKE", device=third.device)
    await third.over("TOKEN_EXPIRED")
    for talk in (other, third):
        await expired(await bench.negotiated(device=talk.device), talk.token)
    same([row[1] for row in await sessions(one)], [one.device], "the devices that are left")


@case("4.5-2", "logging-out", "signup", since=2)
async def logged_out(bench: Bench) -> None:
    one = await bench.newcomer()
    number = one.next_id()
    one.say("REVOKE", id=number, device=one.device)
    same((await one.answer(number)).pdu.name, "OK", "the answer to REVOKE of one's own device")
    await one.over("TOKEN_EXPIRED")
    await expired(await bench.negotiated(device=one.device), one.token)


@case("4.5-3", "a-session-of-somebody-else", "signup", since=2)
async def not_ours(bench: Bench) -> None:
    one, other = await bench.ready(0), await bench.newcomer()
    await one.done("REVOKE", device=other.device)
    for row in await sessions(other):
        if row[1] == other.device:
            await one.done("REVOKE", session=row[0])
    await one.done("REVOKE", session=2**40)
    await one.done("REVOKE", device=os.urandom(16))
    await other.barrier()
    await resume(await bench.negotiated(device=other.device), other.token)


@case("4.5-3", "neither-session-nor-device", "login", since=2)
async def neither(bench: Bench) -> None:
    talk = await bench.ready()
    await talk.refused("SCHEMA", request="REVOKE")
