"""A broadcast walks through the table of members and writes to each. A write can take its time. Meanwhile a
member's connection ends, and its own thread takes it out of the table. The walk breaks off with an exception:
whoever had a place behind gets nothing, and the caller of broadcast gets an error that is not its own.

mopidy/mopidy#1993 is this. In miguelgrinberg/python-engineio#368 and dpallot/simple-websocket-server#85 the
walk is the one that hangs up on everybody.
"""

from __future__ import annotations

from resumehub.testing import Exhaustive, explore

TITLE = "A member who leaves during a broadcast"
SOURCES = ["miguelgrinberg/python-engineio#368", "mopidy/mopidy#1993", "dpallot/simple-websocket-server#85"]
LANES = ["application", "reader_of_ada", "ada", "bob", "cleo"]
LOOK = "take ada out"
SCHEDULE = "x001"
ERROR = "dictionary changed size during iteration"
STRATEGY = Exhaustive(None)

# -- broken ---------------------------------------------------------------------------


class Room:
    """Members by name, each with what it has received."""

    def __init__(self, lab):
        self.lab = lab
        self.members = {"ada": [], "bob": [], "cleo": []}

    def broadcast(self, text):
        for name, received in self.members.items():
            self.write(name, received, text)

    def leave(self, name):
        del self.members[name]

    def write(self, name, received, text):
        self.lab.pause(f"write to {name}")
        self.lab.note(f"{name}: {text}")
        received.append(text)


# -- fixed ----------------------------------------------------------------------------


class RoomThatCopies(Room):
    """Walks through a copy. The lock is held for as long as a copy takes, and never during a write."""

    def __init__(self, lab):
        super().__init__(lab)
        self.lock = lab.threading.Lock()

    def broadcast(self, text):
        with self.lock:
            members = list(self.members.items())
        for name, received in members:
            self.write(name, received, text)  # one who has left by now does not read it: no harm is done

    def leave(self, name):
        with self.lock:
            del self.members[name]


# -- scene ----------------------------------------------------------------------------


def scene(lab, room):
    @lab.actor
    def application():
        room.broadcast("dinner is ready")

    @lab.actor
    def reader_of_ada():
        room.leave("ada")
        lab.note("take ada out of the table")

    @lab.at_end
    def who_has_stayed_has_heard():
        assert room.members == {"bob": ["dinner is ready"], "cleo": ["dinner is ready"]}


def broken(lab):
    scene(lab, Room(lab))


def fixed(lab):
    scene(lab, RoomThatCopies(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
