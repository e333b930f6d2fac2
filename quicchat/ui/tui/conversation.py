"""The screen of a conversation: what is shown where, and what the keys do. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widgets import TextArea
from textual.worker import Worker, WorkerState

from quicchat.client.state import typists
from quicchat.ui.face import Typed
from quicchat.ui.page import Page
from quicchat.ui.tui import keys
from quicchat.ui.tui.body import Body
from quicchat.ui.tui.freight import Bars
from quicchat.ui.tui.listing import Listing
from quicchat.ui.tui.log import Log
from quicchat.ui.tui.reader import Reader
from quicchat.ui.tui.scene import Scene, told
from quicchat.ui.tui.seat import Seat
from quicchat.ui.tui.status import Status, waiting, writing
from quicchat.ui.tui.title import Title
from quicchat.ui.tui.writing import Writing
from quicchat.ui.visible import visible
from quicchat.wire.names import User, direct

#: Seconds between two pictures, at least; and between two looks at what changes by itself.
_FRAME: Final = 0.1
_TICK: Final = 1.0


class Conversation(Screen[None]):
    """Everything but what covers it. `send` gets each line that is typed."""

    #: Not the first that can have it: in a narrow window that one is hidden, and the next one would get it.
    AUTO_FOCUS = "Writing"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings())

    def __init__(self, scene: Scene, send: Callable[[Typed], None]) -> None:
        super().__init__()
        self._scene = scene
        self._send = send
        self._seat: Seat | None = None
        #: The room in the picture.
        self._room = ""
        self._page: Page | None = None
        self._painted = 0.0
        #: What was written at the last tick: what stays is kept.
        self._draft = ""
        self._due: asyncio.TimerHandle | None = None
        self.title_line = Title(scene.facts("", 0.0))
        self.body = Body()
        self.status = Status()
        self.bars = Bars()
        self.writing = Writing()

    def compose(self) -> ComposeResult:
        yield self.title_line
        yield self.body
        yield self.status
        yield self.bars
        yield self.writing

    def on_mount(self) -> None:
        """From now on there is somebody to show it to."""
        self._scene.changed = self.soon
        self.writing.focus()
        self.set_interval(_TICK, self._tick)
        self.soon()

    def on_resize(self) -> None:
        """There is room for more, or less."""
        self.body.fold()
        self.soon()

    def seated(self, seat: Seat) -> None:
        """Somebody is logged in."""
        self._seat = seat
        self.writing.desk = seat.desk
        self.soon()

    def reads(self, room: str) -> bool:
        """Whether somebody has the end of a room before his eyes, as far as the terminal tells."""
        return room == self._room and self.is_current and self.app.app_focus and self.body.log_view.at_end

    # The picture

    @on(DescendantFocus)  # then other keys work, and that is told
    def soon(self) -> None:
        """Something looks different: paint it, but not more often than an eye can follow."""
        if self._due is None and self.is_running:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._painted + _FRAME - loop.time())
            self._due = loop.call_later(wait, self.call_later, self._paint)

    def _paint(self) -> None:
        self._due = None
        scene = self._scene
        now = self._painted = asyncio.get_running_loop().time()
        if scene.here != self._room and self._seat is not None:
            self._turn(scene.here)
        else:
            self.show_page()
        tabs = scene.book.tabs(scene.state)
        self.body.rooms.show_tabs(tabs, self._room)
        if self._seat is not None:
            members = self._seat.members(self._room)
            self.body.members.show_members(members, scene.state.people, scene.trusts(members))
        self.title_line.show(scene.facts(self._room, now))
        loading = self._seat is not None and self._seat.is_loading(self._room)
        left = self.body.hint(self._page, loading) or writing(typists(scene.state, self._room, now))
        self.status.show(left, waiting(tabs, self._room))
        self.bars.show(scene.hold.rows(now))
        for sheet in scene.sheets:
            self.app.push_screen(Reader(sheet.heading, sheet.lines, sheet.picture))
        scene.sheets.clear()

    def show_page(self) -> None:
        """What is to be seen of the room by now."""
        scene = self._scene
        page = scene.book.page(self._room)
        if page is not self._page:
            self._page = page
            self.body.log_view.show(page, times=scene.times, user=scene.state.user)

    def _tick(self) -> None:
        """What changes by itself: times that run out, and what others did meanwhile."""
        self._read()
        if self._seat is not None:
            is_online = self._scene.way.online
            if is_online and self._seat.desk.chat.rtt is None:
                self.go(self._seat.desk.chat.ping())
            draft, self._draft = self._draft, self.writing.draft
            if draft == self._draft and not self._scene.secret:
                self.go(self._seat.keep(self._room, draft))
            self._seat.hand.rested(asyncio.get_running_loop().time())
            if is_online and self._room and not self._seat.begun(self._room):
                self.go(self._seat.older(self._room))
            if self._room in self._scene.memberships and self._seat.may_muster(self._room):
                self._scene.memberships.discard(self._room)
                self.go(self._seat.muster(self._room))
        self.soon()

    # Rooms

    def _turn(self, room: str) -> None:
        """Show another room."""
        seat, old, self._room = self._seat, self._room, room
        self._scene.book.look(room, self._scene.state)
        self.show_page()
        self.body.log_view.mark(())
        assert seat is not None
        seat.hand.stop()
        if old and not self._scene.secret:
            self.go(seat.keep(old, self.writing.draft))
        self.writing.room = room
        if not self._scene.secret and (old or not self.writing.draft):
            # What was typed before there was a room is meant for the first one.
            self.writing.draft = seat.draft(room)
        self.writing.invite(keys.HERE.format(room=visible(self._scene.label(room))) if room else keys.NOWHERE)
        if room:
            self.go(seat.desk.look(room))
            self.go(seat.muster(room))
            self.go(seat.older(room))
        self._read()

    def look(self, room: str) -> None:
        """Go to a room; what is typed goes there."""
        # Behind the keys that were typed before: those are for the room that was shown.
        self.writing.call_later(self.enter, room)
        self.writing.focus()

    def enter(self, room: str) -> None:
        """Be there at once."""
        if self._scene.desk is not None and room:
            self._scene.desk.room = room
            if self._seat is not None and room != self._room:
                self._turn(room)  # what is typed next is for this one, before there is a picture of it
            self.soon()

    def _read(self) -> None:
        """What is seen is read."""
        view = self._scene.state.rooms.get(self._room)
        is_new = view is not None and (view.unread or view.head > view.read)
        if self._seat is not None and is_new and self.reads(self._room):
            self._seat.desk.chat.mark_read(self._room)

    # What takes its time

    def go(self, work: Coroutine[Any, Any, object]) -> None:
        """Do it beside all else; what fails is told."""
        self.run_worker(work, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What failed is told."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self._scene.note(told(event.worker.error))
        self.soon()

    # Keys

    def action_leaf(self, pages: int) -> None:
        """Scroll by pages, whatever has the focus."""
        self.body.log_view.action_page(pages)
        self.soon()

    def action_newest(self) -> None:
        """Back to the end."""
        self.body.log_view.action_edge("last")
        self.writing.focus()

    # What the widgets tell

    def on_writing_submitted(self, event: Writing.Submitted) -> None:
        """Carry it out, and have it before one's eyes."""
        if self._seat is not None:
            self._seat.hand.stop()
            if not self._scene.secret:
                # It is no draft any more: it must not stand there again in the next run.
                self.go(self._seat.keep(self._room, self.writing.draft))
        self._send(Typed(event.text, event.room))
        self.body.log_view.action_edge("last")

    def on_writing_edit_last(self, event: Writing.EditLast) -> None:
        """Take up one's last message here."""
        row = self._scene.last_own(self._room)
        if row is not None and row.seq is not None:
            self.writing.revise(row.seq, row.text)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Somebody writes."""
        if self._seat is not None:
            self._seat.hand.typed(self.writing.draft, asyncio.get_running_loop().time())

    def on_log_older(self, event: Log.Older) -> None:
        """What came before is wanted."""
        if self._seat is not None and self._room:
            self.go(self._seat.older(self._room))
            self.soon()

    def on_log_chosen(self, event: Log.Chosen) -> None:
        """Have typed what is to be done with a message."""
        row, wish = event.row, event.wish
        if row.seq is None or wish == "click":
            return
        if wish == "edit" and row.own:
            self.writing.revise(row.seq, row.text)
        elif wish != "edit":
            self.writing.draft = f"/{wish} #{row.seq} "
        self.writing.focus()

    def on_log_released(self) -> None:
        """Back to where one writes."""
        self.writing.focus()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Go to a room, or to a conversation with a member."""
        body = self.body
        if event.listing is body.rooms:
            self.look(body.rooms.tabs[event.place].room)
        elif event.place and self._scene.state.user:
            user, me = body.members.rows[event.place - 1][0], self._scene.state.user
            self.look(str(direct(User(me), User(user))) if user != me else "")
