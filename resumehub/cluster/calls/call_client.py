"""A worker's end of calls: sends what its threads ask of the hub, and gives each thread its answer.

A thread has one call under way, and waits for its answer; all threads share the link. When the link ends, the
calls that have no answer are sent again over the next one, with their numbers, if it leads to the same hub:
that executes each once (``core/cluster/calls.py``). If another hub is there, or none in time, the threads are
told that (``HubUnavailable``). If the hub has come to this process, one of them makes the calls of all. A
forked child begins anew: the calls are its parent's. Any thread. Read next: ``call_server.py``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ...clock import now
from ...core.cluster.calls import MOST_OPEN, MOST_WAITING, Fate, OpenCalls
from ...errors import HubUnavailable, LinkBroken
from ...runtime.base import Runtime
from ..member_parts import Here, Linked, LinkHandler, Place
from .call_bodies import Asked, RequestCall, Result, WaitClosedCall
from .call_messages import Answer, Call, CallsGoOn
from .call_server import CallServer

_LONG: Final = 3600.0
"""Seconds of one wait for a client, which is then waited for again."""


class CalledHubIsHere(Exception):
    """The hub is in this process: nothing was sent, so the whole call is made here. ``place``: that."""

    def __init__(self, place: Here) -> None:
        super().__init__("the hub is in this process")
        self.place = place


class Places(Protocol):
    """Where the hub is: a member, or who reaches the hub without being one. ``process``: who calls."""

    @property
    def process(self) -> str: ...

    def place(self, timeout: float | None = None) -> Place:
        """See ``Member.place``."""


class OpenCall:
    """A call without an answer, and the thread that waits for it. The client's lock guards it."""

    __slots__ = ("asked", "at", "error", "number", "result", "waiter")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.number = 0
        self.result: Result | None = None
        self.error: HubUnavailable | None = None
        #: Told when the answer is there, or its link has ended; None while it is on no way to a hub.
        self.waiter: Any = None
        #: When it was sent last, or its link ended.
        self.at = 0.0


class CallClient:
    """See the module. The member, or who else reaches the hub, tells it of the ends of links.

    ``timeout``: seconds for which a call waits for a hub, and for a hub's answer. ``server``: the other end,
    for calls that find the hub in this process.
    """

    def __init__(self, runtime: Runtime, places: Places, timeout: float, server: CallServer | None) -> None:
        self._runtime = runtime
        self._places = places
        self._timeout = timeout
        self._server = server
        self._begin()
        _clients.add(self)

    def _begin(self) -> None:
        self._lock = self._runtime.lock("the open calls")
        self._room = self._runtime.condition(self._lock)
        self._open: OpenCalls[OpenCall] = OpenCalls()
        #: Over which the open calls are sent; one of our own while the hub is here; None: over none.
        self._link: Any = None
        self._own = _OwnLink(self)
        self._slow = 0
        #: How many threads wait for room among the open calls.
        self._want_room = 0

    @property
    def handlers(self) -> dict[type, LinkHandler]:
        """For messages at the worker's end of a link. They take a moment, and no lock that a caller holds."""
        return {Answer: self._on_answer}

    # -- calls: any thread ------------------------------------------------------------------

    def call(self, asked: Asked) -> Result:
        """Have the hub do it; return what it says.

        Raises: HubUnavailable; CalledHubIsHere; ValueError for what is too large for a link. Blocks: until
        the hub has answered, or for ``timeout``; a request to a client: as long as it is told to.
        """
        call = OpenCall(asked)
        self._send(call)
        try:
            while True:
                waiter = call.waiter
                if waiter is None:
                    self._find_a_hub_again(call)
                elif not waiter.wait(self._time_left(call)):
                    self._check_time(call, waiter)
                if call.result is not None:
                    return call.result
                if call.error is not None:
                    raise call.error
        finally:
            if call.result is None or type(asked) in _SLOW:  # else ``_on_answer`` has made room
                with self._lock:
                    self._slow -= type(asked) in _SLOW
                    self._open.give_up(call.number)
                    self._room.notify()  # of a slow call as well

    def _send(self, call: OpenCall) -> None:
        left = self._timeout
        give_up = now() + left
        while True:
            place = self._places.place(max(0.0, left))
            if isinstance(place, Here):
                raise CalledHubIsHere(place)
            with self._lock:
                if place.link is not self._link:
                    self._reach(place.link, place.hub_life)
                has_room = self._has_room(call)
                if has_room and self._send_over(place.link, call):
                    return
                if (left := give_up - now()) <= 0:
                    raise HubUnavailable(False, f"it took no call within {self._timeout:g} s")
                if not has_room:
                    self._wait_for_room(left)
                    left = give_up - now()

    def _wait_for_room(self, timeout: float) -> None:
        """Lock held."""
        self._want_room += 1
        try:
            self._room.wait(timeout)
        finally:
            self._want_room -= 1

    def _has_room(self, call: OpenCall) -> bool:
        if type(call.asked) in _SLOW:
            return self._slow < MOST_WAITING
        return len(self._open) - self._slow < MOST_OPEN

    def _send_over(self, link: Any, call: OpenCall) -> bool:
        """Lock held. Send a new call; False if the link has just ended. Raises: ValueError."""
        call.waiter = link.waiter()  # before it is sent
        call.number, taken = self._open.begin(call)
        try:
            link.send(Call(call.number, taken, call.asked))
        except LinkBroken:
            self._open.not_sent(call.number, taken)
            return False
        except ValueError:
            self._open.not_sent(call.number, taken)
            raise
        call.at = now()
        self._slow += type(call.asked) in _SLOW
        return True

    def _find_a_hub_again(self, call: OpenCall) -> None:
        """The link has ended under the call. Find where the hub is, and go on, or find that it is another."""
        try:
            place = self._places.place(max(0.0, self._time_left(call)))
        except HubUnavailable as error:
            raise HubUnavailable(None, str(error)) from None
        if isinstance(place, Linked):
            with self._lock:
                self._reach(place.link, place.hub_life)
            return
        with self._lock:
            found = self._reach(self._own, place.hub_life)
        self._make_here(found)

    def _make_here(self, calls: list[OpenCall]) -> None:
        """The hub has come here: make these in the order of their numbers, as a link would bring them.

        One thread makes the calls of all: the hub refuses a number that comes behind a higher one.
        """
        assert self._server is not None, "the hub comes to members alone"
        done, waiters = 0, [call.waiter for call in calls]
        process = self._places.process
        try:
            self._server.go_on(process, [call.number for call in calls])
            for call in calls:
                if not self._server.take_own(process, call.number, call.asked, self._own):
                    return  # it has gone on to the next process, which has the number, too
                done += 1
        finally:
            if done < len(calls):
                with self._lock:
                    if self._link is self._own:
                        self._link = None
                    for call, waiter in zip(calls[done:], waiters[done:], strict=True):
                        if call.waiter is waiter:
                            call.at = now()
                            self._wake(call)

    def _time_left(self, call: OpenCall) -> float:
        patience = self._timeout
        if call.waiter is not None and type(call.asked) in _SLOW:
            timeout = call.asked.timeout if isinstance(call.asked, RequestCall | WaitClosedCall) else None
            if timeout is None:
                return _LONG
            patience += timeout
        return call.at + patience - now()

    def _check_time(self, call: OpenCall, waiter: object) -> None:
        with self._lock:
            waits = call.waiter is waiter and call.result is None and call.error is None
        if waits and self._time_left(call) <= 0:
            raise HubUnavailable(None, f"no answer within {self._timeout:g} s")

    # -- the link has changed: lock held ----------------------------------------------------

    def _reach(self, link: Any, hub_life: str) -> list[OpenCall]:
        """The hub is at the end of this link: what has no answer goes on over it, or is in doubt.

        Next, if it is in this process: make the calls that are returned.
        """
        if link is self._link:
            return []
        self._link = link
        fate, found = self._open.reached(hub_life)
        if fate is Fate.IN_DOUBT:
            for _, call in found:
                call.error = HubUnavailable(None, "another hub has taken its place")
                self._wake(call)
            return []
        if link is not self._own:
            self._repeat(link, found)
            return []
        for _, call in found:
            self._wake(call)
            call.waiter = _OwnWaiter(self._runtime)
        return [call for _, call in found]

    def _repeat(self, link: Any, found: list[tuple[int, OpenCall]]) -> None:
        try:
            link.send(CallsGoOn(tuple(number for number, _ in found)))
            for number, call in found:
                self._wake(call)
                call.waiter, call.at = link.waiter(), now()
                link.send(Call(number, (), call.asked))
        except LinkBroken:
            return  # its end is told next

    def _wake(self, call: OpenCall) -> None:
        waiter, call.waiter = call.waiter, None
        if waiter is not None:
            waiter.tell()

    # -- for the link's thread, and the member's --------------------------------------------

    def _on_answer(self, link: Any, answer: Answer, descriptors: Sequence[int]) -> None:
        with self._lock:
            call = self._open.answered(answer.number)
            if call is None:
                return
            call.result = answer.result
            waiter = call.waiter
            if self._want_room:
                self._room.notify()
        if waiter is not None:
            waiter.tell()

    def on_link(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``. The first call that finds the link begins with it."""

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``. Nothing is known yet: the hub may have moved. Blocks: never."""
        if not at_hub:
            self._lost(link)

    def on_hub_here(self, hub_life: str) -> None:
        """The hub is in this process now: the threads find it themselves."""

    def on_hub_gone(self) -> None:
        """The hub has left this process. Blocks: never."""
        self._lost(self._own)

    def _lost(self, link: Any) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
                for call in self._open.all():
                    call.at = now()
                    self._wake(call)

    # -- forks ------------------------------------------------------------------------------

    def after_fork_in_child(self) -> None:
        """The calls that are open are the parent's."""
        self._begin()
        if self._server is not None:
            self._server.after_fork_in_child()


class _OwnWaiter:
    """A thread that waits for an answer of the hub in its own process."""

    def __init__(self, runtime: Runtime) -> None:
        self._event = runtime.event("an answer of the hub, which has come here")

    def tell(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> bool:
        return self._event.wait(max(0.0, timeout))


class _OwnLink:
    """Brings the answers of the hub in this process to its threads."""

    peer = None
    ended = False

    def __init__(self, client: CallClient) -> None:
        self._client = client

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        for handler in self._client.handlers.values():
            handler(self, message, tuple(descriptors))

    def close(self) -> None:
        """Nothing is open."""


_SLOW: Final = frozenset({RequestCall, WaitClosedCall})

_clients: weakref.WeakSet[CallClient] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
