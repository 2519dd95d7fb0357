"""Scenes of the gallery, played on a real hub: what broke the programs there does not break this one.

Only those in which the application and the hub meet. For the others the pages name the tests that stand where
it is decided: in the writer, in the reader.
"""

from __future__ import annotations

import pytest

from resumehub import Message
from resumehub.testing import explore


def leave_during_broadcast(lab):
    """Race 6."""
    hub = lab.open(resume_window=0)
    ada, bob, cleo = (lab.dial(f"/?id={name}") for name in ("ada", "bob", "cleo"))

    @lab.actor
    def application():
        hub.broadcast("lobby", Message("dinner"))

    @lab.actor
    def leaver():
        ada.close()

    @lab.at_end
    def who_has_stayed_has_heard():
        assert bob.received() == cleo.received() == ['{"event":"dinner"}']


def handler_and_a_lock(lab):
    """Race 9."""
    hub = lab.open(resume_window=0)
    lock, players = lab.threading.Lock(), ["ada", "bob"]

    @hub.on_disconnect
    def player_left(connection, error):
        with lock:
            players.remove(connection.id)

    ada, bob = lab.dial("/?id=ada"), lab.dial("/?id=bob")

    @lab.actor
    def leaver():
        bob.close()

    @lab.actor
    def application():
        with lock:
            hub.send("ada", Message("move"))

    @lab.at_end
    def both_have_come_through():
        assert players == ["ada"]
        assert ada.received() == ['{"event":"move"}']


def overtaken_replay(lab):
    """Race 11."""
    hub = lab.open()
    old = lab.dial("/?id=ada")
    old.drop()
    lab.run_until_idle()
    hub.send("ada", Message("leave room 1"))
    new = []

    @lab.actor
    def client():
        new.append(old.resume())

    @lab.actor
    def application():
        hub.send("ada", Message("enter room 2"))

    @lab.at_end
    def the_client_reads_them_in_order():
        assert new[0].received() == ['{"event":"leave room 1"}', '{"event":"enter room 2"}']


@pytest.mark.parametrize("scene", [leave_during_broadcast, handler_and_a_lock, overtaken_replay])
def test_the_hub_comes_through(scene):
    assert explore(scene, twice=False).complete
