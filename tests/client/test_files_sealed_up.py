"""Files that are sent into an encrypted conversation: sealed before anything of them leaves, and gone on with."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from quicchat.client.e2ee import filekeys
from quicchat.client.e2ee.keyring import Drawer
from quicchat.client.e2ee.parcels import opened, sealed_size
from quicchat.client.files.phase import Phase
from quicchat.client.files.sources import BytesSource, Source
from quicchat.client.memory import Change, PlainMemory
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import Kind, Post
from quicchat.wire.chapters.session import Error
from quicchat.wire.sealed import FileKey, unpacked
from tests.client.counter import served
from tests.client.depot import reached
from tests.client.test_files_down import content
from tests.client.test_files_up import SlowMemory, file, posts, serving
from tests.server.house import play


async def always(conversation: str) -> bool:
    return True


async def key_of(memory: PlainMemory, file: bytes) -> FileKey:
    """What is remembered that opens a file."""
    return unpacked(FileKey, (await memory.load()).secrets[Drawer.FILE, file])


def test_what_leaves_is_sealed(tmp_path: Path) -> None:
    """[15.8-1], [15.8-2]: offered and sent are parcels, each under a secret of its own, kept before the first offer."""

    async def scenario() -> None:
        counter, here = serving()
        memory = PlainMemory()
        async with served(counter, memory=memory) as alice:
            alice.files.chunk = 4_096
            asked: list[str] = []

            async def seals(conversation: str) -> bool:
                asked.append(conversation)
                return True

            alice.files.seals = seals
            data = content(150_000)
            sources: list[Source] = [file(tmp_path, "my photo.jpg", data), BytesSource("again.jpg", data)]
            transfer = await alice.files.send("bob", sources, direct=True, caption="see")
            await reached(lambda: bool(here.offers))
            kept = (await memory.load()).secrets
            assert {offer.file for offer in here.offers} <= {name for _, name in kept}
            await transfer.finished()
            assert (transfer.state, transfer.done, transfer.size, transfer.hashed) == (Phase.DONE, *[300_000] * 3)
            assert set(asked) == {"@alice,bob"}
            (post,) = posts(counter)
            assert post.text == "see\nmy photo.jpg, 150 kB\nagain.jpg, 150 kB"
            rows = post.attachments or ()
            assert [row[1:4] for row in rows] == [
                (sealed_size(150_000), "image/jpeg", "my photo.jpg"),
                (sealed_size(150_000), "image/jpeg", "again.jpg"),
            ]
            one, two = [await key_of(memory, row[0]) for row in rows]
            assert one.secret != two.secret
            for key in (one, two):
                blob = bytes(here.blobs[key.file].data)
                assert opened(blob, key) == data
                assert not any(data[at : at + 16] in blob for at in range(0, len(data), 1_000))
            opens = [(each.secret, 150_000, each.root) for each in (one, two)]
            inside = filekeys.rows(post, alice.files._keyring)
            assert inside == tuple((*row, *key) for row, key in zip(rows, opens, strict=True))
            assert {offer.size for offer in here.offers} == {sealed_size(150_000)}

    play(scenario)


def test_no_offer_before_the_secret_is_kept() -> None:
    """[15.8-2]: on a disk that takes its time the first offer waits for it."""

    async def scenario() -> None:
        counter, here = serving()
        memory = SlowMemory()
        async with served(counter, memory=memory) as alice:
            alice.files.seals = always
            transfer = await alice.files.send("general", [BytesSource("f", b"data")])
            await reached(lambda: bool(here.offers))
            assert (await key_of(memory, here.offers[0].file)).size == 4
            await transfer.finished()

    play(scenario)


def test_the_same_parcel_on_every_connection() -> None:
    """[14.7-2], [15.8-2]: what the server has of it stays, though it is sealed anew while it is sent."""

    async def scenario() -> None:
        counter, here = serving()
        async with served(counter) as alice:
            alice.files.chunk, alice.files.seals = 4_096, always
            here.upload_credit = 32_768
            here.cut_after = 100_000
            transfer = await alice.files.send("general", [BytesSource("f", content(400_000))])
            states = set()
            while not transfer.over:
                states.add(transfer.state)
                await asyncio.sleep(0.001)
            assert Phase.PAUSED in states
            assert transfer.state is Phase.DONE
            assert set(here.stored.values()) == {1}
            assert len({offer.file for offer in here.offers}) == 1

    play(scenario)


def test_the_same_parcel_in_the_next_run(tmp_path: Path) -> None:
    """[14.7-2], [15.8-2], [15.8-3]: the secret is remembered with the upload, and what is there is not sent again."""

    async def scenario() -> None:
        counter, here = serving()
        memory = PlainMemory()
        here.upload_credit = 8_192
        data = content(400_000)
        async with served(counter, memory=memory) as alice:
            alice.files.chunk, alice.files.seals = 4_096, always
            transfer = await alice.files.send("general", [file(tmp_path, "f", data)])
            await reached(lambda: transfer.done >= 100_000)
        async with served(counter, memory=memory) as alice:
            # As long as nobody knows better: what was begun sealed goes on so.
            (transfer,) = alice.files.transfers
            await transfer.finished()
            assert transfer.resumed >= 100_000
            assert (transfer.size, transfer.done) == (400_000, 400_000)
        assert set(here.stored.values()) == {1}
        (blob,) = here.blobs
        assert opened(bytes(here.blobs[blob].data), await key_of(memory, blob)) == data
        assert not (await memory.load()).uploads

    play(scenario)


def test_what_changed_between_two_runs_is_not_sealed(tmp_path: Path) -> None:
    """[15.8-3], X3: one byte that is another, behind the back of the clock: refused, and not a byte of it leaves."""

    async def scenario() -> None:
        counter, here = serving()
        memory = PlainMemory()
        here.upload_credit = 8_192
        data = content(400_000)
        async with served(counter, memory=memory) as alice:
            alice.files.chunk, alice.files.seals = 4_096, always
            transfer = await alice.files.send("general", [file(tmp_path, "f", data)])
            await reached(lambda: transfer.done >= 100_000)
        facts = (tmp_path / "f").stat()
        (tmp_path / "f").write_bytes(data[:399_999] + b"?")
        os.utime(tmp_path / "f", ns=(facts.st_atime_ns, facts.st_mtime_ns))
        stored, offers = dict(here.stored), len(here.offers)
        async with served(counter, memory=memory) as alice:
            (transfer,) = alice.files.transfers
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.code is Code.FILE_CHANGED
            await asyncio.sleep(0.1)
        assert dict(here.stored) == stored
        assert len(here.offers) == offers
        # Sent again it is another parcel, under another secret.
        async with served(counter, memory=memory) as alice:
            alice.files.chunk, alice.files.seals = 4_096, always
            await (await alice.files.send("general", [file(tmp_path, "f", data[:399_999] + b"?")])).finished()
        one, two = dict.fromkeys(offer.file for offer in here.offers)
        assert (await key_of(memory, one)).secret != (await key_of(memory, two)).secret

    play(scenario)


def test_what_changes_while_it_is_sent_is_not_sealed(tmp_path: Path) -> None:
    """[15.8-3], [14.7-6]: in one run too, and told in words."""

    async def scenario() -> None:
        counter, here = serving()
        here.upload_credit = 131_072
        async with served(counter) as alice:
            alice.files.chunk, alice.files.seals = 65_536, always
            data = content(4_000_000)
            transfer = await alice.files.send("general", [file(tmp_path, "f", data)])
            await reached(lambda: transfer.done >= 50_000)
            facts = (tmp_path / "f").stat()
            with (tmp_path / "f").open("r+b") as out:
                out.seek(3_900_000)
                out.write(b"?")
            os.utime(tmp_path / "f", ns=(facts.st_atime_ns, facts.st_mtime_ns))
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.text == "f changed since it was read first; send it again."

    play(scenario)


@pytest.mark.parametrize("named", [False, True])
def test_a_conversation_that_is_encrypted_by_now(tmp_path: Path, named: bool) -> None:
    """[15.8-2]: what was begun in plain, and named by nobody yet, is not gone on with; what was named already is."""

    async def scenario() -> None:
        counter, here = serving()
        memory = PlainMemory()
        here.upload_credit, here.cut_after = 8_192, 150_000
        if not named:
            counter.answers = {Post: lambda _: [Error.about(Code.OVERLOADED, "")]}
        async with served(counter, memory=memory) as alice:
            encrypted: list[str] = []

            async def seals(conversation: str) -> bool:
                return conversation in encrypted

            alice.files.chunk, alice.files.seals = 4_096, seals
            transfer = await alice.files.send("general", [file(tmp_path, "f", content(400_000))])
            await reached(lambda: transfer.done >= 50_000)
            encrypted.append("general")
            if named:
                await transfer.finished()
                assert set(here.stored.values()) == {1}
                return
            with pytest.raises(Refused) as caught:
                await transfer.finished()
            assert caught.value.text == "This conversation is encrypted by now; send it again."
            with pytest.raises(Refused) as caught:
                filekeys.rows(posts(counter)[0], alice.files._keyring)
            assert caught.value.text == "f was not encrypted; send it again."

    play(scenario)


def test_the_key_that_was_known_first_stays() -> None:
    """[15.8-7]: nobody makes a file unreadable, or calls it otherwise, by naming it once more."""

    async def scenario() -> None:
        counter, _ = serving()
        async with served(counter, Change()) as alice:
            alice.files.seals = always
            await (await alice.files.send("general", [BytesSource("f", b"data")])).finished()
            (post,) = posts(counter)
            assert post.kind is Kind.FILE
            keyring = alice.files._keyring
            (row,) = post.attachments or ()
            key = filekeys.key_of(keyring, row[0])
            assert key is not None
            assert not filekeys.learn(keyring, key)
            other = FileKey(
                file=row[0], secret=bytes(32), size=4, root=bytes(32), name="evil", media_type="", modified=0
            )
            assert not filekeys.learn(keyring, other)
            assert filekeys.key_of(keyring, row[0]) == key
            assert filekeys.key_of(keyring, None) is None

    play(scenario)
