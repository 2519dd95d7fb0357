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
from ..protocol import ACK_DELAY
from . import commands as c
from . import effects as e
from .deadlines import Deadline, DeadlineKind, Deadlines
from .session import Carrier, Phase

_WHILE_ALIVE = (DeadlineKind.PING, DeadlineKind.PONG, DeadlineKind.STALL, DeadlineKind.ACK)
_OWNED = tuple(kind for kind in DeadlineKind if kind is not DeadlineKind.GRACE)


class Carriers(ABC):
    """The transports of a hub and their deadlines. Hub thread only; never blocks."""

    def __init__(self, write_timeout: float, ping_interval: float | None) -> None:
        self.carriers: dict[int, Carrier] = {}
        self.deadlines = Deadlines()
        self.now = float("-inf")
        self._write_timeout = write_timeout
        self._ping_interval = ping_interval
        self._effects: list[e.Effect] = []

    # -- what a dead transport means is decided by the heir ---------------------------------

    @abstractmethod
    def _carrier_lost(
        self, number: int, error: ResumeHubError, close: tuple[int, str] | None = None
    ) -> None: ...

    @abstractmethod
    def _carrier_left(self, number: int) -> None: ...

    @abstractmethod
    def _heartbeat_failed(self, carrier: Carrier) -> None: ...

    # -- beginnings -------------------------------------------------------------------------

    def _new_carrier(self, number: int, epoch: int | None, generation: int, phase: Phase) -> Carrier:
        assert number not in self.carriers, "a transport is registered once"
        carrier = self.carriers[number] = Carrier(number, epoch, generation, phase)
        if epoch is not None and self._ping_interval is not None:
            self.deadlines.arm(DeadlineKind.PING, number, self.now + self._ping_interval)
        return carrier

    def _refuse(self, number: int, code: int, reason: str) -> None:
        """Give a newcomer a close frame and nothing else."""
        carrier = self._new_carrier(number, None, 0, Phase.LIVE)
        self._do(e.AdmitToRefuse(number))
        self._send_close(carrier, code, reason, after_data=False)

    # -- reports of the reader and the writer -----------------------------------------------

    def _transport_ended(self, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted) -> None:
        carrier = self.carriers.get(report.transport)
        if carrier is None or carrier.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
        elif carrier.phase is Phase.CLOSING:
            self._ended_while_closing(carrier, report)
        else:
            self._ended_alive(carrier, report)

    def _ended_alive(
        self, carrier: Carrier, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted
    ) -> None:
        match report:
            case c.PeerClosed(number, code, reason):
                # The reader has the answering close frame on its way already.
                carrier.peer_done = True
                self._await_close(carrier)
                if code in (1000, 1005):
                    self._carrier_left(number)
                else:
                    self._carrier_lost(number, TransportLost(code, reason))
            case c.PeerFailed(number, code, reason):
                self._await_close(carrier)
                self._carrier_lost(number, TransportLost(code, reason))
            case c.PeerGone(number) | c.TransportAborted(number):
                self._carrier_lost(number, TransportLost())
                self._abort(carrier)

    def _ended_while_closing(
        self, carrier: Carrier, report: c.PeerClosed | c.PeerGone | c.PeerFailed | c.TransportAborted
    ) -> None:
        # A Close that answers ours decides nothing about the session: that was decided before.
        self._ignore("the transport is closing: its end decides nothing any more")
        match report:
            case c.TransportAborted() | c.PeerGone(reset=True):
                self._abort(carrier)
            case c.PeerClosed() | c.PeerGone():
                carrier.peer_done = True
                if carrier.close_sent:
                    self._abort(carrier)
            case c.PeerFailed():
                pass

    def _nothing_more_to_write(self, number: int) -> None:
        """The close frame is out, or can never get out."""
        carrier = self.carriers.get(number)
        if carrier is None or carrier.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
            return
        carrier.close_sent = True
        if carrier.phase is Phase.LIVE:
            self._ignore("a write error only stops writing: the reader has the last word")
            return
        self._await_answer(carrier)

    def _await_answer(self, carrier: Carrier) -> None:
        self.deadlines.cancel(DeadlineKind.CLOSE, carrier.number)
        if carrier.peer_done:
            self._abort(carrier)
        else:
            self.deadlines.arm(DeadlineKind.ANSWER, carrier.number, self.now + self._write_timeout)

    def _write_stalled(self, number: int) -> None:
        carrier = self.carriers.get(number)
        if carrier is None or carrier.phase is not Phase.LIVE:
            self._ignore("a transport that closes has a deadline already")
        else:
            self.deadlines.arm(DeadlineKind.STALL, number, self.now + self._write_timeout)

    def _ack_due(self, number: int) -> None:
        carrier = self.carriers.get(number)
        if carrier is None or carrier.phase is not Phase.LIVE:
            self._ignore("a transport that closes acknowledges nothing")
        elif self.deadlines.armed_at(DeadlineKind.ACK, number) is None:
            self.deadlines.arm(DeadlineKind.ACK, number, self.now + ACK_DELAY)

    # -- deadlines --------------------------------------------------------------------------

    def _carrier_due(self, due: Deadline) -> None:
        carrier = self.carriers.get(due.owner)
        assert carrier is not None, "the deadlines of a transport go with it"
        match due.kind:
            case DeadlineKind.PING:
                assert self._ping_interval is not None, "no ping without an interval"
                self._do(e.SendPing(due.owner))
                self.deadlines.arm(DeadlineKind.PONG, due.owner, due.at + self._write_timeout)
                self.deadlines.arm(DeadlineKind.PING, due.owner, due.at + self._ping_interval)
            case DeadlineKind.ANSWER:
                self._abort(carrier)
            case DeadlineKind.ACK:
                self._do(e.SendAck(due.owner))
            case _:
                self._do(e.Inspect(due.owner, due.kind))

    def _observed(self, seen: c.Observed) -> None:
        carrier = self.carriers.get(seen.transport)
        if carrier is None or carrier.phase is Phase.ABORTED:
            self._ignore("the transport was given up before")
        elif seen.kind is DeadlineKind.CLOSE:
            self._close_overdue(carrier, seen)
        elif carrier.phase is not Phase.LIVE:
            self._ignore("a transport that closes has its own deadline")
        elif seen.kind is DeadlineKind.PONG:
            self._pong_overdue(carrier, seen)
        elif seen.blocked and not self._postponed(DeadlineKind.STALL, seen, seen.took_at):
            self._carrier_lost(carrier.number, TransportLost(1006, "the peer stopped reading"))
            self._abort(carrier)

    def _pong_overdue(self, carrier: Carrier, seen: c.Observed) -> None:
        if seen.heard or seen.took_at > seen.pinged_at:
            return
        if seen.reading_since is None:
            # Nobody reads, so silence says nothing about the peer: look again later.
            self.deadlines.arm(DeadlineKind.PONG, carrier.number, self.now + self._write_timeout)
        # The peer has the whole time from the Ping itself on: a process that was stopped for a minute
        # sends it, and looks for the answer, in one go (tests/races/test_late_hub.py).
        elif not self._postponed(DeadlineKind.PONG, seen, max(seen.reading_since, seen.pinged_at)):
            self._heartbeat_failed(carrier)
            self._carrier_lost(carrier.number, HeartbeatTimeout())
            self._abort(carrier)

    def _close_overdue(self, carrier: Carrier, seen: c.Observed) -> None:
        if self._postponed(DeadlineKind.CLOSE, seen, seen.took_at):
            return
        if carrier.discarded:
            self._abort(carrier)
            return
        carrier.discarded = True
        self._do(e.DiscardUnsent(carrier.number))
        self.deadlines.arm(DeadlineKind.CLOSE, carrier.number, self.now + self._write_timeout)

    def _postponed(self, kind: DeadlineKind, seen: c.Observed, since: float) -> bool:
        """Whether the deadline, counted from ``since``, is still to come; if so it is armed again."""
        at = since + self._write_timeout
        if at > self.now:
            self.deadlines.arm(kind, seen.transport, at)
        return at > self.now

    # -- ends -------------------------------------------------------------------------------

    def _send_close(self, carrier: Carrier, code: int, reason: str, after_data: bool) -> None:
        if carrier.phase is Phase.LIVE:
            self._await_close(carrier)
            self._do(e.SendClose(carrier.number, int(code), reason, after_data))

    def _await_close(self, carrier: Carrier) -> None:
        carrier.phase = Phase.CLOSING
        self.deadlines.cancel_each(_WHILE_ALIVE, carrier.number)
        if carrier.close_sent:  # nothing can be written to it any more
            self._await_answer(carrier)
        else:
            self.deadlines.arm(DeadlineKind.CLOSE, carrier.number, self.now + self._write_timeout)

    def _abort(self, carrier: Carrier) -> None:
        if carrier.phase is not Phase.ABORTED:
            carrier.phase = Phase.ABORTED
            self.deadlines.cancel_each(_OWNED, carrier.number)
            self._do(e.AbortTransport(carrier.number))

    def _forget_carrier(self, number: int) -> None:
        self.carriers.pop(number, None)
        self.deadlines.cancel_each(_OWNED, number)

    # -- small words ------------------------------------------------------------------------

    def _do(self, effect: e.Effect) -> None:
        self._effects.append(effect)

    def _count(self, method: str, *arguments: object) -> None:
        self._effects.append(e.Count(method, arguments))

    def _ignore(self, because: str) -> None:
        self._effects.append(e.Ignored(because))
