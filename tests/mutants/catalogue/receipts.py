"""Mutants of section 6.4: how far somebody has got, and who may know."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Any

from quicchat.server import model
from quicchat.server.adapters.store_memory import accounts
from quicchat.server.adapters.store_memory import receipts as memory
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.state import Place
from quicchat.server.requests import UNASKED
from quicchat.server.services import receipts
from quicchat.server.services.receipts import ReceiptService
from quicchat.server.session import Session
from quicchat.wire.chapters.messages import Message, Receipt
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

faulty(
    "6.4-1/delivered-goes-back",
    "A later RECEIPT may say that less was delivered.",
    *(memory, "receipt"),
    ("max(seat.held_by(device), min(delivered, head))", "min(delivered, head)"),
    kills="6.4-1/forward-*",
)
faulty(
    "6.4-1/read-goes-back",
    "A later RECEIPT may say that less was read.",
    *(memory, "receipt"),
    ("seat.read = max(seat.read, min(read, head))", "seat.read = min(read, head)"),
    ("seat.shown = max(seen, min(read, head))", "seat.shown = min(read, head)"),
    kills="6.4-1/forward-*",
)
faulty(
    "6.4-1/beyond-the-head",
    "A RECEIPT counts for what nobody has said yet.",
    *(memory, "receipt"),
    ("min(delivered, head)", "delivered"),
    kills="6.4-1/forward-*",
)
faulty(
    "6.4-1/strangers-are-put-out",
    "A RECEIPT for a room that one is not in ends the connection.",
    *(ReceiptService, "receipt"),
    (
        "if moved is None:",
        "if moved is None:\n"
        "        from quicchat.errors import Code\n"
        "        from quicchat.server.effects import Close\n"
        "        return [Close(Code.NOT_MEMBER)]\n"
        "    if False:",
    ),
    kills="6.4-1/a-room-that-one-is-not-in",
)
faulty(
    "6.4-4/from-the-beginning",
    "A device that is new starts where the membership began, though others hold more.",
    *(accounts.MemoryAccounts, "admit"),
    ("delivered[device] = max(delivered.values())", "pass"),
    kills="6.4-4/a-device-that-is-new",
)
faulty(
    "6.4-4/from-the-head",
    "The first device is said to hold all that was told before it came.",
    *(accounts.MemoryAccounts, "_heads"),
    ("delivered=room.seats[user].held_by(device)", "delivered=room.seats[user].delivered.get(device, len(room.log))"),
    kills="6.4-4/the-first-device",
)
faulty(
    "6.4-5/never-private",
    "What was read privately is told to others.",
    *(memory, "receipt"),
    ("if not private:", "if True:"),
)
faulty(
    "6.4-5/not-even-oneself",
    "What was read privately counts as unread.",
    *(memory, "receipt"),
    (
        "seat.read = max(seat.read, min(read, head))",
        "seat.read = seat.read if private else max(seat.read, min(read, head))",
    ),
)
faulty(
    "6.4-6/ones-own-unread",
    "One's own messages are unread.",
    *(Place, "read_by"),
    ("self.senders[place] == user or", ""),
)
faulty(
    "6.4-6/names-oneself",
    "Who names himself is mentioned.",
    *(MemoryLog, "append"),
    ("- {sender}", ""),
)
faulty(
    "6.4-7/all-who-are-named",
    "Mentions that were read are still counted.",
    *(Place, "mentions_of"),
    ("place > seat.read for place in seat.named", "True for place in seat.named"),
)
faulty(
    "6.4-7/nobody-of-oneself",
    "One's other sessions are not told what was read.",
    *(receipts, "_own"),
    ("OfUsers(frozenset({actor.name}))", "OfUsers(frozenset())"),
)
faulty(
    "6.4-7/no-numbers",
    "One's other sessions are not told what is left.",
    *(receipts, "_own"),
    ("unread=own.unread, mentions=own.mentions", "unread=None, mentions=None"),
)
faulty(
    "6.4-8/all-members",
    "A RECEIPT is told to all in the room.",
    *(memory, "receipt"),
    ("senders & found.seats.keys()", "found.seats.keys()"),
)
faulty(
    "6.4-8/nobody",
    "Nobody is told that his messages were read.",
    *(ReceiptService, "receipt"),
    ("moved.shown is not None and moved.senders", "False"),
)


@mutant("6.4-9/names-in-larger-rooms", only="slow")
def names_in_larger_rooms() -> None:
    """Those who have read are named in rooms of any size."""
    for module in (model, memory, receipts):
        swap(module, "BY_NAME", lambda _: 1_000)


@mutant("6.4-10/since-he-came", "6.4-10/receipts-of-long-ago")
def since_he_came() -> None:
    """RECEIPTS tells only of those that came since the session began."""
    begun: dict[int, int] = {}

    def admit(enter: Any) -> Any:
        def found(self: Session, effect: Any) -> None:
            begun[self.id] = int(time.time() * 1000)
            enter(self, effect)

        return found

    def make(listed: Any) -> Any:
        @functools.wraps(listed)
        async def found(self: ReceiptService, actor: Any, pdu: Any) -> Any:
            (reply,) = await listed(self, actor, pdu)
            people = tuple(row for row in reply.pdu.people if row[3] >= begun[actor.session])
            return [replace(reply, pdu=replace(reply.pdu, people=people))]

        return found

    swap(Session, "_admit", admit)
    swap(ReceiptService, "listed", make)


faulty(
    "6.4-10/to-anybody",
    "Whoever knows the name of a room is told how far its members are.",
    *(MemoryLog, "progress"),
    ("self._state.room_of(room, user)", "self._state.rooms.get(room)"),
    kills="6.4-10/receipts-are-for-members",
)


@mutant("6.4-11/sent-is-delivered")
def sent_is_delivered() -> None:
    """What was sent to a client counts as delivered."""

    def make(push: Any) -> Any:
        def found(self: Session, pdu: Any, encoded: bytes) -> None:
            push(self, pdu, encoded)
            if isinstance(pdu, Message) and self.version > 1:
                self._start(Receipt(room=pdu.room, delivered=pdu.seq), UNASKED)

        return found

    swap(Session, "push", make)


@mutant("6.4-11/fetched-is-read")
def fetched_is_read() -> None:
    """What a client has fetched counts as read."""

    def make(page: Any) -> Any:
        async def found(self: MemoryLog, room: Any, user: Any, **named: Any) -> Any:
            answer = await page(self, room, user, **named)
            seat = self._state.rooms[room].seats[user]
            seat.read = seat.shown = max(seat.read, answer.head)
            return answer

        return found

    swap(MemoryLog, "page", make)
