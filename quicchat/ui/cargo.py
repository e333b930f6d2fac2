"""Files on their way, and what a person is told of them: at the beginning, now and then, at the end. (spec 14-files)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from quicchat.client.api import Chat
from quicchat.client.files.names import safe
from quicchat.client.files.phase import Direction, Phase
from quicchat.client.files.sources import Source
from quicchat.client.files.targets import FolderTarget, Target, Wanted
from quicchat.client.files.targets import Unfinished as Begun
from quicchat.client.files.transfer import Transfer
from quicchat.client.files.unpack import unpack
from quicchat.errors import Code, LinkLost, Refused
from quicchat.ui.outcomes import Freight, Unfinished, Unpacked
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.messages import ATTACHED, DIRECTORY

#: The exit code when a file did not get where it was to go.
NO_FILE: Final = 6
#: Seconds between two lines about a file that is on its way, for people.
_OFTEN: Final = 5.0


def folder_of(directory: Path | None, user: str) -> Path:
    """Where a user's downloads go: a folder named after him, whatever he is called (R2.10)."""
    return (directory or Path()).absolute() / safe(user)


@dataclass(slots=True)
class _Tale:
    """What was told of a transfer, since it `began` (seconds), and what it carries."""

    began: float
    told: float
    media_type: str = ""
    step: str = ""
    repairs: bool = False
    #: Its end was told.
    over: bool = False


class Cargo:
    """The transfers of one run. `tell` hears of each step; `lively` where somebody watches them move.

    `moved` is for each `Moved` of the chat; it is `busy` until all that was begun has ended, and then to be closed.
    """

    def __init__(
        self, chat: Chat, folder: Path, tell: Callable[[object], None], *, lively: bool, unpacks: bool = True
    ) -> None:
        self.folder = folder
        self._chat = chat
        self._tell = tell
        self._lively = lively
        self._unpacks = unpacks
        self._tales: dict[int, _Tale] = {}
        self._open: dict[int, Transfer] = {}
        self._unpacking: set[asyncio.Task[None]] = set()
        self._is_left = False
        #: Whether something did not come to its end.
        self.failed = False

    # Wishes

    def fetch(self, wanted: Wanted, mode: Mode, *, into: Target | None = None, repair: bool = True) -> Transfer:
        """Begin to fetch, or go on with what is here of it. Raises Refused."""
        target = into or FolderTarget(self.folder)
        return self.follow(self._chat.files.get(wanted, target, mode=mode, repair=repair), wanted.media_type)

    async def send(self, to: str, sources: Sequence[Source], *, direct: bool, caption: str = "") -> list[Transfer]:
        """Begin to send files, as one message, or some where there are many; the first one has the caption.

        Raises Refused.
        """
        send, sent = self._chat.files.send, []
        for at in range(0, len(sources), ATTACHED):
            said = "" if at else caption
            sent.append(self.follow(await send(to, sources[at : at + ATTACHED], direct=direct, caption=said)))
        return sent

    def follow(self, transfer: Transfer, media_type: str = "") -> Transfer:
        """Be busy until it has ended: also with what goes on by itself since another run."""
        now = asyncio.get_running_loop().time()
        self._tales[transfer.number] = _Tale(now, now, media_type)
        if not transfer.over:
            self._open[transfer.number] = transfer
        return transfer

    def forget(self, wanted: Wanted) -> None:
        """Remove what is here of it from another time. Waits for the disk. Raises Refused."""
        if (part := FolderTarget(self.folder).found(wanted)) is not None:
            part.discard()

    # Getters

    @property
    def transfers(self) -> list[Transfer]:
        """All of this run."""
        return self._chat.files.transfers

    @property
    def busy(self) -> bool:
        """Whether something is on its way and needs nobody to go on."""
        return bool(self._open)

    def follows(self, transfer: Transfer) -> bool:
        """Whether it was begun here, or somebody asked to follow it."""
        return transfer.number in self._tales

    def unfinished(self) -> list[Begun]:
        """What was begun in the folder another time, and is not on its way now."""
        moving = {transfer.name for transfer in self.transfers if not transfer.over}
        try:
            found = self._chat.files.unfinished(self.folder)
        except OSError:
            return []  # a folder that cannot be read holds nothing that could go on
        return [each for each in found if each.name not in moving]

    def left(self) -> Unfinished:
        """What a person who leaves now, or has just come, may want to know of."""
        rows = [(each.name, each.size, each.done) for each in self.unfinished()]
        moving = (each for each in self.transfers if not each.over)
        rows += [(each.name, each.size or 0, each.done) for each in moving]
        return Unfinished(rows)

    def leave(self) -> Unfinished:
        """What is left for another time; that the conversation ends is no news of it after that."""
        self._is_left = True
        return self.left()

    def freight(self, transfer: Transfer, step: str = "") -> Freight:
        """A transfer as it is now."""
        tale = self._tales.get(transfer.number)
        now = asyncio.get_running_loop().time()
        return Freight(
            number=transfer.number,
            name=transfer.name,
            direction=transfer.direction.value,
            mode=transfer.mode.name.lower(),
            state=transfer.state.value,
            room=transfer.room,
            size=transfer.size,
            done=transfer.done,
            resumed=transfer.resumed,
            rate=transfer.rate,
            eta=transfer.eta,
            rates={mode.name.lower(): leg.rate for mode, leg in transfer.legs.items()},
            pieces=transfer.pieces,
            missing=transfer.missing,
            lost=transfer.lost,
            seconds=now - tale.began if tale is not None else 0.0,
            path=str(transfer.path) if transfer.path is not None else None,
            reason=_reason(transfer),
            step=step,
        )

    # What happens

    def moved(self, transfer: Transfer) -> None:
        """A transfer changed its state, or moved on."""
        now = asyncio.get_running_loop().time()
        tale = self._tales.setdefault(transfer.number, _Tale(now, now))
        if tale.over:
            return  # of what was told later than it happened, the end was the first thing to be seen
        tale.over = transfer.over
        if not (transfer.over or transfer.failure or transfer.held):
            self._open[transfer.number] = transfer
        self._tell(self.freight(transfer, self._step(transfer, tale, now)))
        if transfer.over or transfer.failure or transfer.held:
            self._open.pop(transfer.number, None)
            self.failed |= transfer.state is not Phase.DONE
        if (
            transfer.state is Phase.DONE
            and tale.media_type == DIRECTORY
            and self._unpacks
            and transfer.path is not None
        ):
            self._unpack(transfer, transfer.path)

    async def close(self) -> None:
        """Let what is being unpacked come to its end: half a directory is of no use."""
        await asyncio.gather(*self._unpacking)

    def _step(self, transfer: Transfer, tale: _Tale, now: float) -> str:
        """What a person is told now; nothing where it is no news."""
        if self._is_left:
            return ""
        step = _news(transfer, tale)
        if step and step != tale.step:
            tale.step, tale.told = step, now
            return step
        if self._lively and transfer.state is Phase.TRANSFERRING and now - tale.told >= _OFTEN:
            tale.told = now
            return "moves"
        return ""

    def _unpack(self, transfer: Transfer, path: Path) -> None:
        task = asyncio.get_running_loop().create_task(self._unpacked(transfer, path))
        self._unpacking.add(task)
        task.add_done_callback(self._unpacking.discard)

    async def _unpacked(self, transfer: Transfer, path: Path) -> None:
        try:
            found = await asyncio.to_thread(unpack, path, transfer.name)
        except Refused as refusal:
            self.failed = True
            self._tell(Unpacked(transfer.name, str(path), 0, 0, refusal.text))
        else:
            self._tell(Unpacked(transfer.name, str(found.path), found.files, found.left_out))


def _news(transfer: Transfer, tale: _Tale) -> str:
    """What its state is called towards people, where that is worth a line."""
    match transfer.state:
        case Phase.DONE if transfer.direction is Direction.UP:
            return "known" if transfer.size and transfer.resumed == transfer.size else "sent"
        case Phase.DONE:
            return "here.fast" if transfer.mode is Mode.FAST and transfer.pieces else "here"
        case Phase.FAILED:
            return "holes" if transfer.missing else "failed"
        case Phase.CANCELLED:
            return "cancelled"
        case Phase.PAUSED if transfer.held:
            return "paused"
        case Phase.PAUSED:
            # Without a word somebody has just let it go on.
            return "stuck" if transfer.failure is not None else "waits" if transfer.words else ""
    if transfer.lost and Mode.FAST in transfer.legs and not tale.repairs:
        tale.repairs = True
        return "repairs"
    if transfer.resumed and tale.step in ("", "begins") and transfer.state is Phase.TRANSFERRING:
        return "goes.on"
    return "goes.on.again" if tale.step in ("waits", "paused", "stuck") and transfer.rate else ""


def _reason(transfer: Transfer) -> str:
    match transfer.failure:
        case Refused(text=text):
            return text
        case LinkLost(reason=reason):
            return reason or "the connection is lost"
    return transfer.words


def only(transfers: Sequence[Transfer], number: str | None, what: str) -> Transfer:
    """The transfer that is meant: the one with this number, or the only one there is. Raises Refused."""
    moving = [each for each in transfers if not each.over]
    if number is None and len(moving) == 1:
        return moving[0]
    found = [each for each in transfers if number is not None and each.number == int(number)]
    if found:
        return found[0]
    if number is None and moving:
        raise Refused(Code.SCHEMA, f"/{what} which? /transfers lists them with their numbers")
    raise Refused(Code.NO_SUCH_FILE, f"There is no transfer {number}" if number else "No file is on its way.")
