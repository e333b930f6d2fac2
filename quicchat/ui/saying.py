"""Say one thing, from the command line or from standard input, and go. (spec 12-operation)"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from secrets import token_bytes
from typing import Final, Self

from quicchat.client.events import Sent as Reach
from quicchat.client.memory import Entry
from quicchat.errors import UsageError
from quicchat.ui.errands import STREAM, Errand, addressee
from quicchat.ui.outcomes import Sent
from quicchat.ui.slots import TEXT_BYTES, place_of
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Kind, Posted

_AS_TEXT: Final = "standard input is no text in UTF-8; --file - sends it as a file"


@dataclass(slots=True)
class Say:
    """One text for a room, `@user` or everybody. Without one it is what standard input holds."""

    to: str
    text: str | None
    kind: Kind = Kind.TEXT
    reply: int | None = None
    quiet: bool = False
    unpacks: bool = False
    folder: Path = field(default_factory=Path)

    @classmethod
    def of(cls, to: str, words: Sequence[str], *, code: bool, emote: bool, reply: str | None) -> Self:
        """As it is typed. Raises UsageError."""
        if code and emote:
            raise UsageError("--code and --emote do not go together")
        if not words:
            raise UsageError("say what to send: TEXT, - for standard input, or -f FILE")
        try:
            seq = None if reply is None else place_of(reply)
        except ValueError as error:
            raise UsageError(f"--reply: {error}") from None
        kind = Kind.CODE if code else Kind.EMOTE if emote else Kind.TEXT
        job = cls(addressee(to), None if list(words) == [STREAM] else " ".join(words), kind, seq)
        if job.text is not None:
            job.text = _sayable(job.text)
        return job

    @property
    def takes_input(self) -> bool:
        return self.text is None

    def prepare(self) -> None:
        if self.text is None:
            self.text = _sayable(_read())
        elif sys.stderr.isatty() and Path(self.text).is_file():
            sys.stderr.write("quicchat: that is a file, too: -f sends it\n")

    async def run(self, errand: Errand) -> None:
        # What an errand that was interrupted could not say yet goes out by itself; it is not to be said twice.
        again = [entry.cid for entry in errand.desk.chat.outbox if self._is(entry, errand)]
        posted = await self._post(errand, again[0] if again else token_bytes(16))
        errand.outlet.tell(Sent(posted, self.to[1:] if self.to.startswith("@") else None))

    def close(self) -> None:
        """It is said."""

    async def _post(self, errand: Errand, cid: bytes) -> Posted:
        chat, text = errand.desk.chat, self.text or ""
        say = chat.tell if self.to.startswith("@") else chat.post
        to, named = self.to.removeprefix("@"), errand.desk.named(text)
        said = errand.asked(lambda: say(to, text, kind=self.kind, reply=self.reply, mentions=named, cid=cid))
        return await errand.patiently(said)

    def _is(self, entry: Entry, errand: Errand) -> bool:
        """Whether it is this text, and nobody knows whether it is stored."""
        text = entry.whole.decode() if entry.whole is not None else entry.post.text
        what = (entry.room, text, entry.post.kind or Kind.TEXT, entry.post.reply)
        return entry.state < Reach.STORED and what == (errand.desk.log(self.to), self.text, self.kind, self.reply)


def _read() -> str:
    try:
        data = sys.stdin.buffer.read(TEXT_BYTES + 2)
        text = data.decode()
    except (OSError, AttributeError):
        raise UsageError("standard input cannot be read") from None
    except UnicodeDecodeError:
        raise UsageError(_AS_TEXT) from None
    # A program ends its last line; it is no part of what is said.
    return text.removesuffix("\n").removesuffix("\r")


def _sayable(text: str) -> str:
    if not text.strip():
        raise UsageError("there is nothing to say: the text is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError("the text is not UTF-8") from None
    if size > TEXT_BYTES:
        raise UsageError(f"a message has at most {TEXT_BYTES} bytes; -f sends more as a file")
    return text
