"""A small honest server: what it answers to each PDU, so that a client can be used with it. (spec README)"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from quicchat.tools.conform import cbor, scram
from quicchat.tools.conform.book import book
from quicchat.tools.conform.ear import Heard
from quicchat.tools.conform.host import ITERATIONS, ROOM, Account, Answer, Host, embedded, now

_MONTH: Final = 30 * 24 * 3600 * 1000
_PAGE: Final = 200
_BEFORE, _AFTER, _AROUND, _LATEST, _BETWEEN = 1, 2, 3, 4, 5

#: By the name of the PDU that is answered.
ANSWERS: Final[dict[str, Answer]] = {}


def _to(name: str) -> Callable[[Answer], Answer]:
    def enter(answer: Answer) -> Answer:
        ANSWERS[name] = answer
        return answer

    return enter


@_to("VERSION_REQUEST")
def _negotiate(host: Host, heard: Heard) -> None:
    version = max({*heard["versions"]} & {*host.house.versions}, default=0)
    respond(host, version=version, **host.house.greeting)
    if version == 0:
        host.end(book().codes["NO_COMMON_VERSION"])


def respond(host: Host, *, version: int, **fields: Any) -> None:
    """Say VERSION_RESPONSE, and speak that version from now on."""
    common = {"versions": list(host.house.versions), "time": now(), "mechanisms": ["SCRAM-SHA-256"]}
    data = host.respond({"version": version, **common, **fields})
    host.bind(data)
    # Who is told nonsense says so in version 1.
    host.version = host.manners.version = version if version in book().versions else 1


@_to("SIGNUP")
def _sign_up(host: Host, heard: Heard) -> None:
    keys = heard["salt"], heard["iterations"], heard["stored_key"], heard["server_key"]
    host.house.accounts[heard["user"]] = Account(*keys)
    host.say("OK", re=heard)


@_to("AUTH_START")
def _challenge(host: Host, heard: Heard) -> None:
    first: bytes = heard["data"]
    user = heard["user"]
    if heard["mechanism"] != "SCRAM-SHA-256" or not first.startswith(scram.GS2 + b"n=" + user.encode() + b",r="):
        host.refuse(heard, "AUTH_FAILED")
        return
    challenge(host, heard)


def challenge(host: Host, heard: Heard, *, nonce: bytes | None = None, iterations: int | None = None) -> None:
    """Say AUTH_CHALLENGE; its nonce continues the client's, unless another is given."""
    host.user = heard["user"]
    account = account_of(host, host.user)
    ours = heard["data"].rpartition(b",r=")[2] + base64.b64encode(os.urandom(12))
    parts = {b"r": nonce or ours, b"s": base64.b64encode(account.salt)}
    parts[b"i"] = b"%d" % (account.iterations if iterations is None else iterations)
    data = b",".join(key + b"=" + value for key, value in parts.items())
    host.exchange = heard["data"], data
    host.say("AUTH_CHALLENGE", re=heard, data=data)


def account_of(host: Host, user: str) -> Account:
    """Everybody may come who has the password."""
    if user not in host.house.accounts:
        salt = hashlib.sha256(user.encode()).digest()[:16]
        keys = scram.stored(scram.salted(host.house.password, salt, ITERATIONS))
        host.house.accounts[user] = Account(salt, ITERATIONS, *keys)
    return host.house.accounts[user]


def proves(host: Host, answer: bytes, binding: bytes) -> bool:
    """Whether a client-final-message proves the password, bound to this certificate and transcript."""
    first, challenged = host.exchange
    without, _, proof = answer.rpartition(b",p=")
    attributes = scram.attributes(without)
    bound = base64.b64encode(scram.GS2 + binding).decode()
    if attributes.get("c") != bound or attributes.get("r") != scram.attributes(challenged).get("r"):
        return False
    stored_key = account_of(host, host.user).stored_key
    message = b",".join((first.removeprefix(scram.GS2), challenged, without))
    signature = hmac.digest(stored_key, message, "sha256")
    found = base64.b64decode(proof)
    key = bytes(a ^ b for a, b in zip(found, signature, strict=False))
    return len(found) == len(signature) and hmac.compare_digest(hashlib.sha256(key).digest(), stored_key)


@_to("AUTH_RESPONSE")
def _admit(host: Host, heard: Heard) -> None:
    if proves(host, heard["data"], host.certificate + host.transcript):
        admit(host, heard)
    else:
        host.refuse(heard, "AUTH_FAILED")


def admit(host: Host, heard: Heard, *, proof: bytes | None = None) -> None:
    """Say AUTH_OK and who is there."""
    first, challenged = host.exchange
    message = b",".join((first.removeprefix(scram.GS2), challenged, heard["data"].rpartition(b",p=")[0]))
    right = b"v=" + base64.b64encode(hmac.digest(account_of(host, host.user).server_key, message, "sha256"))
    fields = {"user": host.user, "session": 7, "proof": right if proof is None else proof}
    if host.version > 1:
        rows = [[room, host.house.epoch, len(log), len(log)] for room, log in host.house.logs.items()]
        fields |= {"token": token(host), "expires": now() + _MONTH, "heads": rows}
    host.say("AUTH_OK", re=heard, **{**fields, **host.house.welcome})
    host.start = {room: len(log) for room, log in host.house.logs.items()}
    present(host)


def token(host: Host) -> bytes:
    """A new token for the user."""
    made = os.urandom(32)
    host.house.tokens[made] = host.user
    return made


def present(host: Host) -> None:
    """Say who is there."""
    users = [[host.user, True, ""]]
    standings: dict[str, Any] = {"standings": [[1, now()]]} if host.version > 1 else {}
    host.say("PRESENCE_SNAPSHOT", users=users, **standings)


@_to("RESUME")
def _resume(host: Host, heard: Heard) -> None:
    if heard["token"] not in host.house.tokens:
        host.refuse(heard, "TOKEN_EXPIRED")
    elif host.version < book().kinds["RESUME"].since:
        host.fail(book().codes["VERSION"])
    else:
        resumed(host, heard)


def resumed(host: Host, heard: Heard, **fields: Any) -> None:
    """Say RESUMED, and what was missed; the token is used up."""
    host.user = host.house.tokens.pop(heard["token"])
    have = {room: (epoch, seq) for room, epoch, seq in heard["have"]}
    rows: list[tuple[Any, ...]] = []
    for room, log in host.house.logs.items():
        epoch, seq = have.get(room, (host.house.epoch, len(log)))
        verdict = 0 if epoch == host.house.epoch and seq <= len(log) else 2
        rows.append((room, host.house.epoch, len(log), 0 if verdict else seq, verdict))
    rows += [(room, epoch, 0, 0, 3) for room, (epoch, _) in have.items() if room not in host.house.logs]
    places = {each["cid"]: each["seq"] for log in host.house.logs.values() for each in log}
    proof = hmac.digest(heard["token"], host.transcript, "sha256")
    usual = {"session": 7, "token": token(host), "rooms": rows, "user": host.user, "expires": now() + _MONTH}
    usual |= {"known": [[cid, places[cid]] for cid in heard["outstanding"] if cid in places], "proof": proof}
    host.say("RESUMED", re=heard, **{**usual, **fields})
    host.start = {row[0]: row[3] for row in rows}
    for room, _, head, place, _ in rows:
        for event in host.house.logs.get(room, [])[place:head][:_PAGE]:
            host.push(event)
    present(host)


@_to("PING")
def _pong(host: Host, heard: Heard) -> None:
    host.say("PONG", re=heard, nonce=heard["nonce"], time=now())


@_to("ECHO")
def _echo(host: Host, heard: Heard) -> None:
    host.say("ECHO", re=heard, data=heard["data"])


@_to("BYE")
def _bye(host: Host, heard: Heard) -> None:
    host.end(book().codes["NO_ERROR"])


@_to("STREAM_OPEN")
def _open(host: Host, heard: Heard) -> None:
    room = heard["room"]
    if heard["kind"] == 1 and room is not None:
        host.rooms[room] = heard.sid
        if (heard["have"] or 0) < host.house.head(room):
            host.say("ROOM_HEAD", room=room, epoch=host.house.epoch, head=host.house.head(room))


@_to("MSG_SEND")
def _post(host: Host, heard: Heard) -> None:
    fields = {each.name: heard[each.name] for each in book().kinds["MSG_SEND"].fields}
    post(host, heard, fields, alone=True)


@_to("MSG_SEND_MANY")
def _post_many(host: Host, heard: Heard) -> None:
    kind = book().kinds["MSG_SEND"]
    for data in heard["posts"]:
        body = cbor.load(data)
        post(host, heard, {each.name: body.get(each.key) for each in kind.fields}, alone=False)
    host.say("OK", re=heard)


def post(host: Host, heard: Heard, fields: Mapping[str, Any], *, alone: bool) -> None:
    """Store a message, tell others, acknowledge it."""
    house = host.house
    user, room = fields["user"], fields["room"] or "@" + ",".join(sorted((host.user, fields["user"])))
    if user is None and room not in house.logs:
        host.refuse(heard, "NOT_MEMBER", detail=fields["cid"])
        return
    known = next((each for each in house.logs.get(room, ()) if each["cid"] == fields["cid"]), None)
    kept = {key: value for key, value in fields.items() if key not in ("room", "user", "kind") and value is not None}
    kept |= {"room": room, "sender": host.user, "device": host.device, "kind": fields["kind"] or 1}
    event = known or house.event(**kept)
    if known is None:
        for other in house.hosts:
            if other is not host and other.state == "READY" and other.line.closed is None:
                other.push(event)
    ack: dict[str, Any] = {"cid": event["cid"], "room": room, "seq": event["seq"], "ts": event["ts"]}
    ack |= {"epoch": house.epoch} if host.version > 1 else {}
    ack |= {"dup": True} if known is not None else {}
    ack |= {"recipient": 0} if user is not None else {}
    if alone:
        host.say("MSG_ACK", re=heard, **ack)
    else:
        host.say("MSG_ACK", sid=heard.sid, **ack)


@_to("HISTORY")
def _history(host: Host, heard: Heard) -> None:
    log = host.house.logs.get(heard["room"])
    if log is None:
        host.refuse(heard, "NO_SUCH_ROOM")
        return
    page(host, heard, wanted(heard, log))


def wanted(heard: Heard, log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that HISTORY asks for."""
    anchor, limit = heard["anchor"] or 0, min(heard["limit"] or _PAGE, _PAGE)
    match heard["window"]:
        case 1:
            return log[: max(0, anchor - 1)][-limit:]
        case 2:
            return log[anchor:][:limit]
        case 3:
            begin = max(0, anchor - 1 - limit // 2)
            return log[begin : begin + limit]
        case 5:
            return log[anchor : max(anchor, heard["until"] - 1)][:limit]
    return log[-limit:]


def page(host: Host, heard: Heard, found: list[dict[str, Any]], **fields: Any) -> None:
    """Say HISTORY_R."""
    room = heard["room"]
    usual = {"room": room, "epoch": host.house.epoch, "first": 1, "head": host.house.head(room)}
    host.say("HISTORY_R", re=heard, **{**usual, "events": [embedded(each) for each in found], **fields})


@_to("TARGETS")
def _targets(host: Host, heard: Heard) -> None:
    after = heard["after"] or ""
    logs = sorted((room, log) for room, log in host.house.logs.items() if room > after)
    rows = [[room, host.house.epoch, len(log), len(log), 0, 0] for room, log in logs]
    host.say("TARGETS_R", re=heard, targets=rows, more=False)


@_to("ROOM_JOIN")
def _join(host: Host, heard: Heard) -> None:
    room = heard["room"]
    if room not in host.house.logs:
        host.refuse(heard, "NOT_MEMBER" if heard["member"] else "NO_SUCH_ROOM")
    elif not heard["member"]:
        host.refuse(heard, "FORBIDDEN")
    else:
        head = host.house.head(room)
        rest = {"read": head, "unread": 0, "mentions": 0, "members": 1, "policy": 0, "rank": 2}
        host.say("ROOM_STATE", re=heard, room=room, epoch=host.house.epoch, first=1, head=head, **rest)


def _plain(name: str, answer: str, **fields: Any) -> None:
    @_to(name)
    def tell(host: Host, heard: Heard) -> None:
        host.say(answer, re=heard, **fields)


def _never(name: str, code: str) -> None:
    ANSWERS[name] = lambda host, heard: host.refuse(heard, code)


for _name in ("PRESENCE_SET", "KEY_PUBLISH", "KEY_BACKUP", "REVOKE", "FILE_CANCEL"):
    _plain(_name, "OK")
for _name in ("ROOM_CREATE", "ROOM_LEAVE", "ROOM_SET", "INVITE", "KICK", "ROLE"):
    _never(_name, "FORBIDDEN")
_never("PASSWORD", "AUTH_FAILED")
_never("FILE_OFFER", "QUOTA")
_never("FILE_GET", "NO_SUCH_FILE")
_plain("SESSIONS", "SESSIONS", sessions=[])
_plain("SEARCH", "SEARCH_R", events=[])
_plain("ROOM_LIST", "ROOM_LIST_R", rooms=[[ROOM, 1, "", True]], more=False)
_plain("FILE_LIST", "FILE_LIST_R", files=[])
_plain("KEY_RESTORE", "KEY_RESTORE_R", generation=0, count=0, data=b"")


@_to("MEMBERS")
def _members(host: Host, heard: Heard) -> None:
    host.say("MEMBERS_R", re=heard, room=heard["room"], members=[[host.user, True, 2]], more=False)


@_to("KEY_GET")
def _keys(host: Host, heard: Heard) -> None:
    host.say("KEY_GET_R", re=heard, users=[[user, 0, b"", b"", b"", []] for user in heard["users"]])


@_to("RECEIPTS")
def _receipts(host: Host, heard: Heard) -> None:
    host.say("RECEIPTS_R", re=heard, room=heard["room"], people=[])
