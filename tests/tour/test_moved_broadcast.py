"""The solution of the exercise in docs/tour/13-message-behind-the-move.md:
a seal for each session is too small. What is one call has to be on one side of the move.
"""

from __future__ import annotations

import pytest

from resumehub.testing import Exhaustive, ScheduleFailed, explore

MEMBERS = ("ada", "bob")


class Moved(Exception):
    """The session was sealed: make the whole call again."""


class SealedRoom:
    """Its members move together. Each has a seal; a broadcast that meets one begins again behind the move."""

    def __init__(self, lab):
        self.lab = lab
        self.lock = lab.threading.Lock()
        self.changed = lab.threading.Condition(self.lock)
        self.got = {name: [] for name in MEMBERS}
        self.sealed = False

    def send(self, name, text):
        self.lab.pause(f"send to {name}")
        with self.lock:
            if self.sealed:
                raise Moved
            self.got[name].append(text)

    def broadcast(self, text):
        while True:
            try:
                for name in MEMBERS:
                    self.send(name, text)
            except Moved:
                with self.changed:
                    self.changed.wait_for(lambda: not self.sealed)
            else:
                return

    def move(self):
        with self.lock:
            self.sealed = True
        self.lab.pause("all that they got goes along")
        with self.changed:
            self.sealed = False
            self.changed.notify_all()


class RoomWithADoor(SealedRoom):
    """A broadcast goes through the door once, for all members, and the move waits until nobody is inside."""

    def __init__(self, lab):
        super().__init__(lab)
        self.inside = 0

    def broadcast(self, text):
        with self.changed:
            self.changed.wait_for(lambda: not self.sealed)
            self.inside += 1
        for name in MEMBERS:
            self.lab.pause(f"send to {name}")
            self.got[name].append(text)
        with self.changed:
            self.inside -= 1
            self.changed.notify_all()

    def move(self):
        with self.changed:
            self.sealed = True
            self.changed.wait_for(lambda: not self.inside)
        super().move()


def scene(lab, room):
    @lab.actor
    def mover():
        room.move()

    @lab.actor
    def application():
        room.broadcast("dinner")

    @lab.at_end
    def each_gets_it_once():
        assert room.got == {"ada": ["dinner"], "bob": ["dinner"]}, f"they get {room.got}"


def test_a_seal_for_each_session_gives_one_of_them_the_message_twice():
    with pytest.raises(
        ScheduleFailed, match=r"they get \{'ada': \['dinner', 'dinner'\], 'bob': \['dinner'\]\}"
    ):
        explore(lambda lab: scene(lab, SealedRoom(lab)), Exhaustive(None))


def test_behind_a_door_the_broadcast_is_wholly_before_the_move_or_wholly_behind_it():
    assert explore(lambda lab: scene(lab, RoomWithADoor(lab)), Exhaustive(None), twice=False).complete
