"""Cases of chapters 8 and 9: limits, rates, what is held back; how errors reach. (spec 08-limits)

Rates are the operator's: where nothing is refused or left out they may be off, and nothing is demanded.
"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import annotated, book
from quicchat.tools.conform.case import case
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.quic import Unreachable, Wishes
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import Informational, WrongCode, check
from quicchat.tools.conform.ways import GENERAL, PIPELINE, QUERY, agreed, enter, newcomer

#: What a session may do at once after a rest (8.3), and a few more.
MESSAGES: Final = 100
ROOMS: Final = 40
CONNECTIONS: Final = 200
REQUESTS: Final = book().limits["pipeline"]
HELD: Final = book().limits["held"]
BUDGET: Final = book().limits["budget"]


def _in_time(found: Heard) -> None:
    """What is refused for its rate says when to come again."""
    if found.pdu.name == "ERROR" and book().code(found["code"]) == "RATE_LIMITED":
        check(found["retry_after"] is not None, "RATE_LIMITED does not say when to try again")


# 8.1 Requests


@case("8.1-1", "more-than-the-pipeline", "login")
async def pipelined(bench: Bench) -> None:
    """All are served, in the end."""
    talk = await bench.ready()
    numbers = range(1000, 1000 + REQUESTS + 50)
    for number in numbers:
        talk.say("ECHO", id=number, data=str(number))
    for number in numbers:
        found = await talk.answer(number)
        check(found.pdu.name == "ECHO" and found["data"] == str(number), f"{annotated(found.pdu.data)} came for ECHO")


@case("8.1-1", "one-at-a-time", "login", "rooms", since=2)
async def one_at_a_time(bench: Bench) -> None:
    """A pipeline of one: answers come in the order of the requests, whatever each takes."""
    talk = await agreed(bench, who=0, limits={PIPELINE: 1})
    room = await bench.room(talk)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("MSG_SEND", {"room": room, "text": "x"}),
        ("ECHO", {"data": "x"}),
        ("MEMBERS", {"room": room}),
    ]
    numbers = range(1000, 1030)
    for number in numbers:
        name, fields = asked[number % 3]
        talk.say(name, id=number, **(fields | ({"cid": cid()} if name == "MSG_SEND" else {})))
    for number in numbers:
        await talk.answer(number)
    came = [each.pdu.re for each in talk.heard if each.pdu.re in numbers]
    check(came == [*numbers], f"one request at a time was agreed on, and answers came in the order {came}")


@case("8.1-1", "more-than-it-holds", "login", "rooms", since=2, slow=True)
async def more_than_held(bench: Bench) -> None:
    """Each is served, or refused with the time to come again; and nothing closes."""
    talk = await agreed(bench, who=0)
    room = await bench.room(talk)
    numbers = range(1000, 1000 + 3 * HELD // 30_000)
    for number in numbers:
        talk.say("MSG_SEND", id=number, room=room, cid=cid(), text="x" * 30_000)
    for number in numbers:
        found = await talk.ear.until(
            lambda number=number: talk.ear.find(lambda each: bool(each.pdu.re == number)),  # type: ignore[misc]  # the default binds it now
            f"an answer to {number}",
            patience=60,
        )
        if found.pdu.name != "MSG_ACK":
            talk.check_refusal(found, "RATE_LIMITED")
            _in_time(found)
    await talk.barrier()


# 8.3 Rates


@case("8.3-2", "messages-wait", "login", "signup", "rooms", since=2)
async def messages_wait(bench: Bench) -> None:
    """More than a rest allows: none is refused, all are stored in their order, and others are served meanwhile."""
    talk = await newcomer(bench)
    room = await bench.room(talk)
    numbers = range(1000, 1000 + MESSAGES + 15)
    for number in numbers:
        talk.say("MSG_SEND", id=number, room=room, cid=cid(), text=str(number))
    sid = talk.open(QUERY)
    await talk.done("MEMBERS", sid=sid, room=room)
    places = []
    for number in numbers:
        found = await talk.answer(number)
        check(found.pdu.name == "MSG_ACK", f"{annotated(found.pdu.data)} came for a message that could wait")
        places.append(found["seq"])
    check(places == sorted(places), f"messages were stored at {places}")


@case("8.3-4", "says-when-to-come-again", "login", "signup", "rooms", since=2)
async def when_again(bench: Bench) -> None:
    """Requests about rooms, more than a rest allows."""
    talk = await newcomer(bench)
    numbers = range(1000, 1000 + ROOMS + 20)
    for number in numbers:
        talk.say("ROOM_JOIN", id=number, room=bench.target.name("none"))
    refused = 0
    for number in numbers:
        found = await talk.answer(number)
        talk.check_refusal(found, "NO_SUCH_ROOM", "RATE_LIMITED")
        _in_time(found)
        refused += book().code(found["code"]) == "RATE_LIMITED"
    await talk.barrier()
    bench.notes.append(f"{refused} of {len(numbers)} requests were refused for their rate")


@case("8.3-1", "rates", "login", "signup", "rooms", since=2, informational=True)
async def rates(bench: Bench) -> None:
    """Whether there are any."""
    talk = await newcomer(bench)
    for number in range(1000, 1000 + 2 * ROOMS):
        talk.say("ROOM_JOIN", id=number, room=bench.target.name("none"))
    limited = 0
    for number in range(1000, 1000 + 2 * ROOMS):
        limited += book().code((await talk.answer(number))["code"]) == "RATE_LIMITED"
    raise Informational(f"of {2 * ROOMS} requests about rooms at once {limited} are refused for their rate")


@case("8.3-5", "datagrams-are-dropped", "login", "datagrams", since=2)
async def datagrams_dropped(bench: Bench) -> None:
    """However many come."""
    talk = await bench.ready()
    for counter in range(60):
        talk.whisper("TYPING", room=bench.target.name("none"), ttl=1, counter=counter)
    for _ in range(2):
        await talk.barrier()
    check(not talk.all("ERROR"), "a datagram was refused")


@case("8.3-6", "connections", slow=True, alone=True)
async def connections(bench: Bench) -> None:
    """Of one network, more at once than a rest allows: those beyond are closed with RATE_LIMITED, if any."""
    closed = 0
    for _ in range(CONNECTIONS + 40):
        try:
            talk = Talk(await bench.target.dial())
        except Unreachable as error:
            if f"{book().codes['RATE_LIMITED']:#x}" not in str(error):
                raise WrongCode(f"a connection was refused: {error}") from error
            closed += 1
            continue
        talk.say("VERSION_REQUEST", version=1, versions=[1], device=talk.device)
        await talk.ear.quietly(lambda talk=talk: talk.all("VERSION_RESPONSE") or None, 5)  # type: ignore[misc]  # the default binds it now
        if talk.line.closed is not None:
            if book().code(talk.line.closed.code) != "RATE_LIMITED":
                raise WrongCode(f"a connection was closed with {talk.ear.end()}")
            closed += 1
        talk.line.close(book().codes["NO_ERROR"])
    bench.notes.append(f"{closed} of {CONNECTIONS + 40} connections were closed for their rate")


@case("8.3-7", "ping-at-any-rate", "login")
async def ping_at_any_rate(bench: Bench) -> None:
    talk = await bench.ready()
    for nonce in range(400):
        talk.say("PING", nonce=nonce)
    for nonce in range(400):
        check((await talk.hear("PONG"))["nonce"] == nonce, f"no PONG of {nonce} came in its turn")


# 8.4 Holding back


@case("8.4-1", "held-and-told-later", "login", "other", "signup", "rooms", since=2)
async def held(bench: Bench) -> None:
    """No event of any log meanwhile; afterwards where each log stands."""
    alice, bob = await bench.ready(1), await newcomer(bench)
    room, quiet = await bench.room(alice, bob), await bench.room(alice, bob)
    await bob.done("PRESENCE_SET", show=1, hold=True)
    seq = max([(await post(alice, "in the room", room=room))["seq"] for _ in range(3)])
    direct = await post(alice, "to him", user=bob.user)
    for _ in range(2):
        await alice.barrier()
        await bob.barrier()
    came = [each for each in bob.all("MSG") if each["text"] in ("in the room", "to him")]
    check(not came, f"{annotated(came[0].pdu.data)} came to who wants no messages" if came else "")
    await bob.done("PRESENCE_SET", show=1, hold=False)
    for name, head in ((room, seq), (direct["room"], direct["seq"])):
        found = await bob.hear("ROOM_HEAD", lambda each, name=name: bool(each["room"] == name))  # type: ignore[misc]  # the default binds it now
        check(found["head"] == head, f"ROOM_HEAD of {name} says {found['head']}, not {head}")
    await bob.barrier()
    check(not any(each["room"] == quiet for each in bob.all("ROOM_HEAD")), "a room was told of that held nothing back")
    seq = (await post(alice, "again", room=room))["seq"]
    await bob.hear("MSG", lambda each: bool(each["room"] == room and each["seq"] == seq))


class _Deaf:
    """A client that lets its windows fill up: it acknowledges, and allows no more to come."""

    def __init__(self, talk: Talk) -> None:
        self._quic = talk.line.quic
        self._kept = (self._quic._write_connection_limits, self._quic._write_stream_limits)
        self._quic._write_connection_limits = lambda *args, **more: None  # type: ignore[method-assign]
        self._quic._write_stream_limits = lambda *args, **more: None  # type: ignore[method-assign]
        self._line = talk.line

    def listen(self) -> None:
        self._quic._write_connection_limits, self._quic._write_stream_limits = self._kept  # type: ignore[method-assign]
        self._line.touch()


@case("8.4-2", "answers-that-nobody-reads", "login", "rooms", since=2, slow=True)
async def unread(bench: Bench) -> None:
    """More pages than the windows and the budget hold; when the client reads again, each has its answer."""
    talk = await bench.dial(Wishes(window=65_536))
    await talk.negotiate()
    await enter(bench, talk)
    room = await bench.room(talk)
    for _ in range(2):
        await post(talk, "x" * 30_000, room=room)
    deaf = _Deaf(talk)
    sid = talk.open(QUERY)
    numbers = range(1000, 1000 + 2 * BUDGET // 60_000)
    for number in numbers:
        talk.say("HISTORY", sid=sid, id=number, room=room, window=4)
    await talk.ear.quietly(lambda: talk.line.closed, 3)
    check(talk.line.closed is None, "a client was closed for what it had not read yet")
    deaf.listen()
    for number in numbers:
        # What QUIC was kept from saying has to be said in a packet of ours.
        talk.say("PONG", nonce=number)
        found = await talk.ear.until(
            lambda number=number: talk.ear.find(lambda each: bool(each.pdu.re == number)),  # type: ignore[misc]  # the default binds it now
            f"an answer to {number}",
            patience=30,
        )
        check(found.pdu.name == "HISTORY_R", f"{annotated(found.pdu.data)} came for HISTORY")


# 9.1 Reach


@case("9.1-1", "errors-of-the-client", "login")
async def errors_of_client(bench: Bench) -> None:
    """One that is not fatal ends nothing, whatever its code."""
    talk = await bench.ready()
    for code in (0, book().codes["DECODE"], book().codes["INTERNAL"], 0x7FFF, 2**32 - 1):
        talk.say("ERROR", code=code, text="why")
        talk.say("ERROR", code=code, fatal=False)
    await talk.done("ECHO", data="x")


@case("9.1-3", "text-with-every-refusal", "login", since=2)
async def text_with_refusals(bench: Bench) -> None:
    talk = await bench.ready()
    none = bench.target.name("none")
    for name, fields in (
        ("ROOM_JOIN", {"room": none}),
        ("MSG_SEND", {"user": none, "cid": cid(), "text": "x"}),
        ("MSG_SEND", {"cid": cid(), "text": "x"}),
        ("HISTORY", {"room": none, "window": 4}),
        ("VERSION_REQUEST", {"versions": [1], "device": bytes(16)}),
        ("TYPING", {"room": GENERAL, "ttl": 1, "counter": 1}),
        ("AUTH_START", {"mechanism": "X", "user": "x", "data": b"x"}),
    ):
        found = await talk.ask(name, **fields)
        check(found.pdu.name == "ERROR" and found["text"], f"{annotated(found.pdu.data)} came for {name}, without text")


def _told(name: str, data: bytes) -> None:
    @case("9.1-3", f"text-with-{name}")
    async def run(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(data)
        await talk.fatal("DECODE", "FRAME_TOO_LARGE", "SCHEMA")
        found = talk.ear.find(lambda each: each.pdu.name == "ERROR")
        check(found is not None and found["text"], "a fatal ERROR has no text")


for _name, _data in (("a-broken-item", b"\x01\xff"), ("an-empty-frame", b"\0"), ("a-broken-envelope", b"\x01\xa0")):
    _told(_name, _data)


@case("9.1-3", "text-with-a-failed-login", "login")
async def text_with_login(bench: Bench) -> None:
    talk = await bench.at("PROVING")
    found = await talk.hear("ERROR")
    check(found["text"], "the refusal of a login has no text")


# 10.1 Keeping to it


@case("10.1-2", "text-names-state-and-pdu", "login")
async def text_names(bench: Bench) -> None:
    talk = await bench.ready()
    found = await talk.ask("VERSION_REQUEST", versions=[1], device=talk.device)
    talk.check_refusal(found, "STATE")
    check("READY" in (found["text"] or "") and "VERSION_REQUEST" in found["text"], f"the text is {found['text']!r}")


@case("10.1-4", "nothing-behind-the-end")
async def nothing_behind(bench: Bench) -> None:
    """What comes in CLOSED is ignored, wrong as it may be."""
    talk = await bench.negotiated()
    talk.say("MSG_ACK", cid=bytes(16), room=GENERAL, seq=1, ts=1)
    for data in (b"\0", b"\x01\xff", b"\xff" * 8):
        talk.say_bytes(data)
    await talk.fatal("STATE")
    errors = talk.all("ERROR")
    check(len(errors) == 1, f"{len(errors)} ERRORs came before the end")
