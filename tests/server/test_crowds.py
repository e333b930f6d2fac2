"""Many sessions of one user: what they may do together."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.server.transfers import EACH, MOST
from tests.server.floor import Floor, idle
from tests.server.test_transfers import Tape, ask, get, scene


def test_the_transfers_of_a_user_are_bounded() -> None:
    """P7, [8.5-2]: LIMIT for one too many, on whichever connection; each that ends makes room for another."""

    async def scenario(here: Floor, tape: Tape) -> None:
        guests = [await here.enter() for _ in range(EACH // MOST + 1)]
        for guest in guests[:-1]:
            for number in range(MOST):
                await ask(guest, 4 * number + 4, get(number, credit=0))
            assert not guest.refusals()
        *_, first, last = guests
        await ask(last, 4, get(1, credit=0))
        assert last.refusals() == [(Code.LIMIT, 1)]
        assert tape.closed == 0
        first.leave()
        await idle()
        assert tape.closed == MOST
        await ask(last, 8, get(2, credit=0))
        assert len(last.refusals()) == 1
        for guest in guests:
            guest.leave()
        await idle()
        assert not here.house.transfers
        assert tape.closed == EACH + 1

    scene(scenario)
