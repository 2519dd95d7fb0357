"""The reader of a transport that shares its threads with others, and reads a turn at a time.

``Reader`` handles what it reads; here is when it reads: while there is input, not for too long, and not while
the client must wait, for room or for its rate. Read next: ``reader.py``, ``leader_followers.py``.
"""

from __future__ import annotations

from ..runtime.foreign_code import Log, passes
from ..session.serial_queue import SerialQueue
from ..session.services import Services
from .leader_followers import LeaderFollowers
from .read_tasks import TurnResult, Worker
from .reader import Reader
from .transport_io import TransportIO

log = Log(__name__)

# A look-up of an enumeration's member costs time, and these are used for every message.
_LEFT, _READ_ON = TurnResult.LEFT, TurnResult.READ_ON

_TURN = 32
"""After so many events a reader that shares its thread lets the others go first."""


class SharedReader(Reader):
    """Reads one transport in turns (``leader_followers.py``), each for as long as there is input.

    It never waits: not for the network, and not when too many messages of the session wait, or its client
    sends more than its rate allows; then no thread reads the transport until that is over. When its input
    ends, the hub thread aborts the transport, and the later of the two closes it.
    """

    def __init__(
        self, services: Services, io: TransportIO, token: object, leader_followers: LeaderFollowers
    ) -> None:
        super().__init__(services, io, token)
        assert io.transport.pollable is not None, "its socket can be waited for"
        self._leader_followers = leader_followers
        self.number = io.transport.pollable.fileno()
        self.in_hand = False
        self._begun = False
        self._full = False
        self._me: Worker | None = None

    def begin_idle(self) -> None:
        """Nothing waits to be written or handled: the first turn may come with the first input.

        Hub thread, before a thread knows of it.
        """
        self._begun = True
        if self.io.listened_since is not None:
            self.io.reading_since, self.io.listened_since = self.io.listened_since, None

    def take(self, me: Worker) -> TurnResult:
        """Take a turn: read, if nothing is left of the last turn, and handle some of what came."""
        self._me = me
        backlog = self.io.backlog
        try:
            if not self._begun:
                self._begun = True
                if not self._begin():
                    return _LEFT
            if not backlog:
                backlog.extend(self.io.transport.receive_now())
                if self.io.transport.fragments != self._fragments:
                    self._charge_fragments()
                    if self._overdrawn and not backlog:
                        return TurnResult.PAUSED
            for _ in range(min(len(backlog), _TURN)):
                if self.io.parting:
                    self._leave()
                    return _LEFT
                if not self._handle(backlog.popleft()):
                    return _LEFT
                if self._full or self._overdrawn:
                    return TurnResult.PAUSED
            if backlog or self.io.transport.has_more or self.io.parting:
                self._leader_followers.recall(self.number)  # the socket need not have any
        except BaseException as error:
            if passes(error):
                raise
            self.give_up(error)
            return _LEFT
        return _READ_ON

    def resume_later(self) -> None:
        """After a turn that was PAUSED: have the next one taken once there is room, or the client may send.

        The turn is over: from here on any thread may take the next one.
        """
        assert self._session is not None, "only a session's client has to wait"
        if self._full:
            self._full = False
            self._session.serial_queue.when_room(self._go_on)
        else:
            self._begin_pause(self._session, self._go_on)

    def _go_on(self) -> None:
        self._start_reading()
        try:
            self._leader_followers.enter(self)
        except RuntimeError as error:  # a thread that runs callbacks calls this, and must go on
            self.give_up(error)

    def _wait_for_room(self, serial_queue: SerialQueue) -> None:
        self._full = True

    def _about_to_call(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._leader_followers.before_callback(self._me, self.io.backlog)

    def _have_called(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._leader_followers.after_callback(self._me)

    def _leave(self) -> None:
        self._leader_followers.forget(self.number)
        super()._leave()

    def _finish(self) -> None:
        self._leader_followers.forget(self.number)
        if self.io.is_to_be_closed(ended=True):
            self.let_go()


class FinalRelease:
    """The last turn of a transport that was aborted while a writer thread still used the socket."""

    in_hand = False

    def __init__(self, reader: Reader, number: int) -> None:
        self._reader = reader
        self.number = number

    def take(self, me: Worker) -> TurnResult:
        self._reader.let_go()
        return _LEFT

    def resume_later(self) -> None:
        raise AssertionError("it reads nothing")

    def give_up(self, why: BaseException) -> None:
        log.error(
            "closing transport %s failed; please report this",
            self._reader.io.number,
            exc_info=why,
            transport=self._reader.io.number,
        )
