"""The plain front end when the server is lost, slow, gone or not there yet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from quicchat.client.device import device_in
from quicchat.errors import Code, Refused, UsageError
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.model import Stored
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import GENERAL, Device, Room, User
from tests.server.house import World, heard, play, texts
from tests.ui.stage import ALICE, Scene, Session, Start, stage


def test_a_lost_connection_is_replaced_and_nothing_is_lost_or_doubled(scene: Scene) -> None:
    """P1, P2, R4.17: the server is cut off while lines are sent: said once, found again, each line in the log once."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        for round_ in range(4):
            session.keys.type(*(f"line {round_}.{number}" for number in range(10)))
            await asyncio.sleep(0.020 + 0.003 * round_)
            session.cut(here)
            await asyncio.sleep(5)
        session.keys.end()
        assert await session.ended() == 0
        assert sum("connection lost" in line for line in session.sheet.err) == 4
        assert sum("connected again as alice" in line for line in session.sheet.err) == 4
        found = [text for text in await texts(bob, GENERAL) if text.startswith("line")]
        assert found == [f"line {round_}.{number}" for round_ in range(4) for number in range(10)]

    scene(scenario)


def test_what_was_missed_is_caught_up_once(scene: Scene) -> None:
    """P4, P6: messages of the time without a connection are printed afterwards, and none of those before again."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        await bob.post(GENERAL, "before")
        await session.until("before")
        session.cut(here)
        await bob.post(GENERAL, "between")
        await session.until("connected again", err=True)
        await bob.post(GENERAL, "after")
        await session.until("after")
        said = [line.rpartition(": ")[2] for line in session.sheet.out]
        assert said == ["before", "between", "after"]
        session.keys.end()
        assert await session.ended() == 0

    scene(scenario)


def test_the_connection_is_shown_while_there_is_none(scene: Scene) -> None:
    """R2.12, P1: /status tells what waits when something waits; it does not wait for the server itself."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        await session.until("you are alice", err=True)
        here.network.partition()
        session.keys.type("one", "two")
        await session.until("connection lost", err=True)
        session.keys.type("/status")
        await session.until("waiting to be sent: 2")
        here.network.heal()
        await session.until("connected again", err=True)
        session.keys.end()
        assert await session.ended() == 0

    scene(scenario)


def test_the_server_is_gone_for_good(scene: Scene) -> None:
    """R4.16: with --on-server-loss exit, two lines and exit code 3."""

    async def scenario(here: World, start: Start) -> None:
        session = start(on_server_loss="exit").go()
        await session.until("you are alice", err=True)
        here.network.crash()
        assert await session.ended() == 3
        assert session.sheet.err[-2:] == ["[Server not responding]", "[Exiting]"]

    scene(scenario)


def test_without_a_server_the_end_of_input_is_not_waited_for(scene: Scene) -> None:
    """R2.12, P1: at the end of input it is waited for a little; what could not be sent is counted, exit 3."""

    async def scenario(here: World, start: Start) -> None:
        session = start(connect_timeout=1).go()
        await session.until("you are alice", err=True)
        here.network.crash()
        session.keys.type("one", "two")
        session.keys.end()
        assert await session.ended() == 3
        assert session.sheet.err[-1] == "-- not sent: 2 lines; what was said is kept for the next time"

    scene(scenario)


def test_one_may_go_while_the_server_is_away(scene: Scene) -> None:
    """R2.12, C5: /quit ends it while the server is away: at once with nothing to send, else after a while."""

    async def scenario(here: World, start: Start) -> None:
        loop = asyncio.get_running_loop()
        for last_words, code in (((), 0), (("too late",), 3)):
            session = start(connect_timeout=1).go(replace(ALICE, sign_up=code == 0))
            await session.until("you are alice", err=True)
            here.network.deafen()
            session.cut(here)
            await session.until("connection lost", err=True)
            await asyncio.sleep(20)
            before = loop.time()
            session.keys.type(*last_words, "/quit")
            if code == 0:
                assert await session.ended() == 0
                assert loop.time() - before < 1.1
            else:
                assert await session.ended() == 3
                assert 1 <= loop.time() - before < 2.1
                assert "-- not sent: 1 line;" in session.sheet.err[-1]
            here.network.heal()
            here.network.listen(here.door.accept)

    scene(scenario)


def test_a_server_that_stops_is_awaited(tmp_path: Path) -> None:
    """R4.16, C10: a drain is told; what is typed in the meantime is sent to the next server of the same store."""
    store = MemoryStore()

    async def last_words(session: Session) -> None:
        await session.until("the server says", err=True)
        session.keys.type("for the next one")
        await session.until("connection lost", err=True)
        session.keys.type("and this")

    async def scenario() -> None:
        worlds: list[World] = []
        async with stage(tmp_path, worlds=worlds, store=store, latency=0.1) as (here, start):
            session = start().go()
            await session.until("you are alice", err=True)
            typing = asyncio.get_running_loop().create_task(last_words(session))
            here.network.deafen()
        await typing
        async with stage(tmp_path, worlds=worlds, store=store) as (here, _):
            await session.until("connected again", err=True)
            bob = await here.enter("bob")
            session.keys.end()
            assert await session.ended() == 0
            past = await bob.history(GENERAL)
            assert [each.text for each in past if each.kind is Kind.TEXT] == ["for the next one", "and this"]

    play(scenario)


def test_a_line_typed_while_the_connection_fails_is_sent_on_the_next(scene: Scene) -> None:
    """P1: between our own fatal ERROR and the close nothing can be sent; the line waits for the next connection."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        session.front._chat._requests.driver.fail(Code.INTERNAL, "a bug of ours")
        session.keys.type("hello")
        session.keys.end()
        assert await session.ended() == 0
        assert (await texts(bob, GENERAL))[-1] == "hello"
        assert any("connected again" in line for line in session.sheet.err)

    scene(scenario)


def test_another_session_of_the_same_device_ends_this_one(scene: Scene, tmp_path: Path) -> None:
    """A9: who was replaced does not come back to replace in turn; exit code 5."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        await session.until("you are alice", err=True)
        other = await here.enter("alice", sign_up=False, device=device_in(tmp_path))
        assert await session.ended() == 5
        assert "took over" in session.sheet.err[-1]
        assert other.lost is None

    scene(scenario)


class Stubborn(MemoryStore):
    """A store that refuses appends for so many seconds, as a busy or full one does."""

    def __init__(self, refusal: Refused, seconds: float) -> None:
        super().__init__()
        append = self.log.append

        async def refusing(
            room: Room, sender: User, device: Device, post: Post, *, operator: bool = False, at: int
        ) -> Stored:
            if asyncio.get_running_loop().time() < seconds:
                raise refusal
            return await append(room, sender, device, post, operator=operator, at=at)

        self.log.append = refusing  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "refusal",
    [Refused(Code.RATE_LIMITED, retry_after=700), Refused(Code.STORE_UNAVAILABLE)],
    ids=["rate limited", "store full"],
)
def test_a_busy_server_is_asked_again_in_order(scene: Scene, refusal: Refused) -> None:
    """R0.10, D3, P1: what is refused for the moment is sent again; all is delivered in the end, in its order."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        session.keys.type("one", "two", "three")
        session.keys.end()
        assert await session.ended() == 0
        assert asyncio.get_running_loop().time() > 14
        assert not any("refused" in line for line in session.sheet.err)
        bob = await here.enter("bob")
        past = await bob.history(GENERAL)
        assert [each.text for each in past if each.kind is Kind.TEXT] == ["one", "two", "three"]

    scene(scenario, store=Stubborn(refusal, 14.0))


def test_a_login_that_fails_is_told_to_whoever_asks(scene: Scene) -> None:
    """R1.10: the refusal leaves the front end as an exception, with the connection closed."""

    async def scenario(here: World, start: Start) -> None:
        with pytest.raises(Refused) as caught:
            await start().go(replace(ALICE, sign_up=False)).ended()
        assert caught.value.code is Code.AUTH_FAILED
        await asyncio.sleep(1)
        assert list(here.door.router) == []

    scene(scenario)


def test_nobody_there_at_first(scene: Scene) -> None:
    """R1.4: without a server: one line and exit code 3; with --wait it says so once, and gets in when there is one."""

    async def scenario(here: World, start: Start) -> None:
        here.network.deafen()
        with pytest.raises(UsageError, match="cannot connect to localhost:55667") as caught:
            await start().go().ended()
        assert caught.value.exit_code == 3

        session = start(wait=True).go()
        await asyncio.sleep(60)
        assert not session.task.done()
        here.network.listen(here.door.accept)
        await session.until("you are alice", err=True)
        session.keys.end()
        assert await session.ended() == 0
        assert sum("is not there yet" in line for line in session.sheet.err) == 1

    scene(scenario)


def test_no_common_version(scene: Scene) -> None:
    """R3.6: offering 9 alone ends with what the server speaks, and exit code 3, with --wait too; 9,1 picks 1."""

    async def scenario(here: World, start: Start) -> None:
        for wait in (False, True):
            with pytest.raises(UsageError) as caught:
                await start(versions=(9,), wait=wait).go().ended()
            assert str(caught.value) == "no common version (server speaks 1..2)"
            assert caught.value.exit_code == 3
        session = start(versions=(9, 1)).go()
        session.keys.type("hello")
        session.keys.end()
        assert await session.ended() == 0
        assert "protocol version 1" in session.sheet.err[0]

    scene(scenario)


def test_interrupted(scene: Scene) -> None:
    """R3.11: whoever is cancelled says goodbye first, and the others hear it at once."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        await heard(bob)
        session.task.cancel()
        before = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await session.ended()
        assert asyncio.get_running_loop().time() - before < 1
        shows = [event.show for event in await heard(bob) if isinstance(event, Presence)]
        assert shows == [Show.OFFLINE]

    scene(scenario)


def test_a_goodbye_does_not_wait_for_a_dead_server(scene: Scene) -> None:
    """R3.11: an interrupt with nobody at the other end takes a second, not the life of a timeout."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        await session.until("you are alice", err=True)
        here.network.partition()
        before = asyncio.get_running_loop().time()
        session.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await session.ended()
        assert asyncio.get_running_loop().time() - before < 1.5
        here.network.heal()

    scene(scenario)


def test_a_text_for_a_group_that_ended_stays_there(scene: Scene) -> None:
    """Priority 2: when the current room is gone after a loss, what is typed is refused, not said in general."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        session.keys.type("/group g1")
        await session.until("you are in g1 now", err=True)
        other = await here.enter("alice", sign_up=False)
        await other.leave("g1")
        session.cut(here)
        session.keys.type("between us")
        await session.until("not a member", err=True)
        session.keys.end()
        assert await session.ended() == 0
        assert "between us" not in await texts(bob)

    scene(scenario)


def test_what_was_said_is_read_and_searched_without_a_connection(scene: Scene) -> None:
    """[12.6-4]: /history and /search are answered by what this device keeps, though something waits to be sent."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        session.keys.type("blue moon", "red sun")
        await session.until("you are alice", err=True)
        session.keys.type("/history 1")
        await session.until("alice: red sun  (sent")
        here.network.partition()
        session.keys.type("waits")
        await session.until("connection lost", err=True)
        session.sheet.out.clear()
        session.keys.type("/history 2", "/search moon*", "/history after #1")
        await session.until("moon")
        await asyncio.sleep(1)
        assert [line.partition("  (sent")[0].partition(" ")[2] for line in session.sheet.out[:2]] == [
            "alice: blue moon",
            "alice: red sun",
        ]
        assert session.sheet.out[2].endswith("alice: blue moon")
        assert len(session.sheet.out) == 3
        here.network.heal()
        session.keys.end()
        assert await session.ended() == 0
        assert session.sheet.out[-1].partition("  (sent")[0].endswith("alice: waits")

    scene(scenario)
