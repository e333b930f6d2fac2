"""Directories that are sent as one file: any part of the archive can be read, and nothing in one is believed."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.files import archive as archives
from quicchat.client.files.archive import ArchiveSource
from quicchat.client.files.unpack import Unpacked, unpack
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import DIRECTORY

#: 2027-01-14 11:04:20.25 UTC.
THEN = 1_799_924_660.25
LONG = "a very long name, too long for the header of an archive " * 3
FILES = {
    "a.txt": b"alpha",
    "empty": b"",
    ".hidden": b"h",
    "block": bytes(range(256)) * 2,
    "sub/b c.bin": bytes(range(256)) * 40,
    "sub/deep/ünïcode.txt": "ü".encode(),
    f"sub/{LONG}.txt": b"long",
}


def photos(folder: Path) -> Path:
    """A directory `photos` with some files, all as old as another."""
    root = folder / "photos"
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "nothing").mkdir()
    for path in (*root.rglob("*"), root):
        os.utime(path, (THEN, THEN))
    return root


def held(root: Path) -> dict[str, bytes]:
    """The files below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def whole(source: ArchiveSource) -> bytes:
    return source.read(0, source.size)


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def member(name: str, data: bytes = b"x", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def unpacked(folder: Path, data: bytes, name: str = "photos.tar") -> Unpacked:
    folder.mkdir(exist_ok=True)
    path = folder / "photos.tar"
    path.write_bytes(data)
    return unpack(path, name)


def refused(folder: Path, data: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        unpacked(folder, data)
    assert [path.name for path in folder.iterdir()] == ["photos.tar"], "the archive stays, nothing else"
    return caught.value


def test_a_directory_arrives_as_it_was(tmp_path: Path) -> None:
    """[14.8-1]: names, sizes, times and empty directories; the archive is gone, and is one that others can read."""
    root = photos(tmp_path)
    source = ArchiveSource(root)
    assert (source.name, source.media_type, source.modified) == ("photos.tar", DIRECTORY, int(THEN * 1000))
    assert (source.count, source.left_out) == (len(FILES), 0)
    data = whole(source)
    assert len(data) == source.size
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {name.rstrip("/") for name in archive.getnames()} == {
            "photos", "photos/nothing", "photos/sub", "photos/sub/deep", *(f"photos/{name}" for name in FILES)
        }  # fmt: skip
        assert {(info.uid, info.gid, info.uname, info.gname) for info in archive} == {(0, 0, "", "")}
    found = unpacked(tmp_path / "alice", data)
    assert found == Unpacked(tmp_path / "alice" / "photos", len(FILES), 0)
    assert held(found.path) == FILES
    assert {path.stat().st_mtime for path in (*found.path.rglob("*"), found.path)} == {THEN}
    assert (found.path / "nothing").is_dir()
    assert os.listdir(tmp_path / "alice") == ["photos"]


@given(parts=st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 20_000)), min_size=1, max_size=20))
def test_any_part_can_be_read(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]]) -> None:
    """An upload goes on anywhere: whatever part is asked for is that part of the whole, from a fresh source, too."""
    root = tmp_path_factory.getbasetemp() / "parts"
    if not root.exists():
        photos(root)
    data = whole(ArchiveSource(root / "photos"))
    again = ArchiveSource(root / "photos")
    for offset, size in parts:
        assert again.read(offset, size) == data[offset : offset + size]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """[14.8-1]: `photos` is there already, so it is `photos (1)`, `photos (2)`."""
    source = ArchiveSource(photos(tmp_path))
    target = tmp_path / "alice"
    paths = [unpacked(target, whole(source)).path for _ in range(3)]
    assert [path.name for path in paths] == ["photos", "photos (1)", "photos (2)"]
    assert all(held(path) == FILES for path in paths)


def test_links_and_devices_stay_at_home(tmp_path: Path) -> None:
    """X1, X2: what a link points to is not sent, nor is a socket or a pipe read; they are counted."""
    root = photos(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    source = ArchiveSource(root)
    assert (source.count, source.left_out) == (len(FILES), 4)
    assert b"secret" not in whole(source)


@pytest.mark.parametrize("change", ["longer", "shorter", "newer", "link", "gone"])
def test_a_file_that_changes_meanwhile(tmp_path: Path, change: str) -> None:
    """The archive would not be what was announced: reading it is refused, and says which file."""
    root = photos(tmp_path)
    source = ArchiveSource(root)
    path = root / "sub" / "b c.bin"
    match change:
        case "longer" | "shorter":
            path.write_bytes(bytes(20_000) if change == "longer" else b"")
            os.utime(path, (THEN, THEN))
        case "newer":
            os.utime(path, (THEN, THEN + 1))
        case "link" | "gone":
            path.unlink()
            if change == "link":
                path.symlink_to(root / "a.txt")
    with pytest.raises(Refused, match=r"b c\.bin") as caught:
        whole(source)
    assert caught.value.code is Code.FILE_CHANGED


def test_what_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says what is wrong: nothing there, or more in it than is sent at once."""
    with pytest.raises(Refused, match="No such file"):
        ArchiveSource(tmp_path / "nothing")
    monkeypatch.setattr(archives, "MEMBERS", 4)
    with pytest.raises(Refused, match="more than 4 files"):
        ArchiveSource(photos(tmp_path))


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../out", "photos/../../out", "a/../../out", "\\out", "c:out", "C:\\out", "a\\..\\..\\out", ".."],
)
def test_no_member_climbs_out(tmp_path: Path, name: str) -> None:
    """[14.8-2], X1: absolute, with `..`, a drive, another system's separator: left out, told, and the archive kept."""
    target = tmp_path / "in" / "alice"
    target.parent.mkdir()
    found = unpacked(target, packed(member(name, b"bad"), member("photos/good", b"good")))
    assert found == Unpacked(target / "photos", 1, 1)
    assert held(tmp_path / "in") == {
        "alice/photos/good": b"good",
        "alice/photos.tar": packed(member(name, b"bad"), member("photos/good", b"good")),
    }


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z", b"S"]
)
def test_no_links_and_devices_come_out(tmp_path: Path, kind: bytes) -> None:
    """[14.8-2], X1: neither is made, and nothing is written through one."""
    (tmp_path / "outside").mkdir()
    evil = member("photos/evil", b"", type=kind, linkname=str(tmp_path / "outside"))
    found = unpacked(tmp_path / "alice", packed(evil, member("photos/evil/x", b"x")))
    assert found.left_out == 1
    assert held(found.path) == {"evil/x": b"x"}
    assert not (found.path / "evil").is_symlink()
    assert list((tmp_path / "outside").iterdir()) == []


def test_names_that_one_system_takes_for_the_same(tmp_path: Path) -> None:
    """[14.8-2]: `A` and `a`, two forms of an umlaut, a device of Windows, a name twice: each file has its own."""
    names = ["A", "a", "\u00e4", "a\u0308", "CON", "con.txt", "dir/x", "DIR/x", "twice", "twice", "a:b?", "n" * 300]
    found = unpacked(tmp_path / "alice", packed(*(member(f"photos/{name}", name.encode()) for name in names)))
    files = held(found.path)
    assert (found.files, found.left_out) == (len(names), 0)
    assert sorted(files.values()) == sorted(name.encode() for name in names)
    assert len({name.casefold() for name in files}) == len(names)
    assert files["dir/x"] == b"dir/x"
    assert files["DIR (1)/x"] == b"DIR/x"
    assert files["a_b_"] == b"a:b?"
    assert not any(name.lower().startswith("con") or len(name) > 255 for name in files)


def test_a_file_where_a_directory_is(tmp_path: Path) -> None:
    """[14.8-2]: what comes later gives way, and writes over nothing."""
    found = unpacked(tmp_path / "alice", packed(member("photos/a", b"1"), member("photos/a/b", b"2")))
    assert held(found.path) == {"a": b"1", "a (1)/b": b"2"}


def test_a_bomb_does_not_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[14.8-3], X8: too many files, too deep directories, more bytes than there are, a header of a gigabyte."""
    monkeypatch.setattr("quicchat.client.files.unpack.MEMBERS", 10)
    many = packed(*(member(f"photos/{number}") for number in range(30)))
    assert refused(tmp_path / "many", many).code is Code.LIMIT
    broad = packed(*(member(f"photos/{number}/a/b/c") for number in range(10)))
    assert refused(tmp_path / "broad", broad).code is Code.LIMIT
    deep = packed(member("photos/" + "d/" * 65 + "x"))
    assert unpacked(tmp_path / "deep", deep) == Unpacked(tmp_path / "deep" / "photos", 0, 1)
    info, _ = member("photos/big")
    info.size = 2**32
    assert refused(tmp_path / "big", info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)).code is Code.DECODE
    info.type = tarfile.XHDTYPE
    assert refused(tmp_path / "header", info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)).code is Code.DECODE
    half = whole(ArchiveSource(photos(tmp_path)))
    assert refused(tmp_path / "half", half[: len(half) // 2]).code is Code.DECODE
    assert refused(tmp_path / "nonsense", b"\x1f\x8b\x08" + os.urandom(5000)).code is Code.DECODE


def test_headers_before_headers(tmp_path: Path) -> None:
    """[14.8-3]: `tarfile` reads each of them inside the one before; ten thousand end in words, not in a crash."""
    info, _ = member("pax")
    info.type, info.size = tarfile.XHDTYPE, 0
    assert refused(tmp_path / "alice", info.tobuf(tarfile.USTAR_FORMAT) * 10_000).code is Code.DECODE


@given(st.binary(max_size=3000))
def test_whatever_comes_ends_in_words(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """[14.8-3]: no archive ends in anything but a directory or a refusal."""
    folder = tmp_path_factory.mktemp("any")
    good = packed(member("photos/a", b"1" * 600), member("photos/b"))
    with contextlib.suppress(Refused):
        assert unpacked(folder, data + good[len(data) :]).path.is_dir()
    assert not any(path.name.startswith(".photos") for path in folder.iterdir())
