"""Whom the server counts among those in a room, and what the others hear of that."""

from __future__ import annotations

import pytest

from quicchat.client.events import KeyNews
from quicchat.client.requests import Requests
from quicchat.wire.chapters.rooms import ListMembers, MemberList, Rank
from quicchat.wire.registry import Pdu
from tests.client.e2ee.talks import ROOM, Talker, den, engine, post, talking
from tests.server.house import play, world


def readers(talker: Talker) -> list[str]:
    return [each.user for each in talker.ears.of(KeyNews) if each.kind == "reader"]


def test_nobody_is_added_to_the_readers_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """[15.7-29]: of whom the server only says that he is in, people are told before he is; who came, all could see."""

    async def scenario() -> None:
        async with (
            world() as here,
            talking(here, "alice") as alice,
            talking(here, "bob") as bob,
            talking(here, "carol") as carol,
            talking(here, "mallory"),
        ):
            await den(alice, bob)
            await alice.chat.post(ROOM, "one")
            await carol.chat.join(ROOM)
            await alice.chat.post(ROOM, "two")
            await carol.hears("two")
            assert readers(alice) == []
            ask = Requests.ask

            async def lied(self: Requests, pdu: Pdu, *more: object, **most: object) -> Pdu:
                found: Pdu = await ask(self, pdu, *more, **most)  # type: ignore[arg-type]
                if isinstance(pdu, ListMembers) and isinstance(found, MemberList):
                    members = (*found.members, ("mallory", True, Rank.MEMBER))
                    return MemberList(room=ROOM, members=members, more=False)
                return found

            monkeypatch.setattr(Requests, "ask", lied)
            engine(alice).core.members.lost()
            await alice.chat.queue(post(1, "three", room=ROOM))
            await alice.ears.until(lambda: bool(readers(alice)))
            assert readers(alice) == ["mallory"]

    play(scenario)
