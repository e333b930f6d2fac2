"""The shared folder against hostile names, strange files and a full disk. (hostile X1-X3, D3)"""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from quicchat.errors import Code, RemoteProtocolError, UsageError
from quicchat.server.adapters.share_local import open_share
from quicchat.sqlite import database
from quicchat.wire import codec, leaves
from quicchat.wire.chapters.files import GetFile, Mode, Standing
from quicchat.wire.registry import VERSIONS
from tests.server.shelf import Place, descriptors
from tests.server.stores import refusal, run
from tests.strategies import raw

SECRET = b"nobody is to see this"
HOSTILE = (
    *("..", ".", "", "/", "/etc/passwd", "../secret", "../SharedFiles_secret", "../../secret", "./good", "good/"),
    *("..\\secret", "\\secret", "C:\\secret", "good\0", "\0", "../secret\0good", "%2e%2e%2fsecret", "%2e%2e", "%00"),
    *(
        ".hidden",
        "..hidden",
        "down/secret",
        "folder/secret",
        "x" * 256,
        "x" * 300,
        "é" * 128,
        "good\n",
        "\x7f",
        "\t",
        "a\x85b",
    ),
    *("\x1b[2J", "//good", "folder/..", "folder/../good"),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder with one good file among all that could lead out of it."""
    place = Place(tmp_path)
    place.folder.mkdir()
    (place.folder / "good").write_bytes(b"good")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "SharedFiles_secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    (place.folder / ".hidden").write_bytes(SECRET)
    (place.folder / "%2e%2e").write_bytes(SECRET)
    (place.folder / "back\\slash").write_bytes(SECRET)
    (place.folder / "line\nbreak").write_bytes(SECRET)
    (place.folder / os.fsdecode(b"latin \xe9")).write_bytes(SECRET)
    (place.folder / "folder").mkdir()
    (place.folder / "folder" / "secret").write_bytes(SECRET)
    return place


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_x1_names(place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """X1 [14.2-1]: such a name is no file, and nothing is opened to find that out."""
    opened: list[object] = []

    async def scenario() -> None:
        async with place.open():
            await place.known()
            for each in ("open", "stat"):
                monkeypatch.setattr(os, each, lambda path, *_, **__: opened.append(path))
            assert await refusal(place.share.open(name, None)) is Code.NO_SUCH_FILE
            assert await refusal(place.share.open(name, leaves.of(SECRET)[0])) is Code.NO_SUCH_FILE
            monkeypatch.undo()

    run(scenario())
    assert opened == []


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_x1_names_on_the_wire(name: str) -> None:
    """X1 [14.1-3]: no PDU can carry such a name, nor be made with it."""
    good = {2: "good", 3: int(Mode.RELIABLE), 6: 0, 7: 0, 8: True}
    assert codec.decode(raw(GetFile.SPEC.number, good), version=VERSIONS[-1]).pdu == GetFile(
        name="good", mode=Mode.RELIABLE, handle=0, credit=0, leaves=True
    )
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(raw(GetFile.SPEC.number, good | {2: name}), version=VERSIONS[-1])
    assert caught.value.code is Code.SCHEMA


def test_x2_strange_files(place: Place, tmp_path: Path) -> None:
    """X2 [14.2-1]: links of both kinds, pipes, sockets, devices, directories: not listed, not opened, no wait."""
    strange = place.folder
    (strange / "link").symlink_to(tmp_path / "secret")
    (strange / "link within").symlink_to("good")
    (strange / "dangling").symlink_to("nothing")
    (strange / "loop").symlink_to("loop")
    (strange / "down").symlink_to(tmp_path / "outside")
    (strange / "proc").symlink_to("/proc/self/environ")
    os.link(tmp_path / "secret", strange / "hard")
    os.mkfifo(strange / "pipe")
    where = os.open(strange, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{where}/socket")
    finally:
        os.close(where)
    names = ["link", "link within", "dangling", "loop", "down", "proc", "hard", "pipe", "socket", "folder"]
    if os.geteuid() == 0:
        os.mknod(strange / "device", 0o600 | 0o020000, os.makedev(1, 5))
        names.append("device")

    async def scenario() -> None:
        async with place.open():
            assert [each.name for each in await place.known()] == ["good"]
            for name in names:
                assert await refusal(place.share.open(name, None)) is Code.NO_SUCH_FILE
            assert await refusal(place.share.open(None, leaves.of(SECRET)[0])) is Code.NO_SUCH_FILE
            assert await place.whole("good") == b"good"
            (tmp_path / "secret").unlink()
            assert [each.name for each in await place.known()] == ["good", "hard"]
            assert await place.whole("hard") == SECRET

    before = descriptors()
    run(scenario())
    assert descriptors() <= before


def test_x2_a_link_that_comes_between_look_and_opening(place: Place, tmp_path: Path, monkeypatch: Any) -> None:
    """X2 X3: a file that becomes a link, or a pipe, right after it was looked at is not served either."""
    before = os.stat(place.folder / "good")

    async def scenario() -> None:
        async with place.open():
            await place.known()
            monkeypatch.setattr(os, "stat", lambda *_, **__: before)
            for make in (lambda path: path.symlink_to(tmp_path / "secret"), os.mkfifo):
                (place.folder / "good").unlink()
                make(place.folder / "good")
                assert await refusal(place.share.open("good", None)) is Code.NO_SUCH_FILE
            monkeypatch.undo()

    open_before = descriptors()
    run(scenario())
    assert descriptors() <= open_before


def test_x3_the_folder_itself_is_replaced(place: Place, tmp_path: Path) -> None:
    """X3: another folder, or a link, in place of the shared one leads nowhere: it was opened once."""

    async def scenario() -> None:
        async with place.open():
            await place.known()
            place.folder.rename(tmp_path / "moved")
            place.folder.symlink_to(tmp_path / "outside")
            assert await place.names() == ["good"]
            assert await refusal(place.share.open("secret", None)) is Code.NO_SUCH_FILE
            assert await place.whole("good") == b"good"

    run(scenario())


def test_what_cannot_be_read(place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """[14.2-1]: a file that the server may not read is not offered to anybody, until its mode is changed."""
    real = os.open

    def opened(path: Any, *args: Any, **options: Any) -> int:
        if path == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    async def scenario() -> None:
        (place.folder / "locked").write_bytes(SECRET)
        async with place.open():
            monkeypatch.setattr(os, "open", opened)
            assert [each.name for each in await place.known()] == ["good"]
            assert await refusal(place.share.open("locked", None)) is Code.NO_SUCH_FILE
            assert sum("cannot read a shared file" in record.message for record in caplog.records) == 1
            monkeypatch.undo()
            (place.folder / "locked").chmod(0o644)
            assert [each.name for each in await place.known()] == ["good", "locked"]

    run(scenario())


@pytest.mark.parametrize(
    ("error", "code"),
    [(24, Code.OVERLOADED), (23, Code.OVERLOADED), (5, Code.STORE_UNAVAILABLE), (116, Code.STORE_UNAVAILABLE)],
)
def test_a_disk_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch, error: int, code: Code) -> None:
    """P7 X10: too many open files are a matter of time, a broken disk is told as such; the rest goes on."""

    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(error, os.strerror(error))

    async def scenario() -> None:
        async with place.open():
            await place.known()
            found = await place.share.open("good", None)
            for name, asked in (("open", lambda: place.share.open("good", None)), ("pread", lambda: found.read(0, 4))):
                monkeypatch.setattr(os, name, failing)
                assert await refusal(asked()) is code
                monkeypatch.undo()
            place.clock.advance(1)
            monkeypatch.setattr(os, "scandir", failing)
            assert await refusal(place.share.listed(after=None, limit=1)) is code
            monkeypatch.undo()
            assert await found.read(0, 4) == b"good"
            found.close()
            assert await place.names() == ["good"]

    run(scenario())


@pytest.mark.parametrize("lasting", [True, False])
def test_d3_the_disk_of_the_index_is_full(place: Place, lasting: bool) -> None:
    """D3: what cannot be remembered is read again; lists and downloads go on as if nothing were."""
    full = True

    class Full(sqlite3.Connection):
        def executemany(self, *args: Any) -> sqlite3.Cursor:
            if full:
                raise sqlite3.OperationalError("database or disk is full")
            return super().executemany(*args)

    async def scenario() -> None:
        nonlocal full
        async with open_share(place.folder, place.index, place.clock, factory=Full) as place.share:
            (shown,) = await place.known()
            assert (shown.file, shown.standing) == (leaves.of(b"good")[0], Standing.WHOLE)
            found = await place.share.open("good", None)
            assert await found.leaves() == leaves.of(b"good")[1]
            assert await found.read(0, 4) == b"good"
            found.close()
            full = lasting
            (place.folder / "more").write_bytes(b"more")
            assert [each.file for each in await place.known()] == [leaves.of(b"good")[0], leaves.of(b"more")[0]]
        full = False
        async with place.open():
            remembered = await place.share.listed(after=None, limit=9)
            assert [bool(each.file) for each in remembered] == [False, not lasting]
            assert [each.file for each in await place.known()] == [leaves.of(b"good")[0], leaves.of(b"more")[0]]

    run(scenario())


def _zeroed(path: Path) -> None:
    """The pages behind the first."""
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + bytes(len(content) - 4_096))


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _unsearched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 0)
    _zeroed(path)


@pytest.mark.parametrize("deed", ["text", "zeroed", "newer", "unsearched"])
def test_d6_an_index_that_cannot_be_read(
    place: Place, deed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """D6: it is only a cache: it is made anew, the log says so, and the server starts."""

    async def scenario() -> None:
        async with place.open():
            before = await place.known()
        match deed:
            case "text":
                place.index.write_text("no database\n" * 500)
            case "zeroed":
                _zeroed(place.index)
            case "newer":
                _newer(place.index)
            case _:
                _unsearched(place.index, monkeypatch)
        async with place.open():
            assert "index made anew" in caplog.text
            assert [each.file for each in await place.all()] == [b""]
            assert await place.known() == before
        caplog.clear()
        async with place.open():
            assert await place.all() == before

    run(scenario())
    assert "made anew" not in caplog.text


def test_d6_an_index_of_somebody_else(place: Place) -> None:
    """D6: what another program keeps in its place is left alone."""
    with closing(sqlite3.connect(place.index)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    async def scenario() -> None:
        async with place.open():
            raise AssertionError("it was opened")

    with pytest.raises(UsageError, match="another program"):
        run(scenario())
