"""Commands about keys: whose they are, how far they are trusted, which devices may read. (spec 12-operation)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Final, TypeVar

from quicchat.client.e2ee.faults import SealError
from quicchat.errors import Code, Refused
from quicchat.ui import qr
from quicchat.ui.desk import Desk
from quicchat.ui.identities import Approvals, Keyed, Numbers, Recovery
from quicchat.ui.outcomes import Devices, Done, Here, Outcome
from quicchat.ui.picking import place_of
from quicchat.ui.slots import YES
from quicchat.ui.tables import grouped
from quicchat.ui.words import Call, Choice
from quicchat.wire.chapters.rooms import ENCRYPTED

T = TypeVar("T")

#: Hexadecimal digits of a key that are enough to name it.
_MARK: Final = 4
#: Under this name the answer to a question goes with the call.
_SURE: Final = "sure"


async def keys(desk: Desk, call: Call) -> Outcome:
    return _keyed(desk, call.get("user") or desk.chat.state.user)


async def devices(desk: Desk, call: Call) -> Outcome:
    own = _keyed(desk, desk.chat.state.user).devices if desk.has_keys else ()
    return Devices(await desk.chat.account.sessions(), own)


async def verify(desk: Desk, call: Call) -> Outcome:
    user, digits = call["user"], call.get("digits")
    if digits is None:
        found = await _asked(desk.keys.digits(user))
        picture = await asyncio.to_thread(qr.rows, await _asked(desk.keys.code(user)))
        desk.numbers[user] = found
        return Numbers(desk.chat.state.user, user, found, picture)
    if digits == YES and user not in desk.numbers and desk.has_keys:
        raise Refused(Code.SCHEMA, f"Compare the numbers first: /verify {user} shows them.")
    # Whoever says yes means the ones he saw, though there may be others by now.
    await _asked(desk.keys.verify(user, desk.numbers.get(user) if digits == YES else digits))
    return Done("verify", {"user": user})


async def accept(desk: Desk, call: Call) -> Outcome:
    await _asked(desk.keys.accept(call["user"]))
    return Done("accept", {"user": call["user"]})


async def untrust(desk: Desk, call: Call) -> Outcome:
    await _asked(desk.keys.untrust(call["user"]))
    return Done("untrust", {"user": call["user"]})


async def approve(desk: Desk, call: Call) -> Outcome:
    rows = [(each.fingerprint, each.name) for each in desk.keys.waiting()]
    if (typed := call.get("device")) is None:
        return Approvals(rows)
    fingerprint, name = _device(rows, typed, "waits to be let in; /approve lists those that do")
    facts = {"device": name or "a device", "fingerprint": grouped(fingerprint)}
    question = (
        f"Let {facts['device']} in? It reads all that you read. /keys shows its key there: {facts['fingerprint']}"
    )
    if (end := _unsure(desk, call, question, Done("approve.no", facts))) is not None:
        return end
    await _asked(desk.keys.approve(fingerprint))
    return Done("approve", facts)


async def remove(desk: Desk, call: Call) -> Outcome:
    known = _keyed(desk, desk.chat.state.user).devices
    rows = [(mark, name) for mark, name, what, _ in known if what in ("listed", "unusable")]
    fingerprint, name = _device(rows, call["device"], "is another device of yours; /keys lists them")
    facts = {"device": name or "a device", "fingerprint": grouped(fingerprint)}
    question = f"Remove {facts['device']}? It reads nothing more of what is said."
    if (end := _unsure(desk, call, question, Done("remove-device.no", facts))) is not None:
        return end
    await _asked(desk.keys.remove(fingerprint))
    return Done("remove-device", facts)


async def rotate(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    where = place_of(room, desk.chat.state.user)
    if desk.keys.encryption(room).state == "plain":
        raise Refused(Code.SCHEMA, f"{where} is not encrypted; there is no key to change.")
    await _asked(desk.keys.rotate(room))
    return Done("rotate", {"room": where})


async def recovery(desk: Desk, call: Call) -> Outcome:
    return Recovery(await _asked(desk.keys.recovery()))


async def new_recovery(desk: Desk, call: Call) -> Outcome:
    question = "Make another recovery code? The one that you wrote down opens nothing any more."
    if (end := _unsure(desk, call, question, Done("new-recovery.no"))) is not None:
        return end
    return Recovery(await _asked(desk.keys.new_recovery()))


async def restore(desk: Desk, call: Call) -> Outcome:
    await _asked(desk.keys.restore(call["code"]))
    return Done("restore")


async def renew(desk: Desk, call: Call) -> Outcome:
    keys = desk.keys
    if keys.own is not None and keys.own.identity is not None:
        raise Refused(Code.SCHEMA, "This device has your identity; there is nothing to begin anew.")
    question = (
        "Begin anew? Everybody is warned that you are another one, and what was said so far stays unreadable here."
    )
    if (end := _unsure(desk, call, question, Done("renew.no"))) is not None:
        return end
    return Recovery(await _asked(keys.renew()))


async def create(desk: Desk, call: Call) -> Outcome:
    """A room that is encrypted from its first word on."""
    _ = desk.keys  # refused at once where this client can have none
    state = await desk.chat.create(call["room"], topic=call.get("topic"), policy=ENCRYPTED)
    desk.room = state.room
    return Here(state.room, state.topic or "", state.members, desk.encryption(state.room))


async def encrypt(desk: Desk, call: Call) -> Outcome:
    room = call.get("room") or desk.here
    view = desk.chat.state.rooms.get(room)
    if room.startswith("@"):
        raise Refused(Code.SCHEMA, "What two say to each other is encrypted anyway, as soon as both have keys.")
    if view is not None and view.policy & ENCRYPTED:
        raise Refused(Code.SCHEMA, f"{room} is encrypted already.")
    _ = desk.keys  # refused at once where this client can have none
    question, facts = f"Encrypt {room}? It cannot be turned off again.", {"room": room}
    if (end := _unsure(desk, call, question, Done("encrypt.no", facts))) is not None:
        return end
    await desk.chat.set_room(room, policy=(view.policy if view is not None else 0) | ENCRYPTED)
    return Done("encrypt", facts)


def _keyed(desk: Desk, user: str) -> Keyed:
    """What is known of somebody's keys; of one's own devices those that wait as well. Raises Refused."""
    keys, is_own = desk.keys, user == desk.chat.state.user
    person, own = keys.of(user), keys.own if is_own else None
    here = own.device.certificate.fingerprint if own is not None else b""
    rows = [
        (mark, name, "this" if mark == here else "unusable" if flaw else "listed", flaw or "")
        for mark, name, flaw in (person.devices if person is not None else ())
    ]
    if own is not None and not own.listed:
        rows.insert(0, (here, "", "outside", ""))
    if is_own:
        rows += [(each.fingerprint, each.name, "waits", each.flaw or "") for each in keys.waiting()]
    if person is None:
        return Keyed(user, "unknown", None, rows)
    return Keyed(user, "own" if is_own else person.trust.name.lower(), person.fingerprint, rows)


def _device(rows: list[tuple[bytes, str]], typed: str, what: str) -> tuple[bytes, str]:
    """The one with this name or key id, or whose fingerprint begins so. Raises Refused where none is, or several."""
    mark = "".join(typed.split()).lower()
    found = [row for row in rows if row[1] == typed]
    if not found and len(mark) >= _MARK:
        found = [row for row in rows if row[0].hex().startswith(mark) or row[0].hex().endswith(mark)]
    if len(found) > 1:
        ways = ", ".join(grouped(fingerprint) for fingerprint, _ in found)
        raise Refused(Code.SCHEMA, f"{len(found)} devices are called {typed}; name one by its key: {ways}")
    if not found:
        raise Refused(Code.SCHEMA, f"No device {typed} {what}.")
    return found[0]


def _unsure(desk: Desk, call: Call, question: str, refused: Done) -> Choice | Done | None:
    """A question to the person who is there, until it is answered; where he says no, what comes of that.

    An empty line answers no.
    """
    if call.get(_SURE) == "no":
        return refused
    if not desk.asks or call.get(_SURE) is not None:
        return None
    yes, no = (replace(call, given={**call.given, _SURE: answer}) for answer in ("yes", "no"))
    return Choice(f"{question} [y/N]", yes, no, usual=False)


async def _asked(work: Awaitable[T]) -> T:
    """What comes of it. Raises Refused in the words of what is wrong with keys."""
    try:
        return await work
    except SealError as error:
        raise Refused(Code.FORBIDDEN, error.text) from None
