"""OpenPGP tools that nobody here wrote, each in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Set where every tool is expected (.ci/run): one that is missing is then a failure, not a reason to skip.
_EXPECTED = os.environ.get("QUICCHAT_TEST_TOOLS", "").split()


def needs(name: str) -> str:
    """The path of a program that a test cannot do without."""
    found = shutil.which(name)
    if found is None:
        told = f"there is no {name} here: whether it understands what we encrypt is not tested (apt-get install {name})"
        if name in _EXPECTED:
            pytest.fail(told)
        pytest.skip(told)
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """What a program answered."""

    code: int
    out: bytes
    err: str


def run(*command: str, given: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None) -> Said:
    """One run of a program that asks nobody anything."""
    done = subprocess.run(command, input=given, capture_output=True, env=env, cwd=cwd, timeout=30, check=False)
    return Said(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Gnupg:
    """gpg with a home that nobody else uses."""

    program: str
    env: dict[str, str]

    def __call__(self, *arguments: str, given: bytes = b"") -> Said:
        return run(self.program, "--batch", "--no-tty", "--yes", *arguments, given=given, env=self.env)

    def good(self, *arguments: str, given: bytes = b"") -> bytes:
        """What it wrote, when it did as it was told and warned of nothing."""
        said = self(*arguments, given=given)
        assert said.code == 0, said.err
        assert "WARNING" not in said.err, said.err
        return said.out

    def key(self, name: str, algorithm: str, usage: str, *subkeys: tuple[str, str]) -> bytes:
        """A secret key without passphrase that gpg makes."""
        self.good("--passphrase", "", "--quick-generate-key", name, algorithm, usage, "never")
        listed = self.good("--with-colons", "--list-keys", name).decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        for each in subkeys:
            self.good("--passphrase", "", "--quick-add-key", fingerprint, *each, "never")
        return self.good("--export-secret-keys", fingerprint)


@contextmanager
def gnupg() -> Iterator[Gnupg]:
    """A fresh one. Its agent listens on a socket in that home, whose path must therefore be short."""
    program = needs("gpg")
    home = tempfile.mkdtemp(prefix="qc", dir="/tmp")
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "GNUPGHOME": home, "LC_ALL": "C"}
    try:
        yield Gnupg(program, env)
    finally:
        run(needs("gpgconf"), "--kill", "all", env=env)
        shutil.rmtree(home, ignore_errors=True)
