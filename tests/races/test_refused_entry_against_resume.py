"""A handler that refuses a client while that very client is coming back.

The orders: on_connect looks the user up, which takes a while; the client drops and resumes meanwhile; its
first message is there; *then* on_connect raises, since this user may not enter. Or: on_transport_restore
runs on a thread that was at hand before the hub has put the new transport on, and raises. A hub that
fences off only the transport that is on at that moment lets the message of the other one through: a
handler runs for somebody who was just turned away. Ours remembers what was fenced.
"""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.session.inbound_fence import InboundFence
from tests.contract.peers import Gate
from tests.races.stepped_hub import held_before
from tests.support import PATIENCE, Call, text


class FencesThePresentOnly(InboundFence):
    """Fences the transport that is on now, and forgets about it."""

    def attach(self, generation: int) -> int:
        with self._lock:
            self._generation = generation
            return self.handled

    def shut(self) -> None:
        self.fence(1)  # on_connect ran for the first one

    def fence(self, generation: int | None = None) -> None:
        with self._lock:
            if generation is None or generation == self._generation:
                self._generation = 0


@pytest.fixture(params=["remembers what was fenced", "fences the present transport only"])
def naive(request, monkeypatch) -> bool:
    """Each story under both; the naive one lets the message through."""
    if request.param.startswith("fences"):
        monkeypatch.setattr("resumehub.server.effect_runner.InboundFence", FencesThePresentOnly)
        return True
    return False


def test_a_message_of_the_next_transport_is_not_handled_once_on_connect_has_raised(stepped, naive):
    one, hub = stepped()
    looking_up = Gate()

    @one.hub.on_connect
    def refuse(connection) -> None:
        looking_up.hold()
        raise PermissionError("you may not")

    first = one.open()
    looking_up.wait_reached()
    again = one.resume(first)
    hub.hold()
    say_secret(again)
    looking_up.open()
    hub.wait_until_queued(c.HandlerFailed)
    one.recorder.wait_for("restore")
    if naive:
        one.recorder.wait_for("message")
    hub.let_go()

    assert again.receive_close(PATIENCE) == (1011, "handler error")
    one.recorder.wait_for("disconnect")
    assert ("message" in one.recorder.hooks()) is naive


def test_a_message_is_not_handled_once_on_transport_restore_has_raised(stepped, naive):
    """The restore runs on the thread of the drop before it, while the hub is about to attach."""
    one, hub = stepped()
    dropping = Gate()
    one.hub.on_transport_drop(dropping.hold)

    @one.hub.on_transport_restore
    def refuse(connection) -> None:
        raise PermissionError("not again")

    first = one.open()
    one.drop(first)
    dropping.wait_reached()
    hub.hold()
    with held_before(one.hub, e.AttachTransport) as attach:
        resuming = Call(lambda: one.resume(first))
        step = Call(lambda: hub.step(c.Register))
        attach.wait_reached()
        dropping.open()
        hub.wait_until_queued(c.HandlerFailed)
    step.result()
    again = resuming.result()
    say_secret(again)
    hub.let_go()

    assert again.receive_close(PATIENCE) == (1011, "handler error")
    one.recorder.wait_for("drop", count=2)
    assert ("message" in one.recorder.hooks()) is naive


def say_secret(ws) -> None:
    """Send a message, and wait until the server has read it and gone on to the ping behind it."""
    ws.send(text("n", "let me in"))
    ws.ping(b"?")
    assert ws.wait_for_pong(timeout=PATIENCE)
