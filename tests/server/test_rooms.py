"""The service of rooms where it could go wrong: many at once, slow stores, clients that do not listen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.config import ServerConfig
from quicchat.errors import Code, Refused
from quicchat.server import app
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.roster import LocalRoster
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.server.effects import Deliver, Effects
from quicchat.server.model import Actor, Policy, SessionId
from quicchat.server.services.rooms import RoomService
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted, PostMany
from quicchat.wire.chapters.rooms import Create, Invite, Join, Kick, Rank, SetRank, SetRoom
from quicchat.wire.chapters.session import Ok
from quicchat.wire.codec import encode_body
from quicchat.wire.names import Device, User
from quicchat.wire.registry import Pdu
from tests.server.house import heard, play, refusal, texts, world
from tests.server.stores import ALICE, BOB, HALL, make, run, shown, sign_up
from tests.server.stores import refusal as refused
from tests.server.test_store_faults import Faults


def actor(number: int, user: User) -> Actor:
    return Actor(
        session=SessionId(number), address="here:1", version=2, device=Device(bytes(16)), binding=b"", user=user
    )


def test_what_is_told_comes_in_the_order_of_the_log(tmp_path: Path) -> None:
    """[5.3-2], [5.9-2]: who is put out at the moment when he enters goes on hearing nothing: LEAVE is told last."""

    async def scenario() -> None:
        store = open_store(tmp_path / "store.db")
        service = RoomService(store.rooms, LocalRoster(), SystemClock(), Policy())
        await sign_up(store, ALICE, BOB)
        alice, bob = actor(1, ALICE), actor(2, BOB)
        await service.create(alice, Create(room=HALL))
        told: list[tuple[int, Kind]] = []

        async def asked(request: Coroutine[Any, Any, Effects]) -> None:
            try:
                effects = await request
            except Refused:
                return
            for effect in effects:
                if isinstance(effect, Deliver) and isinstance(effect.pdu, Message):
                    told.append((effect.pdu.seq, effect.pdu.kind))

        for _ in range(50):
            requests = [service.join(bob, Join(room=HALL)), service.kick(alice, Kick(room=HALL, user=BOB))]
            await asyncio.gather(*map(asked, requests))
        assert told == sorted(told)
        assert len(told) == 100
        await store.close()

    run(scenario())


async def done(chat: Chat, request: Pdu) -> None:
    """Ask for something that is answered with OK."""
    await chat._requests.ask(request, Ok)


def test_who_is_put_out_hears_nothing_more() -> None:
    """R0.2, [5.9-2]: while others go on talking, on a network that loses and swaps; and he may come back."""

    async def scenario() -> None:
        async with world(loss=0.05, reordering=0.1) as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            await alice.create("r1")
            for chat in (bob, carol):
                await chat.join("r1")

            async def talk() -> None:
                for number in range(40):
                    await alice.post("r1", f"n{number}")

            async def put_out() -> None:
                await asyncio.sleep(0.1)
                await done(alice, Kick(room="r1", user="carol", reason="noise"))

            await asyncio.gather(talk(), put_out())
            log = await alice.history("r1")
            (left,) = [event for event in log if event.kind is Kind.LEAVE]
            assert (left.sender, left.by, left.text) == ("carol", "alice", "carol was put out by alice: noise")
            found = [event for event in await heard(carol) if isinstance(event, Message) and event.room == "r1"]
            assert found[-1] == left
            assert max(event.seq for event in found) == left.seq
            assert len([text for text in await texts(bob, "r1") if text.startswith("n")]) == 40
            assert await refusal(carol.post("r1", "hey")) is Code.NOT_MEMBER
            await carol.join("r1")
            await alice.post("r1", "again")
            assert (await texts(carol, "r1"))[-1] == "again"

    play(scenario)


def test_a_ban_and_a_join_at_once() -> None:
    """Z1, P3: many who come while they are banned; all are out at the end, and hear nothing."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            others = [await here.enter(f"user{number}") for number in range(8)]
            await alice.create("r1")

            async def come(number: int) -> None:
                await asyncio.sleep(0.003 * number)
                assert await _outcome(others[number].join("r1")) in (None, Code.BANNED)

            async def ban(number: int) -> None:
                await asyncio.sleep(0.003 * (7 - number))
                await done(alice, Kick(room="r1", user=f"user{number}", ban=True))

            await asyncio.gather(*map(come, range(8)), *map(ban, range(8)))
            assert [user for user, *_ in await alice.members("r1")] == ["alice"]
            await alice.post("r1", "alone?")
            for chat in others:
                assert "alone?" not in await texts(chat, "r1")
                assert await refusal(chat.join("r1")) is Code.BANNED

    play(scenario)


async def _outcome(request: Coroutine[Any, Any, object]) -> Code | None:
    try:
        await request
    except Refused as refused:
        return refused.code
    return None


def test_an_operator_takes_back_what_is_said_where_nobody_else_ranks() -> None:
    """[6.11-3] [6.11-6]: by MSG_SEND and by MSG_SEND_MANY, in `general` and in `*`; others are refused."""

    async def scenario() -> None:
        async with world(Policy(signup="open", least_iterations=1, operators=frozenset({ALICE}))) as here:
            alice, bob, carol = [await here.enter(name) for name in ("alice", "bob", "carol")]
            for number, room in enumerate(("general", "*")):
                place = (await bob.post(room, "rubbish")).seq
                pin = Post(room=room, cid=bytes((number, 0)) * 8, kind=Kind.PIN, text="look", refs=(place,))
                back = Post(room=room, cid=bytes((number, 1)) * 8, kind=Kind.RETRACT, text="", refs=(place,))
                for each in (pin, back):
                    assert await refusal(carol._requests.ask(each, Posted)) is Code.FORBIDDEN
                await alice._requests.ask(pin, Posted)
                await alice._requests.ask(PostMany(posts=(encode_body(back, version=2),)), Ok)
                (left,) = [event for event in await bob.history(room) if event.seq == place]
                assert left.text == ""

    play(scenario)


def test_an_old_client_beside_all_this() -> None:
    """Issue 3, item 12: a client of version 1 beside all this goes on talking in `general`, and is muted there, too."""

    async def scenario() -> None:
        async with world(Policy(signup="open", least_iterations=1, operators=frozenset({ALICE}))) as here:
            alice, old = await here.enter("alice"), await here.enter("bob", versions=(1,))
            await done(alice, SetRoom(room="general", topic="tea"))
            await done(alice, SetRank(room="general", user="bob", rank=Rank.VISITOR))
            assert await refusal(old.post("general", "but")) is Code.FORBIDDEN
            await done(alice, SetRank(room="general", user="bob", rank=Rank.MEMBER))
            await old.post("general", "thanks")
            await alice.create("r1")
            await done(alice, Invite(room="r1", user="bob"))
            told = ["bob joined", "tea", "alice muted bob", "alice made bob a member", "thanks"]
            assert await texts(old) == told
            assert (await texts(alice, "general"))[-1] == "thanks"

    play(scenario)


def test_a_name_with_powers_that_is_free(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Z9: a server that starts with operators or announcers whose names anybody can take says so."""
    config = ServerConfig(data=tmp_path, operators=("alice", "chief"), announcers=("bob", "chief"))

    async def scenario() -> None:
        store = MemoryStore()
        await sign_up(store, ALICE)
        await app._check_names(store, config)

    run(scenario())
    assert [record.user for record in caplog.records] == ["bob", "chief"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_ban_happens_whole_or_not_at_all(tmp_path: Path, late: bool) -> None:
    """[5.9-3], P1: for every n, when the n-th statement fails, he is in and nothing is told, or he is out for good."""

    async def scenario(number: int) -> bool:
        faults = Faults()
        path = tmp_path / f"{number}.db"
        store = open_store(path, readers=1, factory=faults.factory())
        await sign_up(store, ALICE, BOB)
        await make(store, HALL, ALICE, BOB)
        faults.arm(number, lasting=False, late=late)
        code = await refused(store.rooms.kick(HALL, BOB, ALICE, ban=True, cid=b"x" * 16, at=1))
        faults.disarm()
        for reopened in (False, True):
            if reopened:
                await store.close()
                store = open_store(path, readers=1)
            kinds = [kind for _, _, kind, _ in await shown(store, HALL, ALICE)][2:]
            members = await store.rooms.members(HALL, ALICE, after=None, limit=9)
            if code is None:
                assert (kinds, list(members)) == ([Kind.ROLE, Kind.LEAVE], [ALICE])
                assert await refused(store.rooms.join(HALL, BOB, cid=b"y" * 16, at=1)) is Code.BANNED
            else:
                assert (code, kinds, members.get(BOB)) == (Code.STORE_UNAVAILABLE, [], Rank.MEMBER)
        await store.close()
        return faults.told > 0

    number = 1
    while run(scenario(number)):
        number += 1
    assert number > 10
