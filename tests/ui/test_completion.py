"""What may stand where somebody types: from the command table and from what is known, in the likeliest order."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.state import Person, RoomView, State
from quicchat.errors import Refused
from quicchat.ui.commands import COMMANDS
from quicchat.ui.completion import Completion, complete
from quicchat.ui.desk import Desk
from quicchat.ui.files import paths_of
from quicchat.ui.paths import last_word, paths, typed_path
from quicchat.ui.words import Asks, Call, Style
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank
from tests.ui.stage import vocabulary

PEOPLE = {
    "alice": Person(show=Show.ONLINE),
    "bob": Person(show=Show.AWAY, status="at \x1b[2Jlunch"),
    "bert": Person(show=Show.ONLINE),
    "carol": Person(show=Show.OFFLINE),
    "dave_2": Person(show=Show.ONLINE),
}
ROOMS = ("general", "garden", "games", "quiet", "@alice,bob", "*")


def desk(style: Style = "default", **facts: Any) -> Desk:
    """Alice's: bob spoke last in general, the last message came to the garden."""
    state = State(user="alice", people=PEOPLE, rooms={each: RoomView(room=each, topic=f"of {each}") for each in ROOMS})
    chat: Any = SimpleNamespace(state=state)
    moving = SimpleNamespace(number=3, name="b\x1big.iso", over=False)
    cargo: Any = SimpleNamespace(transfers=[moving, SimpleNamespace(number=4, name="old", over=True)])
    usual: dict[str, Any] = {
        "spoke": {"general": dict.fromkeys(["carol", "bert", "bob"])},
        "received": {(room, 1, seq): 0 for seq, room in enumerate(["general", "games", "general", "garden"], 7)},
        "announced": {
            "photo.jpg": {"garden"},
            "a udp": {"general"},
            "notes.txt": {"general", "garden"},
            "my plan.pdf": {"@alice,bob"},
            "evil\x1b[2J": {"general"},
        },
    }
    return Desk(chat, vocabulary(style), cargo, **{**usual, **facts})


def offered(text: str, style: Style = "default", **facts: Any) -> list[str]:
    """The lines that a text may become."""
    found = complete(text, len(text), desk(style, **facts))
    return [] if found is None else [text[: found.start] + each.text for each in found.candidates]


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/jo", ["/join "]),
        ("/JO", ["/join "]),
        ("  /jo", ["  /join "]),
        ("/le", ["/leave "]),
        ("/ping", ["/ping"]),
        ("/passw", ["/password"]),
        # An alias is finished, and what else begins so can be seen.
        ("/qqq", ["/qqq "]),
        (
            "/re",
            [
                *("/re ", "/reply ", "/retract ", "/react ", "/receipts ", "/read ", "/resume ", "/remove-device "),
                *("/recovery", "/restore", "/renew", "/reg", "/revoke "),
            ],
        ),
        # Where nothing begins so, what has these letters.
        ("/trnsf", ["/transfers"]),
        ("/xyzzy", []),
        ("//jo", []),
        ("/kic", ["/kick "]),
        ("/myst", []),
        ("/mystic cr", ["/mystic create group "]),
        ("/mystic join gr", ["/mystic join group "]),
        ("/mystic join group ga", ["/mystic join group garden", "/mystic join group games"]),
    ],
)
def test_commands(typed: str, lines: list[str]) -> None:
    """Issue item 1: commands by their beginning in any case, those of every rank; aliases only where they stand."""
    assert offered(typed) == lines


@pytest.mark.parametrize(
    ("style", "typed", "lines"),
    [
        ("classic", "sen", ["send ", "send_all "]),
        ("classic", "der", ["dereg"]),
        ("classic", "send b", ["send bob ", "send bert "]),
        ("classic", "send_all hi @bo", ["send_all hi @bob"]),
        ("default", "sen", []),
        ("default", "send b", ["send bob", "send bert"]),
        ("mystic", "my", ["mystic "]),
        ("mystic", "mystic gr", ["mystic groups"]),
        ("mystic", "mystic pm b", ["mystic pm bob ", "mystic pm bert "]),
        ("mystic", "mystic download ph", ["mystic download photo.jpg"]),
    ],
)
def test_plain_words_of_the_styles(style: Style, typed: str, lines: list[str]) -> None:
    """Issue item 3: `send`, `dereg` and `mystic ...` complete in their styles, and are text elsewhere."""
    assert offered(typed, style) == lines


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        # Who spoke here last, who is online, the others.
        ("/msg ", ["/msg bob ", "/msg bert ", "/msg carol ", "/msg dave_2 ", "/msg alice "]),
        ("/msg B", ["/msg bob ", "/msg bert "]),
        ("/msg @b", ["/msg @bob ", "/msg @bert "]),
        ("/msg nobody", []),
        ("/kick da", ["/kick dave_2 "]),
        ("b", ["bob: ", "bert: "]),
        ("@b", ["@bob", "@bert"]),
        ("hi @B", ["hi @bob", "hi @bert"]),
        ("hi bo", ["hi bob"]),
        ("(@da", ["(@dave_2"]),
        ("hi there ", []),
        ("mail me@bo", []),
        ("", []),
        ("//x @bo", ["//x @bob"]),
        ("/msg bob and @be", ["/msg bob and @bert"]),
        ("/reply #8 @be", ["/reply #8 @bert"]),
    ],
)
def test_people(typed: str, lines: list[str]) -> None:
    """[12.11-6]: nicks, the last speaker first; `@name` anywhere in a text, `name: ` at the beginning of a line."""
    assert offered(typed) == lines


def test_in_a_direct_conversation_the_other_comes_first() -> None:
    """Issue item 1: of a direct conversation the speakers are those of the conversation."""
    facts: dict[str, Any] = {"room": "@alice,bob", "spoke": {"@alice,bob": {"bert": None}}}
    assert offered("/msg b", **facts) == ["/msg bert ", "/msg bob "]


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/join ", ["/join garden ", "/join general ", "/join games ", "/join quiet "]),
        ("/join g", ["/join garden ", "/join general ", "/join games "]),
        ("/join #ga", ["/join #garden ", "/join #games "]),
        ("/join grdn", ["/join garden "]),
        ("/join garden ", []),
        ("/leave qu", ["/leave quiet"]),
        (
            "/files ",
            ["/files garden", "/files general", "/files games", "/files @bob", "/files quiet", "/files shared"],
        ),
        ("/files @c", ["/files @carol"]),
        ("/history ", [*(f"/history {each}" for each in ("garden", "general", "games", "@bob", "quiet", "*"))]),
        ("/history gar", ["/history garden"]),
        ("/history 5 ar", ["/history 5 around "]),
        ("/history garden 5 around ", ["/history garden 5 around #10"]),
        ("/history around #9 be", []),
    ],
)
def test_rooms(typed: str, lines: list[str]) -> None:
    """Issue item 1: rooms, where something came last before the others; and where else a log is."""
    facts: dict[str, Any] = {"room": "garden"} if "#1" in "".join(lines) else {}
    found = offered(typed, **facts)
    if typed == "/history ":
        assert found == [*lines, *(f"/history {each} " for each in ("before", "after", "around"))]
    else:
        assert found == lines


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/reply ", ["/reply #9 ", "/reply #7 "]),
        ("/reply 9", ["/reply #9 "]),
        ("/pin #", ["/pin #9", "/pin #7"]),
        ("/react #9 :thumbs", ["/react #9 \U0001f44d", "/react #9 \U0001f44e"]),
        ("/role bob mod", ["/role bob moderator"]),
        ("/role bob ", [f"/role bob {rank.name.lower()}" for rank in Rank]),
        ("/typing o", ["/typing on", "/typing off"]),
        ("/pause ", ["/pause 3"]),
        ("/help jo", ["/help join"]),
        ("/help /jo", ["/help /join"]),
        ("/revoke ", []),
        ("/password ", []),
        ("/away @bo", ["/away @bob"]),
    ],
)
def test_other_slots(typed: str, lines: list[str]) -> None:
    """Issue: the arguments of the one command table have completers, by what they are called."""
    assert offered(typed) == lines


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/get no", ["/get notes.txt"]),
        ("/get a", ['/get "a udp"']),
        ('/get "a', ['/get "a udp"']),
        ("/get my", ["/get my plan.pdf"]),
        ("/get photo.jpg ", [f"/get photo.jpg {mode}" for mode in ("tcp", "udp", "reliable", "fast")]),
        ("/get photo.jpg u", ["/get photo.jpg udp"]),
        ("/get garden/", ["/get garden/notes.txt", "/get garden/photo.jpg"]),
        ("/get @bob/m", ["/get @bob/my plan.pdf"]),
        ("/get sh", ["/get shared/"]),
        ("/get ev", []),
    ],
)
def test_remote_files(typed: str, lines: list[str]) -> None:
    """Issue item 1: files that were announced, as `/get` takes them; what cannot be seen is not offered (U1)."""
    assert sorted(offered(typed)) == sorted(lines)


def test_what_others_wrote_is_harmless() -> None:
    """U1: what is said about a candidate holds no control character, whoever wrote it."""
    for text in ("/msg ", "/join ", "/pause ", "/get ", "b"):
        found = complete(text, len(text), desk())
        assert found is not None
        assert all(each.text.isprintable() and each.about.isprintable() for each in found.candidates)


def test_the_cursor_in_the_middle() -> None:
    """Issue item 1: what stands behind the cursor stays, and gets no second blank; inside a word nothing is offered."""
    assert complete("/msg bo hello", 7, desk()) == complete("/msg bo ", 7, desk())
    found = complete("/msg bo hello", 7, desk())
    assert found is not None
    assert (found.start, [each.text for each in found.candidates]) == (5, ["bob"])
    assert complete("/joiin x", 4, desk()) is None
    assert complete("hi @bo, how", 6, desk()) is not None


def test_what_all_begin_with() -> None:
    """Issue item 2: Tab puts in what all candidates have in common, as shells do."""

    def common(text: str) -> str:
        found = complete(text, len(text), desk())
        assert isinstance(found, Completion)
        return found.common

    assert common("/msg b") == "b"
    assert common("/join g") == "g"
    assert common("/jo") == "/join "


NAMES = {"user": "bob", "room": "garden", "seq": "9", "rank": "owner", "onoff": "on", "number": "3", "place": "shared"}
NAMES |= {"command": "join", "past": "garden", "emoji": "\U0001f680", "file": "notes.txt"}
NAMES |= {"where": "garden", "level": "mentions", "span": "30m"}


@given(st.data())
def test_a_candidate_makes_the_line_mean_what_was_offered(data: st.DataObject) -> None:
    """[12.11-7]: whatever was typed of an argument, a candidate makes a line that is this command with it."""
    here = desk()
    command = data.draw(st.sampled_from([each for each in here.words.commands if not each.hidden]))
    slots = [slot.strip("<>[].") for slot in command.arguments.split()]
    known = [place for place, slot in enumerate(slots) if slot in NAMES]
    if not known:
        text = f"/{command.name[: data.draw(st.integers(1, len(command.name)))]}"
        assert f"/{command.name}" in [line.rstrip() for line in offered(text)]
        return
    place = data.draw(st.sampled_from(known))
    known_by = NAMES | {"digits": "yes"}
    before = " ".join(known_by.get(slot, "x") for slot in slots[:place])
    wanted = NAMES[slots[place]]
    typed = f"/{command.name} {before} " if before else f"/{command.name} "
    typed += ":ro" if slots[place] == "emoji" else wanted[: data.draw(st.integers(0, len(wanted)))]
    lines = offered(typed)
    assert lines, typed
    for line in lines:
        if line.endswith("/"):
            continue  # a place, in which a name is still to come
        rest = " ".join(known_by.get(slot, "x") for slot in slots[place + 1 :])
        parsed = here.words.parse(f"{line}{rest}" if rest else line)
        assert isinstance(parsed, Call | Asks), line
        assert isinstance(parsed, Call)
        assert parsed.command is command
        assert slots[place] in parsed.given
    assert any(wanted in line for line in lines)


# Files of this machine


def test_local_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue item 1: paths behind /send: `~`, quotation marks, directories with their slash, hidden ones if begun."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("a.txt", "my notes.txt", 'say "hi".md', "@bob", ".hidden", "evil\x1b[2J"):
        Path(name).write_text("x")
    for name in ("docs/deep", "my files", "home"):
        Path(name).mkdir(parents=True)
    Path("docs/b.txt").write_text("x")
    Path("home/c.txt").write_text("x")
    assert offered("/send d") == ["/send docs/"]
    assert offered("/send docs/") == ["/send docs/b.txt ", "/send docs/deep/"]
    assert offered("/send my") == ['/send "my files/"', '/send "my notes.txt" ']
    assert offered("/send my n") == ['/send "my notes.txt" ']
    assert offered('/send "my n') == ['/send "my notes.txt" ']
    assert offered("/send my\\ n") == ['/send "my notes.txt" ']
    assert offered('/send a.txt "sa') == ['/send a.txt "say \\"hi\\".md" ']
    assert offered("/send ~") == ["/send ~/"]
    assert offered("/send ~/") == ["/send ~/c.txt "]
    assert offered("/send @b") == ["/send @bob ", "/send @bert "]
    assert offered("/send @bob a") == ["/send @bob a.txt "]
    assert offered("/send ./@") == ["/send ./@bob "]
    assert "/send ./@bob " in offered("/send ")
    assert offered("/send .h") == ["/send .hidden "]
    assert not any("evil" in line or "hidden" in line for line in offered("/send "))
    assert offered("/send nowhere/x") == []
    assert offered("/send docs/\0") == []


def test_a_large_directory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: no loop stall: of a large directory so many entries are offered, and no more."""
    monkeypatch.chdir(tmp_path)
    for number in range(300):
        Path(f"{number}.txt").touch()
    assert len(offered("/send ")) == 200


@given(st.lists(st.text(st.sampled_from("ab \"'\\~@.#\u00e9"), min_size=1, max_size=6), min_size=1, max_size=3))
def test_paths_as_they_are_typed_are_the_paths(names: list[str]) -> None:
    """[12.11-7]: whatever a file is called, what is offered for it is that file to `/send`, and one word."""
    typed = " ".join(typed_path(name) for name in names)
    try:
        found = paths_of(typed)
    except Refused:
        pytest.fail(typed)
    assert [os.fspath(each) for each in found] == [os.fspath(Path(os.path.expanduser(name))) for name in names]
    start, value = last_word(typed)
    assert (typed[start:], value) == (typed_path(names[-1]), names[-1])


@given(st.text(st.sampled_from("ab \"'\\")))
def test_any_beginning_of_paths_is_read(typed: str) -> None:
    """Issue: however far somebody has typed, open quotation marks and all, the last word is found."""
    start, value = last_word(typed)
    assert 0 <= start <= len(typed)
    assert len(value) <= len(typed)
    assert paths(typed)[0] <= len(typed)


def test_every_slot_is_known() -> None:
    """Issue: a new kind of argument gets a completer, or a place here."""
    from quicchat.ui import completion

    slots = {slot.strip("<>[].").lower() for each in COMMANDS if not each.hidden for slot in each.arguments.split()}
    assert slots - set(completion._OFFERS) == {"secret", "session"}
