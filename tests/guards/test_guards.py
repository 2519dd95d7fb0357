"""Each check in the machine, and in the shell where threads meet, is there for a reason that can be shown.

For each guard: the code without it, a schedule that goes wrong, and the same schedule on the code as it is.
The guards are data (``guard.py`` says what an entry means); docs/explanation/guards.md is drawn from them.
"""

from __future__ import annotations

import pytest

from resumehub.testing import Lab, ScheduleFailed, explore
from tests.guards import (
    cluster_guards,
    ending_guards,
    limit_guards,
    registration_guards,
    report_guards,
    request_guards,
    resume_guards,
    shell_guards,
    time_guards,
    transport_guards,
    v1_shell_guards,
)
from tests.guards.guard import Guard
from tests.guards.mutation import Moved, without
from tests.guards.sentences import failure_of
from tests.guards.shell_guard import ShellGuard

ALL_CORE = (
    *time_guards.GUARDS,
    *registration_guards.GUARDS,
    *resume_guards.GUARDS,
    *ending_guards.GUARDS,
    *report_guards.GUARDS,
    *transport_guards.GUARDS,
    *limit_guards.GUARDS,
)
CORE: dict[str, Guard] = {guard.name: guard for guard in ALL_CORE}
ALL_SHELL = (*shell_guards.GUARDS, *v1_shell_guards.GUARDS, *request_guards.GUARDS, *cluster_guards.GUARDS)
SHELL: dict[str, ShellGuard] = {guard.name: guard for guard in ALL_SHELL}

ORDERS = 60
"""How many orders of a scene are played where none may fail."""


def _orders(guard: ShellGuard) -> int:
    return ORDERS if guard.lab is Lab else 4  # several processes take longer, and have a test of their own


def named(guards: list[Guard] | list[ShellGuard]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("guard", guards, ids=lambda guard: guard.name)


@named([guard for guard in CORE.values() if guard.schedule])
def test_without_the_guard_its_schedule_goes_wrong(guard: Guard) -> None:
    """What is seen from outside goes wrong: the machine's own invariants are not asked."""
    others = [CORE[guard.besides]] if guard.besides else []
    with without(guard, *others):
        failure = failure_of(guard.schedule, invariants=False, **guard.options)
    assert guard.says
    assert guard.says in failure, (
        f"without the guard {guard.name!r} the schedule ends so: {failure or 'well'}"
    )
    assert failure_of(guard.schedule, **guard.options) == ""


@named([guard for guard in CORE.values() if not guard.proven])
def test_no_schedule_of_all_needs_a_guard_that_is_only_explained(guard: Guard) -> None:
    with without(guard):
        wrong = [
            other for other in CORE.values() if failure_of(other.schedule, invariants=False, **other.options)
        ]
    # One that goes wrong with the guard, too, is its own test's business.
    needed_by = [other.name for other in wrong if not failure_of(other.schedule, **other.options)]
    assert needed_by == [], f"the guard {guard.name!r} is needed after all: enter it with the schedule"


@named([guard for guard in SHELL.values() if guard.proven])
def test_without_the_guard_its_scene_fails_in_an_order_that_can_be_replayed(guard: ShellGuard) -> None:
    with without(guard), pytest.raises(ScheduleFailed) as failed:
        explore(guard.scene, stop_at_locks=guard.locks, lab=guard.lab, twice=False, max_schedules=1000)
    assert guard.says in str(failed.value)
    assert failed.value.schedule == guard.replay, (
        "the schedule has moved: write the new one into its …shell_guards.py"
    )


@named(list(SHELL.values()))
def test_with_the_guard_its_scene_fails_in_no_order(guard: ShellGuard) -> None:
    explore(guard.scene, stop_at_locks=guard.locks, lab=guard.lab, twice=False, max_schedules=_orders(guard))
    if guard.replay:
        explore(guard.scene, stop_at_locks=guard.locks, lab=guard.lab, twice=False, replay=guard.replay)


@named([guard for guard in SHELL.values() if not guard.proven])
def test_no_order_of_its_scene_needs_a_guard_that_is_only_explained(guard: ShellGuard) -> None:
    with without(guard):
        explore(
            guard.scene, stop_at_locks=guard.locks, lab=guard.lab, twice=False, max_schedules=_orders(guard)
        )


def test_a_guard_whose_text_has_moved_is_named() -> None:
    gone = Guard("the gap", "core/machine.py", "if there is no such text:", "", "")
    with pytest.raises(
        Moved, match="the guard 'the gap' has moved: its text is 0 times in resumehub/core/machine"
    ):
        without(gone).__enter__()


def test_every_entry_says_what_it_is_for() -> None:
    assert len(CORE) + len(SHELL) == len({*CORE, *SHELL}) == len(ALL_CORE) + len(ALL_SHELL)
    for guard in (*CORE.values(), *SHELL.values()):
        assert guard.protects
        assert guard.proven == bool(not guard.because)
        assert not guard.besides or (guard.because and CORE[guard.besides])
