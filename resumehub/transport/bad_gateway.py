"""Lets a peer close with 1014, "bad gateway".

The code was registered after RFC 6455, and wsproto takes it for a breach of the protocol. Both ends use this
for the input that wsproto parses, on the thread that reads. Read next: ``websocket.py``, ``client/wire.py``.
"""

from __future__ import annotations

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from ..codes import CloseCode

_CODE = CloseCode.BAD_GATEWAY.to_bytes(2)


class BadGatewayCode(Extension):
    """Gives wsproto another code in the place of 1014; ``told`` says that the peer's was 1014.

    To wsproto it is an extension, which sees the payload of each frame without its mask. No peer hears of it.
    """

    told = False
    _closes = False

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        self._closes = opcode is Opcode.CLOSE
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if not self._closes or data[:2] != _CODE:
            return data
        self.told = True
        return CloseCode.TRY_AGAIN_LATER.to_bytes(2) + data[2:]  # any code that wsproto knows
