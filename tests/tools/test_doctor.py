"""The doctor: each failure of a connection as it is met on a real network, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quicchat.__main__ import main
from quicchat.client.identity import Identity
from quicchat.client.trust import KnownHosts, authorities
from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.protocol import scram
from quicchat.server.adapters.clock import SystemClock
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.app import open_house
from quicchat.server.model import Policy
from quicchat.tools.doctor import trust, way
from quicchat.tools.doctor.finding import Finding, Mark
from quicchat.tools.doctor.main import examined
from quicchat.tools.doctor.trust import believe
from quicchat.transport import endpoint as endpoint_module
from quicchat.transport.endpoint import Endpoint, listen
from quicchat.transport.identity import Identity as Certificate
from quicchat.transport.link import Link
from quicchat.wire.names import User
from tests.certs import Authority
from tests.netem import Netem

pytestmark = pytest.mark.socket

AUTHORITY = Authority()
OPEN = Policy(signup="open", least_iterations=1)
ALICE = Identity(user="alice", password="correct horse", iterations=1, least_iterations=1)


class Late(SystemClock):
    """A clock that is an hour behind."""

    def now(self) -> int:
        return super().now() - 3_600_000


def chain_of(certificate: Certificate) -> list[bytes]:
    return [each.der for each in authorities(certificate.chain)]


def settings(port: int, home: Path, **others: Any) -> ClientConfig:
    return ClientConfig(**{"host": "127.0.0.1", "port": port, "data": home, "connect_timeout": 2.0, **others})


@asynccontextmanager
async def serving(
    certificate: Certificate | None = None, on_link: Callable[[Link], None] | None = None
) -> AsyncIterator[Endpoint]:
    """A port with a real handshake behind it, and whatever `on_link` makes of it."""
    links: list[Link] = []
    endpoint = await listen([("127.0.0.1", 0)], certificate or AUTHORITY.issue(), on_link or links.append)
    try:
        yield endpoint
    finally:
        await endpoint.close()


def port_of(endpoint: Endpoint) -> int:
    return endpoint.addresses[0][1]


async def found(config: ClientConfig, who: Identity | None = None) -> dict[str, Finding]:
    async with asyncio.timeout(20):
        return {each.step: each async for each in examined(config, who)}


def last(findings: dict[str, Finding]) -> tuple[str, Mark, int, Any]:
    """The step it ended at, how, with which exit code, and why."""
    step, finding = list(findings.items())[-1]
    return step, finding.mark, finding.code, finding.facts.get("reason")


def run(play: Callable[[], Any]) -> Any:
    return asyncio.run(play())


def test_healthy(tmp_path: Path) -> None:
    """[12.18-1] [12.18-2]: where nothing is wrong each step says so, the login too, and nothing is left behind."""

    async def play() -> None:
        store = await with_alice()
        async with open_house(store, SystemClock(), OPEN) as door, serving(on_link=door.accept) as endpoint:
            findings = await found(settings(port_of(endpoint), tmp_path), ALICE)
            assert list(findings) == [*way_steps, *server_steps, "login", "echo"]
            assert {each.mark for each in findings.values()} == {Mark.OK}
            assert findings["tickets"].facts == {"early": True}
            assert findings["version"].facts["version"] == 2
            # Its token is no good any more, and so it is not among her sessions.
            assert [each.expires for each in await store.accounts.devices(User("alice"), limit=8)] == [0]

    way_steps = ["name", "route", "udp", "mtu"]
    server_steps = ["protocol", "certificate", "version", "clock", "rtt", "datagrams", "tickets"]
    run(play)
    assert list(tmp_path.iterdir()) == []


async def with_alice() -> MemoryStore:
    """A store in which she has an account."""
    store, salt = MemoryStore(), bytes(16)
    keys = scram.credentials_from(scram.salted(ALICE.password or "", salt, 1), salt, 1)
    await store.accounts.sign_up(User("alice"), keys, at=0)
    return store


def test_wrong_password(tmp_path: Path) -> None:
    """[12.18-2]: who is not let in learns why, with the exit code of a login."""

    async def play() -> None:
        async with open_house(MemoryStore(), SystemClock(), OPEN) as door, serving(on_link=door.accept) as end:
            findings = await found(settings(port_of(end), tmp_path), ALICE)
            assert last(findings) == ("login", Mark.FAILED, 5, "AUTH_FAILED")

    run(play)


def test_no_login_where_nobody_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.18-1]: a server that is new and elsewhere is told nothing of a password."""
    monkeypatch.setattr(trust, "is_loopback", lambda _: False)

    async def play() -> None:
        async with open_house(MemoryStore(), SystemClock(), OPEN) as door, serving(on_link=door.accept) as end:
            findings = await found(settings(port_of(end), tmp_path), ALICE)
            assert findings["certificate"].mark is Mark.WARNING
            assert last(findings) == ("login", Mark.FAILED, 4, "trust")

    run(play)


def test_closed_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[12.18-2]: a port where nobody listens is told from silence, on the command line too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["doctor", f"127.0.0.1:{port}", "--json", "--data", str(tmp_path)]) == 3
    *steps, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(each["step"], each["mark"]) for each in steps] == [("name", "ok"), ("route", "ok"), ("udp", "failed")]
    assert steps[-1]["reason"] == "refused"
    assert (end["event"], end["healthy"], end["code"], end["skipped"][0]) == ("diagnosis", False, 3, "mtu")
    assert main(["doctor", f"[::ffff:127.0.0.1]:{port}", "--data", str(tmp_path)]) == 3


def test_places_that_are_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """[12.18-2]: what is no place is a usage error, said before anything is looked at."""
    for words in (["a:99999"], ["a:b"], ["a:1", "-p", "2"], ["a", "-s", "b"], [":5000"], ["a", "b"]):
        assert main(["doctor", *words, "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("answer", "reason"), [(b"", "silent"), (b"no", "foreign")])
def test_no_quic(answer: bytes, reason: str, tmp_path: Path) -> None:
    """[12.18-2]: packets that vanish, as in a firewall, are told from a closed port, and from who speaks no QUIC."""

    async def play() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            other.setblocking(False)
            if answer:
                loop = asyncio.get_running_loop()
                loop.add_reader(other, lambda: other.sendto(answer, other.recvfrom(65_535)[1]))
            findings = await found(settings(other.getsockname()[1], tmp_path, connect_timeout=0.3))
            asyncio.get_running_loop().remove_reader(other)
            assert last(findings) == ("udp", Mark.FAILED, 3, reason)
            assert ("firewall" in findings["udp"].advice[0]) is (not answer)

    run(play)


def test_old_quic(tmp_path: Path) -> None:
    """[12.18-2]: who speaks other versions of QUIC only is named by them."""

    async def play() -> None:
        draft = 0xFF00001D
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
            old.bind(("127.0.0.1", 0))
            old.setblocking(False)

            def answer() -> None:
                data, address = old.recvfrom(65_535)
                to, sender = data[6:14], data[15:23]
                old.sendto(b"\x80\0\0\0\0\x08" + sender + b"\x08" + to + draft.to_bytes(4, "big"), address)

            asyncio.get_running_loop().add_reader(old, answer)
            findings = await found(settings(old.getsockname()[1], tmp_path))
            asyncio.get_running_loop().remove_reader(old)
            assert last(findings) == ("udp", Mark.FAILED, 3, None)
            assert "0xff00001d" in findings["udp"].text

    run(play)


def test_quiet_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[12.18-2]: a server that answers only QUIC versions which it knows is there all the same."""
    monkeypatch.setattr(endpoint_module, "negotiation", lambda *_: b"")

    async def play() -> None:
        async with open_house(MemoryStore(), SystemClock(), OPEN) as door, serving(on_link=door.accept) as end:
            findings = await found(settings(port_of(end), tmp_path, connect_timeout=0.5))
            assert findings["udp"].facts["reason"] == "quiet"
            assert last(findings)[1:3] == (Mark.OK, 0)

    run(play)


def test_another_service(tmp_path: Path) -> None:
    """[12.18-2]: a web server at this port is called one."""

    async def play() -> None:
        async with serving() as endpoint:
            endpoint._quic_configuration.alpn_protocols = ["h3"]
            with suppress(KeyError):
                findings = await found(settings(port_of(endpoint), tmp_path))
            assert last(findings) == ("protocol", Mark.FAILED, 3, "another service")
            assert "HTTP/3" in findings["protocol"].text

    run(play)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (AUTHORITY.issue(days=-1), "expired"),
        (AUTHORITY.issue(days=16), "not yet valid"),
        (AUTHORITY.issue(["chat.example"]), "name"),
    ],
    ids=["expired", "not yet valid", "wrong name"],
)
def test_unfit_certificates(certificate: Certificate, reason: str, tmp_path: Path) -> None:
    """[12.18-2]: what is wrong with a certificate is told apart; the exit code is that of certificates."""

    async def play() -> None:
        async with serving(certificate) as endpoint:
            findings = await found(settings(port_of(endpoint), tmp_path))
            assert last(findings) == ("certificate", Mark.FAILED, 4, reason)

    run(play)


def test_changed_key(tmp_path: Path) -> None:
    """[12.18-1] [12.18-2]: of a key that changed both fingerprints are told, and the old one stays."""
    old = authorities(Authority().issue().chain)[-1]

    async def play() -> None:
        certificate = AUTHORITY.issue()
        new = authorities(certificate.chain)[-1]
        async with serving(certificate) as endpoint:
            known = KnownHosts(tmp_path / "known_hosts")
            known.remember("127.0.0.1", port_of(endpoint), old)
            before = (tmp_path / "known_hosts").read_bytes()
            findings = await found(settings(port_of(endpoint), tmp_path))
            assert last(findings) == ("certificate", Mark.FAILED, 4, "changed")
            assert old.fingerprint in findings["certificate"].text
            assert new.fingerprint in findings["certificate"].text
            assert (tmp_path / "known_hosts").read_bytes() == before

    run(play)


def test_whom_to_believe(tmp_path: Path) -> None:
    """[12.18-2]: a new server, --ca and --fingerprint are judged as a client would judge them."""
    now = datetime.now(UTC)
    certificate = AUTHORITY.issue(["chat.example"])
    chain = chain_of(certificate)
    shown = authorities(certificate.chain)[-1].fingerprint
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.trust.ca_pem or b"")
    (tmp_path / "other.pem").write_bytes(Authority().trust.ca_pem or b"")
    config = settings(1, tmp_path, host="chat.example")

    def judged(**others: Any) -> tuple[Mark, Any, bool]:
        belief = believe(settings(1, tmp_path, host="chat.example", **others), chain, now)
        return belief.finding.mark, belief.finding.facts.get("reason"), belief.sure

    assert judged() == (Mark.WARNING, "unknown", False)
    assert judged(ca=tmp_path / "ca.pem") == (Mark.OK, None, True)
    assert judged(ca=tmp_path / "other.pem") == (Mark.FAILED, "ca", False)
    assert judged(fingerprint=shown) == (Mark.OK, None, True)
    assert judged(fingerprint="SHA256:" + "0" * 64) == (Mark.FAILED, "fingerprint", False)
    soon = believe(settings(1, tmp_path, host="chat.example", fingerprint=shown), chain, now + timedelta(days=12.5))
    assert soon.finding.facts["reason"] == "ends soon"
    torn = [chain[0], chain_of(Authority().issue())[-1]]
    assert believe(config, torn, now).finding.facts["reason"] == "chain"
    assert believe(config, [], now).finding.facts["reason"] == "chain"
    for unfit in (tmp_path / "missing.pem", Path(__file__)):
        with pytest.raises(UsageError, match=unfit.name):
            judged(ca=unfit)


def test_no_common_version(tmp_path: Path) -> None:
    """[12.18-2]: where no version is common, both lists are told."""

    async def play() -> None:
        async with open_house(MemoryStore(), SystemClock(), OPEN) as door, serving(on_link=door.accept) as end:
            findings = await found(settings(port_of(end), tmp_path, versions=(9,)))
            assert last(findings) == ("version", Mark.FAILED, 3, "no common version")
            assert "1..2" in findings["version"].text
            assert "9" in findings["version"].text

    run(play)


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    """[12.18-2]: a handshake is no proof that anybody serves."""

    async def play() -> None:
        async with serving() as endpoint:
            findings = await found(settings(port_of(endpoint), tmp_path, connect_timeout=0.5))
            assert last(findings) == ("version", Mark.FAILED, 3, "silent")

    run(play)


def test_lesser_faults(tmp_path: Path) -> None:
    """[12.18-2]: a wrong clock, small packets, no datagrams and no tickets are told, and nobody fails for them."""

    async def play() -> None:
        async with open_house(MemoryStore(), Late(), OPEN) as door, serving(on_link=door.accept) as endpoint:
            endpoint._quic_configuration.max_datagram_frame_size = None
            endpoint._tickets = None  # type: ignore[assignment]
            proxy = Netem(server=("127.0.0.1", port_of(endpoint)), mtu=1300)
            findings = await found(settings(proxy.address[1], tmp_path))
            assert 3_590 < -findings["clock"].facts["seconds"] < 3_610
            assert findings["mtu"].facts["bytes"] == 1280
            warned = [step for step, each in findings.items() if each.mark is Mark.WARNING]
            assert warned == ["mtu", "clock", "datagrams", "tickets"]
            assert not any(each.code for each in findings.values())
            proxy.close()

    run(play)


@pytest.mark.parametrize(
    ("addresses", "error", "expected"),
    [
        ([], socket.gaierror(socket.EAI_NONAME, "?"), ("name", Mark.FAILED, 3, "no such host")),
        ([], socket.gaierror(socket.EAI_AGAIN, "?"), ("name", Mark.FAILED, 3, "resolver")),
        (["2001:db8::1"], None, ("route", Mark.FAILED, 3, "no ipv6")),
        (["192.0.2.1", "2001:db8::1"], None, ("route", Mark.FAILED, 3, "no route")),
    ],
)
def test_names_and_routes(
    addresses: list[str],
    error: OSError | None,
    expected: tuple[Any, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[12.18-2]: a name that is not known, one that nobody can ask for, and addresses without a way to them."""

    def looked_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if error is not None:
            raise error
        families = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in addresses]
        return [(each, 2, 17, "", (host, port)) for each, host in zip(families, addresses, strict=True)]

    def nowhere(family: int, remote: Any) -> str:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(way, "_local", nowhere)

    async def play() -> None:
        assert last(await found(settings(1, tmp_path, host="chat.example"))) == expected

    run(play)


def test_a_network_of_its_own(tmp_path: Path) -> None:
    """[12.18-2]: without a network, and on one with small packets, the system's own errors are explained."""
    within = ["unshare", "-rn", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*within, "ip link set lo up"], check=False).returncode:
        pytest.skip("no network namespaces here")
    doctor = f'"{sys.executable}" -m quicchat doctor --json --data "{tmp_path}" --connect-timeout 0.3'
    script = f"{doctor} [2001:db8::1]:5000; ip link set lo mtu 1000 up; {doctor} 127.0.0.1:5000; {doctor} 192.0.2.1"
    done = subprocess.run([*within, script], check=False, capture_output=True, text=True, timeout=30)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["reason"] for each in told if each.get("mark") == "failed"] == ["no ipv6", "mtu", "no route"]
    assert done.returncode == 3
