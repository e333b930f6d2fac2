"""One client over many connections: the outbox, the token, the events."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.events import Line, Progress, Sent
from quicchat.client.memory import Change, PlainMemory
from quicchat.errors import Code, Refused
from quicchat.transport.memory import MemoryLink, Network
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.session import Error, Goaway
from tests.client.counter import Counter, served
from tests.client.lives import Listener, alive, living
from tests.server.house import play, texts, world


def test_posts_wait_for_the_next_connection() -> None:
    """R4.17, D1: what is said while the server is away is stored once, in order, when it is back."""

    async def scenario() -> None:
        async with world(idle=3.0) as here:
            bob = await here.enter("bob")
            async with living(here, "alice") as alice:
                ears = Listener(alice)
                await alice.post("general", "before")
                here.network.partition()
                said = [asyncio.ensure_future(alice.post("general", str(n))) for n in range(100)]
                await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
                assert not any(each.done() for each in said)
                here.network.heal()
                answers = await asyncio.gather(*said)
                places = [each.seq for each in answers]
                assert places == list(range(places[0], places[0] + 100))
                states = [each.state for each in ears.of(Line)]
                assert states[-1] == "online"
                assert alice.lost is None
            dave = await here.enter("dave")
            log = [each.text for each in await dave.history("general", limit=200)]
            assert [each for each in log if each and each.isdigit()] == [str(n) for n in range(100)]
            assert bob.lost is not None

    play(scenario)


def test_a_token_brings_one_back_in_the_first_flight() -> None:
    """R4.10: after a loss the login is a token in early data; what was said meanwhile comes once, without a Reset."""

    async def scenario() -> None:
        async with world(idle=3.0, latency=0.05) as here:
            bob = await here.enter("bob")
            early: list[bool] = []
            async with living(here, "alice", early=early) as alice:
                ears = Listener(alice)
                await bob.post("general", "one")
                here.network.partition(alice.link.address)  # type: ignore[attr-defined]
                for n in range(5):
                    await bob.post("general", f"away {n}")
                await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
                here.network.heal()
                await ears.until(lambda: any(each.text == "away 4" for each in ears.of(Message)))
                assert early == [False, True]
                assert [each.early for each in ears.of(Line) if each.state == "online"] == [False, True]
                heard = [each.text for each in ears.of(Message) if each.sender == "bob"]
                assert heard[-6:] == ["one", *(f"away {n}" for n in range(5))]
                seqs = [each.seq for each in ears.of(Message) if each.room == "general"]
                assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    play(scenario)


def test_what_was_stored_is_not_sent_again() -> None:
    """[6.1-3]: an acknowledgement that was lost comes with RESUMED: stored, and not resent blindly."""

    async def scenario() -> None:
        async with world(idle=3.0) as here:
            bob = await here.enter("bob")
            appended = 0
            append = here.store.log.append

            async def counted(*what: object, **more: object) -> object:
                nonlocal appended
                appended += 1
                stored = await append(*what, **more)  # type: ignore[arg-type]
                here.network.partition(alice.link.address)  # type: ignore[attr-defined]
                return stored

            async with living(here, "alice") as alice:
                ears = Listener(alice)
                here.store.log.append = counted  # type: ignore[method-assign, assignment]
                said = asyncio.ensure_future(alice.post("general", "once"))
                await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
                here.network.heal()
                answer = await said
                assert (appended, answer.dup) == (1, True)
                await ears.until(lambda: any(each.text == "once" for each in ears.of(Message)))
                (cid,) = {each.cid for each in ears.of(Progress)}
                states = [each.state for each in ears.of(Progress) if each.cid == cid]
                assert states[:4] == [Sent.QUEUED, Sent.SENT, Sent.QUEUED, Sent.STORED]
            assert (await texts(bob, "general")).count("once") == 1

    play(scenario)


def test_a_token_that_is_refused_leads_to_the_password() -> None:
    """Issue item 4: whoever revoked the token, the password still gets one in; without one there is an end."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            async with living(here, "alice", memory=memory):
                pass
            kept = (await memory.load()).token
            assert kept is not None
            copy = PlainMemory()
            await copy.keep(Change(token=kept))
            async with living(here, "alice", sign_up=False, memory=memory, password=None) as alice:
                assert alice.state.user == "alice"
            async with living(here, "alice", sign_up=False, memory=copy) as alice:
                assert alice.state.user == "alice"
            await copy.keep(Change(token=kept))
            with pytest.raises(Refused) as caught:
                async with living(here, "alice", sign_up=False, memory=copy, password=None):
                    pass
            assert caught.value.code in (Code.TOKEN_EXPIRED, Code.AUTH_FAILED)
            assert (await copy.load()).token is None

    play(scenario)


def test_a_server_that_says_never_again_is_left_alone() -> None:
    """hostile S14: a device that takes over is not fought with: the older session says so and stops."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice:
            ears = Listener(alice)
            async with living(here, "alice", sign_up=False) as other:
                await ears.until(lambda: any(each.state == "offline" for each in ears.of(Line)))
                assert alice.lost is not None
                assert alice.lost.code == Code.SESSION_REPLACED
                await asyncio.sleep(300)
                assert other.lost is None

    play(scenario)


def test_a_server_that_stops_is_given_the_time_it_asks_for() -> None:
    """[3.5-6], [3.5-7]: GOAWAY says how long to stay away, and whether coming back is worth trying at all."""

    async def scenario() -> None:
        for goaway, comes_back in (
            (Goaway(code=Code.DRAINING, reconnect=True, after=20_000), True),
            (Goaway(code=Code.DRAINING, reconnect=False), False),
        ):
            counter = Counter(Network())
            async with served(counter) as alice:
                ears = Listener(alice)
                counter.tell(goaway)
                counter.lines[-1].close(Code.DRAINING, "stopping")
                await asyncio.sleep(60)
                assert (len(counter.lines) == 2) is comes_back
                waits = [each.retry_in or 0.0 for each in ears.of(Line) if each.state == "waiting"]
                assert [20.0 <= wait <= 20.5 for wait in waits] == [True] * comes_back
                assert (alice.lost is None) is comes_back

    play(scenario)


def test_early_data_that_is_refused_is_said_again() -> None:
    """Issue item 4: where early data may not do this, the same token goes once more without, at once."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.early = Error(code=Code.REPLAY, text="Not early.")
        async with served(counter) as alice:
            ears = Listener(alice)
            await asyncio.sleep(1)
            assert len(counter.lines) == 2
            assert [each.early for each in ears.of(Line)] == [False]

    play(scenario)


def test_a_server_that_is_busy_is_not_asked_again_at_once() -> None:
    """[3.5-7]: where early data met a server that wants to be left alone, the next attempt waits as any other."""

    async def scenario() -> None:
        counter = Counter(Network())
        async with served(counter) as alice:
            ears = Listener(alice)
            await asyncio.sleep(1)
            counter.early = Error.about(Code.OVERLOADED, fatal=True)
            counter.lines[-1].fail(Code.OVERLOADED)
            await ears.until(lambda: [each.state for each in ears.of(Line)].count("online") == 2)
            states = [each.state for each in ears.of(Line)]
            assert states == ["online", "waiting", "connecting", "waiting", "connecting", "online"]
            assert len(counter.lines) == 3

    play(scenario)


def test_a_change_of_network_is_no_time_to_wait() -> None:
    """Issue item 5: while a client waits for its next attempt, `migrate` makes it now; else it moves the connection."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "alice") as alice:
            ears = Listener(alice)
            assert await alice.migrate() > 0
            await asyncio.sleep(0.1)
            assert [each.state for each in ears.of(Line)][-1] == "moved"
            here.network.partition()
            await asyncio.sleep(120)
            here.network.heal()
            waiting = [each for each in ears.of(Line) if each.state == "waiting"]
            assert len(waiting) > 3
            start = asyncio.get_running_loop().time()
            await alice.migrate()
            assert asyncio.get_running_loop().time() - start < 1
            assert (await alice.post("general", "back")).seq

    play(scenario)


@pytest.mark.parametrize(("lingers", "most"), [(0.7, 0.8), (100.0, 1.1)])
def test_whoever_closes_waits_for_links_given_up_before(lingers: float, most: float) -> None:
    """RFC 9000 section 10.2: a link that repeats its close keeps its socket; the end waits for it, a second."""

    async def scenario() -> None:
        async with world() as here:
            loop = asyncio.get_running_loop()
            alice = await alive(here, "alice")
            ears = Listener(alice)
            link = alice.link
            assert isinstance(link, MemoryLink)
            end = link._end
            link._end = lambda closed: loop.call_later(lingers, end, closed)  # type: ignore[method-assign, assignment]
            alice._session.requests.driver.close(Code.NO_ERROR, "")
            await ears.until(lambda: alice.lost is not None or any(each.state == "waiting" for each in ears.of(Line)))
            start = loop.time()
            await alice.close()
            assert (link.closed is not None) is (lingers < 1)
            assert loop.time() - start < most

    play(scenario)
