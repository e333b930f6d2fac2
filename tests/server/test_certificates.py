"""The server's certificates: made once, renewed in time, and nobody else's to read. (spec 11-security)"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from quicchat.config import files
from quicchat.errors import UsageError
from quicchat.server.adapters.certificates import Certificate, fingerprint_in, load, load_or_make

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEYS = ("ca.key", "leaf.key")


def parts(certificate: Certificate) -> tuple[x509.Certificate, x509.Certificate]:
    leaf, authority = x509.load_pem_x509_certificates(certificate.chain)
    return leaf, authority


def names(leaf: x509.Certificate) -> set[str]:
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def test_first_run(tmp_path: Path) -> None:
    """Issue 2.8: own CA, P-256 leaf of at most 13 days, for this machine and all that is asked for."""
    made = load_or_make(
        tmp_path, ["192.0.2.7", "0.0.0.0", "::", "Chat.Example.", "fe80::1%eth0", "bücher.example"], NOW
    )
    leaf, authority = parts(made)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= 13 * DAY
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == 3650 * DAY
    leaf.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    host = socket.gethostname().lower()
    assert names(leaf) == {
        *("localhost", "127.0.0.1", "::1", host),
        *("192.0.2.7", "chat.example", "fe80::1", "xn--bcher-kva.example"),
    }
    assert authority.subject.rfc4514_string().startswith("CN=quicchat CA of ")
    assert made.leaf_hash == hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).digest()
    assert (made.not_before, made.not_after) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def test_the_fingerprint_is_that_of_the_ca(tmp_path: Path) -> None:
    """[11.1-5], issue 2.8: what people compare is the hash of ca.pem, last in the chain, as openssl shows it."""
    made = load_or_make(tmp_path, [], NOW)
    der = parts(made)[1].public_bytes(serialization.Encoding.DER)
    assert made.authority == "SHA256:" + hashlib.sha256(der).hexdigest()
    assert fingerprint_in(tmp_path) == made.authority
    assert fingerprint_in(tmp_path / "elsewhere", tmp_path / "certs" / "chain.pem") == made.authority
    assert x509.load_pem_x509_certificate((tmp_path / "certs" / "ca.pem").read_bytes()) == parts(made)[1]


def test_no_fingerprint_before_the_first_run(tmp_path: Path) -> None:
    """Issue 2.8: asking for the fingerprint makes nothing."""
    with pytest.raises(UsageError, match="there is no certificate") as caught:
        fingerprint_in(tmp_path)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_second_run_keeps_everything(tmp_path: Path) -> None:
    """Issue 2.8: made on the first run, kept on the next."""
    first = load_or_make(tmp_path, ["chat.example"], NOW)
    assert load_or_make(tmp_path, ["chat.example"], NOW + DAY) == first
    assert load_or_make(tmp_path, [], NOW + DAY) == first


def test_new_name_new_leaf(tmp_path: Path) -> None:
    """Issue 2.8: a server that listens on a further address is believed there, too."""
    first = load_or_make(tmp_path, [], NOW)
    second = load_or_make(tmp_path, ["192.0.2.7"], NOW)
    assert second.leaf_hash != first.leaf_hash
    assert second.authority == first.authority
    assert "192.0.2.7" in names(parts(second)[0])


def test_renewal(tmp_path: Path) -> None:
    """Issue 2.8: the leaf is renewed when less than 4 days remain; the CA and its fingerprint stay."""
    first = load_or_make(tmp_path, [], NOW)
    last_good = first.not_after - 4 * DAY - timedelta(seconds=1)
    assert not first.due(NOW)
    assert not first.due(last_good)
    assert first.due(last_good + timedelta(seconds=1))
    assert first.due(first.not_before - timedelta(seconds=1)), "a clock that was set back"
    assert load_or_make(tmp_path, [], last_good) == first
    second = load_or_make(tmp_path, [], last_good + timedelta(seconds=1))
    assert second.authority == first.authority
    assert second.leaf_hash != first.leaf_hash
    assert second.key != first.key
    assert not second.due(last_good + timedelta(seconds=1))


def test_clocks_of_clients_may_be_wrong(tmp_path: Path) -> None:
    """R0.14: a client whose clock is wrong by an hour, either way, sees a valid certificate on the first day."""
    made = load_or_make(tmp_path, [], NOW)
    for one in parts(made):
        assert one.not_valid_before_utc <= NOW - timedelta(hours=1)
        assert NOW + timedelta(hours=1) <= one.not_valid_after_utc


def test_a_ca_in_its_last_days_is_replaced(tmp_path: Path) -> None:
    """Issue 2.8: a leaf never outlives its CA; after ten years clients are asked again."""
    first = load_or_make(tmp_path, [], NOW)
    later = NOW + 3640 * DAY
    second = load_or_make(tmp_path, [], later)
    leaf, authority = parts(second)
    assert second.authority != first.authority
    assert leaf.not_valid_after_utc < authority.not_valid_after_utc
    assert load_or_make(tmp_path, [], later + DAY) == second


def test_modes(tmp_path: Path) -> None:
    """A13: keys have mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        load_or_make(tmp_path / "data", [], NOW)
    finally:
        os.umask(before)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "data" / "certs").iterdir()}
    assert modes == {"ca.key": 0o600, "leaf.key": 0o600, "ca.pem": 0o644, "chain.pem": 0o644}
    assert stat.S_IMODE((tmp_path / "data" / "certs").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o666, 0o700])
def test_a_key_that_others_may_read(tmp_path: Path, name: str, mode: int) -> None:
    """[11.2-1] A13: private key with mode 0644: start refused in one line, which says how to mend it."""
    load_or_make(tmp_path, [], NOW)
    key = tmp_path / "certs" / name
    key.chmod(mode)
    with pytest.raises(UsageError) as caught:
        load_or_make(tmp_path, [], NOW)
    assert caught.value.exit_code == 3
    assert str(caught.value) == f"private key {key} has mode {mode:04o}, but must have 0600: chmod 600 {key}"
    subprocess.run(["sh", "-c", str(caught.value).rpartition(": ")[2]], check=True)
    load_or_make(tmp_path, [], NOW)


def test_the_command_to_mend_it_works_with_any_path(tmp_path: Path) -> None:
    """A13: a path with blanks and quotes is quoted for the shell."""
    data = tmp_path / "it's my data"
    load_or_make(data, [], NOW)
    (data / "certs" / "ca.key").chmod(0o644)
    with pytest.raises(UsageError) as caught:
        load_or_make(data, [], NOW)
    subprocess.run(["sh", "-c", str(caught.value).partition("0600: ")[2]], check=True)
    load_or_make(data, [], NOW)


def test_a_key_of_an_operator_that_others_may_read(tmp_path: Path) -> None:
    """A13: the same for --key."""
    load_or_make(tmp_path, [], NOW)
    certs = tmp_path / "certs"
    (certs / "leaf.key").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        load(certs / "chain.pem", certs / "leaf.key", NOW)


def test_no_private_key_in_the_tree() -> None:
    """A13: no file of the project holds a private key."""
    marker = b"PRIVATE" + b" KEY-----"
    root = Path(__file__).parents[2]
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=root, capture_output=True, check=False
    )
    if listed.returncode == 0:
        found = [root / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        found = [*root.rglob("*")]
    assert Path(__file__) in found
    assert [one for one in found if one.is_file() and marker in one.read_bytes()] == []


def test_operator_certificates_are_used_as_they_are(tmp_path: Path) -> None:
    """Issue 2.8: --cert and --key."""
    made = load_or_make(tmp_path, [], NOW)
    certs = tmp_path / "certs"
    assert load(certs / "chain.pem", certs / "leaf.key", NOW) == made


@pytest.mark.parametrize(
    ("cert", "key", "now", "said"),
    [
        ("chain.pem", "ca.key", NOW, "is not the key of"),
        ("chain.pem", "leaf.key", NOW + 13 * DAY, "is not valid now, but from 2026-02-28 to 2026-03-13"),
        ("chain.pem", "leaf.key", NOW - 2 * DAY, "is not valid now"),
        ("leaf.key", "leaf.key", NOW, "holds no certificate"),
        ("none.pem", "leaf.key", NOW, "No such file"),
        ("chain.pem", "none.key", NOW, "No such file"),
        ("chain.pem", "chain.key", NOW, "holds no private key"),
        ("chain.pem", "locked.key", NOW, "holds no private key"),
        ("chain.pem", ".", NOW, "is not a regular file"),
        ("chain.pem", "pipe", NOW, "is not a regular file"),
    ],
)
def test_operator_certificates_that_cannot_serve(tmp_path: Path, cert: str, key: str, now: datetime, said: str) -> None:
    """Issue 2.10: one clear line, exit 3."""
    load_or_make(tmp_path, [], NOW)
    certs = tmp_path / "certs"
    files.replace(certs / "chain.key", (certs / "chain.pem").read_bytes())
    secret = serialization.load_pem_private_key((certs / "leaf.key").read_bytes(), None)
    locked = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    files.replace(certs / "locked.key", locked)
    os.mkfifo(certs / "pipe", 0o600)
    with pytest.raises(UsageError, match=said) as caught:
        load(certs / cert, certs / key, now)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def without(name: str) -> Callable[[Path], None]:
    return lambda certs: (certs / name).unlink()


def spoiled(name: str, by: bytes) -> Callable[[Path], None]:
    return lambda certs: files.replace(certs / name, by)


def another(*names: str) -> Callable[[Path], None]:
    """Puts files of another server in the place of ours."""

    def put(certs: Path) -> None:
        load_or_make(certs.parent / "other", [], NOW)
        for name in names:
            files.replace(certs / name, (certs.parent / "other" / "certs" / name).read_bytes())

    return put


@pytest.mark.parametrize(
    "damage",
    [
        without("leaf.key"),
        without("chain.pem"),
        another("leaf.key"),
        another("chain.pem"),
        another("leaf.key", "chain.pem"),
    ],
)
def test_a_lost_leaf_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """P1: a crash between the files of a renewal leaves a server that starts, with the same fingerprint."""
    first = load_or_make(tmp_path, [], NOW)
    damage(tmp_path / "certs")
    second = load_or_make(tmp_path, [], NOW)
    leaf, authority = parts(second)
    assert second.authority == first.authority == fingerprint_in(tmp_path)
    leaf.verify_directly_issued_by(authority)
    key = serialization.load_pem_private_key(second.key, None)
    assert key.public_key() == leaf.public_key()


def test_a_crash_between_ca_key_and_certificate(tmp_path: Path) -> None:
    """P1: the key that was written is used; nobody has seen a certificate yet."""
    load_or_make(tmp_path, [], NOW)
    certs = tmp_path / "certs"
    key = (certs / "ca.key").read_bytes()
    for name in ("ca.pem", "leaf.key", "chain.pem"):
        (certs / name).unlink()
    load_or_make(tmp_path, [], NOW)
    assert (certs / "ca.key").read_bytes() == key


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without("ca.key"), "is missing; put it back"),
        (another("ca.key"), "is not the key of"),
        (spoiled("ca.pem", b"rubbish"), "holds no certificate"),
        (spoiled("ca.key", b"rubbish"), "holds no private key"),
        (spoiled("leaf.key", b"rubbish"), "holds no private key"),
        (spoiled("chain.pem", b""), "holds no certificate"),
    ],
)
def test_what_only_a_person_can_mend(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    """Issue 2.10: the CA that clients know is never replaced unasked: one clear line, exit 3."""
    load_or_make(tmp_path, [], NOW)
    damage(tmp_path / "certs")
    with pytest.raises(UsageError, match=said) as caught:
        load_or_make(tmp_path, [], NOW)
    assert caught.value.exit_code == 3


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """Issue 2.10: unreadable data directory: one clear line, exit 3."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UsageError, match=r"data.*: (Not a directory|File exists)") as caught:
        load_or_make(tmp_path / "data", [], NOW)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["*.example", "a b", "x" * 64, "a..b", "", "-/-", "1.2.3.4.5/8"])
def test_names_that_no_certificate_can_be_for(tmp_path: Path, name: str) -> None:
    """Issue 2.10: a bad --name is a mistake in usage, and nothing is made."""
    with pytest.raises(UsageError, match="not a name") as caught:
        load_or_make(tmp_path, [name], NOW)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["h" * 64, "host name", "", "hôte"])
def test_odd_host_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Issue 2.8: a host name that no certificate can hold does not keep the server from starting."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    leaf, authority = parts(load_or_make(tmp_path, [], NOW))
    assert {"localhost", "127.0.0.1", "::1"} <= names(leaf)
    assert len(authority.subject.rfc4514_string()) <= 64 + len("CN=")


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace", "fdopen"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """D3: a full disk leaves the old key, whole, and no litter."""
    file = tmp_path / "file"
    files.replace(file, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            files.replace(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_addresses_in_the_certificate_are_addresses(tmp_path: Path) -> None:
    """A10: an address is checked as an address, not as a name."""
    leaf, _ = parts(load_or_make(tmp_path, ["192.0.2.7"], NOW))
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("192.0.2.7") in found.get_values_for_type(x509.IPAddress)
    assert not any(name[0].isdigit() for name in found.get_values_for_type(x509.DNSName))
