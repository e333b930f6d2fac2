"""What is printed as JSON: one line each, with keys that stay as they are."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace

import pytest

from quicchat.client.events import Line, Unsealed
from quicchat.ui import outcomes
from quicchat.ui.outcomes import (
    Freight,
    Heard,
    Late,
    Menu,
    Note,
    Quit,
    Reached,
    Sent,
    Unfinished,
)
from quicchat.ui.record import KEYS, Json, record
from quicchat.wire.chapters.messages import Kind, ReceiptEvent
from quicchat.wire.chapters.presence import Tick, Typing
from quicchat.wire.chapters.rooms import RoomState
from tests.ui.items import NASTY, STATE, STORED, Sheet, everything, heard, message, told

#: What may have nothing to say, and what only scripts want to know.
QUIET = (Quit, Heard, Sent, Note, Reached, Late, Freight, Unfinished)
SCRIPTS = (Line, Typing, Tick, ReceiptEvent, RoomState, Unsealed)


def test_the_keys_are_those_of_the_schema() -> None:
    """R0.15: one object to a line; its keys are those that KEYS documents, in that order, whatever happened."""
    seen = set()
    for item in everything("text"):
        found = record(item)
        if found is None:
            is_key = isinstance(item, Heard) and item.message.kind is Kind.KEY
            assert is_key or isinstance(item, Menu | Quit | Late | Unfinished | Unsealed)
            continue
        name = found["event"]
        seen.add(name)
        assert tuple(found) == ("event", *KEYS[name])
    assert seen == set(KEYS)


def test_every_outcome_is_told_in_both_forms() -> None:
    """C8: no outcome falls silent because a renderer does not know it."""
    kinds = {each for each in vars(outcomes).values() if isinstance(each, type) and is_dataclass(each)}
    here = {kind for kind in kinds if kind.__module__ == outcomes.__name__}
    assert {type(item) for item in everything("text")} >= here
    for item in everything("text"):
        if not isinstance(item, Quit | Heard | Sent | Note | Reached | Late | Freight | Unfinished) and not isinstance(
            item, SCRIPTS
        ):
            assert told(item) != ([], []), item


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_json_lines_are_ascii_and_exact(text: str) -> None:
    """U1, U8: one line, no control byte in it, and yet the text comes out as it was written."""
    for item in everything(text):
        sheet = Sheet()
        Json(sheet).tell(item, STATE)
        for line in sheet.out:
            assert line.isascii()
            assert line.isprintable()
    sheet = Sheet()
    Json(sheet).tell(heard(text), STATE)
    assert json.loads(sheet.out[0])["text"] == text


def test_a_message_in_json() -> None:
    """R0.14: sent, stored and received stand apart; golden."""
    found = record(heard("hi", "r1", sent=STORED - 5))
    assert found == {
        "event": "message",
        "room": "r1",
        "epoch": 1,
        "seq": 5,
        "cid": "01" * 16,
        "from": "bob",
        "kind": "text",
        "text": "hi",
        "sent": STORED - 5,
        "stored": STORED,
        "received": STORED + 2000,
        "topic": None,
        "reply": None,
        "refs": None,
        "mentions": None,
        "expires": None,
        "by": None,
        "rank": None,
        "files": None,
        "seal": None,
        "policy": None,
        "own": False,
        "late": False,
    }


def test_every_field_of_a_message_that_people_see_is_in_json() -> None:
    """R0.15: what the registry adds later to a message must be looked at here: known, or left out on purpose."""
    left_out = {"device", "extra", "sealed"}
    names = {each.name for each in fields(replace(message()))} - left_out
    renamed = {"sender": "from", "ts": "stored", "attachments": "files"}
    assert {renamed.get(name, name) for name in names} == set(KEYS["message"]) - {"received", "own", "late", "seal"}
