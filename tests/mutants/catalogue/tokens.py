"""Mutants of section 4.3: coming back with a token."""

from __future__ import annotations

from typing import Any

from quicchat.server import session
from quicchat.server.adapters.store_memory import accounts as memory
from quicchat.server.adapters.store_memory.accounts import MemoryAccounts
from quicchat.server.services import tokens
from quicchat.server.services.tokens import Resumptions
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import edit, faulty


@mutant("4.3-3/good-for-ever", "4.3-3/a-token-is-good-once")
def for_ever() -> None:
    """A token that was used up is good again."""
    used: dict[bytes, bytes] = {}

    def make_rotate(rotate: Any) -> Any:
        async def found(self: MemoryAccounts, old: bytes, new: bytes, *rest: Any, **times: int) -> Any:
            heads = await rotate(self, old, new, *rest, **times)
            used[old] = new
            return heads

        return found

    def make_bearer(bearer: Any) -> Any:
        async def found(self: MemoryAccounts, token: bytes, *rest: Any, **times: int) -> Any:
            while token in used:
                token = used[token]
            return await bearer(self, token, *rest, **times)

        return found

    swap(MemoryAccounts, "rotate", make_rotate)
    swap(MemoryAccounts, "bearer", make_bearer)


@mutant("4.3-3/of-any-device", "4.3-3/all-that-is-no-token")
def of_any_device() -> None:
    """A token lets in any device."""
    edit(
        MemoryAccounts,
        "bearer",
        ("devices.get(device)", "next((each for each in devices.values() if each.token == token), None)"),
    )
    edit(MemoryAccounts, "rotate", ("[user][device]", "[user].setdefault(device, Known(name, at))"))


faulty(
    "4.3-3/says-why",
    "It is said that a token is of another device.",
    *(MemoryAccounts, "bearer"),
    (
        "    raise Refused",
        "    if any(each.token == token for known in self._state.devices.values() for each in known.values()):\n"
        '        raise Refused(Code.TOKEN_EXPIRED, "of another device")\n'
        "    raise Refused",
    ),
    kills="4.3-3/all-that-is-no-token",
)
faulty(
    "4.3-3/looked-at-once",
    "A token that was answered is used up without another look at it.",
    *(MemoryAccounts, "rotate"),
    (
        "await self.bearer(old, device, at=at)",
        "next(each for each, devices in self._state.devices.items() if device in devices)",
    ),
    kills="4.3-3/of-two-at-once-one-is-let-in",
)
faulty(
    "4.3-3/first-flight-lost",
    "What comes in one packet with VERSION_REQUEST, behind it, is lost.",
    *(session.Session, "_on_events"),
    (
        "requests.size(envelope.pdu)))",
        "requests.size(envelope.pdu)))\n"
        "                if isinstance(envelope.pdu, VersionRequest):\n"
        "                    return",
    ),
    kills="4.3-3/in-the-first-flight",
)
faulty(
    "4.3-4/two-sessions",
    "A device that comes back may have two sessions.",
    *(Resumptions, "settle"),
    ("for each in replaced]", "for each in ()]"),
)
faulty(
    "4.3-5/proof-of-all",
    "RESUMED proves certificate and negotiation together.",
    *(Resumptions, "resume"),
    ("actor.binding[-_TRANSCRIPT:]", "actor.binding"),
)
faulty(
    "4.3-6/places-ignored",
    "The places that a device tells are passed over.",
    *(MemoryAccounts, "gaps"),
    ("have.get(name)", "None"),
)
faulty(
    "4.3-6/places-forgotten",
    "A device that tells no place begins anew.",
    *(MemoryAccounts, "gaps"),
    (".held_by(device)", ".since"),
)
faulty(
    "4.3-6/rooms-with-news",
    "Rooms without news are left out of RESUMED.",
    *(tokens, "_most_urgent"),
    ("sorted(gaps", "sorted((gap for gap in gaps if gap.room in have or gap.place < gap.head)"),
)
faulty(
    "4.3-7/any-epoch",
    "The epoch of a log is not compared.",
    *(memory, "judged"),
    ("held[0] != epoch or ", ""),
)
faulty(
    "4.3-7/beyond-the-head",
    "A place beyond the head is taken for the head.",
    *(memory, "judged"),
    (" or held[1] > head", ""),
)
faulty(
    "4.3-8/left-out",
    "RESUMED says nothing of rooms that are not his.",
    *(MemoryAccounts, "gaps"),
    ("gaps += [lost(room, epoch) for room, (epoch, _) in have.items() if room not in seen]", ""),
)
faulty(
    "4.3-8/told-of-others",
    "RESUMED tells the epoch of rooms that are not his.",
    *(MemoryAccounts, "gaps"),
    ("[lost(room, epoch) for", "[lost(room, state.rooms[room].epoch if room in state.rooms else epoch) for"),
)
faulty(
    "4.3-9/of-anybody",
    "Messages of others are told as known.",
    *(MemoryAccounts, "gaps"),
    ("for cid in outstanding if (user, cid) in state.said", "for user, cid in state.said if cid in outstanding"),
)
faulty(
    "4.3-9/none",
    "RESUMED says of no message that it is known.",
    *(MemoryAccounts, "gaps"),
    ("known=tuple(stored.items())", "known=()"),
)
faulty(
    "4.3-10/one-too-early",
    "What was missed begins with what was not, and lacks the last.",
    *(Resumptions, "_missed"),
    ("anchor=gap.place", "anchor=max(gap.place - 1, 0)"),
)
faulty(
    "4.3-10/nothing",
    "What was missed is not sent.",
    *(Resumptions, "_missed"),
    ("for gap in gaps:", "for gap in ():"),
)
