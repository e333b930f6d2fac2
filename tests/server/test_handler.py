"""Dispatch: who handles what."""

from __future__ import annotations

import pytest

from quicchat.server.effects import Arrived, Effects, Lagging
from quicchat.server.handler import Dispatch, handles
from quicchat.server.model import Actor
from quicchat.wire.chapters.messages import Message, Post, Receipt
from quicchat.wire.chapters.session import Echo


class Talk:
    """A service with two handlers, one of them for two kinds, and a method that handles nothing."""

    @handles(Post)
    async def post(self, actor: Actor, pdu: Post) -> Effects:
        return []

    @handles(Receipt, Arrived)
    async def note(self, actor: Actor, pdu: Receipt | Arrived) -> Effects:
        return []

    async def helper(self, actor: Actor, pdu: Post) -> Effects:
        return []

    @property
    def size(self) -> int:
        raise AssertionError("looked at too closely")


class Presence:
    @handles(Arrived)
    async def arrived(self, actor: Actor, pdu: Arrived) -> Effects:
        return []

    @handles(Lagging)
    async def lag(self, actor: Actor, pdu: Lagging) -> Effects:
        return []


class Parrot:
    @handles(Echo, Post)
    async def echo(self, actor: Actor, pdu: Echo | Post) -> Effects:
        return []


class Loud(Talk):
    """Overrides without a mark of its own: then it handles nothing there."""

    async def post(self, actor: Actor, pdu: Post) -> Effects:
        return []


def test_a_request_has_one_handler() -> None:
    """Dispatch: the method that is marked with the PDU's class, bound to its service; None where there is none."""
    talk, presence = Talk(), Presence()
    dispatch = Dispatch([talk, presence])
    assert dispatch.request(Post) == talk.post
    assert dispatch.request(Receipt) == talk.note
    assert dispatch.request(Lagging) == presence.lag
    assert dispatch.request(Message) is None
    assert dispatch.request(Echo) is None


def test_what_happened_has_any_number() -> None:
    """Dispatch: all of them, in the order of the services."""
    talk, presence = Talk(), Presence()
    assert Dispatch([talk, presence]).all(Arrived) == [talk.note, presence.arrived]
    assert Dispatch([presence, talk]).all(Arrived) == [presence.arrived, talk.note]
    assert Dispatch([]).all(Arrived) == []


def test_two_services_may_not_claim_one_pdu() -> None:
    """Dispatch: it is noticed when the server starts, not when the first client asks."""
    with pytest.raises(ValueError, match="Post has 2 handlers"):
        Dispatch([Talk(), Parrot()])


def test_a_mark_belongs_to_one_method() -> None:
    """Dispatch: a service that overrides a handler says anew what it handles."""
    assert Dispatch([Loud()]).request(Post) is None
    assert Dispatch([Loud()]).request(Receipt) is not None
