"""Cases of chapter 2: what extensions bring, and what becomes of it. (spec 02-framing)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.book import BODY, ID, TYPE, VERSION, annotated, book, frame
from quicchat.tools.conform.book import body as by_keys
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.malformed import extended
from quicchat.tools.conform.cbor import dump, load
from quicchat.tools.conform.chat import cid, post
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.verdict import NonStrict, WrongCode, check
from quicchat.tools.conform.ways import QUERY, agreed, enter, over

#: Types that nobody knows: reserved for the protocol, or even; and odd ones, which may be passed over.
UNKNOWN: Final = (10, 126, 128, 200, 2**29, 2**32 - 2)
IGNORABLE: Final = (129, 201, 2**29 - 1, 2**32 - 1)
#: What extensions may hold.
KEPT: Final = {33: {1: [True, None, "x", b"y", -5]}, 2**64 - 1: 0}


def typed(version: int, number: int, **more: Any) -> bytes:
    """A frame with a PDU of a type that is unknown."""
    outer: dict[int, Any] = {VERSION: version, TYPE: number, BODY: {1: "new", 7: [1]}}
    return frame(dump(outer | ({ID: more["id"]} if "id" in more else {})))


def request(talk: Talk, name: str, fields: dict[str, Any], extra: dict[int, Any], *, id: int) -> bytes:
    """A frame with a PDU that has extensions."""
    outer = {VERSION: talk.version, TYPE: book().kinds[name].number, ID: id, BODY: by_keys(name, fields) | extra}
    return frame(dump(outer))


def quiet(talk: Talk, *names: str) -> None:
    """None of these PDUs came."""
    came = [each for each in talk.heard if each.pdu.name in names]
    check(not came, f"{annotated(came[0].pdu.data)} came where nothing was due" if came else "")


def _ignored(number: int) -> None:
    @case("2.5-1", f"W22-type-{number}", "login")
    async def run(bench: Bench) -> None:
        for talk in (await bench.negotiated(), await bench.ready()):
            talk.say_bytes(typed(talk.version, number))
            talk.say_bytes(typed(talk.version, number, id=9))
            await talk.barrier()
            quiet(talk, "ERROR", "OK")
            check(talk.ear.find(lambda each: each.pdu.re == 9) is None, "what is to be ignored was answered")


def _not_ignored(number: int) -> None:
    @case("2.5-2", f"W22-type-{number}", "login")
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        talk.say_bytes(typed(talk.version, number, id=9))
        talk.check_refusal(await talk.answer(9), "UNSUPPORTED")
        talk.say_bytes(typed(talk.version, number))
        talk.check_refusal(await talk.hear("ERROR", lambda each: each.pdu.re is None), "UNSUPPORTED")
        await talk.barrier()

    @case("2.5-2", f"W22-type-{number}-before-login")
    async def early(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(typed(talk.version, number, id=9))
        await talk.fatal("STATE")


for _number in IGNORABLE:
    _ignored(_number)
for _number in UNKNOWN:
    _not_ignored(_number)


@case("2.5-2", "before-negotiation")
async def unknown_at_first(bench: Bench) -> None:
    talk = await bench.dial()
    talk.say_bytes(typed(1, 200))
    closed = await over(talk)
    if book().code(closed.code) != "STATE":
        raise WrongCode(f"closed with {talk.ear.end()}, not with STATE")


@case("2.5-2", "on-a-query-stream", "login", since=2)
async def unknown_elsewhere(bench: Bench) -> None:
    """The refusal goes where the request came; what may be ignored is ignored there too."""
    talk = await bench.ready()
    sid = talk.open(QUERY)
    talk.say_bytes(typed(talk.version, 201, id=8), sid=sid)
    talk.say_bytes(typed(talk.version, 200, id=9), sid=sid)
    found = await talk.answer(9)
    check(found.sid == sid, "the refusal came on another stream")
    talk.check_refusal(found, "UNSUPPORTED")
    check(talk.ear.find(lambda each: each.pdu.re == 8) is None, "what is to be ignored was answered")


@case("2.5-3", "W23-odd-keys-are-ignored")
async def odd_keys(bench: Bench) -> None:
    talk = await bench.negotiated()
    for key in (33, 255, 2**32 + 1, 2**64 - 1):
        talk.say_bytes(frame(extended(talk.version, dump({1: [True, None]}), key=key)))
        check((await talk.hear("PONG"))["nonce"] == 7, "a PING with an odd key had no PONG")


@case("2.5-3", "W23-odd-keys-in-the-negotiation")
async def odd_keys_first(bench: Bench) -> None:
    talk = await bench.dial()
    body = by_keys("VERSION_REQUEST", {"versions": [1], "device": talk.device}) | {33: 1, 2**64 - 1: "x"}
    talk.say_bytes(frame(dump({VERSION: 1, TYPE: book().kinds["VERSION_REQUEST"].number, BODY: body})))
    check((await talk.hear("VERSION_RESPONSE"))["version"] == 1, "the negotiation failed")


@case("2.5-3", "W23-odd-keys-are-relayed", "login", "other", "rooms", since=2)
async def relayed(bench: Bench) -> None:
    """With their values, to who is there and to who asks later."""
    alice, bob = await bench.ready(), await bench.ready(1)
    room = await bench.room(alice, bob)
    fields = {"room": room, "cid": cid(), "text": "x"}
    alice.say_bytes(request(alice, "MSG_SEND", fields, KEPT, id=900))
    seq = (await alice.answer(900))["seq"]
    came = await bob.hear("MSG", lambda each: each["room"] == room and each["seq"] == seq)
    _kept(came.pdu.body, "MSG")
    page = await bob.done("HISTORY", room=room, window=4)
    events = [load(each) for each in page["events"]]
    key = book().kinds["MSG"].field("seq").key
    _kept(next((each for each in events if each.get(key) == seq), {}), "HISTORY_R")


def _kept(body: Any, where: str) -> None:
    kept = {key: body.get(key) for key in KEPT}
    check(kept == KEPT, f"the extensions {KEPT} became {kept} in {where}")


def _even(key: int) -> None:
    @case("2.5-4", f"W23-key-{key}", "login")
    async def run(bench: Bench) -> None:
        talk = await bench.ready()
        talk.say_bytes(request(talk, "ECHO", {"data": "x"}, {key: 0}, id=900))
        talk.check_refusal(await talk.answer(900), "UNSUPPORTED")
        await talk.barrier()

    @case("2.5-4", f"W23-key-{key}-before-login")
    async def early(bench: Bench) -> None:
        talk = await bench.negotiated()
        talk.say_bytes(frame(extended(talk.version, b"\0", key=key)))
        await talk.fatal("STATE")


for _number in (32, 34, 2**64 - 2):
    _even(_number)


@case("2.5-4", "refused-as-a-whole", "login", "rooms", since=2)
async def as_a_whole(bench: Bench) -> None:
    """Nothing of it is done."""
    talk = await bench.ready()
    room = await bench.room(talk)
    before = (await post(talk, "one", room=room))["seq"]
    talk.say_bytes(request(talk, "MSG_SEND", {"room": room, "cid": cid(), "text": "x"}, {33: 1, 34: 1}, id=900))
    talk.check_refusal(await talk.answer(900), "UNSUPPORTED")
    after = (await post(talk, "two", room=room))["seq"]
    check(after == before + 1, f"a message that was refused took a place between {before} and {after}")


@case("2.5-7", "sprinkles", "login", since=2)
async def sprinkles(bench: Bench) -> None:
    """Among many PDUs some carry what means nothing."""
    talk = await bench.ready()
    for number in range(300):
        talk.say("PING", nonce=number)
    await talk.hear("PONG", lambda each: bool(each["nonce"] == 299))

    def odd(each: Heard) -> bool:
        named = {field.key for field in book().kinds[each.pdu.name].fields} if each.pdu.name in book().kinds else set()
        return any(key not in named for key in each.pdu.body)

    bad = [each for each in talk.heard if any(key > 32 and key % 2 == 0 for key in each.pdu.body)]
    check(not bad, f"{annotated(bad[0].pdu.data)} has a key that nobody can understand" if bad else "")
    if not any(odd(each) for each in talk.heard):
        raise NonStrict(f"of {len(talk.heard)} PDUs none has a key or type that means nothing")


@case("2.5-8", "unknown-capabilities-and-limits", "login")
async def unknown_capabilities(bench: Bench) -> None:
    talk = await bench.dial()
    found = await talk.negotiate(
        capabilities=[0, 7, 0x1001, 2**32 - 1], limits={0: 0, 7: 0, 40: 1, 99: 2**53 - 1, 2**64 - 1: 0}
    )
    check(found["version"] == bench.target.version, "unknown capabilities and limits changed the version")
    await enter(bench, talk)
    await talk.done("ECHO", data="x")


@case("2.5-8", "unknown-limit-of-a-known-one", "login")
async def known_and_unknown(bench: Bench) -> None:
    """What is beside them still counts."""
    talk = await agreed(bench, who=0, limits={33: 5})
    await talk.done("ECHO", data="x" * 1_000)
