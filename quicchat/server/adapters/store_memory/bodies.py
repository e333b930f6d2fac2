"""Long bodies in memory: put aside in pieces, then owned by the event that names them. (spec 06-messages)"""

from __future__ import annotations

import hashlib

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.state import Aside, Place, State
from quicchat.server.model import ASIDE, ASIDE_LEAST, ASIDE_TIME, PIECE_LEAST
from quicchat.wire.chapters.messages import Message, Post
from quicchat.wire.names import User


def put(state: State, user: User, digest: bytes, size: int, offset: int, data: bytes, at: int) -> None:
    """The port's `put_body`."""
    if user not in state.accounts:
        raise Refused(Code.NO_SUCH_USER)
    state.aside = {key: kept for key, kept in state.aside.items() if kept.at >= at - ASIDE_TIME}
    found = state.aside.get((user, digest), Aside(size, b"", at))
    held, end = len(found.data), offset + len(data)
    repeated = end <= held
    if size != found.size or end > size or not (repeated or offset == held):
        raise Refused(Code.RANGE)
    if len(data) < PIECE_LEAST and end < size:
        raise Refused(Code.RANGE)
    if repeated:
        return
    used = sum(max(kept.size, ASIDE_LEAST) for (owner, _), kept in state.aside.items() if owner == user)
    if not held and used + max(size, ASIDE_LEAST) > ASIDE:
        raise Refused(Code.QUOTA)
    whole = found.data + data
    if end == size and hashlib.sha256(whole).digest() != digest:
        state.aside.pop((user, digest), None)
        raise Refused(Code.DIGEST)
    state.aside[user, digest] = Aside(size, whole, at)


def check(state: State, user: User, post: Post) -> None:
    """Raises Refused(NO_SUCH_FILE) unless the user has put aside all attachments, whole."""
    for digest, size, _ in post.attachments or ():
        found = state.aside.get((user, digest))
        if found is None or not found.size == len(found.data) == size:
            raise Refused(Code.NO_SUCH_FILE)


def own(state: State, found: Place, message: Message) -> None:
    """What was put aside belongs to an event now."""
    for digest, *_ in message.attachments or ():
        if (kept := state.aside.pop((User(message.sender), digest), None)) is not None:
            found.bodies[message.seq, digest] = kept.data
