"""The limits and deadlines of one end, and what two ends agree on. (spec 08-limits)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from quicchat.values import dataclass
from quicchat.wire.chapters.session import Limit
from quicchat.wire.frame import DEFAULT_LIMIT, HARD_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds. The first group is negotiated: the smaller value counts."""

    frame: int = DEFAULT_LIMIT
    text: int = 32_768
    room_streams: int = 64
    pipeline: int = 256
    page: int = 200
    ping: float = 10.0

    pong: float = 5.0
    silence: float = 30.0
    negotiation: float = 10.0
    login: float = 15.0
    partial: float = 10.0
    linger: float = 1.0
    before_login: int = 16_384
    streams_before_login: int = 16
    streams: int = 128
    misuses: int = 100

    def offer(self) -> dict[int, int]:
        """The `limits` map of the negotiation."""
        ours = {
            Limit.FRAME: self.frame,
            Limit.TEXT: self.text,
            Limit.ROOM_STREAMS: self.room_streams,
            Limit.PIPELINE: self.pipeline,
            Limit.PAGE: self.page,
            Limit.PING: self.ping * 1000,
        }
        return {int(limit): int(value) for limit, value in ours.items()}

    def agree(self, peer: Mapping[int, int] | None) -> Limits:
        """These limits, narrowed by the peer's; values that make no sense are raised to a workable least.

        Every end takes frames of the default limit, since the largest PDUs need them.
        """
        theirs = peer or {}

        def smaller(limit: Limit, ours: int, least: int) -> int:
            return max(least, min(ours, theirs.get(limit, ours)))

        return replace(
            self,
            frame=min(HARD_LIMIT, smaller(Limit.FRAME, self.frame, DEFAULT_LIMIT)),
            text=smaller(Limit.TEXT, self.text, 256),
            room_streams=smaller(Limit.ROOM_STREAMS, self.room_streams, 0),
            pipeline=smaller(Limit.PIPELINE, self.pipeline, 1),
            page=smaller(Limit.PAGE, self.page, 1),
            ping=smaller(Limit.PING, int(self.ping * 1000), 1000) / 1000,
        )
