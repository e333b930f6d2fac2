"""Session: what a server itself answers. (spec 03-session)"""

from __future__ import annotations

from quicchat.server.effects import Effects, Reply
from quicchat.server.handler import handles
from quicchat.server.model import Actor
from quicchat.wire.chapters.session import Echo


class Sessions:
    """Parrots back."""

    @handles(Echo)
    async def echo(self, actor: Actor, pdu: Echo) -> Effects:
        return [Reply(pdu)]
