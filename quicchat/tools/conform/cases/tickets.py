"""Cases of coming back: tickets, each good once, and what is said in a first flight. (spec 13-transport)"""

from __future__ import annotations

import os
from typing import Final

from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.devices import changed
from quicchat.tools.conform.chat import cid, page
from quicchat.tools.conform.quic import SessionTicket, Unreachable, Wishes, dial
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.udp import Blackhole, replay
from quicchat.tools.conform.verdict import Unimplemented, check

KIB: Final = 1024


async def _ticket(bench: Bench, who: int = 0) -> tuple[Talk, SessionTicket]:
    """A connection in READY, and a ticket that it was given."""
    tickets: list[SessionTicket] = []
    account = await bench.target.account(who)
    talk = await bench.dial(Wishes(tickets=tickets.append))
    await talk.negotiate()
    await talk.log_in(account.user, account.password)
    return talk, await talk.until(lambda: tickets[0] if tickets else None, "ticket")


async def _back(bench: Bench, ticket: SessionTicket) -> Talk:
    return await bench.dial(Wishes(ticket=ticket))


def _is_resumed(talk: Talk) -> bool:
    return bool(talk.line.quic.tls.session_resumed)


@case("13.6-1", "ticket-taken-twice", "early", "login")
async def twice(bench: Bench) -> None:
    _, ticket = await _ticket(bench)
    if not _is_resumed(await _back(bench, ticket)):
        raise Unimplemented("it took no ticket the first time")
    again = await _back(bench, ticket)
    check(not _is_resumed(again), "a ticket was taken a second time")
    await again.negotiate()


@case("13.6-1", "ticket-of-nobody", "early", "login")
async def forged(bench: Bench) -> None:
    """Who offers a ticket that is none gets a full handshake."""
    _, ticket = await _ticket(bench)
    ticket.ticket = os.urandom(len(ticket.ticket))
    talk = await _back(bench, ticket)
    check(not _is_resumed(talk), "a ticket that nobody gave was taken")
    await talk.negotiate()


@case("13.6-2", "ticket-under-another-alpn", "early", "login")
async def other_alpn(bench: Bench) -> None:
    """What is taken under another ALPN, where the server has one, is not resumed (Q15)."""
    _, ticket = await _ticket(bench)
    try:
        line = await bench.target.dial(Wishes(alpn=("h3",), ticket=ticket))
    except Unreachable:
        return
    resumed = bool(line.quic.tls.session_resumed)
    line.close(0x100)
    check(not resumed, "a ticket for quicchat was taken under h3")


@case("13.6-3", "ticket-after-a-new-password", "early", "signup", since=2)
async def new_password(bench: Bench) -> None:
    tickets: list[SessionTicket] = []
    name = bench.target.name("n")
    talk = await bench.dial(Wishes(tickets=tickets.append))
    await talk.negotiate()
    check((await talk.sign_up(name, PASSWORD)).pdu.name == "OK", "there was no sign-up")
    await talk.log_in(name, PASSWORD)
    ticket = await talk.until(lambda: tickets[0] if tickets else None, "ticket")
    await talk.done("PASSWORD", **changed(PASSWORD))
    check(not _is_resumed(await _back(bench, ticket)), "a ticket from before the new password was taken")


@case("13.6-6", "login-without-a-certificate", "early", "login")
async def no_certificate(bench: Bench) -> None:
    """A resumed handshake shows none; the proof is over that of the first one."""
    _, ticket = await _ticket(bench)
    talk = await _back(bench, ticket)
    if not _is_resumed(talk):
        raise Unimplemented("it took no ticket")
    account = await bench.target.account(0)
    await talk.negotiate()
    await talk.log_in(account.user, account.password)


@case("13.6-7", "window-of-early-data", "early", "login")
async def early_window(bench: Bench) -> None:
    _, ticket = await _ticket(bench)
    line = await dial(bench.target.host, bench.target.port, Wishes(ticket=ticket), early=True)
    most = line.quic._remote_max_data
    bench.enter(line)
    check(most <= 64 * KIB, f"in the first flight one may say {most} bytes")


@case("13.1-2", "replayed-first-flight", "early", "rooms", "signup", since=2)
async def replayed(bench: Bench) -> None:
    """A first flight with RESUME and a message that somebody recorded and sends (Q13): nothing comes of it."""
    tickets: list[SessionTicket] = []
    name = bench.target.name("n")
    talk = await bench.dial(Wishes(tickets=tickets.append))
    await talk.negotiate()
    check((await talk.sign_up(name, PASSWORD)).pdu.name == "OK", "there was no sign-up")
    await talk.log_in(name, PASSWORD)
    room = await bench.room(talk)
    ticket = await talk.until(lambda: tickets[0] if tickets else None, "ticket")
    token = talk.token
    check(token, "AUTH_OK gave no token")
    before = len(await page(talk, room))
    with Blackhole(bench.target.host) as hole:
        ghost = Talk(await dial(hole.host, hole.port, Wishes(ticket=ticket, tap=hole.tap), early=True))
        ghost.device = talk.device
        ghost.version = 2
        ghost.say("VERSION_REQUEST", version=1, versions=[2], device=ghost.device)
        ghost.say("RESUME", id=1, token=token, have=[], outstanding=[])
        ghost.say("MSG_SEND", id=2, room=room, cid=cid(), text="said by a recorder")
        ghost.line.flush()
        ghost.line.drop()
    answers = await replay(bench.target.host, bench.target.port, hole.packets)
    check(answers, "it did not even answer the replay, so that nothing is known")
    # The session is where it was, and the log as well; and the token is still good.
    await talk.barrier()
    check(len(await page(talk, room)) == before, "the recorded message is in the log")
    back = await bench.negotiated(device=talk.device)
    await back.done("RESUME", token=token, have=[], outstanding=[])
    await back.barrier()
    check(len(await page(back, room)) == before, "the recorded message is in the log")
