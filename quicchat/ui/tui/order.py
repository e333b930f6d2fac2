"""Keys in the order in which they were typed, however fast they come. (spec 12-operation)"""

from __future__ import annotations

from textual.widget import Widget


async def bound(widget: Widget, key: str) -> bool:
    """Do what a key is bound to in a widget before it sees the next one; False where that is nothing.

    Textual looks for the binding once the key has come up to the application; letters behind it, which over a slow
    line come together with it, are in the text by then.
    """
    for binding in widget._bindings.key_to_bindings.get(key, ()):
        if await widget.app.run_action(binding.action, widget):
            return True
    return False
