"""The solution of the exercise in docs/tour/01-late-resume.md: a reservation moves the race, and adds one."""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

race = TOOL._tour.Race("late_resume").module


class Reserving(race.Sessions):
    """The exercise's: a session that somebody is on the way to does not expire."""

    def resume(self, name, socket):
        with self.lock:
            session = self.table.get(name)
            if session is not None:
                session["reserved"] = True
        if session is None:
            socket.send("410 Gone")
            return
        socket.send("101 Switching Protocols")
        self.attach(name, session, socket)

    def attach(self, name, session, socket):
        with self.lock:
            session["socket"] = socket
            session["reserved"] = False

    def expire(self, name):
        with self.lock:
            session = self.table.get(name)
            if session is not None and session.get("socket") is None and not session.get("reserved"):
                self.table.pop(name)


class ReservingForAWhile(Reserving):
    """Whoever reserves gives back, however it ends; and a window that ended meanwhile ends then."""

    def resume(self, name, socket):
        try:
            super().resume(name, socket)
        except BrokenPipeError:
            self.give_back(name)

    def give_back(self, name):
        with self.lock:
            session = self.table.get(name)
            if session is not None and session.get("due"):
                self.table.pop(name)
            elif session is not None:
                session["reserved"] = False

    def expire(self, name):
        with self.lock:
            session = self.table.get(name)
            if session is not None and session.get("reserved"):
                session["due"] = True
            elif session is not None and session.get("socket") is None:
                self.table.pop(name)


def resume_and_expiry(sessions_type, *, hangs_up=False, kicked=False):
    def scenario(lab):
        sessions, socket = sessions_type(lab), race.Socket(lab, "socket 2")
        sessions.table["ada"] = session = race.Table(lab, "session 1")

        @lab.actor
        def request_of_ada():
            try:
                sessions.resume("ada", socket)
            except BrokenPipeError:
                lab.note("the request ends with an error")

        @lab.actor
        def grace_timer():
            sessions.expire("ada")

        if hangs_up:

            @lab.actor
            def ada():
                socket.hang_up()

        if kicked:

            @lab.actor
            def application():
                with sessions.lock:
                    sessions.table.pop("ada")

        @lab.at_end
        def a_session_has_a_socket_or_an_end():
            here = "ada" in sessions.table.snapshot()
            attached = "socket" in session.snapshot()
            assert here == attached, "a session without an end" if here else "a socket without a session"

    return scenario


def test_a_reservation_lets_the_resume_win():
    assert explore(resume_and_expiry(Reserving)).complete


def test_who_hangs_up_while_it_is_reserved_leaves_a_session_for_ever():
    """The timer has come and gone, and nobody will look again."""
    with pytest.raises(ScheduleFailed, match="a session without an end"):
        explore(resume_and_expiry(Reserving, hangs_up=True))


def test_a_reservation_that_is_given_back_ends_in_every_order():
    assert explore(resume_and_expiry(ReservingForAWhile, hangs_up=True)).complete


def test_the_second_look_is_needed_all_the_same():
    """Time is not the only thing that ends a session: a kick does not ask for reservations."""
    with pytest.raises(ScheduleFailed, match="a socket without a session"):
        explore(resume_and_expiry(ReservingForAWhile, kicked=True))
