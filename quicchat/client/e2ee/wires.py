"""What encryption needs of the session around it. (spec 15-keys)"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quicchat.client.chance import Surroundings
from quicchat.client.events import Happening
from quicchat.client.memory import Held
from quicchat.client.requests import Requests
from quicchat.client.state import RoomView
from quicchat.values import dataclass
from quicchat.wire.chapters.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """`stored` takes an event of one's own that the server has stored, `rewrite` one that is held and says more now;
    `release` has what was held back looked at again.
    """

    surroundings: Surroundings
    requests: Callable[[], Requests]
    user: Callable[[], str]
    device: Callable[[], str]
    rooms: Callable[[], Mapping[str, RoomView]]
    tell: Callable[[Happening], None]
    stored: Callable[[Message], None]
    rewrite: Callable[[Held], None]
    release: Callable[[], None]

    def now(self) -> int:
        """Unix ms."""
        return int(self.surroundings.wall() * 1000)
