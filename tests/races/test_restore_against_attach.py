"""A restore callback that runs before the hub has put the new transport on.

The order: on_transport_drop of a session is still running when its client comes back; the hub queues
on_transport_restore, and the thread that has just finished the drop takes it at once, before the hub gets to
the next effect, which puts the transport on. What the handler looks at, and what it sends, must be as
if the transport were there: the session is no longer suspended, and its message is the first to go out.
"""

from __future__ import annotations

import pytest

from resumehub import Message
from resumehub.core import effects as e
from resumehub.core.states import State
from resumehub.server.effect_runner import EffectRunner
from tests.contract.peers import Gate
from tests.races.stepped_hub import held_before
from tests.support import Call, read


class SaysSoWhenItIsAttached(EffectRunner):
    """The session is said to be connected once the transport is on, and not before."""

    def _notify(self, effect):
        super()._notify(effect)
        if effect.hook == "on_transport_restore":
            self._by_epoch[effect.epoch].state = State.SUSPENDED

    def _attach(self, io, session, effect):
        session.state = State.CONNECTED
        super()._attach(io, session, effect)


@pytest.mark.parametrize("effect_runner", [SaysSoWhenItIsAttached, EffectRunner])
def test_a_restore_that_is_early_finds_its_session_connected_and_its_message_goes_first(
    stage, monkeypatch, effect_runner
):
    monkeypatch.setattr("resumehub.server.hub_loop.EffectRunner", effect_runner)
    one = stage()
    dropping = Gate()
    seen = []
    one.hub.on_transport_drop(dropping.hold)

    @one.hub.on_transport_restore
    def greet(connection) -> None:
        seen.append(connection.suspended)
        connection.send(Message("welcome back"))
        one.recorder.note("greeted", connection.id, None)

    first = one.open()
    one.drop(first)
    dropping.wait_reached()
    with held_before(one.hub, e.AttachTransport) as attach:
        resuming = Call(lambda: one.resume(first))
        attach.wait_reached()
        dropping.open()
        one.recorder.wait_for("greeted")
    again = resuming.result()
    one.say("u1", "news")

    assert seen == [effect_runner is SaysSoWhenItIsAttached]
    assert read(again) == ("welcome back", None)
    assert read(again) == ("n", "news")
