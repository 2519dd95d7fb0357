"""The hub's end of calls: executes what the processes of the cluster ask, once each, and answers.

Of each process there is a book (``core/cluster/calls.py``): a call that comes again is answered again and
not done twice. The book goes along when the hub moves, and ends a minute after the process's last link.

The thread of a link executes the calls of its process in the order of their arrival, inside the door, so
that none is half done when the hub moves. It never waits there, since the messages of the move itself may
come over its link: while the door is shut, calls are kept in their order, and go on when it opens here. One
that finds the hub gone is not executed: its process sends it again, to where the hub is then. No thread here
waits for a client or for a callback: such a call is answered by the thread that settles it, or at a tick of
the member. Read next: ``call_execution.py``, ``call_messages.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from ...core.cluster.calls import CallArrival, CallsBroken, ExecutedCalls
from ...errors import LinkBroken
from ...runtime.base import Lock
from ...runtime.foreign_code import Log
from ...server.hub_runner import HubRunner
from ...session.plain_values import PlainValueError, dump, load
from ..door import Door
from ..member_parts import AnyLink, LinkHandler
from .call_bodies import Asked, Done, Raised, RequestCall, Result, SettleCall, WaitClosedCall
from .call_execution import LOOKS, CallExecution
from .call_messages import Answer, Call, CallsGoOn
from .caller import Caller, CallersState, RequestsUnderWay, RequestUnderWay

log = Log(__name__)

KEEP: Final = 60.0
"""Seconds for which the book of a process without a link is kept."""

ASKER: Final = 5.0
"""Seconds without a link after which no answer of a client is awaited from a process that held the hub."""

IN_DOUBT: Final = Raised("RequestInDoubt", ["", "", ""])
"""The result of a request whose answer went to a process that has ended. The caller knows what it asked."""


class CallServer:
    """See the module. The member tells it of links and ticks, and of what comes over the links.

    ``door``, ``process``: give the member's door and name. ``pass_on``: makes a call of this process.
    """

    def __init__(
        self,
        runner: HubRunner,
        door: Callable[[], Door],
        process: Callable[[], str],
        pass_on: Callable[[SettleCall], None],
    ) -> None:
        self._process = process
        self._pass_on = pass_on
        self._runner = runner
        self._runtime = runner.runtime
        self._door = door
        self._execution = CallExecution(runner)
        self._forget_all()

    def _forget_all(self) -> None:
        self._lock = self._runtime.lock("the callers")
        self._callers: dict[str, Caller] = {}
        #: Calls whose late answers are on their way to where the hub is: the process must stay.
        self.passed_on: set[tuple[str, int]] = set()
        self._hears_the_door = False

    @property
    def handlers(self) -> dict[type, LinkHandler]:
        """For messages at the hub's end of a link."""
        return {Call: self._on_call, CallsGoOn: self._on_calls_go_on}

    # -- links ------------------------------------------------------------------------------

    def on_link(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        if at_hub:
            self._listen_to_the_door()
            self._caller(link.peer.process).is_there(link, link.peer.pid)

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        caller = self._callers.get(link.peer.process) if at_hub else None
        if caller is not None:
            caller.is_gone(link)

    def tick(self) -> None:
        """Answer who waits for a session's end, and forget processes that are gone. Never blocks."""
        self._execution.look_for_ends()
        with self._lock:
            callers = list(self._callers.values())
        there = {one.process for one in callers if not one.has_been_gone_for(ASKER)}
        for caller in callers:
            for number, request in list(caller.requests.items()):
                if request.asker != self._process() and request.asker not in there:
                    caller.answer(number, IN_DOUBT)
        door = self._door()
        if door.enter_nowait():
            try:
                for caller in callers:
                    if caller.has_been_gone_for(KEEP):
                        caller.goes_on(())  # it does not come back
                    self._execution.drop(caller.unwanted())
            finally:
                door.leave()
        if not door.is_shut:
            with self._lock:
                for caller in callers:
                    if caller.has_been_gone_for(KEEP) and self._callers.get(caller.process) is caller:
                        del self._callers[caller.process]

    def waits(self) -> int:
        """How many calls wait for the end of a session, or for the door."""
        with self._lock:
            callers = list(self._callers.values())
        return self._execution.waits() + sum(len(caller.held) for caller in callers)

    def name_of(self, process: str) -> str:
        """What a log says of a process that calls."""
        caller = self._callers.get(process)
        if caller is None or not caller.pid:
            return "a process of which no link is known"
        return f"process {caller.pid}"

    def after_fork_in_child(self) -> None:
        """The parent has the links."""
        self._execution.forget()
        self._forget_all()

    # -- calls ------------------------------------------------------------------------------

    def _on_calls_go_on(self, link: Any, message: CallsGoOn, descriptors: Sequence[int]) -> None:
        self.go_on(link.peer.process, message.waiting)

    def go_on(self, process: str, waiting: Sequence[int]) -> None:
        """The process still waits for these calls, and for no others. Never blocks."""
        self._caller(process).goes_on(waiting)

    def _on_call(self, link: Any, call: Call, descriptors: Sequence[int]) -> None:
        caller = self._caller(link.peer.process)
        if caller.held:  # only this thread adds to it, and what is executed stays in it until it is done
            with caller.lock:
                behind = bool(caller.held)
                if behind:
                    caller.held.append((call, link))
            if behind:
                return
        if not self._take(caller, call, link.send, waits=False):
            with caller.lock:
                caller.held.append((call, link))
            if not self._door().is_shut:  # it has opened meanwhile
                self._drain_soon(caller)

    # -- calls that came while the door was shut --------------------------------------------

    def _listen_to_the_door(self) -> None:
        with self._lock:
            first, self._hears_the_door = not self._hears_the_door, True
        if first:
            self._door().tell(self._door_has_opened)

    def _door_has_opened(self) -> None:
        """On the mover's thread; never blocks."""
        with self._lock:
            callers = list(self._callers.values())
        for caller in callers:
            if caller.held:
                self._drain_soon(caller)

    def _drain_soon(self, caller: Caller) -> None:
        with caller.lock:
            if caller.drains:
                return
            caller.drains = True
        try:
            self._runtime.spawn("resumehub-held-calls", lambda: self._drain(caller))
        except RuntimeError:  # the process ends, and starts no more threads
            self._drain(caller)

    def _drain(self, caller: Caller) -> None:
        while True:
            with caller.lock:
                # In one step with the look at the door's openings: none is missed.
                if not caller.held or self._door().is_shut:
                    caller.drains = False
                    return
                call, link = caller.held[0]
            try:
                taken = self._take(caller, call, link.send, waits=False)
            except CallsBroken as error:
                log.error("the link to process %s is ended: %s", link.peer.pid, error, peer_pid=link.peer.pid)
                link.close()
                taken = True
            with caller.lock:
                if taken:
                    caller.held.popleft()
                elif not self._door().is_shut and not self._door().here:
                    caller.held.clear()  # the hub has gone: its process sends them again

    def take_own(self, process: str, number: int, asked: Asked, own: AnyLink) -> bool:
        """The hub has come to the process that calls: its call again. False if the hub has left by now.

        ``own``: gets the answer, now or later, on any thread. Blocks: as the call.
        """
        caller = self._caller(process)
        caller.is_there(own)
        return self._take(caller, Call(number, (), asked), own.send, waits=True)

    def _take(self, caller: Caller, call: Call, send: Callable[[Answer], None], *, waits: bool) -> bool:
        """Execute a call; False if the door does not let it in. ``waits``: while the door is shut."""
        asked, number = call.asked, call.number
        execution = self._execution
        ready = execution.prepare(asked)  # what is the application's runs before the door
        door = self._door()
        if not (door.enter() if waits else door.enter_nowait()):
            return False
        try:
            if self._runner.closed:
                # This process stops, and its sessions are parked: the call is left to the next hub.
                return True
            kind, again = type(asked), None
            looks = kind in LOOKS
            with caller.lock:
                book = caller.book
                arrival = book.arrives(number, call.taken, only_looks=looks, waits=kind in _WAIT)
                if arrival is CallArrival.ANSWER_AGAIN:
                    again = Answer(number, book.answer_to(number))
            if arrival is CallArrival.REFUSE:
                raise CallsBroken(f"call {number} was executed, and its answer was confirmed")
            if arrival is CallArrival.EXECUTE:
                result = self._execute(caller, number, asked, ready)
                if result is not None:
                    caller.answer(number, result, only_looks=looks)
        finally:
            door.leave()
        if again is not None:
            try:
                send(again)
            except LinkBroken:
                pass  # it comes again over the next one
        return True

    def _execute(self, caller: Caller, number: int, asked: Asked, ready: Any) -> Result | None:
        if type(asked) is SettleCall:
            self.settle(asked)
            return _DONE
        if type(asked) not in _WAIT:
            return self._execution.execute(asked, ready, _never_late)
        if type(asked) is RequestCall:
            with caller.lock:
                caller.requests[number] = RequestUnderWay(
                    *(caller.process, number, self._process()),
                    *(asked.life, asked.connection_id, asked.request_id),
                )
        return self._execution.execute(asked, ready, partial(self._late, caller.process, number))

    def settle(self, asked: SettleCall) -> None:
        """A client has answered what another process asked when the hub was elsewhere. Never blocks."""
        self._caller(asked.process).answer(asked.number, asked.result)

    def _late(self, process: str, number: int, result: Result) -> None:
        """The result of a call that has waited. Any thread; never blocks."""
        settled = SettleCall(process, number, result)
        door = self._door()
        if door.enter_nowait():
            try:
                # In the book of now: the hub may have been elsewhere meanwhile, and have come with others.
                self.settle(settled)
            finally:
                door.leave()
            return
        # The book of this process has left, or is about to, so the answer is given where the hub is then. An
        # answer may be here between the commit of a move and its end: the next process may be that quick.
        whose = process, number
        self.passed_on.add(whose)
        try:
            self._runtime.spawn("resumehub-late-answer", lambda: self._settle_there(settled))
        except RuntimeError:
            self.passed_on.discard(whose)
            log.warning("an answer for %s is lost: no thread can be started", self.name_of(process))

    def _settle_there(self, settled: SettleCall) -> None:
        try:
            self._pass_on(settled)
        finally:
            self.passed_on.discard((settled.process, settled.number))

    def _caller(self, process: str) -> Caller:
        known = self._callers.get(process)
        if known is not None:
            return known
        with self._lock:
            caller = self._callers.get(process)
            if caller is None:
                caller = Caller(process, self._lock_of(process), ExecutedCalls())
                self._callers[process] = caller
            return caller

    # -- a move: everything is frozen, the door is shut -------------------------------------

    def export(self) -> bytes:
        """All books, for the hub's next process. They change nothing here, for the move may fail."""
        with self._lock:
            callers = list(self._callers.values())
        return dump(CallersState(tuple(caller.exported() for caller in callers)))

    def adopt(self, data: bytes) -> None:
        """Go on with the books of the hub that comes here. Raises: ValueError for damage."""
        try:
            state = load(CallersState, data)
        except PlainValueError as error:
            raise ValueError(f"the books of calls can't be read: {error}") from None
        with self._lock:
            self._callers = {}
            for process in {request.asker for one in state.callers for request in one.waiting}:
                self._callers[process] = Caller(process, self._lock_of(process), ExecutedCalls())
            for one in state.callers:
                self._callers[one.process] = Caller.adopted(one, self._lock_of(one.process))

    def export_requests(self) -> bytes:
        """All requests under way, beside the books."""
        with self._lock:
            callers = list(self._callers.values())
        requests = [request for caller in callers for request in list(caller.requests.values())]
        return dump(RequestsUnderWay(tuple(requests)))

    def adopt_requests(self, data: bytes) -> None:
        """Behind ``adopt``. Raises: ValueError for damage."""
        try:
            state = load(RequestsUnderWay, data)
        except PlainValueError as error:
            raise ValueError(f"the requests under way can't be read: {error}") from None
        for request in state.requests:
            self._caller(request.process).learn(request)

    def _lock_of(self, process: str) -> Lock:
        return self._runtime.lock(f"the calls of process {process[:8]}")


def _never_late(result: Result) -> None:
    raise AssertionError("only calls that wait for a client or a callback are answered later")


_DONE: Final = Done()
_WAIT: Final = frozenset({RequestCall, WaitClosedCall})


class RequestsAlong:
    """The requests under way, as a ``Traveller``: apart from the books, which release 0.2.0 reads."""

    def __init__(self, server: CallServer) -> None:
        self.export = server.export_requests
        self.adopt = server.adopt_requests
