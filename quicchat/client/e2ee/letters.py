"""Messages and what of them is sealed: what stands outside, what inside, and that both agree; pure. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from quicchat.client.e2ee.faults import Forged
from quicchat.wire.chapters.messages import SAID, Attachments, Kind, Message, Post
from quicchat.wire.sealed import Content, FileKey, Sealed, SealedAttachments, packed

#: Kinds whose words are sealed; what takes something back or pins it has no words of its own.
SEALED_KINDS: Final = SAID | {Kind.EDIT, Kind.REACT}
#: What the server is told of every file.
_SOME_TYPE: Final = "application/octet-stream"


def content_of(
    post: Post, *, conversation: str, sender: str, device: int, attachments: SealedAttachments | None = None
) -> Content:
    """What a post says, with the rows of its files as they stand inside."""
    return Content(
        conversation=conversation,
        sender=sender,
        device=device,
        cid=post.cid,
        kind=post.kind or Kind.TEXT,
        text=post.text,
        topic=post.topic,
        reply=post.reply,
        refs=post.refs,
        mentions=post.mentions,
        attachments=attachments,
    )


def outside(post: Post, content: Content, sealed: Sealed) -> Post:
    """What the server is told of a post: who, where, when, and what it is about; of files their ids and sizes."""
    rows = tuple((file, size, _SOME_TYPE, "", 0) for file, size, *_ in content.attachments or ())
    return replace(
        post,
        kind=post.kind if post.kind is not None and post.kind not in SAID else None,
        text="",
        topic=None,
        reply=None,
        mentions=None,
        attachments=rows or None,
        sealed=packed(sealed),
    )


def said(event: Message, content: Content) -> dict[str, Any]:
    """The fields of an event as it was meant (for `seal.opened`). Raises Forged where outside and inside disagree."""
    outer = Kind.TEXT if content.kind in SAID else content.kind
    if (event.room, event.sender, event.cid) != (content.conversation, content.sender, content.cid):
        raise Forged("it belongs elsewhere")
    if content.kind not in SEALED_KINDS or event.kind is not outer or event.refs != content.refs:
        raise Forged("it is about something else than it says")
    rows = [(file, size) for file, size, *_ in content.attachments or ()]
    if [(file, size) for file, size, *_ in event.attachments or ()] != rows:
        raise Forged("its files are not those that it names")
    return {
        "kind": content.kind,
        "text": content.text,
        "topic": content.topic,
        "reply": content.reply,
        "mentions": content.mentions,
        "attachments": shown_rows(content.attachments),
    }


def shown_rows(attachments: SealedAttachments | None) -> Attachments | None:
    """Rows of files as an application sees them: with the size they have when they are opened."""
    rows = tuple((file, size, kind, name, at) for file, _, kind, name, at, _, size, _ in attachments or ())
    return rows or None


def file_keys(content: Content) -> Sequence[FileKey]:
    """What opens the files of a message."""
    return [
        FileKey(file=file, secret=secret, size=size, root=root, name=name, media_type=kind, modified=at)
        for file, _, kind, name, at, secret, size, root in content.attachments or ()
    ]
