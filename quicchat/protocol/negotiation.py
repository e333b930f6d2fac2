"""The negotiation: which version, which limits, and the transcript that the login is bound to. (spec 03-session)"""

from __future__ import annotations

import hashlib

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol.limits import Limits
from quicchat.values import dataclass
from quicchat.wire.chapters.session import VersionRequest, VersionResponse
from quicchat.wire.registry import VERSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What an end says of itself: the client fills `device`, the server `mechanisms` and `node`."""

    versions: tuple[int, ...] = VERSIONS
    agent: str = "quicchat"
    capabilities: tuple[int, ...] = ()
    device: bytes = bytes(16)
    mechanisms: tuple[str, ...] = ()
    node: str = ""


class Negotiation:
    """One negotiation, from either end; `version` and `peer` are None until it is over."""

    #: Both of its PDUs carry this version, whatever they agree on.
    ENVELOPE_VERSION = 1

    def __init__(self, hello: Hello, limits: Limits) -> None:
        self.hello = hello
        self.version: int | None = None
        self.limits = limits
        self.peer: VersionRequest | VersionResponse | None = None
        self._transcript = hashlib.sha256()

    @property
    def transcript(self) -> bytes:
        """SHA-256 over the payloads of both PDUs as they were sent."""
        return self._transcript.digest()

    def witness(self, payload: bytes) -> None:
        """Take a negotiation PDU, sent or received, into the transcript."""
        self._transcript.update(payload)

    def request(self, grease: int) -> VersionRequest:
        """The client's PDU, with one reserved capability."""
        return VersionRequest(
            versions=self.hello.versions,
            agent=self.hello.agent,
            capabilities=(*self.hello.capabilities, grease),
            limits=self.limits.offer(),
            device=self.hello.device,
        )

    def respond(self, request: VersionRequest, grease: int, time: int) -> VersionResponse:
        """The server's PDU: the highest common version, or 0. `time` is Unix ms."""
        offered = self.limits.offer()
        chosen = max(set(self.hello.versions) & set(request.versions), default=0)
        self.peer = request
        if chosen:
            self.version = chosen
            self.limits = self.limits.agree(request.limits)
        return VersionResponse(
            version=chosen,
            versions=self.hello.versions,
            capabilities=(*self.hello.capabilities, grease),
            limits=offered,
            time=time,
            mechanisms=self.hello.mechanisms,
            node=self.hello.node or None,
        )

    def accept(self, response: VersionResponse) -> None:
        """The client's end of it. Raises RemoteProtocolError(VERSION) for a version that was not offered."""
        self.peer = response
        if not response.version:
            return
        if response.version not in self.hello.versions:
            raise RemoteProtocolError(Code.VERSION, f"version {response.version} was not offered")
        self.version = response.version
        self.limits = self.limits.agree(response.limits)
