"""What a client's machine knows of the transport that is open: is the server silent, is an ``$ack`` due?

One object for each transport that opens. It counts and compares; the machine sets the deadlines and decides
what becomes of the session. Pure. Used by ``machine.py``.

An acknowledgement is due when half of the window is unacknowledged, or a second after the first message
that is. The members of a room get the same broadcasts. If all of them counted from 0, all would acknowledge
in the same moment, again and again, and the server would have thousands of frames to read at once. So each
transport draws a *phase*. It makes the first acknowledgement due sooner, and each one that is due by time.
The others are half a window apart. So two clients that are out of step stay out of step for as long as
messages flow; and after a pause, in which all have acknowledged everything, they are out of step again.
"""

from __future__ import annotations

from ..protocol.control_messages import ACK_DELAY, Hello
from .states import ClientRules


class TransportWatch:
    """Heartbeat and delayed acknowledgement of one open transport. Driver thread only; never blocks.

    ``hello``: what a ``resumehub.v1`` server said first; None: a plain one, which gets no acknowledgement.
    ``asked``: the number of the last message that had been handled before. ``phase``: from 0 to 1, see above;
    more than 1 acts like 1, so that no acknowledgement comes later than the server expects.
    """

    def __init__(self, rules: ClientRules, hello: Hello | None, asked: int, phase: float) -> None:
        self.hello = hello
        #: The number of the last message that the application has handled, and that we have acknowledged.
        self.handled = self.acked = asked
        self._unacked_bytes = 0
        self._phase = min(1.0, phase)
        # How much of half a window may be used until the next acknowledgement: from 0 to 1.
        self._share = self._phase
        if hello is None:
            self._longest_silence = rules.silence_timeout
        elif hello.ping_interval is None:
            self._longest_silence = None
        else:
            self._longest_silence = hello.ping_interval + rules.heartbeat_margin

    def silent_at(self, heard_at: float) -> float | None:
        """When the server has been silent for too long, if it was last heard at ``heard_at``; None: never."""
        return None if self._longest_silence is None else heard_at + self._longest_silence

    def count(self, number: int, size: int) -> bool:
        """The application has handled all up to ``number``; False if there is nothing to acknowledge.

        ``size``: bytes of payload of the new ones.
        """
        if self.hello is None or number <= self.handled:
            return False
        self.handled = number
        self._unacked_bytes += size
        return True

    def ack_is_due(self) -> bool:
        """Whether so much of the window is used that the server should hear of it at once."""
        assert self.hello is not None, "a plain server gets no acknowledgement"
        return (
            2 * (self.handled - self.acked) >= self._share * self.hello.window_messages
            or 2 * self._unacked_bytes >= self._share * self.hello.window_bytes
        )

    def ack_delay(self) -> float:
        """Otherwise: how many seconds after the first unacknowledged message it is due."""
        # Half of the second at least: messages that come slowly are to share an acknowledgement.
        return ACK_DELAY * (1.0 + self._phase) / 2

    def acknowledge(self, *, by_time: bool) -> int:
        """The number to acknowledge now. ``by_time``: since its deadline has come, and not by the window."""
        self.acked = self.handled
        self._unacked_bytes = 0
        self._share = self._phase if by_time else 1.0
        return self.acked
