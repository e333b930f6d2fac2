"""How far people have come, in memory: receipts and what is unread. (spec 06-messages)"""

from __future__ import annotations

from quicchat.server.adapters.store_memory.state import Place
from quicchat.server.model import BY_NAME, CONCERNED, COUNTED, Moved, Progress, Receipts, Unread
from quicchat.wire.names import Device, User


def receipt(
    found: Place, user: User, device: Device, delivered: int | None, read: int | None, private: bool, at: int
) -> Moved:
    """The port's `receipt`."""
    seat, head = found.seats[user], len(found.log)
    held, seen, was_read = seat.held, seat.seen, found.read_by(user)
    if delivered is not None:
        seat.delivered[device] = max(seat.held_by(device), min(delivered, head))
    if read is not None:
        seat.read = max(seat.read, min(read, head))
        if not private:
            seat.shown = max(seen, min(read, head))
    visible = (seat.held, seat.seen) != (held, seen)
    if visible:
        seat.at = at
    own = None
    if (now := found.read_by(user)) > was_read:
        own = Unread(read=now, unread=found.unread_by(user), mentions=found.mentions_of(user))
    senders: set[User] = set()
    if visible and len(found.seats) <= COUNTED:
        for before, after in ((held, seat.held), (seen, seat.seen)):
            senders.update(found.senders[max(before, after - CONCERNED) : after])
    return Moved(
        own=own,
        shown=Progress(user=user, delivered=seat.held, read=seat.seen, at=at) if visible else None,
        members=len(found.seats),
        senders=frozenset(senders & found.seats.keys() - {user}),
    )


def receipts(found: Place, user: User) -> Receipts:
    """The port's `progress`."""
    members = len(found.seats)
    if members > COUNTED:
        return Receipts()
    if members > BY_NAME:
        return Receipts(count=holding(found, len(found.log)))
    return Receipts(
        people=tuple(
            Progress(user=other, delivered=seat.held, read=seat.seen, at=seat.at)
            for other, seat in sorted(found.seats.items())
            if other != user
        )
    )


def holding(found: Place, place: int) -> int:
    """The port's `holding`."""
    return sum(seat.held >= place for seat in found.seats.values())
