"""Whatever comes late is ignored by name, and nothing it says is believed."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.states import SessionEvent
from tests.core.machine_driver import MachineDriver, callbacks, counted, ignored, names, suspended

REPORTS = {
    "a leave": c.PeerClosed(1, 1000, ""),
    "going away": c.PeerClosed(1, 1001, ""),
    "the end of input": c.PeerGone(1, reset=False),
    "a reset": c.PeerGone(1, reset=True),
    "a breach of protocol": c.PeerFailed(1, 1002, ""),
    "an abort": c.TransportAborted(1),
    "a close frame that is out": c.CloseSent(1),
    "a write error": c.WriteFailed(1),
    "a stall": c.WriteStalled(1),
    "an observation": c.Observed(1, DeadlineKind.PONG, False, 0.0, 0.0, True, 0.0),
}
"""Everything that can be said of transport 1."""


def superseded() -> MachineDriver:
    """Transport 2 carries the session; 1 is being closed."""
    play = MachineDriver()
    play.register()
    play.resume()
    return play


def resumed() -> MachineDriver:
    """Transport 2 carries the session; 1 was given up before, and its reader has not left yet."""
    play = MachineDriver()
    play.register()
    play.do(c.TransportAborted(1))
    play.resume()
    return play


def gone() -> MachineDriver:
    """Transport 2 carries the session; 1 has been released."""
    play = suspended()
    play.resume()
    return play


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("history", [superseded, resumed, gone], ids=["superseded", "aborted", "released"])
def test_what_an_old_transport_says_is_not_about_the_session(history, report):
    """The session stays with its new transport: no callback, no close frame to it, no deadline moved."""
    play = history()
    play.blocked = True

    effects = play.do(report)

    assert (play.state(), play.session().transport, play.session().generation) == ("CONNECTED", 2, 2)
    assert callbacks(effects) == []
    assert counted(effects) == []
    assert not any(getattr(effect, "transport", 1) == 2 for effect in effects)
    assert play.due(DeadlineKind.GRACE) is None
    if history is not superseded or not isinstance(report, c.CloseSent | c.WriteFailed):
        # Those two move its own close handshake on; everything else is late.
        assert ignored(effects), "it must be said that, and why, nothing was done"


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_what_a_transport_of_an_ended_session_says_ends_nothing_again(report):
    play = MachineDriver()
    play.register()
    play.do(c.Kick("u1"))
    effects = play.do(report)
    assert callbacks(effects) == []
    assert counted(effects) == []


@pytest.mark.parametrize("hook", ["on_message", "on_transport_restore"])
@pytest.mark.parametrize("now", ["suspended", "resumed", "ended", "held by another"])
def test_a_handler_that_raised_for_an_older_transport_harms_no_newer_one(hook, now):
    """The next transport has done nothing wrong."""
    play = MachineDriver()
    play.register()
    failure = play.failure(hook)
    play.do(c.PeerGone(1, reset=True))
    if now == "resumed":
        play.resume()
    elif now != "suspended":
        play.do(c.Kick("u1"))
    if now == "held by another":
        play.register()
    before = play.state()

    effects = play.do(failure)

    assert (names(effects), callbacks(effects)) == ([], [])
    [because] = ignored(effects)
    assert because.startswith(SessionEvent.LATE.name)
    assert play.state() == before


def test_an_entry_refused_after_the_end_ends_nothing_again():
    play = MachineDriver()
    play.register()
    failure = play.failure("on_connect")
    play.do(c.Kick("u1"))
    effects = play.do(failure)
    assert ignored(effects) == ["REFUSE_ENTRY: the session has ended already"]


def test_an_entry_refused_late_spares_the_next_holder_of_the_id():
    play = MachineDriver()
    play.register()
    failure = play.failure("on_connect")
    play.do(c.Kick("u1"))
    play.register()
    play.do(failure)
    assert (play.state(), play.session().epoch) == ("CONNECTED", 2)


def test_a_report_of_a_transport_that_never_was_is_ignored():
    assert ignored(MachineDriver().do(c.PeerGone(99, reset=True))) == ["the transport was given up before"]
