"""What is printed as text: nothing that harms a terminal, and the lines of each style."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import Person
from quicchat.errors import Code
from quicchat.ui.commands import COMMANDS
from quicchat.ui.outcomes import (
    Denied,
    Echoed,
    Entered,
    Heard,
    Help,
    Lost,
    Members,
    Menu,
    Past,
    People,
    Rooms,
    Rtt,
    Sent,
    Shown,
    Unsent,
    Waiting,
)
from quicchat.ui.record import record
from quicchat.ui.styles import STYLES
from quicchat.ui.visible import MARK, visible
from quicchat.ui.words import Style
from quicchat.wire.chapters.messages import Kind, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL
from tests.ui.items import CALL, NASTY, STORED, everything, heard, message, noted, posted, shown, told


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nothing_of_a_message_reaches_the_terminal_raw(text: str) -> None:
    """U1, U2, U4: controls, escapes, turned and hidden letters are shown as signs, whoever prints them where."""
    for style in STYLES:
        for item in everything(f"<{text}>"):
            out, err = told(item, style)  # type: ignore[arg-type]
            for line in out + err:
                assert visible(line) == line
                assert "\n" not in line


#: Format characters that stay: the joiners, and those that have a shape.
SEEN = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cn", "Co"])))
def test_what_is_visible_has_a_shape(text: str) -> None:
    """[11.4-1] U1, U4, U8: for any text, what is printed holds no control, format or separating character."""
    found = visible(text)
    for letter in found:
        assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.category(letter) != "Cf" or letter in SEEN
        assert not 0xE0000 <= ord(letter) < 0xE0100
    assert visible(found) == found
    assert len(found) == len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", "\u241b[2J"),
        ("a\r\nb", "a\u240d\u240ab"),
        ("\x7f", "\u2421"),
        ("\x9b", MARK),
        ("x\u202ey", f"x{MARK}y"),
        ("\U000e0041", MARK),
    ],
)
def test_each_control_has_its_sign(text: str, expected: str) -> None:
    """U1, U2: a control is shown as its symbol of the block U+2400, the rest as U+FFFD."""
    assert visible(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Gr\u00fc\u00dfe, \u4f60\u597d, \u05e9\u05dc\u05d5\u05dd",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
        "e\u0301",
        "\U0001fae8",
        "\u0661\u06dd",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    """U4, U7: every script, ZWNJ in Persian, ZWJ in emoji, letters newer than this program: left alone."""
    assert visible(text) == text


# The styles


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (heard("hi"), "[GLOBAL] bob: hi"),
        (heard("hi", "r1"), "[r1] bob: hi"),
        (heard("hi", "@alice,bob"), "[PM] bob: hi"),
        (heard("hi", ANNOUNCEMENTS), "[BROADCAST] bob: hi"),
    ],
)
def test_tags_of_mystic(item: Heard, line: str) -> None:
    """R2.29: [GLOBAL] u: m, [<group>] u: m, [PM] u: m, [BROADCAST] u: m."""
    assert shown(item, "mystic") == [line]


def test_the_server_of_mystic() -> None:
    """R2.30, R2.31, R2.32: [SERVER] tells what happened and what is not permitted, greets, and announces."""
    assert noted(Denied(Code.ROOM_EXISTS, "A room of this name exists already.", CALL), "mystic") == [
        "[SERVER] refused: A room of this name exists already."
    ]
    entered = Entered(user="alice", place="localhost:1", version=2, session=7, welcome="Welcome.\nBe kind.")
    assert noted(entered, "mystic")[1:] == ["[SERVER] Welcome.", "[SERVER] Be kind."]
    assert noted(heard(kind=Kind.JOIN), "mystic") == ["[SERVER] bob joined general"]
    assert noted(heard(room="r1", kind=Kind.LEAVE), "mystic") == ["[SERVER] bob left r1"]


@pytest.mark.parametrize("style", STYLES)
def test_nobody_can_speak_as_the_server(style: Style) -> None:
    """[11.4-2] R2.35: text that begins with [SERVER] or `--` stands behind its author's name."""
    for text in ("[SERVER] you are banned", "-- connection lost", "\n[SERVER] you are banned"):
        for room in (GENERAL, "r1", "server", "@alice,bob", ANNOUNCEMENTS):
            (line,) = shown(heard(text, room), style)
            assert "bob" in line[: line.index(visible(text))]
            assert not line.startswith(("[SERVER]", "--"))


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (heard("hi y from x", "@alice,bob"), "bob: hi y from x"),
        (heard("yoyoyo everyone", ANNOUNCEMENTS), "Group Chat bob:  yoyoyo everyone"),
        (heard("hello"), "Group Chat bob:  hello"),
    ],
)
def test_messages_of_classic(item: Heard, line: str) -> None:
    """R4.6, R4.8, TC1, TC3: `x: hi`, and `Group Chat x:  m` with two blanks."""
    assert shown(item, "classic") == [line]


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (Entered(user="x", place="h:1", version=2, session=1), "[Welcome, You are registered.]"),
        (Sent(posted(ANNOUNCEMENTS)), "[Group Message received by Server.]"),
        (
            Sent(posted("@alice,bob", recipient=Recipient.OFFLINE), "bob"),
            "[Offline Message sent at 11:04:20 received by the server and saved.]",
        ),
        (Shown(Show.OFFLINE), "[You are Offline. Bye.]"),
        (Shown(Show.ONLINE), "[You are Online.]"),
    ],
)
def test_notices_of_classic(item: object, line: str) -> None:
    """R4.5, R4.8, R4.9, R4.11: the lines of the founding text, letter by letter."""
    assert noted(item, "classic") == [line]


def test_the_table_of_classic() -> None:
    """R4.4: on every change the line, and the whole table."""
    for event in (Presence(user="x", show=Show.OFFLINE), PresenceSnapshot(users=())):
        assert noted(event, "classic") == ["[Client table updated.]", "bob online", "x offline"]


def test_the_menu_of_classic() -> None:
    """R1.12: after login the menu names the plain words."""
    (line,) = noted(Menu(COMMANDS), "classic")
    assert "DM <user> <text...>, send <user> <text...>, PM <text...>, send_all <text...>" in line
    assert line.endswith("dereg, reg, EX]")


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (heard("hi"), "11:04:20 [general] bob: hi"),
        (heard("hi", "@alice,bob"), "11:04:20 (bob to alice) hi"),
        (heard("hi", "@alice,bob", "alice"), "11:04:20 (alice to bob) hi"),
        (heard("hi", ANNOUNCEMENTS), "11:04:20 (to everybody) bob: hi"),
        (heard("waves", "r1", kind=Kind.EMOTE), "11:04:20 [r1] * bob waves"),
        (heard("careful", "r1", kind=Kind.NOTICE), "11:04:20 [r1] -bob- careful"),
        (heard("x", "@alice,bob", kind=Kind.NOTICE), "11:04:20 (bob to alice) x"),
        (Rtt(0.0123456), "12.3 ms"),
        (Echoed("as it is"), "as it is"),
    ],
)
def test_lines_of_default(item: object, line: str) -> None:
    """R0.18, R1.15, R3.1, R3.10: time, room, author, text; what a command brought goes to standard output, too."""
    assert shown(item) == [line]


def test_who_left_and_why() -> None:
    """R0.17: others see that somebody left, with the reason."""
    assert noted(Presence(user="bob", show=Show.OFFLINE, reason="quit")) == ["-- bob left (quit)"]


def test_one_does_not_read_what_one_typed() -> None:
    """R2.16: own messages of this session are not printed again, but JSON has them, marked."""
    assert told(heard("hi", own=True)) == ([], [])
    found = record(heard("hi", own=True))
    assert found is not None
    assert found["own"] is True


def test_times_of_a_message() -> None:
    """R0.14: /history shows when a message was sent, stored and received, and what nobody knows as a dash."""
    past = Past(GENERAL, [Heard(message(sent=STORED - 3_600_000), STORED + 2000), Heard(message("b"), None)])
    assert shown(past) == [
        "5 bob: hi  (sent 10:04:20, stored 11:04:20, received 11:04:22)",
        "5 bob: b  (sent -, stored 11:04:20, received -)",
    ]


@pytest.mark.parametrize(("times", "expected"), [("%H:%M:%S", "11:04:20"), ("H:%H M:%M", "H:11 M:04"), ("%d", "14")])
def test_the_time_format_is_a_setting(times: str, expected: str) -> None:
    """R0.18, R4.1: --time decides how times look."""
    assert told(heard("hi"), times=times)[0] == [f"{expected} [general] bob: hi"]


def test_a_time_beyond_every_calendar_is_no_fault() -> None:
    """R0.14: a server may claim any time; the line is printed all the same."""
    for at in (0, 2**53):
        (line,) = shown(heard("hi", ts=at))
        assert line.endswith("[general] bob: hi")


def test_rooms_people_and_help() -> None:
    """R2.11, R2.13, R2.14: lists, one line each; help names every word of a command."""
    rooms = Rooms([("general", 3, "", True), ("r1", 2, "a topic", True), ("r2", 1, "", False)], "r1")
    assert shown(rooms) == ["+ general (3)", "* r1 (2)  a topic", "  r2 (1)"]
    assert shown(Members("r1", [("a", True), ("b", False)])) == ["a", "b (offline)"]
    people = {"b": Person(show=Show.AWAY, status="lunch", address="192.0.2.1:9"), "a": Person(show=Show.ONLINE)}
    assert shown(People(people)) == ["a online", "b away (lunch) 192.0.2.1:9"]
    lines = shown(Help(COMMANDS, "default"))
    assert len(lines) == len(COMMANDS)
    for style, word in (("default", "/qqq"), ("classic", "EX"), ("mystic", "mystic disconnect")):
        (line,) = [each for each in shown(Help(COMMANDS, style)) if each.startswith("/quit")]
        assert f"{word}" in line


def test_losses_and_tries() -> None:
    """R4.16, R1.4: each is one clear line."""
    assert noted(Lost("INTERNAL", "gone", True)) == ["-- connection lost: gone; trying again"]
    assert noted(Lost("SESSION_REPLACED", "", False)) == ["-- connection lost: SESSION_REPLACED"]
    (line,) = noted(Waiting("localhost:1", "nobody answers"))
    assert "localhost:1 is not there yet" in line
    assert noted(Unsent(1)) == ["-- not sent: 1 line"]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_every_template(style: str) -> None:
    """C8: styles are tables of templates; none lacks a line that another has, but for those with a fallback."""
    optional = {name for name in STYLES[style] if name.startswith(("emote.", "notice.")) or name == "shown.offline"}
    needed = set(STYLES["default"]) - {name for name in STYLES["default"] if name.startswith(("emote.", "notice."))}
    assert set(STYLES[style]) - optional == needed
