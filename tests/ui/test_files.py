"""Files where people talk: which one is meant, where it goes, and what they are told while it moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from quicchat.client.files.archive import ArchiveSource
from quicchat.client.files.landing import Known, Leaves
from quicchat.client.files.part import Part
from quicchat.client.files.phase import Phase
from quicchat.errors import Code, LinkLost, Refused
from quicchat.ui import commands
from quicchat.ui.cargo import folder_of
from quicchat.ui.outcomes import Files, Transfers, Unpacked
from quicchat.ui.picking import pick
from quicchat.ui.words import Choice
from quicchat.wire import leaves
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import DIRECTORY
from tests.ui.shelf import HERE, SHARED, Act, Counter, do, finish, passes, row


@pytest.mark.parametrize(
    ("typed", "found", "mode"),
    [
        ("my file.txt", ["my file.txt"], None),
        ("my file.txt udp", ["my file.txt"], Mode.FAST),
        ("my file.txt TCP", ["my file.txt"], Mode.RELIABLE),
        ("a udp", ["a udp"], None),
        ("a udp udp", ["a udp"], Mode.FAST),
        ('"a" udp', ["a"], Mode.FAST),
        ("a fast", ["a"], Mode.FAST),
        ("shared/a", ["a"], None),
        ("#12", ["photo.jpg"], None),
        ("#12 udp", ["photo.jpg"], Mode.FAST),
        ("#4", ["one.txt", "two.txt"], None),
        ("general/#4", ["one.txt", "two.txt"], None),
        ('"#3"', ["#3"], None),
        ("photos", ["photos.tar"], None),
        ("photos/", ["photos.tar"], None),
        ("photos.tar", ["photos.tar"], None),
        ("general/photos/", ["photos.tar"], None),
        ("notes.txt", ["notes.txt"], None),
        ("both.txt", ["both.txt"], None),
    ],
)
def test_which_file_is_meant(counter: Act, typed: str, found: list[str], mode: Mode | None) -> None:
    """R2.26, R2.27: names with blanks, one that ends in ` udp`, places of messages; the longest name wins."""

    async def scenario(counter: Counter) -> None:
        here, how = await pick(counter.desk, typed)
        assert ([each.file.name for each in here], how) == (found, mode)

    counter(scenario)


def test_of_one_sender_the_newest_is_meant(counter: Act) -> None:
    """R2.27: who sends `notes.txt` again means the new one; the old one is had by its place."""

    async def scenario(counter: Counter) -> None:
        for typed, seq in (("notes.txt", 11), ("#9", 9), ("both.txt", 7)):
            (found,), _ = await pick(counter.desk, typed)
            assert found.file.seq == seq

    counter(scenario)


def test_what_is_not_clear_is_not_fetched(counter: Act) -> None:
    """R2.27: of two with one name nobody chooses for the person; each way to type is told, and leads to one."""

    async def scenario(counter: Counter) -> None:
        with pytest.raises(Refused) as caught:
            await do(counter, "/get report.pdf")
        for way in ("shared/report.pdf", "general/#8"):
            assert f"/get {way}" in caught.value.text
            assert len((await pick(counter.desk, way))[0]) == 1
        assert counter.shelf.asked == []

    counter(scenario)


@pytest.mark.parametrize("typed", ["phto.jpg", "#99", "shared/photo.jpg", "@bob/photo.jpg", "a/b/c", "photo.jpg quick"])
def test_there_is_no_such_file(counter: Act, typed: str) -> None:
    """[12.6]: a file that is not there is refused here, and nothing is asked for."""

    async def scenario(counter: Counter) -> None:
        with pytest.raises(Refused) as caught:
            await do(counter, f"/get {typed}")
        assert caught.value.code in (Code.NO_SUCH_FILE, Code.SCHEMA)
        assert counter.shelf.asked == []

    counter(scenario)


def test_a_file_of_another_room_is_found_by_its_announcement(counter: Act) -> None:
    """R2.26: `/get` of what was just announced works, wherever that was."""

    async def scenario(counter: Counter) -> None:
        counter.shelf.rooms["garden"] = [row("roses.jpg")]
        with pytest.raises(Refused):
            await do(counter, "/get roses.jpg")
        counter.desk.announced = {"roses.jpg": {"garden", "general"}}
        await do(counter, "/get roses.jpg")
        assert [asked[0] for asked in counter.shelf.asked] == ["roses.jpg"]
        counter.shelf.rooms["@alice,bob"] = [row("dir.tar", media_type=DIRECTORY)]
        counter.desk.announced = {"dir.tar": {"@alice,bob"}, "photo.jpg": {"garden"}}
        await do(counter, "/get dir")
        with pytest.raises(Refused):
            await do(counter, "/get shared/roses.jpg")
        counter.shelf.rooms["garden"] = [row("photo.jpg", "carol", file=b"c" * 32, seq=2)]
        with pytest.raises(Refused, match=r"/get general/#12 .*/get garden/#2"):
            await do(counter, "/get photo.jpg")
        assert [asked[0] for asked in counter.shelf.asked] == ["roses.jpg", "dir.tar"]

    counter(scenario)


def test_files_are_listed(counter: Act) -> None:
    """R2.25: those of the room one is in and what the server shares, or those of one place."""

    async def scenario(counter: Counter) -> None:
        assert await do(counter, "/files") == Files("general", [*HERE, *SHARED])
        assert await do(counter, "/mystic files") == Files("general", [*HERE, *SHARED])
        assert await do(counter, "/files general") == Files("general", HERE)
        assert await do(counter, "/files shared") == Files(None, SHARED)
        assert await do(counter, "/files @bob") == Files("@alice,bob", ())
        counter.desk.room = ""
        assert await do(counter, "/files") == Files(None, SHARED)

    counter(scenario)


def test_a_download_from_begin_to_end(counter: Act) -> None:
    """R2.26, R2.36: told at the beginning, every few seconds, and at the end; `busy` until the end was told."""

    async def scenario(counter: Counter) -> None:
        outcome = await do(counter, "/get photo.jpg")
        assert isinstance(outcome, Transfers)
        assert [(each.name, each.step) for each in outcome.rows] == [("photo.jpg", "begins")]
        (transfer,) = counter.shelf.transfers
        transfer.move(Phase.TRANSFERRING)
        steps = []
        for _ in range(40):
            await passes(0.3)
            transfer.gain(10)
            steps += counter.hear()
        assert steps == ["moves", "moves"]
        assert len(counter.told) > 30
        assert counter.cargo.busy
        finish(transfer, Path("/x/photo.jpg"))
        assert counter.cargo.busy
        assert counter.hear() == ["here"]
        assert [counter.cargo.busy, counter.cargo.failed] == [False, False]
        assert counter.told[-1].seconds == pytest.approx(12.0)

    counter(scenario)


def test_a_script_is_not_told_how_it_moves(counter: Act) -> None:
    """[12.6]: in pipes only the beginning and the end are lines."""

    async def scenario(counter: Counter) -> None:
        await do(counter, "/get photo.jpg")
        (transfer,) = counter.shelf.transfers
        transfer.move(Phase.TRANSFERRING)
        for _ in range(40):
            await passes(0.3)
            transfer.gain(10)
            assert counter.hear() == []

    counter(scenario, lively=False)


def test_a_fast_one_tells_both_rates(counter: Act) -> None:
    """R2.36, R2.39: `n of m pieces, k missing`, then the repair, with a rate for each."""

    async def scenario(counter: Counter) -> None:
        await do(counter, "/get photo.jpg udp")
        (transfer,) = counter.shelf.transfers
        assert counter.shelf.asked[0][2:] == (Mode.FAST, True)
        transfer.move(Phase.TRANSFERRING)
        transfer.pieces, transfer.lost, transfer.missing = 100, 7, 7
        transfer.spent(Mode.FAST, 930, 3.0)
        transfer.say("")
        assert counter.hear() == ["repairs"]
        assert (counter.told[-1].lost, counter.told[-1].missing) == (7, 7)
        transfer.missing = 0
        transfer.spent(Mode.RELIABLE, 70, 0.5)
        transfer.move(Phase.VERIFYING)
        transfer.move(Phase.DONE)
        assert counter.hear() == ["here.fast"]
        assert counter.told[-1].rates == {"fast": 310.0, "reliable": 140.0}

    counter(scenario)


def test_pause_resume_cancel(counter: Act) -> None:
    """[12.6]: by number, or the only one; what one wished for is told as it happens."""

    async def scenario(counter: Counter) -> None:
        for line in ("/pause", "/cancel", "/cancel 7"):
            with pytest.raises(Refused):
                await do(counter, line)
        await do(counter, "/get photo.jpg")
        await do(counter, "/pause")
        assert counter.hear() == ["paused"]
        assert not counter.cargo.busy
        (goes_on,) = (await do(counter, "/resume")).rows
        assert (goes_on.name, goes_on.step) == ("photo.jpg", "begins")
        assert counter.hear() == []
        assert not counter.shelf.transfers[0].held
        await do(counter, "/get #4")
        with pytest.raises(Refused, match="which"):
            await do(counter, "/cancel")
        counter.hear()
        await do(counter, "/cancel 2")
        assert counter.hear() == ["cancelled"]
        states = [each.state for each in (await do(counter, "/transfers")).rows]
        assert states == ["paused", "cancelled", "offered"]

    counter(scenario)


def test_a_failure_is_told_with_its_reason(counter: Act) -> None:
    """[12.6]: what went wrong, and that it counts for the exit code."""

    async def scenario(counter: Counter) -> None:
        await do(counter, "/get photo.jpg")
        counter.shelf.transfers[0].fail(Refused(Code.DIGEST, "Chunk 3 came wrong three times."))
        assert counter.hear() == ["failed"]
        assert counter.told[-1].reason == "Chunk 3 came wrong three times."
        assert counter.cargo.failed
        assert not counter.cargo.busy

    counter(scenario)


def begin(folder: Path, name: str, data: bytes, done: int, *, fast: bool = False) -> None:
    """A file of which some chunks came another time."""
    file, kept = leaves.of(data, 4096)
    proof = Leaves(file, len(data), 4096)
    proof.add(kept)
    folder.mkdir(parents=True, exist_ok=True)
    part = Part.make(folder, name, Known(file=file, size=len(data), chunk=4096, name=name, fast=fast), proof)
    for index in range(done):
        part.keep(index, data[index * 4096 : (index + 1) * 4096])
    part.leave()
    proof.close()


def test_who_leaves_is_told_once_what_is_left(counter: Act) -> None:
    """[12.6]: what the end of the conversation does to a file is no news after that."""

    async def scenario(counter: Counter) -> None:
        await do(counter, "/get photo.jpg")
        (transfer,) = counter.shelf.transfers
        transfer.move(Phase.TRANSFERRING)
        counter.hear()
        assert counter.cargo.leave().rows == [("photo.jpg", 1000, 0)]
        transfer.fail(LinkLost(Code.NO_ERROR, "the conversation is over"), for_good=False)
        assert counter.hear() == []
        assert counter.told[-1].state == "paused"

    counter(scenario)


def test_what_stands_still_has_no_rate(counter: Act) -> None:
    """Issue 4, 7: the rate is that of the moment, also while nothing comes that could tell of it."""

    async def scenario(counter: Counter) -> None:
        await do(counter, "/get photo.jpg")
        (transfer,) = counter.shelf.transfers
        transfer.move(Phase.TRANSFERRING)
        for _ in range(4):
            await passes(0.5)
            transfer.gain(50)
        assert transfer.rate == pytest.approx(100.0)
        await passes(0.5)
        assert transfer.rate == pytest.approx(100.0)
        transfer.gain(50_000_000)
        assert transfer.rate > 1_000_000
        await passes(99.5)
        assert transfer.rate < 3_000

    counter(scenario)


def test_what_was_begun_is_asked_about(counter: Act) -> None:
    """Issue 4, 3: asked in words that say what happens; yes goes on, no throws away, and in pipes nobody is asked."""

    async def scenario(counter: Counter) -> None:
        data = bytes(40_960)
        begin(counter.cargo.folder, "big.bin", data, 9)
        counter.shelf.rooms["general"] = [row("big.bin", file=leaves.of(data, 4096)[0], size=len(data))]
        counter.desk.asks = True
        choice = await do(counter, "/get big.bin")
        assert isinstance(choice, Choice)
        assert choice.question.startswith("Resume big.bin (90 %, 4.1 kB to go)? [Y/n]")
        assert counter.shelf.asked == []
        assert [choice.answer(line) for line in ("", "Y", "yes", "n", "No", "what?")] == (
            [choice.yes] * 3 + [choice.no] * 2 + [None]
        )
        await commands.run(counter.desk, choice.yes)
        assert (counter.cargo.folder / "big.bin.part").exists()
        assert len(counter.shelf.asked) == 1
        counter.shelf.transfers[0].cancel()
        await commands.run(counter.desk, choice.no)
        assert list(counter.cargo.folder.iterdir()) == []
        assert len(counter.shelf.asked) == 2
        begin(counter.cargo.folder, "big.bin", data, 9)
        counter.shelf.transfers[1].cancel()
        counter.desk.asks = False
        assert isinstance(await do(counter, "/get big.bin"), Transfers)

    counter(scenario)


@pytest.mark.parametrize("mode", Mode)
def test_what_was_begun_goes_on(counter: Act, mode: Mode) -> None:
    """Issue 4, 3: `/resume` alone fetches what another run left here, as it was wanted then."""

    async def scenario(counter: Counter) -> None:
        with pytest.raises(Refused, match="Nothing waits"):
            await do(counter, "/resume")
        data = bytes(40_960)
        begin(counter.cargo.folder, "big.bin", data, 4, fast=mode is Mode.FAST)
        assert counter.cargo.left().rows == [("big.bin", 40_960, 16_384)]
        await do(counter, "/resume")
        assert counter.shelf.asked == [("big.bin", leaves.of(data, 4096)[0], mode, True)]

    counter(scenario)


def test_a_directory_is_one_again(counter: Act, tmp_path: Path) -> None:
    """Issue 4, 5: unpacked where it came, and told; what cannot be unpacked is kept, with the reason."""

    async def scenario(counter: Counter) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.txt").write_text("a")
        source = ArchiveSource(tmp_path / "photos")
        archive = counter.cargo.folder / "photos.tar"
        archive.parent.mkdir()
        for data, files in ((source.read(0, source.size), 1), (b"nonsense" * 100, 0)):
            archive.write_bytes(data)
            await do(counter, "/get photos")
            finish(counter.shelf.transfers[-1], archive)
            assert counter.hear() == ["here"]
            await counter.cargo.close()
            found = counter.told[-1]
            assert isinstance(found, Unpacked)
            assert (found.files, bool(found.reason)) == (files, not files)
        assert (counter.cargo.folder / "photos" / "a.txt").read_text() == "a"
        assert archive.exists()
        assert counter.cargo.failed

    counter(scenario)


@pytest.mark.parametrize(
    ("user", "name"),
    [("alice", "alice"), ("../x", "___x"), ("con", "_con"), ("", "file"), ("..", "file"), ("a/b", "a_b")],
)
def test_the_folder_is_named_after_the_user(tmp_path: Path, user: str, name: str) -> None:
    """R2.10, R2.28: whatever a user is called, it is one directory below the one that was said."""
    folder = folder_of(tmp_path, user)
    assert folder == tmp_path / name
