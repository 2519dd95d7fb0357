"""A session goes to another process: what waits for it is copied and sent there, and from then on calls go
there, too. While the copy is on its way another thread sends. It finds the session in the old process, and
puts its message there, behind the copy. Nobody ever reads that place again.

akkadotnet/akka.net#8501, pathosDev/actor-ts#893 and apache/kvrocks#3147 are this.
"""

from __future__ import annotations

from resumehub.testing import Exhaustive, explore

TITLE = "The message behind the move"
SOURCES = ["akkadotnet/akka.net#8501", "pathosDev/actor-ts#893", "apache/kvrocks#3147"]
LANES = ["mover", "application", "old process", "new process"]
LOOK = "old process: cake"
SCHEDULE = "x01"
ERROR = "ada gets ['tea']"
STRATEGY = Exhaustive(None)

# -- broken ---------------------------------------------------------------------------


class Session:
    """What waits for one client, in the process where the session is."""

    def __init__(self, lab):
        self.lab = lab
        self.places = {"old process": [], "new process": []}
        self.home = "old process"

    def send(self, text):
        self.put(self.home, text)

    def put(self, place, text):
        self.lab.pause(f"put {text!r} into the {place}")
        self.lab.note(f"{place}: {text}")
        self.places[place].append(text)

    def move(self):
        self.carry()
        self.home = "new process"

    def carry(self):
        copy = list(self.places["old process"])
        self.lab.note(f"a copy is made, {copy}")
        self.lab.pause("the copy is on its way")
        self.lab.note(f"new process: the copy, {copy}")
        self.places["new process"] = copy


# -- fixed ----------------------------------------------------------------------------


class SessionWithASeal(Session):
    """While it moves it is sealed: who calls waits, and then makes the whole call, where it is by then."""

    def __init__(self, lab):
        super().__init__(lab)
        self.changed = lab.threading.Condition()
        self.sealed = False

    def send(self, text):
        with self.changed:  # looking it up and putting it there are one step
            self.changed.wait_for(lambda: not self.sealed)
            self.put(self.home, text)

    def move(self):
        with self.changed:  # so nobody is between the two now
            self.sealed = True
        self.carry()
        with self.changed:
            self.home = "new process"
            self.sealed = False
            self.changed.notify_all()


# -- scene ----------------------------------------------------------------------------


def scene(lab, session):
    session.places["old process"] = ["tea"]

    @lab.actor
    def mover():
        session.move()

    @lab.actor
    def application():
        session.send("cake")

    @lab.at_end
    def ada_gets_both():
        assert session.places[session.home] == ["tea", "cake"], f"ada gets {session.places[session.home]}"


def broken(lab):
    scene(lab, Session(lab))


def fixed(lab):
    scene(lab, SessionWithASeal(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
