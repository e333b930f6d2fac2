"""An actor whose client runs in this loop: the plain front end, with a keyboard of its own. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

from quicchat.client.login import Identity
from quicchat.config import ClientConfig
from quicchat.errors import Refused, UsageError
from quicchat.ui.commands import COMMANDS
from quicchat.ui.contact import Contact
from quicchat.ui.entry import Script
from quicchat.ui.front import Front
from quicchat.ui.lines import Lines
from quicchat.ui.paper import Plain
from quicchat.ui.plain import plain
from quicchat.ui.words import Vocabulary

#: Passwords in scripts protect nothing: one round is enough.
_ITERATIONS: Final = 1


class Keyboard(Lines):
    """Lines that a script types while the program runs."""

    def __init__(self) -> None:
        super().__init__(None)
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()

    def start(self) -> None:
        """Nothing to do: the script types."""

    async def next(self) -> str | None:
        return await self._typed.get()

    def type(self, line: str | None) -> None:
        """Type a line, or with None say that nothing more will be typed."""
        self._typed.put_nowait(line)


class Sheet(Plain):
    """Keeps what is printed; on a terminal both streams come out as one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.was_shown = asyncio.Event()

    def show(self, line: str) -> None:
        self.lines.append(line)
        self.was_shown.set()

    def note(self, line: str) -> None:
        self.show(line)

    def prompt(self) -> None:
        self.was_shown.set()


class Inside:
    """A front end as a task. `meeting` are further arguments of `Contact`."""

    def __init__(self, user: str, config: ClientConfig, meeting: dict[str, Any]) -> None:
        self._keys = Keyboard()
        self._sheet = Sheet()
        self._config = config
        self._meeting = meeting
        self._user = user
        self._task: asyncio.Task[int] | None = None

    @property
    def shown(self) -> list[str]:
        return self._sheet.lines

    async def enter(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run())
        shown = loop.create_task(self._sheet.was_shown.wait())
        await asyncio.wait({self._task, shown}, return_when=asyncio.FIRST_COMPLETED)
        shown.cancel()

    def type(self, text: str) -> None:
        self._keys.type(text)

    def end(self) -> None:
        self._keys.type(None)

    async def kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def exit_code(self) -> int:
        assert self._task is not None
        return await asyncio.shield(self._task)

    async def leave(self) -> None:
        if self._task is not None and not self._task.done():
            self._keys.type("/quit")
            await asyncio.wait({self._task}, timeout=5.0)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> int:
        """As `ui.main.run`, but for the questions, which nobody could answer."""
        words = Vocabulary(COMMANDS, self._config.style, secrets.token_bytes)
        entry = Script(self._user, None, self._keys)
        identity = Identity(
            user=self._user, password=f"password of {self._user}", iterations=_ITERATIONS, least_iterations=_ITERATIONS
        )
        while True:
            contact = Contact(self._config, None, **self._meeting)
            face = plain(self._config, self._keys, self._sheet)
            try:
                return await Front(self._config, words, face, contact).run(identity)
            except Refused as refusal:
                try:
                    identity = entry.again(identity, refusal)
                except UsageError as error:
                    return self._complain(error)
            except UsageError as error:
                return self._complain(error)

    def _complain(self, error: UsageError) -> int:
        self._sheet.note(f"quicchat: {error}")
        return error.exit_code
