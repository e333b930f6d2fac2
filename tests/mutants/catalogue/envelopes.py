"""Mutants of chapter 2: the envelope, requests and their answers, extensions that are legal."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from quicchat.protocol import judgement, writing
from quicchat.protocol.negotiation import Negotiation
from quicchat.server.outlet import Outlet
from quicchat.server.session import Session
from quicchat.wire import codec
from quicchat.wire.types import Uint
from tests.mutants.mutant import fault, mutant, swap

# 2.3 The envelope

fault(
    "2.3-1/oldest-version",
    "A PDU is sent in the first version that has it.",
    (writing.payload, "version=version or pdu.SPEC.since", "version=pdu.SPEC.since"),
    (writing.greased, "version=version or pdu.SPEC.since", "version=pdu.SPEC.since"),
    kills=("2.3-1/all-that-the-server-says",),
)
fault(
    "2.3-1/newest-version",
    "All that follows the negotiation is sent in version 2.",
    (writing.payload, "version=version or pdu.SPEC.since", "version=2 if version else pdu.SPEC.since"),
    kills=("2.3-1/lower-version-all-that-the-server-says",),
)
fault(
    "2.3-2/any-version-number",
    "A version that is none is taken for the one that was negotiated.",
    (
        codec.decode,
        "outer = parse(data)",
        "outer = parse(data)\n    if type(outer.get(VERSION)) is not int or not 0 < outer[VERSION] < 256:\n"
        "        outer[VERSION] = version or 1",
    ),
    kills=("2.3-2/W21-*",),
)
fault(
    "2.3-2/any-type",
    "A type that is none is one that nobody knows.",
    (
        codec.decode,
        'raise RemoteProtocolError(Code.SCHEMA, "the type is not an integer of 32 bits")',
        "number = 2**32 - 1",
    ),
    kills=("2.3-2/no-type", "2.3-2/type-*"),
)
fault(
    "2.3-2/no-body",
    "A body that is no map is not well-formed.",
    (codec.decode, 'Code.SCHEMA, "the body is not a map"', 'Code.DECODE, "the body is not a map"'),
    kills=("2.3-2/no-body", "2.3-2/body-*"),
)
fault(
    "2.3-2/missing-is-malformed",
    "Where something is missing the PDU is not well-formed.",
    (codec._fill, 'Code.SCHEMA, f"{name}.{field} is missing"', 'Code.DECODE, f"{name}.{field} is missing"'),
    kills=("2.3-2/W21-no-version", "2.3-2/empty", "2.4-1/*.missing"),
)


def _reads(key: int, load: Any) -> None:
    """Have one key of the envelope read in another way, or with None not at all."""
    swap(
        codec,
        "_ENVELOPE",
        lambda reads: tuple(
            (*each[:3], load, each[4]) if each[0] == key else each for each in reads if load or each[0] != key
        ),
    )


@mutant("2.3-2/loose-envelope", "2.3-2/id-*", "2.3-2/re-*", "2.3-2/ts-*", "2.3-2/ext-*")
def loose() -> None:
    """What is not understood of an envelope is passed over."""

    def loosely(load: Any) -> Any:
        def found(value: Any) -> Any:
            with suppress(ValueError):
                return load(value)

        return found

    for key, *_, load, _optional in codec._ENVELOPE[1:]:
        _reads(key, loosely(load))


for _name, _key in (("ts", codec.TS), ("re", codec.RE), ("ext", codec.EXT)):

    @mutant(f"2.3-2/no-{_name}", f"2.3-2/legal-{_name}*")
    def key_unknown(key: int = _key) -> None:
        """A key that an envelope may have is unknown."""
        _reads(key, None)


@mutant("2.3-2/ids-of-32-bits", "2.3-2/legal-id-2-to-64", "2.3-3/id-2-to-*")
def small_ids() -> None:
    """An id has 32 bits at most."""
    _reads(codec.ID, Uint(2**32 - 1).load)


fault(
    "2.3-2/id-0-is-none",
    "An id of 0 is none.",
    (Outlet._write, "re=request.id", "re=request.id or None"),
    kills=("2.3-2/legal-id-0", "2.3-3/id-0"),
)
fault(
    "2.3-3/ids-are-floats",
    "Ids lose their last bits beyond 2**53.",
    (Outlet._write, "re=request.id", "re=request.id and int(float(min(request.id, 2**63)))"),
    kills=("2.3-3/id-2-to-53-and-1", "2.3-3/id-2-to-64"),
)
fault(
    "2.3-3/answered-twice",
    "Answers are sent twice.",
    (
        Session._carry_out,
        "answered = True\n            case Tell",
        "answered = True\n                self._outlet.send(pdu, request)\n            case Tell",
    ),
    kills=("2.3-3/R1.6-hundred-at-once", "2.3-3/several-kinds-at-once"),
)
fault(
    "2.3-3/without-an-id-without-an-answer",
    "Who asks without an id has no answer.",
    (
        Session._carry_out,
        "case Reply(pdu) if own:",
        "case Reply(pdu) if own and (request.id is not None or request.silent):",
    ),
    kills=("2.3-3/without-an-id",),
)
fault(
    "2.3-3/without-an-id-without-a-refusal",
    "Who asks without an id is not told that he is refused.",
    (Outlet.refuse, "if not request.silent:", "if request.id is not None:"),
    kills=("2.3-3/refused-without-an-id",),
)
fault(
    "2.3-3/answers-on-control",
    "All answers go to the control stream.",
    (Outlet._write, "sid=request.sid", "sid=None"),
    kills=("2.3-3/on-its-stream",),
)
fault(
    "2.3-4/in-any-order",
    "Requests are carried out in no order.",
    (
        Session._serve,
        "effects = await handler(actor, pdu)",
        "await asyncio.sleep((request.id or 0) % 3 / 100)\n        effects = await handler(actor, pdu)",
    ),
    kills=("2.3-4/*", "8.3-2/*"),
)
fault(
    "2.3-6/ids-want-answers",
    "What has an id and no answer is refused.",
    (
        Session._received,
        "    match pdu:\n",
        "    match pdu:\n        case _ if request.id is not None and pdu.SPEC.name in ('OK', 'RECEIPT'):\n"
        "            self._refuse(Refused(Code.UNSUPPORTED), request)\n",
    ),
    kills=("2.3-6/*",),
)

# 2.5 Extensions

fault(
    "2.5-2/unsupported-before-the-login",
    "What is not understood before the login is refused, and nothing ends.",
    (
        judgement.judge,
        'if state not in FORGIVING:\n            raise RemoteProtocolError(Code.STATE, f"{pdu.what}',
        'if False:\n            raise RemoteProtocolError(Code.STATE, f"{pdu.what}',
    ),
    kills=(
        "2.5-2/*-before-login",
        "2.5-4/*-before-login",
        "1.2-2/newer-types-before-login",
        "2.5-2/before-negotiation",
    ),
)
fault(
    "2.5-8/known-limits-only",
    "A limit that is unknown is refused.",
    (
        Negotiation.respond,
        "offered = self.limits.offer()",
        "offered = self.limits.offer()\n    if any(not 1 <= each <= 6 for each in request.limits or ()):\n"
        '        raise RemoteProtocolError(Code.SCHEMA, "a limit that is unknown")',
    ),
    kills=("2.5-8/*",),
)
