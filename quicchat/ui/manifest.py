"""Files in words: what a message brings, and how far a file is on its way. (spec 12-operation)"""

from __future__ import annotations

from typing import Final

from quicchat.client.files.archive import SUFFIX
from quicchat.ui.figures import rate_of, share_of, size_of, span_of
from quicchat.ui.outcomes import Freight, Unfinished, Unpacked
from quicchat.ui.picking import place_of, typed_name
from quicchat.wire.chapters.messages import DIRECTORY, Message

#: What a file is called that has no name.
_NAMELESS: Final = "a file"
#: Files that are named in one line, at most.
_NAMED: Final = 4
#: Seconds that are worth a word.
_NOTABLE: Final = 0.05


def attached(message: Message) -> str:
    """`photo.jpg (1.2 MB), photos/ (34 MB) and 3 more "look at these"`."""
    files = message.attachments or ()
    shown = [f"{called(name, kind)} ({size_of(size)})" for _, size, kind, name, _ in files[:_NAMED]]
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    said = caption(message)
    return ", ".join(shown) + more + (f' "{said}"' if said else "")


def caption(message: Message) -> str:
    """What was said besides; a line for each file stands there for those who know no files."""
    lines = [line.strip() for line in (message.text or "").split("\n")]
    names = {"", *(name for *_, name, _ in message.attachments or ())}
    return " ".join(line for line in lines if line not in names and (line.rpartition(", ")[0] or line) not in names)


def called(name: str, media_type: str) -> str:
    """What a file is called: a directory by its own name, with a slash behind it."""
    if media_type == DIRECTORY:
        return f"{name.removesuffix(SUFFIX)}/"
    return name or _NAMELESS


def how_to_get(message: Message, user: str) -> str:
    """What `user` types behind /get: the name where there is one file whose name can be typed, else the place."""
    files = message.attachments or ()
    typed = typed_name(files[0][3], files[0][2]) if len(files) == 1 else ""
    return typed or f"{place_of(message.room, user)}/#{message.seq}"


def facts(item: Freight) -> dict[str, str]:
    """What the templates of a transfer may tell."""
    carried = item.done - item.resumed
    return {
        "number": str(item.number),
        "name": item.name,
        "size": size_of(item.size),
        "share": share_of(item.done, item.size),
        "left": size_of((item.size or item.done) - item.done),
        "rate": rate_of(item.rate),
        "eta": span_of(item.eta) if item.eta is not None else "some time",
        # Of what takes no time the rate tells nothing.
        "took": f" in {span_of(item.seconds)}, {rate_of(carried / item.seconds)}" if item.seconds >= _NOTABLE else "",
        "path": item.path or item.name,
        "reason": item.reason or "it is not known why",
        "pieces": str(item.pieces),
        "got": str(item.pieces - item.lost),
        "lost": str(item.lost),
        "missing": str(item.missing),
        "fast": rate_of(item.rates.get("fast", 0.0)),
        "repair": f", {rate_of(item.rates['reliable'])} to repair {item.lost}" if item.rates.get("reliable") else "",
    }


def unpacked(item: Unpacked) -> dict[str, str]:
    """What the templates of a directory that came may tell."""
    left = f"; {item.left_out} left out, which stay in the archive" if item.left_out else ""
    files = f"{item.files} file{'' if item.files == 1 else 's'}"
    return {"name": item.name, "path": item.path, "files": files, "left": left, "reason": item.reason}


def unfinished(item: Unfinished) -> str:
    """`notes.pdf (94 %, 12 MB to go), ...`"""
    return ", ".join(f"{name} ({share_of(done, size)}, {size_of(size - done)} to go)" for name, size, done in item.rows)
