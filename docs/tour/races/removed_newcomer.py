"""A client reconnects before the server has noticed that its first socket is dead. The registry has one
entry a client, so the second socket takes it over. Then the first one's cleanup runs, and removes the
client by its id. The newcomer is connected, answers pings, and gets no message ever again.

Netflix/zuul#1280: the push registry of Netflix' gateway removed "the entry of this client id" where it
meant "my entry". The same again, among others, in boundless-xyz/boundless#2066.
"""

from __future__ import annotations

from props import Socket, Table

from resumehub.testing import explore

TITLE = "The newcomer that is removed"
SOURCES = ["Netflix/zuul#1280", "boundless-xyz/boundless#2066"]
LANES = ["ada", "thread of socket 1", "thread of socket 2", "users"]
LOOK = "remove ada"
SCHEDULE = "x001"
ERROR = "socket 2 is open, and nobody can send to ada"

# -- broken ---------------------------------------------------------------------------


class Registry:
    """Who is here: one socket for each name. Each socket is served by a thread of its own."""

    def __init__(self, lab):
        self.users = Table(lab, "users")
        self.lock = lab.threading.Lock()

    def serve(self, name, socket):
        """From the first byte to the last."""
        with self.lock:
            self.users[name] = socket
        socket.wait_until_gone()
        self.forget(name, socket)

    def forget(self, name, socket):
        with self.lock:
            self.users.pop(name)


# -- fixed ----------------------------------------------------------------------------


class RegistryThatLooks(Registry):
    """Removes an entry only if it is the one that this thread has made."""

    def forget(self, name, socket):
        with self.lock:
            if self.users.get(name) is socket:
                self.users.pop(name)


# -- scene ----------------------------------------------------------------------------


def scene(lab, registry):
    def serve(socket):
        lab.threading.Thread(target=registry.serve, args=("ada", socket), name=f"thread of {socket}").start()

    old, new = Socket(lab, "socket 1"), Socket(lab, "socket 2")
    serve(old)
    lab.run_until_idle()

    @lab.actor
    def ada():
        serve(new)
        old.hang_up()

    @lab.at_end
    def she_can_be_reached():
        assert registry.users.snapshot() == {"ada": new}, "socket 2 is open, and nobody can send to ada"


def broken(lab):
    scene(lab, Registry(lab))


def fixed(lab):
    scene(lab, RegistryThatLooks(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
