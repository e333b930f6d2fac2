"""A client without keys whose account has some elsewhere: what is encrypted it does not say in plain, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quicchat.client.api import Chat
from quicchat.client.e2ee import engine as engines
from quicchat.client.e2ee.provider import NOT_INSTALLED, NOT_LASTING
from quicchat.client.e2ee.records import pinned
from quicchat.client.e2ee.trust import Trust
from quicchat.client.events import Line, Progress, Sent
from quicchat.client.files.sources import BytesSource
from quicchat.client.memory import Change, PlainMemory
from quicchat.client.requests import Requests
from quicchat.errors import Code
from quicchat.wire.chapters.keys import GetKeys, KeyList, KeysChanged
from quicchat.wire.chapters.messages import Post, Posted
from quicchat.wire.chapters.session import Error
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import packed
from tests.client.counter import Counter, served
from tests.client.e2ee.talks import DIRECT, ROOM, Talker, den, held, logged, post, talking
from tests.client.e2ee.test_sealed_files import Wire
from tests.client.e2ee.test_sealed_files import wire as wire
from tests.client.lives import Listener, living
from tests.server.house import World, play, refusal, world

CANARY = "canary "


@asynccontextmanager
async def bot(here: World, user: str = "alice", **more: Any) -> AsyncIterator[Talker]:
    """A client of somebody that has no keys."""
    memory = more.pop("memory", None) or PlainMemory()
    async with living(here, user, sign_up=False, device=b"a bot of alice's", memory=memory, **more) as chat:
        talker = Talker(chat, memory)
        try:
            yield talker
        finally:
            await talker.ears.stop()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Whose lists were asked for, by whatever client."""
    found: list[tuple[str, ...]] = []
    begin = Requests.begin

    def listening(requests: Requests, pdu: Pdu, **more: Any) -> asyncio.Future[Pdu]:
        if isinstance(pdu, GetKeys):
            found.append(pdu.users)
        return begin(requests, pdu, **more)

    monkeypatch.setattr(Requests, "begin", listening)
    return found


async def stays_queued(talker: Talker) -> str:
    """Why the last message of somebody waits."""
    await talker.ears.until(lambda: any(each.reason for each in talker.ears.of(Progress)))
    (cid,) = {each.cid for each in talker.chat.outbox if each.state < Sent.STORED}
    return await held(talker, cid)


@pytest.mark.parametrize("why", [NOT_INSTALLED, NOT_LASTING])
@pytest.mark.parametrize("kind", ["tell", "queue", "edit", "react", "long", "file"])
def test_nothing_is_said_in_plain_where_both_have_keys(
    kind: str, why: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[15.6-42], [15.6-29]: what is for somebody with keys is held by a client without, where its own account has some
    elsewhere; the reason names what helps, and no word leaves it.
    """

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as phone, talking(here, "bob"):
            first = await phone.chat.tell("bob", "sealed")
            monkeypatch.setattr(engines, "is_installed", lambda: why is not NOT_INSTALLED)
            async with bot(here, memory=PlainMemory(lasting=why is NOT_INSTALLED)) as alice:
                chat = alice.chat
                said: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
                    "tell": lambda: chat.tell("bob", CANARY),
                    "queue": lambda: chat.queue(post(1, CANARY, user="bob")),
                    "edit": lambda: chat.edit(DIRECT, first.seq, CANARY),
                    "react": lambda: chat.react(DIRECT, first.seq, CANARY),
                    "long": lambda: chat.tell("bob", CANARY * 20_000),
                    "file": lambda: chat.files.send("bob", [BytesSource(CANARY, CANARY.encode() * 99)], direct=True),
                }
                work = asyncio.ensure_future(said[kind]())
                assert await stays_queued(alice) == why
                assert chat.keys.encryption(DIRECT).state == "held"
                await chat.post("general", "nobody else waits")
                assert not wire.holds(CANARY.encode())
                assert not [each for each in await logged(here, DIRECT, "bob") if each.text]
                work.cancel()

    play(scenario)


def test_an_account_that_never_had_keys_says_everything_in_plain(asked: list[tuple[str, ...]]) -> None:
    """[15.6-42]: where the own account has no keys it is plain as ever, and after one question nobody is asked."""

    async def scenario() -> None:
        async with world() as here, talking(here, "bob") as bob, talking(here, "carol") as carol:
            async with living(here, "dave") as chat:
                asked.clear()
                await chat.tell("bob", "one")
                await chat.tell("carol", "two")
                await chat.tell("bob", "three")
                assert asked == [("dave",)]
            await bob.hears("one", "three")
            await carol.hears("two")
            assert bob.said == [("dave", "one", None), ("dave", "three", None)]

    play(scenario)


def test_who_has_no_keys_is_told_in_plain_until_he_has_some(asked: list[tuple[str, ...]], wire: Wire) -> None:
    """[15.6-42], [15.6-34]: the other one is asked for once, and again after KEY_CHANGED; then it is held."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice"), living(here, "bob"), bot(here) as alice:
            asked.clear()
            await alice.chat.tell("bob", "one")
            await alice.chat.tell("bob", "two")
            assert asked == [("alice",), ("bob",)]
            async with talking(here, "bob", sign_up=False, device=b"a device w. keys"):
                await asyncio.sleep(1)
                await alice.chat.queue(post(1, CANARY, user="bob"))
                assert await stays_queued(alice) == NOT_LASTING
                assert not wire.holds(CANARY.encode())

    play(scenario)


def test_the_own_account_has_keys_from_now_on(wire: Wire) -> None:
    """[15.6-42]: when keys are made on another device of the user, what was plain before is held."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice"), talking(here, "bob") as bob, bot(here) as alice:
            await alice.chat.tell("bob", "one")
            await bob.hears("one")
            async with talking(here, "alice", sign_up=False, device=b"a device w. keys"):
                await asyncio.sleep(1)
                await alice.chat.queue(post(1, CANARY, user="bob"))
                assert await stays_queued(alice) == NOT_LASTING
                assert not wire.holds(CANARY.encode())

    play(scenario)


def test_version_one_is_plain_as_ever(asked: list[tuple[str, ...]]) -> None:
    """[15.6-28]: on version 1 nobody can be asked; what was not known as encrypted is said."""

    async def scenario() -> None:
        async with (
            world() as here,
            talking(here, "alice"),
            talking(here, "bob") as bob,
            bot(here, versions=(1,)) as alice,
        ):
            asked.clear()
            await alice.chat.tell("bob", "one")
            await bob.hears("one")
            assert not asked

    play(scenario)


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_the_policy_of_a_room_is_asked_for_first(is_encrypted: bool, wire: Wire) -> None:
    """[15.6-21]: nor does a client without keys say anything in a room of which it was not told the policy."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as phone, talking(here, "bob") as bob:
            if is_encrypted:
                await den(phone, bob)
            else:
                await phone.chat.create(ROOM)
                await bob.chat.join(ROOM)
            async with bot(here) as alice:
                await alice.chat.queue(post(1, CANARY, room=ROOM))
                if is_encrypted:
                    assert await stays_queued(alice) == NOT_LASTING
                    assert not wire.holds(CANARY.encode())
                else:
                    await bob.hears(CANARY)

    play(scenario)


def test_who_leaves_a_room_is_not_brought_back() -> None:
    """[15.6-21]: the question for the policy of a room never follows the wish to leave it; what waits is refused."""

    async def scenario() -> None:
        async with world() as here, talking(here, "alice") as phone, talking(here, "bob") as bob:
            await phone.chat.create(ROOM)
            await bob.chat.join(ROOM)
            async with bot(here) as alice:
                leaving = asyncio.ensure_future(alice.chat.leave(ROOM))
                await asyncio.sleep(0)
                assert await refusal(alice.chat.post(ROOM, CANARY)) is Code.NOT_MEMBER
                await leaving
                assert [user for user, *_ in await bob.chat.members(ROOM)] == ["bob"]
                assert ROOM not in alice.chat.state.rooms

    play(scenario)


# A server that says what a test tells it to: alice's own list is 3, and bob's what `bob` says.


def acked(pdu: Pdu) -> list[Pdu]:
    assert isinstance(pdu, Post)
    return [Posted(cid=pdu.cid, room=DIRECT, seq=1, ts=1, epoch=1)]


def listed(*serials: int) -> Callable[[Pdu], list[Pdu]]:
    """Says these serials of bob, one after the other."""
    found = list(serials)

    def answer(pdu: Pdu) -> list[Pdu]:
        assert isinstance(pdu, GetKeys)
        return [_row(user, 3 if user == "alice" else found.pop(0)) for user in pdu.users]

    return answer


def busy(times: int, then: Callable[[Pdu], list[Pdu]]) -> Callable[[Pdu], list[Pdu]]:
    """Cannot answer so many times."""
    left: list[Pdu] = [Error(code=Code.OVERLOADED, retry_after=3_000)] * times
    return lambda pdu: [left.pop()] if left else then(pdu)


def _row(user: str, serial: int) -> KeyList:
    return KeyList(users=((user, serial, b"i", b"l", b"s", ()) if serial else (user, 0, b"", b"", b"", ()),))


async def against(
    answer: Callable[[Pdu], Sequence[Pdu]], then: Callable[[Counter, Chat, Listener], Any], **more: Any
) -> None:
    """Alice has a message for bob, at a server that answers KEY_GET so."""
    async with world() as here:
        counter = Counter(here.network)
        counter.answers = {GetKeys: answer, Post: acked}
        async with served(counter, **more) as chat:
            ears = Listener(chat)
            await chat.queue(post(1, CANARY, user="bob"))
            try:
                await then(counter, chat, ears)
            finally:
                await ears.stop()


async def _is_sent(counter: Counter, chat: Chat, ears: Listener) -> None:
    await ears.until(lambda: any(each.state is Sent.STORED for each in ears.of(Progress)))


async def _is_held(counter: Counter, chat: Chat, ears: Listener) -> None:
    await ears.until(lambda: any(each.reason == NOT_LASTING for each in ears.of(Progress)))
    await asyncio.sleep(60)
    assert not counter.of(Post)
    assert ears.of(Progress)[-1].state is Sent.QUEUED


def test_a_server_that_cannot_answer_now_is_asked_again() -> None:
    """[15.6-42]: a refusal for the moment is no answer: the message stays queued, and is judged by what comes then."""

    async def scenario() -> None:
        for serial, then in ((0, _is_sent), (4, _is_held)):
            await against(busy(2, listed(serial)), then)

    play(scenario)


def test_a_server_without_keys_is_one_where_everything_is_plain() -> None:
    """[15.6-42], [15.6-32]: UNSUPPORTED means that nobody has keys there; what is known as encrypted is held."""

    async def scenario() -> None:
        def unknown(_: Pdu) -> list[Pdu]:
            return [Error(code=Code.UNSUPPORTED)]

        await against(unknown, _is_sent)
        await against(unknown, _is_held, change=Change(secrets={("encrypted", DIRECT.encode()): bytes(8)}))

    play(scenario)


def test_whoever_had_keys_once_is_not_without_them() -> None:
    """[15.3-20], [15.6-38]: what is kept of a list that was seen counts more than what a server says now."""

    async def scenario() -> None:
        known = packed(pinned(Trust.FIRST_USE, bytes(20)))
        change = Change(secrets={("person", b"alice"): known, ("person", b"bob"): known})
        await against(listed(), _is_held, change=change)

    play(scenario)


@pytest.mark.parametrize("rows", [(), ("bob", "alice"), ("carol",)])
def test_an_answer_about_somebody_else_is_a_refusal(rows: tuple[str, ...]) -> None:
    """[15.3-22]: nothing is said on the word of an answer that does not answer."""

    async def refused(counter: Counter, chat: Chat, ears: Listener) -> None:
        await ears.until(lambda: any(each.state is Sent.FAILED for each in ears.of(Progress)))
        assert not counter.of(Post)

    async def scenario() -> None:
        wrong = KeyList(users=tuple((user, 0, b"", b"", b"", ()) for user in rows))
        await against(lambda _: [wrong], refused)

    play(scenario)


def test_a_list_that_comes_while_it_is_asked_for() -> None:
    """[15.3-21]: KEY_CHANGED right behind an answer counts more than the answer; nothing is said in between."""

    async def scenario() -> None:
        answer = listed(0, 1)
        changed: dict[tuple[str, ...], Sequence[Pdu]] = {("bob",): [KeysChanged(user="bob", serial=1)]}

        def raced(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, GetKeys)
            return [*changed.pop(pdu.users, ()), *answer(pdu)]

        await against(raced, _is_held)

    play(scenario)


def test_every_connection_asks_anew() -> None:
    """[15.3-21]: that somebody has no keys is believed for one connection."""

    async def scenario() -> None:
        async def again(counter: Counter, chat: Chat, ears: Listener) -> None:
            await _is_sent(counter, chat, ears)
            chat.link.close(0x100, "cut")
            await ears.until(lambda: ears.of(Line)[-1].state == "online" and len(counter.lines) > 1)
            await chat.queue(post(2, CANARY, user="bob"))
            await ears.until(lambda: any(each.reason == NOT_LASTING for each in ears.of(Progress)))
            assert len(counter.of(Post)) == 1

        await against(listed(0, 1), again)

    play(scenario)
