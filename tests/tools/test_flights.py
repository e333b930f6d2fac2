"""The flight recorder: what is left of a connection that ended with a fault, and that it can be played again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import pytest

from quicchat.__main__ import client_config, server_config
from quicchat.client.api import Chat
from quicchat.client.chance import Surroundings
from quicchat.client.login import Identity
from quicchat.errors import Code
from quicchat.protocol.connection import Connection, Lost
from quicchat.protocol.events import Bytes, Datagram
from quicchat.protocol.negotiation import Hello
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.app import open_house
from quicchat.tools.scenario import main
from quicchat.tools.scenario.stranger import Caller
from quicchat.tools.specgen.instances import full
from quicchat.transport.link import Link
from quicchat.transport.masking import Mask
from quicchat.transport.memory import Network
from quicchat.transport.recorder import EACH, FEW, MOST, Flight, Note, Recorder
from quicchat.transport.shelf import FILES, PAUSE, Shelf
from quicchat.transport.shelf import written as lines_of
from quicchat.wire import codec, frame
from quicchat.wire.chapters.messages import Kind, Message, Post
from quicchat.wire.chapters.session import Echo, Purpose, StreamOpen, VersionRequest
from quicchat.wire.registry import REGISTRY, Pdu, Role
from quicchat.wire.states import State
from tests.server.house import OPEN, VirtualClock, play

SECRET = "the eagle lands at noon"


@asynccontextmanager
async def house(flights: Shelf | None = None) -> AsyncIterator[tuple[Network, list[Link]]]:
    """A server in virtual time, its network, and the server's ends of the links."""
    network, links = Network(latency=0.005), []
    async with open_house(MemoryStore(), VirtualClock(), OPEN, flights=flights) as door:

        def accept(link: Link) -> None:
            links.append(link)
            door.accept(link)

        network.listen(accept)
        yield network, links


def packed(pdu: Pdu, version: int = 2, id: int | None = 1) -> bytes:
    return frame.wrap(codec.encode(pdu, version=version, id=id))


def written(path: Path) -> list[str]:
    (file,) = path.glob("*.chat")
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_text().splitlines()


def again(path: Path) -> int:
    """Play what is there; the exit code."""
    return main.play([str(each) for each in sorted(path.glob("*.chat"))], client_config, server_config)


def at_the_server(path: Path, user: str | None, *said: bytes) -> None:
    """A connection that says something bad, to a server that keeps its flight."""

    async def scenario() -> None:
        async with house(Shelf(path)) as (network, _):
            caller = Caller(network.dial(), user, 2 if user else None)
            await caller.begin()
            for each in said:
                await caller.give(Bytes(0, each))
            await asyncio.sleep(5)

    play(scenario)


POST = Post(room="general", cid=b"c" * 16, text=SECRET, kind=None)
REQUEST = VersionRequest(versions=(1, 2), agent="spy", device=bytes(16))


@pytest.mark.parametrize(
    ("user", "said", "code"),
    [
        ("x", [packed(POST), b"\x04\xa1\x00\xff\xff"], "DECODE"),
        ("x", [packed(POST), frame.wrap(b"\xa3\x00\x02\x01\x18\x30\x05\xa1\x01\x01")], "SCHEMA"),
        ("x", [packed(POST), b"\x80\x20\x00\x00"], "FRAME_TOO_LARGE"),
        ("x", [packed(Echo(data=SECRET), version=1)], "VERSION"),
        (None, [packed(REQUEST, 1), packed(POST)], "STATE"),
        (None, [packed(REQUEST, 1), b"\x06" + SECRET[:6].encode()], "DECODE"),
        (None, [packed(Echo(data=SECRET), version=1)], "STATE"),
    ],
)
def test_the_flight_of_a_server_is_played_again(
    user: str | None, said: list[bytes], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """[12.18-4] [12.18-5]: whoever breaks the protocol leaves a scenario that ends as he did, and nothing he said."""
    at_the_server(tmp_path, user, *said)
    lines = written(tmp_path)
    assert lines[-1] == f"x is closed {code}"
    assert ("x logs in in version 2" if user else "x dials") in "\n".join(lines)
    assert SECRET[:6] not in "\n".join(lines)
    assert SECRET.encode().hex()[:12] not in "\n".join(lines)
    assert again(tmp_path) == 0, capsys.readouterr().out


def test_a_mistake_of_ours_is_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.18-4]: what brought a handler down does it again, and where the bug is mended the scenario says so."""

    async def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("planted")

    with monkeypatch.context() as planted:
        planted.setattr(MemoryLog, "append", broken)
        at_the_server(tmp_path, "x", packed(POST))
        assert written(tmp_path)[-1] == "x is closed INTERNAL"
        assert again(tmp_path) == 0
    assert again(tmp_path) == 1


def test_the_flight_of_a_client_is_played_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[12.18-4] [12.18-5]: a server that breaks the protocol leaves one at the client, before and after a login."""

    async def scenario(bad: bytes, wait: bool, path: Path) -> None:
        async with house() as (network, links):
            around = Surroundings(flights=Shelf(path))
            chat = Chat(network.dial(), surroundings=around)
            if wait:
                await chat.open(Identity(user="alice", password=SECRET, sign_up=True, iterations=1))
                await chat.post("general", SECRET)
            else:
                await chat._negotiated
            links[0].send(0, bad)
            await asyncio.sleep(5)
            assert chat.lost is not None
            await chat.close()

    bad = Message(room="general", epoch=1, seq=9, cid=bytes(16), sender="bob", kind=Kind.TEXT, ts=1, text=SECRET)
    for number, (data, wait) in enumerate([(packed(bad, 1), True), (b"\x01\xff", True), (packed(bad, id=None), False)]):
        path = tmp_path / str(number)
        play(lambda data=data, wait=wait, path=path: scenario(data, wait, path))  # type: ignore[misc]
        lines = written(path)
        assert lines[-1] == f"x is closed {('VERSION', 'DECODE', 'STATE')[number]}"
        assert SECRET not in "\n".join(lines)
        assert again(path) == 0, capsys.readouterr().out


def test_what_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    """[12.18-4]: only faults do; and it can be switched off."""
    assert (client_config([], {}).flights, server_config([], {}).flights) == (True, True)
    assert not client_config(["--no-flights"], {}).flights
    assert not server_config([], {"QUICCHAT_FLIGHTS": "no"}).flights

    async def scenario() -> None:
        async with house(Shelf(tmp_path)) as (network, _):
            chat = Chat(network.dial(), surroundings=Surroundings(flights=Shelf(tmp_path)))
            await chat.open(Identity(user="alice", password="secret", sign_up=True, iterations=1))
            await chat.post("general", SECRET)
            await chat.close()

    play(scenario)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.18-4]: the last 200 events and 64 kB of a connection; 20 files, and not more than one in 5 seconds."""
    landed: list[Flight] = []
    recorder = Recorder(landed.append)
    for size in (10, 1_000):
        for at in range(3 * MOST):
            recorder.note(at, State.READY, True, Bytes(0, bytes(size)))
        assert len(recorder._kept) <= MOST
        assert sum(len(each[3].data) for each in recorder._kept if isinstance(each[3], Bytes)) <= MOST * EACH
    connection = Connection(Role.SERVER, Hello(), now=0.0, wall=0.0)
    recorder.end(connection, Lost(Code.NO_ERROR, "", False))
    assert landed == []
    recorder.note(0, State.READY, True, Datagram(b"x"))
    recorder.end(connection, Lost(Code.DECODE, "", False))
    assert (len(landed[0].notes), landed[0].whole) == (1, False)
    shelf, now = Shelf(tmp_path), [1_000.0]
    monkeypatch.setattr("quicchat.transport.shelf.time.monotonic", lambda: now[0])
    for _ in range(2 * FILES):
        shelf.keep(landed[0])
        shelf.keep(landed[0])
        now[0] += PAUSE
    files = sorted(tmp_path.glob("*.chat"))
    assert len(files) == FILES
    assert files[-1].name.endswith(f"-{2 * FILES:03}-decode.chat")


def test_the_last_event_is_kept_however_large_it_is() -> None:
    """[12.18-4]: it may be the fault; without it nothing would end as it did."""
    landed: list[Flight] = []
    recorder = Recorder(landed.append, FEW)
    recorder.note(0, State.READY, True, Bytes(0, b"small"))
    recorder.note(1, State.READY, True, Bytes(0, bytes(2 * FEW * EACH)))
    recorder.end(Connection(Role.SERVER, Hello(), now=0.0, wall=0.0), Lost(Code.FRAME_TOO_LARGE, "", False))
    assert ([each.at for each in landed[0].notes], landed[0].whole) == ([1], False)


def test_a_shelf_that_cannot_be_written_hurts_nobody(tmp_path: Path) -> None:
    """[12.18-4]: a full disk, or a file in the way, is a line in the log."""
    (tmp_path / "flights").write_text("in the way")
    Shelf(tmp_path / "flights").keep(Flight(Role.SERVER, 2, Code.DECODE, False, [], True))


@pytest.mark.parametrize("pdu", [full(each, 2) for each in REGISTRY], ids=lambda each: type(each).__name__)
def test_masked_pdus_keep_their_shape(pdu: Pdu) -> None:
    """[12.18-5]: of every PDU there is, texts and bytes are others of the same length, and it is still that PDU."""
    before = codec.encode(pdu, version=2)
    after, told = Mask().payload(before)
    assert len(after) == len(before)
    assert pdu.SPEC.name in told
    old, new = codec.parse(before), codec.parse(after)
    assert _shape(old) == _shape(new)
    for each in pdu.SPEC.fields:
        value = getattr(pdu, each.name)
        if isinstance(value, bytes) and len(value) > 3:
            assert value not in after


def _shape(item: Any) -> Any:
    match item:
        case str() | bytes():
            return type(item), len(item.encode() if isinstance(item, str) else item)
        case dict():
            return {key: _shape(each) for key, each in item.items()}
        case list():
            return [_shape(each) for each in item]
    return item


def _note(data: bytes, sid: int = 0) -> Note:
    return Note(0.0, State.READY, True, Bytes(sid, data))


def _flight(*notes: Note, whole: bool = True) -> list[str]:
    found = Flight(Role.SERVER, 2, Code.SCHEMA, False, notes, whole)
    return lines_of(found, datetime.fromtimestamp(0, UTC))


def test_what_somebody_calls_a_room_is_no_line_of_the_script() -> None:
    """[12.18-5]: a name that is none may hold anything: it ends no line, and does nothing to a terminal."""
    item = {0: 2, 1: Post.SPEC.number, 2: 1, 5: {1: "general\nserver --rate 0\n\x1b[2J", 2: bytes(16), 3: SECRET}}
    lines = _flight(_note(frame.wrap(cbor2.dumps(item))))
    assert all(each.isprintable() for each in lines)
    assert [each for each in lines if each.startswith("server")] == ["server"]


def test_of_a_torn_frame_nothing_is_kept() -> None:
    """[12.18-5]: neither of what comes behind the first half of a frame, nor of raw bytes whose header is gone."""
    whole = packed(POST)
    cut = whole.index(SECRET.encode())
    lines = _flight(_note(whole[:cut]), _note(whole[cut:] + b"\xc0" + b"\xff" * 7))
    assert lines[-2].startswith("x gives bytes 0 ff")
    assert SECRET.encode().hex()[:6] not in "\n".join(lines)
    header = packed(StreamOpen(kind=Purpose.ROOM, room="general"))
    begun = [_note(header, 8), _note(packed(POST), 8)]
    lines = _flight(_note(b"\x85" + SECRET.encode(), 4), _note(packed(POST), 4), *begun, whole=False)
    played = [each for each in lines if each.startswith("x gives")]
    assert [each.split(" ")[:4] for each in played] == [["x", "gives", "bytes", "8"]] * 2
    assert SECRET.encode().hex()[:6] not in "\n".join(lines)
