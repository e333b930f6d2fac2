"""Mutants of chapters 1 and 2: versions, frames, raw bytes, and what of CBOR is legal."""

from __future__ import annotations

from typing import Any

import cbor2

from quicchat.errors import Code, RemoteProtocolError
from quicchat.protocol import judgement
from quicchat.protocol.channels import Channel, Channels
from quicchat.protocol.conduct import Conduct
from quicchat.protocol.connection import Connection
from quicchat.server import router
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.services.history import HistoryService
from quicchat.transport.quic import QuicLink
from quicchat.wire import cbor, codec, frame
from quicchat.wire.frame import FrameReader
from quicchat.wire.grease import Grease
from tests.mutants.catalogue.framing import parsing
from tests.mutants.mutant import fault, mutant, swap

# Chapter 1

fault(
    "1.2-1/newer-fields-are-sent",
    "What is sent to a client of version 1 has the fields of version 2.",
    (
        codec._plan,
        "each.type.pack, each.optional) for each in fields)",
        "each.type.pack, each.optional) for each in spec.fields)",
    ),
    kills=("1.2-1/*",),
)
fault(
    "1.2-2/newer-types-are-known",
    "A type of version 2 is known in version 1.",
    (codec.decode, " or cls.SPEC.since > found", ""),
    kills=("1.2-2/newer-types-are-unknown", "1.2-2/READY.*"),
)
fault(
    "1.2-3/nothing-for-version-1",
    "Events do not reach a client of version 1.",
    (router._encoded, "if version > 1 else effect.older", "if version > 1 else None"),
    kills=("1.2-3/*",),
)
fault(
    "1.3-1/control-is-stream-0",
    "Only stream 0 is taken for the control stream.",
    (Channels.dedicate, "self.control is None", "self.control is None and channel.sid == 0"),
    kills=("1.3-1/*",),
)
fault(
    "1.3-2/malformed-datagrams-are-fatal",
    "A datagram that comes to nothing ends the connection.",
    (Connection.receive, "self.conduct.drop(now)", 'raise RemoteProtocolError(Code.DECODE, "a datagram")'),
    kills=("1.3-2/Q17-*",),
)
fault(
    "1.3-2/anything-in-a-datagram",
    "A request in a datagram is served.",
    (judgement.ephemeral, "Via.DATAGRAM in pdu.SPEC.via and ", ""),
    kills=("1.3-2/Q17-dropped-in-ready",),
)
fault(
    "1.3-2/no-flood-is-noticed",
    "However many datagrams come to nothing, nobody minds.",
    (Conduct.drop, "self._flood > FLOOD", "False"),
    kills=("1.3-2/too-many-datagrams",),
)
fault(
    "1.3-3/close-of-the-transport",
    "Connections are closed with a code of QUIC.",
    (QuicLink.close, "self._quic.close(code, ", "self._quic.close(code, 0, "),
    kills=("1.3-3/*",),
)

# 2.1 Frames

fault(
    "2.1-1/long-lengths",
    "Lengths are written in two bytes or more.",
    (frame.varint, "if value < 0x40:", "if False:"),
    kills=("2.1-1/*",),
)
fault(
    "2.1-2/whole-or-not-at-all",
    "A frame that is cut is thrown away.",
    (FrameReader.feed, "if not end:\n", "if not end:\n                at = len(buffer)\n"),
    kills=("2.1-2/cut-anywhere",),
)
fault(
    "2.1-2/one-frame-at-a-time",
    "Of what comes at once the first frame is taken, the others when more comes.",
    (
        FrameReader.feed,
        "yield Raw(piece) if is_raw else piece",
        "yield Raw(piece) if is_raw else piece\n            if not is_raw:\n                break",
    ),
    kills=("2.1-2/many-in-one",),
)
fault(
    "2.1-2/shortest-lengths-only",
    "A length that is longer than it need be is refused.",
    (FrameReader._frame, "if length == 0:", "if prefix != len(varint(length)):"),
    kills=("2.1-2/length-in-2-bytes", "2.1-2/length-in-4-bytes", "2.1-2/length-in-8-bytes"),
)
fault(
    "2.1-2/too-short-to-be-a-pdu",
    "Frames of a few bytes are passed over.",
    (
        Connection._take,
        "control = self._channels.control",
        "if len(payload) < 12:\n        return\n    control = self._channels.control",
    ),
    kills=("2.1-2/length-in-*",),
)
fault(
    "2.1-3/below-the-limit",
    "A frame of exactly the limit is too large.",
    (FrameReader._frame, "length > self.limit", "length >= self.limit"),
    kills=("2.1-3/limit-is-legal",),
)
fault(
    "2.1-4/empty-frames-are-passed-over",
    "A frame of length 0 is passed over.",
    (FrameReader._frame, "if length == 0:", "if False:"),
    (
        Connection._take,
        "control = self._channels.control",
        "if not payload:\n        return\n    control = self._channels.control",
    ),
    kills=("2.1-4/*",),
)
fault(
    "2.1-6/control-may-end-anywhere",
    "A control stream that ends within a frame has ended in order.",
    (Connection._receive_end, "elif code is None and channel.reader.pending:", "elif False:"),
    kills=("2.1-6/W5-control*",),
)
fault(
    "2.1-6/others-may-end-anywhere",
    "Another stream that ends within a frame has ended in order.",
    (Channels.end, "elif channel.reader.pending:", "elif False:"),
    kills=("2.1-6/W5-another-stream",),
)
fault(
    "2.1-7/pages-of-any-size",
    "A page holds as many events as were asked for, however long they are.",
    (HistoryService.history, "budget=_BUDGET", "budget=1 << 30"),
    kills=("2.1-7/pages-*",),
)
fault(
    "2.1-7/frames-of-any-size",
    "What is pushed is as long as it is.",
    (
        MemoryLog.append,
        " or len(body := encode_body(message, version=2)) > BODY_BYTES",
        " or not (body := encode_body(message, version=2))",
    ),
    kills=("2.1-7/a-message-*",),
)

# 2.2 CBOR

fault(
    "2.2-1/another-code",
    "What is not well-formed is refused with SCHEMA.",
    (codec.parse, 'Code.DECODE, f"not well-formed', 'Code.SCHEMA, f"not well-formed'),
    kills=(
        "2.2-1/W[69]-*",
        "2.2-1/W10-*",
        "2.2-1/W17-*",
        "2.2-1/before-negotiation",
        "2.2-1/on-a-query-stream",
        "2.2-2/W13-*",
        "2.2-2/W12-[1-9]*",
    ),
)
fault(
    "2.2-1/no-map",
    "An item that is no map is refused with SCHEMA.",
    (codec.parse, 'Code.DECODE, "the item is not a map"', 'Code.SCHEMA, "the item is not a map"'),
    kills=("2.2-1/W7-*",),
)
fault(
    "2.2-1/any-keys",
    "Keys may be anything.",
    (codec._check_map, "if type(key) is not int or key < 0:", "if False:"),
    kills=("2.2-1/W17-[!b]*-key", "2.2-1/W17-bytes-key"),
)
fault(
    "2.2-1/any-number-of-pairs",
    "Maps may have as many pairs as they like.",
    (codec._check_map, "len(item) > MAX_PAIRS", "False"),
    (cbor.plain, "len(each) > MAX_PAIRS", "False"),
    kills=("2.2-1/W17-65-pairs-of-a-body", "2.5-6/W17-65-pairs"),
)
fault(
    "2.2-1/a-pair-less",
    "A map of exactly the limit is too large.",
    (codec._check_map, "len(item) > MAX_PAIRS", "len(item) >= MAX_PAIRS"),
    kills=("2.2-1/most-pairs-are-legal",),
)
fault(
    "2.2-1/no-negative-numbers",
    "An extension may hold no negative numbers.",
    (cbor.plain, "if not -UINT64 - 1 <= each <= UINT64:", "if not 0 <= each <= UINT64:"),
    kills=("2.2-1/whole-profile-is-legal",),
)


fault(
    "2.2-1/a-level-less",
    "What is nested as deep as may be is too deep.",
    (codec._extra, "MAX_DEPTH - 2", "MAX_DEPTH - 3"),
    kills=("2.2-1/deepest-is-legal",),
)


@mutant("2.2-3/deterministic-only", "2.2-3/*-in-*-bytes", "2.2-3/long-*", "2.2-3/*keys-out-of-order")
def deterministic() -> None:
    """Nothing is taken that is not in the shortest form."""

    def make(parse: Any) -> Any:
        def found(data: bytes) -> Any:
            item = parse(data)
            if cbor2.dumps(item, canonical=True) != data:
                raise RemoteProtocolError(Code.DECODE, "not in the shortest form")
            return item

        return found

    swap(codec, "parse", make)


fault(
    "2.2-3/keys-descending",
    "Bodies are written with the last key first.",
    (codec._pack, 'len(pairs)) + b"".join(pairs)', 'len(pairs)) + b"".join(reversed(pairs))'),
    kills=("2.2-3/own-form",),
)


@mutant("2.5-6/texts-of-any-bytes", "2.5-6/*W18*")
def any_texts() -> None:
    """What is no UTF-8 is replaced."""
    parsing(str_errors="replace")


fault(
    "2.5-6/floats-in-extensions",
    "An extension may hold what the profile excludes.",
    (codec._extra, "if not plain(value, MAX_DEPTH - 2):", "if False:"),
    kills=("2.5-6/W19-*",),
)
fault(
    "2.5-7/nothing-is-sprinkled",
    "Nothing is sprinkled in.",
    (Grease.due, "return self.sprinkles and ", "return False and "),
    (Connection._move, "if self._grease.sprinkles and control is not None:", "if False:"),
    kills=("2.5-7/*",),
)

# 2.6 Raw bytes

fault(
    "2.6-1/raw-to-the-end-of-the-packet",
    "What comes in one packet with raw bytes is raw too.",
    (FrameReader._raw, "min(at + self.raw, len(self._buffer))", "len(self._buffer)"),
    (FrameReader.feed, "self.raw -= len(piece)", "self.raw = max(0, self.raw - len(piece))"),
    kills=("2.6-1/all-in-one", "2.6-1/cut-anywhere"),
)
fault(
    "2.6-1/raw-zeros-are-frames",
    "Raw bytes that begin with a zero are an empty frame.",
    (
        FrameReader._raw,
        "return at, ",
        'if not self._buffer[at]:\n        raise RemoteProtocolError(Code.DECODE, "an empty frame")\n    return at, ',
    ),
    (
        FrameReader.feed,
        "        if data:\n            yield",
        "        if data:\n            if not data[0]:\n"
        '                raise RemoteProtocolError(Code.DECODE, "an empty frame")\n            yield',
    ),
    kills=("2.6-1/bytes-that-look-like-frames",),
)
fault(
    "2.6-3/overrun-is-fatal",
    "More raw bytes than were announced end the connection.",
    (Connection.receive, "if not (isinstance(event, Bytes) and self._channels.overran(event.sid)):", "if True:"),
    kills=("2.6-3/*",),
)
fault(
    "2.6-4/cut-off-with-another-code",
    "Fewer raw bytes than were announced are DECODE.",
    (Channels.end, "self.drop(channel, Code.DIGEST)", "self.drop(channel, Code.DECODE)"),
    kills=("2.6-4/*",),
)
fault(
    "2.6-5/refused-among-raw-bytes",
    "A refusal is written among the raw bytes that are due.",
    (Connection._take, "if channel.owed:", "if False:"),
    (Channel.announce, "if self.owed:", "if False:"),
    kills=("2.6-5/*",),
)
