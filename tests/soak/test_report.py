"""The verdict of a soak: which broken promise makes it fail, and what it prints."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from resumehub.stats import Stats
from tools.soaking.asking import Requests
from tools.soaking.report import failures, tell
from tools.soaking.rows import Account
from tools.soaking.run import Outcome, Settings

SOUND = Outcome(
    Settings(seed=42),
    up=Account(sent=10, received=10),
    down=Account(sent=20, received=20),
    stats=asdict(Stats(accepted=20, acknowledged=20)),
)


def test_a_sound_run_says_how_to_do_it_again() -> None:
    """The verdict, and the seed."""
    assert failures(SOUND) == []
    assert "ok: nothing lost" in tell(SOUND)
    assert "--seed 42" in tell(SOUND)


@pytest.mark.parametrize(
    ("account", "found"),
    [
        (Account(sent=10, received=9, lost=1), "1 messages to the server were lost"),
        (Account(sent=10, received=11, duplicated=1), "1 messages to the server came twice"),
        (Account(sent=10, received=10, reordered=1), "in the wrong order"),
        (Account(sent=10, received=10, foreign=1), "went astray"),
    ],
)
def test_one_message_is_enough(account: Account, found: str) -> None:
    """Lost, twice, out of order or astray: each fails the run."""
    assert found in "".join(failures(replace(SOUND, up=account)))
    assert "FAILED" in tell(replace(SOUND, up=account))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Requests(answered=2, handled=1), "1 requests to the server were answered and not handled"),
        (Requests(answered=1, handled=2), "1 requests to the server were handled, and their askers not told"),
        (Requests(answered=1, handled=1, twice=1), "were handled twice"),
        (Requests(answered=1, handled=1, wrong=1), "had an answer that is not theirs"),
        (Requests(answered=1, handled=1, stuck=1), "had no end"),
        (Requests(answered=1, handled=1, failed=1), "failed"),
        (Requests(answered=1, handled=1, astray=1), "were another client's"),
    ],
)
def test_one_request_is_enough(asked: Requests, found: str) -> None:
    """Each is answered once, or its asker is told that it is in doubt."""
    assert found in "".join(failures(replace(SOUND, asked_up=asked)))
    assert failures(replace(SOUND, asked_down=asked)) != []


def test_a_request_in_doubt_may_have_been_handled_or_not() -> None:
    """And one that was not sent, or found no room, was not."""
    for handled in (1, 2):
        told = Requests(answered=1, in_doubt=1, unsent=1, refused=1, handled=handled)
        assert failures(replace(SOUND, asked_up=told)) == []
        assert "requests" in tell(replace(SOUND, asked_up=told))


def test_plain_clients_may_lose_but_not_get_twice() -> None:
    """At most once, in order, is what they are promised."""
    plain = replace(SOUND, settings=Settings(mode="plain"), up=Account(sent=10, received=9, lost=1))

    assert failures(plain) == []
    assert "1 lost" in tell(plain)
    assert failures(replace(plain, up=Account(sent=10, received=11, duplicated=1))) != []


def test_plain_clients_that_count_may_lose_in_one_direction_only() -> None:
    """What they send may get lost; what they get may not."""
    counting = replace(SOUND, settings=Settings(mode="counting"))

    assert failures(replace(counting, up=Account(sent=10, received=9, lost=1))) == []
    assert failures(replace(counting, down=Account(sent=10, received=9, lost=1))) != []


@pytest.mark.parametrize(
    "stats",
    [
        Stats(accepted=20, acknowledged=19),
        Stats(accepted=20, acknowledged=19, expired=1),
        Stats(accepted=20, acknowledged=20, sessions=1),
    ],
)
def test_the_ledger_must_add_up_to_what_was_acknowledged(stats: Stats) -> None:
    """A frame that nobody can account for fails the run, even if no number is missing."""
    assert failures(replace(SOUND, stats=asdict(stats))) != []


def test_a_client_that_gave_up_or_a_server_that_complains_fails_the_run() -> None:
    """Nobody may end before the end, and a traceback in the log is one too many."""
    assert failures(replace(SOUND, troubles=["client-1: ended"])) == ["client-1: ended"]
    assert failures(replace(SOUND, complaints=["Traceback"])) == ["the server complains: Traceback"]
    assert failures(replace(SOUND, stuck=True)) == ["it came to a stop"]
