"""A suspended session is closed, and its client comes back, while on_disconnect is still running.

The order: the application keeps its users in a dictionary, as everybody does: ``users[id] = connection`` in
on_connect, ``del users[id]`` in on_disconnect. A session ends; its on_disconnect takes a while; the client
connects anew. A hub that runs the callbacks of each *session* in order runs the new session's on_connect
beside the old one's on_disconnect, which then deletes the new user. Ours runs those of each *id* in order.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub.server.effect_runner import EffectRunner
from resumehub.testing import UpgradeRefused
from tests.contract.peers import Gate
from tests.core.orders import play_all
from tests.races.stepped_hub import connect_with_gap
from tests.support import PATIENCE


class OneQueueASession(EffectRunner):
    """Callbacks are put in order for each session, and not for each id."""

    def _open(self, effect) -> None:
        self._serial_queues.pop(effect.connection_id, None)
        super()._open(effect)


class Application:
    """The dictionary of users, kept as in every tutorial; on_disconnect takes its time."""

    def __init__(self, one) -> None:
        self.users = {}
        self.saving = Gate()
        self._recorder = one.recorder
        one.hub.on_connect(self.enter)
        one.hub.on_disconnect(self.leave)

    def enter(self, connection) -> None:
        self.users[connection.id] = connection
        self._recorder.note("entered", connection.id, None)

    def leave(self, connection, error) -> None:
        self.saving.hold()
        self.users.pop(connection.id, None)


def close_and_reconnect(one, end):
    """u1 is suspended and then ended; its on_disconnect has begun; a new u1 is connected."""
    app = Application(one)
    old = one.drop(one.open())
    end(one)
    app.saving.wait_reached()
    one.open()
    return app, old, one.hub.get("u1")


ENDS = {
    "closed": lambda one: one.hub.get("u1").close(),
    "kicked": lambda one: one.hub.kick("u1"),
    "expired": lambda one: one.clock.advance(30),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_serial_queue_for_each_session_deletes_the_new_user(stage, monkeypatch, end):
    monkeypatch.setattr("resumehub.server.hub_loop.EffectRunner", OneQueueASession)
    one = stage()
    app, old, _ = close_and_reconnect(one, end)
    one.recorder.wait_for("entered", count=2)
    app.saving.open()
    assert old.wait_closed(PATIENCE)
    assert app.users == {}, "the user is connected, and nobody knows"


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_serial_queue_for_each_id_keeps_the_new_user(stage, end):
    """close() has returned and the id is free at once; only the callbacks wait for each other."""
    one = stage()
    app, old, new = close_and_reconnect(one, end)
    assert (old.closed, new.closed) == (True, False)
    app.saving.open()
    one.recorder.wait_for("entered", count=2)
    assert one.recorder.hooks() == ["connect", "entered", "drop", "disconnect", "connect", "entered"]
    assert app.users == {"u1": new}


def test_a_client_that_wants_its_closed_session_back_gets_410(stage):
    one = stage()
    ws = one.open()
    one.drop(ws).close()
    with pytest.raises(UpgradeRefused, match="410"):
        one.resume(ws)


def test_a_close_that_comes_between_the_check_and_the_hub_wins(stage):
    """The resume was let in, and closed with 4100: the application has ended the session."""
    one = stage()
    connection = one.drop(one.open())
    late = connect_with_gap(one.hub, connection.close, query="resume=true")
    one.clients.append(late)
    assert late.receive_close(PATIENCE) == (4100, "session expired")
    assert connection.wait_closed(PATIENCE)


def test_the_machine_is_right_in_every_order():
    words = ("drop", "close", "connect", "resume", "expire", "send")
    assert play_all(permutations(words)) == 720
