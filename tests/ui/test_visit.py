"""A visit that signals end: with one goodbye, however many there are. (spec 12-operation)"""

from __future__ import annotations

import asyncio
import signal

import pytest

from quicchat.client.identity import Identity
from quicchat.errors import Refused
from quicchat.ui.visit import visit


class Known:
    """Somebody whom nobody has to ask."""

    def first(self) -> Identity:
        return Identity(user="alice")

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        raise AssertionError(tried, refusal)

    def agrees(self, question: str) -> bool:
        raise AssertionError(question)


class Guest:
    """Stays until he is told to go; while he says goodbye, he is told once more."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self.said: list[str] = []

    async def run(self, identity: Identity) -> int:
        first, *others = self._numbers
        signal.raise_signal(first)
        try:
            await asyncio.Event().wait()
        finally:
            for each in others:
                signal.raise_signal(each)
                # The loop hears of it through a socket.
                for _ in range(10):
                    await asyncio.sleep(0)
            self.said.append("bye")
        raise AssertionError


@pytest.mark.parametrize(
    "numbers", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP)]
)
def test_signals_end_it_with_a_goodbye(numbers: tuple[signal.Signals, ...]) -> None:
    """[12.4-1] U9: the first one counts; those that follow, as SIGHUP does at the end of a session, change nothing."""
    guest = Guest(*numbers)
    assert visit(Known(), None, lambda _: guest) == 128 + numbers[0]
    assert guest.said == ["bye"]
    assert {signal.getsignal(number) for number in numbers} == {signal.SIG_DFL}
