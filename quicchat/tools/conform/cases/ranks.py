"""Cases of chapter 5: ranks, putting out, topic, policy and key. (spec 05-rooms)"""

from __future__ import annotations

from typing import Any

from quicchat.tools.conform import chat
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.rooms import ROOMS, people, three
from quicchat.tools.conform.chat import ENCRYPTED, HIDDEN, KIND, RANK, VANISHES
from quicchat.tools.conform.verdict import check, same


@case("5.2-9", "what-one-may-do", *ROOMS, since=2)
async def own_rank(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    same((await chat.standing(other, room))["rank"], RANK["MEMBER"], "the rank of a member")
    for rank in ("VISITOR", "MODERATOR"):
        await one.done("ROLE", room=room, user=other.user, rank=RANK[rank])
        same((await chat.standing(other, room))["rank"], RANK[rank], "the rank that was given")


@case("5.9-1", "who-ranks-too-low", "signup", "rooms", since=2)
async def too_low(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other, third)
    member, moderator = RANK["MEMBER"], RANK["MODERATOR"]
    fields: dict[str, Any]
    for request, fields in (
        ("ROOM_SET", {"topic": "mine"}),
        ("KICK", {"user": third.user}),
        ("KICK", {"user": third.user, "ban": True}),
        ("ROLE", {"user": third.user, "rank": RANK["VISITOR"]}),
        ("ROLE", {"user": other.user, "rank": RANK["OWNER"]}),
        ("KICK", {"user": one.user}),
    ):
        await other.refused("FORBIDDEN", request=request, room=room, **fields)
    await one.done("ROLE", room=room, user=other.user, rank=moderator)
    for request, fields in (
        ("ROLE", {"user": third.user, "rank": moderator}),
        ("ROLE", {"user": one.user, "rank": member}),
        ("ROLE", {"user": other.user, "rank": RANK["OWNER"]}),
        ("KICK", {"user": one.user}),
        ("KICK", {"user": other.user}),
        ("ROOM_SET", {"policy": VANISHES}),
        ("ROOM_SET", {"secret": "mine"}),
    ):
        await other.refused("FORBIDDEN", request=request, room=room, **fields)
    wanted = {one.user: RANK["OWNER"], other.user: moderator, third.user: member}
    same(await people(one, room), wanted, "the ranks after all that was refused")


@case("5.9-1", "what-moderators-may", "signup", "rooms", since=2)
async def moderators(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other, third)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    await other.done("ROOM_SET", room=room, topic="ours")
    for rank in ("VISITOR", "MEMBER"):
        await other.done("ROLE", room=room, user=third.user, rank=RANK[rank])
        same((await people(one, room))[third.user], RANK[rank], "the rank that a moderator gave")
    await other.done("KICK", room=room, user=third.user)
    await third.done("ROOM_JOIN", room=room)
    await other.done("KICK", room=room, user=third.user, ban=True)
    same(set(await people(one, room)), {one.user, other.user}, "who is left")


@case("5.9-1", "who-is-not-in", "signup", "rooms", since=2)
async def not_in(bench: Bench) -> None:
    one, other, third = await three(bench)
    room, none = await bench.room(one, third), bench.target.name("r")
    fields: dict[str, Any]
    for request, fields in (
        ("ROOM_SET", {"topic": "mine"}),
        ("KICK", {"user": third.user}),
        ("ROLE", {"user": third.user, "rank": RANK["VISITOR"]}),
        ("INVITE", {"user": other.user}),
    ):
        there = await other.refused("NO_SUCH_ROOM", request=request, room=room, **fields)
        nothing = await other.refused("NO_SUCH_ROOM", request=request, room=none, **fields)
        same(there.pdu.known, nothing.pdu.known, f"what {request} is answered of a room that one is not in")


@case("5.9-1", "rooms-without-ranks", "other", since=2)
async def without_ranks(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    direct = (await chat.post(one, user=other.user))["room"]
    for room in ("*", direct):
        for request, fields in (
            ("ROOM_SET", {"topic": "mine"}),
            ("KICK", {"user": other.user}),
            ("ROLE", {"user": other.user, "rank": RANK["VISITOR"]}),
            ("INVITE", {"user": other.user}),
        ):
            await one.refused("FORBIDDEN", request=request, room=room, **fields)


@case("5.9-2", "put-out", "signup", "rooms", since=2)
async def put_out(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other, third)
    await one.done("KICK", room=room, user=other.user, reason="enough")
    last = 0
    for talk in (one, other, third):
        told = await chat.event(talk, room, "LEAVE")
        same((told["sender"], told["by"]), (other.user, one.user), "who goes, and who put him out")
        last = told["seq"]
    await chat.post(one, room=room)
    await chat.settled(one, other)
    same([each["seq"] for each in chat.heard(other, room) if each["seq"] > last], [], "what he is told after it")
    await other.refused("NOT_MEMBER", request="MSG_SEND", room=room, cid=chat.cid(), text="a word")
    await other.done("ROOM_JOIN", room=room)


@case("5.9-3", "banned", *ROOMS, since=2)
async def banned(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("KICK", room=room, user=other.user, ban=True)
    events = (await chat.page(one, room))[2:]
    same([each["kind"] for each in events], [KIND["ROLE"], KIND["LEAVE"]], "the events of a ban")
    same((events[0]["mentions"], events[0]["rank"]), ([other.user], RANK["OUTCAST"]), "who gets which rank")
    same((events[1]["sender"], events[1]["by"]), (other.user, one.user), "who goes, and who put him out")
    await other.refused("BANNED", request="ROOM_JOIN", room=room)


@case("5.9-3", "rank-0-is-a-ban", *ROOMS, since=2)
async def rank_0(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["OUTCAST"])
    same(list(await people(one, room)), [one.user], "who is left")
    kinds = [each["kind"] for each in await chat.page(one, room)]
    same(kinds[2:], [KIND["ROLE"], KIND["LEAVE"]], "the events of a ban")
    await other.refused("BANNED", request="ROOM_JOIN", room=room)


@case("5.9-3", "a-ban-voids-an-invitation", *ROOMS, since=2)
async def ban_voids(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = bench.target.name("r")
    await one.done("ROOM_CREATE", room=room, policy=HIDDEN)
    await one.done("INVITE", room=room, user=other.user)
    await one.done("KICK", room=room, user=other.user, ban=True)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MEMBER"])
    await other.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=room)


@case("5.9-4", "a-rank-is-recorded", *ROOMS, since=2)
async def recorded(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    told = await chat.event(other, room, "ROLE")
    wanted = (one.user, [other.user], RANK["MODERATOR"])
    same((told["sender"], told["mentions"], told["rank"]), wanted, "who ranks whom how")
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    same((await chat.page(one, room))[-1]["seq"], told["seq"], "the last place after a rank that was there already")


@case("5.9-5", "a-visitor-hears", *ROOMS, since=2)
async def visitor(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["VISITOR"])
    await other.refused("FORBIDDEN", request="MSG_SEND", room=room, cid=chat.cid(), text="a word")
    ack = await chat.post(one, room=room)
    await chat.told(other, ack)
    same(ack["seq"], 4, "the place of what follows what was refused")


@case("5.9-6", "a-rank-outlives-the-membership", *ROOMS, since=2)
async def outlives(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    await other.done("ROOM_LEAVE", room=room)
    same((await other.done("ROOM_JOIN", room=room))["rank"], RANK["MODERATOR"], "the rank of who comes back")


@case("5.9-7", "nobody-is-put-out-of-general", "other", since=2)
async def general(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    await one.refused("FORBIDDEN", request="KICK", room="general", user=other.user)
    await one.refused("FORBIDDEN", request="ROLE", room="general", user=other.user, rank=RANK["OUTCAST"])
    await one.refused("FORBIDDEN", request="ROOM_SET", room="general", policy=HIDDEN)


@case("5.10-1", "a-topic-is-recorded", *ROOMS, since=2)
async def topic(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    for _ in range(2):
        await one.done("ROOM_SET", room=room, topic="of new")
    told = await chat.event(other, room, "TOPIC")
    same((told["text"], told["sender"]), ("of new", one.user), "text and sender of a TOPIC")
    same((await chat.page(one, room))[-1]["seq"], told["seq"], "the last place after a topic that was there already")
    same((await chat.standing(other, room))["topic"], "of new", "the topic in ROOM_STATE")


@case("5.10-2", "policy-and-key-are-the-owners", *ROOMS, since=2)
async def owners_only(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    for fields in ({"policy": HIDDEN}, {"secret": "open sesame"}):
        await other.refused("FORBIDDEN", request="ROOM_SET", room=room, **fields)
        await one.done("ROOM_SET", room=room, **fields)
        await one.refused("FORBIDDEN", request="ROOM_SET", room="general", **fields)
    same((await chat.standing(one, room))["policy"], HIDDEN, "the policy in ROOM_STATE")


@case("5.10-3", "the-event-comes-before-the-ok", *ROOMS, since=2)
async def before_ok(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    for request, kind, fields in (
        ("ROOM_SET", "TOPIC", {"topic": "of new"}),
        ("ROLE", "ROLE", {"user": other.user, "rank": RANK["VISITOR"]}),
        ("KICK", "LEAVE", {"user": other.user}),
    ):
        answer = await one.done(request, room=room, **fields)
        before = one.heard[: one.heard.index(answer)]
        found = [each["kind"] for each in before if each.pdu.name == "MSG" and each["room"] == room]
        check(KIND[kind] in found, f"the {kind} was not sent before the OK of {request}")
        await chat.event(other, room, kind)


@case("5.10-4", "encrypted-for-good", "login", "rooms", since=2)
async def encrypted(bench: Bench) -> None:
    talk = await bench.friend()
    room, made = await bench.room(talk), bench.target.name("r")
    await talk.done("ROOM_SET", room=room, policy=ENCRYPTED)
    same((await talk.done("ROOM_CREATE", room=made, policy=ENCRYPTED))["policy"], ENCRYPTED, "the policy of a new room")
    for name in (room, made):
        await talk.refused("FORBIDDEN", request="ROOM_SET", room=name, policy=0)
        same((await chat.standing(talk, name))["policy"], ENCRYPTED, "the policy in ROOM_STATE")
    await talk.refused("FORBIDDEN", request="ROOM_SET", room="general", policy=ENCRYPTED)


@case("5.10-5", "encryption-is-recorded", *ROOMS, since=2)
async def encryption_recorded(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = bench.target.name("r")
    await one.done("ROOM_CREATE", room=room, topic="of old")
    await other.done("ROOM_JOIN", room=room)
    await one.done("ROOM_SET", room=room, policy=ENCRYPTED)
    told = await chat.event(other, room, "TOPIC")
    same((told["text"], told["policy"]), ("of old", ENCRYPTED), "topic and policy of the TOPIC event")
