"""What senders learn of their readers, and what is said about earlier messages, with a whole server between."""

from __future__ import annotations

import asyncio

from quicchat.client.events import Line, Progress, Sent
from quicchat.client.memory import PlainMemory
from quicchat.client.view import view
from quicchat.transport.memory import MemoryLink
from quicchat.wire.chapters.messages import Message, Window
from quicchat.wire.names import User, direct
from tests.client.lives import Listener, living
from tests.server.house import play, world

ROOM = direct(User("alice"), User("bob"))


def states(ears: Listener, cid: bytes) -> list[Sent]:
    return [each.state for each in ears.of(Progress) if each.cid == cid]


def test_stored_delivered_read() -> None:
    """R0.5, [6.4-8]: three distinct states, each when it is so and not before."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice:
            ears = Listener(alice)
            async with living(here, "bob") as bob:
                pass
            posted = await alice.tell("bob", "are you there?")
            await asyncio.sleep(60)
            assert states(ears, posted.cid)[-1] is Sent.STORED
            async with living(here, "bob", sign_up=False) as bob:
                await asyncio.sleep(5)
                assert states(ears, posted.cid)[-1] is Sent.DELIVERED
                bob.mark_read(ROOM, posted.seq)
                await asyncio.sleep(5)
            assert states(ears, posted.cid) == [Sent.QUEUED, Sent.SENT, Sent.STORED, Sent.DELIVERED, Sent.READ]
            assert {each.by for each in ears.of(Progress) if each.state >= Sent.DELIVERED} == {"bob"}

    play(scenario)


def test_a_receiver_that_is_killed_before_has_nothing() -> None:
    """R0.5: killing the receiver before delivery leaves "stored", for ever."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice:
            ears = Listener(alice)
            bob = await here.enter("bob")
            assert isinstance(bob.link, MemoryLink)
            here.network.partition(bob.link.address)
            posted = await alice.tell("bob", "too late")
            bob.link.kill()
            await asyncio.sleep(600)
            assert states(ears, posted.cid)[-1] is Sent.STORED

    play(scenario)


def test_a_receipt_for_a_sender_who_is_away_waits_for_him() -> None:
    """R4.13: he sees at his next login what was read in between."""

    async def scenario() -> None:
        async with world() as here:
            memory = PlainMemory()
            async with living(here, "bob"):
                pass
            async with living(here, "alice", memory=memory) as alice:
                posted = await alice.tell("bob", "read me")
            async with living(here, "bob", sign_up=False) as bob:
                await asyncio.sleep(2)
                bob.mark_read(ROOM)
                await asyncio.sleep(2)
            async with living(here, "alice", sign_up=False, memory=memory) as alice:
                ears = Listener(alice)
                await asyncio.sleep(2)
                assert states(ears, posted.cid) == [Sent.READ]
                assert [each.state for each in alice.outbox] == [Sent.READ]

    play(scenario)


def test_unread_and_mentions_are_the_servers_count_on_every_device() -> None:
    """Protocol §7.9: one truth: what one device reads, the other does not show as unread."""

    async def scenario() -> None:
        async with (
            world() as here,
            living(here, "alice") as alice,
            living(here, "alice", sign_up=False, device=b"2" * 16) as phone,
            living(here, "bob") as bob,
        ):
            heard = [Listener(alice), Listener(phone)]
            await alice.targets()
            await phone.targets()
            for number in range(4):
                await bob.post("general", str(number), mentions=["alice"] if number == 3 else None)
            posted = await bob.post("general", "4")
            await asyncio.sleep(1)
            before = [each.chat.state.rooms["general"] for each in heard]
            alice.mark_read("general", posted.seq - 2)
            await asyncio.sleep(1)
            views = [each.chat.state.rooms["general"] for each in heard]
            assert [(each.read, each.unread, each.mentions) for each in views] == [(posted.seq - 2, 2, 1)] * 2
            assert {(each.mentions, (each.unread or 0) >= 5) for each in before} == {(1, True)}
            phone.mark_read("general")
            await asyncio.sleep(1)
            views = [each.chat.state.rooms["general"] for each in heard]
            assert [(each.read, each.unread, each.mentions) for each in views] == [(posted.seq, 0, 0)] * 2

    play(scenario)


def test_what_was_pushed_shows_what_history_shows() -> None:
    """Design §8, issue item 11: corrections, reactions, pins and retractions: pushed over nothing = read anew."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice, living(here, "bob") as bob:
            ears = Listener(bob)
            first = await alice.tell("bob", "helo")
            second = await alice.tell("bob", "wrong")
            await alice.edit(ROOM, first.seq, "hello")
            reaction = await bob.react(ROOM, first.seq, "+1")
            await bob.react(ROOM, first.seq, "tea")
            await bob.retract(ROOM, reaction.seq)
            await alice.pin(ROOM, first.seq)
            await alice.edit(ROOM, second.seq, "still wrong")
            await alice.retract(ROOM, second.seq)
            await asyncio.sleep(1)
            pushed = view(each for each in ears.of(Message) if each.room == ROOM)
            anew = view(await bob.history(ROOM, window=Window.LATEST, limit=100))
            assert {seq: (each.text, each.reactions, each.pinned) for seq, each in anew.said.items()} == {
                first.seq: ("hello", {"tea": ["bob"]}, True),
                second.seq: (None, {}, False),
            }
            assert pushed == anew

    play(scenario)


def test_many_messages_go_together() -> None:
    """R0.10, [6.1-9]: what piled up leaves as MSG_SEND_MANY, and is stored once and in order."""

    async def scenario() -> None:
        async with world(idle=3.0) as here, living(here, "bob") as bob, living(here, "alice") as alice:
            ears, others = Listener(alice), Listener(bob)
            here.network.partition(alice.link.address)  # type: ignore[attr-defined]
            said = [asyncio.ensure_future(alice.post("general", str(number))) for number in range(500)]
            await ears.until(lambda: any(each.state == "waiting" for each in ears.of(Line)))
            here.network.heal()
            places = [each.seq for each in await asyncio.gather(*said)]
            assert places == list(range(places[0], places[0] + 500))
            await others.until(lambda: any(each.text == "499" for each in others.of(Message)))
            assert [each.text for each in others.of(Message) if each.sender == "alice" and each.text.isdigit()] == [  # type: ignore[union-attr]
                str(number) for number in range(500)
            ]

    play(scenario)


def test_a_mebibyte_is_one_message() -> None:
    """R0.3, issue item 10: 1 MiB arrives as one message, byte for byte, now and from the log."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice, living(here, "bob") as bob:
            ears = Listener(bob)
            text = "".join(f"{number:07x}\n" for number in range(1_048_576 // 8))
            posted = await alice.post("general", text)
            await alice.post("general", "behind it")
            await ears.until(lambda: any(each.text == "behind it" for each in ears.of(Message)))
            (whole,) = [each for each in ears.of(Message) if each.seq == posted.seq]
            assert whole.text == text
            (found,) = [each for each in await bob.history("general") if each.seq == posted.seq]
            assert text.startswith(found.text or "?")

    play(scenario)


def test_search_finds_words() -> None:
    """Issue item 2: the newest first, in one room or all."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice:
            for text in ("tea at five", "coffee at six", "more tea"):
                await alice.post("general", text)
            assert [each.text for each in await alice.search("tea")] == ["more tea", "tea at five"]
            assert [each.text for each in await alice.search("tea", "general", limit=1)] == ["more tea"]
            assert [each.text for each in await alice.room("general").search("cof*")] == ["coffee at six"]

    play(scenario)


def test_whoever_is_away_by_choice_hears_nothing_and_misses_nothing() -> None:
    """R4.9: `hold` is a clean absence: nothing is pushed; afterwards what was missed is fetched, in order."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice, living(here, "bob") as bob:
            ears = Listener(alice)
            await bob.post("general", "before")
            await alice.hold(True)
            for number in range(5):
                await bob.post("general", str(number))
            await asyncio.sleep(30)
            assert not any((each.text or "").isdigit() for each in ears.of(Message))
            await alice.hold(False)
            await ears.until(lambda: any(each.text == "4" for each in ears.of(Message)))
            seqs = [each.seq for each in ears.of(Message) if each.room == "general"]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    play(scenario)


def test_an_account_has_sessions_and_a_password() -> None:
    """Issue item 6, [4.4-1]: sessions are listed and ended; a new password ends the others, and only it gets in."""

    async def scenario() -> None:
        async with world() as here, living(here, "alice") as alice:
            phone = await here.enter("alice", sign_up=False, device=b"2" * 16)
            listed = await alice.account.sessions()
            assert [each[5] for each in listed].count(True) == 1
            assert len(listed) == 2
            (other,) = [each for each in listed if not each[5]]
            await alice.account.revoke(session=other[0])
            await asyncio.sleep(1)
            assert phone.lost is not None
            await alice.account.change_password("secret", "better", iterations=1)
            again = await here.enter("alice", password="better", sign_up=False, device=b"3" * 16)
            assert again.state.user == "alice"

    play(scenario)


def test_who_is_ignored_is_not_told() -> None:
    """Z7, [6.4-12]: his message looks stored, and is neither shown nor acknowledged, in this run and the next one."""

    async def scenario() -> None:
        memory = PlainMemory()
        async with world() as here, living(here, "alice") as alice:
            told = Listener(alice)
            async with living(here, "bob", memory=memory) as bob:
                ears = Listener(bob)
                await bob.account.ignore("alice")
                first = await alice.tell("bob", "listen to me")
                await alice.post("general", "all of you")
                await alice.post("general", "others may", cid=b"c" * 16)
                bob.mark_read(ROOM)
                await asyncio.sleep(30)
                assert [each.text for each in ears.of(Message) if each.sender == "alice"] == []
                assert bob.account.ignored == {"alice"}
            async with living(here, "bob", sign_up=False, memory=memory) as bob:
                ears = Listener(bob)
                second = await alice.tell("bob", "still there?")
                await asyncio.sleep(30)
                assert ears.of(Message) == []
                for posted in (first, second):
                    assert states(told, posted.cid)[-1] is Sent.STORED
                await bob.account.ignore("alice", on=False)
                third = await alice.tell("bob", "and now?")
                await asyncio.sleep(30)
                assert [each.text for each in ears.of(Message)] == ["and now?"]
                assert states(told, third.cid)[-1] is Sent.DELIVERED

    play(scenario)
