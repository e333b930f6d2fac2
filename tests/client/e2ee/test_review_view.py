"""What is done to a sealed message, by whom: the server is to put no words into anybody's mouth."""

from __future__ import annotations

import pytest

from quicchat.client.seal import Seal, opened
from quicchat.client.view import view
from quicchat.wire.chapters.messages import Kind, Message


def event(seq: int, sender: str, text: str, kind: Kind = Kind.TEXT, refs: tuple[int, ...] | None = None) -> Message:
    cid = seq.to_bytes(16, "big")
    return Message(
        room="den", epoch=1, seq=seq, cid=cid, sender=sender, device=cid, kind=kind, text=text, ts=1, refs=refs
    )


@pytest.mark.parametrize("seal", [Seal.PINNED, Seal.WAITING, Seal.HISTORICAL, Seal.LOST, Seal.FORGED])
@pytest.mark.parametrize("sealed_by", [None, "mallory"])
@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.REACT])
def test_nobody_else_says_what_is_sealed(seal: Seal, sealed_by: str | None, kind: Kind) -> None:
    """[15.6-41]: a correction in plain, or one that somebody else has sealed, corrects nothing that came sealed."""
    said = opened(event(1, "alice", "no" if seal.opened else ""), seal)
    plain = opened(event(2, "alice", "yes", kind, (1,)), Seal.PLAIN)
    other = opened(event(2, "mallory", "yes", kind, (1,)), Seal.PINNED)
    for events in ([said, plain if sealed_by is None else other], [plain if sealed_by is None else other, said]):
        found = view(events).said[1]
        assert found.text == said.text
        if sealed_by is None:
            assert found.reactions == {}


def test_its_author_corrects_what_is_sealed() -> None:
    """[15.6-41]: one that its author has sealed does, once it can be opened."""
    said = opened(event(1, "alice", "no"), Seal.VERIFIED)
    edit = event(2, "alice", "yes", Kind.EDIT, (1,))
    assert view([said, opened(edit, Seal.FORGED, text="")]).said[1].text == "no"
    assert view([said, opened(edit, Seal.VERIFIED)]).said[1].text == "yes"
