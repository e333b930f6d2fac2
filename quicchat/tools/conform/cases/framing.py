"""Cases of chapter 2: frames, the forms that are legal, the envelope, extensions. (spec 02-framing)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, ID, TYPE, VERSION, annotated, book, frame, unframed, varint, write
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.malformed import DEPTH, ECHO, PAIRS, extended, nested, ping
from quicchat.tools.conform.cbor import MAP, dump, head, load
from quicchat.tools.conform.chat import post
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import NonStrict, WrongCode, check
from quicchat.tools.conform.ways import LONGEST, QUERY, agreed, drip, given_up, over, tapped

#: How long the longest frame may take, and how long a server may take to notice.
PARTIAL: Final = float(book().limits["partial"])


def padded(version: int, size: int) -> bytes:
    """An ECHO of exactly so many bytes, most of them in an extension."""
    for filling in range(size - 40, size):
        data = dump({VERSION: version, TYPE: ECHO, ID: 7, BODY: {1: "", 33: bytes(filling)}})
        if len(data) == size:
            return data
    raise ValueError(f"no ECHO has {size} bytes")


# 2.1 Frames


@case("2.1-1", "shortest-lengths", "login")
async def shortest_lengths(bench: Bench) -> None:
    """The server's own lengths."""
    talk = await bench.negotiated()
    account = await bench.target.account(0)
    data = tapped(talk)
    await talk.log_in(account.user, account.password)
    for size in (0, 60, 200, 20_000):
        await talk.done("ECHO", data="x" * size)
    while (found := unframed(data)) is not None:
        if found[1] - len(found[0]) != len(varint(len(found[0]))):
            raise NonStrict(f"{annotated(found[0])} has a length of {found[1] - len(found[0])} bytes")
        del data[: found[1]]


@case("2.1-2", "byte-by-byte")
async def byte_by_byte(bench: Bench) -> None:
    talk = await bench.dial()
    drip(talk, frame(write("VERSION_REQUEST", {"versions": [1], "device": talk.device}, version=1)))
    await talk.hear("VERSION_RESPONSE")
    drip(talk, frame(ping(1)) + frame(ping(1, nonce=b"\x08")))
    for nonce in (7, 8):
        check((await talk.hear("PONG"))["nonce"] == nonce, f"no PONG of nonce {nonce} came in its turn")


@case("2.1-2", "cut-anywhere", "login")
async def cut_anywhere(bench: Bench) -> None:
    """Two PDUs, cut in two at each place."""
    talk = await bench.ready()
    for cut in range(1, 40):
        data = b"".join(
            frame(write("ECHO", {"data": "ab" * 40}, version=talk.version, id=talk.next_id())) for _ in range(2)
        )
        talk.say_bytes(data[:cut])
        talk.line.flush()
        talk.say_bytes(data[cut:])
        talk.line.flush()
    await talk.barrier()
    answers = await _echoed(talk, 78)
    check(all(each["data"] == "ab" * 40 for each in answers), "an ECHO came back with other data")


async def _echoed(talk: Talk, many: int) -> list[Heard]:
    await talk.until(lambda: len(talk.all("ECHO")) >= many or None, f"{many} answers")
    return talk.all("ECHO")


@case("2.1-2", "many-in-one", "login")
async def many_in_one(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(
        b"".join(
            frame(write("ECHO", {"data": str(number)}, version=talk.version, id=number)) for number in range(100, 150)
        )
    )
    for number in range(100, 150):
        found = await talk.answer(number)
        check(found.pdu.name == "ECHO" and found["data"] == str(number), f"no ECHO answered {number}")


def _width(width: int) -> None:
    @case("2.1-2", f"length-in-{width}-bytes")
    async def run(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(frame(ping(talk.version), width=width))
        await talk.hear("PONG")


for _each in (1, 2, 4, 8):
    _width(_each)


@case("2.1-3", "limit-is-legal", "login")
async def limit_is_legal(bench: Bench) -> None:
    talk = await agreed(bench, who=0)
    talk.say_bytes(frame(padded(talk.version, LONGEST)))
    check((await talk.answer(7)).pdu.name == "ECHO", "a frame of exactly the limit was not served")


@case("2.1-3", "limit-and-1-with-its-body", "login")
async def beyond_the_limit(bench: Bench) -> None:
    talk = await agreed(bench, who=0)
    talk.say_bytes(frame(padded(talk.version, LONGEST + 1)))
    await talk.fatal("FRAME_TOO_LARGE")


@case("2.1-3", "before-negotiation")
async def too_large_at_first(bench: Bench) -> None:
    talk = await bench.dial()
    talk.say_bytes(varint(book().limits["frame (hard)"] + 1))
    closed = await over(talk)
    if book().code(closed.code) != "FRAME_TOO_LARGE":
        raise WrongCode(f"closed with {talk.ear.end()}, not with FRAME_TOO_LARGE")


@case("2.1-3", "on-a-query-stream", "login", since=2)
async def too_large_elsewhere(bench: Bench) -> None:
    talk = await agreed(bench, who=0)
    talk.say_bytes(varint(LONGEST + 1), sid=talk.open(QUERY))
    await talk.fatal("FRAME_TOO_LARGE")


@case("2.1-4", "on-a-query-stream", "login", since=2)
async def empty_elsewhere(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(b"\0", sid=talk.open(QUERY))
    await talk.fatal("DECODE")


@case("2.1-5", "W4-control-never-whole", "login", slow=True)
async def never_whole(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(frame(ping(talk.version))[:-1])
    await talk.over("LIMIT", patience=PARTIAL + 5)


@case("2.1-5", "W4-bytes-that-drip", "login", slow=True)
async def dripping(bench: Bench) -> None:
    """The time runs from the first byte, however many follow."""
    talk = await bench.ready()
    for byte in frame(write("ECHO", {"data": "x" * 60}, version=talk.version)):
        if talk.line.closed is not None:
            break
        talk.say_bytes(bytes([byte]))
        await talk.ear.quietly(lambda: talk.line.closed, PARTIAL / 20)
    await talk.over("LIMIT", patience=1)


@case("2.1-5", "W4-slow-but-whole", "login", slow=True)
async def slow_but_whole(bench: Bench) -> None:
    talk = await bench.ready()
    data = frame(write("ECHO", {"data": ""}, version=talk.version, id=7))
    for byte in data:
        talk.say_bytes(bytes([byte]))
        await talk.ear.quietly(lambda: talk.line.closed, PARTIAL * 0.6 / len(data))
    check((await talk.answer(7)).pdu.name == "ECHO", "a frame that was whole in time was not served")


@case("2.1-5", "another-stream-never-whole", "login", since=2, slow=True)
async def another_never_whole(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open(QUERY)
    talk.say_bytes(b"\x10\xa3", sid=sid)
    await talk.until(lambda: talk.given_up.get(sid), f"RESET_STREAM on stream {sid}", patience=PARTIAL + 5)
    await talk.gave_up(sid, "LIMIT")


@case("2.1-5", "stream-without-a-frame", "login", since=2, slow=True)
async def without_a_frame(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open()
    talk.say_bytes(b"\x40", sid=sid)
    await talk.until(lambda: talk.given_up.get(sid), f"RESET_STREAM on stream {sid}", patience=PARTIAL + 5)
    await talk.gave_up(sid, "LIMIT")


@case("2.1-6", "W5-control")
async def cut_off(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say_bytes(b"\x20\xa3", fin=True)
    await talk.over("DECODE")


@case("2.1-6", "W5-control-in-ready", "login")
async def cut_off_later(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(b"\x40", fin=True)
    await talk.over("DECODE")


@case("2.1-6", "W5-another-stream", "login", since=2)
async def cut_off_elsewhere(bench: Bench) -> None:
    talk = await bench.ready()
    sid = talk.open(QUERY)
    talk.say_bytes(b"\x20\xa3", sid=sid, fin=True)
    await given_up(talk, sid, "DECODE")


@case("2.1-7", "pages-of-long-messages", "login", "rooms", since=2)
async def long_pages(bench: Bench) -> None:
    """No answer is longer than the frame that was agreed."""
    talk = await agreed(bench, who=0)
    room = await bench.room(talk)
    for _ in range(3):
        await post(talk, "x" * 30_000, room=room)
    page = await talk.done("HISTORY", room=room, window=2, anchor=0)
    _no_longer(talk, LONGEST)
    check(page["events"], "a page of long messages is empty")


@case("2.1-7", "a-message-that-fills-its-frame", "login", "other", "rooms", since=2)
async def filled_message(bench: Bench) -> None:
    """What a server passes on is longer than what came."""
    alice, bob = await agreed(bench, who=0), await agreed(bench, who=1)
    room = await bench.room(alice, bob)
    fields = {"room": room, "cid": bytes(16), "text": "x" * 32_000}
    outer: dict[int, Any] = {VERSION: alice.version, TYPE: book().kinds["MSG_SEND"].number, ID: 900}
    body = {book().kinds["MSG_SEND"].field(name).key: value for name, value in fields.items()}
    room_left = LONGEST - len(dump({**outer, BODY: {**body, 33: bytes(33_000)}}))
    alice.say_bytes(frame(dump({**outer, BODY: {**body, 33: bytes(33_000 + room_left)}})))
    answer = await alice.answer(900)
    check(answer.pdu.name in ("MSG_ACK", "ERROR"), f"MSG_SEND was answered by {answer.pdu.name}")
    await alice.barrier()
    await bob.barrier()
    for talk in (alice, bob):
        _no_longer(talk, LONGEST)


def _no_longer(talk: Talk, limit: int) -> None:
    longest = max((len(each.pdu.data) for each in talk.heard), default=0)
    check(longest <= limit, f"a frame of {longest} bytes came where {limit} were agreed")


# 2.2 CBOR


def _forms(version: int) -> dict[str, bytes]:
    """PINGs that are not in the deterministic form."""
    number = bytes([version])
    return {
        "version-in-two-bytes": b"\xa3\x00\x18" + number + b"\x01\x03\x05\xa1\x01\x07",
        "version-in-three-bytes": b"\xa3\x00\x19\x00" + number + b"\x01\x03\x05\xa1\x01\x07",
        "type-in-five-bytes": b"\xa3\x00" + number + b"\x01\x1a\x00\x00\x00\x03\x05\xa1\x01\x07",
        "key-in-nine-bytes": b"\xa3\x00" + number + b"\x01\x03\x05\xa1\x1b" + bytes(7) + b"\x01\x07",
        "nonce-in-nine-bytes": ping(version, nonce=head(0, 7, width=8)),
        "long-map-heads": head(MAP, 3, width=4) + b"\x00" + number + b"\x01\x03\x05\xb8\x01\x01\x07",
        "keys-out-of-order": b"\xa3\x05\xa1\x01\x07\x00" + number + b"\x01\x03",
        "body-keys-out-of-order": b"\xa3\x00" + number + b"\x01\x03\x05\xa2\x18\x21\x00\x01\x07",
        "long-text-head": extended(version, b"\x79\x00\x01x"),
        "long-bytes-head": extended(version, b"\x5a\x00\x00\x00\x01x"),
        "long-array-head": extended(version, b"\x98\x00"),
    }  # fmt: skip


def _lenient(name: str) -> None:
    @case("2.2-3", name)
    async def run(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(frame(_forms(talk.version)[name]))
        check((await talk.hear("PONG"))["nonce"] == 7, "the PONG has another nonce")


for _name in _forms(1):
    _lenient(_name)


@case("2.2-3", "own-form", "login")
async def own_form(bench: Bench) -> None:
    """Shortest integers and ascending keys in all that the server sends."""
    talk = await bench.ready()
    await talk.done("ECHO", data="\u017eluť")
    await talk.ask("MSG_SEND", user=talk.user, cid=bytes(16), text="")
    await talk.barrier()
    for each in talk.heard:
        if dump(load(each.pdu.data)) != each.pdu.data:
            raise NonStrict(f"{annotated(each.pdu.data)} is not in the shortest form, or its keys are not in order")


@case("2.2-1", "whole-profile-is-legal")
async def whole_profile(bench: Bench) -> None:
    """What the profile does not exclude is passed over where it means nothing."""
    talk = await bench.negotiated()
    values: list[Any] = [True, False, None, 0, 2**64 - 1, -1, -(2**64), b"", "", "\U0001f642", [], {}, {2**64 - 1: [0]}]
    talk.say_bytes(frame(extended(talk.version, dump(values))))
    await talk.hear("PONG")


@case("2.2-1", "deepest-is-legal")
async def deepest(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say_bytes(frame(extended(talk.version, nested(DEPTH - 2))))
    await talk.hear("PONG")


@case("2.2-1", "most-pairs-are-legal")
async def most_pairs(bench: Bench) -> None:
    talk = await bench.negotiated()
    talk.say_bytes(frame(extended(talk.version, dump(dict.fromkeys(range(PAIRS), 0)))))
    talk.say_bytes(frame(ping(talk.version, *(dump(33 + 2 * n) + b"\0" for n in range(PAIRS - 1)))))
    await talk.hear("PONG")
    await talk.hear("PONG")


@case("2.2-1", "on-a-query-stream", "login", since=2)
async def malformed_elsewhere(bench: Bench) -> None:
    talk = await bench.ready()
    talk.say_bytes(frame(b"\xff"), sid=talk.open(QUERY))
    await talk.fatal("DECODE")


@case("2.2-1", "before-negotiation")
async def malformed_at_first(bench: Bench) -> None:
    """Before there is a control stream the close alone may tell the code (3.3-1)."""
    talk = await bench.dial()
    talk.say_bytes(frame(b"\xff"))
    closed = await over(talk)
    if book().code(closed.code) != "DECODE":
        raise WrongCode(f"closed with {talk.ear.end()}, not with DECODE")
