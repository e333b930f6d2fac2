"""Rates: what waits for its turn, what is refused, and whom it counts for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.errors import Code
from quicchat.protocol.events import Datagram
from quicchat.server import rates
from quicchat.server.rates import Bucket, Rates
from quicchat.server.requests import HELD
from quicchat.transport.driver import UNREAD
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import Signup
from quicchat.wire.chapters.messages import History, Post, PostMany, Receipt, Window
from quicchat.wire.chapters.presence import Typing
from quicchat.wire.chapters.rooms import Join
from quicchat.wire.chapters.session import Bye, Error, Ok, Ping, Pong, Purpose, StreamOpen
from quicchat.wire.names import GENERAL, User
from tests.protocol.line import QUERY, START
from tests.server.floor import Guest, floor, idle
from tests.server.house import play, refusal, world
from tests.transport.driving import play as run

ASK = History(room=GENERAL, window=Window.LATEST)


def post(number: int, text: str = "") -> Post:
    return Post(room=GENERAL, cid=number.to_bytes(16, "big"), text=text or str(number))


def join(number: int) -> Join:
    return Join(room=f"r{number}")


def codes(guest: Guest) -> set[int]:
    return {code for code, _ in guest.refusals()}


# Buckets


def test_a_bucket_gives_what_it_has_and_fills_again() -> None:
    """[8.3-1]: a burst at once, then so many each second; more than it ever holds waits until it is full."""
    bucket = Bucket(20, 100)
    assert bucket.wait(100, 5.0) == 0.0
    bucket.charge(100)
    assert bucket.wait(1, 5.0) == pytest.approx(0.05)
    assert bucket.wait(1, 5.05) == 0.0
    assert bucket.wait(1_000, 5.05) == pytest.approx(4.95)
    assert bucket.wait(1_000, 100.0) == 0.0
    bucket.charge(1_000)
    assert bucket.wait(1, 100.0) == pytest.approx(45.05)


@given(
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 200),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 64)), max_size=60),
)
def test_nobody_gets_more_than_his_rate(rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
    """[8.3-1] R0.10: whoever asks when he is told to never gets more than burst + rate * time, and never less."""
    bucket = Bucket(rate, burst)
    now, spent, last = 0.0, 0.0, 0
    for pause, cost in steps:
        now += pause
        now += bucket.wait(cost, now)
        assert bucket.wait(cost, now) <= 1e-6
        bucket.charge(cost)
        spent += cost
        last = max(last, cost)
        assert spent <= burst + rate * now + max(0, last - burst) + 1e-3


# Posts wait


def test_posts_beyond_the_rate_wait_in_their_order() -> None:
    """[8.3-2] R0.10: a hundred at once, then twenty a second; none is refused, and what comes behind them waits too."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(160):
                alice.hear(post(number), id=number)
            alice.hear(join(1), id=999)
            await idle()
            assert len(here.script.got(Post)) == 100
            await idle(1.0)
            assert len(here.script.got(Post)) == 120
            assert here.script.got(Join) == []
            await idle(2.1)
            assert here.script.asked[-161:] == [*map(post, range(160)), join(1)]
            assert [re for pdu, re in alice.answers() if isinstance(pdu, Ok)] == [*range(160), 999]
            assert alice.refusals() == []

    run(scenario)


def test_receipts_beyond_the_rate_wait_too() -> None:
    """[8.3-2] Z6: each is a write, and nobody asks for an answer that could say no; none is lost."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(700):
                alice.hear(Receipt(room=GENERAL, delivered=number))
            await idle()
            assert len(here.script.got(Receipt)) == 500
            await idle(0.5)
            assert len(here.script.got(Receipt)) == 600
            await idle(0.6)
            assert here.script.got(Receipt) == [Receipt(room=GENERAL, delivered=number) for number in range(700)]
            assert alice.refusals() == []

    run(scenario)


def test_who_pings_all_the_time_gets_no_digest() -> None:
    """[8.3-7] P7: it is made of all one hears; the answer comes all the same, and the digest again after a while."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(50):
                alice.hear(Ping(nonce=number))
            await idle(1.0)
            alice.hear(Ping(nonce=50))
            await idle()
            pongs = [each for each in alice.said(Pong) if isinstance(each, Pong)]
            assert [each.nonce for each in pongs] == list(range(51))
            assert [each.nonce for each in pongs if each.digest is not None] == [*range(20), 50]

    run(scenario)


def test_a_query_on_its_own_stream_does_not_wait_for_posts() -> None:
    """[8.3-2]: streams are not ordered among each other; who has pasted a book may still read."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(200):
                alice.hear(post(number))
            alice.hear(StreamOpen(kind=Purpose.QUERY), ASK, sid=QUERY)
            await idle()
            assert len(here.script.got(History)) == 1
            assert len(here.script.got(Post)) == 100

    run(scenario)


def test_many_posts_in_one_cost_as_many() -> None:
    """[8.3-1]: MSG_SEND_MANY is no way around the rate."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            body = codec.encode_body(post(1), version=2)
            for number in range(3):
                alice.hear(PostMany(posts=(body,) * 50), id=number)
            await idle()
            assert len(here.script.got(PostMany)) == 2
            await idle(2.4)
            assert len(here.script.got(PostMany)) == 2
            await idle(0.2)
            assert len(here.script.got(PostMany)) == 3

    run(scenario)


def test_only_when_nothing_more_can_wait_posts_are_refused() -> None:
    """[8.3-2] R0.10 P7: ten times as many as can wait: RATE_LIMITED with the time to wait, and memory is bounded."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(10_000):
                alice.hear(post(number, "x" * 500), id=number)
            await idle()
            refused = alice.refusals()
            assert codes(alice) == {Code.RATE_LIMITED}
            retries = {each.retry_after for each in alice.said(Error)}  # type: ignore[attr-defined]
            assert retries == {1000}
            waiting = len(alice.session._queue)
            assert waiting + len(refused) + 100 == 10_000
            assert 900 < waiting < 1_100
            assert alice.session._queue.held <= HELD

    run(scenario)


def test_who_leaves_is_not_kept_waiting_but_it_counts() -> None:
    """[3.5-2] [8.3-3]: BYE lets go what waits; the account is in debt for it, and its next session pays."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(400):
                alice.hear(post(number))
            alice.hear(Bye())
            await idle(0.5)
            assert len(here.script.got(Post)) == 400
            again = await here.enter()
            again.hear(post(400))
            await idle(1.0)
            assert len(here.script.got(Post)) == 400
            await idle(4.0)
            assert len(here.script.got(Post)) == 401

    run(scenario)


# The rest is refused


def test_a_storm_of_joins_is_refused() -> None:
    """Z6 [8.3-4]: beyond the burst RATE_LIMITED with the time to wait, and whoever waits so long is served."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for number in range(200):
                alice.hear(join(number), id=number)
            await idle()
            assert len(here.script.got(Join)) == 40
            assert [re for _, re in alice.refusals()] == list(range(40, 200))
            (wait,) = {each.retry_after for each in alice.said(Error)}  # type: ignore[attr-defined]
            assert 0 < wait <= 501
            await idle(wait / 1000)
            alice.hear(join(200), id=200)
            await idle()
            assert len(here.script.got(Join)) == 41

    run(scenario)


def test_an_account_is_counted_over_all_its_sessions() -> None:
    """Q19 [8.3-3]: twice a session's share for all of them, from whatever addresses; another address gives no more."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            guests = [await here.enter(address=f"198.51.100.{number}:1") for number in range(4)]
            for number, guest in enumerate(guests):
                guest.session._link.peer = f"203.0.113.{number}:2"  # type: ignore[misc]
                for each in range(100):
                    guest.hear(join(each), id=each)
            await idle()
            assert len(here.script.got(Join)) == 80
            assert [len(guest.refusals()) for guest in guests] == [60, 60, 100, 100]

    run(scenario)


def test_a_flood_of_hints_is_dropped() -> None:
    """Q17 [8.3-5]: beyond their rate datagrams come to nothing, without a word."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            alice = await here.enter()
            for counter in range(500):
                hint = Typing(room=GENERAL, counter=counter, ttl=1)
                alice.link.on_events([Datagram(codec.encode(hint, version=2))])
            await idle()
            assert len(here.script.got(Typing)) == 20
            assert alice.said() == []

    run(scenario)


def test_before_the_login_the_network_is_counted() -> None:
    """Q19 [8.3-6]: sign-ups and logins from one network, over any number of connections; others go on."""

    async def scenario() -> None:
        async with floor(rates=Rates(20, 100)) as here:
            sign_up = Signup(user="eve", salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
            guests = [here.arrive(address=f"[2001:db8::{number}]:9") for number in range(30)]
            for guest in guests:
                guest.hear(sign_up, id=1)
            await idle()
            assert len(here.script.got(Signup)) == 20
            assert [len(guest.refusals()) for guest in guests] == [0] * 20 + [1] * 10
            assert codes(guests[-1]) == {Code.RATE_LIMITED}
            other = here.arrive(address="[2001:db8:0:1::1]:9")
            other.hear(sign_up, id=1)
            guests[-1].hear(START, id=2)
            await idle()
            assert (other.refusals(), len(guests[-1].refusals())) == ([], 1)

    run(scenario)


def test_connections_are_counted_too() -> None:
    """[8.3-6] Q1: beyond the burst a network's further connections are closed with RATE_LIMITED."""
    limit = Rates(20, 100)
    assert [limit.connect("192.0.2.1", 0.0) for _ in range(201)] == [True] * 200 + [False]
    assert limit.connect("192.0.2.2", 0.0)
    assert limit.connect("192.0.2.1", 0.06)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: accounts and networks without end leave no more behind than so many; the one in use stays."""
    monkeypatch.setattr(rates, "REMEMBERED", 100)
    limit = Rates(20, 100)
    kept = limit.account(User("kept"))
    for number in range(1_000):
        limit.account(User(f"u{number}"))
        limit.network(f"n{number}")
        assert limit.account(User("kept")) is kept
    assert len(limit._accounts._meters) == len(limit._networks._meters) == 100


# Slow readers


def test_who_reads_slowly_is_answered_slowly() -> None:
    """Q6 Q7 [8.4-2]: hundreds of queries whose answers he does not take wait, and he is not closed for them."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await here.enter()
            alice.link.unread = UNREAD // 2 + 1
            for number in range(100):
                alice.hear(ASK, id=number)
            await idle(5.0)
            assert here.script.got(History) == []
            alice.link.unread = 0
            gate = here.script.hold(History)
            await idle(0.1)
            # Answers that are being made count as if they were not taken yet.
            assert 16 <= len(here.script.got(History)) <= 40
            gate.set()
            await idle()
            assert len(here.script.got(History)) == len(alice.said(Ok)) == 100

    run(scenario)


# The whole road


def test_a_chat_within_its_rates() -> None:
    """R0.10: with the usual rates 300 pipelined sends are all stored, in order, in the time that they take."""

    async def scenario() -> None:
        async with world(rates=Rates(20, 100)) as here:
            alice = await here.enter("alice")
            began = asyncio.get_running_loop().time()
            acks = await asyncio.gather(*(alice.post("general", str(number)) for number in range(300)))
            assert [ack.seq for ack in acks] == list(range(acks[0].seq, acks[0].seq + 300))
            assert 9.5 < asyncio.get_running_loop().time() - began < 11

    play(scenario)


def test_a_user_of_many_rooms_is_slowed_down() -> None:
    """Z6: rooms made in a loop are refused after the burst."""

    async def scenario() -> None:
        async with world(rates=Rates(20, 100)) as here:
            alice = await here.enter("alice")
            for number in range(40):
                await alice.create(f"room{number}")
            assert await refusal(alice.create("one-more")) is Code.RATE_LIMITED

    play(scenario)
