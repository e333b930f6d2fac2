"""What the tests of the stores share: accounts, posts, and questions asked of any store. (ARCHITECTURE)"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, TypeVar

from quicchat.errors import Code, Refused
from quicchat.server.model import Credentials, Head, Quota, Upload
from quicchat.server.ports import Accounts, Files, Keys, Log, Rooms
from quicchat.wire.chapters.messages import Kind, Message, Post, Window
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.codec import decode_body
from quicchat.wire.names import Device, Room, User

T = TypeVar("T")

ALICE, BOB, CAROL = User("alice"), User("bob"), User("carol")
PHONE, LAPTOP, TABLET = Device(b"phone" + bytes(11)), Device(b"laptop" + bytes(10)), Device(b"tablet" + bytes(10))
HALL = Room("hall")
PLENTY = 1 << 30
FILE, OTHER, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
#: Bytes of a file, unless told otherwise.
SIZE = 10_000
_cids = itertools.count(1)


class Store(Protocol):
    """Five ports over one database."""

    accounts: Accounts
    rooms: Rooms
    log: Log
    files: Files
    keys: Keys

    async def close(self) -> None: ...


def run(scenario: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, 50))


def cid() -> bytes:
    """A cid that was not used before."""
    return hashlib.sha256(str(next(_cids)).encode()).digest()[:16]


def credentials(mark: int = 1) -> Credentials:
    return Credentials(salt=bytes([mark] * 16), iterations=4096, stored_key=bytes([mark] * 32), server_key=bytes(32))


def post(text: str = "hello", **fields: Any) -> Post:
    return Post(**{"cid": cid(), "text": text, **fields})


async def say(store: Store, room: Room, sender: User, text: str = "hello", *, device: Device = PHONE) -> Message:
    """Append a new post."""
    return (await store.log.append(room, sender, device, post(text), at=1)).message


async def sign_up(store: Store, *users: User) -> None:
    for user in users:
        await store.accounts.sign_up(user, credentials(), at=1)


async def make(store: Store, room: Room, *members: User, policy: int = 0) -> None:
    """Make a room of these members, the first of them its maker."""
    await store.rooms.create(room, members[0], topic="", policy=policy, cid=cid(), at=1)
    for member in members[1:]:
        await store.rooms.join(room, member, cid=cid(), at=1)


async def rank(
    store: Store, user: User, to: Rank, by: User = ALICE, *, room: Room = HALL, operator: bool = False
) -> None:
    """Give a rank, an outcast's too."""
    if to is Rank.OUTCAST:
        await store.rooms.kick(room, user, by, ban=True, operator=operator, cid=cid(), at=1)
    else:
        await store.rooms.set_rank(room, user, by, to, operator=operator, cid=cid(), at=1)


async def enters(
    store: Store, user: User, *, room: Room = HALL, secret: str | None = None, operator: bool = False
) -> Code | None:
    """The code with which somebody is kept out, or None."""
    return await refusal(store.rooms.join(room, user, secret=secret, operator=operator, cid=cid(), at=1))


async def changes(
    store: Store, by: User, *, room: Room = HALL, operator: bool = False, **what: int | str
) -> Code | None:
    """The code with which a change is refused, or None."""
    asked = store.rooms.change(room, by, operator=operator, cid=cid(), at=1, **what)  # type: ignore[arg-type]
    return await refusal(asked)


async def moderate(store: Store, room: Room, owner: User, guest: User) -> None:
    """Once everything that an owner can do to a room, and to a guest who is not in yet; in the end both are out."""
    await store.rooms.change(room, owner, topic="order", policy=1, secret="knock", cid=cid(), at=1)
    await store.rooms.invite(room, guest, owner, at=1)
    await store.rooms.invitations(guest)
    await store.rooms.join(room, guest, cid=cid(), at=1)
    for rank in (Rank.VISITOR, Rank.MEMBER):
        await store.rooms.set_rank(room, guest, owner, rank, cid=cid(), at=1)
    await store.rooms.kick(room, guest, owner, ban=True, cid=cid(), at=1)
    await store.rooms.leave(room, owner, cid=cid(), at=1)


async def refusal(asked: Awaitable[object]) -> Code | None:
    """The code with which something is refused, or None when it is not."""
    try:
        await asked
    except Refused as refused:
        return refused.code
    return None


async def whole_log(store: Store, room: Room, user: User) -> list[Message]:
    """All events of a room, page by page from the beginning."""
    events: list[Message] = []
    while True:
        after = events[-1].seq if events else 0
        page = await store.log.page(room, user, window=Window.AFTER, anchor=after, limit=200, budget=PLENTY)
        if not page.events:
            assert after == page.head
            return events
        events += [decode_body(Message, body, version=2) for body in page.events]


async def shown(store: Store, room: Room, user: User) -> list[tuple[int, str, Kind, str | None]]:
    """All events of a room as (seq, sender, kind, text)."""
    return [(each.seq, each.sender, each.kind, each.text) for each in await whole_log(store, room, user)]


async def head_of(store: Store, user: User, device: Device, room: Room) -> Head:
    """Where a device stands in a room, as its next login is told."""
    (found,) = [head for head in await store.accounts.admit(user, device, "x", at=1) if head.room == room]
    return found


async def offer(
    store: Store, user: User, file: bytes, size: int = SIZE, *, chunk: int = 4_096, at: int = 1, **fields: Any
) -> Upload:
    """Offer a file to nobody in particular, unless told otherwise."""
    asked = {"room": None, "quota": Quota(size=1 << 40, files=99, uploads=99), "at": at, **fields}
    return await store.files.offer(user, file, size, chunk, **asked)


async def upload(store: Store, user: User, file: bytes = FILE, size: int = SIZE, *, at: int = 1) -> Upload:
    """Offer a file and bring all of it."""
    await store.files.received(user, await offer(store, user, file, size, at=at), at=at)
    return await store.files.readable(user, file)


def naming(*files: bytes, size: int = SIZE, media_type: str = "text/plain", **fields: Any) -> Any:
    rows = tuple((file, size, media_type, f"{file[0]}.txt", 5) for file in files)
    return post("beginning", attachments=rows, **fields)


async def name(store: Store, room: Room, user: User, *files: bytes, **fields: Any) -> Message:
    """Post a message that names files."""
    said = naming(*files, **{"kind": Kind.FILE, **fields})
    return (await store.log.append(room, user, PHONE, said, at=1)).message


async def reads(store: Store, user: User, file: bytes = FILE) -> Upload | None:
    """What a user may read, None for nothing."""
    outcome = await refusal(store.files.readable(user, file))
    assert outcome in (None, Code.NO_SUCH_FILE)
    return None if outcome else await store.files.readable(user, file)


async def forgotten(store: Store, before: int, limit: int = 99) -> list[int]:
    """The places whose bytes may go; they are said to be gone."""
    places = [each.place for each in await store.files.unused(before=before, limit=limit)]
    await store.files.removed(places)
    return places
