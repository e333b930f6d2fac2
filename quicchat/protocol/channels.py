"""The streams of a connection: how many there may be, how long a frame may take, what each is for. (spec 02-framing)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from quicchat.errors import Code, LocalProtocolError
from quicchat.protocol.events import Bytes, LinkEvent, Reset, Stopped
from quicchat.protocol.limits import Limits
from quicchat.values import dataclass
from quicchat.wire.chapters.files import FileHeader
from quicchat.wire.frame import FrameReader, Raw
from quicchat.wire.registry import Pdu, Via


class Channel:
    """One stream. `via` is None until its first PDU says what the stream is for."""

    __slots__ = ("carried", "ended", "finished", "held", "owed", "reader", "sid", "via", "waiting_since")

    def __init__(self, sid: int, via: Via | None, limit: int, now: float) -> None:
        self.sid = sid
        self.via = via
        self.reader = FrameReader(limit)
        #: Whole frames that came before READY, in order.
        self.held: list[bytes] = []
        #: Whether the peer has sent its last, and whether we have; a stream is over when both are true.
        self.ended = False
        self.finished = False
        #: Raw bytes that we announced and have not sent, and whether the peer ever announced some.
        self.owed = 0
        self.carried = False
        #: When the first byte came of a frame that is not whole yet; None when there is no such frame.
        self.waiting_since: float | None = now if via is None else None

    def feed(self, data: bytes, now: float) -> Iterator[bytes | Raw]:
        """The frames completed by `data`, and raw bytes. Raises RemoteProtocolError as `FrameReader.feed`."""
        any_came = False
        for item in self.reader.feed(data):
            any_came = True
            yield item
        if any_came or self.waiting_since is None:
            self.waiting_since = now if self.reader.pending else None

    def announce(self, pdu: Pdu) -> None:
        """We are about to send a PDU, and the raw bytes that it announces. Raises LocalProtocolError(STREAM_MISUSE)."""
        if self.owed:
            raise LocalProtocolError(Code.STREAM_MISUSE, f"{self.owed} raw bytes are due first")
        if isinstance(pdu, FileHeader):
            self.owed = pdu.follows

    def announced(self, size: int) -> None:
        """The peer's next bytes on this stream are raw."""
        self.reader.raw = size
        self.carried = True


@dataclass(frozen=True, slots=True)
class Ended:
    """The peer sent the last of a stream other than control; `code` is None when it ended in order."""

    sid: int
    code: int | None = None


class Channels:
    """The streams that are open. `tell` hears of those that ended; what is to be done lies in `output`."""

    def __init__(self, limits: Limits, tell: Callable[[Ended], None]) -> None:
        self.limits = limits
        self.control: Channel | None = None
        self.output: deque[LinkEvent] = deque()
        self._tell = tell
        self._open: dict[int, Channel] = {}
        #: Given up, but the link has not been told yet: what it still reports of them is not a new stream.
        self._given_up: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, sid: int | None) -> Channel | None:
        """A stream by its id; None stands for control."""
        return self.control if sid is None else self._open.get(sid)

    def add(self, sid: int, via: Via | None, now: float) -> Channel:
        """A stream that begins now."""
        channel = Channel(sid, via, self.limits.frame, now)
        self.enter(channel)
        return channel

    def enter(self, channel: Channel) -> None:
        """A stream is open; the first that is dedicated to control is the control stream."""
        self._open[channel.sid] = channel
        if channel.via is not None:
            self.dedicate(channel, channel.via)

    def arrive(self, sid: int, now: float, *, logged_in: bool) -> Channel | None:
        """The stream on which bytes came; None for one too many, which is given up, and for one that is over."""
        channel = self._open.get(sid)
        if channel is not None:
            return None if channel.ended else channel
        if sid in self._given_up:
            return None
        if len(self._open) < (self.limits.streams if logged_in else self.limits.streams_before_login):
            return self.add(sid, None, now)
        self._give_up(sid, Code.LIMIT)
        return None

    def dedicate(self, channel: Channel, via: Via) -> None:
        """Fix what a stream is for."""
        channel.via = via
        if via is Via.CONTROL and self.control is None:
            self.control = channel

    def is_vital(self, channel: Channel) -> bool:
        """Whether the connection ends with this stream: control, or what may still become it."""
        return channel is self.control or (self.control is None and not channel.held)

    def end(self, sid: int, code: int | None) -> None:
        """The peer ended a stream: in order (None), or so that neither it nor we can go on with it."""
        channel = self._open.get(sid)
        if channel is None:
            # It was cut before its first byte came; our half of it would stay open for ever.
            if code is not None:
                self._give_up(sid, code)
        elif code is not None:
            self.drop(channel, code)
        elif channel.reader.raw:
            self.drop(channel, Code.DIGEST)
        elif channel.reader.pending:
            # After raw bytes it is more of them rather than part of a frame (hostile X4).
            self.drop(channel, Code.FRAME_TOO_LARGE if channel.carried else Code.DECODE)
        else:
            channel.ended = True
            if not channel.held:
                self.end_held(channel)

    def overran(self, sid: int) -> bool:
        """Give up a stream on which bytes came that make no sense, if some were raw: whether it was such a one."""
        channel = self._open.get(sid)
        if channel is None or not channel.carried:
            return False
        self.drop(channel, Code.FRAME_TOO_LARGE)
        return True

    def end_held(self, channel: Channel) -> None:
        """The peer's last frame of a stream has been handled."""
        if channel.via is None:
            # Nobody was ever told of it, so nobody else will finish it.
            self.finish(channel.sid)
        else:
            self._forget(channel)
            self._tell(Ended(channel.sid))

    def drop(self, channel: Channel, code: int) -> None:
        """Give up a stream, both ways."""
        del self._open[channel.sid]
        self._give_up(channel.sid, code)
        self._tell(Ended(channel.sid, code))

    def finish(self, sid: int) -> None:
        """We send no more on a stream."""
        channel = self._open.get(sid)
        if channel is not None and not channel.finished and not self.is_vital(channel):
            channel.finished = True
            self.output.append(Bytes(sid, b"", fin=True))
            self._forget(channel)

    def raw(self, sid: int, data: bytes) -> None:
        """Send raw bytes, after what announced them. Raises LocalProtocolError(STREAM_MISUSE) for too many."""
        channel = self._open.get(sid)
        if channel is None or channel.finished:
            return
        if len(data) > channel.owed:
            raise LocalProtocolError(Code.STREAM_MISUSE, f"{len(data)} raw bytes where {channel.owed} are due")
        channel.owed -= len(data)
        self.output.append(Bytes(sid, data))

    def take_held(self) -> list[tuple[Channel, list[bytes]]]:
        """The frames that came before READY, stream by stream."""
        held = [(channel, channel.held) for channel in self._open.values() if channel.held]
        for channel, _ in held:
            channel.held = []
        return held

    def drain(self) -> list[LinkEvent]:
        """What is to be done since the last call."""
        taken = list(self.output)
        self.output.clear()
        self._given_up.clear()
        return taken

    def agree(self, limits: Limits) -> None:
        """Use these limits from now on."""
        self.limits = limits
        for channel in self._open.values():
            channel.reader.limit = limits.frame

    def deadline(self) -> float | None:
        """When the first frame that was begun must be whole."""
        waiting = [channel.waiting_since for channel in self._open.values() if channel.waiting_since is not None]
        return min(waiting) + self.limits.partial if waiting else None

    def expire(self, now: float) -> bool:
        """Give up streams whose frame was not completed in time; whether a vital one was among them."""
        late = [
            channel
            for channel in self._open.values()
            if channel.waiting_since is not None and now >= channel.waiting_since + self.limits.partial
        ]
        for channel in late:
            if self.is_vital(channel):
                return True
            self.drop(channel, Code.LIMIT)
        return False

    def _forget(self, channel: Channel) -> None:
        if channel.ended and channel.finished:
            del self._open[channel.sid]

    def _give_up(self, sid: int, code: int) -> None:
        if sid not in self._given_up:
            self._given_up.add(sid)
            self.output.extend((Reset(sid, code), Stopped(sid, code)))
