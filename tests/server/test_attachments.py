"""What messages may carry, as far as no store is asked."""

from __future__ import annotations

from quicchat.errors import Code
from quicchat.wire.chapters.messages import LONGEST, WHOLE, Attachments, Kind, Post, Posted
from tests.server.desk import Desk, answer, at_desk
from tests.server.stores import ALICE, FILE, SIZE, cid, refusal, upload


def test_a_message_with_files_names_one() -> None:
    """[6.10-8] [6.10-7]: SCHEMA without any; MSG_TOO_LARGE for more of a text than a message may have."""

    async def scenario(desk: Desk) -> None:
        alice = await desk.enter(ALICE)

        def said(kind: Kind, *rows: tuple[int, str]) -> Post:
            attached: Attachments = tuple((FILE, size, media_type, "", 0) for size, media_type in rows)
            return Post(room="general", cid=cid(), kind=kind, text="x", attachments=attached or None)

        assert await refusal(desk.ask(alice, said(Kind.FILE))) is Code.SCHEMA
        await upload(desk.store, ALICE)
        effects = await desk.ask(alice, said(Kind.FILE, (SIZE, "image/png")))
        assert answer(effects, Posted).seq > 0
        for kind in (Kind.TEXT, Kind.FILE):
            many = said(kind, (SIZE, "image/png"), (LONGEST + 1, WHOLE))
            assert await refusal(desk.ask(alice, many)) is Code.MSG_TOO_LARGE
        await upload(desk.store, ALICE, bytes(32), LONGEST)
        longest = Post(
            room="general", cid=cid(), text="x", attachments=((bytes(32), LONGEST, WHOLE, "", 0),), kind=Kind.CODE
        )
        assert answer(await desk.ask(alice, longest), Posted).seq > 0

    at_desk(scenario)
