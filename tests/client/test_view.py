"""A room as people see it: replaying what was pushed over an old view gives the same as reading it anew."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.view import Fold, Said, View, view
from quicchat.wire.chapters.messages import POSTABLE, SAID, Kind, Message

USERS = st.sampled_from(["alice", "bob", "carol"])
WORDS = st.sampled_from(["+1", "tea", "no"])


def event(
    seq: int, text: str = "", *, kind: Kind = Kind.TEXT, about: int | None = None, sender: str = "alice"
) -> Message:
    return Message(
        room="general",
        epoch=1,
        seq=seq,
        cid=seq.to_bytes(16, "big"),
        sender=sender,
        kind=kind,
        ts=seq,
        text=text,
        refs=None if about is None else (about,),
        mentions=("bob",) if kind in SAID else None,
    )


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    """A log as a server lets it become: what an event is about was there before it, and was not taken back."""
    log: list[Message] = []
    for seq in range(1, draw(st.integers(1, 30)) + 1):
        gone = {refs for each in log if each.kind is Kind.RETRACT for refs in each.refs or ()}
        targets = [each for each in log if each.kind in POSTABLE and each.kind is not Kind.RETRACT]
        targets = [each for each in targets if each.seq not in gone]
        kind = draw(st.sampled_from(sorted(Kind)))
        if kind is Kind.EDIT:
            targets = [each for each in targets if each.kind in SAID]
        if kind not in (Kind.EDIT, Kind.RETRACT, Kind.REACT, Kind.PIN):
            log.append(event(seq, draw(WORDS), kind=kind, sender=draw(USERS)))
        elif targets:
            about = draw(st.sampled_from(targets)).seq
            log.append(event(seq, draw(WORDS), kind=kind, about=about, sender=draw(USERS)))
        else:
            log.append(event(seq, draw(WORDS), sender=draw(USERS)))
    return log


def read_anew(log: list[Message]) -> list[Message]:
    """The log as HISTORY gives it out: what was taken back, and its corrections, say nothing any more ([6.11-4])."""
    gone = {refs for each in log if each.kind is Kind.RETRACT for refs in each.refs or ()}
    gone |= {each.seq for each in log if each.kind is Kind.EDIT and set(each.refs or ()) & gone}
    blank = {each.seq: replace(each, text="", mentions=None, attachments=None, extra=None) for each in log}
    return [blank[each.seq] if each.seq in gone else each for each in log]


@given(logs(), st.data())
def test_replayed_over_an_old_view_is_a_fresh_view(log: list[Message], data: st.DataObject) -> None:
    """Design §8: for every action, pushed events over an old snapshot equal a fresh snapshot."""
    cut = data.draw(st.integers(0, len(log)))
    old = view(read_anew(log[:cut]))
    before = View(dict(old.said), dict(old.about))
    assert view(log[cut:], old) == view(read_anew(log))
    assert old == before


def known(seen: View | Fold) -> dict[int, Said]:
    """But for places of which only is known what was done to them."""
    return {seq: each for seq, each in seen.said.items() if each.event is not None}


@given(logs(), st.data())
def test_a_fold_in_any_order_is_the_view(log: list[Message], data: st.DataObject) -> None:
    """Design §8: what grows event by event is what is read at once, of all that anybody said."""
    fold = Fold()
    for each in data.draw(st.permutations(log)):
        fold.take(each)
    assert (known(fold), fold.about) == (known(view(log)), view(log).about)


@given(logs(), st.data())
def test_what_was_dropped_comes_back_as_it_was(log: list[Message], data: st.DataObject) -> None:
    """Issue 5, item 8: older messages leave the view, and are the same when they are read again."""
    fold = Fold()
    for each in log:
        fold.take(each)
    cut = data.draw(st.integers(0, len(log)))
    for each in log[:cut]:
        fold.drop(each.seq)
    held = {seq: each for seq, each in known(view(log)).items() if seq > (log[cut - 1].seq if cut else 0)}
    assert known(fold) == held
    for each in data.draw(st.permutations(read_anew(log)[:cut])):
        fold.take(each)
    assert known(fold) == known(view(log))


def test_what_becomes_of_a_message() -> None:
    """Issue item 11: corrections, reactions, pins and retractions are events about an earlier place."""
    log = [
        event(1, "helo"),
        event(2, "hello", kind=Kind.EDIT, about=1),
        event(3, "+1", kind=Kind.REACT, about=1, sender="bob"),
        event(4, "+1", kind=Kind.REACT, about=1, sender="carol"),
        event(5, "+1", kind=Kind.REACT, about=1, sender="bob"),
        event(6, "pinned", kind=Kind.PIN, about=1),
    ]
    seen = view(log)
    place = seen.said[1]
    assert (place.text, place.edited, place.reactions, seen.pinned) == ("hello", 2, {"+1": ["bob", "carol"]}, [1])
    assert list(seen.said) == [1]
    back = [event(7 + each, kind=Kind.RETRACT, about=about) for each, about in enumerate((2, 3, 6))]
    place = view(back, seen).said[1]
    assert (place.text, place.edited, place.pinned) == ("helo", None, False)
    assert place.reactions == {"+1": ["carol", "bob"]}
    place = view([event(10, kind=Kind.RETRACT, about=1)], seen).said[1]
    assert (place.text, place.retracted, place.reactions, place.pinned) == (None, 10, {}, False)
    assert place.event is not None
    assert place.event.mentions is None


def test_a_window_of_the_log_shows_what_it_knows() -> None:
    """Issue item 11: what is about a place before the window does no harm, and counts once that place is there."""
    seen = view([event(9, "new", kind=Kind.EDIT, about=2)])
    assert seen.said[2].event is None
    assert view([event(2, "old")], seen).said[2].text == "new"
    assert view([event(9, kind=Kind.RETRACT, about=2)]).said[2].text is None
    assert view([event(9, "nothing named", kind=Kind.PIN)]) == View()


def test_facts_of_the_server_are_shown_as_they_are() -> None:
    """R0.2: entries, departures and the like are places of their own."""
    seen = view([event(1, "bob joined", kind=Kind.JOIN, sender="bob")])
    assert seen.said[1].text == "bob joined"
