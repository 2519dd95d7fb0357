"""The toy hub of docs/tour/ works, in every order that the lab tries, and over real sockets; and it has the
race that its page says it has.
"""

from __future__ import annotations

import queue
import socket
import threading

import pytest

from resumehub.testing import Deepening, ScheduleFailed, explore
from tests.test_docs_generated import TOOL

TOUR = TOOL._tour
toy = TOUR.load(TOUR.TOUR / "toy.py")


class Line:
    """The server's end of a client's line in the lab: the parts of a socket that the toy uses."""

    def __init__(self, lab, *said):
        self._changed = lab.threading.Condition()
        self._said = list(said)
        self._ended = self.closed = False
        self.got = []

    def hang_up(self):
        """The client says no more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def shutdown(self, how):
        if self.closed:
            raise OSError("it is closed")
        self.hang_up()

    def makefile(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._said or self._ended)
                if not self._said:
                    return
                text = self._said.pop(0)
            yield f"{text}\n"

    def sendall(self, data):
        assert not self.closed, "sent on a closed socket"
        self.got.append(data.decode().rstrip("\n"))

    def close(self):
        self.closed = True


@pytest.fixture
def in_the_lab(monkeypatch):
    """The toy's own threads and queues are the lab's, for one scenario."""

    def use(lab):
        monkeypatch.setattr(toy, "threading", lab.threading)
        monkeypatch.setattr(queue, "threading", lab.threading)
        return toy.Hub()

    return use


def test_what_one_says_the_other_gets_and_everybody_can_leave(in_the_lab):
    """Ada talks, Bob listens; she leaves and the hub is closed at the same time."""

    def scenario(lab):
        hub = in_the_lab(lab)
        bob, ada = Line(lab, "bob"), Line(lab, "ada", "hello")
        hub.start(bob)
        lab.run_until_idle()

        @lab.actor
        def visit():
            hub.start(ada)
            hub.close()

        @lab.actor
        def network():
            ada.hang_up()

        @lab.at_end
        def all_is_said_and_done():
            assert ada.got == ["ada: hello"]
            assert bob.got in (["ada: hello"], [])
            assert ada.closed
            assert bob.closed
            assert [task.name for task in lab.scheduler.tasks] == []

    explored = explore(scenario, Deepening(1))
    print(f"{explored.schedules} orders")
    assert explored.complete


def test_two_of_one_name_are_its_first_race(in_the_lab):
    """Ada dials again before she hangs up; the leaving of the old line removes the new one."""

    def scenario(lab):
        hub = in_the_lab(lab)
        old, new = Line(lab, "ada"), Line(lab, "ada")
        hub.start(old)
        lab.run_until_idle()

        @lab.actor
        def ada():
            hub.start(new)
            old.hang_up()

        @lab.at_end
        def she_can_be_reached():
            assert "ada" in hub.users, "ada is here, and nobody can send to her"

    with pytest.raises(ScheduleFailed, match="nobody can send to her"):
        explore(scenario)


def test_it_works_over_real_sockets():
    """As with nc: names first, then talk, then everybody gets what was said before the close."""
    hub = toy.Hub()
    (bob, bobs_line), (ada, adas_line) = socket.socketpair(), socket.socketpair()
    with bob, ada:
        hub.start(bobs_line)
        bob.sendall(b"bob\nanybody?\n")
        assert bob.recv(100) == b"bob: anybody?\n"  # so he has joined
        hub.start(adas_line)
        ada.sendall(b"ada\nI am\n")

        assert bob.recv(100) == b"ada: I am\n"
        hub.close()
        assert bob.recv(100) == b""
        assert ada.recv(100) == b"ada: I am\n"
        assert ada.recv(100) == b""
    assert not [thread for thread in threading.enumerate() if thread.name in ("hub", "writer")]


def test_it_is_sixty_lines():
    """Without empty lines, and without those that start a server around it."""
    code = (TOUR.TOUR / "toy.py").read_text(encoding="utf-8").partition("\nif __name__")[0]

    assert len([line for line in code.splitlines() if line.strip()]) <= 60
