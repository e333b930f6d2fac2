"""Settings by kind: durations, sizes, and the folder that a server shares. (spec 12-operation)"""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.__main__ import main
from quicchat.config import BadSetting, ClientConfig, ServerConfig, read
from quicchat.config.kinds import Size, sized


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"QUICCHAT_HOME": str(tmp_path / "home"), "PATH": "/bin"}


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "3601", "five", ""])
def test_seconds(environ: dict[str, str], text: str) -> None:
    """Issue 2.10: durations are finite and within bounds."""
    with pytest.raises(BadSetting, match="number of seconds"):
        read(ClientConfig, {"connect_timeout": text}, environ)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("4096", 4_096), ("2K", 2_048), ("500m", 500 << 20), ("3G", 3 << 30), ("1T", 1 << 40)],
)
def test_sizes(tmp_path: Path, environ: dict[str, str], text: str, size: int) -> None:
    """Issue 4.2: quotas are bytes, in the units that people use; a file may hold the bare number, too."""
    assert read(ServerConfig, {"quota": text}, environ).quota == size
    assert read(ServerConfig, {}, environ | {"QUICCHAT_QUOTA": text}).quota == size
    file = tmp_path / "c.toml"
    for written in (f'"{text}"', str(size)):
        file.write_text(f"[server]\nquota = {written}\n")
        assert read(ServerConfig, {}, environ, file).quota == size
    assert Size(0, 1 << 40).text(sized(size)) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5G", "1 G", "1GB", "1KK", "2T", "1_000", "0x10", "٥", "9" * 5000])
def test_what_is_no_size(environ: dict[str, str], text: str) -> None:
    """Issue 4.2: anything else is one line that says what it must be."""
    with pytest.raises(BadSetting, match=r"is not a number of bytes from 0 to 1T, such as 500M$"):
        read(ServerConfig, {"quota": text}, environ)


def test_the_shared_folder(tmp_path: Path, environ: dict[str, str]) -> None:
    """R2.6: SharedFiles in the data directory, or what is named; SERVER_SHARED_FILES is the old name for it."""
    named, other, third = (str(tmp_path / name) for name in ("with blanks", "Bücher", "日本"))
    file = tmp_path / "c.toml"
    file.write_text(f"[server]\nshare = '{third}'\n")
    assert read(ServerConfig, {}, environ).shared == tmp_path / "home" / "server" / "SharedFiles"
    assert read(ServerConfig, {}, environ, file).shared == Path(third)
    old = environ | {"SERVER_SHARED_FILES": named}
    assert read(ServerConfig, {}, old, file).shared == Path(named)
    assert read(ServerConfig, {}, old | {"QUICCHAT_SHARE": other}, file).shared == Path(other)
    assert read(ServerConfig, {"share": named}, environ | {"QUICCHAT_SHARE": other}, file).shared == Path(named)
    assert read(ServerConfig, {}, environ | {"SERVER_SHARED_FILES": ""}).share is None
    assert read(ClientConfig, {}, old) == read(ClientConfig, {}, environ)
    with pytest.raises(BadSetting, match=r"^SERVER_SHARED_FILES: .* is not a path$"):
        read(ServerConfig, {}, environ | {"SERVER_SHARED_FILES": "a\0b"})


def test_help_tells_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 4.1: whoever asks for help reads where the files go, and how many there may be."""
    assert main(["server", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--share PATH" in text
    assert "--quota BYTES" in text
    assert "have in all (1G)" in text
    assert "have in all (1000)" in text
