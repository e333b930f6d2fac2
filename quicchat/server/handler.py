"""Who handles what: services mark methods, and a table finds them by the type of what came. (ARCHITECTURE)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from quicchat.server.effects import Effects
from quicchat.server.model import Actor
from quicchat.wire.registry import Pdu

Handler = Callable[[Actor, Any], Awaitable[Effects]]
M = TypeVar("M", bound=Callable[..., Awaitable[Effects]])

_MARK = "__handles__"


def handles(*kinds: type) -> Callable[[M], M]:
    """Mark a service's method `async def (self, actor, pdu) -> Effects` as the handler of these types."""

    def mark(method: M) -> M:
        setattr(method, _MARK, kinds)
        return method

    return mark


class Dispatch:
    """The handlers of a set of services. Raises ValueError when two claim the same PDU."""

    def __init__(self, services: Iterable[object]) -> None:
        self._handlers: dict[type, list[Handler]] = {}
        for service in services:
            for name in dir(type(service)):
                for kind in getattr(getattr(type(service), name), _MARK, ()):
                    self._handlers.setdefault(kind, []).append(getattr(service, name))
        for kind, handlers in self._handlers.items():
            if issubclass(kind, Pdu) and len(handlers) > 1:
                raise ValueError(f"{kind.__name__} has {len(handlers)} handlers")

    def request(self, kind: type) -> Handler | None:
        """The one handler of a PDU, or None where there is none."""
        return next(iter(self._handlers.get(kind, ())), None)

    def all(self, kind: type) -> list[Handler]:
        """The handlers of something that happened, in the order of the services."""
        return self._handlers.get(kind, [])
