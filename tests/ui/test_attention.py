"""The commands about what is announced."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from quicchat.errors import Code
from quicchat.ui.outcomes import Done
from quicchat.ui.words import Unclear
from tests.server.house import World, play, world
from tests.ui.items import noted
from tests.ui.stage import ALICE, Scene, Start, desk_of, vocabulary
from tests.ui.test_commands import denied, do


def test_levels_are_chosen_and_remembered() -> None:
    """[12.10-1]: /notify tells and sets the level of this room, of another one, of a user, of the announcements."""

    async def scenario() -> None:
        async with world() as here:
            desk = desk_of(await here.enter("alice"))
            found: Done = await do(desk, "/notify")
            assert (found.facts["room"], found.facts["level"]) == ("general", "mentions")
            for typed, room, level in (
                ("all", "general", "all"),
                ("garden none", "garden", "none"),
                ("@Bob MENTIONS", "@alice,bob", "mentions"),
                ("* none", "*", "none"),
                ("all all", "all", "all"),
            ):
                found = await do(desk, f"/notify {typed}")
                assert (found.facts["room"], found.facts["level"]) == (room, level)
                assert desk.chat.preferences[f"notify:{room}"] == level
            assert (await do(desk, "/notify @bob")).facts["level"] == "mentions"
            assert await denied(desk, "/notify no/room all") is Code.SCHEMA
            assert await denied(desk, "/notify @ all") is Code.SCHEMA

    play(scenario)
    assert isinstance(vocabulary().parse("/notify garden loud"), Unclear)


def test_do_not_disturb_is_chosen() -> None:
    """[12.10-2]: /dnd on, off, or for a span; alone it tells what is so; nonsense is refused."""

    async def scenario() -> None:
        async with world() as here:
            desk = desk_of(await here.enter("alice"))
            assert (await do(desk, "/dnd")).facts["until"] == "off"
            assert (await do(desk, "/dnd ON")).facts["until"] == "on"
            assert (await do(desk, "/dnd")).facts["until"] == "on"
            before = time.time_ns() // 1_000_000
            until = int((await do(desk, "/dnd 90m")).facts["until"])
            assert 0 <= until - before - 5_400_000 < 60_000
            assert (await do(desk, "/dnd")).facts["until"] == str(until)
            assert (await do(desk, "/dnd off")).facts["until"] == "off"
            assert "dnd" not in desk.chat.preferences
            for nonsense in ("soon", "0m", "-5m", "5", "5y", "99999d", "\u0661m"):
                assert await denied(desk, f"/dnd {nonsense}") is Code.SCHEMA

    play(scenario)
    assert noted(Done("dnd", {"until": "on", "what": "on"})) == ["-- do not disturb: on"]


def test_a_script_hears_notices(scene: Scene) -> None:
    """[12.10-1], [12.10-4]: with --json: a message that names one, and the sum of what waited."""

    async def scenario(here: World, start: Start) -> None:
        bob = await here.enter("bob")
        session = start(json=True).go()
        session.keys.end()
        assert await session.ended() == 0
        await bob.tell("alice", "one")
        await bob.post("general", "two")
        session = start(json=True).go(replace(ALICE, sign_up=False))
        await session.until("quicchat: 2 messages while you were away, 1 for you")
        await bob.post("general", "nobody")
        await bob.post("general", "hi alice", mentions=("alice",))
        await session.until("bob in general: hi alice")
        session.keys.type("/dnd on")
        await session.until('"command":"dnd"')
        await bob.tell("alice", "unheard")
        session.keys.end()
        assert await session.ended() == 0
        found = [json.loads(line) for line in session.sheet.out]
        notices = [each["text"] for each in found if each["event"] == "notice" and each["room"] is not None]
        assert notices == ["bob in general: hi alice"]

    scene(scenario)
