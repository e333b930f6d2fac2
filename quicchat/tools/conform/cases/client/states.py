"""Cases of chapter 10 for clients: what a server must not say, or not now. (spec 10-states)"""

from __future__ import annotations

from typing import Any, Final

from quicchat.tools.conform.book import book, frame, write
from quicchat.tools.conform.cases.client.entry import client
from quicchat.tools.conform.host import OTHER, ROOM
from quicchat.tools.conform.stage import Stage

#: Legal fields of what a server may say in some state, and of what only clients may say.
_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "VERSION_RESPONSE": {"version": 2, "versions": [1, 2]},
    "AUTH_CHALLENGE": {"data": b"r=a,s=AAAA,i=4096"},
    "AUTH_OK": {"user": OTHER, "session": 1, "proof": b"v="},
    "RESUMED": {
        "session": 1,
        "token": bytes(32),
        "rooms": [],
        "known": [],
        "user": OTHER,
        "expires": 0,
        "proof": bytes(32),
    },
    "OK": {},
    "MSG": {"room": ROOM, "epoch": 1, "seq": 1, "cid": bytes(16), "sender": OTHER, "kind": 1, "ts": 0},
    "MSG_ACK": {"cid": bytes(16), "room": ROOM, "seq": 1, "ts": 0},
    "PRESENCE_SNAPSHOT": {"users": []},
    "ROOM_HEAD": {"room": ROOM, "epoch": 1, "head": 7},
    "HISTORY_R": {"room": ROOM, "epoch": 1, "first": 1, "head": 0, "events": []},
    "VERSION_REQUEST": {"versions": [2], "device": bytes(16)},
    "AUTH_START": {"mechanism": "SCRAM-SHA-256", "user": OTHER, "data": b""},
    "AUTH_RESPONSE": {"data": b""},
    "RESUME": {"token": bytes(32), "have": [], "outstanding": []},
    "STREAM_OPEN": {"kind": 2},
    "ROOM_JOIN": {"room": "garden"},
    "MSG_SEND": {"room": ROOM, "cid": bytes(16), "text": "x"},
    "HISTORY": {"room": ROOM, "window": 4},
    "TARGETS": {},
    "PRESENCE_SET": {"show": 1},
}
_CLIENTS: Final = tuple(name for name in _FIELDS if "server" not in book().kinds[name].by)
_OURS: Final = tuple(name for name in _FIELDS if "server" in book().kinds[name].by)


def _legal(state: str) -> set[str]:
    return {row.pdu for row in book().rows if row.state == state and row.by == "server"}


def _theirs(name: str) -> None:
    @client("10.1-3", f"{name}-from-the-server", since=book().kinds[name].since)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        host.say(name, **_FIELDS[name])
        await host.fatal("STATE")


for _name in _CLIENTS:
    _theirs(_name)


def _refused(name: str) -> None:
    @client("10.1-2", f"{name}-in-READY", since=book().kinds[name].since)
    async def run(stage: Stage) -> None:
        host = await stage.ready()
        host.say_bytes(frame(write(name, _FIELDS[name], version=host.version)))
        await host.refused("STATE")


for _name in _OURS:
    if _name not in _legal("READY"):
        _refused(_name)


def _early(state: str, at: str, name: str) -> None:
    """In STARTED and PROVING the answer to `at` is another PDU than the one that is due."""

    @client("10.1-2", f"{name}-in-{state}", since=book().kinds[name].since)
    async def run(stage: Stage) -> None:
        def answer(host: Any, heard: Any) -> None:
            known = {each.name for each in book().kinds[name].fields if each.since <= host.version}
            fields = {each: value for each, value in _FIELDS[name].items() if each in known}
            host.say_bytes(frame(write(name, fields, version=host.version)))

        host = await stage.guest(**{at: answer})
        await host.fatal("STATE")


for _state, _at in (("NEGOTIATING", "VERSION_REQUEST"), ("STARTED", "AUTH_START"), ("PROVING", "AUTH_RESPONSE")):
    for _name in _OURS:
        if _name not in _legal(_state) and (_state != "NEGOTIATING" or book().kinds[_name].since == 1):
            _early(_state, _at, _name)


@client("1.3-2", "datagram-before-the-login", since=2)
async def datagram(stage: Stage) -> None:
    """It may have overtaken the login, and is dropped."""

    def whisper(host: Any, heard: Any) -> None:
        fields = {"room": ROOM, "user": OTHER, "counter": 1, "ttl": 5000}
        host.whisper(write("TYPING", fields, version=2))
        host.say("PING", nonce=4)

    host = await stage.guest(AUTH_START=whisper)
    await host.hear("PONG")


@client("3.9-1", "datagram-that-belongs-on-a-stream", since=2)
async def misplaced(stage: Stage) -> None:
    host = await stage.ready()
    host.whisper(write("MSG", {**_FIELDS["MSG"], "text": "whispered-words"}, version=2))
    host.whisper(write("GOAWAY", {"code": book().codes["DRAINING"]}, version=2))
    host.whisper(write("ERROR", {"code": book().codes["INTERNAL"], "fatal": True}, version=2))
    await host.barrier()
    stage.hides("whispered-words")


@client("3.7-3", "typing-on-a-stream", since=2)
async def typing(stage: Stage) -> None:
    host = await stage.ready()
    host.say("TYPING", room=ROOM, user=OTHER, counter=1, ttl=5000)
    await host.refused("STREAM_MISUSE")
