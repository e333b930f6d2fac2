"""What follows from sealed messages: what is unread, found, told to version 1, listed, logged and kept of them."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code
from quicchat.server.adapters import logs
from quicchat.server.adapters.store_sqlite import open_store
from quicchat.wire.chapters.files import FileList, ListFiles, Offer
from quicchat.wire.chapters.messages import (
    Found,
    History,
    HistoryPage,
    Kind,
    ListTargets,
    Message,
    Receipt,
    ReceiptEvent,
    Search,
    TargetList,
    Window,
)
from quicchat.wire.chapters.rooms import Join
from quicchat.wire.chapters.session import Ok
from quicchat.wire.leaves import CHUNK
from tests.conformance.house import House, serving, somebody
from tests.conformance.inside import state
from tests.conformance.peer import Peer, calling, entered
from tests.conformance.sealing import NEUTRAL, Key, keying, publish, sealed, vault
from tests.conformance.talk import post, said


def test_keys_wake_nobody(house: House) -> None:
    """[15.5-9], [6.9-1], [6.4-7], [5.2-4]: unread in TARGETS, ROOM_STATE and RECEIPT_EVENT passes over KEY events."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = await vault(alice, bob)
            phone = await publish(bob, Key())

            async def unread() -> int:
                answer = await bob.ask(ListTargets())
                assert isinstance(answer, TargetList)
                (row,) = [each for each in answer.targets if each[0] == room]
                found = await state(bob, Join(room=room))
                assert found.unread == row[4]
                return row[4]

            await said(alice, keying([phone], room=room))
            assert await unread() == 0
            await said(alice, sealed(room=room))
            place = (await said(alice, keying([phone], room=room))).seq
            await said(alice, sealed(room=room))
            assert await unread() == 2
            async with entered(house.place, user=bob.user) as second:
                second.say(Receipt(room=room, delivered=place, read=place - 1))
                moved = await bob.hear(ReceiptEvent, lambda event: event.room == room)
                assert (moved.read, moved.unread) == (place, 1)

    house.run(scenario())


def test_what_is_sealed_is_not_searched(house: House) -> None:
    """[6.8-1]: the bytes of a sealed body are no words."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            room = await vault(alice)
            mark = "m" + somebody().replace("-", "x")
            await said(alice, sealed(mark.encode(), room=room))
            answer = await alice.ask(Search(words=f"{mark}*"))
            assert isinstance(answer, Found)
            assert answer.events == ()

    house.run(scenario())


def test_announcements_are_plain(house: House) -> None:
    """[15.5-10]: what is sealed is refused FORBIDDEN there."""

    async def scenario() -> None:
        async with entered(house.place) as alice:
            for pdu in (sealed(room="*"), keying([Key()], room="*")):
                assert await alice.refused(pdu) == Code.FORBIDDEN

    house.run(scenario())


def test_version_1_is_told_that_it_is_encrypted(house: House) -> None:
    """[15.5-11], [6.6-2], [6.6-3]: pushed and read from the log, a notice for each, so that no place is missing."""

    async def scenario() -> None:
        async with entered(house.place) as alice, calling(house.place) as first:
            await first.negotiate()
            user = somebody()
            assert await first.sign_up(user) == Ok()
            async with entered(house.place, user=user) as bob:
                phone = await publish(bob, Key())
            room = (await said(alice, keying([phone], user=user))).room
            place = (await said(alice, sealed(user=user))).seq
            expected = ["(keys of encrypted messages)", "(encrypted message)"]

            async def told(old: Peer, count: int) -> list[Message]:
                def look() -> list[Message] | None:
                    found = [each for each in old.all(Message) if each.room == room]
                    return found if len(found) >= count else None

                return await old.until(look)

            async with calling(house.place) as old:
                await old.enter(user, 1, sign_up=False)
                assert [each.text for each in await told(old, 2)] == expected
                await said(alice, sealed(user=user, kind=Kind.EDIT, refs=(place,)))
                await said(alice, keying([phone], user=user))
                await said(alice, post("plain", user=user))
                found = await told(old, 5)
                corrected = f"{alice.user} corrected #{place}: (encrypted message)"
                assert [each.text for each in found] == [*expected, corrected, expected[0], "plain"]
                assert [each.seq for each in found] == [1, 2, 3, 4, 5]
                assert {each.kind for each in found[:4]} == {Kind.NOTICE}
                assert all(each.sealed is None for each in found)

    house.run(scenario())


def test_sealed_files_have_no_names(house: House) -> None:
    """[15.5-1], [14.1-1]: they are listed by their bytes alone, and whoever may read the event may read them."""

    async def scenario() -> None:
        async with entered(house.place) as alice, entered(house.place) as bob:
            room = await vault(alice, bob)
            file = os.urandom(32)
            await alice.ask(Offer(file=file, size=9, chunk=CHUNK, room=room))
            await said(alice, sealed(room=room, attachments=((file, 9, NEUTRAL, "", 0),)))
            answer = await bob.ask(ListFiles(room=room))
            assert isinstance(answer, FileList)
            assert [(row[0], row[1], row[2], row[3], row[4]) for row in answer.files] == [("", 9, 0, NEUTRAL, file)]

    house.run(scenario())


def logged(scenario: Coroutine[Any, Any, None]) -> str:
    """All that is logged meanwhile, as a server writes it."""
    stream, logger = io.StringIO(), logging.getLogger("quicchat")
    keeper, level = logs.Logs(stream), logger.level
    keeper.setFormatter(logs.Json())
    logger.addHandler(keeper)
    logger.setLevel(logging.DEBUG)
    try:
        asyncio.run(scenario)
    finally:
        logger.setLevel(level)
        logger.removeHandler(keeper)
        keeper.close()
    return stream.getvalue()


@pytest.mark.socket
def test_the_server_keeps_only_what_is_sealed(tmp_path: Path) -> None:
    """R0.9, [15.5-12], [11.3-1]: database and log of a server have the sealed bytes, each once, and the log none of
    them: what is split off stands beside its event, and is in no other place."""

    async def scenario() -> None:
        store = open_store(tmp_path / "store.db")
        async with serving(store) as place:
            async with entered(place) as alice, entered(place) as bob:
                room = await vault(alice, bob)
                phone = await publish(bob, replace(Key(), certificate=b"certificate"))
                await said(alice, keying({phone.handle: b"canary packet"}, b"canary key", room=room))
                await said(alice, sealed(b"canary words", room=room))
                place_of = (await said(alice, sealed(b"canary regret", room=room))).seq
                await said(alice, post("", room=room, kind=Kind.RETRACT, refs=(place_of,)))
                assert (
                    await alice.refused(replace(sealed(b"canary refused", room=room), text="canary beside"))
                    == Code.SCHEMA
                )
                assert await alice.refused(post("canary plain", room=room)) == Code.SEALED_ONLY
                page = await bob.ask(History(room=room, window=Window.LATEST, limit=200))
                assert isinstance(page, HistoryPage)
                assert [sum(canary in each for each in page.events) for canary in CANARIES] == [1, 1, 1, 0]
            for over in place.hung_up:
                await over()

    written = logged(scenario())
    assert "canary" not in written
    assert "logged in" in written
    kept = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert [kept.count(canary) for canary in CANARIES[:3]] == [1, 1, 1]
    for canary in (b"canary refused", b"canary beside", b"canary plain"):
        assert canary not in kept


CANARIES = (b"canary packet", b"canary key", b"canary words", b"canary regret")
