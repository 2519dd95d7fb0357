"""Which transport gets a turn next: the tasks that wait for a thread, and those whose sockets are watched.

A task is *in hand* from the moment at which it is ready until its turn is over, so one thread at a time works
for a transport. A task that has more to do takes another turn, behind a look for input: those whose input
comes now go first. So a transport with much input delays the others by one turn at a time. And it gets its
next turn after at most one look for each task that goes on, whatever comes.

It knows nothing of threads. Call every method with the lock of ``LeaderFollowers`` held; none blocks. Read
next: ``watched_sockets.py``, ``leader_followers.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from ..runtime.base import Poller
from .read_tasks import LastTurn, ReadTask
from .watched_sockets import WatchedSockets


class TurnQueue:
    """``renewed`` is called, with the lock held, when there is another poller: no thread waits by it yet."""

    def __init__(
        self, poller: Poller, make: Callable[[], Poller | None], renewed: Callable[[], None]
    ) -> None:
        #: The tasks that wait for a thread.
        self.ready: deque[ReadTask] = deque()
        # Those that go on, once the sockets have been looked at.
        self._again: deque[ReadTask] = deque()
        self.sockets: WatchedSockets[ReadTask] = WatchedSockets(poller, make)
        self._renewed = renewed
        # Sockets that get one more turn after the present one, also without input.
        self._recalled: set[int] = set()

    def has_work(self) -> bool:
        """Whether a thread is needed."""
        return bool(self.ready or self._again) or len(self.sockets) > 0

    @property
    def goes_on(self) -> bool:
        """Whether a task takes another turn: look for input, and do not wait for it."""
        return bool(self._again)

    def put(self, task: ReadTask) -> None:
        """Let a thread take the task, which is in no hand."""
        task.in_hand = True
        self.ready.append(task)

    def recall(self, number: int) -> bool:
        """Have one more turn taken, also without input; True if the task is ready now."""
        task = self.sockets.get(number)
        if task is None or task.in_hand:
            self._recalled.add(number)  # it comes after the present turn
            return False
        self.put(task)
        return True

    def forget(self, number: int, if_idle: bool = False) -> bool:
        """Watch the socket no more. ``if_idle``: only if its task is in no hand; if it is, return False."""
        if if_idle:
            task = self.sockets.get(number)
            if task is None or task.in_hand or number in self._recalled:
                return False
        self.sockets.forget(number)
        self._recalled.discard(number)
        return True

    def hand_back(self, turn: ReadTask) -> bool:
        """A turn is over: watch its socket. True if there is another turn for a thread.

        That is so for one that was recalled, and for one that can't be watched, which gets a last turn.
        """
        number = turn.number
        if self._recalled and number in self._recalled:
            self._recalled.remove(number)
            self._again.append(turn)
            return True
        problem = self.sockets.keep(number, turn)
        if problem is not None:
            self.renew()
            problem = self.sockets.keep(number, turn)
        if problem is not None:
            self.ready.append(LastTurn(turn, problem))
            return True
        turn.in_hand = False
        return False

    def have_input(self, numbers: Iterable[int]) -> None:
        """The poller has found input on these sockets."""
        for number in numbers:
            turn = self.sockets.get(number)
            if turn is None:
                continue  # ``forget`` was called after the poller had found it
            if turn.in_hand:
                self.sockets.mute(number)
            else:
                self.put(turn)
        self.go_on()

    def go_on(self) -> None:
        """Let a thread take the next task that goes on."""
        if self._again:
            self.ready.append(self._again.popleft())

    def renew(self) -> None:
        """A call of the poller has failed: replace it, if it is gone."""
        poller = self.sockets.poller
        for task in self.sockets.renew():
            if not task.in_hand:
                task.in_hand = True
                self.ready.append(LastTurn(task, OSError("its descriptor cannot be watched any more")))
        if self.sockets.poller is not poller:
            self._renewed()
