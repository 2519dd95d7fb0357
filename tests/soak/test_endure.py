"""A short endurance run: a real server, real clients, a few scenes; and the same with faults in the server.

The long one is ``tools/soak --minutes 30`` (docs/howto/soak.md).
"""

from __future__ import annotations

import io
import os

import pytest

from tools.soaking.endure_report import endure_failures, tell_endurance, write_samples
from tools.soaking.endure_run import EndureSettings, endure
from tools.soaking.sampling import in_use, look_at


def test_a_sound_server_has_no_failure() -> None:
    """The books agree, and threads and descriptors are the same behind each round."""
    outcome = endure(EndureSettings(minutes=5, only="generated", rounds=2))

    print(tell_endurance(outcome))
    assert endure_failures(outcome) == []
    assert outcome.played == {"generated": 2}
    assert outcome.tally["messages down"] == 40
    assert [pause.server.threads for pause in outcome.pauses] == [outcome.pauses[0].server.threads] * 2


def test_faults_in_the_server_are_found() -> None:
    """A message that is lost, a callback that comes twice, a descriptor that stays open."""
    settings = EndureSettings(minutes=5, only="cut", rounds=2, quiet=1.0)
    outcome = endure(settings, plant="lost doubled leaked")

    told = tell_endurance(outcome)
    assert "messages up lost" in told
    assert "drop of s1-1 came twice in a row" in told
    assert "descriptors: from" in told


@pytest.mark.skipif(not in_use()[1], reason="this libc does not say what malloc has given")
def test_what_is_not_freed_is_counted() -> None:
    """By Python's own allocator, and by malloc."""
    blocks, malloc = in_use()
    small, large = [object() for _ in range(10_000)], [bytearray(10_000) for _ in range(200)]
    grown = in_use()

    assert len(small) == 10_000
    assert grown[0] - blocks > 9_000
    assert len(large) == 200
    assert grown[1] - malloc > 1_800


def test_samples_are_written_as_csv() -> None:
    """One line for each look, in KiB."""
    file = io.StringIO()
    write_samples([look_at(os.getpid())], file)

    head, line = file.getvalue().splitlines()
    assert head == "at,rss,pss,uss,threads,descriptors"
    assert all(float(figure) > 0 for figure in line.split(","))
