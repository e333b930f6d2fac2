"""Flights: full packets of one bulk stream, without asking for each what else it might carry. (spec 13-transport)"""

from __future__ import annotations

from typing import Final

from aioquic.buffer import encode_uint_var, size_uint_var
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import PACKET_FIXED_BIT, QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicSentPacket
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

#: A STREAM frame that tells its offset and its length.
FRAME: Final = QuicFrameType.STREAM_BASE | 4 | 2
#: Bytes of a packet number, and of the length of a frame.
NUMBER: Final = 2
LENGTH: Final = 2


class Flight:
    """What all packets of one flight have in common: where they go, and how much of the stream each takes."""

    def __init__(self, stream: QuicStream, crypto: CryptoPair, cid: bytes, spin_bit: bool, size: int) -> None:
        assert stream.stream_id is not None
        self._stream = stream
        self._crypto = crypto
        self._header = bytes((PACKET_FIXED_BIT | spin_bit << 5 | crypto.key_phase << 2 | NUMBER - 1,)) + cid
        self._frame = bytes((FRAME,)) + encode_uint_var(stream.stream_id)
        # An offset may be longer than it need be (RFC 9000 section 16): all are as long as the last.
        self._width = size_uint_var(stream.sender._buffer_stop)
        overhead = len(self._header) + NUMBER + crypto.aead_tag_size + len(self._frame) + self._width + LENGTH
        #: Bytes of the stream in each packet.
        self.load = size - overhead

    def count(self, upto: int) -> int:
        """How many packets can be filled, with what comes next of the stream and lies before an offset."""
        pending = self._stream.sender._pending
        return (min(pending[0].stop, upto) - pending[0].start) // self.load if len(pending) else 0

    def fill(self, builder: QuicPacketBuilder, count: int) -> int:
        """Make so many packets; how many bytes of the stream left for the first time."""
        sender, load, width = self._stream.sender, self.load, self._width
        start = offset = sender._pending[0].start
        stop = start + count * load
        mark = (width.bit_length() - 1) << 8 * width - 2
        length = (load | 0x4000).to_bytes(LENGTH, "big")
        frame, header, encrypt, number = self._frame, self._header, self._crypto.encrypt_packet, builder._packet_number
        data = memoryview(sender._buffer)[start - sender._buffer_start : stop - sender._buffer_start]
        for at in range(0, count * load, load):
            plain = b"".join((frame, (offset | mark).to_bytes(width, "big"), length, data[at : at + load]))
            sealed = encrypt(header + (number & 0xFFFF).to_bytes(NUMBER, "big"), plain, number)
            told = [(sender.on_data_delivery, (offset, offset + load, False))]
            packet = QuicSentPacket(
                Epoch.ONE_RTT, True, True, False, number, QuicPacketType.ONE_RTT, None, len(sealed), told, []
            )
            builder._packets.append(packet)
            builder._datagrams.append(sealed)
            builder._flight_bytes += len(sealed)
            builder._total_bytes += len(sealed)
            offset += load
            number += 1
        data.release()
        builder._packet_number = number
        sender._pending.subtract(start, stop)
        fresh = max(0, stop - sender.highest_offset)
        sender.highest_offset += fresh
        return fresh
