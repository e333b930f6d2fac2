"""Cases of chapters 1 and 3 for clients: negotiation, health, errors. (spec 03-session)"""

from __future__ import annotations

from quicchat.tools.conform.book import book
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.honest import respond
from quicchat.tools.conform.host import Host
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed, NonStrict

#: A wait that is longer than the first one of anybody who comes back (3.5-7).
LONG = 1.5


@client("3.1-1", "begins-with-version-request")
async def first(stage: Stage) -> None:
    host = await stage.ready()
    names = [each.pdu.name for each in host.words]
    if names[0] != "VERSION_REQUEST":
        raise Failed(f"it began with {names[0]}")


@client("3.1-5", "version-that-was-not-offered")
async def not_offered(stage: Stage) -> None:
    host = await stage.guest(VERSION_REQUEST=lambda host, heard: respond(host, version=77, versions=[1, 2, 77]))
    await host.fatal("VERSION")


@client("3.1-4", "no-common-version")
async def no_common(stage: Stage) -> None:
    host = await stage.guest(VERSION_REQUEST=lambda host, heard: respond(host, version=0, versions=[9]))
    await host.gone()
    closed = host.line.closed
    assert closed is not None
    if closed.code != book().codes["NO_COMMON_VERSION"]:
        raise Failed(f"it closed with {host.ear.end()}, not with NO_COMMON_VERSION")
    await stage.nobody(LONG)


@client("3.1-7", "no-answer-to-the-negotiation", slow=True)
async def silence(stage: Stage) -> None:
    host = await stage.guest(VERSION_REQUEST=None)
    await host.gone(12)
    if host.line.closed is not None and host.line.closed.code == book().codes["NO_ERROR"]:
        stage.notes.append("its user did not want to wait so long")
    else:
        await host.fatal("NEGOTIATION_TIMEOUT")


@client("1.3-1", "limits-and-capabilities-that-it-does-not-know")
async def strange(stage: Stage) -> None:
    stage.house.greeting = {"capabilities": [0x1001, 0x2001, 77], "limits": {6: 10_000, 61: 5, 60: 5}}
    await stage.ready()


@client("3.1-8", "ping-as-agreed")
async def limits(stage: Stage) -> None:
    stage.house.greeting = {"limits": {6: 1000}}
    host = await stage.ready()
    for _ in range(2):
        await host.hear("PING", patience=3)


@client("3.2-1", "answers-ping-before-the-login")
async def ping_early(stage: Stage) -> None:
    def challenge(host: Host, heard: Heard) -> None:
        host.say("PING", nonce=1 << 63, id=1)

    host = await stage.guest(AUTH_START=challenge)
    await host.hear("PONG", lambda each: bool(each["nonce"] == 1 << 63))


@client("3.2-1", "answers-ping-at-once")
async def ping(stage: Stage) -> None:
    host = await stage.ready()
    for _ in range(20):
        await host.barrier()


@client("3.2-3", "no-sign-of-life", slow=True)
async def dead(stage: Stage) -> None:
    stage.house.greeting = {"limits": {6: 1000}}
    host = await stage.ready(PING=None)
    await host.hear("PING", patience=3)
    host.deafen()
    await host.gone(8)


@client("3.2-3", "other-signs-of-life", slow=True)
async def alive(stage: Stage) -> None:
    stage.house.greeting = {"limits": {6: 1000}}

    def hint(host: Host, heard: Heard) -> None:
        host.say("MSG", **stage.house.event("still here"))

    host = await stage.ready(PING=hint)
    for _ in range(7):
        await host.hear("PING", patience=3)


@client("3.2-5", "asks-when-the-digest-differs-twice", since=2, slow=True)
async def digest(stage: Stage) -> None:
    stage.house.greeting = {"limits": {6: 1000}}

    def pong(host: Host, heard: Heard) -> None:
        host.say("PONG", re=heard, nonce=heard["nonce"], digest=b"another!" * 2)

    host = await stage.ready(PING=pong)
    await host.hear("PING", patience=3)
    await host.hear("PING", patience=3)
    try:
        await host.hear("TARGETS")
    except Failed as failed:
        raise NonStrict("it did not ask TARGETS") from failed


@client("3.3-3", "a-fatal-error-is-the-end")
async def fatal(stage: Stage) -> None:
    host = await stage.ready()
    host.deafen()
    before = len(host.words)
    # The close never comes: the announcement is enough.
    host.say("ERROR", code=book().codes["INTERNAL"], text="As the case wants it.", fatal=True)
    await host.gone()
    if host.words[before:]:
        raise Failed(f"it said {host.words[before].pdu.name} after a fatal ERROR")


@client("9.1-1", "unknown-code-refuses")
async def unknown_code(stage: Stage) -> None:
    host = await stage.ready()
    host.say("ERROR", code=0x7FE, text="As the case wants it.")
    await host.barrier()


@client("9.1-1", "unknown-code-is-fatal")
async def unknown_fatal(stage: Stage) -> None:
    host = await stage.ready()
    host.deafen()
    host.say("ERROR", code=0x7FE, text="As the case wants it.", fatal=True)
    await host.gone()


@client("3.3-2", "refusal-of-nothing")
async def stray(stage: Stage) -> None:
    host = await stage.ready()
    for code in ("STATE", "RATE_LIMITED", "AUTH_FAILED", "INTERNAL"):
        host.say("ERROR", code=book().codes[code], text="As the case wants it.")
        host.say("OK")
    await host.barrier()


@client("3.7-1", "streams-of-the-server", since=2)
async def opened(stage: Stage) -> None:
    host = await stage.ready()
    for uni in (False, True):
        sid = host.line.open(uni=uni)
        host.say("PING", sid=sid, nonce=7)
        await host.given_up(sid, "UNSUPPORTED", both=not uni)
    await host.barrier()


@client("1.3-2", "datagrams-that-are-none")
async def datagrams(stage: Stage) -> None:
    host = await stage.ready()
    for data in (b"\xff\xff", b"", b"\xa0", bytes(1000), b"\x9f" * 200):
        host.whisper(data)
    await host.barrier()


@client("1.2-3", "speaks-version-1")
async def version_1(stage: Stage) -> None:
    stage.house.versions = (1,)
    host = await stage.ready()
    stage.say("as in the old days")
    await host.hear("MSG_SEND", lambda each: each["text"] == "as in the old days")
    host.push(stage.house.event("an-old-answer"))
    await host.barrier()
    await stage.shows("an-old-answer")


@client("1.2-2", "version-2-on-a-connection-of-version-1")
async def later_pdu(stage: Stage) -> None:
    stage.house.versions = (1,)
    host = await stage.ready()
    host.say("ROOM_HEAD", room="general", epoch=1, head=7)
    await host.refused("UNSUPPORTED")


@client("1.2-2", "field-of-version-2-on-a-connection-of-version-1")
async def later_field(stage: Stage) -> None:
    stage.house.versions = (1,)
    host = await stage.ready()
    host.say("MSG", **stage.house.event("too new"))
    await host.fatal("SCHEMA")
