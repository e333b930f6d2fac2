"""Clients with keys, and what they hear of each other, for tests of encrypted conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.e2ee import letters
from quicchat.client.e2ee.engine import EndToEnd
from quicchat.client.e2ee.ratchet import Voice
from quicchat.client.events import Progress, Sent
from quicchat.client.memory import Memory, PlainMemory
from quicchat.client.seal import Opened, Seal
from quicchat.wire import codec
from quicchat.wire.chapters.messages import SAID, History, HistoryPage, Kind, Message, Post, Window
from quicchat.wire.chapters.rooms import ENCRYPTED
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import packed
from tests.client.lives import Listener, alive
from tests.server.house import World, world

DIRECT = "@alice,bob"
ROOM = "den"
PHONE = b"alice's phone..."


def lasting() -> PlainMemory:
    """A memory that keys are made in."""
    return PlainMemory(lasting=True)


class Talker:
    """Somebody with keys, and all he hears."""

    def __init__(self, chat: Chat, memory: Memory) -> None:
        self.chat = chat
        self.memory = memory
        self.ears = Listener(chat)

    @property
    def said(self) -> list[tuple[str, str, Seal | None]]:
        """Who said what, and how far that can be trusted, but for KEY events and who came and went."""
        return [(each.sender, each.text or "", seal_of(each)) for each in self.messages]

    @property
    def messages(self) -> list[Message]:
        kinds = (Kind.KEY, Kind.JOIN, Kind.LEAVE, Kind.ROLE, Kind.TOPIC)
        return [each for each in self.ears.of(Message) if each.kind not in kinds]

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.said]

    async def hears(self, *texts: str, seconds: float = 60.0) -> None:
        """Wait until he was told all of these."""
        await self.ears.until(lambda: set(texts) <= set(self.texts), seconds)

    async def leave(self) -> None:
        await self.ears.stop()
        await self.chat.close()


def engine(talker: Talker) -> EndToEnd:
    """What seals and opens for somebody."""
    found = talker.chat._session.provider
    assert isinstance(found, EndToEnd)
    return found


def inject(talker: Talker, pdu: Pdu) -> None:
    """The server says something to somebody."""
    talker.chat._session._sort(pdu, False)


def later(event: Message, head: Message, **more: Any) -> Message:
    """An event as the server would tell it behind the last one of its room."""
    facts = {each.name: getattr(event, each.name) for each in fields(Pdu) + fields(Message)}
    return Message(**{**facts, "room": head.room, "epoch": head.epoch, "seq": head.seq + 1, **more})


async def logged(here: World, room: str, user: str) -> list[Message]:
    """The log of a room as the server has it, told to a device that has no keys."""
    chat = await here.enter(user, sign_up=False, device=b"\0" * 16)
    found = await chat.room(room)._session.requests.ask(History(room=room, window=Window.LATEST), HistoryPage)
    await chat.close()
    here.chats.remove(chat)
    return [codec.decode_body(Message, body, version=2) for body in found.events]


def seal_of(event: Message) -> Seal | None:
    return event.seal if isinstance(event, Opened) else None


@asynccontextmanager
async def talking(here: World, user: str, *, memory: Memory | None = None, **more: Any) -> AsyncIterator[Talker]:
    """A client with keys, closed at the end."""
    memory = memory or lasting()
    chat = await alive(here, user, memory=memory, **more)
    talker = Talker(chat, memory)
    try:
        if chat.version > 1:
            await engine(talker).ready()
        yield talker
    finally:
        await talker.leave()


async def den(first: Talker, *others: Talker) -> None:
    """An encrypted room with these in it."""
    await first.chat.create(ROOM, policy=ENCRYPTED)
    for other in others:
        await other.chat.join(ROOM)


def post(number: int, text: str, *, room: str | None = None, user: str | None = None) -> Post:
    return Post(room=room, user=user, cid=bytes([number] * 16), text=text)


async def held(talker: Talker, cid: bytes) -> str:
    """Why a message waits."""
    await talker.ears.until(lambda: any(each.cid == cid and each.reason for each in talker.ears.of(Progress)))
    (reason, *_) = [each.reason for each in talker.ears.of(Progress) if each.cid == cid and each.reason]
    assert talker.ears.of(Progress)[-1].state is Sent.QUEUED
    return reason or ""


async def in_plain(here: World, room: str = DIRECT) -> list[str]:
    """What the server can read there."""
    return [each.text for each in await logged(here, room, "alice") if each.text and each.kind in SAID]


async def let_in(old: Talker, new: Talker) -> None:
    """The old device approves the new one."""
    async with asyncio.timeout(60):
        while not old.chat.keys.waiting():  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)
        (waiting,) = old.chat.keys.waiting()
        await old.chat.keys.approve(waiting.fingerprint)
        while not new.chat.keys.ready:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)


@asynccontextmanager
async def three() -> AsyncIterator[tuple[World, Talker, Talker, Talker]]:
    """Alice, bob and carol at a server."""
    async with (
        world() as here,
        talking(here, "alice") as alice,
        talking(here, "bob") as bob,
        talking(here, "carol") as carol,
    ):
        yield here, alice, bob, carol


@asynccontextmanager
async def with_phone() -> AsyncIterator[tuple[World, Talker, Talker, Talker]]:
    """Alice, bob, and alice's phone, which is let in."""
    async with (
        world() as here,
        talking(here, "alice") as alice,
        talking(here, "bob") as bob,
        talking(here, "alice", sign_up=False, device=PHONE) as phone,
    ):
        await let_in(alice, phone)
        yield here, alice, bob, phone


async def overheard(here: World, room: str = ROOM) -> Message:
    """The last sealed message of a room, as the server has it."""
    return [each for each in await logged(here, room, "bob") if each.kind is Kind.TEXT][-1]


async def genuine(here: World, alice: Talker, bob: Talker) -> Message:
    """What alice has said to bob in an encrypted room, as the server has it."""
    await den(alice, bob)
    await alice.chat.post(ROOM, "genuine")
    await bob.hears("genuine")
    return await overheard(here)


async def told(bob: Talker, event: Message) -> Message:
    """What bob is told of an event that the server pushes."""
    inject(bob, event)
    await bob.ears.until(lambda: any(each.seq >= event.seq for each in bob.ears.of(Message) if each.room == event.room))
    return next(each for each in bob.ears.of(Message) if (each.room, each.seq) == (event.room, event.seq))


def said_with(voice: Voice, text: str, head: Message) -> Message:
    post = Post(room=voice.conversation, cid=b"0123456789abcdef", text=text)
    content = letters.content_of(post, conversation=voice.conversation, sender=voice.sender, device=voice.device)
    _, sealed = voice.seal(content)
    return later(head, head, kind=Kind.TEXT, sender=voice.sender, cid=post.cid, text="", sealed=packed(sealed))
