"""The part of a client's machine that looks after a connection while it stands.

Two things: whether the server can still be heard, and when to tell it what has been handled. Both are
deadlines. Pure; ``machine.py`` inherits from it, and decides everything else.

An acknowledgement is due when half of the window is unacknowledged, or a second after the first message
that is. The members of a room get the same broadcasts; if all of them began to count at nought, all would
acknowledge in the same moment, again and again, and the server would have thousands of frames to read at
once. So each connection draws a *phase*: by it the first acknowledgement is due sooner, and so is each that
waits for the second. Those behind it are half a window apart, and so two clients that are out of step stay so
for as long as messages flow; and after a pause, in which all have acknowledged everything, they are so again.
"""

from __future__ import annotations

from ..errors import HeartbeatTimeout, ResumeHubError
from ..protocol.control_messages import ACK_DELAY, Hello
from . import effects as e
from .states import ClientDeadline, ClientRules, ClientState


class Standing:
    """Deadlines, effects, and the connection that stands. Driver thread only; never blocks."""

    def __init__(self, rules: ClientRules) -> None:
        self.rules = rules
        self.state = ClientState.CONNECTING
        self.now = 0.0
        #: The number of the latest dial, and whether it has neither ended nor been given up.
        self.dial = 0
        self.live = False
        self.deadlines: dict[ClientDeadline, float] = {}
        self._effects: list[e.Effect] = []
        self._hello: Hello | None = None
        self._silence: float | None = None
        self._acked = self._handled = self._handled_bytes = 0
        #: From 0 to 1; and how much of half a window may be used until the next acknowledgement.
        self._phase = self._share = 1.0

    def next_deadline(self) -> float | None:
        """When ``handle(TimePassed(), …)`` is next worth calling; None: only a command can change things."""
        return min(self.deadlines.values(), default=None)

    def _stand(self, hello: Hello | None, asked: int, phase: float) -> None:
        """A connection stands, and what came up to ``asked`` has been handled."""
        self.state = ClientState.CONNECTED
        self._hello = hello
        self._acked = self._handled = asked
        self._handled_bytes = 0
        # Whatever was drawn: never later than the server counts on.
        self._phase = self._share = min(1.0, phase)

    def _listen(self) -> None:
        if self._hello is not None:
            ping = self._hello.ping_interval
            self._silence = None if ping is None else ping + self.rules.heartbeat_margin
        else:
            self._silence = self.rules.silence_timeout
        if self._silence is not None:
            self.deadlines[ClientDeadline.SILENCE] = self.now + self._silence

    def _observed(self, number: int, heard_at: float) -> None:
        if self._is_late(number) or self.state is not ClientState.CONNECTED or self._silence is None:
            return
        if heard_at + self._silence > self.now:
            self.deadlines[ClientDeadline.SILENCE] = heard_at + self._silence
            return
        self.live = False
        self._effects.append(e.Abort(number))
        self._drop(HeartbeatTimeout())

    def _drop(self, error: ResumeHubError) -> None:
        """The connection is gone, the session is not."""
        raise NotImplementedError

    def _handled_one(self, number: int, size: int) -> None:
        if self.state is not ClientState.CONNECTED or self._hello is None or number <= self._handled:
            return
        self._handled = number
        self._handled_bytes += size
        if (
            2 * (self._handled - self._acked) >= self._share * self._hello.window_messages
            or 2 * self._handled_bytes >= self._share * self._hello.window_bytes
        ):
            self._acknowledge()
        else:
            # Half of the second at least: what comes slowly is worth waiting for.
            self.deadlines.setdefault(ClientDeadline.ACK, self.now + ACK_DELAY * (1.0 + self._phase) / 2)

    def _acknowledge(self, *, in_time: bool = False) -> None:
        """``in_time``: since it is due, and not since half of the window is used: as at the beginning."""
        self._disarm(ClientDeadline.ACK)
        self._acked = self._handled
        self._handled_bytes = 0
        self._share = self._phase if in_time else 1.0
        self._effects.append(e.Acknowledge(self.dial, self._acked))

    # -- small words ------------------------------------------------------------------------

    def _is_late(self, dial: int, *, state: ClientState | None = None) -> bool:
        """Whether what is said of ``dial`` no longer matters (it does only in ``state``), which is noted."""
        if dial == self.dial and self.live and state in (None, self.state):
            return False
        self._ignore(f"dial {dial} has been given up, or stands already")
        return True

    def _disarm(self, *dues: ClientDeadline) -> None:
        for due in dues:
            self.deadlines.pop(due, None)

    def _ignore(self, because: str) -> None:
        self._effects.append(e.LogIgnored(because))
