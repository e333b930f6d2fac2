"""Cases of 11.4 for clients: what others say must not reach the terminal as it came. (spec 11-security)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.book import book
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.honest import respond
from quicchat.tools.conform.host import OTHER, ROOM, Host
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed

#: What must not come out as it went in: escape sequences, C0 and C1 controls, overrides of the direction.
DANGEROUS: Final = {
    "colour": "\x1b[31mqc\x1b[0m",
    "title": "\x1b]0;qc-owned\x07",
    "title-by-c1": "\x9d0;qc-owned\x9c",
    "csi-by-c1": "\x9b31mqc",
    "clear": "\x1b[2Jqc\x1b[1;1H",
    "clipboard": "\x1b]52;c;cWM=\x07",
    "answerback": "\x1b[6nqc\x05",
    "return": "qc-visible\rqc-hidden",
    "backspace": "qc\b\b\b\bxx",
    "bell": "qc\x07qc",
    "override": "qc\u202eevil\u202c",
    "isolate": "qc\u2066evil\u2069",
    "separator": "qc\u2028qc\u2029qc",
    "delete": "qc\x7fqc",
}


def _raw(stage: Stage, screen: bytes) -> None:
    for name, text in DANGEROUS.items():
        if text.encode() in screen:
            raise Failed(f"what is called {name} here reached the terminal as it was: {text!r}")


async def _spared(stage: Stage, host: Host, last: str = "qc-the-end") -> None:
    """Raises Failed where one of the texts came through."""
    host.push(stage.house.event(last))
    await host.barrier()
    _raw(stage, await stage.shows(last))


@client("11.4-1", "texts")
async def texts(stage: Stage) -> None:
    host = await stage.ready()
    for number, text in enumerate(DANGEROUS.values()):
        host.push(stage.house.event(f"{number} {text}"))
    await _spared(stage, host)


@client("11.4-1", "kinds-of-messages", since=2)
async def kinds(stage: Stage) -> None:
    """As emote, notice and code, with threads and files whose names are no better."""
    host = await stage.ready()
    for kind in (2, 3, 4):
        for text in DANGEROUS.values():
            host.push(stage.house.event(text, kind=kind, topic=text[:60]))
    for text in DANGEROUS.values():
        host.push(stage.house.event(text, kind=11))
    await _spared(stage, host)


@client("11.4-1", "errors")
async def errors(stage: Stage) -> None:
    refused: list[str] = []

    def refuse(host: Host, heard: Heard) -> None:
        text = [*DANGEROUS.values()][len(refused)]
        refused.append(text)
        host.refuse(heard, "FORBIDDEN", text, detail=heard["cid"])

    host = await stage.ready(MSG_SEND=refuse)
    for number, name in enumerate(DANGEROUS):
        stage.say(f"say {name}")
        await host.until(lambda number=number: len(refused) > number or None, "MSG_SEND")  # type: ignore[misc]  # the default binds it now
        host.say("ERROR", code=book().codes["INTERNAL"], text=DANGEROUS[name])
    await _spared(stage, host)


@client("11.4-1", "welcome-and-versions")
async def welcome(stage: Stage) -> None:
    stage.house.welcome = {"welcome": " ".join(DANGEROUS.values())}
    stage.house.greeting = {"node": "qc\x1b[31m", "mechanisms": ["SCRAM-SHA-256", "\x1b[31mqc\x1b[0m"]}
    host = await stage.ready()
    await _spared(stage, host)


@client("11.4-1", "people", since=2)
async def people(stage: Stage) -> None:
    host = await stage.ready()
    for text in DANGEROUS.values():
        host.say("PRESENCE", user=OTHER, show=2, status=text, address=text, reason=text)
        host.say("PRESENCE", user=OTHER, show=0, reason=text)
        host.say("ROOM_STATE", room=ROOM, topic=text, epoch=1, first=1, head=0)
    await _spared(stage, host)


@client("11.4-1", "goodbye", since=2)
async def goodbye(stage: Stage) -> None:
    host = await stage.ready()
    text = " ".join(DANGEROUS.values())
    host.say("GOAWAY", code=book().codes["DRAINING"], reason=text, alternatives=[text])
    await host.barrier()
    host.end(book().codes["DRAINING"], text)
    await host.gone()
    again = await stage.ready()
    again.fail(book().codes["OVERLOADED"], text)
    again = await stage.ready()
    await _spared(stage, again)


@client("11.4-1", "the-end")
async def end(stage: Stage) -> None:
    """An end for good: what the program prints last."""
    host = await stage.ready()
    host.fail(book().codes["SCHEMA"], " ".join(DANGEROUS.values()))
    await stage.ended(2)
    _raw(stage, await stage.shows(""))


@client("11.4-1", "refused-versions")
async def versions(stage: Stage) -> None:
    text = " ".join(DANGEROUS.values())

    def no(host: Host, heard: Heard) -> None:
        respond(host, version=0, versions=[9], node=text[:60])
        host.fail(book().codes["NO_COMMON_VERSION"], text)

    host = await stage.guest(VERSION_REQUEST=no)
    await host.gone()
    await stage.ended(2)
    _raw(stage, await stage.shows(""))


@client("11.4-3", "letters-with-many-marks")
async def marks(stage: Stage) -> None:
    host = await stage.ready()
    host.push(stage.house.event("qc-marked a" + "\u0301\u0302\u0303\u0304" * 10 + "b"))
    host.push(stage.house.event("qc-behind"))
    screen = (await stage.shows("qc-behind")).decode(errors="replace")
    longest = run = 0
    for each in screen:
        run = run + 1 if "\u0300" <= each <= "\u036f" else 0
        longest = max(longest, run)
    if longest > 5:
        raise Failed(f"it showed a letter with {longest} marks")


@client("11.4-2", "a-user-who-speaks-like-the-server", informational=True)
async def posing(stage: Stage) -> None:
    host = await stage.ready()
    host.push(stage.house.event("[SERVER] qc-restarts in five minutes"))
    screen = (await stage.shows("qc-restarts")).decode(errors="replace")
    line = next(each for each in screen.splitlines() if "qc-restarts" in each)
    stage.notes.append(f"it looks like this: {''.join(each for each in line if each.isprintable())}")


_NOT_NAMES: Final[tuple[dict[str, Any], ...]] = (
    {"sender": "a\x1b[31m"},
    {"sender": "\u202eb"},
    {"room": "gen\x07eral"},
)


def _name(number: int, fields: dict[str, Any]) -> None:
    @client("2.4-1", f"a-name-that-is-none-{number}", since=2)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        host.say("MSG", **{**stage.house.event("qc-no-name"), **fields})
        await host.fatal("SCHEMA")
        stage.hides("qc-no-name")


for _number, _fields in enumerate(_NOT_NAMES, 1):
    _name(_number, _fields)
