"""Commands about files. (spec 14-files)"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from quicchat.client.files.archive import ArchiveSource
from quicchat.client.files.sources import PathSource, Source
from quicchat.client.files.targets import Unfinished as Begun
from quicchat.client.files.targets import Wanted
from quicchat.client.files.transfer import Transfer
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.cargo import only
from quicchat.ui.desk import Desk
from quicchat.ui.figures import share_of, size_of
from quicchat.ui.outcomes import Done, Files, Outcome, Transfers
from quicchat.ui.picking import pick, room_of
from quicchat.ui.slots import user_name
from quicchat.ui.words import Call, Choice
from quicchat.wire.chapters.files import Mode


async def files(desk: Desk, call: Call) -> Outcome:
    typed = call.get("place")
    room = room_of(desk, typed) if typed is not None else desk.room or None
    rows = await desk.chat.files.listed(room)
    if typed is None and room is not None:
        # Whoever looks for a file does not know where it is.
        rows = [*rows, *await desk.chat.files.listed(None)]
    return Files(room, rows)


async def get(desk: Desk, call: Call) -> Outcome:
    found, mode = await pick(desk, call["file"])
    begun = matching([each.file.wanted for each in found], await asyncio.to_thread(desk.cargo.unfinished))
    if begun and desk.asks and call.get("begun") is None:
        return Choice(question(begun), _again(call, "on"), _again(call, "anew"))
    if call.get("begun") == "anew":
        for each in begun:
            await asyncio.to_thread(desk.cargo.forget, each.what)
    transfers = [desk.cargo.fetch(each.file.wanted, mode or Mode.RELIABLE) for each in found]
    return Transfers([desk.cargo.freight(each, "begins") for each in transfers])


async def send(desk: Desk, call: Call) -> Outcome:
    to, direct, typed = _addressee(desk, call["files"])
    paths = paths_of(typed)
    if not direct and not paths[0].exists() and len(paths) > 1:
        raise Refused(Code.NO_SUCH_FILE, f"There is no file {paths[0]}. To say something to one: /msg {typed}")
    sources = await asyncio.to_thread(sources_of, paths)
    transfers = await desk.cargo.send(to, sources, direct=direct)
    return Transfers([desk.cargo.freight(each, "begins") for each in transfers])


async def transfers(desk: Desk, call: Call) -> Outcome:
    return Transfers([desk.cargo.freight(each, "listed") for each in desk.cargo.transfers])


def wish(name: str, run: Callable[[Transfer], None]) -> Callable[[Desk, Call], Awaitable[Outcome]]:
    """Pause or cancel one; what becomes of it is told as it happens."""

    async def wished(desk: Desk, call: Call) -> Outcome:
        transfer = only(desk.cargo.transfers, call.get("number"), name)
        run(transfer)
        return Done(name, {"number": str(transfer.number), "name": transfer.name})

    return wished


async def resume(desk: Desk, call: Call) -> Outcome:
    number = call.get("number")
    if number is not None:
        transfer = only(desk.cargo.transfers, number, "resume")
        transfer.resume()
        return Done("resume", {"number": number, "name": transfer.name})
    still = [each for each in desk.cargo.transfers if not each.over and (each.held or each.failure is not None)]
    for each in still:
        each.resume()
    begun = await asyncio.to_thread(desk.cargo.unfinished)
    if not (still or begun):
        raise Refused(Code.NO_SUCH_FILE, "Nothing waits to go on.")
    still += [desk.cargo.fetch(each.what, each.mode) for each in begun]
    return Transfers([desk.cargo.freight(each, "begins") for each in still])


def paths_of(typed: str) -> list[Path]:
    """Paths as they are typed: a name with spaces as it is where it exists, else in quotes; `~` is home.

    Raises Refused.
    """
    if os.path.exists(os.path.expanduser(typed)):
        return [Path(os.path.expanduser(typed))]
    words = shlex.shlex(typed, posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters = True, ""
    if os.name != "posix":
        words.escape = ""
    try:
        paths = list(words)
    except ValueError:
        raise Refused(Code.SCHEMA, "A quotation mark is missing.") from None
    if not all(paths):
        # It would be the directory where one is, with all that is in it.
        raise Refused(Code.SCHEMA, "A name is empty.")
    return [Path(os.path.expanduser(path)) for path in paths]


def sources_of(paths: Sequence[Path]) -> list[Source]:
    """Files and directories to send, all or none. Waits for the disk. Raises Refused."""
    with ExitStack() as opened:
        sources: list[Source] = []
        for path in paths:
            try:
                source: Source = ArchiveSource(path) if path.is_dir() else PathSource(path)
            except UsageError as error:
                raise Refused(Code.NO_SUCH_FILE, str(error)) from None
            opened.callback(source.close)
            sources.append(source)
        opened.pop_all()
    return sources


def _addressee(desk: Desk, typed: str) -> tuple[str, bool, str]:
    """[whom or where, whether it is a user, the rest]: the room one is in, unless it begins with `@user`."""
    first, _, rest = typed.partition(" ")
    if not first.startswith("@"):
        user = desk.peer(desk.here)
        return user or desk.here, user is not None, typed
    try:
        user = user_name(first)
    except ValueError as error:
        raise Refused(Code.SCHEMA, str(error)) from None
    if not rest.strip():
        raise Refused(Code.SCHEMA, f"What shall {user} get? /send @{user} FILE...")
    return user, True, rest.strip()


def matching(wanted: Sequence[Wanted], begun: Sequence[Begun]) -> list[Begun]:
    """What was begun of these files."""
    return [each for each in begun if any(_same(each.what, one) for one in wanted)]


def _same(one: Wanted, other: Wanted) -> bool:
    return one.file == other.file if other.file is not None else one.shared and one.name == other.name


def question(begun: Sequence[Begun]) -> str:
    """Whether what is here of these files is to be used."""
    facts = ", ".join(
        f"{each.name} ({share_of(each.done, each.size)}, {size_of(each.size - each.done)} to go)" for each in begun
    )
    return f"Resume {facts}? [Y/n] (n throws away what is here, and fetches all of it again)"


def _again(call: Call, answer: str) -> Call:
    return Call(call.command, {**call.given, "begun": answer}, call.cid, call.line)
