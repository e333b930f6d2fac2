"""The exact lines of the founding texts, style by style, letter by letter."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from quicchat.client.events import Progress
from quicchat.client.events import Sent as Reach
from quicchat.errors import MEANINGS, Code
from quicchat.ui.outcomes import (
    Denied,
    Done,
    Entered,
    Gone,
    Here,
    Late,
    Lost,
    Menu,
    NotResponding,
    Reached,
    Rooms,
    Sent,
)
from quicchat.ui.words import Asks, Style
from quicchat.wire.chapters.messages import Kind, Recipient
from quicchat.wire.chapters.presence import Presence, Show
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL
from tests.ui.items import CALL, STORED, heard, noted, posted, shown, told
from tests.ui.stage import vocabulary

TO_BOB = "@alice,bob"
OFFLINE = Sent(posted(TO_BOB, recipient=Recipient.OFFLINE), "bob")
ONLINE = Sent(posted(TO_BOB, recipient=Recipient.ONLINE), "bob")
DELIVERED = Progress(b"c" * 16, TO_BOB, 9, Reach.DELIVERED, by="bob", at=STORED)
WELCOME = Entered(user="alice", place="localhost:12000", version=2, session=1, welcome="Welcome.\nBe kind.")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


#: row, style, what happens, what goes to standard output, what to standard error.
GOLDEN: list[tuple[str, Style, object, list[str], list[str]]] = [
    ("R2.29", "mystic", heard("hello, world"), ["[GLOBAL] bob: hello, world"], []),
    ("R2.29", "mystic", heard("meow", "cats"), ["[cats] bob: meow"], []),
    ("R2.15", "mystic", heard("between us", TO_BOB), ["[PM] bob: between us"], []),
    ("R2.16", "mystic", heard("dinner", ANNOUNCEMENTS), ["[BROADCAST] bob: dinner"], []),
    ("R2.16", "mystic", heard("dinner", ANNOUNCEMENTS, own=True), [], []),
    ("R2.35", "mystic", heard("[SERVER] bob is king"), ["[GLOBAL] bob: [SERVER] bob is king"], []),
    ("R2.29", "mystic", heard("yes", reply=3), ["[GLOBAL] bob (to #3): yes"], []),
    ("R2.29", "mystic", heard("waves", "cats", kind=Kind.EMOTE), ["[cats] bob: * waves"], []),
    (
        "R2.31", "mystic", WELCOME, [],
        ["[SERVER] you are alice at localhost:12000, protocol version 2", "[SERVER] Welcome.", "[SERVER] Be kind."],
    ),
    ("R2.32", "mystic", heard(None, "cats", kind=Kind.JOIN), [], ["[SERVER] bob joined cats"]),
    ("R2.32", "mystic", heard(None, "cats", kind=Kind.LEAVE), [], ["[SERVER] bob left cats"]),
    ("R2.12", "mystic", Presence(user="bob", show=Show.OFFLINE, reason="quit"), [], ["[SERVER] bob left (quit)"]),
    ("R2.17", "mystic", Here("cats", "", 1), [], ["[SERVER] you are in cats now"]),
    ("R2.19", "mystic", Gone("cats", GENERAL), [], ["[SERVER] you left cats; you are in general now"]),
    ("R2.14", "mystic", Rooms([("cats", 2, "", True)], "cats"), ["* cats (2)"], []),
    ("R4.6", "classic", heard("hi y from x", TO_BOB), ["bob: hi y from x"], []),
    ("R4.6", "classic", Reached(DELIVERED, "bob", STORED), [], ["[Message received by bob.]"]),
    ("R4.6", "classic", ONLINE, [], []),
    ("R4.8", "classic", heard("yoyoyo everyone", ANNOUNCEMENTS), ["Group Chat bob:  yoyoyo everyone"], []),
    ("R4.8", "classic", heard("yoyoyo everyone"), ["Group Chat bob:  yoyoyo everyone"], []),
    ("R4.8", "classic", Sent(posted(ANNOUNCEMENTS)), [], ["[Group Message received by Server.]"]),
    ("R4.8", "classic", Sent(posted(GENERAL)), [], ["[Group Message received by Server.]"]),
    ("R4.8", "classic", heard("waves", kind=Kind.EMOTE), ["Group Chat bob:  * waves"], []),
    ("R4.9", "classic", Done("dereg"), [], ["[You are Offline. Bye.]"]),
    ("R4.10", "classic", Done("reg"), [], ["[RegSent]"]),
    ("R4.10", "classic", Late(), [], ["[You have offline messages:]"]),
    ("R4.10", "classic", heard("hi offline x", TO_BOB, late=True), ["bob: 11:04:20 hi offline x"], []),
    ("R4.10", "classic", heard("yo", ANNOUNCEMENTS, late=True), ["Group Chat bob: 11:04:20 yo"], []),
    ("R4.10", "classic", heard("waves", kind=Kind.EMOTE, late=True), ["Group Chat bob: 11:04:20 * waves"], []),
    ("R4.11", "classic", OFFLINE, [], ["[Offline Message sent at 11:04:20 received by the server and saved.]"]),
    (
        "R4.12", "classic", Reached(DELIVERED, "bob", STORED, offline=True), [],
        [" [Offline Message sent at 11:04:20 received by bob.]"],
    ),
    (
        "R4.4", "classic", Presence(user="bob", show=Show.ONLINE), [],
        ["[Client table updated.]", "bob online", "x offline"],
    ),
    ("R4.16", "classic", NotResponding(), [], ["[Server not responding]", "[Exiting]"]),
    ("R4.16", "default", NotResponding(), [], ["[Server not responding]", "[Exiting]"]),
    ("R4.16", "default", Lost("", "gone", retry=True), [], ["-- connection lost: gone; trying again"]),
    (
        "R4.5", "classic", WELCOME, [],
        ["[Welcome, You are registered.]", "[Welcome.]", "[Be kind.]"],
    ),
    ("R1.14", "default", OFFLINE, [], ["-- bob is offline and gets it later"]),
    ("R1.14", "default", ONLINE, [], ["-- sent to bob"]),
    (
        "R1.12", "classic", Menu(vocabulary("classic").commands), [],
        ["[MENU, DM <user> <text...>, send <user> <text...>, PM <text...>, send_all <text...>, dereg, reg, EX]"],
    ),
    ("12.6-5", "default", Here(TO_BOB), [], ["-- what you type goes to bob now"]),
    ("R0.18", "default", heard("hi"), ["11:04:20 [general] bob: hi"], []),
    ("12.6-1", "default", Done("edit", {"seq": "12"}, (12, "alice")), [], ["-- #12 is corrected"]),
    ("12.6-1", "mystic", Done("react", {"seq": "12"}, (12, "bob")), [], ["[SERVER] you react to #12 of bob"]),
    ("12.6-1", "classic", Done("retract", {"seq": "12"}, (12, "bob")), [], ["[#12 is taken back]"]),
    ("12.6-1", "default", Sent(posted("r1"), answers=(12, "bob")), [], ["-- you answer #12 of bob"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "style", "item", "out", "err"), GOLDEN, ids=[f"{at}-{each[0]}-{each[1]}" for at, each in enumerate(GOLDEN)]
)
def test_lines_of_the_founding_texts(row: str, style: Style, item: object, out: list[str], err: list[str]) -> None:
    """R0.18, R1.12, R1.14, R2.12-R2.35, R4.4-R4.16, [12.6-1], [12.6-5]: each template, letter by letter."""
    assert told(item, style) == (out, err)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_every_refusal_has_words(code: Code) -> None:
    """R2.30: [SERVER] tells what is not permitted; no code stands for itself."""
    (line,) = noted(Denied(code, MEANINGS[code].text, CALL), "mystic")
    assert line == f"[SERVER] refused: {MEANINGS[code].text}"
    assert len(MEANINGS[code].text.split()) > 2


def test_dm_alone_asks() -> None:
    """R1.14: in classic, the question stands in brackets; style default knows no DM."""
    asks = vocabulary("classic").parse("DM")
    assert isinstance(asks, Asks)
    assert noted(asks, "classic") == ["[whom, and what? <user> <text...>]"]


def test_what_comes_live_is_not_late() -> None:
    """R4.10: after `reg`, too, it has no time in front of it."""
    assert shown(heard("hi", TO_BOB), "classic") == ["bob: hi"]
