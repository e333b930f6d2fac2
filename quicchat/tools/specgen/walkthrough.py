"""A session in all its bytes, with a note beside each: from the first word to the last. (spec README)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from quicchat.tools.specgen import hexdump, login, tables
from quicchat.tools.specgen.hexdump import Line
from quicchat.wire import codec, frame, leaves
from quicchat.wire.chapters import accounts, files, messages, presence, rooms, session
from quicchat.wire.registry import Pdu

_TIME: Final = 1_700_000_000_000
_CID: Final = bytes(range(16, 32))
_JOINED: Final = bytes(range(32, 48))
_DEVICE: Final = bytes(range(16))
_TEXT: Final = b"The meeting begins at ten.\n"
_CHUNK: Final = 4_096
_HEAD: Final = """\
A client of version 2 comes, logs in, enters a room, says something, reads what was said, fetches a file and goes.
Every byte of the protocol is here, in the order in which it travels on each stream; QUIC's own are not. In the left
column stand the bytes, in the right one what they are; long ones stand below their note. The login is that of
`vectors/login.json`, where the arithmetic behind it can be followed.

Optional fields are left out where nothing needs them, and so is what a server may say at any time (PING, PRESENCE,
RECEIPT_EVENT). An implementation that sends the requests of this page with other ids, nonces and names, and
understands the answers with other values, has the core of the protocol.
"""


def walkthrough() -> str:
    """The page, as Markdown."""
    return "\n".join([tables.NOTICE, "# A session in bytes\n", _HEAD, *_steps()])


def _steps() -> Iterator[str]:
    yield from _login()
    yield from _talk()
    yield from _fetch()
    yield "## Leaving\n"
    yield _say("client", "control", session.Bye())
    yield "The server answers what came before, and closes the connection with NO_ERROR (0x100).\n"


def _login() -> Iterator[str]:
    found = login.example()
    yield "## Negotiation and login (3.1, 4.2)\n"
    yield "The first bidirectional stream of the client is the control stream. Both first PDUs are of version 1.\n"
    yield _bytes("client", "control", frame.wrap(bytes.fromhex(found["version_request"])))
    yield _bytes("server", "control", frame.wrap(bytes.fromhex(found["version_response"])))
    yield f"The transcript is SHA-256 over both payloads, without the lengths: `{found['transcript']}`.\n"
    start = accounts.AuthStart(mechanism="SCRAM-SHA-256", user=found["user"], data=found["auth_start"].encode())
    yield _say("client", "control", start, id=1)
    yield f"    {found['auth_start']}\n"
    yield _say("server", "control", accounts.AuthChallenge(data=found["auth_challenge"].encode()), re=1)
    yield f"    {found['auth_challenge']}\n"
    yield _say("client", "control", accounts.AuthResponse(data=found["auth_response"].encode()), id=2)
    yield f"    {found['auth_response']}\n"
    ok = accounts.AuthOk(
        user=found["user"],
        session=7,
        token=bytes(range(64, 96)),
        expires=_TIME + 2_592_000_000,
        proof=found["auth_ok"].encode(),
        heads=(("*", 1, 0, 0), ("general", 1, 3, 3)),
    )
    yield _say("server", "control", ok, re=2)
    here = presence.PresenceSnapshot(
        users=(("alice", True, ""), ("bob", True, "")),
        standings=((presence.Show.ONLINE, _TIME), (presence.Show.ONLINE, _TIME - 60_000)),
    )
    yield _say("server", "control", here)


def _talk() -> Iterator[str]:
    yield "## A room, and what is said in it (5.2, 6.1 to 6.5)\n"
    yield _say("client", "control", rooms.Join(room="garden"), id=3)
    state = rooms.RoomState(
        room="garden", epoch=1, first=1, head=2, read=2, unread=0, members=2, policy=0, rank=rooms.Rank.MEMBER
    )
    yield _say("server", "control", state, re=3)
    post = messages.Post(room="garden", cid=_CID, text="Gr\u00fc\u00dfe!", sent=_TIME)
    yield _say("client", "control", post, id=4)
    yield "MSG_ACK says that it is stored for good, at place 3. The member who is there too is sent MSG.\n"
    yield _say("server", "control", messages.Posted(cid=_CID, room="garden", seq=3, ts=_TIME + 5, epoch=1), re=4)
    said = messages.Message(
        room="garden",
        epoch=1,
        seq=3,
        cid=_CID,
        sender="alice",
        device=_DEVICE,
        kind=messages.Kind.TEXT,
        ts=_TIME + 5,
        text=post.text,
        sent=_TIME,
    )
    yield _say("server", "control", said, whom="bob's client")
    yield "He has seen it, and his client says so; nothing answers that.\n"
    yield _say("client", "control", messages.Receipt(room="garden", delivered=3, read=3), whom="bob's client")
    yield from _history(said)


def _history(said: messages.Message) -> Iterator[str]:
    yield "## A page of the log, on a query stream (3.7, 6.5)\n"
    yield "Alice's client opens another bidirectional stream, says what it is for, asks, and ends its half.\n"
    yield _say("client", "query", session.StreamOpen(kind=session.Purpose.QUERY))
    asked = messages.History(room="garden", window=messages.Window.LATEST, limit=2)
    yield _say("client", "query", asked, id=1)
    joined = messages.Message(
        room="garden",
        epoch=1,
        seq=2,
        cid=_JOINED,
        sender="alice",
        kind=messages.Kind.JOIN,
        ts=_TIME,
        text="alice joined.",
    )
    stored = tuple(codec.encode_body(each, version=2) for each in (joined, said))
    page = messages.HistoryPage(room="garden", epoch=1, first=1, head=3, events=stored)
    yield _say("server", "query", page, re=1)
    yield "Each event is the body of a MSG. The first of them:\n"
    yield _block(hexdump.body(messages.Message, stored[0]))


def _fetch() -> Iterator[str]:
    file, digests = leaves.of(_TEXT, _CHUNK)
    yield "## A file, on a stream of its own (14.4)\n"
    yield f"The server shares a file of {len(_TEXT)} bytes in one chunk. Its id is `{file.hex()}`.\n"
    yield _say("client", "file", session.StreamOpen(kind=session.Purpose.FILE))
    get = files.GetFile(name="minutes.txt", mode=files.Mode.RELIABLE, handle=1, credit=65_536, leaves=True)
    yield _say("client", "file", get, id=1)
    whole: dict[str, Any] = {"file": file, "size": len(_TEXT), "chunk": _CHUNK}
    first = files.FileHeader(**whole, range=(0, len(digests)), part=files.Part.LEAVES, name="minutes.txt")
    yield _say("server", "file", first, re=1)
    yield _block([Line(digests, "raw bytes: the leaf, SHA-256 of the only chunk")])
    yield _say("server", "file", files.FileHeader(**whole, range=(0, len(_TEXT)), part=files.Part.DATA))
    yield _block([Line(_TEXT, "raw bytes: the file")])
    yield _say("server", "file", files.FileEnd(status=0, carried=len(_TEXT)))
    yield "The server ends its half. The client had compared the leaf with the id, and the chunk with the leaf.\n"


def _say(role: str, stream: str, pdu: Pdu, *, id: int | None = None, re: int | None = None, whom: str = "") -> str:
    return _bytes(role, stream, frame.wrap(codec.encode(pdu, version=2, id=id, re=re)), whom)


def _bytes(role: str, stream: str, data: bytes, whom: str = "") -> str:
    lines = hexdump.framed(data)
    name = lines[1].note.rpartition(" ")[2]
    between = {"client": f"{whom or 'client'} to server", "server": f"server to {whom or 'client'}"}[role]
    return f"**{name}**, {between}, {stream} stream:\n\n{_block(lines)}"


def _block(lines: list[Line]) -> str:
    return f"```hexdump\n{hexdump.page(lines)}\n```\n"
