"""How transports live and die: heartbeat, stalls, the close handshake, and the deadlines of each.

One half of the machine (``machine.py`` inherits it and decides what a dead transport means for
its session). A transport is LIVE while it carries a session; CLOSING from the moment a close
frame is queued until the socket is shut down, which happens when the handshake of RFC 6455
§7.1.1 is over or the peer takes too long; then ABORTED until its threads have let go. Pure.

Progress is never reported as it happens (that would be a command per read): when a deadline
falls due, the machine asks (``Inspect``) and the answer (``Observed``) comes back at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..errors import HeartbeatTimeout, ResumeHubError, TransportLost
from ..protocol.control_messages import ACK_DELAY
from . import commands as c
from . import effects as e
from .deadlines import Deadline, DeadlineKind, Deadlines
from .records import Phase, TransportState

_WHILE_ALIVE = (DeadlineKind.PING, DeadlineKind.PONG, DeadlineKind.STALL, DeadlineKind.ACK)
_OWNED = tuple(kind for kind in DeadlineKind if kind is not DeadlineKind.GRACE)


class Transports(ABC):
    """The transports of a hub and their deadlines. Hub thread only; never blocks."""

    def __init__(self, write_timeout: float, ping_interval: float | None) -> None:
        self.transports: dict[int, TransportState] = {}
        self.deadlines = Deadlines()
        self.now = float("-inf")
        self._write_timeout = write_timeout
        self._ping_interval = ping_interval
        self._effects: list[e.Effect] = []

    # -- what a dead transport means is decided by the heir ---------------------------------

    @abstractmethod
    def _transport_lost(
        self, number: int, error: ResumeHubError, close: tuple[int, str] | None = None
    ) -> None: ...

    @abstractmethod
    def _transport_left(self, number: int) -> None: ...

    @abstractmethod
    def _heartbeat_failed(self, transport: TransportState) -> None: ...

    # -- beginnings -------------------------------------------------------------------------

    def _new_transport(self, number: int, epoch: int | None, generation: int, phase: Phase) -> TransportState:
        assert number not in self.transports, "a transport is registered once"
        transport = self.transports[number] = TransportState(number, epoch, generation, phase)
        if epoch is not None and self._ping_interval is not None:
            self.deadlines.arm(DeadlineKind.PING, number, self.now + self._ping_interval)
        return transport

    def _refuse(self, number: int, code: int, reason: str) -> None:
        """Give a newcomer a close frame and nothing else."""
        transport = self._new_transport(number, None, 0, Phase.LIVE)
        self._do(e.AdmitToRefuse(number))
        self._send_close(transport, code, reason, after_data=False)

    # -- reports of the reader and the writer -----------------------------------------------

    def _transport_ended(self, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted) -> None:
        transport = self.transports.get(report.transport)
        if transport is None or transport.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
        elif transport.phase is Phase.CLOSING:
            self._ended_while_closing(transport, report)
        else:
            self._ended_alive(transport, report)

    def _ended_alive(
        self, transport: TransportState, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted
    ) -> None:
        match report:
            case c.PeerClosed(number, code, reason):
                # The reader has the answering close frame on its way already.
                transport.peer_done = True
                self._await_close(transport)
                if code in (1000, 1005):
                    self._transport_left(number)
                else:
                    self._transport_lost(number, TransportLost(code, reason))
            case c.PeerFailed(number, code, reason):
                self._await_close(transport)
                self._transport_lost(number, TransportLost(code, reason))
            case c.PeerGone(number) | c.TransportAborted(number):
                self._transport_lost(number, TransportLost())
                self._abort(transport)

    def _ended_while_closing(
        self, transport: TransportState, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted
    ) -> None:
        # A Close that answers ours decides nothing about the session: that was decided before.
        self._ignore("the transport is closing: its end decides nothing any more")
        match report:
            case c.TransportAborted() | c.PeerGone(reset=True):
                self._abort(transport)
            case c.PeerClosed() | c.PeerGone():
                transport.peer_done = True
                if transport.close_sent:
                    self._abort(transport)
            case c.PeerFailed():
                pass

    def _nothing_more_to_write(self, number: int) -> None:
        """The close frame is out, or can never get out."""
        transport = self.transports.get(number)
        if transport is None or transport.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
            return
        transport.close_sent = True
        if transport.phase is Phase.LIVE:
            self._ignore("a write error only stops writing: the reader has the last word")
            return
        self._await_answer(transport)

    def _await_answer(self, transport: TransportState) -> None:
        self.deadlines.cancel(DeadlineKind.CLOSE, transport.number)
        if transport.peer_done:
            self._abort(transport)
        else:
            self.deadlines.arm(DeadlineKind.ANSWER, transport.number, self.now + self._write_timeout)

    def _write_stalled(self, number: int) -> None:
        transport = self.transports.get(number)
        if transport is None or transport.phase is not Phase.LIVE:
            self._ignore("a transport that closes has a deadline already")
        else:
            self.deadlines.arm(DeadlineKind.STALL, number, self.now + self._write_timeout)

    def _ack_due(self, number: int) -> None:
        transport = self.transports.get(number)
        if transport is None or transport.phase is not Phase.LIVE:
            self._ignore("a transport that closes acknowledges nothing")
        elif self.deadlines.armed_at(DeadlineKind.ACK, number) is None:
            self.deadlines.arm(DeadlineKind.ACK, number, self.now + ACK_DELAY)

    # -- deadlines --------------------------------------------------------------------------

    def _transport_due(self, due: Deadline) -> None:
        transport = self.transports.get(due.owner)
        assert transport is not None, "the deadlines of a transport go with it"
        match due.kind:
            case DeadlineKind.PING:
                assert self._ping_interval is not None, "no ping without an interval"
                self._do(e.SendPing(due.owner))
                self.deadlines.arm(DeadlineKind.PONG, due.owner, due.at + self._write_timeout)
                self.deadlines.arm(DeadlineKind.PING, due.owner, due.at + self._ping_interval)
            case DeadlineKind.ANSWER:
                self._abort(transport)
            case DeadlineKind.ACK:
                self._do(e.SendAck(due.owner))
            case _:
                self._do(e.Inspect(due.owner, due.kind))

    def _observed(self, seen: c.Observed) -> None:
        transport = self.transports.get(seen.transport)
        if transport is None or transport.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
        elif seen.kind is DeadlineKind.CLOSE:
            self._close_overdue(transport, seen)
        elif transport.phase is not Phase.LIVE:
            self._ignore("a transport that closes has its own deadline")
        elif seen.kind is DeadlineKind.PONG:
            self._pong_overdue(transport, seen)
        elif seen.blocked and not self._postponed(DeadlineKind.STALL, seen, seen.took_at):
            self._transport_lost(transport.number, TransportLost(1006, "the peer stopped reading"))
            self._abort(transport)

    def _pong_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        if seen.heard or seen.took_at > seen.pinged_at:
            return
        if seen.reading_since is None:
            # Nobody reads, so silence says nothing about the peer: look again later.
            self.deadlines.arm(DeadlineKind.PONG, transport.number, self.now + self._write_timeout)
        # The peer has the whole time from the Ping itself on: a process that was stopped for a minute
        # sends it, and looks for the answer, in one go (tests/races/test_late_hub.py).
        elif not self._postponed(DeadlineKind.PONG, seen, max(seen.reading_since, seen.pinged_at)):
            self._heartbeat_failed(transport)
            self._transport_lost(transport.number, HeartbeatTimeout())
            self._abort(transport)

    def _close_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        if self._postponed(DeadlineKind.CLOSE, seen, seen.took_at):
            return
        if transport.discarded:
            self._abort(transport)
            return
        transport.discarded = True
        self._do(e.DiscardUnsent(transport.number))
        self.deadlines.arm(DeadlineKind.CLOSE, transport.number, self.now + self._write_timeout)

    def _postponed(self, kind: DeadlineKind, seen: c.Observed, since: float) -> bool:
        """Whether the deadline, counted from ``since``, is still to come; if so it is armed again."""
        at = since + self._write_timeout
        if at > self.now:
            self.deadlines.arm(kind, seen.transport, at)
        return at > self.now

    # -- ends -------------------------------------------------------------------------------

    def _send_close(self, transport: TransportState, code: int, reason: str, after_data: bool) -> None:
        if transport.phase is Phase.LIVE:
            self._await_close(transport)
            self._do(e.SendClose(transport.number, int(code), reason, after_data))

    def _await_close(self, transport: TransportState) -> None:
        transport.phase = Phase.CLOSING
        self.deadlines.cancel_each(_WHILE_ALIVE, transport.number)
        if transport.close_sent:  # nothing can be written to it any more
            self._await_answer(transport)
        else:
            self.deadlines.arm(DeadlineKind.CLOSE, transport.number, self.now + self._write_timeout)

    def _abort(self, transport: TransportState) -> None:
        if transport.phase is not Phase.ABORTED:
            transport.phase = Phase.ABORTED
            self.deadlines.cancel_each(_OWNED, transport.number)
            self._do(e.AbortTransport(transport.number))

    def _forget_transport(self, number: int) -> None:
        self.transports.pop(number, None)
        self.deadlines.cancel_each(_OWNED, number)

    # -- small words ------------------------------------------------------------------------

    def _do(self, effect: e.Effect) -> None:
        self._effects.append(effect)

    def _count(self, method: str, *arguments: object) -> None:
        self._effects.append(e.Count(method, arguments))

    def _ignore(self, because: str) -> None:
        self._effects.append(e.Ignored(because))
