"""What is checked of one cell, and of the fields of one PDU; the same for a PDU that a test adds."""

from __future__ import annotations

import pytest

from quicchat.errors import Code, LocalProtocolError, RemoteProtocolError
from quicchat.protocol.connection import Connection, Lost, Received
from quicchat.protocol.events import Bytes, Datagram
from quicchat.tools.specgen import instances, vectors
from quicchat.wire import codec, frame
from quicchat.wire.chapters.session import Error, Ping, Purpose, StreamOpen, VersionRequest
from quicchat.wire.machine import Letter
from quicchat.wire.registry import VERSIONS, Field, Pdu, Role, Via
from quicchat.wire.states import State
from tests.conformance import ends
from tests.conformance.cases import FORGIVING, Cell, sensible
from tests.frames import frames


def check_legal(cell: Cell, *, version: int = 2) -> None:
    """Send, receive, compare."""
    sender = ends.at(cell.by, cell.state, version=version)
    receiver = ends.at(cell.by.peer, cell.state, version=version)
    pdu = sensible(cell.letter, version)
    via = pdu.SPEC.via
    if isinstance(pdu, VersionRequest):
        sender = ends.fresh(cell.by)
        sender.start(ends.CONTROL)
    elif via is Via.DATAGRAM:
        sender.datagram(pdu)
    elif via in (Via.QUERY, Via.FILE):
        open_aside(sender, receiver, Purpose.QUERY if via is Via.QUERY else Purpose.FILE)
        sender.send(pdu, sid=ends.THIRD)
    else:
        say(sender, cell.letter, version)
    assert sender.state is cell.to
    (sent,) = sender.output()
    assert isinstance(sent, Datagram if via is Via.DATAGRAM else Bytes)
    envelope = codec.decode(sent.data) if isinstance(sent, Datagram) else ends.spoken([sent])[0]
    assert Letter.of(envelope.pdu) == cell.letter  # type: ignore[arg-type]
    receiver.receive(sent, 0.0)
    told = [event.envelope.pdu if isinstance(event, Received) else event for event in receiver.events()]
    if isinstance(pdu, Error) and pdu.fatal:
        assert told == [Lost(pdu.code, pdu.text or "", True)]
    else:
        assert told == ([] if isinstance(pdu, Ping) else [envelope.pdu])
        # A server has moved on by its own VERSION_RESPONSE.
        assert receiver.state is cell.to or isinstance(pdu, VersionRequest)
    ends.exchange(receiver, sender)
    assert receiver.state is sender.state


def open_aside(sender: Connection, receiver: Connection, purpose: Purpose) -> None:
    """Give both ends a stream for what travels on no other."""
    opening = StreamOpen(kind=purpose)
    if sender.role is Role.CLIENT:
        sender.open(ends.THIRD, opening)
        ends.exchange(sender, receiver)
    else:
        receiver.open(ends.THIRD, opening)
        ends.exchange(receiver, sender)
    sender.events()
    receiver.events()


def say(end: Connection, letter: Letter, version: int = 2) -> None:
    """Have an end say a letter where such a letter is said."""
    pdu = sensible(letter, version)
    if isinstance(pdu, StreamOpen) and end.role is Role.CLIENT:
        end.open(ends.SECOND, pdu)
    else:
        end.send(pdu)


def check_not_sent(cell: Cell, *, version: int = 2) -> None:
    """Try to send; nothing happens."""
    end = ends.at(cell.by, cell.state, version=version)
    with pytest.raises(LocalProtocolError) as caught:
        say(end, cell.letter, version)
    assert caught.value.code is Code.STATE
    assert end.output() == []
    assert end.events() == []
    assert end.state is cell.state


def check_refused(cell: Cell) -> None:
    """Receive it from a rude peer."""
    end = ends.at(cell.by.peer, cell.state)
    ends.hear(end, sensible(cell.letter), id=9)
    found = ends.outcome(end)
    if cell.state in FORGIVING and cell.by in cell.letter.pdu.SPEC.by:
        assert ends.is_refusal(found, Code.STATE, re=9)
        assert found.error is not None
        assert cell.letter.pdu.SPEC.name in (found.error.text or "")
        assert cell.state.name in (found.error.text or "")
        assert end.events() == []
        assert end.state is cell.state
        assert ends.is_alive(end)
    else:
        assert ends.is_fatal(found, Code.STATE)
        (lost,) = end.events()
        assert lost == Lost(Code.STATE, lost.reason, False)  # type: ignore[union-attr]
        assert end.state is State.CLOSED


def check_samples(cls: type[Pdu], field: Field) -> None:
    """Every sample survives the wire."""
    good = instances.minimal(cls)
    for version in VERSIONS:
        if version < max(field.since, cls.SPEC.since):
            continue
        for sample in field.type.samples():
            pdu = instances.with_field(good, field, sample)
            data = codec.encode(pdu, version=version, id=3)
            assert list(frames(frame.wrap(data))) == [data]
            back = codec.decode(data, version=version)
            assert back.pdu == pdu
            assert (back.id, back.re, back.version) == (3, None, version)
            assert codec.encode(pdu, version=version, id=3) == data


def check_bodies(cls: type[Pdu]) -> None:
    """Every broken body is refused, by the codec and by a live connection."""
    tried = 0
    for label, data, version, code in vectors.bad(cls):
        with pytest.raises(RemoteProtocolError) as caught:
            codec.decode(data, version=version)
        assert caught.value.code is code, label
        if len(data) > frame.DEFAULT_LIMIT:
            continue
        tried += 1
        end = ends.at(next(iter(cls.SPEC.by)).peer, State.READY, version=version)
        ends.hear_bytes(end, frame.wrap(data))
        found = ends.outcome(end)
        assert ends.is_fatal(found, code), label
    assert tried or not cls.SPEC.fields
