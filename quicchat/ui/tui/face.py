"""The face that fills the terminal: rooms, messages, members, files. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

from quicchat.client.state import State
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.errors import UsageError
from quicchat.ui.desk import Desk
from quicchat.ui.face import Face, Typed
from quicchat.ui.history import HISTORY, History, Recall
from quicchat.ui.tui.app import QuicchatApp
from quicchat.ui.tui.scene import Scene

#: It is where Textual draws, so that what is piped elsewhere stays as it is.
_NO_CANVAS: Final = "the full screen is drawn on standard error, which is no terminal; take --ui line"


class Screenful:
    """A face on the whole terminal, or `headless` where a test looks at it with `size` [columns, rows]."""

    def __init__(self, config: ClientConfig, *, headless: bool = False, size: tuple[int, int] | None = None) -> None:
        self._headless, self._size = headless, size
        self._typed: asyncio.Queue[Typed] = asyncio.Queue()
        self._scene = Scene(place(config.host, config.port), config.time)
        self.app = QuicchatApp(self._scene, self._typed.put_nowait, config.theme)
        self.app.conversation.writing.recall = Recall(History(config.data / HISTORY))

    @property
    def interactive(self) -> bool:
        """Always: it is made for terminals only."""
        return True

    async def host(self, work: Coroutine[Any, Any, int]) -> int:
        """Show it as long as the work lasts; where it ends first, so does the work. Raises what the work raises."""
        app, loop = self.app, asyncio.get_running_loop()
        showing = loop.create_task(app.run_async(headless=self._headless, size=self._size))
        working = loop.create_task(self._after_first_picture(work))
        try:
            await asyncio.wait((showing, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not working.done():
                working.cancel()
            app.exit(return_code=app.return_code or 0)
            await asyncio.wait((showing, working))
            # It may not even have begun.
            work.close()
            self._say_goodbye()
        if not working.cancelled():
            return working.result()
        if app.broken is not None:
            raise app.broken
        showing.result()
        return app.return_code or 0

    async def _after_first_picture(self, work: Coroutine[Any, Any, int]) -> int:
        """Nothing is to delay what is seen at once."""
        await self.app.ready.wait()
        return await work

    def _say_goodbye(self) -> None:
        """What was told at the very end nobody could read: the screen is gone."""
        for line in self._scene.parting:
            sys.stderr.write(f"{line}\n")

    def seated(self, desk: Desk) -> None:
        """What is typed goes to this desk."""
        self._scene.sit(desk)
        self.app.call_later(self.app.seated, desk)

    def start(self) -> None:
        """Lines are taken anyway, and wait."""

    async def next(self) -> Typed | None:
        """The next line that was submitted."""
        return await self._typed.get()

    def entered(self) -> None:
        """It is seen when it is told."""

    def prompt(self) -> None:
        """One may type at any time."""

    def hide(self, hidden: bool) -> None:
        """Whether what is typed next must not be seen."""
        self._scene.secret = hidden
        self.app.call_later(self.app.conversation.writing.hide, hidden)

    def tell(self, item: object, state: State) -> None:
        """Into the picture, a moment later."""
        self._scene.tell(item, state, asyncio.get_running_loop().time())

    def reads(self, room: str) -> bool:
        """Whether its end is in sight."""
        return self.app.conversation.reads(room)

    def sees(self, room: str) -> bool:
        """The same, as long as it is in sight at all."""
        return self.reads(room)

    def ring(self, sequence: str) -> None:
        """Past Textual, which knows nothing of it; between two pictures, as all that is written."""
        if (driver := self.app._driver) is not None and self.app.is_running:
            driver.write(sequence)

    def close(self) -> None:
        """The end of the work ends all."""


def tui(config: ClientConfig) -> Face:
    """A face on the whole terminal. Raises UsageError."""
    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        raise UsageError(_NO_CANVAS)
    return Screenful(config)
