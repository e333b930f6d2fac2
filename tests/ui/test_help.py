"""Help: every command under its heading, aligned, and all there is to say of one."""

from __future__ import annotations

from typing import get_args

import pytest

from quicchat.errors import Refused
from quicchat.ui.commands import COMMANDS
from quicchat.ui.help import SLOTS, commands, example
from quicchat.ui.outcomes import Help
from quicchat.ui.words import Call, Command, Style
from quicchat.wire.chapters.rooms import Rank
from tests.server.house import play, world
from tests.ui.stage import desk_of, vocabulary
from tests.ui.test_commands import do

STYLES: tuple[Style, ...] = get_args(Style)


def listed(style: Style) -> list[str]:
    return list(commands(Help(vocabulary(style).commands, style)))


@pytest.mark.parametrize("style", STYLES)
def test_help_fits_a_terminal_and_names_every_word(style: Style) -> None:
    """R1.12, R2.11, C8: 80 columns, one row or two for each command, with all words that this style has for it."""
    lines = listed(style)
    assert max(map(len, lines)) < 80
    whole = " ".join(" ".join(lines).split())
    for each in vocabulary(style).commands:
        assert f"/{each.name} " in whole
        assert all(word in whole for word in each.words(style)), each.name


def test_help_is_grouped_and_aligned() -> None:
    """R1.12: five headings; what a command does stands in one column."""
    lines = listed("default")
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Talking:", "Rooms:", "Files:", "Keys and encryption:", "Yourself and the connection:"]
    assert "  /me <text...>           do something, as in /me waves" in lines
    assert "  /leave [room]           leave a room or group (also /part)" in lines
    at = lines.index("  /create <room> [topic...]")
    assert lines[at + 1] == "                          make a room"
    # What is typed may be longer than its column: then it has the line.
    alone = {f"  {each.usage}" for each in vocabulary().commands}
    assert all(line[25] == " " for line in lines[1:-2] if line[:2] == "  " and len(line) > 27 and line not in alone)


def test_help_of_one_command() -> None:
    """R1.12: how it is typed, what each argument is, who may, its other words, an example."""
    (found,) = vocabulary().called("role")
    assert list(commands(Help([found], "default", single=True))) == [
        "/role <user> <rank>",
        "  Make somebody outcast, visitor, member, moderator or owner.",
        "  user     a user's name, with @ or without",
        "  rank     outcast, visitor, member, moderator, owner",
        "  For moderators of the room.",
        "  Also /rank",
        "  Example: /role bob moderator",
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_every_command_is_explained(command: Command) -> None:
    """C8: each slot of the table is described, the example is a line that makes sense, and ranks are told."""
    for style in STYLES:
        lines = list(commands(Help([command], style, single=True)))
        assert max(map(len, lines)) < 80
        assert ("  For " in "\n".join(lines)) is (command.rank is not None and command.rank > Rank.MEMBER)
    assert set(command.slots) <= set(SLOTS)
    if not command.hidden:
        parsed = vocabulary("classic").parse(example(command))
        assert isinstance(parsed, Call)
        assert parsed.command == command


@pytest.mark.parametrize(
    ("style", "word", "names"),
    [
        ("default", "join", ["join"]),
        ("default", "/qqq", ["quit"]),
        ("default", "EX", ["quit"]),
        ("default", "mystic pm", ["msg"]),
        ("mystic", "create group", ["newgroup"]),
        ("mystic", "/mystic download", ["get"]),
        ("classic", "send", ["send", "msg"]),
        ("classic", "PM", ["msg", "public"]),
    ],
)
def test_help_knows_every_word(style: Style, word: str, names: list[str]) -> None:
    """R2.11, C8: also the plain words of a style; where slash and plain word differ, both are explained."""

    async def scenario() -> None:
        async with world() as here:
            desk = desk_of(await here.enter("alice"), style)
            found: Help = await do(desk, f"/help {word}")
            assert ([each.name for each in found.commands], found.single) == (names, True)

    play(scenario)


def test_help_of_what_is_no_command() -> None:
    """R1.13: a slip of the keyboard is answered with the nearest word."""

    async def scenario() -> None:
        async with world() as here:
            desk = desk_of(await here.enter("alice"))
            for line, text in (("/help jion", "did you mean /help join?"), ("/help xyzzyx", "/help lists them")):
                with pytest.raises(Refused) as caught:
                    await do(desk, line)
                assert text in caught.value.text

    play(scenario)
