"""The same cases against a server over real QUIC: what a client can bring about, from the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import pytest

from quicchat.errors import Code
from quicchat.tools.specgen import vectors
from quicchat.tools.specgen.malformed import lenient, malformed
from quicchat.tools.specgen.tables import answer
from quicchat.wire import frame
from quicchat.wire.chapters.accounts import AuthStart
from quicchat.wire.chapters.session import Ok, StreamOpen
from quicchat.wire.machine import Letter
from quicchat.wire.machines import CONNECTION
from quicchat.wire.registry import REGISTRY, Role
from quicchat.wire.states import State
from tests.conformance.cases import Cell, cells, sensible
from tests.conformance.house import House, Place, somebody
from tests.conformance.peer import Peer, calling

C = TypeVar("C")

#: Where a server can be found waiting; the other states it passes by itself.
WAITING = (State.START, State.AUTHENTICATING, State.CHALLENGED, State.READY)
#: Connections at a time: fewer than those for which a server asks clients to prove their address.
AT_A_TIME = 24


async def each(cases: Iterable[C], check: Callable[[C], Awaitable[str | None]]) -> list[str]:
    """Run all cases, several at a time; the faults found."""
    limit = asyncio.Semaphore(AT_A_TIME)

    async def one(case: C) -> str | None:
        async with limit:
            try:
                return await check(case)
            except (AssertionError, TimeoutError) as error:
                return f"{case}: {error!r}"

    return [fault for fault in await asyncio.gather(*map(one, cases)) if fault]


async def wait_in(peer: Peer, state: State, user: str) -> None:
    """Bring the server's end into a state in which it waits; `user` has an account."""
    if state is State.START:
        return
    if state is State.READY:
        await peer.enter(user, sign_up=False)
        return
    await peer.negotiate()
    if state is State.CHALLENGED:
        data = f"p=quicchat,,n={user},r=abc".encode()
        await peer.ask(AuthStart(mechanism="SCRAM-SHA-256", user=user, data=data))


def account(house: House) -> str:
    """A new account."""
    user = somebody()

    async def make() -> None:
        async with calling(house.place) as peer:
            await peer.negotiate()
            found = await peer.sign_up(user)
            assert isinstance(found, Ok), found

    house.run(make())
    return user


@pytest.mark.parametrize("state", WAITING, ids=lambda state: state.name)
def test_illegal_words_are_answered_with_their_code(house: House, state: State) -> None:
    """S1, S2, S3, S4, S5, R1.9, [10.1-2], [10.1-3], [3.1-1], [3.1-6]: the server's side of each illegal cell."""
    user = account(house)
    wrong = [
        cell
        for cell in cells()
        if (cell.state, cell.by, cell.to) == (state, Role.CLIENT, None)
        # A stream may overtake the one that negotiates.
        and not (state is State.START and cell.letter.pdu is StreamOpen)
    ]
    assert len(wrong) > 10
    forgiven = [cell for cell in wrong if state is State.READY and Role.CLIENT in cell.letter.pdu.SPEC.by]

    async def refused() -> None:
        async with calling(house.place) as peer:
            await wait_in(peer, state, user)
            for cell in forgiven:
                assert await peer.refused(sensible(cell.letter)) == Code.STATE, cell

    async def fatal(cell: Cell) -> str | None:
        async with calling(house.place) as peer:
            await wait_in(peer, state, user)
            pdu = sensible(cell.letter)
            peer.say(pdu, version=max(peer.version, pdu.SPEC.since))
            # Before VERSION_REQUEST there is no stream on which to say more than the close does.
            code = (await peer.end()).code if state is State.START else await peer.fatal()
            return None if code == Code.STATE else f"{cell}: {code:#x}"

    assert house.run(each([cell for cell in wrong if cell not in forgiven], fatal)) == []
    if forgiven:
        house.run(refused())


def test_malformed_bytes_end_the_connection(house: House) -> None:
    """W1-W3, W6-W10, W12-W15, W17-W19, W21, W23, W25, [1.3-3]: each with its code, as ERROR and as close."""

    async def check(place: Place, name: str, stream: bytes, code: Code) -> str | None:
        async with calling(place) as peer:
            await peer.negotiate()
            peer.raw(stream)
            found = await peer.fatal()
            return None if found == code else f"{name}: {found:#x} where {code.name} is due"

    bad = [(each.name, each.stream, each.code) for each in malformed() if len(each.stream) < 16_000]
    # Memory has seen every field; of each PDU, one fault of each kind goes over the wire.
    for cls in REGISTRY:
        kinds = {name.split()[-1]: (data, code) for name, data, version, code in vectors.bad(cls) if version == 2}
        for kind in ("missing", "array", "above"):
            if kind in kinds and len(kinds[kind][0]) < 16_000:
                bad.append((f"{cls.SPEC.name} {kind}", frame.wrap(kinds[kind][0]), kinds[kind][1]))
    assert len(bad) > 150
    assert house.run(each(bad, lambda case: check(house.place, *case))) == []


def test_lenient_bytes_are_accepted(house: House) -> None:
    """W11, [2.2-3]: longer integers and other orders are as good."""

    async def scenario() -> None:
        async with calling(house.place) as peer:
            await peer.negotiate()
            for _, data in lenient():
                peer.raw(frame.wrap(data))
                await peer.barrier()

    house.run(scenario())


def test_every_request_gets_exactly_one_answer(house: House) -> None:
    """R1.6, [2.3-3], [3.3-2], [3.3-4]: with its id, on its stream, the answer named or ERROR; and nothing closes."""
    user = account(house)

    async def scenario() -> None:
        async with calling(house.place) as peer:
            await peer.enter(user, sign_up=False)
            for cls in REGISTRY.sent_by(Role.CLIENT):
                spec = cls.SPEC
                if not answer(spec) or CONNECTION.step(State.READY, Role.CLIENT, Letter.all_of(cls)[0]) is None:
                    continue
                for number, (_, pdu, version) in enumerate(vectors.good(cls), 1000):
                    if version != 2:
                        continue
                    peer.heard.clear()
                    peer.say(pdu, id=number)
                    await peer.until(lambda: peer.heard or None)
                    await peer.barrier()
                    answers = [each for each in peer.heard if each.envelope.re == number]
                    assert len(answers) == 1, spec.name
                    name = answers[0].pdu.SPEC.name
                    assert name in (answer(spec), "ERROR"), spec.name

    house.run(scenario())
