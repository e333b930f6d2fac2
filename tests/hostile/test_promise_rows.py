"""Rows P: what quicchat promises, whatever a client does to break it; the pair checks P1 and P3 in every row."""

from __future__ import annotations

import asyncio
import itertools
import os

import pytest

from quicchat.tools.conform.bench import Bench
from quicchat.tools.conform.talk import Talk
from tests.hostile.arena import Arena
from tests.hostile.bystander import seq_and_text


@pytest.mark.choice
def test_p2_p5_resends(arena: Arena) -> None:
    """P1, P2, P3, P4, P5: twenty messages, each sent three times from two sessions at once, by clients that vanish:
    each is there once, in the order in which its device said it, and all members see one order.
    """
    ids = [os.urandom(16) for _ in range(20)]

    async def attack(bench: Bench) -> None:
        reader = await bench.ready(1)
        first = await bench.ready(0)
        room = await bench.room(first, reader)
        acked: dict[bytes, int] = {}

        async def storm(talk: Talk) -> None:
            for number, each in enumerate(ids):
                talk.say("MSG_SEND", id=1_000 + number, room=room, cid=each, text=f"{number}")
            for number in range(len(ids)):
                found = await talk.answer(1_000 + number)
                seq = acked.setdefault(found["cid"], found["seq"])
                assert seq == found["seq"]

        talks = [await bench.ready(0) for _ in range(2)]
        await asyncio.gather(*map(storm, talks))
        for talk in talks:
            talk.line.drop()
        await storm(await bench.ready(0))
        assert list(acked) == sorted(acked, key=lambda each: acked[each])
        page = await reader.done("HISTORY", room=room, window=2, anchor=0, limit=200)
        log = dict(map(seq_and_text, page["events"]))
        assert sorted(log) == list(range(1, len(log) + 1))
        said = [text for _, text in sorted(log.items()) if text.isdigit()]
        assert said == [str(number) for number in range(len(ids))]
        await reader.hear("MSG", lambda each: each["room"] == room and each["seq"] == max(log))
        came = [each["seq"] for each in reader.all("MSG") if each["room"] == room]
        assert all(one < other for one, other in itertools.pairwise(came))

    arena.play(attack, users=4)


def test_p6_p7_everything_at_once(arena: Arena) -> None:
    """P6, P7, P8: after a storm of requests, streams, datagrams and vanished clients all is answered as before."""

    async def attack(bench: Bench) -> None:
        async def one(who: int) -> None:
            talk = await bench.ready(who)
            for round in range(5):
                for number in range(40):
                    sid = talk.open(2)
                    talk.say("ROOM_LIST", sid=sid, id=number)
                    talk.line.say(sid, b"", fin=True)
                    talk.whisper("TYPING", room="general", counter=number, ttl=1_000)
                await talk.barrier()
                if who == 0 and round == 2:
                    talk.line.drop()
                    return

        await asyncio.gather(*map(one, range(3)))
        await bench.ready(0)

    arena.play(attack, users=4, lag=100)
