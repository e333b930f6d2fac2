"""Where one writes: rows that grow with the text, what was typed before, what may stand there. (spec 12-operation)"""

from __future__ import annotations

from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import TextArea

from quicchat.ui.completion import complete
from quicchat.ui.desk import Desk
from quicchat.ui.history import History, Recall
from quicchat.ui.tui.choices import Above, Choices, Turn
from quicchat.ui.tui.order import bound
from quicchat.ui.tui.pasted import EDITED, Pasted, harmless
from quicchat.ui.words import Asks

#: What TextArea has keys for that belong to the application.
_NOT_OURS: Final = ("cursor_page_up", "cursor_page_down", "delete_line", "select_line", "select_all")
#: What would show a secret, or bring it back.
_TELLING: Final = ("copy", "cut", "undo", "redo", "recall", "new_line")
_UNSEEN: Final = "Nobody sees what you type; Enter alone gives up."


class Writing(TextArea):
    """The input. It wants `desk` once somebody is logged in; before that it completes and remembers nothing."""

    DEFAULT_CSS = """
    Writing { height: auto; min-height: 1; max-height: 5; padding: 0; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # None with priority: it would overtake the letters that were typed just before it. See `bound`.
        Binding("enter", "submit", "Send", show=False),
        Binding("alt+enter,ctrl+j,shift+enter", "new_line", "New line", show=False),
        Binding("tab", "complete(1)", "Complete", show=False),
        Binding("shift+tab", "complete(-1)", "Complete back", show=False),
        Binding("escape", "give_up", "Give up", show=False),
        Binding("up", "up", "Back", show=False),
        Binding("down", "down", "Forth", show=False),
        Binding("ctrl+up,ctrl+p", "recall(1)", "Typed before", show=False),
        Binding("ctrl+down,ctrl+n", "recall(-1)", "Typed after", show=False),
        Binding("alt+b", "cursor_word_left", "Word left", show=False),
        Binding("alt+f", "cursor_word_right", "Word right", show=False),
        Binding("alt+d", "delete_word_right", "Delete word", show=False),
    ]

    class Submitted(Message):
        """A line, as it was typed, edited or pasted, and the room that it is for."""

        def __init__(self, text: str, room: str | None) -> None:
            self.text = text
            self.room = room
            super().__init__()

    class EditLast(Message):
        """One's last message is to be edited: `revise` takes it up."""

    def __init__(self, history: History | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, highlight_cursor_line=False, tab_behavior="focus")
        self.cursor_blink = self.match_cursor_bracket = False
        self.desk: Desk | None = None
        #: The room that the text is for, once there is one.
        self.room: str | None = None
        #: What was typed before; the application may put another in its place before anything is typed.
        self.recall = Recall(history or History(None))
        self._invitation = ""
        #: What was written before something else was taken up: an older line, a message to edit.
        self._draft = ""
        self._edits: int | None = None
        self._hidden = False
        self._pasted: Pasted | None = None
        self._turn: Turn | None = None
        self._choices, self._above = Choices(), Above()

    def on_mount(self) -> None:
        """What has to be said stands right above."""
        assert isinstance(self.parent, Widget)
        self.parent.mount(self._above, self._choices, before=self)

    # What the application wants

    @property
    def draft(self) -> str:
        """What was written and is not submitted: what one puts aside when one goes to another room."""
        return "" if self._hidden else self._draft if self._edits is not None or self.recall.back else self.text

    @draft.setter
    def draft(self, text: str) -> None:
        self._pasted = self._edits = None
        self.recall.back = 0
        self._above.tell(None)
        self._put(text)

    def revise(self, seq: int, text: str) -> None:
        """Take a message of one's own up again; what is submitted replaces it."""
        self._draft = self.draft
        self._edits, self.recall.back = seq, 0
        self._put(text)
        self._above.tell(f"Editing #{seq}: Enter replaces it, Esc does not")

    def invite(self, text: str) -> None:
        """What stands there as long as nothing is written."""
        self._invitation = text
        if not self._hidden:
            self.placeholder = Content(text)

    def hide(self, on: bool) -> None:
        """Whether what is typed next is a secret."""
        if on is not self._hidden:
            self.draft = ""
            self._hidden = on
            self.placeholder = Content(_UNSEEN if on else self._invitation)

    # Keys

    def action_submit(self) -> None:
        """It is said, or carried out."""
        if self._pasted is not None:
            self._settle("i")
        elif self._turn is not None and self._turn.chosen is not None:
            self._offer(None)
        elif self._edits is not None:
            text, seq = self.text, self._edits
            self.draft = self._draft
            if text.strip():
                self.post_message(self.Submitted(f"/edit #{seq} {text}", self.room))
        else:
            text, words = self.text, self.desk.words if self.desk is not None else None
            self.draft = ""
            self.post_message(self.Submitted(text, self.room))
            if words is not None and not self._hidden:
                self.recall.history.add(text, words)
                # What is typed ahead is secret before anybody has asked for it.
                asks = words.parse(text)
                self.hide(isinstance(asks, Asks) and asks.hidden)

    def action_new_line(self) -> None:
        """One more row."""
        if self._pasted is None:
            self._type("\n")

    def action_give_up(self) -> None:
        """Close what is open, one after the other."""
        if self._pasted is not None:
            self._settle("")
        elif self._turn is not None:
            self._offer(None)
        elif self._edits is not None:
            self.draft = self._draft
        else:
            raise SkipAction

    def action_up(self) -> None:
        """To the row above; from the first one, to what was typed before."""
        if self._turn is not None:
            self.action_complete(-1)
        elif self.recall.back and self.cursor_at_first_line:
            self.action_recall(1)
        elif self.text or self._hidden:
            self.action_cursor_up()
        else:
            self.post_message(self.EditLast())

    def action_down(self) -> None:
        """To the row below; from the last one, to what was typed after that."""
        if self._turn is not None:
            self.action_complete(1)
        elif self.recall.back and self.cursor_at_last_line:
            self.action_recall(-1)
        else:
            self.action_cursor_down()

    def action_recall(self, step: int) -> None:
        """What was typed before, or with -1 after that; at last what is not submitted yet."""
        if self._edits is not None:
            return
        if not self.recall.back:
            self._draft = self.text
        if self.recall.step(step):
            self._put(self.recall.line or self._draft)

    def action_complete(self, step: int) -> None:
        """What may stand here: what it begins with, then one after the other. Elsewhere the key goes on its way."""
        if not self.text or self._hidden or self._pasted is not None or (self._turn is None and step < 0):
            raise SkipAction
        turn = self._turn
        if turn is None or not turn.holds(self.text, _cursor(self)):
            turn = self._begun()
            if turn is None:
                return
            shared, candidates = turn.completion.common, turn.completion.candidates
            if len(candidates) > 1 and turn.is_longer(shared):
                self._stand(turn, shared)
                return
            if len(candidates) == 1:
                self._stand(turn, candidates[0].text)
                self._offer(None)
                return
        self._stand(turn, turn.step(step).text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that belong to the application, where they would do nothing here; nothing tells a secret."""
        match action:
            case "copy":
                return not self.selection.is_empty and not self._hidden
            case "delete_to_end_of_line_or_delete_line":
                return not self.cursor_at_end_of_line
            case _ if action in _NOT_OURS or (self._hidden and action in _TELLING):
                return False
        return super().check_action(action, parameters)

    async def _on_key(self, event: events.Key) -> None:
        letter = (event.character or "").lower()
        if self._pasted is not None and letter in dict(self._pasted.choices):
            self._settle(letter)
        elif not await bound(self, event.key) and (self._pasted is None or not event.is_printable):
            return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = harmless(event.text)
        if self._hidden:
            self._type(text.partition("\n")[0])
        elif len(text.encode()) > EDITED or ("\n" in text and not self.text):
            self._pasted = Pasted(text, alone=not self.text)
            self._offer(None)
            self._above.ask(self._pasted)
        else:
            self._type(text)

    def on_text_area_changed(self) -> None:
        """A list is for the text it was made for; commands are offered as soon as one is begun."""
        if self._turn is not None and self._turn.holds(self.text, _cursor(self)):
            return
        is_command = self.text.startswith("/") and not self.text.startswith("//") and len(self.text.split()) == 1
        is_new = self._edits is None and not self.recall.back and not self._hidden
        self._offer(self._begun() if is_command and is_new else None)

    # The text

    def get_line(self, line_index: int) -> Text:
        """A star for each letter that must not be seen."""
        line = super().get_line(line_index)
        return Text("*" * len(line), end="", no_wrap=True) if self._hidden else line

    def _begun(self) -> Turn | None:
        """What may stand before the cursor."""
        found = complete(self.text, _cursor(self), self.desk) if self.desk is not None else None
        return None if found is None else Turn(found, self.text, _cursor(self))

    def _stand(self, turn: Turn, text: str) -> None:
        """Put this where the completion begins."""
        before = self.text[: turn.completion.start]
        start = before.count("\n"), len(before) - before.rfind("\n") - 1
        self.move_cursor(self.replace(text, start, self.cursor_location).end_location)
        turn.text, turn.cursor = self.text, _cursor(self)
        self._offer(turn)

    def _offer(self, turn: Turn | None) -> None:
        self._turn = turn
        self._choices.offer(turn)

    def _settle(self, key: str) -> None:
        """Do with what was pasted what the person wants."""
        pasted, self._pasted = self._pasted, None
        self._above.tell(None)
        if pasted is None or key not in dict(pasted.choices):
            return
        if key == "i" or self.desk is None:
            self._type(pasted.text)
            return
        for line in pasted.said(self.desk.words, each=key == "l"):
            self.post_message(self.Submitted(line, self.room))

    def _type(self, text: str) -> None:
        self._replace_via_keyboard(text, *self.selection)

    def _put(self, text: str) -> None:
        """Have this text, and the cursor behind it."""
        self.load_text(text)
        self.move_cursor(self.document.end)


def _cursor(area: TextArea) -> int:
    """How many letters stand before it."""
    return len(area.get_text_range((0, 0), area.cursor_location))
