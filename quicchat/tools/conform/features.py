"""Finds out what a server has; cases about anything else are left. (spec 16-conformance)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from quicchat.tools.conform.bench import NO_ERROR, PASSWORD, Account, Target
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import FEATURES
from quicchat.tools.conform.quic import SessionTicket, Wishes
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Deviation, Failed

#: For a feature a request that a server which has it answers somehow, and one that lacks it with one of `_LACKS`.
_PROBES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "presence": ("PRESENCE_SET", {"show": 1}),
    "files": ("FILE_LIST", {}),
    "keys": ("KEY_GET", {"users": ["nobody"]}),
}
_LACKS: Final = ("UNSUPPORTED", "FORBIDDEN")


class NoLogin(Exception):
    """An account that was given lets nobody in; the text says which."""


def wished(words: Iterable[str]) -> dict[str, bool]:
    """`a`, `-b` by feature: there, or not. Raises ValueError for what is no feature."""
    found = {word.strip().removeprefix("-"): not word.strip().startswith("-") for word in words if word.strip()}
    for name in found:
        if name not in FEATURES:
            raise ValueError(f"{name} is no feature; those are {', '.join(FEATURES)}")
    return found


async def examine(target: Target, wishes: dict[str, bool] | None = None) -> None:
    """Find out which versions and features a server has, but for those of `wishes`, which are as somebody says.

    Raises Unreachable, Deviation, and NoLogin.
    """
    wishes = wishes or {}
    found = {name: target.control is not None if name == "control" else True for name in FEATURES} | wishes
    tickets: list[SessionTicket] = []
    talk = Talk(await target.dial(Wishes(tickets=tickets.append)))
    response = await talk.negotiate()
    target.versions = tuple(response["versions"])
    if not target.version:
        raise Failed(f"it speaks versions {list(target.versions)}, and the kit {list(book().versions)}")
    _settle(found, wishes, "datagrams", bool(talk.line.datagrams))
    if "signup" not in wishes:
        found["signup"] = await _takes_anybody(target, talk)
    talk.line.close(NO_ERROR)
    _settle(found, wishes, "early", any(ticket.max_early_data_size for ticket in tickets))
    _settle(found, wishes, "login", found["signup"] or len(target.accounts) > 0)
    _settle(found, wishes, "other", found["signup"] or len(target.accounts) > 1)
    target.features = frozenset(name for name, there in found.items() if there)
    if found["login"]:
        lacking = await _lacking(target) - wishes.keys()
        target.features -= lacking


def _settle(found: dict[str, bool], wishes: dict[str, bool], name: str, there: bool) -> None:
    if name not in wishes:
        found[name] = there


async def _takes_anybody(target: Target, talk: Talk) -> bool:
    """Whether anybody may sign up; if so there is an account more."""
    made = Account(target.name("conform"), PASSWORD)
    answer = await talk.sign_up(made.user, made.password)
    if answer.pdu.name != "OK":
        return False
    target.accounts.append(made)
    return True


async def _lacking(target: Target) -> set[str]:
    """The features that an account sees to be missing. Raises NoLogin."""
    talk, lacking = None, set()
    for account in reversed(target.accounts):
        talk = Talk(await target.dial(), certificate=target.certificate)
        await talk.negotiate()
        try:
            await talk.log_in(account.user, account.password)
        except Deviation as error:
            raise NoLogin(f"{account.user} cannot log in: {error}") from error
        if account is not target.accounts[0]:
            talk.line.close(NO_ERROR)
    assert talk is not None
    probes = {"rooms": ("ROOM_CREATE", {"room": target.name("r")}), **_PROBES}
    for feature, (name, fields) in probes.items():
        if book().kinds[name].since <= target.version:
            answer = await talk.ask(name, **fields)
            if answer.pdu.name == "ERROR" and book().code(answer["code"]) in _LACKS:
                lacking.add(feature)
    talk.line.close(NO_ERROR)
    return lacking
