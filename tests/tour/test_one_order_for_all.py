"""The solution of the exercise in docs/tour/06-leave-during-broadcast.md:
a room's messages have one order for all.
"""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("leave_during_broadcast").module


class RoomWithAnOrder(RACE.RoomThatCopies):
    """One broadcast after the other. Joining and leaving do not wait for them."""

    def __init__(self, lab):
        super().__init__(lab)
        self.order = lab.threading.Lock()

    def broadcast(self, text):
        with self.order:
            super().broadcast(text)


class RoomWithOutboxes(RoomWithAnOrder):
    """What a broadcast does under the lock must not wait for a member: it puts the text into an outbox."""

    def write(self, name, received, text):
        received.append(text)


def two_broadcasts(room_type):
    def scenario(lab):
        room = room_type(lab)

        @lab.actor
        def first():
            room.broadcast("1")

        @lab.actor
        def second():
            room.broadcast("2")

        @lab.at_end
        def they_agree():
            orders = list(room.members.values())
            assert orders[1:] == orders[:-1], f"the members have read {orders}"

    return scenario


def a_slow_line(room_type):
    """Somebody stands in the middle of a write to Bob. Whether another broadcast goes through meanwhile."""

    def scenario(lab):
        room = room_type(lab)

        @lab.actor
        def first():
            room.broadcast("1")

        @lab.actor
        def second():
            room.broadcast("2")

        with lab.hold("first: write to bob"):
            lab.play()
            assert "2" in room.members["ada"], "the second one waits for Bob's line"

    return scenario


def test_a_copy_alone_gives_each_member_an_order_of_its_own():
    with pytest.raises(ScheduleFailed, match="the members have read"):
        explore(two_broadcasts(RACE.RoomThatCopies))


@pytest.mark.parametrize("room_type", [RoomWithAnOrder, RoomWithOutboxes])
def test_a_lock_for_each_room_gives_one_order_to_all(room_type):
    assert explore(two_broadcasts(room_type), twice=False).complete


def test_under_that_lock_a_slow_member_holds_up_everybody():
    with pytest.raises(ScheduleFailed, match="waits for Bob's line"):
        explore(a_slow_line(RoomWithAnOrder))


def test_unless_only_outboxes_are_filled_under_it():
    explore(a_slow_line(RoomWithOutboxes))
