"""A dial at a worker, decision by decision."""

from __future__ import annotations

import pytest

from resumehub.core.cluster import dial_events as d
from resumehub.core.cluster.passing import DialRules, WorkerDials, rules_for

SENT_AND_LOST = d.LinkEnded(1, to_its_end=True)


class Desk:
    """A worker's dials with a link to a hub of the life ``one``, and a time that the test sets."""

    def __init__(self, rules: DialRules | None = None) -> None:
        self.now = 0.0
        self.dials = WorkerDials(rules or DialRules(most_waiting=2))
        self.see(d.LinkOpened(1, "one"))

    def see(self, *events: d.DialEvent) -> list[d.DialEffect]:
        return [effect for event in events for effect in self.dials.handle(event, self.now)]


def test_a_question_is_sent_and_its_answer_wakes_who_waits() -> None:
    desk = Desk()
    assert desk.see(d.Asks(1)) == [d.SendQuestion(1, 1)]
    assert desk.see(d.Answered(1, 1)) == [d.Tell(1, d.AskedResult.ANSWERED)]
    assert desk.see(d.GivesUp(1)) == []
    assert desk.dials.waiting == 0


def test_a_hub_that_moves_is_asked_again() -> None:
    """At its next process; or at the next tick, if it has stayed. Its client is told nothing meanwhile."""
    desk = Desk()
    desk.see(d.Asks(1), d.Asks(2))
    assert desk.see(d.Answered(1, 1, later=True)) == []
    assert desk.see(d.TimePasses()) == [d.SendQuestion(1, 1)], "the other one is under way"
    assert desk.see(d.Answered(1, 1, later=True), d.LinkEnded(1, to_its_end=True, moved=True)) == []
    assert desk.see(d.LinkOpened(2, "one")) == [d.SendQuestion(1, 2), d.SendQuestion(2, 2)]
    assert desk.see(d.Answered(1, 2)) == [d.Tell(1, d.AskedResult.ANSWERED)]


def test_a_hub_that_moves_here_is_asked_here() -> None:
    desk = Desk()
    desk.see(d.Asks(1), d.Answered(1, 1, later=True))
    assert desk.see(d.HubIsHere("one")) == [d.Tell(1, d.AskedResult.HERE)]


def test_a_question_that_is_asked_once_is_answered_by_a_hub_that_moves() -> None:
    """How a client is refused that is to be refused in any case is not worth a wait."""
    desk = Desk()
    desk.see(d.Asks(1, once=True))
    assert desk.see(d.Answered(1, 1, later=True)) == [d.Tell(1, d.AskedResult.LATER)]


def test_a_hub_that_moves_for_too_long_is_not_suspect() -> None:
    """The thread has waited as long as it may: its client is told to come again."""
    desk = Desk()
    desk.see(d.Asks(1), d.Answered(1, 1, later=True))
    assert desk.see(d.GivesUp(1)) == [d.Tell(1, d.AskedResult.LATER)]
    assert desk.see(d.Asks(2)) == [d.SendQuestion(2, 1)]


def test_a_missed_answer_makes_suspect_until_it_comes() -> None:
    """Nobody else waits for that hub; the answer comes late, and is the proof that it lives."""
    desk = Desk()
    desk.see(d.Asks(1), d.Asks(2))
    assert desk.see(d.GivesUp(2)) == [d.Tell(2, d.AskedResult.MISSED)]
    assert desk.see(d.Asks(3)) == [d.Tell(3, d.AskedResult.SUSPECT)]
    assert desk.see(d.Answered(1, 1)) == [d.Tell(1, d.AskedResult.ANSWERED)]
    assert desk.dials.suspect, "this is the answer to an earlier question"
    assert desk.see(d.Answered(2, 1)) == []
    assert not desk.dials.suspect
    assert desk.see(d.Asks(4)) == [d.SendQuestion(4, 1)]


def test_a_hub_that_has_come_here_is_not_suspect() -> None:
    """It has missed an answer, and moved here then."""
    desk = Desk()
    desk.see(d.Asks(1), d.GivesUp(1))
    assert desk.dials.suspect
    desk.see(d.HubIsHere("one"))
    assert not desk.dials.suspect


def test_a_new_link_is_not_suspect() -> None:
    desk = Desk()
    desk.see(d.Asks(1), d.GivesUp(1), SENT_AND_LOST, d.LinkOpened(2, "two"))
    assert desk.see(d.Asks(2)) == [d.SendQuestion(2, 2)]


@pytest.mark.parametrize(
    ("threads", "waits"),
    [(1, [0.25]), (2, [2.0, 0.25]), (3, [2.0, 0.25, 0.25]), (4, [2.0, 2.0, 0.25, 0.25])],
)
def test_half_of_the_threads_may_wait_for_long(threads: int, waits: list[float]) -> None:
    desk = Desk(rules_for(threads, 2.0))
    desk.see(*(d.Asks(number) for number in range(threads)))
    assert [desk.dials.wait_of(number) for number in range(threads)] == waits
    desk.see(d.Answered(0, 1), d.Asks(threads))
    assert desk.dials.wait_of(0) == 0.0
    assert desk.dials.wait_of(threads) == waits[0]


def test_nobody_waits_longer_than_the_timeout() -> None:
    desk = Desk(rules_for(1, 0.1))
    desk.see(d.Asks(1))
    assert desk.dials.wait_of(1) == 0.1


def test_without_a_hub_a_question_waits_for_the_next_one() -> None:
    desk = Desk()
    desk.see(d.Asks(1))
    assert desk.see(SENT_AND_LOST, d.Asks(2)) == []
    assert desk.see(d.GivesUp(2)) == [d.Tell(2, d.AskedResult.AWAY)]
    assert not desk.dials.suspect, "there was nobody to answer"
    assert desk.see(d.LinkOpened(2, "two")) == [d.SendQuestion(1, 2)]
    assert desk.see(d.Answered(1, 1)) == [], "it is from the hub that has ended"
    assert desk.see(d.Answered(1, 2)) == [d.Tell(1, d.AskedResult.ANSWERED)]


def test_what_is_taken_is_closed_here_and_no_more() -> None:
    desk = Desk()
    assert desk.see(d.Passes(1)) == [d.SendPass(1, 1)]
    assert desk.see(d.TakenThere(1, 1)) == [d.CloseCopy(1)]
    assert desk.see(SENT_AND_LOST) == []


def test_a_hub_that_dies_before_it_has_taken_leaves_the_answer_to_us() -> None:
    desk = Desk()
    desk.see(d.Passes(1))
    assert desk.see(SENT_AND_LOST) == [d.RefuseDial(1, "the process that held the hub has ended")]
    assert desk.see(d.LinkOpened(2, "one")) == [], "who was told 503 gets no session"


def test_a_link_that_was_not_read_to_its_end_leaves_nothing_to_say() -> None:
    """``DialTaken`` may be in what was not read: a byte of ours could stand in the middle of the hub's."""
    desk = Desk()
    desk.see(d.Passes(1))
    assert desk.see(d.LinkEnded(1, to_its_end=False)) == [d.CloseCopy(1)]


def test_a_hub_that_is_slow_costs_nobody_the_connection() -> None:
    desk = Desk()
    desk.see(d.Passes(1))
    desk.now = 3600.0
    assert desk.see(d.TimePasses()) == []
    assert desk.see(d.TakenThere(1, 1)) == [d.CloseCopy(1)]


def test_copies_are_bounded_for_questions_and_for_connections() -> None:
    desk = Desk(DialRules(most_copies=2))
    desk.see(d.Passes(1), d.Passes(2))
    assert desk.see(d.Asks(3)) == [d.Tell(3, d.AskedResult.FULL)]
    assert desk.see(d.Passes(4)) == [d.RefuseDial(4, d.AskedResult.FULL.value)]
    desk.see(d.TakenThere(1, 1))
    assert desk.see(d.Asks(5)) == [d.SendQuestion(5, 1)]


def test_a_hub_that_has_moved_gets_it_again() -> None:
    desk = Desk()
    desk.see(d.Passes(1))
    assert desk.see(d.LinkEnded(1, to_its_end=True, moved=True)) == []
    assert desk.see(d.LinkOpened(2, "one")) == [d.SendPass(1, 2)]
    assert desk.see(d.TakenThere(1, 1)) == [], "from the link that has ended: it can't be"
    assert desk.see(d.TakenThere(1, 2)) == [d.CloseCopy(1)]


def test_the_new_link_may_come_before_the_old_one_has_ended() -> None:
    desk = Desk()
    desk.see(d.Passes(1))
    assert desk.see(d.LinkOpened(2, "one")) == [], "the old place may have taken it"
    assert desk.see(d.LinkEnded(1, to_its_end=True, moved=True)) == [d.SendPass(1, 2)]


def test_a_hub_of_another_life_does_not_get_it() -> None:
    desk = Desk()
    desk.see(d.Passes(1), d.LinkEnded(1, to_its_end=True, moved=True))
    assert desk.see(d.LinkOpened(2, "two")) == [d.RefuseDial(1, "the hub to which it was passed has ended")]


def test_a_hub_that_moves_here_takes_it_here() -> None:
    desk = Desk()
    desk.see(d.Passes(1), d.LinkEnded(1, to_its_end=True, moved=True))
    assert desk.see(d.HubIsHere("one")) == [d.TakeHere(1)]
    assert desk.see(d.Asks(2)) == [d.Tell(2, d.AskedResult.HERE)]
    assert desk.see(d.Passes(3)) == [d.TakeHere(3)]
    desk.see(d.HubHasLeft())
    assert desk.see(d.Passes(4)) == []


def test_a_connection_waits_for_a_hub_for_so_long() -> None:
    desk = Desk(DialRules(patience=2.0))
    desk.see(d.LinkEnded(1, to_its_end=True), d.Passes(1))
    assert desk.dials.next_at() == 2.0
    desk.now = 1.9
    assert desk.see(d.TimePasses()) == []
    desk.now = 2.0
    assert desk.see(d.TimePasses()) == [d.RefuseDial(1, "no process holds the hub")]
    assert desk.dials.next_at() is None


def test_one_that_was_never_sent_may_go_to_any_hub() -> None:
    desk = Desk()
    desk.see(SENT_AND_LOST, d.Passes(1))
    assert desk.see(d.LinkOpened(2, "two")) == [d.SendPass(1, 2)]


def test_what_the_hub_has_not_taken_is_answered_here() -> None:
    desk = Desk()
    desk.see(d.Passes(1))
    because = d.NotTakenBecause.NO_DESCRIPTOR
    assert desk.see(d.NotTakenThere(1, 1, because)) == [d.RefuseDial(1, because.value)]


def test_the_end_of_this_process() -> None:
    """What is under way may still be taken; what is not is answered."""
    desk = Desk()
    desk.see(d.Passes(1), d.Asks(2))
    assert desk.see(d.Stops()) == [d.Tell(2, d.AskedResult.AWAY), d.CloseCopy(1)]
    assert desk.see(d.Asks(4), d.Passes(5)) == [
        d.Tell(4, d.AskedResult.AWAY),
        d.RefuseDial(5, "no process holds the hub"),
    ]
