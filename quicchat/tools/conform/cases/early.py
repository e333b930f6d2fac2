"""Cases of chapter 3: early data, and what must not come of it before the handshake is complete. (spec 03-session)

The packets of a client can be kept back, so that its first flight arrives and its handshake ends when the case likes.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

from quicchat.tools.conform.bench import PASSWORD, Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import cid
from quicchat.tools.conform.quic import SessionTicket, Wishes, dial
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Unimplemented, check, same
from quicchat.tools.conform.ways import QUERY, ROOM, over

#: How long somebody may wait whose requests wait for a handshake, in seconds.
MOMENT: Final = 0.3


class _Deaf:
    """What the server sends is kept, until `hear`: so the client learns nothing, and completes no handshake."""

    def __init__(self, talk: Talk) -> None:
        self.answered = asyncio.Event()
        self._line = talk.line
        self._kept: list[tuple[bytes, Any]] = []
        self._receive = talk.line.quic.receive_datagram
        talk.line.quic.receive_datagram = self._keep  # type: ignore[method-assign]

    def _keep(self, data: bytes, addr: Any, now: float) -> None:
        self._kept.append((data, addr))
        self.answered.set()

    def hear(self) -> None:
        """Take what came, and go on."""
        self._line.quic.receive_datagram = self._receive  # type: ignore[method-assign]
        for data, address in self._kept:
            self._line.receive(data, address)


async def _left(bench: Bench, *others: Talk) -> tuple[Talk, SessionTicket, str]:
    """A newcomer in a room with others, with a token and a ticket to come back with."""
    tickets: list[SessionTicket] = []
    talk = await bench.dial(Wishes(tickets=tickets.append))
    await talk.negotiate()
    name = bench.target.name("n")
    answer = await talk.sign_up(name, PASSWORD)
    if answer.pdu.name != "OK":
        raise Unimplemented(f"no account can be made: {book().code(answer['code'])}")
    await talk.log_in(name, PASSWORD)
    await talk.hear("PRESENCE_SNAPSHOT")
    room = await bench.room(talk, *others)
    return talk, await talk.until(lambda: tickets[0] if tickets else None, "ticket"), room


async def _back(bench: Bench, talk: Talk, ticket: SessionTicket) -> Talk:
    """Its next connection, before the first packet: what is said now is early data."""
    line = await dial(bench.target.host, bench.target.port, Wishes(ticket=ticket), early=True)
    again = bench.enter(line, device=talk.device)
    again.version = 2
    request = again.say("VERSION_REQUEST", version=1, versions=[2, 1], device=talk.device)
    again.transcript = hashlib.sha256(request).digest()
    again.say("RESUME", id=1, token=talk.token, have=[], outstanding=[])
    return again


async def _arrived(talk: Talk, deaf: _Deaf) -> None:
    """The server has the first flight, and has answered what it may."""
    talk.line.flush()
    async with asyncio.timeout(5):
        await deaf.answered.wait()
    await asyncio.sleep(MOMENT)


@case("3.8-1", "the-rest-is-served-afterwards", "early", "signup", since=2)
async def afterwards(bench: Bench) -> None:
    """All that was said in the first flight, in its order, when the handshake is complete."""
    talk, ticket, room = await _left(bench)
    talk.line.close(book().codes["NO_ERROR"])
    again = await _back(bench, talk, ticket)
    sid, query = again.open(ROOM, room=room), again.open(QUERY)
    again.say("MSG_SEND", sid=sid, id=2, room=room, cid=cid(), text="early")
    again.say("TARGETS", sid=query, id=3)
    again.say("ROOM_LIST", sid=query, id=4, limit=1)
    for number, name in enumerate(("RESUMED", "MSG_ACK", "TARGETS_R", "ROOM_LIST_R"), 1):
        same((await again.answer(number)).pdu.name, name, f"the answer to request {number}")
    await again.hear("PRESENCE_SNAPSHOT")


@case("3.8-1", "nothing-else-before-the-handshake", "early", "signup", "other", since=2)
async def nothing_else(bench: Bench) -> None:
    """A message waits, and is forgotten when the handshake never ends."""
    other = await bench.ready(1)
    talk, ticket, room = await _left(bench, other)
    again = await _back(bench, talk, ticket)
    deaf = _Deaf(again)
    word = cid()
    again.say("MSG_SEND", sid=again.open(ROOM, room=room), id=2, room=room, cid=word, text="too early")
    await _arrived(again, deaf)
    await other.barrier()
    check(not any(each["cid"] == word for each in other.all("MSG")), "a message was stored before the handshake ended")
    again.line.drop()
    await other.barrier()
    check(not any(each["cid"] == word for each in other.all("MSG")), "a message was stored though no handshake ended")


@case("3.8-2", "reading-only-before-the-handshake", "early", "signup", "other", "presence", since=2)
async def reading_only(bench: Bench) -> None:
    """Whoever repeats a first flight ends no session, uses up no token, and is told of to nobody."""
    watcher = await bench.ready(1)
    talk, ticket, _ = await _left(bench, watcher)
    await watcher.barrier()
    watcher.heard.clear()
    again = await _back(bench, talk, ticket)
    deaf = _Deaf(again)
    await _arrived(again, deaf)
    again.line.drop()
    await talk.barrier()
    await watcher.barrier()
    told = [each for each in watcher.all("PRESENCE") if each["user"] == talk.user]
    check(not told, "others were told of somebody whose handshake never ended")
    token = talk.token
    later = await bench.negotiated(device=talk.device)
    found = await later.ask("RESUME", token=token, have=[], outstanding=[])
    same(found.pdu.name, "RESUMED", "the answer to RESUME with a token that was only shown")


@case("3.8-3", "token-used-meanwhile", "early", "signup", since=2)
async def used_meanwhile(bench: Bench) -> None:
    """Somebody else was faster: the slower one is sent away, and nothing that waited is served."""
    talk, ticket, room = await _left(bench)
    talk.line.close(book().codes["NO_ERROR"])
    again = await _back(bench, talk, ticket)
    deaf = _Deaf(again)
    word = cid()
    again.say("MSG_SEND", sid=again.open(ROOM, room=room), id=2, room=room, cid=word, text="too late")
    await _arrived(again, deaf)
    winner = await bench.negotiated(device=talk.device)
    await winner.done("RESUME", token=talk.token, have=[], outstanding=[])
    await winner.hear("PRESENCE_SNAPSHOT")
    deaf.hear()
    await over(again)
    refused = again.ear.find(lambda each: each.pdu.re == 1 and each.pdu.name == "ERROR")
    if refused is not None:
        # It had not looked yet: then the token is refused as any used one (4.3-3).
        again.check_refusal(refused, "TOKEN_EXPIRED")
    else:
        await again.fatal("TOKEN_EXPIRED")
    check(not again.all("MSG_ACK"), "a request was served that waited behind a token that was used up")
    page = await winner.done("HISTORY", room=room, window=4)
    check(not any(word in each for each in page["events"]), "a message was stored that waited behind such a token")
