"""How transports live and end: heartbeat, write stalls, the close handshake, and the deadlines of each.

A transport is LIVE while it carries a session. It is CLOSING from the moment at which a close frame is queued
until its socket is shut down: when the close handshake (RFC 6455 §7.1.1) is over, or the peer takes too long.
Then it is ABORTED until its threads have left it.

**Half-open** (contract C7). A transport can look alive although its peer has gone. A phone that changes
networks sends no FIN, and a NAT that forgets a connection tells neither side: the kernel reports nothing, and
what is written still fits into its buffer. Three things find it out. The Ping, every ``ping_interval``: if no
byte comes in and the peer takes none within ``write_timeout`` after it, the transport is lost. A write stall:
if the kernel's buffer is full and the peer takes nothing for ``write_timeout``, likewise. And the client, if
it comes back first: it takes the session over, and the old transport is closed with 4101. So a half-open
transport is found at most ``ping_interval + write_timeout`` seconds after its peer's last byte (30 with the
defaults), if a thread is free to read. A newcomer that has gone while it connected is found sooner: if
nothing has come from it within ``write_timeout`` of its attach, its first Ping goes out then, and it is lost
``2 × write_timeout`` seconds after the attach (20). A client that has said anything by then, as each v1
client does at once, gets no Ping more. With ``ping_interval=None`` only a stall or the client finds it.

Progress is not reported as it happens: that would be a command for each read. When a deadline falls due, the
machine asks (``Inspect``), and the answer (``Observed``) comes back at once.

This is a part of the machine (``machine.py``), which hands it, on the hub thread, what readers and writers
report. It knows no session: it tells its owner of the end of a transport, and the owner decides what that
means for a session (``TransportOwner``). Pure. Read next: ``records.py``, ``deadlines.py``.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from ..codes import CloseCode
from ..errors import HeartbeatTimeout, ResumeHubError, TransportLost
from ..protocol.control_messages import ACK_DELAY, NO_ACK
from . import commands as c
from . import effects as e
from .deadlines import OF_TRANSPORTS, Deadline, DeadlineKind, Deadlines
from .plan import Plan
from .records import CloseFrame, Phase, Rules, TransportState
from .refusals import RefusalByClose

_WHILE_ALIVE = (
    DeadlineKind.FIRST_PING,
    DeadlineKind.PING,
    DeadlineKind.PONG,
    DeadlineKind.STALL,
    DeadlineKind.WINDOW,
    DeadlineKind.ACK,
    DeadlineKind.PAUSE,
)


class TransportOwner(Protocol):
    """What decides what the end of a transport means for its session: the machine. Hub thread only."""

    def transport_lost(self, number: int, error: ResumeHubError, close: CloseFrame | None = None) -> None:
        """The transport carries nothing any more; ``close``: the close frame that it is still sent."""

    def transport_left(self, number: int) -> None:
        """The client has said that it is done."""

    def heartbeat_failed(self, number: int) -> None:
        """The peer has not answered a Ping; ``transport_lost`` follows."""


class TransportMachine:
    """The transports of a hub, by number, and their deadlines.

    ``by_number`` is to be looked at: only this class changes it. Hub thread only; never blocks.
    """

    def __init__(self, plan: Plan, deadlines: Deadlines, owner: TransportOwner, rules: Rules) -> None:
        self.by_number: dict[int, TransportState] = {}
        self._plan = plan
        self._deadlines = deadlines
        self._owner = owner
        self._write_timeout = rules.write_timeout
        self._stall_timeout = rules.stall_timeout
        self._ping_interval = rules.ping_interval

    # -- beginnings -------------------------------------------------------------------------

    def add(self, number: int, epoch: int | None, generation: int) -> TransportState:
        """Enter a transport that begins to live; ``epoch``: the session that it carries, None for none."""
        assert number not in self.by_number, "a transport is registered once"
        transport = self.by_number[number] = TransportState(number, epoch, generation, Phase.LIVE)
        if epoch is not None and self._ping_interval is not None:
            self._deadlines.arm(DeadlineKind.PING, number, self._plan.now + self._ping_interval)
        return transport

    def add_newcomer(self, number: int, epoch: int, generation: int) -> None:
        """The same for a client that has just come in, and has to show that it is there."""
        self.add(number, epoch, generation)
        if self._ping_interval is not None:
            self._deadlines.arm(DeadlineKind.FIRST_PING, number, self._plan.now + self._write_timeout)

    def refuse(self, number: int, refusal: RefusalByClose, delay: float = 0.0) -> None:
        """Give a newcomer a close frame, ``delay`` seconds after its 101, and nothing else."""
        if refusal.why is not None:
            self._plan.count("upgrade_refused", refusal.status, refusal.why.value)
        transport = self.add(number, None, 0)
        self._plan.add(e.AdmitToRefuse(number))
        if delay > 0:
            transport.phase, transport.refusal = Phase.CLOSING, refusal.frame
            self._deadlines.arm(DeadlineKind.REFUSAL, number, self._plan.now + delay)
        else:
            self.send_close(transport, *refusal.frame, after_data=False)

    def send_refusals(self) -> None:
        """Send the close frames that still wait: the hub is about to close."""
        for transport in list(self.by_number.values()):
            if self._deadlines.armed_at(DeadlineKind.REFUSAL, transport.number) is not None:
                self._send_refusal(transport)

    def _send_refusal(self, transport: TransportState) -> None:
        assert transport.refusal is not None, "it waits to be refused"
        self._deadlines.cancel(DeadlineKind.REFUSAL, transport.number)
        self._deadlines.arm(DeadlineKind.CLOSE, transport.number, self._plan.now + self._write_timeout)
        self._plan.add(e.SendClose(transport.number, *transport.refusal, after_data=False))

    def abort_newcomer(self, number: int, because: str) -> None:
        """Give a newcomer nothing at all, not even a close frame."""
        self.abort(self.add(number, None, 0))
        self._plan.ignore(because)

    # -- reports of the reader and the writer -----------------------------------------------

    def ended(self, report: c.EndReport) -> None:
        """The peer has closed, gone or broken the protocol, or our side gives the transport up."""
        transport = self.by_number.get(report.transport)
        if transport is None or transport.phase is Phase.ABORTED:
            self._plan.ignore("the transport was given up before")
        elif transport.phase is Phase.CLOSING:
            self._ended_while_closing(transport, report)
        else:
            self._ended_alive(transport, report)

    def _ended_alive(self, transport: TransportState, report: c.EndReport) -> None:
        match report:
            case c.PeerClosed(number, code, reason):
                # The reader has had the answering close frame sent already.
                transport.peer_done = True
                self._await_close(transport)
                if code in (1000, 1005):
                    self._owner.transport_left(number)
                else:
                    self._owner.transport_lost(number, TransportLost(code, reason))
            case c.PeerFailed(number, code, reason):
                self._await_close(transport)
                self._owner.transport_lost(number, TransportLost(code, reason))
            case c.PeerGone(number) | c.TransportAborted(number):
                self._owner.transport_lost(number, TransportLost())
                self.abort(transport)

    def _ended_while_closing(self, transport: TransportState, report: c.EndReport) -> None:
        # A Close that answers ours decides nothing: what becomes of the session was decided before.
        self._plan.ignore("the transport is closing: its end decides nothing any more")
        match report:
            case c.TransportAborted() | c.PeerGone(reset=True):
                self.abort(transport)
            case c.PeerClosed() | c.PeerGone():
                transport.peer_done = True
                if transport.close_sent:
                    self.abort(transport)
            case c.PeerFailed():
                pass

    def nothing_more_to_write(self, number: int) -> None:
        """The close frame is out, or can never get out."""
        transport = self.by_number.get(number)
        if transport is None or transport.phase is Phase.ABORTED:
            self._plan.ignore("the transport was given up before")
            return
        transport.close_sent = True
        if transport.phase is Phase.LIVE:
            self._plan.ignore("a write error only stops writing: the reader has the last word")
            return
        self._await_answer(transport)

    def _await_answer(self, transport: TransportState) -> None:
        self._deadlines.cancel(DeadlineKind.CLOSE, transport.number)
        self._deadlines.cancel(DeadlineKind.REFUSAL, transport.number)
        if transport.peer_done:
            self.abort(transport)
        else:
            self._deadlines.arm(DeadlineKind.ANSWER, transport.number, self._plan.now + self._write_timeout)

    def needs_deadline(self, report: c.NeedsDeadline) -> None:
        """Something must happen within a time: the peer takes bytes, or acknowledges, or we acknowledge."""
        transport, now = self.by_number.get(report.transport), self._plan.now
        if transport is None or transport.phase is not Phase.LIVE:
            self._plan.ignore("a transport that closes has a deadline already, and acknowledges nothing")
            if transport is not None and isinstance(report, c.ReadingPaused):
                # The peer's close frame, or the end of its input, may be behind what it has sent too much.
                self._plan.add(e.ReadOn(report.transport))
            return
        match report:
            case c.WriteStalled(number):
                self._deadlines.arm(DeadlineKind.STALL, number, now + self._write_timeout)
            case c.WindowFull(number):
                self._deadlines.arm(DeadlineKind.WINDOW, number, now + self._stall_timeout)
            case c.AckDue(number):
                if self._deadlines.armed_at(DeadlineKind.ACK, number) is None:
                    self._deadlines.arm(DeadlineKind.ACK, number, now + ACK_DELAY)
            case c.ReadingPaused(number, until):
                self._plan.add(e.NotePause(number, max(0.0, until - now)))
                self._deadlines.arm(DeadlineKind.PAUSE, number, max(until, now))
            case _:
                assert_never(report)

    # -- deadlines --------------------------------------------------------------------------

    def fall_due(self, due: Deadline) -> None:
        """A deadline of a transport has come: act, or ask for a look at the transport (``Inspect``)."""
        transport = self.by_number.get(due.owner)
        assert transport is not None, "the deadlines of a transport go with it"
        match due.kind:
            case DeadlineKind.PING:
                self._ping(due.owner, due.at)
            case DeadlineKind.ANSWER:
                self.abort(transport)
            case DeadlineKind.ACK:
                self._plan.add(e.SendAck(due.owner))
            case DeadlineKind.WINDOW:
                transport.ack_due_at = due.at
                self._plan.add(e.Inspect(due.owner, due.kind))
            case DeadlineKind.REFUSAL:
                self._send_refusal(transport)
            case DeadlineKind.PAUSE:
                self._plan.add(e.ReadOn(due.owner))
            case _:
                self._plan.add(e.Inspect(due.owner, due.kind))

    def _ping(self, number: int, at: float) -> None:
        assert self._ping_interval is not None, "no ping without an interval"
        self._plan.add(e.SendPing(number))
        self._deadlines.arm(DeadlineKind.PONG, number, at + self._write_timeout)
        self._deadlines.arm(DeadlineKind.PING, number, at + self._ping_interval)

    def observed(self, seen: c.Observed) -> None:
        """The answer to ``Inspect``: give the transport up, or the peer more time."""
        transport = self.by_number.get(seen.transport)
        if transport is None or transport.phase is Phase.ABORTED:
            self._plan.ignore("the transport was given up before")
        elif seen.kind is DeadlineKind.CLOSE:
            self._close_overdue(transport, seen)
        elif transport.phase is not Phase.LIVE:
            self._plan.ignore("a transport that closes has its own deadline")
        elif seen.kind is DeadlineKind.FIRST_PING:
            # A hub thread that was away may by now have sent a Ping that was due later.
            if not seen.heard and self._deadlines.armed_at(DeadlineKind.PONG, seen.transport) is None:
                self._ping(seen.transport, self._plan.now)
        elif seen.kind is DeadlineKind.PONG:
            self._pong_overdue(transport, seen)
        elif seen.kind is DeadlineKind.WINDOW:
            self._ack_overdue(transport, seen)
        elif seen.blocked and not self._postponed(DeadlineKind.STALL, seen, seen.took_at):
            self._owner.transport_lost(transport.number, TransportLost(1006, "the peer stopped reading"))
            self.abort(transport)

    def _pong_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        if seen.heard or seen.took_at > seen.pinged_at:
            return
        if seen.reading_since is None:
            # No thread reads, so that nothing was heard says nothing about the peer: look again later.
            self._deadlines.arm(DeadlineKind.PONG, transport.number, self._plan.now + self._write_timeout)
        # The peer's time begins when the Ping is really sent. A process that was stopped for a minute sends
        # it, and looks for the answer, at the same moment (tests/races/test_late_hub.py).
        elif not self._postponed(DeadlineKind.PONG, seen, max(seen.reading_since, seen.pinged_at)):
            self._owner.heartbeat_failed(transport.number)
            self._owner.transport_lost(transport.number, HeartbeatTimeout())
            self.abort(transport)

    def _ack_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        """The client had its time to acknowledge: part with its transport, if it could have."""
        if seen.full_since is None:
            return  # it has acknowledged, and when the window is full again there is a new deadline
        since = max(seen.full_since, seen.took_at, seen.reads_on_since)
        if seen.blocked or since == float("inf"):
            # Not all of the window has reached the client, or its $ack waits behind messages of its own.
            since = self._plan.now
        if seen.seen_at > transport.ack_due_at + ACK_DELAY:
            since = seen.seen_at  # the hub was away, and its readers with it: the $ack may wait for them
        if since + self._stall_timeout > self._plan.now:
            self._deadlines.arm(DeadlineKind.WINDOW, transport.number, since + self._stall_timeout)
            return
        close = (int(CloseCode.POLICY_VIOLATION), NO_ACK)
        self._owner.transport_lost(transport.number, TransportLost(*close), close)

    def _close_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        if self._postponed(DeadlineKind.CLOSE, seen, seen.took_at):
            return
        if transport.discarded:
            self.abort(transport)
            return
        transport.discarded = True
        self._plan.add(e.DiscardUnsent(transport.number))
        self._deadlines.arm(DeadlineKind.CLOSE, transport.number, self._plan.now + self._write_timeout)

    def _postponed(self, kind: DeadlineKind, seen: c.Observed, since: float) -> bool:
        """Whether the deadline, counted from ``since``, is still to come; if so, arm it again."""
        at = since + self._write_timeout
        if at > self._plan.now:
            self._deadlines.arm(kind, seen.transport, at)
        return at > self._plan.now

    # -- ends -------------------------------------------------------------------------------

    def send_close(self, transport: TransportState, code: int, reason: str, after_data: bool) -> None:
        """Have a close frame sent, if none is on its way yet, and wait for it and for its answer."""
        if transport.phase is Phase.LIVE:
            self._await_close(transport)
            self._plan.add(e.SendClose(transport.number, int(code), reason, after_data))

    def _await_close(self, transport: TransportState) -> None:
        transport.phase = Phase.CLOSING
        if self._deadlines.armed_at(DeadlineKind.PAUSE, transport.number) is not None:
            self._plan.add(e.ReadOn(transport.number))  # the answer to the close frame is to be read
        self._deadlines.cancel_each(_WHILE_ALIVE, transport.number)
        if transport.close_sent:  # nothing can be written to it any more
            self._await_answer(transport)
        else:
            self._deadlines.arm(DeadlineKind.CLOSE, transport.number, self._plan.now + self._write_timeout)

    def abort(self, transport: TransportState) -> None:
        """Have the socket shut down. Twice is no error."""
        if transport.phase is not Phase.ABORTED:
            transport.phase = Phase.ABORTED
            self._deadlines.cancel_each(OF_TRANSPORTS, transport.number)
            self._plan.add(e.AbortTransport(transport.number))

    def forget(self, number: int) -> None:
        """The transport's threads have left it."""
        self.by_number.pop(number, None)
        self._deadlines.cancel_each(OF_TRANSPORTS, number)
