"""B5: compressed input stays compressed while a handler runs; what is behind it is still answered."""

from __future__ import annotations

import pytest

from resumehub.transport.base import DataReceived
from tests.contract.peers import Gate, heard_all
from tests.contract.test_b_slow_handlers import handler_is_stuck, nobody_reads, numbers
from tests.support import Stage, text
from tests.test_leader_followers import Shared

DEFLATE = "permessage-deflate"
SIZE = 60_000
PARKED = 256 * 1024
"""Bytes that may be read ahead of a busy handler (docs/reference/wire.md#limits)."""


def inflated(s: Stage) -> int:
    """How many bytes of messages the hub holds that no handler has started on."""
    (io,) = s.hub.runner.loop.transports
    assert io.session is not None
    read = sum(event.size for event in io.backlog if isinstance(event, DataReceived))
    waiting = io.session.serial_queue._calls
    return read + sum(call.size for call in waiting if call.size is not None)


@pytest.mark.contract("B5")
def test_a_few_bytes_on_the_wire_do_not_become_megabytes_in_memory(stage) -> None:
    """150 messages of 60,000 bytes come in 25 KB, while the handler of the first one does not return."""
    s, gate = stage(compression=True), Gate()
    ws = handler_is_stuck(s, gate, extensions=DEFLATE)

    with nobody_reads(s, ws, 150, SIZE):
        assert inflated(s) <= PARKED + 2 * (SIZE + 100)
        gate.open()
    s.recorder.wait_for("message", "u1", 151)

    assert numbers(s) == list(range(151))


@pytest.mark.contract("B5")
def test_a_ping_behind_compressed_messages_is_answered_while_a_handler_runs(stage) -> None:
    """It may have come with them, in one read: the reader goes on although the socket has no more."""
    s, gate = stage(compression=True), Gate()
    ws = handler_is_stuck(s, gate, extensions=DEFLATE)
    for number in range(1, 4):
        ws.send(text("n", number) + " " * SIZE)

    heard_all(ws)

    assert numbers(s) == [0]
    gate.open()
    s.recorder.wait_for("message", "u1", 4)


@pytest.mark.contract("B5")
def test_all_that_came_in_one_read_is_handled_without_further_input(stage) -> None:
    s = stage(compression=True, _runtime=Shared(eager=True))  # each callback on another thread
    ws = s.open(extensions=DEFLATE)
    for number in range(40):
        ws.send(text("n", number) + " " * SIZE)
    s.recorder.wait_for("message", "u1", 40)
    assert numbers(s) == list(range(40))
