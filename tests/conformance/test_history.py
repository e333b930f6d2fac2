"""Receipts, history, and the streams on which they are asked for; from the outside."""

from __future__ import annotations

import os

from quicchat.errors import Code
from quicchat.wire import codec
from quicchat.wire.chapters.messages import History, HistoryPage, Message, Posted, Receipt, Window
from quicchat.wire.chapters.rooms import Create, Join
from quicchat.wire.chapters.session import Limit, Ok, Purpose, VersionRequest, VersionResponse
from tests.conformance.house import House, somebody
from tests.conformance.peer import calling, entered
from tests.conformance.talk import page, post, said, text


async def delivered(house: House, user: str, device: bytes, room: str) -> int:
    """How far a device is, as its next login tells it."""
    async with calling(house.place, device=device) as peer:
        found = await peer.enter(user, sign_up=False)
        (place,) = [held for name, _, _, held in found.heads or () if name == room]
        return place


def test_receipts_move_forward_only(house: House) -> None:
    """R4.13, [6.4-1], [4.2-9], [2.3-6]: never back, never beyond the head, and nothing for rooms of others."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            posted = [await said(alice, post(str(number), user=bob.user)) for number in range(3)]
            room = posted[-1].room
            foreign = f"@{alice.user},{somebody()}"
            device = bob.device
            for told, held in ((2, 2), (1, 2), (99, 3), (0, 3)):
                async with entered(house.place, user=bob.user, device=device) as peer:
                    for name in (room, foreign):
                        assert await peer.ask(Receipt(room=name, delivered=told)) == Ok()
                assert await delivered(house, bob.user, device, room) == held

    house.run(scenario())


def test_a_new_device_starts_where_the_furthest_one_stands(house: House) -> None:
    """R4.10, [6.4-4]: and the first of all where the membership began, in direct messages at 0."""

    async def scenario() -> None:
        async with entered(house.place) as alice, calling(house.place) as maker:
            await maker.negotiate()
            user = somebody()
            await maker.sign_up(user)
            posted = [await said(alice, post(str(number), user=user)) for number in range(3)]
            room = posted[-1].room
            first, second = os.urandom(16), os.urandom(16)
            assert await delivered(house, user, first, room) == 0
            async with entered(house.place, user=user, device=first) as peer:
                assert await peer.ask(Receipt(room=room, delivered=2)) == Ok()
            assert await delivered(house, user, second, room) == 2
            club = somebody()
            await alice.ask(Create(room=club))
            await said(alice, post("before", room=club))
            async with entered(house.place, user=user, device=first) as peer:
                await peer.ask(Join(room=club))
            assert await delivered(house, user, os.urandom(16), club) == 2

    house.run(scenario())


def test_read_is_one_number_for_all_devices(house: House) -> None:
    """Protocol §7.9, [5.2-4], [6.4-1]: `unread` follows from it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            await bob.ask(Join(room=room))
            for number in range(4):
                await said(alice, post(str(number), room=room))
            for told, unread in ((None, 4), (4, 2), (3, 2), (99, 0)):
                assert await bob.ask(Receipt(room=room, read=told)) == Ok()
                async with entered(house.place, user=bob.user) as other_device:
                    state = await other_device.ask(Join(room=room))
                assert state.unread == unread  # type: ignore[attr-defined]
                assert state.read == 6 - unread  # type: ignore[attr-defined]

    house.run(scenario())


def test_history_gives_any_part_of_the_log(house: House) -> None:
    """R0.6, [6.5-1]: before, after, around, latest; nearest kept, ascending."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            for number in range(2, 11):
                await said(alice, post(str(number), room=room))
            for window, anchor, limit, places in (
                (Window.AFTER, 0, None, list(range(1, 11))),
                (Window.AFTER, 3, 3, [4, 5, 6]),
                (Window.AFTER, 10, None, []),
                (Window.BEFORE, 5, 3, [2, 3, 4]),
                (Window.BEFORE, 1, None, []),
                (Window.AROUND, 5, 3, [4, 5, 6]),
                (Window.AROUND, 5, 1, [5]),
                (Window.LATEST, None, 2, [9, 10]),
                (Window.LATEST, None, None, list(range(1, 11))),
            ):
                assert await page(alice, room, window, anchor, limit) == places, (window, anchor, limit)

    house.run(scenario())


def test_a_page_is_no_longer_than_agreed(house: House) -> None:
    """[3.1-8], [8.1-2]: what the client named, whatever it asks for later."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            for number in range(5):
                await said(alice, post(str(number), room=room))
            async with calling(house.place) as again:
                limits = {int(Limit.PAGE): 3}
                again.say(VersionRequest(versions=(2,), device=again.device, limits=limits), version=1)
                again.version = (await again.hear(VersionResponse)).version
                await again.prove(alice.user)
                for limit in (None, 200):
                    assert await page(again, room, Window.LATEST, None, limit) == [4, 5, 6]

    house.run(scenario())


def test_history_gives_what_lies_between(house: House) -> None:
    """R0.6, [6.5-5]: both ends left out, the nearest to the anchor first kept; SCHEMA without an end."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            for number in range(2, 11):
                await said(alice, post(str(number), room=room))
            for anchor, until, limit, places in (
                (3, 7, None, [4, 5, 6]),
                (3, 7, 2, [4, 5]),
                (8, 99, None, [9, 10]),
                (7, 3, None, []),
            ):
                assert await page(alice, room, Window.BETWEEN, anchor, limit, until) == places
            assert await alice.refused(History(room=room, window=Window.BETWEEN, anchor=3)) == Code.SCHEMA
            assert await alice.refused(History(room=room, window=Window.BETWEEN, until=3)) == Code.SCHEMA

    house.run(scenario())


def test_a_page_fits_a_frame(house: House) -> None:
    """[6.5-1], [2.1-7]: large events come in several pages, and one that is larger than a page comes alone."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = somebody()
            await alice.ask(Create(room=room))
            for _ in range(5):
                await said(alice, post("x" * 20_000, room=room))
            await said(alice, post("y" * 32_768, room=room, extra={33: bytes(31_000)}))
            found: list[int] = []
            pages = 0
            while got := await page(alice, room, Window.AFTER, found[-1] if found else 0):
                found += got
                pages += 1
            assert found == [1, 2, 3, 4, 5, 6, 7]
            assert pages == 4

    house.run(scenario())


def test_events_are_fetched_as_they_are_stored(house: House) -> None:
    """[6.5-2], [2.5-3]: the same bytes in every page, equal to what was pushed."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            pdu = post("gr\u00fc\u00df", user=bob.user, refs=(1, 2), extra={35: "kept", 99: [1, {2: None}]})
            posted = await said(alice, pdu)
            told = await text(bob)
            bodies: list[bytes] = []
            for window, anchor in ((Window.LATEST, None), (Window.AROUND, 1), (Window.AFTER, 0)):
                answer = await bob.ask(History(room=posted.room, window=window, anchor=anchor))
                assert isinstance(answer, HistoryPage)
                assert (answer.epoch, answer.first, answer.head) == (posted.epoch, 1, 1)
                bodies += answer.events
            assert len(set(bodies)) == 1
            assert codec.decode_body(Message, bodies[0], version=2) == told
            assert codec.encode_body(told, version=2) == bodies[0]

    house.run(scenario())


def test_a_window_needs_an_anchor_and_a_member(house: House) -> None:
    """Z1, Z2, [6.5-3]: SCHEMA without an anchor, NO_SUCH_ROOM to others."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            await alice.ask(Create(room=room))
            for window in (Window.BEFORE, Window.AFTER, Window.AROUND):
                assert await alice.refused(History(room=room, window=window)) == Code.SCHEMA
            for each in (room, somebody()):
                assert await bob.refused(History(room=each, window=Window.LATEST)) == Code.NO_SUCH_ROOM

    house.run(scenario())


def test_a_query_stream_ends_with_its_answers(house: House) -> None:
    """[3.7-5], [2.3-3]: questions on a stream of their own are answered there, and then the server's half ends."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            sid = alice.open(Purpose.QUERY)
            for number in (7, 8):
                alice.say(History(room="general", window=Window.LATEST, limit=1), sid=sid, id=number)
            assert sid not in alice.finished
            alice.raw(b"", sid=sid, fin=True)
            await alice.until(lambda: sid in alice.finished or None)
            answers = [each for each in alice.heard if each.sid == sid]
            assert sorted(each.envelope.re or 0 for each in answers) == [7, 8]

    house.run(scenario())


def test_a_room_stream_carries_messages(house: House) -> None:
    """[3.7-3], [3.7-6]: what is asked on it is answered on it."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            sid = alice.open(Purpose.ROOM, "general")
            posted = await alice.ask(post("by another way", user=bob.user), sid=sid)
            assert isinstance(posted, Posted)
            assert (await text(bob)).text == "by another way"
            assert await alice.refused(Join(room="x"), sid=sid) == Code.STREAM_MISUSE

    house.run(scenario())
