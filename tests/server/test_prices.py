"""Prices: every request has one, and the specification says the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

from quicchat.config.settings import ServerConfig, settings
from quicchat.server import rates
from quicchat.server.rates import COSTS, Cost
from quicchat.wire.registry import REGISTRY, Role


def test_every_request_of_rooms_and_messages_has_a_price() -> None:
    """[8.3-1] Z6: what costs a store or other people something is counted; the rest is named here."""
    free = {"VERSION_REQUEST", "PONG", "ERROR", "OK", "BYE", "ECHO", "STREAM_OPEN", "AUTH_RESPONSE", "FILE_ACK"}
    assert {cls.SPEC.name for cls in REGISTRY.sent_by(Role.CLIENT) if cls not in COSTS} == free


def test_the_table_of_the_specification_is_that_of_the_code() -> None:
    """[8.3-1]: what chapter 8 says about rates is what the server does unless it is told otherwise."""
    text = (Path(__file__).parents[2] / "spec/08-limits.md").read_text()
    rows = re.findall(r"^\| ([a-zA-Z_]+)\b.*\| (\d+) \| (\d+) \| [\w ]+ \|$", text, re.MULTILINE)
    config = {setting.name: setting.default for setting in settings(ServerConfig)}
    wanted = {
        "messages": (config["rate"], config["burst"]),
        "rooms": rates._USUAL[Cost.DIRECTORY],
        "RECEIPT": rates._USUAL[Cost.RECEIPT],
        "queries": rates._USUAL[Cost.QUERY],
        "files": rates._USUAL[Cost.FILE],
        "backups": rates._USUAL[Cost.BACKUP],
        "digests": rates._USUAL[Cost.DIGEST],
        "PRESENCE_SET": rates._USUAL[Cost.PRESENCE],
        "TYPING": rates._USUAL[Cost.EPHEMERAL],
        "logins": rates._USUAL[Cost.LOGIN],
        "sign": rates._USUAL[Cost.SIGN_UP],
        "connections": rates._USUAL[Cost.CONNECT],
    }
    assert {name: (int(rate), int(burst)) for name, rate, burst in rows} == wanted
