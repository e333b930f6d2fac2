"""Reaching a server over real sockets: who is believed, what is remembered, and what is said where there is none."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from quicchat.client.api import Chat, connect, meet
from quicchat.client.connect import Trusting
from quicchat.client.device import device_in
from quicchat.client.login import Identity
from quicchat.client.trust import Authority, KnownHosts
from quicchat.errors import Code, LinkLost, UsageError
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import open_house
from quicchat.server.model import Policy
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.identity import Identity as Shown
from quicchat.wire.chapters.messages import Message
from quicchat.wire.names import GENERAL
from tests.client.parties import Parties, Party

pytestmark = pytest.mark.socket

HOST = "127.0.0.1"
POLICY = Policy(signup="open", least_iterations=1)


@dataclass
class Place:
    """A server's port, and the way to change whom it poses as."""

    endpoint: Endpoint

    @property
    def port(self) -> int:
        return self.endpoint.addresses[0][1]

    def pose(self, party: Party) -> None:
        self.endpoint.set_identity(shown(party))


def shown(party: Party) -> Shown:
    return Shown(party.certificate.chain, party.certificate.key)


@asynccontextmanager
async def serving(party: Party, host: str = HOST) -> AsyncIterator[Place]:
    async with open_house(MemoryStore(), SystemClock(), POLICY) as door:
        endpoint = await listen([(host, 0)], shown(party), door.accept)
        try:
            yield Place(endpoint)
        finally:
            endpoint.stop_accepting()
            await endpoint.close()


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


@pytest.fixture
def party(tmp_path: Path) -> Parties:
    return Parties(tmp_path / "parties")


@pytest.fixture
def trusting(tmp_path: Path) -> Trusting:
    return Trusting(known_hosts=tmp_path / "client" / "known_hosts")


async def visited(port: int, trusting: Trusting) -> list[str]:
    """Connect and leave again; the notices."""
    notices: list[str] = []
    chat = await meet(HOST, port, trusting=replace(trusting, notice=notices.append))
    assert chat.version == 2
    await chat.close()
    return notices


async def refusal(port: int, trusting: Trusting) -> str:
    with pytest.raises(UsageError) as caught:
        await meet(HOST, port, trusting=trusting)
    assert caught.value.exit_code == 4
    return str(caught.value)


def known(trusting: Trusting, port: int) -> Authority | None:
    assert trusting.known_hosts is not None
    return KnownHosts(trusting.known_hosts).find(HOST, port)


def test_the_first_key_is_trusted_with_a_notice_and_remembered(party: Parties, trusting: Trusting) -> None:
    """Issue item 8: on a loopback address the first key is trusted, once, with its fingerprint shown; then silence."""

    async def scenario() -> None:
        server = party()
        async with serving(server) as place:
            (notice,) = await visited(place.port, trusting)
            assert server.authority.fingerprint in notice
            assert known(trusting, place.port) == server.authority
            assert await visited(place.port, trusting) == []

    play(scenario())


def test_a_known_server_is_dialled_once(party: Parties, trusting: Trusting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A10: with a known CA as the anchor TLS itself decides; nothing is probed first."""

    async def scenario() -> None:
        async with serving(party()) as place:
            await visited(place.port, trusting)
            monkeypatch.setattr("quicchat.client.connect.probe", None)
            assert await visited(place.port, trusting) == []

    play(scenario())


def test_another_key_is_refused_until_it_is_accepted(party: Parties, trusting: Trusting) -> None:
    """A10, A12: a changed key ends with exit code 4 and both fingerprints; accepting it once makes it the known one."""

    async def scenario() -> None:
        first, second = party("first"), party("second")
        async with serving(first) as place:
            await visited(place.port, trusting)
            place.pose(second)
            text = await refusal(place.port, trusting)
            assert first.authority.fingerprint in text
            assert second.authority.fingerprint in text
            assert known(trusting, place.port) == first.authority
            (notice,) = await visited(place.port, replace(trusting, accept_new=True))
            assert second.authority.fingerprint in notice
            assert await visited(place.port, trusting) == []
            place.pose(first)
            assert first.authority.fingerprint in await refusal(place.port, trusting)

    play(scenario())


def test_a_renewed_leaf_of_the_same_ca_is_the_same_server(party: Parties, trusting: Trusting, tmp_path: Path) -> None:
    """Issue item 8: what is known is the CA: a leaf that was made anew changes nothing."""

    async def scenario() -> None:
        server = party()
        async with serving(server) as place:
            await visited(place.port, trusting)
            (tmp_path / "parties" / "server" / "certs" / "leaf.key").unlink()
            renewed = party()
            assert renewed.certificate.leaf_hash != server.certificate.leaf_hash
            place.pose(renewed)
            assert await visited(place.port, trusting) == []

    play(scenario())


def test_a_fingerprint_decides_for_scripts(party: Parties, trusting: Trusting) -> None:
    """Issue item 8: --fingerprint trusts the one and refuses all others, whatever was known before."""

    async def scenario() -> None:
        first, second = party("first"), party("second")
        async with serving(first) as place:
            right = replace(trusting, fingerprint=first.authority.fingerprint)
            wrong = replace(trusting, fingerprint=second.authority.fingerprint)
            assert second.authority.fingerprint in await refusal(place.port, wrong)
            assert known(trusting, place.port) is None
            await visited(place.port, right)
            assert known(trusting, place.port) == first.authority
            await refusal(place.port, wrong)
            place.pose(second)
            await refusal(place.port, right)
            await visited(place.port, wrong)

    play(scenario())


def test_a_ca_file_decides_alone(party: Parties, trusting: Trusting, tmp_path: Path) -> None:
    """Issue item 8: --ca trusts who is under it, remembers nobody, and refuses everybody else with exit code 4."""

    async def scenario() -> None:
        first, second = party("first"), party("second")
        file = tmp_path / "ca"
        file.write_bytes(first.authority.pem)
        strict = replace(trusting, ca=file)
        async with serving(first) as place:
            assert await visited(place.port, strict) == []
            assert known(trusting, place.port) is None
            place.pose(second)
            assert "not to be trusted" in await refusal(place.port, strict)
            await refusal(place.port, replace(trusting, ca=tmp_path / "none"))

    play(scenario())


def test_elsewhere_a_person_decides(party: Parties, trusting: Trusting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A10: off the loopback a new server is a question; without a person, or for a no, nothing is sent (exit 4)."""
    monkeypatch.setattr("quicchat.client.trust.is_loopback", lambda host: False)
    questions: list[str] = []

    def answering(answer: bool) -> Trusting:
        async def ask(question: str) -> bool:
            questions.append(question)
            return answer

        return replace(trusting, ask=ask)

    async def scenario() -> None:
        server = party()
        async with serving(server) as place:
            assert f"--fingerprint {server.authority.fingerprint}" in await refusal(place.port, trusting)
            assert "nothing was sent" in await refusal(place.port, answering(False))
            assert known(trusting, place.port) is None
            await visited(place.port, answering(True))
            assert known(trusting, place.port) == server.authority
            await visited(place.port, trusting)
        assert len(questions) == 2
        assert all(server.authority.fingerprint in question for question in questions)

    play(scenario())


def test_the_wrong_name_is_refused(party: Parties, trusting: Trusting) -> None:
    """A10: a certificate for another host is not believed, not even at the first visit."""

    async def scenario() -> None:
        async with serving(party(), host="127.0.0.2") as place:
            with pytest.raises(UsageError, match=r"certificate of 127\.0\.0\.2 is for") as caught:
                await meet("127.0.0.2", place.port, trusting=trusting)
            assert caught.value.exit_code == 4

    play(scenario())


def test_nobody_there_is_known_at_once(trusting: Trusting) -> None:
    """R1.4: a closed port is noticed without waiting for a timeout."""

    async def scenario() -> None:
        before = time.monotonic()
        with pytest.raises(LinkLost) as caught:
            await meet(HOST, free_port(), trusting=trusting)
        assert time.monotonic() - before < 2
        assert "nobody answers" in caught.value.reason

    play(scenario())


def test_silence_ends_after_the_timeout(trusting: Trusting) -> None:
    """R1.4, issue item 9: a port that swallows everything is given up after --connect-timeout."""

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((HOST, 0))
            before = time.monotonic()
            with pytest.raises(LinkLost) as caught:
                await meet(HOST, silent.getsockname()[1], trusting=trusting, timeout=0.3)
            assert 0.25 < time.monotonic() - before < 2
            assert caught.value.reason == "no answer within 0.3 s"

    play(scenario())


def test_no_such_host(trusting: Trusting) -> None:
    """R1.4: a name that does not resolve is one clear reason."""

    async def scenario() -> None:
        with pytest.raises(LinkLost) as caught:
            await meet("nowhere.invalid", 55667, trusting=trusting)
        assert "nowhere.invalid" in caught.value.reason

    play(scenario())


def test_versions_are_offered_as_wished(party: Parties, trusting: Trusting) -> None:
    """R3.6: [9, 1] comes to 1; 9 alone to the list that the server speaks."""

    async def scenario() -> None:
        async with serving(party()) as place:
            chat = await meet(HOST, place.port, trusting=trusting, versions=(9, 1))
            assert chat.version == 1
            await chat.close()
            with pytest.raises(LinkLost) as caught:
                await meet(HOST, place.port, trusting=trusting, versions=(9,))
            assert (caught.value.code, caught.value.reason) == (Code.NO_COMMON_VERSION, "server speaks 1..2")

    play(scenario())


def test_a_bot(party: Parties, tmp_path: Path) -> None:
    """Issue item 9: the documented way to write bots: connect, post, listen; a goodbye at the end of the block."""

    async def scenario() -> None:
        async with serving(party()) as place:
            where: dict[str, Any] = {"host": HOST, "port": place.port}
            alice = Identity(user="alice", password="secret", sign_up=True, iterations=1)
            bot = Identity(user="bot", password="secret", sign_up=True, iterations=1)
            async with (
                connect(**where, identity=alice, data=tmp_path / "a") as chat,
                connect(**where, identity=bot, data=tmp_path / "b") as robot,
            ):
                answering = asyncio.get_running_loop().create_task(answer_once(robot))
                await chat.post(GENERAL, "!time")
                async for event in chat:
                    if isinstance(event, Message) and event.sender == "bot" and event.text == "Late.":
                        break
                await answering
            assert chat.lost is not None
            assert chat.lost.code == Code.NO_ERROR
            assert (tmp_path / "a" / "known_hosts").exists()
            assert (tmp_path / "a" / "device").read_bytes() != (tmp_path / "b" / "device").read_bytes()

    async def answer_once(robot: Chat) -> None:
        async for event in robot:
            if isinstance(event, Message) and event.text == "!time":
                await robot.post(event.room, "Late.")
                return

    play(scenario())


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


# The device


def test_a_device_is_made_once(tmp_path: Path) -> None:
    """Protocol §4: 16 random bytes, kept by the installation, readable by nobody else."""
    data = tmp_path / "new" / "client"
    found = device_in(data)
    assert len(found) == 16
    assert device_in(data) == found != device_in(tmp_path / "other")
    assert stat.S_IMODE((data / "device").stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == ["device"]


def test_two_that_start_at_once_are_one_device(tmp_path: Path) -> None:
    """Protocol §7.6: whoever comes first decides for both; else each would lose its place in the log."""
    found: list[bytes] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        found.append(device_in(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def spoil(path: Path) -> None:
    path.write_bytes(b"short")


def expose(path: Path) -> None:
    path.chmod(0o644)


@pytest.mark.parametrize(("harm", "words"), [(spoil, "remove it"), (expose, "chmod 600")])
def test_a_device_that_makes_no_sense_is_said(tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    """Issue item 10: one clear line, exit code 2."""
    device_in(tmp_path)
    harm(tmp_path / "device")
    with pytest.raises(UsageError, match=words) as caught:
        device_in(tmp_path)
    assert caught.value.exit_code == 2


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """Issue item 10: a file in its place is one clear line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        device_in(tmp_path / "file" / "client")
    assert os.listdir(tmp_path) == ["file"]
