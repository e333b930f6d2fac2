"""Cases of chapter 5: rooms that people make, who is in, who may what. (spec 05-rooms)"""

from __future__ import annotations

from typing import Any

from quicchat.tools.conform import chat, ways
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import HIDDEN, RANK, VANISHES
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, Unimplemented, check, same

ROOMS = ("other", "rooms")


async def three(bench: Bench) -> tuple[Talk, Talk, Talk]:
    """An owner-to-be, a member-to-be, and somebody else."""
    return await bench.friend(0), await bench.friend(1), await bench.friend(2)


async def people(talk: Talk, room: str) -> dict[str, int]:
    """The members of a room and their ranks."""
    return {row[0]: row[2] for row in (await talk.done("MEMBERS", room=room))["members"]}


# Making


@case("5.1-1", "a-name-that-exists", *ROOMS, since=2)
async def exists(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await other.refused("ROOM_EXISTS", request="ROOM_CREATE", room=room)
    await one.refused("ROOM_EXISTS", request="ROOM_CREATE", room=room)
    await one.refused("ROOM_EXISTS", "FORBIDDEN", request="ROOM_CREATE", room="general")


@case("5.1-2", "a-new-room", "login", "rooms", since=2)
async def made(bench: Bench) -> None:
    talk = await bench.friend()
    room = bench.target.name("r")
    found = await talk.done("ROOM_CREATE", room=room, topic="of old")
    same((found["room"], found["topic"], found["head"], found["members"]), (room, "of old", 1, 1), "ROOM_STATE")
    same(list(await people(talk, room)), [talk.user], "the members of a new room")
    (joined,) = await chat.page(talk, room)
    same((joined["kind"], joined["sender"], joined["seq"]), (chat.KIND["JOIN"], talk.user, 1), "the first event")


@case("5.1-3", "rooms-that-nobody-makes", *ROOMS, since=2)
async def standing(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    direct = (await chat.post(one, user=other.user))["room"]
    for room in ("general", "*", direct):
        for request in ("ROOM_JOIN", "ROOM_LEAVE"):
            await one.refused("FORBIDDEN", request=request, room=room)
    for room in ("*", direct):
        await one.refused("FORBIDDEN", "ROOM_EXISTS", request="ROOM_CREATE", room=room)


@case("5.1-4", "the-maker-is-owner", "login", "rooms", since=2)
async def owner(bench: Bench) -> None:
    talk = await bench.friend()
    room = bench.target.name("r")
    same((await talk.done("ROOM_CREATE", room=room))["rank"], RANK["OWNER"], "the rank of who made the room")
    same((await people(talk, room))[talk.user], RANK["OWNER"], "his rank among the members")


# Entering


@case("5.2-1", "no-such-room", "login", "rooms", since=2)
async def no_such_room(bench: Bench) -> None:
    talk = await bench.friend()
    room = bench.target.name("r")
    await talk.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=room)
    found = await talk.done("ROOM_JOIN", room=room, create=True, policy=VANISHES)
    same((found["policy"], found["rank"], found["members"]), (VANISHES, RANK["OWNER"], 1), "what was made by entering")


@case("5.2-2", "a-join-is-told", *ROOMS, since=2)
async def join_told(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await other.done("ROOM_JOIN", room=room)
    told = await chat.event(one, room, "JOIN")
    same((told["sender"], told["seq"]), (other.user, 2), "sender and place of a JOIN")
    head = (await other.done("ROOM_JOIN", room=room))["head"]
    same((head, len(await chat.page(one, room))), (2, 2), "head and events after a member entered again")


@case("5.2-3", "ones-own-join", *ROOMS, since=2)
async def own_join(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await chat.post(one, room=room)
    found = await other.done("ROOM_JOIN", room=room)
    same((found["head"], found["unread"] or 0), (3, 0), "head and unread for who comes in")
    later = await chat.post(one, room=room)
    await chat.told(other, later)
    same(chat.heard(other, room), [], "what else was sent to who comes in")
    same([each["seq"] for each in await chat.page(other, room)], [1, 2, 3, 4], "the places that he may fetch")


@case("5.2-4", "unread-is-the-same-everywhere", *ROOMS, since=2)
async def unread(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    acks = [await chat.post(one, room=room) for _ in range(3)]
    other.say("RECEIPT", room=room, read=acks[0]["seq"])
    await other.barrier()
    for talk in (other, await bench.friend(1)):
        found = await chat.standing(talk, room)
        same((found["read"], found["unread"]), (acks[0]["seq"], 2), "read and unread")


@case("5.2-5", "in-more-rooms-than-one-may", "signup", "rooms", since=2, slow=True)
async def too_many(bench: Bench) -> None:
    talk = await bench.newcomer()
    for _ in range(book().limits["rooms"] + 1):
        answer = await talk.ask("ROOM_CREATE", room=bench.target.name("r"))
        if answer.pdu.name == "ERROR":
            if book().code(answer["code"]) == "RATE_LIMITED":
                raise Unimplemented("its rates let nobody get there in time")
            talk.check_refusal(answer, "LIMIT")
            return
    raise Failed("somebody is in more rooms than a user may be")


@case("5.2-6", "an-outcast", *ROOMS, since=2)
async def outcast(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await one.done("KICK", room=room, user=other.user, ban=True)
    await other.refused("BANNED", request="ROOM_JOIN", room=room)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MEMBER"])
    await other.done("ROOM_JOIN", room=room)


@case("5.2-7", "a-room-with-a-key", "signup", "rooms", since=2)
async def key(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one)
    await one.done("ROOM_SET", room=room, secret="open sesame")
    await other.refused("FORBIDDEN", request="ROOM_JOIN", room=room)
    await other.refused("FORBIDDEN", request="ROOM_JOIN", room=room, secret="open barley")
    await other.done("ROOM_JOIN", room=room, secret="open sesame")
    await one.done("INVITE", room=room, user=third.user)
    await third.done("ROOM_JOIN", room=room)


@case("5.2-7", "moderators-need-no-key", *ROOMS, since=2)
async def moderator_enters(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await one.done("ROOM_SET", room=room, secret="open sesame", policy=HIDDEN)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    await other.done("ROOM_JOIN", room=room)


@case("5.2-8", "a-room-for-the-invited", *ROOMS, since=2)
async def invited_only(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room, none = bench.target.name("r"), bench.target.name("r")
    await one.done("ROOM_CREATE", room=room, policy=HIDDEN)
    hidden = await other.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=room)
    nothing = await other.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=none)
    same(hidden.pdu.known, nothing.pdu.known, "what is answered of a room that is hidden")
    await one.done("INVITE", room=room, user=other.user)
    await other.done("ROOM_JOIN", room=room)


@case("5.2-10", "only-asking", *ROOMS, since=2)
async def only_asking(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room, none = await bench.room(one), bench.target.name("r")
    same((await chat.standing(one, room))["rank"], RANK["OWNER"], "the rank of a member that asks")
    for name in (room, none):
        await other.refused("NOT_MEMBER", request="ROOM_JOIN", room=name, member=True)
        await other.refused("NOT_MEMBER", request="ROOM_JOIN", room=name, member=True, create=True)
    same(len(await chat.page(one, room)), 1, "the events after somebody only asked")


# Leaving


@case("5.3-1", "who-is-not-in", *ROOMS, since=2)
async def not_in(bench: Bench) -> None:
    await ways.unseen(bench, "ROOM_LEAVE", "NOT_MEMBER")


@case("5.3-2", "a-leave-is-the-last", *ROOMS, since=2)
async def leave_is_last(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one, other)
    await other.done("ROOM_LEAVE", room=room)
    told = await chat.event(one, room, "LEAVE")
    same((told["sender"], told["seq"], told["by"]), (other.user, 3, None), "sender, place and cause of a LEAVE")
    await chat.post(one, room=room)
    await chat.settled(one, other)
    after = [each["seq"] for each in chat.heard(other, room) if each["seq"] > 3]
    same(after, [], "the places that are told to who has left")
    await other.refused("NO_SUCH_ROOM", request="HISTORY", room=room, window=chat.WINDOW["LATEST"])


@case("5.3-3", "a-room-that-ends", *ROOMS, since=2)
async def ends(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = bench.target.name("r")
    first = await one.done("ROOM_CREATE", room=room, policy=VANISHES)
    await other.done("ROOM_JOIN", room=room)
    await one.done("ROOM_LEAVE", room=room)
    check(room in await listed(other, room), "a room with a member is not listed")
    await other.done("ROOM_LEAVE", room=room)
    check(room not in await listed(other, room), "a room that ended is listed")
    await other.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=room)
    again = await other.done("ROOM_CREATE", room=room)
    same((again["epoch"], again["head"], again["rank"]), (first["epoch"] + 1, 1, RANK["OWNER"]), "a room made anew")


@case("5.3-3", "a-room-that-stays", "login", "rooms", since=2)
async def stays(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    await talk.done("ROOM_LEAVE", room=room)
    await talk.refused("ROOM_EXISTS", request="ROOM_CREATE", room=room)
    same((await talk.done("ROOM_JOIN", room=room))["head"], 3, "the head of a room that was left and entered again")


# Lists


async def listed(talk: Talk, room: str) -> list[str]:
    """The names in the list from this one on."""
    found = await talk.done("ROOM_LIST", after=room[:-1], limit=200)
    return [row[0] for row in found["rooms"]]


@case("5.4-1", "rooms-in-order", "login", "rooms", since=2)
async def list_in_order(bench: Bench) -> None:
    talk = await bench.friend()
    stem = bench.target.name("list")
    names = [f"{stem}{letter}" for letter in "abcde"]
    for name in (names[3], names[0], names[4], names[2], names[1]):
        await talk.done("ROOM_CREATE", room=name, topic=name)
    found: list[Any] = []
    for _ in range(3):
        page = await talk.done("ROOM_LIST", after=found[-1][0] if found else stem, limit=2)
        check(len(page["rooms"]) <= 2, f"a page of 2 rooms has {len(page['rooms'])}")
        found += page["rooms"]
        check(page["more"] or found[-1][0] >= names[4], "`more` is false before the end")
    same([row[0] for row in found[:5]], names, "the rooms of three pages")
    same([row[1:] for row in found[:5]], [[1, name, True] for name in names], "members, topic, whether one is in")


@case("5.4-1", "what-is-not-listed", *ROOMS, since=2)
async def not_listed(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    await chat.post(one, user=other.user)
    names: list[str] = []
    while True:
        page = await one.done("ROOM_LIST", after=names[-1] if names else None, limit=200)
        names += [row[0] for row in page["rooms"]]
        if not page["more"]:
            break
    strange = [name for name in names if not name[0].isalnum() and name[0] not in "_-"]
    same(strange, [], "direct messages and announcements in the list of rooms")
    same(names, sorted(set(names)), "the order of the rooms")


@case("5.4-2", "rooms-that-are-hidden", "signup", "rooms", since=2)
async def hidden(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = bench.target.name("r")
    await one.done("ROOM_CREATE", room=room, policy=HIDDEN)
    await one.done("INVITE", room=room, user=third.user)
    found = [room in await listed(talk, room) for talk in (one, other, third)]
    same(found, [True, False, True], "whether owner, stranger, invited see a hidden room")


@case("5.5-1", "members-in-order", "signup", "rooms", since=2)
async def members(bench: Bench) -> None:
    one, other, third = await three(bench)
    earlier, later = sorted((other, third), key=lambda talk: talk.user)
    room = await bench.room(one, later, earlier)
    first = await one.done("MEMBERS", room=room, limit=2)
    second = await one.done("MEMBERS", room=room, limit=2, after=first["members"][-1][0])
    names = [row[0] for row in first["members"] + second["members"]]
    same(names, sorted((one.user, other.user, third.user)), "the members on two pages")
    same((first["more"], second["more"]), (True, False), "whether there are more")


@case("5.5-1", "members-are-for-members", *ROOMS, since=2)
async def members_only(bench: Bench) -> None:
    await ways.unseen(bench, "MEMBERS", "NO_SUCH_ROOM")


@case("5.5-2", "members-and-their-ranks", "signup", "rooms", since=2)
async def ranks(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other, third)
    await one.done("ROLE", room=room, user=other.user, rank=RANK["MODERATOR"])
    await one.done("ROLE", room=room, user=third.user, rank=RANK["VISITOR"])
    wanted = {one.user: RANK["OWNER"], other.user: RANK["MODERATOR"], third.user: RANK["VISITOR"]}
    same(await people(one, room), wanted, "the ranks of the members")


@case("5.7-1", "names-of-direct-messages", "signup", since=2)
async def direct_names(bench: Bench) -> None:
    one, other, third = await three(bench)
    ack = await chat.post(one, user=other.user)
    a, b = sorted((one.user, other.user))
    same(ack["room"], f"@{a},{b}", "the room of direct messages")
    for talk, room in ((one, f"@{b},{a}"), (third, f"@{a},{b}")):
        await talk.refused("NOT_MEMBER", request="MSG_SEND", room=room, cid=chat.cid(), text="a word")
    await third.refused("NO_SUCH_ROOM", request="HISTORY", room=ack["room"], window=chat.WINDOW["LATEST"])
    same((await chat.post(other, room=ack["room"]))["room"], ack["room"], "the room, named by its name")


# Invitations


@case("5.8-1", "who-may-invite", "signup", "rooms", since=2)
async def may_invite(bench: Bench) -> None:
    one, other, third = await three(bench)
    room = await bench.room(one, other)
    await third.refused("NO_SUCH_ROOM", request="INVITE", room=room, user=one.user)
    await other.refused("NO_SUCH_USER", request="INVITE", room=room, user=bench.target.name("nobody"))
    await other.done("INVITE", room=room, user=third.user)
    await one.done("ROOM_SET", room=room, policy=HIDDEN)
    await other.refused("FORBIDDEN", request="INVITE", room=room, user=third.user)
    await one.done("KICK", room=room, user=third.user, ban=True)
    await one.refused("FORBIDDEN", request="INVITE", room=room, user=third.user)


@case("5.8-2", "an-invitation-is-told", *ROOMS, since=2)
async def invitation_told(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    await one.done("INVITE", room=room, user=other.user)
    same((await other.hear("INVITE", lambda each: bool(each["room"] == room)))["user"], one.user, "who invites")
    again = await bench.ready(1)
    same((await again.hear("INVITE", lambda each: bool(each["room"] == room)))["user"], one.user, "who invites, later")
    await other.done("ROOM_JOIN", room=room)
    last = await bench.ready(1)
    await last.hear("PRESENCE_SNAPSHOT")
    await last.barrier()
    check(all(each["room"] != room for each in last.all("INVITE")), "an invitation that was used up is told again")


@case("5.8-3", "an-invitation-that-is-there", *ROOMS, since=2)
async def invited_twice(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = await bench.room(one)
    for _ in range(2):
        await one.done("INVITE", room=room, user=other.user)
    await other.done("ROOM_JOIN", room=room)
    await one.done("INVITE", room=room, user=other.user)
    await chat.settled(one, other)
    same(sum(each["room"] == room for each in other.all("INVITE")), 1, "how often the invitation was told")
    same(len(await chat.page(one, room)), 2, "the events of the room")


@case("5.8-4", "an-invitation-declined", *ROOMS, since=2)
async def declined(bench: Bench) -> None:
    one, other = await bench.friend(0), await bench.friend(1)
    room = bench.target.name("r")
    await one.done("ROOM_CREATE", room=room, policy=HIDDEN)
    await one.done("INVITE", room=room, user=other.user)
    await other.done("ROOM_LEAVE", room=room)
    await other.refused("NO_SUCH_ROOM", request="ROOM_JOIN", room=room)
    await other.refused("NOT_MEMBER", request="ROOM_LEAVE", room=room)
    same(len(await chat.page(one, room)), 1, "the events of the room")
