"""The measurement of docs/tour/proof.md runs, with a real Chromium, and what its page concludes holds.

Not tested: in how many rounds a Pong promises too much. That is for the machine and the moment to decide.
"""

from __future__ import annotations

import pytest

from tests.integration.browser import chromium  # noqa: F401  (a fixture)
from tests.test_docs_generated import TOOL

TOUR = TOOL._tour
proof = TOUR.load(TOUR.TOUR / "proof.py")

# Chromium alone takes seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(120)

ROUNDS = range(1, 4)


def test_a_pong_is_measured_against_what_the_page_saw(chromium):  # noqa: F811
    """Each round ends with a Pong that was asked for, and with a count that can be."""
    with proof.by_pong(chromium) as play:
        rounds = [play(number) for number in ROUNDS]

    assert all(150 <= one.proven <= one.sent for one in rounds), rounds
    assert all(0 < one.seen <= one.sent for one in rounds), rounds


def test_nobody_has_acknowledged_what_the_page_has_not_seen(chromium):  # noqa: F811
    """What the hub lets go of has been handled, wherever the connection breaks."""
    with proof.by_ack(chromium) as play:
        rounds = [play(number) for number in ROUNDS]

    assert all(150 <= one.proven <= one.seen <= one.sent for one in rounds), rounds


@pytest.mark.parametrize(
    "one, missing",
    [(proof.Round(400, 210, 136), 74), (proof.Round(400, 210, 210), 0), (proof.Round(400, 210, 300), 0)],
)
def test_missing_is_what_was_proven_and_not_seen(one, missing):
    """A page may well have seen more than was proven: that is not what can be lost."""
    assert proof.missing(one) == missing


def test_the_script_prints_a_table_and_ends(chromium, monkeypatch, capsys):  # noqa: F811
    """One line a round, and the sum."""
    monkeypatch.setattr(proof, "open_chromium", lambda: Lent(chromium))

    proof.main(["--acks", "2"])

    *_, heading, first, second, summary = capsys.readouterr().out.splitlines()
    assert heading.split() == ["round", "sent", "acked", "seen", "missing"]
    assert [line.split()[0] for line in (first, second)] == ["1", "2"]
    assert summary == "fewer seen than acked in 0 of 2 rounds"


class Lent:
    """A browser that is still needed after its borrower has quit."""

    def __init__(self, chrome):
        self._chrome = chrome

    def __getattr__(self, name):
        return getattr(self._chrome, name)

    def quit(self):
        pass
