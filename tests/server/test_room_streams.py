"""Room streams: a room on a stream of its own, from its opening to its end, and nothing lost on the way."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.protocol.events import Bytes, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.server.effects import Admit, Deliver, InRooms, Lagging, Reply
from quicchat.wire.chapters.accounts import AuthOk, AuthResponse
from quicchat.wire.chapters.messages import Kind, Message, Post, Posted, ReceiptEvent
from quicchat.wire.chapters.session import Purpose, StreamOpen
from quicchat.wire.names import GENERAL, Room, User, direct
from tests.protocol.line import CONTROL, RESPONSE, START, given_up
from tests.server.floor import ALICE, Floor, Guest, floor, idle
from tests.transport.driving import play

BOB = User("bob")
R1, R2 = Room("r1"), Room("r2")
ONE, TWO, THREE = 4, 8, 12


def message(seq: int, room: Room = R1, *, sender: User = BOB, kind: Kind = Kind.TEXT) -> Message:
    return Message(room=room, epoch=1, seq=seq, cid=bytes(16), sender=sender, kind=kind, ts=1, text="hi")


def tell(here: Floor, *events: Message) -> None:
    for event in events:
        here.router.deliver(Deliver(event, InRooms(frozenset({Room(event.room)}))))


def opening(room: Room = R1, have: int | None = None) -> StreamOpen:
    return StreamOpen(kind=Purpose.ROOM, room=room, have=have)


async def enter(here: Floor) -> Guest:
    """Alice in two rooms, of which the first has come to place 5."""
    here.script.answers[AuthResponse] = lambda actor, _: [
        Admit(ALICE, {R1: 5, R2: 0}, {R1: (1, 5), R2: (1, 0)}),
        Reply(AuthOk(user=ALICE, session=actor.session, proof=b"")),
    ]
    return await here.enter()


def ended(guest: Guest) -> list[LinkEvent]:
    """How the session ended streams."""
    return [each for each in guest.link.done if not isinstance(each, Bytes) or each.fin]


def test_a_room_is_pushed_on_its_stream() -> None:
    """[3.7-7]: its events go there, those of other rooms and all else to control; answers where the request came."""

    async def scenario() -> None:
        async with floor() as here:
            here.script.answers[Post] = lambda *_: [Reply(Posted(cid=bytes(16), room=R1, seq=7, ts=1))]
            alice = await enter(here)
            alice.hear(opening(have=5), Post(room=R1, cid=bytes(16), text="hi"), sid=ONE, id=1)
            tell(here, message(6), message(1, R2))
            seen = ReceiptEvent(room=R1, user=BOB, read=6)
            here.router.deliver(Deliver(seen, InRooms(frozenset({R1}))))
            await idle()
            assert alice.said(Message, ONE) == [message(6)]
            assert len(alice.said(Posted, ONE)) == 1
            assert alice.said(sid=CONTROL) == [message(1, R2), seen]
            assert here.script.got(Lagging) == []

    play(scenario)


def test_who_has_less_than_there_is_is_told() -> None:
    """[3.7-8]: `have` behind the head of the log: ROOM_HEAD follows, so that the client fetches what lies between."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await enter(here)
            alice.hear(opening(have=3), sid=ONE)
            alice.hear(opening(R2, have=0), sid=TWO)
            alice.hear(opening(direct(ALICE, BOB), have=0), sid=THREE)
            await idle()
            # Nobody has said yet how far a conversation of two has come: to look is the safe way.
            assert here.script.got(Lagging) == [Lagging({R1: 3}), Lagging({direct(ALICE, BOB): 0})]

    play(scenario)


def test_a_stream_for_a_room_that_is_not_heard_is_given_up() -> None:
    """[3.7-9] Z2: NOT_MEMBER, whether there is such a room or not; the connection goes on."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await enter(here)
            strange = (Room("r9"), direct(BOB, User("eve")), None)
            for sid, room in zip((ONE, TWO, THREE), strange, strict=True):
                alice.hear(StreamOpen(kind=Purpose.ROOM, room=room), sid=sid)
            await idle()
            assert ended(alice) == [each for sid in (ONE, TWO, THREE) for each in given_up(sid, Code.NOT_MEMBER)]
            assert alice.refusals() == []

    play(scenario)


def test_only_so_many_rooms_have_streams() -> None:
    """[3.7-9] P7: one beyond `room_streams` is given up with LIMIT; a room that has one already may change it."""

    async def scenario() -> None:
        async with floor(limits=Limits(room_streams=1)) as here:
            alice = await enter(here)
            alice.hear(opening(R1), sid=ONE)
            alice.hear(opening(R2), sid=TWO)
            await idle()
            assert ended(alice) == given_up(TWO, Code.LIMIT)
            alice.hear(opening(R1), sid=THREE)
            tell(here, message(6), message(1, R2))
            await idle()
            assert ended(alice)[2:] == [Bytes(ONE, b"", fin=True)]
            assert alice.said(Message, THREE) == [message(6)]
            assert alice.said(Message, CONTROL) == [message(1, R2)]

    play(scenario)


def test_a_room_whose_stream_ends_goes_back_to_control() -> None:
    """[3.7-10] P4: in order nothing is lost; after a reset the client is told the head, as something may be."""

    async def scenario() -> None:
        async with floor() as here:
            alice = await enter(here)
            alice.hear(opening(R1), sid=ONE)
            tell(here, message(6))
            alice.link.on_events([Bytes(ONE, b"", fin=True)])
            tell(here, message(7))
            await idle()
            assert (alice.said(Message, ONE), alice.said(Message, CONTROL)) == ([message(6)], [message(7)])
            assert ended(alice) == [Bytes(ONE, b"", fin=True)]
            assert here.script.got(Lagging) == []
            for sid, end in ((TWO, Reset(TWO, 9)), (THREE, Stopped(THREE, 9))):
                alice.hear(opening(R1), sid=sid)
                tell(here, message(8))
                alice.link.on_events([end])
                tell(here, message(9))
            await idle()
            assert here.script.got(Lagging) == [Lagging({R1: 7}), Lagging({R1: 9})]
            assert alice.said(Message, CONTROL) == [message(7), message(9), message(9)]

    play(scenario)


def test_who_leaves_a_room_needs_its_stream_no_more() -> None:
    """[3.7-10]: LEAVE is the last on it; on the session that left by itself too, which is not pushed its own LEAVE."""

    async def scenario() -> None:
        async with floor() as here:
            alice, phone = await enter(here), await enter(here)
            for guest in (alice, phone):
                guest.hear(opening(R1), sid=ONE)
            await idle()
            leave = message(6, sender=ALICE, kind=Kind.LEAVE)
            here.router.deliver(Deliver(leave, InRooms(frozenset({R1})), but=alice.session.id))
            tell(here, message(7))
            await idle()
            assert (alice.said(Message), phone.said(Message, ONE)) == ([], [leave])
            for guest in (alice, phone):
                assert ended(guest) == [Bytes(ONE, b"", fin=True)]
                assert not guest.session._outlet._streams.by_room

    play(scenario)


def test_a_stream_that_came_with_a_resumption_waits_for_it() -> None:
    """[3.8-2] [3.7-2]: before the session is somebody's, nobody knows what he hears."""

    async def scenario() -> None:
        async with floor() as here:
            alice = here.arrive()
            gate = here.script.hold(AuthResponse)
            alice.hear(START)
            await idle()
            alice.hear(RESPONSE)
            alice.hear(opening(GENERAL, have=0), sid=ONE)
            await idle()
            gate.set()
            await idle()
            tell(here, message(1, GENERAL))
            await idle()
            assert alice.said(Message, ONE) == [message(1, GENERAL)]

    play(scenario)
