"""A worker's end of dials: puts questions to the hub, passes connections on, keeps copies until they are
taken.

``WorkerDials`` (``core/cluster/passing.py``) decides; this carries out, and has what it does not know:
sockets, links, threads that wait. Request threads ask and pass; the link's thread brings answers and its
end; the member's thread tells where the hub is, and that time passes. Only request threads wait, in ``ask``.
What is sent is sent under the lock, so that the end of a link is seen wholly before it or wholly behind it.
Read next: ``dial_server.py``, the other end.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...clock import now
from ...core.cluster import dial_events as d
from ...core.cluster.passing import DialRules, WorkerDials
from ...errors import LinkBroken
from ...incoming.dialled import Dialled
from ...reasons import RefusalReason
from ...runtime.base import Event
from ...runtime.foreign_code import Log
from ...server.hub_runner import HubRunner
from ...wsgi.session_lookup import NoVerdict
from ..door import Door
from ..link import Link
from ..member_parts import LinkHandler
from . import dial_messages as m
from .plain_refusal import RESPONSE, WITHOUT_BODY, refuse_and_close

log = Log(__name__)

_clients: weakref.WeakSet[DialClient] = weakref.WeakSet()


class HubFoundHere(Exception):
    """The hub is in this process by now: ask it."""


class DialClient:
    """One process's. Methods: any thread, and they never block, unless said otherwise."""

    def __init__(self, runner: HubRunner, door: Door, rules: DialRules) -> None:
        self._runner = runner
        self._door = door
        self._lock = runner.runtime.lock("the dials of a worker")
        self._dials = WorkerDials(rules)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._passed: dict[int, Dialled] = {}
        self._links: dict[int, Link] = {}
        self._link_numbers: weakref.WeakKeyDictionary[Link, int] = weakref.WeakKeyDictionary()
        self._silent_since: float | None = None
        # What the collector is to be told, outside of the lock.
        self._untold: deque[tuple[Any, ...]] = deque()
        _clients.add(self)

    @property
    def handlers(self) -> Mapping[type, LinkHandler]:
        """What a worker does with the hub's messages. On the link's thread."""
        return {
            m.DialLooked: self._answered,
            m.EndedWithGap: self._answered,
            m.DialLater: self._later,
            m.DialTaken: self._taken,
            m.DialNotTaken: self._not_taken,
        }

    @property
    def copies(self) -> int:
        """So many connections were passed on, or are to be, and are not taken."""
        return self._dials.copies

    @property
    def waiting(self) -> int:
        """So many request threads wait for the hub's answer."""
        return self._dials.waiting

    @property
    def suspect(self) -> bool:
        """Whether the hub has missed an answer, and has not answered since."""
        return self._dials.suspect

    @property
    def silent_for(self) -> float:
        """For so many seconds the hub has been suspect; 0 if it is not."""
        since = self._silent_since
        return now() - since if since is not None else 0.0

    def set_rules(self, rules: DialRules) -> None:
        """From now on these: the member has learned how many request threads there are."""
        with self._lock:
            self._dials.rules = rules

    # -- request threads ----------------------------------------------------------------------

    def ask(self, question: Callable[[int], object], *, once: bool = False) -> Any:
        """Put a question to the hub; return its answer. ``question`` makes the message with this number.

        ``once``: where the hub says that it moves or starts, do not wait until it can be asked again.
        Raises: NoVerdict; HubFoundHere. Blocks: until the answer is there, as long as the rules let it.
        """
        with self._lock:
            number = next(self._numbers)
            waiting = _Waiting(question(number), self._runner.runtime.event("an answer of the hub"))
            self._waiting[number] = waiting
            self._decide(d.Asks(number, once))
            wait = self._dials.wait_of(number)
        if not waiting.told.wait(wait):
            self._see(d.GivesUp(number))
        with self._lock:
            del self._waiting[number]
        result = waiting.result
        if result is d.AskedResult.ANSWERED:
            return waiting.answer
        if result is d.AskedResult.HERE:
            raise HubFoundHere
        assert result is not None, "who gives up is told"
        raise NoVerdict(_REASONS[result], result.value)

    def pass_on(self, dialled: Dialled) -> None:
        """Pass a connection on to the hub; from now on it is this object's.

        If the hub can't take it, the client is answered with 503.
        """
        with self._lock:
            number = next(self._numbers)
            self._passed[number] = dialled
            left = self._decide(d.Passes(number))
        self._do(left)

    # -- the link's thread --------------------------------------------------------------------

    def on_link(self, link: Link, hub_life: str) -> None:
        """There is a link to the hub of this life. Before any handler is called."""
        with self._lock:
            number = next(self._numbers)
            self._links[number] = link
            self._link_numbers[link] = number
            left = self._decide(d.LinkOpened(number, hub_life))
        self._do(left)

    def on_link_end(self, link: Link) -> None:
        """The link is over, and all that came over it has been handled."""
        number = self._link_numbers.get(link)
        if number is not None:
            self._see(d.LinkEnded(number, link.read_to_its_end, link.moved))
            with self._lock:
                self._links.pop(number, None)

    def _answered(self, link: Link, answer: m.DialLooked | m.EndedWithGap, _: Sequence[int]) -> None:
        self._see(d.Answered(answer.number, self._link_numbers[link]), answer)

    def _later(self, link: Link, answer: m.DialLater, _: Sequence[int]) -> None:
        self._see(d.Answered(answer.number, self._link_numbers[link], later=True))

    def _taken(self, link: Link, answer: m.DialTaken, _: Sequence[int]) -> None:
        self._see(d.TakenThere(answer.number, self._link_numbers[link]))

    def _not_taken(self, link: Link, answer: m.DialNotTaken, _: Sequence[int]) -> None:
        self._see(d.NotTakenThere(answer.number, self._link_numbers[link], answer.because))

    # -- the member's thread ------------------------------------------------------------------

    def on_hub_here(self, hub_life: str) -> None:
        """This process holds the hub, and its door is open."""
        self._see(d.HubIsHere(hub_life))

    def on_hub_gone(self) -> None:
        """This process holds the hub no more, and its door says so."""
        self._see(d.HubHasLeft())

    def tick(self) -> None:
        """Time has passed: to be called some times a second."""
        self._see(d.TimePasses())

    def stop(self) -> None:
        """Pass nothing on any more; what the hub has not taken yet it may still take."""
        self._see(d.Stops())

    def after_fork_in_child(self) -> None:
        """In a forked child: close its copies. The parent's connections live on; no lock is taken."""
        passed, self._passed = self._passed, {}
        for dialled in passed.values():
            dialled.sock.close()
        self._lock = self._runner.runtime.lock("the dials of a worker")
        self._dials = WorkerDials(self._dials.rules)
        self._waiting, self._links = {}, {}
        self._silent_since = None
        self._untold.clear()
        self._link_numbers = weakref.WeakKeyDictionary()

    # -- carrying out -------------------------------------------------------------------------

    def _see(self, event: d.DialEvent, answer: object = None) -> None:
        with self._lock:
            left = self._decide(event, answer)
        self._do(left)

    def _decide(self, event: d.DialEvent, answer: object = None) -> list[_Left]:
        """With the lock held. Sends and tells; returns what is to be done with connections outside of it."""
        left: list[_Left] = []
        effects = self._dials.handle(event, now())
        for effect in effects:
            match effect:
                case d.Tell(number, result):
                    waiting = self._waiting[number]
                    waiting.result, waiting.answer = result, answer
                    waiting.told.set()
                case d.SendQuestion(number, link):
                    self._send(link, self._waiting[number].message)
                case d.SendPass(number, link):
                    left += self._send_pass(number, link)
                case d.CloseCopy(number) | d.TakeHere(number) | d.RefuseDial(number):
                    left.append(_Left(effect, self._passed.pop(number)))
        self._notice_silence()
        return left

    def _notice_silence(self) -> None:
        """With the lock held."""
        suspect, since = self._dials.suspect, self._silent_since
        if suspect and since is None:
            self._silent_since = now()
            self._untold.append(("hub_silent",))
        elif since is not None and not suspect:
            self._silent_since = None
            self._untold.append(("hub_heard", now() - since))

    def _send(self, link: int, message: object, descriptors: Sequence[int] = ()) -> None:
        try:
            self._links[link].send(message, descriptors)
        except LinkBroken:
            pass  # its end comes, on its thread, when all that it has brought is handled

    def _send_pass(self, number: int, link: int) -> list[_Left]:
        dialled = self._passed[number]
        message = m.pass_of(
            number,
            dialled.registration,
            head=dialled.handshake_response,
            read_ahead=dialled.read_ahead,
            subprotocol=dialled.handshake.subprotocol,
            data=dialled.data,
        )
        try:
            self._send(link, message, [dialled.sock.fileno()])
        except OSError:
            return self._decide(d.NotTakenThere(number, link, d.NotTakenBecause.NOT_SENT))
        except ValueError as error:
            log.error("a client's connection could not be passed to the hub: %s", error)
            return self._decide(d.NotTakenThere(number, link, d.NotTakenBecause.FAILED))
        return []

    def _do(self, left: Iterable[_Left]) -> None:
        while self._untold:
            with contextlib.suppress(IndexError):  # another thread was faster
                method, *values = self._untold.popleft()
                self._runner.count(method, *values)
                if method == "hub_heard":
                    log.info(
                        "the hub is suspect no more: dials here are served again, after %s s",
                        round(values[0], 1),
                    )
        for one in left:
            match one.effect:
                case d.CloseCopy():
                    one.dialled.sock.close()
                case d.RefuseDial(_, why):
                    self._refuse(one.dialled, why)
                case d.TakeHere():
                    self._take_here(one.dialled)

    def _refuse(self, dialled: Dialled, why: str) -> None:
        # The refusal that was to be told by a close frame is counted already.
        if dialled.registration.refusal is None:
            self._runner.refused(503, _WHYS.get(why, RefusalReason.HUB_AWAY), why)
        details = self._runner.config.problem_details
        refuse_and_close(dialled.sock, RESPONSE if details else WITHOUT_BODY)

    def _take_here(self, dialled: Dialled) -> None:
        if not self._door.enter_nowait():
            self._refuse(dialled, "the hub is about to move")
            return
        try:
            self._runner.take(dialled)
        finally:
            self._door.leave()


_REASONS = {
    d.AskedResult.LATER: RefusalReason.HUB_AWAY,
    d.AskedResult.AWAY: RefusalReason.HUB_AWAY,
    d.AskedResult.MISSED: RefusalReason.HUB_SILENT,
    d.AskedResult.SUSPECT: RefusalReason.HUB_SILENT,
    d.AskedResult.FULL: RefusalReason.HUB_SILENT,
}


_WHYS = {
    d.NotTakenBecause.HUB_CLOSES.value: RefusalReason.HUB_CLOSE,
    d.NotTakenBecause.NO_DESCRIPTOR.value: RefusalReason.NO_DESCRIPTORS,
    d.NotTakenBecause.NOT_SENT.value: RefusalReason.NO_DESCRIPTORS,
    d.AskedResult.FULL.value: RefusalReason.HUB_SILENT,
}


@dataclass(slots=True)
class _Waiting:
    """A request thread that waits for the answer to ``message``."""

    message: object
    told: Event
    result: d.AskedResult | None = None
    answer: object = None


@dataclass(frozen=True, slots=True)
class _Left:
    """What is to be done with a connection outside of the lock."""

    effect: d.CloseCopy | d.RefuseDial | d.TakeHere
    dialled: Dialled


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
