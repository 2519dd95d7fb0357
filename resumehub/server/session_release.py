"""Has a session's callbacks end in this process before it leaves for another one: its *release*.

The queue of its callbacks is held as soon as none of them runs. Then on_release runs, and the session's data
is looked at. Until that is done the session is *unreleased*: if the hub leaves nevertheless, the session is
*carried*. It goes with its socket, and its callbacks begin there when those here have ended. One for each
session, made by ``hub_departure.py``, which freezes it, and undoes it or lets the session go; callbacks call
in on their threads. Nothing here blocks. Read next: ``../session/serial_queue.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..runtime.base import Runtime
from ..session.handler_calls import HookCall
from ..session.services import Services
from ..session.session import Session
from ..session.session_data import check_data
from .moving import leaves


class Stage(Enum):
    """How far a session's release has come."""

    ASKED = "a callback of it runs, or one of an earlier session of its id waits"
    RELEASING = "its on_release runs"
    RELEASED = "no callback of it starts here any more"
    OVER = "it has left, or goes on here"


@dataclass(frozen=True, slots=True)
class LastWord:
    """What the process that a session has left says of it when its last callback there has returned.

    ``problem``: why ``data`` can't be passed on; None: it can. ``failed_in``: the hook in which a callback
    has raised meanwhile, or "".
    """

    life: str
    data: Any
    problem: str | None
    failed_in: str


TellLastWord = Callable[[LastWord], None]


class SessionRelease:
    """The release of one session. ``changed``: called when it is released."""

    def __init__(
        self, runtime: Runtime, services: Services, session: Session, changed: Callable[[], None]
    ) -> None:
        self._lock = runtime.lock(f"the release of session {session.epoch}")
        self._services = services
        self.session = session
        self._changed = changed
        self.stage = Stage.ASKED
        #: Whether its on_release has begun: then on_adopt is due if it goes on here.
        self.told = False
        #: Why it can't be moved at all.
        self.problem: str | None = None
        self._frozen = False
        # Whether its queue is held, or will be when the callback that runs has returned.
        self._holds = False
        self._when_released: Callable[[], None] | None = None

    # -- the release ------------------------------------------------------------------------

    def begin(self) -> None:
        """The mover: let no callback of it start any more, and go on when none runs."""
        self._holds = True
        self.session.serial_queue.hold(self._quiet)

    def begin_again(self) -> None:
        """A callback of its queue: the same, behind those of an earlier session."""
        with self._lock:
            if not (self._frozen or self.stage is Stage.OVER):
                self._holds = True
                self.session.serial_queue.hold(self._quiet)  # a callback runs: ``_quiet`` is called later

    def _quiet(self) -> None:
        session, queue, call = self.session, self.session.serial_queue, None
        with self._lock:
            if self._frozen or self.stage is not Stage.ASKED:
                return
            if any(one.session is not session for one in queue.waiting()):
                # An earlier session of the id ends here: its on_disconnect is before anything of this one.
                self._holds = False
                queue.let_go()
                queue.post(_AfterThose(self))
                return
            self.told = leaves(session)
            if self.told and self._services.handlers["on_release"]:
                self.stage = Stage.RELEASING
                call = self._on_release()
            else:
                self._settle()
        if call is not None:
            queue.run_alone(call, self._has_released)
        else:
            self._changed()

    def _has_released(self) -> None:
        """on_release has returned; the queue is held."""
        with self._lock:
            if self.stage is not Stage.OVER:
                self._settle()
            when_released = self._when_released
        if when_released is not None:
            when_released()
        self._changed()

    def _settle(self) -> None:
        self.stage = Stage.RELEASED
        try:
            check_data(self._data())
        except TypeError as error:
            self.problem = str(error)

    # -- for the mover ----------------------------------------------------------------------

    def freeze(self) -> bool:
        """Start no on_release any more; True if the session is released."""
        with self._lock:
            self._frozen = True
            return self.stage is Stage.RELEASED

    def undo(self, go_on: Callable[[], None]) -> None:
        """The session goes on here. ``go_on``: called if its queue is held, when no callback runs."""
        with self._lock:
            stage, self.stage = self.stage, Stage.OVER
            if stage is Stage.RELEASING:
                self._when_released = go_on
            elif stage is Stage.ASKED and self._holds:
                self.session.serial_queue.let_go()
        if stage is Stage.RELEASED:
            go_on()

    def depart(self) -> None:
        """The session has left, and was released before."""
        self.stage = Stage.OVER
        self.session.serial_queue.let_go(without=self._is_its)

    def depart_carried(self, tell: TellLastWord) -> None:
        """It has left before it was released: call ``tell`` when its last callback here has returned."""

        def say() -> None:
            tell(self._last_word())
            self.session.serial_queue.let_go(without=self._is_its)

        with self._lock:
            stage = self.stage
            if stage is Stage.RELEASING:
                self._when_released = say
            elif stage is Stage.ASKED:
                last = _LastHere(self, tell)
                self.session.serial_queue.end_with(last, without=self._is_its, held=self._holds)
        if stage is Stage.RELEASED:
            say()

    def end_here(self, tell: TellLastWord) -> None:
        """In its turn, behind the last callback of it that began here."""
        if not self.told and leaves(self.session):
            self._on_release().run()
        with self._lock:
            self._settle()
        tell(self._last_word())

    def _on_release(self) -> HookCall:
        return HookCall(self._services, self.session, "on_release", self.session.generation, None)

    def _last_word(self) -> LastWord:
        data = None if self.problem is not None else self._data()
        hook, generation = self.session.failed
        # A client that has come back since then does not pay for it, unless its on_connect has raised.
        counts = hook == "on_connect" or generation == self.session.generation
        return LastWord(self.session.life, data, self.problem, hook if counts else "")

    def _data(self) -> Any:
        return self.session.connection.data if self.session.connection is not None else None

    def _is_its(self, call: Any) -> bool:
        return call.session is self.session


class _AfterThose:
    """A callback behind those of an earlier session of the id: the release is tried again."""

    hook = "release"
    size: int | None = None

    def __init__(self, release: SessionRelease) -> None:
        self._release = release
        self.session = release.session

    def run(self) -> None:
        self._release.begin_again()

    def is_stale(self) -> bool:
        return False


class _LastHere(_AfterThose):
    """Behind the last callback of a session that was carried."""

    def __init__(self, release: SessionRelease, tell: TellLastWord) -> None:
        super().__init__(release)
        self._tell = tell

    def run(self) -> None:
        self._release.end_here(self._tell)
