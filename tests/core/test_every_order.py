"""Every order of what can happen to a session, played on the machine: no order breaks a promise.

A race in the hub is an order of commands, and the machine is pure, so all of them can be tried. After each
step the machine's invariants are checked, and those of the shell around it (``fake_shell.py``): no frame is
lost, doubled or overtaken; callbacks begin with connect, end with one disconnect, and drop and restore
take turns; each on_join of a room has one on_leave, with the right reason; a resume ends up in the session
that it is for or nowhere. Then the hub shuts down, which must leave nothing. The last tests show that
machines without their guards are caught by the same orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import SessionRecord
from resumehub.core.sessions import SessionTable
from resumehub.core.states import Transition
from tests.core.fake_shell import Wrong
from tests.core.orders import OFTEN, WITHOUT_ROOMS, WORDS, first_broken, play, play_all
from tests.races.test_close_against_transport_death import TellsOfEveryDeath
from tests.races.test_expiry_during_upgrade import OpensInstead, ResumesWhoeverHoldsTheId
from tests.races.test_kick_against_expiry import TimersHoldTheSession
from tests.races.test_late_drop import BelievesEverybody
from tests.races.test_shutdown_against_register import LetsThemIn
from tests.races.test_two_resumes_at_once import TrustsTheCheck

SEVEN = ("drop", "expire", "resume", "second resume", "send", "kick", "close")

Note = Callable[[int], None]


@pytest.mark.parametrize(
    "options",
    [{}, {"takes": 1}],
    ids=["peers that read", "peers that read one message and no more"],
)
def test_every_order_of_the_seven(options: dict[str, object], note_orders: Note) -> None:
    """A drop, an expiry, two resumes, a send, a kick and a close, in all 5,040 orders."""
    count = play_all(permutations(SEVEN), **options)
    assert count == 5040
    note_orders(count)


@pytest.mark.parametrize("word", sorted(set(WORDS) - set(SEVEN)))
def test_every_order_with_one_thing_more(word: str, note_orders: Note) -> None:
    """A refused entry, a leave, a handler that raises, a shutdown, …: wherever it falls, nothing breaks."""
    count = play_all(permutations(("drop", "expire", "resume", "second resume", "send", word)))
    assert count == 720
    note_orders(count)


@pytest.mark.parametrize(
    "options",
    [{}, {"refuse_duplicates": True}, {"max_sessions": 1}, {"max_sessions": 1, "suspended_give_way": False}],
    ids=["duplicates replace", "duplicates are refused", "room for one", "room for one, which stays"],
)
def test_every_three_things_however_often(options: dict[str, object], note_orders: Note) -> None:
    """All words of three: the same thing may happen twice, or three times."""
    words = OFTEN if not options else WITHOUT_ROOMS  # which the options have nothing to do with
    count = play_all(product(words, repeat=3), **options)
    assert count == len(words) ** 3
    note_orders(count)


@pytest.mark.parametrize("window", [30.0, 0.0])
def test_no_order_lets_a_client_into_a_session_whose_id_the_hub_made(
    window: float, note_orders: Note
) -> None:
    """Whatever comes with its id, with or without intent: it never has another transport."""
    orders = list(product(WITHOUT_ROOMS, repeat=3))
    for order in orders:
        shell = play(order, generated=True, resume_window=window)
        assert [number for number, wire in shell.wires.items() if wire.epoch == 1] == [1], order
        assert {hook for epoch, hook in shell.hooks["u1"] if epoch == 1} <= {"on_connect", "on_disconnect"}
    note_orders(len(orders))


def test_in_no_order_does_a_hub_hold_more_sessions_than_it_may(note_orders: Note) -> None:
    """A newcomer gets the place of a session that is suspended, or none."""
    words = ("drop", "resume", "newcomer", "connect", "kick", "newest drops")
    orders = list(product(words, repeat=4))
    for order in orders:
        shell = play(order, max_sessions=1)
        assert shell.most_sessions == 1, order
    shell = play(("drop", "newcomer"), max_sessions=1)
    assert [session.connection_id for session in shell.sessions.values()] == ["u1", "u2"]
    assert len(play(("newcomer", "drop"), max_sessions=1).sessions) == 1
    note_orders(len(orders))


def test_without_a_window_neither_drop_nor_restore_is_ever_fired(note_orders: Note) -> None:
    words = [word for word in OFTEN if "resume" not in word]  # the check before the upgrade answers those 410
    orders = list(product(words, repeat=3))
    for order in orders:
        for hooks in play(order, resume_window=0.0).hooks.values():
            assert {hook for _, hook in hooks} <= {"on_connect", "on_disconnect"}, order
    note_orders(len(orders))


# -- the same orders catch machines that lack a guard -------------------------------------


class NeverCancels(Machine):
    """Resumes, and forgets that the grace window is running."""

    def _welcome(self, registration: c.Register, holder: SessionRecord | None, entry: Transition) -> None:
        at = self.deadlines.armed_at(DeadlineKind.GRACE, holder.epoch) if holder is not None else None
        super()._welcome(registration, holder, entry)
        if holder is not None and at is not None:
            self.deadlines.arm(DeadlineKind.GRACE, holder.epoch, at)


class DetachesNobodyAlive(SessionTable):
    def _detach(self, session: SessionRecord, close: tuple[int, str] | None) -> None:
        if close is None:
            super()._detach(session, close)


class AttachesTwice(Machine):
    """Puts the new transport on without taking the old one off."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, sessions=DetachesNobodyAlive)


class AsksForTheIdAlone(Machine):
    """Believes that who has the id is the user."""

    def _register(self, registration: c.Register) -> None:
        own = replace(registration.resume_request, user="ada")
        super()._register(replace(registration, resume_request=own))


class TellsOfHomeAlone(Machine):
    """At the end of a session, forgets to tell of the rooms that it has joined."""

    def handle(self, command: c.Command, now: float) -> list[e.Effect]:
        return [one for one in super().handle(command, now) if not self._is_forgotten(one)]

    def _is_forgotten(self, effect: e.Effect) -> bool:
        return isinstance(effect, e.NotifyMembership) and (effect.hook, effect.room_id) == (
            "on_leave",
            "news",
        )


class TellsOfEachCall(Machine):
    """Tells of a ``join`` that changes nothing, since the session is in the room already."""

    def handle(self, command: c.Command, now: float) -> list[e.Effect]:
        told = [e.NotifyMembership(1, "on_join", 1, "news", "join")]
        known = isinstance(command, c.JoinRoom) and "news" in self.rooms
        return super().handle(command, now) + (told if known else [])


@pytest.mark.parametrize(
    ("naive", "words", "complaint"),
    [
        (NeverCancels, SEVEN, "is CONNECTED with its grace deadline"),
        (BelievesEverybody, ("resume", "drop"), "the transports [2] were never aborted"),
        (ResumesWhoeverHoldsTheId, (*SEVEN, "connect"), "a stranger resumes session 2"),
        (OpensInstead, SEVEN, "a resume opens session 2 in silence"),
        (TimersHoldTheSession, SEVEN, "goes on after its end"),
        (AttachesTwice, SEVEN, "can't be attached"),
        (TrustsTheCheck, SEVEN, "can't be attached"),
        (TellsOfEveryDeath, SEVEN, "goes on after its end"),
        (LetsThemIn, (*SEVEN, "connect", "shutdown"), "the hub"),
        (TellsOfHomeAlone, ("join", "kick", "send"), "was never told to have left ['news']"),
        (TellsOfEachCall, ("join", "join", "drop"), "(join), when it was told of ['lobby', 'news']"),
        (AsksForTheIdAlone, ("drop", "other user resumes"), "another user resumes session 1"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_machine_without_its_guard_is_caught(
    naive: type[Machine], words: tuple[str, ...], complaint: str
) -> None:
    """The orders are worth playing: each guard that is taken away breaks a promise in one of them.

    Most of these machines are told about in the stories of tests/races/.
    """
    told = first_broken(permutations(words, min(4, len(words))), naive)
    assert complaint in told
    assert "replay: python -m tests.core.orders " in told


def test_a_broken_order_is_told_as_a_story() -> None:
    """Which step of which order broke what, and the line that plays it again."""
    with pytest.raises(Wrong) as caught:
        play(["drop", "resume", "kick"], NeverCancels)
    assert str(caught.value) == (
        "after 'resume', the 2nd step of [drop, resume, kick]: "
        "session 'u1' (epoch 1) is CONNECTED with its grace deadline at 30.0\n"
        "replay: python -m tests.core.orders drop, resume, kick"
    )
