"""Profiles, what holds and where it comes from, and where the file and the data lie. (spec 12-operation)"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest

from quicchat.__main__ import client_config, main, server_config
from quicchat.config import BadSetting, ClientConfig, ServerConfig, home, read, settings, settled, usual_file
from quicchat.config.listing import as_json, as_toml
from quicchat.errors import UsageError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing but a home."""
    return {"QUICCHAT_HOME": str(tmp_path / "home")}


def test_the_places_are_those_of_platformdirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, item 4: on each system data and settings lie where platformdirs puts them, with and without XDG."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", platformdirs.windows.get_win_folder_from_env_vars)
    kinds: dict[str, Any] = {"linux": platformdirs.unix.Unix, "darwin": platformdirs.macos.MacOS}
    kinds["win32"] = platformdirs.windows.Windows
    data, settings_ = {"XDG_DATA_HOME": "/d"}, {"XDG_CONFIG_HOME": "/c"}
    for variables in ({}, data, settings_, data | settings_):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            for system, kind in kinds.items():
                if system == "win32" and variables:
                    continue
                patch.setattr(sys, "platform", system)
                theirs = kind("quicchat", appauthor=False)
                environ = dict(os.environ)
                assert str(home(environ)) == theirs.user_data_dir
                assert str(usual_file(environ)) == f"{theirs.user_config_dir}/config.toml"


def test_profiles(tmp_path: Path, environ: dict[str, str]) -> None:
    """[12.2-1]: a profile goes over [client], and yields to the environment and to flags; a server has none."""
    file = tmp_path / "c.toml"
    client, work = '[client]\nport = 1\nuser = "ann"\n', '[profile.work]\nport = 2\ntime = "%H"\n'
    file.write_text(f"{client}{work}[profile.home]\n[server]\nport = 9\n")
    found = read(ClientConfig, {}, environ, file, "work")
    assert (found.port, found.user, found.time) == (2, "ann", "%H")
    assert read(ClientConfig, {}, environ, file, "home").port == 1
    assert read(ClientConfig, {}, environ, file).port == 1
    environ["QUICCHAT_PROFILE"] = "work"
    assert read(ClientConfig, {}, environ, file).port == 2
    assert read(ClientConfig, {}, environ, file, "home").port == 1
    assert read(ServerConfig, {}, environ, file).port == 9
    assert read(ClientConfig, {"port": "4"}, environ | {"QUICCHAT_PORT": "3"}, file).port == 4
    assert read(ClientConfig, {}, environ | {"QUICCHAT_PORT": "3"}, file).port == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[profile.home]\n[profile.away]\n", "there is no profile 'work'; there are home, away"),
        ("", "there is no profile 'work'; write one under [profile.NAME]"),
        ("profile = 3", "there is no profile 'work'; write one under [profile.NAME]"),
        ("[profile]\nwork = 3", "profile.work must be a table: [profile.work]"),
        ("[profile.work]\nprot = 3", "[profile.work] unknown key 'prot'; did you mean 'port'?"),
        ("[profile.work]\nport = 0", "[profile.work] port: 0 is not a whole number from 1 to 65535"),
        ("[profiles.work]", "unknown table 'profiles'; did you mean 'profile'?"),
    ],
)
def test_mistakes_in_profiles(tmp_path: Path, environ: dict[str, str], text: str, line: str) -> None:
    """[12.2-1]: a profile that is not there is refused with those that are; its keys are as strict as others."""
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(BadSetting) as caught:
        read(ClientConfig, {}, environ, file, "work")
    assert str(caught.value) == f"{file}: {line}"


def test_what_holds_is_shown(tmp_path: Path, environ: dict[str, str]) -> None:
    """[12.2-2]: each setting with where it comes from; the listing is a file that says the same."""
    file, copy = tmp_path / "c.toml", tmp_path / "copy.toml"
    client = 'style = "classic"\ntime = "%H \\"quoted\\" \U0001f600"\nversions = [2, 1]\n'
    file.write_text(f"[client]\n{client}[profile.work]\nwait = true\n")
    environ |= {"QUICCHAT_PORT": "7", "SERVER_SHARED_FILES": "/share"}
    clients = settled(ClientConfig, {"user": "ann"}, environ, file, "work")
    sources = {name: one.source for name, one in clients.items() if one.source != "default"}
    assert sources == {
        "style": "[client]",
        "time": "[client]",
        "versions": "[client]",
        "wait": "[profile.work]",
        "port": "QUICCHAT_PORT",
        "user": "--user",
    }
    servers = settled(ServerConfig, {}, environ, file)
    assert servers["share"].source == "SERVER_SHARED_FILES"
    kept = {one.name for one in settings(ClientConfig) if one.kept}
    tables = {"client": {name: one for name, one in clients.items() if name in kept}, "server": servers}
    copy.write_text("\n".join(as_toml(file, tables)))
    home_only = {"QUICCHAT_HOME": environ["QUICCHAT_HOME"]}
    assert read(ClientConfig, {}, home_only, copy) == read(ClientConfig, {"user": "ann"}, environ, file, "work")
    assert read(ServerConfig, {}, home_only, copy) == read(ServerConfig, {}, environ, file)
    shown = json.loads(as_json(file, tables))
    assert (shown["file"], shown["exists"]) == (str(file), True)
    assert shown["client"]["versions"] == {"value": [2, 1], "source": "[client]"}
    assert shown["server"]["share"] == {"value": "/share", "source": "SERVER_SHARED_FILES"}


def test_config_says_what_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """[12.2-2]: `quicchat config` for people, and with --json for scripts; the profile counts for the client only."""
    file = tmp_path / "config.toml"
    file.write_text("[profile.work]\nport = 7\n")
    monkeypatch.setenv("QUICCHAT_HOME", str(tmp_path))
    assert main(["config", "--profile", "work"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"# {file}\n")
    assert tomllib.loads(text)["client"]["port"] == 7
    assert tomllib.loads(text)["server"]["port"] == 55667
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["client"]["port"] == {"value": 55667, "source": "default"}
    assert main(["config", "--profile", "wrok"]) == 2
    assert "there are work" in capsys.readouterr().err


def test_profiles_of_clients_and_errands(tmp_path: Path) -> None:
    """[12.2-1]: --profile is a flag of the client; a server has none."""
    file = tmp_path / "c.toml"
    file.write_text('[profile.work]\nhost = "chat.example"\nstyle = "mystic"\n')
    words = ["--config", str(file), "--profile", "work"]
    assert client_config(words, {}).host == "chat.example"
    assert client_config(["--config", str(file), "--profile", "work", "ann"], {}).user == "ann"
    with pytest.raises(UsageError, match="--profile is unknown"):
        server_config(words, {})
