"""The prompt of the line face: what is typed below, what is printed above it. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import re
import select
import signal
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import Any, Final

from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.history import History as PastLines
from prompt_toolkit.input import Input
from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.output.defaults import create_output
from prompt_toolkit.shortcuts import PromptSession

from quicchat.ui.completion import Candidate, complete
from quicchat.ui.desk import Desk
from quicchat.ui.history import History
from quicchat.ui.paper import PROMPT
from quicchat.ui.picking import place_of
from quicchat.ui.styles import STYLES
from quicchat.ui.visible import visible

#: Seconds between two prints: of a burst many lines are printed at once, and the prompt is drawn once.
_TICK: Final = 0.1
#: Letters of a text that is shown when it goes, or can be changed before; of a longer one only the beginning.
_SHOWN: Final = 4096
_BEGINNING: Final = 60
#: Candidates that Tab lists.
_LISTED: Final = 60
#: What no key types.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Prompt:
    """`start` it, then take the lines of `next`; `stop` gives the terminal back.

    As long as there is no `desk`, nobody is in any room, and nothing can be completed.
    """

    def __init__(
        self, desk: Desk | None, history: History, source: Input | None = None, output: Output | None = None
    ) -> None:
        self._desk = desk
        self._past = _Past(history, desk)
        #: Set once there is something to see, or never will be.
        self.shown = asyncio.Event()
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[None]
        #: What waits to be printed, when that will be, and when it was done the last time.
        self._rows: list[str] = []
        self._printing: asyncio.TimerHandle | None = None
        self._printed = float("-inf")
        #: Lines that were pasted, while it is asked what to do with them.
        self._pasted = ""
        #: Ctrl-C was typed at an empty line.
        self._is_leaving = False
        self._session: PromptSession[str] = PromptSession(
            self._label,
            history=self._past,
            key_bindings=self._keys(),
            enable_suspend=True,
            complete_while_typing=False,
            reserve_space_for_menu=0,
            search_ignore_case=True,
            input=source or _keyboard(),
            output=output or _terminal(),
        )
        self._session.default_buffer.on_text_changed += self._changed
        self._session.app.after_render += lambda app: self.shown.set()

    # Wishes

    def start(self) -> None:
        """Ask for lines."""
        self._task = asyncio.get_running_loop().create_task(self._ask())

    def seated(self, desk: Desk) -> None:
        """Somebody is logged in, and works at this desk."""
        self._desk = desk
        self._past.seated(desk)
        self.refresh()

    async def next(self) -> str | None:
        """The next line, or None after the last one. Raises what went wrong with the asking."""
        line = await self._typed.get()
        if line is None and self._task.done():
            self._task.result()
        return line

    async def stop(self) -> None:
        """Ask no more; what was half typed stays where it stands."""
        self._session.app.erase_when_done = not self._text or self._past.hidden
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._printing is not None:
            self._printing.cancel()
            self._print()

    def above(self, line: str) -> None:
        """Print a line above what is being typed, at once or with others."""
        self._rows.append(line)
        if self._printing is None:
            loop = asyncio.get_running_loop()
            self._printing = loop.call_at(max(loop.time(), self._printed + _TICK), self._print)

    def hide(self, hidden: bool) -> None:
        """Whether what is typed is neither shown nor remembered."""
        self._past.hidden = hidden
        self._session.is_password = self._session.app.erase_when_done = hidden
        self.refresh()

    def refresh(self) -> None:
        """Draw the prompt anew: something has changed of what it tells."""
        self._session.app.invalidate()

    def ring(self, sequence: str) -> None:
        """Have the terminal carry out a sequence that moves nothing."""
        self._session.output.write_raw(sequence)
        self._session.output.flush()

    # What is typed

    async def _ask(self) -> None:
        """Line after line; between two of them the terminal shows nothing of what is typed, either."""
        session = self._session
        try:
            with session.app.input.raw_mode():
                while True:
                    line = await session.prompt_async(set_exception_handler=False, handle_sigint=False)
                    self._typed.put_nowait(_typed(line))
        except (EOFError, OSError):
            return  # Ctrl-D, or the terminal is gone
        finally:
            self._typed.put_nowait(None)
            self.shown.set()

    @property
    def _text(self) -> str:
        return self._session.default_buffer.text

    def _label(self) -> str:
        """Where one is, as one would type it."""
        desk, width = self._desk, self._session.output.get_size().columns
        if self._pasted:
            return "o/l/e/c> " if len(self._pasted) <= _SHOWN else "o/l/c> "
        if desk is None or self._past.hidden or desk.words.style == "classic" or not desk.room:
            return PROMPT
        label = f"{visible(place_of(desk.room, desk.chat.state.user))}{PROMPT}"
        return label if len(label) < width // 2 else PROMPT

    def _changed(self, _: Buffer) -> None:
        self._is_leaving = False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        asked = Condition(lambda: bool(self._pasted))

        def bind(*names: str, to: Callable[[KeyPressEvent], None], **facts: Any) -> None:
            keys.add(*names, **facts)(partial(_carried_out, to))

        bind("c-c", to=self._interrupt, filter=~is_searching & ~asked)
        bind("c-d", to=self._leave, filter=~is_searching & ~asked & Condition(lambda: not self._text))
        bind("tab", to=self._complete, filter=~is_searching & ~asked)
        bind("escape", "enter", to=lambda event: event.current_buffer.insert_text("\n"), filter=~is_searching)
        bind(Keys.BracketedPaste, to=self._paste, eager=True)
        # As long as it is not said what to do with a paste, no other key does anything.
        bind(Keys.Any, to=lambda event: event.app.output.bell(), filter=asked, eager=True)
        for key, decide in (("o", self._send_one), ("l", self._send_lines), ("e", self._edit)):
            bind(key, to=decide, filter=asked, eager=True)
        for key in ("c", "c-c", "escape"):
            bind(key, to=self._forget, filter=asked, eager=True)
        return keys

    def _interrupt(self, event: KeyPressEvent) -> None:
        """Ctrl-C clears the line, or gives a question up; twice at an empty line it is what it is elsewhere."""
        buffer = event.current_buffer
        if self._past.hidden:
            buffer.reset()
            buffer.validate_and_handle()
        elif buffer.text:
            buffer.reset()
        elif self._is_leaving:
            signal.raise_signal(signal.SIGINT)
        else:
            self._is_leaving = True
            self._note("Ctrl-C again leaves, and so does /quit.")

    def _leave(self, event: KeyPressEvent) -> None:
        """Ctrl-D at an empty line; the prompt goes with it."""
        event.app.erase_when_done = True
        event.app.exit(exception=EOFError)

    # Completion

    def _complete(self, event: KeyPressEvent) -> None:
        """Put in what can only be meant, else list what may be: as shells do."""
        buffer = event.current_buffer
        desk = None if self._past.hidden else self._desk
        found = None if desk is None else complete(buffer.text, buffer.cursor_position, desk)
        if found is None:
            event.app.output.bell()
            return
        typed = buffer.text[found.start : buffer.cursor_position]
        common = found.common
        if len(found.candidates) == 1 or (len(common) > len(typed) and common.lower().startswith(typed.lower())):
            buffer.delete_before_cursor(len(typed))
            buffer.insert_text(common)
        else:
            for row in _columns(found.candidates, event.app.output.get_size().columns):
                self.above(row)

    # Pastes

    def _paste(self, event: KeyPressEvent) -> None:
        """Several lines are not sent because they were in the clipboard: somebody has to say so."""
        text = _CONTROLS.sub("", event.data.replace("\r\n", "\n").replace("\r", "\n"))
        lines = text.strip("\n")
        if self._past.hidden:
            event.current_buffer.insert_text(lines.partition("\n")[0])
        elif self._pasted or "\n" in lines:
            self._pasted += text
            count = self._pasted.strip("\n").count("\n") + 1
            edit = "(e)dit them first, " if len(self._pasted) <= _SHOWN else ""
            self._note(f"{count} lines: send them as (o)ne message, (l)ine by line, {edit}or (c)ancel?")
            self.refresh()
        else:
            event.current_buffer.insert_text(lines)

    def _taken(self, buffer: Buffer) -> str:
        """What was typed, with the paste in it; it is asked for no longer."""
        pasted, self._pasted = self._pasted.strip("\n"), ""
        text = buffer.document.text_before_cursor + pasted + buffer.document.text_after_cursor
        self.refresh()
        return text

    def _send_one(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = self._taken(buffer)
        if len(text) <= _SHOWN:
            buffer.text = text
            buffer.validate_and_handle()
            return
        buffer.reset()
        count = text.count("\n") + 1
        self.above(f"{self._label()}{visible(text[:_BEGINNING].partition(chr(10))[0])} ... ({count} lines)")
        self._typed.put_nowait(_typed(text))

    def _send_lines(self, event: KeyPressEvent) -> None:
        text = self._taken(event.current_buffer)
        event.current_buffer.reset()
        for line in filter(str.strip, text.split("\n")):
            self.above(f"{self._label()}{visible(line[:_SHOWN])}")
            self._typed.put_nowait(_typed(line))

    def _edit(self, event: KeyPressEvent) -> None:
        if len(self._pasted) <= _SHOWN:
            text, self._pasted = self._pasted.strip("\n"), ""
            event.current_buffer.insert_text(text)
        else:
            event.app.output.bell()

    def _forget(self, event: KeyPressEvent) -> None:
        self._pasted = ""
        self.refresh()

    # What is printed

    def _note(self, text: str) -> None:
        style = self._desk.words.style if self._desk is not None else "default"
        self.above(STYLES[style]["note"].format(text=text))

    def _print(self) -> None:
        """All that waits, in one go: the prompt makes room, and is there again."""
        self._printing, self._printed = None, asyncio.get_running_loop().time()
        rows, self._rows = self._rows, []
        app, output = self._session.app, self._session.output
        try:
            if app.is_running:
                app.renderer.erase()
            output.write_raw("".join(f"{row}\r\n" for row in rows))
            output.flush()
            if app.is_running:
                with set_app(app):
                    app.renderer.render(app, app.layout)
        except OSError:
            # The terminal is gone, and so is who typed there.
            if app.is_running and not app.is_done:
                app.exit(exception=EOFError)


class _Past(PastLines):
    """The lines of a `History`, but for what is hidden."""

    def __init__(self, history: History, desk: Desk | None) -> None:
        super().__init__()
        self.hidden = False
        self._history = history
        self._desk = desk
        #: What was typed before it could be told what of it is secret.
        self._early: list[str] = []

    def seated(self, desk: Desk) -> None:
        """It can be told now."""
        self._desk = desk
        for line in self._early:
            self._history.add(line, desk.words)
        self._early.clear()

    async def load(self) -> AsyncGenerator[str, None]:
        for line in reversed([*self._history.lines]):
            yield line

    def get_strings(self) -> list[str]:
        return [*self._history.lines]

    def append_string(self, string: str) -> None:
        if self.hidden:
            return
        if self._desk is None:
            self._early.append(_typed(string))
        else:
            self._history.add(_typed(string), self._desk.words)

    def load_history_strings(self) -> Iterable[str]:
        return reversed([*self._history.lines])

    def store_string(self, string: str) -> None:
        self.append_string(string)


def _carried_out(what: Callable[[KeyPressEvent], None], event: KeyPressEvent) -> None:
    """A mistake in what a key does ends the asking, and the program with it: the loop would only print it."""
    try:
        what(event)
    except Exception as error:  # noqa: BLE001 - `Prompt.next` raises it
        event.app.exit(exception=error)


def _keyboard() -> Input:
    """Standard input, which ends when the terminal is gone: else it could be read for ever, and nothing would come."""
    keyboard = create_input()
    descriptor, poll = keyboard.fileno(), getattr(select, "poll", None)
    reader = getattr(keyboard, "stdin_reader", None)
    if poll is None or reader is None:
        return keyboard
    gone, read = poll(), keyboard.read_keys
    gone.register(descriptor, select.POLLHUP)

    def read_keys() -> list[KeyPress]:
        keys = read()
        reader.closed = reader.closed or (not keys and bool(gone.poll(0)))
        return keys

    keyboard.read_keys = read_keys  # type: ignore[method-assign]  # of this one only, whose reader is not ours
    return keyboard


def _terminal() -> Output:
    """Standard output, which is not asked where its cursor is: some terminals do not answer."""
    output = create_output()
    if hasattr(output, "enable_cpr"):
        output.enable_cpr = False
    return output


def _typed(line: str) -> str:
    """What was typed in an encoding that the terminal does not have is marked as such."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _columns(candidates: Iterable[Candidate], width: int) -> Iterable[str]:
    """Their words side by side, as many as fit; the likeliest first."""
    words = [visible(each.text.rstrip()) for each in candidates]
    more = len(words) - _LISTED
    words = words[:_LISTED]
    column = max(map(len, words)) + 2
    count = max(1, (width - 1) // column)
    for at in range(0, len(words), count):
        yield "".join(f"{word:<{column}}" for word in words[at : at + count]).rstrip()
    if more > 0:
        yield f"... and {more} more"
