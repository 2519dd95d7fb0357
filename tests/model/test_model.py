"""A hub does what a few dictionaries say it should, whatever happens to it.

Hypothesis makes up sequences of commands; the hub and the model obey the same ones, and after each they are
compared. What fails in the lab is made as short as it gets, and printed as a script. When a resume was let
into whatever session held its id, it was this one::

    AssertionError: closed, client 3: the hub says (4101, 'superseded'), and the model None
    Failing test case: <state machine>
    from tests.model.hypothesis_machine import InTheLab
    state = InTheLab()
    state.open_hub(resume_window=30, on_duplicate='replace', max_sessions=3, on_full='expire')
    clients_0 = state.connect(connection_id='ada', room='lobby')
    knocks_0 = state.knock(connection_id='ada', resume=True, room='lobby')
    clients_1 = state.change_hands(connection_id='ada')
    state.arrive(name=knocks_0)
    state.teardown()

From its third line on it is Python: put it into a file, and run that with ``PYTHONPATH=.``.

The commands are the same in every run, since nothing here is left to chance. For others, more, or longer
ones: ``python -m tests.model.test_model 1000 50 7`` (sequences, commands in each, seed).
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.hypothesis_machine import HubAndModel, InTheLab, OnThreads

TO_THE_POINT = [Phase.generate, Phase.shrink]


def agree(kind: type[HubAndModel], count: int, steps: int, phases: list[Phase], **more: bool) -> None:
    """Fail with a script if ``count`` sequences of ``steps`` commands find a difference."""
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            phases=phases,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


@pytest.mark.timeout(140)  # a failure takes a while to become short
def test_the_hub_does_what_the_model_says() -> None:
    """Statuses, close codes, messages, rooms and callbacks, after each of four thousand commands."""
    agree(InTheLab, 150, 30, TO_THE_POINT, derandomize=True)


@pytest.mark.timeout(140)
def test_on_free_threads_it_does_the_same() -> None:
    """The same where nobody decides who runs. A failure is not made shorter: it may not come back."""
    agree(OnThreads, 30, 30, [Phase.generate], derandomize=True)


if __name__ == "__main__":
    count, steps, number = map(int, sys.argv[1:])
    agree(seed(number)(InTheLab), count, steps, TO_THE_POINT)
    print(f"{count} sequences of up to {steps} commands: no difference")
