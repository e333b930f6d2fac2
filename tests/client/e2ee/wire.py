"""What clients send, for tests of what must not leave them, or not twice."""

from __future__ import annotations

import asyncio

import pytest

from quicchat.client.requests import Requests
from quicchat.wire import codec
from quicchat.wire.chapters.messages import Post, PostMany
from quicchat.wire.registry import Pdu
from quicchat.wire.sealed import Scheme, Sealed, unpacked


class Wire:
    """All that any client sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.posts: list[Post] = []
        begin = Requests.begin

        def listening(requests: Requests, pdu: Pdu, **more: object) -> asyncio.Future[Pdu]:
            if isinstance(pdu, Post):
                self.posts.append(pdu)
            elif isinstance(pdu, PostMany):
                self.posts += [codec.decode_body(Post, body, version=2) for body in pdu.posts]
            return begin(requests, pdu, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(Requests, "begin", listening)

    def check(self) -> int:
        """No index of a session says two things; how many things were said."""
        said: dict[tuple[bytes | None, int | None], bytes] = {}
        for post in self.posts:
            body = unpacked(Sealed, post.sealed or b"")
            if body.scheme is Scheme.SENDER_KEY:
                assert said.setdefault((body.sid, body.index), post.sealed or b"") == post.sealed
        return len(said)
