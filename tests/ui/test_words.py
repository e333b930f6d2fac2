"""The command table: every word of every style, and what is refused before anything is sent."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.ui.commands import COMMANDS
from quicchat.ui.slots import TEXT_BYTES, Span
from quicchat.ui.words import Asks, Call, Command, Parsed, Style, Unclear
from quicchat.wire.chapters.messages import Window
from quicchat.wire.chapters.rooms import Rank
from tests.ui.stage import vocabulary

STYLES: tuple[Style, ...] = get_args(Style)
#: Arguments that every command accepts, by its own description.
EXAMPLES = {"user": "bob", "room": "r1", "text": "hi  there", "topic": "all of it", "command": "join", "seq": "12"}
#: What arrives in another form than it is typed in.
TYPED = {"seq": "#12"}
EXAMPLES |= {"past": "@bob 7 before #9", "reason": "good night", "status": "at lunch", "secret": "sesame"}
EXAMPLES |= {"place": "@bob", "file": "a udp", "files": "~/a b.txt 'c d'", "number": "3"}
EXAMPLES |= {"words": "blue moon*", "emoji": "+1", "onoff": "off", "rank": "moderator", "session": "7"}
EXAMPLES |= {"digits": "yes", "device": "laptop", "code": "1234"}
EXAMPLES |= {"where": "@bob", "level": "mentions", "span": "30m"}
#: What is never typed on the line is asked for.
HIDDEN = {"password", "restore"}


def parse(line: str, style: Style = "default") -> Parsed | None:
    return vocabulary(style).parse(line)


def called(line: str, style: Style = "default") -> tuple[str, dict[str, str]]:
    """The command and the arguments that a line comes to."""
    found = parse(line, style)
    assert isinstance(found, Call), found
    return found.command.name, dict(found.given)


def unclear(line: str, style: Style = "default") -> str:
    found = parse(line, style)
    assert isinstance(found, Unclear), found
    assert found.line == line
    return found.text


def arguments(command: Command) -> tuple[str, dict[str, str]]:
    """Example arguments as they are typed, and as they are to arrive."""
    typed = " ".join(TYPED.get(slot, EXAMPLES[slot]) for slot in command.slots)
    return typed, {slot: EXAMPLES[slot] for slot in command.slots}


#: `/pm` is private in every style, and `/send` sends files; only the plain words of style classic do not (R1.15, R4.7).
SLASHED = [
    (each, word)
    for each in COMMANDS
    for word in dict.fromkeys((each.name, *each.aliases, *each.classic))
    if word != "PM" and (each.name, word) != ("msg", "send") and each.name not in HIDDEN
]
CLASSIC = [(each, word) for each in COMMANDS for word in each.classic]
MYSTIC = [(each, word) for each in COMMANDS for word in each.mystic]


def words(pairs: list[tuple[Command, str]]) -> list[str]:
    return [word for _, word in pairs]


@pytest.mark.parametrize(("command", "word"), SLASHED, ids=words(SLASHED))
def test_every_slash_word_names_its_command_in_every_style(command: Command, word: str) -> None:
    """C8: one command table with aliases, every alias tested; slash forms are always there, in any case."""
    typed, given = arguments(command)
    for style in STYLES if command.only is None else (command.only,):
        for written in (word, word.upper(), word.lower()):
            assert called(f"/{written} {typed}".strip(), style) == (command.name, given)


@pytest.mark.parametrize(("command", "word"), CLASSIC, ids=words(CLASSIC))
def test_every_plain_word_of_classic_is_a_word_there_only(command: Command, word: str) -> None:
    """C8, R1.8, R1.14, R4.7-R4.10: EX, DM, send, send_all, dereg, reg are commands in style classic, text elsewhere."""
    typed, given = arguments(command)
    if command.arguments.startswith("<"):
        assert called(f"{word} {typed}", "classic") == (command.name, given)
    else:
        assert called(word, "classic") == (command.name, {})
        assert called(f"{word} and more", "classic") == ("say", {"text": f"{word} and more"})
    for style in ("default", "mystic"):
        assert called(f"{word} {typed}".strip(), style)[0] == "say"


@pytest.mark.parametrize(("command", "word"), MYSTIC, ids=words(MYSTIC))
def test_every_mystic_word_is_a_word_there_only(command: Command, word: str) -> None:
    """C8, R2.11-R2.19: `mystic ...` is a command in style mystic and behind a slash, and text elsewhere."""
    typed, given = arguments(command)
    line = f"mystic {word} {typed}".strip()
    assert called(line, "mystic") == (command.name, given)
    for style in STYLES:
        assert called(f"/{line}", style) == (command.name, given)
    for style in ("default", "classic"):
        assert called(line, style) == ("say", {"text": line})


@pytest.mark.parametrize(
    ("line", "style", "name"),
    [
        ("dm bob psst", "classic", "msg"),
        ("Send bob psst", "classic", "msg"),
        ("Ex", "classic", "quit"),
        ("Mystic pm bob psst", "mystic", "msg"),
        ("MYSTIC PM bob psst", "mystic", "msg"),
        ("mystic Create Group g", "mystic", "newgroup"),
    ],
)
def test_a_capital_letter_betrays_nobody(line: str, style: Style, name: str) -> None:
    """Priority 2: what was meant as a command of the style is one in any case, and never said to all."""
    assert called(line, style)[0] == name


def test_no_word_means_two_things() -> None:
    """C8: within a style, every word leads to one command."""
    for style in STYLES:
        here = [each for each in COMMANDS if each.only in (None, style)]
        for found in (
            [word.lower() for each in here for word in (each.name, *each.aliases)],
            [word.lower() for each in here for word in each.classic],
            [word for each in here for word in each.mystic],
        ):
            assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("words_of", "name"),
    [
        ("/qqq", "quit"),
        ("/who", "users"),
        ("/users", "users"),
        ("/msg bob hi", "msg"),
        ("/pm bob hi", "msg"),
        ("/DM bob hi", "msg"),
        ("/EX", "quit"),
        ("/send photo.jpg", "send"),
        ("/send_all hi", "broadcast"),
        ("/mystic files", "files"),
        ("/mystic download my file.txt udp", "get"),
        ("/download a udp", "get"),
        ("/dereg", "dereg"),
        ("/reg", "reg"),
        ("/afk", "away"),
        ("/back", "online"),
        ("/delete #3", "retract"),
        ("/unsend 3", "retract"),
        ("/devices", "devices"),
        ("/targets", "unread"),
        ("/mystic create group g", "newgroup"),
        ("/mystic leave group", "leave"),
        ("/?", "help"),
    ],
)
def test_words_of_the_founding_texts(words_of: str, name: str) -> None:
    """R0.17, R1.8, R1.14, R2.15-R2.19, R2.25, R2.26, R4.7-R4.10: the words, written down here a second time."""
    assert called(words_of)[0] == name


def test_plain_text_is_said_as_it_is() -> None:
    """R2.24: plain text goes to the current room, blanks and all; a blank line says nothing."""
    assert called("  two  blanks ") == ("say", {"text": "  two  blanks "})
    assert parse("") is None
    assert parse(" \t ") is None


def test_two_slashes_send_one() -> None:
    """R1.13: text that begins with a slash is sent with `//`, and never taken for a command."""
    assert called("//join r1") == ("say", {"text": "/join r1"})
    assert called("//") == ("say", {"text": "/"})
    assert called("///x") == ("say", {"text": "//x"})


def test_an_unknown_command_is_refused_with_a_hint() -> None:
    """R1.13: an unknown command is refused here, with the nearest word that there is."""
    assert "did you mean /join?" in unclear("/jion r1")
    assert "//text sends" in unclear("/xyzzy r1")
    assert "did you mean mystic join group?" in unclear("mystic jion group g", "mystic")
    assert "mystic help" in unclear("mystic", "mystic")
    assert "no command" in unclear("mystic xyzzy", "mystic")
    assert "no command" in unclear(" /xyzzy a slash behind a blank is still one")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "line",
    ["/", " /", "\t/ ", "/ /", "/xyzzy", "  /xyzzy hello", "/ hello", "/mystic xyzzy", "/mystic", "\u3000/xyzzy"],
)
def test_what_is_no_command_is_never_sent(line: str, style: Style) -> None:
    """[12.6-3] R1.13: neither a slash alone, nor one with words behind it, nor behind blanks of any script."""
    assert unclear(line, style)


@pytest.mark.parametrize("line", ["mystic", "mystic xyzzy", "Mystic pn bob hi", "  mystic  create  grup g"])
def test_what_mystic_does_not_know_is_never_sent(line: str) -> None:
    """[12.6-3] R2.11: in style mystic, the keyword is for commands only."""
    assert "mystic" in unclear(line, "mystic")


def test_two_slashes_count_at_the_beginning_only() -> None:
    """R1.13: further on in a line they are what they are."""
    assert called("see //example.org/x") == ("say", {"text": "see //example.org/x"})
    assert called("  //x") == ("say", {"text": "  /x"})
    assert called("a //b") == ("say", {"text": "a //b"})


@given(st.text(), st.sampled_from(STYLES))
def test_nothing_behind_a_slash_is_ever_said(rest: str, style: Style) -> None:
    """R1.13: whatever stands behind one slash, it is never sent as text to a room by mistake."""
    found = parse(f"/{rest}", style)
    if isinstance(found, Call) and found.command.name == "say":
        assert rest.startswith("/") or rest.split(None, 1)[0].lower() == "say"


@given(st.text(), st.sampled_from(STYLES))
def test_any_line_is_understood_or_explained(line: str, style: Style) -> None:
    """U9: no input raises, and only blank lines come to nothing."""
    found = parse(line, style)
    assert (found is None) == (not line.strip())


def test_names_are_checked_and_folded_before_anything_is_sent() -> None:
    """R2.21, U6: a name is ASCII; case, @ and # do not matter; what no server would take is refused here."""
    assert called("/msg @Bob hi")[1]["user"] == "bob"
    assert called("/join #R1")[1]["room"] == "r1"
    for name in ("b\u00f6b", "\u212aate", "a" * 33, "a,b", "*"):
        assert "no user's name" in unclear(f"/msg {name} hi")
    assert "no room's name" in unclear("/join " + "r" * 65)


@pytest.mark.parametrize("line", ["mystic create group my group", "mystic join group my group", "/join my big room"])
def test_a_room_name_is_one_word(line: str) -> None:
    """R2.21: a group name with a blank is an error, not a group called by its first word."""
    assert "one word" in unclear(line, "mystic")


def test_missing_arguments_are_named() -> None:
    """R1.13: what is missing is said, with the way to type it."""
    assert unclear("/msg bob") == "/msg needs <text...>: /msg <user> <text...>"
    assert "needs <room>" in unclear("/join")
    assert "too much" in unclear("/ping now")


@pytest.mark.parametrize(
    ("typed", "span"),
    [
        ("", Span()),
        ("7", Span(None, 7)),
        ("r1", Span("r1")),
        ("r1 200", Span("r1", 200)),
        ("2024 5", Span("2024", 5)),
        ("@Bob 3", Span("@bob", 3)),
        ("* 3", Span("*", 3)),
        ("before #100", Span(None, None, Window.BEFORE, 100)),
        ("20 after 100", Span(None, 20, Window.AFTER, 100)),
        ("r1 20 around #100", Span("r1", 20, Window.AROUND, 100)),
    ],
)
def test_the_past_is_a_window(typed: str, span: Span) -> None:
    """R0.14: /history takes where, how many, and around which place."""
    assert Span.of(typed) == span
    assert called(f"/history {typed}".strip())[0] == "history"


@pytest.mark.parametrize(
    ("typed", "words_of"),
    [
        ("r1 0", "number from 1 to 200"),
        ("r1 201", "number from 1 to 200"),
        ("r1 " + "9" * 30, "number from 1 to 200"),
        ("r1 -1", "'-1' is too much"),
        ("r1 \u0661", "is too much"),
        ("before #0", "no place of a message"),
        ("around here", "no place of a message"),
        ("r1 r2 3", "'r2' is too much"),
        ("b\u00f6b", "no room's name"),
    ],
)
def test_a_past_that_makes_no_sense(typed: str, words_of: str) -> None:
    """R0.14, R1.13: refused here, and nothing is asked."""
    assert words_of in unclear(f"/history {typed}")


@pytest.mark.parametrize(
    ("line", "words_of"),
    [
        ("/edit #0 x", "no place of a message"),
        ("/react #-1 +1", "no place of a message"),
        ("/retract twelve", "'twelve' is too much"),
        ("/react", "needs <emoji>"),
        ("/edit #12", "needs <text...>"),
        ("/role bob king", "no rank"),
        ("/revoke 0", "no session"),
        ("/typing perhaps", "neither on nor off"),
        ("/topic " + "x" * 257, "at most 256 bytes"),
    ],
)
def test_arguments_are_checked(line: str, words_of: str) -> None:
    """R1.13: what no server would take is refused here, and nothing is sent."""
    assert words_of in unclear(line)


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("/edit #12 new text", {"seq": "12", "text": "new text"}),
        ("/edit new text", {"text": "new text"}),
        ("/edit 12 monkeys", {"text": "12 monkeys"}),
        ("/reply #hashtag yes", {"text": "#hashtag yes"}),
        ("/reply  #7   yes", {"seq": "7", "text": "yes"}),
        ("/retract", {}),
        ("/retract #3", {"seq": "3"}),
        ("/retract 3", {"seq": "3"}),
        ("/react +1", {"emoji": "+1"}),
        ("/react 100", {"emoji": "100"}),
        ("/react #12 +1", {"seq": "12", "emoji": "+1"}),
        ("/react 12 +1", {"seq": "12", "emoji": "+1"}),
        ("/pin", {}),
    ],
)
def test_a_place_may_be_left_out(line: str, given: dict[str, str]) -> None:
    """[12.6-1]: what looks like `#12` is a place, anything else what follows; a bare number where no text could."""
    found = parse(line)
    assert isinstance(found, Call)
    assert dict(found.given) == given
    assert found.is_about_the_last is ("seq" not in given)


def test_passwords_are_never_on_the_line() -> None:
    """U9: what must not be seen is asked for word by word; a slash in it is no command; nothing typed ends it."""
    vocabulary_ = vocabulary()
    refused = vocabulary_.parse("/password old new")
    assert isinstance(refused, Unclear)
    assert "old" not in refused.line + refused.text.replace("word", "")
    asks = vocabulary_.parse("/password")
    answers = ["/old one", "new one", "new one"]
    questions = []
    for answer in answers:
        assert isinstance(asks, Asks)
        assert asks.hidden
        questions.append(asks.question)
        asks = vocabulary_.answered(asks, answer)
    assert questions == ["current?", "new?", "again?"]
    assert isinstance(asks, Call)
    assert list(asks.given.values()) == answers
    assert asks.line == "/password"
    first = vocabulary_.parse("/password")
    assert isinstance(first, Asks)
    assert isinstance(vocabulary_.answered(first, ""), Unclear)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_ranks_are_told_by_help(command: Command) -> None:
    """Issue 3, item 11: who may do what is written in the table; those that need a rank are about a room."""
    assert command.rank in (None, Rank.MODERATOR, Rank.OWNER)
    assert command.rank is None or command.since == 2


def test_a_text_beyond_the_limit_is_refused_here() -> None:
    """W25, R0.3: limits are bytes: 1 MiB of text is taken, one byte more is not."""
    assert called("\u00e9" * (TEXT_BYTES // 2))[0] == "say"
    assert str(TEXT_BYTES + 1) in unclear("\u00e9" * (TEXT_BYTES // 2) + "x")


def test_dm_without_arguments_asks_and_the_next_line_answers() -> None:
    """R1.14: in style classic DM alone asks for name and message; a slash command instead is a command."""
    vocabulary_ = vocabulary("classic")
    asks = vocabulary_.parse("DM")
    assert isinstance(asks, Asks)
    answer = vocabulary_.answered(asks, "bob  how are you")
    assert isinstance(answer, Call)
    assert (answer.command.name, dict(answer.given)) == ("msg", {"user": "bob", "text": "how are you"})

    half = vocabulary_.parse("DM bob")
    assert isinstance(half, Asks)
    answer = vocabulary_.answered(half, "send this")
    assert isinstance(answer, Call)
    assert dict(answer.given) == {"user": "bob", "text": "send this"}

    other = vocabulary_.answered(half, "/quit")
    assert isinstance(other, Call)
    assert other.command.name == "quit"
    assert "needs <user>" in unclear("/dm")


def test_every_call_has_an_id_of_its_own() -> None:
    """P2: the id of a message is chosen when it is typed, so that trying again cannot double it."""
    vocabulary_ = vocabulary()
    calls = [vocabulary_.parse("hello") for _ in range(3)]
    assert len({call.cid for call in calls if isinstance(call, Call)}) == 3
