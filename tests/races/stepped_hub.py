"""Tools that put a race into one order: a hub that is stepped, an effect that is held, a gap in a request.

A race in the hub is an order of commands, so the hub's mailbox gets a door: while it is shut, commands
queue up, and the hub thread takes one when the test says so. What happens *between two effects* of one
command is reached by holding the hub thread in front of one of them; what happens between the check of
an upgrade and its hand-over, by an application that does something there. All waits end when something
happens; ``PATIENCE`` is a hang guard.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resumehub import Hub
from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import WebSocketClient, connect
from tests.contract.peers import Gate
from tests.support import PATIENCE, Stage


class SteppedMailbox:
    """The hub's queue, with a door. Open at first: the hub runs freely until ``hold``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Any] = deque()
        self._open = True
        self._steps = 0
        self._time_is_up = False
        self._hub_waits = False

    # -- the hub's side ---------------------------------------------------------------------

    def put(self, item: Any) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Any:
        with self._changed:
            if timeout == 0:  # the hub has left and looks after what is still there
                return self._items.popleft() if self._items else None
            self._hub_waits = True
            self._changed.notify_all()
            self._changed.wait_for(self._may_go)
            self._hub_waits = False
            if self._time_is_up:
                self._time_is_up = False
                return None
            self._steps -= 1
            return self._items.popleft()

    def _may_go(self) -> bool:
        return self._time_is_up or (bool(self._items) and (self._open or self._steps > 0))

    # -- the test's side --------------------------------------------------------------------

    def hold(self) -> None:
        """Shut the door, once all that is queued has been handled."""
        with self._changed:
            idle = self._changed.wait_for(lambda: self._hub_waits and not self._items, PATIENCE)
            assert idle, "the hub is busy"
            self._open, self._steps = False, 0

    def let_go(self) -> None:
        """Open the door for good."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def step(self, kind: type) -> c.Command:
        """Let the hub handle what is queued up to the first command of this kind, with all its effects."""
        self.wait_until_queued(kind)
        while True:
            with self._changed:
                command = self._items[0][1]
                self._steps = 1
                self._hub_waits = False
                self._changed.notify_all()
                done = self._changed.wait_for(lambda: self._hub_waits, PATIENCE)
                assert done, f"the hub hangs in {command}"
            if isinstance(command, kind):
                return command

    def time_out(self) -> None:
        """Have the hub's wait end as it does when its deadline has come, whatever is queued."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._hub_waits, PATIENCE), "the hub is busy"
            self._time_is_up = True
            self._hub_waits = False
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._hub_waits, PATIENCE), "the hub hangs"

    def wait_until_queued(self, *kinds: type, count: int = 1) -> None:
        """Wait until ``count`` commands of each kind are behind the door."""
        for kind in kinds:
            with self._changed:
                there = self._changed.wait_for(lambda: self._count(kind) >= count, PATIENCE)  # noqa: B023
                assert there, f"{count} {kind.__name__} did not come: {self.queued()}"

    def _count(self, kind: type) -> int:
        return sum(isinstance(command, kind) for _, command, _ in self._items)

    def queued(self) -> list[c.Command]:
        return [command for _, command, _ in self._items]


class SteppedRuntime(SystemRuntime):
    """Real threads, real sockets, and a hub thread that goes step by step."""

    def __init__(self) -> None:
        self.door = SteppedMailbox()

    def mailbox(self) -> SteppedMailbox:
        return self.door


MakeStepped = Callable[..., tuple[Stage, SteppedMailbox]]


@pytest.fixture
def stepped(stage: Callable[..., Stage]) -> Iterator[MakeStepped]:
    """Make a stage whose hub can be stepped, and its door."""
    doors: list[SteppedMailbox] = []

    def make(*arguments: Any, **options: Any) -> tuple[Stage, SteppedMailbox]:
        runtime = SteppedRuntime()
        doors.append(runtime.door)
        return stage(*arguments, _runtime=runtime, **options), runtime.door

    yield make
    for door in doors:
        door.let_go()


@contextlib.contextmanager
def held_before(hub: Hub, kind: type[e.Effect]) -> Iterator[Gate]:
    """Hold the hub thread in front of the next effect of this kind; let it go at the end at the latest."""
    effect_runner, gate = hub.runner.start().effect_runner, Gate()
    execute = effect_runner.execute

    def held(effect: e.Effect) -> Any:
        if isinstance(effect, kind):
            effect_runner.execute = execute  # type: ignore[method-assign]
            gate.hold()
        return execute(effect)

    effect_runner.execute = held  # type: ignore[method-assign]
    try:
        yield gate
    finally:
        effect_runner.execute = execute  # type: ignore[method-assign]
        gate.open()


def connect_with_gap(
    hub: Hub, meanwhile: Callable[[], object], connection_id: str = "u1", query: str = "", **how: Any
) -> WebSocketClient:
    """Connect through a view that does ``meanwhile`` between the check and the hand-over."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        response = hub.upgrade(environ, "lobby", connection_id)
        meanwhile()
        return response(environ, start_response)

    return connect(app, f"/?{query}", **how)
