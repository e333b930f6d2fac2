"""Cases of chapter 6 for clients: what the client says, once and in order. (spec 06-messages)"""

from __future__ import annotations

from typing import Final

from quicchat.tools.conform import cbor, honest
from quicchat.tools.conform.book import book
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.host import Host
from quicchat.tools.conform.stage import Stage
from quicchat.tools.conform.verdict import Failed

_OVERLOADED: Final = book().codes["OVERLOADED"]


def said(stage: Stage, *hosts: Host) -> dict[bytes, str]:
    """The texts that these connections were told, by cid."""
    kind = book().kinds["MSG_SEND"]
    found = {each["cid"]: each["text"] for host in hosts or stage.hosts for each in host.said("MSG_SEND")}
    for host in hosts or stage.hosts:
        for many in host.said("MSG_SEND_MANY"):
            for data in many["posts"]:
                body = cbor.load(data)
                found[body[kind.field("cid").key]] = body[kind.field("text").key]
    return found


@client("6.1-3", "each-message-has-its-own-cid")
async def cids(stage: Stage) -> None:
    host = await stage.ready()
    for _ in range(5):
        stage.say("the-same-again")
    await host.until(lambda: len(said(stage, host)) == 5 or None, "five messages with five cids")


@client("6.1-3", "a-retry-has-the-same-cid", since=2)
async def retry(stage: Stage) -> None:
    """The acknowledgement is lost with the connection, and the message was not stored."""
    host = await stage.ready(MSG_SEND=None, MSG_SEND_MANY=None)
    stage.say("once-and-for-all")
    await host.until(lambda: said(stage, host) or None, "MSG_SEND")
    (cid,) = said(stage, host)
    host.end(_OVERLOADED)
    again = await stage.ready()
    await again.until(lambda: said(stage, again) or None, "the message once more")
    if set(said(stage, again)) != {cid}:
        raise Failed("it sent the message again with another cid")
    if not any(cid in each["outstanding"] for each in again.said("RESUME")) and again.said("RESUME"):
        raise Failed("RESUME did not name what is outstanding")


@client("4.3-9", "what-is-known-is-not-sent-again", since=2)
async def known(stage: Stage) -> None:
    """The acknowledgement is lost with the connection, and the message was stored."""

    def store(host: Host, heard: Heard) -> None:
        fields = {name: heard[name] for name in ("room", "cid", "text", "sent") if heard[name] is not None}
        stage.house.event(**fields, sender=host.user, device=host.device)

    host = await stage.ready(MSG_SEND=store, MSG_SEND_MANY=None)
    stage.say("once-and-for-all")
    await host.hear("MSG_SEND")
    host.end(_OVERLOADED)
    again = await stage.ready()
    await again.ear.quietly(lambda: said(stage, again) or None, 1.0)
    if again.said("RESUME") and said(stage, again):
        raise Failed("it sent again what RESUMED told as stored")
    stage.notes.append("" if again.said("RESUME") else "it logged in anew")


@client("6.1-11", "what-was-said-outlives-the-program", since=2)
async def outlives(stage: Stage) -> None:
    host = await stage.ready(MSG_SEND=None, MSG_SEND_MANY=None)
    stage.say("said-before-the-end")
    await host.until(lambda: said(stage, host) or None, "MSG_SEND")
    (cid,) = said(stage, host)
    await stage.kill()
    await stage.start()
    again = await stage.ready()
    await again.until(lambda: said(stage, again) or None, "the message once more")
    if cid not in said(stage, again):
        raise Failed("it sent the message again with another cid")


@client("6.1-11", "what-is-said-without-a-connection", since=2)
async def offline(stage: Stage) -> None:
    host = await stage.ready()
    host.say("GOAWAY", code=book().codes["DRAINING"], reconnect=True, after=700)
    await host.barrier()
    host.end(book().codes["DRAINING"])
    await host.gone()
    for number in (1, 2, 3):
        stage.say(f"meanwhile-{number}")
    again = await stage.ready()
    await again.until(lambda: len(said(stage, again)) == 3 or None, "three messages")
    if list(said(stage, again).values()) != [f"meanwhile-{number}" for number in (1, 2, 3)]:
        raise Failed("it sent them in another order")


@client("6.1-12", "each-code-as-a-refusal")
async def refusals(stage: Stage) -> None:
    """Each code refuses one message: the connection goes on; what is temporary is sent again, in its time."""
    sent: dict[str, list[float]] = {}

    def refuse(host: Host, heard: Heard) -> None:
        text = heard["text"]
        sent.setdefault(text, []).append(stage.time())
        if len(sent[text]) == 1 and text in book().codes:
            host.refuse(heard, text, retry_after=300, detail=heard["cid"])
        else:
            honest.ANSWERS["MSG_SEND"](host, heard)

    host = await stage.ready(MSG_SEND=refuse)
    for name in book().codes:
        stage.say(name)
        times = 2 if name in book().temporary else 1
        try:
            await host.until(lambda name=name, times=times: len(sent.get(name, ())) >= times or None, f"{name} again")  # type: ignore[misc]  # the default binds it now
        except Failed as failed:
            raise Failed(f"{failed} ({times} time{'s' * (times > 1)} expected)") from failed
        await host.barrier()
        if times == 2 and sent[name][1] - sent[name][0] < 0.29:
            raise Failed(f"after {name} it waited {sent[name][1] - sent[name][0]:.3f} s, not 0.3")
    lasting = book().codes.keys() - book().temporary - {"SEALED_ONLY", "KEYS_STALE"}
    if again := sorted(name for name in lasting if len(sent[name]) > 1):
        raise Failed(f"it sent again what was refused for good: {', '.join(again)}")


@client("9.1-2", "a-refusal-of-what-a-client-asks-by-itself", since=2)
async def all_refused(stage: Stage) -> None:
    """Whatever is not needed for talking is refused: the client can still be used."""

    def refuse(host: Host, heard: Heard) -> None:
        host.refuse(heard, "UNSUPPORTED")

    kept = {"MSG_SEND", "MSG_SEND_MANY", "PING", "HISTORY"}
    kinds = [each.name for each in book().sent_by("client") if each.answer and each.section[0] not in "34"]
    host = await stage.ready(**{name: refuse for name in kinds if name not in kept})
    stage.say("still-here")
    await host.until(lambda: said(stage, host) or None, "MSG_SEND")
    host.push(stage.house.event("me-too"))
    await stage.shows("me-too")


@client("2.3-3", "requests-that-are-never-answered", since=2)
async def unanswered(stage: Stage) -> None:
    """Nothing comes of what the client asks: it goes on to live, and to show what is said."""
    names = [each.name for each in book().sent_by("client") if each.answer and each.section[0] not in "34"]
    host = await stage.ready(**dict.fromkeys(names))
    stage.say("into-the-void")
    await host.until(lambda: said(stage, host) or None, "MSG_SEND")
    host.push(stage.house.event("still-shown"))
    await stage.shows("still-shown")
    await host.barrier()
