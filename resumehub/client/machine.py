"""The pure machine of a client: ``handle(command, now) -> effects``.

It decides when to dial, when to give a transport up, what a status or a close code means, when to
acknowledge, and when the client has ended. It has no thread, socket, clock, log or random number: time comes
with each command, random numbers come as the answer to ``DrawPause`` and with ``Opened``. So every order of
events can be written down and tried (``tests/client/test_machine_orders.py``).

    CONNECTING --Opened--> CONNECTED --Lost--> WAITING --its pause--> CONNECTING …
    from each of them: --410, 4100--> EXPIRED; --1000, a refusal, close()--> CLOSED; both are final

Called by the driver thread (``client_loop.py``). Deadlines that are due before a command fire before it,
each at its own time. Read next: ``verdicts.py``, ``transport_watch.py``, ``effects.py``.
"""

from __future__ import annotations

from typing import assert_never

from ..codes import CloseCode
from ..errors import (
    HandshakeRefused,
    HeartbeatTimeout,
    ResumeHubError,
    RetriesExhausted,
    SessionExpired,
    TransportLost,
)
from ..protocol.expiry import read_expiry
from ..protocol.retry_later import read_retry_after
from . import commands as c
from . import effects as e
from .request_deadlines import RequestDeadlines
from .states import ClientDeadline, ClientRules, ClientState
from .transport_watch import TransportWatch
from .verdicts import DialVerdict, of_close, of_status, pause_bound

#: How often "id in use" may mean a dial of ours: the server has opened a session, and its answer was lost.
_OWN_DUPLICATES = 10


class ClientMachine:
    """One client's decisions. Driver thread only; never blocks."""

    def __init__(self, rules: ClientRules) -> None:
        self.rules = rules
        self.state = ClientState.CONNECTING
        self.now = 0.0
        #: The number of the latest dial, and whether it has neither ended nor been given up.
        self.dial = 0
        self.live = False
        #: The transport of that dial while it is open; None while there is none.
        self.watch: TransportWatch | None = None
        self.deadlines: dict[ClientDeadline, float] = {}
        #: Whether the session speaks ``resumehub.v1``; None: that is not known yet.
        self.lossless: bool | None = False if rules.plain else None
        #: Whether there is a session to ask for.
        self.session = False
        self.closing = False
        self.error: ResumeHubError | None = None
        self.failures = self._doublings = self._own_duplicates = self._addresses_left = 0
        self._bound = self._at_least = self._opened_at = 0.0
        self._rejected_with: int | None = None
        self._dropped = self._resumed = self._leaving = self._drained = False
        self._close_code = int(CloseCode.NORMAL)
        self._requests = RequestDeadlines()
        self._effects: list[e.Effect] = []

    def next_deadline(self) -> float | None:
        """When ``handle(TimePassed(), …)`` is next worth calling; None: only a command can change things."""
        return min(self.deadlines.values(), default=None)

    @property
    def finished(self) -> bool:
        """Whether it is over, for good."""
        return self.state in (ClientState.EXPIRED, ClientState.CLOSED)

    def handle(self, command: c.Command, now: float) -> list[e.Effect]:
        """Let time pass until ``now``, then let ``command`` happen; give what is to be done, in order."""
        upto = max(self.now, now)
        if not isinstance(command, c.LastHeard | c.Drawn):  # answers have no time of their own
            while (at := self.next_deadline()) is not None and at <= upto:
                due = next(due for due in ClientDeadline if self.deadlines.get(due) == at)
                del self.deadlines[due]
                self.now = max(self.now, at)
                self._expire(due)
        self.now = upto
        if self.finished:
            self._ignore("the client has ended")
            if isinstance(command, c.Opened):
                self._do(e.Abort(command.dial))
        else:
            self._dispatch(command)
        done, self._effects = self._effects, []
        return done

    # -- what a command means -------------------------------------------------------------

    def _dispatch(self, command: c.Command) -> None:
        match command:
            case c.Start():
                self._dial() if self.dial == 0 else self._ignore("the client dials already")
            case c.Trying(dial, left):
                self._trying(dial, left)
            case c.Opened():
                self._opened(command)
            case c.DialRefused():
                self._refused(command)
            case c.DialFailed():
                self._failed(command)
            case c.Lost():
                self._lost(command)
            case c.LastHeard(dial, heard_at):
                self._last_heard(dial, heard_at)
            case c.Drawn(seconds):
                self._drawn(seconds)
            case c.Handled(number, size):
                self._message_handled(number, size)
            case c.Requested(request_id, timeout):
                self._requests.set(request_id, timeout, self.now)
                self._expect_answers()
            case c.Drained():
                self._drained = True
                self._leave_if_drained()
            case c.Leave():
                self._leave(command)
            case c.TimePassed():
                pass
            case _:
                assert_never(command)

    def _expire(self, due: ClientDeadline) -> None:
        match due:
            case ClientDeadline.ADDRESS:
                self._do(e.GiveUpAddress(self.dial, self._addresses_left))
            case ClientDeadline.OPEN:
                self._disarm(ClientDeadline.ADDRESS)
                self._do(e.Abort(self.dial))
                self._did_not_open(
                    TransportLost(CloseCode.ABNORMAL, "no answer within open_timeout"), reached=True
                )
            case ClientDeadline.SILENCE:
                self._do(e.AskLastHeard(self.dial))
            case ClientDeadline.ACK:
                self._acknowledge(by_time=True)
            case ClientDeadline.RETRY:
                self._dial()
            case ClientDeadline.CLOSE:
                self._end(None)
            case ClientDeadline.REQUEST:
                self._expect_answers()
            case _:
                assert_never(due)

    # -- dialling ---------------------------------------------------------------------------

    def _dial(self) -> None:
        assert not self.live, "the dial before has ended"
        self.dial += 1
        self.live = True
        self.state = ClientState.CONNECTING
        self.deadlines[ClientDeadline.OPEN] = self.now + self.rules.open_timeout
        self._do(e.Dial(self.dial, self.session, self.lossless is not False))

    def _trying(self, dial: int, left: int) -> None:
        """Each address gets an equal share of the time that is left, so that a dead one leaves some over."""
        if self._is_late(dial, state=ClientState.CONNECTING):
            return
        self._disarm(ClientDeadline.ADDRESS)
        self._addresses_left = left
        if left:
            share = (self.deadlines[ClientDeadline.OPEN] - self.now) / (left + 1)
            self.deadlines[ClientDeadline.ADDRESS] = self.now + share

    def _opened(self, opened: c.Opened) -> None:
        if self._is_late(opened.dial, state=ClientState.CONNECTING):
            if opened.dial != self.dial:
                self._do(e.Abort(opened.dial))
            return
        hello = opened.hello
        self._disarm(ClientDeadline.OPEN, ClientDeadline.ADDRESS)
        if self.session and self.lossless and (hello is None or not hello.resumed):
            self._end(SessionExpired("the server opened a new session instead"))
            return
        if hello is not None and hello.replay_from != opened.asked + 1:
            self._do(e.Abort(self.dial))
            self._did_not_open(TransportLost(CloseCode.PROTOCOL_ERROR, "$hello replays from elsewhere"))
            return
        self._resumed = resumed = self.session
        self.state = ClientState.CONNECTED
        self.watch = TransportWatch(self.rules, hello, opened.asked, opened.phase)
        self._opened_at = self.now
        self.lossless = hello is not None
        self.session = self.lossless or (self.rules.plain and self.rules.resume)
        if self._dropped:
            # Ahead of Attach: no message may be handled before it.
            self._do(e.QueueCallback("on_transport_restore"))
        self._do(e.Attach(self.dial, hello, resumed, self._rejected_with))
        self._dropped, self._rejected_with = False, None
        if hello is not None:
            self._do(e.Acknowledge(self.dial, opened.asked))
        self._expect_to_hear(self.now)
        self._leave_if_drained()

    def _refused(self, refused: c.DialRefused) -> None:
        if self._is_late(refused.dial, state=ClientState.CONNECTING):
            return
        self.live = False
        self._disarm(ClientDeadline.OPEN, ClientDeadline.ADDRESS)
        verdict = of_status(refused.status)
        error: ResumeHubError = HandshakeRefused(refused.status, refused.detail)
        if verdict is DialVerdict.EXPIRED and self.session:
            self._end(SessionExpired(refused.reason, refused.first_available))
        elif verdict is DialVerdict.RETRY or self._is_our_own_duplicate(refused.status):
            self._retry(error, refused.retry_after or 0.0)
        else:
            self._end(error)

    def _failed(self, failed: c.DialFailed) -> None:
        if self._is_late(failed.dial, state=ClientState.CONNECTING):
            return
        self.live = False
        self._disarm(ClientDeadline.OPEN, ClientDeadline.ADDRESS)
        if failed.permanent:
            self._end(failed.error)
        else:
            self._did_not_open(failed.error, reached=failed.reached)

    def _did_not_open(self, error: ResumeHubError, *, reached: bool = False, at_least: float = 0.0) -> None:
        self.live = False
        if reached and not self.session:
            self._own_duplicates = _OWN_DUPLICATES
        self._retry(error, at_least)

    def _is_our_own_duplicate(self, status: int) -> bool:
        """Whether "id in use" may mean the session that a dial of ours has opened, whose answer was lost."""
        if status != 409 or self.session or not self._own_duplicates:
            return False
        self._own_duplicates -= 1
        return True

    # -- a transport is open ------------------------------------------------------------------

    def _expect_to_hear(self, heard_at: float) -> bool:
        """Set the deadline by which the server must be heard again; False if that has passed already."""
        assert self.watch is not None, "it is open"
        silent_at = self.watch.silent_at(heard_at)
        if silent_at is None:
            return True
        if silent_at > self.now:
            self.deadlines[ClientDeadline.SILENCE] = silent_at
        return silent_at > self.now

    def _last_heard(self, dial: int, heard_at: float) -> None:
        if self._is_late(dial, state=ClientState.CONNECTED) or self._expect_to_hear(heard_at):
            return
        self.live = False
        self._do(e.Abort(dial))
        self._drop(HeartbeatTimeout())

    def _message_handled(self, number: int, size: int) -> None:
        if self.watch is None or not self.watch.count(number, size):
            return
        if self.watch.ack_is_due():
            self._acknowledge()
        else:
            self.deadlines.setdefault(ClientDeadline.ACK, self.now + self.watch.ack_delay())

    def _acknowledge(self, *, by_time: bool = False) -> None:
        assert self.watch is not None, "an acknowledgement goes to the transport that is open"
        self._disarm(ClientDeadline.ACK)
        self._do(e.Acknowledge(self.dial, self.watch.acknowledge(by_time=by_time)))

    # -- a transport ends ---------------------------------------------------------------------

    def _lost(self, lost: c.Lost) -> None:
        if self._is_late(lost.dial):
            return
        was_open = self.state is ClientState.CONNECTED
        self.live = False
        error = TransportLost(lost.code, lost.reason)
        verdict = of_close(lost.code, lost.by_peer, lost.reason)
        if self._leaving:
            self._end(None)
        elif verdict is DialVerdict.ENDED:
            self._end(error)
        elif verdict is DialVerdict.EXPIRED:
            self._end(SessionExpired(*read_expiry(lost.reason)))
        elif verdict is DialVerdict.REFUSED and not (
            lost.code == CloseCode.CONFLICT and self._is_our_own_duplicate(409)
        ):
            self._end(HandshakeRefused(lost.code - 4000, lost.reason))
        elif was_open:
            if verdict is DialVerdict.MESSAGE_REJECTED:
                self._rejected_with = lost.code
            if lost.code == CloseCode.SERVICE_UNAVAILABLE and not self.lossless:
                # A plain dial looks open before the server refuses it for the moment: no session began.
                self.session = self._resumed
            self._drop(error, read_retry_after(lost.reason))
        else:
            self._disarm(ClientDeadline.OPEN, ClientDeadline.ADDRESS)
            self._did_not_open(error, reached=True, at_least=read_retry_after(lost.reason))

    def _drop(self, error: ResumeHubError, at_least: float = 0.0) -> None:
        """The transport has ended, the session has not: detach, then dial again, behind a pause."""
        self._disarm(ClientDeadline.SILENCE, ClientDeadline.ACK)
        self._do(e.Detach(self.dial, replay=self.session))
        self.watch = None
        self.state = ClientState.WAITING
        self._dropped = True
        if self.now - self._opened_at >= self.rules.stable_after:
            self.failures = self._doublings = 0
        self._do(e.QueueCallback("on_transport_drop", error))
        self._retry(error, at_least)

    def _retry(self, error: ResumeHubError, at_least: float = 0.0) -> None:
        limit = self.rules.max_retries
        if self.closing and (self._drained or self._leaving):
            self._end(None)
        elif limit is not None and self.failures >= limit:
            self._end(RetriesExhausted(limit, error))
        else:
            self.state = ClientState.WAITING
            # Full jitter: anything from 0 to the bound.
            self._bound = pause_bound(error, self.rules.initial, self._doublings, self.rules.cap)
            self._at_least = min(at_least, self.rules.longest_told)
            self.failures += 1
            self._do(e.DrawPause(self._bound, self._at_least))

    def _drawn(self, seconds: float) -> None:
        if self.state is not ClientState.WAITING or ClientDeadline.RETRY in self.deadlines:
            return
        self.deadlines[ClientDeadline.RETRY] = self.now + seconds
        # The bound doubles behind a long pause only, so it is never more than about twice the time that has
        # passed. Behind a few short ones it would be far more than a short outage lasts.
        self._doublings += 2 * (seconds - self._at_least) >= self._bound

    # -- the end ------------------------------------------------------------------------------

    def _leave(self, leave: c.Leave) -> None:
        at = self.now + leave.timeout
        if self.closing:  # the application closes again: the shorter timeout counts
            self.deadlines[ClientDeadline.CLOSE] = min(at, self.deadlines[ClientDeadline.CLOSE])
            return
        self.closing = True
        self._close_code = leave.code
        self._drained = leave.drained
        self.deadlines[ClientDeadline.CLOSE] = at
        self._leave_if_drained()

    def _leave_if_drained(self) -> None:
        if not (self.closing and self._drained) or self._leaving:
            return
        if self.watch is not None:
            self._leaving = True
            if self.watch.handled > self.watch.acked:
                self._acknowledge()
            self._do(e.SendCloseFrame(self.dial, self._close_code))
        elif self.state is ClientState.WAITING or not self.session:
            self._end(None)

    def _end(self, error: ResumeHubError | None) -> None:
        if self.watch is not None:
            self._do(e.Detach(self.dial, replay=False))
        self.watch = None
        if self.live:
            self._do(e.Abort(self.dial))
        self.live = False
        self.deadlines.clear()
        self.error = error
        self.state = ClientState.EXPIRED if isinstance(error, SessionExpired) else ClientState.CLOSED
        self._do(e.End(error))
        if self.state is ClientState.EXPIRED:
            self._do(e.QueueCallback("on_session_expired", error))
        self._do(e.QueueCallback("on_disconnect", error))

    def _expect_answers(self) -> None:
        for request_id in self._requests.due(self.now):
            self._do(e.TimeOutRequest(request_id))
        self._disarm(ClientDeadline.REQUEST)
        if (at := self._requests.earliest()) is not None:
            self.deadlines[ClientDeadline.REQUEST] = at

    # -- helpers ------------------------------------------------------------------------------

    def _do(self, effect: e.Effect) -> None:
        self._effects.append(effect)

    def _is_late(self, dial: int, *, state: ClientState | None = None) -> bool:
        """Whether a report on ``dial`` no longer matters (it does only in ``state``), which is noted."""
        if dial == self.dial and self.live and state in (None, self.state):
            return False
        self._ignore(f"dial {dial} has been given up, or is open already")
        return True

    def _disarm(self, *deadlines: ClientDeadline) -> None:
        for deadline in deadlines:
            self.deadlines.pop(deadline, None)

    def _ignore(self, because: str) -> None:
        self._do(e.LogIgnored(because))
