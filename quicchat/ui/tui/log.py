"""The messages of a room on the screen: scrolled, painted seldom, wrapped only where one looks. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from quicchat.ui.colours import DARK, LIGHT
from quicchat.ui.page import Page, Row
from quicchat.ui.tui import rows
from quicchat.ui.tui.blocks import Blocks, Key, key_of

#: Seconds between two paintings, at least; and where so much comes that nobody reads it.
_PAUSE: Final = 0.1
_FLOOD: Final = 0.25
#: Lines that are kept as they are painted, at most.
_STRIPS: Final = 400


class _Ink:
    """What the names of styles look like in the theme of the moment."""

    def __init__(self, log: Widget) -> None:
        self._log = log
        self._known: dict[str, Style] = {}
        self._strips: dict[rows.Line, Strip] = {}

    def dry(self) -> None:
        """Another theme."""
        self._known.clear()
        self._strips.clear()

    def strip(self, line: rows.Line, width: int) -> Strip:
        """A line as Textual wants it: the same one for the same line, which knows already how it is painted."""
        if (known := self._strips.get(line)) is not None and known.cell_length == width:
            return known
        if len(self._strips) >= _STRIPS:
            self._strips.clear()
        strip = Strip([Segment(text, self(names)) for text, names in line if text])
        strip = self._strips[line] = strip.adjust_cell_length(width, self(""))
        return strip

    def __call__(self, names: str) -> Style:
        if (known := self._known.get(names)) is not None:
            return known
        style = Style() if names == "chosen" else self._log.rich_style
        # What a theme says of a style has a colour, too: that of a name comes last.
        for name in sorted(names.split(), key=lambda each: each.startswith("hue.")):
            if name.startswith("hue."):
                palette = DARK if self._log.app.current_theme.dark else LIGHT
                style += Style(color=palette[int(name[4:])])
            else:
                # The full style has its colours blended, and also those that this name leaves alone.
                full = self._log.get_component_rich_style(f"log--{name}")
                own = self._log.get_component_rich_style(f"log--{name}", partial=True)
                colours = (full.color if own.color else None, full.bgcolor if own.bgcolor else None)
                style += own + Style(color=colours[0], bgcolor=colours[1])
        self._known[names] = style
        return style


class Log(ScrollView, can_focus=True):
    """One page. `show` may be called at any rate; `choose` marks a message to do something with it."""

    ALLOW_SELECT = False
    FOCUS_ON_CLICK = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge('first')", show=False),
        Binding("end", "edge('last')", show=False),
        Binding("up,alt+up", "choose(-1)", show=False),
        Binding("down,alt+down", "choose(1)", show=False),
        Binding("enter", "wish('reply')", show=False),
        Binding("e", "wish('edit')", show=False),
        Binding("r", "wish('react')", show=False),
        Binding("d", "wish('retract')", show=False),
        Binding("y", "wish('copy')", show=False),
        Binding("escape", "release", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--dim",
        "log--code",
        "log--file",
        "log--own",
        "log--named",
        "log--hit",
        "log--mine",
        "log--failed",
        "log--new",
        "log--day",
        "log--chosen",
        "log--below",
    }
    DEFAULT_CSS = """
    Log {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
        & > .log--dim { text-style: dim; }
        & > .log--code { color: $text-secondary; }
        & > .log--file { color: $text-accent; }
        & > .log--own { text-style: bold; }
        & > .log--named { text-style: bold reverse; }
        & > .log--hit { text-style: reverse; }
        & > .log--mine { color: $text-accent; text-style: bold; }
        & > .log--failed { color: $text-error; text-style: bold; }
        & > .log--new { color: $text-accent; text-style: bold; }
        & > .log--day { text-style: dim; }
        & > .log--chosen { background: $primary 30%; text-style: bold; }
        & > .log--below { text-style: bold reverse; }
        &:nocolor > .log--dim { text-style: dim; }
        &:nocolor > .log--chosen { text-style: reverse; }
    }
    """

    class Older(Message):
        """The person came near the oldest row: what was before this place is wanted."""

        def __init__(self, room: str, before: int | None) -> None:
            super().__init__()
            self.room = room
            self.before = before

    class AtEnd(Message):
        """The person came to the newest row."""

    class Chosen(Message):
        """Something is to be done with a message: `click`, `reply`, `edit`, `react` or `retract`."""

        def __init__(self, row: Row, wish: str) -> None:
            super().__init__()
            self.row = row
            self.wish = wish

    class Released(Message):
        """No message is chosen any more."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks = Blocks()
        #: What is to be painted next: a page, how times look, who reads; and words that are looked for.
        self._next: tuple[Page, str, str] | None = None
        self._times, self._user = "%H:%M", ""
        self._hits: tuple[str, ...] = ()
        #: Whether the newest row stays in view; the newest place that was, and how much came since.
        self._follow = True
        self._seen = self._below = 0
        self._chosen: Key | None = None
        #: The older rows that were asked for last.
        self._asked: tuple[str, int | None] | None = None
        self._ink = _Ink(self)
        self._timer: Timer | None = None
        self._painted, self._pause = 0.0, _PAUSE
        #: Whether it is we who scroll.
        self._moving = False

    # What is shown

    def show(self, page: Page, *, times: str, user: str) -> None:
        """Show a page a moment later, at once where it is that of another room."""
        self._next = (page, times, user)
        if not self.is_mounted:
            return
        pause = self._painted + self._pause - asyncio.get_running_loop().time()
        if page.room != self._blocks.page.room or pause <= 0:
            self._paint()
        elif self._timer is None:
            self._timer = self.set_timer(pause, self._paint)

    @property
    def at_end(self) -> bool:
        """Whether the newest row is to be seen."""
        return self._follow

    @property
    def chosen(self) -> Row | None:
        """The message that is chosen."""
        where = self._blocks.find(self._chosen)
        return self._blocks.row(where) if where is not None else None

    def mark(self, words: Iterable[str]) -> None:
        """Show where these words stand."""
        self._hits = tuple(words)
        self._put(self._anchor())

    def jump_to(self, seq: int) -> bool:
        """Bring a message into view and choose it; False where it is not held."""
        self._paint()
        if self._blocks.find(seq) is None:
            return False
        self._chosen = seq
        self._follows(False)
        self._put((seq, -(self._tall // 3)))
        return True

    # What a person does

    def action_page(self, pages: int) -> None:
        """Up or down by as much as is to be seen, but for a line."""
        self._go(round(self.scroll_y) + pages * max(1, self._tall - 1))
        if pages < 0:
            self._ask(again=True)

    def action_edge(self, edge: str) -> None:
        """To the oldest row that is held (`first`), or to the newest (`last`)."""
        self._go(0 if edge == "first" else self._blocks.total)
        self._ask(again=edge == "first")

    def action_choose(self, step: int) -> None:
        """Choose the message before the chosen one (-1), or behind it; first the newest that is to be seen.

        Takes the keyboard as long as one is chosen; behind the newest there is none.
        """
        blocks = self._blocks
        where = blocks.find(self._chosen)
        last = min(blocks.at(round(self.scroll_y) + self._tall - 1), len(blocks) - 1)
        begin = where + step if where is not None else last
        for at in range(begin, -1 if step < 0 else len(blocks), step):
            if blocks.row(at).said:
                self._chosen = key_of(blocks.row(at))
                self._reveal(at)
                self.focus()
                return
        if step > 0 and where is not None:
            self.action_release()

    def action_release(self) -> None:
        """Choose nothing any more."""
        self._chosen = None
        self.refresh()
        self.post_message(self.Released())

    def action_wish(self, wish: str) -> None:
        """Do something with the chosen message; a `copy` is only of what is harmless."""
        row = self.chosen
        if row is not None and wish == "copy":
            self.app.copy_to_clipboard(rows.plain(row))
        elif row is not None:
            self.post_message(self.Chosen(row, wish))

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked at."""
        row, _ = self._blocks.line(self.scroll_offset.y + event.y)
        if row is not None and row.said:
            self._chosen = key_of(row)
            self.refresh()
            self.post_message(self.Chosen(row, "click"))

    # Textual

    def on_mount(self) -> None:
        """Show what came before there was a screen."""
        self._paint()

    def on_resize(self, event: events.Resize) -> None:
        """Another width: nothing is wrapped before somebody looks at it."""
        self._put(self._anchor())

    def notify_style_update(self) -> None:
        """Another theme."""
        super().notify_style_update()
        self._ink.dry()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """The person moved: what is near now is wrapped, before it is to be seen."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving and len(self._blocks):
            self._follows(round(new_value) >= self._blocks.total - self._tall)
            self._put(self._anchor())
            self._ask()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        row, line = self._blocks.line(self.scroll_offset.y + y)
        width = self._blocks.form.width
        strip = self._ink.strip(line, width)
        if row is not None and self._chosen is not None and self._chosen == key_of(row):
            chosen = self._ink("chosen")
            strip = Strip([Segment(each.text, (each.style or chosen) + chosen) for each in strip], width)
        if self._below and y == self._tall - 1:
            told = f" {self._below} new below (Ctrl-End) "
            strip = strip.crop(0, max(0, width - cell_len(told)))
            strip = Strip.join([strip, Strip([Segment(told, self._ink("below"))])]).crop(0, width)
        return strip

    # Painting

    def _paint(self) -> None:
        """Take over the newest page."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._next is None:
            return
        self._painted = asyncio.get_running_loop().time()
        (page, self._times, self._user), self._next = self._next, None
        before = self._blocks.page
        if page.room != before.room:
            self._chosen = self._asked = None
        if page.room != before.room or _spoke(page, before):
            self._follows(True)
        anchor, last = self._anchor(), self._blocks.last
        self._blocks.take(page)
        is_flood = page.room == before.room and 0 < last < self._blocks.last - self._tall // 4
        self._pause = _FLOOD if is_flood else _PAUSE
        self._put(anchor)
        self._ask()

    def _put(self, anchor: tuple[Key, int] | None) -> None:
        """Have the anchor (a row, and how many lines of it are above) in the first line, or the newest at the end."""
        blocks, tall = self._blocks, self._tall
        blocks.shape(self.scrollable_content_region.width, self._times, self._user, self._hits)
        where = blocks.near(anchor[0]) if anchor is not None else None
        blocks.wrap(where, tall)
        # Not by the attribute: it would have the whole screen laid out anew.
        self.set_reactive(Widget.virtual_size, Size(blocks.form.width, blocks.total))
        self.vertical_scrollbar.window_virtual_size = blocks.total
        self.vertical_scrollbar.window_size = tall
        self._moving = True
        try:
            self._go(blocks.total if anchor is None or where is None else blocks.top(where) + anchor[1])
        finally:
            self._moving = False
        self._below = 0 if self._follow else blocks.since(self._seen)
        self.refresh()

    # Places

    @property
    def _tall(self) -> int:
        return self.scrollable_content_region.height

    def _go(self, y: int) -> None:
        y = max(0, min(y, self._blocks.total - self._tall))
        self.scroll_target_y = y
        self.scroll_y = y

    def _anchor(self) -> tuple[Key, int] | None:
        """The row in the first line, and how many lines of it are above; None where the newest stays in view."""
        return None if self._follow else self._blocks.anchor(round(self.scroll_y))

    def _reveal(self, where: int) -> None:
        """Bring a row into view, and move no more than needed."""
        top, end, y = self._blocks.top(where), self._blocks.top(where + 1), round(self.scroll_y)
        if top < y or end - top > self._tall:
            self._go(top)
        elif end > y + self._tall:
            self._go(end - self._tall)
        self.refresh()

    def _follows(self, follows: bool) -> None:
        """Whether the newest row stays in view."""
        if follows and not self._follow:
            self.post_message(self.AtEnd())
        elif self._follow and not follows:
            self._seen = self._blocks.last
        self._follow = follows

    def _ask(self, *, again: bool = False) -> None:
        """Have older rows brought where the person comes near the oldest."""
        if not self._blocks.page.more or round(self.scroll_y) > self._tall:
            return
        asked = (self._blocks.page.room, self._blocks.first)
        if asked != self._asked or again:
            self._asked = asked
            self.post_message(self.Older(*asked))


def _spoke(page: Page, before: Page) -> bool:
    """Whether the last row is one that we have just said."""
    if not page.rows or page.rows[-1].seq is not None or not page.rows[-1].own:
        return False
    return not before.rows or before.rows[-1].cid != page.rows[-1].cid
