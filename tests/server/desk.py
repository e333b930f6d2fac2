"""The services without sessions: handlers are asked as a session would ask them, and their effects looked at."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from quicchat.protocol import scram
from quicchat.server.adapters.roster import LocalRoster
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import Store
from quicchat.server.effects import Admit, Arrived, Deliver, Departed, Effect, Reply, Resumption, Settle, Tell
from quicchat.server.handler import Dispatch
from quicchat.server.model import Actor, Policy, SessionId
from quicchat.server.services.accounts import AccountService
from quicchat.server.services.devices import Devices
from quicchat.server.services.messages import Messages
from quicchat.server.services.presence import PresenceService
from quicchat.server.services.tokens import Resumptions
from quicchat.wire.chapters.accounts import (
    MECHANISM,
    AuthChallenge,
    AuthOk,
    AuthResponse,
    AuthStart,
    Password,
    Resume,
    Resumed,
)
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.names import Device, Room, User
from quicchat.wire.registry import Pdu
from tests.server.house import OPEN, VirtualClock, play
from tests.server.stores import ALICE, BOB

E = TypeVar("E")
P = TypeVar("P", bound=Pdu)
PHONE, LAPTOP = Device(b"P" * 16), Device(b"L" * 16)
SALT = bytes(16)
WORD = "secret"


def keys(word: str = WORD) -> scram.Credentials:
    return scram.credentials_from(scram.salted(word, SALT, 1), SALT, 1)


def password(current: str, new: str, salt: bytes = SALT) -> Password:
    """A change of password, as a client makes it."""
    fresh = keys(new)
    client_key = hmac.digest(scram.salted(current, salt, 1), b"Client Key", "sha256")
    return Password(
        salt=SALT, iterations=1, stored_key=fresh.stored_key, server_key=fresh.server_key, current=client_key
    )


def found(effects: Sequence[Effect], kind: type[E]) -> list[E]:
    """The effects of a kind."""
    return [each for each in effects if isinstance(each, kind)]


def answer(effects: Sequence[Effect], kind: type[P]) -> P:
    """The one reply, of this kind."""
    (reply,) = found(effects, Reply)
    assert isinstance(reply.pdu, kind)
    return reply.pdu


def told(effects: Sequence[Effect], kind: type[P]) -> list[P]:
    """What the session is told of a kind."""
    return [each.pdu for each in found(effects, Tell) if isinstance(each.pdu, kind)]


def delivered(effects: Sequence[Effect]) -> list[Pdu]:
    """What others are told."""
    return [each.pdu for each in found(effects, Deliver)]


@dataclass(slots=True)
class Caller:
    """A connection as the services see it, and what it got at its login."""

    actor: Actor
    token: bytes = b""


class Desk:
    """Accounts `alice` and `bob`, and whoever calls."""

    def __init__(self, policy: Policy = OPEN, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.roster = LocalRoster()
        self.clock = clock = VirtualClock()
        store = self.store
        self.dispatch = Dispatch(
            (
                AccountService(store.accounts, self.roster, clock, policy),
                Resumptions(store.accounts, store.log, self.roster, clock, policy),
                Devices(store.accounts, self.roster, clock, policy),
                Messages(store.log, self.roster, clock, policy),
                PresenceService(store.rooms, self.roster, clock, policy),
            )
        )
        self._numbers = itertools.count(1)

    async def found(self) -> None:
        for user in (ALICE, BOB):
            await self.store.accounts.sign_up(user, keys(), at=0)

    def call(self, device: Device = PHONE, version: int = 2) -> Caller:
        """A connection that is negotiated."""
        number = SessionId(next(self._numbers))
        address = f"192.0.2.1:{number}"
        return Caller(Actor(session=number, address=address, version=version, device=device, binding=os.urandom(64)))

    async def ask(self, caller: Caller, pdu: Pdu) -> Sequence[Effect]:
        handler = self.dispatch.request(type(pdu))
        assert handler is not None
        return await handler(caller.actor, pdu)

    async def happen(self, caller: Caller, event: Arrived | Departed | Resumption) -> list[Effect]:
        effects: list[Effect] = []
        for handler in self.dispatch.all(type(event)):
            effects += await handler(caller.actor, event)
        return effects

    async def prove(self, caller: Caller, user: User = ALICE, word: str = WORD) -> AuthResponse:
        """All of a login but its last step."""
        login = scram.ClientLogin(user, os.urandom(18))
        start = AuthStart(mechanism=MECHANISM, user=user, data=login.first, device_name="a phone")
        challenge = answer(await self.ask(caller, start), AuthChallenge).data
        salted = scram.salted(word, *login.parameters(challenge))
        return AuthResponse(data=login.final(challenge, salted, caller.actor.binding))

    async def admit(self, caller: Caller, effects: Sequence[Effect]) -> list[Effect]:
        """As a session carries out Admit; returns the effects of the arrival."""
        (admit,) = found(effects, Admit)
        caller.actor = replace(caller.actor, user=admit.user)
        return await self.happen(caller, Arrived())

    async def enter(self, user: User = ALICE, device: Device = PHONE, version: int = 2) -> Caller:
        """Somebody who is logged in."""
        caller = self.call(device, version)
        effects = await self.ask(caller, await self.prove(caller, user))
        caller.token = answer(effects, AuthOk).token or b""
        await self.admit(caller, effects)
        return caller

    async def leave(self, caller: Caller) -> list[Effect]:
        return await self.happen(caller, Departed("bye"))

    async def resume(self, caller: Caller, token: bytes, **fields: object) -> tuple[Resumed, list[Message], Resumption]:
        """What RESUME is answered, what is told behind it, and what is to be settled."""
        effects = await self.ask(caller, Resume(**{"token": token, "have": (), "outstanding": (), **fields}))  # type: ignore[arg-type]
        (settle,) = found(effects, Settle)
        return answer(effects, Resumed), told(effects, Message), settle.event

    async def say(self, user: User, room: Room, text: str = "hello", count: int = 1) -> list[Message]:
        """Posts in a room's log, by nobody's session."""
        cids = [hashlib.sha256(f"{room} {text} {number}".encode()).digest()[:16] for number in range(count)]
        posts = [Post(room=room, cid=cid, text=text) for cid in cids]
        return [(await self.store.log.append(room, user, Device(bytes(16)), post, at=1)).message for post in posts]


def at_desk(scenario: Callable[[Desk], Awaitable[None]], policy: Policy = OPEN) -> None:
    """Play a scenario at a desk of its own, in virtual time."""

    async def whole() -> None:
        desk = Desk(policy)
        await desk.found()
        await scenario(desk)

    play(whole)
