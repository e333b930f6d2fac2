"""The plain front end in a simulated world: what is typed, what is printed, and how it ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.ui.contact import Contact
from quicchat.ui.main import run
from quicchat.ui.visit import Doubt
from quicchat.wire.chapters.messages import Kind, Message
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import GENERAL
from tests.server.house import OPEN, World, heard, texts
from tests.ui.stage import ALICE, Scene, Start, calls_of


def test_what_is_typed_is_said_and_what_is_said_is_printed(scene: Scene) -> None:
    """R2.24, R1.7: lines go out, messages come in while nothing is typed; own lines are not printed again."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        session.keys.type("hello", "", "/ping")
        await session.until("10.0 ms")
        await bob.post(GENERAL, "hi alice")
        await session.until("bob: hi alice")
        assert await texts(bob, GENERAL) == ["bob joined", "alice joined", "hello", "hi alice"]
        session.keys.end()
        assert await session.ended() == 0
        assert not any("hello" in line for line in session.sheet.out)

    scene(scenario)


def test_the_end_of_input_waits_for_every_ack(scene: Scene) -> None:
    """Issue item 9, R2.12: all lines before the end of input are stored, in their order, then it ends with 0."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        session.keys.type(*(f"line {number}" for number in range(200)))
        session.keys.end()
        assert await session.ended() == 0
        found = await texts(bob, GENERAL)
        assert [text for text in found if text.startswith("line")] == [f"line {number}" for number in range(200)]

    scene(scenario, latency=0.05, loss=0.02)


@pytest.mark.parametrize("words", ["/quit", "/qqq", "/EX"])
def test_goodbye(words: str, scene: Scene) -> None:
    """R0.17, R1.8, R2.12: the others hear it within a second, with the reason; what was typed after it is not said."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)
        await heard(bob)
        before = asyncio.get_running_loop().time()
        session.keys.type("last words", words, "never said")
        assert await session.ended() == 0
        async with asyncio.timeout(1):
            while not (isinstance(event := await anext(bob), Presence) and event.show is Show.OFFLINE):
                continue
        assert (event.user, event.reason) == ("alice", "quit")
        assert asyncio.get_running_loop().time() - before < 1
        assert [each.text for each in await bob.history(GENERAL, limit=1)] == ["last words"]

    scene(scenario)


def test_unknown_commands_and_refusals_are_told_and_it_goes_on(scene: Scene) -> None:
    """R1.13, R2.30: nothing of an unknown command is sent; a refusal is a line on the stream of notices."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        session.keys.type("/jion r1", "/members nowhere", "/msg nobody hi", "still here")
        session.keys.end()
        assert await session.ended() == 0
        notes = "\n".join(session.sheet.err)
        for words in ("did you mean /join?", "There is no such room", "There is no such user"):
            assert words in notes
        assert await texts(bob, GENERAL) == ["bob joined", "alice joined", "still here"]

    scene(scenario)


def test_dm_alone_prints_the_users_and_asks(scene: Scene) -> None:
    """R1.14: the list of users, a question, and the answer is the message."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start(style="classic").go()
        await session.until("Welcome, You are registered", err=True)
        await asyncio.sleep(1)
        session.keys.type("DM")
        await session.until("bob online")
        await session.until("<user> <text...>", err=True)
        session.keys.type("bob hi there")
        session.keys.end()
        assert await session.ended() == 0
        assert await texts(bob, "@alice,bob") == ["hi there"]

    scene(scenario)


def test_the_built_in_user_is_heard_out(scene: Scene) -> None:
    """R3.1: who asks `echo` as his last word still reads the answer."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        session.keys.type("/msg echo hello, hello")
        session.keys.end()
        assert await session.ended() == 0
        assert any("hello, hello" in line for line in session.sheet.out)

    scene(scenario)


def test_in_echo_mode_everything_comes_back(scene: Scene) -> None:
    """R3.1: on a server of mode echo plain text comes back, and nobody else reads it."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        session.keys.type("parrot me")
        session.keys.end()
        assert await session.ended() == 0
        assert any("parrot me" in line for line in session.sheet.out)
        assert "parrot me" not in await texts(bob)

    scene(scenario, replace(OPEN, echo_only=True))


def test_commands_of_the_command_line_run_and_it_ends(scene: Scene) -> None:
    """Issue item 9: -e carries out its lines, then quits; 0 when all was done, 2 when something was refused."""

    async def scenario(here: World, start: Start) -> None:
        session = start(calls_of("hello", "/ping", "/rooms")).go()
        assert await session.ended() == 0
        assert session.sheet.out[-1] == "* general (2)"
        session = start(calls_of("/join nowhere", "/ping")).go(replace(ALICE, sign_up=False))
        assert await session.ended() == 2
        assert session.sheet.out == ["10.0 ms"]

    scene(scenario)


def test_json_tells_everything_once(scene: Scene) -> None:
    """Issue item 9: every line of standard output is an object with `event`; nothing goes to standard error."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start(json=True).go()
        await session.until('"entered"')
        await bob.post(GENERAL, "\x1b[2J hi")
        await session.until("u001b")
        session.keys.type("/create r1", "hello", "/nonsense", "/join nowhere", "/quit")
        assert await session.ended() == 0
        events = [json.loads(line) for line in session.sheet.out]
        assert session.sheet.err == []
        assert [each["code"] for each in events if each["event"] == "error"] == ["USAGE", "NO_SUCH_ROOM"]
        own = [each for each in events if each["event"] == "message" and each["own"]]
        assert [(each["room"], each["text"]) for each in own if each["kind"] == "text"] == [("r1", "hello")]
        posted = next(each for each in events if each["event"] == "posted")
        assert posted["cid"] == own[-1]["cid"]
        assert {"sent", "stored", "received"} <= set(own[-1])

    scene(scenario)


@pytest.mark.parametrize("entering", ["/join nowhere", "/create r1", "/newgroup r1"])
def test_a_script_that_could_not_enter_says_nothing_elsewhere(entering: str, scene: Scene) -> None:
    """Priority 2: what a script says after a refused /join was not meant for general: it is refused."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        await bob.create("r1")
        session = start().go()
        session.keys.type(entering, "between us", "/me whispers", "/join general", "to all")
        session.keys.end()
        assert await session.ended() == 0
        assert sum("you are in no room" in line.lower() for line in session.sheet.err) == 2
        assert await texts(bob, GENERAL) == ["echo joined", "bob joined", "alice joined", "to all"][1:]

    scene(scenario)


def test_a_pipe_that_breaks_ends_it(scene: Scene) -> None:
    """U9: when nobody reads the output any more, the exception leaves, and the server hears a goodbye."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start().go()
        await session.until("you are alice", err=True)

        def broken(line: str) -> None:
            raise BrokenPipeError

        session.sheet.show = broken  # type: ignore[method-assign]
        await bob.post(GENERAL, "hello")
        with pytest.raises(BrokenPipeError):
            await session.ended()
        await asyncio.sleep(1)
        assert len(list(here.door.router)) == 1

    scene(scenario)


def test_a_bug_while_reading_does_not_hang(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q27 at the keyboard: an exception in the reading task ends the program with it."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        await session.until("you are alice", err=True)

        def broken(line: str) -> None:
            raise ArithmeticError

        session.front._words.parse = broken  # type: ignore[method-assign]
        session.keys.type("x")
        with pytest.raises(ArithmeticError):
            await session.ended()

    scene(scenario)


def test_a_bug_while_saying_does_not_hide(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q27 at the keyboard: nobody waits for what is said, and yet a bug in it ends the program at once."""

    async def scenario(here: World, start: Start) -> None:
        session = start().go()
        await session.until("you are alice", err=True)

        async def broken(*_: object, **__: object) -> None:
            raise ArithmeticError

        session.front._chat.post = broken  # type: ignore[assignment]
        session.keys.type("x")
        with pytest.raises(ArithmeticError):
            await session.ended()

    scene(scenario)


def test_a_server_that_is_unknown_is_a_question_for_a_person(tmp_path: Path) -> None:
    """A10: the question leaves the loop as Doubt; once it was answered with yes it is not asked again."""

    async def scenario() -> None:
        config = ClientConfig(data=tmp_path, host="chat.example")
        asking = Contact(config, frozenset({"Trust it?"}))._trusting.ask
        assert asking is not None
        assert await asking("Trust it?")
        with pytest.raises(Doubt) as caught:
            await asking("Trust another?")
        assert caught.value.question == "Trust another?"
        assert Contact(config)._trusting.ask is None

    asyncio.run(scenario())


def test_nonsense_on_the_command_line_connects_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R1.13, issue item 9: an unknown -e command is exit code 2, before anybody is asked or called."""
    monkeypatch.setattr("quicchat.ui.contact.meet", None)
    for line, words in (("/jion x", "did you mean /join"), ("/msg bob", "needs <text...>")):
        with pytest.raises(UsageError, match=words) as caught:
            run(ClientConfig(data=tmp_path, commands=("hello", line)))
        assert caught.value.exit_code == 2


def test_the_memory_of_arrivals_is_bounded(scene: Scene) -> None:
    """P7 for clients: however long it runs, the times of arrival of some thousand messages are kept."""

    async def scenario(here: World, start: Start) -> None:
        session = start(calls_of("/ping")).go()
        assert await session.ended() == 0
        for seq in range(1, 12_000):
            message = Message(room="r", epoch=1, seq=seq, cid=bytes(16), sender="x", kind=Kind.TEXT, ts=1, text="")
            session.front._listener.message(message, 0.0)
        assert len(session.front._listener.received) == 5000
        assert ("r", 1, 11_999) in session.front._listener.received

    scene(scenario)
