"""Cases of chapter 14: what may be offered, who may read it, what is listed. (spec 14-files)"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from quicchat.tools.conform import chat, transfer
from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.case import case
from quicchat.tools.conform.cases.changes import about
from quicchat.tools.conform.leaves import Parcel, root, some
from quicchat.tools.conform.talk import Talk
from quicchat.tools.conform.transfer import fetch, name, not_given, offer, put, row, upload
from quicchat.tools.conform.verdict import Unimplemented, check, same

ALONE: Final = ("login", "files")
FILES: Final = ("other", "rooms", "files")
WHOLE: Final = "text/plain;whole"
STANDING: Final = {"WHOLE": 1, "COMING": 2, "CHANGING": 3}


@case("14.1-1", "the-id-of-a-file", *ALONE, since=2)
async def identity(bench: Bench) -> None:
    talk = await bench.uploader()
    for size in (1, 4096, 4097, 20_000):
        parcel = some(size)
        await upload(talk, parcel)
        got = await fetch(talk, parcel, leaves=True)
        same(got.data == parcel.data, True, f"whether {size} bytes came back as they went")
        same(root(size, parcel.chunk, got.leaves), parcel.id, "the id that the leaves give")


@case("14.1-3", "names-that-are-none", *ALONE, since=2)
async def names(bench: Bench) -> None:
    async def fetched(name: str) -> None:
        talk = await bench.ready()
        transfer.get(talk, name=name)
        await talk.over("SCHEMA")

    async def named(name: str) -> None:
        talk = await bench.ready()
        attached = [row(Parcel(b""), name)]
        talk.say("MSG_SEND", id=99, room="general", cid=chat.cid(), text="a word", attachments=attached)
        await talk.over("SCHEMA")

    wrong = ("../secret", "/etc/passwd", ".hidden", "..\\secret", "%2e%2e", "a\x00b", "x" * 256)
    await asyncio.gather(*(fetched(each) for each in wrong), named(wrong[0]))


# What a server shares


async def shared(talk: Talk) -> list[list[Any]]:
    """All that a server shares, page by page. Raises Unimplemented where that is nothing."""
    rows: list[list[Any]] = []
    after = None
    while True:
        found = await talk.done("FILE_LIST", limit=2, after=after)
        rows += found["files"]
        if (after := found["next"]) is None or len(rows) > 200:
            break
    if not rows:
        raise Unimplemented("this server shares nothing")
    return rows


@case("14.2-2", "what-is-shared-by-name", *ALONE, since=2)
async def shared_by_name(bench: Bench) -> None:
    rows = await shared(await bench.friend())
    found = [each[0] for each in rows]
    same(found, sorted(set(found)), "the names of what is shared")
    same([each[6:] for each in rows], [["", 0]] * len(rows), "sender and place of what is shared")


@case("14.2-5", "what-is-shared-is-what-is-listed", *ALONE, since=2)
async def shared_fetched(bench: Bench) -> None:
    talk = await bench.friend()
    small = [each for each in await shared(talk) if each[1] <= 1_000_000 and each[5] == STANDING["WHOLE"]]
    for file_name, size, _, _, file, *_ in small[:3]:
        got = await fetch(talk, name=file_name, leaves=True)
        chunk = got.headers[0]["chunk"]
        same(Parcel(got.data, chunk).id, got.headers[0]["file"], f"the id of {file_name!r}")
        same(len(got.data), size, "its size")
        check({each["name"] for each in got.headers} <= {None, file_name}, "it comes under another name")
        # As long as nobody has read it the list does not know its id.
        check(file in (b"", got.headers[0]["file"]), "the list has another id")
        await not_given(talk, "FILE_CHANGED", name=file_name, file=bytes(32))


@case("14.2-6", "what-is-not-shared", *ALONE, since=2)
async def not_shared(bench: Bench) -> None:
    talk = await bench.friend()
    await not_given(talk, "NO_SUCH_FILE", name=bench.target.name("no such file"))


@case("14.2-8", "another-next", *ALONE, since=2)
async def another_next(bench: Bench) -> None:
    talk = await bench.friend()
    await talk.refused("SCHEMA", request="FILE_LIST", after=b"\xff\x00\xfe" * 9)


@case("14.2-9", "the-files-of-a-room", *FILES, since=2)
async def of_a_room(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, none = await bench.room(one), bench.target.name("r")
    parcels = [some(100), some(200), some(300)]
    for parcel in parcels:
        await upload(one, parcel)
    first = await name(one, parcels[0], "first", room=room)
    both = [row(parcels[1], "second"), row(parcels[2], "third")]
    second = await chat.post(one, "two", room=room, kind=chat.KIND["FILE"], attachments=both)
    await chat.post(one, "long", room=room, attachments=[row(parcels[0], "", WHOLE)])
    found = await one.done("FILE_LIST", room=room, limit=1)
    listed, after = list(found["files"]), found["next"]
    same({each[0] for each in listed}, {"second", "third"}, "the files of one event, on one page")
    check(after, "there is no next page")
    listed += (await one.done("FILE_LIST", room=room, limit=1, after=after))["files"]
    same([each[7] for each in listed], [second["seq"]] * 2 + [first["seq"]], "the places, newest first")
    wanted = ["first", 100, 1_700_000_000_000, "application/pdf", parcels[0].id, STANDING["WHOLE"], one.user]
    same(listed[2][:7], wanted, "a row of the list")
    for each in (room, none):
        await other.refused("NO_SUCH_ROOM", request="FILE_LIST", room=each)


@case("14.3-11", "as-the-present-log-names-them", *FILES, since=2)
async def present_log(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, parcel, gone = await bench.room(one, other), some(), some()
    for each in (parcel, gone):
        await upload(one, each)
    ack = await name(one, gone, room=room)
    await name(one, parcel, "stays", room=room)
    await chat.post(one, "long", room=room, attachments=[row(parcel, "", WHOLE)])
    await about(one, "RETRACT", room, ack["seq"])
    found = await other.done("FILE_LIST", room=room)
    same([each[0] for each in found["files"]], ["stays"], "the files of the room")


# Offers


@case("14.3-1", "the-same-offer-again", *ALONE, since=2)
async def again(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    grant = await offer(talk, parcel)
    same((grant["have"], grant["whole"]), ([], False), "what is here of a new file")
    await put(talk, parcel, (0, 8192)).end()
    grant = await offer(talk, parcel)
    same((grant["have"], grant["whole"]), ([[0, 8192]], False), "what is here of a part")
    await put(talk, parcel, (8192, parcel.size - 8192), with_leaves=False).end()
    check((await offer(talk, parcel))["whole"], "a file that is here is not whole")


@case("14.3-1", "an-offer-that-contradicts", *ALONE, since=2)
async def contradicts(bench: Bench) -> None:
    talk, parcel = await bench.uploader(), some()
    await offer(talk, parcel)
    for other in ({"size": parcel.size + 1}, {"chunk": 8192}):
        await talk.refused("DIGEST", request="FILE_OFFER", **{**parcel.facts, **other})
    await talk.refused("DIGEST", request="FILE_OFFER", size=0, chunk=4096, file=some().id)
    many = 1_048_577 * 4096
    await talk.refused("LIMIT", "QUOTA", request="FILE_OFFER", size=many, chunk=4096, file=some().id)
    await talk.done("FILE_CANCEL", file=parcel.id)
    check((await offer(talk, Parcel(b"")))["whole"], "an empty file is not whole")


@case("14.3-2", "where-one-could-not-post", *FILES, since=2)
async def cannot_post(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, parcel = await bench.room(one), some()
    facts = parcel.facts
    for each in (room, bench.target.name("r")):
        await other.refused("NOT_MEMBER", request="FILE_OFFER", room=each, **facts)
    await other.refused("NO_SUCH_USER", request="FILE_OFFER", user=bench.target.name("nobody"), **facts)
    await other.done("ROOM_JOIN", room=room)
    await one.done("ROLE", room=room, user=other.user, rank=chat.RANK["VISITOR"])
    await other.refused("FORBIDDEN", request="FILE_OFFER", room=room, **facts)


@case("14.3-3", "a-known-id-opens-nothing", *FILES, since=2)
async def known_id(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    parcel = some()
    await upload(one, parcel)
    await not_given(other, "NO_SUCH_FILE", parcel=parcel)
    grant = await offer(other, parcel)
    same((grant["have"], grant["whole"]), ([], False), "what another one is told of a file")
    end = await put(other, parcel, (0, 4096)).end()
    check(end["missing"], "what another one brought is given to who knows the id")
    check(not (await offer(other, parcel))["whole"], "a file is whole for who brought a part of it")
    await put(other, parcel, (4096, parcel.size - 4096), with_leaves=False).end()
    same((await fetch(other, parcel)).data == parcel.data, True, "whether who brought all of it may read it")


@case("14.3-4", "who-may-read", *FILES, since=2)
async def may_read(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, private, parcel = await bench.room(one, other), await bench.room(one), some()
    await upload(one, parcel)
    same((await fetch(one, parcel)).data == parcel.data, True, "whether who uploaded it may read it")
    await name(one, parcel, room=private)
    await not_given(other, "NO_SUCH_FILE", parcel=parcel)
    await not_given(other, "NO_SUCH_FILE", parcel=some())
    ack = await name(one, parcel, room=room)
    told = await chat.told(other, ack)
    same(told["attachments"], [row(parcel)], "the attachments that are told")
    same((await fetch(other, parcel)).data == parcel.data, True, "whether a member may read it")
    check((await offer(other, parcel))["whole"], "what a user may read is not whole")
    await name(other, parcel, user=one.user)
    await other.done("ROOM_LEAVE", room=room)
    same((await fetch(other, parcel)).data == parcel.data, True, "whether who named it in another place may read it")


@case("14.3-4", "who-has-left", *FILES, since=2)
async def has_left(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, parcel = await bench.room(one, other), some()
    await upload(one, parcel)
    await name(one, parcel, room=room)
    await fetch(other, parcel)
    await other.done("ROOM_LEAVE", room=room)
    await not_given(other, "NO_SUCH_FILE", parcel=parcel)


@case("14.3-5", "what-was-taken-back", *FILES, since=2)
async def taken_back(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, parcel, added = await bench.room(one, other), some(), some()
    for each in (parcel, added):
        await upload(one, each)
    ack = await name(one, parcel, room=room)
    await about(one, "EDIT", room, ack["seq"], attachments=[row(added)])
    for each in (parcel, added):
        await fetch(other, each)
    await about(one, "RETRACT", room, ack["seq"])
    for each in (parcel, added):
        await not_given(other, "NO_SUCH_FILE", parcel=each)
    same((await other.done("FILE_LIST", room=room))["files"], [], "the files of the room")


@case("14.3-6", "more-than-is-allowed", *ALONE, since=2)
async def quota(bench: Bench) -> None:
    talk = await bench.friend()
    file = some().id
    found = await talk.patiently("FILE_OFFER", size=1 << 40, chunk=1 << 20, file=file)
    if found.pdu.name == "FILE_GRANT":
        await talk.done("FILE_CANCEL", file=file)
        raise Unimplemented("it allows more than a case can bring")
    talk.check_refusal(found, "QUOTA", "STORE_UNAVAILABLE")


@case("14.3-6", "too-many-unfinished", "signup", "files", since=2)
async def unfinished(bench: Bench) -> None:
    talk = await bench.newcomer()
    for _ in range(200):
        parcel = some(64)
        found = await talk.patiently("FILE_OFFER", **parcel.facts)
        if found.pdu.name != "FILE_GRANT":
            talk.check_refusal(found, "LIMIT", "QUOTA")
            return
    raise Unimplemented("it allows more unfinished uploads than 200")


@case("14.3-7", "an-upload-that-is-cancelled", *FILES, since=2)
async def cancelled(bench: Bench) -> None:
    one, parcel = await bench.uploader(), some()
    await one.refused("NO_SUCH_FILE", request="FILE_CANCEL", file=parcel.id)
    await offer(one, parcel)
    await put(one, parcel, (0, 8192)).end()
    await one.done("FILE_CANCEL", file=parcel.id)
    await one.refused("NO_SUCH_FILE", request="FILE_CANCEL", file=parcel.id)
    await not_given(one, "NO_SUCH_FILE", parcel=parcel)
    same((await offer(one, parcel))["have"], [], "what is here of a file after it was cancelled")
    await one.done("FILE_CANCEL", file=parcel.id)


# Files in messages


@case("6.10-4", "a-file-that-is-not-ones-own", *FILES, since=2)
async def not_own(bench: Bench) -> None:
    one, other = await bench.uploader(), await bench.friend(1)
    room, parcel = await bench.room(one, other), some()
    await upload(one, parcel)
    fields: dict[str, Any] = {"room": room, "text": "mine", "kind": chat.KIND["FILE"]}
    wrong = [*row(parcel)[:1], parcel.size + 1, *row(parcel)[2:]]
    for talk, attached in ((other, row(parcel)), (one, row(some())), (one, wrong)):
        await talk.refused("NO_SUCH_FILE", request="MSG_SEND", cid=chat.cid(), attachments=[attached], **fields)
    same(len(await chat.page(one, room)), 2, "the events of the room")


@case("6.10-5", "who-may-read-the-event", "signup", "rooms", "files", since=2)
async def readers(bench: Bench) -> None:
    one, other, third = await bench.uploader(), await bench.friend(1), await bench.friend(2)
    parcel = some()
    await upload(one, parcel)
    ack = await name(one, parcel, user=other.user)
    same((await fetch(other, parcel)).data == parcel.data, True, "whether the other side may read it")
    await not_given(third, "NO_SUCH_FILE", parcel=parcel)
    await about(one, "RETRACT", ack["room"], ack["seq"])
    await not_given(other, "NO_SUCH_FILE", parcel=parcel)


@case("6.10-7", "a-whole-text-is-here-first", *ALONE, "rooms", since=2)
async def whole_text(bench: Bench) -> None:
    talk, parcel, large = await bench.uploader(), some(), some(1_048_577, 1 << 18)
    room = await bench.room(talk)
    fields: dict[str, Any] = {"room": room, "text": "the beginning", "attachments": [row(parcel, "", WHOLE)]}
    await offer(talk, parcel)
    await talk.refused("NO_SUCH_FILE", request="MSG_SEND", cid=chat.cid(), **fields)
    # Others may be named while they are on their way.
    await name(talk, parcel, room=room)
    await put(talk, parcel).end()
    await chat.post(talk, **fields)
    await offer(talk, large)
    fields["attachments"] = [row(large, "", WHOLE)]
    await talk.refused("MSG_TOO_LARGE", "NO_SUCH_FILE", request="MSG_SEND", cid=chat.cid(), **fields)
    await talk.done("FILE_CANCEL", file=large.id)


@case("6.10-8", "a-file-message-without-a-file", *ALONE, "rooms", since=2)
async def no_file(bench: Bench) -> None:
    talk = await bench.friend()
    room = await bench.room(talk)
    fields: dict[str, Any]
    for fields in ({}, {"attachments": []}):
        fields = {"room": room, "text": "a.pdf", "kind": chat.KIND["FILE"], **fields}
        await talk.refused("SCHEMA", request="MSG_SEND", cid=chat.cid(), **fields)
