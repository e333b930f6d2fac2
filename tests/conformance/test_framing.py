"""Frames, CBOR and extensions, as a live connection takes them."""

from __future__ import annotations

import time

import cbor2
import pytest

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol.channels import Ended
from quicchat.protocol.connection import Connection, Received
from quicchat.protocol.events import Bytes, Datagram
from quicchat.tools.specgen import instances
from quicchat.tools.specgen.malformed import Bad, lenient, malformed
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import AuthOk
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.chapters.session import Echo, Error, Ping, Purpose, StreamOpen, VersionRequest, VersionResponse
from quicchat.wire.registry import Pdu, Role
from quicchat.wire.states import State
from tests.conformance import ends
from tests.conformance.ends import CONTROL, SECOND, at, fresh, hear, hear_bytes, is_fatal, is_refusal, outcome
from tests.frames import frames

BAD = malformed()
POST = Post(room="general", cid=bytes(16), text="hi")


def received(end: Connection) -> list[Pdu | codec.Unknown]:
    return [event.envelope.pdu for event in end.events() if isinstance(event, Received)]


@pytest.mark.parametrize("state", [State.AUTHENTICATING, State.READY], ids=lambda state: state.name)
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_malformed_bytes_end_the_connection(bad: Bad, state: State) -> None:
    """W1-W3, W6-W10, W12-W15, W17-W19, W21, W23, W25: fatal with the code beside it, in a moment, and for good.

    [2.1-3], [2.1-4], [2.2-1], [2.2-2], [2.3-2], [2.4-1], [2.5-5], [2.5-6]
    """
    if state is State.AUTHENTICATING and len(bad.stream) > 16_384:
        bad = Bad(bad.name, bad.data, Code.LIMIT, bad.is_stream)
    end, others = at(Role.SERVER, state), [at(Role.SERVER, state) for _ in range(4)]
    hear_bytes(end, bad.stream)
    assert is_fatal(outcome(end), bad.code)
    # Whatever else this machine does, once in five it is as quick as it is.
    assert min(_seconds(other, bad) for other in others) < 0.02
    hear_bytes(end, frame.wrap(codec.encode(Ping(nonce=1), version=2)))
    assert end.output() == []


def _seconds(end: Connection, bad: Bad) -> float:
    """What it takes of the processor to refuse this."""
    start = time.process_time()
    hear_bytes(end, bad.stream)
    return time.process_time() - start


def test_a_length_beyond_the_limit_is_refused_before_its_body() -> None:
    """W1, W2, [2.1-3]: the moment the last byte of the length is there, and not before."""
    for length in (frame.DEFAULT_LIMIT + 1, 2**32 - 1):
        end = at(Role.SERVER, State.READY)
        prefix = frame.varint(length)
        hear_bytes(end, prefix[:-1])
        assert end.output() == []
        hear_bytes(end, prefix[-1:])
        assert is_fatal(outcome(end), Code.FRAME_TOO_LARGE)


def test_a_frame_at_the_limit_is_accepted() -> None:
    """[2.1-3]: the limit itself is legal."""
    sizes = {len(data): data for n in range(65_500, 65_536) if (data := codec.encode(padded(n), version=2))}
    data = sizes[frame.DEFAULT_LIMIT]
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, frame.wrap(data))
    assert len(received(end)) == 1
    assert end.output() == []
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, frame.wrap(sizes[frame.DEFAULT_LIMIT + 1]))
    assert is_fatal(outcome(end), Code.FRAME_TOO_LARGE)


def padded(size: int) -> Echo:
    """A PDU with that many bytes in an extension."""
    return Echo(data="", extra={33: bytes(size)})


def test_any_split_of_the_bytes_gives_the_same_pdus() -> None:
    """R0.3, [2.1-2]: two halves at every place, and byte by byte."""
    pdus = [Echo(data="a" * size) for size in (0, 40, 80, 20_000)]
    stream = b"".join(frame.wrap(codec.encode(pdu, version=2)) for pdu in pdus)
    for cut in (*range(200), len(stream) - 1, len(stream)):
        end = at(Role.SERVER, State.READY)
        hear_bytes(end, stream[:cut])
        hear_bytes(end, stream[cut:])
        assert received(end) == pdus
    end = at(Role.SERVER, State.READY)
    for index in range(len(stream)):
        hear_bytes(end, stream[index : index + 1])
    assert received(end) == pdus


def test_a_length_may_be_longer_than_it_need_be() -> None:
    """W11, [2.1-2]: eight bytes for a small length."""
    data = codec.encode(Echo(data="x"), version=2)
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, (0xC000_0000_0000_0000 | len(data)).to_bytes(8, "big") + data)
    assert received(end) == [Echo(data="x")]


def test_other_forms_of_cbor_are_accepted() -> None:
    """W11, [2.2-3]: longer integers, keys in another order."""
    for name, data in lenient():
        end = at(Role.SERVER, State.READY)
        hear_bytes(end, frame.wrap(data))
        assert [envelope.pdu.SPEC.name for envelope in ends.spoken(end.output())] == ["PONG"], name  # type: ignore[union-attr]


def test_slow_bytes_are_served_if_the_frame_is_whole_in_time() -> None:
    """W4, [2.1-5]: one byte a second, whole within the limit."""
    whole = frame.wrap(codec.encode(Echo(data=""), version=2))
    end = at(Role.SERVER, State.READY)
    step = 9.0 / len(whole)
    for index in range(len(whole)):
        hear_bytes(end, whole[index : index + 1], now=index * step)
        end.handle_timer(index * step)
    assert received(end) == [Echo(data="")]


def test_a_frame_that_is_never_whole_ends_the_connection() -> None:
    """W4, [2.1-5]: the time runs from its first byte, however many follow; on control it is fatal LIMIT."""
    end = at(Role.SERVER, State.READY)
    whole = frame.wrap(codec.encode(Echo(data="x" * 50), version=2))
    for second in range(10):
        hear_bytes(end, whole[second : second + 1], now=float(second))
        end.handle_timer(float(second))
    assert end.output() == []
    assert end.timer() == 10.0
    end.handle_timer(10.0)
    assert is_fatal(outcome(end, 10.0), Code.LIMIT)


def test_another_stream_whose_frame_is_never_whole_is_given_up() -> None:
    """W4, Q3, [2.1-5]: only that stream, with LIMIT; also one on which nothing whole ever came."""
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, b"\x10", sid=SECOND)
    end.handle_timer(10.0)
    found = outcome(end, 10.0)
    assert (found.given_up, found.error, found.closed) == ({SECOND: Code.LIMIT}, None, None)
    assert ends.is_alive(end, 10.0)


def test_an_end_within_a_frame_is_an_error() -> None:
    """W5, [2.1-6]: fatal DECODE on control, DECODE on that stream elsewhere."""
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, b"\x20\xa3", fin=True)
    assert is_fatal(outcome(end), Code.DECODE)
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, b"\x20\xa3", sid=SECOND, fin=True)
    found = outcome(end)
    assert (found.given_up, found.error, found.closed) == ({SECOND: Code.DECODE}, None, None)
    assert end.events() == [Ended(SECOND, Code.DECODE)]
    assert ends.is_alive(end)


@pytest.mark.parametrize("number", [129, 201, 0x1FFF_FFFF])
@pytest.mark.parametrize("state", [State.AUTHENTICATING, State.READY], ids=lambda state: state.name)
def test_an_unknown_odd_type_is_ignored(number: int, state: State) -> None:
    """W22, R0.15, [2.5-1]: nothing is answered, nothing changes."""
    end = at(Role.SERVER, state)
    hear_bytes(end, frame.wrap(cbor2.dumps({0: 2, 1: number, 2: 9, 5: {1: "new", 7: [1]}})))
    assert end.output() == []
    assert end.events() == []
    assert ends.is_alive(end)


@pytest.mark.parametrize("number", [0x0A, 0x7F, 128, 200, 0x2000_0000])
def test_another_unknown_type_is_refused(number: int) -> None:
    """W22, [2.5-2]: UNSUPPORTED in READY, fatal STATE before."""
    data = frame.wrap(cbor2.dumps({0: 2, 1: number, 2: 9, 5: {}}))
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, data)
    assert is_refusal(outcome(end), Code.UNSUPPORTED, re=9)
    assert ends.is_alive(end)
    end = at(Role.SERVER, State.AUTHENTICATING)
    hear_bytes(end, data)
    assert is_fatal(outcome(end), Code.STATE)


def test_an_unknown_odd_key_is_kept() -> None:
    """W23, R0.15, [2.5-3]: it is passed over, handed up for relaying, and written again as it came."""
    extra = {33: {1: [True, None, "x", b"y", -5]}, 2**64 - 1: 0}
    data = codec.encode(Post(room="general", cid=bytes(16), text="hi", extra=extra), version=2)
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, frame.wrap(data))
    (pdu,) = received(end)
    assert isinstance(pdu, Post)
    assert pdu.extra == extra
    assert codec.encode(pdu, version=2) == data


def test_an_unknown_even_key_must_be_understood() -> None:
    """W23, [2.5-4]: the PDU is refused as a whole with UNSUPPORTED, and not fatal in READY."""
    body = {1: "general", 3: bytes(16), 5: "hi", 34: 0}
    end = at(Role.SERVER, State.READY)
    hear_bytes(end, frame.wrap(cbor2.dumps({0: 2, 1: 0x30, 2: 9, 5: body})))
    assert is_refusal(outcome(end), Code.UNSUPPORTED, re=9)
    assert end.events() == []
    assert ends.is_alive(end)


def test_another_version_than_the_chosen_one_is_fatal() -> None:
    """S8, R3.13, [2.3-1]: before login and after it."""
    for state in (State.AUTHENTICATING, State.READY):
        for version in (1, 3, 255):
            end = at(Role.SERVER, state)
            hear_bytes(end, frame.wrap(cbor2.dumps({0: version, 1: 3, 5: {1: 7}})))
            assert is_fatal(outcome(end), Code.VERSION)


def test_every_pdu_carries_the_chosen_version() -> None:
    """[2.3-1], [3.1-3]: version 1 in the negotiation, the chosen one from then on."""
    client, server = fresh(Role.CLIENT), fresh(Role.SERVER)
    client.start(CONTROL)
    (request,) = client.output()
    server.receive(request, 0.0)
    (response,) = server.output()
    client.receive(response, 0.0)
    client.send(Ping(nonce=1))
    (ping,) = client.output()
    server.receive(ping, 0.0)
    found = [envelope for event in (request, response, ping, *server.output()) for envelope in ends.spoken([event])]
    assert [envelope.version for envelope in found] == [1, 1, 2, 2]


def test_every_sender_sprinkles() -> None:
    """[2.5-7]: with a seed, reserved odd keys turn up among many PDUs, and a reserved capability in the negotiation."""
    client, server = fresh(Role.CLIENT, seed=7), fresh(Role.SERVER, seed=8)
    client.start(CONTROL)
    ends.exchange(client, server)
    asked, answered = server.negotiation.peer, client.negotiation.peer
    assert isinstance(asked, VersionRequest)
    assert isinstance(answered, VersionResponse)
    for pdu in (asked, answered):
        assert [each % 2 for each in pdu.capabilities or ()] == [1]
    server.state = State.READY
    for nonce in range(500):
        server.send(Ping(nonce=nonce))
    extras = [envelope.pdu.extra for envelope in ends.spoken(server.output()) if envelope.pdu.extra]  # type: ignore[union-attr]
    assert 5 < len(extras) < 50
    assert all(key > 32 and key % 2 for extra in extras for key in extra)


def test_what_a_version_does_not_know_is_left_out() -> None:
    """[1.2-1]: newer fields vanish from what is written for an older version."""
    message = Message(
        room="general", epoch=3, seq=1, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=5, text="x", topic="t"
    )
    back = codec.decode(codec.encode(message, version=1), version=1).pdu
    assert isinstance(back, Message)
    assert (back.epoch, back.topic, back.text) == (None, None, "x")


def test_a_datagram_changes_nothing() -> None:
    """Q17, [1.3-2]: early, malformed, too long or misplaced datagrams are dropped, and the connection lives."""
    good = codec.encode(Ping(nonce=1), version=2)
    for state in (State.AUTHENTICATING, State.READY):
        end = at(Role.SERVER, state)
        for data in (good, b"", b"\xff\xff", good + b"\x00", bytes(1101), codec.encode(POST, version=2)):
            end.receive(Datagram(data), 0.0)
        assert end.output() == []
        assert end.events() == []
        assert ends.is_alive(end)


def test_the_bytes_before_login_are_counted() -> None:
    """W25, [4.2-7]: on all streams together, and fatal LIMIT beyond."""
    end = at(Role.SERVER, State.AUTHENTICATING)
    hear_bytes(end, frame.wrap(bytes(8_000))[:8_000], sid=SECOND)
    assert end.output() == []
    hear_bytes(end, bytes(9_000), sid=SECOND)
    assert is_fatal(outcome(end), Code.LIMIT)


def test_a_stream_opened_before_login_waits() -> None:
    """[3.7-2]: what comes early on other streams is held, and handled in order once READY."""
    end = at(Role.SERVER, State.PROVING)
    opening = codec.encode(StreamOpen(kind=Purpose.QUERY), version=2)
    hear_bytes(end, frame.wrap(opening) + frame.wrap(codec.encode(Ping(nonce=1), version=2)), sid=SECOND)
    assert (end.events(), end.output()) == ([], [])
    end.send(AuthOk(user="alice", session=1, proof=b""))
    assert received(end) == [StreamOpen(kind=Purpose.QUERY)]
    output = end.output()
    refusals = [envelope.pdu for envelope in ends.spoken(output) if isinstance(envelope.pdu, Error)]
    assert [refusal.code for refusal in refusals] == [Code.STREAM_MISUSE]  # a PING does not belong on a query stream
    assert [event.sid for event in output if isinstance(event, Bytes)] == [CONTROL, SECOND]


def test_only_protocol_errors_leave_the_decoder() -> None:
    """R0.12: frame and codec are separate and pure, and one exception type leaves them."""
    for bad in BAD:
        with pytest.raises(RemoteProtocolError):
            read(bad.stream)


def read(stream: bytes) -> None:
    for payload in frames(stream, frame.FrameReader()):
        codec.decode(payload, version=2)


@pytest.mark.parametrize("state", list(State)[:-1], ids=lambda state: state.name)
def test_form_is_judged_before_place(state: State) -> None:
    """[2.4-4]: SCHEMA for a body that is wrong, and DECODE for bytes that are none, wherever they would be refused."""
    for pdu in (Post, AuthOk, VersionResponse):
        for body, code in (({31: 0}, Code.SCHEMA), ({33: 1.5}, Code.DECODE)):
            end = at(Role.SERVER, state)
            full = dict(cbor2.loads(codec.encode_body(instances.minimal(pdu), version=2)))
            hear_bytes(end, framed({codec.VERSION: 2, codec.TYPE: pdu.SPEC.number, codec.BODY: full | body}))
            assert is_fatal(outcome(end), code), (pdu, code)
    for sid, kind in ((SECOND, Purpose.QUERY), (ends.THIRD, Purpose.FILE)):
        end = at(Role.SERVER, State.READY)
        hear(end, StreamOpen(kind=kind), sid=sid)
        hear_bytes(end, framed({codec.VERSION: 2, codec.TYPE: Post.SPEC.number, codec.BODY: {}}), sid=sid)
        assert is_fatal(outcome(end), Code.SCHEMA)


def framed(outer: dict[int, object]) -> bytes:
    return frame.wrap(cbor2.dumps(outer))
