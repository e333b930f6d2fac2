"""What each screen looks like. `pytest --snapshot-update` keeps how they look now: look at the pictures first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quicchat.client.api import Chat
from quicchat.client.backoff import Backoff
from quicchat.ui.outcomes import Freight, Heard
from quicchat.ui.tui.title import Way
from quicchat.ui.tui.welcome import Login, Trust
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Show
from tests.server.house import World
from tests.ui.tui.conftest import Camera
from tests.ui.tui.showing import Showing, perform, theatre

DAY = 86_400_000
MINUTE = 60_000
CODE = "def meet(host: str) -> Chat:\n    return connect(host)"
PLACE = "chat.example:5000"
MARK = "SHA256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (50, 20)])
def test_welcome(camera: Camera, size: tuple[int, int]) -> None:
    """Issue 5.4: who logs in is asked for on the whole terminal."""

    async def scenario() -> None:
        app = Login(PLACE, "ann")
        async with app.run_test(size=size):
            await camera.take(app, f"welcome-{size[0]}")

    perform(scenario)


def test_trust(camera: Camera) -> None:
    """Issue 5.4: the fingerprint of a new server, grouped so that it can be compared."""

    async def scenario() -> None:
        app = Trust(f"{PLACE} is new.\n  {MARK}\nIs that right?\nTrust it from now on? [y/N] ")
        async with app.run_test(size=(80, 24)):
            await camera.take(app, "trust")

    perform(scenario)


def test_empty_room(camera: Camera, tmp_path: Path) -> None:
    """Issue 5.1: a room in which nobody has said anything yet."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit().go()
            await alice.type("/create lab what we try out")
            await alice.shows("what we try out")
            await camera.take(alice.app, "empty")

    perform(scenario)


async def talk(here: World, camera: Camera, alice: Showing) -> tuple[Chat, int]:
    """A conversation with all that may happen in one; bob, and the place of the last event."""
    bob, carol = await here.enter("bob"), await here.enter("carol")
    await bob.create("lab", topic="what we try out")
    await carol.join("lab")
    await alice.type("/join lab")
    # She looks at it before anything is said there, or it were new.
    await alice.until(lambda: alice.picture[0].startswith(" lab"))
    first = await bob.post("lab", "Good evening. Has anybody tried the new release?")
    await carol.post("lab", "Not yet; I am still reading https://chat.example/notes, which are longer than one line.")
    await bob.post("lab", CODE, kind=Kind.CODE)
    camera.now += DAY
    await bob.post("lab", "waves", kind=Kind.EMOTE)
    done = await carol.post("lab", "the build is done", kind=Kind.NOTICE)
    await alice.until(lambda: head(alice, "lab") == done.seq)
    await alice.type("I have, it works")
    await alice.until(lambda: head(alice, "lab") > done.seq)
    said = await carol.post("lab", "Which one, @alice?", reply=first.seq, mentions=["alice"])
    await bob.react("lab", first.seq, "+1")
    await carol.react("lab", first.seq, "+1")
    wrong = await bob.post("lab", "nonsense")
    await bob.retract("lab", wrong.seq)
    late = await bob.post("lab", "I have to go at six.")
    await bob.edit("lab", late.seq, "I have to go at seven.")
    pinned = await bob.pin("lab", said.seq)
    camera.now += MINUTE
    await carol.show(Show.AWAY, "lunch")
    await carol.tell("alice", "Between you and me: it does not.")
    # Each room has a stream of its own.
    await alice.until(lambda: head(alice, "@alice,carol") > 0 and head(alice, "lab") == pinned.seq)
    # What is known is painted a moment later.
    await alice.shows("go at seven.")
    return bob, pinned.seq


def head(alice: Showing, room: str) -> int:
    """How far she knows the log of a room."""
    view = alice.front._chat.state.rooms.get(room)
    return view.head if view is not None else 0


def picture_of(sender: str, seq: int, at: int, file: tuple[bytes, int, str, str, int]) -> Message:
    """A message that brings a file."""
    return Message(
        room="lab", seq=seq, cid=b"p" * 16, sender=sender, kind=Kind.FILE, text="", ts=at, attachments=(file,)
    )


@pytest.mark.parametrize("size", [(140, 40), (100, 30), (80, 24), (50, 20)])
def test_conversation(camera: Camera, size: tuple[int, int], tmp_path: Path) -> None:
    """Issue 5.1: day lines, marks, edits, reactions, replies, code, emotes, notices, files, typing; folded, too."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=size).go()
            _, last = await talk(here, camera, alice)
            file = (b"f" * 32, 1_234_567, "image/jpeg", "photo.jpg", camera.now + DAY)
            alice.face.tell(Heard(picture_of("bob", last + 1, camera.now, file), False), alice.front._chat.state)
            await camera.take(alice.app, f"conversation-{size[0]}")

    perform(scenario)


def test_new_line(camera: Camera, tmp_path: Path) -> None:
    """Issue 5.1: what came while one was elsewhere stands below a line, which stays until it is read."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(80, 24)).go()
            bob, _ = await talk(here, camera, alice)
            await alice.press("ctrl+k", *"gene", "enter")
            await alice.until(lambda: alice.picture[0].startswith(" general"))
            await bob.post("lab", "Are you still there?")
            await alice.press("ctrl+k", *"lab", "enter")
            await alice.shows("Are you still there?")
            await camera.take(alice.app, "new")

    perform(scenario)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("switcher", ("ctrl+k", "g", "e")),
        ("search", ("ctrl+f", *"works", "enter")),
        ("help", ("f1",)),
        ("messages", ("f6", "up")),
    ],
)
def test_above_the_conversation(name: str, keys: tuple[str, ...], camera: Camera, tmp_path: Path) -> None:
    """Issue 5.1: going to a room by letters, searching, help, choosing a message."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(80, 24)).go()
            await talk(here, camera, alice)
            await alice.shows("(pinned)")
            for key in keys:
                await alice.press(key)
            await camera.take(alice.app, name)

    perform(scenario)


def test_transfers(camera: Camera, tmp_path: Path) -> None:
    """Issue 5.1: files on their way are bars below the conversation."""

    async def scenario() -> None:
        async with theatre(tmp_path) as (_, sit):
            alice = await sit(size=(80, 24)).go()
            state = alice.front._chat.state
            for number, (name, direction, done) in enumerate(
                (("photo.jpg", "up", 400_000), ("notes.txt", "down", 0)), 1
            ):
                freight = Freight(
                    number=number,
                    name=name,
                    direction=direction,
                    mode="reliable",
                    state="transferring",
                    room="general",
                    size=1_234_567,
                    done=done,
                    rate=2e6,
                    eta=4.0,
                )
                alice.face.tell(freight, state)
            await alice.shows("notes.txt")
            await camera.take(alice.app, "transfers")

    perform(scenario)


def test_reconnecting(camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5.1: without a connection the title says so, and what is said waits with a dot."""
    text = Way.text
    monkeypatch.setattr(Way, "text", lambda *given: re.sub(r"reconnecting.*", "reconnecting in 60 s", text(*given)))
    monkeypatch.setattr(Backoff, "next", lambda *_: 60.0)

    async def scenario() -> None:
        async with theatre(tmp_path) as (here, sit):
            alice = await sit(size=(80, 24)).go()
            # The notice of her own coming may arrive behind the login, and so does what was before.
            await alice.shows("alice joined")
            await alice.shows("echo joined")
            alice.road.open = False
            alice.cut(here)
            await alice.shows("reconnecting")
            await alice.type("meanwhile")
            await alice.shows(". meanwhile")
            await camera.take(alice.app, "reconnecting")

    perform(scenario)
