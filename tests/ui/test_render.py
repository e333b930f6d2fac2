"""What is printed as text: nothing that harms a terminal, and the lines of each style."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import Person
from quicchat.errors import Code
from quicchat.ui.commands import COMMANDS
from quicchat.ui.outcomes import (
    Denied,
    Devices,
    Done,
    Echoed,
    Entered,
    Found,
    Heard,
    Late,
    Lost,
    Members,
    Menu,
    Past,
    People,
    Reached,
    Receipts,
    Rooms,
    Rtt,
    Sent,
    Status,
    Unread,
    Unsent,
    Waiting,
)
from quicchat.ui.record import record
from quicchat.ui.styles import STYLES
from quicchat.ui.visible import MARK, PILE, columns, cut, visible
from quicchat.ui.words import Call, Style
from quicchat.wire.chapters.messages import Kind, Recipient
from quicchat.wire.chapters.presence import Presence, PresenceSnapshot, Show
from quicchat.wire.chapters.rooms import Invite, Rank
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL
from tests.ui.items import CALL, NASTY, PROGRESS, STORED, everything, heard, message, noted, posted, shown, told


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
    assert len(found) <= len(text)
    assert sum(map(columns, found)) <= 2 * len(text)


@given(st.text(st.characters(categories=["Mn", "Me", "Lo"], include_characters="e\u200d\u200c"), max_size=60))
def test_a_pile_of_accents_is_levelled(text: str) -> None:
    """[11.4-3] U1: no letter carries more than five marks or joiners, and of those that went a mark tells."""
    found = visible(text)
    pile = 0
    for letter in found:
        pile = 0 if columns(letter) else pile + 1
        assert pile <= PILE
    assert found == text or MARK in found


def test_piles_as_people_make_them() -> None:
    """[11.4-3]: zalgo is cut down; pointed Hebrew, keycaps, families and Vietnamese stay as they are."""
    assert visible("Z" + "\u0335\u0322" * 40 + "a") == "Z\u0335\u0322\u0335\u0322\u0335" + MARK + "a"
    assert visible("x" + "\u200d\u0301" * 40) == "x\u200d\u0301\u200d\u0301\u200d" + MARK
    for text in ("\u05e9\u05c1\u05bc\u05b8\u0591\u05bd", "1\ufe0f\u20e3", "\u0061\u0302\u0301"):
        assert visible(text) == text


@pytest.mark.parametrize("text", [*NASTY.values(), "w" * 500, "\u4f60" * 500, "e\u0301" * 500, ""])
def test_what_is_cut_is_short_and_visible(text: str) -> None:
    """U1, U10: no longer than it may be, and nothing harmful is left at the end."""
    for letters in (1, 2, 20):
        found = cut(text, letters)
        assert len(found) <= letters
        assert visible(found) == found
    assert cut("hello", 5) == "hello"
    assert cut("hello!", 5) == "hell\u2026"


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
    pin = Call(next(each for each in COMMANDS if each.name == "pin"), {"seq": "6"})
    assert noted(Denied(Code.FORBIDDEN, "You may not do this.", pin)) == ["-- /pin refused: You may not do this."]
    assert noted(Denied(Code.FORBIDDEN, "You may not do this.", CALL)) == ["-- refused: You may not do this."]
    entered = Entered(user="alice", place="localhost:1", version=2, session=7, welcome="Welcome.\nBe kind.")
    assert noted(entered, "mystic")[1:] == ["[SERVER] Welcome.", "[SERVER] Be kind."]
    assert noted(heard(kind=Kind.JOIN), "mystic") == ["[SERVER] bob joined general"]
    assert noted(heard(room="r1", kind=Kind.LEAVE), "mystic") == ["[SERVER] bob left r1"]


@pytest.mark.parametrize("style", STYLES)
def test_nobody_can_speak_as_the_server(style: Style) -> None:
    """[11.4-2] R2.35: text that begins with [SERVER] or `--` stands behind its author's name."""
    for text in ("[SERVER] you are banned", "-- connection lost", "\n[SERVER] you are banned"):
        for room in (GENERAL, "r1", "server", "@alice,bob", ANNOUNCEMENTS):
            for late in (False, True):
                (line,) = shown(heard(text, room, late=late), style)
                assert "bob" in line[: line.index(visible(text))]
                assert not line.startswith(("[SERVER]", "--"))
            for line in shown(heard(text, room, kind=Kind.CODE), style):
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
        (Done("dereg"), "[You are Offline. Bye.]"),
        (Done("reg"), "[RegSent]"),
        (Late(), "[You have offline messages:]"),
        (Reached(PROGRESS[0], "bob", STORED), "[Message received by bob.]"),
        (Reached(PROGRESS[1], "bob", STORED), "[Message received by bob.]"),
        (Reached(PROGRESS[0], "bob", STORED, offline=True), " [Offline Message sent at 11:04:20 received by bob.]"),
    ],
)
def test_notices_of_classic(item: object, line: str) -> None:
    """R4.5, R4.6, R4.8-R4.12: the lines of the founding text, letter by letter."""
    assert noted(item, "classic") == [line]


def test_the_table_of_classic() -> None:
    """R4.4: on every change the line, and the whole table."""
    for event in (Presence(user="x", show=Show.OFFLINE), PresenceSnapshot(users=())):
        assert noted(event, "classic") == ["[Client table updated.]", "bob online", "x offline"]


def test_the_menu_of_classic() -> None:
    """R1.12: after login the menu names the plain words."""
    (line,) = noted(Menu(COMMANDS), "classic")
    assert "DM <user> <text...>, send <user> <text...>, PM <text...>, send_all <text...>" in line
    assert line.startswith("[MENU, DM")
    assert line.endswith("dereg, reg, EX]")
    for silent in (Sent(posted("@alice,bob", recipient=Recipient.ONLINE), "bob"), Reached(PROGRESS[0])):
        assert told(silent, "classic") == ([], [])


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
        (heard("yes", reply=3), "11:04:20 [general] bob (to #3): yes"),
        (heard("yes", "@alice,bob", reply=3), "11:04:20 (bob to alice) (to #3) yes"),
        (heard("better", kind=Kind.EDIT, refs=(3,)), "11:04:20 [general] bob corrects #3: better"),
        (heard(None, kind=Kind.RETRACT, refs=(3,)), "11:04:20 [general] bob takes #3 back"),
        (heard("+1", kind=Kind.REACT, refs=(3,)), "11:04:20 [general] bob reacts to #3: +1"),
        (heard("x", kind=Kind.PIN, refs=(3,)), "11:04:20 [general] bob pins #3"),
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


def test_what_happens_to_a_room_is_told() -> None:
    """Issue 3, item 11: topic, kick with its reason, rank, invitation: a line for each, of others and of oneself."""
    assert noted(heard("cats", "r1", kind=Kind.TOPIC, own=True)) == ["-- bob changes what r1 is about: cats"]
    assert noted(heard("x put bob out: too loud", "r1", kind=Kind.LEAVE, by="x")) == ["-- r1: x put bob out: too loud"]
    assert noted(heard(None, "r1", kind=Kind.LEAVE, by="x")) == ["-- x put bob out of r1"]
    assert noted(heard("x is an owner", "r1", kind=Kind.ROLE)) == ["-- r1: x is an owner"]
    assert noted(Invite(room="r1", user="bob")) == ["-- bob invites you to r1"]


def test_code_keeps_its_lines() -> None:
    """Issue 3, item 11: code is shown line by line, each behind a mark, so that none passes for somebody's words."""
    code = heard("def f():\n\treturn 1\n-- connection lost", kind=Kind.CODE)
    assert shown(code) == [
        "11:04:20 [general] bob:",
        "    | def f():",
        "    | \u2409return 1",
        "    | -- connection lost",
    ]


def test_lists_of_issue_3() -> None:
    """Issue 3, items 2, 3, 6: what was found, what is unread, who has what, where one is logged in, how it stands."""
    assert shown(Found("moon", [heard("blue moon", "r1")])) == ["r1 5 11:04:20 bob: blue moon"]
    assert noted(Found("moon", [])) == ["-- nothing"]
    assert shown(Unread([("r1", 3, 1), ("r2", 2, 0)])) == ["r1 3 (1 for you)", "r2 2"]
    assert shown(Receipts("r1", [("bob", 3, 2, STORED)])) == ["bob has #3, read #2 (11:04:20)"]
    assert shown(Receipts("r1", [], 40)) == ["40 have everything"]
    rows = [(7, b"d" * 16, "laptop", "192.0.2.1:9", STORED, True), (0, b"e" * 16, "", "", STORED, False)]
    assert shown(Devices(rows)) == [
        "* laptop: session 7 from 192.0.2.1:9 since 11:04:20",
        "  a device: away since 11:04:20",
    ]
    status = Status(user="x", place="localhost:1", version=2, session=7, rtt=0.0123, outbox=4)
    assert shown(status) == [
        "x at localhost:1, session 7, protocol version 2",
        "way to the server and back: 12.3 ms",
        "waiting to be sent: 4",
    ]
    assert shown(replace(status, version=0))[0] == "x at localhost:1, session 7, which does not answer at the moment"


def test_one_does_not_read_what_one_typed() -> None:
    """R2.16: own messages of this session are not printed again, but JSON has them, marked."""
    assert told(heard("hi", own=True)) == ([], [])
    found = record(heard("hi", own=True))
    assert found is not None
    assert found["own"] is True


def test_times_of_a_message() -> None:
    """R0.14: /history shows when a message was sent, stored and received, and what nobody knows as a dash."""
    events = [message(sent=STORED - 3_600_000), message("b"), message("c", kind=Kind.EDIT, refs=(3,))]
    times = (STORED + 2000, None, None)
    past = Past(GENERAL, [Heard(event, at) for event, at in zip(events, times, strict=True)])
    assert shown(past) == [
        "5 bob: hi  (sent 10:04:20, stored 11:04:20, received 11:04:22)",
        "5 bob: b  (sent -, stored 11:04:20, received -)",
        "5 bob: (edit of #3) c  (sent -, stored 11:04:20, received -)",
    ]


def test_what_happened_to_messages_is_told_from_what_was_said() -> None:
    """R0.14, issue item 11: in /history a reaction is no message."""
    kinds = [(Kind.EDIT, "new"), (Kind.REACT, "+1"), (Kind.PIN, ""), (Kind.RETRACT, "")]
    past = Past(GENERAL, [Heard(message(text, kind=kind, refs=(3,)), None) for kind, text in kinds])
    assert [line.partition("  (sent")[0] for line in shown(past)] == [
        "5 bob: (edit of #3) new",
        "5 bob: (react of #3) +1",
        "5 bob: (pin of #3)",
        "5 bob: (retract of #3)",
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


def test_rooms_and_people() -> None:
    """R2.13, R2.14: lists, one line each."""
    rooms = Rooms([("general", 3, "", True), ("r1", 2, "a topic", True), ("r2", 1, "", False)], "r1")
    assert shown(rooms) == ["+ general (3)", "* r1 (2)  a topic", "  r2 (1)"]
    rows = [("a", True, Rank.MEMBER), ("b", False, Rank.MEMBER), ("c", False, Rank.OWNER)]
    assert shown(Members("r1", rows)) == ["a", "b (offline)", "c (offline, owner)"]
    people = {"b": Person(show=Show.AWAY, status="lunch", address="192.0.2.1:9"), "a": Person(show=Show.ONLINE)}
    assert shown(People(people)) == ["a online", "b away (lunch) 192.0.2.1:9"]


def test_losses_and_tries() -> None:
    """R4.16, R1.4: each is one clear line."""
    assert noted(Lost("INTERNAL", "gone", True)) == ["-- connection lost: gone; trying again"]
    assert noted(Lost("SESSION_REPLACED", "", False)) == ["-- connection lost: SESSION_REPLACED"]
    (line,) = noted(Waiting("localhost:1", "nobody answers"))
    assert "localhost:1 is not there yet" in line
    assert noted(Unsent(1)) == ["-- not sent: 1 line"]
    assert noted(Unsent(2, 2)) == ["-- not sent: 2 lines; what was said is kept for the next time"]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_every_template(style: str) -> None:
    """C8: styles are tables of templates; none lacks a line that another has, but for those with a fallback."""

    def needed(of: str) -> set[str]:
        return {name for name in STYLES[of] if not name.startswith(("emote.", "notice.", "late."))}

    assert needed(style) == needed("default")


def test_what_was_taken_back_before_it_was_fetched() -> None:
    """[6.11-4]: nothing is left of it but that it was there; no line stands empty."""
    for kind, said in ((Kind.TEXT, "bob: "), (Kind.REACT, "bob reacts to #3: ")):
        (line,) = shown(heard("", kind=kind, refs=(3,) if kind is Kind.REACT else None, sender="bob"))
        assert line.endswith(f"{said}(taken back)")
    assert "bob: (taken back)" in shown(Past("general", [heard("", sender="bob")]))[0]
