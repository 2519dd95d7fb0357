"""A client reads slowly, and its outbox is full. For live data the rule is: the oldest message goes, the
newest comes in. Somebody builds that from three steps, each of which is safe: try to put; if it is full,
take one out; try again. Between the steps others do the same. Now and then a *new* message is thrown away,
and old ones stay: the client shows yesterday's price until the next one comes.

wspulse/hub v0.9.1 (it names its issue 44): three selects in a row on a Go channel had two such windows, and
the new frame was dropped in silence. A queue behind a mutex took the channel's place.
"""

from __future__ import annotations

from resumehub.testing import explore

TITLE = "The oldest goes, and the newest as well"
SOURCES = ["wspulse/hub v0.9.1"]
LANES = ["prices", "news", "outbox"]
LOOK = "put new headline"
SCHEDULE = "x0001"
ERROR = "a new message was dropped, and an old one waits"

# -- broken ---------------------------------------------------------------------------


class Outbox:
    """A queue with a bound. Each operation is safe."""

    def __init__(self, lab, waiting):
        self.lab, self.lock = lab, lab.threading.Lock()
        self.waiting, self.bound = waiting, len(waiting)

    def try_put(self, frame):
        with self.lock:
            if len(self.waiting) == self.bound:
                self.lab.note(f"outbox: no room for {frame}")
                return False
            self.waiting.append(frame)
            self.lab.note(f"outbox: put {frame}")
            return True

    def drop_oldest(self):
        with self.lock:
            self.lab.note(f"outbox: drop {self.waiting.pop(0)}")

    def push(self, frame):
        """For broadcasts, which never wait: the oldest makes room."""
        if not self.try_put(frame):
            self.drop_oldest()
            self.try_put(frame)


# -- fixed ----------------------------------------------------------------------------


class OutboxThatPushes(Outbox):
    """To make room and to use it is one operation."""

    def __init__(self, lab, waiting):
        super().__init__(lab, waiting)
        self.lock = lab.threading.RLock()  # which try_put and drop_oldest take again

    def push(self, frame):
        with self.lock:
            super().push(frame)


# -- scene ----------------------------------------------------------------------------


def scene(lab, outbox_type):
    outbox = outbox_type(lab, ["old 1", "old 2"])

    @lab.actor
    def prices():
        outbox.push("new price")

    @lab.actor
    def news():
        outbox.push("new headline")

    @lab.at_end
    def the_newest_wait():
        waiting = sorted(outbox.waiting)
        assert waiting == ["new headline", "new price"], "a new message was dropped, and an old one waits"


def broken(lab):
    scene(lab, Outbox)


def fixed(lab):
    scene(lab, OutboxThatPushes)


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
