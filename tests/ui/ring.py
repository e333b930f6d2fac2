"""Keys without cryptography: who is trusted how far, and what a person decided."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

from quicchat.client.e2ee.faults import BadKey, Forged, SealError
from quicchat.client.e2ee.people import Person
from quicchat.client.e2ee.trust import Sight, Trust, after
from quicchat.client.state import RoomView, State
from quicchat.ui import commands
from quicchat.ui.desk import Desk
from quicchat.ui.words import Call
from quicchat.wire.chapters.rooms import ENCRYPTED, Rank
from tests.server.house import play
from tests.ui.stage import desk_of

DIGITS = " ".join(f"{each:05}" for each in range(10, 22))
CODE = " ".join(["1234"] * 9)
HERE, PHONE, TABLET = b"h" * 20, b"p" * 20, b"t" * 20
LAPTOP = "laptop"


class Ring:
    """As `chat.keys`: `asked` is what was wanted, `fault` is what everything ends with."""

    here = True
    reason = "What encrypts is not installed: pip install quicchat[pgp]."

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fault: SealError | None = None
        self.number = DIGITS
        self.rooms: dict[str, SimpleNamespace] = {}
        device = SimpleNamespace(certificate=SimpleNamespace(fingerprint=HERE))
        self.own: Any = SimpleNamespace(device=device, listed=True, identity=object())
        self.persons = {
            "alice": _person("alice", Trust.VERIFIED, ((HERE, LAPTOP, None), (PHONE, "phone", None))),
            "bob": _person("bob", Trust.FIRST_USE, ((b"b" * 20, "desk", None), (b"c" * 20, "old", "it has expired"))),
        }
        self.waits: list[SimpleNamespace] = [SimpleNamespace(fingerprint=TABLET, name="tablet", flaw=None)]

    @property
    def ready(self) -> bool:
        return bool(self.own.listed)

    def of(self, user: str) -> Person | None:
        return self.persons.get(user)

    def people(self) -> Sequence[Person]:
        return list(self.persons.values())

    def encryption(self, room: str) -> Any:
        return self.rooms.get(room, SimpleNamespace(state="plain", reason=""))

    async def look(self, room: str) -> Any:
        self.asked.append(("look", room))
        return self.encryption(room)

    def waiting(self) -> Sequence[Any]:
        return self.waits

    async def digits(self, user: str) -> str:
        self._of(user)
        return self.number

    async def code(self, user: str) -> str:
        return f"quicchat:{user}:{DIGITS.replace(' ', '')}"

    async def verify(self, user: str, digits: str | None = None) -> None:
        if digits is None or digits.replace(" ", "") != self.number.replace(" ", ""):
            raise Forged(f"these are not the digits of {user}")
        self._decided(user, Sight.VERIFY)

    async def accept(self, user: str) -> None:
        self._decided(user, Sight.ACCEPT)

    async def untrust(self, user: str) -> None:
        self._decided(user, Sight.UNTRUST)

    async def approve(self, fingerprint: bytes) -> None:
        self._did("approve", fingerprint)

    async def remove(self, fingerprint: bytes) -> None:
        self._did("remove", fingerprint)

    async def renew(self) -> str:
        self._did("renew")
        return CODE

    async def rotate(self, room: str) -> None:
        self._did("rotate", room)

    async def recovery(self) -> str:
        self._did("recovery")
        return CODE

    async def new_recovery(self) -> str:
        self._did("new recovery")
        return CODE

    async def restore(self, code: str) -> None:
        if code.replace(" ", "") != CODE.replace(" ", ""):
            raise BadKey("a recovery code has 36 digits, and this has 4")
        self._did("restore", code)

    def trust(self, user: str) -> Trust:
        """As a test looks at it."""
        return self.persons[user].trust

    def _of(self, user: str) -> Person:
        self._did("of", user)
        if user not in self.persons:
            raise BadKey(f"{user} has no keys yet")
        return self.persons[user]

    def _decided(self, user: str, sight: Sight) -> None:
        old = self._of(user)
        state = after(old.trust, sight)
        assert state is not None
        self.persons[user] = _person(user, state, old.devices)

    def _did(self, *what: Any) -> None:
        self.asked.append(what)
        if self.fault is not None:
            raise self.fault


def held(reason: str) -> SimpleNamespace:
    return SimpleNamespace(state="held", reason=reason)


ENCRYPTED_ROOM = SimpleNamespace(state="encrypted", reason="")


def _person(user: str, trust: Trust, devices: tuple[tuple[bytes, str, str | None], ...]) -> Person:
    mark = user.encode().ljust(20, b".")
    return Person(user, trust, mark, mark, 3, devices)


class House:
    """As much of a `Chat` as these commands ask."""

    version = 2
    rtt = None
    outbox = ()

    def __init__(self) -> None:
        vault = RoomView(room="vault", policy=ENCRYPTED, rank=Rank.OWNER)
        lab = RoomView(room="lab", policy=2, rank=Rank.OWNER)
        self.state = State(user="alice", rooms={"vault": vault, "lab": lab})
        self.keys = Ring()
        self.account = self
        self.made: list[tuple[Any, ...]] = []

    async def sessions(self) -> Sequence[Any]:
        return [(7, b"d" * 16, LAPTOP, "127.0.0.1", 0, True)]

    async def create(self, room: str, **how: Any) -> Any:
        self.made.append(("create", room, how))
        self.keys.rooms[room] = ENCRYPTED_ROOM
        return SimpleNamespace(room=room, topic=how.get("topic"), members=1)

    async def set_room(self, room: str, **how: Any) -> None:
        self.made.append(("set", room, how))


def house(*, asks: bool = False, room: str = "lab") -> tuple[Desk, House]:
    """A desk at which keys are at hand; with `asks` somebody answers questions."""
    chat: Any = House()
    desk = desk_of(chat, room=room)
    desk.asks = asks
    return desk, chat


def at_home(scenario: Callable[[Desk, House], Coroutine[Any, Any, None]], **how: Any) -> None:
    """Play a scenario at such a desk."""

    async def inside() -> None:
        await scenario(*house(**how))

    play(inside)


async def do(desk: Desk, line: str) -> Any:
    """Carry out what was typed."""
    found = desk.words.parse(line)
    assert isinstance(found, Call), found
    return await commands.run(desk, found)
