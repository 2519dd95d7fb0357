"""The hub takes something from full buffers while they are written, lost, resumed and filled.

A thread sends to two clients. Both lose their connections, and one comes back. Meanwhile the hub looks at its
buffers, which hold too much. In every order that is tried the client that comes back is told what it gets in
order, and none of it twice; and every message is in one column of the ledger (contract D6).
"""

from __future__ import annotations

import contextlib
import json

import pytest

from resumehub import ConnectionClosed, ConnectionNotFound, Message, SendBufferFull
from resumehub.testing import Lab, NothingReceived, Peer, TransportClosed, UpgradeRefused, explore
from resumehub.testing.strategies import PCT, Deepening

LOST = (TransportClosed, UpgradeRefused, NothingReceived, OSError)
GONE = (ConnectionClosed, ConnectionNotFound, SendBufferFull)


def scarce(lab: Lab) -> None:
    hub = lab.open(resume_window=10, ping_interval=None, buffer_budget=120, send_buffer=4)
    peers = {name: [lab.dial(f"/?id={name}")] for name in ("alice", "bob")}
    lab.run_until_idle()

    @lab.actor
    def sender() -> None:
        for number in range(6):
            with contextlib.suppress(*GONE):
                hub.send("alice", Message("n", number))
            hub.broadcast("lobby", Message("all", number))

    @lab.actor
    def network() -> None:
        with contextlib.suppress(*LOST):
            peers["bob"][-1].drop()
            peers["alice"][-1].drop()
            peers["alice"].append(lab.hang_up_at_end(peers["alice"][-1].resume()))

    @lab.actor
    def time() -> None:
        lab.advance(1.15)

    @lab.at_end
    def each_in_order_and_once() -> None:
        stats = hub.stats()
        columns = (stats.acknowledged, stats.written, stats.dropped, stats.expired, stats.closed, stats.held)
        assert stats.accepted == sum(columns)
        if len(peers["alice"]) > 1:
            _is_in_order(peers["alice"][-1])


def _is_in_order(peer: Peer) -> None:
    with contextlib.suppress(*LOST):
        told = [json.loads(text) for text in peer.received()]
        for event in ("n", "all"):
            payloads = [message["payload"] for message in told if message["event"] == event]
            assert payloads == sorted(set(payloads))


@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
def test_nothing_is_told_twice_or_uncounted_in_every_order_that_is_tried(share: bool) -> None:
    explore(scarce, Deepening(), max_schedules=6, share=share)
    explore(scarce, PCT(seed=3, count=5), share=share, stop_at_locks=True)
