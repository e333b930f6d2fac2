"""What a client makes of RESUMED, of refusals, and of what comes behind them."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.events import Line, Progress, Reset, Sent
from quicchat.client.memory import Change, Cursor, Entry, Held
from quicchat.errors import Code, LinkLost, Refused
from quicchat.transport.memory import Network
from quicchat.wire import codec
from quicchat.wire.chapters.accounts import HEADS, Resume, Verdict
from quicchat.wire.chapters.messages import (
    History,
    ListReceipts,
    ListTargets,
    Message,
    Post,
    PostMany,
    Receipt,
    ReceiptEvent,
    ReceiptList,
    TargetList,
)
from quicchat.wire.chapters.rooms import RoomState
from quicchat.wire.chapters.session import Error, Ok
from quicchat.wire.registry import Pdu
from tests.client.counter import TOKEN, Counter, acked, each_acked, entry, event, log, seqs, served
from tests.client.lives import Listener
from tests.server.house import play


def test_resume_tells_what_is_held_and_what_is_outstanding() -> None:
    """[4.3-9], protocol §7.1: the first flight has both; nothing that is known is sent again, the rest is, in order."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 7, 7, Verdict.OK)]
        counter.known = [(entry(2).cid, 7)]
        counter.answers = {Post: acked, PostMany: each_acked}
        held = Change(entries=[entry(1), entry(2), entry(3)], cursors={"general": Cursor(seq=6, given=6)})
        counter.answers[History] = log(7)
        async with served(counter, held) as alice:
            ears = Listener(alice)
            await ears.until(lambda: not alice._session.posting.outbox.outstanding)
            (resume,) = counter.of(Resume)
            assert isinstance(resume, Resume)
            assert (resume.token, resume.have) == (TOKEN, (("general", 1, 6),))
            assert resume.outstanding == (entry(1).cid, entry(2).cid, entry(3).cid)
            (many,) = counter.of(PostMany)
            assert isinstance(many, PostMany)
            sent = [codec.decode_body(Post, body, version=2).text for body in many.posts]
            assert sent == ["1", "3"]
            assert [(each.seq, each.state) for each in alice.outbox] == [
                (101, Sent.STORED),
                (7, Sent.STORED),
                (103, Sent.STORED),
            ]

    play(scenario)


def test_a_server_that_cannot_prove_what_it_saw_is_left() -> None:
    """Hostile A9, [4.3-5]: RESUMED with another proof is a changed negotiation: nothing that came with it counts."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.proves = False
        counter.behind = [event(1, "false")]
        with pytest.raises(Refused) as caught:
            async with served(counter, password="secret"):
                pass
        assert caught.value.code is Code.DOWNGRADE

    play(scenario)


def test_what_comes_behind_resumed_needs_no_asking() -> None:
    """Issue item 4: small gaps come by themselves; they are not fetched as well."""

    async def scenario() -> None:
        counter = Counter(Network(latency=0.05))
        counter.rooms = [("general", 1, 5, 2, Verdict.OK)]
        counter.behind = [event(3), event(4), event(5)]
        counter.answers[History] = log(5)
        async with served(counter, Change(cursors={"general": Cursor(seq=2, given=2)})) as alice:
            ears = Listener(alice)
            await asyncio.sleep(10)
            assert seqs(ears) == [3, 4, 5]
            assert counter.of(History) == []

    play(scenario)


def test_verdicts() -> None:
    """[4.3-7], [4.3-8]: truncated goes on where the log begins, reset drops what was held, gone forgets."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [
            ("cut", 1, 9, 6, Verdict.TRUNCATED),
            ("gone", 1, 9, 9, Verdict.GONE),
            ("new", 2, 3, 0, Verdict.RESET),
        ]

        def answer(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, History)
            found = log(9, room="cut", first=7) if pdu.room == "cut" else log(3, room="new", epoch=2)
            return list(found(pdu))

        counter.answers[History] = answer
        held = {room: Cursor(seq=3, given=3) for room in ("cut", "gone", "new")}
        change = Change(cursors=held, events=[Held(event(3, "stale", room="new"))])
        async with served(counter, change) as alice:
            ears = Listener(alice)
            await asyncio.sleep(5)
            heard = [(each.room, each.seq) for each in ears.of(Message)]
            assert [each for each in heard if each[0] == "cut"] == [("cut", 7), ("cut", 8), ("cut", 9)]
            assert [each for each in heard if each[0] == "new"] == [("new", 1), ("new", 2), ("new", 3)]
            assert [each.room for each in ears.of(Reset)] == ["new"]
            assert sorted(alice.state.rooms) == ["cut", "new"]
            assert [each.event.text for each in await alice.memory.page("new")] == ["1", "2", "3"]
            assert sorted((await alice.memory.load()).cursors) == ["cut", "new"]

    play(scenario)


def test_a_server_of_version_1_is_met_without_early_data() -> None:
    """[1.2-1], issue item 12: a token sent before the version is known ends the connection; the next one asks first."""

    async def scenario() -> None:
        counter = Counter(Network(), versions=(1,))
        with pytest.raises((Refused, LinkLost)):
            async with served(counter):
                pass
        assert len(counter.lines) == 2
        assert counter.lines[1].connection.version == 1
        assert counter.of(Resume) == []

    play(scenario)


def test_one_of_many_may_be_refused() -> None:
    """[6.1-9]: an ERROR that names a message fails that one; the others of the same MSG_SEND_MANY are stored."""

    async def scenario() -> None:
        counter = Counter(Network())

        def answer(pdu: Pdu) -> list[Pdu]:
            first, _, third, ok = each_acked(pdu)
            return [first, Error(code=Code.FORBIDDEN, text="No.", detail=entry(2).cid), third, ok]

        counter.answers = {PostMany: answer}
        async with served(counter, Change(entries=[entry(1), entry(2), entry(3)])) as alice:
            ears = Listener(alice)
            await ears.until(lambda: not alice._session.posting.outbox.outstanding)
            assert [each.state for each in alice.outbox] == [Sent.STORED, Sent.FAILED, Sent.STORED]
            assert [each.reason for each in ears.of(Progress) if each.state is Sent.FAILED] == ["No."]

    play(scenario)


def test_a_limited_rate_is_kept_and_all_is_delivered_in_order() -> None:
    """R0.10, [6.1-12]: after every ten RATE_LIMITED{retry_after}: it is waited for, and all is stored in the end."""

    async def scenario() -> None:
        counter = Counter(Network())
        loop = asyncio.get_running_loop()
        free = 0.0
        stored: list[int] = []

        def one(post: Post) -> Pdu:
            nonlocal free
            if loop.time() < free:
                wait = int((free - loop.time()) * 1000) + 1
                return Error(code=Code.RATE_LIMITED, retry_after=wait, detail=post.cid)
            stored.append(int(post.text))
            if len(stored) % 10 == 0:
                free = loop.time() + 2.0
            return acked(post)[0]

        def many(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, PostMany)
            return [*(one(codec.decode_body(Post, body, version=2)) for body in pdu.posts), Ok()]

        def single(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, Post)
            return [one(pdu)]

        counter.answers = {PostMany: many, Post: single}
        async with served(counter, Change(entries=[entry(number) for number in range(1, 101)])) as alice:
            ears = Listener(alice)
            await ears.until(lambda: not alice._session.posting.outbox.outstanding)
            assert stored == list(range(1, 101))
            assert len(counter.of(PostMany)) <= 24
            assert loop.time() < 30

    play(scenario)


def test_a_lost_tail_is_found_by_the_digest() -> None:
    """Issue item 2: a PONG that differs twice in a row leads to TARGETS, and those to what was missing."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 2, 2, Verdict.OK)]
        counter.answers = {
            History: log(4),
            ListTargets: lambda _: [TargetList(targets=(("general", 1, 4, 0, 4, 0),), more=False)],
        }
        async with served(counter, Change(cursors={"general": Cursor(seq=2, given=2)})) as alice:
            ears = Listener(alice)
            ours = alice._session.fetch
            assert [ours.doubt(b"?" * 16), ours.doubt(b"?" * 16)] == [False, True]
            await ours.compare(alice._requests)
            await asyncio.sleep(5)
            assert seqs(ears) == [3, 4]
            assert alice.state.rooms["general"].unread == 4

    play(scenario)


def test_receipts_are_asked_for_after_the_login() -> None:
    """R4.13: a receipt for a sender who was away waits for him; he asks for the rooms where he has messages."""

    async def scenario() -> None:
        counter = Counter(Network())
        stored = Entry(order=1, post=entry(1).post, room="general", state=Sent.STORED, seq=5, epoch=1)
        people = (("bob", 5, 0, 77),)
        counter.answers = {ListReceipts: lambda _: [ReceiptList(room="general", people=people)]}
        async with served(counter, Change(entries=[stored])) as alice:
            ears = Listener(alice)
            await asyncio.sleep(1)
            counter.tell(ReceiptEvent(room="general", user="bob", delivered=5, read=5, at=99))
            await asyncio.sleep(1)
            news = [(each.seq, each.state, each.by, each.at) for each in ears.of(Progress)]
            assert news == [(5, Sent.DELIVERED, "bob", 77), (5, Sent.READ, "bob", 99)]
            kept = await alice.memory.load()
            assert list(kept.receipts) == [("general", "bob", 5, 5, 99)]
            assert [each.state for each in kept.entries] == [Sent.READ]

    play(scenario)


def test_what_is_held_and_what_was_read_is_told() -> None:
    """[6.4-2], protocol §7.13: delivered in batches; read where the user says so, privately where he wishes."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]
        async with served(counter) as alice:
            Listener(alice)
            counter.tell(*(event(seq) for seq in range(1, 51)))
            await asyncio.sleep(1)
            alice.mark_read("general", 30)
            alice.mark_read("general", 20)
            await asyncio.sleep(1)
            alice.mark_read("general")
            await asyncio.sleep(1)
            assert counter.of(Receipt) == [
                Receipt(room="general", delivered=50),
                Receipt(room="general", read=30),
                Receipt(room="general", read=50),
            ]

    play(scenario)


def test_what_is_left_of_a_room_is_counted_once_for_all_that_is_read_in_a_moment() -> None:
    """[6.4-6]: who reads along in a busy room has the server count a few times a second, behind what he tells it."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 0, 0, Verdict.OK)]

        def listed(_: Pdu) -> list[Pdu]:
            read = [each.read for each in counter.of(Receipt) if isinstance(each, Receipt) and each.read]
            return [TargetList(targets=(("general", 1, 50, read[-1] or 0, 50 - (read[-1] or 0), 0),), more=False)]

        counter.answers = {ListTargets: listed}
        async with served(counter) as alice:
            Listener(alice)
            counter.tell(RoomState(room="general", epoch=1, first=1, head=0, read=0, unread=0, mentions=0))
            counter.tell(*(event(seq) for seq in range(1, 51)))
            await asyncio.sleep(1)
            assert alice.state.rooms["general"].unread == 50
            counter.heard.clear()
            for seq in range(1, 41):
                alice.mark_read("general", seq)
                await asyncio.sleep(0.005)
            await asyncio.sleep(1)
            asked = [each for each in counter.heard if isinstance(each, Receipt | ListTargets)]
            assert [type(each) for each in asked] == [Receipt, ListTargets]
            assert counter.of(Receipt) == [Receipt(room="general", read=40)]
            assert alice.state.rooms["general"].unread == 10
            alice.mark_read("general", 45)
            alice.mark_read("general")
            await asyncio.sleep(1)
            # Of what was read to the end there is nothing left to count.
            assert len(counter.of(ListTargets)) == 1
            assert alice.state.rooms["general"].unread == 0

    play(scenario)


def test_a_server_that_takes_no_many_is_told_one_by_one() -> None:
    """Issue item 12: MSG_SEND_MANY that is not understood is no reason to lose anything, or to change the order."""

    async def scenario() -> None:
        counter = Counter(Network())
        stored: list[str] = []

        def single(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, Post)
            stored.append(pdu.text)
            return acked(pdu)

        counter.answers = {PostMany: lambda _: [Error(code=Code.UNSUPPORTED)], Post: single}
        async with served(counter, Change(entries=[entry(number) for number in range(1, 6)])) as alice:
            ears = Listener(alice)
            await ears.until(lambda: not alice._session.posting.outbox.outstanding)
            assert stored == ["1", "2", "3", "4", "5"]
            assert len(counter.of(PostMany)) == 1

    play(scenario)


def test_of_very_many_rooms_those_left_out_are_not_fetched_from_the_start() -> None:
    """[4.2-9], issue item 2: RESUMED holds 512 rooms; one more of which something comes goes on from there."""

    async def scenario() -> None:
        counter = Counter(Network())
        many = [(f"@a{number:03},alice", 1, 1, 1, Verdict.OK) for number in range(HEADS)]
        counter.rooms = many
        targets = [(room, 1, 1, 1, 0, 0) for room, *_ in many]
        pages = {None: targets[:200], targets[199][0]: targets[200:400], targets[399][0]: targets[400:]}
        rest = ("@alice,quiet", 1, 40, 40, 0, 0)

        def listed(pdu: Pdu) -> list[Pdu]:
            assert isinstance(pdu, ListTargets)
            rows = [*pages[pdu.after], rest] if pdu.after == targets[399][0] else pages[pdu.after]
            return [TargetList(targets=tuple(rows), more=rest not in rows)]

        counter.answers = {ListTargets: listed, History: log(40)}
        counter.behind = [event(40, room="@alice,loud")]
        async with served(counter) as alice:
            ears = Listener(alice)
            await asyncio.sleep(1)
            counter.tell(event(41, room="@alice,quiet"))
            await asyncio.sleep(5)
            assert [(each.room, each.seq) for each in ears.of(Message)] == [("@alice,loud", 40), ("@alice,quiet", 41)]
            assert counter.of(History) == []
            assert len(counter.of(ListTargets)) == 3

    play(scenario)


def test_a_receipt_that_was_lost_with_its_connection_is_told_again() -> None:
    """[6.4-2]: nothing answers a RECEIPT: what the last connection may not have carried goes over the next one."""

    async def scenario() -> None:
        counter = Counter(Network())
        counter.rooms = [("general", 1, 3, 3, Verdict.OK)]
        async with served(counter) as alice:
            ears = Listener(alice)
            counter.tell(event(4))
            await asyncio.sleep(1)
            alice.mark_read("general")
            await asyncio.sleep(1)
            counter.heard.clear()
            counter.lines[-1].close(Code.DRAINING, "")
            await asyncio.sleep(5)
            assert [each.state for each in ears.of(Line)][-1] == "online"
            assert counter.of(Receipt) == [Receipt(room="general", delivered=4, read=4)]
            assert sum(not task.done() for task in alice._session._tasks) <= 3

    play(scenario)
