"""Which version, which limits, and the transcript: the negotiation as both ends handle it."""

from __future__ import annotations

import hashlib

import cbor2
import pytest

from quicchat.errors import Code
from quicchat.protocol.connection import Connection
from quicchat.protocol.events import Bytes, Closed
from quicchat.protocol.limits import Limits
from quicchat.wire import frame
from quicchat.wire.chapters.session import Limit, VersionRequest, VersionResponse
from quicchat.wire.registry import Role
from quicchat.wire.states import State
from tests.conformance import ends
from tests.conformance.ends import CONTROL, at, fresh, hear, is_fatal, outcome
from tests.frames import frames

DEVICE = bytes(16)


def negotiate(offered: tuple[int, ...], spoken: tuple[int, ...]) -> tuple[Connection, Connection]:
    client, server = fresh(Role.CLIENT, versions=offered), fresh(Role.SERVER, versions=spoken)
    client.start(CONTROL)
    ends.exchange(client, server)
    return client, server


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [((1, 2, 77), (1, 2), 2), ((9, 1), (1, 2), 1), ((2,), (2, 1), 2), ((1, 2), (1,), 1), ((2, 2, 2), (2,), 2)],
)
def test_the_highest_common_version_is_chosen(offered: tuple[int, ...], spoken: tuple[int, ...], chosen: int) -> None:
    """S7, R3.5, R3.6, [3.1-1], [3.1-2]: whatever the order of the offer."""
    client, server = negotiate(offered, spoken)
    assert (client.version, server.version) == (chosen, chosen)
    assert (client.state, server.state) == (State.AUTHENTICATING, State.AUTHENTICATING)


def test_without_a_common_version_both_close() -> None:
    """S6, R3.6, [3.1-4]: version 0 with the server's list, then NO_COMMON_VERSION; a client waits, but not for ever."""
    client, server = fresh(Role.CLIENT, versions=(99,)), fresh(Role.SERVER)
    client.start(CONTROL)
    for event in client.output():
        server.receive(event, 0.0)
    assert server.state is State.CLOSED
    (answer,) = server.output()
    (envelope,) = ends.spoken([answer])
    response = envelope.pdu
    assert isinstance(response, VersionResponse)
    assert (response.version, response.versions) == (0, (1, 2))
    server.settle(5, 0.5)
    assert server.output() == []
    server.settle(0, 0.6)
    assert [event.code for event in server.output() if isinstance(event, Closed)] == [Code.NO_COMMON_VERSION]
    client.receive(answer, 0.0)
    due = client.timer()
    assert due is not None
    client.handle_timer(due)
    assert [event.code for event in client.output() if isinstance(event, Closed)] == [Code.NO_COMMON_VERSION]
    assert client.timer() is None


def test_a_version_that_was_not_offered_is_refused() -> None:
    """[3.1-5]: fatal VERSION."""
    client = fresh(Role.CLIENT, versions=(1, 2))
    client.start(CONTROL)
    client.output()
    hear(client, VersionResponse(version=3, versions=(3,)))
    assert is_fatal(outcome(client), Code.VERSION)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_the_negotiation_has_its_time(role: Role) -> None:
    """[3.1-7]: 10 s, and then NEGOTIATION_TIMEOUT; on the wire as far as there is a stream."""
    end = fresh(role)
    if role is Role.CLIENT:
        end.start(CONTROL)
        end.output()
    assert end.timer() == end.limits.negotiation == 10.0
    end.handle_timer(9.9)
    assert end.output() == []
    end.handle_timer(10.0)
    found = outcome(end, 10.0)
    assert found.closed == Code.NEGOTIATION_TIMEOUT
    assert (found.error is not None) is (role is Role.CLIENT)


def test_a_login_has_its_time() -> None:
    """A6, [4.2-6]: fatal AUTH_FAILED after 15 s without AUTH_OK."""
    end = at(Role.SERVER, State.CHALLENGED)
    end.handle_timer(14.9)
    assert end.output() == []
    end.handle_timer(15.0)
    assert is_fatal(outcome(end, 15.0), Code.AUTH_FAILED)


def test_the_smaller_limit_counts() -> None:
    """[3.1-8]: each from whoever names less, never below the least, and ours where the peer names none."""
    ours = Limits(text=20_000, pipeline=10, ping=5.0)
    theirs = {Limit.TEXT: 30_000, Limit.PIPELINE: 4, Limit.PAGE: 0, Limit.FRAME: 2**40}
    agreed = ours.agree({int(limit): value for limit, value in theirs.items()})
    assert (agreed.text, agreed.pipeline, agreed.page, agreed.frame, agreed.ping) == (20_000, 4, 1, 65_536, 5.0)
    client, server = fresh(Role.CLIENT, limits=ours), fresh(Role.SERVER)
    client.start(CONTROL)
    ends.exchange(client, server)
    for end in (client, server):
        assert (end.limits.text, end.limits.pipeline, end.limits.ping) == (20_000, 10, 5.0)


def test_unknown_limits_and_capabilities_are_ignored() -> None:
    """R0.15, [2.5-8]: they change nothing."""
    server = fresh(Role.SERVER)
    request = VersionRequest(versions=(2,), device=DEVICE, capabilities=(7, 0x1001, 2**32 - 1), limits={99: 1, 40: 0})
    hear(server, request)
    assert server.state is State.AUTHENTICATING
    assert server.limits == Limits()


def test_both_ends_hash_what_was_on_the_wire() -> None:
    """S7, [3.1-10]: the transcript is equal, and another when one byte of either PDU is."""
    client, server = negotiate((1, 2), (1, 2))
    assert client.negotiation.transcript == server.negotiation.transcript
    client, server = fresh(Role.CLIENT), fresh(Role.SERVER)
    client.start(CONTROL)
    (sent,) = client.output()
    assert isinstance(sent, Bytes)
    assert sent.data.count(b"\x82\x01\x02") == 1
    server.receive(Bytes(CONTROL, sent.data.replace(b"\x82\x01\x02", b"\x82\x01\x01")), 0.0)
    ends.exchange(client, server)
    assert (client.version, server.version) == (1, 1)
    assert client.negotiation.transcript != server.negotiation.transcript


def test_a_negotiation_in_another_encoding_is_hashed_as_it_came() -> None:
    """[3.1-10]: never from a re-encoding."""
    server = fresh(Role.SERVER)
    payload = cbor2.dumps({5: {5: DEVICE, 1: [2]}, 1: 1, 0: 1})
    ends.hear_bytes(server, frame.wrap(payload))
    (answer,) = server.output()
    assert isinstance(answer, Bytes)
    (response,) = frames(answer.data)
    assert server.negotiation.transcript == hashlib.sha256(payload + response).digest()
