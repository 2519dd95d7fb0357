"""Every order of drops, resumes, late dials and acknowledgements: a v1 client by the book loses nothing.

It is never refused for its token, though every ``$hello`` may be lost; a dial that comes late takes nothing
over; what it reads is, on each connection, exactly what it lacks, in order. The last test shows that
machines without their guards are caught by the same orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product

import pytest

from resumehub.core import commands as c
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import SessionRecord
from resumehub.core.resume import Tokens
from resumehub.core.states import Transition
from resumehub.core.transports import TransportMachine
from tests.core.orders_v1 import WORDS, first_broken, play, play_all

SEVEN = ("drop", "resume", "second resume", "late dial", "hear", "late ack", "send")

Note = Callable[[int], None]


def test_every_order_of_five_of_the_seven(note_orders: Note) -> None:
    """A drop, two resumes, a dial that was given up, a read, an old $ack, a send: any five, in any order."""
    count = play_all(permutations(SEVEN, 5))
    assert count == 2520
    note_orders(count)


@pytest.mark.parametrize("end", ["expire", "kick", "plain client", "stranger", "thief", "gap of the first"])
def test_every_order_with_an_end(end: str, note_orders: Note) -> None:
    """An expiry, a kick, one who takes the id, guesses tokens or has found one, a gap found too late."""
    count = play_all(permutations(("resume", "second resume", "late dial", "hear", "send", end)))
    note_orders(count)


@pytest.mark.parametrize(
    "options", [{}, {"takes": 1}], ids=["peers that read", "peers that read one message"]
)
def test_every_three_things_however_often(options: dict[str, object], note_orders: Note) -> None:
    once = sorted(set(WORDS) - {"second resume", "hear again"})
    note_orders(play_all(product(once, repeat=3), **options))


def test_every_order_of_a_window_that_is_full(note_orders: Note) -> None:
    """A client that acknowledges in time keeps its transport; one that does not keeps only its session."""
    words = ("fill", "hear", "newest drops", "resume", "a second", "expire", "send")
    note_orders(play_all(permutations(words, 6)))


def test_the_client_reads_all_in_the_end() -> None:
    """One order by hand: sent before and behind, read twice, the first time for nothing."""
    shell = play(["send", "resume", "send", "second resume", "hear", "send", "hear again"])
    assert (shell.handled, shell.token) == ([1, 2, 3], "token 3")


# -- the same orders catch machines that lack a guard -------------------------------------


class BelievesOldAcks(Machine):
    """Takes the first $ack of any transport for a proof of the newest token."""

    def _acknowledged(self, number: int) -> None:
        for session in self.sessions.values():
            if session.credentials.tokens is not None:
                session.credentials = replace(
                    session.credentials, tokens=session.credentials.tokens.acknowledged()
                )


class KeepsOneToken(Machine):
    """Forgets the proven token as soon as it gives a new one."""

    def _welcome(self, registration: c.Register, holder: SessionRecord | None, entry: Transition) -> None:
        super()._welcome(registration, holder, entry)
        for session in self.sessions.values():
            if session.credentials.tokens is not None:
                session.credentials = replace(
                    session.credentials, tokens=Tokens(session.credentials.tokens.newest)
                )


class CountsNoDials(Machine):
    """Lets the last one to arrive take over, however old its dial is."""

    def _register(self, registration: c.Register) -> None:
        super()._register(
            replace(registration, resume_request=replace(registration.resume_request, attempt=None))
        )


class AsksForTheTokenAlone(Machine):
    """Lets anybody in who has the token."""

    def _register(self, registration: c.Register) -> None:
        own = replace(registration.resume_request, user="ada")
        super()._register(replace(registration, resume_request=own))


class AsksNobody(TransportMachine):
    def observed(self, seen: c.Observed) -> None:
        super().observed(replace(seen, full_since=0.0) if seen.kind is DeadlineKind.WINDOW else seen)


class TakesTheDeadlineForTheAnswer(Machine):
    """Cuts whoever had a full window once, though it has acknowledged since."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, transports=AsksNobody)


class ForgetsTheWindow(Machine):
    """Lets a client that acknowledges nothing stay for ever."""

    def _dispatch(self, command: c.Command) -> None:
        if not isinstance(command, c.WindowFull):
            super()._dispatch(command)


FULL = ("fill", "hear", "resume", "expire", "a second")


@pytest.mark.parametrize(
    ("naive", "words", "complaint"),
    [
        (TakesTheDeadlineForTheAnswer, FULL, "is closed 1008"),
        (ForgetsTheWindow, FULL, "was never cut"),
        (BelievesOldAcks, SEVEN, "of the client gets 4403"),
        (KeepsOneToken, SEVEN, "of the client gets 4403"),
        (CountsNoDials, SEVEN, "has the session, and not the latest one"),
        (AsksForTheTokenAlone, (*SEVEN, "thief"), "another user resumes session 1"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_machine_without_its_guard_is_caught(
    naive: type[Machine], words: tuple[str, ...], complaint: str
) -> None:
    told = first_broken(permutations(words, 4), naive)
    assert complaint in told
    assert "replay: python -m tests.core.orders_v1 " in told
