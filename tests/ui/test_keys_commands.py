"""`quicchat keys` without a server: what it shows, gives out, takes in and compares. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from quicchat.__main__ import main
from quicchat.client.e2ee import recovery
from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.e2ee.openpgp import Certificate, Secret
from quicchat.client.e2ee.records import Known
from quicchat.client.lending import secrets_in
from quicchat.client.memory import Change, PlainMemory
from quicchat.client.memory_sqlite import SqliteMemory, open_file
from quicchat.client.reserve import file_of
from quicchat.ui import keychain
from quicchat.wire.sealed import unpacked
from tests.client.e2ee.gnupg import Gnupg, gnupg
from tests.client.e2ee.phones import phone
from tests.client.e2ee.vault import NOW, file_key, learn, learn_file, opener
from tests.server.house import play, world

PLACE = "localhost:55667"
Secrets = dict[tuple[str, bytes], bytes]


@pytest.fixture(scope="module")
def lived() -> tuple[Secrets, str]:
    """The keys of alice, who knows bob, after a while at a server; and her recovery code."""

    async def scenario() -> tuple[Secrets, str]:
        memory = PlainMemory()
        async with world() as here, phone(here, "bob", 2, sign_up=True) as bob:
            bob.directory._own._name = "bob's\x1b[2J phone"
            await bob.begin()
            async with phone(here, "alice", 1, sign_up=True, memory=memory) as alice:
                await alice.begin()
                await alice.directory.recipients(["bob"])
                learn(alice.ring, [opener(each) for each in range(30)])
                learn_file(alice.ring, file_key(1))
                alice.ring.put(Drawer.VOICE, b"@alice,bob", b"of the key before")
                await alice.directory.begin("alice")
                code = alice.code
        return dict((await memory.load()).secrets), code

    return play(scenario)


class Seat:
    """A machine with alice's memory on it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = file_of(home / "client" / "memory", PLACE, "alice")
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        """What `quicchat keys` prints, or where it fails, says."""
        self._capsys.readouterr()
        assert main(["keys", *words, "-u", "alice"]) == code
        out, err = self._capsys.readouterr()
        assert "\x1b" not in out + err
        return out if code == 0 else err

    @property
    def secrets(self) -> Secrets:
        return dict(secrets_in(self.path))


def kept(path: Path, secrets: Secrets) -> SqliteMemory:
    path.parent.mkdir(parents=True, mode=0o700)
    memory = open_file(path)
    asyncio.run(memory.keep(Change(secrets=secrets)))
    return memory


@pytest.fixture
def seat(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], lived: tuple[Secrets, str]
) -> Seat:
    for name in [name for name in os.environ if name.startswith("QUICCHAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUICCHAT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = Seat(tmp_path, capsys)
    asyncio.run(kept(found.path, lived[0]).close())
    return found


@pytest.fixture
def gpg() -> Iterator[Gnupg]:
    with gnupg() as found:
        yield found


def test_show_tells_who_one_is_and_whom_one_knows(seat: Seat, lived: tuple[Secrets, str]) -> None:
    """[12.17-1]: identity, this device, the backup, people; the code only where it is asked for."""
    text, code = seat("show"), lived[1]
    own = Secret.of(lived[0][Drawer.DEVICE, ONLY]).certificate.fingerprint.hex()
    assert "(let in)" in text
    assert own[:4].upper() in text
    assert "first use" in text
    assert "(bob)" in text
    assert recovery.shown(code) not in text
    assert recovery.shown(code) in seat("show", "--secret")
    found = json.loads(seat("show", "--json"))
    assert (found["event"], found["user"], found["listed"], found["signs"]) == ("keyring", "alice", True, True)
    assert found["device"] == own
    assert found["backup"]["code"] is None
    assert [each["user"] for each in found["people"]] == ["bob"]
    assert json.loads(seat("show", "--json", "--secret"))["backup"]["code"] == code


def test_show_while_the_client_runs(seat: Seat) -> None:
    """[12.17-1]: its memory is read, and neither waited for nor changed."""
    memory = open_file(seat.path)
    before = seat.secrets
    assert "(let in)" in seat("show")
    assert seat.secrets == before
    assert "/verify bob" in seat("verify", "bob", "yes", code=3)
    assert "end it" in seat("import", str(_secret(seat)), "--yes", code=3)
    asyncio.run(memory.close())


def _secret(seat: Seat) -> Path:
    """A key that was made elsewhere."""
    path = seat.home / "elsewhere.key"
    path.write_bytes(Secret.make("alice", NOW).data)
    return path


def test_export_gives_out_certificates(seat: Seat, lived: tuple[Secrets, str]) -> None:
    """[12.17-2]: the public ones without being asked, the secret ones to the owner alone, and with a warning."""
    text = seat("export")
    assert text.count("BEGIN PGP PUBLIC KEY BLOCK") == 2
    assert "PRIVATE" not in text
    identity = Secret.of(lived[0][Drawer.IDENTITY, ONLY])
    assert Certificate.of(text.encode()) == identity.certificate
    seat("export", "mine.asc", "--secret")
    path = seat.home / "mine.asc"
    assert path.read_text().count("BEGIN PGP PRIVATE KEY BLOCK") == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert Secret.of(path.read_bytes()) == identity
    assert main(["keys", "export", "--secret", "-u", "alice"]) == 0
    assert "whoever has them" in seat._capsys.readouterr().err


def test_a_file_that_is_there_is_not_written_over_unasked(seat: Seat) -> None:
    """[12.17-2]: without a person, only with --yes."""
    path = seat.home / "here.pgp"
    path.write_text("mine")
    for what in ("export", "backup"):
        assert "--yes" in seat(what, "here.pgp", code=2)
        assert path.read_text() == "mine"
    seat("backup", "here.pgp", "--yes")
    assert path.read_bytes() != b"mine"


def test_a_key_made_by_gpg_becomes_the_key_of_this_device(seat: Seat, gpg: Gnupg) -> None:
    """[12.17-3]: after a question; sessions that the key before has signed are not used any more."""
    key = seat.home / "gpg.key"
    key.write_bytes(gpg.key("alice <alice@example.org>", "ed25519", "sign,cert", ("cv25519", "encrypt")))
    before = seat.secrets
    assert "--yes" in seat("import", str(key), code=2)
    assert seat.secrets == before
    text = seat("import", str(key), "--yes")
    after = seat.secrets
    mine = Secret.of(after[Drawer.DEVICE, ONLY]).certificate
    assert mine == Secret.of(key.read_bytes()).certificate
    assert (Drawer.VOICE, b"@alice,bob") not in after
    assert "/remove-device" in text
    assert {place for place in before if place not in after} == {(Drawer.VOICE, b"@alice,bob")}


@pytest.mark.parametrize("kind", ["identity", "expired", "rubbish", "missing"])
def test_keys_that_do_not_fit_are_refused(seat: Seat, lived: tuple[Secrets, str], kind: str) -> None:
    """[12.17-3]: the identity is for lists only; what has expired, or is no key, changes nothing."""
    path = seat.home / "x.key"
    match kind:
        case "identity":
            path.write_bytes(lived[0][Drawer.IDENTITY, ONLY])
        case "expired":
            path.write_bytes(Secret.make("alice", 1_710_000_000_000, life=60).data)
        case "rubbish":
            path.write_bytes(b"\x99" + bytes(range(200)))
    before = seat.secrets
    said = seat("import", str(path), "--yes", code=6)
    assert said.count("\n") == 1
    assert seat.secrets == before


def test_somebodys_certificate_is_compared(seat: Seat, lived: tuple[Secrets, str]) -> None:
    """[12.17-3]: whose it is, as far as that is known here; nothing is taken over from it."""
    known = unpacked(Known, lived[0][Drawer.PERSON, b"bob"])
    path = seat.home / "bob.asc"
    path.write_bytes(known.identity or b"")
    assert "the identity of bob" in seat("import", str(path))
    assert json.loads(seat("import", str(path), "--json"))["user"] == "bob"
    path.write_bytes(known.devices[0][3])
    assert "device bob's" in seat("import", str(path))
    path.write_bytes(Secret.make("bob", NOW).certificate.data)
    before = seat.secrets
    assert "not the key of anybody" in seat("import", str(path), code=6)
    assert seat.secrets == before


def test_a_backup_goes_into_a_file_and_comes_back(
    seat: Seat, lived: tuple[Secrets, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """[15.9-28], [12.17-2]: on a machine that has the device key only, the file and the code bring all else."""
    secrets, code = lived
    found = json.loads(seat("backup", "b.pgp", "--json"))
    assert (seat.home / "b.pgp").stat().st_mode & 0o777 == 0o600
    assert found["size"] == (seat.home / "b.pgp").stat().st_size
    seat.path.unlink()
    bare = Secret.make("alice", NOW).data
    memory = open_file(seat.path)
    asyncio.run(memory.keep(Change(secrets={(Drawer.DEVICE, ONLY): bare})))
    asyncio.run(memory.close())
    for wrong, exit_code in (("12", 6), ("0" * 34 + "98", 6)):
        monkeypatch.setattr("quicchat.ui.keyjobs.typed_code", lambda wrong=wrong: wrong)
        seat("restore", "b.pgp", code=exit_code)
        assert seat.secrets == {(Drawer.DEVICE, ONLY): bare}
    monkeypatch.setattr("quicchat.ui.keyjobs.typed_code", lambda: recovery.shown(code))
    assert "30 sessions" in seat("restore", "b.pgp")
    after = seat.secrets
    assert after[Drawer.DEVICE, ONLY] == bare
    assert after[Drawer.IDENTITY, ONLY] == secrets[Drawer.IDENTITY, ONLY]
    for drawer in (Drawer.SESSION, Drawer.FILE):
        names = {place: value for place, value in secrets.items() if place[0] == drawer}
        assert names.items() <= after.items()


def test_digits_are_compared_without_a_server(seat: Seat) -> None:
    """[12.17-4]: sixty digits, the same in every face; wrong ones verify nobody."""
    digits = json.loads(seat("verify", "bob", "--json"))["digits"]
    assert len(digits) == 60
    assert "first use" in seat("verify", "@Bob")
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert "not the digits" in seat("verify", "bob", wrong, code=6)
    # A slip of the fingers is no attack.
    assert "has 60 digits" in seat("verify", "bob", digits[:-1], code=2)
    assert "(bob)" in seat("show")
    assert "verified" not in seat("show")
    assert "bob is verified" in seat("verify", "bob", digits[:30], digits[30:])
    assert "verified" in seat("show")
    assert "carol" in seat("verify", "carol", code=6)


@pytest.mark.parametrize(
    "words",
    [("shw",), ("show", "x"), ("import",), ("import", "a", "b"), ("backup",), ("verify",), ("export", "a", "b")],
)
def test_what_makes_no_sense_is_told_in_one_line(seat: Seat, words: tuple[str, ...]) -> None:
    """[12.17-1]: with what there is to do."""
    said = seat(*words, code=2)
    assert "export [FILE]" in said
    assert said.count("\n") == 1


def test_where_there_are_no_keys_it_is_said_why(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """[12.17-1]: nobody was here, nobody is named, or what encrypts is not installed."""
    assert main(["keys", "show", "-u", "carol"]) == 3
    assert "carol has no keys for localhost:55667" in capsys.readouterr().err
    assert main(["keys", "show"]) == 2
    assert "-u USER" in capsys.readouterr().err
    monkeypatch.setattr(keychain, "is_installed", lambda: False)
    assert "quicchat[pgp]" in seat("show", code=3)
