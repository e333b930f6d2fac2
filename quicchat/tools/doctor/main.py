"""The doctor at work: step after step, told as it is found. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from getpass import getpass

from quicchat.client.identity import Identity
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.tools.doctor.finding import STEPS, Finding, Mark
from quicchat.tools.doctor.server import Examination
from quicchat.tools.doctor.way import Place, Way
from quicchat.ui.entry import Script, checked, identity
from quicchat.ui.lines import Lines


def run(config: ClientConfig, logs_in: bool) -> int:
    """Look at everything; 0 where a client could talk, else what the step that failed exits with. Raises UsageError."""
    who = _identity(config) if logs_in else None
    return asyncio.run(_told(config, who))


async def _told(config: ClientConfig, who: Identity | None) -> int:
    where = place(config.host, config.port)
    if not config.json:
        print(f"Looking at {where}; nothing is trusted or remembered.")
    seen: list[Finding] = []
    async for finding in examined(config, who):
        seen.append(finding)
        print(finding.record() if config.json else "\n".join(finding.lines()), flush=True)
    code = next((each.code for each in seen if each.code), 0)
    wanted = [step for step in STEPS if who is not None or step not in ("login", "echo")]
    rest = [step for step in wanted if step not in {each.step for each in seen}]
    if config.json:
        told = {"event": "diagnosis", "place": where, "healthy": not code, "code": code, "skipped": rest}
        print(json.dumps(told, separators=(",", ":")))
        return code
    if code:
        print(f"A client cannot get further than that{': not looked at: ' + ', '.join(rest) if rest else ''}.")
    elif any(each.mark is Mark.WARNING for each in seen):
        print("A client can talk there; see what is marked with warn.")
    else:
        print("Nothing is wrong.")
    return code


async def examined(config: ClientConfig, who: Identity | None) -> AsyncIterator[Finding]:
    """What is found, until something fails. Raises UsageError for files of this machine that are unfit."""
    async for finding in Way(Place(config.host, config.port, config.connect_timeout)).steps():
        yield finding
        if finding.code:
            return
    async for finding in Examination(config, who).steps():
        yield finding


def _identity(config: ClientConfig) -> Identity:
    """Who logs in; asked before there is any connection. Raises UsageError."""
    lines = Lines.of_stdin()
    if config.password_file is None and lines.interactive:
        name = checked(config.user or "")
        return identity(name, getpass(f"Password of {name}: "))
    return Script(config.user, config.password_file, lines).first()
