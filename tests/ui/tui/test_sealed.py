"""What the full screen tells of encryption: title, members, marks, pages."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.client.memory import PlainMemory
from quicchat.client.seal import Seal, opened
from quicchat.client.state import State
from quicchat.ui.book import Book
from quicchat.ui.outcomes import Heard, Reached
from quicchat.ui.seals import seen
from quicchat.ui.tui.scene import Scene
from quicchat.wire.chapters.messages import Message
from quicchat.wire.chapters.rooms import Rank
from tests.ui.items import message
from tests.ui.ring import DIGITS, ENCRYPTED_ROOM, Ring, do, held, house
from tests.ui.tui.conftest import Camera
from tests.ui.tui.showing import Showing, perform, theatre

DIRECT = "@alice,bob"
EXAMPLES = [
    (Seal.VERIFIED, "The release is signed."),
    (Seal.PLAIN, "I never said that, but the server can write it."),
    (Seal.CHANGED, "This is my new machine, honest."),
    (Seal.WAITING, ""),
    (Seal.HISTORICAL, ""),
    (Seal.LOST, ""),
    (Seal.FORGED, "pay 100 to mallory"),
]


def scene_of(ring: Ring, room: str = DIRECT) -> Scene:
    desk, chat = house(room=room)
    chat.keys = ring
    scene = Scene("chat.example:5000", "%H:%M")
    scene.sit(desk)
    scene.way._state = "online"
    return scene


@pytest.mark.parametrize(
    ("state", "trusted", "way", "alarm"),
    [
        ("plain", False, "TLS only", False),
        ("encrypted", False, "end-to-end", False),
        ("encrypted", True, "end-to-end, verified", False),
        ("held", True, "held: bob shows another identity: /accept bob or /verify bob", True),
    ],
)
def test_the_title_tells_what_protects_the_conversation(state: str, trusted: bool, way: str, alarm: bool) -> None:
    """[12.16-11]: of each conversation its own state; what is held back is an alarm with the command that helps."""
    ring = Ring()
    why = "bob shows another identity: /accept bob or /verify bob"
    ring.rooms[DIRECT] = {"plain": ring.encryption(""), "encrypted": ENCRYPTED_ROOM, "held": held(why)}[state]
    scene = scene_of(ring)
    if trusted:
        asyncio.run(ring.verify("bob", DIGITS))
    facts = scene.facts(DIRECT, 0.0)
    assert (facts.way, facts.alarm) == (way, alarm)
    assert scene.facts("lab", 0.0).way == "TLS only"


def test_who_was_just_verified_is_seen_so() -> None:
    """[12.16-11]: in the title and among the members; asked for once, not at every picture."""
    ring = Ring()
    ring.rooms[DIRECT] = ENCRYPTED_ROOM
    scene = scene_of(ring)
    members = [("bob", True, Rank.MEMBER), ("carol", True, Rank.MEMBER)]
    assert scene.facts(DIRECT, 0.0).way == "end-to-end"
    assert scene.trusts(members) == {"bob": "first_use"}
    assert scene.trusts(members) is scene.trusts(members)

    async def verify() -> None:
        assert scene.desk is not None
        await do(scene.desk, "/verify bob")
        scene.tell(await do(scene.desk, "/verify bob yes"), State(user="alice"), 0.0)

    asyncio.run(verify())
    assert scene.facts(DIRECT, 0.0).way == "end-to-end, verified"
    assert scene.trusts(members) == {"bob": "verified"}


def test_a_title_has_room_for_where_one_is() -> None:
    """[12.16-11]: however long the reason is that something is held back."""
    ring = Ring()
    ring.rooms[DIRECT] = held("x" * 500)
    assert len(scene_of(ring).facts(DIRECT, 0.0).way) < 70


def test_what_is_held_back_elsewhere_is_told_here() -> None:
    """[12.16-10]: /msg from another room would look sent else; where its row is seen, it is told there."""
    why = "bob shows another identity: /accept bob"
    waiting = Reached(Progress(bytes(16), DIRECT, None, Reach.QUEUED, reason=why), held=True)
    for room, told in (("general", 1), (DIRECT, 0)):
        scene = scene_of(Ring(), room)
        scene.tell(waiting, State(user="alice"), 0.0)
        notes = [row.text for row in scene.book.page(room).rows if row.text.startswith("not sent")]
        assert len(notes) == told


def lasting() -> PlainMemory:
    return PlainMemory(lasting=True)


async def talk(alice: Showing, camera: Camera, bob_says: list[tuple[Seal, str]]) -> None:
    """A conversation in which everything happens that can."""
    state = alice.front._chat.state
    head = state.rooms[DIRECT].head
    for seq, (seal, text) in enumerate(bob_says, head + 1):
        at = camera.now + seq * 1000
        said: Message = message(text, DIRECT, seq=seq, cid=seq.to_bytes(16, "big"), ts=at)
        alice.face.tell(Heard(seen(opened(said, seal)), at), state)


@pytest.mark.parametrize("size", [(100, 30), (50, 20)])
def test_a_conversation(camera: Camera, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.16-6], [12.16-11]: each seal as it looks, the state in the title, who is verified among the members."""
    monkeypatch.setattr(Book, "look", lambda self, room, state: setattr(self, "_here", room))

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=size, memory=lasting()).go()
            bob = await here.enter("bob", memory=lasting())
            await alice.until(lambda: bob.keys.ready)
            await alice.type("/query bob")
            await alice.until(lambda: alice.picture[0].startswith(" @bob"))
            await alice.type("Is it you?")
            await alice.shows("v Is it you?")
            await alice.shows("end-to-end")
            await alice.type("/verify bob")
            await alice.shows("The safety number")
            await alice.press("q")
            await alice.hides("The safety number")
            await alice.type("/verify bob yes")
            await alice.shows("end-to-end, verified")
            await talk(alice, camera, EXAMPLES)
            await alice.shows("forged")
            assert not alice.sees("mallory")
            await camera.take(alice.app, f"sealed-{size[0]}")

    perform(scenario)


def test_the_safety_number_has_a_page_with_a_picture(tmp_path: Path) -> None:
    """[12.16-2]: drawn where all of it fits; where it does not, the digits are there all the same."""
    pytest.importorskip("segno")

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(100, 30), memory=lasting()).go()
            bob = await here.enter("bob", memory=lasting())
            await alice.until(lambda: bob.keys.ready)
            await alice.type("/verify bob")
            await alice.shows("The safety number of you and bob")
            digits = (await bob.keys.digits("alice")).split()
            await alice.until(lambda: alice.sees("  ".join(digits[:4])))
            await alice.press("end")
            await alice.shows("\u2588" * 37)
            assert len([row for row in alice.picture if "\u2588\u2588" in row]) == 19
            await alice.resize(60, 16)
            await alice.hides("\u2588\u2588")
            await alice.press("home")
            await alice.shows("  ".join(digits[:4]))

    perform(scenario)
