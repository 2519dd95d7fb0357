"""The pure machine of a client: ``handle(command, now) -> effects``.

It decides when to dial, when to give a connection up, what a status or a close code means, when to
acknowledge, and when it is over. No thread, socket, clock, log or random number is in reach: time
comes with each command, chance as the answer to ``DrawPause`` and with ``Opened``. So every order of events
can be written down and tried (``tests/client/test_machine_orders.py``).

    CONNECTING --Opened--> CONNECTED --Lost--> WAITING --its pause--> CONNECTING …
    from each of them: --410, 4100--> EXPIRED; --1000, a refusal, close()--> CLOSED, for good

Called by the driver thread (``client_loop.py``). Deadlines that are due before a command fire before it,
each at its own time. It inherits from ``standing.py``. Read next: ``verdicts.py``, ``effects.py``.
"""

from __future__ import annotations

from typing import assert_never

from ..codes import CloseCode
from ..errors import HandshakeRefused, ResumeHubError, RetriesExhausted, SessionExpired, TransportLost
from ..protocol.expiry import read_expiry
from . import commands as c
from . import effects as e
from .standing import Standing
from .states import ClientDeadline, ClientRules, ClientState
from .verdicts import DialVerdict, of_close, of_status

#: How often "id in use" is taken for our own lost dial, whose session the server has not given up yet.
_OWN_DUPLICATES = 10


class ClientMachine(Standing):
    """One client. Driver thread only; never blocks."""

    def __init__(self, rules: ClientRules) -> None:
        super().__init__(rules)
        #: Whether the session speaks ``resumehub.v1``; None: that is not known yet.
        self.lossless: bool | None = False if rules.plain else None
        #: Whether there is a session to ask for.
        self.session = False
        self.closing = False
        self.error: ResumeHubError | None = None
        self.failures = 0
        self._opened_at = 0.0
        self._dropped = False
        self._culprit: int | None = None
        self._own_duplicates = 0
        self._leaving = False
        self._drained = False
        self._close_code = int(CloseCode.NORMAL)

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
            self._ignore("it is over")
            if isinstance(command, c.Opened):
                self._effects.append(e.Abort(command.dial))
        else:
            self._dispatch(command)
        done, self._effects = self._effects, []
        return done

    # -- what a command means -------------------------------------------------------------

    def _dispatch(self, command: c.Command) -> None:
        match command:
            case c.Start():
                self._dial() if self.dial == 0 else self._ignore("it has begun already")
            case c.Opened():
                self._opened(command)
            case c.DialRefused():
                self._refused(command)
            case c.DialFailed():
                self._failed(command)
            case c.Lost():
                self._lost(command)
            case c.LastHeard(number, heard_at):
                self._observed(number, heard_at)
            case c.Drawn(seconds):
                if self.state is ClientState.WAITING and ClientDeadline.RETRY not in self.deadlines:
                    self.deadlines[ClientDeadline.RETRY] = self.now + seconds
            case c.Handled(number, size):
                self._handled_one(number, size)
            case c.Drained():
                self._drained = True
                self._leave_if_drained()
            case c.Leave():
                self._close(command)
            case c.TimePassed():
                pass
            case _:
                assert_never(command)

    def _expire(self, due: ClientDeadline) -> None:
        match due:
            case ClientDeadline.OPEN:
                self._effects.append(e.Abort(self.dial))
                self._no_connection(
                    TransportLost(CloseCode.ABNORMAL, "no answer within open_timeout"), reached=True
                )
            case ClientDeadline.SILENCE:
                self._effects.append(e.AskLastHeard(self.dial))
            case ClientDeadline.ACK:
                self._acknowledge(in_time=True)
            case ClientDeadline.RETRY:
                self._dial()
            case ClientDeadline.CLOSE:
                self._end(None)
            case _:
                assert_never(due)

    # -- dialling ---------------------------------------------------------------------------

    def _dial(self) -> None:
        assert not self.live, "the dial before has ended"
        self.dial += 1
        self.live = True
        self.state = ClientState.CONNECTING
        self.deadlines[ClientDeadline.OPEN] = self.now + self.rules.open_timeout
        self._effects.append(e.Dial(self.dial, self.session, self.lossless is not False))

    def _opened(self, opened: c.Opened) -> None:
        if self._is_late(opened.dial, state=ClientState.CONNECTING):
            if opened.dial != self.dial:
                self._effects.append(e.Abort(opened.dial))
            return
        hello = opened.hello
        self._disarm(ClientDeadline.OPEN)
        if self.session and self.lossless and (hello is None or not hello.resumed):
            self._end(SessionExpired("the server opened a new session instead"))
            return
        if hello is not None and hello.replay_from != opened.asked + 1:
            self._effects.append(e.Abort(self.dial))
            self._no_connection(TransportLost(CloseCode.PROTOCOL_ERROR, "$hello replays from elsewhere"))
            return
        resumed = self.session
        self._stand(hello, opened.asked, opened.phase)
        self._opened_at = self.now
        self.lossless = hello is not None
        self.session = self.lossless or (self.rules.plain and self.rules.resume)
        if self._dropped:
            # Ahead of Attach: no message may be handled before it.
            self._effects.append(e.QueueCallback("on_transport_restore"))
        self._effects.append(e.Attach(self.dial, hello, resumed, self._culprit))
        self._dropped, self._culprit = False, None
        if hello is not None:
            self._effects.append(e.Acknowledge(self.dial, self._acked))
        self._listen()
        self._leave_if_drained()

    def _refused(self, refused: c.DialRefused) -> None:
        if self._is_late(refused.dial, state=ClientState.CONNECTING):
            return
        self.live = False
        self._disarm(ClientDeadline.OPEN)
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
        self._disarm(ClientDeadline.OPEN)
        if failed.permanent:
            self._end(failed.error)
        else:
            self._no_connection(failed.error, reached=failed.reached)

    def _no_connection(self, error: ResumeHubError, *, reached: bool = False) -> None:
        self.live = False
        if reached and not self.session:
            self._own_duplicates = _OWN_DUPLICATES
        self._retry(error)

    def _is_our_own_duplicate(self, status: int) -> bool:
        """Whether an "id in use" may be about a dial of ours that got through, and whose answer did not."""
        if status != 409 or self.session or not self._own_duplicates:
            return False
        self._own_duplicates -= 1
        return True

    # -- a connection ends --------------------------------------------------------------------

    def _lost(self, lost: c.Lost) -> None:
        if self._is_late(lost.dial):
            return
        was_open = self.state is ClientState.CONNECTED
        self.live = False
        error = TransportLost(lost.code, lost.reason)
        verdict = of_close(lost.code, lost.by_peer)
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
            if verdict is DialVerdict.CULPRIT:
                self._culprit = lost.code
            self._drop(error)
        else:
            self._disarm(ClientDeadline.OPEN)
            self._no_connection(error, reached=True)

    def _drop(self, error: ResumeHubError) -> None:
        """The connection is gone, the session is not: detach, then dial again, behind a pause."""
        self._disarm(ClientDeadline.SILENCE, ClientDeadline.ACK)
        self._effects.append(e.Detach(self.dial, replay=self.session))
        self.state = ClientState.WAITING
        self._dropped = True
        if self.now - self._opened_at >= self.rules.stable_after:
            self.failures = 0
        self._effects.append(e.QueueCallback("on_transport_drop", error))
        self._retry(error)

    def _retry(self, error: ResumeHubError, at_least: float = 0.0) -> None:
        limit = self.rules.max_retries
        if self.closing and (self._drained or self._leaving):
            self._end(None)
        elif limit is not None and self.failures >= limit:
            self._end(RetriesExhausted(limit, error))
        else:
            self.state = ClientState.WAITING
            # Full jitter: anything from nothing to the bound, which doubles from time to time.
            bound = min(self.rules.cap, self.rules.initial * 2.0 ** min(self.failures, 60))
            self.failures += 1
            self._effects.append(e.DrawPause(bound, at_least))

    # -- the end ------------------------------------------------------------------------------

    def _close(self, close: c.Leave) -> None:
        at = self.now + close.timeout
        if self.closing:  # again: somebody has less patience
            self.deadlines[ClientDeadline.CLOSE] = min(at, self.deadlines[ClientDeadline.CLOSE])
            return
        self.closing = True
        self._close_code = close.code
        self._drained = close.drained
        self.deadlines[ClientDeadline.CLOSE] = at
        self._leave_if_drained()

    def _leave_if_drained(self) -> None:
        if not (self.closing and self._drained) or self._leaving:
            return
        if self.state is ClientState.CONNECTED:
            self._leaving = True
            if self._handled > self._acked:
                self._acknowledge()
            self._effects.append(e.SendCloseFrame(self.dial, self._close_code))
        elif self.state is ClientState.WAITING or not self.session:
            self._end(None)

    def _end(self, error: ResumeHubError | None) -> None:
        if self.state is ClientState.CONNECTED:
            self._effects.append(e.Detach(self.dial, replay=False))
        if self.live:
            self._effects.append(e.Abort(self.dial))
        self.live = False
        self.deadlines.clear()
        self.error = error
        self.state = ClientState.EXPIRED if isinstance(error, SessionExpired) else ClientState.CLOSED
        self._effects.append(e.End(error))
        if self.state is ClientState.EXPIRED:
            self._effects.append(e.QueueCallback("on_session_expired", error))
        self._effects.append(e.QueueCallback("on_disconnect", error))
