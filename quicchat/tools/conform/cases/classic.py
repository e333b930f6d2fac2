"""Cases of chapter 6: what a server does for clients of version 1. (spec 06-messages)"""

from __future__ import annotations

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import Pdu
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.changes import about
from quicchat.tools.conform.chat import KIND
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Unimplemented, check, same

#: The keys of a MSG that version 1 knows.
KNOWN = {1, 3, 4, 5, 7, 8, 9, 17}


async def classic(bench: Bench) -> Talk:
    """Somebody new, with a client of version 1."""
    if 1 not in bench.target.versions:
        raise Unimplemented("version 1 is not spoken")
    return await bench.newcomer(1)


async def leave(talk: Talk) -> None:
    """Go, and see that one is gone."""
    talk.say("BYE")
    await talk.ear.quietly(lambda: talk.line.closed, 6.0)


def of(cids: set[bytes], talk: Talk) -> list[Heard]:
    return [each for each in talk.all("MSG") if each["cid"] in cids]


def plain(pdu: Pdu) -> None:
    """Raises Failed for an event that has what version 1 has not."""
    check(pdu.known.keys() <= KNOWN, f"keys {sorted(pdu.known.keys() - KNOWN)} do not exist in version 1")
    check(pdu["kind"] in (KIND["TEXT"], KIND["NOTICE"]), f"kind {pdu['kind']} does not exist in version 1")


@case("6.6-1", "what-was-missed", "signup")
async def missed(bench: Bench) -> None:
    away, one = await classic(bench), await bench.friend(0)
    await leave(away)
    acks = [
        await chat.post(one, "0", user=away.user),
        await chat.post(one, "1", room="general"),
        await chat.post(one, "2", user=away.user),
    ]
    again = await bench.again(away, 1, device=away.device)
    for ack in acks:
        await again.until(lambda ack=ack: of({ack["cid"]}, again) or None, "what was missed")  # type: ignore[misc]  # the default binds it now
    direct = [each["text"] for each in of({acks[0]["cid"], acks[2]["cid"]}, again)]
    same(direct, ["0", "2"], "the direct messages, in order")
    for each in of({ack["cid"] for ack in acks}, again):
        plain(each.pdu)


@case("6.6-2", "without-a-gap", "signup")
async def no_gap(bench: Bench) -> None:
    old, one = await classic(bench), await bench.friend(0)
    acks = [await chat.post(one, f"{number}", user=old.user) for number in range(20)]
    await old.hear("MSG", lambda each: bool(each["cid"] == acks[-1]["cid"]))
    found = [each["seq"] for each in of({ack["cid"] for ack in acks}, old)]
    same(found, [ack["seq"] for ack in acks[:-1]], "the places that are told")


@case("6.6-3", "every-kind-is-a-notice", "signup", since=2)
async def notices(bench: Bench) -> None:
    old, one = await classic(bench), await bench.friend(0)
    text = await chat.post(one, "a text", user=old.user, topic="thread", reply=None)
    for kind in ("EMOTE", "CODE", "NOTICE"):
        ack = await chat.post(one, "a word", user=old.user, kind=KIND[kind], topic="thread")
        told = await chat.told(old, ack)
        plain(told.pdu)
        same(told["kind"], KIND["NOTICE"], f"what {kind} is told as")
        check("a word" in (told["text"] or ""), f"the text of {kind} is not told")
    plain((await chat.told(old, text)).pdu)


@case("6.6-3", "events-about-others-in-words", "signup", since=2)
async def in_words(bench: Bench) -> None:
    old, one = await classic(bench), await bench.friend(0)
    ack = await chat.post(one, "a text", user=old.user)
    for kind in ("EDIT", "REACT", "PIN", "RETRACT"):
        place = await about(one, kind, ack["room"], ack["seq"])
        told = await old.hear("MSG", lambda each, place=place: (each["room"], each["seq"]) == (ack["room"], place))  # type: ignore[misc]  # the default binds it now
        plain(told.pdu)
        check(f"#{ack['seq']}" in (told["text"] or ""), f"a {kind} is told as {told['text']!r}, without the place")


@case("6.6-3", "other-rooms-are-not-told", "signup", "rooms", since=2)
async def other_rooms(bench: Bench) -> None:
    old, one = await classic(bench), await bench.friend(0)
    room = await bench.room(one, await bench.again(old))
    await chat.post(one, room=room)
    await chat.settled(one, old)
    same(chat.heard(old, room), [], "what a client of version 1 is told of a room")


async def answered(talk: Talk, message: Heard) -> None:
    """Answer each PING until one has come behind a message: a server may wait for one PONG before it sends another."""
    is_behind = False
    while not is_behind:
        ping = await talk.until(lambda: next(iter(talk.all("PING")), None), "a PING behind the message")
        is_behind = talk.heard.index(ping) > talk.heard.index(message)
        talk.heard.remove(ping)
        talk.say("PONG", nonce=ping["nonce"])


@case("6.6-4", "pong-proves-what-arrived", "signup")
async def proved(bench: Bench) -> None:
    away, one = await classic(bench), await bench.friend(0)
    await leave(away)
    ack = await chat.post(one, "a text", user=away.user)
    for answers in (False, True):
        again = await bench.again(away, 1, device=away.device)
        await again.until(lambda: of({ack["cid"]}, again) or None, "what was not proved to have arrived")  # noqa: B023 - awaited within the round
        if answers:
            await answered(again, of({ack["cid"]}, again)[0])
            await again.barrier()
        await leave(again)
    last = await bench.again(away, 1, device=away.device)
    await last.hear("PRESENCE_SNAPSHOT")
    await chat.told(last, await chat.post(one, "another", user=away.user))
    same(of({ack["cid"]}, last), [], "what is told again though it arrived")
