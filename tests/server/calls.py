"""What the twins are asked: calls with arguments from small sets, so that they meet each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from quicchat.errors import Refused
from quicchat.server.model import ABANDONED, Quota, SignedList, Upload, Word
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import WHOLE, Kind, Post, Window
from quicchat.wire.chapters.rooms import ENCRYPTED, EPHEMERAL, INVITE_ONLY, Rank
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, Device, Room, User
from tests.server.sealing import body, key_of, keys_for, signed
from tests.server.stores import Store, credentials

USERS = [User(name) for name in ("alice", "bob", "carol")]
DEVICES = [Device(bytes([number] * 16)) for number in range(2)]
ROOMS = [Room(name) for name in ("hall", "attic", GENERAL, ANNOUNCEMENTS, "@alice,bob", "@bob,alice", "@carol,carol")]
# Few choices a call: an example has room for many calls only where each costs little. Drawn by their numbers,
# because Hypothesis writes strategies out in full.
CIDS = [bytes([number] * 16) for number in range(60)]
FILES = [(leaves.of(data, 4_096)[0], len(data)) for data in (b"a" * 5_000, b"b" * 70, b"c" * 100, b"")]
_FIELDS: tuple[dict[str, Any], ...] = (
    {"text": "a"},
    {"text": "a", "kind": Kind.TEXT, "topic": "t"},
    {"text": "a", "kind": Kind.EMOTE},
    {"text": "", "reply": 3, "refs": (1, 2), "mentions": ("bob",), "sent": 2**53},
    {"text": "gr\u00fc\u00df " * 40, "expires": 1, "extra": {33: [1, b"x"]}},
    {"text": "b", "extra": {2 * number + 33: 0 for number in range(50)}},
    {"text": "a b", "mentions": ("alice", "bob", "bob", "nobody")},
    {"text": "", "sealed": body()},
    {"text": "", "sealed": body(b"other")},
    *({"text": "", "kind": Kind.KEY, "sealed": keys_for(*marks)} for marks in ((1,), (2,), (1, 2), (1, 4))),
    *({"text": "a", "kind": Kind.FILE, "attachments": ((*each, "x", "n", 0),)} for each in FILES),
    {"text": "a", "kind": Kind.FILE, "attachments": ((*FILES[0], "x", "n", 1), (*FILES[1], "y", "", 2))},
    {"text": "a", "attachments": ((*FILES[0], WHOLE, "", 0),)},
    {"text": "a", "attachments": ((FILES[0][0], 9, "x", "", 0),)},
)
POSTS = [Post(cid=CIDS[0], **fields) for fields in _FIELDS]
ABOUT = [
    Post(cid=CIDS[0], kind=kind, text=text)
    for kind, text in (
        (Kind.EDIT, "ab b"),
        (Kind.RETRACT, ""),
        (Kind.RETRACT, ""),
        (Kind.REACT, "+1"),
        (Kind.PIN, "pin"),
    )
]
ABOUT.append(Post(cid=CIDS[0], kind=Kind.EDIT, text="", sealed=body(b"corrected")))
WORDS = [(Word(parts=("a",)),), (Word(parts=("a",), prefix=True), Word(parts=("b",))), (Word(parts=("a", "b")),)]

users, devices = st.sampled_from(USERS), st.sampled_from(DEVICES)
# Indexes, because what stands there is long to print.
files = st.integers(0, 3).map(lambda number: FILES[number][0])
cids = st.integers(0, len(CIDS) - 1).map(lambda number: CIDS[number])
rooms = st.sampled_from(ROOMS + 3 * ROOMS[:1] + 3 * [GENERAL])
ages = st.integers(0, 9) | st.integers(ABANDONED, ABANDONED + 9)
times, places = st.integers(0, 9), st.integers(0, 12) | st.just(2**53)
posts = st.builds(lambda number, cid: replace(POSTS[number], cid=cid), st.integers(0, len(POSTS) - 1), cids)
abouts = st.builds(
    lambda number, cid, ref: replace(ABOUT[number], cid=cid, refs=(ref,)),
    st.integers(0, len(ABOUT) - 1),
    cids,
    st.integers(0, 12),
)
rarely, secrets = st.sampled_from([False, False, True]), st.sampled_from([None, "", "key", "other"])
maybe_places = st.none() | places
windows = st.sampled_from([*Window, Window.AROUND])


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a port's method, for both stores."""

    name: str
    make: Callable[[Store], Awaitable[Any]]
    admits: tuple[User, Device] | None = None

    def __repr__(self) -> str:
        return self.name


def receipts() -> st.SearchStrategy[Call]:
    return st.builds(_receipt, rooms, users, devices, maybe_places, maybe_places, st.booleans(), times)


def talk() -> st.SearchStrategy[Call]:
    return st.builds(_append, rooms, users, devices, posts | abouts, times) | st.builds(
        _append_many, users, devices, st.lists(st.tuples(rooms, posts | abouts), max_size=6), times
    )


def uploads() -> st.SearchStrategy[Call]:
    """What becomes of a few files, of which some are whole and some are named."""
    return st.one_of(
        st.builds(_offer, users, st.integers(0, 3), st.sampled_from([0, 0, 0, 1]), st.none() | rooms, rarely, times),
        st.builds(_received, users, st.integers(0, 3), st.integers(1, 5), times),
        st.builds(_cancel, users, files),
    )


def changes() -> st.SearchStrategy[Call]:
    """Accounts and memberships, with arguments from small sets, so that they meet each other."""
    return st.one_of(
        st.builds(sign_up_of, users, st.integers(1, 3), times),
        st.builds(_create, rooms, users, st.sampled_from([0, EPHEMERAL, ENCRYPTED]), st.booleans(), cids, times),
        st.builds(join_of, rooms, users, st.sampled_from([None, 0, EPHEMERAL]), secrets, rarely, rarely, cids, times),
        st.builds(_set_credentials, users, st.integers(1, 3), st.none() | st.integers(1, 3), st.none() | devices),
        st.builds(_admit, users, devices, times, st.none() | st.integers(1, 3)),
        st.builds(_rotate, users, devices, times, st.integers(1, 3)),
        st.builds(_seen, users, devices, times),
        st.builds(_revoke, users, devices),
        st.builds(_leave, rooms, users, cids, times),
        rules(),
        sealing(),
    )


def anything() -> st.SearchStrategy[Call]:
    return talk() | talk() | receipts() | changes() | uploads()


def rules() -> st.SearchStrategy[Call]:
    """What those who rank in a room do."""
    policies = st.sampled_from([None, 0, EPHEMERAL, INVITE_ONLY, ENCRYPTED, ENCRYPTED | EPHEMERAL])
    return st.one_of(
        st.builds(_change, rooms, users, st.sampled_from([None, "", "t"]), policies, secrets, rarely, cids, times),
        st.builds(_invite, rooms, users, users, rarely, times),
        st.builds(_kick, rooms, users, users, st.booleans(), rarely, cids, times),
        st.builds(_set_rank, rooms, users, users, st.sampled_from([*Rank][1:]), rarely, cids, times),
    )


def sealing() -> st.SearchStrategy[Call]:
    """What devices say of their keys."""
    lists = st.none() | st.builds(signed, st.integers(1, 4), st.sampled_from([1, 2, 3]), st.integers(4, 6))
    return st.one_of(
        st.builds(_publish, users, devices, st.integers(1, 4), st.sampled_from([40, 40, 41, 30_000]), lists, times),
        st.builds(_back_up, users, st.integers(1, 3), st.integers(0, 2), st.integers(1, 50)),
    )


def _publish(user: User, device: Device, mark: int, size: int, listed: SignedList | None, at: int) -> Call:
    return Call(
        f"publish {user} {device[0]} {mark} {size} {listed and (listed.serial, *listed.fingerprints)}",
        lambda store: store.keys.publish(user, key_of(device, mark, size=size), listed, at=at),
    )


def keyed(user: User, other: User, device: Device, mark: int, room: Room, number: int) -> list[Call]:
    """A device of another is listed, given a key, and once more, and looks for it; `number` is used only once."""
    again = Post(cid=number.to_bytes(16, "big"), kind=Kind.KEY, text="", sealed=keys_for(mark))
    called = [_publish(other, device, mark, 40, signed(number, mark, 1 + mark), 1)]
    seen: dict[str, Any] = {"window": Window.LATEST, "anchor": 0, "limit": 9, "budget": 900, "device": device}
    called += [_append(room, user, DEVICES[0], again, 1)] * 2
    return [*called, Call(f"page {room} {other}", lambda store: store.log.page(room, other, **seen))]


def _back_up(user: User, generation: int, part: int, size: int) -> Call:
    return Call(
        f"back up {user} {generation} {part} {size}",
        lambda store: store.keys.back_up(user, generation, part, bytes(size), most=100),
    )


def sign_up_of(user: User, mark: int, at: int) -> Call:
    return Call(f"sign_up {user}", lambda store: store.accounts.sign_up(user, credentials(mark), at=at))


def _set_credentials(user: User, mark: int, current: int | None, keep: Device | None) -> Call:
    key = None if current is None else credentials(current).stored_key
    return Call(
        f"set {user} {current}",
        lambda store: store.accounts.set_credentials(user, credentials(mark), current=key, keep=keep),
    )


def token_of(user: User, device: Device, mark: int) -> bytes:
    """One of the few tokens that a device of a user ever gets, so that they are often the right one."""
    return (user.encode() + device + bytes([mark])).ljust(32)


def _admit(user: User, device: Device, at: int, mark: int | None) -> Call:
    token = None if mark is None else token_of(user, device, mark)
    proven = None if mark is None else credentials(mark).stored_key
    return Call(
        f"admit {user} {device[0]} {mark}",
        lambda store: store.accounts.admit(user, device, "x", token=token, expires=at, proven=proven, at=at),
        (user, device),
    )


def _rotate(user: User, device: Device, at: int, mark: int) -> Call:
    old, new = token_of(user, device, mark), token_of(user, device, 1 + mark % 3)
    # Late enough that some of the tokens have ended: those with `expires` below 5.
    return Call(
        f"rotate {user} {device[0]} {mark}",
        lambda store: store.accounts.rotate(old, new, device, "y" * mark, expires=9, at=60_005 if at > 5 else at),
    )


def _seen(user: User, device: Device, at: int) -> Call:
    return Call(f"seen {user} {device[0]}", lambda store: store.accounts.seen(user, device, at=at))


def _revoke(user: User, device: Device) -> Call:
    return Call(f"revoke {user} {device[0]}", lambda store: store.accounts.revoke(user, device))


def _create(room: Room, by: User, policy: int, exclusive: bool, cid: bytes, at: int) -> Call:
    return Call(
        f"create {room} {by} {policy}",
        lambda store: store.rooms.create(
            room, by, topic=f"of {by}", policy=policy, exclusive=exclusive, cid=cid, at=at
        ),
    )


def join_of(
    room: Room, user: User, make: int | None, secret: str | None, operator: bool, exclusive: bool, cid: bytes, at: int
) -> Call:
    facts: dict[str, Any] = {"make": make, "secret": secret, "operator": operator, "exclusive": exclusive}
    return Call(f"join {room} {user} {facts}", lambda store: store.rooms.join(room, user, **facts, cid=cid, at=at))


def _change(
    room: Room, by: User, topic: str | None, policy: int | None, secret: str | None, operator: bool, cid: bytes, at: int
) -> Call:
    facts: dict[str, Any] = {"topic": topic, "policy": policy, "secret": secret, "operator": operator}
    return Call(f"change {room} {by} {facts}", lambda store: store.rooms.change(room, by, **facts, cid=cid, at=at))


def _invite(room: Room, user: User, by: User, operator: bool, at: int) -> Call:
    return Call(
        f"invite {room} {user} {by} {operator}",
        lambda store: store.rooms.invite(room, user, by, operator=operator, at=at),
    )


def _kick(room: Room, user: User, by: User, ban: bool, operator: bool, cid: bytes, at: int) -> Call:
    return Call(
        f"kick {room} {user} {by} {ban} {operator}",
        lambda store: store.rooms.kick(room, user, by, reason="r", ban=ban, operator=operator, cid=cid, at=at),
    )


def _set_rank(room: Room, user: User, by: User, rank: Rank, operator: bool, cid: bytes, at: int) -> Call:
    return Call(
        f"rank {room} {user} {by} {rank.name} {operator}",
        lambda store: store.rooms.set_rank(room, user, by, rank, operator=operator, cid=cid, at=at),
    )


def _leave(room: Room, user: User, cid: bytes, at: int) -> Call:
    return Call(f"leave {room} {user}", lambda store: store.rooms.leave(room, user, cid=cid, at=at))


def _append(room: Room, user: User, device: Device, said: Post, at: int) -> Call:
    return Call(
        f"append {room} {user} {said.cid.hex()[:4]} {said.text!r}",
        lambda store: store.log.append(room, user, device, said, at=at),
    )


def _append_many(user: User, device: Device, asked: list[tuple[Room, Post]], at: int) -> Call:
    async def make(store: Store) -> list[Any]:
        found = await store.log.append_many(user, device, asked, at=at)
        return [each.code if isinstance(each, Refused) else each for each in found]

    return Call(f"append_many {user} {[(room, said.kind, said.refs, said.text) for room, said in asked]}", make)


def _offer(user: User, number: int, flaw: int, room: Room | None, operator: bool, at: int) -> Call:
    file, size = FILES[number]
    quota = Quota(size=5_100, files=3, uploads=2)
    facts: dict[str, Any] = {"room": room, "operator": operator, "quota": quota, "at": at}
    return Call(
        f"offer {user} {number} {flaw} {room} {operator}",
        lambda store: store.files.offer(user, file, size + flaw, 4_096, **facts),
    )


def _received(user: User, number: int, place: int, at: int) -> Call:
    file, size = FILES[number]
    upload = Upload(file=file, size=size, chunk=4_096, whole=False, place=place)
    return Call(f"received {user} {number} {place}", lambda store: store.files.received(user, upload, at=at))


def sharing(user: User, number: int, room: Room, parts: tuple[bool, bool], cid: bytes) -> list[Call]:
    """Offers a file, brings all of it if so wanted, names it, and takes that back if so wanted."""
    brings, regrets = parts
    row = (*FILES[number], "x", "n", 0)
    calls = [_offer(user, number, 0, None, False, 1)]
    calls += [arrival(user, number, 1)] if brings else []
    calls += [_append(room, user, DEVICES[0], Post(cid=cid, kind=Kind.FILE, text="f", attachments=(row,)), 1)]

    async def regret(store: Store) -> Any:
        head = (await store.rooms.info(room, user)).head
        back = Post(cid=cid[::-1], kind=Kind.RETRACT, text="", refs=(head,))
        return await store.log.append(room, user, DEVICES[0], back, at=1)

    return calls + ([Call(f"regret {room}", regret)] if regrets else [])


def arrival(user: User, number: int, at: int) -> Call:
    """All of what a user uploads is here, wherever that is."""

    async def make(store: Store) -> None:
        upload = await store.files.uploading(user, FILES[number][0])
        await store.files.received(user, upload, at=at)

    return Call(f"arrival {user} {number}", make)


def _cancel(user: User, file: bytes) -> Call:
    return Call(f"cancel {user} {file[:2].hex()}", lambda store: store.files.cancel(user, file))


def collection(before: int, limit: int) -> Call:
    """What may go, and that it is gone, unless the limit is odd."""

    async def make(store: Store) -> Any:
        found = await store.files.unused(before=before, limit=limit)
        if limit % 2 == 0:
            await store.files.removed([each.place for each in found])
        return found

    return Call(f"unused {before} {limit}", make)


def _receipt(
    room: Room, user: User, device: Device, delivered: int | None, read: int | None, private: bool, at: int
) -> Call:
    facts: dict[str, Any] = {"delivered": delivered, "read": read, "private": private, "at": at}
    return Call(
        f"receipt {room} {user} {device[0]} {facts}", lambda store: store.log.receipt(room, user, device, **facts)
    )
