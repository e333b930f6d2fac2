"""Mutants of chapters 8, 9 and 10: limits, rates, what is held back, the texts of errors."""

from __future__ import annotations

from typing import Any

from quicchat.protocol import judgement
from quicchat.protocol.connection import Connection
from quicchat.server import rates, session
from quicchat.server.feed import Feed
from quicchat.server.rates import Cost, Rates
from quicchat.server.session import Session
from quicchat.wire.chapters.session import Error
from tests.mutants.mutant import edit, fault, mutant, swap

fault(
    "8.1-1/refused-beyond-the-pipeline",
    "Who asks for more than the pipeline holds is refused.",
    (
        Session._received,
        "case _ if not self._queue.fits(request):",
        "case _ if self._queue.running >= self._connection.limits.pipeline:",
    ),
    (Session._received, "Refused(Code.RATE_LIMITED, retry_after=1000)", "Refused(Code.LIMIT)"),
    (
        Session._serve,
        "effects = await handler(actor, pdu)",
        "if type(pdu).__name__ == 'Echo':\n            await asyncio.sleep(0.05)\n"
        "        effects = await handler(actor, pdu)",
    ),
    kills=("8.1-1/more-than-the-pipeline", "8.1-1/one-at-a-time"),
)
fault(
    "8.1-1/any-number-at-once",
    "How many requests were agreed on is not looked at, and some take longer than others.",
    (Session._next, "queue.running < self._connection.limits.pipeline", "queue.running < 256"),
    (
        Session._serve,
        "effects = await handler(actor, pdu)",
        "await asyncio.sleep(len(type(pdu).__name__) % 4 / 100)\n        effects = await handler(actor, pdu)",
    ),
    kills=("8.1-1/one-at-a-time",),
)
fault(
    "8.1-2/pages-of-any-length",
    "How long a page may be is not agreed on.",
    (Session._negotiated, "page = self._connection.limits.page", "page = 200"),
    kills=("8.1-2/*",),
)


def _limited(cost: Cost, burst: float) -> None:
    """Limit one thing, and nothing else."""
    most = (1e9, 1e9)
    swap(rates, "_USUAL", lambda usual: dict.fromkeys(usual, most) | ({cost: (1.0, burst)} if cost in usual else {}))
    table = Rates(*((10.0, burst) if cost is Cost.POST else most))
    swap(session, "Allowance", lambda made: lambda _, network: made(table, network))


@mutant("8.3-2/messages-are-refused")
def impatient() -> None:
    """Messages beyond the rate are refused."""
    _limited(Cost.POST, 100.0)
    swap(session, "PATIENT", lambda _: frozenset())


@mutant("8.3-4/no-time-to-come-again", "8.3-4/*")
def no_time() -> None:
    """Who is refused for his rate is not told when to come again."""
    _limited(Cost.DIRECTORY, 40.0)
    edit(Session._start, ("retry_after=int(wait * 1000) + 1", "retry_after=None"))


@mutant("8.3-5/datagrams-are-refused")
def refused_datagrams() -> None:
    """Datagrams beyond the rate are refused."""
    _limited(Cost.EPHEMERAL, 20.0)
    edit(Session._on_events, ("self._start(envelope.pdu, UNASKED)", "self._start(envelope.pdu, Request())"))


fault(
    "8.4-1/hold-is-not-heard",
    "Who wants no events is sent them all the same.",
    (Session._carry_out, "self._outlet.feed.held = on", "pass"),
    kills=("8.4-1/*",),
)
fault(
    "8.4-1/never-told",
    "What was held back is not told of later.",
    (Feed.recover, "return behind", "return {}"),
    kills=("8.4-1/*",),
)
fault(
    "9.1-1/every-error-is-fatal",
    "Any ERROR of the client ends the connection.",
    (Connection._act, "case Error(fatal=True):", "case Error():"),
    kills=("9.1-1/*",),
)


@mutant("9.1-3/no-text")
def no_text() -> None:
    """No ERROR has a text."""

    def make(about: Any) -> Any:
        return classmethod(
            lambda cls, code, text="", *, retry_after=None, fatal=False: cls(
                code=int(code), retry_after=retry_after, fatal=fatal or None
            )
        )

    swap(Error, "about", make)


fault(
    "10.1-2/not-now",
    "The text of a refusal does not say what is wrong.",
    (judgement.judge, 'Misplaced(Code.STATE, f"{spec.name} in {state.name}")', 'Misplaced(Code.STATE, "not now")'),
    kills=("10.1-2/text-*",),
)
fault(
    "10.1-4/told-twice",
    "An ERROR that is fatal is said twice.",
    (
        Connection._write,
        "self._move(to)",
        "if to is State.CLOSED:\n        self._output.append(Bytes(channel.sid, frame.wrap(payload)))\n"
        "    self._move(to)",
    ),
    kills=("10.1-4/nothing-behind-the-end",),
)
