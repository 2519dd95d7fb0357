"""The solution of the exercise in docs/tour/08-busy-handler.md:
many hands make a mess of an order.
"""

from __future__ import annotations

import pytest

from resumehub.testing import Random, ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("busy_handler").module


class ThreadForEachMessage(RACE.Connection):
    """The reader never waits for a handler, and handlers do not wait for each other."""

    def handle(self, message):
        super_handle = super().handle
        self.lab.threading.Thread(target=super_handle, args=(message,), name=f"thread of {message}").start()


def two_messages(lab, connection):
    """The page's scene, with two messages and a database that answers in the end."""
    RACE.scene(lab, connection, ("save 1", "save 2"))

    @lab.actor
    def database():
        connection.saved.set()


def with_a_worker(lab):
    connection = RACE.ConnectionWithAWorker(lab)
    two_messages(lab, connection)

    @lab.actor
    def worker():
        connection.do_work()
        connection.do_work()


def test_a_thread_for_each_message_handles_the_second_first():
    with pytest.raises(ScheduleFailed, match=r"\['save 2', 'save 1'\]"):
        explore(lambda lab: two_messages(lab, ThreadForEachMessage(lab)))


def test_a_worker_keeps_their_order():
    """In orders drawn by lot: five threads have too many for all."""
    explore(with_a_worker, Random(1, 100), twice=False)
