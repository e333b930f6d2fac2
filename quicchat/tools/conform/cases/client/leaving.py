"""Cases of 3.5 for clients: how connections end, and whether and when the next one comes. (spec 03-session)"""

from __future__ import annotations

from typing import Final

from quicchat.tools.conform.book import book
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.host import Host
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed, NonStrict

#: Seconds in which somebody who does not come back would have come: three times the longest first wait.
LONG: Final = 1.5
#: What a machine may be late, in seconds.
LATE: Final = 1.5
_FIRST, _MOST = 0.5, 60.0
_DRAINING: Final = book().codes["DRAINING"]
_OVERLOADED: Final = book().codes["OVERLOADED"]


async def comes_back(stage: Stage) -> Host:
    """The next connection. Raises NonStrict where there is none."""
    stage.patience = _FIRST + 4 * LATE
    try:
        return await stage.guest()
    except Failed as failed:
        raise NonStrict("it did not come back by itself") from failed


def _ends(name: str) -> None:
    hopeless = name in book().hopeless

    @client("3.5-7", f"after-{name}")
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        host.fail(book().codes[name])
        if hopeless:
            await stage.nobody(LONG)
        else:
            await comes_back(stage)

    @client("3.5-7", f"closed-with-{name}")
    async def closed(stage: Stage) -> None:
        host = await stage.ready()
        host.end(book().codes[name])
        if hopeless:
            await stage.nobody(LONG)
        else:
            await comes_back(stage)


for _name in sorted({*book().hopeless, "NO_ERROR", "STATE", "LIMIT", "TOKEN_EXPIRED", *book().temporary}):
    _ends(_name)


@client("3.5-7", "goaway-that-says-never", since=2)
async def never(stage: Stage) -> None:
    host = await stage.ready()
    host.say("GOAWAY", code=_DRAINING, reason="As the case wants it.", reconnect=False)
    await host.barrier()
    host.end(_DRAINING)
    await stage.nobody(LONG)


@client("3.5-7", "goaway-that-says-later", since=2)
async def later(stage: Stage) -> None:
    host = await stage.ready()
    host.say("GOAWAY", code=_DRAINING, reconnect=True, after=1200)
    await host.barrier()
    host.end(_DRAINING)
    await stage.nobody(1.1)
    await comes_back(stage)


@client("3.5-7", "refusal-that-says-later", since=2)
async def retry_after(stage: Stage) -> None:
    host = await stage.ready()
    host.end(_OVERLOADED)

    def refuse(host: Host, heard: Heard) -> None:
        host.refuse(heard, "RATE_LIMITED", retry_after=1200)

    host = await stage.guest(RESUME=refuse, AUTH_START=refuse)
    await host.until(lambda: host.said("RESUME") or host.said("AUTH_START") or None, "RESUME or a login")
    await stage.nobody(1.1)
    await comes_back(stage)


@client("3.5-7", "waits-longer-each-time-and-never-alike")
async def waits(stage: Stage) -> None:
    """The server takes nobody: the waits lie within bounds that double, and are not all the same."""
    host = await stage.ready()
    ended: list[float] = []

    def overloaded(host: Host, heard: Heard) -> None:
        host.end(_OVERLOADED)

    stage.expect(VERSION_REQUEST=overloaded)
    found: list[float] = []
    for attempt in range(4):
        host.end(_OVERLOADED)
        ended.append(stage.time())
        stage.patience = _FIRST * 2**attempt + 2 * LATE
        host = await stage.guest(VERSION_REQUEST=overloaded)
        found.append(stage.times[stage.hosts.index(host)] - ended[-1])
    stage.notes.append("waited " + ", ".join(f"{each:.2f}" for each in found) + " s")
    for attempt, wait in enumerate(found):
        if wait > min(_MOST, _FIRST * 2**attempt) + LATE:
            raise Failed(f"it waited {wait:.2f} s before attempt {attempt + 1}")
    if all(each < 0.02 for each in found[1:]) or max(found) - min(found) < 0.005:
        raise Failed(f"it does not wait a random time: {', '.join(f'{each:.3f}' for each in found)} s")


@client("3.5-6", "nothing-new-after-goaway", since=2)
async def quiet(stage: Stage) -> None:
    host = await stage.ready()
    host.say("GOAWAY", code=_DRAINING)
    await host.barrier()
    stage.say("words-for-the-next-one")
    await host.ear.quietly(lambda: host.said("MSG_SEND") or None, 1.0)
    begun = host.said("MSG_SEND")
    host.end(_DRAINING)
    again = await comes_back(stage)
    if begun:
        raise NonStrict("it began a request after GOAWAY")
    await again.hear("MSG_SEND", lambda each: each["text"] == "words-for-the-next-one")


@client("3.5-5", "goaway-without-an-end", since=2, slow=True)
async def endless(stage: Stage) -> None:
    host = await stage.ready()
    host.say("GOAWAY", code=_DRAINING)
    await host.gone(book().limits["drain"] + LATE)


@client("3.5-1", "bye-of-the-server")
async def bye(stage: Stage) -> None:
    """What comes after it is ignored, whatever it is."""
    host = await stage.ready()
    host.say("BYE", reason="As the case wants it.")
    host.say_bytes(b"\x00\xff\xff")
    before = len(host.words)
    await host.ear.quietly(lambda: host.ear.all("ERROR") or None, 0.5)
    if [each for each in host.words[before:] if each.pdu.name == "ERROR"]:
        raise Failed("it found fault with what came after BYE")
    host.end(_DRAINING)
    await comes_back(stage)


@client("3.5-4", "end-of-the-control-stream")
async def fin(stage: Stage) -> None:
    host = await stage.ready()
    host.deafen()
    host.say_bytes(b"", fin=True)
    await host.gone()


@client("3.5-4", "reset-of-the-control-stream")
async def reset(stage: Stage) -> None:
    host = await stage.ready()
    host.deafen()
    host.line.reset(host.control, book().codes["INTERNAL"])
    await host.gone()


@client("3.5-2", "takes-leave")
async def leaves(stage: Stage) -> None:
    """A client that is asked to go says so, or closes; it does not just fall silent."""
    host = await stage.ready()
    await stage.stop()
    try:
        await host.gone()
    except Failed as error:
        # No sentence binds a client to say anything.
        raise NonStrict(f"it went without a word: {error}") from error
    closed = host.line.closed
    assert closed is not None
    if not closed.by_application:
        raise NonStrict(f"it went without a word: {closed.reason}")
    if not host.said("BYE"):
        stage.notes.append("it said no BYE")
