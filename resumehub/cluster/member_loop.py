"""The member's two threads: one decides and looks around, the other carries sessions and may take long.

The first one gives events to ``core/cluster/membership.py`` and does what it says: it connects, takes and
lets go bytes of the lock, listens. Between events it ticks: is this process told to stop, is the lock's file
still there, does a better process wait for the hub? The second one moves, parks and adopts. Both are there
from the start, and are no daemon threads: the interpreter waits until the hub is elsewhere. Read next:
``member_links.py``, ``movers.py``.
"""

from __future__ import annotations

import secrets
from typing import Final

from ..clock import now
from ..core.cluster.membership import HURRY, Deed, MemberEvent, Role, Standing, may_leave, pause, step
from ..core.cluster.stopping import Candidate, Kind, StopPlan
from ..runtime.base import Mailbox, Thread
from ..runtime.foreign_code import Log, passes
from .errands import AdoptErrand, Errands, MoveErrand, ParkErrand
from .heartbeat import Heartbeat
from .link import Link
from .lock_watch import LockWatch
from .member_links import MemberLinks
from .member_messages import MemberStatus
from .member_parts import Here
from .member_setting import MemberSetting, StopOrder
from .movers import Adopted, Carriage
from .record_lock import HEIR, HUB
from .room import free_descriptors
from .stop_watch import StopWatch

log = Log(__name__)

TICK: Final = 0.05
"""Seconds between two looks whether this process is told to stop."""

_DELAYS: Final = {Kind.HUB_ALONE: 0.0, Kind.THREADS: 0.03, Kind.SYNC: 0.12}
# So long a process of each kind lets better ones go first when the hub is free.

_PARTS_TICK: Final = 0.25
# Seconds between two ticks of the parts.

_PAUSE: Final = 0.5
# Seconds between two attempts to move.

_PATIENCE: Final = 1.0
# Seconds for which a hub that would move here waits for this process's thread.

_MOVE_TIME: Final = 10.0
# Seconds that a move may take for which there is no hurry.


class MemberLoop:
    """See the module. Methods: any thread; only ``join`` blocks."""

    def __init__(self, setting: MemberSetting, links: MemberLinks, inbox: Mailbox) -> None:
        self._set = setting
        self._links = links
        self._inbox = inbox
        self._errands = Errands(
            setting.mover,
            setting.parker,
            setting.folder,
            setting.runtime,
            setting.news,
            inbox.put,
            lambda: self._stop is None and not setting.runner.closed,
        )
        self._watch = StopWatch(setting, links)
        self._lock_watch = LockWatch(setting.lock, setting.folder)
        self._heartbeat = Heartbeat(setting.lock, setting.runner, setting.runtime)
        self._at = Standing()
        self._came: Adopted | None = None
        self._retry_at: float | None = None
        self._target: Candidate | None = None
        self._why = ""
        self._asked_at = 0.0
        self._told_here = self._has_complained = False
        self._new_life = ""
        self._next_parts_tick = self._next_file_look = self._next_status = self._next_move = 0.0
        self._offers = setting.runtime.mailbox()
        self._moves_to: Link | None = None
        self._stop: StopOrder | None = None
        self._asked = False
        self._close_within: float | None = None
        self._threads: list[Thread] = []
        self._done = setting.runtime.event("the member to leave")

    @property
    def report(self) -> Carriage | None:
        """What became of the sessions at the last move or parking; None before one."""
        return self._errands.report

    @property
    def role(self) -> Role:
        """What this process is in its cluster now."""
        return self._at.role

    @property
    def draining(self) -> bool:
        """Whether this process is told to stop."""
        return self._stop is not None

    def start(self) -> None:
        """Start both threads. Raises: RuntimeError."""
        runtime = self._set.runtime
        self._threads.append(runtime.spawn("resumehub-mover", self._errands.run, daemon=False))
        self._threads.append(runtime.spawn("resumehub-member", self._run, daemon=False))
        self._inbox.put(MemberEvent.STARTED)

    def stop(self, timeout: float, why: str, close_within: float | None = None) -> None:
        """Begin to leave: move the hub or park it within ``timeout`` real seconds.

        ``close_within``: then close what is left of it here, within so many seconds. A process that is told
        to stop already keeps the time that it has.
        """
        self._inbox.put(StopOrder(now(), now() + timeout, why, asked=True, close_within=close_within))

    def stuck(self) -> list[tuple[str, str]]:
        """Those of the two threads that still run, with their stacks."""
        return [(thread.name, thread.stack()) for thread in self._threads if thread.is_alive()]

    # -- for a hub that moves: any thread but the first ---------------------------------------

    def may_hold(self) -> bool:
        """Become the heir, for a hub that would move here. Blocks: for a moment."""
        self._inbox.put(MemberEvent.OFFERED)
        if self._offers.get(_PATIENCE):
            return True
        self._inbox.put(MemberEvent.CANCELLED)
        return False

    def committed(self, hub_life: str) -> None:
        """The hub that moves here is committed."""
        self._new_life = hub_life
        self._inbox.put(MemberEvent.COMMITTED)

    def dropped(self) -> None:
        """What was to move here was dropped."""
        self._inbox.put(MemberEvent.CANCELLED)

    def release_hub(self) -> None:
        """The commit of a move from here is written; the door is still shut."""
        self._let_go()
        self._set.lock.release(HUB)

    def join(self, timeout: float) -> bool:
        """Wait until this process takes no part any more; False if it still does after ``timeout``."""
        return self._done.wait(timeout)

    # -- the first thread -------------------------------------------------------------------

    def _run(self) -> None:
        while self._at.role is not Role.GONE:
            try:
                self._turn()
            except BaseException as error:
                if passes(error):
                    raise
                if not self._has_complained:  # it would be the same ten times a second
                    self._has_complained = True
                    log.error("the cluster's member has failed; please report this", exc_info=error)
        self._finish()

    def _turn(self) -> None:
        """Wait for an event or the next tick, and handle it."""
        longest = TICK if self._stop is None else HURRY
        left = self._retry_at - now() if self._retry_at is not None else longest
        came = self._inbox.get(max(0.0, min(left, longest)))
        while came is not None:
            if isinstance(came, StopOrder):
                # Where the server has told this process, it has the server's time, however short a hook is.
                self._told(self._watch.order_of_server() or came)
                self._asked |= came.asked
                if came.close_within is not None:
                    self._close_within = came.close_within
            else:
                self._handle(came)
            came = self._inbox.get(0)
        if self._retry_at is not None and now() >= self._retry_at:
            self._retry_at = None
            self._handle(MemberEvent.RETRY)
        self._tick()

    def _handle(self, event: MemberEvent | None) -> None:
        """Step, and do what follows, with the answers of what is done."""
        while event is not None:
            before = self._at
            self._at, deeds = step(before, event)
            event = None
            if before.role is not self._at.role:
                self._role_changed(before.role)
            for deed in deeds:
                answer = self._do(deed)
                if answer is not None:
                    assert event is None, "one deed of a step answers, the last one"
                    event = answer

    def _do(self, deed: Deed) -> MemberEvent | None:
        setting, lock = self._set, self._set.lock
        match deed:
            case Deed.CONNECT:
                return self._links.connect(setting.cluster.timeout)
            case Deed.TAKE_HEIR:
                return self._take_heir()
            case Deed.TAKE_HUB:
                return MemberEvent.TOOK if lock.try_take(HUB) else MemberEvent.REFUSED
            case Deed.GIVE_HEIR:
                lock.release(HEIR)
            case Deed.GIVE_HUB:
                lock.release(HUB)
            case Deed.WAIT:
                self._retry_at = now() + pause(self._at, now() - self._asked_at)
            case Deed.ADOPT:
                setting.folder.tidy()
                setting.folder.warn_if_it_forgets()
                self._new_life = secrets.token_hex(16)
                self._errands.send_on(AdoptErrand())
            case Deed.MOVE_IT:
                return self._move_it()
            case Deed.PARK_IT:
                assert self._stop is not None, "only a process that stops parks its hub"
                self._errands.send_on(ParkErrand(self._stop.until, self._why))
            case Deed.LISTEN:
                self._listen()
            case Deed.HUSH:
                self._hush()
            case Deed.ACCEPT:
                self._offers.put(True)
            case Deed.DECLINE:
                self._offers.put(False)
            case Deed.DROP:
                setting.mover.drop()
            case Deed.GO:
                self._came = setting.mover.go()
            case Deed.UNLINK:
                self._links.unlink()
        return None

    def _take_heir(self) -> MemberEvent:
        lock = self._set.lock
        if self._at.role is Role.LOOKING:
            if lock.is_held_by_other(HUB) or self._watch.order() is not None:
                return MemberEvent.REFUSED
            self._set.runtime.event("better kinds to go first").wait(_DELAYS[self._set.kind])
            if lock.is_held_by_other(HUB):
                return MemberEvent.REFUSED
        taken = self._lock_watch.takes_heir(from_hub=self._at.role is Role.WORKER)
        return MemberEvent.TOOK if taken else MemberEvent.REFUSED

    def _role_changed(self, before: Role) -> None:
        where = self._set.whereabouts
        if self._at.role is Role.GONE:
            self._set.parts.on_leave()  # before the deeds, which end the link
        if self._at.role is Role.LOOKING and before is not Role.HEIR:
            self._asked_at = now()
            where.set_nowhere("this process looks for it")
        if before is Role.MOVING and self._at.role is Role.HUB:
            self._moves_to = None
        if self._at.role is Role.WORKER and before is Role.LOOKING:
            self._lock_watch.is_linked()
            self._say_status()

    def _move_it(self) -> MemberEvent | None:
        link = self._links.link_of(self._target) if self._target is not None else None
        if link is None:
            return MemberEvent.STAYED
        self._moves_to = link
        stop = self._stop
        until = stop.until - self._watch.time_to_park(stop) if stop is not None else now() + _MOVE_TIME
        self._errands.send_on(MoveErrand(link, self._new_life, until, self._why))
        return None

    def _listen(self) -> None:
        setting = self._set
        life = self._new_life
        self._links.listen(life)
        setting.whereabouts.set(Here(setting.runner, life))
        self._told_here = True
        setting.parts.on_hub_here(life)
        came, self._came = self._came, None
        if came is not None:
            setting.news.moved_in(came)
        else:
            seconds = now() - self._asked_at
            setting.news.taken(self._errands.adopted, seconds, self._links.last_hub_pid)

    def _hush(self) -> None:
        self._let_go()
        if self._told_here:
            self._told_here = False
            self._set.parts.on_hub_gone()

    def _let_go(self) -> None:
        if isinstance(self._set.whereabouts.place, Here):
            self._set.whereabouts.set_nowhere("it has left this process")
        # The link of a move stays until the old process has said its last word; the new one ends it.
        self._links.hush(keep=self._moves_to)

    def _finish(self) -> None:
        self._errands.end()
        self._set.whereabouts.set_nowhere("this process takes no part in it any more")
        self._links.unlink()
        self._set.lock.close()
        if self._set.server is not None:
            self._set.server.close()
        self._set.runner.governed = False
        self._done.set()
        if self._close_within is not None:
            self._set.runner.close(self._close_within)

    # -- ticks ------------------------------------------------------------------------------

    def _tick(self) -> None:
        setting, at = self._set, now()
        if at >= self._next_parts_tick:
            self._next_parts_tick = at + _PARTS_TICK
            setting.parts.tick()
        if self._stop is None and (order := self._watch.order()) is not None:
            self._told(order)
        if at >= self._next_status:
            self._next_status = at + 1.0
            self._say_status()
            self._heartbeat.beat()
        if self._at.role is Role.HUB:
            if at >= self._next_file_look:
                self._next_file_look = at + 1.0
                self._look_at_file()
                self._links.listen_again()
            if self._stop is None and (better := self._watch.better()) is not None and self._look_at_file():
                self._begin_move(*better)
        if self._stop is not None:
            self._go_on_with_stop(self._stop)

    def _say_status(self) -> None:
        server = self._set.server
        master = server.master if server is not None else 0
        ready = self._stop is None and not (server is not None and server.is_stuck)
        self._links.say(MemberStatus(ready, free_descriptors(), master))

    def _look_at_file(self) -> bool:
        """Whether the hub's lock keeps others out. If not, it is parked: nobody could take it."""
        if not self._lock_watch.holds_the_file():
            self._told(StopOrder(now(), now() + 10.0, "another process has the file of its lock"))
            return False
        if self._lock_watch.went_over:
            self._lock_watch.went_over = False
            self._links.listen_anew()
        return True

    def _begin_move(self, target: Candidate, why: str) -> None:
        if now() < self._next_move:
            return
        self._next_move = now() + _PAUSE
        self._target, self._why = target, why
        self._handle(MemberEvent.MOVE)

    # -- a stop -----------------------------------------------------------------------------

    def _told(self, stop: StopOrder) -> None:
        if self._stop is None:
            self._stop = stop
            self._handle(MemberEvent.TOLD)
            self._say_status()

    def _go_on_with_stop(self, stop: StopOrder) -> None:
        server, role, at = self._set.server, self._at.role, now()
        needed = (self._set.mover.is_needed or self._set.parts.need_the_hub()) and at < stop.until
        if server is not None and (needed or role not in (Role.WORKER, Role.LOOKING)):
            server.keep_alive()
        if role is Role.HUB:
            self._plan(stop, at)
        elif role is Role.IDLE or (may_leave(self._at) and self._nothing_more_comes() and not needed):
            self._handle(MemberEvent.LEAVE)

    def _nothing_more_comes(self) -> bool:
        # A worker's requests that are under way may still need the link. But the application may have asked
        # in one of them, or at the end of the main thread, which waits for us then.
        return self._asked or self._watch.server_is_done

    def _plan(self, stop: StopOrder, at: float) -> None:
        if stop.as_without_a_cluster:
            self._set.runner.close(self._set.runner.config.write_timeout)
            self._handle(MemberEvent.LEAVE)
            return
        plan, target = self._watch.plan(stop, at)
        if plan is StopPlan.MOVE and target is not None and self._look_at_file():
            self._begin_move(target, stop.why)
        elif plan in (StopPlan.MOVE, StopPlan.PARK):
            self._why = stop.why
            self._handle(MemberEvent.PARK)
        elif plan is StopPlan.LEAVE and self._nothing_more_comes():
            self._set.runner.close(0.0)
            self._handle(MemberEvent.LEAVE)
