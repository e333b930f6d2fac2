"""Sealed files: what sealing and opening cost by themselves, and what of it is felt beside a plain transfer."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from quicchat.client.e2ee.parcels import CHUNK, Opening, Parcel, sealed
from quicchat.client.files.sealing import SealedSource
from quicchat.client.files.sending import named
from quicchat.client.files.sources import BytesSource
from quicchat.wire import leaves
from quicchat.wire.sealed import FileKey, packed
from tests.bench.bench_files import SIZE, Bench
from tests.bench.table import Row
from tests.e2e.parcels import content
from tests.processes import CHEAP, ServerProcess

_SECRET = bytes(range(32))
#: Bytes that a receiver opens at once.
_READ = 1_048_576


def key_of(data: bytes, parcel: bytes, name: str) -> FileKey:
    """What opens a parcel."""
    return FileKey(
        file=leaves.of(parcel)[0],
        secret=_SECRET,
        size=len(data),
        root=leaves.of(data, CHUNK)[0],
        name=name,
        media_type="application/octet-stream",
        modified=0,
    )


def _alone(data: bytes) -> list[Row]:
    """From memory to memory, by seconds of the processor: two of them may be at it at once."""
    rows = []

    def timed(name: str, start: float, note: str) -> None:
        rows.append(Row(name, len(data) / (time.process_time() - start) / 2**30, "GiB/s", note))

    parcel, view, start = Parcel(_SECRET, len(data)), memoryview(data), time.process_time()
    for index in range(parcel.chunks):
        parcel.seal(index, view[index * CHUNK : (index + 1) * CHUNK])
    timed("seal", start, "AES-256-GCM alone")
    start = time.process_time()
    item = asyncio.run(named(BytesSource("f", data)))
    item.leaves.close()
    timed("hash, plain", start, "leaves of what is sent as it is")
    source, start = SealedSource(BytesSource("f", data), _SECRET), time.process_time()
    item = asyncio.run(named(source))
    timed("hash, sealed", start, "leaves of both, and sealing")
    item.leaves.close()
    source.close()
    whole = sealed(data, _SECRET)
    opening, start = Opening(key_of(data, whole, "f")), time.process_time()
    for at in range(0, len(whole), _READ):
        opening.feed(whole[at : at + _READ])
    opening.end()
    timed("open", start, "with the leaves of what was in it")
    return rows


async def _carried(data: bytes) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        plain, parcel = home / "file.bin", home / "parcel.bin"
        plain.write_bytes(data)
        parcel.write_bytes(whole := sealed(data, _SECRET))
        key = packed(key_of(data, whole, "sealed.bin")).hex()
        with ServerProcess(home / "server", *CHEAP) as server:
            bench = Bench(server, home / "visitors")
            rows = [await bench.carried("upload", "send", room="general", path=str(plain))]
            await bench.carried("", "send", room="general", path=str(parcel))
            for mode in ("RELIABLE", "FAST"):
                how = mode.lower()
                rows.append(await bench.carried(f"download, {how}", room="general", mode=mode))
                what = {"room": "general", "mode": mode, "key": key, "name": "sealed.bin"}
                rows.append(await bench.carried(f"download, {how}, sealed", **what))
            rows.append(await bench.carried("upload, sealed", "send", room="general", path=str(plain), sealed=True))
        return rows


def rows() -> list[Row]:
    data = content(SIZE, int(os.environ.get("QUICCHAT_BENCH_SEED", "1")))
    return _alone(data) + asyncio.run(_carried(data))
