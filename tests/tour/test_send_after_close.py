"""The solution of the exercise in docs/tour/03-lost-close.md: what was accepted is written."""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

race = TOOL._tour.Race("lost_close").module


class Closed(Exception):
    """The connection is closed: the message was not accepted."""


class WithAFlag(race.ConnectionWithOneWriter):
    """Looks, and then puts: the close can come between the two."""

    def __init__(self, lab, socket):
        super().__init__(lab, socket)
        self.closed = False

    def send(self, frame):
        if self.closed:
            raise Closed
        self.outbox.put(frame)

    def close(self):
        self.closed = True
        self.outbox.put("close 1000")


class WithAFlagAndALock(WithAFlag):
    """To look and to put is one thing, for those who send and for those who close."""

    def __init__(self, lab, socket):
        super().__init__(lab, socket)
        self.lock = lab.threading.Lock()

    def send(self, frame):
        with self.lock:
            super().send(frame)

    def close(self):
        with self.lock:
            super().close()


def send_and_close(connection_type):
    def scenario(lab):
        socket = race.Socket(lab, "the socket")
        connection = connection_type(lab, socket)
        lab.threading.Thread(target=connection.write, name="writer").start()
        accepted = []

        @lab.actor
        def game():
            try:
                connection.send("one more thing")
                accepted.append("one more thing")
            except Closed:
                lab.note("told that it is too late")

        @lab.actor
        def lobby():
            connection.close()

        @lab.at_end
        def what_was_accepted_has_arrived():
            said = [*accepted, "close 1000"]
            assert socket.received == said, f"accepted and not written: {accepted}"

    return scenario


@pytest.mark.parametrize("connection", [race.ConnectionWithOneWriter, WithAFlag])
def test_without_a_flag_or_with_a_bare_one_an_accepted_message_is_lost(connection):
    with pytest.raises(ScheduleFailed, match="accepted and not written"):
        explore(send_and_close(connection))


def test_a_flag_under_a_lock_is_right_in_every_order():
    assert explore(send_and_close(WithAFlagAndALock), twice=False).complete
