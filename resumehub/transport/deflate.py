"""Inflates what a client has compressed: wsproto's permessage-deflate, with corrections and a limit.

A compressed byte can become a thousand. So no more of a message is inflated than one byte beyond what it may
have. How many messages are inflated at a time is for ``websocket.py``, which takes them one by one. The
object belongs to one transport: its reader thread inflates; the thread that writes deflates, with the
session's lock held. Read next: ``websocket.py``; ``deflate_offers.py``, on what is agreed.
"""

from __future__ import annotations

import zlib

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, RsvBits
from wsproto.frame_protocol import Opcode as WireOpcode


class Deflate(PerMessageDeflate):
    """permessage-deflate (RFC 7692), with two corrections to wsproto's own, and a limit for each message."""

    #: A message of more bytes is the failure 1009, of which no more is inflated than one byte beyond.
    limit = 0
    # How many bytes of the present message may still come out.
    _left = 0

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: WireOpcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        if opcode.iscontrol():
            # It may stand inside a compressed message, whose rest wsproto would then not inflate.
            self._inbound_is_compressible = False
            return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else RsvBits(False, False, False)
        if opcode is not WireOpcode.CONTINUATION:
            self._left = self.limit
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        return super().frame_inbound_complete(proto, fin) if self._inbound_is_compressible else None

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        assert self._decompressor is not None, "made with the header of the message's first frame"
        inflated = bytearray()
        try:
            while True:
                # 0 would mean no limit.
                inflated += self._decompressor.decompress(data, self._left - len(inflated) + 1)
                if len(inflated) > self._left:
                    return CloseReason.MESSAGE_TOO_BIG
                if not self._decompressor.eof:
                    break
                # A final block ends zlib's stream but not the message (§7.2.3.4). zlib would not inflate what
                # follows, and would keep it for ever.
                data = self._decompressor.unused_data
                self._decompressor = zlib.decompressobj(-int(self.client_max_window_bits))
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._left -= len(inflated)
        return bytes(inflated)
