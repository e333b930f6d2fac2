"""Cases of chapter 15: keys, who hears of them, and backups. (spec 15-keys)"""

from __future__ import annotations

import os
from typing import Final

from quicchat.tools.conform import chat, sealing
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book, record
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.classic import leave
from quicchat.tools.conform.sealing import IDENTITY, Key, found, key, listed, publish
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import check, same

KEYS: Final = ("signup", "keys")
#: Bytes of a certificate of which not many fit a frame.
LONG: Final = 11_000
#: Devices of a user that may wait (15.2-5).
WAITING: Final = 16
NOTHING: Final = [0, b"", b"", b"", []]


async def waiting(talk: Talk) -> list[bytes]:
    """The fingerprints of the user's own devices that wait."""
    answer = await talk.done("KEY_GET", users=[talk.user])
    return [row[1] for row in answer["waiting"] or ()]


# Publishing


@case("15.2-1", "a-list-and-the-keys-in-it", *KEYS, since=2)
@case("15.2-8", "whatever-openpgp-says-of-it", *KEYS, since=2)
async def published(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.friend(0)
    first, renewed = key(), key()
    await publish(one, first)
    brought = listed(one.user, 1, first)
    wanted = [[one.user, 1, IDENTITY, brought["devices"], brought["signature"], [first.certificate]]]
    for talk in (one, other):
        same(await found(talk, one.user), wanted, "what is told of a user")
    await publish(one, renewed, serial=2)
    same((await found(other, one.user))[0][5], [renewed.certificate], "the certificate in the place of the one before")


@case("15.2-1", "lists-that-are-none", *KEYS, since=2)
async def no_lists(bench: Bench) -> None:
    one, mine = await bench.newcomer(), key()
    good = listed(one.user, 1, mine)
    for wrong in (
        {name: good[name] for name in ("identity", "devices")},
        {name: good[name] for name in ("devices", "signature")},
        {"identity": IDENTITY},
        {**good, "devices": b"\xff"},
        {**good, "devices": good["devices"] + b"\x00"},
        listed(one.user, 1, mine, version=2),
        listed(one.user, 0, mine),
        listed(one.user, 1, mine, mine),
        {**good, "devices": record("device-list", {"version": 1, "account": one.user})},
    ):
        await one.refused("SCHEMA", request="KEY_PUBLISH", **mine.fields, **wrong)
    same(await found(one, one.user), [[one.user, *NOTHING]], "what is told of a user who has no list")
    await publish(one, mine)


@case("15.2-2", "the-list-of-somebody-else", *KEYS, since=2)
async def of_another(bench: Bench) -> None:
    one, other, mine = await bench.newcomer(), await bench.friend(0), key()
    fields = {**mine.fields, **listed(other.user, 1, mine)}
    await one.refused("FORBIDDEN", request="KEY_PUBLISH", **fields)


@case("15.2-3", "a-serial-that-is-not-higher", *KEYS, since=2)
async def stale(bench: Bench) -> None:
    one, mine, other = await bench.newcomer(), key(), key()
    await publish(one, mine, serial=5)
    for serial, keys in ((5, (other,)), (4, (mine,)), (5, (mine, other))):
        fields = {**keys[0].fields, **listed(one.user, serial, *keys)}
        await one.refused("KEYS_STALE", request="KEY_PUBLISH", **fields)
    same((await found(one, one.user))[0][5], [mine.certificate], "the certificates after all that was refused")
    await publish(one, mine, serial=5)
    await publish(one, mine, serial=6)


@case("15.2-4", "a-device-that-is-left-out", *KEYS, since=2)
async def left_out(bench: Bench) -> None:
    one, first, second = await bench.newcomer(), key(), key()
    phone = await bench.again(one)
    await publish(one, first)
    await publish(phone, second, first, serial=2)
    same((await found(one, one.user))[0][5], [second.certificate, first.certificate], "the certificates of two devices")
    await publish(one, first, serial=3)
    same((await found(one, one.user))[0][5], [first.certificate], "the certificates after one was left out")
    same(await waiting(one), [], "the devices that wait after one was left out")
    event = sealing.keying(second, user=phone.user, room=None)
    await one.refused("KEYS_STALE", request="MSG_SEND", **event)


@case("15.2-5", "a-device-that-waits", *KEYS, since=2)
async def waits(bench: Bench) -> None:
    one, other, mine, new = await bench.newcomer(), await bench.friend(0), key(), key()
    await publish(one, mine)
    phone = await bench.again(one)
    await phone.done("KEY_PUBLISH", **new.fields)
    same(await waiting(one), [new.fingerprint], "the devices that wait, to the user himself")
    answer = await other.done("KEY_GET", users=[one.user])
    same((answer["users"][0][5], answer["waiting"] or []), ([mine.certificate], []), "what others are told")
    renewed = key()
    await phone.done("KEY_PUBLISH", **renewed.fields)
    same(await waiting(one), [renewed.fingerprint], "the devices that wait, one with another key")
    await one.done("REVOKE", device=phone.device)
    same(await waiting(one), [], "the devices that wait after their token has ended")


# It is slow in that it needs so many connections.
@case("15.2-5", "more-than-may-wait", *KEYS, since=2, slow=True)
async def too_many(bench: Bench) -> None:
    one, keys = await bench.newcomer(), [key() for _ in range(WAITING + 1)]
    for each in keys:
        await (await bench.again(one)).done("KEY_PUBLISH", **each.fields)
    same(await waiting(one), [each.fingerprint for each in reversed(keys[1:])], "the devices that wait")


@case("15.2-6", "a-fingerprint-is-one-devices", *KEYS, since=2)
async def fingerprint(bench: Bench) -> None:
    one, mine = await bench.newcomer(), key()
    phone = await bench.again(one)
    await publish(one, mine)
    forged = Key(mine.fingerprint, mine.handle, b"forged")
    await phone.refused("FORBIDDEN", request="KEY_PUBLISH", **forged.fields)
    await phone.done("KEY_PUBLISH", **mine.fields)
    same((await found(one, one.user))[0][5], [mine.certificate], "the certificates after it moved")
    same(await waiting(one), [], "the devices that wait")


@case("15.2-7", "more-than-fits", *KEYS, since=2)
async def too_long(bench: Bench) -> None:
    one = await bench.newcomer()
    keys: list[Key] = []
    for serial in range(1, 9):
        talk = one if serial == 1 else await bench.again(one)
        new = key(LONG)
        answer = await talk.patiently("KEY_PUBLISH", **new.fields, **listed(one.user, serial, new, *keys))
        if answer.pdu.name == "ERROR":
            talk.check_refusal(answer, "LIMIT")
            break
        keys.insert(0, new)
    check(keys and len(keys) * LONG < book().limits["frame"], f"{len(keys)} certificates of {LONG} bytes were taken")
    same((await found(one, one.user))[0][5], [each.certificate for each in keys], "the certificates that are told")


# Asking


@case("15.3-1", "users-in-order", *KEYS, since=2)
async def in_order(bench: Bench) -> None:
    one = await bench.newcomer()
    names = sorted((one.user, bench.target.name("n"), bench.target.name("n")))
    same([row[0] for row in await found(one, *names)], names, "the users that are told of")
    for wrong in ({"users": names[::-1]}, {"users": [one.user] * 2}, {"users": names, "serials": [0] * 4}):
        await one.refused("SCHEMA", request="KEY_GET", **wrong)


@case("15.3-1", "as-many-as-fit", *KEYS, since=2)
async def many(bench: Bench) -> None:
    asker, users = await bench.friend(0), []
    for _ in range(5):
        talk, new = await bench.newcomer(), key(LONG)
        fields = {**new.fields, **listed(talk.user, 1, new), "identity": bytes(5_000)}
        await talk.done("KEY_PUBLISH", **fields)
        users.append(talk.user)
    users.sort()
    rows = (await asker.done("KEY_GET", users=users))["users"]
    same([row[0] for row in rows], users[: len(rows)], "the users from the first on")
    check(1 <= len(rows) < 5, f"five long answers came in one frame as {len(rows)}")


@case("15.3-2", "what-the-client-holds", *KEYS, since=2)
async def held(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.friend(0)
    await publish(one, key(), serial=7)
    same(await found(other, one.user, serials=[7]), [[one.user, 7, b"", b"", b"", []]], "a list that the client holds")
    for serial in (0, 6):
        check((await found(other, one.user, serials=[serial]))[0][3], "a list that the client does not hold")


@case("15.3-3", "nobody-and-nothing", *KEYS, since=2)
async def nobody(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.friend(0)
    await one.done("KEY_PUBLISH", **key().fields)
    for user in (one.user, bench.target.name("nobody")):
        same(await found(other, user), [[user, *NOTHING]], "who has no list, and who does not exist")


@case("15.3-4", "last-first", *KEYS, since=2)
async def last_first(bench: Bench) -> None:
    one, keys = await bench.newcomer(), [key() for _ in range(3)]
    for each in keys:
        await (await bench.again(one)).done("KEY_PUBLISH", **each.fields)
    same(await waiting(one), [each.fingerprint for each in reversed(keys)], "the devices that wait")


# Hearing of it


async def news(talk: Talk, user: str, serial: int) -> None:
    await talk.hear("KEY_CHANGED", lambda each: (each["user"], each["serial"]) == (user, serial))


def rumours(talk: Talk, user: str) -> list[int]:
    return [each["serial"] for each in talk.all("KEY_CHANGED") if each["user"] == user]


@case("15.4-1", "who-hears-of-it", *KEYS, "rooms", since=2)
async def hears(bench: Bench) -> None:
    one, room_mate, friend = await bench.newcomer(), await bench.friend(0), await bench.friend(1)
    second, mine = await bench.again(one), key()
    await bench.room(one, room_mate)
    await chat.post(friend, user=one.user)
    await publish(one, mine)
    for talk in (second, room_mate, friend):
        await news(talk, one.user, 1)
    renewed = Key(mine.fingerprint, mine.handle, os.urandom(50))
    await one.done("KEY_PUBLISH", **renewed.fields)
    for talk in (second, room_mate, friend):
        await news(talk, one.user, 1)
    await one.barrier()
    same(rumours(one, one.user), [], "what the session that published is told")


@case("15.4-2", "who-hears-of-a-device-that-waits", *KEYS, "rooms", since=2)
async def hears_waiting(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.friend(0)
    await bench.room(one, other)
    second = await bench.again(one)
    await second.done("KEY_PUBLISH", **key().fields)
    await news(one, one.user, 0)
    await chat.settled(one, other)
    same(rumours(other, one.user), [], "what others are told of a device that waits")


@case("15.4-3", "the-same-again-is-no-change", *KEYS, "rooms", since=2)
async def no_change(bench: Bench) -> None:
    one, other, mine = await bench.newcomer(), await bench.friend(0), key()
    await bench.room(one, other)
    for _ in range(3):
        await publish(one, mine)
    await publish(one, mine, serial=2)
    await news(other, one.user, 2)
    same(rumours(other, one.user), [1], "what else was told")


# Backups


async def part(talk: Talk, number: int) -> tuple[int, int, bytes]:
    """Generation, number of parts, and one part."""
    answer = await talk.done("KEY_RESTORE", part=number)
    return answer["generation"], answer["count"], answer["data"]


@case("15.9-1", "a-backup-in-parts", *KEYS, since=2)
async def backup(bench: Bench) -> None:
    one, other = await bench.newcomer(), await bench.friend(0)
    same(await part(one, 0), (0, 0, b""), "a backup that is not there")
    await one.refused("SCHEMA", request="KEY_BACKUP", generation=1, part=1, data=b"x")
    parts = [os.urandom(49_152), b"one", b"two"]
    for number, data in enumerate(parts):
        await one.done("KEY_BACKUP", generation=5, part=number, data=data)
    await one.refused("SCHEMA", request="KEY_BACKUP", generation=5, part=4, data=b"x")
    await one.done("KEY_BACKUP", generation=5, part=1, data=b"uno")
    for number, data in enumerate([parts[0], b"uno", b"two"]):
        same(await part(one, number), (5, 3, data), "generation, parts, and a part")
    for number in (0, 1):
        await one.refused("KEYS_STALE", request="KEY_BACKUP", generation=4, part=number, data=b"old")
    await one.done("KEY_BACKUP", generation=6, part=0, data=b"new")
    same(await part(one, 0), (6, 1, b"new"), "a backup of a higher generation")
    check((await part(other, 0))[2] != b"new", "another one is given it")


@case("15.9-1", "a-backup-outlives-the-session", *KEYS, since=2)
async def backup_stays(bench: Bench) -> None:
    one = await bench.newcomer()
    await one.done("KEY_BACKUP", generation=2**53, part=0, data=b"kept")
    await leave(one)
    same(await part(await bench.again(one), 0), (2**53, 1, b"kept"), "generation, parts, and the part")
