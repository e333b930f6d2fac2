"""Rows A and Z: getting in, and doing what is not one's own."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from quicchat.tools.conform import scram
from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.book import BODY, TYPE, VERSION, book, frame
from quicchat.tools.conform.cbor import dump
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from tests.hostile.arena import Arena


async def proof(talk: Talk, user: str, password: str) -> bytes:
    """What proves a password, or not."""
    first = scram.first(user, os.urandom(18))
    challenge = await talk.done("AUTH_START", mechanism="SCRAM-SHA-256", user=user, data=first)
    return scram.final(first, challenge["data"], password, talk.certificate + talk.transcript)[0]


async def prove(talk: Talk, user: str, password: str) -> Heard:
    """Try to log in; the answer to the proof, whatever it is."""
    return await talk.ask("AUTH_RESPONSE", data=await proof(talk, user, password))


def cid() -> bytes:
    return os.urandom(16)


def test_a1_unknown_or_wrong(arena: Arena) -> None:
    """A1: an unknown name and a wrong password get the same code, the same text, at the same time."""

    async def attack(bench: Bench) -> None:
        account = await bench.target.account(0)
        took: dict[str, list[float]] = {account.user: [], bench.target.name("nobody"): []}
        said = set()
        for _ in range(3):
            for user, times in took.items():
                talk = await bench.negotiated()
                wrong = await proof(talk, user, "wrong")
                began = time.perf_counter()
                found = await talk.ask("AUTH_RESPONSE", data=wrong)
                times.append(time.perf_counter() - began)
                talk.check_refusal(found, "AUTH_FAILED")
                said.add((found["text"], found["retry_after"], found["detail"]))
        assert len(said) == 1
        one, other = (min(times) for times in took.values())
        # A derivation would show: it takes a hundred times as long as the rest.
        assert abs(one - other) < 0.1

    arena.play(attack, strangers=6)


def test_a2_names_that_are_taken(strict: Arena) -> None:
    """A2: NAME_TAKEN three times, then no more answers for this network."""

    async def attack(bench: Bench) -> None:
        taken = (await bench.target.account(1)).user
        talk = await bench.negotiated()
        codes = [book().code((await talk.sign_up(taken, PASSWORD))["code"]) for _ in range(5)]
        assert codes == ["NAME_TAKEN"] * 3 + ["RATE_LIMITED"] * 2

    strict.play(attack, strangers=1, tries=1)


def test_a3_wrong_passwords(arena: Arena) -> None:
    """A3: the third on one connection ends it; the owner gets in all the same."""

    async def attack(bench: Bench) -> None:
        account = await bench.target._made()
        talk = await bench.negotiated()
        for _ in range(2):
            talk.check_refusal(await prove(talk, account.user, "wrong"), "AUTH_FAILED")
        talk.say("AUTH_RESPONSE", id=99, data=await proof(talk, account.user, "wrong"))
        await talk.until(lambda: talk.ear.find(lambda each: bool(each.pdu.body.get(4))), "ERROR", patience=15)
        await talk.fatal("AUTH_FAILED")
        talk = await bench.negotiated()
        await talk.log_in(account.user, account.password)

    arena.play(attack, strangers=1, users=1)


def test_a4_forty_logins_at_once(arena: Arena) -> None:
    """A4: forty clients with one account prove themselves at the same time."""

    async def attack(bench: Bench) -> None:
        account = await bench.target.account(0)
        talks = [await bench.negotiated() for _ in range(40)]
        for talk in talks:
            assert talk.certificate
        await asyncio.gather(*(talk.log_in(account.user, account.password) for talk in talks))

    # Each login costs under two milliseconds, and all forty come before the next PING.
    arena.play(attack, users=40, lag=200)


def test_a6_nobody_logs_in(arena: Arena) -> None:
    """A6: fatal AUTH_FAILED after 15 s."""

    async def attack(bench: Bench) -> None:
        talk = await bench.negotiated()
        await talk.until(lambda: talk.ear.find(lambda each: each.pdu.name == "ERROR"), "ERROR", patience=18)
        await talk.fatal("AUTH_FAILED")

    arena.play(attack, strangers=1)


@pytest.mark.parametrize("how", ["revoked", "used"])
def test_a8_a_token_that_is_no_more(arena: Arena, how: str) -> None:
    """A8: refused with TOKEN_EXPIRED."""

    async def attack(bench: Bench) -> None:
        device = cid()
        talk = await bench.ready(0, device=device)
        token = talk.token
        if how == "revoked":
            await talk.done("REVOKE", device=device)
        else:
            talk.line.reset(talk.control, 0x100)
        await talk.ear.quietly(lambda: talk.line.closed, 5)
        again = await bench.negotiated(device=device)
        if how == "used":
            await again.done("RESUME", token=token, have=[], outstanding=[])
            # Only now the new one is in force (4.3-4).
            await again.hear("PRESENCE_SNAPSHOT")
            again = await bench.negotiated(device=device)
        await again.refused("TOKEN_EXPIRED", request="RESUME", token=token, have=[], outstanding=[])

    arena.play(attack, users=3)


@pytest.mark.choice
def test_a9_the_same_device_twice(arena: Arena) -> None:
    """A9: the newer session ends the older with SESSION_REPLACED, four times over; another device is left in peace."""

    async def attack(bench: Bench) -> None:
        device = cid()
        other, talk = await bench.ready(0), await bench.ready(0, device=device)
        for _ in range(4):
            newer = await bench.ready(0, device=device)
            await talk.fatal("SESSION_REPLACED")
            talk = newer
        await other.barrier()

    arena.play(attack, users=6)


@pytest.mark.choice
def test_z1_z2_rooms_of_others(arena: Arena) -> None:
    """Z1, Z2: whoever is not in a room is told what he would be told if there were none."""

    async def attack(bench: Bench) -> None:
        owner, stranger = await bench.ready(0), await bench.ready(1)
        room, none = await bench.room(owner), bench.target.name("none")
        await owner.done("MSG_SEND", room=room, cid=cid(), text="secret")
        for request, fields in (
            ("MSG_SEND", {"cid": cid(), "text": "x"}),
            ("HISTORY", {"window": 4, "limit": 10}),
            ("MEMBERS", {}),
            ("RECEIPTS", {}),
            ("INVITE", {"user": stranger.user}),
            ("ROOM_LEAVE", {}),
        ):
            told = set()
            for name in (room, none):
                found = await stranger.ask(request, room=name, **fields)
                stranger.check_refusal(found, "NO_SUCH_ROOM", "NOT_MEMBER")
                told.add((found["code"], found["text"]))
            assert len(told) == 1, request
        found = await stranger.ask("SEARCH", words="secret", room=room)
        assert found.pdu.name == "ERROR" or not found["events"]

    arena.play(attack, users=2)


def test_z3_another_sender(arena: Arena) -> None:
    """Z3: there is no field for it; what stands where MSG has it is no field of MSG_SEND, or means something else."""

    async def attack(bench: Bench) -> None:
        talk, other = await bench.ready(0), await bench.ready(1)
        room = await bench.room(talk, other)
        body = {1: room, 3: cid(), 5: "who said this?", 35: other.user, 33: other.user}
        talk.say_bytes(frame(dump({VERSION: 2, TYPE: 48, 2: 800, BODY: body})))
        found = await other.hear("MSG", lambda each: bool(each["text"] == "who said this?"))
        assert found["sender"] == talk.user
        for key in sorted({each.key for each in book().kinds["MSG"].fields} - set(range(1, 14))):
            liar = await bench.ready(0)
            liar.say_bytes(
                frame(dump({VERSION: 2, TYPE: 48, 2: 1, BODY: {1: room, 3: cid(), 5: "x", key: other.user}}))
            )
            await liar.fatal("SCHEMA")

    arena.play(attack, users=10)


@pytest.mark.choice
def test_z4_words_of_others(arena: Arena) -> None:
    """Z4: nobody edits or takes back what another said."""

    async def attack(bench: Bench) -> None:
        author, liar = await bench.ready(0), await bench.ready(1)
        room = await bench.room(author, liar)
        seq = (await author.done("MSG_SEND", room=room, cid=cid(), text="mine"))["seq"]
        kinds = book().kinds["MSG_SEND"].field("kind").type["of"]
        for name in ("EDIT", "RETRACT"):
            fields = {"room": room, "cid": cid(), "kind": kinds[name], "text": "yours", "refs": [seq]}
            await liar.refused("FORBIDDEN", request="MSG_SEND", **fields)

    arena.play(attack, users=2)


def test_z6_a_storm_of_joins(strict: Arena) -> None:
    """Z6: refused with RATE_LIMITED, and told when to come again."""

    async def attack(bench: Bench) -> None:
        talk = await bench.ready(1)
        codes = []
        for number in range(60):
            found = await talk.ask("ROOM_CREATE", room=f"{talk.user}-{number}"[:60])
            codes.append(found.pdu.name if found.pdu.name != "ERROR" else book().code(found["code"]))
            if found.pdu.name == "ERROR":
                assert found["retry_after"] > 0
        assert codes[0] == "ROOM_STATE"
        assert codes[-1] == "RATE_LIMITED"
        assert set(codes) == {"ROOM_STATE", "RATE_LIMITED"}

    strict.play(attack, users=1)


def test_z6_too_many_rooms(arena: Arena) -> None:
    """Z6: nobody is in more than 500."""

    async def attack(bench: Bench) -> None:
        account = await bench.target._made()
        talk = await bench.negotiated()
        await talk.log_in(account.user, account.password)
        codes = set()
        for number in range(510):
            found = await talk.ask("ROOM_CREATE", room=f"{account.user}-{number}")
            codes.add(found.pdu.name if found.pdu.name != "ERROR" else book().code(found["code"]))
        assert codes == {"ROOM_STATE", "LIMIT"}

    arena.play(attack, users=2)


def test_z9_orders_without_a_rank(arena: Arena) -> None:
    """Z9: KICK, ROLE and ROOM_SET of somebody who may not are refused with FORBIDDEN."""

    async def attack(bench: Bench) -> None:
        owner, member, other = [await bench.ready(who) for who in range(3)]
        room = await bench.room(owner, member, other)
        for request, fields in (
            ("KICK", {"user": other.user}),
            ("KICK", {"user": owner.user, "ban": True}),
            ("ROLE", {"user": member.user, "rank": 4}),
            ("ROLE", {"user": other.user, "rank": 0}),
            ("ROOM_SET", {"policy": 1}),
        ):
            await member.refused("FORBIDDEN", request=request, room=room, **fields)

    arena.play(attack, users=3)


@pytest.mark.parametrize(
    "name", ["\N{CYRILLIC SMALL LETTER A}dmin", "a\N{SOFT HYPHEN}b", "Admin", "bob ", "x" * 33, "", "a\x1b[2J"]
)
def test_u6_names(arena: Arena, name: str) -> None:
    """U6, U8: a name that is not plain is no name: fatal with SCHEMA, and no escape of it reaches the log."""

    async def attack(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say("AUTH_START", mechanism="SCRAM-SHA-256", user=name, data=b"x")
        await talk.fatal("SCHEMA", "NAME_INVALID")

    arena.play(attack, strangers=1)
    assert b"\x1b" not in arena.log()


@pytest.mark.choice
def test_u1_u2_u4_u7_u8_what_a_terminal_would_obey(arena: Arena) -> None:
    """U1, U2, U4, U7, U8: a body is passed on as it is, for the reader's end to show; nothing of it, nor of a device
    name, is in the log as it came.
    """
    nasty = "\x1b[2J\x1b]52;c;eA==\x07\x9b31m\r[SERVER]\b\n\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}"
    nasty += "\U000e0041\U0001fae8"

    async def attack(bench: Bench) -> None:
        one, other = await bench.ready(0), await bench.ready(1)
        room = await bench.room(one, other)
        await one.done("MSG_SEND", room=room, cid=cid(), text=nasty)
        await other.hear("MSG", lambda each: bool(each["text"] == nasty))
        account = await bench.target.account(0)
        talk = await bench.dial()
        await talk.negotiate(2, agent=nasty[:20])
        first = scram.first(account.user, cid())
        await talk.done("AUTH_START", mechanism="SCRAM-SHA-256", user=account.user, data=first, device_name=nasty[:20])

    arena.play(attack, users=2, strangers=1)
    log = arena.log()
    assert not any(byte in log for byte in (b"\x1b", b"\x07", b"\r", b"\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}".encode()))
