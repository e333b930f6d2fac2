"""How what is sealed looks: what cannot be trusted is marked, and words that are not believed are never shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.events import KeyNews
from quicchat.client.seal import Seal, opened
from quicchat.client.view import view
from quicchat.ui import seals
from quicchat.ui.notices import announced
from quicchat.ui.outcomes import Found, Heard, Past, Readable
from quicchat.ui.record import Json, record
from quicchat.ui.seals import MARKS, seen, told
from quicchat.ui.styles import STYLES
from quicchat.ui.words import Style
from quicchat.wire.chapters.messages import SAID, Kind, Message
from tests.ui.items import NASTY, STATE, STORED, Sheet, heard, message, noted, sealed, shown
from tests.ui.items import told as lines_of

#: What is told of each, of a message by bob.
WORDS = {
    Seal.PLAIN: "(not encrypted)",
    Seal.CHANGED: "(identity changed: /accept bob or /verify bob)",
    Seal.WAITING: "(waiting for the key; it comes when bob is online)",
    Seal.HISTORICAL: "(said before this device could read here: /restore)",
    Seal.LOST: "(its key is lost: /restore, or ask bob to say it again)",
    Seal.FORGED: "(forged: not by bob; /keys bob lists his devices)",
}
UNREAD = [seal for seal in Seal if not seal.opened]
ATTACHED = ((b"f" * 32, 5, "text/plain", "hello.txt", 0),)


def texts(item: object, style: Style = "default") -> str:
    return "\n".join([*lines_of(item, style)[0], *lines_of(item, style)[1]])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seal", Seal)
def test_each_seal_has_its_words(style: Style, seal: Seal) -> None:
    """[12.16-6]: what is as it should be looks as always; all else is marked, each in its own words, on one line."""
    found = shown(sealed("hello", seal, "r1"), style)
    assert len(found) == 1
    plain = shown(heard("hello", "r1"), style)
    if seal not in WORDS:
        assert found == plain
        return
    said = f"{WORDS[seal]} hello" if seal.opened else WORDS[seal]
    assert found == [plain[0].replace("hello", said)]
    assert len(set(WORDS.values())) == len(WORDS) == len(set(MARKS.values()))


@pytest.mark.parametrize("kind", sorted(SAID | {Kind.EDIT, Kind.REACT}))
@pytest.mark.parametrize("seal", UNREAD)
@pytest.mark.parametrize("style", STYLES)
def test_words_that_are_not_known_are_not_shown(style: Style, seal: Seal, kind: Kind) -> None:
    """[12.16-7]: whatever came with them: not their text, mentions, files, thread nor what they answer."""
    liar = message(
        *("canary", "r1"),
        kind=kind,
        refs=(3,) if kind not in SAID else None,
        attachments=((b"f" * 32, 5, "x", "canary.txt", 0),),
        mentions=("alice",),
        topic="canary",
        reply=77,
    )
    event = seen(opened(liar, seal))
    item = Heard(event, STORED)
    for each in (item, Past("r1", [item]), Found("x", [item]), Readable("r1", [item])):
        assert "canary" not in texts(each, style)
        assert "77" not in texts(each, style)
        sheet = Sheet()
        Json(sheet).tell(each, STATE)
        assert "canary" not in "".join(sheet.out)
    found = record(item)
    assert found is not None
    assert (found["text"], found["seal"], found["mentions"], found["files"]) == (None, seal.name.lower(), None, None)


def test_scripts_are_told_the_seal() -> None:
    """[12.16-6]: as a word; null where nothing is encrypted, and for what has no words of its own."""
    for seal in Seal:
        found = record(sealed("hello", seal, "r1"))
        assert found is not None
        assert found["seal"] == seal.name.lower()
        assert found["text"] == ("hello" if seal.opened else None)
    for item in (heard("hello", "r1"), sealed("", Seal.PLAIN, "r1", kind=Kind.PIN, refs=(3,))):
        found = record(item)
        assert found is not None
        assert found["seal"] is None


def test_what_was_taken_back_is_not_called_plain() -> None:
    """[12.16-6]: there is nothing left of it that could be sealed."""
    assert told(opened(message(""), Seal.PLAIN)) == ""
    assert "(taken back)" in texts(Past("r1", [sealed("", Seal.PLAIN, "r1")]))


def test_files_are_marked() -> None:
    """[12.16-6]: what somebody else may have put there is no surprise to who fetches it."""
    item = sealed("", Seal.CHANGED, "r1", kind=Kind.FILE, attachments=ATTACHED)
    assert "bob sends (identity changed: /accept bob or /verify bob) hello.txt" in shown(item)[0]


def test_code_is_marked_before_its_lines() -> None:
    """[12.16-6]: no line of it can stand for the mark."""
    found = shown(sealed("a\nb", Seal.PLAIN, "r1", kind=Kind.CODE))
    assert found[0].endswith("bob: (not encrypted)")
    assert len(found) == 3


def test_keys_of_sessions_are_shown_to_nobody() -> None:
    """[12.16-8]: neither as they come, nor in a log, nor to scripts; nothing rings."""
    item = Heard(message("", "@alice,bob", kind=Kind.KEY), STORED)
    assert lines_of(item) == ([], [])
    assert record(item) is None
    assert announced(item, STATE, {}, "all") is None
    found = record(Past("r1", [item, heard("hi", "r1")]))
    assert found is not None
    assert [each["kind"] for each in found["messages"]] == ["text"]
    assert [each.kind for each in seals.shown([item.message, message("hi")])] == [Kind.TEXT]


def test_what_can_be_read_at_last_is_printed_once() -> None:
    """[12.16-9]: with the time at which it was said; of what was not told here nothing is printed."""
    late, never = sealed("at last", Seal.PINNED, "r1"), Heard(sealed("x", Seal.PINNED, "r1").message, None)
    times = "%H:%M:%S"
    styles: tuple[Style, ...] = ("default", "mystic", "classic")
    for style in styles:
        (line,) = lines_of(Readable("r1", [late, never]), style, times)[0]
        at = lines_of(heard("x", "r1"), "default", times)[0][0].split()[0]
        assert "at last" in line
        assert at in line
    found = record(Readable("r1", [late]))
    assert found is not None
    assert found["messages"][0]["text"] == "at last"


def test_a_mention_in_what_is_sealed_is_announced() -> None:
    """[12.10-1]: it is known here alone; of words that are not known, only that there are some."""
    named = sealed("hi @alice", Seal.PINNED, "r1", mentions=("alice",))
    found = announced(named, STATE, {}, "mentions")
    assert found is not None
    assert found.line == "bob in r1: hi @alice"
    secret = sealed("hi @alice", Seal.WAITING, "r1", mentions=("alice",))
    assert announced(secret, STATE, {}, "mentions") is None
    direct = announced(sealed("hi", Seal.WAITING, "@alice,bob"), STATE, {}, "mentions")
    assert direct is not None
    assert direct.line == f"bob: {WORDS[Seal.WAITING]}"


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_news_of_keys_harm_nothing(text: str) -> None:
    """[11.4-1] U1: names of devices are by whoever has the password."""

    (line,) = noted(KeyNews("device", "bob", f"bob has a new device: {text}"))
    assert line.isprintable() or "\u202e" not in line
    assert "\x1b" not in line
    assert "\n" not in line


# What is done to what is sealed


def _event(seq: int, kind: Kind = Kind.TEXT, text: str = "", sender: str = "bob", **facts: object) -> Message:
    return message(text, "r1", sender, seq=seq, cid=seq.to_bytes(16, "big"), kind=kind, **facts)


SAID_HERE = opened(_event(1, text="sealed"), Seal.PINNED)


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.REACT])
@pytest.mark.parametrize("seal", [None, *Seal])
@pytest.mark.parametrize("first", [True, False])
def test_only_what_is_sealed_changes_what_is_sealed(kind: Kind, seal: Seal | None, first: bool) -> None:
    """[12.16-7]: a server cannot put words into a message by a correction in plain, or one that nobody can open."""
    about = _event(2, kind, "changed", refs=(1,))
    done = about if seal is None else seen(opened(about, seal))
    log = [done, SAID_HERE] if first else [SAID_HERE, done]
    found = view(log).said[1]
    counts = seal in (Seal.VERIFIED, Seal.PINNED, Seal.OWN, Seal.CHANGED)
    assert found.text == ("changed" if counts and kind is Kind.EDIT else "sealed")
    assert bool(found.reactions) is (counts and kind is Kind.REACT)
    assert (found.edited is not None) is (counts and kind is Kind.EDIT)


def test_only_its_author_corrects_what_is_sealed() -> None:
    """[12.16-7]: another member whom the server helps cannot; of what is plain the server knows whose it is."""
    stranger = opened(_event(2, Kind.EDIT, "changed", sender="mallory", refs=(1,)), Seal.PINNED)
    author = opened(_event(3, Kind.EDIT, "mended", refs=(1,)), Seal.PINNED)
    assert view([SAID_HERE, stranger]).said[1].text == "sealed"
    assert view([stranger, SAID_HERE, author]).said[1].text == "mended"
    assert view([_event(1, text="plain"), _event(2, Kind.EDIT, "changed", refs=(1,))]).said[1].text == "changed"
    assert view([opened(_event(1, text="plain"), Seal.PLAIN), author]).said[1].text == "mended"


@given(st.permutations(range(4)), st.sampled_from(UNREAD))
def test_the_order_in_which_it_becomes_readable_makes_no_difference(order: list[int], seal: Seal) -> None:
    """Design §8: a correction that is opened later counts as if it had been so at once."""
    log = [
        SAID_HERE,
        opened(_event(2, Kind.EDIT, "one", refs=(1,)), Seal.PINNED),
        opened(_event(3, Kind.REACT, "+1", "carol", refs=(1,)), Seal.VERIFIED),
        opened(_event(4, Kind.EDIT, "two", refs=(1,)), Seal.OWN),
    ]
    fresh = view(log).said
    over = view([seen(opened(each, seal)) for each in log])
    assert view([log[at] for at in order], over).said == fresh


def test_json_is_one_record_a_line() -> None:
    """[12.16-9]: what can be read at last is one object, its messages as in a log."""
    sheet = Sheet()
    Json(sheet).tell(Readable("r1", [sealed("hi", Seal.PINNED, "r1")]), STATE)
    found = json.loads(sheet.out[0])
    assert (found["event"], found["room"], found["messages"][0]["seal"]) == ("readable", "r1", "pinned")


def test_the_other_styles_tell_only_what_is_to_be_decided() -> None:
    """R4.16, R2.24: their texts are exact; what nobody has to decide is told by /keys to who wants to know."""
    for kind in ("pinned", "device", "keyless", "listed", "recovery"):
        styles: tuple[Style, ...] = ("mystic", "classic")
        for style in styles:
            assert lines_of(KeyNews(kind, "bob", "news"), style) == ([], [])
        assert noted(KeyNews(kind, "bob", "news")) == ["-- news"]
    for kind in ("changed", "blocked", "waiting", "approve", "rollback", "forged-list", "backup"):
        assert noted(KeyNews(kind, "bob", "news"), "classic") == ["[news]"]
