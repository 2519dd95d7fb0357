"""The one thread of a link at either end: it reads messages, calls their handlers, and writes what waits.

A handler runs on this thread and must not block on user code or on the network: all else that comes over the
link waits meanwhile. It owns the descriptors that it gets. Only answers may also be read and handled by a
thread that waits for one (``link_turns.py``). At the end of the link, when all that the peer had
sent is handled, ``on_end`` is called once. A link that ends for what the peer sent, or because a handler
raised, costs one line in the log. Started by ``link_listener.py`` in the hub's process and by a worker's
member. Read next: ``link_codec.py``.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from ..errors import LinkBroken
from ..runtime.base import Bell, Runtime, Thread, Waits
from ..runtime.foreign_code import Log, passes
from .link import Link, close_all
from .link_codec import MessageReader, NotAMessage
from .link_turns import ASIDE

log = Log(__name__)

Handlers = Mapping[type, Callable[[Link, Any, tuple[int, ...]], None]]
"""Class of a message → what is called with the link, the message and its descriptors."""

_RAISED: Final = "a handler of its messages raised"

_CHUNK: Final = 64 * 1024
# Bytes of one read. CPython makes room for so many before it; from 128 KiB on glibc maps and unmaps memory
# for that, which takes five times as long (findings/room_for_a_read.sh).


def start(
    link: Link,
    handlers: Handlers,
    on_end: Callable[[Link], None],
    runtime: Runtime,
    *,
    quick: Collection[type] = (),
) -> Thread:
    """Serve the link in a thread of its own.

    ``quick``: answers. Their handlers may also run on a thread that waits for an answer (``link_turns.py``);
    they take a moment, and no lock that such a thread may hold.
    Raises: RuntimeError if no thread can be started, OSError if no descriptor is free; the link is closed
    then.
    """
    try:
        loop = LinkLoop(link, handlers, on_end, quick=quick, runtime=runtime)
        return runtime.spawn(f"resumehub-link-{link.peer.pid}", loop.run)
    except (RuntimeError, OSError):
        link.finish("it could not be served")
        raise


class LinkLoop:
    """Serves one link. ``run`` is what its thread does; it returns at the end of the link."""

    def __init__(
        self,
        link: Link,
        handlers: Handlers,
        on_end: Callable[[Link], None],
        *,
        runtime: Runtime,
        quick: Collection[type] = (),
    ) -> None:
        self._link = link
        self._handlers = handlers
        self._on_end = on_end
        self._quick = frozenset(quick)
        self._reader = MessageReader()
        self._unhandled: deque[tuple[Any, int]] = deque()
        self._ending = ""  # why, once nothing more can be read
        self._at_fault = False  # whether the peer has to be complained of
        self._runtime = runtime
        self._waits: tuple[tuple[bool, int] | None, Waits] = None, runtime.waits({}, ())
        self._nudge = runtime.bell() if quick else None
        if self._nudge is not None:
            self._waiters_wait = runtime.waits({link.stream.fileno(): select.POLLIN}, (self._nudge,))
            link.turns.attach(self, self._nudge)

    def run(self, begin: Callable[[Link], None] | None = None) -> None:
        """Read to the end. ``begin``: called first."""
        why = "a fault of resumehub"
        try:
            if begin is not None:
                begin(self._link)
            why = self._serve()
            if self._at_fault:
                log.error(
                    "the link to process %s is ended: %s",
                    self._link.peer.pid,
                    why,
                    peer_pid=self._link.peer.pid,
                )
        finally:
            self._link.finish(why)
            self._link.turns.detach()
            try:
                self._on_end(self._link)
            except BaseException as error:
                if passes(error):
                    raise
                log.exception(
                    "the end of the link to process %s could not be handled",
                    self._link.peer.pid,
                    peer_pid=self._link.peer.pid,
                )

    # -- the link's thread --------------------------------------------------------------------

    def _serve(self) -> str:
        """Read to the end; return why the link ended."""
        link, turns, stream = self._link, self._link.turns, self._link.stream.fileno()
        wanted, wait = -1, None
        while True:
            aside = turns.aside
            waits = self._what_it_waits_for(aside, wanted)
            seconds = min(ASIDE, wait or ASIDE) if aside else wait
            events = dict(waits.wait(seconds))
            readable = not aside and events.pop(stream, 0) & ~select.POLLOUT
            if events or wanted >= 0 or wait is not None:
                wanted, wait = link.write_on()
            if aside:
                turns.look()
            elif readable:
                self._receive()
            if not turns.aside:
                answered = self._handle(of=None)
                if self._ending:
                    return self._ending
                if answered:
                    turns.step_aside()

    def _what_it_waits_for(self, aside: bool, wanted: int) -> Waits:
        """Input, the bell, and that ``wanted`` is writable."""
        if self._waits[0] != (aside, wanted):
            events: dict[int, int] = {wanted: select.POLLOUT} if wanted >= 0 else {}
            if not aside:
                stream = self._link.stream.fileno()
                events[stream] = events.get(stream, 0) | select.POLLIN
            self._waits = (aside, wanted), self._runtime.waits(events, (self._link.bell,))
        return self._waits[1]

    # -- a thread that waits ------------------------------------------------------------------

    def read_some(self, seconds: float) -> bool:
        """See ``Reads``."""
        assert self._nudge is not None, "there are answers"
        # Read before the wait: where both processes share a processor the answer is there already.
        if self._read_for_waiter(self._receive) or (
            self._wait_for_input(self._nudge, seconds) and self._read_for_waiter(self._receive)
        ):
            self._link.turns.begin_handling()
            try:
                self._read_for_waiter(self._handle_answers)
            finally:
                self._link.turns.end_handling()
        return not self._unhandled and not self._ending

    def _read_for_waiter(self, step: Callable[[], bool]) -> bool:
        """One step of reading, which is done wholly, or the link is over."""
        try:
            return step()
        except BaseException:
            self._link.break_off("a thread that read it was interrupted")
            raise

    def _handle_answers(self) -> bool:
        return self._handle(of=self._quick)

    def _wait_for_input(self, nudge: Bell, seconds: float) -> bool:
        """Whether there is input; False if the wait was ended for another reason."""
        numbers = [number for number, _ in self._waiters_wait.wait(seconds)]
        if nudge.fileno() in numbers:
            self._link.turns.silence()
            numbers.remove(nudge.fileno())
        return bool(numbers)

    # -- whoever reads ------------------------------------------------------------------------

    def _receive(self) -> bool:
        """Read once, without waiting; False if there is nothing to read."""
        try:
            data = self._link.stream.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            # A reset comes behind all that the peer has written: it had not read all of ours.
            self._ending = f"the peer is gone ({error.strerror})"
            self._link.read_to_its_end = True
            return True
        if not data:
            self._ending = "the peer has closed it"
            if self._reader.inside and not self._link.ended:
                self._ending, self._at_fault = "it ended inside a message", True
            self._link.read_to_its_end = True
            return True
        try:
            self._unhandled.extend(self._reader.feed(data))
        except NotAMessage as error:
            self._ending, self._at_fault = str(error), True
        return True

    def _handle(self, of: frozenset[type] | None) -> bool:
        """Handle what was read, up to the first message that is not ``of`` these classes.

        Returns whether there were answers, and nothing else.
        """
        unhandled, answered = self._unhandled, bool(self._unhandled)
        while unhandled:
            message, count = unhandled[0]
            kind = type(message)
            if kind not in self._quick:
                answered = False
                if of is not None:
                    break
            del unhandled[0]
            if (problem := self._handle_one(kind, message, count)) is not None:
                unhandled.clear()
                self._ending, self._at_fault = problem, problem is not _RAISED
                self._link.read_to_its_end = False
        return answered

    def _handle_one(self, kind: type, message: Any, count: int) -> str | None:
        """Returns what is wrong with the message; None if nothing."""
        link = self._link
        try:
            descriptors = link.take_descriptors(count) if count else ()
        except ValueError as error:
            return f"a {kind.__name__} can't be handled: {error}"
        handler = self._handlers.get(kind)
        if handler is None:
            close_all(descriptors)
            return f"nobody here expects a {kind.__name__}"
        try:
            handler(link, message, descriptors)
        except BaseException as error:
            if passes(error):
                raise
            if isinstance(error, LinkBroken) and link.ended:
                return None  # its answer comes too late; what else has come is still read
            log.exception(
                "the handler of a %s of the link to process %s raised; the link is ended",
                kind.__name__,
                link.peer.pid,
                peer_pid=link.peer.pid,
            )
            return _RAISED
        return None
