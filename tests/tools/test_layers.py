"""The import contracts, each seen to fail: a layer list with a hole looks exactly like one without.

The layers stand here a second time, as design §5 gives them, so that a contract that was watered down is noticed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAYERS = [
    ["__main__"],
    ["tools"],
    ["ui"],
    ["server", "client"],
    ["transport", "sqlite"],
    ["protocol"],
    ["wire"],
    ["config", "errors"],
]
SERVER_LAYERS = [
    ["app"],
    ["session"],
    ["outlet"],
    ["feed", "rates", "router", "streams", "services", "adapters"],
    ["handler", "journal"],
    ["effects", "ports", "requests", "rules"],
    ["gaps"],
    ["model"],
]
PURE = ["wire", "protocol", "server.services", "server.model", "server.rules", "client.state"]
SHARED_BY_NONE = ["ui", "server", "client", "transport", "sqlite", "protocol", "wire", "config", "errors"]
IMPURE = ["aioquic", "asyncio", "os", "pathlib", "random", "secrets"]
IMPURE += ["socket", "sqlite3", "ssl", "threading", "time"]


class Copy:
    """A copy of the package in which imports are planted, and what import-linter says of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(ROOT / "quicchat", folder / "quicchat", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def plant(self, module: str, *imported: str) -> str:
        """Make a module, or for a package a new module in it, import something; its name."""
        place = self._folder.joinpath("quicchat", *module.split("."))
        if place.is_dir():
            place, module = place / "planted", f"{module}.planted"
        with place.with_suffix(".py").open("a") as file:
            file.writelines(f"\nimport {name}\n" for name in imported)
        return f"quicchat.{module}"

    def lint(self, *contracts: str) -> tuple[int, str]:
        """The exit code and report of the named contracts, or of all; the report without its line breaks."""
        script = "from importlinter.cli import lint_imports_command as run; run()"
        command = [sys.executable, "-c", script, "--no-logo", "--no-cache"]
        command += [word for name in contracts for word in ("--contract", name)]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, timeout=50)
        assert done.stderr == ""
        return done.returncode, " ".join(done.stdout.split())


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def may_not_import(layers: list[list[str]]) -> list[tuple[str, list[str]]]:
    """For each part what it may not import: what lies above it, and its neighbours."""
    return [
        (part, [name for above in layers[: level + 1] for name in above if name != part])
        for level, parts in enumerate(layers)
        for part in parts
        if level > 0
    ]


def refused(package: str, importer: str, imported: str) -> str:
    return f"{package}.{importer} is not allowed to import {package}.{imported}:"


def test_the_package_keeps_every_contract(copy: Copy) -> None:
    """Design §5: the imports of the package as it is."""
    code, report = copy.lint()
    assert "BROKEN" not in report
    assert code == 0


def test_every_contract_is_planted_against() -> None:
    """Design §5: a contract that no test here breaks would be one that nobody has seen work."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {it["id"] for it in contracts} == {
        "layers",
        "server-layers",
        "services",
        "adapters",
        "pure",
        "aioquic",
        "conform",
        "textual",
        "openpgp",
        "session",
    }


def test_no_layer_imports_from_above(copy: Copy) -> None:
    """Design §5: __main__ > tools > ui > server | client > transport > protocol > wire > config | errors > values."""
    planted = may_not_import(LAYERS)
    for importer, above in planted:
        copy.plant(importer, *(f"quicchat.{name}" for name in above))
    code, report = copy.lint("layers")
    assert code == 1
    pairs = [refused("quicchat", importer, name) for importer, above in planted for name in above]
    assert [pair for pair in pairs if pair not in report] == []


def test_no_server_layer_imports_from_above(copy: Copy) -> None:
    """Design §5: app > session > router | services | adapters > handler > effects | ports > model."""
    planted = may_not_import(SERVER_LAYERS)
    for importer, above in planted:
        copy.plant(f"server.{importer}", *(f"quicchat.server.{name}" for name in above))
    code, report = copy.lint("server-layers")
    assert code == 1
    pairs = [refused("quicchat.server", importer, name) for importer, above in planted for name in above]
    assert [pair for pair in pairs if pair not in report] == []


@pytest.mark.parametrize(("contract", "stranger"), [("layers", "helpers"), ("server-layers", "server.helpers")])
def test_a_new_part_must_find_its_layer(copy: Copy, contract: str, stranger: str) -> None:
    """Design §5, exhaustive: a module in no layer is itself a violation."""
    name = copy.plant(stranger)
    code, report = copy.lint(contract)
    assert code == 1
    assert "not listed as layers" in report
    assert f"- {name} " in report


@pytest.mark.parametrize("contract", ["services", "adapters"])
def test_siblings_do_not_import_each_other(copy: Copy, contract: str) -> None:
    """Design §5, independence of server.services.* and server.adapters.*: also of one that is new."""
    package = ROOT / "quicchat" / "server" / contract
    known = sorted(path.stem for path in package.iterdir() if path.stem not in {"__init__", "__pycache__"})
    assert len(known) > 1
    copy.plant(f"server.{contract}", *(f"quicchat.server.{contract}.{name}" for name in known))
    code, report = copy.lint(contract)
    assert code == 1
    assert [name for name in known if refused(f"quicchat.server.{contract}", "planted", name) not in report] == []


@pytest.mark.parametrize("importer", PURE)
def test_the_pure_parts_stay_pure(copy: Copy, importer: str) -> None:
    """Design §5, forbidden: neither loop, socket, clock, disk nor chance in the parts that are only logic."""
    copy.plant(importer, *IMPURE)
    code, report = copy.lint("pure")
    assert code == 1
    assert [name for name in IMPURE if f"quicchat.{importer} is not allowed to import {name}:" not in report] == []


def test_purity_is_not_lost_by_a_detour(copy: Copy) -> None:
    """Design §5, forbidden: nor through a module that may import what they may not."""
    copy.plant("errors", "socket")
    code, report = copy.lint("pure")
    assert code == 1
    assert "quicchat.wire is not allowed to import socket:" in report


@pytest.mark.parametrize("importer", [name for layer in LAYERS for name in layer if name != "transport"])
def test_aioquic_stays_in_transport(copy: Copy, importer: str) -> None:
    """Design §5, forbidden: aioquic anywhere but transport."""
    name = copy.plant(importer, "aioquic.quic.connection")
    code, report = copy.lint("aioquic")
    assert code == 1
    assert f"{name} -> aioquic " in report


def test_transport_may_import_aioquic(copy: Copy) -> None:
    """Design §5: transport is the only place that imports aioquic, wherever in it."""
    copy.plant("transport", "aioquic")
    assert copy.lint("aioquic")[0] == 0


@pytest.mark.parametrize("importer", ["tools.conform", "tools.conform.talk", "tools.conform.cases", "tools.parsers"])
def test_one_module_of_the_kit_knows_aioquic(copy: Copy, importer: str) -> None:
    """Issue 7, item 2: `quic` is the exception, and no other module of the kit or beside it."""
    name = copy.plant(importer, "aioquic.quic.connection")
    copy.plant("tools.conform.quic", "aioquic.quic.packet")
    code, report = copy.lint("aioquic")
    assert code == 1
    assert f"{name} -> aioquic " in report
    assert "quicchat.tools.conform.quic -> aioquic" not in report


def test_the_kit_shares_no_code_with_what_it_judges(copy: Copy) -> None:
    """Issue 7, item 2: neither codec, nor connection, nor errors and settings, of client or server."""
    for importer in ("tools.conform", "tools.conform.quic", "tools.conform.cases"):
        copy.plant(importer, *(f"quicchat.{name}" for name in SHARED_BY_NONE))
    code, report = copy.lint("conform")
    assert code == 1
    pairs = [refused("quicchat", "tools.conform", name) for name in SHARED_BY_NONE]
    assert [pair for pair in pairs if pair not in report] == []


def test_the_kit_shares_no_code_by_a_detour(copy: Copy) -> None:
    """Issue 7, item 2: nor through a module of the tools that may import what the kit may not."""
    copy.plant("tools.conform.book", "quicchat.tools.matrix", "quicchat.tools.specgen.tables")
    code, report = copy.lint("conform")
    assert code == 1
    assert refused("quicchat", "tools.conform", "wire") in report


@pytest.mark.parametrize("importer", ["client", "ui.front", "ui.plain", "ui.main"])
@pytest.mark.parametrize("library", ["textual", "prompt_toolkit"])
def test_what_draws_stays_in_its_face(copy: Copy, importer: str, library: str) -> None:
    """Facts §6: the plain face imports neither Textual nor prompt_toolkit, which cost its start and eat its input."""
    name = copy.plant(importer, f"{library}.keys")
    code, report = copy.lint("textual")
    assert code == 1
    assert f"{name} -> {library} " in report


@pytest.mark.parametrize("importer", ["server.services.messages", "wire.sealed", "client.e2ee.ratchet", "ui.front"])
def test_one_module_knows_openpgp(copy: Copy, importer: str) -> None:
    """[15.2-8], facts §5: the library is wrapped once; a server neither signs nor opens anything."""
    name = copy.plant(importer, "pysequoia")
    code, report = copy.lint("openpgp")
    assert code == 1
    assert f"{name} -> pysequoia " in report


@pytest.mark.parametrize("imported", ["services", "adapters"])
def test_the_session_knows_no_service_and_no_adapter(copy: Copy, imported: str) -> None:
    """Design §5, forbidden: services and adapters in session."""
    copy.plant("server.session", f"quicchat.server.{imported}")
    code, report = copy.lint("session")
    assert code == 1
    assert refused("quicchat.server", "session", imported) in report
