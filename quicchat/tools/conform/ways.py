"""Ways that cases of several chapters go: limits that are named, ends without a word, what must hold. (spec README)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import book
from quicchat.tools.conform.ear import PATIENCE, Heard
from quicchat.tools.conform.quic import Closed, StreamDataReceived
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Failed, Unclean, WrongCode, same

#: Keys of the `limits` maps.
FRAME, TEXT, ROOM_STREAMS, PIPELINE, PAGE, PING = range(1, 7)
#: Kinds of STREAM_OPEN.
ROOM, QUERY, FILE = 1, 2, 3
GENERAL: Final = "general"
#: The frame that any two ends agree on where one of them names it: it is the least too.
LONGEST: Final = book().limits["frame"]


async def agreed(bench: Bench, *versions: int, who: int | None = None, limits: dict[int, int] | None = None) -> Talk:
    """A connection on which a frame may be LONGEST bytes long, whatever the server takes from others.

    It is in READY, of the account with the number `who`, or in AUTHENTICATING where that is None.
    """
    talk = await bench.dial()
    await talk.negotiate(*versions, limits={FRAME: LONGEST, **(limits or {})})
    if who is not None:
        await enter(bench, talk, who)
    return talk


async def enter(bench: Bench, talk: Talk, who: int = 0) -> Heard:
    """Log in with the account that has this number; AUTH_OK."""
    account = await bench.target.account(who)
    return await talk.log_in(account.user, account.password)


async def newcomer(bench: Bench) -> Talk:
    """Somebody new, in READY: who is in no rooms but those that everybody is in, and whom no other case disturbs."""
    talk = await bench.newcomer()
    await talk.hear("PRESENCE_SNAPSHOT")
    return talk


async def over(talk: Talk, *, patience: float = PATIENCE) -> Closed:
    """How the connection ended; nothing is said to bring that about. Raises Failed where it goes on."""
    await talk.ear.quietly(lambda: talk.line.closed, patience)
    if talk.line.closed is None:
        raise Failed(f"the connection goes on after {patience:g} s")
    return talk.line.closed


async def unseen(bench: Bench, request: str, code: str) -> None:
    """A request about a room that one is not in is refused as about one that is not there."""
    one, other = await bench.friend(0), await bench.friend(1)
    found = [
        await other.refused(code, request=request, room=room)
        for room in (await bench.room(one), bench.target.name("r"))
    ]
    same(found[0].pdu.known, found[1].pdu.known, "what is answered of a room that one is not in")


async def shut(talk: Talk, *codes: str, patience: float = PATIENCE) -> None:
    """The server closes with one of these codes; that there is an ERROR before is not demanded."""
    closed = await over(talk, patience=patience)
    if not closed.by_application or book().code(closed.code) not in codes:
        raise WrongCode(f"closed with {talk.ear.end()}, not with {' or '.join(codes)}")
    error = talk.ear.find(lambda each: each.pdu.name == "ERROR" and bool(each["fatal"]))
    if error is not None and error["code"] != closed.code:
        raise Unclean(f"ERROR says {book().code(error['code'])}, the close {talk.ear.end()}")


def tapped(talk: Talk) -> bytearray:
    """All bytes that come on the control stream from now on, as they come."""
    found, take = bytearray(), talk.line.on_event

    def both(event: Any) -> None:
        if isinstance(event, StreamDataReceived) and event.stream_id == talk.control:
            found.extend(event.data)
        take(event)

    talk.line.on_event = both
    return found


def drip(talk: Talk, data: bytes, *, sid: int | None = None) -> None:
    """Say bytes one by one, each in a packet of its own."""
    for each in data:
        talk.line.say(talk.control if sid is None else sid, bytes([each]))
        talk.line.flush()


async def given_up(talk: Talk, sid: int, *codes: str) -> None:
    """As `Talk.gave_up`, of a stream that we have ended already: of that half there is nothing to stop."""
    found = await talk.until(lambda: talk.given_up.get(sid), f"RESET_STREAM on stream {sid}")
    if book().code(found) not in codes:
        raise WrongCode(f"the stream was given up with {book().code(found)}, not with {' or '.join(codes)}")
    await talk.barrier()
