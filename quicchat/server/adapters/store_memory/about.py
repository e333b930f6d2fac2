"""Events about other events in memory: corrections, reactions, pins, and what is taken back. (spec 06-messages)"""

from __future__ import annotations

from quicchat.errors import Code, Refused
from quicchat.server.adapters.store_memory.files import detach
from quicchat.server.adapters.store_memory.state import Place, State
from quicchat.server.rules import check_about
from quicchat.wire.chapters.messages import ABOUT, Kind, Message, Post, blanked
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.codec import encode_body
from quicchat.wire.names import Room, User


def check(found: Place, room: Room, sender: User, post: Post, *, operator: bool) -> None:
    """Whether the place answered is taken, and the event that a post is about allows it. Raises Refused."""
    head = len(found.log)
    if post.reply is not None and not 1 <= post.reply <= head:
        raise Refused(Code.NO_SUCH_MESSAGE)
    kind = post.kind or Kind.TEXT
    if kind not in ABOUT:
        return
    (ref,) = post.refs if post.refs and len(post.refs) == 1 else (0,)
    target = found.message(ref) if 1 <= ref <= head else None
    moderator = operator or found.rank(sender) >= Rank.MODERATOR
    check_about(kind, sender, target, direct=room.startswith("@"), moderator=moderator)


def apply(state: State, found: Place, message: Message) -> None:
    """Do what an event that is now in the log says about another one."""
    (target, *_) = message.refs or (0,)
    if message.kind is Kind.EDIT:
        found.edits.setdefault(target, []).append(message.seq)
    elif message.kind is Kind.RETRACT:
        detach(found, (target, *found.edits.get(target, ())))
        for place in (target, *found.edits.get(target, ())):
            _blank(state, found, place)


def _blank(state: State, found: Place, place: int) -> None:
    message = found.message(place)
    left = blanked(message)
    found.log[place - 1] = encode_body(left, version=2)
    state.said[User(message.sender), message.cid] = left
    for seat in found.seats.values():
        seat.named.discard(place)
