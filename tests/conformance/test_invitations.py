"""Who is let into a room that is not open to everybody, from the outside."""

from __future__ import annotations

import os

from quicchat.errors import Code
from quicchat.server.model import INVITATIONS_EACH
from quicchat.wire.chapters.messages import Post
from quicchat.wire.chapters.rooms import (
    INVITE_ONLY,
    Create,
    Invite,
    Join,
    Kick,
    Leave,
    Rank,
    SetRank,
    SetRoom,
)
from quicchat.wire.names import Room, User
from tests.conformance.house import House, play, simulated, somebody
from tests.conformance.inside import done, listed, state
from tests.conformance.peer import Peer, calling, entered


def test_the_key_opens(house: House) -> None:
    """R0.2, [5.2-7]: the key, an invitation, or a moderator's rank; nothing else, and not after it was changed."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room))
            await done(alice, SetRoom(room=room, secret="sesame"))
            for wrong in (None, "", "sesam", "Sesame"):
                assert await bob.refused(Join(room=room, secret=wrong)) == Code.FORBIDDEN
            assert await bob.refused(Post(room=room, cid=os.urandom(16), text="x")) == Code.NOT_MEMBER
            await state(bob, Join(room=room, secret="sesame"))
            await done(bob, Invite(room=room, user=carol.user))
            await state(carol, Join(room=room))
            await done(alice, SetRank(room=room, user=carol.user, rank=Rank.MODERATOR), SetRoom(room=room, secret="x"))
            await done(bob, Leave(room=room))
            await done(carol, Leave(room=room))
            assert await bob.refused(Join(room=room, secret="sesame")) == Code.FORBIDDEN
            await state(carol, Join(room=room))
            await done(alice, SetRoom(room=room, secret=""))
            await state(bob, Join(room=room))

    house.run(scenario())


def test_by_invitation_only(house: House) -> None:
    """Z1, [5.2-8], [5.4-2], [5.8-1]: to others there is no such room; and who may invite there."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as carol:
            room = somebody()
            await state(alice, Create(room=room, policy=INVITE_ONLY))

            async def seen(peer: Peer) -> bool:
                return room in {name for name, *_ in await listed(peer)}

            for pdu in (Join(room=room), Join(room=room, create=True), Invite(room=room, user=carol.user)):
                assert await bob.refused(pdu) == Code.NO_SUCH_ROOM
            assert [await seen(peer) for peer in (alice, bob)] == [True, False]
            await done(alice, Invite(room=room, user=bob.user))
            assert await seen(bob)
            assert (await state(bob, Join(room=room))).policy == INVITE_ONLY
            assert await bob.refused(Invite(room=room, user=carol.user)) == Code.FORBIDDEN
            await done(alice, SetRank(room=room, user=bob.user, rank=Rank.MODERATOR))
            await done(bob, Leave(room=room))
            assert await seen(bob)
            await state(bob, Join(room=room))
            await done(bob, Invite(room=room, user=carol.user), Kick(room=room, user=carol.user, ban=True))
            assert await carol.refused(Join(room=room)) == Code.BANNED
            assert not await seen(carol)

    house.run(scenario())


def test_invitations_arrive_and_wait(house: House) -> None:
    """[5.8-1], [5.8-2], [5.8-3]: told to every session, after every login until it is used, and once for many."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob, entered(house.place) as dave:
            room = somebody()
            await state(alice, Create(room=room))
            await state(dave, Join(room=room))
            async with entered(house.place, user=bob.user) as other_device:
                await done(dave, *(2 * [Invite(room=room, user=bob.user)]))
                await done(alice, Invite(room=room, user=bob.user), Invite(room=room, user=dave.user))
                for peer in (bob, other_device):
                    assert await peer.hear(Invite) == Invite(room=room, user=dave.user)
                    await peer.barrier()
                    assert peer.all(Invite) == []
            await dave.barrier()
            assert dave.all(Invite) == []
            for _ in range(2):
                async with calling(house.place) as again:
                    await again.enter(bob.user, sign_up=False)
                    assert await again.hear(Invite) == Invite(room=room, user=dave.user)
            await state(bob, Join(room=room))
            async with calling(house.place) as again:
                await again.enter(bob.user, sign_up=False)
                await again.barrier()
                assert again.all(Invite) == []
            assert await alice.refused(Invite(room=room, user=somebody())) == Code.NO_SUCH_USER

    house.run(scenario())


def test_invitations_are_declined(house: House) -> None:
    """[5.3-1], [5.8-4]: ROOM_LEAVE, once; after that there is nothing to leave."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = somebody()
            assert (await state(alice, Create(room=room))).head == 1
            await done(alice, Invite(room=room, user=bob.user))
            await done(bob, Leave(room=room))
            assert await bob.refused(Leave(room=room)) == Code.NOT_MEMBER
            async with calling(house.place) as again:
                await again.enter(bob.user, sign_up=False)
                await again.barrier()
                assert again.all(Invite) == []
            assert (await state(alice, Join(room=room))).head == 1

    house.run(scenario())


def test_a_version_1_client_hears_of_no_invitation(house: House) -> None:
    """[5.8-2]: it has no such PDU; what waits for its user is told to his next client."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place, 1) as old:
            room = somebody()
            await state(alice, Create(room=room))
            await done(alice, Invite(room=room, user=old.user))
            await old.barrier()
            assert old.all(Invite) == []
            async with calling(house.place) as again:
                await again.enter(old.user, 1, sign_up=False)
                assert again.all(Invite) == []
            async with calling(house.place) as again:
                await again.enter(old.user, sign_up=False)
                assert await again.hear(Invite) == Invite(room=room, user=alice.user)

    house.run(scenario())


def test_not_too_many_invitations_wait() -> None:
    """Z6, [5.8-3]: LIMIT, until one of them is used."""

    async def scenario() -> None:
        async with simulated() as place, entered(place) as alice, entered(place) as bob:
            assert place.store is not None
            rooms = [Room(f"r{number}") for number in range(INVITATIONS_EACH + 1)]
            for number, room in enumerate(rooms):
                cid = number.to_bytes(16, "big")
                await place.store.rooms.create(room, User(alice.user), topic="", policy=0, cid=cid, at=0)
                if number < INVITATIONS_EACH - 1:
                    await place.store.rooms.invite(room, User(bob.user), User(alice.user), at=0)
            await done(alice, Invite(room=rooms[-2], user=bob.user))
            assert await alice.refused(Invite(room=rooms[-1], user=bob.user)) == Code.LIMIT
            await state(bob, Join(room=rooms[3]))
            await done(alice, Invite(room=rooms[-1], user=bob.user))

    play(scenario())
