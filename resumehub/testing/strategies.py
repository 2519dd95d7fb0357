"""Who runs next: all orders, a random one, one that digs deep, or the one that failed.

A strategy plays one schedule after another: ``begin`` starts one and says whether there is any left,
``choose`` makes its choices, and ``taken`` is what it chose, which is all that is needed to play the
schedule again. A choice is a number below "how many can go on"; 0 always means "no switch", so
a schedule reads as the places where another thread came in between. Pure; no thread, no hub.
"""

from __future__ import annotations

import random
import re
from typing import Protocol


class Uncontrolled(AssertionError):
    """The same schedule went two ways: something in the scenario is not under the lab's control."""


class Exploration(Protocol):
    """A sequence of schedules."""

    @property
    def taken(self) -> list[int]:
        """The choices of the present schedule so far."""

    def begin(self) -> bool: ...
    def choose(self, names: list[str]) -> int: ...


class Exhaustive:
    """Every order, with at most ``preemptions`` switches away from a thread that could go on.

    Bugs of this kind hide behind few preemptions; two find most. None: no bound at all. Depth
    first: the counter "pick a number below n" visits every combination and stops. ``switches``
    bounds all choices but the first, those behind a thread that has to wait, too: for big scenarios.

    Raises: Uncontrolled, when the beginning of a schedule that was played before goes another way.
    """

    def __init__(self, preemptions: int | None = 1, *, switches: int | None = None) -> None:
        self.preemptions = preemptions
        self.switches = switches
        self.taken: list[int] = []
        self._bounds: list[int] = []
        self._plan: list[int] = []
        self._seen: list[list[str]] = []
        self._preempted = 0
        self._switched = 0
        self._last: str | None = None
        self._started = False

    def begin(self) -> bool:
        if self._started:
            # Count up: the last choice that can be raised is, and what comes behind it starts at 0.
            plan, bounds = self.taken, self._bounds
            while plan and plan[-1] + 1 >= bounds[len(plan) - 1]:
                plan.pop()
            if not plan:
                return False
            plan[-1] += 1
            self._plan = plan
            del self._seen[len(plan) :]
        self._started = True
        self.taken, self._bounds, self._last = [], [], None
        self._preempted = self._switched = 0
        return True

    def choose(self, names: list[str]) -> int:
        place = len(self.taken)
        self._check(place, names)
        could_go_on = names[0] == self._last
        spent = could_go_on and self.preemptions is not None and self._preempted >= self.preemptions
        spent = spent or (self.switches is not None and self._switched >= self.switches)
        choice = self._plan[place] if place < len(self._plan) else 0
        self.taken.append(choice)
        self._bounds.append(1 if spent else len(names))
        self._preempted += bool(could_go_on and choice)
        self._switched += bool(choice)
        self._last = names[choice]
        return choice

    def _check(self, place: int, names: list[str]) -> None:
        if place >= len(self._seen):
            self._seen.append(names)
        elif self._seen[place] != names:
            raise Uncontrolled(
                f"at choice {place + 1} of a schedule whose beginning was played before, {_and(names)} can "
                f"go on; before it was {_and(self._seen[place])}. Something that the scenario does "
                "depends on more than the order of its threads."
            )


class Deepening:
    """Every order with no switch, then every one with at most one, and so on up to ``switches``.

    A switch is any choice but the first: most bugs show with two or three of them, and this finds
    the simplest first. The few schedules of a smaller bound are played again within the larger.
    """

    def __init__(self, switches: int = 2) -> None:
        self._left = [Exhaustive(None, switches=count) for count in range(switches, -1, -1)]

    @property
    def taken(self) -> list[int]:
        return self._left[-1].taken

    def begin(self) -> bool:
        while not self._left[-1].begin():
            if len(self._left) == 1:
                return False
            self._left.pop()
        return True

    def choose(self, names: list[str]) -> int:
        return self._left[-1].choose(names)


def _and(names: list[str]) -> str:
    return " and ".join(names)


class Random:
    """``count`` schedules in which every choice is a throw of the dice."""

    def __init__(self, seed: int, count: int) -> None:
        self.taken: list[int] = []
        self._seed = seed
        self._count = count
        self._played = 0
        self._dice = random.Random(seed)

    def begin(self) -> bool:
        if self._played >= self._count:
            return False
        self._dice = random.Random(f"{self._seed}/{self._played}")
        self._played += 1
        self.taken = []
        return True

    def choose(self, names: list[str]) -> int:
        self.taken.append(self._dice.randrange(len(names)))
        return self.taken[-1]


class PCT:
    """``count`` schedules by random priorities that change ``depth`` - 1 times.

    A bug that needs ``depth`` steps in a certain order is found with a probability of at least
    1 / (threads · length^(depth-1)) in each (Burckhardt et al., ASPLOS 2010). ``length``: in how many
    choices the changes are; by default as many as the longest schedule so far had.
    """

    def __init__(self, seed: int, count: int, depth: int = 3, length: int | None = None) -> None:
        self.taken: list[int] = []
        self._seed = seed
        self._count = count
        self._depth = depth
        self._length = length
        self._longest = 1
        self._played = 0
        self._dice = random.Random(seed)
        self._priorities: dict[str, float] = {}
        self._changes: set[int] = set()

    def begin(self) -> bool:
        if self._played >= self._count:
            return False
        self._longest = max(self._longest, len(self.taken))
        self._dice = random.Random(f"{self._seed}/{self._played}")
        self._played += 1
        self.taken = []
        self._priorities = {}
        length = self._length or self._longest
        self._changes = {self._dice.randrange(length) for _ in range(self._depth - 1)}
        return True

    def choose(self, names: list[str]) -> int:
        for name in names:
            self._priorities.setdefault(name, self._dice.random())
        choice = self._first(names)
        if len(self.taken) in self._changes:
            self._priorities[names[choice]] = -1.0 - len(self.taken)
            choice = self._first(names)
        self.taken.append(choice)
        return choice

    def _first(self, names: list[str]) -> int:
        return max(range(len(names)), key=lambda place: self._priorities[names[place]])


class Replay:
    """One schedule, as ``encode`` wrote it down; after its end, no switches."""

    def __init__(self, schedule: str) -> None:
        self.taken: list[int] = []
        self._plan = decode(schedule)
        self._played = False

    def begin(self) -> bool:
        played, self._played = self._played, True
        self.taken = []
        return not played

    def choose(self, names: list[str]) -> int:
        place = len(self.taken)
        choice = min(self._plan[place], len(names) - 1) if place < len(self._plan) else 0
        self.taken.append(choice)
        return choice


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def encode(choices: list[int]) -> str:
    """Write a schedule down: ``x``, then a digit (0-9, a-z) for each choice, the zeros at the end left out.

    Runs of zeros are ``.count.``, choices beyond 35 ``_choice_``.
    """
    end = len(choices)
    while end and choices[end - 1] == 0:
        end -= 1
    text, zeros = "x", 0
    for choice in choices[:end]:
        if choice == 0:
            zeros += 1
            continue
        text += f".{zeros}." if zeros > 3 else "0" * zeros
        text += _DIGITS[choice] if choice < len(_DIGITS) else f"_{choice}_"
        zeros = 0
    return text


_PART = re.compile(r"\.([0-9]{1,6})\.|_([0-9]{1,6})_|([0-9a-z])", re.ASCII)


def decode(schedule: str) -> list[int]:
    """Read what ``encode`` wrote. Raises ValueError for anything else."""
    if not schedule.startswith("x"):
        raise ValueError(
            f"{schedule!r} is no schedule: it begins with 'x'; copy all of the line that says 'replay'"
        )
    choices: list[int] = []
    place = 1
    while place < len(schedule):
        part = _PART.match(schedule, place)
        if part is None:
            raise ValueError(f"{schedule!r} is no schedule: {schedule[place:]!r} cannot be read")
        zeros, big, digit = part.groups()
        choices.extend([0] * int(zeros) if zeros else [int(big) if big else _DIGITS.index(digit)])
        place = part.end()
    return choices
