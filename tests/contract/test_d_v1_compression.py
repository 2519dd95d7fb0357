"""D3: the token shares no compression window with what other people say."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameDecoder, RsvBits
from wsproto.frame_protocol import Opcode as WireOpcode

from resumehub import Message
from resumehub.testing import client
from tests.contract.v1_client import dial


@pytest.mark.contract("D3", "C4")
def test_control_messages_go_uncompressed_and_all_others_do_not(stage, monkeypatch) -> None:
    """RFC 7692 §6 leaves it to the sender, for each message; so also what is sent again, and around it."""
    compressed: list[bool] = []

    class Noting(client.PerMessageDeflate):
        def frame_inbound_header(
            self, proto: FrameDecoder, opcode: WireOpcode, rsv: RsvBits, payload_length: int
        ) -> object:
            if not opcode.iscontrol():
                compressed.append(rsv.rsv1)
            return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    monkeypatch.setattr(client, "PerMessageDeflate", Noting)
    s = stage(compression=True, send_buffer=2)
    peer = dial(s, extensions="permessage-deflate")
    s.say("u1", 1, 2)
    s.hub.broadcast("lobby", Message("b", 3))
    heard = [peer.read_raw()[0] for _ in range(3)]
    peer.say("one")
    s.clock.advance(2)
    heard.append(peer.read_raw()[0])
    peer.drop()
    again = peer.resume(received=1, extensions="permessage-deflate")
    heard.append("$hello")
    heard += [again.read_raw()[0] for _ in range(3)]

    assert heard == ["n", "n", "$missed", "$ack", "$hello", "n", "$missed", "$replayed"]
    assert compressed == [False, *(not event.startswith("$") for event in heard)]
