"""The solution of the exercise in docs/tour/12-dropped-newest.md: "the oldest" that nobody writes."""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

race = TOOL._tour.Race("dropped_newest").module


class RemovesTheFirst(race.OutboxThatPushes):
    """The exercise's: a frame stays in its place while it is written."""

    def __init__(self, lab, waiting):
        super().__init__(lab, waiting)
        self.written, self.dropped = [], []

    def write_one(self):
        with self.lock:
            frame = self.waiting[0]
        self.lab.pause(f"write {frame}")
        self.written.append(frame)
        with self.lock:
            self.waiting.pop(0)

    def drop_oldest(self):
        self.dropped.append(self.waiting.pop(0))


class KeepsWhatHasBegun(RemovesTheFirst):
    """Which frame is being written begins and ends under the lock; the first that is not is dropped."""

    begun = 0

    def write_one(self):
        with self.lock:
            frame, self.begun = self.waiting[0], 1
        self.lab.pause(f"write {frame}")
        self.written.append(frame)
        with self.lock:
            self.waiting.pop(0)
            self.begun = 0

    def drop_oldest(self):
        self.dropped.append(self.waiting.pop(self.begun))


def write_and_push(outbox_type):
    def scenario(lab):
        outbox = outbox_type(lab, ["one", "two"])

        @lab.actor
        def writer():
            outbox.write_one()

        @lab.actor
        def broadcast():
            outbox.push("three")

        @lab.at_end
        def each_frame_has_one_fate():
            fates = sorted([*outbox.written, *outbox.dropped, *outbox.waiting])
            assert fates == ["one", "three", "two"], f"{outbox.written} written, {outbox.waiting} wait"
            assert outbox.dropped in ([], ["one"], ["two"]), "never the newest"
            if outbox.dropped == ["two"]:
                assert outbox.written == ["one"], "dropped only because the older one was being written"

    return scenario


def test_removing_the_first_removes_one_that_was_not_written():
    """And the one that was written counts as dropped."""
    with pytest.raises(ScheduleFailed, match="written"):
        explore(write_and_push(RemovesTheFirst))


def test_what_has_begun_is_kept_in_every_order():
    assert explore(write_and_push(KeepsWhatHasBegun)).complete
