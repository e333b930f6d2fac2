"""The small parts of files at a client: states, names, runs, what lies on the disk and in the memory."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quicchat.client.files.landing import Known, Leaves
from quicchat.client.files.names import numbered, offered, safe
from quicchat.client.files.part import Busy, Part, charted
from quicchat.client.files.phase import FINAL, MOVES, Direction, Phase
from quicchat.client.files.runs import Work, ranges, unmarked
from quicchat.client.files.targets import FolderTarget, Wanted, unfinished
from quicchat.client.files.transfer import Transfer
from quicchat.client.memory import Change, Memory, PlainMemory, Upload
from quicchat.client.memory_sqlite import open_memory
from quicchat.wire import leaves
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.names import FILE_PATTERN
from tests.client.test_files_down import content
from tests.server.house import play


@pytest.mark.parametrize("state", Phase)
@pytest.mark.parametrize("to", Phase)
def test_every_state_and_every_move(state: Phase, to: Phase) -> None:
    """Protocol §5, [14.7-2]: what the table allows happens and is told, everything else changes nothing."""

    async def scenario() -> None:
        told: list[Phase] = []
        transfer = Transfer(1, "f", 10, Direction.DOWN, tell=lambda each: told.append(each.state))
        transfer.state = state
        transfer.move(to)
        if to in MOVES[state]:
            assert (transfer.state, told) == (to, [to])
        else:
            assert (transfer.state, told) == (state, [])

    play(scenario)


def test_the_table_of_moves_is_sound() -> None:
    """Protocol §5: final states stay, all others can end in each way, and DONE comes after VERIFYING only."""
    assert set(MOVES) == set(Phase)
    for state, moves in MOVES.items():
        assert state not in moves
        assert (not moves) == (state in FINAL)
        assert state in FINAL or {Phase.FAILED, Phase.CANCELLED} <= moves
    assert [state for state, moves in MOVES.items() if Phase.DONE in moves] == [Phase.VERIFYING]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("my file udp", "my file udp"),
        ("../../etc/passwd", "___.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..\\..\\boot.ini", "___.._boot.ini"),
        ("C:\\x", "C__x"),
        ("a\0b", "a_b"),
        ("", "file"),
        ("..", "file"),
        (".", "file"),
        (".bashrc", "_bashrc"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("LPT1 .doc", "_LPT1 .doc"),
        ("name. . ", "name"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\nb", "a_b"),
        ("e\u0301", "\u00e9"),
        ("\ud800", "file"),
    ],
)
def test_names_that_somebody_else_chose(name: str, kept: str) -> None:
    """X1, R2.10, [14.7-4]: whatever it is called elsewhere, here it is the name of a file in this directory."""
    assert safe(name) == kept


@given(st.text(max_size=400))
def test_any_name_is_safe(name: str) -> None:
    """X1, [14.7-4]: no directory, not hidden, not too long, the same when it is made safe again, and sayable."""
    kept = safe(name)
    assert kept
    assert Path(kept).name == kept
    assert not kept.startswith(".")
    assert len(kept.encode()) <= 200
    assert safe(kept) == kept
    assert re.fullmatch(FILE_PATTERN, offered(name))


def test_numbers_go_before_the_ending() -> None:
    """R2.28: `name`, then `name (1)`."""
    assert [numbered("a.tar.gz", 0), numbered("a.b.txt", 1), numbered("a", 2)] == ["a.tar.gz", "a.b (1).txt", "a (2)"]


@given(st.binary(max_size=200).map(lambda data: bytes(each & 1 for each in data)), st.integers(1, 5))
def test_work_is_shared_out_without_rest(marks: bytes, streams: int) -> None:
    """[14.7-2]: what is not here is fetched once, whoever takes it, and what is given back comes again."""
    work = Work(unmarked(marks), 4_096, streams)
    taken: list[int] = []
    given_back = False
    while runs := work.take():
        assert len(runs) <= 64
        if not given_back:
            given_back = True
            work.back(runs)
            continue
        taken += [index for first, end in runs for index in range(first, end)]
    assert sorted(taken) == [index for index, mark in enumerate(marks) if not mark]
    spans = ranges(unmarked(marks), 10, len(marks) * 10 - 3)
    assert sum(size for _, size in spans) <= 10 * len(taken)


def begun(directory: Path, data: bytes, name: str = "f", *, kept: int = 3) -> Known:
    file, proofs = leaves.of(data, 4_096)
    known = Known(file=file, size=len(data), chunk=4_096, name=name)
    held = Leaves(file, len(data), 4_096)
    held.add(proofs)
    held.check()
    part = Part.make(directory, name, known, held)
    for index in range(kept):
        part.keep(index, data[index * 4_096 :][:4_096])
    part.leave()
    held.close()
    return known


def test_a_part_is_locked(tmp_path: Path) -> None:
    """Issue 4, item 3: while one writes, nobody else opens it."""
    known = begun(tmp_path, content(50_000))
    part = Part.open(tmp_path / "f.part")
    assert part is not None
    with pytest.raises(Busy):
        Part.open(tmp_path / "f.part")
    part.leave()
    again = FolderTarget(tmp_path).found(Wanted(known.file, "f"))
    assert again is not None
    again.leave()


def test_what_was_begun_second_is_found_when_the_first_is_done(tmp_path: Path) -> None:
    """[14.7-2]: of two files of one name the other goes on where it was, and not from its beginning."""
    first, second = begun(tmp_path, content(50_000)), begun(tmp_path, content(60_000)[::-1])
    part = FolderTarget(tmp_path).found(Wanted(first.file, "f"))
    assert part is not None
    part.finish()
    part = FolderTarget(tmp_path).found(Wanted(second.file, "f"))
    assert part is not None
    assert part.path == tmp_path / "f (1).part"
    part.leave()


def test_a_name_that_was_said_overwrites_nothing(tmp_path: Path) -> None:
    """R2.28, [14.7-4]: what one wants it to be called gives way to a file that is there, also where it goes on."""
    known = begun(tmp_path, content(50_000))
    (tmp_path / "x.bin").write_text("old")
    part = FolderTarget(tmp_path, "x.bin").found(Wanted(known.file, "f"))
    assert part is not None
    part.finish()
    assert part.path == tmp_path / "x (1).bin"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x (1).bin", "x.bin"]
    assert (tmp_path / "x.bin").read_text() == "old"


def test_what_a_map_claims_is_not_believed(tmp_path: Path) -> None:
    """R0.7, [14.7-2]: chunks that the disk lost are not here, whatever the map says."""
    data = content(50_000)
    begun(tmp_path, data, kept=13)
    with (tmp_path / "f.part").open("r+b") as file:
        file.truncate(30_000)
    part = Part.open(tmp_path / "f.part")
    assert part is not None
    assert part.check(0, 100) == 7 * 4_096
    assert list(part.marks) == [1] * 7 + [0] * 6
    part.leave()


@pytest.mark.parametrize("damage", ["magic", "leaves", "header", "short", "size", "empty", "numbers"])
def test_a_map_that_is_damaged_or_foreign_is_none(tmp_path: Path, damage: str) -> None:
    """[14.7-2], [14.7-4]: it is not gone on with, and what lies there stays as it is."""
    begun(tmp_path, content(50_000))
    path = tmp_path / "f.part.map"
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[16:20], "big")
    match damage:
        case "magic":
            data[0] ^= 1
        case "leaves":
            data[20 + length] ^= 1
        case "header":
            data[25] = 0
        case "short":
            del data[100:]
        case "empty":
            data.clear()
        case "size":
            data[16:20] = b"\xff" * 4
        case _:
            told = json.loads(data[20 : 20 + length]) | {"size": "many", "chunk": 0}
            header = json.dumps(told).encode()
            data = data[:16] + len(header).to_bytes(4, "big") + header + data[20 + length :]
    path.write_bytes(data)
    assert Part.open(tmp_path / "f.part") is None
    assert charted(tmp_path / "f.part") is None
    assert unfinished(tmp_path) == []
    assert (tmp_path / "f.part").exists()


def test_a_map_that_was_never_written_to_its_end_is_in_nobodys_way(tmp_path: Path) -> None:
    """[14.7-2]: a program that ended while it began leaves nothing that the next one would have to avoid."""
    (tmp_path / "f.part").touch()
    (tmp_path / "f.part.map").write_bytes(bytes(16) + b"half a header")
    begun(tmp_path, content(50_000))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["f.part", "f.part.map"]
    assert len(unfinished(tmp_path)) == 1


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    """X2, [14.7-4]: whoever can put a link where a part will be cannot have us write elsewhere."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f.part").symlink_to(tmp_path / "secret")
    begun(tmp_path / "d", content(9_000))
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "d" / "f (1).part").exists()


def test_a_part_that_has_its_name_already_is_finished(tmp_path: Path) -> None:
    """[14.7-4]: a program that ended between the two names leaves no second file behind."""
    data = content(9_000)
    known = begun(tmp_path, data, kept=3)
    (tmp_path / "f").hardlink_to(tmp_path / "f.part")
    assert FolderTarget(tmp_path).found(Wanted(known.file, "f")) is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["f"]


@pytest.mark.parametrize("kind", ["plain", "sqlite"])
def test_uploads_are_remembered(tmp_path: Path, kind: str) -> None:
    """Issue 4, item 3: in both memories, in order, until they are done."""

    async def scenario() -> None:
        memory: Memory = PlainMemory() if kind == "plain" else open_memory(tmp_path, "here", "alice")
        rows, paths = ((bytes(32), 5, "text/plain", "f", 7),), (("/f", 5, 7),)
        uploads = [
            Upload(
                Post(room="general", cid=bytes([n]) * 16, kind=Kind.FILE, text="f", attachments=rows),
                4_096,
                paths,
            )
            for n in (2, 1)
        ]
        await memory.keep(Change(uploads=uploads))
        assert list((await memory.load()).uploads) == uploads
        await memory.keep(Change(uploaded=[uploads[0].cid]))
        assert list((await memory.load()).uploads) == uploads[1:]
        await memory.close()

    asyncio.run(scenario())
