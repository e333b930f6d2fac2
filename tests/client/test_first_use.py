"""What a client asks, accepts and refuses about a server's key, and what it remembers. (spec 11-security)"""

from __future__ import annotations

import asyncio
import base64
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from quicchat.client.trust import (
    Accept,
    Ask,
    Authority,
    Changed,
    FirstUse,
    KnownHosts,
    Trusted,
    Verdict,
    anchor,
    read_authority,
    settle,
)
from quicchat.client.trusting import place
from tests.client.parties import HOST, Parties, refused


@pytest.fixture
def party(tmp_path: Path) -> Parties:
    return Parties(tmp_path)


def test_trusted_connects_in_silence(party: Parties) -> None:
    """A10: nothing is asked about a server that is known."""
    server = party()
    assert settle(Trusted(server.authority), HOST, 1) == Accept(server.authority)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_is_trusted_with_a_notice(party: Parties, host: str) -> None:
    """Issue 2.8: on a loopback address the first key is trusted with a notice."""
    server = party()
    step = settle(FirstUse(server.authority), host, 55667)
    assert isinstance(step, Accept)
    assert step.remember
    assert server.authority.fingerprint in str(step.notice)


@pytest.mark.parametrize("host", [HOST, "192.0.2.7", "localhost.example", "::2"])
def test_elsewhere_a_person_is_asked(party: Parties, host: str) -> None:
    """[11.1-3] Issue 2.8: the fingerprint is shown; a script is refused with exit 4, and told about --fingerprint."""
    server = party()
    step = settle(FirstUse(server.authority), host, 55667)
    assert isinstance(step, Ask)
    assert server.authority.fingerprint in step.question
    assert step.refusal.exit_code == 4
    assert f"--fingerprint {server.authority.fingerprint}" in str(step.refusal)
    assert step.accept == Accept(server.authority, remember=True, notice=step.accept.notice)


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_a_changed_key_is_refused_with_both_shown(party: Parties, host: str) -> None:
    """[11.1-2], [12.13-5]: A12: server key replaced: the client stops, shows both, needs --accept-new-fingerprint."""
    server, other = party(), party("other")
    verdict = Changed(server.authority, other.authority)
    said = refused(lambda: settle(verdict, host, 55667))
    assert server.authority.fingerprint in said
    assert other.authority.fingerprint in said
    assert "--accept-new-fingerprint" in said
    step = settle(verdict, host, 55667, accept_new=True)
    assert step == Accept(other.authority, remember=True, notice=getattr(step, "notice", None))
    assert other.authority.fingerprint in str(getattr(step, "notice", None))


def test_accept_new_holds_for_the_first_key_too(party: Parties) -> None:
    """Issue 2.8: --accept-new-fingerprint says: the key that the server shows now."""
    server = party()
    step = settle(FirstUse(server.authority), HOST, 1, accept_new=True)
    assert isinstance(step, Accept)
    assert step.remember
    assert step.notice


@pytest.mark.parametrize("write", [str, str.upper, str.lower, lambda text: text.removeprefix("SHA256:")])
@pytest.mark.parametrize("colons", [False, True])
def test_fingerprint_for_scripts(party: Parties, write: Callable[[str], str], colons: bool) -> None:
    """Issue 2.8: --fingerprint trusts exactly this server, however it is written, and nothing is asked."""
    server, other = party(), party("other")
    wanted = write(server.authority.fingerprint)
    if colons:
        digits = server.authority.fingerprint.removeprefix("SHA256:")
        wanted = write("SHA256:" + ":".join(digits[at : at + 2] for at in range(0, 64, 2)))
    assert settle(FirstUse(server.authority), HOST, 1, wanted=wanted) == Accept(server.authority, remember=True)
    assert settle(Trusted(server.authority), HOST, 1, wanted=wanted) == Accept(server.authority)
    changed = Changed(other.authority, server.authority)
    assert settle(changed, HOST, 1, wanted=wanted) == Accept(server.authority, remember=True)


@pytest.mark.parametrize("kind", [FirstUse, Trusted, lambda other: Changed(Authority(b""), other)])
def test_another_fingerprint_than_wanted(party: Parties, kind: Callable[[Authority], Verdict]) -> None:
    """Issue 2.8: --fingerprint wins over all else: over what is known, loopback, and --accept-new-fingerprint."""
    wanted, other = party().authority.fingerprint, party("other").authority
    said = refused(lambda: settle(kind(other), "localhost", 1, wanted=wanted, accept_new=True))
    assert other.fingerprint in said
    assert wanted in said


@dataclass
class Person:
    """Answers a question, and sees what is printed."""

    answer: bool = False
    heard: str = ""
    asked: str = ""
    remembered: Authority | None = None

    async def ask(self, question: str) -> bool:
        self.asked = question
        return self.answer

    def hear(self, notice: str) -> None:
        self.heard = notice

    def remember(self, authority: Authority) -> None:
        self.remembered = authority

    def go(self, step: Accept | Ask, *, there: bool = True) -> bytes:
        return asyncio.run(anchor(step, self.remember, self.hear, self.ask if there else None))


def test_asked_and_answered(party: Parties) -> None:
    """Issue 2.8: yes is remembered, no and silence are not."""
    server = party()
    step = settle(FirstUse(server.authority), HOST, 1)
    yes, no, nobody = Person(answer=True), Person(answer=False), Person()
    assert yes.go(step) == server.authority.pem
    assert (yes.remembered, yes.heard) == (server.authority, "")
    assert server.authority.fingerprint in yes.asked
    assert "not trusted" in refused(lambda: no.go(step))
    assert "--fingerprint" in refused(lambda: nobody.go(step, there=False))
    assert no.remembered is nobody.remembered is None


def test_what_needs_no_answer(party: Parties) -> None:
    """Issue 2.8: on loopback a script connects, with a notice, and nothing is asked."""
    server, script = party(), Person()
    pem = script.go(settle(FirstUse(server.authority), "localhost", 1), there=False)
    assert x509.load_pem_x509_certificate(pem) == x509.load_der_x509_certificate(server.chain[1])
    assert server.authority.fingerprint in script.heard
    assert script.remembered == server.authority
    again = Person()
    again.go(settle(Trusted(server.authority), HOST, 1))
    assert again == Person()


def test_known_hosts(tmp_path: Path, party: Parties) -> None:
    """Issue 2.8: known_hosts by host:port, one readable line each, mode 0600."""
    one, two = party().authority, party("other").authority
    file = tmp_path / "client" / "known_hosts"
    hosts = KnownHosts(file)
    assert hosts.find(HOST, 1) is None
    hosts.remember(HOST, 1, one)
    hosts.remember("::1", 1, two)
    hosts.remember("Chat.Example", 2, two)
    assert KnownHosts(file).find("CHAT.example", 1) == one
    assert KnownHosts(file).find("::1", 1) == two
    assert KnownHosts(file).find(HOST, 2) == two
    assert KnownHosts(file).find(HOST, 11) is None
    assert KnownHosts(file).find("chat", 1) is None
    first = file.read_text().splitlines()[0]
    assert first == f"{HOST}:1 {one.fingerprint} {base64.b64encode(one.der).decode()}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_key_replaces_the_old_line(tmp_path: Path, party: Parties) -> None:
    """A12: one line a server; comments and other lines stay as they are."""
    one, two = party().authority, party("other").authority
    file = tmp_path / "known_hosts"
    file.write_text("# mine\n\nsomething else\n")
    hosts = KnownHosts(file)
    hosts.remember("a", 1, one)
    hosts.remember("b", 1, one)
    hosts.remember("a", 1, two)
    assert hosts.find("a", 1) == two
    assert [line.split(" ")[0] for line in file.read_text().splitlines()] == ["#", "", "something", "b:1", "a:1"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.rsplit(" ", 1)[0],
        lambda line: line[:-8],
        lambda line: line.replace(" ", "  "),
        lambda line: line.replace("SHA256:", "SHA256:0"),
        lambda line: line[:-1] + "!",
    ],
)
def test_a_spoiled_line_is_no_first_use(tmp_path: Path, party: Parties, spoil: Callable[[str], str]) -> None:
    """A12: a line that makes no sense is refused, not asked about as if the server were new."""
    file = tmp_path / "known_hosts"
    hosts = KnownHosts(file)
    hosts.remember("b", 1, party().authority)
    hosts.remember("a", 1, party().authority)
    lines = file.read_text().splitlines()
    file.write_text(f"{lines[0]}\n{spoil(lines[1])}\n")
    assert f"{file}:2" in refused(lambda: hosts.find("a", 1))
    assert hosts.find("b", 1) == party().authority


def test_a_file_that_cannot_be_used(tmp_path: Path, party: Parties) -> None:
    """Issue 2.10: one clear line, no traceback."""
    file = tmp_path / "known_hosts"
    file.mkdir()
    assert "directory" in refused(lambda: KnownHosts(file).find("a", 1))
    assert "directory" in refused(lambda: KnownHosts(file).remember("a", 1, party().authority))
    file.rmdir()
    file.write_bytes(b"\xff")
    assert "UTF-8" in refused(lambda: KnownHosts(file).find("a", 1))
    assert str(file) in refused(lambda: KnownHosts(file / "below").remember("a", 1, party().authority))


def test_many_clients_at_once(tmp_path: Path, party: Parties) -> None:
    """R1.3: clients that start together lose none of what the others learned."""
    authority, file = party().authority, tmp_path / "known_hosts"
    start = threading.Barrier(8)

    def client(number: int) -> None:
        start.wait(10)
        for port in range(1, 6):
            KnownHosts(file).remember(f"host{number}", port, authority)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = {line.split(" ")[0] for line in file.read_text().splitlines()}
    assert found == {f"host{number}:{port}" for number in range(8) for port in range(1, 6)}


def test_places() -> None:
    """Issue 2.8: host:port as people write it."""
    assert [place("A.b", 1), place("::1", 2), place("127.0.0.1", 3)] == ["a.b:1", "[::1]:2", "127.0.0.1:3"]


def test_ca_file(tmp_path: Path, party: Parties) -> None:
    """Issue 2.8: --ca is an anchor; what is none is refused with exit 4."""
    party()
    file = tmp_path / "server" / "certs" / "ca.pem"
    assert read_authority(file) == file.read_bytes()
    assert "no certificate" in refused(lambda: read_authority(tmp_path / "server" / "certs" / "ca.key"))
    assert "No such file" in refused(lambda: read_authority(tmp_path / "none"))
