"""The application: one screen for the conversation, and what leads from it to others. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme

from quicchat.ui import help, tables
from quicchat.ui.desk import Desk
from quicchat.ui.face import Typed
from quicchat.ui.outcomes import Help
from quicchat.ui.tui import keys
from quicchat.ui.tui.canvas import Canvas
from quicchat.ui.tui.conversation import Conversation
from quicchat.ui.tui.finder import Finder
from quicchat.ui.tui.reader import Reader
from quicchat.ui.tui.rooms import next_active
from quicchat.ui.tui.scene import Scene
from quicchat.ui.tui.seat import Seat
from quicchat.ui.tui.switcher import Switcher, goals
from quicchat.ui.visible import visible
from quicchat.ui.words import Command
from quicchat.wire.chapters.messages import Message

#: Seconds within which Ctrl-C must be pressed again.
_AGAIN: Final = 3.0
#: Seconds in which what was loaded is painted.
_SOON: Final = 0.2
#: Messages to a search.
_FOUND: Final = 100


class QuicchatApp(Canvas[None]):
    """Shows the scene; each line that is typed goes to `send`."""

    CSS_PATH = "quicchat.tcss"
    TITLE = "quicchat"
    #: Whatever covers the conversation.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "leave", show=False, priority=True)]
    COMMAND_PALETTE_BINDING: ClassVar[str] = "f4"

    def __init__(self, scene: Scene, send: Callable[[Typed], None], theme: str | None = None) -> None:
        keys.tell_digits_apart()
        super().__init__(theme)
        self._usual = self.theme
        self._scene = scene
        self._send = send
        self._seat: Seat | None = None
        self._asked_to_leave = 0.0
        self._is_leaving = False
        #: What was looked for last.
        self._words: list[str] = []
        self.conversation = Conversation(scene, send)
        #: Set once there is a picture.
        self.ready = asyncio.Event()

    def get_default_screen(self) -> Screen[Any]:
        """The conversation."""
        return self.conversation

    def on_ready(self) -> None:
        """The first picture is there. What is not ours wants its tasks to begin as the library's do: a moment later."""
        asyncio.get_running_loop().set_task_factory(None)
        self.ready.set()

    def seated(self, desk: Desk) -> None:
        """Somebody is logged in; his theme is the one of last time."""
        self._seat = Seat(desk, self._scene.book)
        self.conversation.seated(self._seat)
        theme = desk.chat.preferences.get("theme", "")
        if theme in self.available_themes:
            self.theme = theme
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Theme) -> None:
        if self._seat is not None and theme.name != self._seat.desk.chat.preferences.get("theme", self._usual):
            self.conversation.go(self._seat.desk.chat.prefer("theme", theme.name))

    def _submit(self, line: str) -> None:
        """Have a line carried out that nobody typed, in the room that is shown."""
        self._send(Typed(line, self.conversation.writing.room))

    # The palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Themes, and all that can be typed."""
        yield SystemCommand("theme", "choose other colours", self.action_change_theme)
        yield SystemCommand("keys", "list the keys and the commands", self.action_help)
        if self._seat is not None:
            for each in self._seat.desk.words.commands:
                yield SystemCommand(each.usage, each.about, partial(self._begin, each))

    def _begin(self, command: Command) -> None:
        """Carry out a command that was chosen, or have the rest of it typed."""
        if command.arguments and not command.hidden:
            self.conversation.writing.draft = f"/{command.name} "
            self.conversation.writing.focus()
        else:
            self._submit(f"/{command.name}")

    # Keys

    def action_leave(self) -> None:
        """Leave when it is asked for twice; what is marked is copied instead."""
        if (marked := self.screen.get_selected_text()) is not None:
            self.copy_to_clipboard(marked)
            self.screen.clear_selection()
            return
        now = asyncio.get_running_loop().time()
        if now - self._asked_to_leave > _AGAIN or not self._asked_to_leave:
            self._asked_to_leave = now
            self.notify("Ctrl-C once more leaves", timeout=_AGAIN, markup=False)
        elif self._seat is not None and not self._is_leaving:
            self._is_leaving = True
            if self._scene.secret:
                # An empty line gives it up; another one would be taken for the secret.
                self._submit("")
            self._submit("/quit")
        else:
            # There is nobody to say goodbye to, or somebody does not want to wait for it.
            self.exit()

    def action_to_writing(self) -> None:
        """To where one writes."""
        self.conversation.writing.focus()

    def action_next_active(self) -> None:
        """Go where something is new."""
        here = self._scene.here
        self.conversation.look(next_active(self._scene.book.tabs(self._scene.state), here) or "")

    def action_room(self, number: int) -> None:
        """Go to a room by its place."""
        tabs = self.conversation.body.rooms.tabs
        self.conversation.look(tabs[number - 1].room if number <= len(tabs) else "")

    def action_switch(self) -> None:
        """Go somewhere by its name."""
        if self._seat is None:
            return
        scene = self._scene
        switcher = Switcher(goals(scene.book.tabs(scene.state), scene.here, scene.state))
        self.push_screen(switcher, self._go_to)
        self.conversation.go(self._seat.strangers(switcher.more))

    def _go_to(self, line: str | None) -> None:
        if line is not None and line.startswith("/"):
            self._submit(line)
        else:
            self.conversation.look(line or "")

    def action_find(self) -> None:
        """Search what was said."""
        here = self._scene.here
        if self._seat is not None and here:
            finder = Finder(here, self._scene.label(here), self._search, self._scene.times)
            self.push_screen(finder, self._found)

    async def _search(self, words: str, room: str | None) -> Sequence[Message]:
        assert self._seat is not None
        self._words = [word.strip("*") for word in words.split()]
        return await self._seat.search(words, room, _FOUND, online=self._scene.way.online)

    def _found(self, message: Message | None) -> None:
        if message is not None:
            seq = message.refs[0] if message.refs else message.seq
            self.conversation.go(self._jump(message.room, seq, self._words))

    async def _jump(self, room: str, seq: int, words: Sequence[str]) -> None:
        """Show one message, in its place if that is not too far."""
        assert self._seat is not None
        self.conversation.enter(room)
        is_there = await self._seat.reach(room, seq)
        if self._scene.here != room:
            return  # he went on meanwhile
        if is_there:
            log = self.conversation.body.log_view
            self.conversation.show_page()
            log.mark(words)
            if not log.jump_to(seq):
                # What was loaded just now is painted a moment later.
                self.set_timer(_SOON, partial(log.jump_to, seq))
        else:
            self._scene.read(f"Around #{seq} of {self._scene.label(room)}", await self._seat.around(room, seq))

    def action_help(self) -> None:
        """Keys and commands."""
        lines = [*keys.explained(), ""]
        if self._seat is not None:
            words = self._seat.desk.words
            lines += [visible(line) for line in help.commands(Help(words.commands, words.style))]
        self.push_screen(Reader("Keys and commands", lines))

    def action_rooms(self) -> None:
        """To the rooms, or from there; where there is no room for the list it covers all."""
        body = self.conversation.body
        if not body.has_lists:
            self.action_switch()
        elif not body.toggle(body.rooms):
            self.conversation.writing.focus()

    def action_members(self) -> None:
        """To the members, or from there."""
        body = self.conversation.body
        if not body.has_lists:
            lines = [f"{user} {tables.SHOWS[person.show]}" for user, person, _ in body.members.rows]
            self.push_screen(Reader("Members", [visible(line) for line in lines]))
        elif not body.toggle(body.members):
            self.conversation.writing.focus()

    def action_messages(self) -> None:
        """To the messages, to choose one."""
        self.conversation.body.log_view.action_choose(-1)
