"""Mutants of sections 4.4 and 4.5: another password, sessions and their end."""

from __future__ import annotations

from quicchat.server.adapters.store_memory.accounts import MemoryAccounts
from quicchat.server.services.accounts import AccountService
from quicchat.server.services.devices import Devices
from tests.mutants.source import faulty

faulty(
    "4.4-1/others-stay",
    "Another password ends no session.",
    *(Devices, "change"),
    ("*_ended(others)", ""),
)
faulty(
    "4.4-1/tokens-stay",
    "With another password the tokens of before are good.",
    *(MemoryAccounts, "set_credentials"),
    ("known.token, known.expires = None, 0", "pass"),
)
faulty(
    "4.4-1/own-token-ends",
    "With another password the token of the device that asked ends too.",
    *(MemoryAccounts, "set_credentials"),
    ("if device != keep:\n            known", "if device:\n            known"),
)
faulty(
    "4.4-1/the-old-one-stays",
    "Another password is acknowledged and not kept.",
    *(MemoryAccounts, "set_credentials"),
    ("self._state.accounts[user] = credentials", ""),
)
faulty(
    "4.4-2/any-current",
    "Whoever is logged in may set another password without knowing the one in force.",
    *(MemoryAccounts, "set_credentials"),
    ("self._check(user, current)", "self._check(user, None)"),
)
faulty(
    "4.4-3/the-challenge-counts",
    "A login that began before another password was set ends well with the old one.",
    *(AccountService, "respond"),
    ("proven=attempt.keys.stored_key", "proven=None"),
)
faulty(
    "4.5-1/only-who-is-here",
    "Devices that may come back are not listed.",
    *(Devices, "listed"),
    ("if each.expires > now", "if False"),
)
faulty(
    "4.5-1/who-asks",
    "It is not said which session asks.",
    *(Devices, "listed"),
    ("each.session == actor.session", "False"),
)
faulty(
    "4.5-2/goes-on",
    "A session that is ended goes on, and cannot come back.",
    *(Devices, "revoke"),
    ("*_ended(ended)", ""),
)
faulty(
    "4.5-2/the-token-stays",
    "The token of a session that was ended is good.",
    *(Devices, "revoke"),
    ("await self._accounts.revoke(actor.name, device)", "pass"),
)
faulty(
    "4.5-2/not-his-own",
    "The session that asks is never ended.",
    *(Devices, "revoke"),
    ("if each.device == device]", "if each.device == device and each.session != actor.session]"),
    kills="4.5-2/logging-out",
)
faulty(
    "4.5-2/before-the-answer",
    "Who ends his own session is not answered.",
    *(Devices, "revoke"),
    ("[Reply(Ok()), Disown(), *_ended(ended)]", "[*_ended(ended), Reply(Ok()), Disown()]"),
    kills="4.5-2/logging-out",
)
faulty(
    "4.5-2/still-listed",
    "Devices that were logged out are listed.",
    *(Devices, "listed"),
    (" if each.expires > now", ""),
    kills="4.5-2/a-session-is-ended",
)
faulty(
    "4.5-3/of-anybody",
    "The token of any device is ended, whose-ever it is.",
    *(MemoryAccounts, "revoke"),
    (
        "self._state.devices.get(user, {}).get(device)",
        "next((each[device] for each in self._state.devices.values() if device in each), None)",
    ),
    kills="4.5-3/a-session-of-somebody-else",
)
faulty(
    "4.5-3/told-apart",
    "A session that does not exist, or is not his, is refused.",
    *(Devices, "revoke"),
    ("    if device is not None:\n", "    if device is None:\n        raise Refused(Code.FORBIDDEN)\n    if device:\n"),
    kills="4.5-3/a-session-of-somebody-else",
)
faulty(
    "4.5-3/nothing-named",
    "Who names neither session nor device is answered with OK.",
    *(Devices, "revoke"),
    ("(pdu.session is None) == (pdu.device is None)", "pdu.session is not None and pdu.device is not None"),
    kills="4.5-3/neither-session-nor-device",
)
