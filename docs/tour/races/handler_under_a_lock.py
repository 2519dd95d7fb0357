"""A client leaves. The hub takes it out of its table, under the table's lock, and tells the application while
it still has that lock. The application has a lock of its own. Another of its threads holds that one, and
sends, for which it needs the table. Each of the two has what the other waits for. Nobody goes on, ever.

jetty/jetty.project#4462 and eclipse-vertx/vert.x#1834 called close handlers under the library's lock;
ably/ably-java#1079 tells such a meeting of two locks step by step.
"""

from __future__ import annotations

from resumehub.testing import Exhaustive, explore

TITLE = "The handler under the lock"
SOURCES = ["jetty/jetty.project#4462", "ably/ably-java#1079", "eclipse-vertx/vert.x#1834"]
LANES = ["reader_of_bob", "the hub's lock", "the game's lock", "application"]
LOOK = "have it"
SCHEDULE = "x001"
ERROR = "reader_of_bob never ends"
STRATEGY = Exhaustive(None)


class Lock:
    """A lock whose use shows in the picture."""

    def __init__(self, lab, name, kind="Lock"):
        self._lab, self._name = lab, name
        self._lock = getattr(lab.threading, kind)()

    def __enter__(self):
        self._lab.note(f"{self._name}: ask for it")
        self._lock.acquire()
        self._lab.note(f"{self._name}: have it")

    def __exit__(self, *exc):
        self._lock.release()


# -- broken ---------------------------------------------------------------------------


class Hub:
    """Clients by name, each with what was sent to it."""

    def __init__(self, lab):
        self.lock = Lock(lab, "the hub's lock")
        self.clients = {"ada": [], "bob": []}
        self.on_leave = None

    def send(self, name, text):
        with self.lock:
            if name in self.clients:
                self.clients[name].append(text)

    def leave(self, name):
        with self.lock:
            del self.clients[name]
            self.on_leave(name)


# -- fixed ----------------------------------------------------------------------------


class HubThatLetsGo(Hub):
    """Changes the table under the lock, and tells of it when the lock is free again."""

    def leave(self, name):
        with self.lock:
            del self.clients[name]
        self.on_leave(name)


# -- scene ----------------------------------------------------------------------------


class Game:
    """The application. It does what is right: its players are guarded by a lock of its own."""

    def __init__(self, lab, hub):
        self.lock = Lock(lab, "the game's lock")
        self.players = ["ada", "bob"]
        self.hub = hub
        hub.on_leave = self.player_left

    def player_left(self, name):
        with self.lock:
            self.players.remove(name)

    def move(self):
        with self.lock:
            self.hub.send("ada", "white moves")


def scene(lab, hub):
    game = Game(lab, hub)

    @lab.actor
    def reader_of_bob():
        hub.leave("bob")

    @lab.actor
    def application():
        game.move()

    @lab.at_end
    def both_have_come_through():
        assert game.players == ["ada"]
        assert hub.clients == {"ada": ["white moves"]}


def broken(lab):
    scene(lab, Hub(lab))


def fixed(lab):
    scene(lab, HubThatLetsGo(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
