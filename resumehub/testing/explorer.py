"""``explore``: run a scenario in every order of its threads, and show the one that breaks it.

    def scenario(lab):
        hub = lab.open()
        alice = lab.dial("/?id=alice")

        @lab.actor
        def network():
            alice.drop()

        @lab.actor
        def application():
            hub.kick("alice")

    explore(scenario)

What the function does itself is the scene, played without switches; what its actors and the hub
do with each other is explored. After every step the hub's invariants and the scenario's own are
checked. A failure is made as short as it gets, printed as numbered sentences, and can be played
again from one line. Runs in the caller's thread.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .lab import Lab
from .strategies import Deepening, Exploration, Replay, Uncontrolled, encode
from .tasks import Step, is_failure

#: The environment variable that has ``explore`` play just one schedule.
REPLAY = "RESUMEHUB_SCHEDULE"

#: How many simpler schedules are tried before a failure is printed.
_LOOKS = 200

Scenario = Callable[[Any], object]


class ScheduleFailed(AssertionError):
    """A schedule broke the scenario.

    ``schedule`` plays it again; ``number`` counts the schedules, from 1; ``trace``: its steps.
    """

    def __init__(self, message: str, schedule: str, number: int, trace: list[Step]) -> None:
        super().__init__(message)
        self.schedule = schedule
        self.number = number
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Explored:
    """What an exploration did: ``complete`` if every order within its bounds was run."""

    schedules: int
    steps: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _Mode:
    """How the labs of an exploration are made; see ``Lab``."""

    stop_at_locks: bool
    share: bool
    lab: type[Lab]


@dataclass(slots=True)
class _Run:
    choices: list[int]
    trace: list[Step]
    error: BaseException | None
    #: The part of the trace that was explored.
    start: int


def explore(
    scenario: Scenario,
    strategy: Exploration | None = None,
    *,
    max_schedules: int = 10_000,
    stop_at_locks: bool = False,
    share: bool = False,
    twice: bool = True,
    replay: str | None = None,
    lab: type[Lab] = Lab,
    _line: Callable[[str], str] | None = None,
) -> Explored:
    """Run ``scenario`` in one order after another.

    ``strategy``: ``Deepening`` to two switches unless given. ``max_schedules``: stop there.
    ``stop_at_locks``: switch at every lock that is free, too: many more orders, for bugs in code that
    a lock should guard and does not. ``share``: see ``Lab``. ``twice``: run every schedule twice, to see
    whether anything is not under control. ``lab``: ``MemoryCluster`` for several processes. ``replay``: run
    only this schedule; the environment variable RESUMEHUB_SCHEDULE says the same.

    Raises: ScheduleFailed; Uncontrolled. Blocks: until done.
    """
    __tracebackhide__ = True
    wanted = replay or os.environ.get(REPLAY)
    exploration: Exploration = Replay(wanted) if wanted else copy.deepcopy(strategy or Deepening())
    with _on_one_processor():
        return _explore(scenario, exploration, max_schedules, _Mode(stop_at_locks, share, lab), twice, _line)


def _explore(
    scenario: Scenario,
    exploration: Exploration,
    max_schedules: int,
    mode: _Mode,
    twice: bool,
    line: Callable[[str], str] | None,
) -> Explored:
    __tracebackhide__ = True
    schedules = steps = 0
    complete = False
    while not (complete := not exploration.begin()) and schedules < max_schedules:
        run = _play(scenario, exploration, mode)
        schedules += 1
        steps += len(run.trace)
        if twice or run.error is not None:
            _compare(run, _replay(scenario, run.choices, mode))
        if run.error is not None:
            shortest = _shortest(scenario, run, mode)
            raise _failure(scenario, shortest, schedules, line) from run.error
    return Explored(schedules, steps, complete)


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Keep this thread and those that it starts on one processor: passing the turn is then twice as quick."""
    try:
        before = os.sched_getaffinity(0)
        # Not always the same, so that test runs side by side do not meet.
        os.sched_setaffinity(0, {sorted(before)[os.getpid() % len(before)]})
    except (AttributeError, OSError):  # not Linux, or not allowed
        yield
        return
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _play(scenario: Scenario, exploration: Exploration, mode: _Mode) -> _Run:
    lab = mode.lab(exploration, stop_at_locks=mode.stop_at_locks, share=mode.share)
    lab.captured_log.quiet = True  # thousands of runs: what is logged stays in ``lab.log``
    error: BaseException | None = None
    try:
        scenario(lab)
        lab.finish()
    except Uncontrolled:
        raise
    except Exception as failed:
        error = failed
    except BaseException as failed:
        if not is_failure(failed):
            raise
        error = failed
    finally:
        lab.abandon()
    trace = lab.scheduler.trace
    start = lab.played[0] if lab.played is not None else len(trace)
    return _Run(list(exploration.taken), trace, error, start)


def _replay(scenario: Scenario, choices: list[int], mode: _Mode) -> _Run:
    plan = Replay(encode(choices))
    plan.begin()
    return _play(scenario, plan, mode)


def _compare(run: _Run, again: _Run) -> None:
    if again.trace == run.trace and type(again.error) is type(run.error):
        return
    place = next(
        (i for i, (a, b) in enumerate(zip(run.trace, again.trace, strict=False)) if a != b),
        min(len(run.trace), len(again.trace)),
    )
    ways = [
        repr(str(one.trace[place]) if place < len(one.trace) else f"the end ({one.error!r})")
        for one in (run, again)
    ]
    raise Uncontrolled(
        f"the same schedule went two ways at step {place + 1}: {ways[0]}, then {ways[1]}. Something that "
        "the scenario does depends on more than the order of its threads: a clock, a random number, "
        "the order of a set, state that outlives a run, a thread or lock of your own."
    )


def _shortest(scenario: Scenario, run: _Run, mode: _Mode) -> _Run:
    """The same failure with as few switches as can be found in a moment."""
    best, index = run, 0
    while index < len(best.choices):
        if best.choices[index]:
            # Without this switch, or without all from here on.
            for rest in (best.choices[index + 1 :], []):
                shorter = _replay(scenario, [*best.choices[:index], 0, *rest], mode)
                if _is_same(shorter, run) and _switches(shorter) < _switches(best):
                    best, index = shorter, -1
                    break
        index += 1
    # What chance has found may need switches only because of others: look among the simpler schedules.
    simpler = Deepening(_switches(best) - 1)
    for _ in range(_LOOKS):
        if _switches(best) < 2 or not simpler.begin():
            break
        shorter = _play(scenario, simpler, mode)
        if _is_same(shorter, run):
            return shorter
    return best


def _is_same(run: _Run, other: _Run) -> bool:
    return run.error is not None and type(run.error) is type(other.error)


def _switches(run: _Run) -> int:
    return sum(1 for choice in run.choices if choice)


def _failure(scenario: Scenario, run: _Run, number: int, line: Callable[[str], str] | None) -> ScheduleFailed:
    schedule = encode(run.choices)
    name = getattr(scenario, "__name__", "the scenario")
    switches = _switches(run)
    again = line(schedule) if line is not None else f"explore({name}, replay={schedule!r})"
    lines = [
        f"schedule {number} of {name} fails: {type(run.error).__name__}: {run.error}",
        f"with {switches} switch{'es' * (switches != 1)}, in this order:",
        *sentences(run.trace[run.start :]),
        f"replay: {again}  or  {REPLAY}={schedule}",
    ]
    return ScheduleFailed("\n".join(lines), schedule, number, run.trace[run.start :])


def sentences(trace: list[Step]) -> list[str]:
    """A schedule as numbered sentences, one for each stretch in which one thread ran."""
    lines: list[str] = []
    doings: list[str] = []
    for index, step in enumerate(trace):
        doings.append(", ".join(filter(None, [step.where, *step.deeds])))
        if index + 1 == len(trace) or trace[index + 1].thread != step.thread:
            shown = doings if len(doings) <= 6 else [*doings[:3], f"… {len(doings) - 5} more …", *doings[-2:]]
            lines.append(f"{len(lines) + 1:4}. {step.thread}: {'; '.join(shown)}")
            doings = []
    return lines
