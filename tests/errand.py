"""A client with one thing to do, in a process of its own (`visitors.Errand`); it says what happens in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quicchat.client.api import Chat
from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.files.sources import PathSource
from quicchat.client.files.targets import FolderTarget, Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.errors import QuicchatError
from quicchat.transport.options import Options
from quicchat.wire.chapters.files import GetFile, Grant, Mode
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import FileKey, packed, unpacked
from tests.processes import processor, status
from tests.visitors import Visitor, now, pulse, visit


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is (`visitors.Reachable`)."""

    port: int
    ca_pem: bytes


def say(at: str, **what: Any) -> None:
    sys.stdout.write(json.dumps({"at": at, **what}) + "\n")
    sys.stdout.flush()


async def wanted(chat: Chat, name: str, room: str | None) -> Wanted:
    """The file that is listed under this name, as soon as it is."""
    while True:
        for each in await chat.files.listed(room):
            if each.name == name and (each.file or room is None):
                return Wanted(each.file or None, each.name, each.size, each.media_type, each.modified, room is None)
        await asyncio.sleep(0.1)


async def begin(visitor: Visitor, order: dict[str, Any]) -> Transfer:
    files = visitor.chat.files
    if order.get("sealed"):
        files.seals = _always
    if "key" in order:
        key = unpacked(FileKey, bytes.fromhex(order["key"]))
        Keyring(visitor.chat._session.scribe).put(Drawer.FILE, key.file, packed(key))
    if order["do"] == "send":
        return await files.send(order["room"], [PathSource(Path(order["path"]))])
    return files.get(
        await wanted(visitor.chat, order["name"], order.get("room")),
        FolderTarget(Path(order["into"])),
        mode=Mode[order.get("mode", "RELIABLE")],
        repair=order.get("repair", True),
        streams=order.get("streams", 2),
    )


async def _always(conversation: str) -> bool:
    return True


async def rounds(chat: Chat, found: list[float]) -> None:
    async for seconds in pulse(chat):
        found.append(seconds)


async def run(order: dict[str, Any]) -> None:
    def told(pdu: Pdu) -> None:
        if isinstance(pdu, GetFile):
            say("asked", ranges=pdu.ranges)
        elif isinstance(pdu, Grant):
            say("granted", have=pdu.have)

    home = Path(order["home"])
    async with visit(
        Place(order["port"], await asyncio.to_thread(Path(order["ca"]).read_bytes)),
        order["user"],
        home,
        address=order.get("address"),
        options=Options(jumbo=order.get("jumbo", True)),
        sign_up=order.get("sign_up", True),
        remembers=order.get("remembers", False),
        metered=not order.get("timed", False),
    ) as visitor:
        say("online")
        visitor.ledger.on_pdu = told
        trips: list[float] = []
        async with asyncio.TaskGroup() as tasks:
            pulses = tasks.create_task(rounds(visitor.chat, trips)) if order.get("pulse") else None
            if order["do"] == "rest":
                await asyncio.sleep(order["seconds"])
            else:
                await carry(visitor, order)
            if pulses is not None:
                pulses.cancel()
        if trips:
            cut = statistics.quantiles(trips, n=100)
            say("pulse", p50=cut[49], p99=cut[98], most=max(trips), count=len(trips))
        # Whoever reads this may want to look at the process first.
        await asyncio.to_thread(sys.stdin.readline)


async def carry(visitor: Visitor, order: dict[str, Any]) -> None:
    """The transfer, and what became of it."""
    if order["do"] == "resume":
        (transfer,) = await taken_up(visitor.chat)
    else:
        transfer = await begin(visitor, order)
    say("begun", done=transfer.done)
    loop = asyncio.get_running_loop()
    # What is timed is left alone.
    moves = None if order.get("timed") else loop.create_task(tell(transfer))
    cpu, start = processor("self"), now()
    try:
        await transfer.finished()
    except QuicchatError as error:
        say("failed", text=str(error), kind=type(error).__name__)
    else:
        say(
            "done",
            seconds=now() - start,
            cpu=processor("self") - cpu,
            peak=status("self", "VmHWM"),
            size=transfer.size,
            done=transfer.done,
            resumed=transfer.resumed,
            missing=transfer.missing,
            pieces=transfer.pieces,
            lost=transfer.lost,
            path=str(transfer.path),
            raw=visitor.ledger.down.raw or visitor.ledger.up.raw,
            twice=visitor.ledger.down.twice + visitor.ledger.up.twice,
            needless=visitor.ledger.needless,
        )
    if moves is not None:
        moves.cancel()


async def taken_up(chat: Chat) -> list[Transfer]:
    """What the run before had begun to upload goes on by itself."""
    while not chat.files.transfers:
        await chat.ping()
    return list(chat.files.transfers)


async def tell(transfer: Transfer) -> None:
    """Say how far it has come, whenever it has."""
    told = None
    while True:
        if told != (told := (transfer.state, transfer.done)):
            say("moved", state=transfer.state.value, done=transfer.done, resumed=transfer.resumed)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
