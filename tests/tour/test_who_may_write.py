"""The solution of the exercise in docs/tour/05-frame-in-a-frame.md:
a lock belongs around a frame, not around a write.
"""

from __future__ import annotations

from collections import deque

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("frame_in_a_frame").module


class LockForEachWrite(RACE.Connection):
    """Two threads never use the socket at once, and still one frame stands inside the other."""

    def __init__(self, lab):
        super().__init__(lab)
        self.writing = lab.threading.Lock()

    def write_what_fits(self, data):
        with self.writing:
            return super().write_what_fits(data)


class OneWriter(RACE.Connection):
    """Senders put frames into a queue; the one thread that writes holds no lock while it does."""

    def __init__(self, lab):
        super().__init__(lab)
        self.frames = deque()
        self.put = lab.threading.Condition()

    def send(self, frame):
        with self.put:
            self.frames.append(frame)
            self.put.notify()

    def write_next(self):
        with self.put:
            self.put.wait_for(lambda: self.frames)
            frame = self.frames.popleft()
        super().send(frame)


def one_writer(lab):
    connection = OneWriter(lab)
    RACE.scene(lab, connection)

    @lab.actor
    def writer():
        connection.write_next()
        connection.write_next()


def test_a_lock_for_each_write_lets_a_frame_into_a_frame():
    with pytest.raises(ScheduleFailed, match="the client reads"):
        explore(lambda lab: RACE.scene(lab, LockForEachWrite(lab)))


def test_one_thread_that_writes_needs_no_lock_for_it():
    assert explore(one_writer, twice=False).complete
